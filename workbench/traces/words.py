"""A run's steps in plain words, for people who read no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def step_words(record: Mapping[str, Any]) -> list[str]:
    """What happened between the question and the reply, one sentence a step, in order."""
    steps: list[tuple[float, str]] = [(v["started"], verdict_words(v)) for v in record["guardrails"]]
    agent = ""
    for call in record["calls"]:
        if call["agent"] != agent:
            words = f"{call['agent']} takes the conversation" if not agent else f"{agent} hands over to {call['agent']}"
            steps.append((call["started"], words))
            agent = call["agent"]
        if call["kind"] == "tool":
            steps.append(
                (
                    call["started"],
                    tool_words(call["name"], call["arguments"], call["output"], call["error"], call["held"]),
                )
            )
        elif call["error"]:
            steps.append((call["started"], f"the {call['model']} failed: {call['error']}"))
    steps += [
        (record["seconds"], f"{w['tool']} waits for a person's approval ({brief(w['arguments'])})")
        for w in record["waiting"]
    ]
    if record["stop"]:
        steps.append((record["seconds"], record["stop"]))
    return [words for _, words in sorted(steps, key=lambda one: one[0])]


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """A guardrail's verdict in words."""
    what = "the message" if verdict["on"] == "input" else "the reply"
    if verdict["tripped"]:
        return f"guardrail {verdict['name']} stopped {what}: {verdict['reason']}"
    return f"guardrail {verdict['name']} let {what} pass"


def tool_words(name: str, arguments: str, output: str, error: str, held: float) -> str:
    """A tool call in words."""
    wait = f", after waiting {held:.1f} s for the guardrails" if held >= 0.05 else ""
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
