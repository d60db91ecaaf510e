"""What the tests of jobs start as processes of their own.

python -m tests.jobs.process start JOB …   be the worker, hand over the jobs, wait until they have ended
python -m tests.jobs.process work          be a worker until stopped
python -m tests.jobs.process seat          try to be the worker, say whether it is one, wait until stopped
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from workbench import evals, jobs
from workbench.runtime import ToolContext, tool

LOG = "WORKBENCH_TEST_LOG"
PAUSE = "WORKBENCH_TEST_PAUSE"


@tool(effect="read")
def note_down(context: ToolContext, number: int) -> dict[str, Any]:
    """Note down a number in the log, slowly.

    Args:
        number: The number.
    """
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    time.sleep(float(os.environ.get(PAUSE, "0.02")))
    return {"noted": number}


def main(verb: str, *ids: str) -> None:
    """Do what the module says."""
    assert evals.evaluators()
    told = jobs.launch(worker=True)
    print("worker" if told else "guest", flush=True)  # noqa: T201
    for job_id in ids:
        jobs.start(job_id)
    while verb != "start" or not all(jobs.job(one).ended for one in ids):
        time.sleep(0.05)
    jobs.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
