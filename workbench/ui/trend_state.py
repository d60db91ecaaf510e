"""What of the Trends page is kept under a name: its filters, its chart and its closer look, and showing it again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from workbench import tickets
from workbench.access import Actor
from workbench.access.views import State
from workbench.errors import WorkbenchError
from workbench.tickets.columns import DIMENSIONS
from workbench.ui import session, views
from workbench.ui import trend_views as charts
from workbench.ui import trends as parts

DAYS = ("from", "to")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "period": tuple(parts.PERIODS),
    "against": tuple(parts.AGAINST),
    "metric": tuple(charts.TITLES),
    "view": charts.VIEWS,
    "grain": tuple(charts.GRAINS),
    "deeper": charts.DEEPER,
    "by": ("None", *(parts.name_of(name) for name in DIMENSIONS)),
    "movers": DIMENSIONS,
    "segment-by": DIMENSIONS,
}
"""Each choice of the page with what it may be."""
GROUPED = ("by", "movers", "segment-by")
"""Choices among the dimensions that the tickets have."""
FIRST = {"period": "90 days", "grain": "Auto"}
"""What is chosen at first, where that is not the first of all."""


def control(actor: Actor) -> None:
    """The button with the saved views of Trends; drawn after the widgets, whose values it keeps."""
    views.control(actor, "trends", state(), show_again)


def state() -> State:
    """What the page shows now, by the names of its address."""
    found: dict[str, list[str]] = {}
    for name in (*CHOICES, *DIMENSIONS):
        value = session.get(name)
        if value not in (None, "", [], ()):
            found[name] = [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
    if session.get("exact"):
        found["exact"] = ["true"]
    if days := session.get(parts.ZOOM, ("", None))[1]:
        found |= {name: [day.isoformat()] for name, day in zip(DAYS, days, strict=True)}
    return found


def show_again(kept: State) -> None:
    """Let every widget say what `kept` says; what is not there any more is left out. Only in a callback."""
    facets = _facets()
    there = {name for name, values in facets.items() if values}
    there |= {parts.name_of(name) for name in there}
    for name, options in CHOICES.items():
        wanted = next(iter(kept.get(name, ())), "")
        if wanted in options and (wanted == "None" or name not in GROUPED or wanted in there):
            session.keep(name, wanted)
        elif name in FIRST or name in ("against", "metric", "view", "deeper"):
            session.keep(name, FIRST.get(name, options[0]))
    for name, values in facets.items():
        if values:
            session.keep(name, [one for one in kept.get(name, ()) if one in values])
    session.keep("exact", bool(kept.get("exact")))
    parts.zoom(str(session.get("period")), _days(kept))


def _days(kept: State) -> tuple[dt.date, dt.date] | None:
    try:
        start, end = (dt.date.fromisoformat(kept[name][0]) for name in DAYS)
    except (KeyError, IndexError, ValueError):
        return None
    return (start, end) if start <= end else None


def _facets() -> Mapping[str, Any]:
    try:
        return tickets.facets()
    except WorkbenchError:
        return {}
