"""The current tickets as the DuckDB view `ticket`: in memory, read only, nothing else on the disk within reach."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from workbench.errors import Unavailable
from workbench.tickets import manifest
from workbench.tickets.columns import ATTRIBUTES, COLUMNS

Signature = tuple[str, int, int, int]

_lock = threading.Lock()
_open: tuple[Signature, duckdb.DuckDBPyConnection] | None = None


def signature() -> Signature:
    """What changes when the current tickets are changed; raises NotFound where there are none."""
    path = manifest.current()
    status = os.stat(path)  # noqa: PTH116 — the numbers, without following a name twice
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def fetch(sql: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """All rows of our own `sql` over `ticket`, and over `rollup` where there are rollups. Values arrive as `parameters`.

    Raises NotFound where there are no tickets, and Unavailable where their files cannot be read.
    """
    named = set(re.findall(r"\$(\w+)", sql))
    bound = {name: value for name, value in (parameters or {}).items() if name in named}
    before = signature()
    try:
        return _fetch(sql, bound)
    except Unavailable:
        if signature() == before:
            raise
        return _fetch(sql, bound)  # The tickets were changed twice meanwhile, and the files that we held are gone.


def _fetch(sql: str, bound: dict[str, Any]) -> pd.DataFrame:
    cursor = _connection().cursor()
    try:
        return cursor.execute(sql, bound).df()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    finally:
        cursor.close()


def _connection() -> duckdb.DuckDBPyConnection:
    """The connection to the tickets as they are now; other threads keep the one they have until their answer is read."""
    global _open
    now = signature()
    with _lock:
        if _open is None or _open[0] != now:
            _open = (now, _connect(manifest.read()))
        return _open[1]


def _connect(found: manifest.Manifest) -> duckdb.DuckDBPyConnection:
    parts = [manifest.folder() / part.file for part in found.parts]
    rollups = [manifest.rollup(part) for part in parts]
    whole = all(path.is_file() for path in rollups)
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET allowed_paths = {literals([*parts, *(rollups if whole else [])])}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    columns = ", ".join(f'"{name}"' for name in (*COLUMNS, ATTRIBUTES))
    try:
        connection.execute(f"CREATE VIEW ticket AS SELECT {columns} FROM read_parquet({literals(parts)})")
        if whole:
            connection.execute(f"CREATE VIEW rollup AS SELECT * FROM read_parquet({literals(rollups)})")
    except duckdb.Error as error:
        raise _unreadable(error) from error
    return connection


def literals(paths: list[Path]) -> str:
    """Paths as a list in SQL, none of them taken for a pattern."""
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"


def _unreadable(error: duckdb.Error) -> Unavailable:
    return Unavailable(
        f"The ticket file cannot be read: {str(error).splitlines()[0]}.",
        remedy="Load the tickets again on the page Load tickets.",
    )
