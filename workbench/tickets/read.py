"""Files of tickets as batches of plain values: CSV, JSON Lines and Parquet, each row with its line number."""

from __future__ import annotations

import csv
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from workbench.errors import Invalid, NotFound

BATCH = 50_000
LONGEST_LINE = 4_000_000
EXCERPT = 200
TEXT: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
"""How a CSV file is opened: what is not UTF-8 comes through marked, and no line end is changed."""


@dataclass(frozen=True)
class Reject:
    """A row that could not be used: its line in the file, why, and how it begins."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some rows: line numbers, values by column, and the rows that are already known to be bad."""

    lines: list[int]
    values: dict[str, list[Any]]
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """A file that has been opened: its columns in order, and its rows to be read once."""

    columns: tuple[str, ...]
    batches: Iterator[Batch]


def read(path: Path, *, delimiter: str = ",") -> Table:
    """The table in the file at `path`, by its ending; raises NotFound, or Invalid where it cannot be that table."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", remedy="Check the path.")
    reader = _readers(delimiter).get(path.suffix.lower())
    if reader is None:
        raise Invalid(
            f"{path.name} is of no known kind.", remedy="Load a file that ends in .csv, .jsonl, .ndjson or .parquet."
        )
    try:
        return reader(path)
    except OSError as error:
        raise Invalid(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _readers(delimiter: str) -> dict[str, Callable[[Path], Table]]:
    return {
        ".csv": lambda path: _csv(path, delimiter),
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".parquet": _parquet,
    }


class _Lines:
    """Physical lines of a file; those of the record being read can be given back and read again."""

    def __init__(self, handle: TextIO) -> None:
        self.handle = handle
        self.back: deque[str] = deque()
        self.taken: list[str] = []
        self.begin = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.back.popleft() if self.back else next(self.handle)
        self.taken.append(line)
        return line

    def accept(self) -> None:
        """The record is read: the next one begins after it."""
        self.begin += len(self.taken)
        self.taken.clear()

    def skip_one(self) -> str:
        """Only the first line of the record was bad: return it and give the others back."""
        first, *rest = self.taken
        self.back.extendleft(reversed(rest))
        self.taken.clear()
        self.begin += 1
        return first


def _csv(path: Path, delimiter: str) -> Table:
    with path.open(**TEXT) as handle:
        lines = _Lines(handle)
        try:
            header = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise Invalid(f"The first line of {path.name} cannot be read: {error}.") from error
    columns = _names(header, path, delimiter)
    return Table(columns, _csv_batches(path, len(lines.taken), columns, delimiter))


def _csv_batches(path: Path, header: int, columns: tuple[str, ...], delimiter: str) -> Iterator[Batch]:
    numbers: list[int] = []
    rows: list[list[str]] = []
    rejects: list[Reject] = []
    with path.open(**TEXT) as handle:
        lines = _Lines(handle)
        list(itertools.islice(lines, header))
        lines.accept()
        for found in _csv_records(lines, len(columns), delimiter):
            if isinstance(found, Reject):
                rejects.append(found)
            else:
                numbers.append(found[0])
                rows.append(found[1])
            if len(rows) + len(rejects) >= BATCH:
                yield _by_column(numbers, rows, columns, rejects)
                numbers, rows, rejects = [], [], []
    yield _by_column(numbers, rows, columns, rejects)


def _csv_records(lines: _Lines, width: int, delimiter: str) -> Iterator[tuple[int, list[str]] | Reject]:
    """Rows and rejects. A bad quote costs its own line only: reading goes on with the line after it."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begin = lines.begin
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Reject(begin, _quote_reason(str(error)), _excerpt(lines.skip_one()))
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if len(fields) == width:
            reason = "" if _is_utf8(fields) else "the row is not UTF-8"
        else:
            reason = f"{len(fields)} values instead of {width}" if fields else ""
        if reason:
            text = lines.skip_one()
            yield Reject(begin, reason, _excerpt(text))
            continue
        lines.accept()
        if fields:
            yield begin, fields


def _quote_reason(message: str) -> str:
    if "end of data" in message or "field larger" in message:
        return "a quote is opened and never closed"
    return "a quote is opened and not closed where the value ends"


def _by_column(numbers: list[int], rows: list[list[str]], columns: tuple[str, ...], rejects: list[Reject]) -> Batch:
    values: dict[str, list[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    return Batch(numbers, values, rejects)


def _names(header: list[str], path: Path, delimiter: str) -> tuple[str, ...]:
    names = tuple(name.strip() or f"column_{i}" for i, name in enumerate(header, 1))
    if not _is_utf8(names) or any("\0" in name for name in names):
        raise Invalid(f"{path.name} is not a UTF-8 text.", remedy="Save it as CSV with the encoding UTF-8.")
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


def _jsonl(path: Path) -> Table:
    columns: dict[str, None] = {}
    for _line, found in _json_rows(path):
        if isinstance(found, dict):
            columns.update(dict.fromkeys(found))
    if not columns:
        raise Invalid(f"{path.name} holds no JSON objects.", remedy="Each line must be one object, such as one ticket.")
    return Table(tuple(columns), _jsonl_batches(path, tuple(columns)))


def _jsonl_batches(path: Path, columns: tuple[str, ...]) -> Iterator[Batch]:
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for line, found in _json_rows(path):
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            lines.append(line)
            rows.append(found)
        if len(rows) + len(rejects) >= BATCH:
            yield Batch(lines, {name: [row.get(name) for row in rows] for name in columns}, rejects)
            lines, rows, rejects = [], [], []
    yield Batch(lines, {name: [row.get(name) for row in rows] for name in columns}, rejects)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    with path.open("rb") as handle:
        for line, raw in enumerate(handle, 1):
            if raw.strip():
                yield line, _json_row(line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw)


def _json_row(line: int, raw: bytes) -> dict[str, Any] | Reject:
    if len(raw) > LONGEST_LINE:
        return Reject(line, "the line is longer than 4 MB", "")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Reject(line, "the line is not UTF-8", "")
    try:
        body = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Reject(line, "the line is not JSON", _excerpt(text))
    if not isinstance(body, dict):
        return Reject(line, "the line is not a JSON object", _excerpt(text))
    if not text.isascii() or "\\u" in text:
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return Reject(line, "the line holds half a character", _excerpt(text))
    return body


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


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
                values = {str(name): batch.column(i).to_pylist() for i, name in enumerate(batch.schema.names)}
                yield Batch(list(range(line + 1, line + batch.num_rows + 1)), values)
                line += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{path.name} is damaged after row {line:,}.") from error


def _is_utf8(texts: list[str] | tuple[str, ...]) -> bool:
    return all(text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text) for text in texts)


def _excerpt(text: str) -> str:
    return text[:EXCERPT].encode("utf-8", "replace").decode().rstrip("\r\n")
