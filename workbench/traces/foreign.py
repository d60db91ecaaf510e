"""Runs of other programs: spans with OpenTelemetry GenAI or OpenInference attributes, read as one of our records.

What a span says is looked for under the names of both conventions, old and new; what it does not say stays empty.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workbench.runtime.record import clean, digest
from workbench.store import unpack
from workbench.traces.otlp import Span

SOURCE = "otlp"
LONGEST = 20_000
"""Characters of a question or reply that lists show."""
MOST = 2_000
"""Spans of one run that the reading view shows."""
DEEPEST = 100
MOST_FACTS = 200
"""Agents, tools and guardrails of one run that it is found by."""

_KINDS = {
    "LLM": "model", "TOOL": "tool", "AGENT": "agent", "RETRIEVER": "tool", "GUARDRAIL": "guardrail",
    "chat": "model", "text_completion": "model", "generate_content": "model", "execute_tool": "tool",
    "invoke_agent": "agent", "create_agent": "agent", "agent": "agent", "tool": "tool", "workflow": "",
}  # fmt: skip
_CONVERSATIONS = (
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
_MODELS = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
_INPUT_TOKENS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
_OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion", "llm.usage.completion_tokens",
)  # fmt: skip
_INPUTS = ("gen_ai.input.messages", "llm.input_messages", "gen_ai.prompt")
_OUTPUTS = ("gen_ai.output.messages", "llm.output_messages", "gen_ai.completion")
_AGENTS = ("gen_ai.agent.name", "agent.name", "graph.node.id")
_TYPES = {"model": "generation", "tool": "function", "agent": "agent", "guardrail": "guardrail", "": "custom"}


def run_id(trace: str) -> str:
    """The id of the run that a trace is."""
    return f"run_{trace}"


def _order(span: Span) -> tuple[int, int]:
    """By the start; of two that start together, the longer is above the other."""
    return span["start"], -span["end"]


def kind(span: Span) -> str:
    """`model`, `tool`, `agent`, `guardrail`, or nothing for another step."""
    told = span["attributes"]
    named = told.get("openinference.span.kind") or told.get("gen_ai.operation.name") or told.get("traceloop.span.kind")
    found = _KINDS.get(named, "") if isinstance(named, str) else ""
    if not found and named is None and ("gen_ai.prompt.0.content" in told or "llm.request.type" in told):
        return "model"
    return found


def conversation(spans: Iterable[Span]) -> str:
    """The id of the conversation that spans name; empty where they name none."""
    for span in spans:
        told = span["attributes"]
        for name in _CONVERSATIONS:
            if found := told.get(name):
                return str(found)
    return ""


_NAMES = ("id", "parent", "name", "start", "end", "error", "attributes", "events")


def unpacked(trace: str, bodies: Iterable[bytes]) -> tuple[dict[str, Any], list[Span], dict[str, int]]:
    """Resource, spans and what was masked, of a trace's stored parts; a span that came twice is there once."""
    resource: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    redacted: dict[str, int] = {}
    for body in bodies:
        told, made, counts = unpack(body)
        resource = resource or told
        for one in made:
            span = {"trace": trace, **dict(zip(_NAMES, one, strict=True))}
            spans.setdefault(span["id"], span)
        redacted |= {kind: max(count, redacted.get(kind, 0)) for kind, count in counts.items()}
    return resource, list(spans.values()), redacted


def listed(
    trace: str, resource: Mapping[str, Any], spans: Sequence[Span]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What lists show of a run, the columns of the table `run`, and the terms that it is found by.

    `spans` are all of it that is known. The terms are its agents and tools, and the guardrails that tripped.
    """
    spans = sorted(spans, key=_order)
    kinds = [kind(span) for span in spans]
    agents = [
        _first(span["attributes"], *_AGENTS) or (span["name"] if is_ == "agent" else "")
        for span, is_ in zip(spans, kinds, strict=True)
    ]
    return _row(trace, resource, spans, kinds, agents), _facts(spans, kinds, agents)


def _row(
    trace: str, resource: Mapping[str, Any], spans: Sequence[Span], kinds: Sequence[str], agents: Sequence[Any]
) -> dict[str, Any]:
    models = [span for span, is_ in zip(spans, kinds, strict=True) if is_ == "model"]
    roots = [span for span in spans if not span["parent"]] or spans[:1]
    reply, error = _reply(roots[0], models), next((one["error"] for one in [*roots, *models[-1:]] if one["error"]), "")
    costs = [cost for span in models if (cost := _number(span, "llm.cost.total", "gen_ai.usage.cost")) is not None]
    named = dict.fromkeys(str(name) for span in models if (name := _first(span["attributes"], *_MODELS)))
    return {
        "id": run_id(trace),
        "flow": _flow(resource, roots[0]),
        "version": "",
        "digest": "",
        "source": SOURCE,
        "conversation": clean(conversation(spans) or f"conv_{trace}")[:500],
        "started_at": _moment(spans[0]["start"]),
        "seconds": max(0.0, (max(one["end"] for one in spans) - spans[0]["start"]) / 1e9),
        "outcome": "error" if any(one["error"] for one in roots) or (error and not reply) else "answered",
        "agent": str(clean(str(next(filter(None, reversed(agents)), "agent"))))[:200],
        "question": clean(_question(roots[0], models))[:LONGEST],
        "reply": clean(reply)[:LONGEST],
        "error": clean(error)[:LONGEST],
        "model": clean(", ".join(named))[:500],
        "input_tokens": sum(int(_number(one, *_INPUT_TOKENS) or 0) for one in models),
        "output_tokens": sum(int(_number(one, *_OUTPUT_TOKENS) or 0) for one in models),
        "usd": sum(costs) if costs and len(costs) == len(models) else None if models else 0.0,
    }


def _facts(spans: Sequence[Span], kinds: Sequence[str], agents: Sequence[Any]) -> list[tuple[str, str]]:
    found = {("agent", str(clean(str(name)))[:200]): None for name in dict.fromkeys(map(str, filter(None, agents)))}
    for span, is_ in zip(spans, kinds, strict=True):
        if is_ == "tool":
            found["tool", _tool_name(span)] = None
        elif is_ == "guardrail" and (span["attributes"].get("guardrail.triggered") or span["error"]):
            found["tripped", str(clean(span["name"]))[:200]] = None
    return list(found)[:MOST_FACTS]


def _tool_name(span: Span) -> str:
    told = span["attributes"]
    named = _first(told, "gen_ai.tool.name", "tool.name", "tool_call.function.name") or span["name"]
    return str(clean(str(named)))[:200]


def record(
    trace: str, resource: Mapping[str, Any], spans: Sequence[Span], redacted: Mapping[str, int]
) -> dict[str, Any]:
    """A run of another program in the form of our own records, without a flow: it can be read, not run again."""
    spans = sorted(spans, key=_order)
    shown, _ = listed(trace, resource, spans)
    began = spans[0]["start"]
    agents = _agents(spans)
    calls = [call for span in spans[:MOST] if (call := _call(span, began, agents))]
    first = next((call for call in calls if call["kind"] == "model"), None)
    question = {"role": "user", "content": shown["question"]}
    said = first["request"]["input"] if first else []
    last = max((i for i, item in enumerate(said) if item.get("role") == "user"), default=-1)
    return {
        "format": 1,
        "kind": "workbench run",
        **{name: shown[name] for name in ("id", "flow", "version", "digest", "source", "conversation")},
        "environment": str(_first(resource, "deployment.environment.name", "deployment.environment") or ""),
        "started_at": shown["started_at"].isoformat(timespec="milliseconds"),
        "seconds": round(shown["seconds"], 6),
        "question": shown["question"],
        "input": [*said[: max(0, last)], question],
        "starts_at": next(iter(agents.values()), shown["agent"]),
        "variables": {},
        "outcome": shown["outcome"],
        "reply": shown["reply"],
        "agent": shown["agent"],
        "error": shown["error"] if shown["outcome"] == "error" else "",
        "stop": "" if len(spans) <= MOST else f"only the first {MOST:,} of {len(spans):,} steps are shown",
        "escalation": None,
        "waiting": [],
        "person": "",
        "resumes": "",
        "root": shown["id"],
        "decisions": [],
        "reply_waited": {"seconds": 0.0, "for": []},
        "models": [name for name in shown["model"].split(", ") if name],
        "usage": {
            "requests": sum(call["kind"] == "model" for call in calls),
            "input_tokens": shown["input_tokens"],
            "output_tokens": shown["output_tokens"],
            "usd": shown["usd"],
        },
        "calls": calls,
        "guardrails": [_verdict(span, began) for span in spans[:MOST] if kind(span) == "guardrail"],
        "spans": _tree(spans[:MOST], began),
        "packages": _packages(resource),
        **({"redacted": dict(redacted)} if redacted else {}),
    }


def _flow(resource: Mapping[str, Any], root: Span) -> str:
    service = str(resource.get("service.name") or "")
    name = root["name"] if not service or service.startswith("unknown_service") else service
    return str(clean(name or "unnamed"))[:200]


def _packages(resource: Mapping[str, Any]) -> dict[str, str]:
    names = {"service.name": "service", "telemetry.sdk.name": "", "telemetry.sdk.language": "language"}
    found = {shown: str(resource[name]) for name, shown in names.items() if shown and resource.get(name)}
    sdk = resource.get("telemetry.sdk.name")
    return found | ({str(sdk): str(resource.get("telemetry.sdk.version", ""))} if sdk else {})


def _moment(nanoseconds: int) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)


def _first(told: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if (found := told.get(name)) is not None and found != "":
            return found
    return None


def _number(span: Span, *names: str) -> float | None:
    found = _first(span["attributes"], *names)
    return found if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 2**31 else None


def _agents(spans: Sequence[Span]) -> dict[str, str]:
    """The agent of each step: named by itself, or by the nearest step above it."""
    by_id = {span["id"]: span for span in spans}
    found: dict[str, str] = {}
    for span in spans:
        at: Span | None = span
        for _ in range(DEEPEST):
            if at is None:
                break
            name = _first(at["attributes"], *_AGENTS) or (at["name"] if kind(at) == "agent" else "")
            if name:
                found[span["id"]] = str(name)
                break
            at = by_id.get(at["parent"])
    return found


def _question(root: Span, models: Sequence[Span]) -> str:
    for span in itertools.chain(models[:1], [root]):
        asked = [text for role, text in _said(span, _INPUTS) if role == "user" and text]
        if asked:
            return asked[-1]
    return _text(root["attributes"].get("input.value") or root["attributes"].get("traceloop.entity.input") or "")


def _reply(root: Span, models: Sequence[Span]) -> str:
    for span in reversed(models[-2:]):
        said = [text for _, text in _said(span, _OUTPUTS) if text]
        if said:
            return said[-1]
    return _text(root["attributes"].get("output.value") or root["attributes"].get("traceloop.entity.output") or "")


def _text(value: Any) -> str:
    """The words in an input or output value: itself, or the text of the message that its JSON holds."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text[:1] in '{["' and len(text) < 200_000:
        body = _json(text)
        while isinstance(body, list | dict) and body:
            if isinstance(body, list):
                body = body[-1]
                continue
            body = next(
                (body[name] for name in ("content", "text", "output", "input", "messages", "parts") if body.get(name)),
                "",
            )
        return body if isinstance(body, str) and body else text
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _said(span: Span, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The messages that a model was given or gave, as role and text."""
    for message in _messages(span, names):
        yield str(message.get("role", "")), _content(message)


def _content(message: Mapping[str, Any]) -> str:
    parts = message.get("parts", message.get("content", message.get("contents", "")))
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    texts = (one.get("content", one.get("text", "")) if isinstance(one, dict) else one for one in parts)
    return "\n".join(one for one in texts if isinstance(one, str) and one)


def _messages(span: Span, names: Sequence[str]) -> list[dict[str, Any]]:
    """Messages as plain data, from one attribute in JSON, from numbered attributes, or from events."""
    told = span["attributes"]
    for name in names:
        found = told.get(name)
        body = _json(found) if isinstance(found, str) else found
        if isinstance(body, list):
            return [one if isinstance(one, dict) else {"content": str(one)} for one in body]
        if f"{name}.0.message.role" in told or f"{name}.0.role" in told or f"{name}.0.content" in told:
            return _numbered(told, name)
    given = names is _INPUTS
    return [message for event in span["events"] if (message := _event(event, given=given))]


def _event(event: Mapping[str, Any], *, given: bool) -> dict[str, Any] | None:
    """A message from an event of the older convention, such as `gen_ai.user.message`."""
    name, told = event["name"], event["attributes"]
    if name == "gen_ai.choice":
        body = _json(told.get("message", "")) if isinstance(told.get("message"), str) else told.get("message")
        found = body if isinstance(body, dict) else {"content": body or told.get("content", "")}
        return None if given else {"role": "assistant", **found}
    if given and name.startswith("gen_ai.") and name.endswith(".message"):
        return {"role": name.split(".")[1], **told}
    return None


def _numbered(told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Messages of attributes such as `llm.input_messages.0.message.content`."""
    by_number: dict[str, dict[str, Any]] = {}
    start = f"{name}."
    for key, value in told.items():
        if key.startswith(start):
            number, _, part = key[len(start) :].partition(".")
            by_number.setdefault(number, {})[part.removeprefix("message.")] = value
    found: list[dict[str, Any]] = []
    for place in range(500):
        inner = by_number.get(str(place))
        if not inner:
            break
        calls: dict[str, dict[str, Any]] = {}
        for key, value in inner.items():
            if key.startswith("tool_calls."):
                at, _, part = key.removeprefix("tool_calls.").partition(".")
                calls.setdefault(at, {})[part.removeprefix("tool_call.").removeprefix("function.")] = value
        parts = [value for key, value in inner.items() if key.startswith("contents.") and key.endswith(".text")]
        made = {"role": inner.get("role", ""), "content": inner.get("content", "") or "\n".join(map(str, parts))}
        found.append(made | ({"tool_calls": list(calls.values())} if calls else {}))
    return found


def _items(messages: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Messages as items of a conversation: texts, tool calls and their answers."""
    for message in messages:
        text = _content(message)
        if text:
            yield {"role": str(message.get("role") or "assistant"), "content": text}
        parts = message.get("parts")
        called = [one for one in parts if isinstance(one, dict)] if isinstance(parts, list) else []
        made = message.get("tool_calls")
        for one in [*called, *(made if isinstance(made, list) else [])]:
            body = one.get("function", one) if isinstance(one, dict) else {}
            if isinstance(body, dict) and body.get("name") and one.get("type") != "tool_call_response":
                yield {
                    "type": "function_call",
                    "name": str(body["name"]),
                    "call_id": str(one.get("id", "")),
                    "arguments": _written(body.get("arguments", "")),
                }
            elif isinstance(one, dict) and one.get("type") == "tool_call_response":
                answered = one.get("response", one.get("result", ""))
                yield {"type": "function_call_output", "call_id": str(one.get("id", "")), "output": _written(answered)}


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _call(span: Span, began: int, agents: Mapping[str, str]) -> dict[str, Any] | None:
    is_ = kind(span)
    if is_ not in ("model", "tool"):
        return None
    timing = {"started": _since(span["start"], began), "seconds": _since(span["end"], span["start"])}
    made = _model_call(span) if is_ == "model" else _tool_call(span)
    shared = {
        "kind": is_,
        "agent": agents.get(span["id"], "agent"),
        "error": span["error"],
        "inside": "",
        "replayed": False,
    }
    return dict(clean(shared | made | timing))


def _model_call(span: Span) -> dict[str, Any]:
    told = span["attributes"]
    given = list(_items(_messages(span, _INPUTS)))
    system = [one["content"] for one in given if one.get("role") == "system"]
    told_system = told.get("gen_ai.system_instructions")
    asked = {
        "system": "\n".join(system) or (_text(told_system) if told_system else None),
        "input": [one for one in given if one.get("role") != "system"],
        "tools": [],
        "handoffs": [],
        "schema": None,
        "settings": {
            name.rpartition(".")[2]: value
            for name, value in told.items()
            if name.startswith("gen_ai.request.") and name != "gen_ai.request.model" and not isinstance(value, dict)
        },
    }
    output = list(_items(_messages(span, _OUTPUTS)))
    if not output and (text := told.get("output.value")):
        output = [{"role": "assistant", "content": _text(text)}]
    usage = {
        "requests": 1,
        "input_tokens": int(_number(span, *_INPUT_TOKENS) or 0),
        "output_tokens": int(_number(span, *_OUTPUT_TOKENS) or 0),
    }
    asked = clean(asked)
    return {
        "role": "",
        "model": str(_first(told, *_MODELS) or span["name"]),
        "request": asked,
        "digest": digest(asked),
        "response": {
            "output": output,
            "usage": usage,
            "response_id": told.get("gen_ai.response.id"),
            "request_id": None,
        },
        "usd": _number(span, "llm.cost.total", "gen_ai.usage.cost"),
    }


def _tool_call(span: Span) -> dict[str, Any]:
    told = span["attributes"]
    arguments = _first(told, "gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input", "tool.parameters")
    output = _first(told, "gen_ai.tool.call.result", "output.value", "traceloop.entity.output")
    return {
        "name": str(_first(told, "gen_ai.tool.name", "tool.name", "tool_call.function.name") or span["name"]),
        "call_id": str(_first(told, "gen_ai.tool.call.id", "tool_call.id") or span["id"]),
        "arguments": _written("" if arguments is None else arguments),
        "effect": "",
        "held": 0.0,
        "output": _written("" if output is None else output) or _documents(told),
        "waited_for": [],
        "decided": "",
        "mocked": False,
        "done": True,
    }


def _documents(told: Mapping[str, Any]) -> str:
    """What a retrieval brought back, in order."""
    found = []
    for number in range(100):
        text = told.get(f"retrieval.documents.{number}.document.content")
        if text is None:
            break
        found.append(str(text))
    return json.dumps(found, ensure_ascii=False) if found else ""


def _verdict(span: Span, began: int) -> dict[str, Any]:
    tripped = bool(span["attributes"].get("guardrail.triggered") or span["error"])
    return {
        "name": str(clean(span["name"])),
        "on": str(span["attributes"].get("guardrail.on") or "input"),
        "check": "",
        "tripped": tripped,
        "reason": str(clean(span["error"])) or ("it tripped" if tripped else ""),
        "started": _since(span["start"], began),
        "seconds": _since(span["end"], span["start"]),
        "about": "",
    }


def _tree(spans: Sequence[Span], began: int) -> list[dict[str, Any]]:
    """The spans as the timeline draws them; one that lies too deep, or under itself, stands at the top."""
    parents = {span["id"]: span["parent"] for span in spans}
    return [
        {
            "id": span["id"],
            "parent": span["parent"] if _depth(span["id"], parents) < DEEPEST else None,
            "type": _TYPES[kind(span)],
            "name": str(clean(span["name"]))[:200],
            "start": _since(span["start"], began),
            "seconds": _since(span["end"], span["start"]),
            "error": str(clean(span["error"])),
        }
        for span in spans
    ]


def _depth(identity: str, parents: Mapping[str, str]) -> int:
    for depth in range(DEEPEST):
        identity = parents.get(identity, "")
        if not identity:
            return depth
    return DEEPEST


def _since(moment: int, began: int) -> float:
    return round(max(0, moment - began) / 1e9, 6)
