"""Put new parts in the place of old ones: one writer at a time, all or nothing, while others read."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import duckdb
from sqlmodel import Session

from workbench import access, store
from workbench.errors import Conflict, NotFound, Unavailable
from workbench.tickets import manifest
from workbench.tickets.manifest import FILE, MANIFEST, META, Load, Manifest, Part, current, exists, folder

__all__ = ["FILE", "MANIFEST", "META", "Meta", "current", "exists", "meta", "put", "staging", "undo", "writing"]

PATIENCE = 120.0
"""Seconds that a writer waits for another one."""


@dataclass(frozen=True)
class Meta:
    """Where the current tickets came from."""

    source: str
    loaded_at: dt.datetime
    rows: int
    rejected: int
    duplicates: int
    sha256: str


def meta() -> Meta:
    """Where the current tickets came from; raises NotFound where there are none."""
    found = manifest.read()
    last = found.last()
    return Meta(last.source, last.at, found.rows or last.rows, last.rejected, last.duplicates, last.sha256)


def undo(actor: access.Actor) -> Load:
    """Bring back the tickets as they were before the last load that changed any; the load that was undone.

    Raises Refused, NotFound where nothing can be undone, Conflict or Unavailable, each with nothing changed.
    """
    access.require(actor, "load tickets")
    with writing():
        found = manifest.read()
        if not found.undoes or not found.before:
            raise NotFound("There is no load that can be undone.", remedy="Only the last load can be, and only once.")
        load = next(one for one in found.loads if one.id == found.undoes)
        put(actor, manifest.undone(found), verb="load tickets", thing=load.source, detail={"undone": load.id})
    return load


@contextmanager
def staging() -> Iterator[Path]:
    """A folder for files under way, removed at the end; what a killed process left is removed by the next writer.

    Raises Unavailable where the disk refuses.
    """
    place = folder() / f".staging-{os.getpid()}-{secrets.token_hex(4)}"
    with told():
        made = store.revision()[0]
        place.mkdir(parents=True)
        with _held(place / "alive", wait=0):
            try:
                if not made:
                    store.migrate()
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)


@contextmanager
def writing() -> Iterator[None]:
    """Be the only writer, in this process and among all others. Raises Conflict where another one takes too long."""
    with told():
        folder().mkdir(parents=True, exist_ok=True)
        with _held(folder() / ".lock", wait=PATIENCE):
            _clean()
            yield


@contextmanager
def told() -> Iterator[None]:
    """Turn a disk that refuses into words."""
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise Unavailable(
            f"The tickets cannot be written to {folder()}: {_reason(error)}.",
            remedy="Make room there or make it writable, or point WORKBENCH_HOME at another folder. The current tickets "
            "were kept.",
        ) from error


def put(
    actor: access.Actor,
    new: Manifest,
    staged: Sequence[Path] = (),
    *,
    verb: access.Verb,
    thing: str,
    detail: dict[str, object],
    also: Callable[[Session], None] = lambda _session: None,
) -> None:
    """Move staged files into the folder and let the list name them, written to the audit trail. Only while `writing`.

    Readers see the old tickets or the new ones, never a part. `also` is written in the same transaction, or nothing is.
    """
    temporary = folder() / f".{MANIFEST}.{os.getpid()}.tmp"
    try:
        _write(temporary, manifest.text(new))
        with store.session() as session:
            access.audit.append(session, actor, verb, thing, detail)
            also(session)
            session.flush()
            for path in staged:
                _sync(path)
                os.replace(path, folder() / path.name)  # noqa: PTH105 — the atomic one, by name
            os.replace(temporary, folder() / MANIFEST)  # noqa: PTH105
            _sync(folder())
    finally:
        temporary.unlink(missing_ok=True)


def details(load: Load) -> dict[str, object]:
    """What the audit trail says about a load."""
    kept = ("rows", "rejected", "duplicates", "sha256", "new", "changed", "unchanged", "older", "replaced")
    return {key: value for key, value in asdict(load).items() if key in kept}


def _clean() -> None:
    """Remove parts that neither the list nor the one before it names, and folders whose process is gone."""
    if (folder() / MANIFEST).is_file():
        found = manifest.read()
        named = {part.file for part in (*found.parts, *found.before)}
        named |= {manifest.rollup(Path(name)).name for name in named}
        for path in folder().glob("*.parquet"):
            if path.name not in named:
                path.unlink(missing_ok=True)
        if FILE not in named:
            (folder() / META).unlink(missing_ok=True)
    for place in folder().glob(".staging-*"):
        with suppress(Conflict), _held(place / "alive", wait=0):
            shutil.rmtree(place, ignore_errors=True)
    for path in folder().glob(f".{MANIFEST}.*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock of a file, which the system frees when the process dies."""
    with path.open("a") as handle:
        _lock(handle, wait)
        yield


def _lock(handle: IO[str], wait: float) -> None:
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise Conflict(
                    "Somebody else is loading tickets.", remedy="Try again when they are done. Nothing was changed."
                ) from error
            time.sleep(0.05)
        else:
            return


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(path: Path) -> None:
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]


Progress = Callable[[str, float], None]
__all__ += ["Part", "Progress", "details", "told"]
