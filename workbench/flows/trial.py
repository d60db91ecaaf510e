"""Trying one tool of a flow alone: by a mock where one fits, else for real."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound, Refused, WorkbenchError
from workbench.flows import live
from workbench.runtime import arguments as checked
from workbench.runtime import http_tools, mcp_tools, tools
from workbench.runtime.build import asks
from workbench.runtime.mocks import Mock, answer, first, text
from workbench.runtime.release import ASK, ToolSchema
from workbench.runtime.spec import Effect, FlowSpec, ToolSpec
from workbench.store import session

log = logging.getLogger("workbench.flows")


@dataclass(frozen=True)
class Trial:
    """What a call came to: its answer or its error, whether a mock gave it, and the seconds that it took."""

    answer: str
    error: str
    mocked: bool
    seconds: float


def described(spec: FlowSpec, name: str) -> ToolSchema:
    """What the model is told about a tool, and the least harm that it can do. Raises NotFound."""
    declared = _declared(spec, name)
    if declared.kind == "python":
        known = tools.find(declared.call)
        effect = known.effect if tools.weaker(declared.effect, known.effect) else declared.effect
        return ToolSchema(description=known.description, parameters=known.parameters, effect=effect)
    parameters = ASK if declared.kind == "agent" else declared.parameters
    return ToolSchema(description=declared.description, parameters=parameters, effect=declared.effect)


def real(spec: FlowSpec, name: str, arguments: Mapping[str, Any], mocks: Sequence[Mock] = ()) -> bool:
    """Whether a call with these arguments would reach what stands behind the tool. Raises NotFound."""
    return _declared(spec, name).kind != "mock" and first(mocks, name, arguments) is None


async def try_tool(
    actor: Actor,
    spec: FlowSpec,
    name: str,
    arguments: Mapping[str, Any],
    mocks: Sequence[Mock] = (),
    *,
    confirmed: bool = False,
) -> Trial:
    """Call a tool of a flow once, with the first of the `mocks` that fits, else for real; what fails is told.

    Raises Refused for who may not, and for a tool that changes something unless `confirmed`; NotFound for a tool that
    the flow does not declare or that does not exist; Invalid for an agent that is asked as a tool.
    """
    require(actor, "run a flow")
    declared, effect = _declared(spec, name), described(spec, name).effect
    mocked = not real(spec, name, arguments, mocks)
    if not mocked and declared.kind == "agent":
        raise Invalid(f"{name} asks the agent {declared.agent}.", remedy="Try it in the chat, or give it a mock.")
    alters = effect != "read" or live.changes(declared)
    if not mocked and alters and not confirmed:
        raise Refused(f"{name} is {_harm(effect)}: calling it changes something.", remedy="Confirm that it shall.")
    if not mocked and alters:
        live.allow(actor)
        if asks(declared, arguments):
            raise Refused(
                f"{name} asks a person before it is called like this, so it is not called alone.",
                remedy="Try it in the chat and decide on Approvals, or give it a mock.",
            )
        with session() as open_session:
            audit.append(open_session, actor, "run a flow", f"{spec.flow}: {name}", {"tried alone": effect})
    begun = time.perf_counter()
    answered, error = await _tried(spec, name, arguments, mocks)
    return Trial(answered, error, mocked, time.perf_counter() - begun)


def _declared(spec: FlowSpec, name: str) -> ToolSpec:
    if name not in spec.tools:
        raise NotFound(f"The flow declares no tool {name}.", remedy=f"Known: {', '.join(spec.tools) or 'none'}.")
    return spec.tools[name]


def _harm(effect: Effect) -> str:
    return "high-stakes" if effect == "high-stakes" else "one that writes"


async def _tried(spec: FlowSpec, name: str, arguments: Mapping[str, Any], mocks: Sequence[Mock]) -> tuple[str, str]:
    """The answer and the error of a call, as a model would get them."""
    declared = spec.tools[name]
    try:
        if (found := first(mocks, name, arguments)) is not None:
            return text(found.answer), found.error
        return await _called(spec, name, arguments), ""
    except WorkbenchError as error:
        return "", str(error)
    except TimeoutError:
        return "", f"{name} took longer than {declared.timeout:g} seconds."
    except Exception as error:
        log.warning("tool %s raised", name, exc_info=error)
        return "", f"{name} failed ({type(error).__name__})."


async def _called(spec: FlowSpec, name: str, arguments: Mapping[str, Any]) -> str:
    declared = spec.tools[name]
    if declared.kind == "http":
        return await http_tools.call(declared, arguments)
    if declared.kind == "mcp":
        return await mcp_tools.call(declared, arguments)
    if declared.kind == "mock":
        checked.check(arguments, declared.parameters)
        found = answer(declared, arguments)
        if found is None:
            raise Invalid(
                f"No mocked answer of {name} fits these arguments.", remedy="Add one, or one without conditions."
            )
        if found.error:
            raise Invalid(found.error)
        return text(found.answer)
    assert declared.kind == "python"  # noqa: S101  (an agent is refused before)
    known = tools.find(declared.call)
    context = tools.ToolContext(variables=dict(spec.variables))
    async with asyncio.timeout(declared.timeout):
        answered = await asyncio.to_thread(known.function, context, **known.arguments(arguments))
    return answered if isinstance(answered, str) else json.dumps(answered, ensure_ascii=False, allow_nan=False)
