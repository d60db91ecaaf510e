"""Every tool call of a run: it waits where it must, is answered by whoever answers it, and is written down."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from agents import AgentsException, Runner

from workbench.errors import Invalid, Refused, Unavailable, WorkbenchError
from workbench.runtime import redaction, tools
from workbench.runtime.barrier import guard_result
from workbench.runtime.job import Held, Job, Ledger, Unclaimed
from workbench.runtime.modelcalls import ModelFailed
from workbench.runtime.models import PATIENCE
from workbench.runtime.record import ModelCall, ToolCall, clean, inside
from workbench.runtime.spec import CONTROLS, AgentTool, ToolSpec

log = logging.getLogger("workbench.runtime")

TOO_LONG = "took longer than"
UNSETTLED = "may have taken effect"


async def invoke(context: Any, name: str, arguments: str) -> str:
    """Run one tool call for the SDK: wait for the guardrails where it must, record it, and tell failures as text."""
    job: Job = context.context
    job.enters()
    recorder = job.recorder
    declared = job.spec.tools.get(name)
    call = ToolCall(
        agent=context.agent.name if context.agent else recorder.agent,
        name=name,
        call_id=context.tool_call_id,
        arguments=arguments,
        effect=declared.effect if declared else "read",
        started=recorder.elapsed(),
        inside=inside.get(),
    )
    recorder.calls.append(call)
    recorder.say("tool", name, arguments, call.agent)
    job.began()
    try:
        await _done(job, call, declared)
    finally:
        job.ended()
    call.done = True
    call.seconds = recorder.elapsed() - call.started
    recorder.say("tool failed" if call.error else "tool answered", name, call.error or call.output, call.agent)
    return call.output


async def _done(job: Job, call: ToolCall, declared: ToolSpec | None) -> None:
    """Bring a call to its end: what it answered, or why it was not made or failed."""
    refused = _refusal(job, call, await _wait(job, call))
    if refused:
        call.error = refused
    else:
        try:
            await _answer(job, call, declared)
        except asyncio.CancelledError:
            if call.effect != "read":
                call.error = f"{call.name} was stopped half-way; it {UNSETTLED}."
            raise
    call.error = clean(call.error)
    if call.error and not call.replayed:
        spare = None if refused or declared is None else declared.fallback
        call.output = json.dumps({"error": call.error}, ensure_ascii=False) if spare is None else spare


async def _wait(job: Job, call: ToolCall) -> bool:
    """Wait for the guardrails where the effect of the call asks for it; whether it may go on."""
    if call.effect == "read" or (call.effect == "write" and job.spec.writes == "go"):
        return True
    call.waited_for = job.barrier.pending
    passed = await job.barrier.wait()
    call.held = job.recorder.elapsed() - call.started if call.waited_for else 0.0
    return passed


def _refusal(job: Job, call: ToolCall, passed: bool) -> str:
    decision = job.decision(call.call_id, call.name, call.arguments)
    if decision is not None:
        call.decided = decision.by
    if not passed:
        return "Not called: a guardrail stopped this run."
    if decision is not None and not decision.approved:
        return "A person did not allow this call" + (f": {decision.message}" if decision.message else ".")
    if call.effect != "read" and any(_may_have_happened(one, call) for one in job.recorder.calls):
        return "Not called again: the first call took too long, and may still take effect."
    return ""


def _may_have_happened(before: ModelCall | ToolCall, call: ToolCall) -> bool:
    """Whether an earlier call, the same in name and arguments, was left while it was still going on."""
    if not isinstance(before, ToolCall) or before is call:
        return False
    if TOO_LONG not in before.error and UNSETTLED not in before.error:
        return False
    return before.name == call.name and before.given == call.given


async def _answer(job: Job, call: ToolCall, declared: ToolSpec | None) -> None:
    """Fill in the answer of a call that may be made, and let the guardrails on results read it."""
    if job.answers is not None and (given := job.answers(call)) is not None:
        if given.get("unfinished"):
            await asyncio.sleep(PATIENCE)
        call.output, call.error = str(given["output"]), str(given.get("error", ""))
        call.replayed = bool(given.get("replayed"))
        call.mocked = not call.replayed
        if call.replayed:
            return
    else:
        await _call(job, call, declared)
    if call.name not in CONTROLS and (tripped := await guard_result(job, call)) is not None:
        call.error = f"The result was withheld by the guardrail {tripped.name}: {tripped.reason}."


async def _call(job: Job, call: ToolCall, declared: ToolSpec | None) -> None:
    limit = declared.timeout if declared is not None else 20.0
    try:
        given = read(call.name, call.arguments)
        call.output = await _claimed(job, call, declared, given, limit)
    except WorkbenchError as error:
        call.error = error.message
    except TimeoutError:
        call.error = f"{call.name} {TOO_LONG} {limit:g} seconds."
    except Held:
        await job.rest()
        raise
    except AgentsException:
        raise
    except Exception as error:  # noqa: BLE001  (told to the model, and logged without what it quotes)
        log.warning("tool %s raised\n%s", call.name, redaction.trouble(error))
        call.error = _told(call, error)


def read(name: str, arguments: str) -> dict[str, Any]:
    """The arguments of a call. Raises Invalid where they are not one JSON object."""
    try:
        given = json.loads(arguments or "{}", parse_constant=_refuse)
    except ValueError:
        raise Invalid(f"The arguments of {name} are not JSON.") from None
    except RecursionError:
        raise Invalid(f"The arguments of {name} are nested too deeply.") from None
    if not isinstance(given, dict):
        raise Invalid(f"The arguments of {name} are not an object.")
    return given


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def asks_people(job: Job, result: Any) -> list[Any]:
    """The calls that a person is still to decide about: one with arguments that nobody can read is never made."""
    return [one for one in result.interruptions if not _settled(job, one)]


def unheld(job: Job, result: Any) -> Any:
    """The state to go on with where all that the SDK holds is settled, or None.

    The SDK asks no rule about arguments that it cannot read; such calls fail by themselves, or were decided about.
    """
    if not result.interruptions or asks_people(job, result):
        return None
    state = result.to_state()
    for one in result.interruptions:
        state.approve(one)
    return state


def _settled(job: Job, interruption: Any) -> bool:
    waits = waiting(interruption)
    try:
        read(waits["tool"], waits["arguments"])
    except Invalid:
        return True
    return job.decision(waits["call_id"], waits["tool"], waits["arguments"]) is not None


async def _claimed(job: Job, call: ToolCall, declared: ToolSpec | None, given: Mapping[str, Any], limit: float) -> str:
    """The answer of a call within `limit` seconds. Where a ledger is kept, one that may change something is claimed
    before it is made, and its answer kept at once; what was left half-way stays claimed.
    """
    ledger, asks = job.ledger, declared is not None and declared.kind == "agent"
    if ledger is None or asks or (call.effect == "read" and not call.decided):
        async with asyncio.timeout(limit):
            return await _made(job, call, declared, given)
    try:
        before = await asyncio.to_thread(ledger.begin, call)
    except (Refused, Invalid):
        raise
    except Exception as error:
        raise Unclaimed(error) from error
    if before is not None:
        return str(before["output"])
    try:
        async with asyncio.timeout(limit):
            call.output = await _made(job, call, declared, given)
    except (TimeoutError, AgentsException):
        raise
    except Exception as error:
        call.error = _told(call, error)
        await _keep(ledger, call)
        raise
    await _keep(ledger, call)
    return call.output


async def _keep(ledger: Ledger, call: ToolCall) -> None:
    """Keep what the call came to. Where that fails, it has happened all the same, and stays claimed."""
    try:
        await asyncio.to_thread(ledger.end, call)
    except Exception:
        log.exception("what the call %s of %s came to could not be kept", call.call_id, call.name)


def _told(call: ToolCall, error: Exception) -> str:
    return error.message if isinstance(error, WorkbenchError) else f"{call.name} failed ({type(error).__name__})."


async def _made(job: Job, call: ToolCall, declared: ToolSpec | None, given: Mapping[str, Any]) -> str:
    if declared is None or declared.kind == "python":
        known = tools.find(declared.call if declared is not None else call.name)
        arguments = known.arguments(given)
        return text_of(await asyncio.to_thread(known.function, job.context(call), **arguments))
    if declared.kind == "http":
        from workbench.runtime import http_tools

        return await http_tools.call(declared, given, key=job.context(call).key)
    if declared.kind == "mcp":
        from workbench.runtime import mcp_tools

        return await mcp_tools.call(declared, given)
    if declared.kind == "agent":
        return await _ask(job, call, declared, str(given.get("question", "")))
    from workbench.runtime import mocks

    found = mocks.answer(declared, given)
    if found is None:
        raise Invalid(
            f"No mocked answer of {call.name} fits these arguments.", remedy="Add one, or make one without conditions."
        )
    if found.error:
        raise Invalid(found.error)
    return text_of(found.answer)


def text_of(answer: Any) -> str:
    """What the model reads of an answer: a text as it is, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, allow_nan=False)


async def _ask(job: Job, call: ToolCall, declared: AgentTool, question: str) -> str:
    """The reply of another agent to `question`. It works within this run: the same record, barrier and limits."""
    given: Any = question
    with job.asks(call.call_id):
        try:
            while given is not None:
                result = await Runner.run(
                    job.network.agents[declared.agent],
                    given,
                    context=job,
                    max_turns=job.spec.limits.turns,
                    run_config=job.config,
                )
                given = unheld(job, result)
        except ModelFailed as error:
            raise Unavailable(str(error)) from error
    if result.interruptions:
        job.waiting += [waiting(one, call.call_id) for one in asks_people(job, result)]
        raise Held("a call inside waits for a person")
    return text_of(result.final_output)


def waiting(interruption: Any, within: str = "") -> dict[str, Any]:
    """A call that waits for a person, as it stands in the record."""
    raw = interruption.raw_item
    return {
        "tool": interruption.name,
        "arguments": interruption.arguments,
        "call_id": getattr(raw, "call_id", ""),
        "agent": interruption.agent.name,
        "inside": within,
    }
