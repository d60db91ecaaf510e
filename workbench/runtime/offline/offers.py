"""What an agent may use: tools that look up, tools that act, control tools and handoffs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from agents import FunctionTool, Handoff

from workbench.runtime.offline import matching
from workbench.runtime.offline.matching import Document
from workbench.runtime.offline.schema import properties

CONTROL = frozenset({"search_knowledge", "abstain", "escalate"})


@dataclass(frozen=True)
class Offer:
    """A tool or a handoff that the agent may use."""

    name: str
    description: str
    schema: Mapping[str, Any]
    kind: Literal["read", "act", "control", "handoff"]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    agent: str = ""

    @cached_property
    def document(self) -> Document:
        """What the offer is matched by."""
        if self.kind == "handoff":
            return Document(self.name, ((1.0, f"{self.agent} {self.nouns_text}"), (0.7, self.description)))
        verbs = "" if self.kind == "read" else " ".join(self.verbs)
        words = (f"{name} {spec.get('description', '')}" for name, spec in properties(self.schema).items())
        return Document(
            self.name, ((1.0, f"{verbs} {self.nouns_text}"), (0.7, self.description), (0.45, " ".join(words)))
        )

    @property
    def nouns_text(self) -> str:
        """The words of the name without its verb."""
        return " ".join(self.nouns)

    @property
    def noun_concepts(self) -> frozenset[str]:
        """What the name is about."""
        return matching.concepts(self.nouns_text)


def tool_offer(tool: FunctionTool) -> Offer:
    kind, verbs, nouns = sort_name(tool.name, tool.description)
    if tool.name in CONTROL:
        return Offer(tool.name, tool.description, tool.params_json_schema, "control", (), ())
    return Offer(tool.name, tool.description, tool.params_json_schema, kind, verbs, nouns)


def handoff_offer(handoff: Handoff) -> Offer:
    name = matching.plain(handoff.tool_name.removeprefix("transfer_to_"))
    usual = f"Handoff to the {handoff.agent_name} agent to handle the request."
    description = handoff.tool_description.replace(usual, "").strip()
    schema = handoff.input_json_schema or {}
    return Offer(handoff.tool_name, description, schema, "handoff", (), tuple(name.split()), handoff.agent_name)


def sort_name(name: str, description: str = "") -> tuple[Literal["read", "act"], tuple[str, ...], tuple[str, ...]]:
    """Whether a tool looks something up or changes something, and the verbs and nouns of its name."""
    words = matching.plain(name).split()
    first = words[0] if words else ""
    if first in _READS:
        rest = words[2:] if words[:2] == ["look", "up"] else words[1:]
        return "read", (first,), tuple(rest)
    says = next(iter(matching.words(description)), "").removesuffix("s")
    told = set(words[1:]) & _STATES or says in _READS
    if first in _CERTAIN_ACTS or (first in _ACTS and not told):
        return "act", (first,), tuple(words[1:])
    inner = tuple(word for word in words if word in _CERTAIN_ACTS)
    if says not in _READS and inner:
        return "act", inner, tuple(word for word in words if word not in inner)
    if says in _CERTAIN_ACTS or says + "e" in _CERTAIN_ACTS:
        return "act", (says,), tuple(words)
    return "read", (), tuple(words)


_READS = matching.word_set(
    "find get look lookup search show check fetch retrieve display see list read view query describe count calculate "
    "track quote estimate is has can validate verify compare browse"
)


_ACTS = matching.word_set(
    "refund cancel create update delete send issue make add remove set change reset open close submit pay charge apply "
    "place process register notify upgrade downgrade renew extend reschedule block unblock unlock lock replace "
    "exchange approve reject assign reserve book merge enable disable activate deactivate grant revoke pause resume "
    "subscribe unsubscribe start stop write save publish void credit reimburse return ship resend redeem confirm move "
    "edit modify erase buy email call post report schedule dispatch give"
)


_STATES = matching.word_set("status history details info information list summary report state overview")


_CERTAIN_ACTS = _ACTS - matching.word_set(
    "return order email call post report move ship lock open close set charge credit"
)
