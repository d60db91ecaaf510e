"""Well-formed pieces of a CSV file become ticket columns by SQL.

The SQL takes only values of which it is certain: what it takes is what `convert` would have made of it. Every other row
goes to `convert`, which accepts it or says why not.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import json
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from workbench.tickets import manifest
from workbench.tickets.batches import Batch, Dialect, Reject, excerpt, record
from workbench.tickets.columns import ATTRIBUTES, DIMENSIONS, READ, STORED
from workbench.tickets.convert import FALSE, LINE, LONG, RANGES, SENTIMENTS, TRUE, Plan, convert, created, latest
from workbench.tickets.feed import LONGEST_RECORD, Piece, slices

CLEAN = (
    "{0} IS NULL OR (({0} >= '!' AND {0} < chr(127)) OR ({0} >= chr(161) AND {0} < chr(5760)) OR {0} >= chr(12289)) AND "
    "({0}[-1] BETWEEN '!' AND '~' OR {0}[-1] BETWEEN chr(161) AND chr(5759) OR {0}[-1] >= chr(12289))"
)
"""Neither end of a text is a blank of any alphabet, or a control character."""
CLEAN_PLAIN = "({0} >= '!' AND NOT ends_with({0}, ' ')) OR {0} IS NULL"
"""The same where no other character of a piece can be one."""

DIGITS = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}
ISO = {
    10: ("%Y-%m-%d", True),
    16: ("%Y-%m-%d_%H:%M", True),
    19: ("%Y-%m-%d_%H:%M:%S", True),
    26: ("%Y-%m-%d_%H:%M:%S.%f", True),
    20: ("%Y-%m-%d_%H:%M:%SZ", False),
    24: ("%Y-%m-%d_%H:%M:%S.%gZ", False),
    27: ("%Y-%m-%d_%H:%M:%S.%fZ", False),
}
"""Usual times by their length, and whether they are in the mapping's zone; `_` is a T or a blank."""
SURE = "_sure"
"""The column that says whether SQL is certain of a row. Rows of which it is not are read with care, and written beside."""
FEW = 0.05
"""Share of rows that are read with care before the wider SQL is used."""
SAMPLE = 64
"""So many records of a piece tell how its times are written, and where a month ends."""
FORMAT = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 10000"
"""How parts are written: columns of a few words by dictionary, without trying it for long on those of many."""
PASSING = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION snappy, ROW_GROUP_SIZE 4096"
"""How rows are written that are soon read and sorted into parts."""
FIRST, LAST = "TIMESTAMP '1970-01-01'", "TIMESTAMP '2100-01-01'"


def possible(how: Plan, dialect: Dialect) -> bool:
    """Whether this plan can be written as SQL at all."""
    plain = ord(dialect.delimiter) < 127 and ord(dialect.quote) < 127
    return plain and all(_format(pattern) for pattern in how.mapping.patterns)


class Odd(Exception):
    """A record of several lines has the wrong number of values: a quote may be missing, so all must be read with care."""


class Quick:
    """A worker with its own database in memory: turns pieces into files of converted rows."""

    def __init__(self, columns: tuple[str, ...], how: Plan, dialect: Dialect) -> None:
        self.columns, self.how, self.dialect = columns, how, dialect
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.connection.execute("SET memory_limit = '500MB'")
        self.wide = self.sorting = False
        self.repeated = _repeated(how)
        if how.mapping.timezone != "UTC":
            self.connection.register("days", _days(how.mapping.timezone))
            self.connection.execute("CREATE TABLE zone AS SELECT day::DATE AS day, minutes FROM days")

    def close(self) -> None:
        """Free the memory."""
        self.connection.close()

    def convert(self, piece: Piece, target: Path) -> tuple[list[Path], int, list[Reject]]:
        """Write the good rows of a piece to files named like `target`; the files, how many rows, and the rejects.

        A file that is a part of a month as it stands has the name of one.
        """
        files: list[Path] = []
        rejects: list[Reject] = []
        good = 0
        for number, of_month in enumerate(self._by_month(piece) if len(piece.starts) else ()):
            more, rows, bad = self._converted(of_month, target.with_stem(f"{target.stem}-{number}"))
            files += more
            rejects += bad
            good += rows
        return files, good, rejects

    def _by_month(self, piece: Piece) -> Iterator[Piece]:
        """A piece in order, cut where a new month begins; whether it really is in order is seen once it is written."""
        size = len(piece.starts)
        start = 0
        while not self.sorting and start < size - 1 and (end := self._month_ends(piece, start)) < size:
            yield _between(piece, start, end)
            start = end
        yield _between(piece, start, size)

    def _month_ends(self, piece: Piece, start: int) -> int:
        """The number of the record that is the first of a later month than the one at `start`, in a piece in order."""
        here, below, above = None, start, len(piece.starts)
        while above - below > 1:
            numbers = _some(below, above - 1)
            months = self._months(piece, numbers)
            here = months[0] if here is None else here
            later = next((i for i, month in enumerate(months) if month > here), None)
            below, above = (numbers[-1], above) if later is None else (numbers[later - 1], numbers[later])
        return above

    def _months(self, piece: Piece, numbers: list[int]) -> list[str]:
        """The months in which records were created; empty for those that do not say it."""
        found = self._with_care(piece, numbers)
        moments = dict(zip(found.lines, created(found, self.how), strict=True))
        told = (moments.get(int(piece.lines[number])) for number in numbers)
        return [f"{one:%Y-%m}" if one else "" for one in told]

    def _converted(self, piece: Piece, target: Path) -> tuple[list[Path], int, list[Reject]]:
        scratch = target.with_suffix(".csv")
        try:
            piece, odd = self._taken(piece, scratch, target)
        finally:
            scratch.unlink(missing_ok=True)
        files = [target] if len(piece.starts) else []
        unsure = self._unsure(piece, target) if files else []
        good = len(piece.starts) - len(unsure)
        if good and not len(unsure) and (month := self._month(target)):
            files = [target.rename(target.with_name(manifest.unused(month)))]
        rejects: list[Reject] = []
        frames = []
        for part in (self._with_care(piece, unsure), odd):
            if part.lines or part.rejects:
                frame, bad = convert(part, self.how)
                frames += [frame] if len(frame) else []
                rejects += bad
        if frames:
            files.append(target.with_stem(f"{target.stem}-careful"))
            good += write(self.connection, pd.concat(frames), files[-1])
        return files, good, sorted(rejects, key=lambda one: one.line)

    def _taken(self, piece: Piece, scratch: Path, target: Path) -> tuple[Piece, Batch]:
        """Write what SQL makes of a piece to `target`. What of the piece is there, and what had to be read with care."""
        everything = np.arange(len(piece.starts))
        try:
            begins = self._written(piece, scratch, target)
            if not begins:
                return piece, Batch([], {})
            bad = _records_at(piece, begins)
            odd = self._with_care(piece, bad)
            rest = _without(piece, bad)
            if not odd.lines and (not len(rest.starts) or not self._written(rest, scratch, target)):
                return rest, odd
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfMemoryException):
            pass
        return _without(piece, everything), self._with_care(piece, everything)

    def _written(self, piece: Piece, scratch: Path, target: Path) -> list[int]:
        """Write a piece to `target`; where in it the records begin that were not taken: its end where they are unknown.

        The narrow SQL expects all times of a column in one form; where too many rows are otherwise, the wide one is used
        from then on. Words that repeat are looked at once they are written, each once; where one has blank ends, row by
        row from then on.
        """
        scratch.write_bytes(piece.data)
        run = self.connection.execute
        count = self._copied(piece, scratch, target)
        begins = [one[0] - 1 for one in run("SELECT DISTINCT line_byte_position FROM reject_errors").fetchall()]
        run("DROP TABLE IF EXISTS reject_errors")
        run("DROP TABLE IF EXISTS reject_scans")
        if begins or count != len(piece.starts):
            return begins or [len(piece.data)]
        if self._has_odd_ends(target):
            self.repeated = ()
            return self._written(piece, scratch, target)
        if not self.wide and len(self._unsure(piece, target)) > count * FEW:
            self.wide = True
            return self._written(piece, scratch, target)
        return []

    def _copied(self, piece: Piece, scratch: Path, target: Path) -> int:
        """Write a piece to `target`, sorted where pieces are not in order by themselves; how many records were taken."""
        forms = None if self.wide else self._forms(piece)
        raw = _read_csv(scratch, self.columns, self.dialect)
        clean = CLEAN_PLAIN if _is_plain(piece) else CLEAN
        query = _select(self.columns, self.how, forms, clean, raw, self._numbered(piece.lines), self.repeated)
        count = copied(self.connection, query, target, in_order=not self.sorting)
        if not self.sorting and not self._in_order(target):
            self.sorting = True
            return self._copied(piece, scratch, target)
        return count

    def _has_odd_ends(self, target: Path) -> bool:
        """Whether a word that repeats begins or ends with a blank."""
        if not self.repeated:
            return False
        source = f"FROM read_parquet({_text(str(target))})"
        words = " UNION ALL ".join(f'SELECT DISTINCT "{name}" AS word {source}' for name in self.repeated)
        query = f"SELECT count(*) FROM ({words}) WHERE NOT ({CLEAN.format('word')})"
        return bool(self.connection.execute(query).fetchall()[0][0])

    def _numbered(self, lines: Any) -> str:
        """SQL: the line of the row `_row`."""
        if lines[-1] - lines[0] == len(lines) - 1:
            return f"_row + {int(lines[0])}"
        self.connection.register("numbers", pd.DataFrame({"line": [lines]}))
        return "list_extract((SELECT line FROM numbers), _row + 1)"

    def _unsure(self, piece: Piece, target: Path) -> Any:
        """The numbers of the records of a written piece of which SQL was not certain."""
        query = f"SELECT {LINE} FROM read_parquet({_text(str(target))}) WHERE NOT {SURE} ORDER BY 1"
        unsure = self.connection.execute(query).fetchnumpy()[LINE]
        return np.searchsorted(piece.lines, unsure)

    def _forms(self, piece: Piece) -> dict[str, str]:
        """How the first time of each column is written, among some records from all over a piece."""
        values = self._with_care(piece, _some(0, len(piece.starts) - 1)).values
        return {
            target: next((value for value in values[self.how.columns[target]] if value), "")
            for target, kind in READ.items()
            if kind == "TIMESTAMP" and target in self.how.columns
        }

    def _month(self, target: Path) -> str:
        """The month of all rows in a file that is sorted as a part is; empty where there are several, or it is not."""
        times = self._values(target, "created_at")
        first, last = (f"{pd.Timestamp(one):%Y-%m}" for one in (times[0], times[-1]))
        if self.sorting or first != last:
            return ""
        same = np.flatnonzero(times[1:] == times[:-1])
        names = self._values(target, "ticket_id") if len(same) else same
        return first if bool((names[same + 1] >= names[same]).all()) else ""

    def _in_order(self, target: Path) -> bool:
        times = self._values(target, "created_at")
        return bool((times[1:] >= times[:-1]).all())

    def _values(self, target: Path, name: str) -> Any:
        """The values of a column of which SQL was certain."""
        query = f"SELECT {name} FROM read_parquet({_text(str(target))}) WHERE {SURE}"
        return self.connection.execute(query).fetchnumpy()[name]

    def _with_care(self, piece: Piece, numbers: Any) -> Batch:
        """These records, taken apart one by one. Raises Odd for one of several lines that is bad."""
        ends = np.append(piece.starts[1:], len(piece.data))
        lines: list[int] = []
        rows: list[list[str]] = []
        rejects: list[Reject] = []
        for number in np.asarray(numbers).tolist():
            text = piece.text(piece.starts[number], ends[number])
            reader = csv.reader(
                iter(_by_feed(text)),
                delimiter=self.dialect.delimiter,
                quotechar=self.dialect.quote,
                strict=True,
            )
            found = record(reader, len(self.columns))
            if isinstance(found, str):
                if "\n" in text.rstrip("\n"):
                    raise Odd
                rejects.append(Reject(int(piece.lines[number]), found, excerpt(text)))
            elif found:
                lines.append(int(piece.lines[number]))
                rows.append(found)
        return Batch(lines, {name: [row[i] for row in rows] for i, name in enumerate(self.columns)}, rejects)


def write(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame, target: Path) -> int:
    """Write a converted frame under way to a part; how many rows it has."""
    kinds = {**STORED, LINE: "BIGINT"}
    columns = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in kinds.items())
    connection.register("incoming", frame)
    try:
        return copied(connection, f"SELECT {columns}, true AS {SURE} FROM incoming", target, in_order=False)
    finally:
        connection.unregister("incoming")


def copied(connection: duckdb.DuckDBPyConnection, query: str, target: Path, *, in_order: bool) -> int:
    """Write converted rows; how many.

    What is in order may stay as it is written. What is not is sorted, and in small groups, so that a month is found
    without the rest.
    """
    order, how = ("", FORMAT) if in_order else (" ORDER BY created_at", PASSING)
    made = connection.execute(f"COPY ({query}{order}) TO {_text(str(target))} ({how})")
    return int(made.fetchall()[0][0])


def _without(piece: Piece, numbers: Any) -> Piece:
    """A piece without the records of these numbers."""
    keep = np.ones(len(piece.starts), dtype=bool)
    keep[numbers] = False
    ends = np.append(piece.starts[1:], len(piece.data))
    lengths = (ends - piece.starts)[keep]
    data = b"".join(piece.data[start:end] for start, end in _runs(piece.starts, ends, keep))
    return Piece(memoryview(data), np.cumsum(lengths) - lengths, piece.lines[keep])


def _some(first: int, last: int) -> list[int]:
    """Numbers from all over what lies between two, and these."""
    found: list[int] = np.unique(np.linspace(first, last, SAMPLE).astype(np.int64)).tolist()
    return found


def _between(piece: Piece, start: int, end: int) -> Piece:
    """The records of a piece from one number to another."""
    if start == 0 and end == len(piece.starts):
        return piece
    first = int(piece.starts[start])
    last = int(piece.starts[end]) if end < len(piece.starts) else len(piece.data)
    return Piece(piece.data[first:last], piece.starts[start:end] - first, piece.lines[start:end])


def _runs(starts: Any, ends: Any, keep: Any) -> list[tuple[int, int]]:
    """From where to where the records that are kept stand beside each other."""
    edges = np.flatnonzero(np.diff(keep.astype(np.int8), prepend=0, append=0))
    return [(int(starts[first]), int(ends[last - 1])) for first, last in edges.reshape(-1, 2).tolist()]


def _by_feed(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")[:-1]] + ([text.rsplit("\n", 1)[-1]] if text[-1:] != "\n" else [])


def _read_csv(path: Path, columns: tuple[str, ...], dialect: Dialect) -> str:
    names = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(columns)))
    quote = _text(dialect.quote)
    return (
        f"SELECT * FROM read_csv({_text(str(path))}, auto_detect=false, header=false, delim={_text(dialect.delimiter)}, "
        f"quote={quote}, escape={quote}, new_line='\\n', columns={{{names}}}, strict_mode=true, store_rejects=true, "
        f"nullstr='', max_line_size={LONGEST_RECORD * 2}, parallel=false)"
    )


def _records_at(piece: Piece, begins: list[int]) -> Any:
    """The numbers of the records that begin at these places, or behind the empty lines that begin there."""
    numbers = np.searchsorted(piece.starts, np.array(sorted(begins), dtype=np.int64))
    return np.unique(numbers[numbers < len(piece.starts)])


def _is_plain(piece: Piece) -> bool:
    """Whether a piece is in ASCII, and its only characters below the blank are the line feeds that end records."""
    array = np.frombuffer(piece.data, dtype=np.uint8)
    odd = sum(int(np.count_nonzero((some - np.uint8(32)) > 95)) for some in slices(array))
    return odd == len(piece.starts) - int(array[-1] != 10)  # each record but the last ends with a line feed


def _repeated(how: Plan) -> tuple[str, ...]:
    """The columns of a few words that are written as the file has them."""
    return tuple(name for name in DIMENSIONS if name in how.columns and not _renamed(name, how))


def _select(
    columns: tuple[str, ...],
    how: Plan,
    forms: dict[str, str] | None,
    clean: str,
    raw: str,
    line: str,
    later: tuple[str, ...],
) -> str:
    """The ticket columns of the SELECT `raw`, the `line` of each row, and whether it is surely what `convert` makes of it.

    With `forms`, an example of each time column, only that form is taken. `clean` says that a text has no blank ends;
    of the columns `later` that is not asked here.
    """
    at = {name: f"c{i}" for i, name in enumerate(columns)}
    texts = {target: _word(target, how, at) for target in READ}
    sure: list[str] = []
    outer: list[str] = []
    joins: list[str] = []
    for target, kind in READ.items():
        value, certain = _column(target, kind, how, at, joins, forms, clean)
        outer.append(f'{value} AS "{target}"')
        if certain and target not in later:
            sure.append(f"({certain})")
    inner = ", ".join(f'{text} AS "_{target}"' for target, text in texts.items())
    extra, extra_sure = _attributes(how.attributes, at)
    sure += [extra_sure, '"ticket_id" IS NOT NULL', '"created_at" IS NOT NULL']
    sure += [f'("{late}" IS NULL OR "{late}" >= "created_at")' for late in ("first_response_at", "resolved_at")]
    # A CASE looks at a condition only where those before it hold; an AND that is a value looks at all for every row.
    certain = f"CASE WHEN {' AND '.join(f'({one})' for one in sure)} THEN true ELSE false END"
    return (
        f"WITH raw AS ({raw}), "
        f"word AS (SELECT row_number() OVER () - 1 AS _row, {inner}, {extra} AS {ATTRIBUTES}, raw.* FROM raw), "
        f"made AS (SELECT {', '.join(outer)}, word.* FROM word {' '.join(joins)}) "
        f"SELECT {', '.join(_name(name) for name in STORED)}, {line} AS {LINE}, {certain} AS {SURE} FROM made"
    )


def _word(target: str, how: Plan, at: dict[str, str]) -> str:
    """The text that the file gives for a column, in our words."""
    source = how.derive[target].column if target in how.derive else how.columns.get(target)
    if source is None:
        return "NULL::VARCHAR"
    usable = _renamed(target, how)
    if not usable:
        return at[source]
    cases = " ".join(f"WHEN {_text(word)} THEN {_text(ours)}" for word, ours in usable.items())
    return f"CASE {at[source]} {cases} ELSE {at[source]} END"


def _renamed(target: str, how: Plan) -> dict[str, str]:
    """The file's words for which we have others."""
    words = how.mapping.values.get(target, {})
    return {word: ours for word, ours in words.items() if target in LONG or word == word.strip()}


def _column(
    target: str,
    kind: str,
    how: Plan,
    at: dict[str, str],
    joins: list[str],
    forms: dict[str, str] | None,
    clean: str,
) -> tuple[str, str]:
    """The SQL of a column's value, and of whether it is certain; empty where it always is."""
    if target not in how.derive and target not in how.columns:
        return f"NULL::{kind}", ""
    text = f'"_{target}"'
    raw = at[how.derive[target].column if target in how.derive else how.columns[target]]
    blank = f"{raw} IS NULL"
    if target in how.derive or kind == "DOUBLE":
        return _number(target, text, blank, how)
    if kind == "TIMESTAMP":
        return _moment(target, text, blank, how, joins, forms)
    if kind == "BOOLEAN":
        words = [f"WHEN {_text(word)} THEN {word in TRUE}" for word in sorted(TRUE | FALSE, reverse=True)]
        value = f"CASE lower({text}) {' '.join(words)} END"
        return value, f'{blank} OR "{target}" IS NOT NULL'
    return text, "" if target in LONG else clean.format(raw)


def _number(target: str, text: str, blank: str, how: Plan) -> tuple[str, str]:
    number = f"CASE WHEN regexp_full_match({text}, '[-.0-9]{{1,15}}') THEN try_cast({text} AS DOUBLE) END"
    rule = how.derive.get(target)
    if rule and rule.above is not None:
        return f"({number}) > {rule.above!r}::DOUBLE", f'{blank} OR "{target}" IS NOT NULL'
    low, high = RANGES[target]
    if rule:
        first, last = rule.scale or (0.0, 1.0)
        number = (
            f"{low!r}::DOUBLE + (({number}) - {first!r}::DOUBLE) / ({last!r}::DOUBLE - {first!r}::DOUBLE) "
            f"* ({high!r}::DOUBLE - {low!r}::DOUBLE)"
        )
    elif target == "sentiment":
        words = " ".join(f"WHEN {_text(word)} THEN {value!r}::DOUBLE" for word, value in SENTIMENTS.items())
        number = f"CASE lower({text}) {words} ELSE {number} END"
    return number, f'{blank} OR "{target}" BETWEEN {low!r} AND {high!r}'


def _moment(
    target: str, text: str, blank: str, how: Plan, joins: list[str], forms: dict[str, str] | None
) -> tuple[str, str]:
    """Only times in full digits; those of a zone only on days on which no clock was changed."""
    zone = how.mapping.timezone
    certain = f"{text} >= '0' AND NOT contains({text}, '  ')"
    if how.mapping.patterns:
        written = [_strptime(text, *found) for pattern in how.mapping.patterns if (found := _format(pattern))]
        local, zoned = f"coalesce({', '.join(written)})", "NULL::TIMESTAMP"
        certain += f" AND right({text}, 1) >= '0'"
    elif forms is not None:
        mark = "T" if "T" in forms[target] else " "
        pairs = {length: (form.replace("_", mark), here) for length, (form, here) in ISO.items()}
        pattern, here = pairs.get(len(forms[target]), ("", False))
        value = _strptime(text, pattern, len(forms[target])) if pattern else "NULL::TIMESTAMP"
        if len(forms[target]) == 25:
            value = f"CASE WHEN length({text}) = 25 THEN {_offset(text, mark)} END"
        local, zoned = (value, "NULL::TIMESTAMP") if here else ("NULL::TIMESTAMP", value)
    else:
        spaced = f"replace({text}, 'T', ' ')"
        cases = {
            length: (f"try_strptime({spaced}, '{form.replace('_', ' ')}')", h) for length, (form, h) in ISO.items()
        }
        near = " ".join(f"WHEN {length} THEN {case}" for length, (case, ours) in cases.items() if ours)
        far = " ".join(f"WHEN {length} THEN {case}" for length, (case, ours) in cases.items() if not ours)
        local = f"CASE length({text}) {near} END"
        zoned = f"CASE length({text}) {far} WHEN 25 THEN {_offset(spaced, ' ')} END"
        certain += f" AND right({text}, 1) >= '0'"
    if zone != "UTC":
        joins.append(f"LEFT JOIN zone AS zone_{target} ON zone_{target}.day = ({local})::DATE")
        local = f"({local}) - to_minutes(zone_{target}.minutes)"
    value = f"coalesce({zoned}, {local})"
    last = f"TIMESTAMP '{latest()}'" if target == "created_at" else LAST
    return value, f'{blank} OR ("{target}" >= {FIRST} AND "{target}" < {last} AND {certain})'


def _offset(text: str, mark: str) -> str:
    """`2026-07-01T12:00:00+02:00` as UTC."""
    hours = _list({f"{hour:02}" for hour in range(15)})
    return (
        f"CASE WHEN {text}[23] = ':' AND {text}[21:22] IN {hours} AND {text}[24:25] IN ('00', '15', '30', '45') THEN "
        f"try_strptime({text}[1:19], '{ISO[19][0].replace('_', mark)}') + CASE {text}[20] WHEN '+' THEN -1 WHEN '-' THEN 1 END "
        f"* to_minutes(60 * try_cast({text}[21:22] AS INTEGER) + try_cast({text}[24:25] AS INTEGER)) END"
    )


def _strptime(text: str, pattern: str, length: int) -> str:
    return f"CASE WHEN length({text}) = {length} THEN try_strptime({text}, {_text(pattern)}) END"


def _format(pattern: str) -> tuple[str, int] | None:
    """A pattern of full digits and the length of what it describes; None where SQL may read it otherwise."""
    parts = re.split(r"(%.)", pattern)
    length = 0
    for part in parts:
        if part.startswith("%"):
            if part not in DIGITS:
                return None
            length += DIGITS[part]
        elif not re.fullmatch(r"[-/.:, T]*", part):
            return None
        else:
            length += len(part)
    asked = [part for part in parts if part.startswith("%")]
    whole = {"%Y", "%m", "%d"} <= set(asked) and len(asked) == len(set(asked))
    return (pattern, length) if whole else None


def _attributes(names: tuple[str, ...], at: dict[str, str]) -> tuple[str, str]:
    """One JSON object of the columns that are no ticket columns, and whether it is certain."""
    if not names:
        return "'{}'::JSON", "true"
    pairs = ", ".join(
        f"CASE WHEN {at[name]} <> '' THEN {_text(json.dumps(name, ensure_ascii=False) + ': ')} || to_json({at[name]})::VARCHAR END"
        for name in sorted(names)
    )
    odd = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\x{2028}\x{2029}]"
    certain = [f"NOT regexp_matches(concat_ws('', {', '.join(at[name] for name in names)}), '{odd}')"]
    if ATTRIBUTES in names:
        certain.append(f"coalesce({at[ATTRIBUTES]}, '') = ''")
    return f"('{{' || concat_ws(', ', {pairs}) || '}}')::JSON", " AND ".join(certain)


@functools.lru_cache(maxsize=8)
def _days(name: str) -> Any:
    """Each day on which a zone's clocks are not changed, nor on a day beside it, with its minutes before UTC."""
    zone = zoneinfo.ZoneInfo(name)
    days = [dt.datetime(1969, 12, 30) + dt.timedelta(days=n) for n in range(47_500)]
    offsets = [zone.utcoffset(day) or dt.timedelta() for day in days]
    minutes = [
        here.total_seconds() / 60 if before == here == after else None
        for before, here, after in zip(offsets[:-2], offsets[1:-1], offsets[2:], strict=True)
    ]
    frame = pd.DataFrame({"day": days[1:-1], "minutes": minutes}).dropna()
    frame = frame[frame["minutes"] % 1 == 0]
    return frame.astype({"minutes": "int64"})


def _list(words: Any) -> str:
    return "(" + ", ".join(_text(word) for word in sorted(words)) + ")"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
