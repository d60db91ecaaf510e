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
    times: "%d/%m/%Y %H:%M"       # where they are not written as 2026-03-05T14:30:00Z; or several, the first fit counts;
                                  # `unix` means seconds since 1970
    delimiter: ";"                # of a CSV file; default a comma
    quote: "'"                    # of a CSV file; default a double quote
    encoding: cp1252              # of a CSV file; default utf-8
    hours: {timezone: Europe/Berlin, mon: "09:00-17:00", fri: "09:00-15:00"}     # business hours, kept with each load

Every key is optional. A file column named as a ticket column needs no line; one that is named nowhere is kept as an
attribute. Of a time that occurs twice when clocks go back, the first is meant.
"""

from __future__ import annotations

import codecs
import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import Invalid, NotFound
from workbench.tickets.batches import Dialect
from workbench.tickets.columns import READ, nearest

KEYS = ("columns", "derive", "values", "timezone", "times", "delimiter", "quote", "encoding", "hours")
UNIX = "unix"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
    times: str | tuple[str, ...] | None = None
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    hours: dict[str, str] = field(default_factory=dict)

    @property
    def dialect(self) -> Dialect:
        """How a CSV file is written."""
        return Dialect(self.delimiter, self.quote, self.encoding)

    @property
    def within(self) -> tuple[str, ...]:
        """Values inside of JSON objects that are asked for, such as `via.channel`."""
        asked = [*self.columns.values(), *(rule.column for rule in self.derive.values())]
        return tuple(name for name in asked if "." in name)

    @property
    def patterns(self) -> tuple[str, ...]:
        """How times are written; none where they are in the usual form."""
        return (self.times,) if isinstance(self.times, str) else self.times or ()


def plain(how: Mapping) -> dict[str, Any]:
    """What a mapping file would say, without what is usual."""
    derive = {
        target: {"column": rule.column}
        | ({"above": rule.above} if rule.above is not None else {"scale": list(rule.scale or ())})
        for target, rule in how.derive.items()
    }
    usual = Mapping()
    rest = {key: getattr(how, key) for key in ("timezone", "delimiter", "quote", "encoding")}
    found: dict[str, Any] = {"columns": how.columns, "derive": derive, "values": how.values, "hours": how.hours}
    found["times"] = list(how.times) if isinstance(how.times, tuple) else how.times
    kept = {key: value for key, value in found.items() if value}
    return kept | {key: value for key, value in rest.items() if value != getattr(usual, key)}


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
        quote=_quote(body.get("quote", '"'), body.get("delimiter", ","), name),
        encoding=_encoding(body.get("encoding", "utf-8"), name),
        hours=_hours(body.get("hours"), name),
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
        if target not in READ:
            raise Invalid(f"{name}: {key}.{target}: a ticket has no such column{nearest(target, READ)}.")
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


def _times(value: Any, name: str) -> str | tuple[str, ...] | None:
    if isinstance(value, list) and value:
        return tuple(_pattern(one, name) for one in value)
    return None if value is None else _pattern(value, name)


def _pattern(value: Any, name: str) -> str:
    if value == UNIX:
        return UNIX
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


def _quote(value: Any, delimiter: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in "\r\n\\" or value == delimiter:
        raise Invalid(f"{name}: quote must be one character, such as a double quote, and not the delimiter.")
    return value


def _encoding(value: Any, name: str) -> str:
    try:
        found = codecs.lookup(_text(value, f"{name}: encoding"))
    except (LookupError, ValueError) as error:
        raise Invalid(
            f"{name}: encoding {value!r} is not known.", remedy="Write utf-8, utf-16 or cp1252, for instance."
        ) from error
    if not getattr(found, "_is_text_encoding", True):
        raise Invalid(f"{name}: encoding {value!r} is none of a text.", remedy="Write utf-8, utf-16 or cp1252.")
    return found.name


def _hours(value: Any, name: str) -> dict[str, str]:
    """Business hours by day of the week, with their time zone."""
    if value is None:
        return {}
    _known(value, ("timezone", *DAYS), f"{name}: hours")
    found = {"timezone": _timezone(value.get("timezone", "UTC"), f"{name}: hours")}
    for day in DAYS:
        if day not in value:
            continue
        text = str(value[day]).replace(" ", "")
        match = re.fullmatch(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text)
        if not match or not text[:5] < text[6:] <= "24:00":
            raise Invalid(f'{name}: hours.{day} must be written as "09:00-17:00".')
        found[day] = text
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
