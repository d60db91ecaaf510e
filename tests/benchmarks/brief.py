"""The brief on sample tickets of a year and a half: what it claims in calm weeks, what it misses, and its time."""

from __future__ import annotations

import datetime as dt
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks._figure import figure
from workbench import access, store
from workbench.tickets import brief, moves, seed, trends, weeks

COUNT, DAYS = 30_000, 548
AROUND = dt.timedelta(days=14)
"""Weeks so near to an incident are not calm: it begins in them, or fades."""


def measure() -> list[dict[str, Any]]:
    """Calm weeks with a claim, incidents that no week names, and the time of a brief beside that of the tiles."""
    kept = os.environ.get("WORKBENCH_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        try:
            (Path(home) / "local").mkdir()
            store.migrate()
            until = dt.date(2026, 3, 29)
            seed.seed(access.Actor("bench", "admin"), count=COUNT, days=DAYS, until=until)
            return _figures(until)
        finally:
            store.dispose()
            os.environ.pop("WORKBENCH_HOME")
            if kept is not None:
                os.environ["WORKBENCH_HOME"] = kept


def _figures(until: dt.date) -> list[dict[str, Any]]:
    known = [(one.topic, *one.window(until)) for one in seed.INCIDENTS]
    oldest = trends.freshness().first.date() + dt.timedelta(weeks=9)
    calm, claims, named, taken = 0, 0, set(), []
    for period in weeks.known():
        if period.start < oldest or period.end > until:
            continue
        begun = time.perf_counter()
        found = brief.brief(period)
        taken.append(time.perf_counter() - begun)
        near = [topic for topic, first, last in known if first - AROUND <= period.end and last + AROUND >= period.start]
        if not near:
            calm += 1
            claims += bool(found.moves)
        groups = {one.group for one in found.moves if one.metric == "volume" and one.difference.value > 0}
        named |= groups & set(near)
    last = weeks.known()[1]
    begun = time.perf_counter()
    trends.overview(trends.Filters(last.start, last.end), against="weekdays", names=brief.HEADLINES, exact=True)
    tiles = time.perf_counter() - begun
    told = f"{calm} calm weeks of {COUNT:,} tickets; all groups of three metrics are tested at 5 % together"
    return [
        figure("calm weeks in which something is claimed", claims / calm, "of all", 0.1, told),
        figure("incidents whose topic no brief names", 1 - len(named) / len(known), "of all", 0.0, f"{len(known)} incidents"),
        figure("a brief", statistics.median(taken) / tiles, "× its tiles", None, f"{tiles * 1000:.0f} ms, {moves.TESTED} groups a metric"),
    ]  # fmt: skip
