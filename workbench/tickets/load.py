"""Load a file of tickets into the current ones: CSV, JSON Lines or Parquet, by a mapping where needed."""

from __future__ import annotations

import csv
import hashlib
import queue
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import duckdb
import pandas as pd

from workbench import access, store
from workbench.errors import Invalid, WorkbenchError
from workbench.tickets import manifest, merge, publish, quick
from workbench.tickets.batches import EXCERPT, Batch, Reject
from workbench.tickets.convert import Plan, convert, plan
from workbench.tickets.feed import LARGE, PIECE, Piece, segments
from workbench.tickets.manifest import Load, Manifest
from workbench.tickets.mapping import Mapping, plain
from workbench.tickets.read import Table, open_csv, read

SHOWN = 1000
"""So many rejects are told; the file of rejects has all."""
WORKERS = 2

Progress = Callable[[int], None]
"""Told how many bytes of the file are read; may raise to stop."""


@dataclass(frozen=True)
class Loaded:
    """What a file gave. `rows + duplicates + rejected` are all rows of the file, and `rows` are the new, changed,
    unchanged and older ones; `total` is how many tickets there are now.

    `mapped` is ticket column to file column. `published` and `rejects_file` are None for a preview; `rejects_file` is
    None too where no row was rejected, and `rejects` are the first 1,000.
    """

    source: str
    sha256: str
    rows: int
    rejected: int
    duplicates: int
    rejects: tuple[Reject, ...]
    mapped: dict[str, str]
    attributes: tuple[str, ...]
    first: str
    last: str
    published: Path | None
    rejects_file: Path | None
    lines: int
    new: int
    changed: int
    unchanged: int
    older: int
    total: int
    replaced: bool


@dataclass
class _Staged:
    """Converted rows on the disk: the files, the rejects, and what was counted."""

    files: list[Path]
    rejects_file: Path
    lines: int = 0
    records: int = 0
    rows: int = 0
    rejected: int = 0
    sha256: str = ""
    first_rejects: tuple[Reject, ...] = ()


def load(
    actor: access.Actor,
    path: Path,
    *,
    mapping: Mapping | None,
    preview: bool = False,
    replace_all: bool = False,
    quick_from: int = 1 << 20,
    name: str = "",
    progress: Progress = lambda _bytes: None,
) -> Loaded:
    """Load the tickets in the file at `path` into the current ones; a preview only says what would happen.

    A ticket that is there already is brought up to date; with `replace_all` the file's take the place of all. Sample
    tickets always make way. A bad row is kept out and named with its line and reasons. CSV files of `quick_from` bytes
    are converted by SQL, smaller ones row by row, with the same result.
    Raises Refused, NotFound, Invalid, Conflict or Unavailable, each with nothing changed.
    """
    access.require(actor, "load tickets")
    mapping = mapping or Mapping()
    name = name or path.name
    table = read(path, dialect=mapping.dialect, within=mapping.within)
    how = plan(table.columns, mapping, name=name)
    with _scratch() if preview else publish.staging() as place:
        staged = _stage(path, table, how, place, quick_from=quick_from, progress=progress)
        if not staged.rows:
            raise _nothing(name, staged)
        if preview:
            before = manifest.read() if manifest.exists() else None
            return _told(name, how, staged, _merged(place, staged, before, _anew(before, replace_all)), None)
        with publish.writing():
            before = manifest.read() if manifest.exists() else None
            anew = _anew(before, replace_all)
            merged = _merged(place, staged, before, anew)
            about = _about(actor, name, staged, merged, mapping, anew and before is not None)
            new = _listed(before, merged, about)
            publish.put(
                actor,
                new,
                _files(place, merged, staged, about),
                verb="load tickets",
                thing=name,
                detail=publish.details(about),
            )
    return _told(name, how, staged, merged, new)


def put_frames(
    actor: access.Actor, frames: Iterator[pd.DataFrame], *, source: str, verb: access.Verb, progress: Progress
) -> int:
    """Put ready tickets in the place of the current ones; how many. `progress` hears how many are written."""
    with publish.staging() as place:
        digest = hashlib.sha256()
        staged = _Staged([], place / "rejects.csv")
        with duckdb.connect(":memory:") as connection:
            for frame in frames:
                rows = frame.assign(updated_at=None, _line=range(staged.records + 1, staged.records + len(frame) + 1))
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
                staged.records += len(frame)
                staged.files.append(_write(connection, rows, place, len(staged.files)))
                progress(staged.records)
        staged.lines, staged.sha256 = staged.records, digest.hexdigest()
        with publish.writing():
            before = manifest.read() if manifest.exists() else None
            merged = _merged(place, staged, before, anew=True)
            about = replace(_about(actor, source, staged, merged, Mapping(), before is not None), verb=verb)
            publish.put(
                actor,
                _listed(before, merged, about),
                merged.staged,
                verb=verb,
                thing=source,
                detail=publish.details(about),
            )
    return merged.usable


def _anew(before: Manifest | None, replace_all: bool) -> bool:
    return replace_all or before is None or before.samples


@contextmanager
def _scratch() -> Iterator[Path]:
    with publish.told(), tempfile.TemporaryDirectory(prefix="tickets-") as place:
        yield Path(place)


def _stage(path: Path, table: Table, how: Plan, place: Path, *, quick_from: int, progress: Progress) -> _Staged:
    if path.suffix.lower() != ".csv":
        return _stage_rows(path, table, how, place, progress)
    fast = path.stat().st_size >= quick_from and quick.possible(how, how.mapping.dialect)
    least = quick_from >> 2 if fast else None
    try:
        return _stage_csv(path, how, place, least=least, progress=progress)
    except quick.Odd:
        for left in place.glob("*.parquet"):
            left.unlink()
        return _stage_csv(path, how, place, least=None, progress=progress)


def _stage_csv(path: Path, how: Plan, place: Path, *, least: int | None, progress: Progress) -> _Staged:
    """Convert a CSV file piece by piece, two at a time; then hold what came of it against what was counted."""
    dialect = how.mapping.dialect
    with path.open("rb") as handle, (place / "rejects.csv").open("w", encoding="utf-8", newline="") as out:
        feed, columns = open_csv(path, handle, dialect)
        staged = _Staged([], place / "rejects.csv")
        keep = _Keeper(staged, out)
        most = min(LARGE, max(PIECE, path.stat().st_size >> 4))
        pieces = segments(feed, columns, dialect, quick=least, most=most)
        for files, records, rows, rejects in _converted(pieces, columns, how, place):
            staged.records += records
            staged.rows += rows
            keep(rejects)
            staged.files += files
            progress(feed.raw)
        staged.lines, staged.sha256 = feed.line - 1, feed.digest.hexdigest()
        if not feed.adds_up():
            raise _does_not_add_up(path.name)
    _check(staged, path.name)
    return staged


Made = tuple[list[Path], int, int, list[Reject]]


def _converted(pieces: Iterator[Piece | Batch], columns: tuple[str, ...], how: Plan, place: Path) -> Iterator[Made]:
    """The files of each piece, in order, with how many records it had, how many were good, and the rejects."""
    idle: queue.SimpleQueue[quick.Quick] = queue.SimpleQueue()
    workers: list[quick.Quick] = []

    def work(number: int, found: Piece | Batch) -> Made:
        target = place / f"rows-{number:06}.parquet"
        try:
            worker = idle.get_nowait()
        except queue.Empty:
            worker = quick.Quick(columns, how, how.mapping.dialect)
            workers.append(worker)
        try:
            if isinstance(found, Piece):
                files, rows, rejects = worker.convert(found, target)
                found.done()
                return files, len(found.starts), rows, rejects
            frame, rejects = convert(found, how)
            files = [target] if len(frame) and quick.write(worker.connection, frame, target) else []
            return files, len(found.lines) + len(found.rejects), len(frame), rejects
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for number, found in enumerate(pieces):
                waiting.append(pool.submit(work, number, found))
                if len(waiting) > WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for task in waiting:
                task.cancel()
            pool.shutdown(wait=True)
            for worker in workers:
                worker.close()


def _stage_rows(path: Path, table: Table, how: Plan, place: Path, progress: Progress) -> _Staged:
    """Convert a file of JSON Lines or Parquet, batch by batch."""
    size = path.stat().st_size
    staged = _Staged([], place / "rejects.csv")
    with staged.rejects_file.open("w", encoding="utf-8", newline="") as out, duckdb.connect(":memory:") as connection:
        keep = _Keeper(staged, out)
        for batch in table.batches:
            frame, rejects = convert(batch, how)
            staged.records += len(batch.lines) + len(batch.rejects)
            keep(rejects)
            staged.rows += len(frame)
            if len(frame):
                staged.files.append(_write(connection, frame, place, len(staged.files)))
            progress(min(size, staged.records * 200))
    with path.open("rb") as handle:
        staged.sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    staged.lines = staged.records
    _check(staged, path.name)
    return staged


class _Keeper:
    """Writes rejects to their file, and holds the first."""

    def __init__(self, staged: _Staged, out: IO[str]) -> None:
        self.staged = staged
        self.writer = csv.writer(out, lineterminator="\n")
        self.writer.writerow(["line", "reason", "text"])

    def __call__(self, rejects: list[Reject]) -> None:
        self.staged.rejected += len(rejects)
        for one in rejects:
            self.writer.writerow([one.line, one.reason, one.text.replace("\0", "")])
        if room := SHOWN - len(self.staged.first_rejects):
            first = tuple(replace(one, text=one.text[:EXCERPT]) for one in rejects[:room])
            self.staged.first_rejects += first


def _write(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame, place: Path, number: int) -> Path:
    target = place / f"rows-{number:06}.parquet"
    quick.write(connection, frame, target)
    return target


def _check(staged: _Staged, name: str) -> None:
    """Rows and rejects must be all records that were counted. Raises Invalid."""
    if staged.rows + staged.rejected != staged.records:
        raise _does_not_add_up(name)


def _does_not_add_up(name: str) -> Invalid:
    return Invalid(
        f"The rows read from {name} and those rejected are not all of its lines.",
        remedy="The current tickets were kept. Save the file again as CSV with the encoding UTF-8, and report this.",
    )


def _merged(place: Path, staged: _Staged, before: Manifest | None, anew: bool) -> merge.Merged:
    return merge.merge(place, staged.files, () if anew or before is None else before.parts)


def _listed(before: Manifest | None, merged: merge.Merged, about: Load) -> Manifest:
    """The new list; a load that changed nothing leaves what an undo brings back as it was."""
    if before is None:
        return Manifest(1, merged.parts, (about,))
    loads = (*before.loads, about)
    if about.new + about.changed == 0 and not about.replaced:
        return replace(before, generation=before.generation + 1, loads=loads)
    generation = before.generation + 1
    return replace(before, generation=generation, parts=merged.parts, loads=loads, before=before.parts, undoes=about.id)


def _files(place: Path, merged: merge.Merged, staged: _Staged, about: Load) -> list[Path]:
    files = list(merged.staged)
    if about.rejects_file:
        files.append(staged.rejects_file.rename(place / about.rejects_file))
    return files


def _about(
    actor: access.Actor, source: str, staged: _Staged, merged: merge.Merged, mapping: Mapping, replaced: bool
) -> Load:
    identity = f"load_{secrets.token_hex(6)}"
    return Load(
        id=identity,
        verb="load tickets",
        source=source,
        sha256=staged.sha256,
        loaded_at=store.now().isoformat(),
        loaded_by=actor.name,
        lines=staged.lines,
        rows=merged.usable,
        rejected=staged.rejected,
        duplicates=merged.duplicates,
        new=merged.new,
        changed=merged.changed,
        unchanged=merged.unchanged,
        older=merged.older,
        replaced=replaced,
        rejects_file=f"rejects-{identity}.csv" if staged.rejected else "",
        mapping=plain(mapping),
    )


def _told(name: str, how: Plan, staged: _Staged, merged: merge.Merged, new: Manifest | None) -> Loaded:
    about = new.loads[-1] if new else None
    folder = manifest.folder()
    return Loaded(
        source=name,
        sha256=staged.sha256,
        rows=merged.usable,
        rejected=staged.rejected,
        duplicates=merged.duplicates,
        rejects=staged.first_rejects,
        mapped={**how.columns, **{target: rule.column for target, rule in how.derive.items()}},
        attributes=how.attributes,
        first=merged.first.isoformat() + "Z" if merged.first else "",
        last=merged.last.isoformat() + "Z" if merged.last else "",
        published=folder / manifest.MANIFEST if about else None,
        rejects_file=folder / about.rejects_file if about and about.rejects_file else None,
        lines=staged.lines,
        new=merged.new,
        changed=merged.changed,
        unchanged=merged.unchanged,
        older=merged.older,
        total=new.rows if new else 0,
        replaced=about.replaced if about else False,
    )


def _nothing(name: str, staged: _Staged) -> WorkbenchError:
    if not staged.first_rejects:
        return Invalid(f"{name} has a header but no rows.", remedy="The current tickets were kept.")
    first = staged.first_rejects[0]
    return Invalid(
        f"None of the {staged.rejected:,} rows of {name} can be used; line {first.line}: {first.reason}.",
        remedy="Correct the file or write a mapping. The current tickets were kept.",
    )
