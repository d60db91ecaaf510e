"""Small multiples and the hours of the week. Both fit a light and a dark page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.tickets.markers import Marker, concerns
from workbench.tickets.metrics import Metric, say
from workbench.ui.charts import over_time as drawn

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
PLAIN = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "showlegend": False}


def multiples(
    frame: pd.DataFrame, metric: Metric, *, grain: str, markers: Sequence[Marker] = (), by: str | None = None
) -> go.Figure:
    """One small chart for each label of `frame`, all on the same scale, the largest first.

    Where the labels are values of the dimension `by`, a chart has only the markers that may concern its own.
    """
    shown = frame[frame["complete"]] if frame["complete"].any() else frame
    scale, unit = drawn.scale_of(metric, shown["value"])
    labels = list(dict.fromkeys(shown["label"]))
    columns = min(4, max(1, len(labels)))
    rows = max(1, -(-len(labels) // columns))
    titles = [html.escape(drawn.short(str(label))) for label in labels]
    figure = make_subplots(rows, columns, shared_xaxes=True, shared_yaxes=True, subplot_titles=titles,
                           vertical_spacing=0.22 / rows, horizontal_spacing=0.02)  # fmt: skip
    for i, (label, part) in enumerate(shown.groupby("label", sort=False)):
        line = _line(str(label), part, drawn.COLOURS[0], metric, scale, grain)
        figure.add_trace(line, row=i // columns + 1, col=i % columns + 1)
    among = drawn.within(markers, shown["period"])
    low, high = drawn.range_of(metric, shown["value"] / scale)
    figure.update_layout(
        height=60 + 150 * rows, margin={"l": 8, "r": 8, "t": 30, "b": 8}, dragmode=False, hovermode="closest", **PLAIN
    )
    figure.update_xaxes(showgrid=False, fixedrange=True, nticks=4)
    figure.update_yaxes(range=[low, high], ticksuffix=unit, zeroline=False, fixedrange=True, nticks=4, automargin=True)
    figure.update_annotations(font_size=13)
    for i, label in enumerate(labels):
        own = [one for one in among if by is None or concerns(one, {by: [str(label)]})]
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


def _line(label: str, part: pd.DataFrame, colour: str, metric: Metric, scale: float, grain: str) -> go.Scatter:
    texts = [
        f"<b>{html.escape(label)}</b><br>{moment.strftime(drawn.FORMS[grain])}<br>{say(metric, value)}"
        + drawn.between(metric, low, high)
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
            "color": [drawn.QUIET if few else colour for few in part["few"]],
            "symbol": ["circle-open" if few else "circle" for few in part["few"]],
        },
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _mark_small(figure: go.Figure, markers: Sequence[Marker], periods: pd.Series[Any], row: int, column: int) -> None:
    """The same on one of several small charts: there is no room for names, so they are told on hover."""
    if not markers:
        return
    first, last = drawn.ends_of(periods, markers)
    for one in markers:
        at, colour = max(drawn.utc(one.at), first), drawn.ALARM if one.kind == "incident" else drawn.QUIET
        sign = {
            "annotation_text": drawn.SIGNS[one.kind],
            "annotation_hovertext": _told(one),
            "annotation_font_size": 10,
        }
        figure.add_vline(x=at, row=row, col=column, line={"dash": "dot", "width": 1, "color": colour}, **sign)
        if one.until:
            figure.add_vrect(
                x0=at,
                x1=min(drawn.utc(one.until), last),
                row=row,
                col=column,
                line_width=0,
                fillcolor=colour,
                opacity=0.12,
                layer="below",
            )


def _told(one: Marker) -> str:
    """What is told of a marker on hover: its whole name, when, and what became of it."""
    lines = [
        f"<b>{html.escape(one.label)}</b>",
        f"{one.kind.capitalize()}, {drawn.days_of(one)}",
        html.escape(one.note),
    ]
    return "<br>".join(line for line in lines if line)
