"""How another system's columns become ticket columns, written down in a YAML file.

    columns:                      # ticket column: column of the file
      ticket_id: number
      created_at: opened_at
    derive:                       # ticket columns computed from one column
      reopened: {column: reopen_count, above: 0}      # true where the number is greater
      csat: {column: score, scale: [0, 100]}          # that range onto 1 to 5
    values:                       # the file's words: ours; others stay as they are
      priority: {"1 - Critical": urgent}
    timezone: Europe/Berlin       # of times without one; default UTC
    times: "%d/%m/%Y %H:%M"       # where they are not written as 2026-03-05T14:30:00Z
    delimiter: ";"                # of a CSV file; default a comma

Every key is optional. A file column named as a ticket column needs no line; one that is named nowhere is kept as an
attribute. Of a time that occurs twice when clocks go back, the first is meant.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import Invalid, NotFound
from workbench.tickets.columns import COLUMNS, nearest

KEYS = ("columns", "derive", "values", "timezone", "times", "delimiter")
RULES = {"above": ("reopened",), "scale": ("csat", "sentiment")}
"""Each rule of `derive`, and the columns it can give."""


@dataclass(frozen=True)
class Derivation:
    """A ticket column computed from one column of the file by exactly one rule."""

    column: str
    above: float | None = None
    scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mapping:
    """A mapping file that has been checked."""

    columns: dict[str, str] = field(default_factory=dict)
    derive: dict[str, Derivation] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    timezone: str = "UTC"
    times: str | None = None
    delimiter: str = ","


def read(path: Path) -> Mapping:
    """The mapping in the YAML file at `path`; raises NotFound, or Invalid with the path of the key at fault."""
    if not path.is_file():
        raise NotFound(f"There is no mapping file {path}.", remedy="Check the path given to --mapping.")
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{path.name} is not a YAML file that can be read: {_line(error)}.") from error
    return parse({} if body is None else body, name=path.name)


def parse(body: Any, *, name: str = "mapping") -> Mapping:
    """The mapping that `body`, the plain data of a mapping file, describes; raises Invalid naming the key at fault."""
    _known(body, KEYS, name)
    columns = {k: _text(v, f"{name}: columns.{k}") for k, v in _targets(body, "columns", name)}
    derive = {k: _derivation(k, v, name) for k, v in _targets(body, "derive", name)}
    if twice := sorted(columns.keys() & derive.keys()):
        raise Invalid(f"{name}: {twice[0]} is under both `columns` and `derive`.", remedy="Keep one of the two.")
    values = {k: _words(k, v, name) for k, v in _targets(body, "values", name)}
    return Mapping(
        columns=columns,
        derive=derive,
        values=values,
        timezone=_timezone(body.get("timezone", "UTC"), name),
        times=_times(body.get("times"), name),
        delimiter=_delimiter(body.get("delimiter", ","), name),
    )


def _derivation(target: str, body: Any, name: str) -> Derivation:
    where = f"{name}: derive.{target}"
    _known(body, ("column", *RULES), where)
    column = _text(body.get("column"), f"{where}.column")
    rules = [rule for rule in RULES if rule in body]
    if len(rules) != 1 or target not in RULES[rules[0]]:
        possible = ", ".join(f"`{rule}` for {' or '.join(targets)}" for rule, targets in RULES.items())
        raise Invalid(f"{where} needs exactly one rule that fits it.", remedy=f"The rules are {possible}.")
    if rules[0] == "above":
        return Derivation(column, above=_number(body["above"], f"{where}.above"))
    ends = body["scale"]
    if not isinstance(ends, list) or len(ends) != 2:
        raise Invalid(f"{where}.scale must be the lowest and the highest value, such as [0, 100].")
    low, high = (_number(end, f"{where}.scale") for end in ends)
    if low == high:
        raise Invalid(f"{where}.scale has the same value twice.", remedy="Give the lowest and the highest value.")
    return Derivation(column, scale=(low, high))


def _words(target: str, body: Any, name: str) -> dict[str, str]:
    where = f"{name}: values.{target}"
    if not isinstance(body, dict):
        raise Invalid(f"{where} must be pairs of the file's word and ours.")
    return {_text(word, where): _text(ours, where) for word, ours in body.items()}


def _targets(body: dict[str, Any], key: str, name: str) -> list[tuple[str, Any]]:
    part = body.get(key) or {}
    if not isinstance(part, dict):
        raise Invalid(f"{name}: {key} must be pairs of a ticket column and a value.")
    for target in map(str, part):
        if target not in COLUMNS:
            raise Invalid(f"{name}: {key}.{target}: a ticket has no such column{nearest(target, COLUMNS)}.")
    return [(str(target), value) for target, value in part.items()]


def _known(body: Any, keys: Iterable[str], where: str) -> None:
    if not isinstance(body, dict):
        raise Invalid(f"{where} must be pairs of a name and a value.", remedy=f"It may hold {', '.join(keys)}.")
    for key in body:
        if key not in keys:
            raise Invalid(
                f"{where}: the key {key!r} is not known{nearest(str(key), keys)}.", remedy=f"Use {', '.join(keys)}."
            )


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float) or value == "":
        raise Invalid(f"{where} must be a text.")
    return str(value)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"{where} must be a number.")
    return float(value)


def _timezone(value: Any, name: str) -> str:
    try:
        return zoneinfo.ZoneInfo(_text(value, f"{name}: timezone")).key
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise Invalid(
            f"{name}: timezone {value!r} is not known.", remedy="Write it as Europe/Berlin or UTC."
        ) from error


def _times(value: Any, name: str) -> str | None:
    if value is None:
        return None
    pattern = _text(value, f"{name}: times")
    try:
        sample = dt.datetime(2026, 3, 25, 14, 30).strftime(pattern)
        dt.datetime.strptime(sample, pattern)
    except ValueError as error:
        raise Invalid(f"{name}: times {pattern!r} is no format of a time.", remedy='Write "%d/%m/%Y %H:%M".') from error
    return pattern


def _delimiter(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n\\':
        raise Invalid(f"{name}: delimiter must be one character, such as a comma or a semicolon.")
    return value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
