"""Groups at the same mix of tickets: the regression's laws, its simulation, and the page."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from tests.conftest import Fill
from tests.tickets.files import ADMIN, MakeCsv
from workbench import settings
from workbench.errors import Invalid
from workbench.tickets import load, scorecard
from workbench.tickets.standardise import Standings, standings

MIXES = np.array([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]])
SATISFIED = np.array([0.9, 0.8, 0.7, 0.55])
"""The share of satisfied customers of each of four kinds of tickets, whoever handles them."""


def of(label: npt.NDArray[np.int64], stratum: npt.NDArray[np.int64], value: npt.NDArray[np.floating[Any]]) -> Standings:
    cell, inverse = np.unique(label * 100 + stratum, return_inverse=True)
    sums = [np.bincount(inverse, weights=weights) for weights in (np.ones(len(value)), value, value**2)]
    names = {"label": (cell // 100).astype(str), "stratum": (cell % 100).astype(str)}
    return standings(pd.DataFrame({**names, **dict(zip(("n", "total", "squares"), sums, strict=True))}))


def two_vendors(count: int, seed: int) -> tuple[Standings, float]:
    """Two vendors of the same quality with unlike mixes, and what both would show with everybody's tickets."""
    chance = np.random.default_rng(seed)
    vendor = chance.integers(0, 2, count)
    kind = np.where(vendor == 0, chance.choice(4, count, p=MIXES[0]), chance.choice(4, count, p=MIXES[1]))
    value = 100.0 * (chance.random(count) < SATISFIED[kind])
    return of(vendor, kind, value), float(100 * SATISFIED[kind].mean())


def test_two_vendors_of_equal_quality_and_unlike_mix_differ_raw_by_17_points_and_adjusted_by_less_than_1() -> None:
    (one, other), _ = two_vendors(60_000, 3)[0].groups, None
    assert one.adjusted is not None and other.adjusted is not None
    assert round(one.raw - other.raw) == 17
    assert abs(one.adjusted - other.adjusted) < 1


def test_the_interval_holds_the_truth_in_at_least_93_of_100_simulations() -> None:
    inside = []
    for seed in range(200):
        found, truth = two_vendors(1500, seed)
        inside += [
            one.low is not None and one.high is not None and one.low <= truth <= one.high for one in found.groups
        ]
    assert np.mean(inside) >= 0.93


def test_a_true_difference_is_found_whatever_the_mix() -> None:
    chance = np.random.default_rng(5)
    vendor = chance.integers(0, 2, 40_000)
    kind = np.where(vendor == 0, chance.choice(4, 40_000, p=MIXES[0]), chance.choice(4, 40_000, p=MIXES[1]))
    value = np.array([10.0, 20.0, 30.0, 40.0])[kind] - 4.0 * vendor + chance.normal(0, 3, 40_000)
    one, other = of(vendor, kind, value).groups
    assert one.adjusted is not None and other.adjusted is not None
    assert round(one.adjusted - other.adjusted, 0) == 4


def test_with_one_kind_of_ticket_the_adjusted_mean_is_the_raw_one() -> None:
    found = of(np.array([0, 0, 1, 1]), np.zeros(4, dtype=np.int64), np.array([1.0, 2.0, 4.0, 5.0]))
    assert [one.raw for one in found.groups] == [1.5, 4.5]
    assert [round(one.adjusted or 0, 9) for one in found.groups] == [1.5, 4.5]


def test_a_group_that_shares_no_kind_of_ticket_is_not_compared() -> None:
    label, stratum = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 7])
    found = {one.label: one for one in of(label, stratum, np.array([1.0, 2.0, 3.0, 4.0, 100.0])).groups}
    assert found["2"].adjusted is None
    assert found["2"].comparable == 0
    assert found["0"].adjusted == pytest.approx(1.5)


rows = some.lists(
    some.tuples(some.integers(0, 3), some.integers(0, 4), some.integers(-50, 50)), min_size=2, max_size=60
)


@profile(deadline=None, max_examples=60)
@given(rows)
def test_the_means_at_the_same_mix_average_to_the_mean_of_all(given_rows: list[tuple[int, int, int]]) -> None:
    label, stratum, value = (np.array(column) for column in zip(*given_rows, strict=True))
    found = of(label, stratum, value.astype(np.float64))
    known = [one for one in found.groups if one.adjusted is not None]
    if len(known) < 2:
        return
    total = sum(one.n * (one.adjusted or 0.0) for one in known)
    assert total / sum(one.n for one in known) == pytest.approx(found.mean, abs=1e-6)


@profile(deadline=None, max_examples=60)
@given(rows, some.randoms(use_true_random=False))
def test_the_order_of_tickets_changes_nothing(given_rows: list[tuple[int, int, int]], chance: object) -> None:
    shuffled = list(given_rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        of(*(np.array(column) for column in zip(*order, strict=True))).groups for order in (given_rows, shuffled)
    )
    assert [(a.label, a.n, a.comparable) for a in one] == [(b.label, b.n, b.comparable) for b in other]
    for a, b in zip(one, other, strict=True):
        assert (a.adjusted is None) == (b.adjusted is None)
        if a.adjusted is not None:
            assert a.adjusted == pytest.approx(b.adjusted, abs=1e-6)


def test_the_sample_shop_has_a_slow_vendor_and_a_good_one(fill: Fill) -> None:
    fill(count=8_000, days=365, until=dt.date(2026, 3, 31))
    found = scorecard.scorecard()
    verdicts = {board.measure.name: {one.label: one.verdict for one in board.figures} for board in found.boards}
    assert verdicts["resolution"] == {"Northwind": "better", "Calder": "worse", "Brightline": "better"}
    assert verdicts["reopened"]["Brightline"] == "better"
    assert [str(card.calibration) for card in found.cards] == ["no verdicts yet"] * 3


def test_a_dimension_is_not_held_against_itself(home: Path) -> None:
    with pytest.raises(Invalid, match="Vendor cannot be compared at the same vendor"):
        scorecard.scorecard("vendor", mixed=["vendor"])


def test_a_few_tickets_are_not_judged(home: Path, make_csv: MakeCsv) -> None:
    made = [
        {"ticket_id": str(i), "created_at": "2026-03-01T10:00:00Z", "vendor": "AB"[i % 2], "csat": 1 + 4 * (i % 2)}
        for i in range(20)
    ]
    load(ADMIN, make_csv(made), mapping=None)
    board = scorecard.scorecard().boards[0]
    assert [(one.label, one.raw, one.verdict) for one in board.figures] == [
        ("A", 1.0, "too few"),
        ("B", 5.0, "too few"),
    ]


def test_the_page_says_in_words_who_does_better_with_the_same_tickets(fill: Fill) -> None:
    fill(count=8_000, days=365, until=dt.date(2026, 3, 31))
    page = AppTest.from_file(settings.ROOT / "pages" / "vendors.py", default_timeout=20)
    page.query_params["period"] = "All"
    page.query_params["measure"] = "Resolution, typical"
    page.run()
    assert not page.exception
    said = "\n".join(element.value for element in page.markdown).replace("\\", "")
    assert "Calder:" in said
    assert "worse than all together" in said
    table = page.dataframe[0].value
    assert list(table["group"]) == ["Northwind", "Calder", "Brightline"]
    assert table["resolution"][1].endswith("h ▼")


def test_without_tickets_the_page_tells_the_next_step(home: Path) -> None:
    page = AppTest.from_file(settings.ROOT / "workbench" / "app.py", default_timeout=60)
    page.switch_page(str(settings.ROOT / "pages" / "vendors.py")).run()
    assert not page.exception
    assert any("There are no tickets yet" in element.value for element in page.markdown)
    assert any("Load tickets first" in element.value for element in page.caption)
