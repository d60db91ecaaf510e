"""Lines over time with their names at their ends, and releases as dotted lines. Fits a light and a dark page."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

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
SOON = dt.timedelta(days=31)
LABEL_PIXELS = 17
LETTER_PIXELS = 7.2
FORMS = {"day": "%a %-d %b %Y", "week": "week of %-d %b %Y", "month": "%B %Y"}


def series(
    frame: pd.DataFrame,
    metric: Metric,
    *,
    grain: str,
    markers: Sequence[tuple[dt.datetime, str]] = (),
    height: int = 360,
) -> go.Figure:
    """`metric` over time, one line for each label of `frame` (columns period, label, value, tickets, complete).

    A period that is only partly within the data is left out, unless there is no other. Each point carries
    `customdata` label and day. `markers` are moments in UTC with the text to write beside them.
    """
    shown = frame[frame["complete"]] if frame["complete"].any() else frame
    scale, unit = _scale(metric, shown["value"])
    figure = go.Figure()
    ends: list[tuple[str, str, float]] = []
    for i, (label, part) in enumerate(shown.groupby("label", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        figure.add_trace(_line(str(label), part, colour, metric, scale, grain))
        known = part["value"].dropna()
        if not known.empty:
            ends.append((str(label), colour, float(known.iloc[-1]) / scale))
    low, high = _range(metric, shown["value"] / scale)
    _label_ends(figure, ends, (high - low) * LABEL_PIXELS / (height - 70), (low, high))
    drawn = _within(markers, shown["period"])
    _mark(figure, drawn, shown["period"])
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": _label_width(ends), "t": 28, "b": 8},
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(showgrid=False, fixedrange=True, range=_days(shown["period"], drawn))
    figure.update_yaxes(range=[low, high], ticksuffix=unit, zeroline=False, fixedrange=True, nticks=6, automargin=True)
    return figure


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


def _line(label: str, part: pd.DataFrame, colour: str, metric: Metric, scale: float, grain: str) -> go.Scatter:
    texts = [
        f"<b>{html.escape(label)}</b><br>{moment.strftime(FORMS[grain])}<br>{say(metric, value)}"
        + ("" if metric.name == "volume" else f" · {tickets:,} tickets")
        for moment, value, tickets in zip(part["period"], part["value"], part["tickets"], strict=True)
    ]
    return go.Scatter(
        x=part["period"],
        y=part["value"] / scale,
        name=html.escape(label),
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 4, "color": colour},
        selected={"marker": {"size": 10}},
        unselected={"marker": {"opacity": 1}},
        customdata=[[label, moment.date().isoformat()] for moment in part["period"]],
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _scale(metric: Metric, values: pd.Series[Any]) -> tuple[float, str]:
    """What to divide by so that the axis reads well, and the unit written on it."""
    if metric.unit == "min":
        return (60.0, " h") if values.max() >= 120 else (1.0, " min")
    return 1.0, {"h": " h", "%": " %"}.get(metric.unit, "")


def _range(metric: Metric, values: pd.Series[Any]) -> tuple[float, float]:
    """From zero, but for ratings, whose zero means nothing: those get the range that they move in."""
    low, high = float(values.min()), float(values.max())
    if math.isnan(low):
        return 0.0, 1.0
    if metric.unit == "points":
        room = max((high - low) * 0.08, 0.05)
        return low - room, high + room
    return 0.0, (high or 1.0) * 1.06


def _days(periods: pd.Series[Any], markers: Sequence[tuple[dt.datetime, str]]) -> list[dt.datetime] | None:
    """From the first point to the last, so that a line ends where its name begins, or to a release after it."""
    if periods.empty:
        return None
    first, last = _ends(periods, markers)
    room = (last - first) / 100
    return [first - room, last + room] if room else None


def _ends(periods: pd.Series[Any], markers: Sequence[tuple[dt.datetime, str]]) -> tuple[dt.datetime, dt.datetime]:
    last = periods.max().to_pydatetime()
    return periods.min().to_pydatetime(), max([last, *(at for at, _ in markers)])


def _within(markers: Sequence[tuple[dt.datetime, str]], periods: pd.Series[Any]) -> list[tuple[dt.datetime, str]]:
    """The markers on the chart, in their order; one soon after the last whole period is on it too."""
    if periods.empty:
        return []
    first, last = _ends(periods, ())
    latest = last + max((last - first) / 4, SOON)
    return sorted(
        (at, label) for at, label in ((_utc(moment), label) for moment, label in markers) if first <= at <= latest
    )


def _label_ends(figure: go.Figure, ends: list[tuple[str, str, float]], gap: float, within: tuple[float, float]) -> None:
    """The names, in the colour of the page's text, each after a dot in the colour of its line."""
    for (label, colour, _), height in zip(ends, spread([end[2] for end in ends], gap, within), strict=True):
        figure.add_annotation(
            x=1,
            xref="paper",
            y=height,
            yref="y",
            xanchor="left",
            xshift=6,
            showarrow=False,
            text=f'<span style="color:{colour}">●</span> {html.escape(_short(label))}',
        )


def _mark(figure: go.Figure, markers: Sequence[tuple[dt.datetime, str]], periods: pd.Series[Any]) -> None:
    """A dotted line for each marker; names of neighbours stand on different lines."""
    if not markers:
        return
    first, last = _ends(periods, markers)
    near = (last - first) / 8
    before, row = None, 0
    for at, label in markers:
        row = (row + 1) % 3 if before is not None and at - before < near else 0
        before = at
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, yref="paper", line={"dash": "dot", "width": 1.5, "color": QUIET}
        )
        figure.add_annotation(
            x=at,
            y=1,
            yref="paper",
            yshift=12 - 15 * row,
            xanchor="right" if at > last - near else "left",
            showarrow=False,
            text=html.escape(_short(label)),
        )


def _utc(moment: dt.datetime) -> dt.datetime:
    """Without a zone, as the periods are."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _label_width(ends: list[tuple[str, str, float]]) -> int:
    return 30 + round(LETTER_PIXELS * max((len(_short(label)) for label, _, _ in ends), default=0))


def _short(label: str) -> str:
    return label if len(label) <= 22 else label[:21] + "…"
