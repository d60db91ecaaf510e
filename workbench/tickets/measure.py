"""Any metrics over any tickets: from the daily rollups where they hold what is asked, from the tickets otherwise.

Both ways give exactly the same sums and counts; quantiles out of bins are approximate, and are said to be.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.tickets import rollups, source
from workbench.tickets.columns import NONE, dimension
from workbench.tickets.metrics import PER_UNIT, Metric
from workbench.tickets.statement import statement

Grain = Literal["day", "week", "month"]
Row = dict[str, Any]
ALL = "All tickets"
OTHER = "All others"
MONDAY = "1969-12-29"
"""A Monday before all tickets."""
Z = 1.96
"""Standard errors on each side of an interval of 95 %."""


@dataclass(frozen=True)
class Asked:
    """Which tickets, and how they are grouped. Both days belong to the period, in UTC.

    `where` is dimension to values, any of which fits. `keep` is dimension to the values that stay groups of their own,
    while all others become one. `exact` leaves approximate figures out: quantiles then come from the tickets; with
    `tickets_only` everything does.
    """

    start: dt.date
    end: dt.date
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    grain: Grain | None = None
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exact: bool = False
    tickets_only: bool = False

    @property
    def needed(self) -> set[str]:
        """The dimensions without which the question cannot be answered."""
        return {*self.by, *(name for name, values in self.where.items() if values)}

    @property
    def keys(self) -> list[str]:
        """The columns that tell the groups apart in an answer."""
        return [*(self.by or ["label"]), *(["period"] if self.grain else [])]


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
    cube = cube_for(asked.needed, have)
    daily = [m for m in plain if cube and m.daily_expression]
    raw = [m for m in plain if m not in daily]
    if daily:
        rows.extend(_additive(daily, asked, cube))
    if raw:
        rows.extend(_additive(raw, asked, ""))
    if resolved:
        rows.extend(_additive(resolved, asked, cube))
    if binned:
        rows.extend(_binned(binned, asked, have))
    if open_:
        rows.extend(_open(open_, asked, cube))
    unknown = {m.name for m in chosen if m.by_resolution and not source.resolutions()}
    rows = [row | {"value": None, "low": None, "high": None} if row["metric"] in unknown else row for row in rows]
    aside = {m.name for m in raw} | ({m.name for m in (*open_, *resolved)} if not cube else set())
    return Measured(rows, frozenset(m.name for m in binned), frozenset(aside))


def empty(metric: Metric) -> float | None:
    """What a metric is where there are no tickets: 0 for a count, unless nothing is known of it at all."""
    return 0.0 if metric.counts and not (metric.by_resolution and not source.resolutions()) else None


def cube_for(needed: set[str], have: frozenset[str]) -> str:
    """The smallest cube of rollups that has all the dimensions `needed`, or an empty text."""
    fitting: list[tuple[str, ...]] = [
        cube for cube in rollups.CUBES if needed <= set(cube) and rollups.name(cube) in have
    ]
    return rollups.name(sorted(fitting, key=len)[0]) if fitting else ""


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
    name = rollups.binned(metric.duration, next(iter(asked.needed), rollups.ALL))
    return name if name in have else ""


def _additive(chosen: Sequence[Metric], asked: Asked, cube: str) -> list[Row]:
    by_resolution = chosen[0].day == "resolution"
    wheres, values = _wheres(asked, cube, resolved=by_resolution)
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
    day = "day" if cube else ("resolved_at" if by_resolution else "created_at")
    found = source.records(
        statement(
            "additive",
            keys=_keys(asked, day),
            count="coalesce(sum(tickets), 0)::BIGINT" if cube else "count(*)",
            values=", ".join(columns),
            source="rollup" if cube else "ticket",
            where=" AND ".join(wheres),
        ),
        values,
    )
    made = [_row(row, metric, asked.keys) for metric in chosen for row in found if row["tickets"]]
    return made if asked.grain or asked.by else [_ordered(row, chosen, wheres, values) for row in made]


def _ordered(row: Row, chosen: Sequence[Metric], wheres: list[str], values: dict[str, Any]) -> Row:
    """The row of an exact quantile with its interval, from the tickets at the two ranks; any other row as it is."""
    metric = next(one for one in chosen if one.name == row["metric"])
    if metric.quantile is None or metric.duration is None or not row["n"]:
        return row
    half = Z * math.sqrt(metric.quantile * (1 - metric.quantile) / row["n"])
    edges = [max(0.0, metric.quantile - half), min(1.0, metric.quantile + half)]
    sql = f"SELECT quantile_cont({metric.duration.sql}, {edges}) AS edges FROM ticket WHERE {' AND '.join(wheres)}"
    low, high = (edge / PER_UNIT[metric.unit] for edge in source.records(sql, values)[0]["edges"])
    return {**row, "low": low, "high": high}


def _wheres(asked: Asked, cube: str, *, resolved: bool = False) -> tuple[list[str], dict[str, Any]]:
    parts, values = conditions(asked.where)
    values |= {"since": asked.start, "until": asked.end}
    values |= {f"keep_{name}": [str(one) for one in kept] for name, kept in asked.keep.items()}
    if cube:
        dated = "resolved" if resolved else "created"
        span = [f"cube = '{cube}'", f"dated = '{dated}'", "day BETWEEN $since::DATE AND $until::DATE"]
    else:
        moment = "resolved_at" if resolved else "created_at"
        span = [f"{moment} >= $since::TIMESTAMP", f"{moment} < $until::TIMESTAMP + INTERVAL 1 DAY"]
    return [*span, *parts], values


def _keys(asked: Asked, day: str) -> str:
    groups = [f"{label(name, asked.keep)} AS {name}" for name in asked.by] or [f"'{ALL}' AS label"]
    if asked.grain:
        groups.append(f"{_period(asked.grain, day)} AS period")
    return ", ".join(groups)


def _period(grain: Grain, day: str) -> str:
    """SQL: the first day of the period in which a day lies. Weeks are counted: half of the time of truncating them."""
    if grain == "week":
        return f"({day}::DATE - (({day}::DATE - DATE '{MONDAY}') % 7)::INTEGER)"
    return f"{day}::DATE" if grain == "day" else f"date_trunc('{grain}', {day})::DATE"


def _row(found: Row, metric: Metric, keys: list[str]) -> Row:
    """What a wide row says of one metric, with the interval that its kind has."""
    value, n, squares = (found[f"{prefix}_{metric.name}"] for prefix in "vns")
    value = None if value is None or math.isnan(value) else float(value)
    low, high = interval(metric, value, n, squares)
    groups = {key: found[key] for key in keys}
    return {
        "metric": metric.name,
        **groups,
        "tickets": found["tickets"],
        "value": value,
        "n": n,
        "low": low,
        "high": high,
    }


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


def _binned(chosen: Sequence[Metric], asked: Asked, have: frozenset[str]) -> list[Row]:
    parts, values = conditions(asked.where)
    values |= {f"keep_{name}": [str(one) for one in kept] for name, kept in asked.keep.items()}
    values |= {"since": asked.start, "until": asked.end, "metrics": [metric.name for metric in chosen]}
    values |= {"cubes": [_bins(m, asked, have) for m in chosen], "quantiles": [m.quantile for m in chosen]}
    where = ["list_contains($cubes::VARCHAR[], cube::VARCHAR)", "day BETWEEN $since::DATE AND $until::DATE", *parts]
    found = source.records(
        statement(
            "binned",
            keys=_keys(asked, "day"),
            names=", ".join(asked.keys),
            where=" AND ".join(where),
            per_octave=str(rollups.PER_OCTAVE),
        ),
        values,
    )
    units = {m.name: PER_UNIT[m.unit] for m in chosen}
    made: dict[tuple[Any, ...], Row] = {}
    for one in found:
        groups = {key: one[key] for key in asked.keys}
        row = made.setdefault(
            (one["metric"], *groups.values()),
            {"metric": one["metric"], **groups, "tickets": one["n"], "n": one["n"], "low": None, "high": None},
        )
        row[{-1: "low", 0: "value", 1: "high"}[one["side"]]] = one["microseconds"] / units[one["metric"]]
    return list(made.values())


def _open(chosen: Sequence[Metric], asked: Asked, cube: str) -> list[Row]:
    names = ", ".join(asked.by or ["label"])
    groups = ", ".join(f"{label(one, asked.keep)} AS {one}" for one in asked.by) or f"'{ALL}' AS label"
    parts, values = conditions(asked.where)
    values |= {f"keep_{name}": [str(one) for one in kept] for name, kept in asked.keep.items()}
    values |= {"since": asked.start if asked.grain else asked.end, "until": asked.end}
    also = "".join(f" AND {part}" for part in parts)
    if cube:
        flow = (
            f"SELECT {groups}, day, CASE dated WHEN 'created' THEN 1 ELSE -1 END AS sign, sign * tickets AS tickets, "
            f"sign * born AS born FROM rollup WHERE cube = '{cube}' AND day <= $until::DATE{also}"
        )
    else:
        born = "epoch_us(created_at) // 1000000"
        until = "< $until::TIMESTAMP + INTERVAL 1 DAY"
        flow = (
            f"SELECT {groups}, created_at::DATE AS day, count(*) AS tickets, sum({born}) AS born FROM ticket "
            f"WHERE created_at {until}{also} GROUP BY ALL UNION ALL "
            f"SELECT {groups}, resolved_at::DATE AS day, -count(*) AS tickets, -sum({born}) AS born FROM ticket "
            f"WHERE resolved_at {until}{also} GROUP BY ALL"
        )
    columns = ", ".join(
        f"{m.daily_expression} AS v_{m.name}, {m.daily_rests_on} AS n_{m.name}, NULL AS s_{m.name}" for m in chosen
    )
    found = source.records(
        statement("open", flow=flow, names=names, grain=asked.grain or "day", values=columns), values
    )
    return [_row(row, metric, asked.keys) for metric in chosen for row in found]
