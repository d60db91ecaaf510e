"""The answer to a question as a picture: bars of groups, or lines over time."""

from __future__ import annotations

import html

import pandas as pd
import plotly.graph_objects as go

from workbench.tickets import metrics, report
from workbench.ui.charts.over_time import COLOURS

BARS, LINES = 20, 6


def figure(told: report.Report, colours: dict[str, str]) -> go.Figure | None:
    """Bars by group or lines over time; None where one number says it all, or groups of two kinds need a table."""
    question, metric = told.question, metrics.get(told.question.metric)
    if question.grain:
        return _laid_out(_lines(told, metric), colours, 320)
    if len(question.by) != 1:
        return None
    shown = told.frame.head(BARS)
    return _laid_out(_bars(shown, question.by[0], metric, colours), colours, 60 + 30 * len(shown))


def _bars(shown: pd.DataFrame, by: str, metric: metrics.Metric, colours: dict[str, str]) -> go.Figure:
    enough = shown["tickets"] >= metric.minimum
    made = go.Figure()
    labels = [_cut(value) for value in shown[by]]
    said = _said(metric, shown["value"])
    made.add_bar(
        x=shown["value"],
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": [colours["accent"] if one else colours["faint"] for one in enough]},
        customdata=list(zip(said, shown["tickets"], strict=True)),
        hovertemplate="%{customdata[0]}, of %{customdata[1]:,} tickets<extra></extra>",
    )
    beside = said
    if "before" in shown and not shown["before"].isna().all():
        beside = [f"{now}, before {then}" for now, then in zip(said, _said(metric, shown["before"]), strict=True)]
        made.add_scatter(
            x=shown["before"],
            y=list(range(len(shown))),
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 16, "color": colours["ink"], "line": {"width": 2}},
            hovertemplate="before<extra></extra>",
        )
    made.add_scatter(
        x=shown.reindex(columns=["value", "before"]).astype(float).max(axis=1).clip(lower=0),
        y=list(range(len(shown))),
        mode="text",
        text=[
            f"\u2002{words}" if one else f"\u2002{words} (few tickets)"
            for words, one in zip(beside, enough, strict=True)
        ],
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
    )
    made.update_yaxes(tickvals=list(range(len(shown))), ticktext=labels, autorange="reversed", automargin=True)
    made.update_xaxes(visible=False, range=_room(shown))
    return made


def _said(metric: metrics.Metric, values: pd.Series) -> list[str]:
    return [metrics.say(metric, None if pd.isna(value) else float(value)) for value in values]


def _room(shown: pd.DataFrame) -> list[float]:
    values = [float(value) for name in ("value", "before") if name in shown for value in shown[name].dropna()]
    low, high = min([0.0, *values]), max([0.0, *values])
    return [low * 1.25, high * 1.45 or 1.0]


def _lines(told: report.Report, metric: metrics.Metric) -> go.Figure:
    made = go.Figure()
    by = list(told.question.by)
    groups = told.frame.groupby(by, sort=False) if by else [(("all",), told.frame)]
    largest = sorted(groups, key=lambda pair: -pair[1]["tickets"].sum())[:LINES]
    for i, (name, part) in enumerate(largest):
        label = ", ".join(map(str, name)) if by else metric.title
        made.add_scatter(
            x=part["period"],
            y=part["value"],
            mode="lines+markers",
            name=_cut(label),
            line={"color": COLOURS[i % len(COLOURS)], "width": 2},
            marker={"size": 5},
            text=_said(metric, part["value"]),
            hovertemplate="%{x}: %{text}<extra>%{fullData.name}</extra>",
        )
    made.update_layout(showlegend=bool(by), legend={"orientation": "h", "y": -0.15})
    made.update_yaxes(title=f"{metric.title}, {metric.unit}", gridcolor="rgba(128,128,128,0.18)", zeroline=False)
    made.update_xaxes(showgrid=False)
    return made


def _cut(value: object) -> str:
    text = html.escape(str(value))
    return text if len(text) <= 28 else text[:27] + "…"


def _laid_out(made: go.Figure, colours: dict[str, str], height: int) -> go.Figure:
    return made.update_layout(
        height=height,
        margin={"l": 8, "r": 24, "t": 12, "b": 8},
        showlegend=made.layout.showlegend or False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colours["ink"], "size": 12},
        dragmode=False,
    )
