"""What the tests of tickets share: who acts, files written, tickets read back without our own code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from workbench import access, settings
from workbench.tickets import manifest

ADMIN = access.Actor("ada", "admin")
MakeCsv = Callable[..., Path]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parts() -> list[Path]:
    """The files of the published tickets, oldest first."""
    return [manifest.folder() / part.file for part in manifest.read().parts]


def stored() -> pd.DataFrame:
    """The published tickets by creation, read without our own code, and without what a load notes of a row."""
    with duckdb.connect(":memory:") as connection:
        query = "SELECT COLUMNS('^[^_]') FROM read_parquet(?, union_by_name = true) ORDER BY created_at, ticket_id"
        return connection.execute(query, [[str(part) for part in parts()]]).df()


def is_empty() -> bool:
    return not (settings.load().tickets / manifest.MANIFEST).exists()


def attributes(row: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stored()["attributes"].iloc[row])
    return found
