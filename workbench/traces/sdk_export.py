"""Traces that the OpenAI Agents SDK exports, as plain spans."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import time
from collections.abc import Mapping
from typing import Any

from workbench.errors import Invalid
from workbench.traces.otlp import Batch, Room, Span

_TRACE = re.compile(r"trace_([0-9a-f]{32})")


def fits(document: Any) -> bool:
    """Whether plain data looks like such an export."""
    found = document.get("data") if isinstance(document, dict) else None
    return isinstance(found, list) and bool(found) and all(isinstance(one, dict) and "object" in one for one in found)


def of_plain(document: Any, room: Room | None = None) -> list[Batch]:
    """The spans of an export, `{"data": [traces and spans]}`. Raises Invalid naming what does not fit."""
    if not fits(document):
        raise Invalid("This is not a trace export of the Agents SDK: `data` holds no traces or spans.")
    room = room or Room(limited=False)
    room.take_spans(len(document["data"]))
    traces = {one.get("id"): one for one in document["data"] if one["object"] == "trace"}
    spans: dict[str, list[Span]] = {str(identity): [] for identity in traces}
    try:
        for one in document["data"]:
            if one["object"] == "trace.span":
                spans.setdefault(one["trace_id"], []).append(_span(one, room))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"A span of the export is not whole: {type(error).__name__} ({error}).") from None
    return [_batch(identity, traces.get(identity), found) for identity, found in spans.items()]


def _batch(identity: str, trace: Mapping[str, Any] | None, spans: list[Span]) -> Batch:
    if trace is None:
        return Batch({}, spans)
    name = str(trace.get("workflow_name") or "Agent workflow")
    session = {"session.id": str(trace["group_id"])} if trace.get("group_id") else {}
    start = min((one["start"] for one in spans), default=time.time_ns())
    end = max((one["end"] for one in spans), default=start)
    root = _plain(identity, identity, "", name, start, end, "", session)
    for one in spans:
        one["parent"] = one["parent"] or root["id"]
    return Batch({"service.name": name, "telemetry.sdk.name": "openai-agents"}, [root, *spans])


def _span(one: Mapping[str, Any], room: Room) -> Span:
    data, error = one["span_data"], one.get("error") or {}
    room.take_attributes(len(data))
    start = _nanoseconds(one["started_at"])
    end = _nanoseconds(one["ended_at"]) if one.get("ended_at") else start
    parent = _short(one["parent_id"]) if one.get("parent_id") else ""
    failed = str(error.get("message") or "failed") if error else ""
    return _plain(one["trace_id"], one["id"], parent, _name(data), start, end, failed, _attributes(data))


def _plain(
    trace: str, identity: str, parent: str, name: str, start: int, end: int, error: str, attributes: dict[str, Any]
) -> Span:
    found = _TRACE.fullmatch(str(trace))
    if found is None:
        raise Invalid(f"The export names a trace {str(trace)[:60]!r}, which is no trace id of the Agents SDK.")
    return {
        "trace": found[1],
        "id": _short(identity),
        "parent": parent,
        "name": name,
        "start": start,
        "end": end,
        "error": error,
        "attributes": attributes,
        "events": [],
    }


def _name(data: Mapping[str, Any]) -> str:
    if data.get("type") == "handoff":
        return f"{data.get('from_agent')} to {data.get('to_agent')}"
    return str(data.get("name") or data.get("model") or data.get("type") or "step")


def _attributes(data: Mapping[str, Any]) -> dict[str, Any]:
    usage = data.get("usage") or {}
    kind = data.get("type")
    if kind in ("generation", "response"):
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": data.get("model"),
            "gen_ai.input.messages": data.get("input"),
            "gen_ai.output.messages": data.get("output"),
            "gen_ai.response.id": data.get("response_id"),
            "gen_ai.usage.input_tokens": usage.get("input_tokens", usage.get("prompt_tokens")),
            "gen_ai.usage.output_tokens": usage.get("output_tokens", usage.get("completion_tokens")),
        }
    elif kind == "function":
        told = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": data.get("name"),
            "gen_ai.tool.call.arguments": data.get("input"),
            "gen_ai.tool.call.result": data.get("output"),
        }
    elif kind == "agent":
        told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": data.get("name")}
    elif kind == "guardrail":
        told = {"openinference.span.kind": "GUARDRAIL", "guardrail.triggered": bool(data.get("triggered"))}
    else:
        told = {str(name): value for name, value in data.items() if name != "type"}
    return {name: value for name, value in told.items() if value is not None}


def _short(identity: Any) -> str:
    """Eight bytes in place of the SDK's own span ids, which are longer."""
    return hashlib.blake2b(str(identity).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _nanoseconds(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp() * 1e9)
