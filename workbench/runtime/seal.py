"""The seal of a record: what it was when it was written, so that a change of one character anywhere is noticed and named.

Everything in a record is evidence, ids and times too; only the order of keys is not. The seal holds one digest of the
whole and, to say where a change is, a short checksum of each part: of each call, guardrail, span, and field of the run.
It shows what was changed afterwards, by accident or by hand; it is not a signature of who wrote the record.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.runtime.spec import canonical

FORMAT = 2
"""Records from this format on bear a seal."""

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, check_circular=False, separators=(",", ":")).encode

_LISTS = ("calls", "guardrails", "spans", "decisions", "waiting")
_SIZE = 6


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a seal that fits it. One of a format without seals is returned as it is."""
    if record.get("format", 1) < FORMAT:
        return record
    whole, marks = hashlib.sha256(), []
    for name, text in _parts(record):
        whole.update(name.encode())
        whole.update(text)
        marks.append(_mark(text))
    return {**record, "seal": {"whole": whole.hexdigest(), "parts": "".join(marks)}}


def broken(record: Mapping[str, Any]) -> str:
    """In words, the first part of a record that does not fit its seal; empty where all of it fits."""
    if record.get("format", 1) == 1 and "seal" not in record:
        return ""
    for name, call in zip((name for name, _ in _parts({"calls": record["calls"]})), record["calls"], strict=True):
        if (
            call["kind"] == "model"
            and hashlib.sha256(canonical(call["request"]).encode()).hexdigest() != call["digest"]
        ):
            return name
    seal = record.get("seal")
    if not isinstance(seal, dict) or not all(isinstance(seal.get(one), str) for one in ("whole", "parts")):
        return "the seal"
    fitting, marks = sealed({**record, "format": FORMAT})["seal"], seal["parts"]
    if seal == fitting and record.get("format") == FORMAT:
        return ""
    names = [name for name, _ in _parts(record)]
    if len(marks) == len(fitting["parts"]):
        for at, name in enumerate(names):
            if marks[at * _SIZE :][:_SIZE] != fitting["parts"][at * _SIZE :][:_SIZE]:
                return "the seal" if seal["whole"] == fitting["whole"] else name
        return "the seal" if record.get("format") == FORMAT else "the format"
    return "the number of steps"


def _parts(record: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The parts of a record in order, each with its name in words and its text."""
    for name in sorted(record):
        if name not in _LISTS and name != "seal":
            yield _WORDS.get(name, name.replace("_", " ")), _text(record[name])
    for kind in _LISTS:
        for number, one in enumerate(record.get(kind) or (), 1):
            # A model's request is in the record under a digest of its own.
            yield _named(kind, number, one), _text({**one, "request": ""} if "request" in one else one)


def _text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return b"null"
    if isinstance(value, dict | list) and not value:
        return b"{}" if isinstance(value, dict) else b"[]"
    return _encode(value).encode("utf-8", "surrogatepass")


def _mark(text: bytes) -> str:
    return f"{zlib.crc32(text) & 0xFFFFFF:06x}"


_WORDS = {
    "question": "the message",
    "input": "the conversation before",
    "reply": "the reply",
    "outcome": "the outcome",
    "agent": "the agent that answers",
    "error": "the error",
    "stop": "why it stopped",
    "started_at": "when it ran",
    "seconds": "how long it took",
    "reply_waited": "how long the reply waited",
    "usage": "tokens and cost",
    "models": "the models",
    "person": "who started it",
    "variables": "the variables",
    "packages": "the versions of the libraries",
    "escalation": "the note for a person",
    "redacted": "what was masked",
    "digest": "the flow's digest",
    "flow": "the flow",
    "version": "the flow's version",
    "id": "the run's id",
    "forked": "where it was forked",
}


def _named(kind: str, number: int, one: Any) -> str:
    given = one if isinstance(one, Mapping) else {}
    if kind == "calls":
        called = given.get("kind") == "tool"
        return f"step {number} ({given.get('name')})" if called else f"step {number} (model of {given.get('agent')})"
    if kind == "guardrails":
        return f"guardrail {number} ({given.get('name')})"
    if kind == "spans":
        return f"span {number} ({given.get('type')} {given.get('name')})".replace(" )", ")")
    return f"decision {number}" if kind == "decisions" else f"waiting call {number}"
