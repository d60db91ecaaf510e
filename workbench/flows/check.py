"""Static checks of a flow: what is wrong with it before it runs, each finding beside what it is about."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.errors import Invalid, NotFound, Refused
from workbench.flows import coverage
from workbench.runtime import arguments, guardrails, http_tools, mcp_tools, patterns, secret, tools
from workbench.runtime.fetch import SAFE
from workbench.runtime.reach import Reach, place
from workbench.runtime.release import ASK, PromptText
from workbench.runtime.spec import AgentTool, FlowSpec, GuardrailSpec, HttpTool, McpTool, PythonTool, ToolSpec


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
        *_outputs(spec),
        *_tools(spec),
        *_prompts(spec, prompt),
        *_guardrails(spec),
        *_knowledge(spec, collections),
        *coverage.holes(spec),
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
    replying, asked = coverage.reach(spec)
    reached = replying | asked
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


def _outputs(spec: FlowSpec) -> Iterator[Finding]:
    for name, agent in spec.agents.items():
        if agent.output is not None and (slow := patterns.fault(agent.output)):
            yield Finding(f"agents.{name}.output", "error", f"The output schema of {name} cannot be used: {slow}.")


def _tools(spec: FlowSpec) -> Iterator[Finding]:
    for name, declared in spec.tools.items():
        if name in tools.CONTROL or name.startswith("transfer_to_"):
            yield Finding(f"tools.{name}", "error", f"The name {name} belongs to the engine; choose another.")
        if declared.kind == "python":
            yield from _python_tool(name, declared)
        elif declared.kind == "http":
            yield from _parameters(name, declared.parameters)
            yield from _http_tool(name, declared)
        elif declared.kind == "mcp":
            yield from _mcp_tool(name, declared)
        elif declared.kind == "mock":
            yield from _parameters(name, declared.parameters)
            yield Finding(
                f"tools.{name}", "warning", f"Nothing stands behind {name} yet; it cannot be promoted to production."
            )
            yield from _approval(name, name, declared, arguments.names(declared.parameters))
        else:
            yield from _asked_agent(spec, name, declared)


def _python_tool(name: str, declared: PythonTool) -> Iterator[Finding]:
    try:
        known = tools.find(declared.call)
    except NotFound as error:
        yield Finding(f"tools.{name}.call", "error", str(error))
        return
    if tools.weaker(declared.effect, known.effect):
        yield Finding(
            f"tools.{name}.effect",
            "error",
            f"{declared.call} is {known.effect}; it cannot be declared {declared.effect}.",
        )
    yield from _approval(name, declared.call, declared, known.model.model_fields)


def _http_tool(name: str, declared: HttpTool) -> Iterator[Finding]:
    if declared.effect == "read" and declared.method not in SAFE:
        yield Finding(
            f"tools.{name}.effect", "error", f"{declared.method} changes something; declare write or high-stakes."
        )
    yield from _tried(f"tools.{name}.url", lambda: Reach.load().check(http_tools.address(declared)))
    for one in declared.hosts:
        yield from _tried(f"tools.{name}.hosts", functools.partial(place, one))
    for problem in http_tools.wrong_headers(declared):
        yield Finding(f"tools.{name}.headers", "error", problem)
    known, needed = arguments.names(declared.parameters), arguments.required(declared.parameters)
    for blank in http_tools.blanks(declared):
        if blank not in known:
            yield Finding(f"tools.{name}.url", "error", f"{{{blank}}} stands in the URL, but is not an argument.")
        elif blank not in needed:
            yield Finding(f"tools.{name}.url", "warning", f"{{{blank}}} stands in the URL, but is not required.")
    for one in secret.missing(declared.headers.values()):
        yield Finding(
            f"tools.{name}.headers", "warning", f"The secret {one} is not set here; set {secret.variable(one)}."
        )
    for one in secret.named(declared.headers.values()):
        yield from _sent(name, declared, one)
    if secret.named(declared.headers.values()) and declared.url.lower().startswith("http:"):
        yield Finding(f"tools.{name}.url", "warning", "Its secrets go out unencrypted; use https.")
    yield from _approval(name, name, declared, known)


def _sent(name: str, declared: HttpTool, one: str) -> Iterator[Finding]:
    """A secret that this deployment does not send to the tool's host. Where the URL is wrong, that is told already."""
    try:
        there = http_tools.address(declared)
    except Invalid:
        return
    try:
        secret.check(one, there)
    except (Invalid, Refused) as error:
        yield Finding(f"tools.{name}.headers", "warning", str(error))


def _mcp_tool(name: str, declared: McpTool) -> Iterator[Finding]:
    if declared.stated is None:
        words = (
            f"It is not stated what {name} can do, so it counts as high-stakes. "
            "Say whether its effect is read, write or high-stakes."
        )
        yield Finding(f"tools.{name}.effect", "error", words)
    if not declared.parameters:
        yield Finding(
            f"tools.{name}.parameters", "error", f"It is not known what {declared.tool} takes; pick it again."
        )
    else:
        yield from _parameters(name, declared.parameters)
    try:
        known = mcp_tools.servers()
    except Invalid as error:
        yield Finding(f"tools.{name}.server", "warning", str(error))
    else:
        if declared.server not in known:
            yield Finding(
                f"tools.{name}.server",
                "warning",
                f"There is no server {declared.server} here; declare it in a YAML file "
                f"and name that file in {mcp_tools.VARIABLE}.",
            )
    yield from _approval(name, name, declared, arguments.names(declared.parameters))


def _asked_agent(spec: FlowSpec, name: str, declared: AgentTool) -> Iterator[Finding]:
    where = f"tools.{name}.agent"
    if declared.agent not in spec.agents:
        yield Finding(where, "error", f"{name} asks {declared.agent}, which does not exist.")
    elif (path := _circle(spec, declared.agent)) is not None:
        yield Finding(where, "error", f"The agents ask each other in a circle: {' asks '.join(path)}.")
    yield from _approval(name, name, declared, ASK["properties"])


def _asks(spec: FlowSpec, agent: str) -> list[str]:
    """The agents that an agent asks as tools."""
    declared = (spec.tools.get(one) for one in spec.agents[agent].tools)
    return [one.agent for one in declared if isinstance(one, AgentTool) and one.agent in spec.agents]


def _circle(spec: FlowSpec, start: str) -> list[str] | None:
    """The shortest way on which `start` comes to be asked by itself, or None."""
    ahead, seen = deque([[start]]), set[str]()
    while ahead:
        path = ahead.popleft()
        for asked in _asks(spec, path[-1]):
            if asked == start:
                return [*path, start]
            if asked not in seen:
                seen.add(asked)
                ahead.append([*path, asked])
    return None


def _parameters(name: str, schema: Mapping[str, object]) -> Iterator[Finding]:
    if problem := arguments.fault(schema):
        yield Finding(f"tools.{name}.parameters", "error", f"The parameters cannot be used: {problem}.")


def _tried(where: str, attempt: Callable[[], object]) -> Iterator[Finding]:
    try:
        attempt()
    except (Invalid, Refused) as error:
        yield Finding(where, "error", str(error))


def _approval(name: str, what: str, declared: ToolSpec, known: Collection[str]) -> Iterator[Finding]:
    if isinstance(declared.approve, dict):
        for argument in sorted(set(declared.approve) - set(known)):
            yield Finding(f"tools.{name}.approve", "error", f"{what} has no argument {argument}.")


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
        else:
            yield from _settings(one)
        for agent in () if one.agents == "all" else one.agents:
            if agent not in spec.agents:
                yield Finding(f"guardrails.{one.name}", "error", f"{one.name} guards {agent}, which does not exist.")


def _settings(one: GuardrailSpec) -> Iterator[Finding]:
    try:
        guardrails.find(one.check).read(one.settings)
    except Invalid as error:
        yield Finding(f"guardrails.{one.name}.settings", "error", error.message)
    if one.on == "input" and one.agents != "all":
        words = (
            f"{one.name} reads the customer's message before any agent does, so it guards them all; take `agents` away."
        )
        yield Finding(f"guardrails.{one.name}.agents", "warning", words)


def _knowledge(spec: FlowSpec, collections: list[str]) -> Iterator[Finding]:
    if spec.knowledge and spec.knowledge.collection not in collections:
        known = ", ".join(collections) or "none yet"
        yield Finding(
            "knowledge.collection", "error", f"There is no collection {spec.knowledge.collection}. Known: {known}."
        )
