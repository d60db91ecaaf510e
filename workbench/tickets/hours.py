"""Clocks: the wall's, and the one that only runs in business hours; and the targets that are measured by them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from workbench import settings
from workbench.errors import Invalid

Clock = Literal["calendar", "business"]
Span = tuple[int, int]
Longs = npt.NDArray[np.int64]

FIRST, LAST = dt.date(2000, 1, 1), dt.date(2049, 12, 31)
"""Business hours are known for these days (UTC); a duration that touches another has no value."""

OPENING = "open_until"
"""How a statement names the business hours, which `attach_opening` brings."""

KINDS = ("first_response", "resolution")
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_US = 86_400_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Schedule:
    """When somebody is there: local opening times of each weekday (Monday first), and the days that are closed."""

    zone: str
    week: tuple[tuple[tuple[dt.time, dt.time], ...], ...]
    dates: frozenset[dt.date]
    yearly: frozenset[tuple[int, int]]

    def spans(self, first: dt.date, last: dt.date) -> Iterator[Span]:
        """The opening times of the local days `first` to `last` in order: when each begins and ends, in microseconds
        since 1970 (UTC)."""
        zone = ZoneInfo(self.zone)
        week = [
            [(opens, closes, _since(opens), _since(closes) or DAY_US) for opens, closes in day] for day in self.week
        ]
        after = _offset(first, zone)
        for ordinal in range(first.toordinal(), last.toordinal() + 1):
            day = dt.date.fromordinal(ordinal)
            here, after = after, _offset(day + dt.timedelta(days=1), zone)
            if day in self.dates or (day.month, day.day) in self.yearly:
                continue
            midnight = (ordinal - _EPOCH.toordinal()) * DAY_US - here
            for opens, closes, begin, end in week[day.weekday()]:
                if here == after:
                    yield midnight + begin, midnight + end
                else:
                    until = dt.datetime.combine(day, closes, zone) if closes > opens else _midnight_after(day, zone)
                    yield _us(dt.datetime.combine(day, opens, zone)), _us(until)


@dataclass(frozen=True)
class Targets:
    """How soon tickets of each priority should be answered and resolved, in hours of `clock`."""

    clock: Clock
    first_response: dict[str, float]
    resolution: dict[str, float]

    def due_days(self, kind: str) -> int:
        """So many days after its day of creation every target of a kind has passed for a ticket, whatever its priority."""
        longest: float = max(getattr(self, kind).values())
        if self.clock == "calendar":
            return math.ceil(longest / 24) + 1
        weekly: float = sum(_length(one) for day in schedule().week for one in day) / 3600
        return math.ceil(longest / weekly + 1) * 7 + len(schedule().yearly) + len(schedule().dates)


def file(name: str) -> Path:
    """The file `name` of this home, or the one that we ship."""
    own = settings.load().local / name
    return own if own.is_file() else Path(__file__).parent / name


def schedule() -> Schedule:
    """The opening times of `hours.yaml`; raises Invalid with what is wrong in it."""
    return read_schedule(file("hours.yaml"))


def read_schedule(path: Path) -> Schedule:
    """The opening times of a file; raises Invalid with what is wrong in it."""
    given = _read(path)
    try:
        ZoneInfo(str(given["zone"]))
        if unknown := set(given["week"]) - set(WEEK):
            raise ValueError(f"{sorted(unknown)[0]} is no weekday")
        week = tuple(tuple(sorted(_times(one) for one in given["week"].get(day) or ())) for day in WEEK)
        if any((_since(earlier[1]) or DAY_US) > _since(later[0]) for day in week for earlier, later in pairwise(day)):
            raise ValueError("opening times overlap")
        if not any(week):
            raise ValueError("no day has opening times")
        holidays = [str(one) for one in given.get("holidays") or ()]
        dates = frozenset(dt.date.fromisoformat(one) for one in holidays if len(one) == 10)
        yearly = frozenset(_month_and_day(one) for one in holidays if len(one) != 10)
    except (KeyError, TypeError, AttributeError, ValueError, ZoneInfoNotFoundError) as error:
        raise Invalid(
            f"The business hours in {path.name} cannot be used: {error}.",
            remedy="Name a zone such as Europe/Berlin, and times such as 09:00-17:30 for the days of the week.",
        ) from error
    return Schedule(str(given["zone"]), week, dates, yearly)


def targets() -> Targets:
    """The targets of `targets.yaml`; raises Invalid with what is wrong in it."""
    path = file("targets.yaml")
    given = _read(path)
    try:
        if given["clock"] not in ("calendar", "business"):
            raise ValueError(f"the clock is calendar or business, not {given['clock']}")
        hours = {
            kind: {str(name): float(one[f"{kind}_hours"]) for name, one in given["targets"].items()} for kind in KINDS
        }
        if any("other" not in one or min(one.values()) <= 0 for one in hours.values()):
            raise ValueError("every target is more than 0 hours, and there is one for `other`")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Invalid(f"The targets in {path.name} cannot be used: {error}.", remedy="Correct the file.") from error
    return Targets(given["clock"], **hours)


def limit(kind: str, goals: Targets) -> str:
    """SQL: the target of a priority `p`, in microseconds."""
    hours = getattr(goals, kind)
    cases = " ".join(f"WHEN {_text(name)} THEN {_micros(value)}" for name, value in hours.items() if name != "other")
    return f"(CASE p {cases} ELSE {_micros(hours['other'])} END)" if cases else _micros(hours["other"])


def elapsed(until: str, clock: Clock) -> str:
    """SQL: microseconds from creation to the moment `until`; empty where there is none."""
    if clock == "business":
        return f"({OPENING}({until}) - {OPENING}(created_at))"
    return f"(epoch_us({until}) - epoch_us(created_at))"


def attach(connection: duckdb.DuckDBPyConnection, *, beside: bool = False) -> None:
    """Give a connection what metrics are written with: `open_until(t)`, and the targets with their clock.

    With `beside`, statements name the table `opening` beside that of the tickets, and are faster over many.
    """
    attach_opening(connection, beside=beside)
    attach_targets(connection)


def attach_targets(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the targets: by priority, in days until all have passed, and the clock that they run by."""
    goals = targets()
    for kind in KINDS:
        connection.execute(f"CREATE MACRO {kind}_target(p) AS {limit(kind, goals)}")
        connection.execute(f"CREATE MACRO {kind}_due() AS {goals.due_days(kind)}")
    if goals.clock == "business":
        attach_opening(connection)
    connection.execute(f"CREATE MACRO target_elapsed(created_at, t) AS {elapsed('t', goals.clock)}")


def attach_opening(connection: duckdb.DuckDBPyConnection, *, beside: bool = False) -> None:
    """Give a connection `open_until(t)`, where it does not have it yet.

    It is microseconds of business hours from 2000 to a moment in UTC. A list for each day holds what came
    before it, and where in it each opening time begins and ends; other days have no place in it. The lists stand in one
    row of a table, so that a query reads them once; there is no CASE, so that it computes each moment's once.
    """
    if connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'opening'").fetchall()[0][0]:
        return
    before, spans = _days(schedule())
    names = ["passed", *(f"{edge}_{i}" for i in range(len(spans)) for edge in ("opens", "closes"))]
    lists = [before, *(edge for pair in spans for edge in pair)]
    # A frame is there in a fifth of the time that lists of Python's numbers take.
    connection.register("hours", pd.DataFrame({name: [values] for name, values in zip(names, lists, strict=True)}))
    connection.execute("CREATE TABLE opening AS FROM hours")
    connection.unregister("hours")
    start = _us(dt.datetime.combine(FIRST, dt.time(), dt.UTC))
    connection.execute(f"CREATE MACRO day_of(t) AS greatest((epoch_us(t) - {start}) // {DAY_US} + 1, 0)")
    connection.execute(f"CREATE MACRO time_of(t) AS (epoch_us(t) - {start}) % {DAY_US}")
    at = "list_extract({}, day_of(t))" if beside else "list_extract((SELECT {} FROM opening), day_of(t))"
    within = " + ".join(
        f"greatest(0, least(time_of(t), {at.format(f'closes_{i}')}) - {at.format(f'opens_{i}')})"
        for i in range(len(spans))
    )
    connection.execute(f"CREATE MACRO {OPENING}(t) AS {at.format('passed')} + {within}")


def told() -> tuple[str, str]:
    """What the schedule and the targets say, for telling whether rollups were made with them."""
    return repr(_key(schedule())), repr(targets())


@lru_cache
def _days(hours: Schedule) -> tuple[Longs, list[tuple[Longs, Longs]]]:
    """For each UTC day, the business microseconds before it; and for each place in a day, where it opens and closes."""
    length = (LAST - FIRST).days + 1
    start = _us(dt.datetime.combine(FIRST, dt.time(), dt.UTC))
    pieces: list[list[tuple[int, int]]] = [[] for _ in range(length)]
    for opens, closes in hours.spans(FIRST - dt.timedelta(days=1), LAST + dt.timedelta(days=1)):
        begin, end = opens - start, closes - start
        for day in range(max(begin // DAY_US, 0), min((end - 1) // DAY_US, length - 1) + 1):
            pieces[day].append((max(begin - day * DAY_US, 0), min(end - day * DAY_US, DAY_US)))
    most = max(1, *map(len, pieces))
    places = np.array([day_pieces + [(0, 0)] * (most - len(day_pieces)) for day_pieces in pieces], dtype=np.int64)
    opens_at, closes_at = places[:, :, 0], places[:, :, 1]
    before = np.cumsum((closes_at - opens_at).sum(axis=1))
    passed = np.concatenate([[0], before[:-1]])
    return passed, [(opens_at[:, i].copy(), closes_at[:, i].copy()) for i in range(most)]


def _read(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Invalid(f"{path.name} cannot be read: {error}.", remedy="Correct the file.") from error
    if not isinstance(given, dict):
        raise Invalid(f"{path.name} does not hold named values.", remedy="Correct the file.")
    return given


def _times(text: Any) -> tuple[dt.time, dt.time]:
    """`09:00-17:30`; 24:00 is the end of the day and comes back as 00:00."""
    begin, _, end = str(text).partition("-")
    opens = dt.time.fromisoformat(begin.strip())
    closes = dt.time() if end.strip() == "24:00" else dt.time.fromisoformat(end.strip())
    if closes <= opens and closes != dt.time():
        raise ValueError(f"{text} does not end after it begins")
    return opens, closes


def _month_and_day(text: str) -> tuple[int, int]:
    day = dt.date.fromisoformat(f"2000-{text}")
    return day.month, day.day


def _midnight_after(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone)


def _length(span: tuple[dt.time, dt.time]) -> int:
    opens, closes = (_since(one) // 1_000_000 for one in span)
    return (closes or 86400) - opens


def _since(time: dt.time) -> int:
    """Microseconds since midnight."""
    return _us(dt.datetime.combine(_EPOCH, time, dt.UTC))


def _offset(day: dt.date, zone: ZoneInfo) -> int:
    """Microseconds that a zone's clocks are before UTC where a day begins."""
    return (zone.utcoffset(dt.datetime.combine(day, dt.time())) or dt.timedelta()) // dt.timedelta(microseconds=1)


def _us(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _micros(hours: float) -> str:
    return str(round(hours * 3_600_000_000))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _key(hours: Schedule) -> tuple[Any, ...]:
    return hours.zone, hours.week, sorted(hours.dates), sorted(hours.yearly)
