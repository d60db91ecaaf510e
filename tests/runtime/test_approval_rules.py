"""Approval rules judge what a tool will take: no spelling of an argument slips past the person who must be asked."""

from __future__ import annotations

from typing import Any

import pytest
from agents.testing import assistant_message, function_call

from tests.flows_for_tests import CALLED, DESK
from tests.runtime.test_engine import run

NOTE = (
    "note: {kind: mock, effect: high-stakes, description: Writes a note, answers: [{answer: noted}],"
    " parameters: {type: object, properties: {tier: {}}}, approve: {tier: RULE}}"
)


def paid(amount: Any, rule: str) -> bool:
    """Whether a payment of `amount` is made without a person under an approval rule."""
    CALLED.clear()
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("pay_out", {"amount": amount}, call_id="c2")],
        [assistant_message("Paid.")],
    ]
    result = run(steps, flow=DESK.replace("{amount: {above: 50}}", f"{{amount: {rule}}}"))
    assert result.outcome == ("answered" if CALLED else "held")
    return bool(CALLED)


def noted(tier: Any, rule: str) -> bool:
    """Whether a note with an argument of no declared type is written without a person under an approval rule."""
    flow = DESK.replace("pay_out: {kind", f"{NOTE.replace('RULE', rule)}\n  pay_out: {{kind").replace(
        "[look_up, pay_out]", "[look_up, note]"
    )
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("note", {"tier": tier}, call_id="c2")],
        [assistant_message("Noted.")],
    ]
    result = run(steps, flow=flow)
    assert result.outcome in ("held", "answered")
    return result.outcome == "answered"


@pytest.mark.parametrize("amount", [3, 3.0, "3", " 3 ", "3.0", "3e0", True, "5", None])
def test_a_listed_number_asks_a_person_however_it_is_written(amount: Any) -> None:
    assert not paid(amount, "{in: [3, 1]}")


def test_a_number_that_is_not_listed_goes_on() -> None:
    assert paid(4, "{in: [3]}")


@pytest.mark.parametrize("amount", [60, "60", " 60", "5", True, "1e3"])
def test_an_amount_above_the_limit_or_of_another_type_asks_a_person(amount: Any) -> None:
    assert not paid(amount, "{above: 50}")
    assert paid(50, "{above: 50}")


@pytest.mark.parametrize(
    "tier", ["gold", "GOLD", " gold ", "ｇｏｌｄ", "go\u200bld", 7, True, ["gold"], {"a": "gold"}, None]
)
def test_a_listed_text_asks_a_person_however_it_is_written(tier: Any) -> None:
    assert not noted(tier, "{in: [gold]}")
    assert noted("silver", "{in: [gold]}")


def test_yes_and_no_are_not_numbers_to_a_rule() -> None:
    assert not noted(True, "{in: [true]}")
    assert noted(False, "{in: [true]}")
    assert not noted(1, "{in: [true]}")
    assert not noted(False, "{in: [1]}")
