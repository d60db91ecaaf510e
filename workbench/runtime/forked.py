"""What a forked run repeats of the run it was forked from: the calls before the fork, with what agents said then."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import AsyncIterator, Mapping
from typing import Any

from agents import Model, ModelResponse
from agents.items import TResponseStreamEvent

from workbench.runtime.job import Job
from workbench.runtime.modelcalls import Recorded, RecordedModel
from workbench.runtime.models import Tape
from workbench.runtime.record import ToolCall, Verdict

_FIELDS = {one.name for one in dataclasses.fields(Verdict)}


class Past:
    """The past of a fork: what the models of `record` said up to the fork, as a tape, and what its tools answered."""

    def __init__(self, job: Job, record: Mapping[str, Any]) -> None:
        calls = record["calls"][: _forked(job)["calls"]]
        self._job, self._policy = job, job.answers
        self._asked = {name for name, tool in job.spec.tools.items() if tool.kind == "agent"}
        self._verdicts = [one for one in record["guardrails"] if one["on"] == "tool_result"]
        self._answers = {_key(one): one for one in calls if one["kind"] == "tool" and not self._again(one)}
        self.tape = Tape(calls)

    def answer(self, call: ToolCall) -> Mapping[str, Any] | None:
        """The recorded answer to a call of the past, once; what the job's own policy says to any other."""
        found = self._answers.pop((call.call_id, call.name, call.arguments), None)
        if found is None:
            return self._policy(call) if self._policy is not None else None
        judged = [one for one in self._verdicts if one.get("about", "") == call.call_id]
        self._job.recorder.verdicts += [
            Verdict(**{**{k: v for k, v in one.items() if k in _FIELDS}, "usd": 0.0}) for one in judged
        ]
        return {"output": found["output"], "error": found["error"], "replayed": True}

    def _again(self, call: Mapping[str, Any]) -> bool:
        """Whether a call asks another agent, which is asked again: what it said stands in the record too."""
        return call["name"] in self._asked and not call.get("mocked")


class Turning(Recorded):
    """The provider of a forked run: while its past goes on, each agent has the instructions and the role it had then."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._turns = job

    def get_model(self, model_name: str | None) -> Model:
        """The model of `role|agent`, as it is at the time of each request."""
        role, _, agent = (model_name or "main").partition("|")
        return _TurningModel(self._turns, role, agent)


class _TurningModel(Model):
    def __init__(self, job: Job, role: str, agent: str) -> None:
        self._job, self._role, self._agent = job, role, agent

    async def get_response(self, system_instructions: str | None, *rest: Any, **named: Any) -> ModelResponse:
        model, system = self._now(system_instructions)
        return await model.get_response(system, *rest, **named)

    async def stream_response(
        self, system_instructions: str | None, *rest: Any, **named: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        model, system = self._now(system_instructions)
        async for event in model.stream_response(system, *rest, **named):
            yield event

    def _now(self, system: str | None) -> tuple[RecordedModel, str | None]:
        """The model and the instructions for the request that comes next."""
        past = self._job.past
        if past is None or past.over:
            return RecordedModel(self._job, self._role, self._agent), system
        forked = _forked(self._job)
        role = then(forked, "model", self._agent, past.next) or self._role
        text = then(forked, "instructions", self._agent, past.next)
        said = system if text is None else string.Template(text).safe_substitute(self._job.variables)
        return RecordedModel(self._job, role, self._agent), said


def then(forked: Mapping[str, Any], kind: str, agent: str, request: int) -> str | None:
    """What a change of this kind replaced, as it was at a request of the past (from 0); None where none did.

    A fork of a fork has a past of several parts: the innermost part that holds the request says how it was.
    """
    found: str | None = None
    level: Mapping[str, Any] | None = forked
    while level is not None and request < level["requests"]:
        change = level["change"]
        if change["kind"] == kind and agent in change.get("agents", ()):
            found = str(change["before"])
        level = level.get("before")
    return found


def _forked(job: Job) -> Mapping[str, Any]:
    return job.recorder.forked or {}


def _key(call: Mapping[str, Any]) -> tuple[str, str, str]:
    return call["call_id"], call["name"], call["arguments"]
