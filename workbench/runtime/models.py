"""Providers by name: OpenAI, any OpenAI-compatible server, the offline model; and a recorded run as a provider."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from agents import (
    AgentOutputSchemaBase,
    AgentsException,
    Handoff,
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Tool,
)
from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.usage import Usage
from openai import AsyncOpenAI
from pydantic import TypeAdapter

from workbench.runtime.environment import OFFLINE, Roles, Served, roles
from workbench.runtime.record import inside, request


class Models(ModelProvider):
    """The models of the roles. Belongs to one event loop; close it with `aclose`."""

    def __init__(self, chosen: Roles | None = None) -> None:
        self.roles = chosen or roles()
        self._where = functools.cache(self.roles.served)
        self._made: dict[Served, Model] = {}
        self._clients: dict[tuple[str, str], AsyncOpenAI] = {}

    def get_model(self, model_name: str | None) -> Model:
        """The model of a role."""
        served = self._where(model_name or "main")
        if served not in self._made:
            self._made[served] = self._make(served)
        return self._made[served]

    def label(self, role: str) -> str:
        """What screens and records call the model of `role`."""
        name = self._where(role).name
        return "offline model" if name == OFFLINE else name

    def cost(self, role: str, usage: Usage) -> float | None:
        """US dollars of one response; None where the price is not known."""
        name = self._where(role).name
        if name == OFFLINE:
            return 0.0
        price = self.roles.price(name, dt.datetime.now(dt.UTC).date())
        cached = getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
        return None if price is None else price.cost(usage.input_tokens, usage.output_tokens, cached)

    async def aclose(self) -> None:
        """Close the connections to the server."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        self._made.clear()

    def _make(self, served: Served) -> Model:
        if served.name == OFFLINE:
            from workbench.runtime.offline import OfflineModel

            return OfflineModel(word_delay=self.roles.offline_delay)
        at = (served.url, served.key)
        if at not in self._clients:
            self._clients[at] = AsyncOpenAI(api_key=served.key or "none", base_url=served.url or None)
        kind = OpenAIChatCompletionsModel if served.chat else OpenAIResponsesModel
        return kind(served.name, self._clients[at])


class Diverged(AgentsException):
    """A replayed run asked for something else than was recorded. `call` counts from 1."""

    def __init__(self, call: int, what: str) -> None:
        super().__init__(f"model request {call}: {what}")
        self.call, self.what = call, what


PATIENCE = 5.0
"""Seconds for which a replay waits to be stopped where the recorded run was stopped half-way in a request or call."""


class RecordedError(Exception):
    """The error that a recorded model call ended with."""


_OUTPUT: TypeAdapter[list[TResponseOutputItem]] = TypeAdapter(list[TResponseOutputItem])


def response_of(recorded: Mapping[str, Any]) -> ModelResponse:
    """A ModelResponse from its plain form."""
    usage = recorded["usage"]
    return ModelResponse(
        output=_OUTPUT.validate_python(recorded["output"]),
        usage=Usage(
            requests=usage["requests"],
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            total_tokens=usage["input_tokens"] + usage["output_tokens"],
        ),
        response_id=recorded["response_id"],
        request_id=recorded.get("request_id"),
    )


class Tape(ModelProvider):
    """A recorded run's model answers, from number `start` on; a request that differs raises Diverged.

    They are served in order within each agent asked as a tool: agents asked side by side may come in any order. `limit`
    tells of a replay how the recorded run was stopped, if it was, for what it had cost: that depends on who was faster.
    """

    def __init__(self, calls: Sequence[Mapping[str, Any]], start: int = 0, limit: str | None = None) -> None:
        self.limit = limit
        self.calls = [call for call in calls if call["kind"] == "model"]
        self._left: dict[str, deque[int]] = defaultdict(deque)
        self._served: dict[str, int] = {}
        for number, call in enumerate(self.calls[start:], start):
            self._left[call.get("inside", "")].append(number)

    @property
    def next(self) -> int:
        """The number, from 0, of the recorded answer to a request made here; how many there are after the last one."""
        left = self._left[inside.get()]
        return left[0] if left else len(self.calls)

    @property
    def over(self) -> bool:
        """Whether every recorded answer to requests made here was served."""
        return not self._left[inside.get()]

    def get_model(self, model_name: str | None) -> Model:
        """The tape as a model, whatever the role."""
        return _TapeModel(self)

    def label(self, role: str) -> str:
        """The label of the model that answers next."""
        at = min(self.next, len(self.calls) - 1)
        return str(self.calls[at]["model"]) if self.calls else "recorded"

    def cost(self, role: str, usage: Usage) -> float | None:
        """What the recorded call had cost."""
        at = self._served.get(inside.get())
        value = 0.0 if at is None else self.calls[at]["usd"]
        return None if value is None else float(value)

    async def serve(self, request: Mapping[str, Any]) -> ModelResponse:
        """The next recorded response. Raises Diverged, or RecordedError where the call had failed.

        A request that the recorded run was stopped in is not answered: this run is stopped too.
        """
        left = self._left[inside.get()]
        if not left:
            raise Diverged(len(self.calls) + 1, "the recorded run had no such request")
        at = self._served[inside.get()] = left.popleft()
        recorded = self.calls[at]
        if what := difference(recorded["request"], request):
            raise Diverged(at + 1, what)
        if recorded["response"] is None:
            if recorded["error"]:
                raise RecordedError(recorded["error"])
            await asyncio.sleep(PATIENCE)
            raise Diverged(at + 1, "the recorded run was stopped before this was answered")
        return response_of(recorded["response"])


class _TapeModel(Model):
    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[Any],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        **_: Any,
    ) -> ModelResponse:
        return await self.tape.serve(
            request(system_instructions, input, model_settings, tools, output_schema, handoffs)
        )

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        from workbench.runtime.offline.events import events

        for event in events(await self.get_response(*args, **kwargs), "recorded"):
            yield event


def difference(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """In words, the first part in which two model requests differ; empty where they are equal."""
    names = {
        "system": "the instructions differ",
        "tools": "the tools offered differ",
        "handoffs": "the handoffs offered differ",
        "schema": "the output schema differs",
        "settings": "the model settings differ",
    }
    for part, words in names.items():
        if recorded.get(part) != asked.get(part):
            return words
    before, after = _items(recorded.get("input")), _items(asked.get("input"))
    for number, (one, other) in enumerate(zip(before, after, strict=False), 1):
        if one != other:
            return f"item {number} of the conversation differs ({_kind(other)})"
    if len(before) != len(after):
        return f"the conversation has {len(after)} items instead of {len(before)}"
    return ""


def _items(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value or [])


def _kind(item: Any) -> str:
    kind = item.get("type") or item.get("role") or "item" if isinstance(item, Mapping) else "message"
    return re.sub(r"_", " ", str(kind))
