"""Numbers that say where they come from: each leads to the page that shows the same number by the same query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    """A sentence of these parts on one line; empty words are left out."""
    clean = (in_line(one) if isinstance(one, str) else replace(one, text=in_line(one.text)) for one in parts)
    return Sentence(tuple(one for one in clean if one != ""))


def counted(number: int, thing: str) -> str:
    """A number of things in words: `1 ticket`, `1,200 tickets`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def in_line(text: str) -> str:
    """Words from outside as they may stand in a line: nothing in them begins another line, or turns letters around."""
    return "".join(one if one.isprintable() or one in _JOINED else " " for one in text)


_JOINED = "\u200c\u200d\ufe0f"
"""What joins letters and pictures to one, and shows nothing itself."""


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
