"""Spans as other programs send them: generated traces of a support desk, as OTLP in protobuf and JSON."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

from workbench.traces.otlp import Batch, Span, to_json

_TOLD = (
    "the parcel order refund customer says that it was late again and nobody answered please check with warehouse about "
    "return label damaged size colour shipping address payment invoice delivery promised friday replacement store policy "
    "allows thirty days receipt original condition unless final sale items cannot be exchanged online only manager approves"
)
WORDS = _TOLD.split()


def text(chance: random.Random, words: int) -> str:
    """So many words of the trade."""
    return " ".join(chance.choices(WORDS, k=words))


def trace(chance: random.Random, turns: int = 3, marked: float = 0.2) -> list[Span]:
    """One run: an agent, and in each turn a model call and a tool call. A share of them holds an e-mail address."""
    identity, start = chance.randbytes(16).hex(), 1_790_000_000_000_000_000 + chance.randrange(10**15)
    mail = (
        f" My address is {chance.choice(WORDS)}{chance.randrange(1000)}@example.com."
        if chance.random() < marked
        else ""
    )
    root = _span(
        identity,
        chance,
        "",
        "invoke_agent desk",
        start,
        0,
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"},
    )
    root["end"] = start + turns * 800_000_000
    root["attributes"] |= {"session.id": f"chat-{chance.randrange(10**6)}", "input.value": text(chance, 20) + mail}
    spans, said = (
        [root],
        [
            {"role": "system", "content": text(chance, 75)},
            {"role": "user", "content": root["attributes"]["input.value"]},
        ],
    )
    for turn in range(turns):
        reply = {"role": "assistant", "content": text(chance, 55)}
        spans.append(
            _span(identity, chance, root["id"], "chat gpt-5.6-luna", start, turn * 2, _model(chance, said, reply))
        )
        spans.append(_span(identity, chance, root["id"], "execute_tool find_order", start, turn * 2 + 1, _tool(chance)))
        said = [*said, reply]
    return spans


def _model(chance: random.Random, said: list[dict[str, str]], reply: dict[str, str]) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.6-luna",
        "gen_ai.response.id": f"resp_{chance.randbytes(16).hex()}",
        "gen_ai.usage.input_tokens": chance.randrange(4000),
        "gen_ai.usage.output_tokens": chance.randrange(400),
        "gen_ai.request.temperature": 0.2,
        "gen_ai.input.messages": json.dumps(said),
        "gen_ai.output.messages": json.dumps([reply]),
    }


def _tool(chance: random.Random) -> dict[str, Any]:
    order = chance.randrange(10000, 99999)
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_order",
        "gen_ai.tool.call.id": f"call_{chance.randbytes(12).hex()}",
        "gen_ai.tool.call.arguments": json.dumps({"order_id": order}),
        "gen_ai.tool.call.result": json.dumps(
            {"order_id": order, "status": "late", "note": text(chance, 140), "total": order / 100}
        ),
    }


def _span(
    trace: str, chance: random.Random, parent: str, name: str, start: int, step: int, attributes: dict[str, Any]
) -> Span:
    began = start + step * 400_000_000
    return {
        "trace": trace, "id": chance.randbytes(8).hex(), "parent": parent, "name": name, "start": began, "end": began + 350_000_000,
        "error": "", "attributes": attributes, "events": [],
    }  # fmt: skip


def as_json(spans: list[Span], service: str = "shop-bot") -> bytes:
    """An OTLP request in JSON."""
    return json.dumps({"resourceSpans": list(to_json([Batch({"service.name": service}, spans)]))}).encode()


def as_protobuf(spans: list[Span], service: str = "shop-bot") -> bytes:
    """An OTLP request in protobuf, written here by hand so that reading it is checked against other code."""
    made = b"".join(_field(2, _proto_span(span)) for span in spans)
    return _field(1, _field(1, _pairs(1, {"service.name": service})) + _field(2, made))


def _proto_span(span: Span) -> bytes:
    status = _field(15, _field(2, span["error"].encode()) + _key(3, 0) + _varint(2)) if span["error"] else b""
    return (
        _field(1, bytes.fromhex(span["trace"])) + _field(2, bytes.fromhex(span["id"]))
        + (_field(4, bytes.fromhex(span["parent"])) if span["parent"] else b"") + _field(5, span["name"].encode())
        + _key(6, 0) + _varint(1) + _key(7, 1) + struct.pack("<Q", span["start"]) + _key(8, 1) + struct.pack("<Q", span["end"])
        + _pairs(9, span["attributes"])
        + b"".join(_field(11, _field(2, one["name"].encode()) + _pairs(3, one["attributes"])) for one in span["events"]) + status
    )  # fmt: skip


def _pairs(number: int, attributes: dict[str, Any]) -> bytes:
    return b"".join(
        _field(number, _field(1, key.encode()) + _field(2, _value(value))) for key, value in attributes.items()
    )


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return _key(2, 0) + _varint(int(value))
    if isinstance(value, int):
        return _key(3, 0) + _varint(value & (2**64 - 1))
    if isinstance(value, float):
        return _key(4, 1) + struct.pack("<d", value)
    if isinstance(value, list):
        return _field(5, b"".join(_field(1, _value(one)) for one in value))
    if isinstance(value, dict):
        return _field(6, _pairs(1, value))
    return _field(1, str(value).encode())


def _field(number: int, body: bytes) -> bytes:
    return _key(number, 2) + _varint(len(body)) + body


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
