"""The risk–coverage curve: what each threshold answers, and how often that is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import releases
from workbench.access import Actor
from workbench.errors import Invalid
from workbench.evals import abstaining
from workbench.evals.abstaining import Point, Scored

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
