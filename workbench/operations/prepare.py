"""What a running app needs: the light part before its server answers, the heavy part in the background after."""

from __future__ import annotations

import importlib
import logging

from workbench import jobs, prompts, releases, settings
from workbench.evals import create
from workbench.traces import approvals, cause_rules, forget_job

log = logging.getLogger("workbench.operations")

KINDS = (create, approvals.decide, cause_rules.apply, forget_job.start)
"""What starts each light kind of job; importing it registers the kind."""


HEAVY = (
    "workbench.evals.backtests",
    "workbench.operations.digest",
    "workbench.operations.notices",
    "workbench.tickets.discover",
    "workbench.tickets.enrich",
    "workbench.tickets.incoming",
)
"""Modules whose kinds of jobs and schedules a worker knows only once they are loaded."""


def prepare() -> None:
    """Take in new prompt files and publish releases; loads what every page needs, but not the Agents SDK."""
    prompts.take_in()
    releases.publish()


def register() -> None:
    """Make known the kinds of jobs that load heavy libraries; a worker must know them all."""
    for name in HEAVY:
        importlib.import_module(name)


def warm() -> None:
    """Load the Agents SDK before somebody needs it, and start the worker where this process is one."""
    try:
        importlib.import_module("workbench.runtime.engine")
        register()
        jobs.launch(worker=settings.load().database_url.startswith("sqlite"))
    except Exception:
        log.exception("long jobs will not run in this process")
        raise
