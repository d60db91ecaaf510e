"""Daily rollups: sums and counts by day and dimension, and durations in bins, in one file beside a part of the tickets.

Parts are additive: what a part's file adds up is added up over parts, and so are the bins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import duckdb

from workbench.tickets import hours, metrics, view
from workbench.tickets.columns import FOUND
from workbench.tickets.manifest import Names

Cube = tuple[str, ...]
ALL = "all"
COUNTED: tuple[Cube, ...] = (
    ("topic", "channel", "vendor"),
    ("topic", "subtopic"),
    ("product", "team"),
    ("status",),
    ("priority", "language", "customer_tier"),
    FOUND,
)
"""The dimensions that are counted together, ticket by ticket."""

DIMENSIONS = tuple(dict.fromkeys(name for cube in COUNTED for name in cube))
FINER = ("subtopic", "found_subtopic")
"""Dimensions that say little more together with the one above them: they are not kept alone."""

NARROW = {
    one: next(cube for cube in COUNTED if one in cube)
    for one in DIMENSIONS
    if (one,) not in COUNTED and one not in FINER
}
"""The dimensions that are also kept alone, added up from a cube that has them: most charts ask for no more than one."""

CUBES: tuple[Cube, ...] = ((), *COUNTED, *((one,) for one in NARROW))
"""The dimensions that are kept together. A question that needs others goes to the tickets."""
SMALLEST = min(COUNTED, key=len)
"""What is added up to the whole."""
FEW = 64
"""A dimension of so many values is looked up in the list of them; one of more is not."""

Kind = Literal["created", "resolved", "bins"]
TABLE = re.compile(r'"(created|resolved|bins) ([^"]+)"')
"""How a statement names a table of rollups: `"created topic"` holds the cube `topic` by day of creation."""
PER_OCTAVE = 4
"""Bins in a doubling of a duration: neighbours are 19 % apart."""

WORTH = 200_000
"""Below so many tickets there are no rollups: the tickets themselves answer as fast."""
SMALL, SHARE = 100_000, 0.5
"""A cube of more rows than SMALL is left out where it has more than SHARE of the part's: it would save nothing."""


def name(dimensions: Iterable[str]) -> str:
    """What a cube is called in the files, by its dimensions."""
    return "+".join(dimensions) or ALL


def binned(duration: metrics.Duration, dimension: str = ALL) -> str:
    """What the bins of a duration are called in the files, by the dimension that they are kept for."""
    return f"{duration.name}:{dimension}"


def recipe() -> str:
    """A digest of all that the figures in a rollup depend on; files made by another recipe are not used."""
    told = [repr(metrics.COLUMNS), repr(metrics.DURATIONS), repr(CUBES), str(PER_OCTAVE), *hours.told()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def write(part: Path, target: Path, *, enriched: bool = False) -> None:
    """Write the rollup of the tickets in the Parquet file `part` to `target`. Raises duckdb.Error where it cannot."""
    write_all([(part, target)], enriched=enriched)


def write_all(files: Sequence[tuple[Path, Path]], *, enriched: bool = False) -> None:
    """Write the rollup of each file of tickets to the target beside it. Raises duckdb.Error where it cannot.

    They are counted together, which is less work than one by one, and needs the memory of them all.
    Topics found in texts stay numbers here, so that a new name changes no file; `attach` names them.
    """
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        hours.attach(connection, beside=True)
        topics = view.marked(_most(connection, [part for part, _ in files])) if enriched else None
        pieces = [f"SELECT {i} AS part, * FROM ({view.select([part], topics)})" for i, (part, _) in enumerate(files)]
        connection.execute(f"CREATE VIEW ticket AS {' UNION ALL '.join(pieces)}")
        few = _few(connection)
        connection.execute(f"CREATE TABLE base AS {_base(few)}")
        cubes = [cube for cube in COUNTED if enriched or cube != FOUND]
        connection.execute(f"CREATE TABLE cell AS {_sums(cubes)}")
        connection.execute(f"INSERT INTO cell BY NAME {_resolved(cubes)}")
        wider = {(): SMALLEST} | ({} if enriched else {FOUND: ()}) | {(one,): cube for one, cube in NARROW.items()}
        for cube, of in wider.items():
            connection.execute(f"INSERT INTO cell BY NAME {_added_up(cube, of)}")
        daily = [duration for duration in metrics.DURATIONS.values() if duration.daily]
        connection.execute(f"CREATE TABLE binned AS {' UNION ALL BY NAME '.join(map(_bins, daily))}")
        for i, (_, target) in enumerate(files):
            kept = _worth_keeping(connection, i)
            connection.execute(
                f"COPY (SELECT * EXCLUDE (part) REPLACE (born - tickets * epoch(day)::BIGINT AS born{_decoded(few)}) "
                f"FROM (FROM (FROM cell UNION ALL BY NAME FROM binned) WHERE part = {i} AND list_contains({_list(kept)}, cube) "
                f"ORDER BY cube, dated, day, {', '.join(DIMENSIONS)}, bin)) TO {_quoted(target)} "
                "(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 61440, "
                f"KV_METADATA {{recipe: '{recipe()}', cubes: '{','.join(kept)}'}})"
            )


def fresh(files: Iterable[Path]) -> set[Path]:
    """Those of `files` that are there and hold a rollup that the present recipe made."""
    there = [file for file in files if file.is_file()]
    if not there:
        return set()
    with duckdb.connect(":memory:") as connection:
        return {file for file in there if _shared(connection, [file])}


def _most(connection: duckdb.DuckDBPyConnection, parts: Sequence[Path]) -> int:
    listed = _list(map(str, parts))
    found = connection.execute(f"SELECT coalesce(max(enriched_topic), 0) FROM read_parquet({listed})").fetchall()
    return int(found[0][0])


def attach(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], topics: Names = ()) -> frozenset[str]:
    """Make the rollups of all `files` known as `stored`; the cubes that every file has.

    None where a file is missing or made by another recipe: questions go to the tickets then.
    `topics` are the names of the topics found in texts. `facet` holds each value of a dimension with its tickets.
    """
    common = _shared(connection, files)
    if not common:
        return common
    words = [f"{view.named(one, topics)} AS {one}" for one in ("topic", "subtopic", *FOUND)]
    words.append("born + tickets * epoch(day)::BIGINT AS born")
    listed = _list(map(str, files))
    connection.execute(f"CREATE VIEW stored AS SELECT * REPLACE ({', '.join(words)}) FROM read_parquet({listed})")
    told = {smallest({one}, common): one for one in DIMENSIONS if smallest({one}, common)}
    whens = " ".join(f"WHEN '{cube}' THEN '{one}'" for cube, one in told.items())
    values = " ".join(f"WHEN '{cube}' THEN {one}" for cube, one in told.items())
    connection.execute(
        f"CREATE TABLE facet AS SELECT CASE cube {whens} END AS dimension, CASE cube {values} END AS value, "
        f"sum(tickets)::BIGINT AS tickets FROM stored WHERE dated = 'created' AND list_contains({_list(told)}, cube) "
        "GROUP BY ALL"
    )
    for one in told.values():
        connection.execute(
            f"CREATE TYPE kept_{one} AS ENUM (SELECT value FROM facet WHERE dimension = '{one}' AND value IS NOT NULL)"
        )
    return common


def smallest(needed: set[str], have: Iterable[str]) -> str:
    """The smallest of the cubes that there are that has all the dimensions `needed`, or an empty text."""
    fitting: list[Cube] = [cube for cube in CUBES if needed <= set(cube) and name(cube) in have]
    return name(sorted(fitting, key=len)[0]) if fitting else ""


def table(kind: Kind, cube: str) -> str:
    """How a statement names a cube's table; `bring` reads it into memory."""
    return f'"{kind} {cube}"'


def bring(connection: duckdb.DuckDBPyConnection, kind: Kind, cube: str) -> None:
    """Read a cube into its table, where it is not there yet: in memory a question takes a fraction of the time."""
    kept = cube.rpartition(":")[2]
    dims = [f"{one}::kept_{one} AS {one}" for one in (kept.split("+") if kept != ALL else [])]
    if kind == "bins":
        sums = ["bin", "sum(tickets)::INTEGER AS tickets"]
    else:
        wanted = _stored() if kind == "created" else [metrics.COLUMNS["tickets"], metrics.COLUMNS["born"]]
        sums = [f"sum({one.name})::{'INTEGER' if one.is_count else 'BIGINT'} AS {one.name}" for one in wanted]
    dated = "resolved" if kind == "resolved" else "created"
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table(kind, cube)} AS SELECT {', '.join([*dims, 'day', *sums])} FROM stored "
        f"WHERE cube = '{cube}' AND dated = '{dated}' GROUP BY ALL ORDER BY day"
    )


def _stored() -> list[metrics.Column]:
    return [column for column in metrics.COLUMNS.values() if not column.due]


def _shared(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> frozenset[str]:
    """The cubes that all files have, where the present recipe made all of them."""
    if not files or not all(file.is_file() for file in files):
        return frozenset()
    sql = f"SELECT file_name, key, value FROM parquet_kv_metadata({_list(map(str, files))})"
    try:
        rows = connection.execute(sql).fetchall()
    except (duckdb.IOException, duckdb.InvalidInputException):
        return frozenset()
    told: dict[str, dict[str, str]] = {}
    for file, key, value in rows:
        told.setdefault(file, {})[bytes(key).decode()] = bytes(value).decode()
    made = recipe()
    present = [one["cubes"].split(",") for one in told.values() if one.get("recipe") == made]
    return frozenset.intersection(*map(frozenset, present)) if len(present) == len(files) else frozenset()


def _base(few: frozenset[str]) -> str:
    """The tickets as numbers: dimensions as codes, durations as bins, and what is added up of each."""
    parts = ["part", "created_at::DATE AS day", "greatest(created_at, resolved_at)::DATE AS resolved_on"]
    parts += [f"{_code(one, few)} AS {one}" for one in DIMENSIONS]
    # Conditions stay as they are: to add them up is less work than to count where they hold, and they are short.
    parts += [f"({column.each}) AS {column.name}" for column in _stored()]
    daily = [long for long in metrics.DURATIONS.values() if long.daily]
    parts += [f"{bin_of(f'long_{long.name}')} AS bin_{long.name}" for long in daily]
    durations = ", ".join(f"{long.sql} AS long_{long.name}" for long in daily)
    return f"SELECT {', '.join(parts)} FROM (SELECT *, {durations} FROM ticket, opening)"


def _few(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Make the values of each dimension known as a type, `one_topic`; the dimensions that have few of them."""
    few = set()
    for one in DIMENSIONS:
        connection.execute(f"CREATE TABLE value AS SELECT DISTINCT {one} FROM ticket WHERE {one} IS NOT NULL")
        connection.execute(f"CREATE TYPE one_{one} AS ENUM (SELECT {one} FROM value ORDER BY 1)")
        if connection.execute("SELECT count(*) FROM value").fetchall()[0][0] <= FEW:
            few.add(one)
        connection.execute("DROP TABLE value")
    return frozenset(few)


def _code(dimension: str, few: frozenset[str]) -> str:
    """SQL: a short number for a value. DuckDB calls a function once for each word of a file's dictionary; it casts
    them ticket by ticket, which is the better way only where the list is long."""
    if dimension not in few:
        return f"{dimension}::one_{dimension}"
    return f"list_position(enum_range(NULL::one_{dimension}), {dimension})::UTINYINT"


def _decoded(few: frozenset[str]) -> str:
    """SQL: the values in the place of their numbers."""
    return "".join(f", enum_range(NULL::one_{one})[{one}] AS {one}" for one in DIMENSIONS if one in few)


def bin_of(microseconds: str) -> str:
    """SQL: the bin of a duration; what is shorter than a second counts as one."""
    logarithm = f"floor({PER_OCTAVE} * log2(greatest({microseconds}, 1000000) / 1000000.0))::SMALLINT"
    return f"CASE WHEN {microseconds} IS NOT NULL THEN {logarithm} END"


def _sums(cubes: Sequence[Cube]) -> str:
    """Cubes by day of creation, in one pass."""
    sums = [f"coalesce(sum(base.{column.name}), 0)::BIGINT AS {column.name}" for column in _stored()]
    sums += [f"NULL::UTINYINT AS {one}" for one in DIMENSIONS if not any(one in cube for cube in cubes)]
    return f"SELECT part, 'created' AS dated, day, {_kept(cubes)}, {', '.join(sums)} FROM base {_sets('day', cubes)}"


def _resolved(cubes: Sequence[Cube]) -> str:
    """Cubes by day of resolution: how many, and when they had been created."""
    return (
        f"SELECT part, 'resolved' AS dated, resolved_on AS day, {_kept(cubes)}, count(*)::BIGINT AS tickets, "
        f"sum(base.born)::BIGINT AS born FROM base WHERE base.solved {_sets('resolved_on', cubes)}"
    )


def _added_up(cube: Cube, of: Cube) -> str:
    """A cube by day, added up from one that tells its dimensions apart, as far as they have values."""
    sums = ", ".join(f"sum({column.name})::BIGINT AS {column.name}" for column in _stored())
    dimensions = "".join(f"{one}, " for one in cube if one in of)
    return (
        f"SELECT part, '{name(cube)}' AS cube, dated, day, {dimensions}{sums} FROM cell WHERE cube = '{name(of)}' "
        "GROUP BY ALL"
    )


def _bins(duration: metrics.Duration) -> str:
    """How many tickets of each day and dimension lie in each bin of a duration."""
    cubes: list[Cube] = [() if one == ALL else (one,) for one in duration.daily]
    column = f"bin_{duration.name}"
    return (
        f"SELECT part, 'created' AS dated, day, {_kept(cubes, f'{duration.name}:')}, {column} AS bin, "
        f"count(*)::BIGINT AS tickets FROM base WHERE {column} IS NOT NULL {_sets(f'day, {column}', cubes)}"
    )


def _sets(day: str, cubes: Iterable[Cube]) -> str:
    listed = ", ".join("(" + ", ".join(["part", day, *cube]) + ")" for cube in cubes)
    return f"GROUP BY GROUPING SETS ({listed})"


def _kept(cubes: Sequence[Cube], before: str = "") -> str:
    """SQL: the dimensions of rows of several cubes, and which cube each is of, by what it is grouped by."""
    names = list(dict.fromkeys(one for cube in cubes for one in cube))
    if not names:
        return f"'{before}{ALL}' AS cube"
    bits = {cube: "".join("0" if one in cube else "1" for one in names) for cube in cubes}
    whens = " ".join(f"WHEN {int(bits[cube], 2)} THEN '{before}{name(cube)}'" for cube in cubes)
    return f"CASE GROUPING({', '.join(names)}) {whens} END AS cube, {', '.join(names)}"


def _worth_keeping(connection: duckdb.DuckDBPyConnection, part: int) -> list[str]:
    tickets = connection.execute(f"SELECT count(*) FROM base WHERE part = {part}").fetchall()[0][0]
    sizes = connection.execute(
        "SELECT cube, count(*) FROM (SELECT part, cube FROM cell UNION ALL SELECT part, cube FROM binned) "
        f"WHERE part = {part} GROUP BY ALL ORDER BY cube"
    ).fetchall()
    return [cube for cube, rows in sizes if rows <= max(SMALL, SHARE * tickets)]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join("'" + one.replace("'", "''") + "'" for one in names) + "]"
