"""What a running app needs, made ready in the background while the first page is already served."""

from __future__ import annotations

import logging

from workbench import jobs, prompts, releases, settings
from workbench.evals import create

log = logging.getLogger("workbench.operations")

KINDS = (create,)
"""What starts each kind of job; importing it registers the kind, and a worker must know them all."""


def prepare() -> None:
    """Take in new prompt files, publish releases, and start the worker where this process is one."""
    try:
        prompts.take_in()
        releases.publish()
        jobs.launch(worker=settings.load().database_url.startswith("sqlite"))
    except Exception:
        log.exception("the app could not be made ready; long jobs will not run")
        raise
