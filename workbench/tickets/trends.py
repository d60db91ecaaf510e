"""What changed, where and by how much: tiles, series, movers, and the tickets behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from workbench.errors import Invalid
from workbench.tickets import publish, source
from workbench.tickets.columns import DIMENSIONS, NONE, dimension, nearest
from workbench.tickets.metrics import METRICS, TILES, Metric, change, get, is_better

Grain = Literal["day", "week", "month"]
GRAINS: dict[Grain, int] = {"day": 1, "week": 7, "month": 30}
ALL = "All tickets"
FACET_VALUES = 500
MOST_TICKETS = 100_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""


@dataclass(frozen=True)
class Filters:
    """Which tickets are meant. Both days belong to the period, in UTC; None is the first or the last day there is.

    `where` is dimension to values, any of which fits; `columns.NONE` means that there is no value.
    """

    start: dt.date | None = None
    end: dt.date | None = None
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Freshness:
    """How many tickets there are, of which time (UTC), and when they came from where."""

    rows: int
    first: dt.datetime
    last: dt.datetime
    loaded_at: dt.datetime
    source: str
    rejected: int


@dataclass(frozen=True)
class Window:
    """The days `start` to `end` asked for and the equally long ones from `before` on.

    `first` to `last` are those of the days asked for that lie within the tickets; `oldest` is the first day of all.
    """

    start: dt.date
    end: dt.date
    before: dt.date
    first: dt.date
    last: dt.date
    oldest: dt.date

    @property
    def days(self) -> int:
        """How many days were asked for."""
        return (self.end - self.start).days + 1

    @property
    def comparable(self) -> bool:
        """Whether there is data from the first day of the period before on."""
        return self.before >= self.oldest


@dataclass(frozen=True)
class Tile:
    """One metric now against before. `change` is in percent or in the metric's unit, as `Metric.relative` says."""

    metric: Metric
    value: float | None
    previous: float | None
    change: float | None
    better: bool | None
    spark: tuple[float | None, ...]


@dataclass(frozen=True)
class Overview:
    """The tiles, and the two periods that they compare."""

    tiles: tuple[Tile, ...]
    window: Window


@dataclass(frozen=True)
class Answer:
    """One metric, grouped as asked; each row has the groups, `period` where there is a grain, `value` and `tickets`."""

    metric: str
    unit: str
    definition: str
    start: dt.date
    end: dt.date
    grain: Grain | None
    by: tuple[str, ...]
    where: dict[str, list[str]]
    rows: list[dict[str, Any]]


def freshness() -> Freshness:
    """The extent and the origin of the current tickets; raises NotFound where there are none."""
    rows, first, last = _extent(source.signature())
    about = publish.meta()
    return Freshness(rows, first, last, about.loaded_at, about.source, about.rejected)


def facets() -> dict[str, list[str]]:
    """The values of each dimension, the most frequent first; a dimension that is empty everywhere has none."""
    return {name: list(values) for name, values in _facets(source.signature())}


def window(filters: Filters) -> Window:
    """The days that `filters` mean; raises Invalid where they end before they begin."""
    _rows, first, last = _extent(source.signature())
    start, end = filters.start or first.date(), filters.end or last.date()
    if start > end:
        raise Invalid(f"The period ends ({end}) before it begins ({start}).", remedy="Swap the two days.")
    length = end - start
    before = start - length - dt.timedelta(days=1) if start.toordinal() > length.days + 1 else dt.date.min
    return Window(start, end, before, max(start, first.date()), min(end, last.date()), first.date())


def overview(filters: Filters) -> Overview:
    """The tiles of `filters`' period, each against the equally long period just before it."""
    chosen = [METRICS[name] for name in TILES]
    columns = ", ".join(f"{metric.expression} AS {metric.name}" for metric in chosen)
    days = window(filters)
    where, values = _where(filters, days.before, days.end)
    sides = source.fetch(_sql("overview", metrics=columns, where=where), {**values, "start": days.start})
    where, values = _where(filters, days.start, days.end)
    sparks = source.fetch(
        _sql("sparks", metrics=columns, where=where, grain=grain_for(days)),
        {**values, "first": days.first, "last": days.last},
    )
    sparks = sparks[sparks["complete"]] if sparks["complete"].any() else sparks
    now, before = sides[sides["is_current"]], sides[~sides["is_current"]]
    if not days.comparable:
        before = before.iloc[:0]
    return Overview(tuple(_tile(metric, now, before, sparks) for metric in chosen), days)


def series(
    metric: str, by: str | None = None, *, grain: Grain | None = None, filters: Filters | None = None, top: int = 6
) -> pd.DataFrame:
    """`metric` over time, for all tickets or for the `top` largest groups of the dimension `by`.

    Columns: period (UTC), label, value, tickets, complete (whether the whole period was asked for and has data).
    """
    filters = filters or Filters()
    by_names = [dimension(by)] if by else []
    frame = _over_time(get(metric), by_names, grain or grain_for(window(filters)), filters, top)
    return frame.rename(columns={by: "label"}) if by else frame


def movers(by: str, *, filters: Filters | None = None, limit: int = 10) -> pd.DataFrame:
    """The groups of the dimension `by` whose number of tickets changed most against the period before.

    Columns: label, tickets, tickets_before, difference, change (%), first_response (min), first_response_before, csat,
    csat_before. `change` is empty where there were none before.
    """
    filters = filters or Filters()
    days = window(filters)
    where, values = _where(filters, days.before, days.end)
    sql = _sql(
        "movers",
        dimension=_label(dimension(by)),
        first_response=METRICS["first_response"].expression,
        csat=METRICS["csat"].expression,
        where=where,
    )
    return source.fetch(sql, {**values, "start": days.start, "limit": limit})


def tickets(filters: Filters | None = None, *, limit: int = 200) -> pd.DataFrame:
    """The newest `limit` tickets that `filters` mean; first_response is in minutes, resolution in hours."""
    filters = filters or Filters()
    days = window(filters)
    where, values = _where(filters, days.start, days.end)
    return source.fetch(_sql("tickets", where=where), {**values, "limit": max(0, min(limit, MOST_TICKETS))})


def query(
    metric: str,
    *,
    by: Sequence[str] = (),
    grain: Grain | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
) -> Answer:
    """`metric` grouped by the dimensions `by` and, with a `grain`, by period. Each name and value must exist.

    Raises Invalid naming what is unknown and what is nearest to it.
    """
    chosen, names = get(metric), [dimension(name) for name in dict.fromkeys(by)]
    filters = Filters(start, end, _known(where or {}))
    days = window(filters)
    if grain is not None and grain not in GRAINS:
        raise Invalid(f"There is no grain {grain!r}.", remedy=f"Use {', '.join(GRAINS)}.")
    frame = _over_time(chosen, names, grain, filters, None) if grain else _totals(chosen, names, filters)
    return Answer(
        metric=chosen.name,
        unit=chosen.unit,
        definition=chosen.definition,
        start=days.start,
        end=days.end,
        grain=grain,
        by=tuple(names),
        where={name: list(values) for name, values in filters.where.items()},
        rows=_rows(frame, names, with_period=grain is not None),
    )


def grain_for(days: Window) -> Grain:
    """The finest grain at which the rhythm of the week does not drown what changes."""
    if days.days <= 45:
        return "day"
    return "week" if days.days <= 400 else "month"


def narrow(filters: Filters, *, by: str | None, label: str, period: dt.date, grain: Grain) -> Filters:
    """`filters` with only the one point of a series: the group `label` of `by`, in the period that begins there."""
    ends = {"day": period, "week": period + dt.timedelta(days=6), "month": _month_end(period)}
    days = window(filters)
    where = {**filters.where, dimension(by): [label]} if by else filters.where
    start = min(max(period, days.start), days.end)
    return Filters(start, max(start, min(ends[grain], days.end)), where)


def last_days(count: int | None) -> Filters:
    """The `count` days that end with the newest ticket; all days for None."""
    if count is None:
        return Filters()
    last = freshness().last.date()
    return Filters(start=last - dt.timedelta(days=count - 1), end=last)


def as_csv(frame: pd.DataFrame) -> bytes:
    """`frame` as CSV in which a spreadsheet takes no ticket's words for a formula."""
    safe = frame.copy()
    for name in safe.select_dtypes(["str", "object"]).columns:
        safe[name] = [f"'{v}" if isinstance(v, str) and v.startswith(FORMULA) else v for v in safe[name]]
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _over_time(metric: Metric, names: list[str], grain: Grain, filters: Filters, top: int | None) -> pd.DataFrame:
    days = window(filters)
    where, values = _where(filters, days.start, days.end)
    listed = ", ".join(names) or "label"
    place = f"row_number() OVER (ORDER BY count(*) DESC, {listed}) AS place"
    largest = f"SELECT {listed}, {place} FROM picked GROUP BY {listed}"
    if top is not None:
        largest += " ORDER BY place LIMIT $top"
    sql = _sql(
        "series",
        grain=grain,
        columns=f"* REPLACE ({_labels(names)})" if names else f"*, '{ALL}' AS label",
        names=listed,
        largest=largest if names else f"SELECT '{ALL}' AS label, 1 AS place",
        metric=metric.expression,
        value="coalesce(value, 0)" if metric.counts else "value",
        where=where,
    )
    return source.fetch(sql, {**values, "first": days.first, "last": days.last, "top": top})


def _totals(metric: Metric, names: list[str], filters: Filters) -> pd.DataFrame:
    days = window(filters)
    where, values = _where(filters, days.start, days.end)
    labels = _labels(names) or f"'{ALL}' AS label"
    sql = _sql("totals", labels=labels, names=", ".join(names) or "label", metric=metric.expression, where=where)
    return source.fetch(sql, values)


def _where(filters: Filters, start: dt.date, end: dt.date) -> tuple[str, dict[str, Any]]:
    """The condition and its values: columns come from the fixed list, everything else is bound."""
    conditions = ["created_at >= $since::TIMESTAMP", "created_at < $until::TIMESTAMP + INTERVAL 1 DAY"]
    values: dict[str, Any] = {"since": start, "until": end}
    for name, wanted in filters.where.items():
        if wanted:
            column = dimension(name)
            conditions.append(f"list_contains($any_{column}::VARCHAR[], {_label(column)})")
            values[f"any_{column}"] = [str(value) for value in wanted]
    return " AND ".join(conditions), values


def _label(column: str) -> str:
    return f"coalesce({column}, '{NONE}')"


def _labels(names: list[str]) -> str:
    return ", ".join(f"{_label(name)} AS {name}" for name in names)


def _known(where: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    found = facets()
    for name, values in where.items():
        for value in values:
            if value not in found[dimension(name)] and len(found[name]) < FACET_VALUES:
                raise Invalid(
                    f"No ticket has the {name} {value!r}{nearest(value, found[name])}.",
                    remedy=f"It can be {', '.join(found[name][:12])}.",
                )
    return {name: list(values) for name, values in where.items()}


def _tile(metric: Metric, now: pd.DataFrame, before: pd.DataFrame, sparks: pd.DataFrame) -> Tile:
    value, previous = _single(now, metric), _single(before, metric)
    if metric.counts and value is None:
        value = 0.0
    difference = change(metric, value, previous)
    points = sparks[metric.name].fillna(0) if metric.counts else sparks[metric.name]
    spark = tuple(None if pd.isna(point) else float(point) for point in points)
    return Tile(metric, value, previous, difference, is_better(metric, difference), spark)


def _single(frame: pd.DataFrame, metric: Metric) -> float | None:
    found = frame[metric.name].dropna()
    return None if found.empty else float(found.iloc[0])


def _month_end(day: dt.date) -> dt.date:
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)


def _rows(frame: pd.DataFrame, names: list[str], *, with_period: bool) -> list[dict[str, Any]]:
    rows = []
    for row in frame.to_dict("records"):
        period = {"period": row["period"].date().isoformat()} if with_period else {}
        groups = {name: row[name] for name in names}
        value = None if pd.isna(row["value"]) else float(row["value"])
        rows.append({**period, **groups, "value": value, "tickets": int(row["tickets"])})
    return rows


@lru_cache(maxsize=4)
def _extent(_signature: source.Signature) -> tuple[int, dt.datetime, dt.datetime]:
    row = source.fetch("SELECT count(*) AS rows, min(created_at) AS first, max(created_at) AS last FROM ticket").iloc[0]
    first, last = (moment.to_pydatetime().replace(tzinfo=dt.UTC) for moment in (row["first"], row["last"]))
    return int(row["rows"]), first, last


@lru_cache(maxsize=4)
def _facets(_signature: source.Signature) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, _values(name)) for name in DIMENSIONS)


def _values(name: str) -> tuple[str, ...]:
    sql = f"SELECT {_label(name)} AS label FROM ticket GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {FACET_VALUES}"
    found = tuple(source.fetch(sql)["label"])
    return () if found == (NONE,) else found


@lru_cache
def _text(name: str) -> str:
    return (Path(__file__).parent / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _sql(name: str, **parts: str) -> str:
    return _text(name).format(**parts)
