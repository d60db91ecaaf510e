"""The current tickets as the DuckDB view `ticket`: in memory, read only, nothing else on the disk within reach."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import duckdb
import pandas as pd

from workbench.errors import Unavailable
from workbench.tickets import alone, hours, manifest, outcomes, rollups, view

Signature = tuple[str, int, int, int]
T = TypeVar("T")

NEWEST = "max(created_at)::DATE AS day, max(resolved_at) IS NOT NULL AS resolutions"
"""What is looked up once of all tickets: their last day, and whether any tells when it was resolved."""

_lock = threading.Lock()
_open: tuple[Signature, duckdb.DuckDBPyConnection, frozenset[str]] | None = None


def signature() -> Signature:
    """What changes when the current tickets are changed; raises NotFound where there are none."""
    path = manifest.current()
    status = os.stat(path)  # noqa: PTH116 — the numbers, without following a name twice
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def fetch(sql: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """All rows of our own `sql` over `ticket`, and over `rollup` where there are any `cubes`.

    Values arrive only as `parameters`, by name.
    Raises NotFound where there are no tickets, and Unavailable where their files cannot be read.
    """
    return _answer(sql, parameters or {}, lambda answer: answer.df())


def records(sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The same as `fetch`, as plain rows by column name: much quicker for the few rows of a chart."""
    return _answer(sql, parameters or {}, _plain)


def cubes() -> frozenset[str]:
    """The cubes that the rollups of the current tickets have; none where they are missing or out of date."""
    return _connection()[1]


def resolutions() -> bool:
    """Whether any ticket tells when it was resolved; where none does, nobody knows which are open."""
    return bool(records("SELECT resolutions FROM newest")[0]["resolutions"])


def _answer(sql: str, parameters: dict[str, Any], take: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    named = set(re.findall(r"\$(\w+)", sql))
    bound = {name: value for name, value in parameters.items() if name in named}
    before = signature()
    try:
        return _taken(sql, bound, take)
    except Unavailable:
        if signature() == before:
            raise
        return _taken(sql, bound, take)  # The tickets were changed twice meanwhile; the files that we held are gone.


def _taken(sql: str, bound: dict[str, Any], take: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    cursor = _connection()[0].cursor()
    try:
        if outcomes.TABLE in sql:
            cursor.register(outcomes.TABLE, outcomes.table())
        return take(cursor.execute(sql, bound))
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    finally:
        cursor.close()


def _plain(answer: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [str(column[0]) for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _connection() -> tuple[duckdb.DuckDBPyConnection, frozenset[str]]:
    """The connection to the tickets as they are now; other threads keep the one they have until their answer is read."""
    global _open
    now = signature()
    with _lock:
        if _open is None or _open[0] != now:
            _open = (now, *_connect(manifest.read()))
        return _open[1], _open[2]


def _connect(found: manifest.Manifest) -> tuple[duckdb.DuckDBPyConnection, frozenset[str]]:
    parts = [manifest.folder() / part.file for part in found.parts]
    daily = [manifest.rollup(part) for part in parts]
    try:
        connection = alone.locked([*parts, *(path for path in daily if path.is_file())], view.sql(found))
    except duckdb.Error as error:
        raise _unreadable(error) from error
    hours.attach(connection)
    try:
        known = rollups.attach(connection, daily, found.topics)
        connection.execute(f"CREATE TABLE newest AS SELECT {NEWEST} FROM ticket")
    except duckdb.Error as error:
        raise _unreadable(error) from error
    return connection, known


def _unreadable(error: duckdb.Error) -> Unavailable:
    return Unavailable(
        f"The ticket file cannot be read: {str(error).splitlines()[0]}.",
        remedy="Load the tickets again on the page Load tickets.",
    )
