"""Every model request of a run: who asks which role, what came back, and what happens where it fails."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import openai
from agents import AgentsException, Model, ModelProvider, ModelResponse
from agents.items import TResponseStreamEvent
from agents.usage import Usage

from workbench.runtime import redaction
from workbench.runtime.job import Job
from workbench.runtime.models import RecordedError, Tape
from workbench.runtime.record import OF_ASKED, ModelCall, inside
from workbench.runtime.visible import speaker

log = logging.getLogger("workbench.runtime")


class LimitReached(AgentsException):
    """The run has cost, or agents that were asked have worked, more than its flow allows."""


ASKED = 4
"""So many times the run's model turns may all agents together take that are asked: they may ask each other in turn."""


class ModelFailed(AgentsException):
    """A model did not answer; the message says why in words that a person can act on."""

    def __init__(self, message: str, agent: str) -> None:
        super().__init__(message)
        self.agent = agent


class Recorded(ModelProvider):
    """The provider of one run: hands out models that write down each request and response."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def get_model(self, model_name: str | None) -> Model:
        """The model of `role|agent`."""
        role, _, agent = (model_name or "main").partition("|")
        return RecordedModel(self._job, role, agent)


class RecordedModel(Model):
    """A role's model as one agent uses it. While a resumed run repeats its past, the record answers."""

    def __init__(self, job: Job, role: str, agent: str) -> None:
        self._job, self._role, self._agent = job, role, agent

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,
        model_settings: Any,
        tools: Any,
        output_schema: Any,
        handoffs: Any,
        tracing: Any,
        **rest: Any,
    ) -> ModelResponse:
        """The response of the role, or of the agent's fallback role where that one fails."""
        request = (system_instructions, input, model_settings, tools, output_schema, handoffs)
        for role in self._roles():
            model, call = self._begin(role, request)
            try:
                response = await model.get_response(*request, tracing, **rest)
            except AgentsException:
                raise
            except Exception as error:  # noqa: BLE001  (every failure of a model is an outcome, told and logged)
                failed = self._fail(call, error)
                continue
            self._end(call, response)
            return response
        raise failed

    async def stream_response(
        self,
        system_instructions: str | None,
        input: Any,
        model_settings: Any,
        tools: Any,
        output_schema: Any,
        handoffs: Any,
        tracing: Any,
        **rest: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The response as a stream; the fallback role's stream begins anew."""
        request = (system_instructions, input, model_settings, tools, output_schema, handoffs)
        for role in self._roles():
            model, call = self._begin(role, request)
            try:
                async for event in model.stream_response(*request, tracing, **rest):
                    if event.type == "response.completed":
                        self._end(call, _completed(event.response))
                    yield event
                return
            except AgentsException:
                raise
            except Exception as error:  # noqa: BLE001  (as above)
                failed = self._fail(call, error)
        raise failed

    def _roles(self) -> list[str]:
        fallback = self._job.spec.agents[self._agent].fallback
        other = fallback.model if fallback is not None else None
        return [self._role, *([other] if other is not None and other != self._role else [])]

    def _begin(self, role: str, request: tuple[Any, ...]) -> tuple[Model, ModelCall]:
        job, recorder = self._job, self._job.recorder
        if reached := self._reached():
            raise LimitReached(reached)
        past = job.past if job.past is not None and not job.past.over else None
        source = past or job.models
        system, items, *others = request
        call = ModelCall(
            agent=self._agent,
            role=role,
            model=source.label(role),
            request=(system, items if isinstance(items, str) else list(items), *others),
            started=recorder.elapsed(),
            inside=inside.get(),
            replayed=past is not None,
        )
        if not call.inside and self._agent != speaker(job):
            recorder.say("agent", self._agent, agent=self._agent)
        recorder.calls.append(call)
        recorder.say("model", call.model, agent=self._agent)
        return source.get_model(role), call

    def _reached(self) -> str:
        """Why nothing is asked any more, or nothing. Of a replayed run the record tells."""
        job, limit = self._job, self._job.spec.limits.usd
        if isinstance(job.models, Tape) and job.models.limit is not None:
            return job.models.limit if job.models.over else ""
        if job.spent > limit:
            return f"stopped after ${job.spent:.4f}, above the limit of ${limit:g}"
        if not inside.get():
            return ""
        most = ASKED * job.spec.limits.turns
        asked = sum(isinstance(call, ModelCall) and bool(call.inside) for call in job.recorder.calls)
        return f"stopped after {most} {OF_ASKED}" if asked >= most else ""

    def _end(self, call: ModelCall, response: ModelResponse) -> None:
        job = self._job
        call.response, call.seconds = response, job.recorder.elapsed() - call.started
        if call.replayed:
            return
        call.usd = job.models.cost(call.role, response.usage)
        job.spent += call.usd or 0.0

    def _fail(self, call: ModelCall, error: Exception) -> ModelFailed:
        call.error, call.seconds = explain(error), self._job.recorder.elapsed() - call.started
        if not isinstance(error, openai.OpenAIError | RecordedError):
            log.warning("model %s failed\n%s", call.model, redaction.trouble(error))
        return ModelFailed(call.error, self._agent)


def _completed(response: Any) -> ModelResponse:
    used = response.usage
    usage = (
        Usage(
            requests=1,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            total_tokens=used.total_tokens,
        )
        if used
        else Usage()
    )
    if used and used.input_tokens_details is not None:
        usage.input_tokens_details = used.input_tokens_details
    return ModelResponse(output=list(response.output), usage=usage, response_id=response.id)


def explain(error: Exception) -> str:
    """A failure of a model in words that a person can act on; never the request or a key."""
    if isinstance(error, RecordedError):
        return str(error)
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return "The model server refused the key. Check OPENAI_API_KEY."
    if isinstance(error, openai.RateLimitError):
        return "The model server is limiting requests (429), also after trying again. Try later."
    if isinstance(error, openai.NotFoundError):
        return "The model server does not know this model. Check WORKBENCH_MODEL_SMALL, _MAIN and _REASONING."
    if isinstance(error, openai.APITimeoutError):
        return "The model server did not answer in time."
    if isinstance(error, openai.APIConnectionError):
        return "The model server cannot be reached, or cut the connection. Check OPENAI_BASE_URL."
    if isinstance(error, openai.APIStatusError):
        return f"The model server answered with an error ({error.status_code})."
    return f"The model's answer could not be read ({type(error).__name__})."
