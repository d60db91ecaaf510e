"""Where a prompt is used, and what its flows give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows_for_tests import DESK
from tests.releases import desk as ready
from workbench import flows, prompts, releases
from workbench.access import Actor
from workbench.flows import uses
from workbench.runtime import spec


@pytest.fixture
def desk(database: str, architect: Actor) -> flows.Draft:
    """The test desk as a draft, with its prompts and one that nobody uses."""
    prompts.save(architect, "desk/front", "You work for $shop.")
    prompts.save(architect, "desk/money", "You pay for $shop. Call `pay_out` and `look_up`.")
    prompts.save(architect, "desk/spare", "Nobody reads this.")
    return flows.put(architect, DESK)[0]


def test_a_draft_that_follows_the_newest_number_is_told_with_it(desk: flows.Draft, architect: Actor) -> None:
    prompts.save(architect, "desk/front", "You work for $shop. Be kind.")
    (use,) = uses.uses("desk/front")
    assert (use.flow, use.agent, use.words, use.number, use.fixed) == ("desk", "front", "draft", 2, False)


def test_a_draft_that_names_a_number_is_told_with_that(desk: flows.Draft, architect: Actor) -> None:
    prompts.save(architect, "desk/front", "You work for $shop. Be kind.")
    flows.save(architect, spec.read(DESK.replace("prompt: desk/front", "prompt: desk/front@1")), base=desk.version)
    (use,) = uses.uses("desk/front")
    assert (use.number, use.fixed) == (1, True)


def test_what_nobody_uses_has_no_use(desk: flows.Draft) -> None:
    assert uses.uses("desk/spare") == []
    assert uses.uses("desk/unknown") == []
    assert set(uses.used()) == {"desk/front", "desk/money"}


def test_releases_and_their_environments_are_told_with_the_frozen_number(migrated: Path, architect: Actor) -> None:
    ready.prepare(architect)
    ready.evaluate(architect)
    releases.promote(architect, "desk", "production")
    prompts.save(architect, "desk/front", "You work for $shop. Be kind.")
    told = [(one.words, one.number) for one in uses.uses("desk/front")]
    assert told == [("draft", 2), ("release v1, in production", 1)]


def test_named_versions_of_a_draft_are_told(migrated: Path, architect: Actor) -> None:
    versions = pytest.importorskip("workbench.flows.versions")
    prompts.save(architect, "desk/front", "You work for $shop.")
    prompts.save(architect, "desk/money", "You pay for $shop.")
    made = flows.put(architect, DESK)[0]
    versions.add(architect, "desk", "before the sale", base=made.version)
    prompts.save(architect, "desk/front", "You work for $shop. Be kind.")
    told = [(one.words, one.number) for one in uses.uses("desk/front")]
    assert told == [("draft", 2), ("draft version 1", 1)]


def test_a_setting_has_the_values_of_the_drafts_and_the_tools_that_every_agent_has(
    desk: flows.Draft, architect: Actor
) -> None:
    given = uses.setting("desk/money")
    assert given.values == {"shop": "Fernhill"}
    assert given.tools is not None
    assert {"look_up", "pay_out", "escalate", "abstain", "transfer_to_front"} <= given.tools
    assert uses.setting("desk/spare") == uses.Setting()
    shared = DESK.replace("prompt: desk/front", "prompt: desk/money").replace("flow: desk", "flow: other")
    flows.put(architect, shared)
    both = uses.setting("desk/money").tools
    assert both is not None
    assert "pay_out" not in both


def test_remarks_know_the_tools_and_variables_of_the_drafts(desk: flows.Draft, architect: Actor) -> None:
    assert uses.remarks(prompts.versions("desk/money")[0]) == []
    prompts.save(architect, "desk/money", "You pay for $shop_name. Call `pay_ot`.")
    found = uses.remarks(prompts.versions("desk/money")[0])
    assert [(one.kind, one.why) for one in found] == [
        ("variable", "No flow that uses this prompt gives $shop_name a value."),
        ("tool", "The agent has no tool pay_ot."),
    ]
    prompts.save(architect, "desk/spare", "You pay for $shop_name. Call `pay_ot`.")
    assert uses.remarks(prompts.versions("desk/spare")[0]) == []
