"""Checks hold what they guard: beside tools that hang, when they cannot be stopped, and before the first word is shown."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from agents import Model, ModelResponse
from agents.testing import assistant_message, function_call

from tests.flows_for_tests import CALLED, DESK, Scripted, freeze
from tests.runtime.test_engine import run
from workbench import runtime
from workbench.runtime import ToolContext, Words, guardrails, tool, tools
from workbench.runtime.offline.events import events

TOPIC = "settings: {topics: {politics: [election]}, deny: [politics]}"
OPEN, BEGUN = threading.Event(), threading.Event()


@pytest.fixture
def stuck() -> Iterator[str]:
    """A tool whose calls hang until the test ends."""

    @tool(effect="read")
    def stuck(context: ToolContext) -> str:
        """Hang."""
        BEGUN.set()
        OPEN.wait(60)
        return "done"

    OPEN.clear()
    BEGUN.clear()
    yield "stuck: {kind: python, call: stuck, timeout: 60}"
    OPEN.set()
    del tools._catalogue["stuck"]


def guarded(listed: str, text: str = DESK) -> str:
    """The desk with other guardrails."""
    head, _, rest = text.partition("guardrails:")
    return f"{head}guardrails:\n  - {{{listed}}}\nvariables{rest.partition('variables')[2]}"


def test_forty_tools_that_hang_do_not_hold_up_the_checks(stuck: str) -> None:
    hanging = DESK.replace("look_up: {kind", f"{stuck}\n  look_up: {{kind").replace("[look_up, ", "[stuck, look_up, ")
    steps = [[function_call("transfer_to_money", {}, call_id="c1")], [function_call("stuck", {}, call_id="c2")]]

    async def work() -> list[runtime.Result]:
        frozen = freeze(hanging)
        others = [asyncio.create_task(runtime.run(frozen, "Hello", models=Scripted(steps))) for _ in range(40)]
        while not BEGUN.is_set():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        flow = freeze(guarded(f"name: t, on: input, check: topic, timeout: 10, {TOPIC}"))
        said = ("Who wins the election?", "Where is my order?")
        told = [await runtime.run(flow, one, models=Scripted([[assistant_message("Hello.")]])) for one in said]
        OPEN.set()
        await asyncio.gather(*others)
        return told

    about, other = asyncio.run(work())
    assert (about.outcome, about.error) == ("blocked", "t: it is about politics")
    assert (other.outcome, other.reply) == ("answered", "Hello.")


@pytest.fixture
def slow() -> Iterator[None]:
    """Checks that cannot be stopped and then find nothing: one that reads as words come, one that reads the whole."""

    def slow_rule(text: str) -> None:
        time.sleep(0.3)

    def slow_whole(text: str) -> None:
        time.sleep(0.3)

    guardrails.check("For tests.", reach=10)(slow_rule)
    guardrails.check("For tests.")(slow_whole)
    yield
    del guardrails._checks["slow_rule"], guardrails._checks["slow_whole"]


@pytest.mark.parametrize("check", ["slow_rule", "slow_whole"])
def test_a_check_that_runs_over_its_time_holds_though_it_finds_nothing(slow: None, check: str) -> None:
    steps: list[Any] = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("pay_out", {"amount": 5}, call_id="c2")],
        [assistant_message("Paid.")],
    ]
    for timeout, outcome in ((0.1, "blocked"), (10, "answered")):
        result = run(steps, flow=guarded(f"name: s, on: input, check: {check}, timeout: {timeout}"))
        assert result.outcome == outcome
        assert result.error == ("s: the check took longer than 0.1 seconds" if outcome == "blocked" else "")
        assert (CALLED == []) == (outcome == "blocked")


class WordByWord(Scripted, Model):
    """Says one reply, word by word."""

    def __init__(self, reply: str) -> None:
        super().__init__([[assistant_message(reply)]])

    def get_model(self, model_name: str | None) -> Model:
        """This one."""
        return self

    async def get_response(self, *args: Any, **rest: Any) -> ModelResponse:
        """The whole reply."""
        return await self.model.get_response(*args, **rest)

    async def stream_response(self, *args: Any, **rest: Any) -> AsyncIterator[Any]:
        """The reply in words."""
        for event in events(await self.get_response(*args, **rest), "words"):
            yield event


async def streamed(flow: str, reply: str) -> list[Any]:
    """The events of a run in which the model gives this reply."""
    return [event async for event in runtime.stream(freeze(flow), "Hello", models=WordByWord(reply))]


LONG = " ".join(["never", "say"] * 60)


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        (LONG, LONG),
        ("legal action", f"legal{' ' * 3000}action"),
        ("legal action", f"legal{'  ' * 400} action"),
        ("é" * 150, "e\u0301" * 150),
    ],
)
def test_nothing_of_a_phrase_is_shown_before_it_trips(phrase: str, said: str) -> None:
    flow = guarded(f"name: p, on: reply, check: phrases, settings: {{phrases: ['{phrase}']}}")
    harmless = "Good day to you, dear customer. " * 80
    told = asyncio.run(streamed(flow, f"{harmless}{said} and more. {harmless}"))
    shown = "".join(one.text for one in told if isinstance(one, Words))
    assert told[-1].outcome == "blocked"
    assert harmless.startswith(shown)
    assert shown
