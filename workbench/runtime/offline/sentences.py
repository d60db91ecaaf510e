"""What to say when no call is left to make, and how to ask for what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from workbench.runtime.offline import matching
from workbench.runtime.offline.arguments import Filler, evidence
from workbench.runtime.offline.conversation import Call
from workbench.runtime.offline.evidence import leaves
from workbench.runtime.offline.instructions import facts
from workbench.runtime.offline.offers import Offer
from workbench.runtime.offline.passages import found
from workbench.runtime.offline.plan import Plan, asks_rules, plan, recalled, searched_for
from workbench.runtime.offline.request import Request, Say
from workbench.runtime.offline.results import LATE, is_act, join, tell
from workbench.runtime.offline.schema import is_id, properties, required
from workbench.runtime.offline.wishes import INFORMATION, WISHED, clauses, wants_a_person, wished_acts


def say(request: Request, text: str) -> Say:
    """The reply in the style of the instructions, or as the JSON that the output schema wants."""
    if request.schema is None:
        return Say(request.style.finish(text))
    filler = Filler(evidence(request, reply=text), request.schema, complete=True, given={})
    value = filler.object(request.schema, 0, top=True) if properties(request.schema) else filler.zero(request.schema, 0)
    return Say(json.dumps(value, ensure_ascii=False))


def answer(request: Request) -> str:
    """What to say when no call is left to make: the first of these that knows something."""
    need = request.conversation.need
    if escalated := request.used("escalate"):
        return _passed_on(escalated)
    if request.used("abstain"):
        return _declined(request)
    quoted = found(searched_for(request), request.searches)
    if quoted and asks_rules(request) and not request.worked:
        return quoted
    mine = plan(request)
    if calls := recalled(request, mine):
        return " ".join(part for part in (_report(request, mine, calls), quoted) if part)
    if request.searches:
        return quoted or _declined(request)
    return small_talk(request) or facts(request.system, need) or _clarify(request)


def question(offer: Offer, missing: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Ask for missing arguments in plain words."""
    name, spec = missing[0]
    if len(missing) == 1 and is_id(name, spec):
        words = [w for w in matching.plain(name).split() if w not in matching.ID_WORDS]
        noun = " ".join(words) or (offer.nouns[-1] if offer.nouns else "one")
        called = "code" if "code" in matching.words(name) else "number"
        return f"Which {noun} is it? Please tell me the {noun} {called}."
    return f"Please tell me {join([_wanted(offer, name, spec) for name, spec in missing])}."


def small_talk(request: Request) -> str:
    """The answer to a greeting, thanks, a goodbye or "what can you do?"; empty when the user wants something."""
    folded = matching.fold(request.conversation.latest).strip(" !.,¡¿?")
    if _ABILITIES.match(folded):
        return _clarify(request)
    for pattern, reply in (
        (_THANKS, "You are welcome! Is there anything else I can do for you?"),
        (_NODS, "All right. Is there anything else I can do for you?"),
        (_GOODBYE, "Goodbye, and thank you for writing to us."),
        (_GREETING, "Hello! How can I help you today?"),
    ):
        found = pattern.match(folded)
        rest = folded[found.end() :] if found else ""
        if found and len(matching.terms(rest)) <= (2 if pattern is not _GREETING else 0):
            return reply
    return "" if matching.words(folded) else "Hello! How can I help you today?"


def _report(request: Request, mine: Plan, calls: Sequence[Call]) -> str:
    """What the calls of this turn found and did."""
    need = request.conversation.need
    acted = [call for call in calls if is_act(call)]
    failed = [call for call in calls if call.failure]
    asks = any(INFORMATION.search(clause) for clause in clauses(need)) or "?" in need
    if any(a for a in acted if not a.failure) and not asks:
        shown = [*acted, *(call for call in failed if call not in acted)]
    else:
        shown = [*(call for call in calls if call not in acted), *acted]
    told: set[str] = set()
    parts = [sentence for call in shown for sentence in tell(call, need, told)]
    able = {
        matching.concept(word)
        for name in [o.name for o in mine.acts] + [c.name for c in acted]
        for word in matching.words(name)
    }
    undone = "" if failed else _undone(need, able)
    sorry = (
        "I am sorry about the delay." if any(re.search(rf" is (?:{LATE.pattern})\b", part) for part in parts) else ""
    )
    return " ".join(part for part in dict.fromkeys([*parts, sorry, undone]) if part)


def _undone(need: str, able: Set[str]) -> str:
    """Say that an action was asked for which this agent cannot take."""
    wished = wished_acts(need) - able
    return next((f"I cannot {words} from here." for wish, words in WISHED.items() if wish in wished), "")


def _passed_on(call: Call) -> str:
    if call.failure:
        return "I could not reach a colleague just now. Please try again in a moment."
    reference = next(
        (str(value) for path, value in leaves(call.value) if matching.ID_WORDS & set(matching.words(path[-1]))), ""
    )
    known = f" Your reference is {reference}." if reference else ""
    return f"I have passed this to a colleague, who will get back to you.{known}"


def _declined(request: Request) -> str:
    return request.style.decline or (
        "I am sorry, but I cannot answer this: I found nothing reliable about it. "
        "If you tell me more, I will gladly look again."
    )


def _clarify(request: Request) -> str:
    """One question that says what can be done here, from the descriptions of handoffs and tools."""
    abilities = []
    for offer in request.offers:
        if offer.kind == "handoff":
            text = _first_words(offer.description)
            abilities.append(f"{offer.agent} ({text})" if text else offer.agent)
        elif offer.kind != "control":
            abilities.append(_first_words(offer.description) or matching.plain(offer.name))
    if wants_a_person(request.conversation.need):
        return (
            "I understand that you would like to speak with a person. I cannot connect you from here; what is it about?"
        )
    if not abilities:
        return "Thank you for your message. Could you tell me a little more about what you need?"
    return f"I can help with the following: {'; '.join(abilities[:8])}. Which of these do you need?"


def _first_words(description: str) -> str:
    first = next(iter(matching.sentences(description)), "").rstrip(".")
    return first[:1].lower() + first[1:] if not first[:2].isupper() else first


def _wanted(offer: Offer, name: str, spec: Mapping[str, Any]) -> str:
    words = matching.plain(name).removesuffix(" cents")
    choices = [matching.plain(str(choice)) for choice in spec.get("enum") or [] if choice is not None]
    if choices:
        return f"the {words} ({join(choices[:8], 'or')})"
    if "mail" in words:
        return "your e-mail address"
    if is_id(name, spec):
        noun = " ".join(w for w in words.split() if w not in matching.ID_WORDS) or " ".join(offer.nouns[-1:])
        return f"the {noun} number"
    if properties(spec):
        inner = [matching.plain(inner) for inner in required(spec)] or [
            matching.plain(inner) for inner in properties(spec)
        ]
        return f"the {words} ({join(inner[:6])})"
    return f"the {words}"


_GREETING = re.compile(
    r"^(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)|moin|"
    r"bonjour|bonsoir|salut|"
    r"hola|buenos dias|buenas (?:tardes|noches)|ola|bom dia|boa (?:tarde|noite))\b"
)


_THANKS = re.compile(
    r"^(?:ok(?:ay)?,? |great,? |perfect,? )?(?:many )?(?:thanks?|thank you|thx|danke\w*|vielen dank|merci|"
    r"gracias|obrigad[oa])\b"
)


_GOODBYE = re.compile(r"^(?:bye|goodbye|good night|see you|tschuss|au revoir|adios|tchau)\b")


_NODS = re.compile(
    r"^(?:ok|okay|yes|no|yep|nope|fine|good|great|alright|all right|sure|perfect|cool|ja|nein|oui|non|si|"
    r"sim|nao|super)$"
)


_ABILITIES = re.compile(
    r"^(?:help|what can you do|what do you do|who are you|how can you help|can you help)(?: me)?\W*$"
)
