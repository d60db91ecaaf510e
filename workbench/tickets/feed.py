"""A CSV file as a stream: large pieces that are surely well formed, and a careful reader for the lines between them.

A piece begins and ends outside of quotes, every quote in it stands where one may stand, and its records are counted
here, apart from the library that parses it. So what the library returns can be held against that count.
"""

from __future__ import annotations

import codecs
import csv
import functools
import hashlib
import queue
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import Invalid
from workbench.tickets.batches import Batch, Dialect, Reject, excerpt, record

PIECE, LARGE = 16 << 20, 64 << 20
BLOCK = 1 << 20
ROOM = 4 * BLOCK
"""A block is read where there is room for it, in UTF-8 of any text."""
LONGEST_LINE = 4_000_000
LONGEST_RECORD = 131_072
CAREFUL = 1 << 16
SLICE = 1 << 18

Ints = npt.NDArray[np.int64]
NONE: Ints = np.array([], dtype=np.int64)


class Buffers:
    """Memory that is used again: to get it anew for every piece takes longer than to fill it."""

    def __init__(self) -> None:
        self.free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()

    def take(self, size: int) -> bytearray:
        """At least `size` bytes, whatever is in them."""
        while not self.free.empty():
            if len(found := self.free.get()) >= size:
                return found
        return bytearray(size)

    def give(self, buffer: bytearray) -> None:
        """Nobody looks at this one any longer."""
        self.free.put(buffer)


@dataclass(frozen=True)
class Piece:
    """Bytes of whole, well-formed records in UTF-8 with plain line ends; `lines` says where each record begins.

    Whoever took it calls `done` at the end: the bytes are others from then on.
    """

    data: memoryview
    starts: Ints
    lines: Ints
    done: Callable[[], None] = lambda: None

    def text(self, start: int, end: int) -> str:
        """What stands between two places; bytes that are no UTF-8 come as single surrogates."""
        return str(self.data[start:end], "utf-8", "surrogateescape")


def slices(array: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """An array bit by bit, because what fits into the processor's cache is looked through much faster."""
    return (array[at : at + SLICE] for at in range(0, len(array), SLICE))


def places(array: npt.NDArray[np.uint8], byte: int) -> Ints:
    """Where a byte stands."""
    found = [np.flatnonzero(some == byte) + i * SLICE for i, some in enumerate(slices(array))]
    return np.concatenate(found) if found else NONE


class Feed:
    """The bytes of a file as UTF-8, in order and once, with their line numbers."""

    def __init__(self, handle: BufferedReader, name: str, encoding: str) -> None:
        self.handle = handle
        self.name = name
        self.buffers = Buffers()
        self.buffer = bytearray()
        self.at = self.end = 0
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
        if self.ended or self.end - self.at >= wanted:
            return
        if self.at + wanted + ROOM > len(self.buffer):
            self.buffers.give(self._left(wanted + ROOM))
        while not self.ended and self.end - self.at < wanted:
            self._read()

    def take(self, size: int) -> tuple[memoryview, Callable[[], None]]:
        """The next `size` bytes, and what to call when nobody looks at them any longer."""
        data = memoryview(self.buffer)[self.at : self.at + size]
        self.at += size
        if self.end - self.at > size:
            return memoryview(bytes(data)), lambda: None
        return data, functools.partial(self.buffers.give, self._left(len(self.buffer)))

    def _left(self, size: int) -> bytearray:
        """Go on in another buffer of at least `size` bytes; the one that was left."""
        before, there = self.buffer, self.end - self.at
        self.buffer = self.buffers.take(size)
        self.buffer[:there] = memoryview(before)[self.at : self.end]
        self.at, self.end = 0, there
        return before

    def _read(self) -> None:
        """Read a block behind what is there."""
        room = memoryview(self.buffer)[self.end :]
        block = room[: self.handle.readinto(room[:BLOCK])] if self.decoder is None else self.handle.read(BLOCK)
        self.ended = not len(block)
        self.raw += len(block)
        self.digest.update(block)
        if self.decoder is not None:
            block = self._decoded(self.decoder, bytes(block))
            if len(block) > len(room):
                self._left(self.end - self.at + len(block))
            self.buffer[self.end : self.end + len(block)] = block
        fresh = np.frombuffer(block, dtype=np.uint8)
        self.newlines += sum(int(np.count_nonzero(some == 10)) for some in slices(fresh))
        self.unfinished = int(fresh[-1]) not in (10, 13) if len(fresh) else self.unfinished
        self.end += len(block)

    def _decoded(self, decoder: codecs.IncrementalDecoder, block: bytes) -> bytes:
        try:
            return decoder.decode(block, final=not block).encode("utf-8", "surrogateescape")
        except UnicodeError as error:
            raise Invalid(
                f"{self.name} is not text in {self.encoding}.", remedy="Name its encoding in the mapping."
            ) from error

    def next_line(self) -> str:
        """The next physical line with its end; empty where there is none. Raises Invalid where it is over 4 MB."""
        wanted = 1 << 16
        while (end := self._line_end()) < 0 and not self.ended:
            if self.end - self.at > LONGEST_LINE:
                raise too_long(self.name, self.line)
            self.fill(wanted)
            wanted *= 4
        end = self.end if end < 0 else end
        if end - self.at > LONGEST_LINE:
            raise too_long(self.name, self.line)
        found = self.buffer[self.at : end]
        self.at = end
        return found.decode("utf-8", "surrogateescape")

    def _line_end(self) -> int:
        """Where the next line ends: after a line feed, or after a carriage return without one; -1 if not in sight."""
        feed = self.buffer.find(b"\n", self.at, self.end)
        alone = self.buffer.find(b"\r", self.at, feed if feed >= 0 else self.end - 1)
        if alone >= 0 and alone + 1 != feed:
            return alone + 1
        return feed + 1 if feed >= 0 else -1

    def passed(self, lines: list[str]) -> None:
        """These lines are done with."""
        self.line += len(lines)
        self.returns += sum(line.endswith("\r") for line in lines)

    def adds_up(self) -> bool:
        """Whether the lines done with are all lines of the file, counted apart."""
        return self.line - 1 == self.newlines + self.returns + self.unfinished

    def unread(self, texts: list[str]) -> None:
        """Give lines back that were taken last."""
        back = "".join(texts).encode("utf-8", "surrogateescape")
        self.buffer = bytearray(back + self.buffer[self.at : self.end])
        self.at, self.end = 0, len(self.buffer)


def too_long(name: str, line: int) -> Invalid:
    return Invalid(
        f"Line {line:,} of {name} is longer than 4 MB.",
        remedy="This is no table of tickets, or its line ends are lost. The current tickets were kept.",
    )


def segments(
    feed: Feed, columns: tuple[str, ...], dialect: Dialect, *, quick: int | None, most: int = PIECE
) -> Iterator[Piece | Batch]:
    """The rest of the file: pieces of `quick` to `most` bytes, and records that a careful reader has taken apart."""
    patience, size = CAREFUL, most
    while True:
        feed.fill(CAREFUL if quick is None else size)
        if feed.at >= feed.end:
            return
        piece = None if quick is None else _piece(feed, dialect, quick, size)
        # Where quotes are often odd, it does not pay to look far ahead each time.
        size = min(most, size * 4) if piece and len(piece.data) > size // 2 else max(min(most, BLOCK), size // 4)
        if piece is not None:
            patience = CAREFUL
            yield piece
        else:
            yield _careful(feed, columns, dialect, CAREFUL * 64 if quick is None else patience)
            patience = min(patience * 2, CAREFUL * 64)


def _piece(feed: Feed, dialect: Dialect, least: int, most: int) -> Piece | None:
    """The longest piece at the front that is surely well formed; None where that is less than `least` bytes."""
    end = min(feed.at + most, feed.end)
    last = feed.ended and end >= feed.end
    bad = feed.buffer.find(b"\0", feed.at, end)
    if bad >= 0:
        end, last = bad, False
    array = np.frombuffer(feed.buffer, dtype=np.uint8)[feed.at : end]
    quotes, newlines = places(array, ord(dialect.quote)), places(array, 10)
    returns = places(array, 13) if feed.buffer.find(b"\r", feed.at, end) >= 0 else NONE
    limit = min(_first_odd_quote(array, quotes, dialect, last), _first_alone(array, returns))
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0] if len(quotes) else newlines
    ends = outside + 1
    if last and limit == len(array) and len(quotes) % 2 == 0 and (not len(ends) or ends[-1] < len(array)):
        ends = np.append(ends, len(array))
    ends = ends[ends <= limit]
    if over := np.flatnonzero(np.diff(ends, prepend=0) > LONGEST_RECORD).tolist():
        ends = ends[: over[0]]
    if not len(ends) or ends[-1] < least:
        return None
    return _cut(feed, array, ends, newlines)


def _cut(feed: Feed, array: npt.NDArray[np.uint8], ends: Ints, newlines: Ints) -> Piece:
    """Take the records that end at `ends` off the feed. Empty lines between records are left out."""
    size = int(ends[-1])
    starts = np.concatenate([[0], ends[:-1]])
    lines = feed.line + np.searchsorted(newlines, starts)
    returns = np.flatnonzero((array[ends - 1] == 10) & (array[np.maximum(ends - 2, 0)] == 13) & (ends - starts > 1))
    removed = ends[returns] - 2
    feed.line += int(np.searchsorted(newlines, size)) + (0 if array[size - 1] == 10 else 1)
    data, done = feed.take(size)
    if len(removed):
        shorter = np.delete(np.frombuffer(data, dtype=np.uint8), removed)
        done()
        data, done = shorter.data, lambda: None
        starts = starts - np.searchsorted(removed, starts)
    lengths = np.diff(starts, append=len(data))
    empty = (lengths == 1) & (np.frombuffer(data, dtype=np.uint8)[starts] == 10)
    return Piece(data, starts[~empty], lines[~empty], done)


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


def _first_alone(array: npt.NDArray[np.uint8], returns: Ints) -> int:
    """Where the first carriage return without a line feed stands; the length where there is none."""
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
