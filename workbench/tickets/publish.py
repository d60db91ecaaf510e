"""The current tickets: one Parquet file, replaced as a whole, with a note of where it came from."""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from workbench import access, settings, store
from workbench.errors import NotFound, Unavailable
from workbench.tickets import rollups
from workbench.tickets.columns import ATTRIBUTES, COLUMNS
from workbench.tickets.read import Reject

FILE = "tickets.parquet"
ROLLUP = "tickets.rollup.parquet"
META = "meta.json"
REJECTS = "rejects.csv"


@dataclass(frozen=True)
class Meta:
    """Where the current tickets came from."""

    source: str
    loaded_at: dt.datetime
    rows: int
    rejected: int
    duplicates: int
    sha256: str


def current() -> Path:
    """The file of the current tickets; raises NotFound with the ways to get some."""
    path = settings.load().tickets / FILE
    if not path.is_file():
        raise NotFound(
            "There are no tickets yet.",
            remedy="Load yours with `python -m workbench tickets load FILE`, or sample ones with "
            "`python -m workbench seed`.",
        )
    return path


def meta() -> Meta:
    """Where the current tickets came from; raises NotFound where there are none."""
    path = current().with_name(META)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return Meta(**{**body, "loaded_at": dt.datetime.fromisoformat(body["loaded_at"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Unavailable(f"{path} cannot be read.", remedy="Load the tickets again.") from error


def publish(actor: access.Actor, frame: pd.DataFrame, about: Meta, rejects: list[Reject], *, verb: access.Verb) -> Path:
    """Put `frame` in the place of the current tickets, and write that to the audit trail.

    Readers see the old file or the new one, never a part; a home without a database gets one. Raises Unavailable with
    nothing changed where the folder or the database cannot be written.
    """
    folder = settings.load().tickets
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _staged(folder / FILE, lambda path: _write(frame, path)) as (tickets, put_tickets, written):
            if not store.revision()[0]:
                store.migrate()
            with (
                _staged(folder / REJECTS, lambda path: _write_rejects(rejects, path)) as (_, put_rejects, _),
                _staged(folder / META, lambda path: _write_meta(about, path)) as (_, put_meta, _),
                _staged(folder / ROLLUP, lambda path: rollups.write(written, path)) as (_, put_rollup, _),
                store.session() as session,
            ):
                access.audit.append(session, actor, verb, about.source, _detail(about))
                put_rejects()
                put_tickets()
                put_meta()
                put_rollup()
            return tickets
    except (OSError, duckdb.IOException) as error:
        raise Unavailable(
            f"The tickets cannot be written to {folder}: {_reason(error)}.",
            remedy="Make room there or make it writable, or point WORKBENCH_HOME at another folder.",
        ) from error


@contextmanager
def _staged(path: Path, write: Callable[[Path], None]) -> Iterator[tuple[Path, Callable[[], None], Path]]:
    """Write under a temporary name; a function comes back that puts it in place, and the temporary name.

    What is not put is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        write(temporary)
        yield path, lambda: os.replace(temporary, path), temporary  # noqa: PTH105 — the atomic one, by name
    finally:
        temporary.unlink(missing_ok=True)


def _write(frame: pd.DataFrame, path: Path) -> None:
    columns = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in {**COLUMNS, ATTRIBUTES: "JSON"}.items())
    target = str(path).replace("'", "''")
    with duckdb.connect(":memory:") as connection:
        connection.register("incoming", frame)
        connection.execute(
            f"COPY (SELECT {columns} FROM incoming ORDER BY created_at, ticket_id) "
            f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )


def _write_rejects(rejects: list[Reject], path: Path) -> None:
    frame = pd.DataFrame([asdict(reject) for reject in rejects], columns=["line", "reason", "text"])
    frame.to_csv(path, index=False, lineterminator="\n")


def _write_meta(about: Meta, path: Path) -> None:
    path.write_text(json.dumps({**asdict(about), "loaded_at": about.loaded_at.isoformat()}, indent=2), encoding="utf-8")


def _detail(about: Meta) -> dict[str, Any]:
    return {"rows": about.rows, "rejected": about.rejected, "duplicates": about.duplicates, "sha256": about.sha256}


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
