"""The barrier: nothing dangerous happens and no word is shown before every guardrail has passed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    Model,
    ModelResponse,
    RunConfig,
    Runner,
    Usage,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from agents.testing import ScriptedModel, assistant_message, function_call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests import virtual_time
from tests.flows_for_tests import CALLED, Scripted, freeze
from workbench import runtime
from workbench.runtime import Models, Result, Roles, Words, guardrails
from workbench.runtime.guardrails import Situation
from workbench.runtime.offline.events import events
from workbench.runtime.spec import Role

Decides = Literal["passes", "trips", "crashes", "hangs"]

TIMINGS = int(os.environ.get("WORKBENCH_TEST_TIMINGS", "250"))
"""How many timings are tried; more of them by the environment."""


class Probe(BaseModel):
    """How the test's check behaves."""

    seconds: float = 0.0
    decides: Decides = "passes"


@pytest.fixture(autouse=True)
def probe() -> Iterator[None]:
    """A check that takes its time and then decides as its settings say."""

    async def probe(text: str, settings: Probe, situation: Situation) -> str | None:
        await asyncio.sleep(1e6 if settings.decides == "hangs" else settings.seconds)
        if settings.decides == "crashes":
            raise ZeroDivisionError("a bug in a check")
        return "it trips" if settings.decides == "trips" else None

    guardrails.check("For tests.", settings=Probe)(probe)
    logging.getLogger("workbench.runtime").setLevel(logging.ERROR)
    yield
    logging.getLogger("workbench.runtime").setLevel(logging.NOTSET)
    del guardrails._checks["probe"]


AGENTS = """
format: 1
flow: desk
entry: front
agents:
  front: {prompt: desk/front, model: small, tools: [look_up, pay_out, note, ask_expert], handoffs: [money]}
  money: {prompt: desk/money, model: small, tools: [look_up, pay_out, note, ask_expert], handoffs: [front]}
  expert: {prompt: desk/expert, model: reasoning, tools: [pay_out]}
tools:
  look_up: {kind: python, call: look_up}
  pay_out: {kind: python, call: pay_out, effect: high-stakes}
  note: {kind: python, call: look_up, effect: write}
  ask_expert: {kind: agent, agent: expert, description: Asks an expert.}
variables: {shop: Fernhill}
limits: {seconds: 3600}
"""


@dataclass(frozen=True)
class Guard:
    """A guardrail of a tried flow."""

    on: str
    seconds: float
    decides: Decides

    @property
    def takes(self) -> float:
        """Seconds until its verdict: one that hangs is cut off."""
        return 10.0 if self.decides == "hangs" else self.seconds


@dataclass(frozen=True)
class Turn:
    """One answer of the model: after some time it hands over, or calls tools."""

    seconds: float
    calls: tuple[str, ...]


class Slow(Models):
    """Models that answer after the given times; the expert asks for a payment, then answers."""

    def __init__(self, turns: Sequence[Turn], last: float) -> None:
        super().__init__(Roles())
        self.front = _Slow([*turns, Turn(last, ())])
        self.expert = _Expert([], start=1000)

    def get_model(self, model_name: str | None) -> Model:
        """The script of the role."""
        return self.expert if model_name == "reasoning" else self.front


ARGUMENTS: dict[str, dict[str, Any]] = {
    "look_up": {"order_id": 7},
    "note": {"order_id": 8},
    "pay_out": {"amount": 5},
    "ask_expert": {"question": "May I?"},
}
REPLY = "All is done, and this reply is long enough to be shown in several pieces."


class _Slow(Model):
    def __init__(self, turns: Sequence[Turn], start: int = 0) -> None:
        self.turns, self.number = list(turns), start

    async def get_response(self, *args: Any, **rest: Any) -> ModelResponse:
        turn = self.turns.pop(0)
        await asyncio.sleep(turn.seconds)
        output: list[Any] = []
        for name in turn.calls:
            self.number += 1
            output.append(function_call(name, ARGUMENTS.get(name, {}), call_id=f"call_{self.number}"))
        usage = Usage(requests=1, input_tokens=1, output_tokens=1, total_tokens=2)
        return ModelResponse(output=output or [assistant_message(REPLY)], usage=usage, response_id=None)

    async def stream_response(self, *args: Any, **rest: Any) -> AsyncIterator[Any]:
        for event in events(await self.get_response(), "slow"):
            yield event


class _Expert(_Slow):
    """Several may ask the expert at once; each asks for a payment, then answers."""

    async def get_response(self, *args: Any, **rest: Any) -> ModelResponse:
        _system, input, *_ = args
        has_paid = isinstance(input, list) and any(one.get("type") == "function_call_output" for one in input)
        self.turns.append(Turn(0.25, ()) if has_paid else Turn(0.5, ("pay_out",)))
        return await super().get_response()


def flow(guards: Sequence[Guard], writes: str = "wait") -> Any:
    """The flow with these guardrails."""
    listed = "".join(
        f"  - {{name: g{n}, on: {g.on}, check: probe, settings: {{seconds: {g.seconds}, decides: {g.decides}}}}}\n"
        for n, g in enumerate(guards)
    )
    return freeze(AGENTS + f"writes: {writes}\n" + (f"guardrails:\n{listed}" if guards else ""))


def tried(
    guards: Sequence[Guard], turns: Sequence[Turn], *, last: float = 0.5, streamed: bool = True, writes: str = "wait"
) -> tuple[Result, list[Words], float]:
    """Run the flow in virtual time: the result, the words that were shown, and the seconds taken."""
    CALLED.clear()
    release, models = flow(guards, writes), Slow(turns, last)

    async def work() -> tuple[Result, list[Words]]:
        if not streamed:
            return await runtime.run(release, "Please pay me", models=models), []
        seen = [event async for event in runtime.stream(release, "Please pay me", models=models)]
        assert isinstance(seen[-1], Result)
        return seen[-1], [event for event in seen if isinstance(event, Words)]

    (result, words), seconds = virtual_time.run(work())
    return result, words, seconds


def dangerous() -> list[Any]:
    """The calls that changed something, as the tools saw them."""
    return [call for call in CALLED if call[0] == "pay_out" or call == ("look_up", 8)]


GUARDS = st.lists(
    st.builds(
        Guard,
        on=st.sampled_from(["input", "input", "reply"]),
        seconds=st.sampled_from([0.0, 0.1, 0.7, 2.0, 5.0]),
        decides=st.sampled_from(["passes", "passes", "passes", "passes", "trips", "crashes", "hangs"]),
    ),
    max_size=4,
)
TURNS = st.lists(
    st.builds(
        Turn,
        seconds=st.sampled_from([0.0, 0.2, 1.0, 3.0]),
        calls=st.one_of(
            st.lists(st.sampled_from(["look_up", "pay_out", "note", "ask_expert"]), min_size=1, max_size=3).map(tuple),
            st.just(("transfer",)),
        ),
    ),
    max_size=4,
)


def handed_over(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with every transfer named for the agent that has the conversation."""
    made, agent = [], "front"
    for turn in turns:
        if turn.calls == ("transfer",):
            agent = "money" if agent == "front" else "front"
            turn = Turn(turn.seconds, (f"transfer_to_{agent}",))
        made.append(turn)
    return made


def expected_seconds(guards: Sequence[Guard], turns: Sequence[Turn], last: float) -> float:
    """How long a run takes in which nothing trips: everything side by side, what is dangerous after the guardrails."""
    opens = max((g.takes for g in guards if g.on == "input"), default=0.0)
    now = 0.0
    for turn in turns:
        now += turn.seconds
        ends = [now]
        ends += [max(now, opens) for name in turn.calls if name in ("pay_out", "note")]
        # The expert: half a second to ask for the payment, which waits, and a quarter to answer.
        ends += [max(now + 0.5, opens) + 0.25 for name in turn.calls if name == "ask_expert"]
        now = max(ends)
    now = max(now + last, opens)
    return now + max((g.takes for g in guards if g.on == "reply"), default=0.0)


@settings(max_examples=TIMINGS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GUARDS, TURNS, st.sampled_from([0.0, 0.4, 2.5]), st.booleans())
def test_whatever_the_timing_nothing_dangerous_happens_and_no_word_is_shown_unless_every_guardrail_passed(
    guards: list[Guard], turns: list[Turn], last: float, streamed: bool
) -> None:
    turns = handed_over(turns)
    result, words, seconds = tried(guards, turns, last=last, streamed=streamed)
    stopped = [g for g in guards if g.decides != "passes"]
    if stopped:
        assert result.outcome == "blocked"
        assert result.reply == "I cannot help with this message."
        assert words == []
        if any(g.on == "input" for g in stopped):
            assert dangerous() == []
            assert seconds <= min(g.takes for g in stopped if g.on == "input") + 1e-6
        return
    assert (result.outcome, result.reply) == ("answered", REPLY)
    assert sum(1 for c in CALLED if c[0] == "pay_out") == sum(
        name in ("pay_out", "ask_expert") for turn in turns for name in turn.calls
    )
    assert seconds == pytest.approx(expected_seconds(guards, turns, last), rel=0.05, abs=1e-6)
    if streamed:
        assert "".join(one.text for one in words) == REPLY


def test_reading_tools_go_on_while_the_guardrails_think() -> None:
    result, _, seconds = tried([Guard("input", 3.0, "passes")], [Turn(0.5, ("look_up",)), Turn(0.5, ("pay_out",))])
    calls = {c["name"]: c for c in result.record["calls"] if c["kind"] == "tool"}
    assert calls["look_up"]["waited_for"] == []
    assert calls["pay_out"]["waited_for"] == ["g0"]
    assert seconds == pytest.approx(3.5)


def test_a_flow_may_let_writing_tools_go_on_but_never_high_stakes_ones() -> None:
    guards, turns = [Guard("input", 3.0, "trips")], [Turn(0.5, ("note", "pay_out"))]
    tried(guards, turns, writes="go")
    assert dangerous() == [("look_up", 8)]
    tried(guards, turns, writes="wait")
    assert dangerous() == []


@pytest.mark.parametrize(
    ("decides", "told"),
    [
        ("trips", "g0: it trips"),
        ("crashes", "g0: the check failed (ZeroDivisionError)"),
        ("hangs", "g0: the check took longer than 10 seconds"),
    ],
)
def test_a_guardrail_that_trips_crashes_or_hangs_holds_and_says_so(decides: Decides, told: str) -> None:
    result, _, _ = tried([Guard("input", 0.1, decides)], [Turn(0.0, ("pay_out",))])
    assert (result.outcome, result.error) == ("blocked", told)
    assert dangerous() == []


def test_the_reply_says_what_it_waited_for() -> None:
    result, _, _ = tried([Guard("input", 3.0, "passes")], [])
    assert result.record["reply_waited"]["for"] == ["g0"]


def test_what_a_tool_brings_back_is_withheld_when_a_guardrail_on_results_trips() -> None:
    text = AGENTS + "guardrails:\n  - {name: results, on: tool_result, check: phrases, settings: {phrases: [late]}}\n"
    steps = [[function_call("look_up", {"order_id": 7}, call_id="c1")], [assistant_message("I cannot see it.")]]
    result = asyncio.run(runtime.run(freeze(text), "Where is it?", models=Scripted(steps)))
    call = next(c for c in result.record["calls"] if c["kind"] == "tool")
    assert call["error"] == "The result was withheld by the guardrail results: it holds “late”."
    assert "late" not in str([c["request"] for c in result.record["calls"] if c["kind"] == "model"][1]["input"][1])
    assert result.outcome == "answered"


def test_a_failure_that_a_tool_brings_back_is_read_by_the_guardrails_too() -> None:
    text = (
        AGENTS + "guardrails:\n  - {name: results, on: tool_result, check: phrases, settings: {phrases: [order_id]}}\n"
    )
    steps = [[function_call("look_up", {"order_id": "x"}, call_id="c1")], [assistant_message("I cannot see it.")]]
    result = asyncio.run(runtime.run(freeze(text), "Where is it?", models=Scripted(steps)))
    call = next(c for c in result.record["calls"] if c["kind"] == "tool")
    assert call["error"] == "The result was withheld by the guardrail results: it holds “order_id”."


# The holes that the SDK documents in its own guardrails. Each is shown on the bare SDK first.


def paid(calls: list[Any]) -> bool:
    return any(call[0] == "pay_out" for call in calls)


@function_tool
async def pay(amount: float) -> str:
    """Pay money back."""
    CALLED.append(("pay_out", amount))
    return "paid"


@input_guardrail
async def slow_no(context: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
    await asyncio.sleep(0.05)
    return GuardrailFunctionOutput(output_info="", tripwire_triggered=True)


@output_guardrail
async def no_reply(context: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="", tripwire_triggered=True)


PAY = [[function_call("pay", {"amount": 5.0}, call_id="c1")], [assistant_message("Paid.")]]
OVER = [[function_call("transfer_to_money", {}, call_id="c0")], *PAY]
ASK = [[function_call("ask", {"input": "pay"}, call_id="c9")], *PAY, [assistant_message("Done.")]]


def bare(agent: Agent[Any], steps: list[Any]) -> Any:
    """The bare SDK's run; a tripped guardrail is its own exception."""
    CALLED.clear()
    config = RunConfig(model=ScriptedModel(list(steps)), tracing_disabled=True)
    try:
        return asyncio.run(Runner.run(agent, "Pay me", run_config=config)).final_output
    except InputGuardrailTripwireTriggered:
        return "tripped"


def test_hole_1_a_parallel_guardrail_of_the_first_agent_does_not_stop_its_tool() -> None:
    assert bare(Agent(name="front", tools=[pay], input_guardrails=[slow_no]), PAY) == "tripped"
    assert paid(CALLED)
    tried([Guard("input", 0.05, "trips")], [Turn(0.0, ("pay_out",))])
    assert not paid(CALLED)


def test_hole_2_guardrails_of_an_agent_that_was_handed_over_to_never_run() -> None:
    money = Agent(name="money", tools=[pay], input_guardrails=[slow_no])
    assert bare(Agent(name="front", handoffs=[money]), OVER) == "Paid."
    assert paid(CALLED)
    tried([Guard("input", 0.05, "trips")], [Turn(0.0, ("transfer_to_money",)), Turn(0.0, ("pay_out",))])
    assert not paid(CALLED)


def test_hole_3_guardrails_on_the_reply_run_for_the_last_agent_only() -> None:
    money = Agent(name="money", tools=[pay])
    assert bare(Agent(name="front", handoffs=[money], output_guardrails=[no_reply]), OVER) == "Paid."
    result, words, _ = tried([Guard("reply", 0.0, "trips")], [Turn(0.0, ("transfer_to_money",))])
    assert (result.outcome, words) == ("blocked", [])


def test_hole_4_an_agent_asked_as_a_tool_works_behind_the_guardrails_of_the_one_who_asks() -> None:
    expert = Agent(name="expert", tools=[pay])
    asks = Agent(
        name="front",
        tools=[
            expert.as_tool("ask", "Asks.", run_config=RunConfig(model=ScriptedModel(list(PAY)), tracing_disabled=True))
        ],
        input_guardrails=[slow_no],
    )
    assert bare(asks, [ASK[0], ASK[-1]]) == "tripped"
    assert paid(CALLED)
    tried([Guard("input", 0.05, "trips")], [Turn(0.0, ("ask_expert",))])
    assert not paid(CALLED)


def test_roles_of_the_tried_flow_are_known() -> None:
    used: set[Role] = {agent.model for agent in flow([]).spec.agents.values()}
    assert used == {"small", "reasoning"}
