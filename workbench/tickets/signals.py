"""Incidents: firings with one fingerprint, and what people do about them, from the first signal to the mending."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from workbench import releases, traces
from workbench.access import Actor, audit, require
from workbench.datasets import labelling
from workbench.errors import Invalid, NotFound
from workbench.store import now, session
from workbench.store.engine import changed_elsewhere
from workbench.store.tables import IncidentEvent, IncidentRow, Run, SignalRow
from workbench.tickets import detectors, topics, trends
from workbench.tickets.columns import DIMENSIONS, dimension
from workbench.tickets.firing import Known

OPEN, ACKNOWLEDGED, FIXED, DISMISSED = "open", "acknowledged", "fixed", "not an incident"
STATES = (OPEN, ACKNOWLEDGED, FIXED, DISMISSED)
AT_WORK = (OPEN, ACKNOWLEDGED)
REOPEN = dt.timedelta(days=14)
"""Within so long after it was fixed, a firing with the same fingerprint reopens an incident."""
TOLD = ("opened", "escalated", "reopened", "fixed")
"""What happens to an incident that others are told of."""


@dataclass(frozen=True)
class Incident:
    """What people work on. Moments are UTC; `verdict` is `real`, `false` or empty where nobody has said.

    `evidence` has `say` (one sentence), `tickets` (ids), `quotes` (masked) and `runs`; `conditions` the filter.
    """

    id: str
    fingerprint: str
    title: str
    detector: str
    number: int
    label: str
    metric: str
    severity: str
    area: str
    owner: str
    state: str
    verdict: str
    turn: int
    changes: int
    conditions: Mapping[str, Sequence[str]]
    evidence: Mapping[str, Any]
    signals: int
    reopened: int
    fix: str
    started_at: dt.datetime
    last_seen: dt.datetime
    detected_at: dt.datetime
    sent_at: dt.datetime | None
    acknowledged_at: dt.datetime | None
    escalated_at: dt.datetime | None
    fixed_at: dt.datetime | None

    @property
    def at_work(self) -> bool:
        """Whether it still needs somebody."""
        return self.state in AT_WORK


@dataclass(frozen=True)
class Event:
    """A line of an incident's story. `turn` is above 0 where others are told of it."""

    kind: str
    person: str
    text: str
    turn: int
    at: dt.datetime


@dataclass(frozen=True)
class Signal:
    """One firing of an incident: the window's end, its figure and the usual one."""

    detector: str
    number: int
    until: dt.datetime
    label: str
    value: float
    expected: float
    score: float
    tickets: int


@dataclass(frozen=True)
class Times:
    """Hours between the steps of incidents: the middle one and the one that nine of ten keep; None where none has both."""

    count: int
    middle: float | None
    most: float | None


@dataclass(frozen=True)
class Firing:
    """A window that fired, as the watch hands it over."""

    group: str
    until: dt.datetime
    value: float
    expected: float
    score: float
    tickets: int


def incidents(*, state: str = "", area: str = "", limit: int = 200) -> list[Incident]:
    """Incidents: those at work first, the newest first."""
    done = col(IncidentRow.state).in_((FIXED, DISMISSED))
    query = select(IncidentRow).order_by(done, col(IncidentRow.last_seen).desc(), col(IncidentRow.id)).limit(limit)
    if state:
        query = query.where(IncidentRow.state == state)
    if area:
        query = query.where(IncidentRow.area == area)
    with session() as open_session:
        return [_incident(row) for row in open_session.exec(query)]


def incident(identity: str) -> Incident:
    """The incident with this id. Raises NotFound."""
    with session() as open_session:
        return _incident(_row(open_session, identity))


def story(identity: str) -> list[Event]:
    """What happened to an incident, oldest first."""
    query = select(IncidentEvent).where(IncidentEvent.incident == identity)
    with session() as open_session:
        rows = open_session.exec(query.order_by(col(IncidentEvent.at), col(IncidentEvent.id)))
        return [Event(row.kind, row.person, row.text, row.turn, row.at) for row in rows]


def signals(identity: str) -> list[Signal]:
    """The firings of an incident, oldest first."""
    with session() as open_session:
        rows = open_session.exec(
            select(SignalRow).where(SignalRow.incident == identity).order_by(col(SignalRow.until), col(SignalRow.label))
        )
        return [Signal(r.detector, r.number, r.until, r.label, r.value, r.expected, r.score, r.tickets) for r in rows]


def known() -> list[Known]:
    """The incidents that people have said are real, for backtests."""
    query = select(IncidentRow).where(IncidentRow.verdict == "real").order_by(col(IncidentRow.started_at))
    with session() as open_session:
        return [_known(row) for row in open_session.exec(query)]


def waiting() -> int:
    """How many incidents nobody has acknowledged."""
    with session() as open_session:
        return int(open_session.exec(select(func.count()).where(IncidentRow.state == OPEN)).one())


def times(step: str, among: Sequence[Incident]) -> Times:
    """How long a step took, in hours: `sent` after detection, `acknowledged` after sending, `fixed` after detection."""
    begin: Callable[[Incident], dt.datetime | None]
    end: Callable[[Incident], dt.datetime | None]
    begin, end = {
        "sent": (lambda one: one.detected_at, lambda one: one.sent_at),
        "acknowledged": (lambda one: one.sent_at or one.detected_at, lambda one: one.acknowledged_at),
        "fixed": (lambda one: one.detected_at, lambda one: one.fixed_at),
    }[step]
    pairs = [(begin(one), end(one)) for one in among]
    took = [(b - a).total_seconds() / 3600 for a, b in pairs if a is not None and b is not None]
    if not took:
        return Times(0, None, None)
    return Times(len(took), float(np.median(took)), float(np.quantile(took, 0.9)))


def acknowledge(actor: Actor, identity: str, *, changes: int) -> Incident:
    """Somebody takes it on. Raises Refused, or Conflict where it was changed meanwhile."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, changes)
        if row.state != OPEN:
            raise Invalid(f"This incident is {row.state} already.")
        row.state, row.verdict = ACKNOWLEDGED, "real"
        row.acknowledged_at, row.owner = now(), row.owner or actor.name
        return _end(open_session, actor, row, "acknowledged", "")


def assign(actor: Actor, identity: str, owner: str, *, changes: int) -> Incident:
    """Give it to somebody. Raises Refused, Invalid or Conflict."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, changes)
        row.owner = _text(owner, "Who should have it?", 100)
        return _end(open_session, actor, row, "assigned", f"to {row.owner}")


def note(actor: Actor, identity: str, text: str) -> Incident:
    """Write a remark. Raises Refused or Invalid."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, None)
        return _end(open_session, actor, row, "note", _text(text, "Write the note first.", 2000))


def fix(actor: Actor, identity: str, how: str, *, changes: int) -> Incident:
    """It is mended; `how` names the release, the change of knowledge, or what else. Raises Refused, Invalid or Conflict."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, changes)
        if row.state not in AT_WORK:
            raise Invalid(f"This incident is {row.state} already.")
        row.state, row.verdict, row.fixed_at = FIXED, "real", now()
        row.fix = _text(how, "Say what mended it, such as a release or a changed article.", 300)
        row.turn += 1
        return _end(open_session, actor, row, "fixed", f"with {row.fix}", turn=row.turn)


def dismiss(actor: Actor, identity: str, why: str, *, changes: int) -> Incident:
    """It was no incident: backtests count its firings as false from now on. Raises Refused, Invalid or Conflict."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, changes)
        if row.state not in AT_WORK:
            raise Invalid(f"This incident is {row.state} already.")
        row.state, row.verdict = DISMISSED, "false"
        return _end(open_session, actor, row, DISMISSED, why.strip()[:300])


def reopen(actor: Actor, identity: str, *, changes: int) -> Incident:
    """Take back that it is fixed, or that it was none. Raises Refused, Invalid or Conflict."""
    with session() as open_session:
        row = _begin(open_session, actor, identity, changes)
        if row.state in AT_WORK:
            raise Invalid(f"This incident is {row.state}; there is nothing to reopen.")
        row.state, row.verdict, row.fixed_at = OPEN, "", None
        row.turn += 1
        row.reopened += 1
        return _end(open_session, actor, row, "reopened", "", turn=row.turn)


def record(
    actor: Actor,
    title: str,
    *,
    start: dt.datetime,
    end: dt.datetime,
    where: Mapping[str, str],
    fix: str = "",
    severity: str = "medium",
    area: str = "",
) -> Incident:
    """Write down an incident of the past, so that backtests know of it. Nobody is told. Raises Refused or Invalid."""
    require(actor, "work on an incident")
    if end <= start:
        raise Invalid("The incident ends before it begins.", remedy="Swap the two moments.")
    conditions = {dimension(name): [value] for name, value in where.items() if value}
    with session() as open_session:
        audit.lock(open_session)
        row = IncidentRow(
            id=f"inc_{uuid.uuid4().hex[:12]}",
            fingerprint=f"written down/{title}",
            title=_text(title, "Give it a title.", 200),
            severity=severity,
            area=area,
            owner=actor.name,
            state=FIXED,
            verdict="real",
            conditions=conditions,
            evidence={"say": "Written down by a person.", "tickets": [], "quotes": [], "runs": []},
            fix=fix[:300],
            started_at=start,
            last_seen=end,
            detected_at=start,
            fixed_at=end,
        )
        return _end(open_session, actor, row, "written down", "")


def answered(found: Incident, *, limit: int = 200) -> list[dict[str, str]]:
    """The tickets of an incident's time and filter that a run answered, newest first: ticket_id, subject, run_id."""
    try:
        filters = trends.Filters(found.started_at.date(), found.last_seen.date(), narrowed(found))
        return trends.answered(filters, limit=limit)
    except NotFound:
        return []


def narrowed(found: Incident) -> dict[str, list[str]]:
    """The tickets that an incident is about, by dimension, with topics as they are called now."""
    return {name: list(values) for name, values in topics.followed(found.conditions).items() if name in DIMENSIONS}


def to_queue(actor: Actor, identity: str, queue: str) -> int:
    """Put the runs behind an incident's tickets into a labelling queue; returns how many are new there.

    Raises Refused, NotFound, or Invalid where no ticket of the incident has a recorded run.
    """
    found = incident(identity)
    asked = list(dict.fromkeys([*found.evidence.get("runs", ()), *(one["run_id"] for one in answered(found))]))
    with session() as open_session:
        there = set(open_session.exec(select(Run.id).where(col(Run.id).in_(asked)))) if asked else set()
    if not there:
        raise Invalid("No ticket of this incident has a recorded run.", remedy="Read the tickets themselves instead.")
    for run_id in asked:
        if run_id in there:
            traces.flag(actor, run_id, f"incident: {found.title}")
    return labelling.fill(actor, queue)


def mended_with() -> list[str]:
    """What an incident may have been mended with: the releases that went to production lately, newest first."""
    moved = [one for one in releases.moves() if one.environment == "production"]
    return list(
        dict.fromkeys(f"release {one.flow} v{one.after}" for one in sorted(moved, key=lambda m: m.at, reverse=True))
    )


def take_in(
    open_session: Session,
    spec: detectors.Detector,
    number: int,
    firings: Sequence[Firing],
    evidence: Callable[[Firing], Mapping[str, Any]],
    *,
    at: Callable[[Firing], dt.datetime],
) -> int:
    """Within the caller's transaction, which holds the audit's lock: make signals of firings, and incidents of signals.

    A firing that is there already changes nothing. Returns how many were new.
    """
    fresh, strongest = 0, dict[str, tuple[IncidentRow, Firing]]()
    for firing in sorted(firings, key=lambda one: (one.until, one.group)):
        if open_session.get(SignalRow, (spec.detector, number, firing.until, firing.group)) is not None:
            continue
        fresh += 1
        row = _belongs_to(open_session, spec, number, firing, evidence, at(firing))
        row.signals += 1
        row.last_seen = max(row.last_seen, firing.until)
        row.changes += 1
        if abs(firing.score) > abs(strongest.get(row.id, (row, firing))[1].score) or row.id not in strongest:
            strongest[row.id] = (row, firing)
        open_session.add(row)
        open_session.add(
            SignalRow(
                detector=spec.detector,
                number=number,
                until=firing.until,
                label=firing.group,
                incident=row.id,
                value=firing.value,
                expected=firing.expected,
                score=firing.score,
                tickets=firing.tickets,
                at=at(firing),
            )
        )
        open_session.flush()
    for row, firing in strongest.values():
        if abs(firing.score) > abs(float(row.evidence.get("score", 0.0))):
            row.evidence = {**evidence(firing), "score": firing.score}
            open_session.add(row)
    return fresh


def escalate(moment: dt.datetime) -> int:
    """Tell again of incidents that nobody acknowledged in time; returns how many. One process at a time does it."""
    with session() as open_session:
        audit.lock(open_session)
        late = select(IncidentRow).where(
            IncidentRow.state == OPEN, col(IncidentRow.escalated_at).is_(None), IncidentRow.escalate_hours > 0
        )
        rows = [
            row
            for row in open_session.exec(late)
            if (row.sent_at or row.detected_at) + dt.timedelta(hours=row.escalate_hours) <= moment
        ]
        for row in rows:
            row.turn += 1
            row.changes += 1
            row.escalated_at = moment
            told = f"nobody acknowledged it within {row.escalate_hours} hours"
            open_session.add(
                IncidentEvent(incident=row.id, kind="escalated", person="", text=told, turn=row.turn, at=moment)
            )
        return len(rows)


def _belongs_to(
    open_session: Session,
    spec: detectors.Detector,
    number: int,
    firing: Firing,
    evidence: Callable[[Firing], Mapping[str, Any]],
    at: dt.datetime,
) -> IncidentRow:
    """The incident of a firing: the one at work, one fixed lately that opens again, a dismissed one that still goes on, or new."""
    key = spec.fingerprint(firing.group)
    newest = open_session.exec(
        select(IncidentRow)
        .where(IncidentRow.fingerprint == key)
        .order_by(col(IncidentRow.last_seen).desc(), col(IncidentRow.detected_at).desc())
        .limit(1)
    ).first()
    if newest is not None:
        quiet = firing.until - newest.last_seen
        if newest.state in AT_WORK or (newest.state == DISMISSED and quiet <= dt.timedelta(hours=spec.cooldown)):
            return newest
        if newest.state == FIXED and firing.until <= newest.last_seen:
            return newest
        if newest.state == FIXED and quiet <= REOPEN:
            newest.state, newest.fixed_at, newest.escalated_at = OPEN, None, None
            newest.turn += 1
            newest.reopened += 1
            told = IncidentEvent(
                incident=newest.id, kind="reopened", person="", text="it came back", turn=newest.turn, at=at
            )
            open_session.add(told)
            return newest
    row = _new(spec, number, firing, evidence(firing), key, at)
    open_session.add(row)
    open_session.add(IncidentEvent(incident=row.id, kind="opened", person="", text=row.evidence["say"], turn=1, at=at))
    return row


def _new(
    spec: detectors.Detector, number: int, firing: Firing, shown: Mapping[str, Any], key: str, at: dt.datetime
) -> IncidentRow:
    group = {spec.by: [firing.group]} if spec.by else {}
    return IncidentRow(
        id=f"inc_{uuid.uuid4().hex[:12]}",
        fingerprint=key,
        title=f"{spec.detector}: {firing.group}" if spec.by else spec.detector,
        detector=spec.detector,
        number=number,
        label=firing.group,
        metric=spec.metric,
        severity=spec.severity,
        area=spec.area,
        owner=spec.owner,
        conditions={**{name: list(values) for name, values in spec.where.items()}, **group},
        evidence=dict(shown),
        escalate_hours=spec.escalate,
        started_at=firing.until - dt.timedelta(hours=spec.window),
        last_seen=firing.until,
        detected_at=at,
    )


def _begin(open_session: Session, actor: Actor, identity: str, changes: int | None) -> IncidentRow:
    """The incident, to be changed by this transaction alone; raises Conflict where it is not what the person saw."""
    require(actor, "work on an incident")
    audit.lock(open_session)
    row = _row(open_session, identity)
    if changes is not None and row.changes != changes:
        raise changed_elsewhere("This incident")
    open_session.execute(
        update(IncidentRow)
        .where(col(IncidentRow.id) == identity)
        .values(changes=row.changes + 1)
        .execution_options(synchronize_session=False)
    )
    open_session.refresh(row)
    return row


def _end(open_session: Session, actor: Actor, row: IncidentRow, kind: str, text: str, *, turn: int = 0) -> Incident:
    open_session.add(row)
    open_session.add(IncidentEvent(incident=row.id, kind=kind, person=actor.name, text=text, turn=turn))
    audit.append(open_session, actor, "work on an incident", row.id, {"what": kind})
    open_session.flush()
    return _incident(row)


def _row(open_session: Session, identity: str) -> IncidentRow:
    row = open_session.get(IncidentRow, identity)
    if row is None:
        raise NotFound(f"There is no incident {identity}.")
    return row


def _incident(row: IncidentRow) -> Incident:
    body = {name: getattr(row, name) for name in Incident.__dataclass_fields__}
    return Incident(**body)


def _known(row: IncidentRow) -> Known:
    where = {name: values[0] for name, values in row.conditions.items() if len(values) == 1}
    return Known(row.title, row.started_at, max(row.last_seen, row.started_at + dt.timedelta(hours=1)), where)


def _text(text: str, missing: str, longest: int) -> str:
    if not text.strip():
        raise Invalid(missing)
    return text.strip()[:longest]
