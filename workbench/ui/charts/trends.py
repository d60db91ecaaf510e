"""Lines over time with their names at their ends, releases and incidents marked; small multiples; hours of the week.

All fit a light and a dark page.
"""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.tickets.markers import Marker, concerns
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
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
PLAIN = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "showlegend": False}
SOON = dt.timedelta(days=31)
CROWDED = 8
"""From more markers on, their names would cover each other."""
SIGNS = {"incident": "▲", "release": "◆"}
LABEL_PIXELS = 17
LETTER_PIXELS = 7.2
FORMS = {"day": "%a %-d %b %Y", "week": "week of %-d %b %Y", "month": "%B %Y"}


def series(
    frame: pd.DataFrame,
    metric: Metric,
    *,
    grain: str,
    markers: Sequence[Marker] = (),
    height: int = 360,
) -> go.Figure:
    """`metric` over time, one line for each label of `frame` (columns period, label, value, tickets, complete).

    A period that is only partly within the data is left out, unless there is no other. Each point carries
    `customdata` label and day; one that rests on too few tickets is grey and hollow. `markers` are drawn with their
    words; one with an end is shaded. Dragging over days selects them.
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
    drawn = within(markers, shown["period"])
    _mark(figure, drawn, shown["period"])
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": _label_width(ends), "t": 28, "b": 8},
        hovermode="closest",
        dragmode="select",
        selectdirection="h",
        newselection={"line": {"width": 1, "dash": "dot", "color": QUIET}},
        **PLAIN,
    )
    figure.update_xaxes(showgrid=False, fixedrange=True, range=_days(shown["period"], drawn))
    figure.update_yaxes(range=[low, high], ticksuffix=unit, zeroline=False, fixedrange=True, nticks=6, automargin=True)
    return figure


def multiples(
    frame: pd.DataFrame, metric: Metric, *, grain: str, markers: Sequence[Marker] = (), by: str | None = None
) -> go.Figure:
    """One small chart for each label of `frame`, all on the same scale, the largest first.

    Where the labels are values of the dimension `by`, a chart has only the markers that may concern its own.
    """
    shown = frame[frame["complete"]] if frame["complete"].any() else frame
    scale, unit = _scale(metric, shown["value"])
    labels = list(dict.fromkeys(shown["label"]))
    columns = min(4, max(1, len(labels)))
    rows = max(1, -(-len(labels) // columns))
    titles = [html.escape(_short(str(label))) for label in labels]
    figure = make_subplots(rows, columns, shared_xaxes=True, shared_yaxes=True, subplot_titles=titles,
                           vertical_spacing=0.22 / rows, horizontal_spacing=0.02)  # fmt: skip
    for i, (label, part) in enumerate(shown.groupby("label", sort=False)):
        line = _line(str(label), part, COLOURS[0], metric, scale, grain)
        figure.add_trace(line, row=i // columns + 1, col=i % columns + 1)
    drawn = within(markers, shown["period"])
    low, high = _range(metric, shown["value"] / scale)
    figure.update_layout(
        height=60 + 150 * rows, margin={"l": 8, "r": 8, "t": 30, "b": 8}, dragmode=False, hovermode="closest", **PLAIN
    )
    figure.update_xaxes(showgrid=False, fixedrange=True, nticks=4)
    figure.update_yaxes(range=[low, high], ticksuffix=unit, zeroline=False, fixedrange=True, nticks=4, automargin=True)
    figure.update_annotations(font_size=13)
    for i, label in enumerate(labels):
        own = [one for one in drawn if by is None or concerns(one, {by: [str(label)]})]
        _mark_small(figure, own, shown["period"], i // columns + 1, i % columns + 1)
    return figure


def hours(table: pd.DataFrame, accent: str, paper: str) -> go.Figure:
    """Tickets in each hour of the week: Monday at the top, midnight at the left, the more the darker."""
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(),
            x=[f"{hour:02d}" for hour in table.columns],
            y=list(WEEKDAYS),
            colorscale=[[0, paper], [1, accent]],
            zmin=0,
            xgap=2,
            ygap=2,
            hovertemplate="%{y} %{x}:00<br>%{z:.1f} tickets an hour<extra></extra>",
            colorbar={"thickness": 10, "outlinewidth": 0, "title": {"text": "an hour", "side": "right"}},
        )
    )
    figure.update_layout(height=300, margin={"l": 8, "r": 8, "t": 8, "b": 8}, dragmode=False, **PLAIN)
    figure.update_yaxes(autorange="reversed", showgrid=False, fixedrange=True)
    figure.update_xaxes(showgrid=False, fixedrange=True, type="category")
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
        + _between(metric, low, high)
        + ("" if metric.name == "volume" else f"<br>rests on {n:,} tickets{': too few to say much' if few else ''}")
        for moment, value, n, low, high, few in zip(
            *(part[name] for name in ("period", "value", "n", "low", "high", "few")), strict=True
        )
    ]
    return go.Scatter(
        x=part["period"],
        y=part["value"] / scale,
        name=html.escape(label),
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={
            "size": [6 if few else 4 for few in part["few"]],
            "color": [QUIET if few else colour for few in part["few"]],
            "symbol": ["circle-open" if few else "circle" for few in part["few"]],
        },
        selected={"marker": {"size": 10}},
        unselected={"marker": {"opacity": 1}},
        customdata=[[label, moment.date().isoformat()] for moment in part["period"]],
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _between(metric: Metric, low: float, high: float) -> str:
    return "" if math.isnan(low) else f" ({say(metric, low)} to {say(metric, high)})"


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


def _days(periods: pd.Series[Any], markers: Sequence[Marker]) -> list[dt.datetime] | None:
    """From the first point to the last, so that a line ends where its name begins, or to a release after it."""
    if periods.empty:
        return None
    first, last = _ends(periods, markers)
    room = (last - first) / 100
    return [first - room, last + room] if room else None


def _ends(periods: pd.Series[Any], markers: Sequence[Marker]) -> tuple[dt.datetime, dt.datetime]:
    last = periods.max().to_pydatetime()
    return periods.min().to_pydatetime(), max([last, *(_utc(one.at) for one in markers)])


def within(markers: Sequence[Marker], periods: pd.Series[Any]) -> list[Marker]:
    """The markers on a chart of these periods, in their order.

    One soon after the last whole period is on it too, and an incident that began before the first and went on.
    """
    if periods.empty:
        return []
    first, last = _ends(periods, ())
    latest = last + max((last - first) / 4, SOON)
    found = (one for one in markers if _utc(one.until or one.at) >= first and _utc(one.at) <= latest)
    return sorted((one for one in found if one.until or _utc(one.at) >= first), key=lambda one: _utc(one.at))


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


def _mark(figure: go.Figure, markers: Sequence[Marker], periods: pd.Series[Any]) -> None:
    """A dotted line for each marker, with a shade up to its end; names of neighbours stand on different lines.

    Of many markers only the kind stands there; the name is told on hover.
    """
    if not markers:
        return
    first, last = _ends(periods, markers)
    near = (last - first) / 8
    before, row = None, 0
    crowded = len(markers) > CROWDED
    for one in markers:
        at = max(_utc(one.at), first)
        row = (row + 1) % 3 if before is not None and at - before < near else 0
        before = at
        colour = ALARM if one.kind == "incident" else QUIET
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, yref="paper", line={"dash": "dot", "width": 1.5, "color": colour}
        )
        if one.until:
            figure.add_shape(
                type="rect", x0=at, x1=min(_utc(one.until), last), y0=0, y1=1, yref="paper", line={"width": 0},
                fillcolor=colour, opacity=0.12, layer="below",
            )  # fmt: skip
        figure.add_annotation(
            x=at,
            y=1,
            yref="paper",
            yshift=12 - 15 * row,
            xanchor="right" if at > last - near else "left",
            showarrow=False,
            hovertext=_told(one),
            text=SIGNS[one.kind] if crowded else _name(one),
        )


def _mark_small(figure: go.Figure, markers: Sequence[Marker], periods: pd.Series[Any], row: int, column: int) -> None:
    """The same on one of several small charts: there is no room for names, so they are told on hover."""
    if not markers:
        return
    first, last = _ends(periods, markers)
    for one in markers:
        at, colour = max(_utc(one.at), first), ALARM if one.kind == "incident" else QUIET
        sign = {"annotation_text": SIGNS[one.kind], "annotation_hovertext": _told(one), "annotation_font_size": 10}
        figure.add_vline(x=at, row=row, col=column, line={"dash": "dot", "width": 1, "color": colour}, **sign)
        if one.until:
            figure.add_vrect(
                x0=at,
                x1=min(_utc(one.until), last),
                row=row,
                col=column,
                line_width=0,
                fillcolor=colour,
                opacity=0.12,
                layer="below",
            )


def _name(one: Marker) -> str:
    return ("▲ " if one.kind == "incident" else "") + html.escape(_short(one.label))


def _told(one: Marker) -> str:
    """What is told of a marker on hover: its whole name, when, and what became of it."""
    days = f"{_utc(one.at):%-d %b %Y}" + (f" to {_utc(one.until):%-d %b %Y}" if one.until else "")
    lines = [f"<b>{html.escape(one.label)}</b>", f"{one.kind.capitalize()}, {days}", html.escape(one.note)]
    return "<br>".join(line for line in lines if line)


def _utc(moment: dt.datetime) -> dt.datetime:
    """Without a zone, as the periods are."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _label_width(ends: list[tuple[str, str, float]]) -> int:
    return 30 + round(LETTER_PIXELS * max((len(_short(label)) for label, _, _ in ends), default=0))


def _short(label: str) -> str:
    return label if len(label) <= 22 else label[:21] + "…"
