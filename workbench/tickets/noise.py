"""Whether two figures differ by more than chance: the range of a difference, from the ranges of both sides."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.tickets import measure
from workbench.tickets.bins import Z
from workbench.tickets.measure import Asked
from workbench.tickets.metrics import METRICS, Metric

WEEKS, LEAST = 8, 4
"""The usual ups and downs of a count are those of so many weeks before, of which so many must be there."""
NOTHING: dict[str, Any] = {"value": None, "n": 0, "low": None, "high": None}
TEST = (
    "A change counts where the range of 95 % of the difference leaves out zero. That range is made of the ranges of both "
    "sides (MOVER; Zou and Donner 2008), and is widened so that it holds for all groups of a brief together (Bonferroni). The "
    "range of a count is widened to the ups and downs of the same days in the 8 weeks before; with less than 4 of them, "
    "nothing is claimed."
)


@dataclass(frozen=True)
class Side:
    """A figure with its range of 95 %, and how many tickets it rests on."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """One figure less another, with its range; `beyond` is whether the range leaves out zero."""

    value: float
    low: float
    high: float

    @property
    def beyond(self) -> bool:
        """Whether chance alone hardly makes such a difference."""
        return self.low > 0 or self.high < 0


def difference(now: Side, before: Side, *, among: int = 1) -> Difference:
    """`now` less `before`, with a range that holds for `among` such differences together in 95 of 100 cases."""
    found = now.value - before.value
    wider = statistics.NormalDist().inv_cdf(1 - 0.025 / max(1, among)) / Z
    down = math.hypot(now.value - now.low, before.high - before.value)
    up = math.hypot(now.high - now.value, before.value - before.low)
    return Difference(found, found - wider * down, found + wider * up)


def side(
    metric: Metric,
    start: dt.date,
    end: dt.date,
    where: Mapping[str, Sequence[str]],
    *,
    per_day: bool = False,
    usual: float | None = 1.0,
) -> Side | None:
    """A metric's figure of some days, exactly; None where it has no value or no range.

    A count's range is widened by `usual`, the ratio of its variance to its mean (None: not known, so no range);
    `per_day` divides a count by the days.
    """
    rows = measure.measure([metric], Asked(start, end, where, exact=True)).rows
    days = (end - start).days + 1 if per_day else 1
    return _side(metric, rows[0] if rows else NOTHING, usual, days)


def sides(
    metric: Metric, start: dt.date, end: dt.date, by: str, groups: Sequence[str], usual: Mapping[str, float | None]
) -> dict[str, Side | None]:
    """The same for each of the `groups` of a dimension, each with what is usual for it; one query where that suffices."""
    if metric.interval == "order":
        return {group: side(metric, start, end, {by: [group]}) for group in groups}
    rows = measure.measure([metric], Asked(start, end, by=(by,), exact=True)).rows
    found = {str(row[by]): row for row in rows}
    fresh = 1.0 if usual else None
    return {group: _side(metric, found.get(group, NOTHING), usual.get(group, fresh), 1) for group in groups}


def _side(metric: Metric, row: Mapping[str, Any], usual: float | None, days: int) -> Side | None:
    value, low, high = row["value"], row["low"], row["high"]
    if metric.interval == "poisson":
        if usual is None:
            return None
        value = float(value or 0.0)
        half = Z * math.sqrt(max(value, 1.0) * usual)
        return Side(value / days, max(0.0, value - half) / days, (value + half) / days, int(row["n"]))
    if value is None or low is None or high is None:
        return None
    return Side(float(value), float(low), float(high), int(row["n"]))


def usual(start: dt.date, end: dt.date, where: Mapping[str, Sequence[str]], oldest: dt.date) -> float | None:
    """How much more than by chance the count of tickets of the same days varied in the weeks before; at least 1.

    It is the ratio of variance to mean; None where fewer than `LEAST` weeks are within the tickets.
    """
    return next(iter(_usual(start, end, where, (), oldest).values()), None)


def usuals(start: dt.date, end: dt.date, by: str, oldest: dt.date) -> dict[str, float | None]:
    """The same for each group of a dimension; one that had no tickets in those weeks is not in it."""
    return _usual(start, end, {}, (by,), oldest)


def _usual(
    start: dt.date, end: dt.date, where: Mapping[str, Sequence[str]], by: tuple[str, ...], oldest: dt.date
) -> dict[str, float | None]:
    weeks = [week for week in range(1, WEEKS + 1) if start - dt.timedelta(weeks=week) >= oldest]
    if len(weeks) < LEAST:
        return {}
    first = start - dt.timedelta(weeks=max(weeks))
    asked = Asked(first, start - dt.timedelta(days=1), where, by=by, grain="day")
    daily: dict[str, dict[dt.date, int]] = {}
    for row in measure.measure([METRICS["volume"]], asked).rows:
        daily.setdefault(str(row[by[0] if by else "label"]), {})[row["period"]] = int(row["tickets"])
    length = (end - start).days + 1
    found: dict[str, float | None] = {}
    for group, counts in (daily or {"": {}}).items():
        sums = [
            sum(counts.get(start - dt.timedelta(weeks=week) + dt.timedelta(days=day), 0) for day in range(length))
            for week in weeks
        ]
        mean = statistics.fmean(sums)
        found[group] = max(1.0, statistics.variance(sums) / mean) if mean else 1.0
    return found
