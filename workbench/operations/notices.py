"""Notices: what is told about incidents, made once for each turn and destination, sent as durable jobs, all recorded.

A notice is claimed before it is sent, so that of several workers one sends it. Where a process dies between sending and
writing down, a webhook's message is sent again under the same key, by which its receiver knows it; a Slack message or a
mail is not, and says that nobody knows whether it arrived.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from workbench import jobs, settings
from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound, Refused, WorkbenchError
from workbench.operations import deliver, routes
from workbench.operations.deliver import Message
from workbench.runtime.fetch import Unsettled
from workbench.store import insert_missing, now, session
from workbench.store.tables import Destination, IncidentEvent, IncidentRow, Job, Notice
from workbench.tickets import metrics, signals, watch
from workbench.tickets.figures import counted, in_line
from workbench.tickets.signals import Incident

KIND = "notices"
EVERY = "*/2 * * * *"
BACK_OFF = (30, 120, 600, 3600)
"""Seconds until the next try, after each failed one; after the last, it has failed."""
AN_HOUR = 10
"""So many messages at most go to one destination in an hour."""
TOGETHER = 5
"""From so many waiting notices on, a destination gets one digest instead."""
BRIEF = "brief"
"""The kind of a notice that is a brief; its `incident` is this word with the period's name."""
OLDEST = dt.timedelta(days=1)
"""What happened longer ago is told nobody any more."""
WAITING, SENDING, SENT, FAILED, UNSETTLED, GATHERED, NOBODY = (
    "waiting", "sending", "sent", "failed", "not known", "in a digest", "told nobody",
)  # fmt: skip
Key = tuple[str, int, str]


@dataclass(frozen=True)
class Sent:
    """A notice: about which turn of which incident, to whom, what text, and what became of it."""

    incident: str
    turn: int
    destination: str
    kind: str
    text: str
    state: str
    tries: int
    result: str
    made_at: dt.datetime
    sent_at: dt.datetime | None


def make() -> int:
    """Make the notices that are missing, one for each turn and destination; returns how many wait to be sent.

    Where no route leads anywhere, that is written down too.
    """
    with session() as open_session:
        audit.lock(open_session)
        told = select(Notice.incident).where(
            Notice.incident == IncidentEvent.incident, Notice.turn == IncidentEvent.turn
        )
        fresh = open_session.exec(
            select(IncidentEvent, IncidentRow)
            .join(IncidentRow, col(IncidentRow.id) == col(IncidentEvent.incident))
            .where(IncidentEvent.turn > 0, IncidentEvent.at >= now() - OLDEST, ~told.exists())
            .order_by(col(IncidentEvent.at))
        ).all()
        for event, row in fresh:
            message = _message(signals.incident(row.id), event.kind, event.text, event.turn)
            for name in routes.leading(row.area, row.severity) or [""]:
                state = WAITING if name else NOBODY
                values = {
                    "incident": row.id,
                    "turn": event.turn,
                    "destination": name,
                    "kind": event.kind,
                    "state": state,
                }
                values |= {"text": f"{message.subject}\n{message.text}", "tries": 0, "digest_of": 0, "job_id": ""}
                values |= {"result": "" if name else "no route leads anywhere", "made_at": now(), "due_at": now()}
                insert_missing(open_session, Notice, values)
        _gather(open_session)
        return int(open_session.exec(select(func.count()).where(Notice.state == WAITING)).one())


def due() -> str:
    """Store a job that sends what is due now; returns its id, empty where nothing is. Hand it to `jobs.start`."""
    with session() as open_session:
        audit.lock(open_session)
        _let_go(open_session)
        rows = open_session.exec(
            select(Notice)
            .where(Notice.state == WAITING, col(Notice.due_at) <= now(), Notice.job_id == "")
            .order_by(col(Notice.made_at))
        ).all()
        if not rows:
            return ""
        keys = [[row.incident, row.turn, row.destination] for row in rows]
        job = jobs.row(KIND, counted(len(rows), "notice"), {"notices": keys}, watch.CLOCK, total=len(rows))
        open_session.add(job)
        for row in rows:
            row.job_id = job.id
            open_session.add(row)
        return job.id


def every_time() -> list[str]:
    """What the schedule does: watch, make notices, and have those that are due sent."""
    watch.tick()
    make()
    return [job_id] if (job_id := due()) else []


def sent(*, incident: str = "", kind: str = "", limit: int = 300) -> list[Sent]:
    """The newest notices (of one incident, of one kind), newest first."""
    query = select(Notice).order_by(col(Notice.made_at).desc(), col(Notice.turn).desc()).limit(limit)
    if incident:
        query = query.where(Notice.incident == incident)
    if kind:
        query = query.where(Notice.kind == kind)
    with session() as open_session:
        rows = open_session.exec(query)
        return [
            Sent(r.incident, r.turn, r.destination, r.kind, r.text, r.state, r.tries, r.result, r.made_at, r.sent_at)
            for r in rows
        ]


def again(actor: Actor, incident: str, turn: int, destination: str) -> None:
    """Have a notice sent again that failed, or of which nobody knows. Raises Refused, NotFound or Invalid."""
    require(actor, "set where notices go")
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Notice, (incident, turn, destination))
        if row is None:
            raise NotFound("There is no such notice.")
        if row.state not in (FAILED, UNSETTLED):
            raise Invalid(f"This notice is {row.state}; only one that failed can be sent again.")
        row.state, row.tries, row.due_at, row.job_id = WAITING, 0, now(), ""
        open_session.add(row)
        audit.append(open_session, actor, "set where notices go", incident, {"again": destination, "turn": turn})


def preview(identity: str) -> list[tuple[str, str]]:
    """What would be sent now about an incident: each destination with the body of its message. Nothing is sent."""
    found = signals.incident(identity)
    message = _message(found, "opened", "", found.turn)
    made = [routes.destination(name) for name in routes.leading(found.area, found.severity)]
    return [(one.name, deliver.body(one, message)) for one in made]


def try_out(actor: Actor, name: str) -> str:
    """Send a message that says it is a trial, at once; returns what the other side said. Raises as sending does."""
    require(actor, "set where notices go")
    key = f"trial-{uuid.uuid4().hex[:12]}"
    said = deliver.send(
        routes.destination(name),
        Message(key, "Trial of the workbench", f"{actor.name} tries whether notices arrive here.", {"kind": "trial"}),
    )
    with session() as open_session:
        audit.append(open_session, actor, "set where notices go", name, {"tried": True})
    return said


def link(identity: str) -> str:
    """The address of an incident in the app."""
    return f"{settings.load().url}/signals?{urlencode({'incident': identity})}"


def brief_link(period: str) -> str:
    """The address of the brief of a week in the app."""
    return f"{settings.load().url}/brief?{urlencode({'week': period})}"


def _message(found: Incident, kind: str, why: str, turn: int) -> Message:
    begins = {
        "opened": "New",
        "escalated": "Still nobody on it",
        "reopened": "It came back",
        "fixed": "Fixed",
    }.get(kind, kind.capitalize())
    lines = [
        str(found.evidence.get("say", "")),
        "" if kind == "opened" else f"Mended with {found.fix}." if kind == "fixed" else why,
        f"Severity {found.severity}; area {found.area or 'none'}; owner {found.owner or 'nobody yet'}.",
        f"Since {found.started_at:%-d %b %Y %H:%M} UTC; windows out of the usual: {found.signals}.",
        link(found.id),
    ]
    facts = {
        "kind": kind,
        "incident": found.id,
        "turn": turn,
        "state": found.state,
        "severity": found.severity,
        "area": found.area,
        "owner": found.owner,
        "detector": found.detector,
        "group": found.label,
        "metric": metrics.METRICS[found.metric].title if found.metric in metrics.METRICS else "",
        "since": found.started_at.isoformat(),
        "tickets": list(found.evidence.get("tickets", ()))[:20],
        "link": link(found.id),
    }
    text = "\n".join(in_line(one) for one in lines if one)
    return Message(f"{found.id}-{turn}", in_line(f"{begins}: {found.title}"), text, facts)


def _gather(open_session: Session) -> None:
    """Where many notices wait for one destination, or it had too many lately, make one digest of them."""
    open_session.flush()
    loose = select(Notice).where(Notice.state == WAITING, Notice.job_id == "", Notice.digest_of == 0, Notice.tries == 0)
    loose = loose.where(Notice.kind != BRIEF)
    waiting: dict[str, list[Notice]] = {}
    for row in open_session.exec(loose.order_by(col(Notice.made_at))):
        waiting.setdefault(row.destination, []).append(row)
    for name, rows in waiting.items():
        recent = _recent(open_session, name)
        full = len(recent) + len(rows) > AN_HOUR
        if len(rows) < TOGETHER and not full:
            continue
        due_at = _free(recent)
        digest = f"digest-{uuid.uuid4().hex[:12]}"
        lines = [row.text.split("\n")[0] + "\n  " + link(row.incident) for row in rows]
        text = f"{counted(len(rows), 'notice')} about incidents\n" + "\n".join(lines)
        made = Notice(
            incident=digest, turn=0, destination=name, kind="digest", text=text, digest_of=len(rows), due_at=due_at
        )
        open_session.add(made)
        for row in rows:
            row.state, row.result = GATHERED, digest
            open_session.add(row)


def add_brief(open_session: Session, period: str, turn: int, destination: str, text: str) -> None:
    """Within the caller's transaction, have a brief sent to a destination; one that is there already changes nothing.

    A destination that had as many messages as it may in the last hour gets it later.
    """
    values = {"incident": f"{BRIEF}-{period}", "turn": turn, "destination": destination, "kind": BRIEF, "text": text}
    values |= {"state": WAITING, "tries": 0, "digest_of": 0, "job_id": "", "result": "", "made_at": now()}
    insert_missing(open_session, Notice, {**values, "due_at": _free(_recent(open_session, destination))})


def _recent(open_session: Session, destination: str) -> list[dt.datetime]:
    """When a destination had its messages of the last hour, oldest first."""
    query = select(Notice.sent_at).where(
        Notice.destination == destination, col(Notice.sent_at) > now() - dt.timedelta(hours=1)
    )
    return [moment for moment in open_session.exec(query.order_by(col(Notice.sent_at))) if moment is not None]


def _free(recent: Sequence[dt.datetime]) -> dt.datetime:
    """When one more message may go to a destination that had these."""
    return recent[-AN_HOUR] + dt.timedelta(hours=1) if len(recent) >= AN_HOUR else now()


def _let_go(open_session: Session) -> None:
    """Notices whose job ended before it came to them, or in the middle of one."""
    ended = select(Job.id).where(col(Job.kind) == KIND, col(Job.state).in_(("failed", "cancelled")))
    held = select(Notice).where(col(Notice.state).in_((WAITING, SENDING)), col(Notice.job_id).in_(ended))
    for row in open_session.exec(held):
        row.job_id = ""
        if row.state == SENDING:
            row.state, row.result = UNSETTLED, "its job failed while it was sent; perhaps it arrived"
        open_session.add(row)
    open_session.flush()


def _plan(arguments: dict[str, Any]) -> list[Any]:
    return list(arguments["notices"])


def _work(job_id: str, arguments: dict[str, Any], shard: Any) -> int:
    """Send one notice, once."""
    key: Key = (str(shard[0]), int(shard[1]), str(shard[2]))
    row = _claim(key, job_id)
    if row is not None:
        _settle(key, _attempt(row))
    return int(arguments["notices"].index(list(shard))) + 1


def _claim(key: Key, job_id: str) -> Notice | None:
    """The notice, to be sent by this job alone; None where it is sent, or not this job's."""
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Notice, key)
        if row is None or row.job_id != job_id or row.state not in (WAITING, SENDING):
            return None
        made = open_session.get(Destination, key[2])
        if row.state == SENDING and (made is None or made.kind != "webhook"):
            row.state, row.result = UNSETTLED, "the process ended while it was sent; perhaps it arrived"
            open_session.add(row)
            return None
        row.state, row.tries = SENDING, row.tries + 1
        open_session.add(row)
        return row


def _attempt(row: Notice) -> Callable[[Notice], None]:
    """Try to send; returns what to write down."""
    try:
        said = deliver.send(routes.destination(row.destination), _said(row))
    except Unsettled as error:
        webhook = routes.destination(row.destination).kind == "webhook"
        return _later(error.message, row.tries) if webhook else _final(UNSETTLED, error.message)
    except (Invalid, Refused, NotFound) as error:
        return _final(FAILED, error.message)
    except WorkbenchError as error:
        return _later(error.message, row.tries)
    return _final(SENT, said, now())


def _said(row: Notice) -> Message:
    subject, _, text = row.text.partition("\n")
    if row.digest_of:
        return Message(row.incident, subject, text, {"kind": "digest", "notices": row.digest_of})
    if row.kind == BRIEF:
        period = row.incident.removeprefix(f"{BRIEF}-")
        facts = {"kind": BRIEF, "period": period, "link": brief_link(period)}
        return Message(f"{row.incident}-{row.turn}", subject, text, facts)
    found = signals.incident(row.incident)
    facts = _message(found, row.kind, "", row.turn).facts
    return Message(f"{row.incident}-{row.turn}", subject, text, facts)


def _final(state: str, result: str, moment: dt.datetime | None = None) -> Callable[[Notice], None]:
    return lambda row: _write(row, state, result, moment)


def _later(why: str, tries: int) -> Callable[[Notice], None]:
    def write(row: Notice) -> None:
        if tries > len(BACK_OFF):
            _write(row, FAILED, why)
            return
        _write(row, WAITING, why)
        row.due_at, row.job_id = now() + dt.timedelta(seconds=BACK_OFF[tries - 1]), ""

    return write


def _write(row: Notice, state: str, result: str, moment: dt.datetime | None = None) -> None:
    row.state, row.result, row.sent_at = state, result[:500], moment


def _settle(key: Key, write: Callable[[Notice], None]) -> None:
    """Write down what came of a try; the first message about an incident dates its sending."""
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Notice, key)
        if row is None or row.state != SENDING:
            return
        write(row)
        open_session.add(row)
        told = {"to": row.destination, "turn": row.turn, "state": row.state}
        audit.append(open_session, watch.CLOCK, "set where notices go", row.incident, told)
        if row.state == SENT and row.sent_at is not None and row.kind != BRIEF:
            about = [row.incident]
            if row.digest_of:
                gathered = select(Notice.incident).where(Notice.result == row.incident, Notice.state == GATHERED)
                about = list(dict.fromkeys(open_session.exec(gathered)))
            _mark(open_session, about, row.destination, row.sent_at)


def _mark(open_session: Session, incidents: Sequence[str], destination: str, moment: dt.datetime) -> None:
    for identity in incidents:
        open_session.execute(
            update(IncidentRow)
            .where(col(IncidentRow.id) == identity, col(IncidentRow.sent_at).is_(None))
            .values(sent_at=moment)
        )
        open_session.add(IncidentEvent(incident=identity, kind="sent", person="", text=f"to {destination}", at=moment))


jobs.kind(KIND, _plan, _work, verb="set where notices go")
jobs.schedule("watch", EVERY, every_time)
