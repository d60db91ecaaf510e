"""Durable long work on DBOS: a job is a row that people see, its shards are checkpointed steps.

A kind of job is registered with two functions: `plan` names the shards, `work` does one of them. `work` must write its
rows under keys, so that a shard that ran twice (the one under way at a crash) writes nothing twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import update
from sqlmodel import col, select

from workbench import settings
from workbench.access import Actor
from workbench.errors import NotFound, WorkbenchError
from workbench.jobs import plain, seat
from workbench.store import now, session
from workbench.store.tables import Job as Row

log = logging.getLogger("workbench.jobs")

QUEUE = "workbench"
APPLICATION = "workbench-1"

Plan = Callable[[dict[str, Any]], list[Any]]
Work = Callable[[str, dict[str, Any], Any], int]

ENDED = ("done", "cancelled", "failed")


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


_kinds: dict[str, tuple[Plan, Work]] = {}
_launched = threading.Lock()
_running = False
_worker = False


def kind(name: str, plan: Plan, work: Work) -> None:
    """Register a kind of job. `plan(arguments)` lists its shards; `work(job_id, arguments, shard)` returns the units done."""
    _kinds[name] = (plan, work)


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


def launch(*, worker: bool) -> bool:
    """Start DBOS in this process and take up what a crash left behind.

    With `worker`, this process also takes jobs from the queue. On SQLite one process at a time is the worker, the
    app's first; on PostgreSQL any number of `worker` processes may run, and the app needs none of its own.
    Returns whether this process is a worker.
    """
    global _running, _worker
    with _launched:
        if _running:
            return _worker
        chosen = settings.load()
        name = seat.take(chosen.database_url, chosen.local) if worker else ""
        config: DBOSConfig = {
            "name": "workbench",
            "system_database_url": _system_url(chosen.database_url),
            "log_level": "ERROR",
            "application_version": APPLICATION,
            "executor_id": name or f"guest-{socket.gethostname()}-{os.getpid()}",
            "serializer": plain.Json(),
        }
        DBOS(config=config)
        DBOS.listen_queues([QUEUE] if name else [])
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=2, polling_interval_sec=0.2)
        _running, _worker = True, bool(name)
        return _worker


def stop() -> None:
    """End DBOS in this process."""
    global _running, _worker
    with _launched:
        if _running:
            DBOS.destroy(workflow_completion_timeout_sec=2)
            seat.leave()
            _running = _worker = False


def running() -> bool:
    """Whether this process takes jobs."""
    return _worker


def start(job_id: str) -> None:
    """Hand a stored job to the workers' queue. Handing over the same job twice starts it once."""
    with SetWorkflowID(job_id):
        DBOS.enqueue_workflow(QUEUE, _workflow, job_id)


def run_here(job_id: str, watch: Callable[[Job], None] | None = None) -> Job:
    """Do a job in this process, without a worker, telling `watch` after every shard. Finished rows are not done again."""
    arguments, shards = _open(job_id)
    for shard in shards:
        if _cancelled(job_id):
            return _end(job_id, "cancelled", "cancelled")
        try:
            _shard(job_id, arguments, shard)
        except WorkbenchError as error:
            return _end(job_id, "failed", str(error))
        if watch:
            watch(job(job_id))
    return _end(job_id, "done", "")


def job(job_id: str) -> Job:
    """The job with this id. Raises NotFound."""
    with session() as open_session:
        found = open_session.get(Row, job_id)
        if found is None:
            raise NotFound(f"There is no job {job_id}.")
        return _job(found)


def jobs(limit: int = 20) -> list[Job]:
    """The newest jobs, newest first."""
    with session() as open_session:
        return [_job(one) for one in open_session.exec(select(Row).order_by(col(Row.created_at).desc()).limit(limit))]


def cancel(job_id: str) -> None:
    """Ask a job to stop after the shard under way."""
    with session() as open_session:
        open_session.execute(update(Row).where(col(Row.id) == job_id, col(Row.state).not_in(ENDED)).values(cancel=True))


def _system_url(url: str) -> str:
    if url.startswith("sqlite"):
        return f"sqlite:///{settings.load().local / 'jobs.db'}"
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@DBOS.workflow(name="job")
def _workflow(job_id: str) -> str:
    """One job, shard by shard. Each shard is a checkpointed step, so that a resumed job does not repeat it."""
    try:
        arguments, shards = _open_step(job_id)
        for shard in shards:
            if _cancelled_step(job_id):
                return _end_step(job_id, "cancelled", "cancelled")
            _shard_step(job_id, arguments, shard)
    except WorkbenchError as error:
        return _end_step(job_id, "failed", str(error))
    except Exception as error:
        log.exception("job %s failed", job_id)
        _end_step(job_id, "failed", f"{type(error).__name__}: {error}")
        raise
    return _end_step(job_id, "done", "")


def _open(job_id: str) -> tuple[dict[str, Any], list[Any]]:
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


def _shard(job_id: str, arguments: dict[str, Any], shard: Any) -> None:
    with session() as open_session:
        name = open_session.exec(select(Row.kind).where(Row.id == job_id)).one()
    done = _kinds[name][1](job_id, arguments, shard)
    with session() as open_session:
        open_session.execute(update(Row).where(col(Row.id) == job_id).values(done=done))


def _cancelled(job_id: str) -> bool:
    with session() as open_session:
        return bool(open_session.exec(select(Row.cancel).where(Row.id == job_id)).one())


def _end(job_id: str, state: str, message: str) -> Job:
    with session() as open_session:
        open_session.execute(
            update(Row).where(col(Row.id) == job_id).values(state=state, message=message, finished_at=now())
        )
    return job(job_id)


@DBOS.step(name="plan")
def _open_step(job_id: str) -> tuple[dict[str, Any], list[Any]]:
    return _open(job_id)


@DBOS.step(name="shard")
def _shard_step(job_id: str, arguments: dict[str, Any], shard: Any) -> None:
    _shard(job_id, arguments, shard)


@DBOS.step(name="cancelled")
def _cancelled_step(job_id: str) -> bool:
    return _cancelled(job_id)


@DBOS.step(name="end")
def _end_step(job_id: str, state: str, message: str) -> str:
    return _end(job_id, state, message).state


def _job(found: Row) -> Job:
    return Job(
        found.id, found.kind, found.title, found.state, found.done, found.total, found.message, found.started_by,
        found.created_at, found.finished_at,
    )  # fmt: skip
