"""A large CSV file of tickets until it is published: rows a second, memory, and a day appended.

The floor is bare DuckDB that copies the same file to Parquet without looking at a value; pandas reads it beside that,
without converting. WORKBENCH_BENCH_TICKETS is how many tickets. Work is told in seconds of processor, ours over the
floor's of the same run, because others on the machine change that least; rows a second are what two cores would do that
have nothing else to do. The start of the command counts, so fewer tickets look dearer: the limit is for many.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from tests.benchmarks._figure import figure
from workbench import settings

DAYS = 548
MEMORY = 1500.0
MANY, WORK = 10_000_000, 2.5
"""From so many tickets on, loading may cost so many times what bare DuckDB costs."""
BETWEEN = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
"""Runs a command and tells its seconds of processor and the most megabytes that it had."""


def measure() -> list[dict[str, Any]]:
    """Our work over bare DuckDB's, the time of one more day over that of the load, and megabytes of memory."""
    count = int(os.environ.get("WORKBENCH_BENCH_TICKETS", "1000000"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "all.csv", count, 0, count)
        day = max(1, count // DAYS)
        write(place / "day.csv", count, count, count + day)
        size = (place / "all.csv").stat().st_size / 1e6
        floor, work = _bare(place)
        pandas = _pandas(place / "all.csv", min(count, 1_000_000)) * max(1.0, count / 1_000_000)
        home = place / "home"
        first, ours, peak = _loaded(place / "all.csv", home)
        again, _, peak_again = _loaded(place / "day.csv", home)
    told = f"{count / floor:,.0f} rows/s by bare DuckDB, {count / pandas:,.0f} by pandas (reading alone), {size:,.0f} MB of CSV"
    both = f"{count / (ours / 2):,.0f} rows/s on two free cores, {count / first:,.0f} on these"
    return [
        figure("loading", ours / work, f"× the work of bare DuckDB; {both}", WORK if count >= MANY else None, told),
        figure("loading, one more day", again / first, f"of the first load ({again:.1f} s)", None, f"{day:,} tickets"),
        figure("loading, memory", max(peak, peak_again), "MB", MEMORY, f"{count:,} tickets"),
    ]


def write(path: Path, count: int, first: int, last: int) -> None:
    """Tickets `first` to `last` of `count` over 548 days, as a CSV file, the same every time."""
    words = {
        "channel": ("email", "chat", "web", "phone"),
        "product": ("Shop", "App", "Plus"),
        "vendor": ("Northwind", "Calder", "Brightline"),
        "priority": ("low", "normal", "high", "urgent"),
        "language": ("en", "de", "fr"),
        "customer_tier": ("free", "standard", "business"),
    }
    picked = {name: f"{list(some)}[1 + (h // {7 + i}) % {len(some)}]" for i, (name, some) in enumerate(words.items())}
    form = "'%Y-%m-%dT%H:%M:%SZ'"
    columns = f"""
        'T' || lpad(i::VARCHAR, 9, '0') AS ticket_id, strftime(t, {form}) AS created_at,
        strftime(t + to_seconds(30 + h % 7200), {form}) AS first_response_at,
        CASE WHEN h % 17 <> 0 THEN strftime(t + to_seconds(7300 + h % 360000), {form}) END AS resolved_at,
        h % 23 = 0 AS reopened, {picked["channel"]} AS channel, 'Topic ' || h % 11 AS topic,
        'Subtopic ' || h % 37 AS subtopic, {picked["product"]} AS product, {picked["vendor"]} AS vendor,
        'Team ' || h % 5 AS team, {picked["priority"]} AS priority,
        CASE WHEN h % 17 <> 0 THEN 'solved' ELSE 'new' END AS status, {picked["language"]} AS language,
        CASE WHEN h % 3 = 0 THEN 1 + h // 11 % 5 END AS csat, round((h % 200) / 100 - 1, 2) AS sentiment,
        {picked["customer_tier"]} AS customer_tier, 'Where is order ' || h % 99999 || '?' AS subject,
        'Hello, my order ' || h % 99999 || ' has not come after ' || h % 20 || ' days. Could you please look?' AS body"""
    step = DAYS * 86400 / count
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("SET memory_limit = '1GB'")
        connection.execute(
            f"COPY (SELECT {columns} FROM (SELECT i, (hash(i) % 1000000007)::BIGINT AS h, "
            f"TIMESTAMP '2025-01-01' + to_seconds((i * {step})::BIGINT) AS t FROM range({first}, {last}) r(i))) "
            f"TO '{path}' (HEADER)"
        )


def _bare(place: Path) -> tuple[float, float]:
    """Seconds, and seconds of processor, of bare DuckDB for CSV to Parquet, all values as text."""
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("SET memory_limit = '1GB'")
        began, worked = time.perf_counter(), time.process_time()
        connection.execute(
            f"COPY (SELECT * FROM read_csv('{place / 'all.csv'}', all_varchar = true, header = true, delim = ',')) "
            f"TO '{place / 'bare.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        return time.perf_counter() - began, time.process_time() - worked


def _pandas(path: Path, rows: int) -> float:
    import pandas as pd

    began = time.perf_counter()
    pd.read_csv(path, nrows=rows, dtype="str")
    return time.perf_counter() - began


def _loaded(path: Path, home: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor, and the most megabytes of the command, in a process of its own."""
    began = time.perf_counter()
    # A process begins with its parent's peak as its own until it is replaced, so a small one stands between.
    ended = subprocess.run(
        [sys.executable, "-c", BETWEEN, sys.executable, "-m", "workbench", "tickets", "load", str(path)],
        cwd=settings.ROOT,
        env={**os.environ, "WORKBENCH_HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    worked, peak = map(float, ended.stdout.split())
    return time.perf_counter() - began, worked, peak
