"""Static checks of a flow: what is wrong with it before it runs, each finding beside what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from workbench.errors import NotFound
from workbench.runtime import guardrails, tools
from workbench.runtime.release import PromptText
from workbench.runtime.spec import FlowSpec


@dataclass(frozen=True)
class Finding:
    """One problem: where it is, how bad it is, and what to do."""

    where: str
    level: Literal["error", "warning"]
    message: str


def check(spec: FlowSpec, prompt: Callable[[str], PromptText], collections: list[str]) -> list[Finding]:
    """Every finding of `spec`, errors first. A flow with errors can be saved, but neither run nor promoted."""
    found = [
        *_entry(spec),
        *_handoffs(spec),
        *_reach(spec),
        *_agent_tools(spec),
        *_tools(spec),
        *_prompts(spec, prompt),
        *_guardrails(spec),
        *_knowledge(spec, collections),
    ]
    return sorted(found, key=lambda one: (one.level != "error",))


def _entry(spec: FlowSpec) -> Iterator[Finding]:
    if spec.entry not in spec.agents:
        yield Finding("entry", "error", f"There is no agent called {spec.entry}; the flow cannot begin.")


def _handoffs(spec: FlowSpec) -> Iterator[Finding]:
    for name, agent in spec.agents.items():
        for target in agent.handoffs:
            if target not in spec.agents:
                yield Finding(
                    f"agents.{name}.handoffs", "error", f"{name} hands over to {target}, which does not exist."
                )
            elif target == name:
                yield Finding(f"agents.{name}.handoffs", "error", f"{name} hands over to itself.")


def _reach(spec: FlowSpec) -> Iterator[Finding]:
    if spec.entry not in spec.agents:
        return
    reached, ahead = {spec.entry}, [spec.entry]
    while ahead:
        for target in spec.agents[ahead.pop()].handoffs:
            if target in spec.agents and target not in reached:
                reached.add(target)
                ahead.append(target)
    for name in spec.agents:
        if name not in reached:
            yield Finding(f"agents.{name}", "error", f"Nobody hands over to {name}; it can never speak.")


def _agent_tools(spec: FlowSpec) -> Iterator[Finding]:
    used: set[str] = set()
    for name, agent in spec.agents.items():
        for one in agent.tools:
            used.add(one)
            if one not in spec.tools:
                yield Finding(f"agents.{name}.tools", "error", f"{name} uses the tool {one}, which is not declared.")
    for one in spec.tools:
        if one not in used:
            yield Finding(f"tools.{one}", "warning", f"No agent uses the tool {one}.")


def _tools(spec: FlowSpec) -> Iterator[Finding]:
    for name, declared in spec.tools.items():
        if name in tools.CONTROL or name.startswith("transfer_to_"):
            yield Finding(f"tools.{name}", "error", f"The name {name} belongs to the engine; choose another.")
        if declared.kind != "python":
            yield Finding(f"tools.{name}.kind", "error", f"This version cannot call {declared.kind} tools yet.")
            continue
        try:
            known = tools.find(declared.call)
        except NotFound as error:
            yield Finding(f"tools.{name}.call", "error", str(error))
            continue
        if tools.weaker(declared.effect, known.effect):
            yield Finding(
                f"tools.{name}.effect",
                "error",
                f"{declared.call} is {known.effect}; it cannot be declared {declared.effect}.",
            )
        if isinstance(declared.approve, dict):
            for argument in sorted(set(declared.approve) - set(known.model.model_fields)):
                yield Finding(f"tools.{name}.approve", "error", f"{declared.call} has no argument {argument}.")


def _prompts(spec: FlowSpec, prompt: Callable[[str], PromptText]) -> Iterator[Finding]:
    for name, agent in spec.agents.items():
        try:
            text = prompt(agent.prompt)
        except NotFound as error:
            yield Finding(f"agents.{name}.prompt", "error", str(error))
            continue
        for variable in text.variables:
            if variable not in spec.variables:
                yield Finding(
                    f"agents.{name}.prompt",
                    "error",
                    f"The prompt {text.label} uses ${variable}, which has no value; add it under variables.",
                )


def _guardrails(spec: FlowSpec) -> Iterator[Finding]:
    seen: set[str] = set()
    for one in spec.guardrails:
        if one.name in seen:
            yield Finding(f"guardrails.{one.name}", "error", f"Two guardrails are called {one.name}.")
        seen.add(one.name)
        if one.check not in guardrails.checks():
            known = ", ".join(guardrails.checks())
            yield Finding(f"guardrails.{one.name}", "error", f"There is no check {one.check}. Known: {known}.")
        for agent in () if one.agents == "all" else one.agents:
            if agent not in spec.agents:
                yield Finding(f"guardrails.{one.name}", "error", f"{one.name} guards {agent}, which does not exist.")
    dangerous = [name for name, tool in spec.tools.items() if tool.effect == "high-stakes"]
    if dangerous and not any(one.on == "input" for one in spec.guardrails):
        yield Finding(
            "guardrails", "warning", f"No guardrail checks the input before {', '.join(dangerous)} is called."
        )


def _knowledge(spec: FlowSpec, collections: list[str]) -> Iterator[Finding]:
    if spec.knowledge and spec.knowledge.collection not in collections:
        known = ", ".join(collections) or "none yet"
        yield Finding(
            "knowledge.collection", "error", f"There is no collection {spec.knowledge.collection}. Known: {known}."
        )
