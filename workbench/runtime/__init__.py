"""The runtime: a release in, an answer and a record out. `from workbench.runtime import load, run`."""

from workbench.runtime.engine import Conversation, Result, Words, run, stream
from workbench.runtime.models import Models, Roles, Tape, roles
from workbench.runtime.record import Finished, Step, Writer
from workbench.runtime.release import Release
from workbench.runtime.source import load
from workbench.runtime.spec import FlowSpec
from workbench.runtime.tools import ToolContext, tool

__all__ = [
    "Conversation",
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
    "roles",
    "run",
    "stream",
    "tool",
]
