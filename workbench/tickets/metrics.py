"""What is measured: each metric of `metrics.yaml`, its SQL, its unit, its words, and which direction is good."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from workbench.errors import Invalid
from workbench.tickets import hours
from workbench.tickets.columns import nearest

FILE = Path(__file__).parent / "metrics.yaml"

Unit = Literal["tickets", "min", "h", "points", "%", "USD"]
Interval = Literal["poisson", "wilson", "normal", "order", "none"]
Day = Literal["creation", "resolution", "open"]

NEWEST = "(SELECT day FROM newest)"
"""SQL: the day (UTC) of the newest ticket; `source` keeps it beside the tickets."""

PER_UNIT = {"min": 60_000_000.0, "h": 3_600_000_000.0}
"""Microseconds in a unit of time."""

RUN = {
    "run_outcome": "(SELECT outcome FROM run_outcome WHERE run_outcome.id = run_id)",
    "run_usd": "(SELECT usd FROM run_outcome WHERE run_outcome.id = run_id)",
}
"""What is known of a ticket's run; `source.fetch` brings the table where it is named."""

_STILL = f"(resolved_at IS NULL OR resolved_at >= {NEWEST} + 1)"
OPEN_NOW = {
    "open": f"count(*) FILTER (WHERE {_STILL})",
    "open_born": f"coalesce(sum(epoch_us(created_at) // 1000000) FILTER (WHERE {_STILL}), 0)::BIGINT",
    "end": f"(epoch_us({NEWEST} + INTERVAL 1 DAY) // 1000000)",
}
"""What is open at the end of the newest day."""

OPEN_THEN = {"open": "open_tickets", "open_born": "open_born", "end": "end_seconds"}
"""The same at the end of any day, as `queries/open.sql` names it."""


@dataclass(frozen=True)
class Column:
    """A whole number that is added up over tickets: `each` is a condition to count, or the number itself.

    `name` is that of the sum in a rollup. With `due`, only tickets count for which on the newest day every target of that kind has passed.
    """

    name: str
    each: str
    is_count: bool
    due: str = ""

    @property
    def over_tickets(self) -> str:
        """The sum over the view `ticket`."""
        if not self.is_count:
            return f"coalesce(sum({self.each}), 0)::BIGINT"
        late = f" AND created_at::DATE <= {NEWEST} - {self.due}_due()" if self.due else ""
        return f"count(*) FILTER (WHERE {self.each}{late})"

    @property
    def over_days(self) -> str:
        """The sum over the view `rollup`."""
        stored = f"sum({self.name})"
        if self.due:
            stored = f"sum({self.name}) FILTER (WHERE day <= {NEWEST} - {self.due}_due())"
        return f"coalesce({stored}, 0)::BIGINT"


@dataclass(frozen=True)
class Duration:
    """Microseconds from creation to a moment, as SQL over `ticket`; `daily` are the dimensions that rollups bin it by."""

    name: str
    sql: str
    daily: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """One measure of a set of tickets.

    `expression` is an aggregate over the columns of `ticket`. A count is 0 where there are no tickets; every other
    metric is empty there. `relative` tells whether a change is said in percent or in the metric's own unit.
    `rests_on` counts the tickets behind a value; under `minimum` of them it says little. The `daily_` expressions give
    the same over `rollup`, where there are any. `quantile` is that of `duration`. `squares` is the mean of squares.
    Nothing is known of one `by_resolution` where no ticket tells when it was resolved, or of one `by_response` where none
    tells when it was first answered.
    """

    name: str
    title: str
    unit: Unit
    expression: str
    definition: str
    good: Literal["up", "down"]
    relative: bool = True
    source: str = ""
    minimum: int = 0
    interval: Interval = "none"
    day: Day = "creation"
    rests_on: str = "count(*)"
    squares: str = "NULL"
    daily_expression: str = ""
    daily_rests_on: str = ""
    daily_squares: str = "NULL"
    quantile: float | None = None
    duration: Duration | None = None
    live: bool = False
    by_resolution: bool = False
    by_response: bool = False

    @property
    def counts(self) -> bool:
        """Whether no tickets means 0 rather than no value."""
        return self.unit == "tickets"

    @property
    def told(self) -> str:
        """The definition with its source, as it is shown on hover."""
        few = f" Greyed where it rests on fewer than {self.minimum} tickets." if self.minimum else ""
        return f"{self.definition}{few} Source: {self.source}"


def _columns(written: dict[str, Any]) -> dict[str, Column]:
    made: dict[str, Column] = {}
    for name, spec in written.items():
        if "of" in spec:
            made[name] = replace(made[spec["of"]], due=spec["once_due"])
        else:
            made[name] = Column(name, spec.get("count") or spec["sum"], "count" in spec)
    return made


def _durations(written: dict[str, Any]) -> dict[str, Duration]:
    made = {}
    for name, spec in written.items():
        sql = hours.elapsed(spec["until"], spec["clock"])
        if less := spec.get("less_minutes"):
            pending = f"coalesce(TRY_CAST(attributes->>'$.{less}' AS DOUBLE), 0) * 60000000"
            sql = f"(CASE WHEN {spec['until']} IS NOT NULL THEN greatest(0, {sql} - {pending}) END)"
        made[name] = Duration(name, sql, tuple(spec.get("daily", ())))
    return made


def _metric(name: str, spec: dict[str, Any], columns: dict[str, Column], durations: dict[str, Duration]) -> Metric:
    shared = {key: spec[key] for key in ("title", "unit", "good", "definition", "source", "interval")}
    shared |= {
        key: spec[key] for key in ("relative", "minimum", "day", "live", "by_resolution", "by_response") if key in spec
    }
    if "of" in spec:
        long, quantile = durations[spec["of"]], spec["quantile"]
        expression = f"quantile_cont({long.sql}, {quantile}) / {PER_UNIT[spec['unit']]}"
        return Metric(
            name, expression=expression, rests_on=f"count({long.sql})", quantile=quantile, duration=long, **shared
        )
    over = {name: column.over_tickets for name, column in columns.items()} | OPEN_NOW | RUN
    days = {name: column.over_days for name, column in columns.items()} | OPEN_THEN
    return Metric(
        name,
        expression=_formula(spec, "value", over),
        rests_on=spec.get("rests_on", "{tickets}").format(**over),
        squares=spec.get("squares", "NULL").format(**over),
        daily_expression="" if spec.get("live") else _formula(spec, "value", days),
        daily_rests_on="" if spec.get("live") else spec.get("rests_on", "{tickets}").format(**days),
        daily_squares="NULL" if spec.get("live") else spec.get("squares", "NULL").format(**days),
        **shared,
    )


def _formula(spec: dict[str, Any], key: str, columns: dict[str, str]) -> str:
    value = str(spec[key]).format(**columns)
    return f"CASE WHEN {spec['needs'].format(**columns)} > 0 THEN {value} END" if "needs" in spec else value


def _read() -> tuple[dict[str, Column], dict[str, Duration], dict[str, Metric]]:
    written = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    columns, durations = _columns(written["columns"]), _durations(written["durations"])
    made = {name: _metric(name, spec, columns, durations) for name, spec in written["metrics"].items()}
    return columns, durations, made


COLUMNS, DURATIONS, METRICS = _read()
TILES = ("volume", "first_response", "resolution", "csat", "reopened", "backlog", "sla_first_response", "automation")


APPROXIMATE = (
    "Approximate: it comes out of daily bins that are 19 % apart. Switch on “Exact figures” under More to compute it "
    "from every ticket."
)
INTERVALS: dict[Interval, str] = {
    "poisson": "The range is 95 % for a count (Poisson, normal approximation).",
    "wilson": "The range is 95 % for a share (Wilson).",
    "normal": "The range is 95 % for a mean (normal approximation).",
    "order": "The range is 95 % for a quantile (order statistics, normal approximation of the ranks).",
    "none": "",
}
"""How the range beside a value was found, in words."""


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
        return "not known" if metric.by_resolution or metric.by_response else "—"
    match metric.unit:
        case "tickets":
            return f"{value:,.0f}"
        case "min":
            return _say_minutes(value)
        case "h":
            return f"{value:,.1f} h" if value < 72 else f"{value / 24:,.1f} days"
        case "%":
            return f"{value:.1f} %"
        case "USD":
            return f"${value:,.4f}" if abs(value) < 0.1 else f"${value:,.2f}"
        case _:
            return f"{value:.2f}"


def say_change(metric: Metric, difference: float | None) -> str:
    """A change as a person reads it, such as `+12 %`, `-0.06` or `±0 %`; empty where there is none to tell."""
    if difference is None:
        return ""
    places, unit = (0, " %") if metric.relative else (1, " pt") if metric.unit == "%" else (2, "")
    rounded = round(difference, places)
    return (f"{rounded:+,.{places}f}" if rounded else f"±{0:.{places}f}") + unit


def _say_minutes(minutes: float) -> str:
    if minutes < 60:
        return f"{minutes:.0f} min" if minutes >= 10 else f"{minutes:.1f} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02d} min" if hours < 72 else f"{hours / 24:,.1f} days"
