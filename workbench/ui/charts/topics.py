"""Topics by share, the largest first, each with where it stood before and how it grew."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import plotly.graph_objects as go

ROW_PIXELS = 30
LONGEST = 38


def shares(frame: pd.DataFrame, chosen: str, colours: dict[str, str]) -> go.Figure:
    """A bar for each topic of `frame` (columns topic, tickets, share, share_before, tickets_before, growth), the `chosen` one marked.

    The tick on a bar is its share of the period before; each bar carries its topic as `customdata`.
    """
    shown = frame.iloc[::-1]
    earlier = shown["share_before"].fillna(0.0)
    names = [html.escape(_cut(str(one))) for one in shown["topic"]]
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            x=shown["share"],
            y=places,
            orientation="h",
            marker={"color": [colours["ink" if one == chosen else "accent"] for one in shown["topic"]]},
            customdata=[[one] for one in shown["topic"]],
            hovertemplate=[_said(row) + "<extra></extra>" for _, row in shown.iterrows()],
            showlegend=False,
        )
    )
    if shown["share_before"].notna().any():
        figure.add_trace(
            go.Scatter(
                x=earlier,
                y=places,
                mode="markers",
                marker={"symbol": "line-ns", "size": 16, "line": {"width": 2, "color": colours["ink"]}},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[max(pair) for pair in zip(shown["share"], earlier, strict=True)],
            y=places,
            mode="text",
            text=[f"  {_label(row)}" for _, row in shown.iterrows()],
            textposition="middle right",
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False, zeroline=False, automargin=True)
    most = max([float(shown["share"].max()), float(earlier.max()), 1.0]) if len(shown) else 1.0
    figure.update_xaxes(visible=False, range=[0, most * 2.3])
    return _laid_out(figure, colours, 30 + ROW_PIXELS * len(shown))


def growth(value: float) -> str:
    """A change in percent, with an arrow; an empty text where there was nothing before."""
    if value != value:
        return ""
    return f"{'▲' if value > 0 else '▼' if value < 0 else '='} {value:+.0f} %"


def _label(row: pd.Series[Any]) -> str:
    return f"{row['share']:.1f} %  <span style='opacity:.65'>{growth(row['growth'])}</span>"


def _said(row: pd.Series[Any]) -> str:
    words = f"<b>{html.escape(str(row['topic']))}</b><br>{row['tickets']:,} tickets, {row['share']:.1f} %"
    return f"{words}<br>{row['tickets_before']:,} in the period before {growth(row['growth'])}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _laid_out(figure: go.Figure, colours: dict[str, str], height: int) -> Any:
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        bargap=0.35,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colours["ink"], "size": 13},
        dragmode=False,
        clickmode="event+select",
    )
