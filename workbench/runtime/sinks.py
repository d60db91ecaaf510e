"""Where finished runs go from any process: a file of JSON Lines, or the address of an OTLP/HTTP collector.

Each run is masked first, as the environment says. Both work on a thread of their own, off the path of whoever runs a flow.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import Invalid, Unavailable
from workbench.runtime import redaction
from workbench.runtime.record import Finished, Writer

TIMEOUT = 10
MOST = 50
"""Runs in one request."""


def to(place: str, *, spill: Path | None = None) -> Writer:
    """The sink for a file's path, or for the http(s) address of a collector, whose path is `/v1/traces` by custom.

    Runs that a collector does not take are kept in the file `spill` (default: `unsaved-runs.jsonl` here). Raises Invalid
    for settings of masking that cannot be used, or a file that cannot be written.
    """
    redaction.rules()
    if place.startswith(("http://", "https://")):
        kept = spill or Path("unsaved-runs.jsonl")
        return Writer(lambda batch: _send(place, batch), spill=lambda batch: _append(kept, batch))
    path = Path(place)
    try:
        path.touch()
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from None
    return Writer(lambda batch: _append(path, batch), spill=lambda batch: _append(path.with_suffix(".unsaved"), batch))


def _append(path: Path, batch: list[Finished]) -> None:
    """Add runs, each with the flow it needs, in lines that `runs import` reads; they are on the disk afterwards."""
    rules = redaction.rules()
    lines = [
        json.dumps(
            {"run": redaction.record(one.plain, rules), "content": one.recorder.release.body}, ensure_ascii=False
        )
        for one in batch
    ]
    add(path, lines)


def add(path: Path, lines: Iterable[str]) -> None:
    """Add lines to a file, whole and on the disk, though other processes add to it; a half one at its end stays alone."""
    told = "".join(f"{line}\n" for line in lines).encode()
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            told = told if file.read(1) == b"\n" else b"\n" + told
        file.write(told)
        file.flush()
        os.fsync(file.fileno())


def _send(url: str, batch: list[Finished]) -> None:
    rules = redaction.rules()
    for at in range(0, len(batch), MOST):
        told = [spans(redaction.record(one.plain, rules)) for one in batch[at : at + MOST]]
        body = json.dumps({"resourceSpans": told}, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        if token := os.environ.get("WORKBENCH_INGEST_TOKEN", "").strip():
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  (http or https, see `to`)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                answer.read()
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise Unavailable(f"The collector does not take runs: {error}.") from None


def spans(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record as `resourceSpans` with GenAI attributes: the run, its model calls, its tool calls, its guardrails."""
    began = int(dt.datetime.fromisoformat(record["started_at"]).timestamp() * 1e9)
    root = _identity(record["id"], "run")
    told = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": record["agent"],
        "gen_ai.conversation.id": record["conversation"],
        "input.value": record["question"],
        "output.value": record["reply"],
        "workbench.flow": record["flow"],
        "workbench.version": record["version"],
        "workbench.outcome": record["outcome"],
    }
    made = [_span(record, root, "", f"invoke_agent {record['flow']}", began, record["seconds"], record["error"], told)]
    for number, (name, one, attributes) in enumerate(_steps(record)):
        start = began + int(one["started"] * 1e9)
        identity = _identity(record["id"], str(number))
        made.append(_span(record, identity, root, name, start, one["seconds"], one.get("error", ""), attributes))
    resource = {"service.name": record["flow"], "deployment.environment.name": record["environment"]}
    return {
        "resource": {"attributes": _pairs(resource)},
        "scopeSpans": [{"scope": {"name": "workbench"}, "spans": made}],
    }


def _steps(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], dict[str, Any]]]:
    for call in record["calls"]:
        if call["kind"] == "model":
            yield f"chat {call['model']}", call, _model(call)
        else:
            told = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": call["name"],
                "gen_ai.tool.call.id": call["call_id"],
                "gen_ai.tool.call.arguments": call["arguments"],
                "gen_ai.tool.call.result": call["output"],
            }
            yield f"execute_tool {call['name']}", call, told | {"gen_ai.agent.name": call["agent"]}
    for verdict in record["guardrails"]:
        told = {
            "openinference.span.kind": "GUARDRAIL",
            "guardrail.triggered": verdict["tripped"],
            "guardrail.on": verdict["on"],
        }
        yield verdict["name"], {**verdict, "error": verdict["reason"] if verdict["tripped"] else ""}, told


def _model(call: Mapping[str, Any]) -> dict[str, Any]:
    response = call["response"] or {"output": [], "usage": {"input_tokens": 0, "output_tokens": 0}}
    system = [{"role": "system", "content": call["request"]["system"]}] if call["request"]["system"] else []
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": call["agent"],
        "gen_ai.request.model": call["model"],
        "gen_ai.usage.input_tokens": response["usage"]["input_tokens"],
        "gen_ai.usage.output_tokens": response["usage"]["output_tokens"],
        "gen_ai.input.messages": json.dumps(
            [_message(one) for one in [*system, *call["request"]["input"]]], ensure_ascii=False
        ),
        "gen_ai.output.messages": json.dumps([_message(one) for one in response["output"]], ensure_ascii=False),
    }


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a conversation as a message with parts, as the GenAI convention has it."""
    kind = item.get("type", "message")
    if kind == "function_call":
        part = {
            "type": "tool_call",
            "id": item.get("call_id"),
            "name": item.get("name"),
            "arguments": item.get("arguments"),
        }
        return {"role": "assistant", "parts": [part]}
    if kind == "function_call_output":
        part = {"type": "tool_call_response", "id": item.get("call_id"), "response": item.get("output")}
        return {"role": "tool", "parts": [part]}
    content = item.get("content", "")
    texts = (
        [content]
        if isinstance(content, str)
        else [str(one.get("text", "")) for one in content if isinstance(one, Mapping)]
    )
    return {"role": item.get("role", "assistant"), "parts": [{"type": "text", "content": one} for one in texts]}


def _span(
    record: Mapping[str, Any],
    identity: str,
    parent: str,
    name: str,
    start: int,
    seconds: float,
    error: str,
    told: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "traceId": record["id"].removeprefix("run_"),
        "spanId": identity,
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(seconds * 1e9)),
        "status": {"code": 2, "message": error} if error else {},
        "attributes": _pairs(told),
    }


def _identity(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _pairs(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"boolValue": value} if value is True or value is False else
         {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}}
        for key, value in told.items()
    ]  # fmt: skip
