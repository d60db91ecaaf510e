"""Masking: personal data and credentials become placeholders before anything is stored, sent on or logged.

Within a conversation the same value has the same placeholder, `[email 3fa9c1]`, so that a run stays readable. The
letters are a keyed hash, cut short: the value cannot be told from them.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import itertools
import json
import os
import re
import secrets as random
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import Invalid
from workbench.runtime import patterns, personal
from workbench.runtime.record import digest
from workbench.runtime.seal import sealed
from workbench.runtime.secret import MASK, hide

_SECRET_VARIABLES = ("WORKBENCH_SECRET_", "WORKBENCH_KEY_", "OPENAI_API_KEY", "WORKBENCH_REDACT_KEY")
_KEPT = {
    "format",
    "kind",
    "id",
    "flow",
    "version",
    "digest",
    "source",
    "started_at",
    "person",
    "root",
    "resumes",
    "packages",
    "seal",
}
"""The parts of a record that name it: none of them is text of a customer or a model."""
_CHECKED = _KEPT - {"source", "person", "root", "resumes", "packages"}
"""Those of a record that was made elsewhere: only what its reader checked."""

_APART = "\x00" * 6


@dataclass(frozen=True)
class Rules:
    """What is masked. `values` are credentials of this deployment; `key` makes the placeholders its own."""

    kinds: frozenset[str] = frozenset(personal.KINDS)
    names: frozenset[str] = frozenset()
    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    values: tuple[str, ...] = field(default=(), repr=False)
    key: bytes = field(default=b"", repr=False)
    hints: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def off(self) -> bool:
        """Whether nothing is masked at all."""
        return not (self.kinds or self.names or self.patterns)


_KEY = random.token_bytes(32)


def rules(environment: Mapping[str, str] | None = None, key: bytes = b"") -> Rules:
    """The rules from the environment. `key` is used where it names none; without either, one of this process.

    Raises Invalid naming a variable that cannot be used.
    """
    env = os.environ if environment is None else environment
    told = tuple(sorted((name, value) for name, value in env.items() if name.startswith("WORKBENCH_REDACT")))
    values = tuple(
        sorted({v.strip() for name, v in env.items() if name.startswith(_SECRET_VARIABLES) and len(v.strip()) >= 6})
    )
    return _rules(told, values, key)


@functools.lru_cache(16)
def _rules(told: tuple[tuple[str, str], ...], values: tuple[str, ...], key: bytes) -> Rules:
    env = dict(told)
    asked = {one.strip() for one in env.get("WORKBENCH_REDACT", "").lower().split(",") if one.strip()} or {"all"}
    if unknown := asked - {"all", "off", *personal.KINDS}:
        raise Invalid(
            f"WORKBENCH_REDACT names {', '.join(sorted(unknown))}.",
            remedy=f"Write all, off, or some of {', '.join(personal.KINDS)}.",
        )
    if asked == {"off"}:
        return Rules(kinds=frozenset())
    named = {one.strip().lower() for one in env.get("WORKBENCH_REDACT_NAMES", "").split(",") if one.strip()}
    given = env.get("WORKBENCH_REDACT_KEY", "").encode()
    return Rules(
        kinds=frozenset(personal.KINDS) if "all" in asked else frozenset(asked - {"off"}),
        names=frozenset(named),
        patterns=_patterns(env.get("WORKBENCH_REDACT_PATTERNS") or "{}"),
        values=values,
        key=hashlib.sha256(given or key or _KEY).digest(),
    )


def _patterns(text: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    try:
        given = json.loads(text)
        if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
            raise ValueError("it is not an object of texts")
        for name, pattern in given.items():
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
                raise ValueError(f"{name} is not a name of small letters, digits and hyphens")
            if patterns.power(pattern) > 1 or re.search(pattern, ""):
                raise ValueError(f"{name} may take too long, or fits an empty text")
        return tuple((name, re.compile(pattern)) for name, pattern in sorted(given.items()))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"WORKBENCH_REDACT_PATTERNS cannot be used: {error}.") from None


class Masker:
    """Masks the texts of one conversation. `clean` are texts that a Look found nothing in."""

    def __init__(self, rules: Rules, conversation: str, clean: Collection[str] = ()) -> None:
        self._rules = rules
        self._clean = clean
        self._scope = conversation.encode("utf-8", "replace") + b"\x00"
        self._known: dict[tuple[str, str], str] = {}
        self._met: dict[str, set[str]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How many different values of each kind were masked."""
        return {kind: len(values) for kind, values in sorted(self._met.items())}

    def text(self, text: str, field: str = "") -> str:
        """A text with everything masked. `field` is the name of the field that holds it."""
        if self._rules.off or not text:
            return text
        hint = hinting(self._rules, field)
        if hint == MASK:
            return text if text == MASK else self._placeholder("secret", text)
        if not hint and text in self._clean:
            return text
        known = self._known.get((text, hint))
        if known is None:
            known = self._known[text, hint] = (self._json if _is_json(text) else self._loose)(text, hint)
        return known

    def value(self, value: Any, field: str = "") -> Any:
        """Plain data with every text in it masked, names of fields too; a number that is masked becomes a text."""
        if isinstance(value, str):
            return self.text(value, field)
        if isinstance(value, dict):
            return {self.text(k): self.value(v, _field(self._rules, value, k, field)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(one, field) for one in value]
        kind = type(value)
        hint = hinting(self._rules, field) if kind is int or kind is float else ""
        if hint == MASK or (kind is int and abs(value) >= 1_000_000):
            masked = self._number(str(value), hint)
            return masked if masked.startswith("[") else value
        return value

    def _number(self, text: str, hint: str) -> str:
        if hint == MASK:
            return self._placeholder("secret", text)
        if len(text.partition(".")[0]) < 6 and not self._rules.patterns:
            return text
        return text if not hint and text in self._clean else self._plain(text, hint)

    def _plain(self, text: str, hint: str) -> str:
        rules = self._rules
        if rules.values and (hidden := hide(text, rules.values)) != text:
            self._met.setdefault("secret", set()).add(text)
            text = hidden
        found = [one for one in personal.find(text, hint) if one.kind in rules.kinds]
        for kind, pattern in rules.patterns:
            found += [personal.Found(m.start(), m.end(), kind, m[0]) for m in pattern.finditer(text) if m[0]]
        parts, last = [], 0
        for one in sorted(found, key=lambda one: (one.start, -one.end)):
            if one.start >= last:
                parts += [text[last : one.start], self._placeholder(one.kind, one.value)]
                last = one.end
        return "".join([*parts, text[last:]]) if parts else text

    def _json(self, text: str, hint: str) -> str:
        """JSON text, token by token: what is not masked stays as it is written, and what comes out is JSON."""
        try:
            body = _READ(text)
        except (ValueError, RecursionError):
            return self._loose(text, hint)
        if not self._touched(body) and not hint:
            return text
        parts, last = [], 0
        for token, name in zip(_TOKENS.finditer(text), _fields(self._rules, body, hint), strict=True):
            masked = self._token(token[0], name)
            if masked != token[0]:
                parts += [text[last : token.start()], masked]
                last = token.end()
        return "".join([*parts, text[last:]]) if parts else text

    def _loose(self, text: str, hint: str) -> str:
        """Text that is no JSON, or that is JSON only in a part of it."""
        return self._plain(_MEMBER.sub(self._member, text) if '"' in text else text, hint)

    def _member(self, found: re.Match[str]) -> str:
        if hinting(self._rules, found[2]) != MASK or found[3] == f'"{MASK}"':
            return found[0]
        return f'{found[1]}"{self._placeholder("secret", found[3])}"'

    def _touched(self, body: Any) -> bool:
        """Whether something of plain data needs masking; what was looked through before is not looked through again."""
        texts: set[str] = set()
        plain = _collect(body, self._rules, texts)
        texts = {one for one in texts if one not in self._clean and self._known.get((one, "")) != one}
        fresh = [one for one in texts if (one, "") not in self._known]
        clean = Look([fresh], self._rules).clean if fresh else set()
        self._known.update(((one, ""), one) for one in clean)
        return not plain or len(clean) < len(texts)

    def _token(self, token: str, name: str) -> str:
        if token[0] != '"':
            masked = self._number(token, hinting(self._rules, name))
            return token if masked == token else json.dumps(masked)
        text = _string(token)
        masked = self.text(text, name)
        return token if masked == text else json.dumps(masked, ensure_ascii=token.isascii())

    def _placeholder(self, kind: str, value: str) -> str:
        self._met.setdefault(kind, set()).add(value)
        if kind == "secret":
            return MASK
        body = self._scope + kind.encode() + b"\x00" + value.encode("utf-8", "replace")
        return f"[{kind} {hashlib.blake2b(body, key=self._rules.key, digest_size=3).hexdigest()}]"


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*', re.DOTALL)
_READ = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=lambda _: None).decode
"""Reads JSON: an object becomes the tuple of its names and values, so that a name that is there twice is kept twice."""
_MEMBER = re.compile(r'("((?:[^"\\]|\\.){1,200})"\s*:\s*)("(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*)', re.DOTALL)


def _is_json(text: str) -> bool:
    """Whether a text begins as JSON does."""
    return text.lstrip()[:1] in '{["'


def _fields(rules: Rules, body: Any, field: str) -> Iterator[str]:
    """For each text and number of JSON, in order, the name it is masked under; the names of fields have none."""
    waiting = [(body, field)]
    while waiting:
        one, field = waiting.pop()
        if type(one) is tuple:
            there = dict(one)
            for name, part in reversed(one):
                waiting += [(part, _field(rules, there, name, field)), (name, "")]
        elif type(one) is list:
            waiting += [(part, field) for part in reversed(one)]
        elif one is not None and type(one) is not bool:
            yield field


def _field(rules: Rules, holder: Mapping[str, Any], name: str, above: str) -> str:
    """The name that a part of an object is masked under.

    It is its own, that of the secret that holds the object, or the one that `{"name": …, "value": …}` gives it.
    """
    if hinting(rules, above) == MASK:
        return name if name in _SCHEMA and _is_schema(holder) else above
    if name in _VALUES and (told := _told(holder)) and hinting(rules, told):
        return told
    return "" if name == "token" and "logprob" in holder else name


_NAMES, _VALUES = ("name", "key", "field"), ("value", "values")
_SCHEMA = frozenset(
    ("type", "title", "description", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "required", "$ref")
)  # fmt: skip
"""What the schema of a secret says of it, as tools have one for each argument."""
_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))


def _told(holder: Mapping[str, Any]) -> str:
    """The name that an object gives its value beside it."""
    return next((one for name in _NAMES if isinstance(one := holder.get(name), str) and one), "")


def _is_schema(holder: Mapping[str, Any]) -> bool:
    kind = holder.get("type")
    if isinstance(kind, list):
        return all(isinstance(one, str) and one in _TYPES for one in kind)
    return (isinstance(kind, str) and kind in _TYPES) or "anyOf" in holder or "$ref" in holder


def _string(token: str) -> str:
    """The text that a string of JSON stands for."""
    return str(json.loads(token)) if "\\" in token else token[1:-1]


_HINT = re.compile(
    r"phone|\btel\b|mobile|\bfax|ssn|\bsin\b|national|identity|passport|tax|\bnino\b|\bdni\b|\bbsn\b|\bcpf\b|pesel|aadhaar",
    re.I,
)


def hinting(rules: Rules, name: str) -> str:
    """What the name of a field tells about its value: MASK where it is a credential, words for the finders, or nothing."""
    if not name:
        return ""
    if name not in rules.hints:
        if len(rules.hints) > 10_000:
            rules.hints.clear()
        rules.hints[name] = _hint(rules, name)
    return rules.hints[name]


def _hint(rules: Rules, name: str) -> str:
    if name.lower() in rules.names or ("secret" in rules.kinds and personal.names_secret(name)):
        return MASK
    words = re.sub(r"[_.\-]|(?<=[a-z])(?=[A-Z])", " ", name)
    return words if _HINT.search(words) else ""


def record(body: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """A run's record with everything masked, and under `redacted` how many values of which kind were.

    The digests of its model requests and its seal fit what is masked. A record that holds nothing is the same afterwards.
    """
    return records([body], rules)[0]


def records(bodies: Sequence[Mapping[str, Any]], rules: Rules, *, ours: bool = True) -> list[dict[str, Any]]:
    """Records as `record` makes them: what several hold alike is looked through once.

    Unless they are `ours`, who ran them and where is masked as any other text.
    """
    if rules.off:
        return [dict(body) for body in bodies]
    kept = _KEPT if ours else _CHECKED
    look = Look([{name: value for name, value in body.items() if name not in kept} for body in bodies], rules)
    return [
        _masked(body, Masker(rules, str(body["conversation"]), look.clean), kept)
        if look.touches(number)
        else dict(body)
        for number, body in enumerate(bodies)
    ]


def _masked(body: Mapping[str, Any], masker: Masker, kept: Collection[str]) -> dict[str, Any]:
    masked = {k: v if k in kept else masker.value(v, k) for k, v in body.items()}
    if not masker.counts and masked == body:
        return dict(body)
    for call in masked["calls"]:
        if call["kind"] == "model":
            call["digest"] = digest(call["request"])
    before = body.get("redacted") or {}
    counts = masker.counts
    redacted = {kind: max(counts.get(kind, 0), before.get(kind, 0)) for kind in {*counts, *before}}
    return sealed(masked | {"redacted": redacted})


class Look:
    """What all texts of several pieces of plain data hold, looked for at once.

    `clean` are the texts that need no masking.
    """

    def __init__(self, values: Sequence[Any], rules: Rules) -> None:
        self._texts: list[set[str]] = [set() for _ in values]
        self._named = [not _collect(one, rules, texts) for one, texts in zip(values, self._texts, strict=True)]
        texts = set().union(*self._texts)
        looked = [one for one in texts if not 15 < len(one) < 72 or not _NAMES_NOTHING.fullmatch(one)]
        joined = _APART.join(looked)
        whole = joined if len(looked) == len(texts) else _APART.join(texts)
        if rules.values and hide(whole, rules.values) != whole:
            self._dirty = texts
        else:
            places = [one.start for one in personal.find(joined) if one.kind in rules.kinds]
            self._dirty = _at(looked, places) | {one for one in looked if "\\u" in one}
            self._dirty |= _at(looked, _named(joined, rules))
            if rules.patterns:
                fits = [found.start() for _, pattern in rules.patterns for found in pattern.finditer(whole)]
                self._dirty |= _at(list(texts), fits)
        self.clean = texts - self._dirty

    def touches(self, number: int) -> bool:
        """Whether something of the piece with this number needs masking."""
        return self._named[number] or not self._dirty.isdisjoint(self._texts[number])


def _at(texts: list[str], places: list[int]) -> set[str]:
    """Those of the joined texts in which the places are."""
    if not places:
        return set()
    starts = list(itertools.accumulate((len(one) + len(_APART) for one in texts), initial=0))
    return {texts[bisect.bisect_right(starts, place) - 1] for place in places}


_NAMES_NOTHING = re.compile(
    r"(?:run|conv|call|resp|msg|trace|span|group|rs|fc)_[0-9a-f]{16,64}|sha256:[0-9a-f]{64}"
    r"|(?=[0-9]*[a-f])(?![a-f]{2}[0-9]{14}\Z)(?:[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})"
)
"""Ids and digests: chance makes some look like a number that is masked. Sixteen that may be a bank account are none."""

_NAME = re.compile(r'"([^"\x00]{1,200})"\s*:')
_ENAM = re.compile(r':\s*"([^"\x00]{1,200})"')
"""The same in a text read backwards, which is quick: what is no name is left at its first character."""
_TELLING = re.compile(r'"(?:name|key|field)\\*"\s*:\s*\\*"([^"\x00]{1,200})"')


def _named(joined: str, rules: Rules) -> list[int]:
    """Where names of JSON, also of JSON within JSON, tell something about their values."""
    names = {one[::-1] for one in set(_ENAM.findall(joined[::-1]))}
    shapes = [_NAME]
    if any(one.rstrip("\\") in _VALUES for one in names):
        shapes.append(_TELLING)
        names.update(_TELLING.findall(joined))
    told = {one for one in names if hinting(rules, one.rstrip("\\")) or "\\" in one.rstrip("\\")}
    if not told:
        return []
    found = [one for shape in shapes for one in shape.finditer(joined) if one[1] in told]
    return [
        one.start() for one in found if hinting(rules, one[1].rstrip("\\")) == MASK or _digits_at(joined, one.end())
    ]


def _digits_at(text: str, at: int) -> bool:
    """Whether what follows can be a number of a person: it has five digits."""
    return sum(map(str.isdigit, text[at : at + 100])) >= 5


def _collect(value: Any, rules: Rules, texts: set[str]) -> bool:
    """Gather the texts of plain data; False where a field's name tells something about its value."""
    hints, plain = rules.hints, True
    waiting: list[tuple[str, Any]] = [("", [value])]
    while waiting:
        above, holder = waiting.pop()
        parts: Iterable[tuple[str, Any]]
        if type(holder) is tuple:
            texts.update(name for name, _ in holder)
            plain = plain and not hinting(rules, _told(dict(holder)))
            parts = holder
        elif type(holder) is dict:
            texts.update(holder)
            parts = holder.items()
            if "value" in holder or "values" in holder:
                plain = plain and not hinting(rules, _told(holder))
        else:
            parts = ((above, part) for part in holder)
        for name, one in parts:
            kind = type(one)
            if kind is str and one:
                texts.add(one)
            elif kind is int and abs(one) >= 1_000_000:
                texts.add(str(one))
            else:
                if kind is dict or kind is list or kind is tuple:
                    waiting.append((name, one))
                if plain and hints.get(name, MASK) == MASK and kind is not bool and one not in (None, ""):
                    plain = hinting(rules, name) != MASK
                continue
            if plain:
                hint = hints.get(name)
                plain = not (hinting(rules, name) if hint is None else hint)
    return plain


def trouble(error: BaseException) -> str:
    """An exception with its traceback, for a log: whatever it quotes is masked."""
    return line("".join(traceback.format_exception(error)).rstrip())


def line(text: str) -> str:
    """A line of a log with everything masked."""
    try:
        ours = rules()
    except Invalid:
        ours = Rules(key=_KEY)
    return Masker(ours, "log").text(text)
