"""Whether a run speaks of one customer: an address, a number, a name or an id in what people and models wrote.

What programs write of a run does not count: names of fields, roles, tools and models, times, and counts of tokens.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.runtime.redaction import Masker, Rules
from workbench.traces import foreign
from workbench.traces.otlp import Span

_OURS = frozenset(
    (
        "format", "kind", "id", "flow", "version", "digest", "source", "environment", "conversation", "started_at", "starts_at",
        "outcome", "agent", "model", "models", "usage", "spans", "packages", "seal", "root", "resumes", "redacted", "role", "type",
        "status", "call_id", "name", "tool", "tools", "handoffs", "schema", "settings", "effect", "inside", "on", "check", "about",
        "run", "response_id", "request_id", "object", "person",
    )
)  # fmt: skip
"""The parts of a record of ours that no customer and no model wrote."""
_GIVEN = ("variables", "told")
"""The parts of a record whose names are free."""
_INSIDE = frozenset(("role", "type", "kind", "usage", "finish_reason", "created"))
"""The same, of JSON that stands in a text."""
_THEIRS = re.compile(
    r"gen_ai\.(?:operation\.name|system$|provider\.|request\.|response\.|usage\.|agent\.|output\.type|token|tool\.(?!call\.(?:arguments|result)))"
    r"|llm\.(?:model_name|provider|system$|token_count|invocation_parameters|request\.|usage|cost|is_streaming)"
    r"|openinference\.|traceloop\.(?:span|workflow|entity\.(?:name|path))|(?:tool|agent)\.(?:name|description)$|graph\."
    r"|(?:service|telemetry|process|host|os|container|k8s|cloud|deployment)\."
    r"|.*\.(?:role|type|kind|mime_type|finish_reasons?|function\.name)$"
)
"""The attributes of spans that no customer and no model wrote."""
_ID = re.compile(r"(?:^|[._])(?:id|user|customer|account|phone|number)$", re.IGNORECASE)
"""Attributes whose numbers may name a customer."""
DEEPEST = 4
"""Levels of JSON in a text of JSON that are read."""
SHORTEST = 7
"""Digits of a telephone number by which it is known."""

_QUOTES = str.maketrans("\u2018\u2019\u02bc\u201c\u201d\u2010\u2011\u2012\u2013\u2014", "'''\"\"-----")
_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/nt])')
_BETWEEN = r"[\s().\-/]{0,3}"


def folded(text: str) -> str:
    """A text in which the same words are the same letters: without case, composed, with plain quotes and dashes."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold()).translate(_QUOTES)


class Wanted:
    """What tells one customer, to be looked for in texts."""

    def __init__(self, value: str) -> None:
        self.value = value.strip()
        self._words = re.compile(_words(folded(self.value)))
        self._phone = _Phone.read(self.value)

    def inside(self, texts: Sequence[str], rules: Rules, scopes: Sequence[str]) -> bool:
        """Whether one of the texts names the customer, as it is or masked as in these conversations."""
        joined = folded("\0".join(texts))
        if self._words.search(joined) or (self._phone and self._phone.inside(joined)):
            return True
        if rules.off or "[" not in joined:
            return False
        spelled = [self.value, *(self._phone.spellings() if self._phone and "[phone " in joined else ())]
        masked = {Masker(rules, scope).text(one) for scope in scopes for one in spelled}
        return any("[" in one and folded(one) in joined for one in masked)


def _words(value: str) -> str:
    """A pattern that finds a value as a whole: no part of a longer number or address, and no end of a longer word."""
    body = r"\s+".join(re.escape(one) for one in value.split())
    if "@" in value:
        return rf"(?<![\w.+-]){body.replace('@', '(?:@|%40)')}(?![\w-]|\.\w)"
    if value.isdigit():
        return rf"(?<!\w)(?<!\d[.,]){body}(?!\w)(?![.,]\d)"
    before = r"(?<!\w)" if value[0].isdigit() or value[0] != value[0].upper() else ""
    return f"{before}{body}" + (r"(?!\d)" if value[-1].isdigit() else "")


class _Phone:
    """A telephone number, known by its last digits however it is written, and with or without what comes before them."""

    def __init__(self, digits: str, plain: bool) -> None:
        self._digits, self._plain = digits, plain
        self._lead, last = digits[:-SHORTEST].lstrip("0"), digits[-SHORTEST:]
        self._last = re.compile(rf"{_BETWEEN.join(last)}(?!\d)")

    @classmethod
    def read(cls, value: str) -> _Phone | None:
        """From a value as people write it; None where it is no such number."""
        written = value.translate(_QUOTES)
        digits = re.sub(r"\D", "", written.replace("(0)", ""))
        if not re.fullmatch(r"[+\d\s().\-/]+", written, re.ASCII) or not SHORTEST <= len(digits) <= 15:
            return None
        return cls(digits.removeprefix("00"), written.isdigit())

    def spellings(self) -> list[str]:
        """The number as it is masked where it was written with or without what comes before it."""
        digits = self._digits
        found = [digits, digits.lstrip("0"), f"1{digits}" if len(digits) == 10 else digits]
        found += [f"{zero}{digits[cut:]}" for cut in (1, 2, 3) for zero in ("", "0") if len(digits) - cut >= 9]
        return [f"+{one}" for one in dict.fromkeys(found) if len(one) >= SHORTEST]

    def inside(self, text: str) -> bool:
        """Whether a text holds the number."""
        return any(self._same(*_before(text, found)) for found in self._last.finditer(text))

    def _same(self, lead: str, plain: bool) -> bool:
        lead = lead.lstrip("0")
        if lead == self._lead:
            return True
        if plain and (self._plain or not lead) and min(len(lead), len(self._lead)) < 3:
            return False
        if plain and len(lead) + SHORTEST > 15:
            return False
        return lead.endswith(self._lead) or self._lead.endswith(lead)


def _before(text: str, found: re.Match[str]) -> tuple[str, bool]:
    """The digits of the same number before a place, and whether it is written in nothing but digits."""
    at, gap = found.start(), 0
    while at and found.start() - at < 24 and gap < 3:
        one = text[at - 1]
        if not ("0" <= one <= "9" or one in " ().-/+\u00a0"):
            break
        gap = 0 if "0" <= one <= "9" else gap + 1
        at -= 1
    written = text[at : found.start()].strip(" ().-/\u00a0")
    whole = text[at : found.start()].lstrip(" ().-/\u00a0") + found[0]
    return re.sub(r"\D", "", written.replace("(0)", "")), whole.isdigit()


def of_record(record: Mapping[str, Any]) -> list[str]:
    """What people and models wrote in a run of ours."""
    found: list[str] = []
    waiting: list[Any] = [record]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found += _leaves(one)
        elif isinstance(one, Mapping):
            for name, value in one.items():
                if name in _GIVEN and isinstance(value, Mapping):
                    found += [leaf for inner in value.values() for leaf in _of_plain(inner)]
                elif name not in _OURS:
                    waiting.append(value)
        elif isinstance(one, list):
            waiting += one
    return found


def of_spans(resource: Mapping[str, Any], spans: Sequence[Span]) -> list[str]:
    """What people and models wrote in a run of another program, and what it says of who it was for."""
    found = list(_of_attributes(resource))
    for span in spans:
        named = [] if foreign.kind(span) else [span["name"]]
        found += [*named, span["error"], *_of_attributes(span["attributes"])]
        for event in span["events"]:
            found += _of_attributes(event["attributes"])
    return found


def _of_attributes(told: Mapping[str, Any]) -> Iterator[str]:
    for name, value in told.items():
        if _THEIRS.match(name) or (isinstance(value, int | float) and not _ID.search(name)):
            continue
        yield from _of_plain(value)


def _of_plain(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts and numbers of plain data."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield from _leaves(one, depth)
        elif isinstance(one, Mapping):
            waiting += [inner for name, inner in one.items() if name not in _INSIDE]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield str(one)


def _leaves(text: str, depth: int = 0) -> Iterator[str]:
    """A text; of one that is JSON, what stands in it; of one that is a piece of JSON, also without its signs."""
    if text[:1] in ("{", "[", '"') and depth < DEEPEST:
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if body is not None:
            yield from _of_plain(body, depth + 1)
            return
    yield text
    if "\\" in text:
        yield _ESCAPE.sub(_unescaped, text)


def _unescaped(sign: re.Match[str]) -> str:
    told = sign[1]
    return chr(int(told[1:], 16)) if told[0] == "u" else {"n": "\n", "t": "\t"}.get(told, told)
