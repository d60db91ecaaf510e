"""What recording adds to the caller's time: one agent, one tool call, two model turns, a stub model, stored in SQLite.

The baseline is the bare SDK with tracing off: the same agent, tool and model, run by `Runner.run`. The ways take turns
in short rounds, forwards and backwards, so that a slow moment of the machine meets all of them. Where a process happens
to lie in memory moves the figures more than anything else, so that several processes measure, and the middle one counts.
What the two control tools cost, which flows offer unless they say otherwise, is a figure of its own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from agents.testing import assistant_message, function_call

from tests.benchmarks._figure import figure
from tests.flows_for_tests import freeze
from workbench import runtime, store, traces
from workbench.runtime import Models, Roles

PROCESSES, ROUNDS, RUNS, PAUSE = 5, 20, 10, 0.02

REFERENCE_RUN, REFERENCE_ADDED, REFERENCE_CPU = 2.3, 0.3, 1.2
"""Milliseconds on the machine that the limits were set on: a bare run, and what recording may add to it."""

FLOW = """
format: 1
flow: bench
entry: clerk
agents:
  clerk: {prompt: bench/clerk, tools: [look_up]}
tools:
  look_up: {kind: python, call: look_up}
variables: {shop: Fernhill}
control: []
"""


class Stub(Model):
    """Calls the tool once, then answers; nothing else, so that only the machinery is measured."""

    def __init__(self) -> None:
        self.count = 0

    async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **named: Any) -> ModelResponse:
        self.count += 1
        asked = isinstance(input, list) and any(i.get("type") == "function_call_output" for i in input)
        call = function_call("look_up", {"order_id": 1}, call_id=f"call_{self.count}")
        output: Any = assistant_message("It is late.") if asked else call
        return ModelResponse(
            output=[output],
            usage=Usage(requests=1, input_tokens=50, output_tokens=10, total_tokens=60),
            response_id=None,
        )

    def stream_response(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("not used here")


class Stubbed(Models):
    """The stub in the place of every role."""

    def __init__(self) -> None:
        super().__init__(Roles())
        self.stub = Stub()

    def get_model(self, model_name: str | None) -> Model:
        """The stub."""
        return self.stub


@function_tool
async def look_up(order_id: int) -> str:
    """Find an order by its number."""
    return await asyncio.to_thread(lambda: '{"order_id": 1, "status": "late"}')


def measure() -> list[dict[str, Any]]:
    """Added wall time in the caller, and all CPU time of a recorded run beyond the bare one, as shares of the bare run."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        told = [pool.submit(_alone).result() for _ in range(PROCESSES)]
    base, added, cpu, more = (statistics.median(one[at] for one in told) for at in range(4))
    words = f"bare SDK run {base:.2f} ms, added {added * base:.2f} ms, in {PROCESSES} processes"
    words += f" {min(one[1] for one in told):.3f} to {max(one[1] for one in told):.3f}"
    limit = REFERENCE_ADDED / REFERENCE_RUN
    return [
        figure("recording, added to the caller's time", added, "× bare run", limit, words),
        figure("recording, CPU time in all", cpu, "× bare run", REFERENCE_CPU / REFERENCE_RUN, words),
        figure("recording and two control tools", more, "× bare run", None, f"added {more * base:.2f} ms"),
    ]


def _alone() -> tuple[float, float, float, float]:
    """In a process of its own: milliseconds of a bare run, and as shares of it what was added, its CPU, and with tools."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        store.migrate()
        try:
            return asyncio.run(_measure())
        finally:
            traces.close()
            store.dispose()


async def _measure() -> tuple[float, float, float, float]:
    bare = Agent(name="clerk", instructions="You work for Fernhill.", tools=[look_up], model=Stub())
    models, sink = Stubbed(), traces.sink()
    alone, offering = freeze(FLOW), freeze(FLOW.replace("control: []", ""))
    config = RunConfig(tracing_disabled=True)

    async def plain() -> None:
        await Runner.run(bare, "Where is my order?", run_config=config)

    async def recorded() -> None:
        await runtime.run(alone, "Where is my order?", models=models, sink=sink)

    async def controlled() -> None:
        await runtime.run(offering, "Where is my order?", models=models, sink=sink)

    ways = (plain, recorded, controlled)
    for _ in range(20):
        for way in ways:
            await way()
    sink.flush()
    rounds: list[dict[Any, tuple[float, float]]] = []
    for number in range(ROUNDS):
        taken = {way: await _round(way, sink) for way in (ways if number % 2 else ways[::-1])}
        rounds.append(taken)

    def beyond(way: Any, part: int) -> float:
        return statistics.median(one[way][part] / one[plain][part] - 1 for one in rounds)

    base = statistics.median(one[plain][0] for one in rounds)
    return base, beyond(recorded, 0), beyond(recorded, 1), beyond(controlled, 0)


async def _round(once: Any, sink: Any) -> tuple[float, float]:
    """The median wall time of a run with idle time between runs, and the mean CPU time until all is stored."""
    times = []
    cpu = time.process_time()
    for _ in range(RUNS):
        started = time.perf_counter()
        await once()
        times.append(time.perf_counter() - started)
        await asyncio.sleep(PAUSE)
    await asyncio.to_thread(sink.flush)
    return statistics.median(times) * 1000, (time.process_time() - cpu) / RUNS * 1000
