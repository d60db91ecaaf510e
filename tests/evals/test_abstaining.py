"""The risk–coverage curve: what each threshold answers, and how often that is wrong."""

from __future__ import annotations

import asyncio
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pages.test_every_page import opened, words
from workbench import access, datasets, evals, jobs, releases, runtime, traces
from workbench.access import Actor
from workbench.datasets.cases import add
from workbench.errors import Invalid
from workbench.evals import abstaining
from workbench.evals.abstaining import Point, Scored
from workbench.store import session

CASES = [Scored("a", 0.9, True), Scored("b", 0.6, True), Scored("c", 0.5, False), Scored("d", 0.1, False)]


def test_a_threshold_between_good_and_bad_answers_half_and_is_never_wrong() -> None:
    assert abstaining.point(CASES, 0.55) == Point(0.55, coverage=0.5, risk=0.0, missed=0.0)
    assert abstaining.point(CASES, 0.0) == Point(0.0, coverage=1.0, risk=0.5, missed=0.0)
    assert abstaining.point(CASES, 0.95) == Point(0.95, coverage=0.0, risk=None, missed=0.5)
    assert abstaining.trace(CASES, 0.35).best.threshold == 0.6


@given(st.lists(st.builds(Scored, st.just("x"), st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_a_higher_threshold_never_answers_more(cases: list[Scored]) -> None:
    points = abstaining.trace(cases, 0.35).points
    assert points[0].coverage == 1.0
    assert points[-1].coverage == 0.0
    assert all(a.coverage >= b.coverage and a.missed <= b.missed for a, b in itertools.pairwise(points))
    assert all(p.risk is None or 0 <= p.risk <= 1 for p in points)


def test_the_sample_flow_has_a_curve_with_its_present_threshold(seeded: Path, architect: Actor) -> None:
    found = abstaining.curve(architect, releases.resolve("order-desk"), "order-desk")
    assert found.present.threshold == pytest.approx(0.35, abs=0.2)
    assert 0 < found.present.coverage <= 1


def test_a_dataset_with_one_kind_of_case_only_is_refused() -> None:
    with pytest.raises(Invalid, match="no cases"):
        abstaining.trace([], 0.3)


def case(**body: Any) -> datasets.Case:
    """A case from plain data."""
    return datasets.case_of({"id": "one", "input": "Where is my order 1042?", **body}, where="case")


def test_a_case_says_itself_whether_knowledge_ought_to_answer_it() -> None:
    search = {"outcome": "answered", "tools": [{"name": "search_knowledge"}]}
    assert abstaining.answerable(case(expected=search)) is True
    assert abstaining.answerable(case(expected={"outcome": "abstained"})) is False
    told: dict[str, dict[str, Any]] = {
        "it expects a tool": {"expected": {"outcome": "answered", "tools": [{"name": "find_order"}]}},
        "it expects the outcome blocked": {"expected": {"outcome": "blocked"}},
        "it mocks a tool": {"expected": {"contains": "late"}, "mocks": [{"tool": "find_order", "answer": "late"}]},
        "it expects nothing of the answer": {},
    }
    assert {abstaining.unsaid(case(**body)): abstaining.answerable(case(**body)) for body in told.values()} == (
        dict.fromkeys(told)
    )


def left(actor: Actor, flow: str = "order-desk", dataset: str = "order-desk") -> dict[str, str]:
    """The cases that a curve leaves out, and why."""
    return {one.case_id: one.why for one in abstaining.curve(actor, releases.resolve(flow), dataset).left}


def test_a_case_that_a_tool_answered_in_its_last_passing_run_is_left_out(seeded: Path, architect: Actor) -> None:
    actor = access.local("architect")
    body = {"input": "When will order 1007 arrive?", "expected": {"outcome": "answered"}}
    known = {"input": "How long do I have to send something back?", "expected": {"contains": "30"}}
    declined = {"input": "What is the capital of Mongolia?", "expected": {"outcome": "abstained"}}
    given: dict[str, dict[str, Any]] = {"arrives": body, "returns": known, "capital": declined}
    datasets.put(actor, "three", [datasets.case_of({"id": one, **rest}, where=one) for one, rest in given.items()])
    assert left(architect, dataset="three") == {}
    jobs.run_here(evals.create(architect, releases.resolve("order-desk"), "three").job_id)
    assert left(architect, dataset="three") == {"arrives": "its last run answers from the tool track_parcel"}


def test_a_case_made_of_a_good_run_that_a_tool_answered_is_left_out(seeded: Path, architect: Actor) -> None:
    result = asyncio.run(
        runtime.run(releases.resolve("order-desk"), "When will order 1007 arrive?", sink=traces.sink())
    )
    assert traces.flush()
    one = case(id="made", input="When will order 1007 arrive?", expected={"outcome": "answered"}, polarity="must-stay")
    with session() as open_session:
        add(open_session, architect, "order-desk", [one], run_id=result.run_id)
    assert left(architect)["made"] == "its last run answers from the tool track_parcel"


def test_a_case_about_nothing_in_the_knowledge_that_expects_words_of_a_tool_is_left_out(
    seeded: Path, architect: Actor
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "tool": {"input": "Zzyzx 1007?", "expected": {"contains": "DHL-7788"}},
        "unknown": {"input": "Qwfp?", "expected": {"outcome": "answered"}},
    }
    datasets.put(architect, "order-desk", [datasets.case_of({"id": k, **b}, where=k) for k, b in bodies.items()])
    found = left(architect)
    assert found["tool"] == "nothing in the knowledge is about it"
    assert "unknown" not in found


def test_the_page_says_how_many_cases_are_left_out_and_why(seeded: Path) -> None:
    app = opened("evaluate", "architect")
    app.toggle(key="declining").set_value(True).run()
    assert [e.message for e in app.exception] == []
    assert re.search(r"\d+ cases are left out: \d+ because it expects .*?; \d+ because ", words(app))
