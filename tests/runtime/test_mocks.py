"""Mocks: which answer stands in for a call, and that nothing else does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.flows_for_tests import CALLED, DESK, freeze
from workbench import runtime
from workbench.runtime import mocks
from workbench.runtime.mocks import Mock
from workbench.runtime.record import ToolCall
from workbench.runtime.spec import MockAnswer, MockTool

LOTS = settings(max_examples=200, deadline=None)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3),
    max_leaves=6,
)
given_arguments = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)


def called(name: str, arguments: Any) -> ToolCall:
    """A call as the engine tells it."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(agent="a", name=name, call_id="1", arguments=text, effect="read", started=0.0)


@pytest.mark.parametrize(
    ("when", "arguments", "fit"),
    [
        ({}, {}, True),
        ({}, {"amount": 5}, True),
        ({"amount": 5}, {"amount": 5}, True),
        ({"amount": 5}, {"amount": 5.0, "other": 1}, True),
        ({"amount": 5}, {"amount": "5"}, False),
        ({"amount": 5}, {}, False),
        ({"amount": None}, {}, False),
        ({"amount": None}, {"amount": None}, True),
        ({"gift": True}, {"gift": 1}, False),
        ({"gift": 1}, {"gift": True}, False),
        ({"gift": 0}, {"gift": False}, False),
        ({"gift": True}, {"gift": True}, True),
        ({"tags": [1, "a"]}, {"tags": [1, "a"]}, True),
        ({"tags": [1]}, {"tags": [True]}, False),
        ({"tags": [1, 2]}, {"tags": [2, 1]}, False),
        ({"to": {"city": "Bonn"}}, {"to": {"city": "Bonn"}}, True),
        ({"to": {"city": "Bonn"}}, {"to": {"city": "Bonn", "street": "A"}}, False),
        ({"amount": {"above": 50}}, {"amount": 50.01}, True),
        ({"amount": {"above": 50}}, {"amount": 50}, False),
        ({"amount": {"below": 5}}, {"amount": 4}, True),
        ({"amount": {"below": 5}}, {"amount": 5}, False),
        ({"amount": {"above": 5, "below": 10}}, {"amount": 7}, True),
        ({"amount": {"above": 5, "below": 10}}, {"amount": 11}, False),
        ({"amount": {"above": 5, "in": [7, 3]}}, {"amount": 7}, True),
        ({"amount": {"above": 5, "in": [7, 3]}}, {"amount": 3}, False),
        ({"amount": {"above": 0}}, {"amount": True}, False),
        ({"amount": {"above": 0}}, {"amount": "7"}, False),
        ({"amount": {"above": 0}}, {}, False),
        ({"city": {"in": ["Bonn", "Köln"]}}, {"city": "Köln"}, True),
        ({"city": {"in": ["Bonn", 1]}}, {"city": True}, False),
        ({"city": {"in": []}}, {"city": "Bonn"}, False),
        ({"to": {"above": 5, "city": "Bonn"}}, {"to": {"above": 5, "city": "Bonn"}}, True),
        ({"to": {"above": "sea level"}}, {"to": {"above": "sea level"}}, True),
        ({"to": {}}, {"to": {}}, True),
    ],
)
def test_an_answer_fits_where_every_named_argument_does(
    when: dict[str, Any], arguments: dict[str, Any], fit: bool
) -> None:
    assert mocks.fits(when, arguments) is fit


@LOTS
@given(arguments=given_arguments, more=given_arguments)
def test_arguments_fit_themselves_and_further_ones_do_not_matter(
    arguments: dict[str, Any], more: dict[str, Any]
) -> None:
    plain = {k: v for k, v in arguments.items() if not isinstance(v, dict)}
    assert mocks.fits(plain, {**more, **plain})


@LOTS
@given(limit=st.integers(-100, 100), value=st.integers(-100, 100))
def test_a_number_is_above_below_or_at_a_limit(limit: int, value: int) -> None:
    rules: list[Any] = [{"above": limit}, {"below": limit}, limit]
    assert [mocks.fits({"n": rule}, {"n": value}) for rule in rules].count(True) == 1


def test_the_first_answer_of_a_mocked_tool_that_fits_is_given() -> None:
    tool = MockTool(
        kind="mock",
        effect="read",
        description="Finds.",
        parameters={"type": "object"},
        answers=(
            MockAnswer(when={"order_id": 7}, answer={"status": "late"}),
            MockAnswer(when={"order_id": {"above": 100}}, error="There is no such order."),
            MockAnswer(when={"order_id": {"above": 0}}, answer="on its way"),
        ),
    )
    assert mocks.answer(tool, {"order_id": 7}) == tool.answers[0]
    assert mocks.answer(tool, {"order_id": 101}) == tool.answers[1]
    assert mocks.answer(tool, {"order_id": 8}) == tool.answers[2]
    assert mocks.answer(tool, {"order_id": -1}) is None
    assert mocks.answer(tool, {}) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"answer": 1}, "tool"),
        ({"tool": "a b"}, "tool"),
        ({"tool": "look_up", "anser": 1}, "anser"),
        ({"tool": "look_up", "when": []}, "when"),
        ({"tool": "look_up", "error": 5}, "error"),
    ],
)
def test_a_mock_that_cannot_be_used_is_refused(body: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Mock.model_validate(body)


def test_the_policy_answers_what_fits_and_lets_the_rest_be_called() -> None:
    answers = mocks.policy(
        [
            Mock(tool="look_up", when={"order_id": 7}, answer={"status": "spät"}),
            Mock(tool="look_up", when={"order_id": 8}, error="The system is down."),
            Mock(tool="pay_out", answer="paid"),
        ]
    )
    assert answers(called("look_up", {"order_id": 7})) == {"output": '{"status": "spät"}', "error": ""}
    assert answers(called("look_up", {"order_id": 8})) == {"output": "", "error": "The system is down."}
    assert answers(called("pay_out", {"amount": 1})) == {"output": "paid", "error": ""}
    assert answers(called("pay_out", "")) == {"output": "paid", "error": ""}
    assert answers(called("look_up", {"order_id": 9})) is None
    assert answers(called("other", {})) is None
    assert answers(called("pay_out", "not json")) is None
    assert answers(called("pay_out", "[1]")) is None


def test_arguments_that_are_nested_too_deeply_are_refused_and_no_tool_is_called() -> None:
    deep = called("look_up", {})
    deep.arguments = '{"order_id": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert mocks.policy([Mock(tool="look_up", answer="fine")])(deep) == {
        "output": "",
        "error": "The arguments of look_up are nested too deeply.",
    }


def test_a_run_is_answered_by_its_mocks_and_the_tool_is_not_called() -> None:
    flow = freeze(DESK.replace("handoffs: [money]}", "handoffs: [money], tools: [look_up]}", 1))
    mock = Mock(tool="look_up", when={"order_id": 42}, answer={"status": "under repair"})
    CALLED.clear()
    result = asyncio.run(runtime.run(flow, "Where is order 42?", answers=mocks.policy([mock])))
    assert "under repair" in result.reply
    assert CALLED == []
    assert "late" in asyncio.run(runtime.run(flow, "Where is order 7?", answers=mocks.policy([mock]))).reply
    assert CALLED == [("look_up", 7)]
