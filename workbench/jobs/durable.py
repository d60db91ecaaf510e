"""Jobs that survive: each shard is a checkpointed step of a DBOS workflow, so that a resumed job does not repeat it."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
from typing import Any

from dbos import DBOS, DBOSConfig, ScheduleInput, SetWorkflowID

from workbench import settings
from workbench.errors import WorkbenchError
from workbench.jobs import plain, seat
from workbench.jobs.work import cancelled_job, do_due, do_shard, end_job, follows, open_job, schedules, waiting

log = logging.getLogger("workbench.jobs")

KEPT = dt.timedelta(days=7)
"""So long it stays written down that a schedule was done at a time."""
PRUNED = 1000
"""At most so many of these rows are taken away at once."""
QUEUE = "workbench"
APPLICATION = "workbench-1"

_launched = threading.Lock()
_running = False
_worker = False


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
        for job_id in waiting() if name else ():
            _enqueue(job_id)
        if name:
            DBOS.apply_schedules([_entry(one, cron) for one, cron in schedules().items()])
        return _worker


def stop() -> None:
    """End DBOS in this process."""
    global _running, _worker
    with _launched:
        if _running:
            DBOS.destroy(workflow_completion_timeout_sec=2)
            seat.leave()
            _running = _worker = False


def start(job_id: str) -> None:
    """Hand a stored job to the workers' queue. Handing over the same job twice starts it once."""
    launch(worker=settings.load().database_url.startswith("sqlite"))
    _enqueue(job_id)


def _enqueue(job_id: str) -> None:
    with SetWorkflowID(job_id):
        DBOS.enqueue_workflow(QUEUE, _workflow, job_id)


def _entry(name: str, cron: str) -> ScheduleInput:
    return {"schedule_name": name, "workflow_fn": _scheduled, "schedule": cron, "context": name, "queue_name": QUEUE}


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
    state = _end_step(job_id, "done", "")
    for more in _then_step(job_id):
        _enqueue(more)
    return state


@DBOS.step(name="plan")
def _open_step(job_id: str) -> tuple[dict[str, Any], list[Any]]:
    return open_job(job_id)


@DBOS.step(name="shard")
def _shard_step(job_id: str, arguments: dict[str, Any], shard: Any) -> None:
    do_shard(job_id, arguments, shard)


@DBOS.step(name="cancelled")
def _cancelled_step(job_id: str) -> bool:
    return cancelled_job(job_id)


@DBOS.step(name="end")
def _end_step(job_id: str, state: str, message: str) -> str:
    return end_job(job_id, state, message).state


@DBOS.step(name="then")
def _then_step(job_id: str) -> list[str]:
    name = follows(job_id)
    return _due(name) if name else []


@DBOS.workflow(name="scheduled")
def _scheduled(at: dt.datetime, name: str) -> None:
    """One time of a schedule: what is due is found in a checkpointed step, and handed over as jobs."""
    for job_id in _due_step(name):
        _enqueue(job_id)
    _prune_step()
    log.debug("did %s of %s", name, at)


@DBOS.step(name="prune")
def _prune_step() -> int:
    """Take away what is written down of times of schedules that ended long ago; how many they were."""
    before = (dt.datetime.now(dt.UTC) - KEPT).isoformat()
    ended = DBOS.list_workflows(
        name="scheduled", completed_before=before, limit=PRUNED, load_input=False, load_output=False
    )
    if ended:
        DBOS.delete_workflows([one.workflow_id for one in ended])
    return len(ended)


@DBOS.step(name="due")
def _due_step(name: str) -> list[str]:
    return _due(name)


def _due(name: str) -> list[str]:
    try:
        return do_due(name)
    except WorkbenchError as error:
        log.warning("%s waits for the next time: %s", name, error)
        return []
