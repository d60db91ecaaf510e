"""Days, the periods that they are told by, and the table of a metric over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from workbench.tickets import measure
from workbench.tickets.measure import Grain
from workbench.tickets.metrics import Metric

GRAINS: dict[Grain, int] = {"day": 1, "week": 7, "month": 30}
SERIES = ("value", "tickets", "n", "low", "high", "few", "complete")
"""What a series tells of each group in each period."""
NOTHING: measure.Row = {"value": None, "tickets": 0, "n": 0, "low": None, "high": None}


@dataclass(frozen=True)
class Window:
    """The days `start` to `end` asked for and the equally long ones from `before` on.

    `first` to `last` are those of the days asked for that lie within the tickets; `oldest` is the first day of all.
    """

    start: dt.date
    end: dt.date
    before: dt.date
    first: dt.date
    last: dt.date
    oldest: dt.date

    @property
    def days(self) -> int:
        """How many days were asked for."""
        return (self.end - self.start).days + 1

    @property
    def until_before(self) -> dt.date:
        """The last of the days compared with."""
        return self.before + (self.end - self.start)

    @property
    def comparable(self) -> bool:
        """Whether there is data from the first day of the period before on."""
        return self.before >= self.oldest


def frame(
    rows: list[measure.Row],
    metric: Metric,
    names: list[str],
    order: list[str],
    days: Window,
    grain: Grain,
    called: Sequence[str] = (),
) -> pd.DataFrame:
    """One metric's rows as the table of `series`, with every period for every group."""
    groups, periods = names or ["label"], listed(days, grain)
    place = itemgetter(*groups, "period")
    at = {place(row): row for row in rows}
    found = _groups(rows, groups, order)
    picked = [at.get((*group, period), NOTHING) for group in found for period in periods]
    complete = [one >= days.first and end_of(one, grain) <= days.last for one in periods]
    numbers = {name: np.array([row[name] for row in picked], dtype="float64") for name in ("value", "low", "high")}
    if (nothing := measure.empty(metric)) is not None:
        numbers["value"] = np.nan_to_num(numbers["value"], nan=nothing)
    rests_on = np.array([row["n"] for row in picked], dtype="int64")
    columns: dict[str, Any] = {"period": np.tile(np.array(periods, dtype="datetime64[s]"), len(found))}
    for i, name in enumerate(called or groups):
        columns[name] = pd.array([group[i] for group in found for _ in periods], dtype="str")
    columns |= {
        "value": numbers["value"],
        "tickets": np.array([row["tickets"] for row in picked], dtype="int64"),
        "n": rests_on,
        "low": numbers["low"],
        "high": numbers["high"],
        "few": ~np.isnan(numbers["value"]) & (rests_on < metric.minimum),
        "complete": np.tile(np.array(complete, dtype="bool"), len(found)),
    }
    return pd.DataFrame(columns)


def _groups(rows: list[measure.Row], names: list[str], order: list[str]) -> list[tuple[Any, ...]]:
    """The groups of an answer: in the order of those kept, the others last; else the largest first."""
    sizes: dict[tuple[Any, ...], int] = {}
    for row in rows:
        group = tuple(row[name] for name in names)
        sizes[group] = sizes.get(group, 0) + row["tickets"]
    if order:
        place = {name: i for i, name in enumerate([*order, measure.OTHER])}
        return sorted(sizes, key=lambda group: place[group[0]])
    return sorted(sizes, key=lambda group: (-sizes[group], group))


def listed(days: Window, grain: Grain) -> list[dt.date]:
    """The first day of each period that has days within the tickets."""
    found, at = [], start_of(days.first, grain)
    while at <= days.last:
        found.append(at)
        at = end_of(at, grain) + dt.timedelta(days=1)
    return found


def start_of(day: dt.date, grain: Grain) -> dt.date:
    if grain == "week":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def end_of(start: dt.date, grain: Grain) -> dt.date:
    """The last day of the period that begins on `start`."""
    if grain == "month":
        return _month_end(start)
    return start + dt.timedelta(days=0 if grain == "day" else 6)


def finest(days: Window) -> Grain:
    """The finest grain at which the rhythm of the week does not drown what changes."""
    if days.days <= 45:
        return "day"
    return "week" if days.days <= 400 else "month"


def _month_end(day: dt.date) -> dt.date:
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)
