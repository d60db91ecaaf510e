"""Which runs are wanted: one frozen model, read from and written to the address of a page, a saved view, a command."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.errors import Invalid

SCORE = re.compile(r"(?P<evaluator>[^<>]{1,100}?)\s*(?P<side><|>| below | above )\s*(?P<value>-?\d+(?:\.\d+)?)")
PERIOD = re.compile(r"(?:last )?(?:([1-9]\d{0,3}) ?)?(h|hours?|d|days?)")
PERIODS = ("last hour", "last 24 hours", "last 7 days", "last 30 days", "last 90 days")
"""Spans of time that end now, as they are offered; any other is written in the same way, or as 12h or 14d."""


def length(period: str) -> dt.timedelta:
    """How long a period is. Raises Invalid."""
    if not (found := PERIOD.fullmatch(period)):
        raise Invalid(f"{period} is not a time.", remedy="Write it as: last 24 hours, or last 7 days.")
    return dt.timedelta(**{"hours" if found[2][0] == "h" else "days": int(found[1] or 1)})


class Score(BaseModel):
    """What an evaluator gave: below a value, or above it."""

    model_config = ConfigDict(frozen=True)
    evaluator: str
    below: float | None = None
    above: float | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """From `helpful below 0.5` or `helpful<0.5`. Raises Invalid."""
        if not (found := SCORE.fullmatch(text.strip())):
            raise Invalid(f"{text} is not a score.", remedy="Write it as: helpful below 0.5.")
        value = float(found["value"])
        return cls(
            evaluator=found["evaluator"], **{"below" if found["side"].strip() in ("<", "below") else "above": value}
        )

    def __str__(self) -> str:
        side, value = ("below", self.below) if self.below is not None else ("above", self.above)
        return f"{self.evaluator} {side} {value:g}"


def _some(title: str) -> Any:
    return Field(default=(), title=title, json_schema_extra={"choice": True})


class Filters(BaseModel):
    """What runs have to fit: every filter that is given, and of several values of one filter any of them.

    A run is about a word that question or reply says, or that a tool it calls or waits to call has in its name. Of
    several such words each must fit. Seconds are wall time, costs are US dollars; `since` is taken in, `until` is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: str = Field(default="", title="words", max_length=2000)
    about: tuple[str, ...] = Field(default=(), title="about")
    flow: tuple[str, ...] = _some("flow")
    version: tuple[str, ...] = _some("version")
    outcome: tuple[str, ...] = _some("outcome")
    agent: tuple[str, ...] = _some("agent")
    model: tuple[str, ...] = _some("model")
    source: tuple[str, ...] = _some("source")
    tool: tuple[str, ...] = _some("tool called")
    tripped: tuple[str, ...] = _some("guardrail tripped")
    held: tuple[str, ...] = _some("guardrail held something")
    flagged: bool = Field(default=False, title="flagged")
    flagged_by: tuple[str, ...] = _some("flagged by")
    label: tuple[str, ...] = _some("label")
    cause: tuple[str, ...] = _some("cause of failure")
    score: tuple[Score, ...] = Field(default=(), title="score")
    period: str = Field(default="", title="time")
    since: dt.datetime | None = Field(default=None, title="since")
    until: dt.datetime | None = Field(default=None, title="until")
    slower: float | None = Field(default=None, title="slower than", ge=0)
    faster: float | None = Field(default=None, title="faster than", ge=0)
    dearer: float | None = Field(default=None, title="dearer than", ge=0)
    cheaper: float | None = Field(default=None, title="cheaper than", ge=0)
    customer: str = Field(default="", title="customer", max_length=500)

    @field_validator("score", mode="before")
    @classmethod
    def _scores(cls, given: Any) -> Any:
        return tuple(Score.read(one) if isinstance(one, str) else one for one in given)

    @field_validator("period")
    @classmethod
    def _known(cls, given: str) -> str:
        if not given:
            return ""
        if not (found := PERIOD.fullmatch(given)):
            raise ValueError(f"{given} is not a period")
        unit = "hour" if found[2][0] == "h" else "day"
        return f"last {unit}" if found[1] in (None, "1") else f"last {found[1]} {unit}s"

    @field_validator("since", "until")
    @classmethod
    def _aware(cls, given: dt.datetime | None) -> dt.datetime | None:
        return given.replace(tzinfo=dt.UTC) if given is not None and given.tzinfo is None else given

    @property
    def empty(self) -> bool:
        """Whether every run fits."""
        return self == Filters()

    def address(self) -> dict[str, list[str]]:
        """The filters that are given, as the address of a page holds them."""
        found: dict[str, list[str]] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value in (None, "", (), False):
                continue
            several = value if isinstance(value, tuple) else (value,)
            found[name] = [_plain(one) for one in several]
        return found

    def without(self, name: str, value: str = "") -> Filters:
        """The same without one filter, or without one value of it."""
        there = self.address()
        left = [one for one in there.get(name, []) if value and one != value]
        return read({**there, name: left})


CHOICES = tuple(name for name, field in Filters.model_fields.items() if field.json_schema_extra)
"""The filters of which several values may be chosen. Another one joins by a line in `Filters` and its terms in `facts`."""
TERMS = {name: "flagged" if name == "flagged_by" else name for name in CHOICES}
"""The kind of term that each of them looks for."""


def read(state: Mapping[str, Sequence[str]]) -> Filters:
    """Filters from the address of a page; what it does not name is not filtered. Raises Invalid."""
    given: dict[str, Any] = {}
    for name, values in state.items():
        kept = [one for one in values if one != ""]
        if name in Filters.model_fields and kept:
            given[name] = tuple(kept) if name in (*CHOICES, "score", "about") else kept[-1]
    try:
        return Filters(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise Invalid(
            f"{given.get(name)} cannot be used as the filter {Filters.model_fields[name].title or name}.",
            remedy="Choose another value, or take the filter away.",
        ) from None


def told(filters: Filters) -> list[tuple[str, str, str]]:
    """Each filter in plain words: its name, its value in the address, and the words."""
    found = []
    for name, values in filters.address().items():
        title = Filters.model_fields[name].title or name
        found += [(name, value, _words(name, title, value)) for value in values]
    return found


def _words(name: str, title: str, value: str) -> str:
    if name == "words":
        return f"says “{value}”"
    if name == "about":
        return f"about “{value}”"
    if name == "flagged":
        return "flagged"
    if name == "period":
        return value
    if name in ("since", "until"):
        return f"{'from' if name == 'since' else 'before'} {dt.datetime.fromisoformat(value):%-d %b %Y, %H:%M} UTC"
    if name in ("slower", "faster"):
        return f"{title} {float(value):g} s"
    if name in ("dearer", "cheaper"):
        return f"{title} ${float(value):g}"
    if name == "score":
        return f"score of {value}"
    return f"{title}: {value}"


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="minutes").replace("+00:00", "")
    if isinstance(value, bool):
        return "true"
    return f"{value:g}" if isinstance(value, float) else str(value)
