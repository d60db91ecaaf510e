"""What one request for spans may cost is bounded, however small it comes and however slowly."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests import spans
from tests.receiving import receiving
from workbench import traces
from workbench.errors import Invalid
from workbench.traces import ingest, otlp, receive, sdk_export

NOTHING = b"\x4a\x00"
"""An attribute without a name or value, in protobuf."""


def trace() -> list[otlp.Span]:
    """A generated run of another program."""
    return spans.trace(random.Random(1), marked=0)  # noqa: S311  (generated spans)


def field(number: int, body: bytes) -> bytes:
    """A field of a message in protobuf."""
    size, rest = bytearray(), len(body)
    while rest > 127:
        size.append(rest & 127 | 128)
        rest >>= 7
    return bytes([number << 3 | 2, *size, rest]) + body


def request(*made: bytes) -> bytes:
    """A request that holds these spans."""
    return field(1, field(2, b"".join(field(2, one) for one in made)))


def ids(number: int) -> bytes:
    """A span of nothing but its ids."""
    return field(1, bytes(16)) + field(2, number.to_bytes(8))


def ask(receiver: receive.Receiver, body: bytes, *, hold: bool = False, **headers: str) -> tuple[int, str]:
    """Send a body; the status and the words of the answer. With `hold`, the rest of it never comes."""
    sent: list[dict[str, Any]] = []

    def giving() -> Callable[[], Awaitable[dict[str, Any]]]:
        parts = [body]

        async def given() -> dict[str, Any]:
            if not parts:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": parts.pop(), "more_body": hold}

        return given

    async def put(message: dict[str, Any]) -> None:
        sent.append(message)

    told = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "path": receive.OTLP,
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    asyncio.run(receiver(scope, giving(), put))
    return sent[0]["status"], str(json.loads(sent[1]["body"]).get("message", ""))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (request(ids(1) + NOTHING * 20_000), "A span has more than 10,000 attributes"),
        (request(*(ids(number) + NOTHING * 9_000 for number in range(60))), "more than 500,000 attributes and values"),
        (request(*([ids(1)] * 50_001)), "more than 50,000 spans"),
        (b"\x0a\x00" * 50_001, "more than 50,000 spans"),
        (request(ids(1) + field(9, field(2, field(5, b"\x0a\x00" * 600_000)))), "attributes and values"),
        (request(ids(1) + b"\x5a\x00" * 600_000), "attributes and values"),
    ],
)
def test_a_request_that_holds_too_much_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        otlp.read_protobuf(body)


def test_the_same_limits_hold_for_json_and_for_the_agents_sdk() -> None:
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": [{"key": "a"}] * 10_001}
    for made, words in (([span], "10,000 attributes"), ([{**span, "attributes": []}] * 50_001, "50,000 spans")):
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]})
        with pytest.raises(Invalid, match=words):
            otlp.read_json(body)
    with pytest.raises(Invalid, match="50,000 spans"):
        sdk_export.of_plain({"data": [{"object": "trace", "id": f"trace_{'ab' * 16}"}] * 50_001}, otlp.Room())


def test_room_is_asked_for_what_a_body_is_unpacked(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MOST_WAITING", 1_000_000)
    store = ingest.Store()
    receiver = receive.Receiver(store)
    body = spans.as_json(trace()) + b" " * 300_000
    packed = gzip.compress(body)
    assert len(packed) < 50_000
    assert store.claim(800_000), "somebody's spans wait to be stored"
    assert ask(receiver, packed, content_encoding="gzip")[0] == 429
    assert ask(receiver, body)[0] == 429
    assert store.claim(200_000), "what was refused holds no room"
    store.release(1_000_000)
    assert ask(receiver, packed, content_encoding="gzip")[0] == 200
    assert store.claim(1_000_000), "what was stored holds no room"
    assert traces.count() == 1
    receiver.close()


def test_a_body_that_does_not_come_in_time_is_given_up(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PATIENCE", 0.1)
    store = ingest.Store()
    receiver = receive.Receiver(store)
    assert ask(receiver, b"{", hold=True) == (408, "The body did not come within 0.1 seconds.")
    monkeypatch.setattr(ingest, "MOST_WAITING", 1)
    assert store.claim(5), "what was given up holds no room"
    receiver.close()


def test_a_small_body_that_unpacks_to_much_and_too_many_connections_are_refused(migrated: Path) -> None:
    with receiving() as address:
        packed = gzip.compress(request(ids(1) + NOTHING * 2_000_000))
        assert len(packed) < 10_000
        status, _, told = address.post(packed, content_encoding="gzip")
        assert (status, json.loads(told)["message"]) == (400, "A span has more than 10,000 attributes.")
        others = [socket.create_connection(("127.0.0.1", address.port)) for _ in range(receive.OPEN)]
        assert address.post(spans.as_protobuf(trace()))[0] == 503
        for one in others:
            one.close()
        assert address.post(spans.as_protobuf(trace()))[0] == 200
