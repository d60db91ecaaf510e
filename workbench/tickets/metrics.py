"""What is measured, defined once: the name, the SQL, the unit, the sentence, and which direction is good."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workbench.errors import Invalid
from workbench.tickets.columns import nearest

Unit = Literal["tickets", "min", "h", "points", "%"]


@dataclass(frozen=True)
class Metric:
    """One measure of a set of tickets.

    `expression` is an aggregate over the columns of `ticket`. A count is 0 where there are no tickets; every other
    metric is empty there. `relative` tells whether a change is said in percent or in the metric's own unit.
    """

    name: str
    title: str
    unit: Unit
    expression: str
    definition: str
    good: Literal["up", "down"]
    relative: bool = True

    @property
    def counts(self) -> bool:
        """Whether no tickets means 0 rather than no value."""
        return self.unit == "tickets"


def _span(until: str, seconds: int) -> str:
    return f"median((epoch_us({until}) - epoch_us(created_at)) / {seconds * 1_000_000}.0)"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("volume", "Tickets", "tickets", "count(*)", "Tickets created in the period.", "down"),
        Metric(
            "first_response",
            "First response",
            "min",
            _span("first_response_at", 60),
            "Median minutes from creation to the first public agent reply; tickets without a reply yet are left out.",
            "down",
        ),
        Metric(
            "resolution",
            "Resolution",
            "h",
            _span("resolved_at", 3600),
            "Median hours from creation to resolution, by day of creation; tickets not resolved yet are left out.",
            "down",
        ),
        Metric(
            "csat",
            "CSAT",
            "points",
            "avg(csat)",
            "Mean rating from 1 to 5 of the tickets that were rated.",
            "up",
            relative=False,
        ),
        Metric(
            "reopened",
            "Reopened",
            "%",
            "100.0 * avg(reopened::INTEGER)",
            "Share of tickets that were opened again after they had been resolved, where that is known.",
            "down",
            relative=False,
        ),
        Metric(
            "unresolved",
            "Not resolved yet",
            "tickets",
            "count(*) FILTER (WHERE resolved_at IS NULL)",
            "Tickets created in the period that are not resolved now.",
            "down",
        ),
        Metric(
            "unanswered",
            "Not answered yet",
            "%",
            "100.0 * avg((first_response_at IS NULL)::INTEGER)",
            "Share of tickets created in the period that have no public agent reply now.",
            "down",
            relative=False,
        ),
        Metric(
            "sentiment",
            "Sentiment",
            "points",
            "avg(sentiment)",
            "Mean sentiment of the customer's words, from -1 to 1, where it is known.",
            "up",
            relative=False,
        ),
    )
}

TILES = ("volume", "first_response", "resolution", "csat", "reopened")


def get(name: str) -> Metric:
    """The metric called `name`; raises Invalid with the nearest one."""
    if name not in METRICS:
        raise Invalid(
            f"There is no metric {name!r}{nearest(name, METRICS)}.", remedy=f"Use one of {', '.join(METRICS)}."
        )
    return METRICS[name]


def change(metric: Metric, now: float | None, before: float | None) -> float | None:
    """From `before` to `now`: in percent where the metric is relative, else in its unit; None without a base."""
    if now is None or before is None:
        return None
    if not metric.relative:
        return now - before
    return 100 * (now - before) / before if before else None


def is_better(metric: Metric, difference: float | None) -> bool | None:
    """Whether a change is for the good; None where it is none."""
    if not difference:
        return None
    return (difference > 0) == (metric.good == "up")


def say(metric: Metric, value: float | None) -> str:
    """`value` as a person reads it, with its unit, such as `3 h 12 min`."""
    if value is None or math.isnan(value):
        return "—"
    match metric.unit:
        case "tickets":
            return f"{value:,.0f}"
        case "min":
            return _say_minutes(value)
        case "h":
            return f"{value:,.1f} h" if value < 72 else f"{value / 24:,.1f} days"
        case "%":
            return f"{value:.1f} %"
        case _:
            return f"{value:.2f}"


def say_change(metric: Metric, difference: float | None) -> str:
    """A change as a person reads it, signed, such as `+12 %` or `-0.06`; empty where there is none to tell."""
    if difference is None:
        return ""
    if metric.relative:
        return f"{difference:+,.0f} %"
    return f"{difference:+.1f} pt" if metric.unit == "%" else f"{difference:+.2f}"


def _say_minutes(minutes: float) -> str:
    if minutes < 60:
        return f"{minutes:.0f} min" if minutes >= 10 else f"{minutes:.1f} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02d} min" if hours < 72 else f"{hours / 24:,.1f} days"
