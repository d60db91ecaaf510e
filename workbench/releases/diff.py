"""What changed between two frozen flows, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.runtime.release import Release
from workbench.runtime.spec import EFFECTS, plain


@dataclass(frozen=True)
class Change:
    """One change. `risk` marks what loosens a safety rule; `lines` holds a text's changed lines."""

    area: str
    words: str
    risk: bool = False
    lines: tuple[str, ...] = ()


def diff(before: Release, after: Release) -> list[Change]:
    """Every change from `before` to `after`, the risky ones first; empty where they behave the same."""
    old, new = plain(before.spec), plain(after.spec)
    found = [
        *_scalars(old, new),
        *_agents(old["agents"], new["agents"]),
        *_prompts(before, after),
        *_tools(old.get("tools", {}), new.get("tools", {})),
        *_schemas(before, after),
        *_guardrails(old.get("guardrails", []), new.get("guardrails", [])),
        *_settings("limits", "limit", before.spec.limits.model_dump(), after.spec.limits.model_dump()),
        *_settings("variables", "variable", old.get("variables", {}), new.get("variables", {})),
        *_knowledge(before, after),
        *_control(before.spec.control, after.spec.control),
        *_settings("approvals", "approval", before.spec.approvals.model_dump(), after.spec.approvals.model_dump()),
        *_settings("charter", "charter", old.get("charter") or {}, new.get("charter") or {}),
    ]
    if before.spec.writes != after.spec.writes:
        words = f"tools that write {'no longer ' if after.spec.writes == 'go' else ''}wait for the guardrails"
        found.append(Change("writes", words, risk=after.spec.writes == "go"))
    if not found and before.digest != after.digest:
        found.append(Change("flow", "the content changed in a way that has no words yet", risk=True))
    return sorted(found, key=lambda change: not change.risk)


def _scalars(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old["entry"] != new["entry"]:
        yield Change("entry", f"begins at {new['entry']} instead of {old['entry']}")
    if old.get("purpose", "") != new.get("purpose", ""):
        yield Change("purpose", "the purpose is worded otherwise")


def _control(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    for gone in [one for one in old if one not in new]:
        yield Change("control", f"the agents may no longer {gone}", risk=True)
    for added in [one for one in new if one not in old]:
        yield Change("control", f"the agents may {added}")
    if old != new and sorted(old) == sorted(new):
        yield Change("control", "the order of the ways out changed")


def _agents(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(set(new) - set(old)):
        yield Change(f"agent {name}", f"agent {name} added")
    for name in sorted(set(old) - set(new)):
        yield Change(f"agent {name}", f"agent {name} removed")
    for name in sorted(set(old) & set(new)):
        one, other = old[name], new[name]
        for part, word in (("tools", "tool"), ("handoffs", "handoff to")):
            before, after = one.get(part, []), other.get(part, [])
            for gone in [x for x in before if x not in after]:
                yield Change(f"agent {name}", f"{name}: {word} {gone} removed")
            for added in [x for x in after if x not in before]:
                yield Change(f"agent {name}", f"{name}: {word} {added} added")
            if sorted(before) == sorted(after) and before != after:
                yield Change(f"agent {name}", f"{name}: the order of its {part} changed")
        for part, word in (("model", "model role"), ("prompt", "prompt"), ("temperature", "temperature")):
            default = "main" if part == "model" else "none"
            if one.get(part, default) != other.get(part, default):
                yield Change(f"agent {name}", f"{name}: {word} {one.get(part, default)} → {other.get(part, default)}")
        for part, word in (
            ("output", "output schema"),
            ("description", "description"),
            ("fallback", "fallback"),
            ("receives", "what it receives of the conversation"),
        ):
            if one.get(part) != other.get(part):
                yield Change(f"agent {name}", f"{name}: {word} changed")


def _prompts(before: Release, after: Release) -> Iterator[Change]:
    for name in sorted(set(before.content.prompts) & set(after.content.prompts)):
        old, new = before.content.prompts[name], after.content.prompts[name]
        if old.text != new.text:
            lines = tuple(
                line for line in difflib.ndiff(old.text.splitlines(), new.text.splitlines()) if line[:2] in ("+ ", "- ")
            )
            added, gone = sum(x[0] == "+" for x in lines), sum(x[0] == "-" for x in lines)
            count = f"{added} line{'' if added == 1 else 's'} added, {gone} removed"
            words = f"{name}: instructions changed ({count}; {old.label} → {new.label})"
            yield Change(f"agent {name}", words, lines=lines)
        elif old.purpose != new.purpose:
            yield Change(f"agent {name}", f"{name}: the purpose of its prompt changed")


def _tools(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(set(new) - set(old)):
        effect = _effect(new[name])
        yield Change(f"tool {name}", f"tool {name} added ({effect})", risk=effect != "read")
    for name in sorted(set(old) - set(new)):
        yield Change(f"tool {name}", f"tool {name} removed")
    for name in sorted(set(old) & set(new)):
        yield from _tool(name, old[name], new[name])


def _tool(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = _effect(old), _effect(new)
    if before != after:
        yield Change(
            f"tool {name}", f"{name}: effect {before} → {after}", risk=EFFECTS.index(after) < EFFECTS.index(before)
        )
    if old.get("approve") != new.get("approve"):
        yield from _approval(name, old.get("approve"), new.get("approve"))
    rest = ("effect", "approve")
    if {k: v for k, v in old.items() if k not in rest} != {k: v for k, v in new.items() if k not in rest}:
        yield Change(f"tool {name}", f"{name}: what it calls changed", risk=True)


def _effect(tool: Mapping[str, Any]) -> str:
    """What a stored tool may do. Of a server's tool nothing is known but what is stated."""
    return str(tool.get("effect", "high-stakes" if tool.get("kind") == "mcp" else "read"))


def _approval(name: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for argument in sorted(set(old) | set(new)):
            one, other = old.get(argument, {}), new.get(argument, {})
            for rule in sorted(set(one) | set(other)):
                was, now = one.get(rule), other.get(rule)
                if was == now:
                    continue
                word = f"{name}: approval of {argument} {rule} {_or_none(was)} → {_or_none(now)}"
                yield Change(f"tool {name}", word, risk=_looser(rule, was, now))
        return
    yield Change(
        f"tool {name}", f"{name}: approval {_approve(old)} → {_approve(new)}", risk=new is None or old == "always"
    )


def _looser(rule: str, was: Any, now: Any) -> bool:
    if now is None:
        return True
    if was is None:
        return False
    if rule == "in":
        return not set(was) <= set(now)
    return bool(now > was) if rule == "above" else bool(now < was)


def _or_none(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _approve(rules: Any) -> str:
    if rules is None:
        return "never"
    return "always" if rules == "always" else "by rule"


def _schemas(before: Release, after: Release) -> Iterator[Change]:
    for name in sorted(set(before.content.tools) & set(after.content.tools)):
        old, new = before.content.tools[name], after.content.tools[name]
        if old.parameters != new.parameters:
            yield Change(f"tool {name}", f"{name}: its arguments changed", risk=True)
        elif old.description != new.description:
            yield Change(f"tool {name}", f"{name}: its description changed")


def _guardrails(old: list[Any], new: list[Any]) -> Iterator[Change]:
    before, after = {g["name"]: g for g in old}, {g["name"]: g for g in new}
    for name in sorted(set(before) - set(after)):
        yield Change(f"guardrail {name}", f"guardrail {name} removed", risk=True)
    for name in sorted(set(after) - set(before)):
        yield Change(f"guardrail {name}", f"guardrail {name} added")
    for name in sorted(set(before) & set(after)):
        if before[name] != after[name]:
            yield Change(f"guardrail {name}", f"guardrail {name} changed", risk=True)


def _settings(area: str, word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(set(old) | set(new)):
        was, now = old.get(name), new.get(name)
        if was != now:
            looser = False
            if isinstance(was, int | float) and isinstance(now, int | float):
                looser = (area == "limits" and now > was) or (name == "abstain_below" and now < was)
            yield Change(area, f"{word} {name} {_or_none(was)} → {_or_none(now)}", risk=looser)


def _knowledge(before: Release, after: Release) -> Iterator[Change]:
    one, other = before.spec.knowledge, after.spec.knowledge
    if one is None or other is None:
        if one is not other:
            yield Change("knowledge", "knowledge added" if one is None else "knowledge removed", risk=other is None)
        return
    yield from _settings("knowledge", "knowledge", one.model_dump(), other.model_dump())
    old, new = before.content.knowledge, after.content.knowledge
    if old and new and old.digest != new.digest:
        yield Change(
            "knowledge", f"the passages of {other.collection} changed ({len(old.passages)} → {len(new.passages)})"
        )
