"""How well a number, a word or a known value fits one parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.runtime.offline import matching
from workbench.runtime.offline.mentions import Mention
from workbench.runtime.offline.schema import is_id, kind_of
from workbench.runtime.offline.wishes import NEGATION, OBJECTS, clauses


class _Unknown:
    """The value that nothing in the conversation tells."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


def fit(name: str, spec: Mapping[str, Any], mention: Mention, *, alone: bool) -> float:
    """How well a number of the text fits a parameter, by its kind and by the words beside it."""
    words = matching.words(name)
    label = {matching.concept(w) for w in words if w not in matching.ID_WORDS}
    says = label | matching.concepts(str(spec.get("description", "")))
    money = bool(MONEY_WORDS & set(words)) or bool(
        re.search(r"(?i)\b(?:amount|price|euro|dollar|cents)", str(spec.get("description", "")))
    )
    if kind_of(spec) == "integer" and mention.kind == "code":
        return 0.0
    beside = [(matching.concept(w), 1.0 - 0.25 * i) for i, w in enumerate(mention.before)]
    beside += [(matching.concept(w), 0.9 - 0.25 * i) for i, w in enumerate(mention.after)]
    near = max((closeness for word, closeness in beside if word in label), default=0.0)
    near = max(near, max((0.8 * closeness for word, closeness in beside if word in says), default=0.0))
    if is_id(name, spec):
        return _fit_id(mention, near, label)
    if mention.kind == "code" or mention.marked:
        return 0.0
    whole_only = kind_of(spec) == "integer" and "cents" not in words
    if whole_only and not mention.whole:
        return 0.0
    if money:
        fraction = mention.kind == "number" and not mention.whole
        return 0.8 + 0.2 * near if mention.kind == "money" else 0.6 + 0.2 * near if fraction else 0.5 * near
    if mention.kind == "money":
        return 0.0
    small = mention.value is not None and abs(mention.value) < 100
    hint = 0.35 if alone and not near and small else 0.0
    return 0.7 * near if near else hint


def as_number(name: str, spec: Mapping[str, Any], mention: Mention) -> Any:
    if kind_of(spec) == "string" or mention.value is None:
        return mention.text if kind_of(spec) == "string" else UNKNOWN
    value = mention.value * 100 if "cents" in matching.words(name) and mention.kind != "count" else mention.value
    return (
        round(value)
        if kind_of(spec) == "integer"
        else int(value)
        if value == int(value) and mention.kind == "count"
        else value
    )


def as_kind(value: Any, spec: Mapping[str, Any]) -> Any:
    kind = kind_of(spec)
    if kind == "string" and not isinstance(value, bool):
        return str(value)
    if kind in ("integer", "number") and isinstance(value, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", value):
        value = float(value)
    if kind == "integer" and isinstance(value, float) and value == int(value):
        return int(value)
    kinds: Mapping[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
    ok = isinstance(value, kinds.get(kind, ())) and (kind == "boolean") == isinstance(value, bool)
    return value if ok else UNKNOWN


def labelled(label: str, text: str) -> str:
    """What a text says for a label: "street is …", "room Apollo", "flight LH123", or a usual pattern."""
    if label == "street":
        return found[1] if (found := _STREET.search(text)) else ""
    special = _SPECIAL_LABELS.get(label)
    if special and (found := re.search(rf"(?i){special}", text)):
        return found[1].strip()
    escaped = re.escape(label)
    stated = re.search(rf"(?i)\b{escaped}\s*(?:\bis\b|\bto\b|:|=|\bnamed\b|\bcalled\b)\s*[\"“]?([^\"”.,;!?\n]+)", text)
    if stated:
        return re.split(r"\s+(?:and|but|on|for|from|at|with)\s", stated[1])[0].strip()
    beside = re.search(rf"(?i)\b{escaped}\s+[\"“]?((?-i:[A-Z][\w-]*|\w*\d[\w-]*))", text)
    return beside[1] if beside and special is None else ""


def labels(name: str) -> list[str]:
    words = matching.plain(name).split()
    return list(dict.fromkeys([" ".join(words), *reversed(words)]))


def choice_score(need: str, choice: str) -> float:
    """How clearly a text names a choice of an enum; a negated mention does not count."""
    wanted = matching.terms(choice)
    if mood := _MOODS.get(matching.plain(choice)):
        return len(mood.findall(matching.fold(need))) / 4
    if not wanted:
        plain = matching.plain(choice)
        return float(bool(plain) and re.search(rf"\b{re.escape(plain)}\b", matching.fold(need)) is not None)
    score = matching.overlap(choice, need)
    first = next((clause for clause in clauses(need) if wanted[0].stem in {t.stem for t in matching.terms(clause)}), "")
    words = [matching.stem(word) for word in matching.words(first)]
    at = words.index(wanted[0].stem) if wanted[0].stem in words else 0
    negated = at and NEGATION.search(" ".join(matching.words(first)[max(0, at - 3) : at]))
    return 0.0 if negated and not NEGATION.search(matching.plain(choice)) else score


def _fit_id(mention: Mention, near: float, label: set[str]) -> float:
    if mention.kind in ("money", "count") or (mention.kind == "number" and not mention.whole):
        return 0.0
    year = re.fullmatch(r"(?:19|20)\d\d", mention.text) and mention.before[:1] in (("in",), ("year",), ("since",))
    base = 0.5 if mention.marked or mention.kind == "code" or len(mention.text) >= 3 else 0.2
    first = next((matching.concept(w) for w in mention.before if w not in matching.ID_WORDS), "")
    other = label and first in OBJECTS | {"customer", "zip"} and first not in label
    people = bool(mention.after) and matching.concept(mention.after[0]) in {
        "people",
        "day",
        "minut",
        "hour",
        "euro",
        "item",
        "tim",
    }
    return 0.0 if year or people else base + 0.45 * near - (0.4 if other else 0.0)


MONEY_WORDS = matching.word_set("amount price total cost fee sum value budget cents payment balance credit limit")


_PLACE = r"((?-i:[A-Z][\w'-]+)(?: (?-i:[A-Z][\w'-]+))*)"


_STREET = re.compile(
    r"\b(\d+[a-z]? (?:[A-Z][\w'-]+ )+(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Way|Square|Place|"
    r"Court|Boulevard|Blvd)\b"
    r"|[A-Z][\w-]*(?:straße|strasse|str\.|weg|platz|allee|gasse)\s+\d+\w?|(?:Rue|Calle|Rua|Avenida) [\w ]+?,? \d+)"
)


_SPECIAL_LABELS: Mapping[str, str] = {
    "name": rf"\b(?:my name is|i am|i'm|this is|name:)\s+{_PLACE}",
    "city": rf"(?:\b\d{{4,6}}\s+|\b(?:in|to)\s+|,\s*){_PLACE}(?=\s*(?:[.,!?]|\d|$|and\b|on\b|for\b))",
    "origin": rf"\bfrom\s+{_PLACE}",
    "from": rf"\bfrom\s+{_PLACE}",
    "destination": rf"\bto\s+{_PLACE}",
    "to": rf"\bto\s+{_PLACE}",
    "location": rf"\b(?:in|at|near)\s+{_PLACE}",
    "zip": r"\b(\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "postcode": r"\b(\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "postal": r"\b(\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "address": r"\baddress\b[^.!?]*?\b(?:to|is|:)\s+([^!?]*\d[^!?]*?)(?:[.!?]?\s*$|[!?])",
    "country": rf"\b(?:in|to|from)\s+{_PLACE}$",
}


_MOODS = {
    "positive": re.compile(
        r"\b(?:love\w*|great|excellent|happy|perfect|awesome|good|amazing|thank\w*|super|wonderful)\b"
    ),
    "negative": re.compile(
        r"\b(?:bad|angry|terrible|broken|damaged|late|worst|awful|unhappy|disappoint\w*|never|hate\w*|wrong|"
        r"slow|missing|"
        r"ridiculous|useless|unacceptable|complain\w*|poor|refund\w*|lost)\b"
    ),
}
