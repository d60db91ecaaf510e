"""What importing the runtime costs beside importing the Agents SDK alone: time and memory, pair by pair."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from tests.benchmarks._figure import figure

PAIRS = 7
BASE, OURS = "import agents", "import workbench.runtime; from workbench.runtime import load, run"
CODE = (
    "import time, resource; t = time.perf_counter(); {line}; "
    "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def measure() -> list[dict[str, Any]]:
    """The median ratios of seven alternating pairs, after a warm-up."""
    _once(OURS)
    _once(BASE)
    pairs = [(_once(BASE), _once(OURS)) for _ in range(PAIRS)]
    time_ratio = statistics.median(ours[0] / base[0] for base, ours in pairs)
    memory_ratio = statistics.median(ours[1] / base[1] for base, ours in pairs)
    base_time = statistics.median(base[0] for base, _ in pairs) * 1000
    base_memory = statistics.median(base[1] for base, _ in pairs) / 1024
    return [
        figure("import time of the runtime", time_ratio, "× import agents", 1.10, f"{base_time:.0f} ms"),
        figure("import memory of the runtime", memory_ratio, "× import agents", 1.10, f"{base_memory:.0f} MB"),
    ]


def _once(line: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", CODE.format(line=line)], capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stdout.split()
    return float(seconds), float(kilobytes)
