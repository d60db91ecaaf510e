"""What models cost, by day: a readable file with a line for each price and the day from which it holds."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import Invalid

FILE = Path(__file__).with_name("prices.csv")
COLUMNS = ["model", "from", "input", "output", "cached"]
LARGEST = 1_000_000

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens of a model from a day on. `cached` is None where cached input costs as much as other."""

    model: str
    start: dt.date
    input: float
    output: float
    cached: float | None = None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars of a request; `cached_tokens` are those of the input that the server had seen before."""
        cached = min(max(0, cached_tokens), input_tokens)
        fresh = (input_tokens - cached) * self.input + output_tokens * self.output
        return (fresh + cached * (self.input if self.cached is None else self.cached)) / 1e6

    @property
    def words(self) -> str:
        """The price in words: `$2.5 in, $10 out a million tokens, since 2 Oct 2024`."""
        seen = "" if self.cached is None else f", ${self.cached:g} in again"
        since = "" if self.start == dt.date.min else f", since {self.start.day} {self.start:%b %Y}"
        return f"${self.input:g} in{seen}, ${self.output:g} out a million tokens{since}"


def read(text: str, name: str) -> tuple[Price, ...]:
    """The prices in a file's text. Raises Invalid naming the file and the line that cannot be used."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    if not lines or [one.strip() for one in lines[0][1].split(",")] != COLUMNS:
        raise Invalid(f"{name} is not a price table.", remedy=f"Begin it with the line {','.join(COLUMNS)}.")
    return tuple(_price(next(csv.reader([line])), f"{name}, line {number}") for number, line in lines[1:])


def table(path: Path = FILE) -> tuple[Price, ...]:
    """The prices in a file, read again when it changes. Raises Invalid naming what cannot be used."""
    try:
        return _table(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        raise Invalid(
            f"The price table {path.name} cannot be read.",
            remedy="Check the file's name, which WORKBENCH_PRICES may tell.",
        ) from None


def at(prices: Sequence[Price], model: str, day: dt.date) -> Price | None:
    """The price of a model on a day; None where it is not known. A dated model has the price of its family unless its own."""
    for name in dict.fromkeys((model, _DATED.sub("", model))):
        fitting = [one for one in prices if one.model == name and one.start <= day]
        if fitting:
            return max(fitting, key=lambda one: one.start)
    return None


@functools.lru_cache(8)
def _table(path: Path, _changed: int) -> tuple[Price, ...]:
    if path.stat().st_size > LARGEST:
        raise ValueError("too large")
    return read(path.read_text(encoding="utf-8"), path.name)


def _price(cells: Sequence[str], where: str) -> Price:
    try:
        model, start, given, made, cached = (one.strip() for one in cells)
        numbers = [float(given), float(made), float(cached) if cached else 0.0]
        if not model or not all(math.isfinite(one) and one >= 0 for one in numbers):
            raise ValueError
        start_day = dt.date.fromisoformat(start)
    except ValueError:
        example = "gpt-4o,2024-10-02,2.5,10,1.25"
        raise Invalid(f"{where} is not a price.", remedy=f"Write {','.join(COLUMNS)}, as {example}.") from None
    return Price(model, start_day, numbers[0], numbers[1], numbers[2] if cached else None)
