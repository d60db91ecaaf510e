"""Why runs fail, drawn: causes over time, and where the seconds go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from workbench.operations.failures import PARTS, Seconds
from workbench.ui.charts.over_time import COLOURS

MOST = 6
"""So many causes have a bar of their own; the others are drawn as one."""

OTHERS = "all other causes"


def over_time(rows: Sequence[dict[str, Any]], grain: str, ink: str, faint: str) -> go.Figure:
    """Runs with each cause by day or week, stacked, the most frequent cause at the bottom."""
    frame = pd.DataFrame(rows)
    frame["day"] = pd.to_datetime(frame["day"])
    often = list(frame.groupby("cause")["runs"].sum().sort_values(ascending=False).index)
    frame["cause"] = [one if often.index(one) < MOST else OTHERS for one in frame["cause"]]
    rule = "W-MON" if grain == "week" else "D"
    made = go.Figure()
    stacked: Counter[pd.Timestamp] = Counter()
    for number, cause in enumerate([*often[:MOST], *([OTHERS] if len(often) > MOST else [])]):
        part = frame[frame["cause"] == cause].set_index("day")["runs"]
        summed = part.resample(rule, label="left", closed="left").sum()
        stacked.update(summed.to_dict())
        made.add_bar(
            x=summed.index,
            y=summed.to_numpy(),
            name=escape(cause),
            marker_color=faint if cause == OTHERS else COLOURS[number],
            hovertemplate=f"{escape(cause)}<br>{grain} of %{{x|%-d %b %Y}}<br>%{{y}} runs<extra></extra>",
        )
    made.update_layout(barmode="stack", **_layout(ink, 280))
    made.update_yaxes(title="runs", gridcolor="rgba(128,128,128,0.18)", rangemode="tozero", tickformat="d")
    if max(stacked.values()) < 6:
        made.update_yaxes(dtick=1)  # No half runs.
    return made


def seconds(found: Sequence[Seconds], ink: str, faint: str) -> go.Figure:
    """Mean seconds of a run by flow, a bar each, made of what took them."""
    made = go.Figure()
    names = [f"{escape(one.flow)} ({one.runs})" for one in found]
    for number, part in enumerate(PARTS):
        values = [one.mean[part] for one in found]
        made.add_bar(
            y=names,
            x=values,
            name=part,
            orientation="h",
            marker_color=faint if part == PARTS[-1] else COLOURS[number],
            marker_pattern_shape="/" if part == "guardrail holds" else "",
            hovertemplate=f"{part}<br>%{{x:.3f}} s a run<extra></extra>",
        )
    made.update_layout(barmode="stack", **_layout(ink, 130 + 38 * len(found)))
    made.update_yaxes(autorange="reversed", automargin=True, ticksuffix=" ")
    made.update_xaxes(title="seconds a run, mean", gridcolor="rgba(128,128,128,0.18)")
    return made


def _layout(ink: str, height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 50, "r": 12, "t": 8, "b": 45},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": ink, "size": 12},
        "bargap": 0.3,
    }
