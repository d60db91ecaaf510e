"""A run's steps in plain words, for people who read no JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.runtime.spec import CONTROLS

NOTABLE = 0.05
"""Seconds of waiting that are worth a word."""


def step_words(record: Mapping[str, Any]) -> list[str]:
    """What happened between the question and the reply, one sentence a step, in order."""
    steps: list[tuple[float, str]] = []
    if record.get("resumes"):
        steps.append((0.0, f"goes on where {record['resumes'][:12]}… was held, after people decided"))
    if record.get("forked"):
        steps.append((0.0, f"repeats the first {record['forked']['calls']} calls of {record['forked']['run'][:12]}…"))
    steps += [(v["started"], verdict_words(v)) for v in record["guardrails"]]
    agent = ""
    for call in record["calls"]:
        if call["agent"] != agent and not call.get("inside"):
            words = f"{call['agent']} takes the conversation" if not agent else f"{agent} hands over to {call['agent']}"
            steps.append((call["started"], words))
            agent = call["agent"]
        steps += [(call["started"], words) for words in _call_words(call)]
    steps += [
        (record["seconds"], f"{w['tool']} waits for a person's approval ({brief(w['arguments'])})")
        for w in record["waiting"]
    ]
    reply = record.get("reply_waited") or {"seconds": 0, "for": []}
    if reply["seconds"] >= NOTABLE:
        words = f"the reply waited {reply['seconds']:.1f} s for {', '.join(dict.fromkeys(reply['for']))}"
        steps.append((record["seconds"], words))
    if record["stop"]:
        steps.append((record["seconds"], record["stop"]))
    return [words for _, words in sorted(steps, key=lambda one: one[0])]


def went_wrong(record: Mapping[str, Any]) -> bool:
    """Whether something failed in a run: its end, a model request, or a tool call."""
    tools = (call for call in record["calls"] if call["kind"] == "tool")
    return (
        record["outcome"] in ("blocked", "limit", "error")
        or any(call["error"] for call in record["calls"])
        or any(failed(call["output"]) for call in tools)
    )


def _call_words(call: Mapping[str, Any]) -> Iterator[str]:
    """What a model request or a tool call says to a reader; a request that only led to calls or the reply says nothing."""
    if call["kind"] == "tool":
        yield tool_words(
            call["name"],
            call["arguments"],
            call["output"],
            call["error"],
            call["held"],
            call.get("waited_for", ()),
            call.get("decided", ""),
        ) + (" (a mocked answer)" if call.get("mocked") else "")
    elif call["error"]:
        yield f"the {call['model']} failed: {call['error']}"
    elif said := _beside(call["response"]):
        yield f"wrote beside its call: “{brief(said)}”"


def _beside(response: Mapping[str, Any] | None) -> str:
    """What a model wrote in the same answer in which it called a tool."""
    output = [one for one in (response or {}).get("output", ()) if isinstance(one, Mapping)]
    if not any(one.get("type") == "function_call" for one in output):
        return ""
    parts = (part for one in output if isinstance(one.get("content"), list) for part in one["content"])
    return " ".join(str(part["text"]) for part in parts if isinstance(part, Mapping) and part.get("text")).strip()


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """A guardrail's verdict in words."""
    what = {"input": "the message", "tool_result": "the tool's answer"}.get(verdict["on"], "the reply")
    if verdict["tripped"]:
        return f"guardrail {verdict['name']} stopped {what}: {verdict['reason']}"
    return f"guardrail {verdict['name']} found nothing wrong with {what}"


def waits(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What waited for which guardrails: `name`, `start` and `seconds` from the run's start, in order."""
    found = [
        {"name": f"{c['name']} waits for {', '.join(c['waited_for'])}", "start": c["started"], "seconds": c["held"]}
        for c in record["calls"]
        if c["kind"] == "tool" and c.get("waited_for")
    ]
    reply = record.get("reply_waited") or {"seconds": 0, "for": []}
    if reply["seconds"]:
        name = f"reply waits for {', '.join(dict.fromkeys(reply['for']))}"
        found.append({"name": name, "start": record["seconds"] - reply["seconds"], "seconds": reply["seconds"]})
    return sorted(found, key=lambda one: one["start"])


def tool_words(
    name: str,
    arguments: str,
    output: str,
    error: str,
    held: float,
    waited_for: Sequence[str] = (),
    decided: str = "",
) -> str:
    """A tool call in words."""
    names = ", ".join(waited_for) or "the guardrails"
    wait = f", after waiting {held:.1f} s for {names}" if held >= NOTABLE else ""
    wait += f", decided by {decided}" if decided else ""
    if error:
        return f"called {_generic(name, arguments)}{wait}; it answered: {error}"
    if failed(output):
        return f"called {_generic(name, arguments)}{wait}; it answered: {brief(output)}"
    deed = _deed(name, arguments) or f"called {_generic(name, arguments)}"
    if name == "search_knowledge" and (found := _found(output)):
        return f"{deed}{wait}: {found}"
    if name in CONTROLS:
        return f"{deed}{wait}"
    return f"{deed}{wait}: {brief(output)}" if output.strip() else f"{deed}{wait}; it answered nothing"


def failed(output: str) -> bool:
    """Whether a tool's answer is an error told as text, as foreign tools do."""
    return output.lstrip().lower().startswith(("error:", "error -", '{"error"'))


_DEEDS = {
    "find_order": "looked up order {order_id}",
    "track_parcel": "tracked the parcel of order {order_id}",
    "refund_order": "refunded {amount} of order {order_id}",
    "find_invoice": "looked up the invoice of order {order_id}",
    "change_address": "changed the address of order {order_id} to {street}, {postcode} {city}",
    "open_ticket": "opened a ticket of {priority} priority, “{summary}”",
    "service_status": "asked how {area} is doing",
    "get_invoice": "looked up invoice {invoice_number}",
    "describe_invoice_line": "asked what the line {line} of invoice {invoice_number} is for",
    "send_invoice": "sent invoice {invoice_number} to {email}",
    "change_company_name": "changed the company on invoice {invoice_number} to {company_name}",
    "find_incident": "looked for a known incident, “{problem}”",
    "get_incident": "looked up incident {incident_id}",
    "notify_about_incident": "will tell {email} about incident {incident_id}",
    "search_knowledge": "searched the knowledge for “{query}”",
    "abstain": "declined to answer: {reason}",
    "escalate": "handed over to a person: {question}",
}
"""What a call of a tool that we know did, by its name. A tool that is not here is told by its name and arguments."""


def _deed(name: str, arguments: str) -> str:
    """What a call of a known tool did; empty where it is not known, or lacks an argument that the words need."""
    try:
        given = json.loads(arguments or "{}")
        return _DEEDS[name].format_map({key: _flat(value) for key, value in given.items()})
    except (ValueError, KeyError, AttributeError, RecursionError):
        return ""


def call_words(name: str, arguments: str) -> str:
    """A call that a model asks for, in words: `hands over to refunds`, `calls find order of 1042`."""
    if name.startswith("transfer_to_"):
        return f"hands over to {name.removeprefix('transfer_to_')}"
    return f"calls {_generic(name, arguments)}"


def _generic(name: str, arguments: str) -> str:
    """A call in words made of its names: `get order details of #W2378156`."""
    called = " ".join(name.replace("_", " ").replace("-", " ").split()) or "a tool"
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return f"{called} ({brief(arguments)})"
    if not isinstance(given, dict) or not given:
        return called if given in ({}, None) else f"{called} ({brief(arguments)})"
    only = next(iter(given.values()))
    if len(given) == 1 and isinstance(only, str | int | float) and len(str(only)) <= 40:
        return f"{called} of {only}"
    return f"{called} ({brief(arguments)})"


def _found(output: str) -> str:
    """What a search of the knowledge brought back, in words."""
    try:
        body = json.loads(output)
        passages, enough = body["passages"], body["enough"]
        best = f"the best is “{passages[0]['title']}” (fit {float(passages[0]['score']):.2f})" if passages else ""
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return ""
    if not passages:
        return "nothing was found"
    words = f"{len(passages)} passages, {best}" if len(passages) > 1 else f"1 passage, {best}"
    return words if enough else f"{words}, which is not close enough to answer from"


def brief(text: str, longest: int = 140) -> str:
    """JSON text as `name value, name value`, shortened."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    if isinstance(body, dict):
        body = ", ".join(f"{k.replace('_', ' ')} {_flat(v)}" for k, v in body.items())
    words = _flat(body)
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _flat(value: Any, deep: int = 0) -> str:
    if isinstance(value, list):
        if 0 < len(value) <= 3 and all(isinstance(one, str | int | float) for one in value):
            return ", ".join(map(str, value))
        return "1 entry" if len(value) == 1 else f"{len(value)} entries"
    if isinstance(value, dict):
        inner = list(value.items())[:3] if deep < 3 else []
        return ", ".join(f"{k.replace('_', ' ')} {_flat(v, deep + 1)}" for k, v in inner) or f"{len(value)} parts"
    if value is None:
        return "none"
    return str(value)
