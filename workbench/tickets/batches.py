"""Rows of a file on their way to become tickets: plain values with line numbers, and those that cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

EXCERPT = 200
"""Characters of a rejected row that are shown."""
KEPT = 100_000
"""Characters of a rejected row that are kept in the file of rejects."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Reject:
    """A row that could not be used: its line in the file, why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some rows: line numbers, values by column, and the rows that are already known to be bad."""

    lines: list[int]
    values: dict[str, list[Any]]
    rejects: list[Reject] = field(default_factory=list)


def record(reader: Iterator[list[str]], width: int) -> list[str] | str | None:
    """The next row of `width` values, empty for an empty line; why it is none; or None at the end."""
    try:
        fields = next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        return _quote_reason(str(error))
    if fields and len(fields) != width:
        return f"{len(fields)} values instead of {width}"
    return fields if is_utf8(fields) else "the row is not UTF-8"


def _quote_reason(message: str) -> str:
    if "end of data" in message or "field larger" in message:
        return "a quote is opened and never closed"
    return "a quote is opened and not closed where the value ends"


def is_utf8(texts: list[str] | tuple[str, ...]) -> bool:
    """Whether all bytes of these texts could be decoded."""
    return all(text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text) for text in texts)


def excerpt(text: str, longest: int = KEPT) -> str:
    """The beginning of a line, as text that can be stored."""
    return text[:longest].encode("utf-8", "replace").decode().rstrip("\r\n")
