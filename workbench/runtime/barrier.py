"""The barrier: guardrails run in parallel with the model; what is dangerous, and the reply, wait for all of them.

A guardrail that trips stops the run. One that crashes or takes too long counts as tripped: it holds what it guards.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from agents import guardrail_span

from workbench.errors import WorkbenchError
from workbench.runtime import guardrails, redaction
from workbench.runtime.guardrails import Situation
from workbench.runtime.job import Job
from workbench.runtime.record import ToolCall, Verdict
from workbench.runtime.spec import GuardrailSpec

log = logging.getLogger("workbench.runtime")

T = TypeVar("T")


class Tripped(Exception):
    """A guardrail stopped the run."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.name}: {verdict.reason}")
        self.verdict = verdict


class Barrier:
    """The guardrails on the input of one run, under way while the model works."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._specs = [one for one in job.spec.guardrails if one.on == "input"]
        self._running: dict[asyncio.Task[Verdict], str] = {}
        self._opened = asyncio.Event()
        self.tripped: Verdict | None = None
        if not self._specs:
            self._opened.set()

    @property
    def clear(self) -> bool:
        """Whether every guardrail has let the input pass."""
        return self._opened.is_set() and self.tripped is None

    @property
    def pending(self) -> list[str]:
        """The names of the guardrails that have not decided yet."""
        return list(self._running.values()) if not self._opened.is_set() else []

    async def wait(self) -> bool:
        """Wait for all verdicts; whether the input passed."""
        await self._opened.wait()
        return self.tripped is None

    async def around(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and the guardrails side by side. Returns what `work` returns once every guardrail has passed.

        Raises Tripped as soon as one trips, after `work` was stopped, and what `work` raises.
        """
        if not self._specs:
            return await work
        texts = _said(self._job.recorder.input)
        for spec in self._specs:
            task = asyncio.create_task(judge(self._job, spec, texts))
            self._running[task] = spec.name
            task.add_done_callback(self._settle)
        working = asyncio.create_task(work)
        opening = asyncio.create_task(self._opened.wait())
        try:
            await asyncio.wait((working, opening), return_when=asyncio.FIRST_COMPLETED)
            if self.tripped is None and working.done() and not working.cancelled():
                await self._wait_with_reply()
            if self.tripped is not None:
                raise Tripped(self.tripped)
            return await working
        finally:
            await _end([working, opening, *self._running])

    async def _wait_with_reply(self) -> None:
        recorder = self._job.recorder
        if waiting_for := self.pending:
            since = recorder.elapsed()
            await self._opened.wait()
            recorder.reply_waited += recorder.elapsed() - since
            recorder.reply_waited_for += waiting_for

    def _settle(self, task: asyncio.Task[Verdict]) -> None:
        name = self._running.pop(task)
        if task.cancelled() or task.exception() is not None:
            self.tripped = self.tripped or _failed(name)
        elif task.result().tripped:
            self.tripped = self.tripped or task.result()
        if self.tripped is not None or not self._running:
            self._opened.set()


def _failed(name: str) -> Verdict:
    """The verdict in the place of one that never came: it holds."""
    return Verdict(name, "input", "", tripped=True, reason="the check did not come to an end", started=0.0, seconds=0.0)


async def guard_reply(job: Job, agent: str, reply: str) -> None:
    """Let every guardrail on the replies of `agent` read its reply, side by side. Raises Tripped."""
    specs = [one for one in job.spec.guardrails if one.on == "reply" and applies(one, agent)]
    if not specs:
        return
    since = job.recorder.elapsed()
    verdicts = await _all(job, specs, [reply], about=agent)
    job.recorder.reply_waited += job.recorder.elapsed() - since
    job.recorder.reply_waited_for += [one.name for one in specs]
    if tripped := next((one for one in verdicts if one.tripped), None):
        raise Tripped(tripped)


async def guard_result(job: Job, call: ToolCall) -> Verdict | None:
    """Let every guardrail on tool results read what a call brought back, its failure too; the first that trips, or None."""
    specs = [one for one in job.spec.guardrails if one.on == "tool_result" and applies(one, call.agent)]
    if not specs:
        return None
    verdicts = await _all(job, specs, [call.error or call.output], about=call.call_id)
    return next((one for one in verdicts if one.tripped), None)


def applies(spec: GuardrailSpec, agent: str) -> bool:
    """Whether a guardrail guards `agent`."""
    return spec.agents == "all" or agent in spec.agents


async def judge(job: Job, spec: GuardrailSpec, texts: Sequence[str], *, about: str = "") -> Verdict:
    """The verdict of one guardrail on `texts`, written into the record; failing and being slow count as tripping."""
    recorder = job.recorder
    started = recorder.elapsed()
    situation = Situation(job.models, job.variables)
    with guardrail_span(spec.name) as span:
        reason = await _reason(job, spec, texts, situation, about)
        span.span_data.triggered = reason is not None
    verdict = Verdict(
        name=spec.name,
        on=spec.on,
        check=spec.check,
        tripped=reason is not None,
        reason=reason or "",
        started=started,
        seconds=recorder.elapsed() - started,
        about=about,
        model=situation.model,
        usd=situation.usd,
    )
    job.spent += situation.usd or 0.0
    recorder.verdicts.append(verdict)
    recorder.say("guardrail tripped" if verdict.tripped else "guardrail passed", spec.name, verdict.reason)
    return verdict


async def _reason(job: Job, spec: GuardrailSpec, texts: Sequence[str], situation: Situation, about: str) -> str | None:
    try:
        check = guardrails.find(spec.check)
        if check.asks and job.verdicts is not None:
            return _recorded(job.verdicts, spec, about)
        read = ["\n\n".join(texts)] if check.asks else texts
        return await check.within(spec.timeout, read, spec.settings, situation)
    except TimeoutError:
        return f"the check took longer than {spec.timeout:g} seconds"
    except WorkbenchError as error:
        return f"the check failed: {error.message}"
    except Exception as error:  # noqa: BLE001  (it holds what it guards, and is logged without what it quotes)
        log.warning("guardrail %s raised\n%s", spec.name, redaction.trouble(error))
        return f"the check failed ({type(error).__name__})"


def _recorded(verdicts: Sequence[Mapping[str, Any]], spec: GuardrailSpec, about: str) -> str | None:
    """The verdict of a check that asks a model, as it stands in the record that is replayed."""
    for one in verdicts:
        if (one["name"], one["on"], one.get("about", "")) == (spec.name, spec.on, about):
            return str(one["reason"]) if one["tripped"] else None
    return "the recorded run has no verdict of this check"


async def _all(job: Job, specs: Sequence[GuardrailSpec], texts: Sequence[str], *, about: str) -> list[Verdict]:
    tasks = [asyncio.create_task(judge(job, one, texts, about=about)) for one in specs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Stop what still goes on and wait until it has stopped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _said(items: Sequence[Any]) -> list[str]:
    """What the customer wrote in the whole conversation: a message that was blocked must not return as history."""
    said = (item for item in items if isinstance(item, Mapping) and item.get("role") == "user")
    return [item["content"] if isinstance(item["content"], str) else json.dumps(item["content"]) for item in said]
