"""Numbers that say where they come from: each leads to the page that shows the same number by the same query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.tickets import metrics
from workbench.tickets.columns import title
from workbench.tickets.metrics import Metric

Page = Literal["trends", "signals", "ticket", "releases", "opportunities"]
State = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Figure:
    """A number as it is read, and the page with its state where the same number stands."""

    text: str
    page: Page
    state: State


Part = str | Figure


@dataclass(frozen=True)
class Sentence:
    """Words and numbers in the order in which they are read."""

    parts: tuple[Part, ...]

    @property
    def plain(self) -> str:
        """The sentence without its links."""
        return "".join(one if isinstance(one, str) else one.text for one in self.parts)

    @property
    def figures(self) -> list[Figure]:
        """Its numbers."""
        return [one for one in self.parts if isinstance(one, Figure)]


def sentence(*parts: Part) -> Sentence:
    """A sentence of these parts; empty words are left out."""
    return Sentence(tuple(one for one in parts if one != ""))


def trend(
    text: str,
    metric: Metric,
    start: dt.date,
    end: dt.date,
    where: Mapping[str, Sequence[str]],
    *,
    movers: str = "",
) -> Figure:
    """A number of some days that the Trends page shows: as a tile, or in the table of what moved by `movers`."""
    state: dict[str, str | list[str]] = {
        "from": start.isoformat(),
        "to": end.isoformat(),
        "against": "Same weekdays",
        "exact": "true",
        "metric": metric.title,
        **{name: list(values) for name, values in where.items() if values},
    }
    if movers:
        state["movers"] = title(movers)
    return Figure(text, "trends", state)


def told(metric: Metric, value: float | None) -> str:
    """A value as its tile on Trends shows it."""
    return metrics.say(metric, value)
