"""Hours a month by kind of ticket, and what of them could likely be saved, with its interval."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from workbench.tickets.opportunities import Opportunity, say_saved, say_success

ROW_PIXELS = 30


def bars(kinds: list[Opportunity], colours: dict[str, str]) -> go.Figure:
    """A pale bar of the hours of work a month for each kind, on it a strong one of those that could be saved."""
    shown = kinds[::-1]
    names = [html.escape(_cut(one.name)) for one in shown]
    places = list(range(len(shown)))
    told = [
        f"<b>{html.escape(one.name)}</b><br>{one.a_month:,.0f} tickets, {one.hours:,.1f} h a month"
        f"<br>likely success: {say_success(one)}<br>could be saved: {say_saved(one)}"
        for one in shown
    ]
    figure = go.Figure()
    hover = {"hovertext": told, "hovertemplate": "%{hovertext}<extra></extra>", "orientation": "h"}
    figure.add_bar(x=[one.hours for one in shown], y=places, marker_color=colours["faint"], opacity=0.35, **hover)
    known = [place for place in places if shown[place].saved]
    saved = [one.saved for one in shown if one.saved]
    figure.add_bar(
        x=[one.value for one in saved],
        y=known,
        marker_color=colours["accent"],
        error_x={
            "type": "data",
            "array": [one.high - one.value for one in saved],
            "arrayminus": [one.value - one.low for one in saved],
            "color": colours["ink"],
            "thickness": 1.2,
            "width": 3,
        },
        **{**hover, "hovertext": [told[place] for place in known]},
    )
    for place in places:
        if not shown[place].saved:
            figure.add_annotation(
                x=shown[place].hours, y=place, text="not tried", showarrow=False, xanchor="left", xshift=4,
                font={"color": colours["faint"], "size": 12},
            )  # fmt: skip
    figure.update_layout(
        barmode="overlay",
        height=90 + ROW_PIXELS * len(shown),
        margin={"l": 8, "r": 60, "t": 8, "b": 8},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colours["ink"]},
    )
    figure.update_xaxes(title="hours a month", zeroline=False, gridcolor="rgba(128,128,128,0.18)", fixedrange=True)
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False, automargin=True, fixedrange=True)
    return figure


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
