"""What a detector sees: the metric, the band of what is usual, and where it fires. Fits a light and a dark page."""

from __future__ import annotations

import datetime as dt
import html

import numpy as np
import plotly.graph_objects as go

from workbench.tickets import detectors, metrics
from workbench.tickets.detectors import Detector, Judged
from workbench.tickets.firing import hours, moment

POINTS = 1500
"""More points than this are thinned out; what fires is always drawn."""
BAND = "rgba(124,135,148,0.22)"
LINE = "#2f6db5"
ALARM = "#d9604c"


def figure(spec: Detector, judged: Judged, group: str, since: dt.datetime, until: dt.datetime) -> go.Figure:
    """One group from `since` to `until`: the band is what is usual, plus and minus what still counts as usual."""
    row = judged.history.groups.index(group)
    ends = judged.history.ends
    inside = np.flatnonzero((ends >= hours(since)) & (ends <= hours(until)))
    step = max(1, -(-len(inside) // POINTS))
    places = inside[::step]
    moments = [moment(int(end)) for end in ends[places]]
    expected, noise = judged.usual.expected[row, places], judged.usual.noise[row, places] * spec.threshold
    high, low = expected + noise, np.maximum(expected - noise, 0)
    made = go.Figure()
    made.add_trace(go.Scatter(x=moments, y=high, mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False))
    made.add_trace(
        go.Scatter(
            x=moments,
            y=low,
            mode="lines",
            line={"width": 0},
            fill="tonexty",
            fillcolor=BAND,
            name="usual at this time of the week",
            hoverinfo="skip",
        )
    )
    values = judged.history.values[row, places]
    made.add_trace(
        go.Scatter(
            x=moments,
            y=values,
            mode="lines",
            line={"color": LINE, "width": 1.6},
            name=html.escape(group),
            hovertext=[_said(spec, value, usual) for value, usual in zip(values, expected, strict=True)],
            hovertemplate="<b>%{x|%a %-d %b %Y, %H:%M} UTC</b><br>%{hovertext}<extra></extra>",
        )
    )
    made.add_trace(_firings(spec, judged, group, since, until))
    made.update_layout(
        height=340,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.12},
        hovermode="closest",
        dragmode="zoom",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    made.update_xaxes(showgrid=False)
    unit = {"min": " min", "h": " h", "%": " %"}.get(metrics.get(spec.metric).unit, "")
    title = f"{metrics.get(spec.metric).title}, in the last {detectors.span(spec.window)}"
    made.update_yaxes(title=title, zeroline=False, ticksuffix=unit, nticks=6, automargin=True, rangemode="tozero")
    if metrics.get(spec.metric).unit == "points":
        made.update_yaxes(rangemode="normal")
    return made


def _firings(spec: Detector, judged: Judged, group: str, since: dt.datetime, until: dt.datetime) -> go.Scatter:
    mine = [one for one in judged.episodes if one.group == group and since <= one.first <= until]
    return go.Scatter(
        x=[one.first for one in mine],
        y=[one.value for one in mine],
        mode="markers",
        marker={"color": ALARM, "size": 11, "symbol": "triangle-up", "line": {"width": 1, "color": "white"}},
        name="would have told",
        hovertext=[_said(spec, one.value, one.expected) for one in mine],
        hovertemplate="<b>%{x|%a %-d %b %Y, %H:%M} UTC</b><br>%{hovertext}<extra></extra>",
    )


def _said(spec: Detector, value: float, usual: float) -> str:
    if np.isnan(value):
        return "no value"
    if np.isnan(usual):
        return f"{value:,.1f}; too little history to say what is usual"
    return detectors.usually(spec.metric, float(value), float(usual), spec.window)
