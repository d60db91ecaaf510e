"""Which of the agent's own tools concern the need, and which earlier calls bear on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.arguments import fill_arguments
from workbench.runtime.offline.conversation import Call
from workbench.runtime.offline.matching import Match
from workbench.runtime.offline.offers import CONTROL, Offer
from workbench.runtime.offline.request import Request, Use
from workbench.runtime.offline.schema import is_id, kind_of, properties, required
from workbench.runtime.offline.wishes import asks_for, clauses, is_general, sends_back

ENOUGH = 0.49  # a name's synonym, a description's synonym or two parameters; never one parameter alone


@dataclass(frozen=True)
class Plan:
    """What the agent's own tools could do about the need."""

    acts: tuple[Offer, ...]
    reads: tuple[Offer, ...]
    matches: Mapping[str, Match]

    @property
    def best(self) -> float:
        """The score of the best own tool."""
        return max((self.matches[offer.name].score for offer in (*self.acts, *self.reads)), default=0.0)


def plan(request: Request) -> Plan:
    """Which of the agent's own tools concern the need: actions only when the user's words ask for them."""
    need = request.conversation.need
    business = [offer for offer in request.offers if offer.kind != "control"]
    matches = matching.rank(request.conversation.about, [offer.document for offer in business])
    acts = [offer for offer in business if offer.kind == "act" and asks_for(need, offer)]
    lookups = [offer for offer in business if offer.kind == "read"]
    reads = [offer for offer in lookups if _concerns(offer, matches[offer.name], acts)]
    if not reads and not acts:
        reads = [offer for offer in lookups if _is_answered(request, offer)]
        reads.sort(key=lambda offer: not _takes_integers(offer))
        if not reads and len(lookups) == 1 and "status" in matches[lookups[0].name].matched:
            reads = lookups
    else:
        reads.sort(key=lambda offer: -matches[offer.name].score)
    return Plan(tuple(acts), tuple(reads), matches)


def asks_rules(request: Request) -> bool:
    """Whether this is a question about the rules that the help articles may answer, not about what was said before."""
    conversation = request.conversation
    first = next(iter(clauses(conversation.need)), "")
    points_back = len(conversation.users) > 1 and re.search(r"\b(?:it|its|that|this|they|them|one)\b", first)
    same = conversation.about == conversation.need.strip()
    return bool(request.offer("search_knowledge") and same and not points_back and is_general(conversation.need))


def searched_for(request: Request) -> str:
    """What to look up in the help articles: the need, or how goods are returned when no tool takes them back."""
    back = sends_back(request.conversation.need) and not asks_rules(request)
    return "How do I return an item?" if back else request.conversation.about


def recalled(request: Request, mine: Plan) -> list[Call]:
    """The calls that bear on the need: those of this turn, and earlier ones that would otherwise be repeated."""
    found = [call for call in request.conversation.calls if call.now and call.name not in CONTROL]
    for offer in (*mine.acts, *mine.reads):
        arguments, missing = fill_arguments(request, offer)
        key = Call(offer.name, arguments, "", "", False).key
        found += [
            call
            for call in request.conversation.calls
            if not missing and not call.now and call.key == key and not call.failure
        ][-1:]
    return found


def repeats(request: Request, move: Use) -> bool:
    key = Call(move.name, move.arguments, "", "", True).key
    return any(call.key == key and (call.now or not call.failure) for call in request.conversation.calls)


def _concerns(offer: Offer, match: Match, acts: Sequence[Offer]) -> bool:
    weight = sum(earned for _, earned in match.because)
    if weight >= ENOUGH and match.matched - VAGUE:
        return True
    specs = properties(offer.schema)
    ids = {name for name in required(offer.schema) if is_id(name, specs[name])}
    return any(ids & set(required(act.schema)) for act in acts)


def _is_answered(request: Request, offer: Offer) -> bool:
    """Whether the message names exactly the id that the tool needs, as in "where is 1042?"."""
    latest = request.conversation.latest
    has_id = any(m.kind != "money" for m in mentions.quantities(latest)) or mentions.EMAIL.search(latest) is not None
    return has_id and identifies(offer.schema) and not fill_arguments(request, offer)[1]


def identifies(schema: Mapping[str, Any]) -> bool:
    return any(is_id(name, spec) or "mail" in name.lower() for name, spec in properties(schema).items())


def _takes_integers(offer: Offer) -> bool:
    return any(kind_of(spec) == "integer" for spec in properties(offer.schema).values())


VAGUE = frozenset(
    {"email", "status", "create", "change", "amount", "send", "customer", "problem", "use", "work", "take", "make"}
)
