"""Runs the desk again and again, storing each run, until it is killed; prints when each run ended and its id.

`python -m tests.traces.endless [COUNT]`
"""

from __future__ import annotations

import sys
import time

from tests.traces.recorded import run
from workbench import traces


def main() -> None:
    """Run until COUNT runs are done."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for _ in range(count):
        result = run(sink=traces.sink())
        print(time.time(), result.run_id, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
