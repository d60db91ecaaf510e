"""Drafts and prompts: checked, saved without losing anything, refused with reasons."""

from __future__ import annotations

import pytest

from tests.flows_for_tests import DESK
from tests.once import together
from workbench import flows, prompts
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.runtime import spec


@pytest.fixture
def desk(database: str, architect: Actor) -> flows.Draft:
    """The test desk as a draft, with its prompts."""
    prompts.save(architect, "desk/front", "You work for $shop.")
    prompts.save(architect, "desk/money", "You pay for $shop.")
    return flows.put(architect, DESK)[0]


def test_a_good_flow_has_no_finding(desk: flows.Draft) -> None:
    assert flows.findings(desk.spec) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "told"),
    [
        (
            "tools: [look_up, pay_out]",
            "tools: [look_up, pay_out, fly]",
            "agents.money.tools",
            "money uses the tool fly",
        ),
        (
            "handoffs: [money]}",
            "handoffs: [money, moon]}",
            "agents.front.handoffs",
            "hands over to moon, which does not exist",
        ),
        ("handoffs: [money]}", "handoffs: []}", "agents.money", "Nobody hands over to money"),
        (
            "prompt: desk/money",
            "prompt: desk/honey",
            "agents.money.prompt",
            "There is no prompt desk/honey. Did you mean desk/money?",
        ),
        ("variables: {shop: Fernhill}", "", "agents.front.prompt", "uses $shop, which has no value"),
        ("call: look_up", "call: look_down", "tools.look_up.call", "There is no Python tool called look_down"),
        ("effect: high-stakes", "effect: write", "tools.pay_out.effect", "cannot be declared write"),
        ("approve: {amount:", "approve: {amuont:", "tools.pay_out.approve", "pay_out has no argument amuont"),
        ("check: card_numbers", "check: bard_numbers", "guardrails.no-cards", "There is no check bard_numbers"),
        ("entry: front", "entry: back", "entry", "There is no agent called back"),
        ("handoffs: [front]", "handoffs: [money]", "agents.money.handoffs", "hands over to itself"),
    ],
)
def test_each_mistake_is_found_where_it_is(desk: flows.Draft, old: str, new: str, where: str, told: str) -> None:
    found = flows.findings(spec.read(DESK.replace(old, new, 1)))
    assert any(one.where == where and told in one.message and one.level == "error" for one in found), found


def test_a_flow_with_errors_can_be_saved_but_not_frozen(desk: flows.Draft, architect: Actor) -> None:
    broken = spec.read(DESK.replace("handoffs: [money]}", "handoffs: []}"))
    saved = flows.save(architect, broken, base=desk.version)
    assert saved.version == 2
    with pytest.raises(Invalid, match="Nobody hands over to money"):
        flows.freeze(saved.spec)


def test_two_editors_meet_a_conflict_and_nothing_is_lost(desk: flows.Draft, architect: Actor) -> None:
    flows.save(architect, desk.spec, base=1, texts={"desk/front": "First."})
    with pytest.raises(Conflict, match="changed by somebody else"):
        flows.save(Actor("eve", "architect"), desk.spec, base=1, texts={"desk/front": "Second."})
    assert prompts.get("desk/front").text == "First."
    assert [v.number for v in prompts.versions("desk/front")] == [2, 1]


def test_of_twenty_saves_at_once_exactly_one_wins(desk: flows.Draft, architect: Actor) -> None:
    outcomes: list[str] = []

    def save() -> None:
        try:
            flows.save(architect, desk.spec, base=1)
            outcomes.append("saved")
        except Conflict:
            outcomes.append("conflict")

    together(20, save)
    assert (outcomes.count("saved"), outcomes.count("conflict")) == (1, 19)


def test_a_rep_may_not_edit_and_nothing_is_changed(desk: flows.Draft, rep: Actor) -> None:
    with pytest.raises(Refused, match="A rep may not edit a flow"):
        flows.save(rep, desk.spec, base=1, texts={"desk/front": "Mine."})
    with pytest.raises(Refused):
        prompts.save(rep, "desk/front", "Mine.")
    assert flows.draft("desk").version == 1
    assert prompts.get("desk/front").number == 1


def test_a_broken_import_changes_nothing(desk: flows.Draft, architect: Actor) -> None:
    before = audit.verify().entries
    with pytest.raises(Invalid):
        flows.put(architect, DESK.replace("entry", "entyr"))
    assert flows.draft("desk").version == 1
    assert audit.verify().entries == before


def test_unsaved_prompt_texts_are_tried_without_being_saved(desk: flows.Draft) -> None:
    tried = flows.freeze(desk.spec, {"desk/front": "Be brief at $shop."})
    assert tried.content.prompts["front"].text == "Be brief at $shop."
    assert prompts.get("desk/front").number == 1
    assert tried.digest != flows.freeze(desk.spec).digest


def test_a_fixed_prompt_number_stays_when_a_newer_text_is_saved(desk: flows.Draft, architect: Actor) -> None:
    fixed = spec.read(DESK.replace("prompt: desk/front", "prompt: desk/front@1"))
    before = flows.freeze(fixed).digest
    prompts.save(architect, "desk/front", "Another text for $shop.")
    assert flows.freeze(fixed).digest == before
    assert flows.freeze(desk.spec).content.prompts["front"].number == 2


def test_the_same_text_is_not_saved_twice(desk: flows.Draft, architect: Actor) -> None:
    assert prompts.save(architect, "desk/front", "You work for $shop.").number == 1


@pytest.mark.parametrize("name", ["../secrets", "/etc/passwd", "Desk", "a//b", "a/../b", ""])
def test_a_prompt_name_never_escapes_its_folder(database: str, architect: Actor, name: str) -> None:
    with pytest.raises(Invalid, match="is not a prompt name"):
        prompts.save(architect, name, "text")


def test_a_stray_dollar_is_told(database: str, architect: Actor) -> None:
    with pytest.raises(Invalid, match=r"Write \$\$ for a dollar sign"):
        prompts.save(architect, "desk/price", "Refund at most $50.")


def test_an_unknown_flow_lists_the_known_ones(desk: flows.Draft) -> None:
    with pytest.raises(NotFound, match="Known: desk"):
        flows.draft("dusk")


def test_the_picture_names_every_agent_and_tool_and_hides_no_markup(desk: flows.Draft) -> None:
    drawn = flows.dot(desk.spec, ink="#000", accent="#0aa", faint="#999", alarm="#c00")
    for name in ("front", "money", "look_up", "pay_out", "high-stakes"):
        assert name in drawn
    assert '"agent:front" -> "agent:money"' in drawn
