"""The runtime: a release in, an answer and a record out. `from workbench.runtime import load, run`.

Names are imported when they are first asked for, so that reading a flow or a release does not load the Agents SDK.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runtime.engine import Result, resume, run, stream
    from workbench.runtime.environment import Roles, roles
    from workbench.runtime.job import Decision
    from workbench.runtime.models import Models, Tape
    from workbench.runtime.record import Conversation, Finished, Step, Writer
    from workbench.runtime.release import Release
    from workbench.runtime.source import load
    from workbench.runtime.spec import FlowSpec
    from workbench.runtime.tools import ToolContext, tool
    from workbench.runtime.visible import Words

_PLACES = {
    "Conversation": "record",
    "Decision": "job",
    "Finished": "record",
    "FlowSpec": "spec",
    "Models": "models",
    "Release": "release",
    "Result": "engine",
    "Roles": "environment",
    "Step": "record",
    "Tape": "models",
    "ToolContext": "tools",
    "Words": "visible",
    "Writer": "record",
    "load": "source",
    "resume": "engine",
    "roles": "environment",
    "run": "engine",
    "stream": "engine",
    "tool": "tools",
}

__all__ = [
    "Conversation",
    "Decision",
    "Finished",
    "FlowSpec",
    "Models",
    "Release",
    "Result",
    "Roles",
    "Step",
    "Tape",
    "ToolContext",
    "Words",
    "Writer",
    "load",
    "resume",
    "roles",
    "run",
    "stream",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value
