"""The watch: live detectors on new tickets. Each window is judged once, and again while late tickets may still change it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlmodel import Session, col, func, select

from workbench.access import Actor, audit, require
from workbench.errors import NotFound
from workbench.store import now, session
from workbench.store.tables import DetectorRow, DetectorWindow
from workbench.tickets import detectors, firing, history, metrics, signals
from workbench.tickets.detectors import Detector, Judged
from workbench.tickets.signals import Firing
from workbench.tickets.view import WAITING
from workbench.traces import masking

TICKETS, QUOTES, LENGTH = 200, 4, 240
"""How many tickets and quotes are kept as evidence, and how many characters of a quote."""
SILENCE = "(no tickets at all)"
CLOCK = Actor("schedule", "admin")


@dataclass(frozen=True)
class Watched:
    """What one run of the watch did: detectors that are live, windows judged for the first time and anew, new firings."""

    detectors: int
    windows: int
    again: int
    firings: int
    incidents: tuple[str, ...]
    newest: dt.datetime | None


def run(actor: Actor, *, names: Iterable[str] = (), backdated: bool = False) -> Watched:
    """Judge what is new for every live detector (or for those in `names`). Raises Refused or NotFound.

    Safe to run anywhere at any time: what was judged already is not judged again, unless late tickets changed it.
    `backdated` dates what is found as if somebody had watched then.
    """
    require(actor, "edit a detector")
    wanted = set(names)
    before = {one.id for one in signals.incidents(limit=10_000)}
    live = [one for one in detectors.detectors() if one.live is not None and (not wanted or one.name in wanted)]
    if unknown := wanted - {one.name for one in live}:
        raise NotFound(f"There is no live detector {min(unknown)!r}.", remedy="Let it go live first.")
    done = [_watch(one.name, backdated=backdated) for one in live]
    after = [one.id for one in signals.incidents(limit=10_000) if one.id not in before]
    newest = history.newest() if live else None
    windows, again, firings = (sum(one[place] for one in done) for place in range(3))
    return Watched(len(live), windows, again, firings, tuple(after), newest)


def tick() -> Watched | None:
    """What the schedule does: judge what is new, and escalate. None where there are no tickets or nothing is live."""
    signals.escalate(now())
    if not any(one.live is not None for one in detectors.detectors()):
        return None
    try:
        return run(CLOCK)
    except NotFound:
        return None


def _watch(name: str, *, backdated: bool) -> tuple[int, int, int]:
    """Judge one detector's windows that are new or changed; counts of new ones, changed ones and firings.

    The tickets are read before the transaction; what another worker wrote meanwhile is seen in it, under the lock.
    """
    stored = detectors.detector(name)
    if stored.live is None or stored.live_from is None:
        return 0, 0, 0
    spec = detectors.version(name, stored.live)
    judged = detectors.judge(spec)
    since = _since(name, stored.live, stored.live_from, spec.lateness)
    places = _places(judged, since)
    digests = {place: _digest(judged, place) for place in places}
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(DetectorRow, name)
        if row is None or row.live != stored.live:
            return 0, 0, 0
        known = _known(open_session, name, stored.live, since)
        new = [place for place in places if _end(judged, place) not in known]
        newest = firing.moment(int(judged.history.ends[-1])) if places else now()
        still = newest - dt.timedelta(hours=spec.lateness)
        changed = [
            place
            for place in places
            if (old := known.get(_end(judged, place))) and old.digest != digests[place] and old.until >= still
        ]
        for place in new:
            until = _end(judged, place)
            open_session.add(DetectorWindow(detector=name, number=stored.live, until=until, digest=digests[place]))
        for place in changed:
            old = known[_end(judged, place)]
            old.digest, old.revision, old.at = digests[place], old.revision + 1, now()
            open_session.add(old)
        open_session.flush()
        found = [*_fired(judged, [*new, *changed], spec), *_silent(spec)]
        fresh = signals.take_in(
            open_session,
            spec,
            stored.live,
            found,
            lambda one: evidence(spec, one),
            at=lambda one: one.until + dt.timedelta(minutes=10) if backdated else now(),
        )
        if new or changed:
            told = {"version": stored.live, "windows": len(new), "again": len(changed), "firings": fresh}
            audit.append(open_session, CLOCK, "edit a detector", name, told)
        return len(new), len(changed), fresh


def evidence(spec: Detector, one: Firing) -> dict[str, Any]:
    """What shows that a firing is real: a sentence, ticket ids, masked quotes, and the runs behind the tickets."""
    say = f"{metrics.get(spec.metric).title}: {detectors.usually(spec.metric, one.value, one.expected, spec.window)}."
    if one.group == SILENCE:
        say = f"No new ticket for {one.value:,.0f} hours: perhaps the feed of tickets has stopped."
        return {"say": say, "tickets": [], "quotes": [], "runs": []}
    frame = history.evidence(
        spec.where, spec.by, one.group, spec.event, until=one.until, window=spec.window, most=TICKETS
    )
    rows = frame.to_dict("records")
    return {
        "say": say,
        "tickets": [str(row["ticket_id"]) for row in rows],
        "quotes": [
            quote for row in rows[: QUOTES * 3] if (quote := _quote(row["ticket_id"], row["subject"], row["body"]))
        ][:QUOTES],
        "runs": [str(row["run_id"]) for row in rows if isinstance(row["run_id"], str) and row["run_id"]],
    }


def _quote(ticket: Any, *parts: Any) -> dict[str, str] | None:
    """A ticket's own words, masked and cut."""
    text = " ".join(part for part in parts if isinstance(part, str) and part.strip() and part != WAITING)
    if not text:
        return None
    masked = masking.masker(str(ticket)).text(" ".join(text.split()))
    return {"ticket": str(ticket), "text": masked[:LENGTH] + ("…" if len(masked) > LENGTH else "")}


def _since(name: str, number: int, begun: dt.datetime, lateness: int) -> dt.datetime:
    """The moment after which windows may be new or may still change; windows are judged in a row, without gaps."""
    newest = select(func.max(DetectorWindow.until)).where(
        DetectorWindow.detector == name, DetectorWindow.number == number
    )
    with session() as open_session:
        last = open_session.exec(newest).one()
    return begun if last is None else max(begun, last - dt.timedelta(hours=lateness + 1))


def _places(judged: Judged, since: dt.datetime) -> list[int]:
    """The windows to look at: those that end after a moment."""
    return [int(place) for place in np.flatnonzero(judged.history.ends > firing.hours(since))]


def _known(open_session: Session, name: str, number: int, since: dt.datetime) -> dict[dt.datetime, DetectorWindow]:
    rows = open_session.exec(
        select(DetectorWindow).where(
            DetectorWindow.detector == name, DetectorWindow.number == number, col(DetectorWindow.until) > since
        )
    )
    return {row.until: row for row in rows}


def _fired(judged: Judged, places: list[int], spec: Detector) -> list[Firing]:
    fires = firing.fires(judged.history, judged.usual, spec.knobs)
    return [
        Firing(
            group=judged.history.groups[row],
            until=_end(judged, place),
            value=float(judged.history.values[row, place]),
            expected=float(judged.usual.expected[row, place]),
            score=float(judged.usual.score[row, place]),
            tickets=int(judged.history.tickets[row, place]),
        )
        for place in places
        for row in np.flatnonzero(fires[:, place])
    ]


def _silent(spec: Detector) -> list[Firing]:
    """A firing where no ticket at all has come for longer than the no-data rule allows; one for each silence."""
    if not spec.no_data:
        return []
    newest = history.newest()
    silent = (now() - newest).total_seconds() / 3600
    if silent < spec.no_data:
        return []
    until = (newest + dt.timedelta(hours=spec.no_data)).replace(minute=0, second=0, microsecond=0)
    return [Firing(SILENCE, until, float(spec.no_data), 0.0, spec.threshold, 0)]


def _digest(judged: Judged, place: int) -> str:
    """What is known of a window: it changes when late tickets come."""
    body = judged.history.values[:, place].tobytes() + judged.history.tickets[:, place].tobytes()
    return hashlib.sha256("\0".join(judged.history.groups).encode() + body).hexdigest()[:16]


def _end(judged: Judged, place: int) -> dt.datetime:
    return firing.moment(int(judged.history.ends[place]))
