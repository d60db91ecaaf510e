"""A run's spans as a timeline: one bar a span, indented by depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

GUTTER = 240
"""Pixels left of the bars, for the names."""

DEEPEST = 10
"""Steps within steps that are moved in; what lies deeper stands under these."""

MOST = 2_000
"""Steps that are drawn."""

NOTABLE = 0.005
"""Seconds of waiting that are worth a word."""

WORDS = {
    "task": "run",
    "turn": "turn",
    "agent": "agent",
    "generation": "model",
    "response": "model",
    "function": "tool",
    "waiting": "tool",
    "handoff": "handoff",
    "guardrail": "guardrail",
}
COLOURS = {
    "agent": "#2f6db5",
    "generation": "#8b62c4",
    "response": "#8b62c4",
    "function": "#3d9970",
    "handoff": "#e0a11b",
    "guardrail": "#d9604c",
}


def tree(spans: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """The spans in tree order with their depth, each once; one whose parent is not there, or is itself, is at the top."""
    once: dict[str, Mapping[str, Any]] = {}
    for span in spans:
        once.setdefault(span["id"], span)
    children: dict[str | None, list[Mapping[str, Any]]] = {}
    for span in sorted(once.values(), key=lambda one: (one["start"], -one["seconds"])):
        children.setdefault(span["parent"] if span["parent"] in once else None, []).append(span)
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for top in [*children.get(None, ()), *once.values()]:
        waiting = [(0, top)]
        while waiting:
            depth, span = waiting.pop()
            if span["id"] not in found:
                found[span["id"]] = depth, span
                waiting += [(depth + 1, one) for one in reversed(children.get(span["id"], ()))]
    return list(found.values())


def together(spans: Sequence[Mapping[str, Any]]) -> int:
    """How many steps ran at the same moment at most, those without steps of their own counted; 0 where none overlap."""
    above = {span["parent"] for span in spans}
    leaves = [one for one in spans if one["id"] not in above and one["seconds"] > 0]
    moments = sorted([(one["start"], 1) for one in leaves] + [(one["start"] + one["seconds"], -1) for one in leaves])
    most = running = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most if most > 1 else 0


def held(spans: Sequence[Mapping[str, Any]], waiting: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The spans, those of calls that wait for a person marked as such: of each tool that waits the last."""
    left = Counter(str(one["tool"]) for one in waiting)
    marked: set[int] = set()
    for place, span in sorted(enumerate(spans), key=lambda pair: -pair[1]["start"]):
        if span["type"] == "function" and left[span["name"]]:
            left[span["name"]] -= 1
            marked.add(place)
    return [{**span, "type": "waiting"} if place in marked else span for place, span in enumerate(spans)]


def label(span: Mapping[str, Any]) -> str:
    """A span's type and name in words."""
    kind = WORDS.get(span["type"], span["type"])
    if span["type"] == "wait":
        return str(span["name"])
    return f"{kind} {span['name']}".strip() if span["type"] not in ("turn", "task") else kind


def figure(
    spans: Sequence[Mapping[str, Any]], ink: str, faint: str, waits: Sequence[Mapping[str, Any]] = ()
) -> go.Figure:
    """The timeline, with what waited for which guardrails below. Times are milliseconds from the run's start."""
    rows = [*tree(spans)[:MOST], *((0, {**one, "type": "wait"}) for one in waits)]
    end = max((span["start"] + span["seconds"] for _, span in rows), default=0.001) * 1000
    layout = {
        "height": 60 + 26 * len(rows),
        "margin": {"l": GUTTER, "r": 70, "t": 8, "b": 30},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": ink, "size": 12},
        "bargap": 0.35,
        "yaxis": {"autorange": "reversed", "showgrid": False, "showticklabels": False, "zeroline": False},
        "xaxis": {
            "title": "milliseconds",
            "gridcolor": "rgba(128,128,128,0.18)",
            "range": [0, end * 1.12],
            "zeroline": False,
        },
        "shapes": [_held(one) for one in waits],
        "annotations": [_named(place, depth, span) for place, (depth, span) in enumerate(rows)],
    }
    return go.Figure(_bars([span for _, span in rows], faint), layout)


def _bars(spans: Sequence[Mapping[str, Any]], faint: str) -> go.Bar:
    """All bars as one trace: a figure of hundreds of traces takes seconds to make."""
    return go.Bar(
        y=list(range(len(spans))),
        x=[max(span["seconds"] * 1000, 0.02) for span in spans],
        base=[span["start"] * 1000 for span in spans],
        orientation="h",
        marker={
            "color": [COLOURS.get(span["type"], faint) for span in spans],
            "pattern": {"shape": ["/" if span["type"] in ("wait", "waiting") else "" for span in spans]},
        },
        text=[_took(span) for span in spans],
        textposition="outside",
        cliponaxis=False,
        customdata=[[escape(label(span)), f"{span['start'] * 1000:,.1f}"] for span in spans],
        hovertemplate="%{customdata[0]}<br>from %{customdata[1]} ms<br>%{text}<extra></extra>",
        showlegend=False,
    )


def _took(span: Mapping[str, Any]) -> str:
    return "waits for a person" if span["type"] == "waiting" else f"{span['seconds'] * 1000:,.1f} ms"


def _held(wait: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": wait["start"] * 1000,
        "x1": (wait["start"] + wait["seconds"]) * 1000,
        "y0": 0,
        "y1": 1,
        "yref": "y domain",
        "fillcolor": COLOURS["guardrail"],
        "opacity": 0.12,
        "line": {"width": 0},
        "layer": "below",
    }


def _named(place: int, depth: int, span: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "x": 0,
        "xref": "paper",
        "xshift": 16 * min(depth, DEEPEST) - GUTTER + 4,
        "y": place,
        "text": escape(label(span)),
        "showarrow": False,
        "xanchor": "left",
        "align": "left",
    }
