"""Recorded runs of the small desk, for tests of everything that reads runs."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from agents.testing import assistant_message, function_call

from tests.flows_for_tests import DESK, Scripted, freeze
from workbench import runtime, traces
from workbench.runtime import Result

PAID = "Paid back. Have a good day, and thank you for your patience with us."


def refund(reply: str = PAID, amount: float = 5) -> list[Any]:
    """Hand over, look up, pay, answer."""
    return [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("look_up", {"order_id": 1042}, call_id="c2")],
        [function_call("pay_out", {"amount": amount}, call_id="c3")],
        [assistant_message(reply)],
    ]


def run(text: str = "My order is late", steps: list[Any] | None = None, flow: str = DESK, **rest: Any) -> Result:
    """Run the desk with a scripted model."""
    return asyncio.run(runtime.run(freeze(flow), text, models=Scripted(steps or refund()), **rest))


def stored(text: str = "My order is late", steps: list[Any] | None = None, **rest: Any) -> Result:
    """Run the desk and store the run."""
    result = run(text, steps, sink=traces.sink(), **rest)
    assert traces.flush()
    return result


def copy_of(result: Result) -> dict[str, Any]:
    """A run's record, to be changed."""
    return copy.deepcopy(result.record)
