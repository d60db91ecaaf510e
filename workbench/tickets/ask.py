"""A question in plain English becomes a query over the metrics file, or a refusal that says why.

Every word must mean something here: a metric, a dimension, one of the tickets' own values, a time, a comparison, or
nothing at all. A word that means none of these is not guessed at; the question is refused and the word named.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from workbench.errors import Invalid
from workbench.tickets import grains, metrics, trends
from workbench.tickets.columns import DIMENSIONS, NONE, dimension
from workbench.tickets.measure import Grain
from workbench.traces import periods

LONGEST = 400
"""Characters of a question."""
SHOWN = 60
"""Characters of a name nobody knows that are told back."""
MOST = 1000
"""Groups that can be asked for, and values that a filter can have."""

Order = Literal["", "highest", "lowest"]
Against = Literal["", "previous", "year"]


@dataclass(frozen=True)
class Question:
    """What is asked, as data: a metric, grouped and filtered; the days are UTC and both belong to the period.

    With `grain` there is a value for each period; `against` compares with the days before or a year before; `order`
    and `limit` ask for some of the groups. `where` is dimension to values, any of which fits.
    """

    metric: str
    by: tuple[str, ...] = ()
    grain: Grain | None = None
    start: dt.date | None = None
    end: dt.date | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    against: Against = ""
    order: Order = ""
    limit: int = 0

    def __post_init__(self) -> None:
        metrics.get(self.metric[:SHOWN])
        for name in (*self.by, *self.where):
            dimension(name[:SHOWN])
        for said, known, what in (
            (self.grain, (None, *grains.GRAINS), "grain"),
            (self.against, get_args(Against), "comparison"),
            (self.order, get_args(Order), "order"),
        ):
            if said not in known:
                names = ", ".join(str(one) for one in known if one)
                raise Invalid(f"There is no {what} {str(said)[:SHOWN]!r}.", remedy=f"Use {names}.")
        if not 0 <= self.limit <= MOST:
            raise Invalid(f"There are no {self.limit:g} groups to ask for.", remedy=f"Ask for at most {MOST:,}.")
        if self.start and self.end and self.start > self.end:
            raise Invalid("The period ends before it begins.", remedy="Swap the two days.")
        if any(len(values) > MOST or any(len(one) > MOST for one in values) for values in self.where.values()):
            raise Invalid(f"A filter has at most {MOST:,} values, each as long at most.", remedy="Choose fewer.")

    @property
    def filters(self) -> trends.Filters:
        """The period and the values, as the Trends page takes them."""
        return trends.Filters(self.start, self.end, {name: list(values) for name, values in self.where.items()})

    @property
    def plain(self) -> dict[str, Any]:
        """The question as JSON, which `of` reads."""
        return {
            "metric": self.metric,
            "by": list(self.by),
            "grain": self.grain,
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "where": {name: list(values) for name, values in self.where.items()},
            "against": self.against,
            "order": self.order,
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Meant:
    """Some words of a question and what they were taken for."""

    words: str
    meaning: str


@dataclass(frozen=True)
class Reading:
    """What a question was taken for. `question` is None where it was refused, with the reason and what would help.

    `relative` tells that the period was said from the newest ticket on, such as `last week`.
    """

    question: Question | None
    meant: tuple[Meant, ...] = ()
    refused: str = ""
    remedy: str = ""
    relative: bool = False


def of(body: Mapping[str, Any]) -> Question:
    """The question in `Question.plain`; raises Invalid where it is none."""
    try:
        days = {name: dt.date.fromisoformat(body[name]) if body.get(name) else None for name in ("start", "end")}
        where = {str(name): tuple(map(str, values)) for name, values in body.get("where", {}).items()}
        return Question(
            metric=str(body["metric"]),
            by=tuple(dict.fromkeys(map(str, body.get("by", ())))),
            grain=body.get("grain"),
            where=where,
            against=body.get("against", ""),
            order=body.get("order", ""),
            limit=int(body.get("limit", 0)),
            **days,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Invalid("This is no question over the metrics.", remedy="Ask it in words.") from error


def fitting(question: Question, facets: Mapping[str, Sequence[str]], today: dt.date) -> Question:
    """`question` as the tickets can answer it, whoever made it; its time ends with the newest ticket's day, `today`.

    Raises Invalid naming a dimension or a value that no ticket has, or a time that lies ahead.
    """
    for name in (*question.by, *question.where):
        if not facets.get(name):
            raise Invalid(
                f"These tickets have no {name.replace('_', ' ')}.", remedy="Load them with a mapping that has it."
            )
    trends.known_values(question.where)
    if question.start and question.start > today:
        raise Invalid(
            f"{question.start:%-d %b %Y} lies after the newest ticket ({today:%-d %b %Y}).",
            remedy="Ask about a time that has tickets.",
        )
    return replace(question, end=question.end and min(question.end, today))


def read(text: str, facets: Mapping[str, Sequence[str]], today: dt.date) -> Reading:
    """What `text` asks of tickets whose dimensions have the values `facets`, seen from `today`, the newest ticket's day."""
    if len(text) > LONGEST:
        return Reading(None, refused=f"A question has at most {LONGEST} characters.", remedy="Ask for one thing.")
    flat = _flat(text)
    if not flat:
        return Reading(None, refused="Nothing was asked.", remedy=HINT)
    phrases = _phrases(facets)
    rest, against, meant = _comparison(flat)
    try:
        period = periods.find(rest, today)
    except Invalid as ahead:
        return Reading(None, tuple(meant), ahead.message, ahead.remedy)
    if period:
        rest = f"{rest[: period.at[0]]} {TIME} {rest[period.at[1] :]}"
        meant.append(Meant(period.words, _days(period.start, period.end)))
    found, strange = _match(rest.split(), phrases)
    if strange:
        return _refusal(strange, meant)
    if not period and all(signs[0].kind in ("silent", "number", "except") for _, signs in found):
        return Reading(None, tuple(meant), "It is not clear what is asked of the tickets.", HINT)
    try:
        asked = _Sense(facets).take(found, meant)
    except Invalid as error:
        return Reading(None, tuple(meant), error.message, error.remedy)
    question = replace(
        asked,
        start=period.start if period else None,
        end=period.end if period else None,
        against=against or asked.against,
    )
    relative = bool(period and not re.search(r"\d{4}", period.words))
    return Reading(question, tuple(meant), relative=relative)


def words(question: Question, *, dated: bool = False) -> str:
    """What is asked in one line, such as `CSAT by vendor, channel is email`; with its days where it is to be `dated`."""
    told = metrics.get(question.metric).title + "".join(f" by {name.replace('_', ' ')}" for name in question.by)
    if question.grain:
        told += f" a {question.grain}"
    for name, values in question.where.items():
        told += f", {name.replace('_', ' ')} is {' or '.join(values)}"
    return f"{told}, {_days(question.start, question.end)}" if dated else told


def key(text: str) -> str:
    """The words of a question without case, accents and marks: the same for the same question."""
    return _flat(text)


HINT = (
    "Ask for a metric, such as tickets, first response, resolution, CSAT or backlog; by a dimension, such as topic, channel "
    "or vendor; of some tickets; in a time."
)
TIME = "‹time›"


@dataclass(frozen=True)
class _Sign:
    """What a phrase stands for."""

    kind: str
    value: str = ""
    dimension: str = ""


@lru_cache
def _words() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
    return found


def _flat(text: str) -> str:
    """Lower case without accents and marks; hyphens between letters become blanks, those in dates stay."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    plain = (
        re.sub(r"(?<=[a-z])[-/](?=[a-z])|[’']s\b", " ", plain).replace("s’ ", "s ").replace("’", "").replace("'", "")
    )
    return " ".join(re.sub(r"[^\w\s%-]|(?<!\d)-|-(?!\d)", " ", plain).split())


def _stem(word: str) -> str:
    """A word without the ending of its plural."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "ches", "shes", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _stems(text: str) -> tuple[str, ...]:
    return tuple(_stem(word) for word in _flat(text).split())


def _phrases(facets: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[_Sign]]:
    """Every phrase that means something, as stems, with all that it may mean, the likeliest first."""
    words = _words()
    made: dict[tuple[str, ...], list[_Sign]] = {}

    def add(phrases: Iterable[str], sign: _Sign) -> None:
        for phrase in phrases:
            if stems := _stems(phrase):
                known = made.setdefault(stems, [])
                if sign not in known:
                    known.append(sign)

    for kind in ("high", "low", "good", "bad", "over_time", "changed", "versus", "except"):
        add(words[kind], _Sign(kind))
    for grain, phrases in words["grains"].items():
        add(phrases, _Sign("grain", grain))
    for name in DIMENSIONS:
        for value in facets.get(name, ()):
            if value != NONE:
                add((value, *words["values"].get(name, {}).get(value, ())), _Sign("value", value, name))
    for name, metric in metrics.METRICS.items():
        add(
            (metric.title.split(",")[0] if name == "volume" else metric.title, *words["metrics"].get(name, ())),
            _Sign("metric", name),
        )
    for name in DIMENSIONS:
        add(words["dimensions"].get(name, (name,)), _Sign("dimension", name))
    for thing, why in words["unknown"].items():
        add((thing,), _Sign("unknown", why))
    add(words["silent"], _Sign("silent"))
    made[(TIME,)] = [_Sign("silent")]
    return made


def _comparison(flat: str) -> tuple[str, Against, list[Meant]]:
    """`flat` without the words that compare with another time, and what they compare with."""
    kinds: tuple[tuple[str, Against, str], ...] = (
        ("year_before", "year", "against the same weekdays a year before"),
        ("week_before", "previous", "against the equally long time before"),
    )
    for kind, against, meaning in kinds:
        for phrase in sorted(_words()[kind], key=len, reverse=True):
            if re.search(rf"\b{phrase}\b", flat):
                unit = re.search(r"last (week|month)", phrase)
                left = f" this {unit[1]} " if unit and not re.search(r"\bthis (week|month)\b", flat) else " "
                return re.sub(rf"\b{phrase}\b", left, flat, count=1), against, [Meant(phrase, meaning)]
    return flat, "", []


Found = list[tuple[str, list[_Sign]]]


def _match(words: list[str], phrases: Mapping[tuple[str, ...], list[_Sign]]) -> tuple[Found, list[tuple[str, str]]]:
    """The words as phrases, the longest first; and those that are no phrase or name what tickets do not tell, with why."""
    stems = [word if word == TIME else _stem(word) for word in words]
    most = max(map(len, phrases))
    found: Found = []
    strange: list[tuple[str, str]] = []
    at = 0
    while at < len(stems):
        for length in range(min(most, len(stems) - at), 0, -1):
            signs = phrases.get(tuple(stems[at : at + length]))
            if signs:
                said = " ".join(words[at : at + length])
                if signs[0].kind == "unknown":
                    strange.append((said, signs[0].value))
                else:
                    found.append((said, signs))
                at += length
                break
        else:
            if stems[at].isdigit() and len(stems[at]) < 4:
                found.append((words[at], [_Sign("number", stems[at])]))
            else:
                strange.append((words[at], ""))
            at += 1
    return found, strange


def _refusal(strange: Sequence[tuple[str, str]], meant: Sequence[Meant]) -> Reading:
    reasons = list(dict.fromkeys(why for _, why in strange if why))
    named = ", ".join(f"“{word}”" for word, _ in strange[:4])
    told = " ".join(reasons) or f"The tickets say nothing about {named}."
    if reasons:
        told = f"{told} (asked: {named})"
    return Reading(None, tuple(meant), told, HINT)


class _Sense:
    """Makes one question of phrases that were found."""

    def __init__(self, facets: Mapping[str, Sequence[str]]) -> None:
        self.facets = facets
        self.metric = ""
        self.by: list[str] = []
        self.grain: Grain | None = None
        self.where: dict[str, list[str]] = {}
        self.order: Order = ""
        self.end = ""
        self.last = ""
        self.by_change = False
        self.implied = ""
        self.just = ""
        self.limit = 0
        self.against: Against = ""
        self.over_time = False
        self.versus = False

    def take(self, found: Found, meant: list[Meant]) -> Question:
        """The question; `meant` gets what each phrase was taken for. Raises Invalid where phrases do not fit together."""
        out = False
        for i, (words, signs) in enumerate(found):
            sign = self._choose(i, found)
            if sign.kind == "except":
                out = True
                continue
            told = self._value(sign, signs, out=out) if sign.kind == "value" else self._one(sign, words, found[i + 1 :])
            if told:
                meant.append(Meant(words, told))
            if sign.kind not in ("silent", "value"):
                out = False
            if sign.kind != "silent":
                self.by_change |= {self.last, sign.kind} in ({"changed", "high"}, {"changed", "low"})
                self.last = sign.kind
        return self._question(meant)

    def _choose(self, at: int, found: Found) -> _Sign:
        """Of several meanings that which its neighbours ask for, such as the product of `product App`."""
        signs = found[at][1]
        if len(signs) == 1:
            return signs[0]
        near = [one for i in (at - 1, at + 1) if 0 <= i < len(found) for one in found[i][1] if one.kind == "dimension"]
        for one in near:
            for sign in signs:
                if sign.kind == "value" and sign.dimension == one.value:
                    return sign
        if signs[0].kind == "value" and at and any(s.kind == "silent" for s in found[at - 1][1]):
            return signs[0]
        return signs[0]

    def _one(self, sign: _Sign, words: str, following: Found) -> str:
        match sign.kind:
            case "metric":
                return self._measure(sign.value)
            case "dimension":
                return self._dimension(sign.value, following)
            case "grain":
                self.grain = cast(Grain, sign.value)
                return f"a value for each {sign.value}"
            case "over_time":
                self.over_time = True
                return "over time"
            case "changed":
                self.against = "previous"
                return "against the equally long time before"
            case "versus":
                self.versus = True
                return "side by side"
            case "high" | "low" | "good" | "bad":
                self.end = sign.kind
                return _slow(self, words)
            case "number":
                self.limit = int(sign.value)
                return f"{self.limit} of them"
        return ""

    def _measure(self, name: str) -> str:
        if self.metric in ("", "volume") or name == self.metric:
            self.metric = name
        elif name != "volume":
            first, second = metrics.get(self.metric).title, metrics.get(name).title
            raise Invalid(f"Two things are asked for at once: {first} and {second}.", remedy="Ask for one at a time.")
        return metrics.get(name).title

    def _dimension(self, name: str, following: Found) -> str:
        """A dimension groups, unless one of its values stands beside it."""
        if any(sign.kind == "value" and sign.dimension == name for _, signs in following[:1] for sign in signs):
            return ""
        if self.where.get(name) and self.just == name:
            return ""
        if not self.facets.get(name):
            raise Invalid(
                f"These tickets have no {name.replace('_', ' ')}.", remedy="Load them with a mapping that has it."
            )
        if name not in self.by:
            self.by.append(name)
        return f"by {name.replace('_', ' ')}"

    def _value(self, sign: _Sign, signs: Sequence[_Sign], *, out: bool) -> str:
        name, shown = sign.dimension, sign.dimension.replace("_", " ")
        others = [one.dimension for one in signs if one.kind == "value" and one.dimension != name]
        known = self.where.setdefault(name, [])
        if out:
            start = known or list(self.facets[name])
            self.where[name] = [one for one in start if one != sign.value]
            return f"{shown} is not {sign.value}"
        if sign.value not in known:
            known.append(sign.value)
        self.just = name
        also = f" (there is a {' and a '.join(others)} of that name too)" if others else ""
        return f"{shown} is {sign.value}{also}"

    def _question(self, meant: list[Meant]) -> Question:
        metric = self.implied if self.implied and self.metric in ("", "volume") else self.metric or "volume"
        if not self.metric and not self.implied:
            meant.append(Meant("", "Tickets, because nothing else was asked for"))
        several = [name for name, values in self.where.items() if len(values) > 1]
        if self.versus and several and not self.by:
            self.by.append(several[0])
        elif self.versus and not several and not self.by:
            raise Invalid(
                "Only one side of the comparison was understood.", remedy="Name two values, such as email and chat."
            )
        if self.end and not self.by and not self.grain:
            raise Invalid(
                "It is not clear of what the highest or lowest is asked.",
                remedy="Name a dimension, such as vendor or topic.",
            )
        good_is_up = metrics.get(metric).good == "up"
        up = {"high": True, "low": False, "good": good_is_up, "bad": not good_is_up}.get(self.end, True)
        order: Order = ("highest" if up else "lowest") if self.end and not self.by_change else ""
        if self.limit and not self.by:
            raise Invalid(f"It is not clear what the {self.limit} are.", remedy="Name a dimension, such as topic.")
        grain = self.grain
        if self.over_time and not grain:
            grain = "week"
        return Question(
            metric=metric,
            by=tuple(self.by),
            grain=grain,
            where={name: tuple(values) for name, values in self.where.items()},
            against="" if grain else self.against,
            order="" if grain else order,
            limit=0 if grain else self.limit,
        )


def _slow(sense: _Sense, words: str) -> str:
    """What a superlative asks for; `slowest` and `busiest` name a metric too, where none was named."""
    implied = {
        "slowest": "resolution",
        "fastest": "resolution",
        "quickest": "resolution",
        "longest": "resolution",
        "shortest": "resolution",
        "happiest": "csat",
        "unhappiest": "csat",
        "busiest": "volume",
    }
    if (name := implied.get(words)) and not sense.metric and name != "volume":
        sense.implied = name
    return "ranked"


def _days(start: dt.date | None, end: dt.date | None) -> str:
    if start and end:
        return f"{start:%-d %b %Y}" if start == end else f"{start:%-d %b %Y} to {end:%-d %b %Y}"
    return f"from {start:%-d %b %Y}" if start else f"to {end:%-d %b %Y}" if end else "all days"
