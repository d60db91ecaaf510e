"""What changed, where and by how much: tiles, series, movers, and the tickets behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd

from workbench.errors import Invalid, NotFound
from workbench.tickets import grains, measure, publish, source, stock
from workbench.tickets.columns import NONE, dimension, nearest
from workbench.tickets.measure import Asked
from workbench.tickets.metrics import METRICS, TILES, Metric, change, get, is_better
from workbench.tickets.statement import statement

Grain = measure.Grain
Window = grains.Window
ALL, OTHER = measure.ALL, measure.OTHER
Against = Literal["previous", "weekdays", "year"]
AGAINST: dict[Against, str] = {
    "previous": "the {days} days before",
    "weekdays": "the same weekdays before, from {before:%-d %b %Y} on",
    "year": "the same weekdays 52 weeks earlier, from {before:%-d %b %Y} on",
}
"""What a period can be compared with, and how that is said."""

MOST_TICKETS = 100_000
NEWEST = (1, 7, 56)
"""The newest tickets are looked for in so many days and the last before all are."""
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
class Tile:
    """One metric now against before. `change` is in percent or in the metric's unit, as `Metric.relative` says.

    `low` to `high` is the interval of 95 %, where the metric has one; `n` is how many tickets the value rests on, and
    `few` whether that is under the metric's minimum. `approximate` values come out of bins.
    """

    metric: Metric
    value: float | None
    previous: float | None
    change: float | None
    better: bool | None
    spark: tuple[float | None, ...]
    low: float | None = None
    high: float | None = None
    n: int = 0
    few: bool = False
    approximate: bool = False


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
    rows, first, last = stock.extent(source.signature())
    about = publish.meta()
    return Freshness(rows, first, last, about.loaded_at, about.source, about.rejected)


def facets() -> dict[str, list[str]]:
    """The values of each dimension, the most frequent first; a dimension that is empty everywhere has none."""
    return {name: [] if values == (NONE,) else list(values) for name, values in stock.facets(source.signature())}


def window(filters: Filters, against: Against = "previous") -> Window:
    """The days that `filters` mean, and what they are compared with; raises Invalid where they end before they begin.

    Against the same weekdays, the days before begin whole weeks earlier; against a year, 52 weeks.
    """
    _rows, first, last = stock.extent(source.signature())
    start, end = filters.start or first.date(), filters.end or last.date()
    if start > end:
        raise Invalid(f"The period ends ({end}) before it begins ({start}).", remedy="Swap the two days.")
    days = (end - start).days + 1
    back = {"previous": days, "weekdays": -(-days // 7) * 7, "year": max(364, -(-days // 7) * 7)}[against]
    before = start - dt.timedelta(days=back) if start.toordinal() > back else dt.date.min
    return Window(start, end, before, max(start, first.date()), min(end, last.date()), first.date())


def overview(
    filters: Filters, *, against: Against = "previous", names: Sequence[str] = TILES, exact: bool = False
) -> Overview:
    """The tiles of `filters`' period, each against an equally long period, with its interval and its course."""
    chosen = [get(name) for name in names]
    if not with_runs():
        chosen = [metric for metric in chosen if not metric.live]
    days = window(filters, against)
    grain = grains.finest(days)
    plain, standing = ([m for m in chosen if (m.day == "open") == is_open] for is_open in (False, True))
    before = (days.before, days.until_before) if days.comparable else None
    asked = _asked(filters, days.start, days.end, exact=exact, grain=grain, whole=True, before=before)
    now = measure.measure(plain, asked)
    live = {metric.name for metric in plain if metric.live}
    rows: dict[str, measure.Row] = {}
    earlier: dict[str, measure.Row] = {}
    sparks: dict[tuple[str, dt.date], measure.Row] = {}
    for row in now.rows:
        name = str(row["metric"])
        if row["period"] is None:
            (earlier if row.get("side") == "before" else rows)[name] = row
        elif name not in live:
            sparks[name, row["period"]] = row
    if standing:  # Every day's end at once: what is open needs the whole history, which is read only once.
        since = days.before if days.comparable else min(days.first, days.end)
        for row in measure.measure(standing, _asked(filters, since, days.end, grain="day")).rows:
            name, day = str(row["metric"]), row["period"]
            if day == days.end:
                rows[name] = row
            elif day == days.until_before and days.comparable:
                earlier[name] = row
            began = grains.start_of(day, grain)
            if day >= days.start and began <= days.last and day == min(grains.end_of(began, grain), days.end):
                sparks[name, began] = row
    made = [
        _tile(m, rows.get(m.name), earlier.get(m.name), _spark(sparks, m, days, grain), days.comparable) for m in chosen
    ]
    return Overview(tuple(replace(tile, approximate=tile.metric.name in now.approximate) for tile in made), days)


def series(
    metric: str,
    by: str | None = None,
    *,
    grain: Grain | None = None,
    filters: Filters | None = None,
    top: int = 6,
    others: bool = False,
    exact: bool = False,
) -> pd.DataFrame:
    """`metric` over time, for all tickets or for the `top` largest groups of the dimension `by`, and for all `others`.

    Columns: period (UTC), label, value, tickets, n, low, high (the interval of 95 %), few (whether it rests on fewer
    tickets than the metric's minimum), complete (whether the whole period was asked for and has data).
    `attrs["approximate"]` tells whether the values come out of bins.
    """
    filters = filters or Filters()
    by_names = [dimension(by)] if by else []
    chosen = grain or grains.finest(window(filters))
    return _over_time(get(metric), by_names, chosen, filters, top, called=["label"], others=others, exact=exact)


def largest(by: str, filters: Filters, top: int) -> list[str]:
    """The `top` groups of the dimension `by` with the most tickets in the period, the largest first."""
    days = window(filters)
    rows = measure.measure([METRICS["volume"]], _asked(filters, days.start, days.end, by=(dimension(by),))).rows
    return [str(row[by]) for row in sorted(rows, key=lambda row: (-row["tickets"], row[by]))[:top]]


def distribution(
    duration: Literal["first_response", "resolution"],
    filters: Filters,
    by: str | None = None,
    *,
    grain: Grain | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Median and slowest tenth of a duration over time: columns as `series`, the label names the group and which."""
    days = window(filters)
    grain = grain or grains.finest(days)
    chosen = [get(duration), get(f"{duration}_p90")]
    names = [dimension(by)] if by else []
    found = measure.measure(chosen, _asked(filters, days.start, days.end, by=tuple(names), grain=grain, exact=exact))
    parts = []
    for metric, which in zip(chosen, ("Median", "Slowest tenth"), strict=True):
        rows = [row for row in found.rows if row["metric"] == metric.name]
        part = grains.frame(rows, metric, names, [], days, grain)
        labels = [f"{group}, {which.lower()}" for group in part[by]] if by else [which] * len(part)
        parts.append(part.assign(label=pd.array(labels, dtype="str")))
    made = pd.concat(parts, ignore_index=True)
    made.attrs = {"approximate": duration in found.approximate}
    return made


def hours_of_week(filters: Filters, zone: dt.tzinfo = dt.UTC) -> pd.DataFrame:
    """How many tickets are created in each hour of the week in `zone`, on average.

    Rows: Monday to Sunday; columns: 0 to 23; empty where the period has no such hour.
    """
    days = window(filters)
    asked = _asked(filters, days.first, days.last)
    parts, values = measure.conditions(asked.where)
    where = " AND ".join(["created_at >= $since::TIMESTAMP", "created_at < $until::TIMESTAMP + INTERVAL 1 DAY", *parts])
    near = source.between(days.first, days.last)
    sql = statement("hours_of_week", source=near, where=where)
    found = source.fetch(sql, {**values, "since": days.first, "until": days.last})
    every = pd.date_range(days.first, days.last + dt.timedelta(days=1), freq="h", inclusive="left", tz="UTC")
    counted = pd.Series(found["tickets"].to_numpy(), index=pd.DatetimeIndex(found["hour"]).tz_localize("UTC"))
    counted = counted.reindex(every, fill_value=0)
    local = every.tz_convert(zone)
    table = counted.groupby([local.day_of_week, local.hour]).mean().unstack()
    return table.reindex(index=range(7), columns=range(24))


def tickets(filters: Filters | None = None, *, limit: int = 200) -> pd.DataFrame:
    """The newest `limit` tickets that `filters` mean; first_response is in minutes, resolution in hours."""
    filters = filters or Filters()
    days, most = window(filters), max(0, min(limit, MOST_TICKETS))
    for start in _back(days):
        where, values = condition(filters, start, days.end)
        sql = statement("tickets", source=source.between(start, days.end), where=where)
        found = source.fetch(sql, {**values, "limit": most})
        if len(found) >= most:
            break
    return found


def answered(filters: Filters, *, limit: int = 50) -> list[dict[str, str]]:
    """The newest tickets that `filters` mean and a run answered: ticket_id, subject and run_id."""
    days = window(filters)
    where, values = condition(filters, days.start, days.end)
    sql = (
        f"SELECT ticket_id, coalesce(subject, '') AS subject, run_id FROM {source.between(days.start, days.end)} "
        f"WHERE run_id IS NOT NULL AND {where} ORDER BY created_at DESC, ticket_id LIMIT $limit"
    )
    return [
        {name: str(value) for name, value in row.items()} for row in source.records(sql, {**values, "limit": limit})
    ]


def ticket(ticket_id: str) -> dict[str, Any]:
    """One ticket, every column of it; attributes come back as their text. Raises NotFound where there is none."""
    found = source.records("SELECT * FROM ticket WHERE ticket_id = $ticket_id LIMIT 1", {"ticket_id": ticket_id})
    if not found:
        raise NotFound(
            f"There is no ticket {ticket_id} here.",
            remedy="It may have been replaced by a later load. Find it in Trends.",
        )
    return found[0]


def query(
    metric: str,
    *,
    by: Sequence[str] = (),
    grain: Grain | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
    resting: bool = False,
) -> Answer:
    """`metric` grouped by the dimensions `by` and, with a `grain`, by period. Each name and value must exist.

    `tickets` of a row are all of its group; with `resting`, those that the value rests on.
    Raises Invalid naming what is unknown and what is nearest to it.
    """
    chosen, names = get(metric), [dimension(name) for name in dict.fromkeys(by)]
    filters = Filters(start, end, known_values(where or {}))
    days = window(filters)
    if grain is not None and grain not in grains.GRAINS:
        raise Invalid(f"There is no grain {grain!r}.", remedy=f"Use {', '.join(grains.GRAINS)}.")
    frame = _over_time(chosen, names, grain, filters, None, exact=True) if grain else _totals(chosen, names, filters)
    return Answer(
        metric=chosen.name,
        unit=chosen.unit,
        definition=chosen.definition,
        start=days.start,
        end=days.end,
        grain=grain,
        by=tuple(names),
        where={name: list(values) for name, values in filters.where.items()},
        rows=_rows(frame, names, "n" if resting else "tickets", with_period=grain is not None),
    )


def _back(days: Window) -> list[dt.date]:
    """From which days on to look for the newest tickets: a week mostly has enough, and only its files are read."""
    near = [days.last - dt.timedelta(days=back) for back in NEWEST if days.last.toordinal() > back]
    return [*(day for day in near if day > days.start), days.start]


def narrow(filters: Filters, *, by: str | None, label: str, period: dt.date, grain: Grain) -> Filters:
    """`filters` with only the one point of a series: the group `label` of `by`, in the period that begins there."""
    days = window(filters)
    where = {**filters.where, dimension(by): [label]} if by else filters.where
    start = min(max(period, days.start), days.end)
    return Filters(start, max(start, min(grains.end_of(period, grain), days.end)), where)


def with_runs() -> bool:
    """Whether any ticket names a run: only then do figures about runs mean anything."""
    return stock.with_runs(source.signature())


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


def _asked(filters: Filters, start: dt.date, end: dt.date, **more: Any) -> Asked:
    return Asked(start, end, {name: values for name, values in filters.where.items() if values}, **more)


def _over_time(
    metric: Metric,
    names: list[str],
    grain: Grain,
    filters: Filters,
    top: int | None,
    *,
    called: Sequence[str] = (),
    others: bool = False,
    exact: bool = False,
) -> pd.DataFrame:
    """The metric for each period and each of the groups, a period without tickets too, the largest groups first.

    The columns of the groups have the names of their dimensions, or those that they are to be `called`.
    """
    days = window(filters)
    keep = {names[0]: largest(names[0], filters, top)} if names and top is not None else {}
    # Only the days that have tickets: an open question that begins in the year 1 asks for 740,000 days.
    start, end = (days.first, days.last) if days.first <= days.last else (days.start, days.start)
    asked = _asked(filters, start, end, by=tuple(names), grain=grain, keep=keep, exact=exact)
    found = measure.measure([metric], asked)
    rows = [row for row in found.rows if others or not keep or row[names[0]] != OTHER]
    frame = grains.frame(rows, metric, names, keep.get(names[0], []) if names else [], days, grain, called)
    frame.attrs = {"approximate": metric.name in found.approximate, "from_tickets": metric.name in found.from_tickets}
    return frame


def _totals(metric: Metric, names: list[str], filters: Filters) -> pd.DataFrame:
    days = window(filters)
    found = measure.measure([metric], _asked(filters, days.start, days.end, by=tuple(names), exact=True)).rows
    groups = names or ["label"]
    found.sort(key=lambda row: (-row["tickets"], *(row[name] for name in groups)))
    return pd.DataFrame(found, columns=[*groups, "value", "tickets", "n"])


def condition(filters: Filters, start: dt.date, end: dt.date) -> tuple[str, dict[str, Any]]:
    """The condition on tickets, and its values."""
    parts, values = measure.conditions(filters.where)
    span = ["created_at >= $since::TIMESTAMP", "created_at < $until::TIMESTAMP + INTERVAL 1 DAY"]
    return " AND ".join([*span, *parts]), {**values, "since": start, "until": end}


def known_values(where: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """`where`, when some ticket has each of its values; raises Invalid with the nearest one."""
    found = facets()
    for name, values in where.items():
        for value in values:
            if value not in found[dimension(name)] and len(found[name]) < stock.FACET_VALUES:
                raise Invalid(
                    f"No ticket has the {name} {value!r}{nearest(value, found[name])}.",
                    remedy=f"It can be {', '.join(found[name][:12])}.",
                )
    return {name: list(values) for name, values in where.items()}


def _tile(
    metric: Metric,
    now: dict[str, Any] | None,
    before: dict[str, Any] | None,
    spark: tuple[float | None, ...],
    comparable: bool,
) -> Tile:
    value, previous = _value(metric, now), _value(metric, before) if comparable else None
    difference = change(metric, value, previous)
    n = int(now["n"]) if now else 0
    return Tile(
        metric,
        value,
        previous,
        difference,
        is_better(metric, difference),
        spark,
        low=_number(now, "low"),
        high=_number(now, "high"),
        n=n,
        few=value is not None and n < metric.minimum,
    )


def _spark(
    rows: Mapping[tuple[str, dt.date], measure.Row], metric: Metric, days: Window, grain: Grain
) -> tuple[float | None, ...]:
    """The course of a metric over whole periods, or over all where there is no whole one."""
    if not any(name == metric.name for name, _ in rows):
        return ()
    listed = grains.listed(days, grain)
    whole = [one for one in listed if one >= days.first and grains.end_of(one, grain) <= days.last]
    found = [rows.get((metric.name, one), grains.NOTHING)["value"] for one in whole or listed]
    nothing = measure.empty(metric)
    return tuple(nothing if value is None else value for value in found)


def _value(metric: Metric, row: dict[str, Any] | None) -> float | None:
    found = _number(row, "value")
    return measure.empty(metric) if found is None else found


def _number(row: dict[str, Any] | None, name: str) -> float | None:
    return None if row is None or row[name] is None else float(row[name])


def _rows(frame: pd.DataFrame, names: list[str], counted: str, *, with_period: bool) -> list[dict[str, Any]]:
    rows = []
    for row in frame.to_dict("records"):
        period = {"period": row["period"].date().isoformat()} if with_period else {}
        groups = {name: row[name] for name in names}
        value = None if pd.isna(row["value"]) else float(row["value"])
        rows.append({**period, **groups, "value": value, "tickets": int(row[counted])})
    return rows
