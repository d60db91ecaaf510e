"""The current tickets as the DuckDB view `ticket`: in memory, read only, nothing else on the disk within reach."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from workbench.errors import Unavailable
from workbench.tickets import hours, outcomes, publish, rollups

Signature = tuple[str, int, int, int]

_lock = threading.Lock()
_open: tuple[tuple[Signature, int], duckdb.DuckDBPyConnection, frozenset[str]] | None = None


def signature() -> Signature:
    """What changes when the current tickets are replaced; raises NotFound where there are none."""
    path = publish.current()
    status = os.stat(path)  # noqa: PTH116 — the numbers, without following a name twice
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def fetch(sql: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """All rows of our own `sql` over `ticket`, and over `rollup` where there are any `cubes`.

    Values arrive only as `parameters`, by name.
    Raises NotFound where there are no tickets, and Unavailable where their file cannot be read.
    """
    with _answer(sql, parameters or {}) as answer:
        return answer.df()


def records(sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The same as `fetch`, as plain rows by column name: much quicker for the few rows of a chart."""
    with _answer(sql, parameters or {}) as answer:
        names = [str(column[0]) for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@contextmanager
def _answer(sql: str, parameters: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    named = set(re.findall(r"\$(\w+)", sql))
    bound = {name: value for name, value in parameters.items() if name in named}
    cursor = _connection()[1].cursor()
    try:
        if outcomes.TABLE in sql:
            cursor.register(outcomes.TABLE, outcomes.table())
        yield cursor.execute(sql, bound)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    finally:
        cursor.close()


def cubes() -> frozenset[str]:
    """The cubes that the rollups of the current tickets have; none where they are missing or out of date."""
    return _connection()[2]


def _connection() -> tuple[tuple[Signature, int], duckdb.DuckDBPyConnection, frozenset[str]]:
    """The connection to the file as it is now; other threads keep the one they have until their answer is read."""
    global _open
    path = publish.current()
    rollup = path.with_name(publish.ROLLUP)
    now = signature(), rollup.stat().st_mtime_ns if rollup.is_file() else 0
    with _lock:
        if _open is None or _open[0] != now:
            _open = (now, *_connect(path, rollup))
        return _open


def private(memory: str) -> duckdb.DuckDBPyConnection:
    """A connection of its own to the current tickets, as `ticket` alone, that may use so much `memory` and no disk.

    Raises NotFound where there are no tickets.
    """
    path = publish.current()
    return _locked([path], f"SET memory_limit = '{memory}'", "SET temp_directory = ''", "SET threads = 2")


def _connect(path: Path, rollup: Path) -> tuple[duckdb.DuckDBPyConnection, frozenset[str]]:
    connection = duckdb.connect(":memory:")
    tickets, daily = ("'" + str(one).replace("'", "''") + "'" for one in (path, rollup))
    connection.execute(f"SET allowed_paths = [{tickets}, {daily}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    hours.attach(connection)
    try:
        connection.execute(f"CREATE VIEW ticket AS SELECT * FROM read_parquet({tickets})")
        return connection, rollups.attach(connection, [rollup])
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error


def _locked(paths: list[Path], *settings: str) -> duckdb.DuckDBPyConnection:
    """A connection with the view `ticket` over `paths`, which can reach no other file and change no setting."""
    connection = duckdb.connect(":memory:")
    named = ", ".join("'" + str(one).replace("'", "''") + "'" for one in paths)
    for setting in (*settings, f"SET allowed_paths = [{named}]", "SET enable_external_access = false"):
        connection.execute(setting)
    connection.execute("SET lock_configuration = true")
    connection.execute(f"CREATE VIEW ticket AS SELECT * FROM read_parquet([{named}])")
    return connection


def _unreadable(error: duckdb.Error) -> Unavailable:
    return Unavailable(
        f"The ticket file cannot be read: {str(error).splitlines()[0]}.",
        remedy="Load the tickets again with `python -m workbench tickets load FILE`.",
    )
