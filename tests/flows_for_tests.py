"""Small flows and a scripted model, for tests of everything above the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from agents import Model, ModelResponse
from agents.testing import ScriptedModel

from workbench.runtime import Models, Release, Roles, ToolContext, spec, tool
from workbench.runtime import release as releases
from workbench.runtime.record import inside
from workbench.runtime.release import PromptText

CALLED: list[tuple[str, Any]] = []
"""Every call of the tools below, in order."""

DESK = """
format: 1
flow: desk
purpose: A small desk for tests.
entry: front
agents:
  front: {prompt: desk/front, model: small, handoffs: [money]}
  money: {prompt: desk/money, tools: [look_up, pay_out], handoffs: [front]}
tools:
  look_up: {kind: python, call: look_up}
  pay_out: {kind: python, call: pay_out, effect: high-stakes, approve: {amount: {above: 50}}}
guardrails:
  - {name: injection, on: input, check: prompt_injection}
  - {name: no-cards, on: reply, check: card_numbers}
variables: {shop: Fernhill}
charter: {problem: Orders are late., kpi: resolution time, target: a day, guard: refunds, owner: ada}
"""


@tool(effect="read")
def look_up(context: ToolContext, order_id: int) -> dict[str, Any]:
    """Find an order by its number.

    Args:
        order_id: The order's number.
    """
    CALLED.append(("look_up", order_id))
    if order_id == 13:
        raise ZeroDivisionError("secret detail")
    return {"order_id": order_id, "status": "late"}


@tool(effect="high-stakes")
def pay_out(context: ToolContext, amount: float) -> dict[str, Any]:
    """Pay money back.

    Args:
        amount: US dollars.
    """
    CALLED.append(("pay_out", amount))
    return {"paid": amount}


@tool(effect="high-stakes")
def slow_pay(context: ToolContext, amount: float) -> dict[str, Any]:
    """Pay money back, slowly.

    Args:
        amount: US dollars.
    """
    import time

    time.sleep(0.2)
    CALLED.append(("slow_pay", amount))
    return {"paid": amount}


@tool(effect="read")
def doze(context: ToolContext, seconds: float) -> str:
    """Wait, then answer.

    Args:
        seconds: How long.
    """
    import time

    time.sleep(seconds)
    return "awake"


def prompt(reference: str) -> PromptText:
    """The text of every prompt of these flows."""
    return PromptText(name=reference.partition("@")[0], number=1, text="You work for $shop.", purpose="Works.")


def freeze(text: str = DESK) -> Release:
    """A flow from YAML, frozen with the prompts above."""
    return releases.freeze(spec.read(text), prompt, lambda _: [])


class SideBySide(Models):
    """A script for each agent asked as a tool, by the call that asks it, and the seconds each of its answers takes."""

    def __init__(self, scripts: Mapping[str, tuple[float, Sequence[Any]]]) -> None:
        super().__init__(Roles())
        self.waits = {call_id: seconds for call_id, (seconds, _) in scripts.items()}
        self.models = {call_id: ScriptedModel(list(steps)) for call_id, (_, steps) in scripts.items()}

    def get_model(self, model_name: str | None) -> Model:
        """The model of whoever asks."""
        return _ByCall(self)


class _ByCall(Model):
    def __init__(self, all_: SideBySide) -> None:
        self.all = all_

    async def get_response(self, *request: Any, **rest: Any) -> ModelResponse:
        await asyncio.sleep(self.all.waits[inside.get()])
        return await self.all.models[inside.get()].get_response(*request, **rest)

    def stream_response(self, *request: Any, **rest: Any) -> AsyncIterator[Any]:
        return self.all.models[inside.get()].stream_response(*request, **rest)


class Scripted(Models):
    """A model that plays a script, in the place of every role. The seam is the provider's own."""

    def __init__(self, steps: Sequence[Any]) -> None:
        super().__init__(Roles())
        self.model = ScriptedModel(list(steps))

    def get_model(self, model_name: str | None) -> Model:
        """The scripted model."""
        return self.model
