"""A CSV file as a stream: large pieces that are surely well formed, and a careful reader for the lines between them.

A piece begins and ends outside of quotes, every quote in it stands where one may stand, and its records are counted
here, apart from the library that parses it. So what the library returns can be held against that count.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.errors import Invalid
from workbench.tickets.batches import Batch, Dialect, Reject, excerpt, record

PIECE = 16 << 20
LONGEST_LINE = 4_000_000
LONGEST_RECORD = 131_072
CAREFUL = 1 << 16
SLICE = 1 << 18

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Bytes of whole, well-formed records in UTF-8 with plain line ends; `lines` says where each record begins."""

    data: bytes
    starts: Ints
    lines: Ints


def places(array: npt.NDArray[np.uint8], byte: int) -> Ints:
    """Where a byte stands. Slice by slice, because what fits into the processor's cache is found much faster."""
    found = [np.flatnonzero(array[at : at + SLICE] == byte) + at for at in range(0, len(array), SLICE)]
    return np.concatenate(found) if found else np.array([], dtype=np.int64)


class Feed:
    """The bytes of a file as UTF-8, in order and once, with their line numbers."""

    def __init__(self, handle: BinaryIO, name: str, encoding: str) -> None:
        self.handle = handle
        self.name = name
        self.buffer = b""
        self.at = 0
        self.line = 1
        self.ended = False
        self.raw = 0
        self.newlines = 0
        self.returns = 0
        self.unfinished = False
        self.digest = hashlib.sha256()
        plain = encoding in ("utf-8", "utf-8-sig")
        self.decoder = None if plain else codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self.encoding = encoding
        self.fill(3)
        if self.buffer.startswith(b"\xef\xbb\xbf"):
            self.at = 3

    def fill(self, wanted: int) -> None:
        """Have `wanted` bytes in the buffer, or all that there are."""
        texts = []
        there = len(self.buffer) - self.at
        while not self.ended and there < wanted:
            block = self.handle.read(1 << 20)
            self.ended = not block
            self.raw += len(block)
            self.digest.update(block)
            text = self._decoded(block)
            self.newlines += text.count(b"\n")
            self.unfinished = not text.endswith(b"\n") if text else self.unfinished
            texts.append(text)
            there += len(text)
        if texts:
            self.buffer = b"".join([self.buffer[self.at :], *texts])
            self.at = 0

    def _decoded(self, block: bytes) -> bytes:
        if self.decoder is None:
            return block
        try:
            return self.decoder.decode(block, final=not block).encode("utf-8", "surrogateescape")
        except UnicodeError as error:
            raise Invalid(
                f"{self.name} is not text in {self.encoding}.", remedy="Name its encoding in the mapping."
            ) from error

    def next_line(self) -> str:
        """The next physical line with its end; empty where there is none. Raises Invalid where it is over 4 MB."""
        wanted = 1 << 16
        while (end := self._line_end()) < 0 and not self.ended:
            if len(self.buffer) - self.at > LONGEST_LINE:
                raise too_long(self.name, self.line)
            self.fill(wanted)
            wanted *= 4
        end = len(self.buffer) if end < 0 else end
        if end - self.at > LONGEST_LINE:
            raise too_long(self.name, self.line)
        found = self.buffer[self.at : end]
        self.at = end
        return found.decode("utf-8", "surrogateescape")

    def _line_end(self) -> int:
        """Where the next line ends: after a line feed, or after a carriage return without one; -1 if not in sight."""
        feed = self.buffer.find(b"\n", self.at)
        alone = self.buffer.find(b"\r", self.at, feed if feed >= 0 else len(self.buffer) - 1)
        if alone >= 0 and alone + 1 != feed:
            return alone + 1
        return feed + 1 if feed >= 0 else -1

    def passed(self, lines: list[str]) -> None:
        """These lines are done with."""
        self.line += len(lines)
        self.returns += sum(line.endswith("\r") for line in lines)

    def adds_up(self) -> bool:
        """Whether the lines done with are all lines of the file, counted apart."""
        last = self.unfinished and not self.buffer.endswith(b"\r")
        return self.line - 1 == self.newlines + self.returns + last

    def unread(self, texts: list[str]) -> None:
        """Give lines back that were taken last."""
        back = "".join(texts).encode("utf-8", "surrogateescape")
        self.buffer = back + self.buffer[self.at :]
        self.at = 0


def too_long(name: str, line: int) -> Invalid:
    return Invalid(
        f"Line {line:,} of {name} is longer than 4 MB.",
        remedy="This is no table of tickets, or its line ends are lost. The current tickets were kept.",
    )


def segments(feed: Feed, columns: tuple[str, ...], dialect: Dialect, *, quick: int | None) -> Iterator[Piece | Batch]:
    """The rest of the file: pieces of at least `quick` bytes, and records that a careful reader has taken apart."""
    patience = CAREFUL
    while True:
        feed.fill(CAREFUL if quick is None else PIECE)
        if feed.at >= len(feed.buffer):
            return
        piece = None if quick is None else _piece(feed, dialect, quick)
        if piece is not None:
            patience = CAREFUL
            yield piece
        else:
            yield _careful(feed, columns, dialect, CAREFUL * 64 if quick is None else patience)
            patience = min(patience * 2, CAREFUL * 64)


def _piece(feed: Feed, dialect: Dialect, least: int) -> Piece | None:
    """The longest piece at the front that is surely well formed; None where that is less than `least` bytes."""
    data = feed.buffer[feed.at : feed.at + PIECE]
    last = feed.ended and feed.at + len(data) >= len(feed.buffer)
    bad = data.find(b"\0")
    if bad >= 0:
        data, last = data[:bad], False
    array = np.frombuffer(data, dtype=np.uint8)
    quotes, newlines = places(array, ord(dialect.quote)), places(array, 10)
    limit = min(_first_odd_quote(array, quotes, dialect, last), _first_alone(array))
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0] if len(quotes) else newlines
    ends = outside + 1
    if last and limit == len(array) and len(quotes) % 2 == 0 and (not len(ends) or ends[-1] < len(array)):
        ends = np.append(ends, len(array))
    ends = ends[ends <= limit]
    if over := np.flatnonzero(np.diff(ends, prepend=0) > LONGEST_RECORD).tolist():
        ends = ends[: over[0]]
    if not len(ends) or ends[-1] < least:
        return None
    return _cut(feed, data, array, ends, newlines)


def _cut(feed: Feed, data: bytes, array: npt.NDArray[np.uint8], ends: Ints, newlines: Ints) -> Piece:
    """Take the records that end at `ends` off the feed. Empty lines between records are left out."""
    size = int(ends[-1])
    starts = np.concatenate([[0], ends[:-1]])
    lines = feed.line + np.searchsorted(newlines, starts)
    feed.at += size
    feed.line += int(np.searchsorted(newlines, size)) + (0 if array[size - 1] == 10 else 1)
    data = data[:size]
    returns = np.flatnonzero((array[ends - 1] == 10) & (array[np.maximum(ends - 2, 0)] == 13) & (ends - starts > 1))
    removed = ends[returns] - 2
    if len(removed):
        data = np.delete(array[:size], removed).tobytes()
        starts = starts - np.searchsorted(removed, starts)
    lengths = np.diff(starts, append=len(data))
    empty = (lengths == 1) & (np.frombuffer(data, dtype=np.uint8)[starts] == 10)
    return Piece(data, starts[~empty], lines[~empty])


def _first_odd_quote(array: npt.NDArray[np.uint8], quotes: Ints, dialect: Dialect, last: bool) -> int:
    """Where the first quote stands that neither opens, closes nor doubles one; the length where there is none."""
    if not len(quotes):
        return len(array)
    opens, closes = quotes[0::2], quotes[1::2]
    delimiter, quote = ord(dialect.delimiter), ord(dialect.quote)
    before = np.where(opens > 0, array[np.maximum(opens - 1, 0)], 10)
    good_opens = (before == delimiter) | (before == 10) | (before == quote)
    after = np.where(closes + 1 < len(array), array[np.minimum(closes + 1, len(array) - 1)], 10)
    follows = np.where(closes + 2 < len(array), array[np.minimum(closes + 2, len(array) - 1)], 10)
    good_closes = (after == delimiter) | (after == 10) | (after == quote) | ((after == 13) & (follows == 10))
    if not last:
        good_closes &= closes + 2 < len(array)
    odd = np.concatenate([opens[~good_opens], closes[~good_closes]])
    return int(odd.min()) if len(odd) else len(array)


def _first_alone(array: npt.NDArray[np.uint8]) -> int:
    """Where the first carriage return without a line feed stands; the length where there is none."""
    returns = places(array, 13)
    if not len(returns):
        return len(array)
    alone = returns[array[np.minimum(returns + 1, len(array) - 1)] != 10]
    return int(alone[0]) if len(alone) else len(array)


class Lines:
    """Physical lines of a feed; those of the record being read can be given back and read again."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.back: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.back.popleft() if self.back else self.feed.next_line()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def accept(self) -> int:
        """The record is read: the next one begins after it. How many characters it had."""
        self.feed.passed(self.taken)
        size = sum(map(len, self.taken))
        self.taken.clear()
        return size

    def skip_one(self) -> str:
        """Only the first line of the record was bad: return it and give the others back."""
        first, *rest = self.taken
        self.back.extendleft(reversed(rest))
        self.taken.clear()
        self.feed.passed([first])
        return first

    def close(self) -> None:
        """Give back what was read ahead."""
        self.feed.unread([*self.taken, *self.back])


def _careful(feed: Feed, columns: tuple[str, ...], dialect: Dialect, wanted: int) -> Batch:
    """Records and rejects until `wanted` characters are read. A bad quote costs its own line only."""
    lines = Lines(feed)
    reader = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
    numbers: list[int] = []
    rows: list[list[str]] = []
    rejects: list[Reject] = []
    size = 0
    while size < wanted:
        begin = feed.line
        found = record(reader, len(columns))
        if found is None:
            break
        if isinstance(found, str):
            text = lines.skip_one()
            rejects.append(Reject(begin, found, excerpt(text)))
            size += len(text)
            reader = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
            continue
        size += lines.accept()
        if found:
            numbers.append(begin)
            rows.append(found)
    lines.close()
    values: dict[str, list[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    return Batch(numbers, values, rejects)
