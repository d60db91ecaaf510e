"""What the tests of approvals start as a process of its own: python -m tests.traces.paying JOB runs a job here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import tests.flows_for_tests
from workbench import jobs
from workbench.runtime import ToolContext, tool
from workbench.traces import approvals

LOG = "WORKBENCH_TEST_LOG"
PAUSE = "WORKBENCH_TEST_PAUSE"


@tool(effect="high-stakes")
def pay_slowly(context: ToolContext, amount: float) -> dict[str, Any]:
    """Pay money back, and note it down.

    Args:
        amount: US dollars.
    """
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(f"{context.key} {amount}\n")
    time.sleep(float(os.environ.get(PAUSE, "0")))
    return {"paid": amount}


def main(job_id: str) -> None:
    """Do the job."""
    assert approvals.KIND and tests.flows_for_tests.DESK
    print(jobs.run_here(job_id).state, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
