"""Runs of every shape replay to the byte, and what the shapes found stays mended."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from agents.testing import assistant_message, function_call
from hypothesis import HealthCheck, Phase, given, settings

from tests.flows_for_tests import CALLED, DESK, Scripted, freeze
from tests.generated_runs import PLANS, Plan, play
from tests.traces.recorded import run
from workbench import traces
from workbench.runtime import engine
from workbench.runtime.job import Decision


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("workbench.runtime").setLevel(logging.CRITICAL)
    CALLED.clear()
    yield
    logging.getLogger("workbench.runtime").setLevel(logging.NOTSET)


def test_generated_runs_of_every_shape_replay_to_the_byte() -> None:
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=80,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PLANS)
    def replayed(plan: Plan) -> None:
        flow, results = play(plan)
        for result in results:
            record = json.loads(json.dumps(result.record))
            assert str(traces.replay_record(record, flow)) == "faithful"
            outcomes[result.outcome] += 1

    replayed()
    assert set(outcomes) >= {"answered", "blocked", "error", "escalated", "held", "limit"}


ALWAYS = DESK.replace("approve: {amount: {above: 50}}", "approve: always")


def payment(arguments: str) -> list[object]:
    """Hand over, pay with these arguments, answer."""
    return [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("pay_out", arguments, call_id="c2")],
        [assistant_message("It did not work.")],
    ]


@pytest.mark.parametrize("arguments", ["not json", '{"amount": NaN}', "[80]"])
def test_nobody_is_asked_about_a_call_that_nobody_can_read_and_it_is_not_made(arguments: str) -> None:
    result = run(steps=payment(arguments))
    assert (result.outcome, result.reply) == ("answered", "It did not work.")
    told = [call["error"] for call in result.record["calls"] if call["kind"] == "tool"]
    assert told[0].startswith("The arguments of pay_out are")
    assert CALLED == []
    assert str(traces.replay_record(result.record, freeze())) == "faithful"


def test_arguments_nested_too_deeply_for_a_rule_to_read_end_the_run_with_an_error() -> None:
    result = run(steps=payment("[" * 5000))
    assert (result.outcome, CALLED) == ("error", [])
    assert "nested too deeply" in result.record["error"]
    assert str(traces.replay_record(result.record, freeze())) == "faithful"


def test_a_failure_that_names_a_character_no_database_holds_replays() -> None:
    steps = [*payment("{}")[:1], [function_call("look_up", '{"a\\u0000b": 1}', call_id="c2")], *payment("{}")[2:]]
    result = run(steps=steps)
    assert "a\ufffdb" in result.record["calls"][2]["error"]
    assert str(traces.replay_record(json.loads(json.dumps(result.record)), freeze())) == "faithful"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_call_without_arguments_waits_for_a_person_once(allowed: bool) -> None:
    script = Scripted(payment(""))
    waits = asyncio.run(engine.run(freeze(ALWAYS), "Pay me", models=script))
    assert (waits.outcome, CALLED) == ("held", [])
    decided = [Decision("c2", "pay_out", "", approved=allowed, by="ada")]
    done = asyncio.run(engine.resume(freeze(ALWAYS), waits.record, decided, models=script))
    told = [call["error"] for call in done.record["calls"] if call["kind"] == "tool"]
    assert (done.outcome, CALLED) == ("answered", [])
    assert told[0].startswith(
        "The arguments of pay_out do not fit" if allowed else "A person did not allow this call"
    ), told
    assert str(traces.replay_record(done.record, freeze(ALWAYS))) == "faithful"
