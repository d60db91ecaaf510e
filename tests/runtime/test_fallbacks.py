"""Fallbacks: what a run does where a model or a tool fails; and what an agent receives when it is handed over to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from agents import Model
from agents.testing import ScriptedModel, assistant_message, function_call

from tests.flows_for_tests import CALLED, DESK, Scripted, freeze
from workbench import runtime
from workbench.runtime import Models, Result, Roles, Words
from workbench.traces.replay import replay_record


class ByRole(Models):
    """A script for each role."""

    def __init__(self, **scripts: list[Any]) -> None:
        super().__init__(Roles())
        self.scripts = {role: ScriptedModel(list(steps)) for role, steps in scripts.items()}

    def get_model(self, model_name: str | None) -> Model:
        """The script of the role."""
        return self.scripts[model_name or "main"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("workbench.runtime").setLevel(logging.ERROR)
    yield
    logging.getLogger("workbench.runtime").setLevel(logging.NOTSET)


DOWN = ConnectionError("no route")
FRONT = "front: {prompt: desk/front, model: small, handoffs: [money]"


def flow(fallback: str) -> str:
    """The desk whose first agent has a fallback."""
    return DESK.replace(FRONT, f"{FRONT}, fallback: {fallback}")


def run(text: str, models: Models, *, streamed: bool = False) -> tuple[Result, str]:
    """The result, and the words that streamed."""
    CALLED.clear()

    async def collect() -> tuple[Result, str]:
        if not streamed:
            return await runtime.run(freeze(text), "My order is late", models=models), ""
        seen = [event async for event in runtime.stream(freeze(text), "My order is late", models=models)]
        assert isinstance(seen[-1], Result)
        return seen[-1], "".join(event.text for event in seen if isinstance(event, Words))

    return asyncio.run(collect())


@pytest.mark.parametrize("streamed", [False, True])
def test_another_role_answers_where_the_first_one_fails(streamed: bool) -> None:
    models = ByRole(small=[DOWN], reasoning=[[assistant_message("Good day.")]])
    result, words = run(flow("{model: reasoning}"), models, streamed=streamed)
    assert (result.outcome, result.reply) == ("answered", "Good day.")
    assert words == ("Good day." if streamed else "")
    calls = [(c["role"], bool(c["error"])) for c in result.record["calls"]]
    assert calls == [("small", True), ("reasoning", False)]
    assert str(replay_record(result.record, freeze(flow("{model: reasoning}")))) == "faithful"


def test_another_agent_takes_over_with_what_was_done_so_far() -> None:
    text = DESK.replace("money: {prompt: desk/money,", "money: {prompt: desk/money, fallback: {agent: front},")
    models = ByRole(
        small=[[function_call("transfer_to_money", {}, call_id="c1")], [assistant_message("It is late, sorry.")]],
        main=[[function_call("look_up", {"order_id": 1042}, call_id="c2")], DOWN],
    )
    result, _ = run(text, models)
    assert (result.outcome, result.agent, result.reply) == ("answered", "front", "It is late, sorry.")
    last = [c for c in result.record["calls"] if c["kind"] == "model"][-1]["request"]["input"]
    assert [i.get("type", i.get("role")) for i in last][-2:] == ["function_call", "function_call_output"]
    assert CALLED == [("look_up", 1042)]
    assert str(replay_record(result.record, freeze(text))) == "faithful"


def test_two_agents_that_fall_back_on_each_other_end() -> None:
    text = flow("{agent: money}").replace(
        "money: {prompt: desk/money,", "money: {prompt: desk/money, fallback: {agent: front},"
    )
    result, _ = run(text, ByRole(small=[DOWN, DOWN], main=[DOWN]))
    assert result.outcome == "error"
    assert [c["agent"] for c in result.record["calls"]] == ["front", "money", "front"]


def test_a_fixed_reply_is_given_where_nothing_else_helps_and_the_outcome_is_still_an_error() -> None:
    result, _ = run(flow("{reply: We will write to you soon.}"), ByRole(small=[DOWN]))
    assert (result.outcome, result.reply) == ("error", "We will write to you soon.")
    assert result.error == "The model's answer could not be read (ConnectionError)."


def test_a_tool_that_fails_answers_with_its_fallback() -> None:
    text = DESK.replace(
        "look_up: {kind: python, call: look_up}", "look_up: {kind: python, call: look_up, fallback: unknown}"
    )
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("look_up", {"order_id": 13}, call_id="c2")],
        [assistant_message("I do not know.")],
    ]
    result = asyncio.run(runtime.run(freeze(text), "My order is late", models=Scripted(steps)))
    call = next(c for c in result.record["calls"] if c["kind"] == "tool")
    assert (call["output"], call["error"]) == ("unknown", "look_up failed (ZeroDivisionError).")
    assert str(replay_record(result.record, freeze(text))) == "faithful"


def test_an_escalation_carries_summary_facts_and_open_question() -> None:
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("look_up", {"order_id": 1042}, call_id="c2")],
        [function_call("escalate", {"summary": "The order is late.", "question": "Pay more?"}, call_id="c3")],
        [assistant_message("A colleague will write to you.")],
    ]
    result = asyncio.run(runtime.run(freeze(), "My order is late", models=Scripted(steps)))
    assert result.outcome == "escalated"
    assert result.record["escalation"] == {
        "summary": "The order is late.",
        "question": "Pay more?",
        "facts": [
            {"tool": "look_up", "arguments": '{"order_id":1042}', "answer": '{"order_id": 1042, "status": "late"}'}
        ],
    }


@pytest.mark.parametrize(
    ("receives", "kinds"),
    [
        ("all", ["user", "assistant", "user", "function_call", "function_call_output"]),
        ("messages", ["user", "assistant", "user"]),
        ("last", ["user"]),
    ],
)
def test_an_agent_receives_what_its_flow_says_of_the_conversation(receives: str, kinds: list[str]) -> None:
    text = DESK.replace("money: {prompt: desk/money,", f"money: {{prompt: desk/money, receives: {receives},")
    talk = runtime.Conversation(
        id="conv_1", items=({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."})
    )
    steps = [[function_call("transfer_to_money", {}, call_id="c1")], [assistant_message("Yes?")]]
    result = asyncio.run(runtime.run(freeze(text), "My order is late", models=Scripted(steps), conversation=talk))
    asked = [c for c in result.record["calls"] if c["kind"] == "model"][1]["request"]["input"]
    assert [i.get("type", i.get("role")) for i in asked] == kinds
    assert asked[-1 if receives != "all" else 2]["content"] == "My order is late"


def test_an_output_schema_that_points_elsewhere_is_never_fetched() -> None:
    schema = '{type: object, properties: {a: {$ref: "http://127.0.0.1:9/schema"}}}'
    text = DESK.replace(FRONT, f"{FRONT}, output: {schema}")
    result = asyncio.run(runtime.run(freeze(text), "Hello", models=Scripted([[assistant_message('{"a": 1}')]])))
    assert result.outcome == "error"
    assert "its schema points outside itself" in result.error
