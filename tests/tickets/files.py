"""What the tests of tickets share: who acts, files written, tickets read back without our own code."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from workbench import access, settings, store
from workbench.tickets import manifest
from workbench.tickets import seed as samples

ADMIN = access.Actor("ada", "admin")
MakeCsv = Callable[..., Path]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def shop_at(home: Path, *, count: int, days: int, until: dt.date) -> Path:
    """A home with the sample shop, to be made once for tests that change nothing in it; returns `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        store.migrate()
        samples.seed(ADMIN, count=count, days=days, until=until)
        store.dispose()
    return home


def parts() -> list[Path]:
    """The files of the published tickets, oldest first."""
    return [manifest.folder() / part.file for part in manifest.read().parts]


def stored() -> pd.DataFrame:
    """The published tickets, read without our own code."""
    with duckdb.connect(":memory:") as connection:
        return connection.execute("SELECT * FROM read_parquet(?)", [[str(part) for part in parts()]]).df()


def is_empty() -> bool:
    return not (settings.load().tickets / manifest.MANIFEST).exists()


def attributes(row: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stored()["attributes"].iloc[row])
    return found
