"""Files of tickets as batches of plain values: CSV, JSON Lines and Parquet, each row with its line number."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from workbench.errors import Invalid, NotFound
from workbench.tickets.batches import Batch, Dialect, Reject, excerpt, is_utf8
from workbench.tickets.feed import LONGEST_LINE, Feed, Lines, segments

BATCH = 50_000
LONGEST_DOCUMENT = 200_000_000
LISTS = ("tickets", "conversations", "results", "data")
"""Under which key a help desk's answer holds its rows."""


@dataclass(frozen=True)
class Table:
    """A file that has been opened: its columns in order, and its rows to be read once."""

    columns: tuple[str, ...]
    batches: Iterator[Batch]


def read(path: Path, *, dialect: Dialect | None = None, within: tuple[str, ...] = ()) -> Table:
    """The table in the file at `path`, by its ending. `within` are values inside of JSON objects, such as `via.channel`,
    that become columns of their own. Raises NotFound, or Invalid where it cannot be that table."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", remedy="Check the path.")
    reader = _readers(dialect or Dialect(), within).get(path.suffix.lower())
    if reader is None:
        raise Invalid(
            f"{path.name} is of no known kind.",
            remedy="Load a file that ends in .csv, .jsonl, .ndjson, .json or .parquet.",
        )
    try:
        return reader(path)
    except OSError as error:
        raise Invalid(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _readers(dialect: Dialect, within: tuple[str, ...]) -> dict[str, Callable[[Path], Table]]:
    return {
        ".csv": lambda path: _csv(path, dialect),
        ".jsonl": lambda path: _jsonl(path, within),
        ".ndjson": lambda path: _jsonl(path, within),
        ".json": lambda path: _jsonl(path, within),
        ".parquet": _parquet,
    }


def open_csv(path: Path, handle: BufferedReader, dialect: Dialect) -> tuple[Feed, tuple[str, ...]]:
    """The feed of an open CSV file behind its header, and the columns that the header names; raises Invalid."""
    feed = Feed(handle, path.name, dialect.encoding)
    lines = Lines(feed)
    try:
        header = next(csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True), [])
    except csv.Error as error:
        raise Invalid(f"The first line of {path.name} cannot be read: {error}.") from error
    lines.accept()
    return feed, _names(header, path, dialect.delimiter)


def _csv(path: Path, dialect: Dialect) -> Table:
    with path.open("rb") as handle:
        _feed, columns = open_csv(path, handle, dialect)
    return Table(columns, _csv_batches(path, dialect))


def _csv_batches(path: Path, dialect: Dialect) -> Iterator[Batch]:
    with path.open("rb") as handle:
        feed, columns = open_csv(path, handle, dialect)
        for found in segments(feed, columns, dialect, quick=None):
            if isinstance(found, Batch):
                yield found


def _names(header: list[str], path: Path, delimiter: str) -> tuple[str, ...]:
    names = tuple(name.strip() or f"column_{i}" for i, name in enumerate(header, 1))
    if not is_utf8(names) or any("\0" in name for name in names):
        raise Invalid(
            f"{path.name} is not a UTF-8 text.",
            remedy="Save it as CSV with the encoding UTF-8, or name its encoding in the mapping, such as utf-16 or cp1252.",
        )
    if not names:
        raise Invalid(f"{path.name} is empty.", remedy="Its first line must name the columns.")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid(f"{path.name} has more than one column {repeated[0]!r}.", remedy="Rename or remove one of them.")
    if len(names) == 1:
        for other in ";\t|,":
            if other != delimiter and other in names[0]:
                shown = "\\t" if other == "\t" else other
                raise Invalid(
                    f"The columns of {path.name} seem to be separated by {shown!r}, not by {delimiter!r}.",
                    remedy=f'Write `delimiter: "{shown}"` into a mapping file and pass it with --mapping.',
                )
    return names


def _jsonl(path: Path, within: tuple[str, ...]) -> Table:
    columns: dict[str, None] = {}
    for _line, found in _json_rows(path, within):
        if isinstance(found, dict):
            columns.update(dict.fromkeys(found))
    if not columns:
        raise Invalid(f"{path.name} holds no JSON objects.", remedy="Each line must be one object, such as one ticket.")
    return Table(tuple(columns), _jsonl_batches(path, tuple(columns), within))


def _jsonl_batches(path: Path, columns: tuple[str, ...], within: tuple[str, ...]) -> Iterator[Batch]:
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for line, found in _json_rows(path, within):
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            lines.append(line)
            rows.append(found)
        if len(rows) + len(rejects) >= BATCH:
            yield Batch(lines, {name: [row.get(name) for row in rows] for name in columns}, rejects)
            lines, rows, rejects = [], [], []
    yield Batch(lines, {name: [row.get(name) for row in rows] for name in columns}, rejects)


def _json_rows(path: Path, within: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    for line, found in _document(path) if path.suffix.lower() == ".json" else _json_lines(path):
        if within and isinstance(found, dict):
            found = {**found, **{name: value for name in within if (value := _inside(found, name)) is not None}}
        yield line, found


def _inside(row: dict[str, Any], name: str) -> Any:
    value: Any = row
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _document(path: Path) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """The rows of one JSON document: a list, or an object that holds one, as help desks answer; or else JSON Lines."""
    if path.stat().st_size > LONGEST_DOCUMENT:
        yield from _json_lines(path)
        return
    try:
        body = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        yield from _json_lines(path)
        return
    rows = body if isinstance(body, list) else next((body[key] for key in LISTS if key in body), [body])
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            yield number, Reject(number, "this is not a JSON object", excerpt(str(row)))
        elif not _is_whole(row):
            yield number, Reject(number, "this object holds half a character", excerpt(json.dumps(row)))
        else:
            yield number, row


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    line = 0
    with path.open("rb") as handle:
        while raw := handle.readline(LONGEST_LINE + 1):
            line += 1
            if len(raw) > LONGEST_LINE:
                while raw and not raw.endswith(b"\n"):
                    raw = handle.readline(LONGEST_LINE)
                yield line, Reject(line, "the line is longer than 4 MB", "")
            elif raw.strip():
                yield line, _json_row(line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw)


def _json_row(line: int, raw: bytes) -> dict[str, Any] | Reject:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Reject(line, "the line is not UTF-8", "")
    try:
        body = _decoder.decode(text)
    except (ValueError, RecursionError):
        return Reject(line, "the line is not JSON", excerpt(text))
    if not isinstance(body, dict):
        return Reject(line, "the line is not a JSON object", excerpt(text))
    if "\\u" in text and not _is_whole(body):
        return Reject(line, "the line holds half a character", excerpt(text))
    return body


def _is_whole(body: Any) -> bool:
    """Whether no text in a JSON value holds half a character, which no file can keep."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_no_constant)
"""One for all lines: to make one for each takes as long as to read a short line."""


def _parquet(path: Path) -> Table:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        with path.open("rb") as handle:
            columns = tuple(str(name) for name in pq.ParquetFile(handle).schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{path.name} is not a Parquet file that can be read.") from error
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise Invalid(f"{path.name} has more than one column {repeated[0]!r}.", remedy="Rename or remove one of them.")
    return Table(columns, _parquet_batches(path))


def _parquet_batches(path: Path) -> Iterator[Batch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 0
    try:
        with path.open("rb") as handle:
            for batch in pq.ParquetFile(handle).iter_batches(batch_size=BATCH):
                values = {str(name): _plain(batch.column(i)) for i, name in enumerate(batch.schema.names)}
                yield Batch(list(range(line + 1, line + batch.num_rows + 1)), values)
                line += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{path.name} is damaged after row {line:,}.") from error


def _plain(column: Any) -> list[Any]:
    """The values of an Arrow column as Python's; texts and usual moments by way of an array, in a tenth of the time.

    A moment outside of Python's years comes as a number.
    """
    import pyarrow as pa

    kind = column.type
    moments = pa.types.is_timestamp(kind) and kind.unit != "ns" and kind.tz in (None, "UTC")
    if not (moments or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        listed: list[Any] = column.to_pylist()
        return listed
    found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    if moments and kind.tz:
        return [one.replace(tzinfo=dt.UTC) if isinstance(one, dt.datetime) else one for one in found]
    return found
