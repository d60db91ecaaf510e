"""Groups held side by side: what is counted against what the same mix of tickets would show, and who stands out."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.tickets import scorecard, standardise

ROW_PIXELS = 46


def pairs(board: scorecard.Board, colours: dict[str, str]) -> go.Figure:
    """Each group as counted (ring) and with the same mix (dot, with its 95 % interval); the line is the mean of all."""
    shown = board.figures[::-1]
    figure = go.Figure()
    for place, one in enumerate(shown):
        thin = one.verdict in ("too few", "not comparable")
        colour = colours["faint"] if thin else colours["accent"]
        if one.adjusted is not None and one.low is not None and one.high is not None:
            figure.add_trace(_line([one.low, one.high], place, colour, 3))
            figure.add_trace(_line([one.raw, one.adjusted], place, colours["faint"], 1))
            figure.add_trace(_dot(one.adjusted, place, colour, "circle", _said(board, one)))
        figure.add_trace(_dot(one.raw, place, colours["ink"], "circle-open", _said(board, one)))
    figure.add_vline(x=board.mean, line={"color": colours["faint"], "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[_cut(html.escape(one.label)) for one in shown],
        range=[-0.6, len(shown) - 0.4],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    figure.update_xaxes(title=_axis(board.measure), zeroline=False, gridcolor="rgba(128,128,128,0.18)")
    return _laid_out(figure, colours, max(150, 70 + ROW_PIXELS * len(shown)))


def funnel(board: scorecard.Board, colours: dict[str, str]) -> go.Figure:
    """Each group's value with the same mix over how many of its tickets can be compared, within the limits of chance."""
    known = [one for one in board.standings.groups if one.adjusted is not None]
    most = max((one.comparable for one in known), default=1)
    n = np.linspace(max(most / 200, 5), most * 1.12, 120)
    figure = go.Figure()
    for z, dash, words in ((scorecard.NEAR, "dot", "1 in 20"), (scorecard.FAR, "dash", "1 in 500")):
        for edge in standardise.limits(board.standings, n, z):
            values = _back(board.measure, edge)
            figure.add_trace(_limit(n, values, dash, words, colours["faint"]))
    figure.add_hline(y=board.mean, line={"color": colours["faint"], "width": 1})
    by_label = {one.label: one for one in board.figures}
    for standing in known:
        one = by_label[standing.label]
        far = _outside(board, standing)
        figure.add_trace(
            go.Scatter(
                x=[one.comparable],
                y=[one.adjusted],
                mode="markers+text",
                marker={
                    "size": 9,
                    "color": colours["alarm" if far else "accent"],
                    "symbol": "diamond" if far else "circle",
                },
                text=[_cut(html.escape(one.label))],
                textposition=_beside(one.adjusted or 0.0, board.mean, right=one.comparable > most * 0.75),
                hovertemplate=_said(board, one) + "<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_xaxes(title="tickets that can be compared", zeroline=False, rangemode="tozero", showgrid=False)
    figure.update_yaxes(title=_axis(board.measure), zeroline=False, gridcolor="rgba(128,128,128,0.18)", automargin=True)
    return _laid_out(figure, colours, max(260, 70 + ROW_PIXELS * len(board.figures)))


def say(measure: scorecard.Measure, value: float | None) -> str:
    """A value as a person reads it, with its unit."""
    if value is None or np.isnan(value):
        return "—"
    match measure.unit:
        case "%":
            return f"{value:.1f} %"
        case "min":
            return f"{value:,.1f} min" if value < 10 else f"{value:,.0f} min"
        case "h":
            return f"{value:,.1f} h"
        case _:
            return f"{value:.2f}"


def _beside(value: float, mean: float, *, right: bool) -> str:
    """Where the name of a point stands: away from the lines of the funnel, and within the picture."""
    return f"{'top' if value >= mean else 'bottom'} {'left' if right else 'center'}"


def _outside(board: scorecard.Board, one: standardise.Standing) -> bool:
    low, high = standardise.limits(board.standings, np.array([float(one.comparable)]), scorecard.FAR)
    return one.adjusted is not None and not low[0] <= one.adjusted <= high[0]


def _back(measure: scorecard.Measure, values: standardise.Floats) -> standardise.Floats:
    return np.exp(values) if measure.typical else values


def _line(xs: list[float], place: int, colour: str, width: int) -> go.Scatter:
    return go.Scatter(
        x=xs, y=[place, place], mode="lines", line={"color": colour, "width": width}, hoverinfo="skip", showlegend=False
    )


def _dot(x: float, place: int, colour: str, symbol: str, said: str) -> go.Scatter:
    return go.Scatter(
        x=[x],
        y=[place],
        mode="markers",
        marker={"size": 11, "color": colour, "symbol": symbol, "line": {"width": 1.5, "color": colour}},
        hovertemplate=said + "<extra></extra>",
        showlegend=False,
    )


def _limit(n: standardise.Floats, values: standardise.Floats, dash: str, words: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=n,
        y=values,
        mode="lines",
        line={"color": colour, "width": 1, "dash": dash},
        hovertemplate=f"by chance, {words} lie outside<extra></extra>",
        showlegend=False,
    )


def _said(board: scorecard.Board, one: scorecard.Figure) -> str:
    measure = board.measure
    words = f"{html.escape(one.label)}<br>as counted {say(measure, one.raw)} of {one.n:,} tickets"
    if one.adjusted is None:
        return words + "<br>no kind of ticket in common with the others"
    interval = f"{say(measure, one.low)} to {say(measure, one.high)}"
    return f"{words}<br>same mix {say(measure, one.adjusted)} ({interval})<br>{one.verdict}"


def _axis(measure: scorecard.Measure) -> str:
    unit = {"points": "points", "%": "%", "min": "minutes", "h": "hours"}[measure.unit]
    return f"{measure.title}, {unit}"


def _cut(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


def _laid_out(figure: go.Figure, colours: dict[str, str], height: int) -> Any:
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 16, "t": 16, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colours["ink"], "size": 12},
        dragmode=False,
    )
