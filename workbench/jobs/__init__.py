"""Durable background work with progress, cancel and resume."""

from workbench.jobs.work import Job, cancel, job, jobs, kind, launch, row, run_here, running, start, stop

__all__ = ["Job", "cancel", "job", "jobs", "kind", "launch", "row", "run_here", "running", "start", "stop"]
