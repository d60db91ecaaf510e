"""Versions, forks, renames and merges of drafts: nothing is lost, nothing of history is rewritten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tests.flows_for_tests import DESK
from tests.once import together
from workbench import flows, prompts
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused, WorkbenchError
from workbench.flows import diagram, versions
from workbench.flows.drafts import Waiting, fork, fork_release, rename
from workbench.flows.versions import Copy, Edit
from workbench.runtime import spec

EVE = Actor("eve", "architect")


@pytest.fixture
def desk(database: str, architect: Actor) -> flows.Draft:
    """The test desk as a draft, with its prompts."""
    prompts.save(architect, "desk/front", "You work for $shop.")
    prompts.save(architect, "desk/money", "You pay for $shop.")
    return flows.put(architect, DESK)[0]


def changed(draft: flows.Draft, old: str, new: str) -> spec.FlowSpec:
    """The draft's flow with one thing worded otherwise."""
    text = spec.write(draft.spec)
    assert old in text
    return spec.read(text.replace(old, new, 1))


def test_texts_that_are_saved_without_a_number_wait_with_the_draft(desk: flows.Draft, architect: Actor) -> None:
    saved = flows.save(
        architect, desk.spec, base=1, texts={"desk/front": "New."}, bases={"desk/front": 1}, number=False
    )
    assert (saved.version, saved.texts) == (2, {"desk/front": Waiting("New.", 1)})
    assert prompts.get("desk/front").number == 1
    assert flows.draft("desk").texts == saved.texts
    assert flows.freeze(saved.spec).content.prompts["front"].text == "New."
    assert flows.freeze(saved.spec, {}).content.prompts["front"].text == "You work for $shop."


def test_a_hundred_saves_without_a_number_make_no_prompt_version(desk: flows.Draft, architect: Actor) -> None:
    for place in range(100):
        flows.save(architect, desk.spec, base=1 + place, texts={"desk/front": f"Text {place}."}, number=False)
    assert [one.number for one in prompts.versions("desk/front")] == [1]
    done = flows.save(architect, desk.spec, base=101, texts={"desk/front": "Text 99."})
    assert (done.texts, prompts.get("desk/front").number) == ({}, 2)


def test_an_import_leaves_the_texts_that_wait(desk: flows.Draft, architect: Actor) -> None:
    flows.save(architect, desk.spec, base=1, texts={"desk/front": "New."}, number=False)
    draft, new = flows.put(architect, DESK.replace("A small desk", "A tiny desk"))
    assert (new, draft.version, draft.texts["desk/front"].text) == (False, 3, "New.")


def test_a_save_that_waits_meets_a_conflict_too(desk: flows.Draft, architect: Actor) -> None:
    flows.save(EVE, desk.spec, base=1, number=False)
    with pytest.raises(Conflict, match="changed by somebody else"):
        flows.save(architect, desk.spec, base=1, texts={"desk/front": "Mine."}, number=False)
    assert flows.draft("desk").texts == {}


def test_a_named_version_holds_the_flow_and_the_numbers_of_its_texts(desk: flows.Draft, architect: Actor) -> None:
    flows.save(architect, desk.spec, base=1, texts={"desk/front": "New."}, number=False)
    made = versions.add(architect, "desk", " Before the rules ", "A note.", base=2)
    assert (made.number, made.title, made.note, made.saved_by) == (1, "Before the rules", "A note.", "ada")
    assert made.prompts == {"desk/front": 2, "desk/money": 1}
    assert prompts.get("desk/front").text == "New."
    assert flows.draft("desk").texts == {}
    assert versions.versions("desk") == [made] == [versions.version("desk", 1)]


def test_restoring_makes_a_new_save_and_keeps_what_was_there(desk: flows.Draft, architect: Actor) -> None:
    versions.add(architect, "desk", "First", base=1)
    other = changed(desk, "A small desk for tests.", "A large desk.")
    flows.save(architect, other, base=1, texts={"desk/front": "Other."})
    flows.save(architect, other, base=2, texts={"desk/money": "Waits."}, number=False)
    back = versions.restore(EVE, "desk", 1, base=3)
    assert (back.version, back.saved_by, back.spec.purpose) == (4, "eve", "A small desk for tests.")
    assert [(one.number, one.text) for one in prompts.versions("desk/front")] == [
        (3, "You work for $shop."),
        (2, "Other."),
        (1, "You work for $shop."),
    ]
    kept, first = versions.versions("desk")
    assert (first.number, first.title) == (1, "First")
    assert "before version 1 was restored" in kept.title
    assert (kept.spec.purpose, kept.prompts) == ("A large desk.", {"desk/front": 2, "desk/money": 2})
    again = versions.restore(architect, "desk", kept.number, base=4)
    assert again.spec.purpose == "A large desk."
    assert (prompts.get("desk/front").text, prompts.get("desk/money").text) == ("Other.", "Waits.")


def test_restoring_what_is_kept_already_keeps_no_second_copy(desk: flows.Draft, architect: Actor) -> None:
    versions.add(architect, "desk", "First", base=1)
    versions.restore(architect, "desk", 1, base=1)
    assert len(versions.versions("desk")) == 1


@pytest.mark.parametrize("title", ["", "   ", "x" * 121])
def test_a_version_needs_a_title(desk: flows.Draft, architect: Actor, title: str) -> None:
    with pytest.raises(Invalid, match="needs a title"):
        versions.add(architect, "desk", title, base=1)
    assert versions.versions("desk") == []


def test_versions_are_refused_to_a_rep_and_against_an_older_save(desk: flows.Draft, rep: Actor) -> None:
    versions.add(EVE, "desk", "First", base=1)
    before = audit.verify().entries
    for act in (
        lambda: versions.add(rep, "desk", "Mine", base=1),
        lambda: versions.restore(rep, "desk", 1, base=1),
        lambda: versions.override(rep, desk.spec, {}, theirs=1),
        lambda: fork(rep, "desk", "second"),
    ):
        with pytest.raises(Refused, match="A rep may not edit a flow"):
            act()
    for late in (
        lambda: versions.add(EVE, "desk", "Mine", base=7),
        lambda: versions.restore(EVE, "desk", 1, base=7),
        lambda: versions.override(EVE, desk.spec, {}, theirs=7),
    ):
        with pytest.raises(Conflict, match="changed by somebody else"):
            late()
    with pytest.raises(NotFound, match="desk has no version 9"):
        versions.restore(EVE, "desk", 9, base=1)
    assert audit.verify().entries == before
    assert flows.draft("desk").version == 1


def test_saving_over_a_colleague_keeps_what_they_saved(desk: flows.Draft, architect: Actor) -> None:
    theirs = changed(desk, "A small desk for tests.", "Eve's desk.")
    flows.save(EVE, theirs, base=1, texts={"desk/front": "Eve's words."}, number=False)
    mine = changed(desk, "A small desk for tests.", "Ada's desk.")
    draft = versions.override(architect, mine, {"desk/front": "Ada's words."}, theirs=2)
    assert (draft.version, draft.spec.purpose, draft.texts["desk/front"].text) == (3, "Ada's desk.", "Ada's words.")
    kept = versions.versions("desk")[0]
    assert kept.title == "Save 2 of eve, before ada saved over it"
    assert kept.spec.purpose == "Eve's desk."
    assert prompts.get(f"desk/front@{kept.prompts['desk/front']}").text == "Eve's words."
    assert (
        flows.save(architect, mine, base=3, texts={"desk/front": "Ada's words."}, bases={"desk/front": 2}).version == 4
    )


def test_an_unfinished_text_of_a_colleague_is_kept_in_the_note(desk: flows.Draft, architect: Actor) -> None:
    flows.save(EVE, desk.spec, base=1, texts={"desk/front": "Pay $50 at most"}, number=False)
    versions.override(architect, changed(desk, "A small", "A tiny"), {}, theirs=2)
    assert "The unfinished text of desk/front:\nPay $50 at most" in versions.versions("desk")[0].note


def test_of_ten_who_save_over_the_same_save_one_wins(desk: flows.Draft, architect: Actor) -> None:
    flows.save(EVE, changed(desk, "A small", "A tiny"), base=1)
    outcomes: list[str] = []

    def act() -> None:
        try:
            versions.override(architect, desk.spec, {}, theirs=2)
            outcomes.append("saved")
        except Conflict:
            outcomes.append("conflict")

    together(10, act)
    assert (outcomes.count("saved"), outcomes.count("conflict")) == (1, 9)
    assert (flows.draft("desk").version, len(versions.versions("desk"))) == (3, 1)


def test_a_fork_has_prompts_of_its_own_and_remembers_its_origin(desk: flows.Draft, architect: Actor) -> None:
    flows.save(architect, desk.spec, base=1, texts={"desk/front": "Waits for $shop."}, number=False)
    made = fork(architect, "desk", "second")
    assert (made.version, made.forked_from, made.spec.flow) == (1, "desk, save 2", "second")
    assert {name: one.prompt for name, one in made.spec.agents.items()} == {
        "front": "second/front",
        "money": "second/money",
    }
    assert prompts.get("second/front").text == "Waits for $shop."
    prompts.save(architect, "second/front", "Mine for $shop.")
    assert flows.draft("desk").texts["desk/front"].text == "Waits for $shop."
    with pytest.raises(Conflict, match="There is a flow called second already"):
        fork(architect, "desk", "second")
    with pytest.raises(Invalid, match="not a valid name"):
        fork(architect, "desk", "Not A Name")
    assert [one.name for one in flows.drafts()] == ["desk", "second"]


def test_a_fork_keeps_shared_texts_shared_and_different_ones_apart(desk: flows.Draft, architect: Actor) -> None:
    prompts.save(architect, "desk/front", "Newer.")
    body = spec.plain(desk.spec)
    body["agents"]["money"]["prompt"] = "desk/front@1"
    body["agents"]["third"] = {"prompt": "desk/front"}
    flows.save(architect, spec.parse(body), base=1)
    made = fork(architect, "desk", "second").spec.agents
    assert made["front"].prompt == made["third"].prompt == "second/front"
    assert made["money"].prompt == "second/front-2"
    assert prompts.get("second/front-2").text == "You work for $shop."


def test_a_release_can_be_forked(desk: flows.Draft, architect: Actor) -> None:
    released = flows.freeze(desk.spec, number=3)
    prompts.save(architect, "desk/front", "Newer.")
    made = fork_release(architect, released, "second")
    assert made.forked_from == "desk, v3"
    assert prompts.get("second/front").text == "You work for $shop."


def test_a_draft_from_a_template_says_which(database: str, architect: Actor) -> None:
    prompts.take_in()
    assert flows.begin(architect, "help-answers", "mine").template == "help-answers"
    assert flows.draft("mine").forked_from == ""


def test_renaming_an_agent_changes_whatever_names_it(desk: flows.Draft) -> None:
    body = spec.plain(desk.spec)
    body["guardrails"][1]["agents"] = ["money", "front"]
    body["agents"]["front"]["fallback"] = {"agent": "money"}
    body["agents"]["front"]["tools"] = ["ask"]
    body["tools"]["ask"] = {"kind": "agent", "agent": "money", "description": "Asks."}
    made = rename(spec.parse(body), "agent", "money", "billing")
    assert list(made.agents) == ["front", "billing"]
    assert made.agents["front"].handoffs == ("billing",)
    assert made.agents["front"].fallback is not None
    assert made.agents["front"].fallback.agent == "billing"
    assert made.guardrails[1].agents == ("billing", "front")
    assert getattr(made.tools["ask"], "agent", "") == "billing"
    assert rename(made, "agent", "front", "door").entry == "door"
    assert rename(rename(made, "agent", "billing", "money"), "agent", "money", "money") == spec.parse(body)


def test_renaming_a_tool_changes_the_lists_of_the_agents(desk: flows.Draft) -> None:
    made = rename(desk.spec, "tool", "pay_out", "refund")
    assert made.agents["money"].tools == ("look_up", "refund")
    assert list(made.tools) == ["look_up", "refund"]
    assert flows.findings(made) == []


@pytest.mark.parametrize(
    ("kind", "old", "new", "error", "told"),
    [
        ("agent", "moon", "sun", NotFound, "There is no agent called moon"),
        ("agent", "money", "front", Conflict, "There is an agent called front already"),
        ("tool", "look_up", "pay_out", Conflict, "There is a tool called pay_out already"),
        ("tool", "look_up", "<b>", Invalid, "'<b>'"),
    ],
)
def test_a_rename_that_cannot_be_is_told(
    desk: flows.Draft, kind: Any, old: str, new: str, error: type[WorkbenchError], told: str
) -> None:
    with pytest.raises(error, match=told):
        rename(desk.spec, kind, old, new)


def copy(draft: flows.Draft) -> Copy:
    return versions.copy_of(draft)


def test_changes_are_told_apart_and_put_together_again(desk: flows.Draft) -> None:
    base = copy(desk)
    body = spec.plain(desk.spec)
    body["agents"]["third"] = {"prompt": "desk/third"}
    body["agents"]["front"]["handoffs"] = ["money", "third"]
    body["tools"].pop("look_up")
    body["agents"]["money"]["tools"] = ["pay_out"]
    body["limits"] = {"turns": 3}
    body["guardrails"] = body["guardrails"][:1]
    after = Copy(spec.plain(spec.parse(body)), {**base.texts, "desk/front": "Other."})
    found = versions.edits(base, after)
    assert {one.path for one in found} == {
        ("tools", "look_up"),
        ("agents", "third"),
        ("agents", "front", "handoffs", "third"),
        ("agents", "money", "tools", "look_up"),
        ("limits", "turns"),
        ("guardrails", "no-cards"),
        ("texts", "desk/front"),
    }
    again = versions.merged(base, found)
    assert spec.parse(again.body) == spec.parse(after.body)
    assert again.texts == after.texts
    assert versions.edits(base, base) == []


def test_what_two_people_changed_in_different_places_is_merged_whole(desk: flows.Draft) -> None:
    base = copy(desk)
    theirs = {**base.body, "purpose": "Eve's purpose."}
    mine = spec.plain(desk.spec)
    mine["agents"]["front"]["handoffs"] = ["money", "back"]
    mine["agents"]["back"] = {"prompt": "desk/front"}
    their_edits = versions.edits(base, Copy(theirs, base.texts))
    my_edits = versions.edits(base, Copy(mine, {**base.texts, "desk/money": "Mine."}))
    assert not any(versions.clash(one, other) for one in their_edits for other in my_edits)
    made = versions.merged(base, [*their_edits, *my_edits])
    both = spec.parse(made.body)
    assert both.purpose == "Eve's purpose."
    assert both.agents["front"].handoffs == ("money", "back")
    assert made.texts["desk/money"] == "Mine."


def test_changes_to_the_same_thing_clash_and_equal_ones_do_not() -> None:
    gone = Edit(("agents", "money"), None)
    assert versions.clash(gone, Edit(("agents", "money", "model"), "small"))
    assert versions.clash(Edit(("purpose",), "a"), Edit(("purpose",), "b"))
    assert not versions.clash(Edit(("purpose",), "a"), Edit(("purpose",), "a"))
    assert not versions.clash(gone, Edit(("agents", "moneybox", "model"), "small"))
    assert not versions.clash(Edit(("agents", "a", "tools", "x"), True), Edit(("agents", "a", "tools", "y"), True))


NAMES = st.sampled_from(["a", "b", "c", "Delta", "e_e", "f-1"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
TOOLS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("python"), "call": NAMES},
        optional={
            "effect": st.sampled_from(spec.EFFECTS),
            "approve": st.just("always")
            | st.dictionaries(
                NAMES,
                st.fixed_dictionaries({}, optional={"above": st.floats(0, 1e6), "in": st.lists(WORDS)}),
                max_size=2,
            ),
            "timeout": st.floats(0.01, 600),
            "fallback": WORDS,
        },
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("http"),
            "url": WORDS,
            "effect": st.sampled_from(spec.EFFECTS),
            "description": WORDS,
            "parameters": st.dictionaries(WORDS, JSON, max_size=3),
        },
        optional={"headers": st.dictionaries(WORDS, WORDS, max_size=2)},
    ),
    st.fixed_dictionaries({"kind": st.just("agent"), "agent": NAMES, "description": WORDS}),
)
AGENTS = st.fixed_dictionaries(
    {"prompt": st.sampled_from(["desk/a", "desk/b@3", "x"])},
    optional={
        "model": st.sampled_from(spec.ROLES),
        "description": WORDS,
        "tools": st.lists(NAMES, max_size=3),
        "handoffs": st.lists(NAMES, max_size=3),
        "output": st.dictionaries(WORDS, JSON, max_size=3),
        "temperature": st.floats(0, 2),
        "receives": st.sampled_from(["all", "messages", "last"]),
        "fallback": st.fixed_dictionaries({}, optional={"model": st.sampled_from(spec.ROLES), "reply": WORDS}),
    },
)
FLOWS = st.fixed_dictionaries(
    {"flow": st.sampled_from(["desk", "on", "no", "null", "e1"]), "entry": NAMES},
    optional={
        "purpose": WORDS,
        "agents": st.just({}),
        "guardrails": st.lists(
            st.fixed_dictionaries(
                {"name": NAMES, "on": st.sampled_from(["input", "reply", "tool_result"]), "check": NAMES},
                optional={
                    "agents": st.just("all") | st.lists(NAMES, max_size=2),
                    "settings": st.dictionaries(WORDS, JSON),
                },
            ),
            max_size=3,
        ),
        "variables": st.dictionaries(st.sampled_from(["a", "shop_name", "_x1"]), WORDS, max_size=3),
        "limits": st.fixed_dictionaries({}, optional={"turns": st.integers(1, 100), "usd": st.floats(1e-9, 1e9)}),
        "control": st.lists(st.sampled_from(spec.CONTROLS), max_size=2),
        "writes": st.sampled_from(["wait", "go"]),
        "approvals": st.fixed_dictionaries({}, optional={"hours": st.floats(0.01, 720), "another": st.booleans()}),
        "charter": st.fixed_dictionaries({}, optional={"problem": WORDS, "owner": WORDS}),
    },
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A flow as plain data; it need not make sense."""
    agents = draw(st.dictionaries(NAMES, AGENTS, min_size=1, max_size=4))
    tools = draw(st.dictionaries(NAMES, TOOLS, max_size=4))
    return {**draw(FLOWS), "agents": agents, "tools": tools}


@limits(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies())
def test_a_flow_as_text_is_the_same_flow_and_the_same_text_again(body: dict[str, Any]) -> None:
    made = spec.parse(body)
    text = spec.write(made)
    assert spec.read(text) == made
    assert spec.write(spec.read(text)) == text
    assert spec.read(text.rstrip()) == made


@limits(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies(), bodies(), st.dictionaries(NAMES, WORDS), st.dictionaries(NAMES, WORDS))
def test_all_changes_from_one_flow_to_another_make_the_other(
    one: dict[str, Any], two: dict[str, Any], texts: dict[str, str], others: dict[str, str]
) -> None:
    for body in (one, two):
        names = [guardrail["name"] for guardrail in body.get("guardrails", [])]
        body["flow"] = "desk"
        body["guardrails"] = [g for i, g in enumerate(body.get("guardrails", [])) if g["name"] not in names[:i]]
        for agent in body["agents"].values():
            agent.update({part: list(dict.fromkeys(agent.get(part, []))) for part in ("tools", "handoffs")})
    before, after = Copy(spec.plain(spec.parse(one)), texts), Copy(spec.plain(spec.parse(two)), others)
    made = versions.merged(before, versions.edits(before, after))
    assert made.texts == others
    assert sorted_body(spec.plain(spec.parse(made.body))) == sorted_body(after.body)


def sorted_body(body: Any) -> Any:
    """A body in which the order of names does not count."""
    for agent in body["agents"].values():
        for part in ("tools", "handoffs"):
            if part in agent:
                agent[part] = sorted(agent[part])
    body["guardrails"] = sorted(body.get("guardrails", []), key=lambda one: str(one["name"]))
    return body


@limits(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies(), st.booleans())
def test_every_flow_can_be_drawn_and_nothing_overlaps(body: dict[str, Any], fold: bool) -> None:
    made = spec.parse(body)
    drawn = diagram.picture(made, dict.fromkeys(made.agents, fold))
    named = {box.name for box in drawn.boxes}
    assert set(made.agents) <= named
    assert {target for agent in made.agents.values() for target in agent.handoffs} <= named
    solid = [box for box in drawn.boxes if box.kind != "fold"]
    for place, one in enumerate(solid):
        x, y, width, height = one.area
        assert 0 <= x <= drawn.width - width
        assert 0 <= y <= drawn.height - height
        for other in solid[place + 1 :]:
            apart = x + width <= other.area.x or other.area.x + other.area.width <= x
            assert apart or y + height <= other.area.y or other.area.y + other.area.height <= y, (one, other)


def test_the_picture_says_in_words_what_is_wrong() -> None:
    text = DESK.replace("handoffs: [money]", "handoffs: [moon]").replace("tools: [look_up, pay_out]", "tools: [fly]")
    drawn = diagram.picture(spec.read(text))
    boxes = {box.id: box for box in drawn.boxes}
    assert boxes["missing:moon"].lines == ("does not exist",)
    assert "unreachable" in boxes["agent:money"].lines
    assert boxes["agent:front"].entry
    assert boxes["tool:money:fly"].effect == "not declared"
    assert boxes["tool::pay_out"].doubtful
    assert boxes["tool::pay_out"].lines == ("a person approves amount above 50",)
    assert {note.text for note in drawn.notes} == {"Nobody hands over to these:", "No agent uses these tools:"}


def test_handoffs_both_ways_are_one_line_and_tools_fold_into_one() -> None:
    made = spec.read(DESK)
    drawn = diagram.picture(made)
    assert [(line.source, line.target, line.both) for line in drawn.lines if line.kind == "handoff"] == [
        ("agent:front", "agent:money", True)
    ]
    folded = diagram.picture(made, {"money": True})
    assert [box.name for box in folded.boxes if box.kind == "fold"] == ["2 tools, 1 high-stakes"]
    assert folded.width < drawn.width


def test_an_agent_that_is_asked_as_a_tool_is_reached() -> None:
    text = DESK.replace(
        "front: {prompt: desk/front, model: small, handoffs: [money]}", "front: {prompt: desk/front, tools: [ask]}"
    )
    made = spec.read(
        text.replace("tools:\n  look_up", "tools:\n  ask: {kind: agent, agent: money, description: x}\n  look_up")
    )
    drawn = diagram.picture(made)
    assert [(line.source, line.target) for line in drawn.lines if line.kind == "asks"] == [
        ("tool:front:ask", "agent:money")
    ]
    assert not any("unreachable" in box.lines for box in drawn.boxes)
