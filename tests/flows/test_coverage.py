"""The guardrail coverage map: against a naive simulation, and in words on small flows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.flows.coverage import Call, Coverage, Firing, Guarded, coverage, holes, reach
from workbench.runtime import spec
from workbench.runtime.spec import FlowSpec

AGENTS = tuple("abcde")
NAMES = (*AGENTS, "ghost")
EFFECTS = ("read", "write", "high-stakes")
MANY = settings(max_examples=150, deadline=None)


def tools() -> st.SearchStrategy[dict[str, Any]]:
    """A tool of any kind and effect; an agent as a tool may be one that does not exist."""
    common = {"effect": st.sampled_from(EFFECTS)}
    rules = st.sampled_from([None, "always", {"amount": {"above": 5}}])
    plain = {"description": st.just("d"), "parameters": st.just({})}
    return st.one_of(
        st.fixed_dictionaries({"kind": st.just("python"), "call": st.just("f"), "approve": rules, **common}),
        st.fixed_dictionaries({"kind": st.just("http"), "url": st.just("https://x.example/"), **plain, **common}),
        st.fixed_dictionaries({"kind": st.just("mcp"), "server": st.just("s"), "tool": st.just("t"), **common}),
        st.fixed_dictionaries({"kind": st.just("mock"), **plain, **common}),
        st.fixed_dictionaries(
            {"kind": st.just("agent"), "agent": st.sampled_from(NAMES), "description": st.just("d"), **common}
        ),
    )


@st.composite
def guardrails(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A guardrail on anything, for all agents, some or none."""
    agents = draw(st.one_of(st.just("all"), st.lists(st.sampled_from(NAMES), max_size=3, unique=True)))
    on = draw(st.sampled_from(["input", "tool_result", "reply"]))
    return {"name": name, "on": on, "check": "c", "agents": agents}


@st.composite
def flows(draw: st.DrawFn) -> FlowSpec:
    """A flow with handoffs, stand-ins, agents asked as tools, and names that point nowhere."""
    named = draw(st.lists(st.sampled_from(AGENTS), min_size=1, unique=True))
    declared = draw(st.dictionaries(st.sampled_from(["t1", "t2", "t3", "t4"]), tools(), max_size=4))
    agents = {
        name: {
            "prompt": "p",
            "tools": draw(st.lists(st.sampled_from(["t1", "t2", "t3", "t4", "t5"]), max_size=3)),
            "handoffs": draw(st.lists(st.sampled_from(NAMES), max_size=2)),
            **draw(st.sampled_from([{}, {"fallback": {"agent": draw(st.sampled_from(NAMES))}}])),
        }
        for name in named
    }
    count = draw(st.integers(0, 4))
    return spec.parse(
        {
            "flow": "x",
            "entry": draw(st.sampled_from([*named, *named, "ghost"])),
            "agents": agents,
            "tools": declared,
            "guardrails": [draw(guardrails(f"g{place}")) for place in range(count)],
            "writes": draw(st.sampled_from(["wait", "go"])),
            **draw(st.sampled_from([{}, {"knowledge": {"collection": "h"}}])),
        }
    )


def walks(flow: FlowSpec) -> set[tuple[str, bool]]:
    """Every agent at work, and whether inside an agent asked as a tool: by walking, as often as there could be steps."""
    at = {(flow.entry, False)} if flow.entry in flow.agents else set()
    for _ in range(2 * len(flow.agents) + 1):
        for name, inside in list(at):
            agent = flow.agents[name]
            stands_in = agent.fallback.agent if agent.fallback and not inside else None
            for other in [*agent.handoffs, stands_in]:
                if other in flow.agents:
                    at.add((str(other), inside))
            for one in agent.tools:
                declared = flow.tools.get(one)
                if declared is not None and declared.kind == "agent" and declared.agent in flow.agents:
                    at.add((declared.agent, True))
    return at


def counts(flow: FlowSpec, place: int, name: str) -> bool:
    """Whether a guardrail counts for an agent."""
    one = flow.guardrails[place]
    listed = NAMES if one.agents == "all" else one.agents
    return name in listed or one.on == "input"


def fired(flow: FlowSpec) -> Iterator[tuple[str, str, str]]:
    """(guardrail, agent, what) for each reading and each wait of every possible run."""
    for name, inside in walks(flow):
        for place, one in enumerate(flow.guardrails):
            if not counts(flow, place, name):
                continue
            used = [tool for tool in flow.agents[name].tools if tool in flow.tools]
            if one.on == "input":
                yield one.name, name, "input"
                for tool in used:
                    effect = flow.tools[tool].effect
                    if effect == "high-stakes" or (effect == "write" and flow.writes == "wait"):
                        yield one.name, name, f"waits {tool}"
            if one.on == "tool_result":
                for tool in [*used, *(["search_knowledge"] if flow.knowledge else [])]:
                    yield one.name, name, f"reads {tool}"
            if one.on == "reply" and not inside:
                yield one.name, name, "reply"


def told(found: Coverage) -> Iterator[tuple[str, str, str]]:
    """The same, as the map tells it."""
    for agent in found.agents:
        if not agent.reached:
            continue
        yield from ((name, agent.agent, "input") for name in agent.on_input)
        yield from ((name, agent.agent, "reply") for name in agent.on_reply)
        for call in agent.calls:
            yield from ((name, agent.agent, f"waits {call.tool}") for name in call.waits_for)
            yield from ((name, agent.agent, f"reads {call.tool}") for name in call.read_by)


def kinds(flow: FlowSpec) -> set[tuple[str, str, str]]:
    """The holes by kind, subject and agent, without those of guardrails that never fire."""
    return {(one.kind, one.subject, one.agent) for one in coverage(flow).holes if one.kind != "never fires"}


def idle(flow: FlowSpec) -> set[str]:
    """The guardrails that never fire."""
    return {one.subject for one in coverage(flow).holes if one.kind == "never fires"}


@MANY
@given(flows())
def test_who_is_at_work_is_what_walking_finds(flow: FlowSpec) -> None:
    replying, asked = reach(flow)
    assert {(name, False) for name in replying} | {(name, True) for name in asked} == walks(flow)


@MANY
@given(flows())
def test_what_fires_is_what_every_possible_run_shows(flow: FlowSpec) -> None:
    seen, found = set(fired(flow)), coverage(flow)
    assert set(told(found)) == seen
    at_work = {name for name, _ in walks(flow)}
    assert idle(flow) == ({one.name for one in flow.guardrails} - {name for name, _, _ in seen} if at_work else set())
    assert {one.name: set(one.agents) for one in found.guardrails} == {
        one.name: {agent for name, agent, _ in seen if name == one.name} for one in flow.guardrails
    }


@MANY
@given(flows())
def test_every_hole_is_one_and_none_is_missing(flow: FlowSpec) -> None:
    at_work, seen = {name for name, _ in walks(flow)}, set(fired(flow))
    pairs = {(name, tool) for name in at_work for tool in flow.agents[name].tools if tool in flow.tools}
    risky = any(flow.tools[tool].effect != "read" for _, tool in pairs)
    expected = set()
    for name, tool in pairs:
        declared = flow.tools[tool]
        waits = any(agent == name and what == f"waits {tool}" for _, agent, what in seen)
        if declared.effect != "read" and not waits and declared.approve != "always":
            expected.add(("unguarded call", tool, name))
        if (
            risky
            and declared.kind in ("http", "mcp")
            and not any(a == name and w == f"reads {tool}" for _, a, w in seen)
        ):
            expected.add(("unread result", tool, name))
    for name in at_work:
        knows = flow.knowledge and risky
        if knows and not any(a == name and w == "reads search_knowledge" for _, a, w in seen):
            expected.add(("unread result", "search_knowledge", name))
        if (name, False) in walks(flow) and not any(a == name and w in ("input", "reply") for _, a, w in seen):
            expected.add(("unguarded reply", "", name))
    assert kinds(flow) == expected


@MANY
@given(flows(), guardrails("new"))
def test_adding_a_guardrail_opens_no_hole_and_removing_one_closes_none(flow: FlowSpec, more: dict[str, Any]) -> None:
    body = spec.plain(flow)
    guarded = spec.parse({**body, "guardrails": [*body.get("guardrails", []), more]})
    assert kinds(guarded) <= kinds(flow)
    assert idle(guarded) - {"new"} == idle(flow)


@MANY
@given(flows())
def test_what_changes_something_is_every_such_tool_at_work_with_whom(flow: FlowSpec) -> None:
    at_work = {name for name, _ in walks(flow)}
    found = {one.tool: set(one.agents) for one in coverage(flow).changes}
    assert found == {
        tool: users
        for tool, declared in flow.tools.items()
        if declared.effect != "read" and (users := {name for name in at_work if tool in flow.agents[name].tools})
    }


@MANY
@given(flows())
def test_the_findings_name_every_hole_once(flow: FlowSpec) -> None:
    found, given_holes = holes(flow), coverage(flow).holes
    assert [one.level for one in found] == sorted((one.level for one in found), key=lambda level: level != "error")
    assert len({(one.where, one.message) for one in found}) == len(found) <= len(given_holes)
    assert sum(one.level == "error" for one in found) == len(
        {one.subject for one in given_holes if one.kind == "never fires"}
    )
    assert bool(found) == bool(given_holes)


DESK = """
flow: desk
entry: front
agents:
  front: {prompt: p, handoffs: [money, lost], tools: [ask_clerk, look_up]}
  money: {prompt: p, tools: [pay, note, fetch]}
  clerk: {prompt: p, tools: [pay]}
tools:
  look_up: {kind: python, call: f}
  pay: {kind: python, call: f, effect: high-stakes, approve: {amount: {above: 50}}}
  note: {kind: python, call: f, effect: write}
  fetch: {kind: http, url: "https://x.example/", effect: read, description: d, parameters: {}}
  ask_clerk: {kind: agent, agent: clerk, description: d}
guardrails:
  - {name: injection, on: input, check: c}
  - {name: money-only, on: input, check: c, agents: [money]}
  - {name: results, on: tool_result, check: c, agents: [front, clerk]}
  - {name: polite, on: reply, check: c}
  - {name: clerk-reply, on: reply, check: c, agents: [clerk]}
  - {name: nobody, on: reply, check: c, agents: [lost]}
knowledge: {collection: h}
"""


def agent(flow: str, name: str) -> Guarded:
    """An agent of a flow's map."""
    return next(one for one in coverage(spec.read(flow)).agents if one.agent == name)


def findings(flow: str) -> list[tuple[str, str, str]]:
    """The findings of a flow as plain tuples."""
    return [(one.level, one.where, one.message) for one in holes(spec.read(flow))]


def test_the_map_of_a_small_desk_in_full() -> None:
    money = agent(DESK, "money")
    assert (money.replies, money.asked, money.reply_waits_for) == (True, False, ("injection", "money-only", "polite"))
    assert money.calls == (
        Call("pay", "python", "high-stakes", ("injection", "money-only"), (), "when amount is above 50"),
        Call("note", "python", "write", ("injection", "money-only"), ()),
        Call("fetch", "http", "read", (), (), holes=("unread result",)),
        Call("search_knowledge", "knowledge", "read", (), (), holes=("unread result",)),
    )
    clerk = agent(DESK, "clerk")
    assert (clerk.replies, clerk.asked, clerk.reply_waits_for) == (False, True, ())
    assert clerk.calls[0].waits_for == ("injection", "money-only")
    [over] = agent(DESK, "front").handovers
    assert (over.to, over.ends, over.begins) == ("money", ("results",), ())
    changes = {one.tool: (one.agents, one.waits_for) for one in coverage(spec.read(DESK)).changes}
    assert changes == {
        "pay": (("money", "clerk"), ("injection", "money-only")),
        "note": (("money",), ("injection", "money-only")),
    }


def test_the_holes_of_a_small_desk_in_words() -> None:
    read = "no guardrail on tool results reads what comes back, and this flow can change something."
    assert findings(DESK) == [
        ("error", "guardrails.clerk-reply", "clerk-reply can never fire: clerk only answers other agents, never the customer."),
        ("error", "guardrails.nobody", "nobody can never fire: it names no agent that is ever at work."),
        ("warning", "tools.fetch", f"When money calls fetch, {read}"),
        ("warning", "knowledge", f"When money searches the knowledge, {read}"),
    ]  # fmt: skip


BARE = """
flow: bare
entry: front
agents:
  front: {prompt: p, handoffs: [back], tools: [pay, note]}
  back: {prompt: p, tools: [note]}
tools:
  pay: {kind: python, call: f, effect: high-stakes, approve: {amount: {above: 50, in: [1, 2]}}}
  note: {kind: python, call: f, effect: write}
"""


def test_without_any_guardrail_every_call_and_reply_is_a_hole() -> None:
    neither = "neither a guardrail on the input nor an approval holds it"
    rule = "no guardrail on the input holds it, and a person is asked only when amount is above 50 or one of 1, 2"
    assert findings(BARE) == [
        ("warning", "tools.note", f"When front or back calls note, {neither}."),
        ("warning", "tools.pay", f"When front calls pay, {rule}."),
        ("warning", "guardrails", "The reply of front or back waits for no guardrail."),
    ]


def test_an_approval_that_is_always_needed_guards_a_call() -> None:
    always = BARE.replace("{amount: {above: 50, in: [1, 2]}}", "always")
    assert not any(where == "tools.pay" for _, where, _ in findings(always))


def test_writes_that_go_are_told_with_their_reason() -> None:
    guard = "guardrails: [{name: injection, on: input, check: c}]\n"
    assert findings(BARE + guard) == []
    words = "neither a guardrail on the input nor an approval holds it: the flow says `writes: go`."
    assert findings(BARE + guard + "writes: go\n") == [
        ("warning", "tools.note", f"When front or back calls note, {words}")
    ]


@pytest.mark.parametrize(
    ("guard", "why"),
    [
        ("{name: g, on: reply, check: c, agents: [gone]}", "it names no agent that is ever at work"),
        ("{name: g, on: tool_result, check: c, agents: [idle]}", "idle has neither tools nor knowledge"),
        (
            "{name: g, on: tool_result, check: c, agents: [idle, lazy]}",
            "idle and lazy have neither tools nor knowledge",
        ),
    ],
)
def test_a_guardrail_that_can_never_fire_is_an_error(guard: str, why: str) -> None:
    flow = BARE.replace("handoffs: [back]", "handoffs: [back, idle, lazy]").replace(
        "tools:\n  pay", "  idle: {prompt: p}\n  lazy: {prompt: p}\n  gone: {prompt: p}\ntools:\n  pay", 1
    )
    assert ("error", "guardrails.g", f"g can never fire: {why}.") in findings(f"{flow}guardrails: [{guard}]\n")


def test_a_guardrail_on_the_input_counts_everywhere_whomever_it_names() -> None:
    for named in ("[front]", "[back]", "[]", "all"):
        flow = spec.read(BARE + f"guardrails: [{{name: g, on: input, check: c, agents: {named}}}]\n")
        assert coverage(flow).guardrails == (Firing("g", "input", ("front", "back")),)


def test_a_flow_that_cannot_begin_has_no_holes() -> None:
    assert (
        findings(BARE.replace("entry: front", "entry: nobody") + "guardrails: [{name: g, on: input, check: c}]\n") == []
    )


def test_a_stand_in_for_a_failing_model_is_reached() -> None:
    flow = BARE.replace("front: {prompt: p, handoffs: [back],", "front: {prompt: p, fallback: {agent: back},")
    assert agent(flow, "back").replies
