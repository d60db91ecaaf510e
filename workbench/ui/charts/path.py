"""The way a run took, drawn: who handed over to whom, which tools were called, and what was held until when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

NOTABLE = 0.001
"""Seconds of waiting that are drawn."""

LONGEST = 40

ABOUT = {"input": "message", "tool_result": "answer", "reply": "reply"}


def dot(record: Mapping[str, Any], *, ink: str, accent: str, faint: str, alarm: str) -> str:
    """The picture in DOT: the customer, the agents in the order they spoke, their tools, and the guardrails.

    What failed or was stopped is written under its name, so that colour never carries the meaning alone.
    """
    lines = [
        "digraph path {",
        'rankdir=LR; bgcolor="transparent"; ranksep=0.5; nodesep=0.2; margin=0.02;',
        f'node [shape=box style=rounded fontname="sans-serif" fontsize=11 color="{ink}" fontcolor="{ink}" height=0.36];',
        f'edge [color="{faint}" fontcolor="{ink}" fontname="sans-serif" fontsize=9 arrowsize=0.7];',
        f'customer [label="customer" color="{accent}" penwidth=2];',
    ]
    spoke = _spoke(record)
    lines += [f"{_name('agent', one)} [label={_text(one)}];" for one in dict.fromkeys(spoke)]
    lines += _talk(record, spoke)
    lines += _tools(record, faint, alarm)
    lines += _waiting(record, spoke, accent)
    lines += _guardrails(record, spoke, faint, alarm)
    return "\n".join([*lines, "}"])


def _spoke(record: Mapping[str, Any]) -> list[str]:
    """The agents in the order in which they took the conversation; each time anew."""
    found: list[str] = []
    for call in record["calls"]:
        if not call.get("inside") and (not found or found[-1] != call["agent"]):
            found.append(str(call["agent"]))
    return found


def _talk(record: Mapping[str, Any], spoke: list[str]) -> Iterator[str]:
    if not spoke:
        return
    yield f"customer -> {_name('agent', spoke[0])} [label={_text('asks')}];"
    for number, (one, other) in enumerate(pairwise(spoke), 1):
        label = "hands over" if len(spoke) == 2 else f"{number}. hands over"
        yield f"{_name('agent', one)} -> {_name('agent', other)} [label={_text(label)} penwidth=1.6];"
    held = (record.get("reply_waited") or {}).get("seconds", 0.0)
    wait = f"\nheld {held:.2f} s" if held >= NOTABLE else ""
    ending = record["outcome"] + wait
    yield f"{_name('agent', spoke[-1])} -> customer [label={_text(ending)} constraint=false];"


def _tools(record: Mapping[str, Any], faint: str, alarm: str) -> Iterator[str]:
    made: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for call in record["calls"]:
        if call["kind"] == "tool":
            made.setdefault((str(call["agent"]), str(call["name"])), []).append(call)
    for (agent, name), calls in made.items():
        failed = sum(bool(one["error"]) for one in calls)
        held = sum(one["held"] for one in calls)
        notes = [f"{len(calls)} times" if len(calls) > 1 else "", f"{failed} failed" if failed else ""]
        notes.append(f"held {held:.2f} s" if held >= NOTABLE else "")
        label = "\n".join([name, *filter(None, notes)])
        node = _name("tool", agent, name)
        colour = alarm if failed else faint
        yield f'{node} [label={_text(label)} color="{colour}" fontsize=10 style="rounded,dashed"];'
        yield f"{_name('agent', agent)} -> {node} [arrowhead=none style=dashed];"


def _waiting(record: Mapping[str, Any], spoke: list[str], accent: str) -> Iterator[str]:
    """The calls that wait for a person: not made yet, so that their lines are dashed."""
    agent = spoke[-1] if spoke else str(record["agent"])
    for number, call in enumerate(record["waiting"]):
        node = _name("waiting", str(number), str(call["tool"]))
        label = _text(f"{call['tool']}\nwaits for a person")
        yield f'{node} [label={label} color="{accent}" fontsize=10 style="rounded,dashed" penwidth=1.6];'
        yield f'{_name("agent", agent)} -> {node} [style=dashed color="{accent}"];'


def _guardrails(record: Mapping[str, Any], spoke: list[str], faint: str, alarm: str) -> Iterator[str]:
    holding = {name for call in record["calls"] if call["kind"] == "tool" for name in call.get("waited_for", ())}
    holding |= set((record.get("reply_waited") or {}).get("for", ()))
    judged: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for one in record["guardrails"]:
        judged.setdefault((str(one["name"]), str(one["on"]), _judged(record, spoke, one)), []).append(one)
    for (name, on, what), verdicts in judged.items():
        tripped = any(one["tripped"] for one in verdicts)
        held = "\nheld others until then" if name in holding else ""
        label = f"{name}\n{ABOUT.get(on, 'reply')} {'stopped' if tripped else 'passed'}{held}"
        node = _name("guardrail", name, on, what)
        colour = alarm if tripped else faint
        yield f'{node} [style=dotted label={_text(label)} color="{colour}" fontsize=10];'
        yield f"{what} -> {node} [arrowhead=none style=dotted];"


def _judged(record: Mapping[str, Any], spoke: list[str], verdict: Mapping[str, Any]) -> str:
    """The node of what a guardrail judged: the customer, a tool, or the agent that replied."""
    if verdict["on"] == "input" or not spoke:
        return "customer"
    about = (one for one in record["calls"] if one["kind"] == "tool" and one["call_id"] == verdict.get("about"))
    call = next(about, None)
    return _name("agent", spoke[-1]) if call is None else _name("tool", str(call["agent"]), str(call["name"]))


def _name(kind: str, *names: str) -> str:
    return _quoted(":".join((kind, *names)))


def _text(label: str) -> str:
    return _quoted("\n".join(one if len(one) <= LONGEST else one[: LONGEST - 1] + "…" for one in label.split("\n")))


def _quoted(text: str) -> str:
    """A quoted text in DOT, in which a backslash would begin an escape; nothing in it is taken for markup or for a port."""
    return json.dumps(text.replace("\\", "∖"), ensure_ascii=False)
