"""The current tickets as the DuckDB view `ticket`: in memory, read only, nothing else on the disk within reach."""

from __future__ import annotations

import datetime as dt
import os
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import duckdb
import pandas as pd

from workbench.errors import Unavailable
from workbench.tickets import alone, hours, manifest, metrics, outcomes, rollups, view
from workbench.tickets.answers import Answers

Cursor = duckdb.DuckDBPyConnection
Signature = tuple[str, int, int, int]
T = TypeVar("T")


_lock, _bringing = threading.Lock(), threading.Lock()


_OURS = secrets.token_hex(8)
MONTHS = re.compile(rf"\bticket /\* {_OURS}: created from (\d{{4}}-\d\d) to (\d{{4}}-\d\d) \*/")
"""How a statement says that only tickets of some months are meant, in words that nobody else can know."""


@dataclass(frozen=True)
class Held:
    """The connection to the tickets that have a signature, the list of them, the cubes of their rollups, the newest day,

    whether any ticket tells when it was resolved and answered, what was read in of the cubes, and the last answers.
    """

    signature: Signature
    found: manifest.Manifest
    connection: duckdb.DuckDBPyConnection
    cubes: frozenset[str]
    newest: dt.date | None
    resolutions: bool
    responses: bool
    brought: set[tuple[rollups.Kind, str]] = field(default_factory=set)
    answers: Answers = field(default_factory=Answers)


_held: Held | None = None


def signature() -> Signature:
    """What changes when the current tickets are changed; raises NotFound where there are none."""
    path = manifest.current()
    status = os.stat(path)  # noqa: PTH116 — the numbers, without following a name twice
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def fetch(sql: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """All rows of our own `sql` over `ticket`, and over the tables of the `cubes` that there are.

    Values arrive only as `parameters`, by name.
    Raises NotFound where there are no tickets, and Unavailable where their files cannot be read.
    """
    return _answer(sql, parameters or {}, _frame)


def records(sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The same as `fetch`, as plain rows by column name: much quicker for the few rows of a chart, and kept for a while."""
    names, rows = _answer(sql, parameters or {}, _plain, lambda answer: len(answer[0]) * len(answer[1]))
    return [dict(zip(names, row, strict=True)) for row in rows]


def arrays(sql: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """The same as `fetch`, as an array for each column that nobody may change: for many rows of numbers, kept too."""
    found: dict[str, Any] = _answer(sql, parameters or {}, _columns, _size)
    return dict(found)


def between(first: dt.date, last: dt.date) -> str:
    """How a statement names tickets that were created on these days (UTC): files of other months are not looked into."""
    return f"ticket /* {_OURS}: created from {first.isoformat()[:7]} to {last.isoformat()[:7]} */"


def forget() -> None:
    """Keep no answer any longer, so that all are found anew."""
    if _held is not None:
        _held.answers.forget()


def cubes() -> frozenset[str]:
    """The cubes that the rollups of the current tickets have; none where they are missing or out of date."""
    return _current().cubes


def resolutions() -> bool:
    """Whether any ticket tells when it was resolved; where none does, nobody knows which are open."""
    return _current().resolutions


def responses() -> bool:
    """Whether any ticket tells when it was first answered; where none does, nobody knows which still wait."""
    return _current().responses


def _answer(
    sql: str, parameters: dict[str, Any], take: Callable[[Cursor], T], size: Callable[[T], int] | None = None
) -> T:
    """What `take` makes of the rows; kept where its `size` can be told and it depends on nothing but the tickets."""
    named = set(re.findall(r"\$(\w+)", sql))
    bound = {name: value for name, value in parameters.items() if name in named}
    held = _current()
    asked = (take, sql, repr(bound))
    kept: T | None = held.answers.get(asked)
    if kept is not None:
        return kept
    try:
        answer = _taken(held, sql, bound, take)
    except Unavailable:
        if (now := _current()) is held:
            raise
        return _taken(now, sql, bound, take)  # The tickets were changed meanwhile; the files that we held are gone.
    if size is not None and outcomes.TABLE not in sql:
        held.answers.keep(asked, size(answer), answer)
    return answer


def _taken(held: Held, sql: str, bound: dict[str, Any], take: Callable[[Cursor], T]) -> T:
    cursor = held.connection.cursor()
    try:
        _bring(held, cursor, sql)
        return take(cursor.execute(_told(held, sql), bound))
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    finally:
        cursor.close()


def _told(held: Held, sql: str) -> str:
    """A statement in words that are quicker to answer: with the newest day, and with the files of the months meant."""
    if held.newest:
        sql = sql.replace(metrics.NEWEST, f"DATE '{held.newest}'")
    return MONTHS.sub(lambda found: _near(held.found, found[1], found[2]), sql)


def _near(found: manifest.Manifest, first: str, last: str) -> str:
    """The tickets of some months, or all where that saves nothing."""
    near = [part for part in found.parts if not part.month or first <= part.month <= last]
    if not near or len(near) == len(found.parts):
        return "ticket"
    return f"({view.sql(replace(found, parts=tuple(near)))}) AS ticket"


def _bring(held: Held, cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Read in what a statement names and is not there yet."""
    if outcomes.TABLE in sql:
        cursor.register(outcomes.TABLE, outcomes.table())
    missing = set(rollups.TABLE.findall(sql)) - held.brought
    if missing or hours.OPENING in sql:
        with _bringing:
            for kind, cube in missing - held.brought:
                rollups.bring(cursor, kind, cube)
                held.brought.add((kind, cube))
            if hours.OPENING in sql:
                hours.attach_opening(cursor)


def _frame(answer: Cursor) -> pd.DataFrame:
    return answer.df()


def _plain(answer: Cursor) -> tuple[list[str], list[tuple[Any, ...]]]:
    return [str(column[0]) for column in answer.description or ()], answer.fetchall()


def _size(columns: dict[str, Any]) -> int:
    return sum(len(column) for column in columns.values())


def _columns(answer: Cursor) -> dict[str, Any]:
    found: dict[str, Any] = answer.fetchnumpy()
    for column in found.values():
        column.setflags(write=False)
    return found


def _current() -> Held:
    """The connection to the tickets as they are now; other threads keep the one they have until their answer is read."""
    global _held
    now = signature()
    with _lock:
        if _held is None or _held.signature != now:
            _held = _connect(now, manifest.read())
        return _held


def _connect(now: Signature, found: manifest.Manifest) -> Held:
    parts = [manifest.folder() / part.file for part in found.parts]
    daily = [manifest.rollup(part) for part in parts]
    try:
        connection = alone.locked([*parts, *(path for path in daily if path.is_file())], view.sql(found))
    except duckdb.Error as error:
        raise _unreadable(error) from error
    hours.attach_targets(connection)
    try:
        known = rollups.attach(connection, daily, found.topics)
        connection.execute(
            "CREATE TABLE newest AS SELECT last::DATE AS day, * FROM (SELECT (SELECT count(*) FROM ticket) AS tickets, "
            "EXISTS (FROM ticket WHERE resolved_at IS NOT NULL) AS resolutions, "
            "EXISTS (FROM ticket WHERE first_response_at IS NOT NULL) AS responses, "
            f"(SELECT min(created_at) FROM ticket {_month(found, min)}) AS first, "
            f"(SELECT max(created_at) FROM ticket {_month(found, max)}) AS last)"
        )
        told = connection.execute("SELECT day, resolutions, responses FROM newest").fetchall()[0]
    except duckdb.Error as error:
        raise _unreadable(error) from error
    return Held(now, found, connection, known, *told)


def _month(found: manifest.Manifest, which: Callable[[set[str]], str]) -> str:
    """SQL: the condition that leaves the tickets of the first or the last month; nothing where parts have none."""
    months = {part.month for part in found.parts if part.rows}
    if not months or not all(months):
        return ""
    month = which(months)
    return f"WHERE created_at >= DATE '{month}-01' AND created_at < DATE '{month}-01' + INTERVAL 1 MONTH"


def _unreadable(error: duckdb.Error) -> Unavailable:
    return Unavailable(
        f"The ticket file cannot be read: {str(error).splitlines()[0]}.",
        remedy="Load the tickets again on the page Load tickets.",
    )
