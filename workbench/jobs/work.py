"""Long work as people see it: a job is a row, its shards are done one after the other.

A kind of job is registered with two functions: `plan` names the shards, `work` does one of them. `work` must write its
rows under keys, so that a shard that ran twice (the one under way at a crash) writes nothing twice.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from workbench.access import Actor, Verb, audit, require
from workbench.errors import NotFound, WorkbenchError
from workbench.store import now, session
from workbench.store.tables import Job as Row

Plan = Callable[[dict[str, Any]], list[Any]]
Work = Callable[[str, dict[str, Any], Any], int]

Due = Callable[[], list[str]]
"""What a schedule does each time: it returns the ids of stored jobs to be started. Done twice, it must come to the same."""

ENDED = ("done", "cancelled", "failed")
UNKNOWN: Verb = "seed"
"""What somebody must be allowed to do to cancel a job of a kind that this version does not know."""


@dataclass(frozen=True)
class Job:
    """A piece of long work. `state` is waiting, running, done, cancelled or failed."""

    id: str
    kind: str
    title: str
    state: str
    done: int
    total: int
    message: str
    started_by: str
    created_at: dt.datetime
    finished_at: dt.datetime | None

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else (1.0 if self.state == "done" else 0.0)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


_kinds: dict[str, tuple[Plan, Work, Verb]] = {}
_ended: dict[str, Callable[[str], None]] = {}
_then: dict[str, str] = {}
_schedules: dict[str, tuple[str, Due]] = {}


def kind(
    name: str, plan: Plan, work: Work, *, verb: Verb, ended: Callable[[str], None] | None = None, then: str = ""
) -> None:
    """Register a kind of job. `plan(arguments)` lists its shards; `work(job_id, arguments, shard)` returns the units done.

    `verb` is what somebody must be allowed to do to start such a job, and to cancel it. `ended(job_id)` tidies up,
    however the job ended. `then` is a schedule that a worker does at once where the job is done.
    """
    _kinds[name] = (plan, work, verb)
    if ended is not None:
        _ended[name] = ended
    _then[name] = then


def schedule(name: str, cron: str, due: Due) -> None:
    """Register what workers do again and again, at the times of a cron expression, in UTC; one of all workers each time."""
    _schedules[name] = (cron, due)


def schedules() -> dict[str, str]:
    """The cron expression of each schedule."""
    return {name: cron for name, (cron, _) in _schedules.items()}


def do_due(name: str) -> list[str]:
    """Do what a schedule is for, once; nothing for one that this version does not know."""
    return _schedules[name][1]() if name in _schedules else []


def row(name: str, title: str, arguments: dict[str, Any], actor: Actor, *, total: int) -> Row:
    """The row of a new job, to be added in the transaction of the change that starts it."""
    return Row(
        id=f"job_{uuid.uuid4().hex[:16]}",
        kind=name,
        title=title,
        arguments=arguments,
        total=total,
        started_by=actor.name,
    )


def run_here(job_id: str, watch: Callable[[Job], None] | None = None) -> Job:
    """Do a job in this process, without a worker, telling `watch` after every shard. Finished rows are not done again."""
    arguments, shards = open_job(job_id)
    for shard in shards:
        if cancelled_job(job_id):
            return end_job(job_id, "cancelled", "cancelled")
        try:
            do_shard(job_id, arguments, shard)
        except WorkbenchError as error:
            return end_job(job_id, "failed", str(error))
        except BaseException as error:
            end_job(job_id, "failed", f"{type(error).__name__}: {error}")
            raise
        if watch:
            watch(job(job_id))
    return end_job(job_id, "done", "")


def job(job_id: str) -> Job:
    """The job with this id. Raises NotFound."""
    with session() as open_session:
        found = open_session.get(Row, job_id)
        if found is None:
            raise NotFound(f"There is no job {job_id}.")
        return _job(found)


def jobs(limit: int = 20, *, kinds: Sequence[str] = ()) -> list[Job]:
    """The newest jobs (of these kinds), newest first."""
    query = select(Row).order_by(col(Row.created_at).desc()).limit(limit)
    with session() as open_session:
        return [_job(one) for one in open_session.exec(query.where(col(Row.kind).in_(kinds)) if kinds else query)]


def cancel(actor: Actor, job_id: str) -> None:
    """Ask a job to stop after the shard under way. Who may start such a job may cancel it. Raises Refused or NotFound."""
    with session() as open_session:
        found = open_session.exec(select(Row.kind).where(Row.id == job_id)).first()
        if found is None:
            raise NotFound(f"There is no job {job_id}.")
        verb = _kinds[found][2] if found in _kinds else UNKNOWN
        require(actor, verb)
        audit.append(open_session, actor, verb, job_id, {"cancelled": True})
        open_session.execute(update(Row).where(col(Row.id) == job_id, col(Row.state).not_in(ENDED)).values(cancel=True))


def waiting() -> list[str]:
    """The ids of jobs that nobody has begun, oldest first."""
    with session() as open_session:
        return list(open_session.exec(select(Row.id).where(Row.state == "waiting").order_by(col(Row.created_at))))


def open_job(job_id: str) -> tuple[dict[str, Any], list[Any]]:
    """Begin a job: its arguments and its shards. Raises NotFound."""
    with session() as open_session:
        found = open_session.get(Row, job_id)
        if found is None:
            raise NotFound(f"There is no job {job_id}.")
        name, arguments = found.kind, dict(found.arguments)
        open_session.execute(
            update(Row).where(col(Row.id) == job_id, col(Row.state) == "waiting").values(state="running")
        )
    if name not in _kinds:
        raise NotFound(f"This version does not know jobs of the kind {name}.")
    return arguments, _kinds[name][0](arguments)


def do_shard(job_id: str, arguments: dict[str, Any], shard: Any) -> None:
    """Do one shard and write down how far the job has come."""
    with session() as open_session:
        name = open_session.exec(select(Row.kind).where(Row.id == job_id)).one()
    done = _kinds[name][1](job_id, arguments, shard)
    with session() as open_session:
        open_session.execute(update(Row).where(col(Row.id) == job_id).values(done=done))


def cancelled_job(job_id: str) -> bool:
    """Whether somebody asked the job to stop."""
    with session() as open_session:
        return bool(open_session.exec(select(Row.cancel).where(Row.id == job_id)).one())


def end_job(job_id: str, state: str, message: str) -> Job:
    """Write down how a job ended."""
    with session() as open_session:
        open_session.execute(
            update(Row).where(col(Row.id) == job_id).values(state=state, message=message, finished_at=now())
        )
    told = job(job_id)
    if told.kind in _ended:
        _ended[told.kind](job_id)
    return told


def follows(job_id: str) -> str:
    """The schedule that is to be done at once after a job; none where it is not done."""
    told = job(job_id)
    return _then.get(told.kind, "") if told.state == "done" else ""


def _job(found: Row) -> Job:
    return Job(
        found.id, found.kind, found.title, found.state, found.done, found.total, found.message, found.started_by,
        found.created_at, found.finished_at,
    )  # fmt: skip
