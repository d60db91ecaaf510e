"""A home of its own for every test, and files of tickets made in one line."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tickets.files import MakeCsv
from workbench import store


@pytest.fixture
def home(tmp_path: Path, empty_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "home" / "local").mkdir(parents=True)
    shutil.copy(empty_file, tmp_path / "home" / "local" / "workbench.db")
    yield tmp_path / "home"
    store.dispose()


@pytest.fixture
def make_csv(tmp_path: Path) -> MakeCsv:
    """Writes rows as a CSV file and returns its path."""

    def make(rows: Sequence[Mapping[str, Any]], name: str = "tickets.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return make
