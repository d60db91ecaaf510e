"""Durable background work with progress, cancel and resume. DBOS is loaded only by a process that launches it."""

from workbench.jobs import seat
from workbench.jobs.work import ENDED, Job, cancel, job, jobs, kind, row, run_here, schedule

__all__ = [
    "ENDED",
    "Job",
    "cancel",
    "job",
    "jobs",
    "kind",
    "launch",
    "row",
    "run_here",
    "running",
    "schedule",
    "start",
    "stop",
]


def launch(*, worker: bool) -> bool:
    """Start DBOS in this process, as `durable.launch` says; returns whether this process is a worker."""
    from workbench.jobs import durable

    return durable.launch(worker=worker)


def start(job_id: str) -> None:
    """Hand a stored job to the workers' queue. Handing over the same job twice starts it once."""
    from workbench.jobs import durable

    durable.start(job_id)


def running() -> bool:
    """Whether this process takes jobs."""
    return seat.taken()


def stop() -> None:
    """End DBOS in this process, where it was started."""
    from workbench.jobs import durable

    durable.stop()
