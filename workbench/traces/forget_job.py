"""Deleting one customer's data as durable work: every run is looked into, part by part, and the report is kept.

What tells the customer stands on the desk of whoever asked while the work goes on, and nowhere in the job; it is gone
when the work has ended.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import delete
from sqlmodel import Session, col, func, select

from workbench import jobs
from workbench.access import Actor, audit, require
from workbench.access.people import Role
from workbench.errors import NotFound
from workbench.store import session
from workbench.store.tables import DeskRow, Run
from workbench.store.tables import Job as JobRow
from workbench.traces import forget, masking
from workbench.traces.forget import Report

KIND = "forget a customer"
SHARD = 500
PLACE = "forget-"
LOOKED = "forgot-"

MANY = 2_000
"""With more runs than this, looking into all of them takes long enough to be shown."""


def start(actor: Actor, value: str, *, confirmed: bool = False) -> str:
    """Store the job that does what `forget.customer` does; its id, for `jobs.start` or `jobs.run_here`.

    Raises Refused, or Invalid for a value too short to tell one customer.
    """
    require(actor, "delete a customer's data")
    value = forget.checked(value)
    with session() as open_session:
        _sweep(open_session)
        total = int(open_session.exec(select(func.count()).select_from(Run)).one())
        asked = {"by": actor.name, "role": actor.role, "confirmed": confirmed}
        title = "Deleting a customer's data" if confirmed else "Looking for a customer's data"
        job = jobs.row(KIND, title, asked, actor, total=total)
        known = col(Run.conversation).in_((value, masking.known_as(value)))
        found = sorted(open_session.exec(select(Run.conversation).where(known).distinct()))
        open_session.add(DeskRow(person=actor.name, place=PLACE + job.id, body={"value": value, "found": found}))
        open_session.add(job)
        audit.append(open_session, actor, "delete a customer's data", job.id, {"asked": True, "confirmed": confirmed})
        return job.id


def report(actor: Actor, job_id: str) -> Report:
    """What a job came to. Raises Refused, or NotFound where it has not come to its end, or somebody else asked for it."""
    require(actor, "delete a customer's data")
    with session() as open_session:
        row = open_session.get(DeskRow, (actor.name, PLACE + job_id))
        told = row.body.get("report") if row is not None else None
    if told is None:
        raise NotFound(f"There is no report of {job_id}.", remedy="Wait until it has ended, or ask for it again.")
    return Report(told["deleted"], (), tuple(told["left"]), told["done"])


def _sweep(open_session: Session) -> None:
    """Take away what jobs left on desks that ended before they came to a report, as cancelled ones do."""
    for row in open_session.exec(select(DeskRow).where(col(DeskRow.place).startswith(PLACE))):
        job = open_session.get(JobRow, row.place.removeprefix(PLACE))
        if "report" not in row.body and (job is None or job.state in jobs.ENDED):
            open_session.execute(
                delete(DeskRow).where(col(DeskRow.person) == row.person, col(DeskRow.place) == row.place)
            )
            _drop_looked(open_session, row.place.removeprefix(PLACE))


def _plan(_arguments: dict[str, Any]) -> list[list[Any]]:
    """Parts as first id, last id and how many runs are looked into after it; the last part, without ids, deletes."""
    with session() as open_session:
        ids = list(open_session.exec(select(Run.id).order_by(Run.id)))
    parts = [
        [ids[at], ids[min(at + SHARD, len(ids)) - 1], min(at + SHARD, len(ids))] for at in range(0, len(ids), SHARD)
    ]
    return [*parts, ["", "", len(ids)]]


def _work(job_id: str, arguments: dict[str, Any], shard: list[Any]) -> int:
    first, last, done = shard
    actor = Actor(arguments["by"], cast(Role, arguments["role"]))
    key = (actor.name, PLACE + job_id)
    with session() as open_session:
        row = open_session.get(DeskRow, key)
        if row is None:
            raise NotFound("What tells the customer is not there any more.", remedy="Ask for it again.")
        body = dict(row.body)
        if "report" in body:
            return int(done)
        if first:
            runs, found = forget.states(open_session, first, last), set(body["found"])
            found |= forget.holding(open_session, body["value"], runs, found)
            kept = {"value": body["value"], "found": sorted(found)}
            marks = b"".join(map(forget.mark, runs))
    if not first:
        looked = _looked(actor, job_id)
        made = forget.remove(actor, body["value"], set(body["found"]), confirmed=arguments["confirmed"], looked=looked)
        kept = {"report": {name: value for name, value in dataclasses.asdict(made).items() if name != "conversations"}}
    with session() as open_session:
        forget.overwrite(open_session)
        row = open_session.get(DeskRow, key)
        if row is not None:
            row.body = kept
        if first:
            _keep_looked(open_session, actor, job_id, int(done), marks)
        else:
            _drop_looked(open_session, job_id)
    if not first:
        forget.wipe()
    return int(done)


def _keep_looked(open_session: Session, actor: Actor, job_id: str, done: int, marks: bytes) -> None:
    """Keep which runs a part looked into, as they were then."""
    place = f"{LOOKED}{job_id}-{done}"
    row = open_session.get(DeskRow, (actor.name, place)) or DeskRow(person=actor.name, place=place, body={})
    row.body = {"marks": base64.b64encode(marks).decode()}
    open_session.add(row)


def _looked(actor: Actor, job_id: str) -> Iterator[bytes]:
    """The marks of the runs that the parts of a job looked into."""
    place = col(DeskRow.place).startswith(f"{LOOKED}{job_id}-", autoescape=True)
    with session() as open_session:
        for row in open_session.exec(select(DeskRow).where(DeskRow.person == actor.name, place)):
            marks = base64.b64decode(row.body["marks"])
            yield from (marks[at : at + forget.MARK] for at in range(0, len(marks), forget.MARK))


def _drop_looked(open_session: Session, job_id: str) -> None:
    open_session.execute(delete(DeskRow).where(col(DeskRow.place).startswith(f"{LOOKED}{job_id}-", autoescape=True)))


jobs.kind(KIND, _plan, _work, verb="delete a customer's data")
