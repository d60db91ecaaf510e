"""A run's steps in plain words, for people who read no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NOTABLE = 0.05
"""Seconds of waiting that are worth a word."""


def step_words(record: Mapping[str, Any]) -> list[str]:
    """What happened between the question and the reply, one sentence a step, in order."""
    steps: list[tuple[float, str]] = [(v["started"], verdict_words(v)) for v in record["guardrails"]]
    agent = ""
    for call in record["calls"]:
        if call["agent"] != agent and not call.get("inside"):
            words = f"{call['agent']} takes the conversation" if not agent else f"{agent} hands over to {call['agent']}"
            steps.append((call["started"], words))
            agent = call["agent"]
        if call["kind"] == "tool":
            steps.append(
                (
                    call["started"],
                    tool_words(
                        call["name"],
                        call["arguments"],
                        call["output"],
                        call["error"],
                        call["held"],
                        call.get("waited_for", ()),
                        call.get("decided", ""),
                    ),
                )
            )
        elif call["error"]:
            steps.append((call["started"], f"the {call['model']} failed: {call['error']}"))
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


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """A guardrail's verdict in words."""
    what = {"input": "the message", "tool_result": "what a tool brought back"}.get(verdict["on"], "the reply")
    if verdict["tripped"]:
        return f"guardrail {verdict['name']} stopped {what}: {verdict['reason']}"
    return f"guardrail {verdict['name']} let {what} pass"


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
        return f"called {name} ({brief(arguments)}){wait}; it answered: {error}"
    return f"called {name} ({brief(arguments)}){wait}; it answered: {brief(output)}"


def brief(text: str, longest: int = 140) -> str:
    """JSON text as `name value, name value`, shortened."""
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    if isinstance(body, dict):
        body = ", ".join(f"{k.replace('_', ' ')} {_flat(v)}" for k, v in body.items())
    words = _flat(body)
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries"
    if isinstance(value, dict):
        return ", ".join(f"{k.replace('_', ' ')} {_flat(v)}" for k, v in list(value.items())[:3])
    if value is None:
        return "none"
    return str(value)
