"""The one rule for tools that change something in a trial: which they are, and who may let them be called for real.

Forks, the playground, experiments and trying a tool alone all go by it.
"""

from __future__ import annotations

from workbench.access import Actor, Verb, may, require
from workbench.runtime import tools
from workbench.runtime.fetch import SAFE
from workbench.runtime.spec import ToolSpec

VERB: Verb = "let a trial change something"


def changes(tool: ToolSpec) -> bool:
    """Whether a call would reach something and change it, whatever it is declared to do.

    A mock reaches nothing, and what an asked agent calls is looked at by itself.
    """
    if tool.kind == "http" and tool.method not in SAFE:
        return True
    if tool.kind == "python" and (known := tools.known(tool.call)) is not None and known.effect != "read":
        return True
    return tool.effect != "read" and tool.kind in ("python", "http", "mcp")


def allowed(actor: Actor) -> bool:
    """Whether `actor` may let a trial call tools that change something."""
    return may(actor, VERB)


def allow(actor: Actor) -> None:
    """Raise Refused unless `actor` may let a trial call tools that change something."""
    require(actor, VERB)
