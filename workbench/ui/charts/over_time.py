"""What charts over time have in common: colours, scales, places of names, and which markers are on them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from workbench.tickets.markers import Marker
from workbench.tickets.metrics import Metric, say

COLOURS = (
    "#2f6db5",
    "#e0a11b",
    "#d9604c",
    "#3d9970",
    "#8b62c4",
    "#5fb3bf",
    "#c25f95",
    "#8a6d52",
    "#7c8794",
    "#a3b84a",
)
"""The categorical colours of the theme, told apart on white and on near black."""

QUIET = "#7c8794"
ALARM = "#d9604c"
SOON = dt.timedelta(days=31)
CROWDED = 8
"""From more markers on, their names would cover each other."""
SIGNS = {"incident": "▲", "release": "◆"}
LABEL_PIXELS = 17
FORMS = {"day": "%a %-d %b %Y", "week": "week of %-d %b %Y", "month": "%B %Y"}


def spread(heights: Sequence[float], gap: float, within: tuple[float, float]) -> list[float]:
    """`heights` moved as little as needed so that neighbours are at least `gap` apart, in the same order.

    They stay `within` its two ends where there is room for all.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [0.0] * len(heights)
    below = within[0] - gap
    for i in order:
        below = placed[i] = max(heights[i], below + gap)
    above = max(within[1], within[0] + gap * (len(heights) - 1)) + gap
    for i in reversed(order):
        above = placed[i] = min(placed[i], above - gap)
    return placed


def between(metric: Metric, low: float, high: float) -> str:
    return "" if math.isnan(low) else f" ({say(metric, low)} to {say(metric, high)})"


def scale_of(metric: Metric, values: pd.Series[Any]) -> tuple[float, str]:
    """What to divide by so that the axis reads well, and the unit written on it."""
    if metric.unit == "min":
        return (60.0, " h") if values.max() >= 120 else (1.0, " min")
    return 1.0, {"h": " h", "%": " %"}.get(metric.unit, "")


def range_of(metric: Metric, values: pd.Series[Any]) -> tuple[float, float]:
    """From zero, but for ratings, whose zero means nothing: those get the range that they move in."""
    low, high = float(values.min()), float(values.max())
    if math.isnan(low):
        return 0.0, 1.0
    if metric.unit == "points":
        room = max((high - low) * 0.08, 0.05)
        return low - room, high + room
    return 0.0, (high or 1.0) * 1.06


def days_of_axis(periods: pd.Series[Any], markers: Sequence[Marker]) -> list[dt.datetime] | None:
    """From the first point to the last, so that a line ends where its name begins, or to a release after it."""
    if periods.empty:
        return None
    first, last = ends_of(periods, markers)
    room = (last - first) / 100
    return [first - room, last + room] if room else None


def ends_of(periods: pd.Series[Any], markers: Sequence[Marker]) -> tuple[dt.datetime, dt.datetime]:
    last = periods.max().to_pydatetime()
    return periods.min().to_pydatetime(), max([last, *(utc(one.at) for one in markers)])


def within(markers: Sequence[Marker], periods: pd.Series[Any]) -> list[Marker]:
    """The markers on a chart of these periods, in their order.

    One soon after the last whole period is on it too, and an incident that began before the first and went on.
    """
    if periods.empty:
        return []
    first, last = ends_of(periods, ())
    latest = last + max((last - first) / 4, SOON)
    found = (one for one in markers if utc(one.until or one.at) >= first and utc(one.at) <= latest)
    return sorted((one for one in found if one.until or utc(one.at) >= first), key=lambda one: utc(one.at))


def name_of(one: Marker) -> str:
    """A marker's name as it stands on a chart, short."""
    return ("▲ " if one.kind == "incident" else "") + short(one.label)


def days_of(one: Marker) -> str:
    """When a marker was, or from when to when."""
    return f"{utc(one.at):%-d %b %Y}" + (f" to {utc(one.until):%-d %b %Y}" if one.until else "")


def utc(moment: dt.datetime) -> dt.datetime:
    """Without a zone, as the periods are."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def short(label: str) -> str:
    return label if len(label) <= 22 else label[:21] + "…"
