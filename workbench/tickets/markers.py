"""What happened when: releases, and whatever else says so, to be drawn on every chart over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from workbench import releases
from workbench.tickets.changes import Release

Kind = Literal["release", "incident"]


@dataclass(frozen=True)
class Marker:
    """A moment (UTC) with the words beside it; an incident may have an `until`."""

    at: dt.datetime
    label: str
    kind: Kind = "release"
    until: dt.datetime | None = None


Source = Callable[[], Iterable[Marker]]
_sources: list[Source] = []


def adds(source: Source) -> Source:
    """Have `source` asked for its markers whenever a chart is drawn."""
    if source not in _sources:
        _sources.append(source)
    return source


def markers() -> list[Marker]:
    """All markers of all sources, the oldest first."""
    return sorted((marker for source in _sources for marker in source()), key=lambda marker: marker.at)


def released() -> list[Release]:
    """Each release that went live in production, the oldest first."""
    return [Release(one.at, one.label) for one in markers() if one.kind == "release"]


@adds
def _releases() -> list[Marker]:
    return [Marker(one.at, f"{one.flow} v{one.after}") for one in releases.moves() if one.environment == "production"]
