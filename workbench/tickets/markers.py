"""What happened when: releases, incidents, and whatever else says so, to be drawn on every chart over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from workbench.tickets.changes import Release

Kind = Literal["release", "incident"]


@dataclass(frozen=True)
class Marker:
    """A moment (UTC) with the words beside it; an incident may have an `until`.

    `note` says more on hover. `where` is dimension to values: the tickets that it is about, all where it is empty.
    `thing` names what it is: the id of an incident, or `flow@v3` for a release.
    """

    at: dt.datetime
    label: str
    kind: Kind = "release"
    until: dt.datetime | None = None
    note: str = ""
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    thing: str = ""


Source = Callable[[], Iterable[Marker]]
_sources: list[Source] = []


def adds(source: Source) -> Source:
    """Have `source` asked for its markers whenever a chart is drawn."""
    if source not in _sources:
        _sources.append(source)
    return source


def markers(where: Mapping[str, Sequence[str]] | None = None) -> list[Marker]:
    """The markers of all sources that may concern tickets of `where`, the oldest first."""
    found = (marker for source in _sources for marker in source() if concerns(marker, where or {}))
    return sorted(found, key=lambda marker: (marker.at, marker.label))


def concerns(marker: Marker, where: Mapping[str, Sequence[str]]) -> bool:
    """Whether a marker may have to do with tickets of `where`: no dimension of both is without a common value."""
    return all(set(values) & set(where[name]) for name, values in marker.where.items() if values and where.get(name))


def released() -> list[Release]:
    """Each release that went live in production, the oldest first."""
    return [Release(one.at, one.label) for one in markers() if one.kind == "release"]


@adds
def _releases() -> list[Marker]:
    from workbench import releases  # what makes releases is much to read in for a command that draws nothing

    return [
        Marker(
            one.at,
            f"{one.flow} v{one.after}",
            note=f"{one.kind} by {one.person}",
            thing=f"{one.flow}@v{one.after}",
        )
        for one in releases.moves()
        if one.environment == "production"
    ]


@adds
def _incidents() -> list[Marker]:
    """What people work on or have mended; what was found to be no incident is left out."""
    from workbench.tickets import signals

    return [
        Marker(
            one.started_at,
            one.title,
            "incident",
            one.last_seen,
            f"{one.state}, severity {one.severity}" + (f", mended with {one.fix}" if one.fix else ""),
            one.conditions,
            one.id,
        )
        for one in signals.incidents()
        if one.state != signals.DISMISSED
    ]
