"""What recording adds to the caller's time: one agent, one tool call, two model turns, a stub model, stored in SQLite.

The baseline is the bare SDK with tracing off: the same agent, tool and model, run by `Runner.run`, in alternating rounds.
Our run also offers the two tools that every agent has, and their cost counts as ours.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from agents.testing import assistant_message, function_call

from tests.benchmarks._figure import figure
from tests.flows_for_tests import freeze
from workbench import runtime, store, traces
from workbench.runtime import Models, Roles

ROUNDS, RUNS, PAUSE = 12, 25, 0.02

REFERENCE_RUN, REFERENCE_ADDED, REFERENCE_CPU = 2.3, 0.5, 1.2
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
    with tempfile.TemporaryDirectory() as home:
        before = os.environ.get("WORKBENCH_HOME")
        os.environ["WORKBENCH_HOME"] = home
        try:
            store.migrate()
            return asyncio.run(_measure())
        finally:
            traces.close()
            store.dispose()
            os.environ.pop("WORKBENCH_HOME") if before is None else os.environ.update(WORKBENCH_HOME=before)


async def _measure() -> list[dict[str, Any]]:
    bare = Agent(name="clerk", instructions="You work for Fernhill.", tools=[look_up], model=Stub())
    release, models, sink = freeze(FLOW), Stubbed(), traces.sink()
    config = RunConfig(tracing_disabled=True)

    async def plain() -> None:
        await Runner.run(bare, "Where is my order?", run_config=config)

    async def recorded() -> None:
        await runtime.run(release, "Where is my order?", models=models, sink=sink)

    for _ in range(20):
        await plain()
        await recorded()
    sink.flush()
    walls: list[tuple[float, float]] = []
    cpus: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        base_wall, base_cpu = await _round(plain, sink)
        ours_wall, ours_cpu = await _round(recorded, sink)
        walls.append((base_wall, ours_wall))
        cpus.append((base_cpu, ours_cpu))
    base = statistics.median(b for b, _ in walls)
    added = statistics.median((o - b) / b for b, o in walls)
    cpu = statistics.median((o - b) / b for b, o in cpus)
    told = f"bare SDK run {base:.2f} ms, added {added * base:.2f} ms"
    return [
        figure("recording, added to the caller's time", added, "× bare run", REFERENCE_ADDED / REFERENCE_RUN, told),
        figure("recording, CPU time in all", cpu, "× bare run", REFERENCE_CPU / REFERENCE_RUN, told),
    ]


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
