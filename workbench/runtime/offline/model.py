"""The SDK's model class."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from agents import AgentOutputSchemaBase, Handoff, ModelResponse, ModelSettings, Tool, Usage
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.models.interface import Model, ModelTracing
from agents.tracing import generation_span
from openai.types.responses.response_prompt_param import ResponsePromptParam

from workbench.runtime.offline.events import events, respond
from workbench.runtime.offline.request import read


class OfflineModel(Model):
    """A model that needs no network: the same request gives the same bytes in every process."""

    name = "offline"

    def __init__(self, *, word_delay: float = 0.0) -> None:
        self.word_delay = word_delay

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Make one move."""
        with generation_span(model=self.name, disabled=tracing.is_disabled()) as span:
            request = read(system_instructions, input, model_settings, tools, output_schema, handoffs)
            response = respond(request, salt=f"{previous_response_id or ''}|{conversation_id or ''}")
            span.span_data.usage = _span_usage(response.usage)
            return response

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Make the same move as `get_response`, word by word."""
        # Not the current span: a consumer may close this generator from another context.
        span = generation_span(model=self.name, disabled=tracing.is_disabled())
        span.start(mark_as_current=False)
        try:
            request = read(system_instructions, input, model_settings, tools, output_schema, handoffs)
            response = respond(request, salt=f"{previous_response_id or ''}|{conversation_id or ''}")
            span.span_data.usage = _span_usage(response.usage)
            for event in events(response, self.name):
                if self.word_delay and event.type == "response.output_text.delta":
                    await asyncio.sleep(self.word_delay)
                yield event
        finally:
            span.finish(reset_current=False)


def _span_usage(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
