"""Plain values of a file become ticket columns; a row that cannot is rejected with its reasons."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import Invalid
from workbench.tickets.batches import KEPT, Batch, Reject
from workbench.tickets.columns import ATTRIBUTES, COLUMNS, READ, REQUIRED, closest
from workbench.tickets.mapping import UNIX, Derivation, Mapping

TRUE = frozenset({"true", "t", "yes", "y", "1"})
FALSE = frozenset({"false", "f", "no", "n", "0"})
SENTIMENTS = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
RANGES = {"csat": (1.0, 5.0), "sentiment": (-1.0, 1.0)}
YEARS = (1970, 2100)
AHEAD = dt.timedelta(days=1)
"""A ticket that is created later than this from now is a mistake of its file; it would be the newest for years."""
LONG = ("subject", "body")
LINE = "_line"
"""The column that says in which line of the file a row begins."""

_ISO = re.compile(
    r"(19|20|21)\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(?P<zone> ?(Z|z|UTC|[+-]\d\d(:?\d\d)?))?)?"
)


_EXAMPLE = "2026-03-05T14:30:00Z"
_USUAL = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ")
"""How most times are written: found in half of the time that the whole rule takes."""


@dataclass(frozen=True)
class Plan:
    """Which column of the file gives which ticket column, and which columns stay attributes."""

    columns: dict[str, str]
    derive: dict[str, Derivation]
    attributes: tuple[str, ...]
    mapping: Mapping


def plan(columns: tuple[str, ...], mapping: Mapping, *, name: str) -> Plan:
    """How a file with `columns` is read under `mapping`.

    Raises Invalid naming what is missing, what was found, and how to map it.
    """
    wanted = [(target, column) for target, column in mapping.columns.items()]
    wanted += [(target, rule.column) for target, rule in mapping.derive.items()]
    for target, column in wanted:
        if column not in columns:
            raise Invalid(
                f"The mapping takes {target} from {column!r}, which {name} does not have. {_found(columns)}",
                remedy=_did_you_mean(target, closest(column, columns)),
            )
    used = {column for _target, column in wanted}
    own = {c: c for c in READ if c in columns and c not in used and c not in dict(wanted)}
    sources = {**own, **mapping.columns}
    if missing := [column for column in REQUIRED if column not in sources]:
        suggestion = {column: closest(column, [c for c in columns if c not in COLUMNS]) for column in missing}
        raise Invalid(
            f"{name} has no column {' and no column '.join(missing)}. {_found(columns)}", remedy=_write(suggestion)
        )
    attributes = tuple(c for c in columns if c not in used and c not in own)
    return Plan(sources, mapping.derive, attributes, mapping)


def _found(columns: tuple[str, ...]) -> str:
    shown = ", ".join(c[:40] for c in columns[:30]) + (", …" if len(columns) > 30 else "")
    return f"It has {shown}."


def _did_you_mean(target: str, near: str) -> str:
    return f"Did you mean `{target}: {near}`?" if near else "Correct the mapping file."


def _write(suggestion: dict[str, str]) -> str:
    pairs = ", ".join(f"{target}: {near or 'NAME-IN-FILE'}" for target, near in suggestion.items())
    return f"Rename the columns, or write a mapping file with `columns: {{{pairs}}}` and pass it with --mapping."


def convert(batch: Batch, how: Plan) -> tuple[pd.DataFrame, list[Reject]]:
    """The good rows as ticket columns, and the rejects; together they are all rows of `batch`."""
    reasons: dict[int, list[str]] = {}
    frame = pd.DataFrame({target: _read(batch, target, how, reasons) for target in READ}, index=range(len(batch.lines)))
    frame[ATTRIBUTES] = _attributes(batch, how.attributes)
    frame[LINE] = pd.Series(batch.lines, dtype="int64")
    _check_rows(frame, reasons)
    rejects = [*batch.rejects, *(_reject(batch, row, why) for row, why in sorted(reasons.items()))]
    return frame.drop(index=list(reasons)), sorted(rejects, key=lambda one: one.line)


def created(batch: Batch, how: Plan) -> list[dt.datetime | None]:
    """When each row of `batch` was created, in UTC without a zone; None where it does not say so."""
    return [None if one is pd.NaT else one.to_pydatetime() for one in _read(batch, "created_at", how, {})]


def _read(batch: Batch, target: str, how: Plan, reasons: dict[int, list[str]]) -> pd.Series[Any]:
    raw = batch.values.get(_source(target, how))
    words = how.mapping.values.get(target, {})
    if raw is not None and READ[target] == "TIMESTAMP" and not words and _are(raw, dt.datetime):
        return _clocked(target, raw, how.mapping.timezone, reasons)
    values: list[str | None] = [None] * len(batch.lines)
    if raw is not None:
        values = _texts(raw, strip=target not in LONG)
        if words:
            values = [words.get(text, text) if text else None for text in values]
    return _column(target, READ[target], values, raw, how, reasons)


def _source(target: str, how: Plan) -> str:
    return how.derive[target].column if target in how.derive else how.columns.get(target, "")


def _column(
    target: str, kind: str, values: list[str | None], raw: list[Any] | None, how: Plan, reasons: dict[int, list[str]]
) -> pd.Series[Any]:
    if target in how.derive:
        return _derived(target, how.derive[target], values, reasons)
    if kind == "TIMESTAMP":
        return _moments(target, values, raw or [], how.mapping, reasons)
    if kind == "DOUBLE":
        return pd.Series([_number(target, i, v, reasons) for i, v in enumerate(values)], dtype="float64")
    if kind == "BOOLEAN":
        return pd.Series([_boolean(target, i, v, reasons) for i, v in enumerate(values)], dtype="boolean")
    return pd.Series(values, dtype="str")


def _derived(target: str, rule: Derivation, values: list[str | None], reasons: dict[int, list[str]]) -> pd.Series[Any]:
    numbers = [_float(rule.column, i, v, reasons) for i, v in enumerate(values)]
    if rule.above is not None:
        return pd.Series([None if n is None else n > rule.above for n in numbers], dtype="boolean")
    (low, high), (least, most) = rule.scale or (0.0, 1.0), RANGES[target]
    scaled = [None if n is None else least + (n - low) / (high - low) * (most - least) for n in numbers]
    return pd.Series([_in_range(target, i, n, reasons) for i, n in enumerate(scaled)], dtype="float64")


def _number(target: str, row: int, value: str | None, reasons: dict[int, list[str]]) -> float | None:
    if target == "sentiment" and value is not None and value.casefold() in SENTIMENTS:
        return SENTIMENTS[value.casefold()]
    return _in_range(target, row, _float(target, row, value, reasons), reasons)


def _in_range(target: str, row: int, number: float | None, reasons: dict[int, list[str]]) -> float | None:
    low, high = RANGES[target]
    if number is not None and not low <= number <= high:
        _blame(row, f"{target} {number:g} is not between {low:g} and {high:g}", reasons)
        return None
    return number


def _float(name: str, row: int, value: str | None, reasons: dict[int, list[str]]) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _blame(row, f"{name} {_short(value)} is not a number", reasons)
        return None
    return number


def _boolean(target: str, row: int, value: str | None, reasons: dict[int, list[str]]) -> bool | None:
    if value is None:
        return None
    if value.casefold() in TRUE | FALSE:
        return value.casefold() in TRUE
    _blame(row, f"{target} {_short(value)} is neither true nor false", reasons)
    return None


def _moments(
    target: str, values: list[str | None], raw: list[Any], mapping: Mapping, reasons: dict[int, list[str]]
) -> pd.Series[Any]:
    """UTC without a zone; NaT where there is none."""
    texts = pd.Series(values, dtype="str")
    found = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    typed = pd.Series([isinstance(v, dt.date) for v in raw] or [False] * len(values), dtype="bool")
    patterned = texts.notna() & ~typed if mapping.patterns else pd.Series(False, index=texts.index)
    for pattern in mapping.patterns:
        left = patterned & found.isna()
        if left.any():
            found[left] = _written(texts[left], pattern, mapping.timezone)
    forms = [_form(value) for value in values]
    iso = pd.Series([form is not None for form in forms], dtype="bool") & ~patterned
    zoned = iso & pd.Series([form == "zoned" for form in forms], dtype="bool")
    if zoned.any():
        spelled = texts[zoned].str.replace(",", ".", regex=False).str.replace(r" ?(z|UTC)$", "Z", regex=True)
        spelled = spelled.str.replace(r" (?=[+-]\d\d(?::?\d\d)?$)", "", regex=True)
        found[zoned] = _naive(pd.to_datetime(spelled, format="ISO8601", errors="coerce", utc=True))
    local = iso & ~zoned
    if local.any():
        spelled = texts[local].str.replace(",", ".", regex=False)
        found[local] = _from_zone(pd.to_datetime(spelled, format="ISO8601", errors="coerce"), mapping.timezone)
    found = _in_years(found)
    form = " or ".join(mapping.patterns) or _EXAMPLE
    for row in np.flatnonzero((texts.notna() & found.isna()).to_numpy()):
        _blame(int(row), f"{target} {_short(values[row] or '')} is not a time written as {form}", reasons)
    return found


def _clocked(target: str, raw: list[dt.datetime | None], zone: str, reasons: dict[int, list[str]]) -> pd.Series[Any]:
    """Moments that the file has as such, in UTC; those without a zone are of the mapping's."""
    aware = np.array([value is not None and value.tzinfo is not None for value in raw], dtype=bool)
    given = pd.Series(raw, dtype="object")
    found = pd.Series(pd.NaT, index=given.index, dtype="datetime64[us]")
    found[aware] = _naive(pd.to_datetime(given[aware], utc=True))
    found[~aware] = _from_zone(pd.to_datetime(given[~aware]), zone)
    found = _in_years(found)
    for row in np.flatnonzero((given.notna() & found.isna()).to_numpy()):
        years = f"the years {YEARS[0]} to {YEARS[1] - 1} (UTC)"
        _blame(int(row), f"{target} {given[row].isoformat()!r} is not of {years}", reasons)
    return found


def _in_years(moments: pd.Series[Any]) -> pd.Series[Any]:
    return moments.where((moments.dt.year >= YEARS[0]) & (moments.dt.year < YEARS[1]))


def _form(text: str | None) -> Literal["zoned", "local"] | None:
    """Whether a text is a time, and of a zone that it names or of the mapping's; None where it is none."""
    if not text:
        return None
    if len(text) == len(_EXAMPLE) and text[-1] == "Z" and _USUAL.fullmatch(text):
        return "zoned"
    match = _ISO.fullmatch(text)
    return None if match is None else "zoned" if match["zone"] else "local"


def _written(texts: pd.Series[Any], pattern: str, zone: str) -> pd.Series[Any]:
    """The times that are written in one pattern, as UTC; NaT for others."""
    if pattern == UNIX:
        numbers = pd.to_numeric(texts.where(texts.str.fullmatch(r"\d{1,10}(\.\d{1,6})?")), errors="coerce")
        return pd.to_datetime(numbers, unit="s", errors="coerce").astype("datetime64[us]")
    aware = "%z" in pattern
    read = pd.to_datetime(texts, format=pattern, errors="coerce", utc=aware)
    return _naive(read) if aware else _from_zone(read, zone)


def _naive(moments: pd.Series[Any]) -> pd.Series[Any]:
    utc: pd.Series[Any] = moments.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
    return utc


def _from_zone(moments: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Wall-clock times of `zone`; of an hour that occurs twice the first is meant, one that never occurs moves on."""
    if zone == "UTC":
        return moments.astype("datetime64[us]")
    first = np.ones(len(moments), dtype=bool)
    near = moments.where(moments.dt.year.between(YEARS[0] - 1, YEARS[1]))  # Others have no place in every zone.
    return _naive(near.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward"))


def latest() -> dt.datetime:
    """The last moment at which a ticket can have been created, in UTC without a zone; clocks and zones may be wrong."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None) + AHEAD


def _check_rows(frame: pd.DataFrame, reasons: dict[int, list[str]]) -> None:
    for row in np.flatnonzero((frame["created_at"] > latest()).to_numpy()):
        _blame(int(row), "created_at lies in the future", reasons)
    for column in REQUIRED:
        for row in np.flatnonzero(frame[column].isna().to_numpy()):
            if not any(reason.startswith(column) for reason in reasons.get(int(row), [])):
                _blame(int(row), f"{column} is empty", reasons)
    for column in ("first_response_at", "resolved_at"):
        for row in np.flatnonzero((frame[column] < frame["created_at"]).to_numpy()):
            _blame(int(row), f"{column} is before created_at", reasons)


def _attributes(batch: Batch, names: tuple[str, ...]) -> pd.Series[Any]:
    """One JSON object for each row, its keys sorted; empty values are left out."""
    columns = [batch.values[name] for name in names]
    rows = (dict(_known(names, row)) for row in zip(*columns, strict=True))
    texts: Iterable[str] = (json.dumps(row, ensure_ascii=False, default=str, sort_keys=True) for row in rows)
    return pd.Series(list(texts) if names else ["{}"] * len(batch.lines), dtype="str")


def _known(names: tuple[str, ...], row: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """What a row says; attributes that were exported once come back as they were."""
    for name, value in zip(names, row, strict=True):
        if name == ATTRIBUTES and isinstance(value, str) and isinstance(inner := _json(value), dict):
            yield from inner.items()
        elif not _is_empty(value):
            yield name, value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _texts(raw: list[Any], *, strip: bool) -> list[str | None]:
    """All values as text, as `_text` makes it; most columns hold nothing but text, which is much less work."""
    if _are(raw, str) and "\0" not in "".join(filter(None, raw)):
        return [(value.strip() if strip else value) or None if value else None for value in raw]
    return [_text(value, strip=strip) for value in raw]


def _are(raw: list[Any], kind: type) -> bool:
    """Whether all values are of a type and not of one below it, or there is none."""
    return {type(value) for value in raw} <= {kind, type(None)}


def _text(value: Any, *, strip: bool) -> str | None:
    """`value` as text; None where it is empty. A whole number loses a `.0` that its file type gave it."""
    if isinstance(value, str):
        clean = value.replace("\0", "") if "\0" in value else value
        return (clean.strip() if strip else clean) or None
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").replace("\0", "") or None
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _reject(batch: Batch, row: int, why: list[str]) -> Reject:
    known = {name: values[row] for name, values in batch.values.items() if not _is_empty(values[row])}
    text = json.dumps(known, default=str, ensure_ascii=False)
    return Reject(batch.lines[row], "; ".join(why), text[:KEPT])


def _blame(row: int, reason: str, reasons: dict[int, list[str]]) -> None:
    reasons.setdefault(row, []).append(reason)


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")
