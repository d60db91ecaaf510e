"""Calls that change something, in a trial: a mock answers them, or they are held back and the model is told so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.access import Actor, audit, require
from workbench.flows import live
from workbench.runtime import mocks, tools
from workbench.runtime.mocks import Mock
from workbench.runtime.record import ToolCall
from workbench.runtime.release import Release
from workbench.runtime.spec import ToolSpec
from workbench.store import session

if TYPE_CHECKING:
    from workbench.runtime.job import Answers


def held(release: Release, *, samples: bool = False) -> list[str]:
    """The tools of a flow that a trial holds back. With `samples`, those that work on a sample in memory are called."""
    return [
        name for name, tool in release.spec.tools.items() if live.changes(tool) and not (samples and _sampled(tool))
    ]


def policy(release: Release, given: Sequence[Mock], *, where: str, samples: bool = False) -> Answers:
    """The engine's `answers` for a trial: of a mock that fits, else a refusal for a tool that `held` names."""
    mocked, back = mocks.policy(given), frozenset(held(release, samples=samples))

    def answers(call: ToolCall) -> Mapping[str, Any] | None:
        if (found := mocked(call)) is not None or call.name not in back:
            return found
        return {"output": "", "error": f"{mocks.NOT_CALLED}{where}: {call.name} changes something ({call.effect})."}

    return answers


def side_by_side(
    actor: Actor, releases: Sequence[Release], given: Mapping[str, Sequence[Mock]], *, real: bool
) -> list[Answers | None]:
    """What answers the tools of each flow while all of them run on one message; `given` has the mocks by flow.

    With `real`, only the mocks do. Raises Refused for who may not run a flow, or with `real` may not let a trial change something.
    """
    require(actor, "run a flow")
    if not real:
        return [policy(one, given.get(one.name, ()), where="the playground") for one in releases]
    live.allow(actor)
    changing = {one.name: back for one in releases if (back := held(one))}
    with session() as open_session:
        for flow, back in changing.items():
            audit.append(open_session, actor, live.VERB, flow, {"called for real, side by side": back})
    return [mocks.policy(given.get(one.name, ())) for one in releases]


def _sampled(tool: ToolSpec) -> bool:
    from workbench.runtime.toolbox import SAMPLED

    return tool.kind == "python" and tools.find(tool.call).function.__module__ in SAMPLED
