"""Quantiles out of counted bins, by hand; and what is kept of the last answers."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.tickets import bins, rollups
from workbench.tickets.answers import Answers

SECOND = 1e6


def test_the_median_of_tickets_in_one_bin_lies_in_its_middle_and_of_two_groups_each_has_its_own() -> None:
    kept, held, first = np.array([8, 4, 12]), np.array([10, 1, 3]), np.array([0, 1])
    found = bins.quantiles(kept, held, first, 0.5)["value"] / SECOND
    middle = 2 ** (8.5 / rollups.PER_OCTAVE)
    assert found[0] == pytest.approx(middle)
    assert found[1] == pytest.approx(2 ** ((12 + 1 / 3) / rollups.PER_OCTAVE))


def test_the_interval_of_a_quantile_holds_it_and_is_wider_for_fewer_tickets() -> None:
    kept, first = np.arange(20), np.array([0])
    widths = []
    for each in (2, 200):
        found = bins.quantiles(kept, np.full(20, each), first, 0.5)
        assert found["low"][0] < found["value"][0] < found["high"][0]
        widths.append(found["high"][0] - found["low"][0])
    assert widths[0] > 5 * widths[1]


def test_a_group_begins_where_a_key_changes_and_where_one_is_empty() -> None:
    days = np.ma.masked_array([1, 1, 2, 2, 7, 8], mask=[False] * 4 + [True] * 2)
    assert list(bins.starts([np.array(["a", "a", "a", "b", "b", "b"], dtype=object), days])) == [0, 2, 3, 4]
    assert list(bins.starts([np.array([], dtype=object)])) == []


def test_what_was_asked_longest_ago_is_forgotten_first_and_a_long_answer_is_not_kept() -> None:
    answers = Answers(most=20)
    for name in ("a", "b"):
        answers.keep(name, 2, name.upper())
    answers.keep("long", 3, "LONG")
    assert (answers.get("a"), answers.get("b"), answers.get("long")) == ("A", "B", None)
    answers.get("a")
    for number in range(9):
        answers.keep(number, 2, number)
    assert (answers.get("a"), answers.get("b")) == ("A", None)
    answers.forget()
    assert answers.get("a") is None
