"""The next move: one tool call, one handoff, or words."""

from __future__ import annotations

from collections.abc import Callable

from workbench.runtime.offline import matching
from workbench.runtime.offline.arguments import fill_arguments
from workbench.runtime.offline.instructions import facts, passes_on
from workbench.runtime.offline.offers import CONTROL, Offer
from workbench.runtime.offline.passages import found, rephrased, without_ids
from workbench.runtime.offline.plan import (
    ENOUGH,
    VAGUE,
    Plan,
    asks_rules,
    identifies,
    plan,
    recalled,
    repeats,
    searched_for,
)
from workbench.runtime.offline.request import Request, Say, Use
from workbench.runtime.offline.results import tell, under_way
from workbench.runtime.offline.sentences import answer, question, say, small_talk
from workbench.runtime.offline.wishes import asks_for, asks_where, sends_back, wants_a_person, wished_acts


def decide(request: Request) -> Say | Use:
    """The next move: the first of these steps that has one."""
    if request.choice == "none":
        return say(request, answer(request))
    steps: tuple[Callable[[Request], Say | Use | None], ...] = (
        _forced,
        _to_a_person,
        _unknown,
        _explain,
        _business,
        _search,
        _decline,
    )
    for step in steps:
        if move := step(request):
            return move
    return say(request, answer(request))


def _forced(request: Request) -> Use | None:
    """Follow `tool_choice`, unless that would repeat a call."""
    if not request.choice:
        return None
    named = request.offer(request.choice)
    offers = [named] if named else _by_score(request) if request.choice == "required" else []
    for offer in offers:
        arguments, _ = fill_arguments(request, offer, complete=True)
        move = Use(offer.name, arguments)
        if not repeats(request, move):
            return move
    return None


def _to_a_person(request: Request) -> Use | Say | None:
    need = request.conversation.need
    if request.used("escalate"):
        return say(request, answer(request))
    offer = request.control("escalate")
    if offer is None or not wants_a_person(need):
        return None
    return _pass_on(request, offer)


def _unknown(request: Request) -> Use | None:
    """Pass on what a look-up did not find, where the instructions say so."""
    offer = request.control("escalate")
    missed = any(call.missing for call in request.conversation.now if call.name not in CONTROL)
    return _pass_on(request, offer) if offer and missed and passes_on(request.system) else None


def _pass_on(request: Request, offer: Offer) -> Use:
    given = {"summary": _summary(request), "question": request.conversation.latest}
    return Use(offer.name, fill_arguments(request, offer, complete=True, given=given)[0])


def _explain(request: Request) -> Use | Say | None:
    """Answer a question about the rules from the help articles, before anything is handed over or looked up."""
    if not asks_rules(request) or request.worked:
        return None
    mine = plan(request)
    if mine.acts or any(not identifies(offer.schema) for offer in mine.reads):
        return None
    if found(searched_for(request), request.searches):
        return say(request, answer(request))
    return _search(request)


def _business(request: Request) -> Use | Say | None:
    """Hand over, look up, act, or ask for what is missing."""
    mine = plan(request)
    if handoff := best_handoff(request, mine):
        return Use(handoff.name, fill_arguments(request, handoff, complete=True)[0])
    if any(call.failure for call in request.conversation.now if call.name not in CONTROL):
        return say(request, answer(request))
    if move := _look_up(request, mine) or _act(request, mine):
        return move
    if sends_back(request.conversation.need) and not mine.acts and (move := _search(request)):
        return move
    return _ask(request, mine)


def _search(request: Request) -> Use | None:
    """Search the help articles for a question that no tool and no handoff answers."""
    offer, about = request.offer("search_knowledge"), searched_for(request)
    asked = without_ids(about)
    queries = list(dict.fromkeys([asked, rephrased(asked)]))[len(request.searches) :]
    if (
        offer is None
        or not queries
        or small_talk(request)
        or facts(request.system, request.conversation.need)
        or not matching.terms(about)
        or found(about, request.searches)
    ):
        return None
    given = {"query": queries[0]}
    return Use(offer.name, fill_arguments(request, offer, complete=True, given=given)[0])


def _decline(request: Request) -> Use | None:
    """Decline when the knowledge was searched in vain, or when there is nothing at all to answer from."""
    offer = request.control("abstain")
    searched = request.searches
    if offer is None or found(searched_for(request), searched):
        return None
    nothing = not any(o.kind != "control" for o in request.offers) and not facts(
        request.system, request.conversation.need
    )
    if not searched and (not nothing or small_talk(request) or "?" not in request.conversation.need):
        return None
    reason = f"Nothing at hand answers: {request.conversation.need}"[:300]
    return Use(offer.name, fill_arguments(request, offer, complete=True, given={"reason": reason})[0])


def best_handoff(request: Request, mine: Plan) -> Offer | None:
    """The handoff that fits clearly better than the agent's own tools; after one handoff, only to somebody new."""
    visited = request.conversation.visited
    candidates = [offer for offer in request.offers if offer.kind == "handoff" and offer.name not in visited]
    if not mine.acts and not request.worked:
        wished = wished_acts(request.conversation.need)
        for offer in candidates:
            if wished & matching.concepts(f"{offer.nouns_text} {offer.description}"):
                return offer
    if visited:
        here = matching.concepts(" ".join(matching.plain(name) for name in visited))
        candidates = (
            []
            if mine.best or len(visited) > 2
            else [
                offer
                for offer in candidates
                if not {term.stem for term in matching.terms(f"{offer.nouns_text} {offer.description}")} & _ROUTER
                and mine.matches[offer.name].matched - here
            ]
        )
    best = max(candidates, key=lambda offer: mine.matches[offer.name].score, default=None)
    if best is None or request.worked:
        return None
    match = mine.matches[best.name]
    fits = sum(weight for _, weight in match.because) >= ENOUGH or _person_handoff(request, best)
    return best if fits and match.score > mine.best else None


def _look_up(request: Request, mine: Plan) -> Use | None:
    """The next look-up that can teach something new, at most a few in a turn."""
    conversation = request.conversation
    done = [call for call in recalled(request, mine) if (offer := request.offer(call.name)) and offer.kind == "read"]
    covered = {word for call in done for word in mine.matches[call.name].matched}
    if sum(call.now for call in done) >= LOOKUPS or any(
        act.name == call.name for act in mine.acts for call in conversation.now
    ):
        return None
    on_its_way = any(under_way(call) for call in done)
    for offer in mine.reads:
        match = mine.matches[offer.name].matched - (VAGUE - {"status"})
        tracks = on_its_way and "track" in offer.verbs and all(offer.name != call.name for call in done)
        if done and (mine.acts or not (match - covered or (tracks and asks_where(conversation.need)))):
            continue
        arguments, missing = fill_arguments(request, offer)
        move = Use(offer.name, arguments)
        if not missing and not repeats(request, move):
            return move
        if not missing:
            return None
    return None


def _act(request: Request, mine: Plan) -> Use | None:
    """The next action that the user asked for and that has not been done."""
    done = {call.name for call in request.conversation.now}
    for offer in mine.acts:
        arguments, missing = fill_arguments(request, offer)
        move = Use(offer.name, arguments)
        if not missing and offer.name not in done and not repeats(request, move):
            return move
    return None


def _ask(request: Request, mine: Plan) -> Say | None:
    """Ask for what the tool that fits best still needs."""
    known = recalled(request, mine)
    done = {call.name for call in known}
    general = asks_rules(request)
    waiting = [offer for offer in mine.acts if offer.name not in done]
    if not waiting and not known and not general:
        waiting = list(mine.reads)
    for offer in waiting:
        missing = fill_arguments(request, offer)[1]
        if missing:
            return say(request, question(offer, missing))
    return say(request, answer(request)) if known else None


def _by_score(request: Request) -> list[Offer]:
    """All offers, those whose arguments are known first, then the best match."""
    scores = matching.rank(request.conversation.need, [offer.document for offer in request.offers])

    def order(offer: Offer) -> tuple[bool, bool, bool, float]:
        unasked = offer.kind == "act" and not asks_for(request.conversation.need, offer)
        unknown = bool(fill_arguments(request, offer)[1])
        return unasked, offer.kind == "control" and offer.name != "search_knowledge", unknown, -scores[offer.name].score

    return sorted(request.offers, key=order)


def _summary(request: Request) -> str:
    said = request.conversation.users[1:2]
    told = [
        sentence for call in request.conversation.calls if call.name not in CONTROL for sentence in tell(call, "")[:1]
    ]
    parts = [f"The customer writes: {request.conversation.latest}", *[f"Earlier: {text}" for text in said], *told[-2:]]
    return " ".join(parts)[:600]


def _person_handoff(request: Request, offer: Offer) -> bool:
    return "person" in matching.concepts(offer.nouns_text) and wants_a_person(request.conversation.need)


LOOKUPS = 3


_ROUTER = frozenset(
    {"triage", "router", "rout", "dispatch", "dispatcher", "reception", "receptionist", "front", "concierg"}
)
