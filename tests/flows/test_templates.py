"""The templates: each runs offline, is guarded, and passes every one of its own cases."""

from __future__ import annotations

import asyncio
import string
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from workbench import datasets, flows, prompts, runtime
from workbench.access import Actor
from workbench.datasets import Case
from workbench.evals.evaluators import score
from workbench.flows.coverage import coverage
from workbench.runtime import Release
from workbench.runtime.spec import FlowSpec

TEMPLATES = {one.name: one.spec for one in flows.templates(ROOT / "data" / "seed" / "flows")}
NAMES = ("help-answers", "incident-lookup", "invoices", "refunds", "order-desk")
CASES = ROOT / "data" / "seed" / "cases"


def cases(name: str) -> list[Case]:
    """The cases of a template."""
    return datasets.read((CASES / f"{name}.jsonl").read_text(encoding="utf-8"))


@pytest.fixture
def library(migrated: Path) -> None:
    """The committed prompts, taken in."""
    prompts.take_in()


def answer(release: Release, given: list[Case]) -> list[dict[str, Any]]:
    """The record of each case, run offline one after the other."""

    async def run() -> list[dict[str, Any]]:
        models = runtime.Models()
        try:
            talks = [(one.question, runtime.Conversation(id=one.id, items=one.history)) for one in given]
            return [(await runtime.run(release, text, models=models, conversation=talk)).record for text, talk in talks]
        finally:
            await models.aclose()

    return asyncio.run(run())


def calls(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a run."""
    return [call for call in record["calls"] if call["kind"] == "tool"]


def test_the_gallery_begins_with_one_agent_and_ends_with_the_network() -> None:
    assert tuple(TEMPLATES) == NAMES
    assert [len(spec.agents) for spec in TEMPLATES.values()] == [1, 1, 1, 1, 3]
    assert {path.stem for path in CASES.glob("*.jsonl")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_case_of_a_template_passes_offline(library: None, name: str) -> None:
    release, given = flows.freeze(TEMPLATES[name]), cases(name)
    records = answer(release, given)
    failing = {}
    for case, record in zip(given, records, strict=True):
        scores = score(case, record)
        assert scores, f"{case.id} expects nothing"
        if wrong := [f"{one.evaluator}: {one.why}" for one in scores if not one.passed]:
            failing[case.id] = [*wrong, record["reply"]]
        if case.expected.outcome in ("abstained", "escalated"):
            assert {call["effect"] for call in calls(record)} <= {"read"}, case.id
        if case.expected.outcome in ("blocked", "held"):
            assert not [call for call in calls(record) if call["effect"] != "read" and not call["error"]], case.id
    rate = 1 - len(failing) / len(given)
    assert (rate, failing) == (1.0, {})


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_cases_for_each_way_out(name: str) -> None:
    given, spec = cases(name), TEMPLATES[name]
    outcomes = {case.expected.outcome for case in given}
    assert len(given) >= 10
    assert {"answered", "abstained", "escalated", "blocked"} <= outcomes
    assert any(case.history for case in given)
    assert any(case.polarity == "must-stay" for case in given)
    approved = [tool for tool in spec.tools.values() if tool.approve]
    assert ("held" in outcomes) == bool(approved)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_checked_guarded_limited_and_chartered(library: None, name: str) -> None:
    spec = TEMPLATES[name]
    assert [one for one in flows.findings(spec) if one.level == "error"] == []
    assert coverage(spec).holes == ()
    assert {one.on for one in spec.guardrails} == {"input", "tool_result", "reply"}
    assert spec.limits.turns <= 12
    assert spec.charter is not None
    assert all((spec.charter.problem, spec.charter.kpi, spec.charter.target, spec.charter.guard, spec.charter.owner))
    assert all(tool.approve for tool in spec.tools.values() if tool.effect == "high-stakes")


@pytest.mark.parametrize("name", NAMES)
def test_the_prompts_of_a_template_are_files_with_front_matter(name: str) -> None:
    spec: FlowSpec = TEMPLATES[name]
    for agent, one in spec.agents.items():
        assert one.prompt == f"{name}/{agent}"
        head, text = prompts.front_matter(ROOT / "prompts" / one.prompt / "001.md")
        assert head["purpose"]
        assert head["owner"]
        assert head["variables"] == string.Template(text).get_identifiers() == list(spec.variables)


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_begun_from_a_template_runs_with_prompts_of_its_own(library: None, architect: Actor, name: str) -> None:
    made = flows.begin(architect, name, f"my-{name}")
    assert {one.prompt for one in made.spec.agents.values()} == {f"my-{name}/{agent}" for agent in made.spec.agents}
    first = next(case for case in cases(name) if case.expected.outcome == "answered" and not case.history)
    [record] = answer(flows.freeze(made.spec), [first])
    assert record["outcome"] == "answered"


@pytest.mark.parametrize("name", NAMES)
def test_the_coverage_map_tells_what_the_engine_does(library: None, name: str) -> None:
    found = {one.agent: one for one in coverage(TEMPLATES[name]).agents}
    for record in answer(flows.freeze(TEMPLATES[name]), cases(name)):
        if record["outcome"] in ("blocked", "held"):
            continue
        fired = {(one["on"], one["name"], one["about"]) for one in record["guardrails"]}
        expected = {("input", guard, "") for guard in found[record["agent"]].on_input}
        expected |= {("reply", guard, record["agent"]) for guard in found[record["agent"]].on_reply}
        for call in calls(record):
            if call["name"] not in ("abstain", "escalate"):
                expected |= {("tool_result", guard, call["call_id"]) for guard in found[call["agent"]].on_results}
        assert fired == expected, record["question"]


def test_what_scores_below_the_threshold_is_not_answered(library: None) -> None:
    spec = TEMPLATES["help-answers"]
    assert spec.knowledge is not None
    strict = spec.model_copy(update={"knowledge": spec.knowledge.model_copy(update={"abstain_below": 1.0})})
    asked = [case for case in cases("help-answers") if case.id == "refund-time"]
    outcomes = [answer(flows.freeze(one), asked)[0]["outcome"] for one in (spec, strict)]
    assert outcomes == ["answered", "abstained"]


def test_refunds_up_to_the_limit_are_made_and_above_it_wait(library: None) -> None:
    release = flows.freeze(TEMPLATES["refunds"])
    wanted = [case for case in cases("refunds") if "limit" in case.tags]
    below, above = answer(release, wanted)
    assert [call["name"] for call in calls(below)] == ["find_order", "refund_order"]
    assert [call["name"] for call in calls(above) if not call["error"] and call["effect"] != "read"] == []
    assert [one["tool"] for one in above["waiting"]] == ["refund_order"]
