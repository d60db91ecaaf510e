"""Run a flow: the only caller of the SDK's Runner. Playground, replay, experiments and production all come through here."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
from agents import (
    AgentsException,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    Model,
    ModelProvider,
    ModelResponse,
    OutputGuardrail,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    Runner,
    TracingProcessor,
    set_trace_processors,
)
from agents.items import TResponseStreamEvent

from workbench.errors import Invalid, WorkbenchError
from workbench.runtime import guardrails, tools
from workbench.runtime.build import OutputDoesNotFit, network
from workbench.runtime.models import Diverged, Models, RecordedError, Tape
from workbench.runtime.record import Conversation, Finished, ModelCall, Recorder, Sink, Step, ToolCall, Verdict, clean
from workbench.runtime.release import Release
from workbench.runtime.spec import GuardrailSpec, Outcome
from workbench.runtime.toolbox.control import Knowledge

log = logging.getLogger("workbench.runtime")

LONGEST = 20_000
"""Characters of one message."""

TOO_LONG = "took longer than"
BLOCKED = "I cannot help with this message."
HELD = "This needs a person's approval before it goes on."

Answers = Callable[[ToolCall], Mapping[str, Any] | None]
"""A tool policy: the recorded or mocked answer (`output`, `error`) to a call, or None to call the tool."""


@dataclass(frozen=True)
class Result:
    """What a run came to. `usd` is None where a model's price is not known; times are seconds."""

    run_id: str
    reply: str
    outcome: Outcome
    agent: str
    output: Any
    conversation: Conversation
    finished: Finished

    @property
    def record(self) -> dict[str, Any]:
        """The run's record: one JSON document."""
        return self.finished.plain

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.finished.seconds

    @property
    def error(self) -> str:
        """Why it stopped, where the outcome is `error`, `limit` or `blocked`."""
        return self.finished.error or self.finished.stop


@dataclass(frozen=True)
class Words:
    """Words of the reply, safe to show."""

    text: str


Event = Words | Step | Result


@dataclass
class _Gate:
    """Opens when every guardrail on the input has passed; high-stakes tools and the visible reply wait for it."""

    pending: int
    tripped: bool = False
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.pending == 0:
            self.opened.set()

    def settle(self, tripped: bool) -> None:
        self.pending -= 1
        self.tripped = self.tripped or tripped
        if self.tripped or self.pending == 0:
            self.opened.set()

    @property
    def clear(self) -> bool:
        return self.pending == 0 and not self.tripped


@dataclass
class _Run:
    """The state of one run; the SDK carries it as its context."""

    recorder: Recorder
    tools: tools.ToolContext
    variables: Mapping[str, str]
    gate: _Gate
    models: Models | Tape
    answers: Answers | None
    spent: float = 0.0


class _LimitReached(AgentsException):
    pass


class _ModelFailed(AgentsException):
    pass


async def run(
    flow: Release,
    text: str,
    *,
    models: Models | Tape | None = None,
    sink: Sink | None = None,
    conversation: Conversation | None = None,
    variables: Mapping[str, str] | None = None,
    resources: Sequence[Any] = (),
    answers: Answers | None = None,
    source: str = "runtime",
    environment: str = "",
    run_id: str = "",
) -> Result:
    """Run `flow` on one message and return its Result; failures of models and tools are outcomes, not exceptions.

    `resources` are given to tools by their type. Raises Invalid for an empty message, a prompt variable without a
    value (listing all), or a flow that cannot be built.
    """
    job = _prepare(flow, text, models, conversation, variables, resources, answers, source, environment, run_id, None)
    try:
        return await _execute(job, flow, sink, streamed=False, show=None)
    finally:
        if models is None and isinstance(job.models, Models):
            await job.models.aclose()


async def stream(
    flow: Release,
    text: str,
    *,
    models: Models | Tape | None = None,
    sink: Sink | None = None,
    conversation: Conversation | None = None,
    variables: Mapping[str, str] | None = None,
    resources: Sequence[Any] = (),
    answers: Answers | None = None,
    source: str = "runtime",
    environment: str = "",
    run_id: str = "",
) -> AsyncIterator[Event]:
    """Like `run`, yielding each Step and the reply's Words as they happen, and the Result last.

    Closing the iterator stops the run; it is then recorded as stopped.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    job = _prepare(
        flow, text, models, conversation, variables, resources, answers, source, environment, run_id, events.put_nowait
    )

    async def work() -> Result:
        try:
            return await _execute(job, flow, sink, streamed=True, show=events.put_nowait)
        finally:
            events.put_nowait(None)

    task = asyncio.create_task(work())
    try:
        while (event := await events.get()) is not None:
            yield event
        yield await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if models is None and isinstance(job.models, Models):
            await job.models.aclose()


def _prepare(
    flow: Release,
    text: str,
    models: Models | Tape | None,
    conversation: Conversation | None,
    variables: Mapping[str, str] | None,
    resources: Sequence[Any],
    answers: Answers | None,
    source: str,
    environment: str,
    run_id: str,
    watch: Callable[[Step], None] | None,
) -> _Run:
    text = clean(text)
    if len(text) > LONGEST:
        raise Invalid(f"The message has {len(text):,} characters; at most {LONGEST:,} are taken.")
    if not text.strip():
        raise Invalid("The message is empty.", remedy="Write what the customer asks.")
    values = {**flow.spec.variables, **(variables or {})}
    if missing := flow.missing(values):
        named = "; ".join(f"{label} needs {', '.join('$' + n for n in names)}" for label, names in missing.items())
        raise Invalid(f"Prompt variables have no value: {named}.", remedy="Give them under `variables`, or with --var.")
    _collect_spans()
    built = network(flow, _invoke)
    talk = conversation or Conversation(id="")
    start = talk.agent if talk.agent in built.agents else built.entry
    recorder = Recorder(
        release=flow,
        source=source,
        conversation=talk.id or f"conv_{uuid.uuid4().hex}",
        environment=environment,
        input=[*talk.items, {"role": "user", "content": text}],
        question=text,
        agent=start,
        variables=values,
        watch=watch,
    )
    if run_id:
        recorder.hex = run_id.removeprefix("run_")
    context = tools.ToolContext(variables=values, resources={type(one): one for one in resources})
    if flow.index is not None and flow.spec.knowledge is not None:
        context.resources[Knowledge] = Knowledge(flow.index, flow.spec.knowledge.top, flow.spec.knowledge.abstain_below)
    on_input = [g for g in flow.spec.guardrails if g.on == "input"]
    return _Run(
        recorder=recorder,
        tools=context,
        variables=values,
        gate=_Gate(pending=len(on_input)),
        models=Models() if models is None else models,
        answers=answers,
    )


async def _execute(
    job: _Run,
    flow: Release,
    sink: Sink | None,
    *,
    streamed: bool,
    show: Callable[[Words], None] | None,
) -> Result:
    recorder, built = job.recorder, network(flow, _invoke)
    config = RunConfig(
        workflow_name=flow.name,
        trace_id=recorder.trace,
        group_id=recorder.conversation,
        model_provider=_Recorded(job),
        input_guardrails=[_input_guardrail(job, one) for one in flow.spec.guardrails if one.on == "input"],
        output_guardrails=[_reply_guardrail(job, one) for one in flow.spec.guardrails if one.on == "reply"],
        trace_include_sensitive_data=False,
    )
    _live[recorder.trace] = recorder
    outcome: Outcome = "error"
    reply, error, stop, output, items = "", "", "", None, tuple(recorder.input)
    agent = recorder.agent
    waiting: tuple[dict[str, Any], ...] = ()
    visible = _Visible(job, flow, show) if show else None
    recorder.say("agent", recorder.agent, agent=recorder.agent)
    scope = asyncio.timeout(flow.spec.limits.seconds)
    try:
        async with scope:
            start = built.agents[recorder.agent]
            if streamed:
                ongoing = Runner.run_streamed(
                    start, list(recorder.input), context=job, max_turns=flow.spec.limits.turns, run_config=config
                )
                try:
                    async for event in ongoing.stream_events():
                        if visible and event.type == "raw_response_event":
                            visible.feed(event.data)
                finally:
                    ongoing.cancel()
                result: Any = ongoing
            else:
                result = await Runner.run(
                    start, list(recorder.input), context=job, max_turns=flow.spec.limits.turns, run_config=config
                )
        agent = result.last_agent.name
        if result.interruptions:
            outcome, reply = "held", HELD
            waiting = tuple(_waiting(one) for one in result.interruptions)
            for one in waiting:
                recorder.say("held", str(one["tool"]), "waits for a person's approval", agent)
        else:
            output, items = result.final_output, tuple(result.to_input_list())
            reply = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            outcome, error = _outcome(recorder, reply)
    except MaxTurnsExceeded:
        outcome, stop = "limit", f"stopped after {flow.spec.limits.turns} turns"
    except _LimitReached as reached:
        outcome, stop = "limit", str(reached)
    except TimeoutError:
        if not scope.expired():
            raise
        outcome, stop = "limit", f"stopped after {flow.spec.limits.seconds:g} seconds"
    except (InputGuardrailTripwireTriggered, OutputGuardrailTripwireTriggered) as tripped:
        outcome, reply, items = "blocked", BLOCKED, tuple(recorder.input[:-1])
        stop = f"{tripped.guardrail_result.guardrail.get_name()}: {tripped.guardrail_result.output.output_info}"
    except _ModelFailed as failed:
        error = str(failed)
    except AgentsException as behaved:
        error = _broken(behaved)
    except asyncio.CancelledError:
        stop = "stopped by the person"
        raise
    except Diverged:
        raise
    except Exception as bug:
        error = f"{type(bug).__name__}: {bug}"
        raise
    finally:
        _live.pop(recorder.trace, None)
        finished = Finished(
            recorder=recorder,
            outcome=outcome,
            reply=reply,
            agent=agent if outcome in ("answered", "held") else _last_agent(recorder),
            seconds=recorder.elapsed(),
            error=error,
            stop=stop,
            escalation=_escalation(recorder),
            waiting=waiting,
        )
        if sink is not None:
            sink(finished)
    if visible:
        visible.finish(reply if outcome in ("answered", "abstained", "escalated") else "")
    talk = Conversation(id=recorder.conversation, items=items, agent=finished.agent)
    return Result(
        run_id=recorder.id,
        reply=reply,
        outcome=outcome,
        agent=finished.agent,
        output=output,
        conversation=talk,
        finished=finished,
    )


def _outcome(recorder: Recorder, reply: str) -> tuple[Outcome, str]:
    if not reply.strip():
        return "error", "The model returned no text and called no tool."
    done = {call.name for call in recorder.calls if isinstance(call, ToolCall) and not call.error}
    if "escalate" in done:
        return "escalated", ""
    return ("abstained" if "abstain" in done else "answered"), ""


def _broken(error: AgentsException) -> str:
    """A broken protocol in words of our own; the model's words are in the record, not in the message."""
    if isinstance(error, OutputDoesNotFit):
        return f"The model's answer does not fit the output schema: {error}."
    return "The model called something that does not exist, or broke the protocol otherwise."


def _escalation(recorder: Recorder) -> Mapping[str, str] | None:
    for call in recorder.calls:
        if isinstance(call, ToolCall) and call.name == "escalate" and not call.error:
            return dict(json.loads(call.arguments))
    return None


def _last_agent(recorder: Recorder) -> str:
    return next((c.agent for c in reversed(recorder.calls) if isinstance(c, ModelCall)), recorder.agent)


def _waiting(interruption: Any) -> dict[str, Any]:
    raw = interruption.raw_item
    return {"tool": interruption.name, "arguments": interruption.arguments, "call_id": getattr(raw, "call_id", "")}


async def _invoke(context: Any, name: str, arguments: str) -> str:
    """Run one tool call for the SDK: wait for the guardrails where it must, record it, and tell failures as text."""
    job: _Run = context.context
    recorder = job.recorder
    declared = recorder.release.spec.tools.get(name)
    agent = context.agent.name if context.agent else recorder.agent
    call = ToolCall(
        agent=agent,
        name=name,
        call_id=context.tool_call_id,
        arguments=arguments,
        effect=declared.effect if declared else "read",
        started=recorder.elapsed(),
    )
    recorder.calls.append(call)
    recorder.say("tool", name, arguments, agent)
    if call.effect != "read":
        await job.gate.opened.wait()
        call.held = recorder.elapsed() - call.started
    if call.effect != "read" and any(_may_have_happened(one, call) for one in recorder.calls):
        call.error = "Not called again: the first call took too long, and may still take effect."
    elif not job.gate.clear and call.effect != "read":
        call.error = "Not called: a guardrail stopped this run."
    elif job.answers is not None and (given := job.answers(call)) is not None:
        call.output, call.error = str(given["output"]), str(given.get("error", ""))
    else:
        await _call(job, call)
    if call.error:
        call.output = json.dumps({"error": call.error}, ensure_ascii=False)
    call.seconds = recorder.elapsed() - call.started
    recorder.say("tool failed" if call.error else "tool answered", name, call.error or call.output, agent)
    return call.output


def _may_have_happened(before: ModelCall | ToolCall, call: ToolCall) -> bool:
    """Whether an earlier call, the same in name and arguments, was left while it was still going on."""
    if not isinstance(before, ToolCall) or before is call or TOO_LONG not in before.error:
        return False
    return (before.name, before.arguments) == (call.name, call.arguments)


async def _call(job: _Run, call: ToolCall) -> None:
    spec = job.recorder.release.spec.tools.get(call.name)
    known = tools.find(spec.call if spec is not None and spec.kind == "python" else call.name)
    limit = spec.timeout if spec is not None else 20.0
    try:
        given = json.loads(call.arguments or "{}")
        if not isinstance(given, dict):
            raise Invalid(f"The arguments of {call.name} are not an object.")
        arguments = known.arguments(given)
        async with asyncio.timeout(limit):
            answer = await asyncio.to_thread(known.function, job.tools, **arguments)
        call.output = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, allow_nan=False)
    except WorkbenchError as error:
        call.error = error.message
    except TimeoutError:
        call.error = f"{call.name} {TOO_LONG} {limit:g} seconds."
    except json.JSONDecodeError:
        call.error = f"The arguments of {call.name} are not JSON."
    except Exception as error:
        log.warning("tool %s raised", call.name, exc_info=error)
        call.error = f"{call.name} failed ({type(error).__name__})."


def _input_guardrail(job: _Run, spec: GuardrailSpec) -> InputGuardrail[Any]:
    async def test(_context: Any, _agent: Any, _input: Any) -> GuardrailFunctionOutput:
        verdict = _judge(job, spec, *_said(job.recorder))
        job.gate.settle(verdict.tripped)
        return GuardrailFunctionOutput(output_info=verdict.reason, tripwire_triggered=verdict.tripped)

    return InputGuardrail(guardrail_function=test, name=spec.name, run_in_parallel=True)


def _reply_guardrail(job: _Run, spec: GuardrailSpec) -> OutputGuardrail[Any]:
    async def test(_context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        if spec.agents != "all" and agent.name not in spec.agents:
            return GuardrailFunctionOutput(output_info="", tripwire_triggered=False)
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        verdict = _judge(job, spec, text)
        return GuardrailFunctionOutput(output_info=verdict.reason, tripwire_triggered=verdict.tripped)

    return OutputGuardrail(guardrail_function=test, name=spec.name)


def _said(recorder: Recorder) -> list[str]:
    """What the customer wrote in the whole conversation: a message that was blocked must not return as history."""
    items = (item for item in recorder.input if isinstance(item, Mapping) and item.get("role") == "user")
    return [item["content"] if isinstance(item["content"], str) else json.dumps(item["content"]) for item in items]


def _judge(job: _Run, spec: GuardrailSpec, *texts: str) -> Verdict:
    """The verdict of a guardrail; one that crashes holds what it guards."""
    recorder = job.recorder
    started = recorder.elapsed()
    try:
        check = guardrails.find(spec.check)
        reason = next((found for found in map(check.test, texts) if found is not None), None)
    except Exception as error:
        log.warning("guardrail %s raised", spec.name, exc_info=error)
        reason = f"the check failed ({type(error).__name__})"
    verdict = Verdict(
        name=spec.name,
        on=spec.on,
        check=spec.check,
        tripped=reason is not None,
        reason=reason or "",
        started=started,
        seconds=recorder.elapsed() - started,
    )
    recorder.verdicts.append(verdict)
    recorder.say("guardrail tripped" if verdict.tripped else "guardrail passed", spec.name, verdict.reason)
    return verdict


class _Visible:
    """Holds streamed words back until every guardrail lets them pass.

    Input guardrails: nothing is shown before all have passed. Reply guardrails: a rule needs at most `reach`
    characters at once, so words further back than the longest reach are shown once the rules have seen them.
    """

    def __init__(self, job: _Run, flow: Release, show: Callable[[Words], None]) -> None:
        specs = [one for one in flow.spec.guardrails if one.on == "reply"]
        self._checks = [guardrails.find(one.check) for one in specs]
        self._reach = max((one.reach for one in self._checks), default=0)
        self._structured = {name for name, agent in flow.spec.agents.items() if agent.output is not None}
        self._job, self._show = job, show
        self._text, self._shown, self._stopped = "", 0, False

    def feed(self, event: TResponseStreamEvent) -> None:
        if event.type == "response.created":
            self._text, self._shown = "", 0
        elif event.type == "response.output_text.delta":
            self._text += event.delta
        else:
            return
        if _last_agent(self._job.recorder) not in self._structured:
            self._release(len(self._text) - self._reach)

    def finish(self, reply: str) -> None:
        """Show the rest of the reply, which has now passed everything."""
        if reply.startswith(self._text[: self._shown]) and len(reply) > self._shown:
            self._show(Words(reply[self._shown :]))

    def _release(self, until: int) -> None:
        if self._stopped or until <= self._shown or not self._job.gate.clear:
            return
        if any(_trips(check, self._text) for check in self._checks):
            self._stopped = True
            return
        self._show(Words(self._text[self._shown : until]))
        self._shown = until


def _trips(check: guardrails.Check, text: str) -> bool:
    try:
        return check.test(text) is not None
    except Exception:  # noqa: BLE001  (a check that fails must hold; the verdict on the whole reply tells why)
        return True


class _Recorded(ModelProvider):
    """The provider of one run: hands out models that write down each request and response."""

    def __init__(self, job: _Run) -> None:
        self._job = job

    def get_model(self, model_name: str | None) -> Model:
        role, _, agent = (model_name or "main").partition("|")
        return _RecordedModel(self._job, role, agent, self._job.models.get_model(role))


class _RecordedModel(Model):
    def __init__(self, job: _Run, role: str, agent: str, inner: Model) -> None:
        self._job, self._role, self._agent, self._inner = job, role, agent, inner

    def _begin(
        self, system: str | None, items: Any, settings: Any, offered: Any, schema: Any, handoffs: Any
    ) -> ModelCall:
        job, recorder, agent = self._job, self._job.recorder, self._agent
        limit = recorder.release.spec.limits.usd
        if job.spent > limit:
            raise _LimitReached(f"stopped after ${job.spent:.4f}, above the limit of ${limit:g}")
        call = ModelCall(
            agent=agent,
            role=self._role,
            model=job.models.label(self._role),
            request=(system, items if isinstance(items, str) else list(items), settings, offered, schema, handoffs),
            started=recorder.elapsed(),
        )
        if agent != _last_agent(recorder):
            recorder.say("agent", agent, agent=agent)
        recorder.calls.append(call)
        recorder.say("model", call.model, agent=agent)
        return call

    def _end(self, call: ModelCall, response: ModelResponse) -> None:
        call.response, call.seconds = response, self._job.recorder.elapsed() - call.started
        call.usd = self._job.models.cost(self._role, response.usage)
        self._job.spent += call.usd or 0.0

    def _fail(self, call: ModelCall, error: Exception) -> _ModelFailed:
        call.error, call.seconds = explain(error), self._job.recorder.elapsed() - call.started
        if not isinstance(error, openai.OpenAIError | RecordedError):
            log.warning("model %s failed", call.model, exc_info=error)
        return _ModelFailed(call.error)

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
        call = self._begin(system_instructions, input, model_settings, tools, output_schema, handoffs)
        try:
            response = await self._inner.get_response(
                system_instructions, input, model_settings, tools, output_schema, handoffs, tracing, **rest
            )
        except (Diverged, AgentsException):
            raise
        except Exception as error:
            raise self._fail(call, error) from error
        self._end(call, response)
        return response

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
        call = self._begin(system_instructions, input, model_settings, tools, output_schema, handoffs)
        events = self._inner.stream_response(
            system_instructions, input, model_settings, tools, output_schema, handoffs, tracing, **rest
        )
        try:
            async for event in events:
                if event.type == "response.completed":
                    self._end(call, _completed(event.response))
                yield event
        except (Diverged, AgentsException):
            raise
        except Exception as error:
            raise self._fail(call, error) from error


def _completed(response: Any) -> ModelResponse:
    from agents.usage import Usage

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


_live: dict[str, Recorder] = {}
_collecting = False


class _Collector(TracingProcessor):
    """Gives each finished span to the recorder of its run. Replaces the SDK's exporter, so nothing leaves the process."""

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def on_span_end(self, span: Any) -> None:
        if (recorder := _live.get(span.trace_id)) is not None:
            recorder.spans.append(span)

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


def _collect_spans() -> None:
    global _collecting
    if not _collecting:
        _collecting = True
        set_trace_processors([_Collector()])
