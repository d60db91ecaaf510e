"""Where each guardrail of a flow really fires: which calls and replies wait for it, what it reads, and what nothing guards.

A guardrail on the input reads the messages of the customer once in a run; what writes, what is high-stakes and the reply
wait for it, whichever agent is at work, and whichever agents it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from workbench.runtime.spec import AgentTool, Approval, ArgumentRule, Effect, FlowSpec, GuardrailSpec

if TYPE_CHECKING:
    from workbench.flows.check import Finding

KNOWLEDGE = "search_knowledge"
"""The tool by which every agent of a flow with knowledge searches it."""

Kind = Literal["never fires", "unguarded call", "unread result", "unguarded reply"]
KINDS: tuple[Kind, ...] = ("never fires", "unguarded call", "unread result", "unguarded reply")

_Alike = tuple[tuple[str, ...], tuple[str, ...], bool]
"""What decides about a call besides its tool: the guardrails on the input and on results, and whether it can be made."""


@dataclass(frozen=True)
class Call:
    """A tool in the hands of an agent: what its call waits for, who reads its result, and what nothing guards.

    `approval` says when a person is asked: "" for never, "always", or the rule in words.
    """

    tool: str
    kind: str
    effect: Effect
    waits_for: tuple[str, ...]
    read_by: tuple[str, ...]
    approval: str = ""
    holes: tuple[Kind, ...] = ()


@dataclass(frozen=True)
class Handover:
    """A handoff: the guardrails that stop and that begin to fire when `to` takes over. The handoff itself never waits."""

    to: str
    ends: tuple[str, ...]
    begins: tuple[str, ...]


@dataclass(frozen=True)
class Guarded:
    """An agent: whether it is ever at work, and the guardrails on what it reads, its tool results and its reply.

    `replies` says whether it ever speaks to the customer, `asked` whether another agent asks it as a tool.
    """

    agent: str
    replies: bool
    asked: bool
    on_input: tuple[str, ...]
    on_results: tuple[str, ...]
    on_reply: tuple[str, ...]
    calls: tuple[Call, ...]
    handovers: tuple[Handover, ...]
    holes: tuple[Kind, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether it is ever at work."""
        return self.replies or self.asked

    @property
    def reply_waits_for(self) -> tuple[str, ...]:
        """The guardrails that its reply to the customer waits for; none where it never replies."""
        return (*self.on_input, *self.on_reply) if self.replies else ()


@dataclass(frozen=True)
class Firing:
    """A guardrail and the agents at which it fires; `why_never` says why it fires at none."""

    name: str
    on: Literal["input", "tool_result", "reply"]
    agents: tuple[str, ...]
    why_never: str = ""


@dataclass(frozen=True)
class Change:
    """A tool that changes something, the agents that can call it, and what each of their calls waits for."""

    tool: str
    effect: Effect
    agents: tuple[str, ...]
    waits_for: tuple[str, ...]
    approval: str


@dataclass(frozen=True)
class Hole:
    """What nothing guards, or a guardrail that guards nothing. `subject` is the tool or the guardrail it is about."""

    kind: Kind
    subject: str
    agent: str
    words: str


@dataclass(frozen=True)
class Coverage:
    """The guardrail coverage map of a flow."""

    agents: tuple[Guarded, ...]
    guardrails: tuple[Firing, ...]
    changes: tuple[Change, ...]
    holes: tuple[Hole, ...]


def coverage(spec: FlowSpec) -> Coverage:
    """The coverage map, from the flow alone. Names that point nowhere are left out; `check` tells of those."""
    replying, asked = reach(spec)
    counting = {name: _counting(spec, name) for name in spec.agents}
    risky = _risky(spec, replying | asked)
    known: dict[_Alike, dict[str, Call]] = {}
    agents = tuple(
        _guarded(spec, name, counting, known, replies=name in replying, asked=name in asked, risky=risky)
        for name in spec.agents
    )
    firing = tuple(
        _firing(one, [agent for agent in agents if place in counting[agent.agent]])
        for place, one in enumerate(spec.guardrails)
    )
    return Coverage(agents, firing, tuple(_changes(agents)), tuple(_holes(spec, agents, firing)))


def holes(spec: FlowSpec) -> list[Finding]:
    """The holes of the map as findings, errors first: one for each tool or guardrail and reason, naming the agents.

    A guardrail that can never fire is an error. A flow whose entry does not exist has no holes: nothing of it runs.
    """
    found = sorted(coverage(spec).holes, key=_group)
    return [_finding(list(same)) for _, same in groupby(found, key=_group)]


def reach(spec: FlowSpec) -> tuple[frozenset[str], frozenset[str]]:
    """The agents that can reply to the customer, and those that are asked as tools, at once or further down.

    Who takes over when an agent's model fails is reached too; an agent that is asked as a tool has no such stand-in.
    """
    replying = _closure({spec.entry} & spec.agents.keys(), spec, asking=False)
    asked = {other for name in replying for other in _asks(spec, name)}
    return replying, _closure(asked, spec, asking=True)


def _closure(start: set[str], spec: FlowSpec, *, asking: bool) -> frozenset[str]:
    found, ahead = set(start), list(start)
    while ahead:
        name = ahead.pop()
        agent = spec.agents[name]
        others = _asks(spec, name) if asking else [agent.fallback.agent] if agent.fallback else []
        fresh = {other for other in (*agent.handoffs, *others) if other in spec.agents and other not in found}
        found |= fresh
        ahead += fresh
    return frozenset(found)


def _asks(spec: FlowSpec, name: str) -> list[str]:
    """Whom an agent asks as a tool."""
    declared = (spec.tools.get(one) for one in spec.agents[name].tools)
    return [one.agent for one in declared if isinstance(one, AgentTool) and one.agent in spec.agents]


def _counting(spec: FlowSpec, agent: str) -> dict[int, GuardrailSpec]:
    """The guardrails that count for an agent, by their place in the flow."""
    return {
        place: one
        for place, one in enumerate(spec.guardrails)
        if one.on == "input" or one.agents == "all" or agent in one.agents
    }


def _risky(spec: FlowSpec, reached: Iterable[str]) -> bool:
    """Whether some agent at work can change something."""
    used = {one for name in reached for one in spec.agents[name].tools}
    return any(tool.effect != "read" for name, tool in spec.tools.items() if name in used)


def _guarded(
    spec: FlowSpec,
    name: str,
    counting: Mapping[str, Mapping[int, GuardrailSpec]],
    known: dict[_Alike, dict[str, Call]],
    *,
    replies: bool,
    asked: bool,
    risky: bool,
) -> Guarded:
    agent, own, reached = spec.agents[name], counting[name], replies or asked
    on_input, on_results, on_reply = (
        tuple(one.name for one in own.values() if one.on == on) for on in ("input", "tool_result", "reply")
    )
    alike = known.setdefault((on_input, on_results, reached), {})
    tools = dict.fromkeys(one for one in agent.tools if one in spec.tools) | (
        {KNOWLEDGE: None} if spec.knowledge else {}
    )
    for tool in tools:
        if tool not in alike:
            alike[tool] = _call(spec, tool, on_input, on_results, reached=reached, risky=risky)
    calls = tuple(alike[tool] for tool in tools)
    return Guarded(
        agent=name,
        replies=replies,
        asked=asked,
        on_input=on_input,
        on_results=on_results if calls else (),
        on_reply=on_reply if replies else (),
        calls=calls,
        handovers=tuple(_handover(own, to, counting[to]) for to in agent.handoffs if to in counting),
        holes=("unguarded reply",) if replies and not on_input and not on_reply else (),
    )


def _call(
    spec: FlowSpec, name: str, on_input: tuple[str, ...], on_results: tuple[str, ...], *, reached: bool, risky: bool
) -> Call:
    if name == KNOWLEDGE:
        unread: tuple[Kind, ...] = ("unread result",) if reached and risky and not on_results else ()
        return Call(KNOWLEDGE, "knowledge", "read", (), on_results, holes=unread)
    tool = spec.tools[name]
    kind, effect, approval = tool.kind, tool.effect, _approval(tool.approve)
    waits_for = on_input if effect == "high-stakes" or (effect == "write" and spec.writes == "wait") else ()
    found: tuple[Kind, ...] = ()
    if reached and effect != "read" and not waits_for and approval != "always":
        found = ("unguarded call",)
    if reached and risky and kind in ("http", "mcp") and not on_results:
        found = (*found, "unread result")
    return Call(name, kind, effect, waits_for, on_results, approval, found)


def _handover(before: Mapping[int, GuardrailSpec], to: str, after: Mapping[int, GuardrailSpec]) -> Handover:
    ends, begins = before.keys() - after.keys(), after.keys() - before.keys()
    return Handover(
        to, tuple(before[one].name for one in sorted(ends)), tuple(after[one].name for one in sorted(begins))
    )


def _approval(rules: Approval | None) -> str:
    if isinstance(rules, str):
        return rules
    told = [_rule(argument, rule) for argument, rule in (rules or {}).items()]
    return f"when {' or '.join(told)}" if told else ""


def _rule(argument: str, rule: ArgumentRule) -> str:
    limits = (("above", rule.above), ("below", rule.below))
    told = [f"{word} {value:g}" for word, value in limits if value is not None]
    told += [f"one of {', '.join(map(_value, rule.any_of))}"] if rule.any_of else []
    return f"{argument} is {' or '.join(told) or 'missing'}"


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _firing(one: GuardrailSpec, counting: list[Guarded]) -> Firing:
    reached = [agent for agent in counting if agent.reached]
    if not reached:
        return Firing(one.name, one.on, (), "it names no agent that is ever at work")
    fires, several = reached, len(reached) > 1
    why = _together([agent.agent for agent in reached], "and")
    if one.on == "reply":
        fires = [agent for agent in reached if agent.replies]
        why += f" only answer{'' if several else 's'} other agents, never the customer"
    elif one.on == "tool_result":
        fires = [agent for agent in reached if agent.calls]
        why += f" {'have' if several else 'has'} neither tools nor knowledge"
    return Firing(one.name, one.on, tuple(agent.agent for agent in fires), "" if fires else why)


def _changes(agents: Iterable[Guarded]) -> Iterator[Change]:
    found: dict[str, list[tuple[str, Call]]] = {}
    for agent in agents:
        for call in agent.calls:
            if call.effect != "read" and agent.reached:
                found.setdefault(call.tool, []).append((agent.agent, call))
    for tool, pairs in found.items():
        first, kinds = pairs[0][1], {call.waits_for for _, call in pairs}
        always = tuple(one for one in first.waits_for if all(one in waits for waits in kinds))
        yield Change(tool, first.effect, tuple(name for name, _ in pairs), always, first.approval)


def _holes(spec: FlowSpec, agents: Iterable[Guarded], firing: Iterable[Firing]) -> Iterator[Hole]:
    if spec.entry not in spec.agents:
        return
    for one in firing:
        if one.why_never:
            yield Hole("never fires", one.name, "", f"{one.name} can never fire: {one.why_never}.")
    for agent in agents:
        for call in agent.calls:
            for kind in call.holes:
                yield Hole(kind, call.tool, agent.agent, _words(spec, kind, call))
        for kind in agent.holes:
            yield Hole(kind, "", agent.agent, "waits for no guardrail")


def _words(spec: FlowSpec, kind: Kind, call: Call) -> str:
    if kind == "unread result":
        return "no guardrail on tool results reads what comes back, and this flow can change something"
    free = call.effect == "write" and spec.writes == "go"
    why = ": the flow says `writes: go`" if free else ""
    if call.approval:
        return f"no guardrail on the input holds it, and a person is asked only {call.approval}{why}"
    return f"neither a guardrail on the input nor an approval holds it{why}"


def _group(hole: Hole) -> tuple[int, str, str]:
    return KINDS.index(hole.kind), hole.subject, hole.words


def _finding(same: list[Hole]) -> Finding:
    from workbench.flows.check import Finding  # late, so that `check` may import this module

    first, agents = same[0], _together([hole.agent for hole in same], "or")
    if first.kind == "never fires":
        return Finding(f"guardrails.{first.subject}", "error", first.words)
    if first.kind == "unguarded reply":
        where = f"agents.{first.agent}" if len(same) == 1 else "guardrails"
        return Finding(where, "warning", f"The reply of {agents} {first.words}.")
    if first.subject == KNOWLEDGE:
        return Finding("knowledge", "warning", f"When {agents} searches the knowledge, {first.words}.")
    return Finding(f"tools.{first.subject}", "warning", f"When {agents} calls {first.subject}, {first.words}.")


def _together(names: list[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
