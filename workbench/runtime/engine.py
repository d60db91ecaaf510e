"""Run a flow: the only caller of the SDK's Runner. Playground, replay, experiments and production all come through here."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from agents import AgentsException, MaxTurnsExceeded, RunConfig, Runner

from workbench.errors import Invalid
from workbench.runtime import spans, tools
from workbench.runtime.barrier import Barrier, Tripped, guard_reply
from workbench.runtime.build import OutputDoesNotFit, network
from workbench.runtime.forked import Past, Turning
from workbench.runtime.job import Answers, Decision, Held, Job, Ledger, Unclaimed
from workbench.runtime.modelcalls import LimitReached, ModelFailed, Recorded, explain
from workbench.runtime.models import Diverged, Models, Tape
from workbench.runtime.record import Conversation, Finished, Recorder, Sink, Step, ToolCall, clean
from workbench.runtime.release import Release
from workbench.runtime.spec import CONTROLS, Outcome
from workbench.runtime.toolbox.control import Knowledge
from workbench.runtime.toolcalls import asks_people, invoke, unheld, waiting
from workbench.runtime.visible import Visible, Words, speaker

__all__ = ["Answers", "Decision", "Event", "Ledger", "Result", "Words", "explain", "fork", "resume", "run", "stream"]

LONGEST = 20_000
"""Characters of one message."""

FACT = 2_000
"""Characters of a tool's answer that go into the note for a person."""

BLOCKED = "I cannot help with this message."
HELD = "This needs a person's approval before it goes on."


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


Event = Words | Step | Result


class Options(TypedDict, total=False):
    """How a run is made: the options of `run`, `stream` and `resume`.

    `person` is who started it, where one did. `models` are a Models or a Tape (default: the roles of the environment).
    `resources` are given to tools by their type; `answers` is a tool policy; `decisions` are people's about calls that
    need approval, and `ledger` is told of each such call; `verdicts` are recorded ones, for checks that ask a model.
    """

    models: Models | Tape | None
    sink: Sink | None
    conversation: Conversation | None
    variables: Mapping[str, str] | None
    resources: Sequence[Any]
    answers: Answers | None
    source: str
    environment: str
    run_id: str
    person: str
    decisions: Sequence[Decision]
    ledger: Ledger | None
    verdicts: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The options with their defaults."""

    models: Models | Tape | None = None
    sink: Sink | None = None
    conversation: Conversation | None = None
    variables: Mapping[str, str] | None = None
    resources: Sequence[Any] = ()
    answers: Answers | None = None
    source: str = "runtime"
    environment: str = ""
    run_id: str = ""
    person: str = ""
    decisions: Sequence[Decision] = ()
    ledger: Ledger | None = None
    verdicts: Sequence[Mapping[str, Any]] | None = None


async def run(flow: Release, text: str, **options: Unpack[Options]) -> Result:
    """Run `flow` on one message and return its Result; failures of models and tools are outcomes, not exceptions.

    Raises Invalid for an empty message, a prompt variable without a value (listing all), or a flow that cannot be built.
    """
    how = _Options(**options)
    job = _prepare(flow, text, how, None)
    try:
        return await _execute(job, how.sink, None)
    finally:
        await _leave(job, how)


async def stream(flow: Release, text: str, **options: Unpack[Options]) -> AsyncIterator[Event]:
    """Like `run`, yielding each Step and the reply's Words as they happen, and the Result last.

    Closing the iterator stops the run; it is then recorded as stopped.
    """
    how = _Options(**options)
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    job = _prepare(flow, text, how, events.put_nowait)

    async def work() -> Result:
        try:
            return await _execute(job, how.sink, Visible(job, events.put_nowait))
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
        await _leave(job, how)


async def resume(
    flow: Release, record: Mapping[str, Any], decided: Sequence[Decision], **options: Unpack[Options]
) -> Result:
    """Go on with a held run after people decided: its past comes from its record, what follows is live.

    Nothing that the record answers is asked or called again; the guardrails judge anew, and hold the approved calls.
    Options as for `run`. Raises Invalid where the record is not a held run of `flow`, and Diverged where its past
    cannot be repeated.
    """
    if record["outcome"] != "held" or record["digest"] != flow.digest:
        raise Invalid(f"The run {record['id']} is not a held run of this flow.", remedy="Nothing was done.")
    known = {one["call_id"]: one for one in record.get("decisions", ())} | {one.call_id: one.plain for one in decided}
    how = dataclasses.replace(
        _Options(**options),
        conversation=Conversation(
            id=record["conversation"], items=tuple(record["input"][:-1]), agent=record["starts_at"]
        ),
        variables=record["variables"],
        decisions=[Decision(**one) for one in known.values()],
    )
    live = how.answers
    asked = {name for name, tool in flow.spec.tools.items() if tool.kind == "agent"}
    past = {
        (call["call_id"], call["name"], call["arguments"]): call
        for call in record["calls"]
        if call["kind"] == "tool" and call.get("done", True) and call["name"] not in asked
    }

    def answers(call: ToolCall) -> Mapping[str, Any] | None:
        if (found := past.get((call.call_id, call.name, call.arguments))) is not None:
            return {"output": found["output"], "error": found["error"], "replayed": True}
        return live(call) if live is not None else None

    job = _prepare(flow, record["question"], how, None)
    job.past, job.answers = Tape(record["calls"]), answers
    job.recorder.resumes, job.recorder.root = record["id"], record.get("root") or record["id"]
    try:
        return await _execute(job, how.sink, None)
    finally:
        await _leave(job, how)


async def fork(
    flow: Release, text: str, past: Mapping[str, Any], forked: Mapping[str, Any], **options: Unpack[Options]
) -> Result:
    """Repeat the first calls of a recorded run, as many as `forked` says, and go on live from there with `flow`.

    `past` is the record of that run. Nothing that it answers is asked or called again; the guardrails
    on the message judge anew. Options as for `run`; `answers` is asked about the calls that follow the past. Raises
    what `run` raises, and Diverged where the past cannot be repeated.
    """
    how = _Options(**options)
    job = _prepare(flow, text, how, None)
    job.recorder.forked = forked
    repeated = Past(job, past)
    job.past, job.answers, job.config.model_provider = repeated.tape, repeated.answer, Turning(job)
    try:
        return await _execute(job, how.sink, None)
    finally:
        await _leave(job, how)


def _prepare(flow: Release, text: str, how: _Options, watch: Callable[[Step], None] | None) -> Job:
    text = clean(text)
    if len(text) > LONGEST:
        raise Invalid(f"The message has {len(text):,} characters; at most {LONGEST:,} are taken.")
    if not text.strip():
        raise Invalid("The message is empty.", remedy="Write what the customer asks.")
    values = {**flow.spec.variables, **(how.variables or {})}
    if missing := flow.missing(values):
        named = "; ".join(f"{label} needs {', '.join('$' + n for n in names)}" for label, names in missing.items())
        raise Invalid(f"Prompt variables have no value: {named}.", remedy="Give them under `variables`, or with --var.")
    built = network(flow, invoke)
    talk = how.conversation or Conversation(id="")
    recorder = Recorder(
        release=flow,
        source=how.source,
        conversation=talk.id or f"conv_{uuid.uuid4().hex}",
        environment=how.environment,
        input=[*talk.items, {"role": "user", "content": text}],
        question=text,
        agent=talk.agent if talk.agent in built.agents else built.entry,
        variables=values,
        person=how.person,
        decisions=[one.plain for one in how.decisions],
        watch=watch,
    )
    if how.run_id:
        recorder.hex = how.run_id.removeprefix("run_")
    recorder.root = recorder.id
    context = tools.ToolContext(variables=values, resources={type(one): one for one in how.resources})
    if flow.index is not None and flow.spec.knowledge is not None:
        context.resources[Knowledge] = Knowledge(flow.index, flow.spec.knowledge.top, flow.spec.knowledge.abstain_below)
    job = Job(
        recorder=recorder,
        tools=context,
        variables=values,
        models=Models() if how.models is None else how.models,
        answers=how.answers,
        network=built,
        decisions={one.call_id: one for one in how.decisions},
        ledger=how.ledger,
        verdicts=how.verdicts,
    )
    job.barrier = Barrier(job)
    job.config = RunConfig(
        workflow_name=flow.name,
        model_provider=Recorded(job),
        trace_include_sensitive_data=False,
    )
    return job


async def _leave(job: Job, how: _Options) -> None:
    if how.models is None and isinstance(job.models, Models):
        await job.models.aclose()


@dataclass
class _Ending:
    """What a run has come to, filled in as it is known."""

    outcome: Outcome = "error"
    reply: str = ""
    error: str = ""
    stop: str = ""
    output: Any = None
    agent: str = ""
    items: tuple[Any, ...] = ()
    waiting: list[dict[str, Any]] = field(default_factory=list)


async def _execute(job: Job, sink: Sink | None, visible: Visible | None) -> Result:
    """One run from its first request to its record."""
    recorder = job.recorder
    end = _Ending(items=tuple(recorder.input))
    recorder.say("agent", recorder.agent, agent=recorder.agent)
    try:
        with spans.of_run(recorder):
            await _run(job, end, visible)
    except asyncio.CancelledError:
        end.stop = "stopped by the person"
        raise
    except Diverged:
        raise
    except Exception as bug:
        end.error = f"{type(bug).__name__}: {bug}"
        raise
    finally:
        await job.settle()
        spans.left(recorder)
        finished = Finished(
            recorder=recorder,
            outcome=end.outcome,
            reply=end.reply,
            agent=end.agent if end.outcome in ("answered", "held") else speaker(job),
            seconds=recorder.elapsed(),
            error=end.error,
            stop=end.stop,
            escalation=_escalation(recorder),
            waiting=tuple(end.waiting),
        )
        if sink is not None:
            sink(finished)
    if visible is not None:
        visible.finish(end.reply if end.outcome in ("answered", "abstained", "escalated") else "")
    return Result(
        run_id=recorder.id,
        reply=end.reply,
        outcome=end.outcome,
        agent=finished.agent,
        output=end.output,
        conversation=Conversation(id=recorder.conversation, items=end.items, agent=finished.agent),
        finished=finished,
    )


async def _run(job: Job, end: _Ending, visible: Visible | None) -> None:
    """Drive the agents beside the guardrails, and say what came of it; limits and failures are outcomes."""
    limits = job.spec.limits
    scope = asyncio.timeout(limits.seconds)
    try:
        async with scope:
            result = await job.barrier.around(_drive(job, visible))
            await _take(job, result, end)
    except MaxTurnsExceeded:
        end.outcome, end.stop = "limit", f"stopped after {limits.turns} turns"
    except LimitReached as reached:
        end.outcome, end.stop = "limit", str(reached)
    except TimeoutError:
        if not scope.expired():
            raise
        end.outcome, end.stop = "limit", f"stopped after {limits.seconds:g} seconds"
    except Tripped as tripped:
        end.outcome, end.reply, end.items = "blocked", BLOCKED, tuple(job.recorder.input[:-1])
        end.stop = str(tripped)
    except Held:
        _hold(job, end, speaker(job))
    except Diverged:
        raise
    except Unclaimed as unclaimed:
        raise unclaimed.cause from None
    except ModelFailed as failed:
        fallback = job.spec.agents[failed.agent].fallback
        end.error, end.reply = str(failed), (fallback.reply if fallback is not None else None) or ""
    except AgentsException as behaved:
        end.error = _broken(behaved)
    except RecursionError:
        end.error = "The model called something with arguments that are nested too deeply."


async def _drive(job: Job, visible: Visible | None) -> Any:
    """The SDK's run to its result. Where an agent's model fails for good, its fallback agent takes over, once each."""
    agent, items, tried = job.recorder.agent, list(job.recorder.input), set[str]()
    while True:
        try:
            return await _sdk(job, agent, items, visible)
        except ModelFailed as failed:
            fallback = job.spec.agents[failed.agent].fallback
            other = fallback.agent if fallback is not None else None
            if other is None or other in tried or other not in job.network.agents:
                raise
            agent, items = other, [*items, *_finished_items(failed)]
            tried.add(other)


def _finished_items(failed: AgentsException) -> list[Any]:
    """What was said and answered before the failure, so that nothing is done twice."""
    new = failed.run_data.new_items if failed.run_data is not None else []
    made: list[Any] = [one.to_input_item() for one in new]
    answered = {one.get("call_id") for one in made if str(one.get("type", "")).endswith("_output")}
    return [one for one in made if "call_id" not in one or one["call_id"] in answered]


async def _sdk(job: Job, agent: str, items: list[Any], visible: Visible | None) -> Any:
    given: Any = items
    while True:
        result = await _part(job, agent, given, visible)
        given = unheld(job, result)
        if given is None:
            return result


async def _part(job: Job, agent: str, items: Any, visible: Visible | None) -> Any:
    """The SDK's run to its end, or to a call that a person may have to allow."""
    start, turns = job.network.agents[agent], job.spec.limits.turns
    if items == [{"role": "user", "content": job.recorder.question}]:
        items = job.recorder.question  # the SDK asks the model the same, and copies less
    if visible is None:
        return await Runner.run(start, items, context=job, max_turns=turns, run_config=job.config)
    ongoing = Runner.run_streamed(start, items, context=job, max_turns=turns, run_config=job.config)
    try:
        async for event in ongoing.stream_events():
            if event.type == "raw_response_event":
                visible.feed(event.data)
    finally:
        ongoing.cancel()
    return ongoing


async def _take(job: Job, result: Any, end: _Ending) -> None:
    """The reply of a run that came to its end, once the guardrails on it have passed; or what it waits for."""
    agent = result.last_agent.name
    if result.interruptions:
        job.waiting += [waiting(one) for one in asks_people(job, result)]
        _hold(job, end, agent)
        return
    output = result.final_output
    reply = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    await guard_reply(job, agent, reply)
    end.agent, end.output, end.reply, end.items = agent, output, reply, tuple(result.to_input_list())
    end.outcome, end.error = _outcome(job.recorder, reply)


def _hold(job: Job, end: _Ending, agent: str) -> None:
    end.outcome, end.reply, end.agent, end.waiting = "held", HELD, agent, job.waiting
    for one in job.waiting:
        job.recorder.say("held", str(one["tool"]), "waits for a person's approval", agent)


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


def _escalation(recorder: Recorder) -> Mapping[str, Any] | None:
    """The note for the person who takes over: summary and open question by the model, and the facts the tools brought."""
    calls = [call for call in recorder.calls if isinstance(call, ToolCall) and not call.error]
    asked = next((call for call in calls if call.name == "escalate"), None)
    if asked is None:
        return None
    facts = [
        {"tool": call.name, "arguments": call.arguments, "answer": call.output[:FACT]}
        for call in calls
        if call.name not in CONTROLS and call.done
    ]
    return {**json.loads(asked.arguments), "facts": facts}
