"""Any metrics over any tickets: from the daily rollups where they hold what is asked, from the tickets otherwise.

Both ways give exactly the same sums and counts; quantiles out of bins are approximate, and are said to be.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from workbench.tickets import bins, rollups, source
from workbench.tickets.bins import Z
from workbench.tickets.columns import NONE, dimension
from workbench.tickets.metrics import PER_UNIT, Metric
from workbench.tickets.statement import statement

Grain = Literal["day", "week", "month"]
Row = dict[str, Any]
ALL = "All tickets"
OTHER = "All others"
MONDAY = "1969-12-29"
"""A Monday before all tickets."""


@dataclass(frozen=True)
class Asked:
    """Which tickets, and how they are grouped. Both days belong to the period, in UTC.

    `where` is dimension to values, any of which fits. `keep` is dimension to the values that stay groups of their own,
    while all others become one. `exact` leaves approximate figures out: quantiles then come from the tickets; with
    `tickets_only` everything does. The days of `before` are asked too, as a whole: a row's `side` is then `now` or
    `before`, and an exact quantile of those before has no interval. With `whole`, days that are asked by grain are asked
    as a whole too: a row of that has no period.
    """

    start: dt.date
    end: dt.date
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    grain: Grain | None = None
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exact: bool = False
    tickets_only: bool = False
    before: tuple[dt.date, dt.date] | None = None
    whole: bool = False

    @property
    def needed(self) -> set[str]:
        """The dimensions without which the question cannot be answered."""
        return {*self.by, *(name for name, values in self.where.items() if values)}

    @property
    def keys(self) -> list[str]:
        """The columns that tell the groups apart in an answer."""
        side, period = ["side"] if self.before else [], ["period"] if self.grain else []
        return [*(self.by or ["label"]), *side, *period]


@dataclass(frozen=True)
class Measured:
    """One row for each metric and group: `metric`, the groups, `period` where there is a grain, `tickets`, and

    `value`, `n` (how many tickets it rests on), `low` and `high` (its interval of 95 %); None where there is none. The
    metrics in `approximate` come out of bins; `from_tickets` are those for which the rollups did not suffice.
    """

    rows: list[Row]
    approximate: frozenset[str]
    from_tickets: frozenset[str]


def measure(chosen: Sequence[Metric], asked: Asked) -> Measured:
    """Every metric of `chosen` for the groups of `asked`; a group without tickets has no row.

    Raises NotFound where there are no tickets at all, Unavailable where they cannot be read.
    """
    have = frozenset() if asked.tickets_only else source.cubes()
    rows: list[Row] = []
    binned = [m for m in chosen if m.quantile is not None and not asked.exact and _bins(m, asked, have)]
    open_ = [m for m in chosen if m.day == "open"]
    resolved = [m for m in chosen if m.day == "resolution"]
    plain = [m for m in chosen if m not in binned and m not in open_ and m not in resolved]
    cube = rollups.smallest(asked.needed, have)
    daily = [m for m in plain if cube and m.daily_expression]
    raw = [m for m in plain if m not in daily]
    if daily:
        rows.extend(_additive(daily, asked, cube))
    if raw:
        rows.extend(_additive(raw, asked, ""))
    if resolved:
        rows.extend(_additive(resolved, asked, cube))
    for kept in dict.fromkeys(_bins(m, asked, have) for m in binned):
        rows.extend(_binned([m for m in binned if _bins(m, asked, have) == kept], asked, kept))
    if open_:
        rows.extend(_sided(open_, asked, cube))
    unknown = {m.name for m in chosen if _unknown(m)}
    rows = [row | {"value": None, "low": None, "high": None} if row["metric"] in unknown else row for row in rows]
    aside = {m.name for m in raw} | ({m.name for m in (*open_, *resolved)} if not cube else set())
    return Measured(rows, frozenset(m.name for m in binned), frozenset(aside))


def empty(metric: Metric) -> float | None:
    """What a metric is where there are no tickets: 0 for a count, unless nothing is known of it at all."""
    return 0.0 if metric.counts and not _unknown(metric) else None


def _unknown(metric: Metric) -> bool:
    """Whether no ticket at all tells the moment that a metric needs."""
    return (metric.by_resolution and not source.resolutions()) or (metric.by_response and not source.responses())


def label(column: str, keep: Mapping[str, Sequence[str]] | None = None) -> str:
    """SQL: the value of a dimension, or how it is called where there is none; what is not kept is `OTHER`."""
    named = f"coalesce({column}, '{NONE}')"
    if keep is None or column not in keep:
        return named
    return f"CASE WHEN list_contains($keep_{column}::VARCHAR[], {named}) THEN {named} ELSE '{OTHER}' END"


def conditions(where: Mapping[str, Sequence[str]]) -> tuple[list[str], dict[str, Any]]:
    """SQL conditions on dimensions, and their values: columns come from the fixed list, everything else is bound."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    for name, wanted in where.items():
        if wanted:
            column = dimension(name)
            named = {f"any_{column}_{i}": str(value) for i, value in enumerate(wanted)}
            origin = f"{column}::VARCHAR" if NONE not in wanted else label(column)
            parts.append(f"{origin} IN ({', '.join('$' + one for one in named)})")
            values |= named
    return parts, values


def _bins(metric: Metric, asked: Asked, have: frozenset[str]) -> str:
    """The bins that hold what is asked of a quantile, or an empty text."""
    if metric.duration is None or len(asked.needed) > 1:
        return ""
    by = next(iter(asked.needed), rollups.ALL)
    name = rollups.binned(metric.duration, by)
    return name if {name, by} <= have else ""


def _additive(chosen: Sequence[Metric], asked: Asked, cube: str) -> list[Row]:
    by_resolution = chosen[0].day == "resolution"
    moment = "day" if cube else ("resolved_at" if by_resolution else "created_at")
    where, values = _where(asked, moment)
    columns = []
    for metric in chosen:
        parts = (
            (metric.daily_expression, metric.daily_rests_on, metric.daily_squares)
            if cube
            else (metric.expression, metric.rests_on, metric.squares)
        )
        if by_resolution and cube:
            parts = ("coalesce(sum(tickets), 0)::BIGINT", "coalesce(sum(tickets), 0)::BIGINT", "NULL")
        columns += [f"{sql} AS {prefix}_{metric.name}" for prefix, sql in zip("vns", parts, strict=True)]
    found = source.records(
        statement(
            "additive",
            keys=_keys(asked, moment),
            count="coalesce(sum(tickets), 0)::BIGINT" if cube else "count(*)",
            values=", ".join(columns),
            source=_source(asked, cube, by_resolution=by_resolution),
            where=where,
            groups=_groups(asked),
        ),
        values,
    )
    found = [row for row in found if row["tickets"] and not _is_double(row)]
    made = [row for metric in chosen for row in _rows(found, metric, asked.keys)]
    return made if asked.by else _ordered(made, chosen, asked)


def _source(asked: Asked, cube: str, *, by_resolution: bool) -> str:
    """SQL: where what is asked is read: a cube by day, or the tickets."""
    if cube:
        return rollups.table("resolved" if by_resolution else "created", cube)
    if by_resolution:
        return "ticket"
    first, last = zip(asked.before or (asked.start, asked.end), (asked.start, asked.end), strict=True)
    return source.between(min(first), max(last))


def _ordered(rows: list[Row], chosen: Sequence[Metric], asked: Asked) -> list[Row]:
    """Exact quantiles of all days together with their intervals, from the tickets at the two ranks; other rows as they are."""
    exact = {m.name: m for m in chosen if m.quantile is not None}
    columns = []
    for row in rows:
        metric = exact.get(row["metric"])
        if metric and metric.duration and metric.quantile and row["n"] and _is_whole(row):
            half = Z * math.sqrt(metric.quantile * (1 - metric.quantile) / row["n"])
            edges = [max(0.0, metric.quantile - half), min(1.0, metric.quantile + half)]
            columns.append(f"quantile_cont({metric.duration.sql}, {edges}) AS {metric.name}")
    if not columns:
        return rows
    where, values = _where(replace(asked, before=None), "created_at")
    near = source.between(asked.start, asked.end)
    found = source.records(f"SELECT {', '.join(columns)} FROM {near} WHERE {where}", values)[0]
    return [_with_edges(row, found, exact) if row["metric"] in found and _is_whole(row) else row for row in rows]


def _is_whole(row: Row) -> bool:
    return not row.get("period") and row.get("side") != "before"


def _is_double(row: Row) -> bool:
    return row.get("side") == "before" and row.get("period") is not None


def _with_edges(row: Row, found: Row, exact: Mapping[str, Metric]) -> Row:
    low, high = (edge / PER_UNIT[exact[row["metric"]].unit] for edge in found[row["metric"]])
    return {**row, "low": low, "high": high}


def _where(asked: Asked, moment: str) -> tuple[str, dict[str, Any]]:
    """SQL: which tickets or days are asked for, and the values in it."""
    parts, values = conditions(asked.where)
    values |= {"since": asked.start, "until": asked.end}
    values |= {f"keep_{name}": [str(one) for one in kept] for name, kept in asked.keep.items()}
    span = _within(moment, "since", "until")
    if asked.before:
        values |= {"since_before": asked.before[0], "until_before": asked.before[1]}
        span = f"(({span}) OR ({_within(moment, 'since_before', 'until_before')}))"
    return " AND ".join([span, *parts]), values


def _within(moment: str, since: str, until: str) -> str:
    """SQL: whether a day, or a moment of a ticket, lies in the days that the two values name."""
    if moment == "day":
        return f"day BETWEEN ${since}::DATE AND ${until}::DATE"
    return f"{moment} >= ${since}::TIMESTAMP AND {moment} < ${until}::TIMESTAMP + INTERVAL 1 DAY"


def _keys(asked: Asked, moment: str) -> str:
    groups = [f"{label(name, asked.keep)} AS {name}" for name in asked.by] or [f"'{ALL}' AS label"]
    now = _within(moment, "since", "until")
    if asked.before:
        groups.append(f"CASE WHEN {now} THEN 'now' ELSE 'before' END AS side")
    if asked.grain:
        period = _period(asked.grain, moment)
        if (
            asked.before
        ):  # With both sets of `_groups`, the days before are in both: `_is_double` is where they have a period.
            period = f"CASE WHEN {now} THEN {period} {'ELSE $since_before::DATE' if asked.whole else ''} END"
        groups.append(f"{period} AS period")
    return ", ".join(groups)


def _groups(asked: Asked, more: int = 0) -> str:
    """SQL: by what is grouped: all keys and so many columns after them, and with `whole` also all but the period."""
    keys = len(asked.keys)
    if not asked.whole:
        return "ALL"
    also = list(range(keys + 1, keys + 1 + more))
    sets = ([*range(1, keys + 1), *also], [*range(1, keys), *also])
    return f"GROUPING SETS ({', '.join('(' + ', '.join(map(str, one)) + ')' for one in sets)})"


def _period(grain: Grain, day: str) -> str:
    """SQL: the first day of the period in which a day lies. Weeks are counted: half of the time of truncating them."""
    if grain == "week":
        return f"({day}::DATE - (({day}::DATE - DATE '{MONDAY}') % 7)::INTEGER)"
    return f"{day}::DATE" if grain == "day" else f"date_trunc('{grain}', {day})::DATE"


def _rows(found: Sequence[Row], metric: Metric, keys: list[str]) -> list[Row]:
    """What wide rows say of one metric, with the interval that its kind has."""
    name, value_of, n_of, squares_of = metric.name, f"v_{metric.name}", f"n_{metric.name}", f"s_{metric.name}"
    rows = []
    for wide in found:
        value, n = wide[value_of], wide[n_of]
        value = None if value is None or math.isnan(value) else float(value)
        low, high = interval(metric, value, n, wide[squares_of])
        row = {"metric": name, "tickets": wide["tickets"], "value": value, "n": n, "low": low, "high": high}
        for key in keys:
            row[key] = wide[key]
        rows.append(row)
    return rows


def interval(metric: Metric, value: float | None, n: int, squares: float | None) -> tuple[float | None, float | None]:
    """Where the true value lies in 95 of 100 cases, by the metric's formula; empty where it has none."""
    if value is None or not n:
        return None, None
    if metric.interval == "poisson":
        half = Z * math.sqrt(value)
        return max(0.0, value - half), value + half
    if metric.interval == "wilson":
        share = value / 100
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z * math.sqrt(max(0.0, share * (1 - share) / n + Z**2 / (4 * n**2))) / (1 + Z**2 / n)
        return 100 * (middle - half), 100 * (middle + half)
    if metric.interval == "normal" and n > 1 and squares is not None:
        half = Z * math.sqrt(max(0.0, squares - value**2) / (n - 1))
        return value - half, value + half
    return None, None


def _binned(chosen: Sequence[Metric], asked: Asked, kept: str) -> list[Row]:
    """Quantiles of one duration out of its bins."""
    where, values = _where(asked, "day")
    sql = statement(
        "binned",
        keys=_keys(asked, "day"),
        source=rollups.table("bins", kept),
        where=where,
        groups=_groups(asked, more=1),
    )
    found = source.arrays(sql, values)
    held, keys = found["held"], [found[key] for key in asked.keys]
    if not len(held):
        return []
    first = bins.starts(keys)
    groups = zip(*(_plain(column[first]) for column in keys), strict=True)
    named = [dict(zip(asked.keys, group, strict=True)) for group in groups]
    n = bins.sizes(held, first).tolist()
    rows = []
    for metric in chosen:
        assert metric.quantile is not None  # noqa: S101
        sides = bins.quantiles(found["bin"], held, first, metric.quantile)
        unit = PER_UNIT[metric.unit]
        columns = ((sides[name] / unit).tolist() for name in ("value", "low", "high"))
        for one, tickets, value, low, high in zip(named, n, *columns, strict=True):
            told = {"metric": metric.name, "tickets": tickets, "value": value, "n": tickets, "low": low, "high": high}
            rows.append(one | told)
    return [row for row in rows if not _is_double(row)]


def _plain(column: Any) -> list[Any]:
    """The values of a column as Python has them; moments are days."""
    return list((column.astype("datetime64[D]") if column.dtype.kind == "M" else column).tolist())


def _sided(chosen: Sequence[Metric], asked: Asked, cube: str) -> list[Row]:
    """What is open at the end of the days, and of those before where these are asked too."""
    if not asked.before:
        return _open(chosen, asked, cube)
    sides = {"now": (asked.start, asked.end), "before": asked.before}
    return [
        {**row, "side": side}
        for side, (start, end) in sides.items()
        for row in _open(chosen, replace(asked, start=start, end=end, before=None), cube)
    ]


def _open(chosen: Sequence[Metric], asked: Asked, cube: str) -> list[Row]:
    names = ", ".join(asked.by or ["label"])
    groups = ", ".join(f"{label(one, asked.keep)} AS {one}" for one in asked.by) or f"'{ALL}' AS label"
    parts, values = conditions(asked.where)
    values |= {f"keep_{name}": [str(one) for one in kept] for name, kept in asked.keep.items()}
    values |= {"since": asked.start if asked.grain else asked.end, "until": asked.end}
    also = "".join(f" AND {part}" for part in parts)
    if cube:
        signs: dict[rollups.Kind, str] = {"created": "", "resolved": "-"}
        flow = " UNION ALL ".join(
            f"SELECT {groups}, day, {sign}tickets AS tickets, {sign}born AS born FROM {rollups.table(kind, cube)} "
            f"WHERE day <= $until::DATE{also}"
            for kind, sign in signs.items()
        )
    else:
        flow = _flow(groups, names, also, aged=any("open_born" in m.daily_expression for m in chosen))
    columns = ", ".join(
        f"{m.daily_expression} AS v_{m.name}, {m.daily_rests_on} AS n_{m.name}, NULL AS s_{m.name}" for m in chosen
    )
    found = source.records(
        statement("open", flow=flow, names=names, grain=asked.grain or "day", values=columns), values
    )
    return [row for metric in chosen for row in _rows(found, metric, asked.keys)]


def _flow(groups: str, names: str, also: str, *, aged: bool) -> str:
    """SQL: from the tickets, how many came and went each day; those from before all days count for the first one.

    `aged` tells whether the moments of their creation are added up too, for which every ticket's must be read.
    """
    born = "sum(epoch_us(created_at) // 1000000)" if aged else "0"
    counted = f"count(*)::BIGINT AS tickets, {born}::BIGINT AS born FROM ticket WHERE true{also}"
    return statement("flow", groups=groups, names=names, counted=counted)
