"""What a JSON schema asks for, whether a value keeps to it, and its least value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.runtime import patterns
from workbench.runtime.offline import matching


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of an object schema."""
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def required(schema: Mapping[str, Any]) -> list[str]:
    """The properties that must have a real value: required, without a default and not nullable."""
    specs = properties(schema)
    return [
        name
        for name in schema.get("required") or []
        if name in specs and "default" not in specs[name] and not nullable(specs[name])
    ]


def nullable(spec: Mapping[str, Any]) -> bool:
    kinds = spec.get("type")
    branches = [*(spec.get("anyOf") or []), *(spec.get("oneOf") or [])]
    return (
        kinds == "null"
        or (isinstance(kinds, list) and "null" in kinds)
        or any(b.get("type") == "null" for b in branches)
    )


def is_id(name: str, spec: Mapping[str, Any]) -> bool:
    """Whether a parameter names one thing: `order_id`, `tracking_number`, or described so."""
    words = matching.words(name)
    says = " ".join(matching.words(str(spec.get("description", ""))))
    named = bool(matching.ID_WORDS & set(words)) and words[:2] != ("number", "of")
    return named or bool(_ID_SAYS.search(says))


_ID_SAYS = re.compile(
    r"\b(?:id|code|reference) of\b|\b(?:order|invoice|ticket|customer|tracking|flight) (?:id|number|code)\b"
)


def kind_of(spec: Mapping[str, Any]) -> str:
    """The type that a schema asks for, without null."""
    kind = spec.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        kind = (
            "object" if "properties" in spec else "array" if "items" in spec else "string" if "pattern" in spec else ""
        )
    return str(kind)


def fits(value: Any, spec: Mapping[str, Any]) -> bool:
    """Whether a scalar keeps to its schema's limits."""
    if "const" in spec and value != spec["const"]:
        return False
    if isinstance(spec.get("enum"), list) and value not in spec["enum"]:
        return False
    kind = kind_of(spec)
    if isinstance(value, str):
        pattern = spec.get("pattern")
        sized = spec.get("minLength", 0) <= len(value) <= spec.get("maxLength", len(value))
        return kind in ("string", "") and sized and (not pattern or patterns.search(pattern, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = spec.get("minimum", value), spec.get("maximum", value)
        above = value > spec.get("exclusiveMinimum", value - 1) and value < spec.get("exclusiveMaximum", value + 1)
        step = spec.get("multipleOf")
        whole = kind != "integer" or value == int(value)
        return (
            kind in ("integer", "number", "")
            and low <= value <= high
            and above
            and whole
            and (not step or value % step == 0)
        )
    return True


def zero_number(spec: Mapping[str, Any], variant: int) -> int | float:
    whole = kind_of(spec) == "integer"
    step = spec.get("multipleOf") or 1
    low, high = spec.get("minimum"), spec.get("maximum")
    above, below = spec.get("exclusiveMinimum"), spec.get("exclusiveMaximum")
    bottom = low if low is not None else above
    value: float = 0
    if bottom is not None and (bottom > 0 or (above is not None and above >= 0)):
        value = -(-bottom // step) * step
        value += step if above is not None and value <= above else 0
    top = high if high is not None else below
    if top is not None and (value > top or (below is not None and value >= below)):
        value = top // step * step
        value -= step if below is not None and value >= below else 0
    if not fits(value, spec) and bottom is not None and top is not None and not whole:
        value = (bottom + top) / 2
    value += variant * step if fits(value + variant * step, spec) else -variant * step
    return int(value) if whole else value


def zero_text(spec: Mapping[str, Any], variant: int) -> str:
    text = _FORMATS.get(str(spec.get("format", "")), "")
    if spec.get("pattern") and not fits(text, spec):
        samples = (
            "0",
            "000",
            "0000",
            "00000",
            "A",
            "AAA",
            "a",
            "A0",
            "AA-0000",
            "ORD-0000",
            "EUR",
            "1970-01-01",
            "00:00",
        )
        text = next((sample for sample in samples if fits(sample, spec)), text)
    text = text.ljust(spec.get("minLength", 0), "-")[: spec.get("maxLength", 10**6)]
    return _varied(text, spec, variant) if variant else text


def _varied(text: str, spec: Mapping[str, Any], variant: int) -> str:
    """Another text of the same form: a last digit or the end differs."""
    mail = text.replace("@", f"{variant}@")
    last = re.sub(r"\d(?=\D*$)", str((variant + 1) % 10), text)
    longer = text[: spec.get("maxLength", 10**6) - len(str(variant))] + str(variant)
    candidates = (mail, last) if spec.get("format") else (longer, last, mail)
    return next((other for other in candidates if other != text and fits(other, spec)), text)


_FORMATS = {
    "email": "unknown@example.com",
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",  # noqa: S104 - the zero of a format, nothing listens
    "hostname": "example.com",
}
