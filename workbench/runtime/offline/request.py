"""The SDK's request, read as data, and the two kinds of move that answer it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents import AgentOutputSchemaBase, FunctionTool, Handoff, ModelSettings, Tool
from agents.items import TResponseInputItem

from workbench.runtime.offline import mentions
from workbench.runtime.offline.conversation import Call, Conversation, converse
from workbench.runtime.offline.evidence import Known, known_from
from workbench.runtime.offline.instructions import Style, forbidden, style
from workbench.runtime.offline.offers import CONTROL, Offer, handoff_offer, tool_offer


@dataclass(frozen=True)
class Say:
    """Answer with words."""

    text: str


@dataclass(frozen=True)
class Use:
    """Call a tool or hand over."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """Everything that a move depends on."""

    system: str
    conversation: Conversation
    offers: tuple[Offer, ...]
    style: Style
    today: str
    choice: str
    schema: Mapping[str, Any] | None
    material: str

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """What tools and earlier calls named, the newest first."""
        return known_from(self.conversation.calls)

    def offer(self, name: str) -> Offer | None:
        """The offer of that name."""
        return next((offer for offer in self.offers if offer.name == name), None)

    def control(self, name: str) -> Offer | None:
        """A control tool that is offered and was not used in this turn."""
        used = any(call.name == name for call in self.conversation.now)
        return None if used else self.offer(name)

    def used(self, name: str) -> Call | None:
        """The call of a control tool in this turn."""
        return next((call for call in self.conversation.now if call.name == name), None)

    @property
    def searches(self) -> tuple[Call, ...]:
        """The searches of the help articles in this turn."""
        return tuple(call for call in self.conversation.now if call.name == "search_knowledge")

    @property
    def worked(self) -> bool:
        """Whether a tool of the business was called in this turn."""
        return any(call.name not in CONTROL for call in self.conversation.now)


def read(
    system: str | None,
    items: str | list[TResponseInputItem],
    settings: ModelSettings,
    tools: Sequence[Tool],
    output: AgentOutputSchemaBase | None,
    handoffs: Sequence[Handoff],
) -> Request:
    """Read the SDK's request as data."""
    system = system or ""
    plain = [_plain(item) for item in ([{"role": "user", "content": items}] if isinstance(items, str) else items)]
    offers = [tool_offer(tool) for tool in tools if isinstance(tool, FunctionTool)]
    offers += [handoff_offer(handoff) for handoff in handoffs]
    schema = None if output is None or output.is_plain_text() else output.json_schema()
    today = re.search(r"(?i)\b(?:today|current date)\b[^\n]{0,20}?(\d{4}-\d{2}-\d{2})", system)
    choice = settings.tool_choice if isinstance(settings.tool_choice, str) else ""
    return Request(
        system=system,
        conversation=converse(plain),
        offers=tuple(offer for offer in offers if not forbidden(offer.name, system)),
        style=style(system),
        today=today[1] if today and mentions.spoken_date(today[1]) != today[1] else "",
        choice="" if choice == "auto" else choice,
        schema=schema,
        material=json.dumps([system, plain, [offer.name for offer in offers], schema], sort_keys=True, default=repr),
    )


def _plain(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, Mapping) else item.model_dump(mode="json", exclude_unset=True)
