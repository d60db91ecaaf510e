"""OTLP trace requests, protobuf or JSON, as plain spans."""

from __future__ import annotations

import base64
import binascii
import functools
import importlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import Invalid
from workbench.runtime.record import clean

Span = dict[str, Any]
"""`trace`, `id` and `parent` (hexadecimal), `name`, `start` and `end` (nanoseconds), `error`, `attributes`, `events`."""

ERROR = 2
"""The status code of a span that failed."""

DEEPEST = 32
MOST_SPANS = 50_000
"""Spans of one request."""
MOST_ATTRIBUTES = 10_000
"""Attributes of one span: a long conversation, told message by message, takes thousands."""
MOST_VALUES = 500_000
"""Attributes, events and values in lists, of one request."""


@dataclass(frozen=True)
class Batch:
    """Spans of one program: what it says of itself, and the spans."""

    resource: dict[str, Any]
    spans: list[Span]


class Room:
    """How much a request may still hold. One without limits holds as many spans and values as a file has."""

    def __init__(self, *, limited: bool = True) -> None:
        self.spans = MOST_SPANS if limited else sys.maxsize
        self.values = MOST_VALUES if limited else sys.maxsize

    def take_spans(self, count: int) -> None:
        """Raises Invalid where a request has too many spans."""
        self.spans -= count
        if self.spans < 0:
            raise Invalid(f"The request has more than {MOST_SPANS:,} spans.", remedy="Send them in several requests.")

    def take(self, count: int) -> None:
        """Raises Invalid where a request has too many values."""
        self.values -= count
        if self.values < 0:
            raise Invalid(
                f"The request has more than {MOST_VALUES:,} attributes and values.",
                remedy="Send its spans in several requests.",
            )

    def take_attributes(self, count: int) -> None:
        """Raises Invalid where a span, an event or a program has too many attributes."""
        if count > MOST_ATTRIBUTES:
            raise Invalid(f"A span has more than {MOST_ATTRIBUTES:,} attributes.")
        self.take(count)


def read_protobuf(body: bytes) -> list[Batch]:
    """The spans of an ExportTraceServiceRequest. Raises Invalid where the bytes are none."""
    request = _message("ExportTraceServiceRequest")()
    try:
        request.ParseFromString(body)
    except _unreadable():
        raise Invalid("The body is not an OTLP trace request in protobuf.") from None
    room = Room()
    room.take_spans(len(request.resource_spans))
    room.spans = MOST_SPANS
    return [_batch(one, room) for one in request.resource_spans]


def read_json(text: str | bytes) -> list[Batch]:
    """The spans of an OTLP trace request in JSON. Raises Invalid naming what does not fit."""
    try:
        return of_plain(clean(json.loads(text)), Room())
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None
    except ValueError:
        raise Invalid("The body is not JSON.") from None


def of_plain(request: Any, room: Room | None = None) -> list[Batch]:
    """The spans of a request that was read from JSON. Raises Invalid."""
    room = room or Room(limited=False)
    try:
        return [_plain_batch(one, room) for one in _list(request, "resourceSpans")]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"This is not an OTLP trace request: {type(error).__name__} in a span ({error}).") from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None


def answer(*, protobuf: bool) -> bytes:
    """The body of an answer that takes everything."""
    return b"" if protobuf else b"{}"


def _batch(one: Any, room: Room) -> Batch:
    room.take(len(one.scope_spans))
    room.take_spans(sum(len(scope.spans) for scope in one.scope_spans))
    told = _attributes(one.resource.attributes, room)
    return Batch(told, [_span(span, room) for scope in one.scope_spans for span in scope.spans])


def _span(span: Any, room: Room) -> Span:
    trace, identity, parent = span.trace_id, span.span_id, span.parent_span_id
    if len(trace) != 16 or len(identity) != 8:
        raise Invalid("A span has no trace id of 16 bytes, or no span id of 8.")
    if len(parent) not in (0, 8):
        raise Invalid("A span's parent id has not 8 bytes.")
    status = span.status
    return {
        "trace": trace.hex(),
        "id": identity.hex(),
        "parent": parent.hex(),
        "name": span.name,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "error": (status.message or "failed") if status.code == ERROR else "",
        "attributes": _attributes(span.attributes, room),
        "events": _events(span.events, room) if span.events else [],
    }


def _events(events: Any, room: Room) -> list[dict[str, Any]]:
    room.take(len(events))
    return [{"name": one.name, "attributes": _attributes(one.attributes, room)} for one in events]


def _attributes(pairs: Any, room: Room) -> dict[str, Any]:
    room.take_attributes(len(pairs))
    return {pair.key: pair.value.string_value or _other(pair.value, room) for pair in pairs}


def _other(value: Any, room: Room, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind in ("array_value", "kvlist_value"):
        room.take(len(found.values))
        if depth >= DEEPEST:
            return "too deep"
        if kind == "array_value":
            return [_other(one, room, depth + 1) for one in found.values]
        return {one.key: _other(one.value, room, depth + 1) for one in found.values}
    if kind == "bytes_value":
        return base64.b64encode(found).decode()
    return _finite(found) if kind == "double_value" else found


def _finite(number: float) -> float | str:
    """A number as JSON can hold it: `nan` and `inf` are written as words."""
    return number if math.isfinite(number) else str(number)


def _list(holder: Mapping[str, Any], name: str) -> list[Any]:
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    found = holder.get(name, holder.get(snake)) or []
    if not isinstance(found, list):
        raise TypeError(f"{name} is not a list")
    return found


def _plain_batch(one: Mapping[str, Any], room: Room) -> Batch:
    scopes = [_list(scope, "spans") for scope in _list(one, "scopeSpans")]
    room.take_spans(sum(map(len, scopes)))
    told = _plain_attributes((one.get("resource") or {}).get("attributes"), room)
    return Batch(told, [_plain_span(span, room) for spans in scopes for span in spans])


def _plain_span(span: Mapping[str, Any], room: Room) -> Span:
    status = span.get("status") or {}
    failed = status.get("code") in (ERROR, "STATUS_CODE_ERROR")
    return {
        "trace": _identity(span, "traceId", 16),
        "id": _identity(span, "spanId", 8),
        "parent": _identity(span, "parentSpanId", 8) if span.get("parentSpanId") else "",
        "name": str(span.get("name", "")),
        "start": _moment(span, "startTimeUnixNano"),
        "end": _moment(span, "endTimeUnixNano"),
        "error": str(status.get("message") or "failed") if failed else "",
        "attributes": _plain_attributes(span.get("attributes"), room),
        "events": [
            {"name": str(one.get("name", "")), "attributes": _plain_attributes(one.get("attributes"), room)}
            for one in _list(span, "events")
        ],
    }


def _identity(span: Mapping[str, Any], name: str, size: int) -> str:
    """An id in hexadecimal; some exporters write it as base64, as protobuf's own JSON does."""
    text = str(span[name])
    try:
        raw = bytes.fromhex(text) if len(text) == size * 2 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Invalid(f"A span's {name} is not an id: {text[:40]!r}.") from None
    if len(raw) != size:
        raise Invalid(f"A span's {name} is not an id of {size} bytes.")
    return raw.hex()


def _moment(span: Mapping[str, Any], name: str) -> int:
    """Nanoseconds since 1970, as many as protobuf can hold; 0 where none are told."""
    found = int(span.get(name) or 0)
    if not 0 <= found < 2**64:
        raise Invalid(f"A span's {name} is no moment in nanoseconds.")
    return found


def _plain_attributes(pairs: Any, room: Room) -> dict[str, Any]:
    room.take_attributes(len(pairs or ()))
    return {str(pair["key"]): _plain_value(pair.get("value") or {}, room) for pair in pairs or ()}


def _plain_value(value: Mapping[str, Any], room: Room, depth: int = 0) -> Any:
    if depth > DEEPEST or not value:
        return None
    kind, found = next(iter(value.items()))
    kind = kind.replace("_v", "V")
    if kind == "intValue":
        return int(found)
    if kind in ("arrayValue", "kvlistValue"):
        values = found.get("values", [])
        room.take(len(values))
        if kind == "arrayValue":
            return [_plain_value(one, room, depth + 1) for one in values]
        return {str(one["key"]): _plain_value(one.get("value") or {}, room, depth + 1) for one in values}
    if isinstance(found, float):
        return _finite(found)
    return found if isinstance(found, str | bool | int) else str(found)


_FIELDS: dict[str, tuple[tuple[int, str, str, bool], ...]] = {
    "AnyValue": (
        (1, "string_value", "string", False), (2, "bool_value", "bool", False), (3, "int_value", "int64", False),
        (4, "double_value", "double", False), (5, "array_value", "ArrayValue", False), (6, "kvlist_value", "KeyValueList", False),
        (7, "bytes_value", "bytes", False),
    ),
    "ArrayValue": ((1, "values", "AnyValue", True),),
    "KeyValueList": ((1, "values", "KeyValue", True),),
    "KeyValue": ((1, "key", "string", False), (2, "value", "AnyValue", False)),
    "Resource": ((1, "attributes", "KeyValue", True),),
    "Event": ((2, "name", "string", False), (3, "attributes", "KeyValue", True)),
    "Status": ((2, "message", "string", False), (3, "code", "int32", False)),
    "Span": (
        (1, "trace_id", "bytes", False), (2, "span_id", "bytes", False), (4, "parent_span_id", "bytes", False),
        (5, "name", "string", False), (7, "start_time_unix_nano", "fixed64", False), (8, "end_time_unix_nano", "fixed64", False),
        (9, "attributes", "KeyValue", True), (11, "events", "Event", True), (15, "status", "Status", False),
    ),
    "ScopeSpans": ((2, "spans", "Span", True),),
    "ResourceSpans": ((1, "resource", "Resource", False), (2, "scope_spans", "ScopeSpans", True)),
    "ExportTraceServiceRequest": ((1, "resource_spans", "ResourceSpans", True),),
}  # fmt: skip
"""Number, name, type and whether it repeats, of the fields that are read of opentelemetry.proto.trace.v1; others are skipped."""

_TYPES = {"double": 1, "int64": 3, "int32": 5, "fixed64": 6, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE = 11


@functools.cache
def _unreadable() -> type[Exception]:
    messages: Any = importlib.import_module("google.protobuf.message")
    found: type[Exception] = messages.DecodeError
    return found


@functools.cache
def _message(name: str) -> Any:
    return _messages()[name]


@functools.cache
def _messages() -> dict[str, Any]:
    """The classes of the messages, made from the fields above."""
    descriptors: Any = importlib.import_module("google.protobuf.descriptor_pb2")
    pools: Any = importlib.import_module("google.protobuf.descriptor_pool")
    factory: Any = importlib.import_module("google.protobuf.message_factory")
    file = descriptors.FileDescriptorProto(name="workbench/otlp.proto", package="workbench.otlp", syntax="proto3")
    for message, fields in _FIELDS.items():
        made = file.message_type.add(name=message)
        if message == "AnyValue":
            made.oneof_decl.add(name="value")
        for number, name, kind, repeated in fields:
            field = made.field.add(
                name=name, number=number, label=3 if repeated else 1, type=_TYPES.get(kind, _MESSAGE)
            )
            if kind not in _TYPES:
                field.type_name = f".workbench.otlp.{kind}"
            if message == "AnyValue":
                field.oneof_index = 0
    pool = pools.DescriptorPool()
    pool.Add(file)
    return {name: factory.GetMessageClass(pool.FindMessageTypeByName(f"workbench.otlp.{name}")) for name in _FIELDS}


def to_json(batches: list[Batch]) -> Iterator[dict[str, Any]]:
    """Spans as `resourceSpans` of an OTLP request in JSON."""
    for batch in batches:
        spans = [
            {
                "traceId": span["trace"],
                "spanId": span["id"],
                "parentSpanId": span["parent"],
                "name": span["name"],
                "startTimeUnixNano": str(span["start"]),
                "endTimeUnixNano": str(span["end"]),
                "status": {"code": ERROR, "message": span["error"]} if span["error"] else {},
                "attributes": pairs(span["attributes"]),
                "events": [{"name": one["name"], "attributes": pairs(one["attributes"])} for one in span["events"]],
            }
            for span in batch.spans
        ]
        yield {"resource": {"attributes": pairs(batch.resource)}, "scopeSpans": [{"spans": spans}]}


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP writes them in JSON."""
    return [{"key": key, "value": _written(value)} for key, value in attributes.items()]


def _written(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_written(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {} if value is None else {"stringValue": str(value)}
