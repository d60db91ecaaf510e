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
from workbench.tickets import publish

Signature = tuple[str, int, int, int]

_lock = threading.Lock()
_open: tuple[Signature, duckdb.DuckDBPyConnection] | None = None


def signature() -> Signature:
    """What changes when the current tickets are replaced; raises NotFound where there are none."""
    path = publish.current()
    status = os.stat(path)  # noqa: PTH116 — the numbers, without following a name twice
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size


def fetch(sql: str, parameters: dict[str, Any] | None = None) -> pd.DataFrame:
    """All rows of our own `sql` over `ticket`. Values arrive only as `parameters`, by name.

    Raises NotFound where there are no tickets, and Unavailable where their file cannot be read.
    """
    named = set(re.findall(r"\$(\w+)", sql))
    bound = {name: value for name, value in (parameters or {}).items() if name in named}
    cursor = _connection().cursor()
    try:
        return cursor.execute(sql, bound).df()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    finally:
        cursor.close()


def _connection() -> duckdb.DuckDBPyConnection:
    """The connection to the file as it is now; other threads keep the one they have until their answer is read."""
    global _open
    now = signature()
    with _lock:
        if _open is None or _open[0] != now:
            _open = (now, _connect(Path(now[0])))
        return _open[1]


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    literal = "'" + str(path).replace("'", "''") + "'"
    connection.execute(f"SET allowed_paths = [{literal}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    try:
        connection.execute(f"CREATE VIEW ticket AS SELECT * FROM read_parquet({literal})")
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _unreadable(error) from error
    return connection


def _unreadable(error: duckdb.Error) -> Unavailable:
    return Unavailable(
        f"The ticket file cannot be read: {str(error).splitlines()[0]}.",
        remedy="Load the tickets again with `python -m workbench tickets load FILE`.",
    )
