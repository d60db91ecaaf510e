"""Converted rows join the current tickets: only the months that change are written anew.

A row with the id of a ticket that is there already takes its place, unless its update time says that it is older, or it
says the same. Of several rows with one id the one updated last counts, and of those the last in the file.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from workbench.errors import Invalid
from workbench.tickets import manifest, rollups
from workbench.tickets.alone import literals
from workbench.tickets.columns import ENRICHED, STORED, UPDATED
from workbench.tickets.convert import LINE
from workbench.tickets.manifest import FILE, PART, Part
from workbench.tickets.quick import FORMAT, SURE

MEMORY = "600MB"
LEAST = 1 << 19
"""A smaller file becomes a part together with others of its month."""
AT_ONCE = 1_000_000
"""Rollups of so many tickets are made together."""
COLUMNS = ", ".join(f'"{name}"' for name in STORED)
ADDED = ", ".join(ENRICHED)
SAME = ", ".join(f'"{name}"' for name in STORED if name != UPDATED)
BACK = ", ".join(f'"{name}"' for name in reversed(STORED) if name != UPDATED)


@dataclass(frozen=True)
class Merged:
    """What came of it: the parts that stay and the new ones, whose files are staged; counts of tickets; the days."""

    parts: tuple[Part, ...]
    staged: tuple[Path, ...]
    usable: int
    duplicates: int
    new: int
    changed: int
    unchanged: int
    older: int
    first: dt.datetime | None
    last: dt.datetime | None


@dataclass(frozen=True)
class Span:
    """A file of converted rows: how many there are, and when the first and the last of them were created."""

    path: Path
    rows: int
    first: dt.datetime
    last: dt.datetime

    @property
    def ready(self) -> bool:
        """Whether the file is a part as it stands: of one month, sorted, and with nothing to leave out."""
        return self.path.name.startswith(PART)

    def part(self, month: str) -> tuple[Part, Path]:
        """The file as a part of its month."""
        first, last = f"{self.first.isoformat()}Z", f"{self.last.isoformat()}Z"
        return Part(self.path.name, month, self.rows, first, last), self.path


class Merge:
    """One merge of the files of converted rows in a staging folder."""

    def __init__(self, place: Path, files: Sequence[Path]) -> None:
        self.place, self.files = place, list(files)
        self.db = duckdb.connect(":memory:", config={"threads": 2, "temp_directory": str(place / "spill")})
        self.db.execute(f"SET memory_limit = '{MEMORY}'")
        self.db.execute("CREATE TABLE skip (line BIGINT)")
        self.db.execute("CREATE TABLE gone (ticket_id VARCHAR)")
        self.db.execute(f"CREATE TABLE kept (ticket_id VARCHAR, subject VARCHAR, body VARCHAR, {_added()})")
        self.incoming = f"(SELECT * FROM read_parquet({literals(self.files)}) WHERE {SURE})"
        self.spans = self._spans()

    def close(self) -> None:
        """Free the memory."""
        self.db.close()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The one row of an answer."""
        found: tuple[Any, ...] = self.db.cursor().execute(sql).fetchall()[0]
        return found

    def _spans(self) -> list[Span]:
        rows = self.db.execute(
            f"SELECT filename, count(*), min(created_at), max(created_at) FROM read_parquet({literals(self.files)}, "
            f"filename=true) WHERE {SURE} GROUP BY 1 ORDER BY 3"
        ).fetchall()
        return [Span(Path(name), rows, first, last) for name, rows, first, last in rows]

    def duplicates(self) -> int:
        """Skip all but one row of each id; how many are skipped."""
        twice = f"SELECT hash(ticket_id) FROM {self.incoming} GROUP BY 1 HAVING count(*) > 1"
        self.db.execute(f"CREATE TABLE twice AS {twice}")
        if not self.one("SELECT count(*) FROM twice")[0]:
            return 0
        self.db.execute(
            f"INSERT INTO skip SELECT {LINE} FROM (SELECT {LINE}, row_number() OVER (PARTITION BY ticket_id "
            f"ORDER BY {UPDATED} DESC NULLS LAST, {LINE} DESC) AS place FROM {self.incoming} "
            "WHERE hash(ticket_id) IN (FROM twice)) WHERE place > 1"
        )
        return int(self.one("SELECT count(*) FROM skip")[0])

    def meet(self, parts: Sequence[Part]) -> tuple[dict[str, int], set[str]]:
        """Compare with the tickets of `parts`: counts of changed, unchanged and older, and the parts that lose rows."""
        self.db.execute(
            f"CREATE TABLE met AS SELECT ticket_id, filename FROM ({_ids(parts)}) "
            f"SEMI JOIN (SELECT ticket_id FROM {self.incoming}) USING (ticket_id)"
        )
        names = [Path(row[0]).name for row in self.db.execute("SELECT DISTINCT filename FROM met").fetchall()]
        if not names:
            return {}, set()
        touched = [part for part in parts if part.file in names]
        digest = f"hash({SAME}) AS one, hash({BACK}) AS two"
        fresh = f"(SELECT * FROM {self.incoming} ANTI JOIN skip ON {LINE} = skip.line SEMI JOIN met USING (ticket_id))"
        self.db.execute(
            f"CREATE TABLE fate AS SELECT n.{LINE} AS line, o.ticket_id, o.filename, CASE WHEN n.{UPDATED} < o.{UPDATED} "
            f"THEN 'older' WHEN n.one = o.one AND n.two = o.two AND n.{UPDATED} IS NOT DISTINCT FROM o.{UPDATED} "
            f"THEN 'unchanged' ELSE 'changed' END AS fate FROM (SELECT ticket_id, {UPDATED}, {LINE}, {digest} FROM {fresh}) n "
            f"JOIN (SELECT ticket_id, {UPDATED}, filename, {digest} FROM ({relation(touched)}) "
            "SEMI JOIN met USING (ticket_id)) o USING (ticket_id)"
        )
        self.db.execute("INSERT INTO skip SELECT line FROM fate WHERE fate <> 'changed'")
        self.db.execute("INSERT INTO gone SELECT ticket_id FROM fate WHERE fate = 'changed'")
        if any(part.enriched for part in touched):
            self.db.execute(
                f"INSERT INTO kept SELECT ticket_id, subject, body, {ADDED} FROM ({relation(touched, added=True)}) "
                "SEMI JOIN gone USING (ticket_id)"
            )
        counts = dict(self.db.execute("SELECT fate, count(*) FROM fate GROUP BY 1").fetchall())
        losing = self.db.execute("SELECT DISTINCT filename FROM fate WHERE fate = 'changed'").fetchall()
        return counts, {Path(row[0]).name for row in losing}

    @functools.cached_property
    def spoiled(self) -> frozenset[Path]:
        """The files with rows that are skipped, once these are known."""
        if not self.one("SELECT count(*) FROM skip")[0]:
            return frozenset()
        read = f"read_parquet({literals(self.files)}, filename=true)"
        rows = self.db.execute(f"SELECT DISTINCT filename FROM {read} SEMI JOIN skip ON {LINE} = skip.line").fetchall()
        return frozenset(Path(row[0]) for row in rows)

    def months(self) -> list[str]:
        """The months of the rows that are kept."""
        known = {f"{span.first:%Y-%m}" for span in self.spans if self._whole(span)}
        if rest := [span.path for span in self.spans if not self._whole(span)]:
            rows = self.db.execute(
                f"SELECT DISTINCT date_trunc('month', created_at) FROM read_parquet({literals(rest)}) "
                f"ANTI JOIN skip ON {LINE} = skip.line WHERE {SURE}"
            )
            known |= {f"{row[0]:%Y-%m}" for row in rows.fetchall()}
        return sorted(known)

    def _whole(self, span: Span) -> bool:
        """Whether all rows of a file are kept, and are of one month."""
        return span.ready and span.path not in self.spoiled

    def write(self, month: str, parts: Sequence[Part]) -> list[tuple[Part, Path]]:
        """The new parts of a month: files that are ready as they stand, and one of all else; none where nothing is left."""
        start, end = bounds(month)
        near = [span for span in self.spans if span.first < end and span.last >= start]
        alone = len(near) == 1
        whole = [] if parts else [span for span in near if self._whole(span)]
        ready = [span for span in whole if alone or span.path.stat().st_size >= LEAST]
        made = [span.part(month) for span in ready]
        rest = [span.path for span in near if span not in ready]
        if (parts or rest) and (found := self._written(month, parts, rest)) is not None:
            made.append(found)
        return made

    def _written(self, month: str, parts: Sequence[Part], near: Sequence[Path]) -> tuple[Part, Path] | None:
        """A new part of a month: what stays of `parts`, and the rows in the files `near` it that are kept.

        What enrichment had found stays with a ticket whose words stayed. None where nothing is left.
        """
        start, end = bounds(month)
        inside = f"created_at >= TIMESTAMP '{start}' AND created_at < TIMESTAMP '{end}'"
        fresh = f"{COLUMNS} FROM read_parquet({literals(near)})"
        enriched = any(part.enriched for part in parts)
        columns = f"{COLUMNS}, {ADDED}" if enriched else COLUMNS
        sources = []
        if parts:
            there = relation(parts, added=enriched)
            sources.append(f"SELECT {columns} FROM ({there}) ANTI JOIN gone USING (ticket_id) WHERE {inside}")
        if near:
            rows = f"SELECT {fresh} ANTI JOIN skip ON {LINE} = skip.line WHERE {SURE} AND {inside}"
            sources.append(_with_kept(rows) if enriched else rows)
        target = self.place / manifest.unused(month)
        cursor = self.db.cursor()
        try:
            query = f"{' UNION ALL '.join(sources)} ORDER BY created_at, ticket_id"
            cursor.execute(f"COPY ({query}) TO {_text(target)} ({FORMAT})")
            rows, first, last = cursor.execute(
                f"SELECT count(*), min(created_at), max(created_at) FROM read_parquet({_text(target)})"
            ).fetchall()[0]
        finally:
            cursor.close()
        if not rows:
            target.unlink()
            return None
        return replace(Span(target, rows, first, last).part(month)[0], enriched=enriched), target


def merge(
    place: Path,
    files: Sequence[Path],
    current: Sequence[Part],
    *,
    progress: Callable[[float], None] = lambda _share: None,
) -> Merged:
    """Merge the converted rows in `files` into the tickets in `current`, with new parts written to `place`.

    Raises Invalid where the counts do not add up; nothing is published here.
    """
    run = Merge(place, files)
    try:
        total, first, last = run.one(f"SELECT count(*), min(created_at), max(created_at) FROM {run.incoming}")
        duplicates = run.duplicates()
        counts, losing = run.meet(current) if current else ({}, set())
        months = set(run.months()) | {part.month for part in current if part.file in losing}
        if months and any(part.file == FILE for part in current):
            months |= _months_of(next(part for part in current if part.file == FILE), run)
        touched = {part.file for part in current if part.month in months or (part.file == FILE and months)}
        made = _write(run, sorted(months - {""}), [part for part in current if part.file in touched], progress)
        stay = [part for part in current if part.file not in touched]
        unchanged, older, changed = (counts.get(name, 0) for name in ("unchanged", "older", "changed"))
        new = total - duplicates - unchanged - older - changed
        before = sum(rows_of(part) for part in current)
        after = sum(rows_of(part) for part in stay) + sum(part.rows for part, _ in made)
        if after != before + new:
            raise Invalid(
                f"The load does not add up: {before:,} tickets and {new:,} new ones gave {after:,}.",
                remedy="The current tickets were kept. Report this with the file.",
            )
        parts = sorted([*stay, *(part for part, _ in made)], key=lambda part: (part.month, part.first))
        paths = tuple(path for _, path in made)
        return Merged(
            tuple(parts), (*paths, *rolled_up(place, parts, after)), total - duplicates, duplicates, new, changed, unchanged, older,
            first, last,
        )  # fmt: skip
    finally:
        run.close()


def _write(
    run: Merge, months: Sequence[str], parts: Sequence[Part], progress: Callable[[float], None]
) -> list[tuple[Part, Path]]:
    """One month after another, each on all threads: two at once would share the memory, and spill to the disk."""
    made: list[tuple[Part, Path]] = []
    for done, month in enumerate(months, 1):
        made += run.write(month, [part for part in parts if part.month in (month, "")])
        progress(done / len(months))
    return made


def rolled_up(place: Path, parts: Iterable[Part], tickets: int) -> list[Path]:
    """The rollup of each part that has none yet, or one of another recipe; none at all for few tickets."""
    if tickets < rollups.WORTH:
        return []
    there = {part: manifest.rollup(manifest.folder() / part.file) for part in parts}
    fresh = rollups.fresh(there.values())
    due = [part for part, rollup in there.items() if rollup not in fresh]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda some: _roll_up(place, some), _together(due)))
    return [manifest.rollup(place / part.file) for part in due]


def _together(parts: Sequence[Part]) -> list[list[Part]]:
    """Parts whose rollups are made at once: alike, of so many tickets that memory suffices, and the same work for each thread."""
    made: list[list[Part]] = []
    for enriched in (False, True):
        alike = sorted((part for part in parts if part.enriched is enriched), key=lambda one: one.month)
        rows = sum(part.rows for part in alike) or 1
        groups: list[list[Part]] = [[] for _ in range(2 * math.ceil(rows / (2 * AT_ONCE)))]
        before = 0
        for part in alike:
            middle = before + part.rows / 2
            groups[int(middle * len(groups) / rows)].append(part)
            before += part.rows
        made += [group for group in groups if group]
    return made


def _roll_up(place: Path, parts: Sequence[Part]) -> None:
    files = [place / part.file for part in parts]
    found = [path if path.is_file() else manifest.folder() / path.name for path in files]
    pairs = [(path, manifest.rollup(file)) for path, file in zip(found, files, strict=True)]
    rollups.write_all(pairs, enriched=parts[0].enriched)


def _months_of(part: Part, run: Merge) -> set[str]:
    rows = run.db.execute(f"SELECT DISTINCT strftime(created_at, '%Y-%m') FROM ({relation([part])})").fetchall()
    return {row[0] for row in rows}


def rows_of(part: Part) -> int:
    """The rows of a part; of an old home's file they are counted."""
    if part.file != FILE:
        return part.rows
    with duckdb.connect(":memory:") as connection:
        found = connection.execute(f"SELECT count(*) FROM read_parquet({_text(manifest.folder() / FILE)})").fetchall()
    return int(found[0][0])


def _ids(parts: Sequence[Part]) -> str:
    paths = [manifest.folder() / part.file for part in parts]
    return f"SELECT ticket_id, filename FROM read_parquet({literals(paths)}, filename=true)"


def relation(parts: Sequence[Part], *, added: bool = False) -> str:
    """The stored columns of parts, with `added` those of enrichment too, and the file of each row.

    An old home's file knows no update times.
    """
    plain = [manifest.folder() / part.file for part in parts if part.file != FILE and not part.enriched]
    enriched = [manifest.folder() / part.file for part in parts if part.enriched]
    pieces = []
    for paths, more in ((plain, f", {_added(empty=True)}"), (enriched, f", {ADDED}")):
        if paths:
            columns = COLUMNS + (more if added else "")
            pieces.append(f"SELECT {columns}, filename FROM read_parquet({literals(paths)}, filename=true)")
    if len(plain) + len(enriched) < len(parts):
        old = COLUMNS.replace(f'"{UPDATED}"', f'NULL::TIMESTAMP AS "{UPDATED}"')
        old += f", {_added(empty=True)}" if added else ""
        pieces.append(
            f"SELECT {old}, filename FROM read_parquet({literals([manifest.folder() / FILE])}, filename=true)"
        )
    return " UNION ALL ".join(pieces)


def _added(*, empty: bool = False) -> str:
    """The columns of enrichment with their types; or each of them without a value."""
    return ", ".join(f"NULL::{kind} AS {name}" if empty else f"{name} {kind}" for name, kind in ENRICHED.items())


def _with_kept(rows: str) -> str:
    """Fresh rows with what had been found for the tickets whose place they take, where their words are the same."""
    names = ", ".join(f"fresh.{name}" for name in COLUMNS.split(", "))
    found = ", ".join(f"kept.{name}" for name in ENRICHED)
    same = " AND ".join(f"fresh.{name} IS NOT DISTINCT FROM kept.{name}" for name in ("ticket_id", "subject", "body"))
    return f"SELECT {names}, {found} FROM ({rows}) AS fresh LEFT JOIN kept ON {same}"


def bounds(month: str) -> tuple[dt.datetime, dt.datetime]:
    """The beginning of a month, and of the next one."""
    year, number = map(int, month.split("-"))
    return dt.datetime(year, number, 1), dt.datetime(year + number // 12, number % 12 + 1, 1)


def escaped(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")


def _text(path: Path) -> str:
    return f"'{escaped(path)}'"
