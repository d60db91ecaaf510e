"""Briefs that are sent again and again: every week or every day, to destinations, by the same way as other notices.

A brief of a period is made once for each destination, under a key of both; two workers, a crash or a second look make no
second one. What happens where a process dies between sending and writing down is told in `notices`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, get_args

from sqlmodel import Session, col, func, select

from workbench import jobs
from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.operations import deliver, notices, routes
from workbench.operations.deliver import Message
from workbench.store import now, session
from workbench.store.engine import changed_elsewhere
from workbench.store.tables import DigestPlan as Row
from workbench.store.tables import Notice
from workbench.tickets import brief, brief_notes, brief_text, weeks
from workbench.tickets.weeks import Period

Every = Literal["week", "day"]
EVERY: tuple[Every, ...] = get_args(Every)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PATIENCE = dt.timedelta(hours=12)
"""So long a brief waits for the tickets of its last day; then it is sent with those that are there."""
LATEST = dt.timedelta(days=1)
"""Later than this, a brief that was due is not sent any more."""
CRON = "*/5 * * * *"


@dataclass(frozen=True)
class Plan:
    """How often, when (UTC; `weekday` 0 is Monday) and to whom a brief goes, and since when it is on at that time, or off."""

    every: Every
    active: bool = False
    weekday: int = 0
    hour: int = 8
    destinations: tuple[str, ...] = ()
    changes: int = 0
    set_by: str = ""
    set_at: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def due(self, moment: dt.datetime) -> dt.datetime:
        """The newest time at or before a moment at which a brief is due."""
        at = moment.replace(minute=0, second=0, microsecond=0, hour=self.hour)
        if self.every == "week":
            at -= dt.timedelta(days=(at.weekday() - self.weekday) % 7)
        step = dt.timedelta(days=7 if self.every == "week" else 1)
        return at if at <= moment else at - step

    def next(self, moment: dt.datetime) -> dt.datetime:
        """The first time after a moment at which a brief is due."""
        return self.due(moment) + dt.timedelta(days=7 if self.every == "week" else 1)

    def period(self, at: dt.datetime) -> Period:
        """What the brief that is due at a moment is about: the week or the day before."""
        if self.every == "day":
            return weeks.single(at.date() - dt.timedelta(days=1))
        return weeks.week(at.date() - dt.timedelta(days=7))


def plan(every: Every) -> Plan:
    """The plan for every week or every day; one that nobody made is off."""
    with session() as open_session:
        row = open_session.get(Row, every)
        return Plan(every) if row is None else _plan(row)


def turn_on(actor: Actor, wanted: Plan) -> Plan:
    """Send briefs by this plan from now on. `wanted.changes` is what the person saw. Raises Refused, Invalid, Conflict."""
    require(actor, "set where notices go")
    if wanted.every not in EVERY or not 0 <= wanted.weekday <= 6 or not 0 <= wanted.hour <= 23:
        raise Invalid("A brief goes every week or every day, on a weekday, at an hour from 0 to 23.")
    if not wanted.destinations:
        raise Invalid("Nobody would get it.", remedy="Choose at least one destination.")
    for name in wanted.destinations:
        routes.destination(name)
    return _set(actor, wanted, active=True)


def turn_off(actor: Actor, every: Every) -> Plan:
    """Send no more of them. What waits to be sent already is still sent. Raises Refused."""
    require(actor, "set where notices go")
    return _set(actor, plan(every), active=False)


def message(period: Period) -> Message:
    """What a brief says as a message. Raises NotFound where there are no tickets in the period."""
    found = brief.brief(period)
    facts = {"kind": notices.BRIEF, "period": period.name, "link": notices.brief_link(period.name)}
    text = brief_text.lines(found, brief_notes.note(period))
    whole = f"{text}\n\n{notices.brief_link(period.name)}"
    return Message(f"{notices.BRIEF}-{period.name}-1", brief_text.title(found), whole, facts)


def preview(period: Period, names: list[str]) -> list[tuple[str, str]]:
    """What each destination would get, as it would be sent. Nothing is sent. Raises NotFound."""
    made = message(period)
    return [(name, deliver.body(routes.destination(name), made)) for name in names]


def send_now(actor: Actor, period: Period, names: list[str], *, again: bool = False) -> str:
    """Have a brief sent at once; the id of the job to start, empty where nothing is due yet.

    Raises Refused, NotFound, or Invalid where somebody got this brief already, unless it shall go `again`.
    """
    require(actor, "set where notices go")
    if not names:
        raise Invalid("Nobody would get it.", remedy="Choose at least one destination.")
    for name in names:
        routes.destination(name)
    made = message(period)
    with session() as open_session:
        audit.lock(open_session)
        told = {name: _turns(open_session, period, name) for name in names}
        if (had := [name for name, turns in told.items() if turns]) and not again:
            raise Invalid(
                f"The brief of {period.said} went to {', '.join(had)} already, or is on its way.",
                remedy="Choose “Send it again” if it shall go once more.",
            )
        for name, turns in told.items():
            notices.add_brief(open_session, period.name, turns + 1, name, f"{made.subject}\n{made.text}")
        audit.append(open_session, actor, "set where notices go", period.name, {"brief": names, "again": again})
    return notices.due()


def sent(limit: int = 20) -> list[notices.Sent]:
    """The newest briefs that were sent or wait, newest first."""
    return notices.sent(kind=notices.BRIEF, limit=limit)


def make(moment: dt.datetime) -> int:
    """Make the briefs that are due at a moment and not made yet; returns how many are new."""
    fresh = 0
    for every in EVERY:
        wanted = plan(every)
        due = wanted.due(moment)
        if not wanted.active or due < wanted.set_at or moment - due > LATEST:
            continue
        fresh += _make(wanted, wanted.period(due), late=moment - due > PATIENCE)
    return fresh


def every_time() -> list[str]:
    """What the schedule does: make what is due, and have it sent."""
    make(now())
    return [job_id] if (job_id := notices.due()) else []


def _make(wanted: Plan, period: Period, *, late: bool) -> int:
    with session() as open_session:
        missing = [name for name in wanted.destinations if not _turns(open_session, period, name)]
    if not missing:
        return 0
    try:
        whole = brief.brief(period).whole
        made = message(period)
    except NotFound:
        return 0
    if not whole and not late:
        return 0
    with session() as open_session:
        audit.lock(open_session)
        still = [name for name in missing if not _turns(open_session, period, name)]
        for name in still:
            notices.add_brief(open_session, period.name, 1, name, f"{made.subject}\n{made.text}")
        return len(still)


def _turns(open_session: Session, period: Period, destination: str) -> int:
    """How often a brief was made for a destination."""
    made = select(func.max(col(Notice.turn))).where(
        Notice.incident == f"{notices.BRIEF}-{period.name}", Notice.destination == destination
    )
    return int(open_session.exec(made).one() or 0)


def _set(actor: Actor, wanted: Plan, *, active: bool) -> Plan:
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Row, wanted.every)
        if (row.changes if row else 0) != wanted.changes:
            raise changed_elsewhere("This plan")
        row = row or Row(every=wanted.every, set_by=actor.name, changes=0)
        same = row.active and active and (row.weekday, row.hour) == (wanted.weekday, wanted.hour)
        if not same:  # Where only those who get it change, a brief that waits for its tickets stays due.
            row.set_at = now()
        row.active, row.weekday, row.hour, row.set_by = active, wanted.weekday, wanted.hour, actor.name
        row.destinations, row.changes = list(wanted.destinations), row.changes + 1
        open_session.add(row)
        told = {"brief": wanted.every, "on": active, "to": list(wanted.destinations)}
        audit.append(open_session, actor, "set where notices go", "briefs", told)
        return _plan(row)


def _plan(row: Row) -> Plan:
    every: Every = "day" if row.every == "day" else "week"
    return Plan(every, row.active, row.weekday, row.hour, tuple(row.destinations), row.changes, row.set_by, row.set_at)


jobs.schedule("briefs", CRON, every_time)
