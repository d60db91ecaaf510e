"""The risk–coverage curve: what declining more often gains and costs."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.evals.abstaining import Curve, Point


def figure(curve: Curve, ink: str, accent: str) -> go.Figure:
    """Coverage to the right, wrong answers upwards, both in per cent; the present and the best threshold are named."""
    known = [(p.coverage * 100, (p.risk or 0.0) * 100, p.threshold) for p in curve.points]
    made = go.Figure(
        go.Scatter(
            x=[x for x, _, _ in known],
            y=[y for _, y, _ in known],
            customdata=[t for _, _, t in known],
            mode="lines+markers",
            line={"color": ink, "width": 1.5, "shape": "hv"},
            hovertemplate="threshold %{customdata}<br>answers %{x:.0f} %<br>wrong %{y:.0f} %<extra></extra>",
            showlegend=False,
        )
    )
    for point, words, place in ((curve.best, "best", "bottom left"), (curve.present, "now", "top right")):
        made.add_trace(_named(point, f"{words}: {point.threshold:g}", place, accent))
    made.update_layout(
        height=300,
        margin={"l": 60, "r": 20, "t": 20, "b": 45},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": ink, "size": 12},
        xaxis={"title": "answered, % of cases", "range": [-3, 108], "gridcolor": "rgba(128,128,128,0.18)"},
        yaxis={"title": "wrong, % of answered", "rangemode": "tozero", "gridcolor": "rgba(128,128,128,0.18)"},
    )
    return made


def _named(point: Point, words: str, place: str, accent: str) -> go.Scatter:
    return go.Scatter(
        x=[point.coverage * 100],
        y=[(point.risk or 0.0) * 100],
        mode="markers+text",
        marker={"color": accent, "size": 11, "symbol": "diamond"},
        text=[words],
        textposition=place,
        hoverinfo="skip",
        showlegend=False,
    )
