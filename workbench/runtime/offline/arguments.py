"""The arguments of a call, filled from the conversation; and the fields of an output schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.evidence import Evidence, label_concepts
from workbench.runtime.offline.fitting import (
    MONEY_WORDS,
    UNKNOWN,
    as_kind,
    as_number,
    choice_score,
    fit,
    labelled,
    labels,
)
from workbench.runtime.offline.mentions import Mention
from workbench.runtime.offline.offers import Offer
from workbench.runtime.offline.request import Request
from workbench.runtime.offline.schema import fits, is_id, kind_of, nullable, properties, zero_number, zero_text
from workbench.runtime.offline.wishes import EXPLICIT, NEGATION, clauses, wants_a_person


def fill_arguments(
    request: Request, offer: Offer, *, complete: bool = False, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[tuple[str, Mapping[str, Any]]]]:
    """The arguments of a call, and the required ones that nothing tells."""
    filler = Filler(evidence(request), offer.schema, complete=complete, given=given or {})
    value = filler.object(offer.schema, 0, top=True)
    return (value if isinstance(value, dict) else {}), filler.missing


def evidence(request: Request, reply: str = "") -> Evidence:
    """Collect what the conversation tells, the newest first."""
    conversation = request.conversation
    return Evidence(
        need=conversation.need,
        texts=conversation.users,
        known=request.known,
        asked=conversation.asked,
        today=request.today,
        reply=reply,
    )


class Filler:
    """Fills one JSON schema from evidence. With `complete`, the unknown gets a sensible zero, not a question."""

    def __init__(
        self, evidence: Evidence, root: Mapping[str, Any], *, complete: bool, given: Mapping[str, Any]
    ) -> None:
        self.evidence, self.root, self.complete, self.given = evidence, root, complete, given
        self.missing: list[tuple[str, Mapping[str, Any]]] = []

    def resolve(self, schema: Any) -> Mapping[str, Any]:
        """The schema behind `$ref` and `allOf`."""
        if not isinstance(schema, Mapping):
            return {}
        for _ in range(20):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            target: Any = self.root
            for key in reference.removeprefix("#").strip("/").split("/"):
                key = key.replace("~1", "/").replace("~0", "~")
                target = target.get(key, {}) if isinstance(target, Mapping) else {}
            base = dict(target) if isinstance(target, Mapping) else {}
            schema = base | {key: value for key, value in schema.items() if key != "$ref"}
        if isinstance(schema.get("allOf"), list):
            merged: Mapping[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in map(self.resolve, schema["allOf"]):
                joined = {"properties": {**properties(merged), **properties(part)}} if properties(part) else {}
                needs = [*merged.get("required", []), *part.get("required", [])]
                merged = {**merged, **part, **joined, **({"required": needs} if needs else {})}
            return merged
        return dict(schema)

    def object(self, schema: Mapping[str, Any], depth: int, *, top: bool = False) -> Any:
        """Fill an object; UNKNOWN when it is a part of which nothing is known."""
        schema = self.resolve(schema)
        specs = {name: self.resolve(spec) for name, spec in properties(schema).items()}
        needs = [name for name in schema.get("required") or [] if isinstance(name, str)]
        picks = self.assign(specs)
        found: dict[str, Any] = {}
        lacking: list[tuple[str, Mapping[str, Any]]] = []
        for name, spec in specs.items():
            must = name in needs
            optional = not must or "default" in spec or nullable(spec)
            value = self.given.get(name, UNKNOWN) if top else UNKNOWN
            value = self.value(name, spec, depth, picks, optional=optional) if value is UNKNOWN else value
            if value is not UNKNOWN and value is not None:
                found[name] = value
            elif must and "default" in spec:
                found[name] = spec["default"]
            elif must and nullable(spec):
                found[name] = None
            elif must and self.complete:
                found[name] = self.zero(spec, depth)
            elif must:
                lacking.append((name, spec))
        if self.complete:
            found.update({name: None for name in needs if name not in specs})
        if lacking and not top:
            return UNKNOWN
        self.missing += lacking
        return found if found or top or self.complete else UNKNOWN

    def value(self, name: str, spec: Mapping[str, Any], depth: int, picks: Mapping[str, Any], *, optional: bool) -> Any:
        """The value of one property, or UNKNOWN."""
        spec = self.resolve(spec)
        branches = [self.resolve(b) for key in ("anyOf", "oneOf") for b in spec.get(key) or []]
        for branch in branches:
            if branch.get("type") == "null":
                continue
            outer = {k: v for k, v in spec.items() if k not in ("anyOf", "oneOf", "default")}
            inner = {**outer, **branch}
            value = self.value(name, inner, depth + 1, picks or self.assign({name: inner}), optional=optional)
            if value is not UNKNOWN and fits(value, branch):
                return value
        if branches:
            return UNKNOWN
        if "const" in spec:
            return spec["const"]
        value = self.typed(name, spec, depth, picks, optional=optional)
        return (
            value if value is not UNKNOWN and (kind_of(spec) in ("object", "array") or fits(value, spec)) else UNKNOWN
        )

    def typed(self, name: str, spec: Mapping[str, Any], depth: int, picks: Mapping[str, Any], *, optional: bool) -> Any:
        """The value by the type of its schema."""
        if isinstance(spec.get("enum"), list):
            return self.enum(name, spec, optional=optional)
        kind = kind_of(spec)
        if kind == "object":
            return self.object(spec, depth + 1) if properties(spec) and depth < 6 else UNKNOWN
        if kind == "array":
            return self.array(name, spec, depth)
        if kind == "boolean":
            return self.boolean(name)
        if kind in ("integer", "number"):
            return self.number(name, spec, picks, optional=optional)
        return self.string(name, spec, picks, optional=optional) if kind == "string" else UNKNOWN

    def assign(self, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, Mention]]:
        """Give each number of the conversation to the parameter whose words stand nearest to it."""
        wanted = {name: inner for name, spec in specs.items() if (inner := self._numeric(name, spec))}
        pairs = [
            (round(fit(name, spec, mention, alone=len(wanted) == 1) * 0.85**age, 6), name, mention)
            for name, spec in wanted.items()
            for age, text in enumerate(self.evidence.texts[:6])
            for mention in mentions.quantities(text)
        ]
        picks: dict[str, tuple[float, Mention]] = {}
        for score, name, mention in sorted(pairs, key=lambda pair: -pair[0]):
            if score >= 0.3 and name not in picks and all(taken is not mention for _, taken in picks.values()):
                picks[name] = (score, mention)
        return picks

    def _numeric(self, name: str, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        for inner in (spec, *map(self.resolve, [*(spec.get("anyOf") or []), *(spec.get("oneOf") or [])])):
            kind = kind_of(inner)
            outer = {"description": spec.get("description", ""), **inner}
            if "enum" not in inner and (kind in ("integer", "number") or (kind == "string" and is_id(name, outer))):
                return outer
        return None

    def number(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any], *, optional: bool) -> Any:
        """A number from the user's words, else from a tool's result."""
        score, mention = picks.get(name, (0.0, None))
        strong, known = self.known(name, spec, optional=optional)
        if mention is not None and score >= strong:
            return as_number(name, spec, mention)
        if strong:
            return known
        if self.complete and re.search(r"confidence|probability|certainty", name):
            middle = 0.5 if spec.get("maximum", 1) <= 1 else spec["maximum"] / 2
            return int(middle) if kind_of(spec) == "integer" else middle
        return UNKNOWN

    def zero(self, spec: Any, depth: int, variant: int = 0) -> Any:
        """A valid value that claims as little as possible; variants differ, for lists of unique items."""
        spec = self.resolve(spec)
        if "const" in spec:
            return spec["const"]
        if isinstance(spec.get("enum"), list) and spec["enum"]:
            return spec["enum"][variant % len(spec["enum"])]
        branches = [self.resolve(b) for key in ("anyOf", "oneOf") for b in spec.get(key) or []]
        if branches:
            plain = next((b for b in branches if b.get("type") == "null"), branches[0])
            return self.zero(plain if variant == 0 else branches[variant % len(branches)], depth, variant)
        kind = kind_of(spec)
        if kind == "object":
            if depth > 12:
                return {}
            inner = self.object(spec, depth + 1)
            return inner if isinstance(inner, dict) else {}
        if kind == "array":
            prefix = [self.zero(item, depth + 1) for item in spec.get("prefixItems") or []]
            count = max(0, spec.get("minItems", 0) - len(prefix))
            return prefix + [self.zero(spec.get("items", {}), depth + 1, i) for i in range(count)]
        if kind in ("integer", "number"):
            return zero_number(spec, variant)
        if kind == "boolean":
            return bool(variant % 2)
        return None if kind == "null" else zero_text(spec, variant)

    def known(self, name: str, spec: Mapping[str, Any], *, optional: bool) -> tuple[float, Any]:
        """The value that a tool named, for a parameter that must have one."""
        if optional or set(matching.words(name)) <= _FREE_TEXT:
            return 0.0, UNKNOWN
        if MONEY_WORDS & set(matching.words(name)) and _PARTLY.search(matching.fold(self.evidence.need)):
            return 0.0, UNKNOWN
        wanted = label_concepts(name)
        best, found = 0.0, UNKNOWN
        for known in self.evidence.known:
            same = (
                0.47
                if known.concepts == wanted
                else 0.46
                if wanted <= known.concepts or known.concepts <= wanted
                else 0.0
            )
            same -= 0.1 if same and known.concepts <= matching.ID_WORDS else 0.0
            value = as_kind(known.value, spec)
            if same > best and value is not UNKNOWN and fits(value, spec):
                best, found = same, value
        return best, found

    def enum(self, name: str, spec: Mapping[str, Any], *, optional: bool) -> Any:
        """The choice that the user's words match best."""
        choices = [choice for choice in spec["enum"] if choice is not None]
        if len(choices) == 1:
            return choices[0]
        texts = [choice for choice in choices if isinstance(choice, str)]
        for need in (self.evidence.need, " ".join(self.evidence.texts[1:3])):
            scores = {text: choice_score(need, text) for text in texts}
            best = max(scores, key=lambda text: scores[text], default="")
            if best and scores[best] > 0:
                return best
        strong, known = self.known(name, spec, optional=optional)
        if strong and known in choices:
            return known
        other = [
            text
            for text in texts
            if re.search(r"(?i)^(?:other|unknown|none|neutral|general|misc\w*|normal|medium)$", text)
        ]
        return other[0] if other and (self.complete or not optional) and "default" not in spec else UNKNOWN

    def boolean(self, name: str) -> Any:
        """True or false when the user's words say so."""
        wanted = {term.concept for term in matching.terms(name.removeprefix("is_").removeprefix("has_"))}
        if wanted & {"person", "escal"} and wants_a_person(self.evidence.need):
            return True
        for clause in clauses(self.evidence.need):
            words = [matching.concept(word) for word in matching.words(clause)]
            at = next((i for i, word in enumerate(words) if word in wanted), -1)
            if at >= 0:
                return not NEGATION.search(" ".join(matching.words(clause)[max(0, at - 4) : at]))
        if re.match(r"confirm", name):
            return True
        return False if self.complete else UNKNOWN

    def array(self, name: str, spec: Mapping[str, Any], depth: int) -> Any:
        """Every value of the item's kind that the user names."""
        item = self.resolve(spec.get("items", {}))
        texts, kind = self.evidence.texts[:1], kind_of(item)
        values: list[Any] = []
        if isinstance(item.get("enum"), list):
            values = [c for c in item["enum"] if isinstance(c, str) and choice_score(self.evidence.need, c) > 0]
        elif kind in ("integer", "number") or (kind == "string" and is_id(name, spec)):
            plain = [m for text in texts for m in mentions.quantities(text) if m.kind in ("number", "code", "money")]
            numbers = [m for m in plain if fit(name, {**spec, **item}, m, alone=True) >= 0.3]
            values = [as_number(name, item, m) for m in numbers]
        elif kind == "string":
            values = self._strings(name, item)
        elif kind == "object" and depth < 4:
            one = self.object(item, depth + 1)
            values = [] if one is UNKNOWN or (self.complete and not spec.get("minItems")) else [one]
        values = [value for value in values if value is not UNKNOWN and (kind == "object" or fits(value, item))]
        values = list({json.dumps(value, sort_keys=True): value for value in values}.values())[
            : spec.get("maxItems", 20)
        ]
        return values if values and len(values) >= spec.get("minItems", 0) else UNKNOWN

    def _strings(self, name: str, item: Mapping[str, Any]) -> list[str]:
        text = self.evidence.need
        if item.get("format") == "email" or "mail" in name:
            return mentions.EMAIL.findall(text)
        if item.get("format") == "date" or name.endswith(("dates", "days")):
            return [date.iso for date in mentions.dates(text, self.evidence.today)]
        beside = re.search(rf"(?i)\b{re.escape(matching.plain(name))}\b(?: are| is|:)?\s+([^.!?;:\n]+)", text)
        listed = beside[1] if beside else labelled(name.removesuffix("s"), text)
        return [part.strip() for part in re.split(r",|\band\b", listed) if part.strip()]

    def string(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any], *, optional: bool) -> Any:
        """A string from the user's words, else from a tool's result."""
        found = self.said(name, spec, picks)
        if found is not UNKNOWN and fits(found, spec):
            return found
        strong, known = self.known(name, spec, optional=optional)
        return known if strong else UNKNOWN

    def said(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any]) -> Any:
        """The string that the user's words hold for a parameter."""
        words = set(matching.words(name))
        form = spec.get("format", "")
        if form == "email" or {"email", "mail"} & words:
            return self._first(mentions.EMAIL.findall)
        if form in ("uri", "url") or {"url", "link", "website"} & words:
            return self._first(mentions.URL.findall)
        if {"phone", "telephone", "mobile"} & words:
            return self._first(mentions.PHONE.findall)
        if form in ("date", "date-time"):
            return self.date(name, clock=form == "date-time")
        if form == "time" or (words & {"time", "hour"} and "date" not in words):
            return self._first(mentions.times)
        if words & {"date", "day", "deadline", "birthday"} or (words <= _DATE_WORDS and self.date(name) is not UNKNOWN):
            return self.date(name, clock="datetime" in words)
        if is_id(name, spec):
            return self.identifier(name, spec, picks)
        if words & _FREE_TEXT or (self.complete and words & _REPLY_TEXT):
            return self.free_text(name, spec)
        return self.named(name)

    def _first(self, finder: Callable[[str], Sequence[str]]) -> Any:
        return next((found for text in self.evidence.texts[:6] for found in finder(text)), UNKNOWN)

    def date(self, name: str, *, clock: bool = False) -> Any:
        """A date as ISO; of two, the end takes the second."""
        for text in self.evidence.texts[:6]:
            found = mentions.dates(text, self.evidence.today)
            if found:
                last = re.search(r"(?:^|_)(?:end|to|until|till|return|checkout|out)(?:_|$)", name) is not None
                date = found[-1] if last else found[0]
                at = date.clock or next(iter(mentions.times(text)), "00:00")
                return f"{date.iso}T{at if at.count(':') == 2 else at + ':00'}Z" if clock else date.iso
        return UNKNOWN

    def identifier(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any]) -> Any:
        """An id: the mention that fits, a code that the schema's pattern matches, or a tool's value."""
        score, mention = picks.get(name, (0.0, None))
        if mention is not None and fits(mention.text, spec):
            strong, known = self.known(name, spec, optional=False)
            return known if strong > score else mention.text
        tokens = (t for text in self.evidence.texts[:6] for t in re.findall(r"[\w-]*\d[\w-]*", text))
        return next((t for t in tokens if fits(t, spec)), UNKNOWN) if spec.get("pattern") else UNKNOWN

    def free_text(self, name: str, spec: Mapping[str, Any]) -> Any:
        """The user's sentence, or, in an output, the reply."""
        words, need = set(matching.words(name)), self.evidence.need.strip()
        if self.complete and self.evidence.reply and words & _REPLY_TEXT:
            need = self.evidence.reply
        elif "reason" in words:
            because = re.search(r"(?i)\b(?:because|since|as it|due to)\b\s+(.+?)(?:[.!?]|$)", need)
            need = because[1] if because else _told_reason(need)
        elif words & {"title", "subject", "topic"}:
            need = next(iter(matching.sentences(need)), need)[:80]
        return need[: spec.get("maxLength", 2000)] or UNKNOWN

    def named(self, name: str) -> Any:
        """A name, a place or the like: what follows the parameter's words, or the bare answer to our question."""
        for text in self.evidence.texts[:6]:
            for label in labels(name):
                if found := labelled(label, text):
                    return found
        asked = matching.plain(name) in self.evidence.asked.lower() and self.evidence.texts
        bare = self.evidence.texts[0].strip(" .!") if asked else ""
        return bare if bare and len(bare.split()) <= 8 and "?" not in bare else UNKNOWN


_PARTLY = re.compile(r"\b(?:half|part|partly|partial\w*|percent|halfte|teil\w*|moitie|partie|mitad|parte|metade)\b|%")


_FREE_TEXT = matching.word_set(
    "query question reason summary note notes message text description details comment comments body content input "
    "subject topic issue problem request title explanation rationale feedback remark remarks prompt"
)


_REPLY_TEXT = matching.word_set("answer reply response message text output content body explanation")


_DATE_WORDS = matching.word_set(
    "date day when deadline birthday since until arrival departure checkin checkout start end from to due"
)


def _told_reason(need: str) -> str:
    """The part of a request that says why: neither the wish itself nor a number."""
    parts = [part.strip(" .!?") for part in re.split(r"(?<=[.!?;])\s+|,\s+|\s[-–]\s", need)]
    told = [
        part
        for part in parts
        if len(part.split()) >= 3
        and not EXPLICIT.search(matching.fold(part))
        and not any(mention.kind != "count" for mention in mentions.quantities(part))
    ]
    return told[0] if told else need
