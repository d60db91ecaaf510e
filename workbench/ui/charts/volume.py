"""How many runs began when, by how they ended, as stacked bars."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

COLOURS = {
    "answered": "#3d9970",
    "abstained": "#7f8c9a",
    "escalated": "#2f6db5",
    "held": "#e0a11b",
    "blocked": "#8b62c4",
    "limit": "#b5651d",
    "error": "#d9604c",
}
STEPS = (
    dt.timedelta(minutes=1), dt.timedelta(minutes=10), dt.timedelta(hours=1), dt.timedelta(hours=6), dt.timedelta(days=1),
    dt.timedelta(days=7), dt.timedelta(days=30),
)  # fmt: skip
BARS = 60


def figure(moments: Sequence[tuple[dt.datetime, str]], zone: dt.tzinfo, colours: Mapping[str, str]) -> go.Figure:
    """Bars of equal width over the time that the runs take in; `moments` are when each began and how it ended."""
    first, last = min(at for at, _ in moments), max(at for at, _ in moments)
    step = next((one for one in STEPS if (last - first) / one <= BARS), STEPS[-1])
    seconds = step.total_seconds()
    tally = Counter((int(at.timestamp() // seconds), outcome) for at, outcome in moments)
    starts = sorted({start for start, _ in tally})
    made = go.Figure()
    for outcome in [*COLOURS, *sorted({one for _, one in tally} - set(COLOURS))]:
        counted = [tally.get((start, outcome), 0) for start in starts]
        if not any(counted):
            continue
        made.add_bar(
            x=[dt.datetime.fromtimestamp((start + 0.5) * seconds, zone) for start in starts],
            y=counted,
            width=seconds * 1000 * 0.9,
            name=outcome or "other",
            marker_color=COLOURS.get(outcome, "#999999"),
            hovertemplate=f"%{{y}} {outcome or 'other'}, %{{x|%-d %b %Y, %H:%M}}<extra></extra>",
        )
    made.update_layout(
        barmode="stack",
        height=166,
        margin={"l": 28, "r": 0, "t": 4, "b": 36},
        font={"color": colours["ink"], "size": 11},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemclick": False},
        showlegend=True,
        bargap=0,
    )
    ends = [dt.datetime.fromtimestamp(one * seconds, zone) for one in (starts[0] - 0.2, starts[-1] + 1.2)]
    made.update_xaxes(showgrid=False, color=colours["faint"], range=ends)
    made.update_yaxes(showgrid=False, color=colours["faint"], rangemode="tozero", nticks=3)
    if max(Counter(start for start, _ in tally.elements()).values()) < 4:
        made.update_yaxes(dtick=1)  # No half runs.
    return made
