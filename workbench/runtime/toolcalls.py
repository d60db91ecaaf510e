"""Every tool call of a run: it waits where it must, is answered by whoever answers it, and is written down."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from agents import AgentsException, Runner

from workbench.errors import Invalid, Unavailable, WorkbenchError
from workbench.runtime import tools
from workbench.runtime.barrier import guard_result
from workbench.runtime.job import Held, Job, inside
from workbench.runtime.modelcalls import ModelFailed
from workbench.runtime.record import ModelCall, ToolCall
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
    passed = await _wait(job, call)
    refused = _refusal(job, call, passed)
    if refused:
        call.error = refused
    else:
        try:
            await _answer(job, call, declared)
        except asyncio.CancelledError:
            if call.effect != "read":
                call.error = f"{name} was stopped half-way; it {UNSETTLED}."
            raise
    if call.error and not call.replayed:
        spare = None if refused or declared is None else declared.fallback
        call.output = json.dumps({"error": call.error}, ensure_ascii=False) if spare is None else spare
    call.done = True
    call.seconds = recorder.elapsed() - call.started
    recorder.say("tool failed" if call.error else "tool answered", name, call.error or call.output, call.agent)
    return call.output


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
    return before.name == call.name and _plain(before.arguments) == _plain(call.arguments)


def _plain(arguments: str) -> Any:
    """Arguments without their spelling: 80, 80.0 and "80" are the same to a tool that wants a number."""
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    return _unspelled(given)


def _unspelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unspelled(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_unspelled(one) for one in value]
    try:
        return float(value) if isinstance(value, (int, float, str)) else value
    except (ValueError, OverflowError):
        return value.strip() if isinstance(value, str) else value


async def _answer(job: Job, call: ToolCall, declared: ToolSpec | None) -> None:
    """Fill in the answer of a call that may be made, and let the guardrails on results read it."""
    if job.answers is not None and (given := job.answers(call)) is not None:
        call.output, call.error = str(given["output"]), str(given.get("error", ""))
        call.replayed = bool(given.get("replayed"))
        call.mocked = not call.replayed
        if call.replayed:
            return
    else:
        job.began()
        try:
            await _call(job, call, declared)
        finally:
            job.ended()
    if call.name not in CONTROLS and (tripped := await guard_result(job, call)) is not None:
        call.error = f"The result was withheld by the guardrail {tripped.name}: {tripped.reason}."


async def _call(job: Job, call: ToolCall, declared: ToolSpec | None) -> None:
    limit = declared.timeout if declared is not None else 20.0
    try:
        given = json.loads(call.arguments or "{}")
        if not isinstance(given, dict):
            raise Invalid(f"The arguments of {call.name} are not an object.")
        async with asyncio.timeout(limit):
            call.output = await _approved(job, call, declared, given)
    except WorkbenchError as error:
        call.error = error.message
    except TimeoutError:
        call.error = f"{call.name} {TOO_LONG} {limit:g} seconds."
    except json.JSONDecodeError:
        call.error = f"The arguments of {call.name} are not JSON."
    except AgentsException:
        raise
    except Exception as error:
        log.warning("tool %s raised", call.name, exc_info=error)
        call.error = _told(call, error)


async def _approved(job: Job, call: ToolCall, declared: ToolSpec | None, given: Mapping[str, Any]) -> str:
    """The answer of a call; one that a person allowed is claimed before it is made, and its answer kept at once."""
    if job.ledger is None or not call.decided:
        return await _made(job, call, declared, given)
    before = await asyncio.to_thread(job.ledger.begin, call)
    if before is not None:
        return str(before["output"])
    try:
        call.output = await _made(job, call, declared, given)
    except Exception as error:
        call.error = _told(call, error)
        await asyncio.to_thread(job.ledger.end, call)
        raise
    await asyncio.to_thread(job.ledger.end, call)
    return call.output


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
    job.ended()
    token = inside.set(call.call_id)
    try:
        result = await Runner.run(
            job.network.agents[declared.agent],
            question,
            context=job,
            max_turns=job.spec.limits.turns,
            run_config=job.config,
        )
    except ModelFailed as error:
        raise Unavailable(str(error)) from error
    finally:
        inside.reset(token)
        job.began()
    if result.interruptions:
        job.waiting += [waiting(one, call.call_id) for one in result.interruptions]
        job.ended()
        try:
            while job.busy:
                await job.calm.wait()
        finally:
            job.began()
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
