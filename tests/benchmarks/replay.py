"""Replays: generated runs of every shape that replay to the byte, forks of 200 runs at every step that keep their promises,
and how fast a run of three turns is replayed.

The floor is the bare SDK with a scripted model for the same three turns: the same agent, tools and answers, with tracing
off. The two take turns in short rounds. WORKBENCH_BENCH_RUNS is the number of generated runs (10,000).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from agents import Agent, RunConfig, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.benchmarks._figure import figure
from tests.flows_for_tests import DESK, Scripted, freeze
from tests.generated_runs import PLANS, Plan, play
from tests.traces.test_fork import fork_everywhere
from workbench import runtime, store, traces
from workbench.access import Actor
from workbench.cli.output import progress
from workbench.traces.replay import replay_record

RUNS, FORKED, BATCH, ROUNDS, REPEAT = 10_000, 200, 250, 25, 8

REFERENCE_FLOOR = 4.0
"""Milliseconds of a bare run of three turns on the machine that the limit was set on."""
WANTED = 150
"""Replays a second on one core of that machine."""


def measure() -> list[dict[str, Any]]:
    """The share of generated runs that do not replay, and a replay's time over the floor's."""
    logging.getLogger("workbench.runtime").setLevel(logging.CRITICAL)
    return [_speed(), _forked(), _faithful(int(os.environ.get("WORKBENCH_BENCH_RUNS", RUNS)))]


def _forked() -> dict[str, Any]:
    """Forks whose past is not the recorded one to the byte, or that call something: the first one ends this."""
    with tempfile.TemporaryDirectory() as home:
        before = os.environ.get("WORKBENCH_HOME")
        os.environ["WORKBENCH_HOME"] = home
        try:
            store.migrate()
            forks = fork_everywhere(Actor("ada", "architect"), FORKED)
        finally:
            traces.close()
            store.dispose()
            os.environ.pop("WORKBENCH_HOME") if before is None else os.environ.update(WORKBENCH_HOME=before)
    return figure(
        "replay, forks that break a promise", 0, "forks", 0, f"{forks:,} forks of {FORKED} runs, at every step"
    )


def _faithful(wanted: int) -> dict[str, Any]:
    """How many of so many generated runs do not replay to the byte; the first one's plan and verdict are printed."""
    done, broken, batch = 0, 0, 0
    while done < wanted:
        found: list[tuple[Plan, list[str]]] = []
        _batch(batch, found)
        for plan, verdicts in found:
            done += len(verdicts)
            wrong = [one for one in verdicts if one != "faithful"]
            if wrong and not broken:
                progress(f"the first that is not faithful: {wrong[0]}\n{plan!r}")
            broken += len(wrong)
        batch += 1
        progress(f"{done:,} runs, {done - broken:,} faithful")
    return figure("replay, generated runs not faithful", broken, "runs", 0, f"{done - broken:,} of {done:,} faithful")


def _batch(number: int, found: list[tuple[Plan, list[str]]]) -> None:
    @seed(number)
    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PLANS)
    def replayed(plan: Plan) -> None:
        flow, results = play(plan)
        records = [json.loads(json.dumps(one.record)) for one in results]
        found.append((plan, [str(replay_record(one, flow)) for one in records]))

    replayed()


@function_tool
async def look_up(order_id: int) -> str:
    """Find an order by its number."""
    return await asyncio.to_thread(lambda: '{"order_id": 7, "status": "late"}')


@function_tool
async def pay_out(amount: float) -> str:
    """Pay money back."""
    return await asyncio.to_thread(lambda: '{"paid": 5.0}')


FLOW = DESK.replace("entry: front", "entry: money")


def script() -> list[Any]:
    """Three turns: two tool calls and the reply."""
    return [
        [function_call("look_up", {"order_id": 7}, call_id="c1")],
        [function_call("pay_out", {"amount": 5}, call_id="c2")],
        [assistant_message("Paid back. Have a good day.")],
    ]


def _speed() -> dict[str, Any]:
    flow, config = freeze(FLOW), RunConfig(tracing_disabled=True)
    record = json.loads(
        json.dumps(asyncio.run(runtime.run(flow, "My order is late", models=Scripted(script()))).record)
    )
    assert len(record["calls"]) == 5

    def floor() -> None:
        model = ScriptedModel(script())
        agent = Agent(name="money", instructions="You work for Fernhill.", tools=[look_up, pay_out], model=model)
        assert asyncio.run(Runner.run(agent, "My order is late", run_config=config)).final_output

    def ours() -> None:
        assert replay_record(record, flow).verdict == "faithful"

    for _ in range(10):
        floor()
        ours()
    ratios, base, taken = [], [], []
    for number in range(ROUNDS):
        one = {way: _cpu(way) for way in ((floor, ours) if number % 2 else (ours, floor))}
        ratios.append(one[ours] / one[floor])
        base.append(one[floor])
        taken.append(one[ours])
    told = f"bare SDK {statistics.median(base):.2f} ms, ours {statistics.median(taken):.2f} ms of CPU"
    limit = 1000 / WANTED / REFERENCE_FLOOR
    return figure("replay of a run of three turns", statistics.median(ratios), "× the floor's CPU", limit, told)


def _cpu(way: Callable[[], None]) -> float:
    """Milliseconds of CPU that it takes once."""
    began = time.process_time()
    for _ in range(REPEAT):
        way()
    return (time.process_time() - began) / REPEAT * 1000
