"""What the user's words ask for: an action, a person, or how things are done."""

from __future__ import annotations

import re

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.offers import Offer


def asks_for(need: str, offer: Offer) -> bool:
    """Whether the user's words ask for this action: its verb, as a wish and not as a question, and no other object."""
    about = matching.concepts(need)
    nouns = offer.noun_concepts
    shared = nouns & about
    if nouns and not shared and (OBJECTS & about):
        return False
    verbs = {matching.concept(verb) for verb in offer.verbs if verb not in _SILENT}
    if nouns and (not verbs or verbs & _GENERIC):
        return bool(shared) and any(_wishes(need, clause, verbs, nouns) for clause in clauses(need))
    return any(_wishes(need, clause, verbs, frozenset()) for clause in clauses(need))


def wished_acts(need: str) -> frozenset[str]:
    """What the words ask to have done, of the things that desks usually do: "refund", "cancel"."""
    parts = [part for clause in clauses(need) for part in re.split(r"\b(?:and|then|und|et|y|e)\b", clause)]
    return frozenset(
        act
        for act in WISHED
        if any(
            EXPLICIT.search(part)
            or _PERMISSION.match(part)
            or act in [matching.concept(word) for word in matching.words(part)[:3]]
            for part in parts
        )
        and asks_for(need, Offer(act, "", {}, "act", (act,), ()))
    )


def asks_where(need: str) -> bool:
    """Whether the words ask where something is, or say that it is late."""
    return bool(_WHERE.search(matching.fold(need)))


def sends_back(need: str) -> bool:
    """Whether the words ask to return goods, which no action does: the articles tell how."""
    return any(
        (EXPLICIT.search(c) or _PERMISSION.search(c)) and _SENDS_BACK.search(" ".join(matching.words(c)))
        for c in clauses(need)
    )


def wants_a_person(text: str) -> bool:
    """Whether the user demands a person, complains formally or speaks of the law."""
    return any(
        found and not NEGATION.search(clause[: found.start()][-25:])
        for clause in clauses(text)
        for found in [_PERSON.search(clause)]
    )


def is_general(need: str) -> bool:
    """Whether this is a question about how things are done, not about something of the user's own."""
    folded = matching.fold(need).strip()
    asks = "?" in need or bool(INFORMATION.search(folded) or _PERMISSION.match(folded))
    ids = any(mention.identifies for mention in mentions.quantities(need))
    own = (_OWN.search(folded) and not _HOW.search(folded)) or _REQUEST.search(folded)
    return asks and not ids and not own and not mentions.EMAIL.search(need)


def clauses(text: str) -> list[str]:
    return [
        part.strip()
        for part in re.split(r"[.!?;,:]\s|[.!?]$|\b(?:but|aber|mais|pero|mas)\b|\n", matching.fold(text))
        if part.strip()
    ]


def _wishes(need: str, clause: str, verbs: set[str], nouns: frozenset[str]) -> bool:
    words = matching.words(clause)
    known = [matching.concept(word) for word in words]
    explicit = bool(EXPLICIT.search(clause))
    at = next((i for i, word in enumerate(known) if word in verbs and not _SENDS_BACK.match(words[i])), -1)
    if at < 0 and nouns:
        noun = next((i for i, word in enumerate(known) if word in nouns), -1)
        renewed = re.search(r"\b(?:new|neue\w*|nouvel\w*|nueva|nova)\b", clause) and "change" in verbs
        at = noun if noun >= 0 and (explicit or noun == 0 or renewed or _PERMISSION.match(clause)) else -1
    if at < 0 or NEGATION.search(" ".join(words[max(0, at - 5) : at])):
        return False
    if explicit and not re.search(r"\b(?:know|tell me|wondering|explain)\b", clause):
        return True
    if _STATE.search(clause):
        return False
    if _PERMISSION.match(clause):
        return bool(
            _OWN.search(clause) or any(m.kind != "count" and len(m.text) > 2 for m in mentions.quantities(need))
        )
    if INFORMATION.search(clause):
        return False
    return not (words[at].endswith("ed") and _PAST.search(" ".join(words[max(0, at - 2) : at]) + " "))


NEGATION = re.compile(
    r"\b(?:not|no|never|without|dont|don't|doesn't|didn't|won't|nicht|kein\w*|pas|nao|instead of|rather than)\b"
)


EXPLICIT = re.compile(
    r"\b(?:please|i want|i'd like|i would like|we want|we would like|i need|we need|i wish|can you|could you|would you|"
    r"will you|let's|go ahead|give me|get me|send me|i demand|bitte|mochte|moechte|will ich|ich will|"
    r"brauche|je veux|je voudrais|s'il|j'aimerais|por favor|"
    r"quiero|quisiera|necesito|gostaria|quero|preciso|yes)\b"
)


INFORMATION = re.compile(
    r"^\W*(?:and |so |but |hello |hi |hey )?(?:how|what|when|why|which|where|who|is|are|was|were|did|does|"
    r"do|has|have|will|"
    r"should|if|wie|was|wann|warum|wo|welche\w*|comment|quand|pourquoi|quel\w*|como|cuando|cuanto|que|"
    r"qual|quando|quanto|por que)\b"
)


_PERMISSION = re.compile(r"\b(?:can|could|may|am|is it possible|kann|darf|puis|puedo|posso)\b(?: i| we| ich| one)?\b")


_STATE = re.compile(
    r"\b(?:status|arriv\w+|receiv\w+|yet|still|pending|happen\w*|waiting|where|policy|policies|deadline|long)\b"
)


_PAST = re.compile(r"\b(?:i|we|was|were|been|have|has|had|already|got|is|you|they|ive|i've|just)(?: \w+)? ")


_OWN = re.compile(
    r"\b(?:my|mine|our|mein\w*|mon|ma|mes|mi|mis|meu|minha|unser\w*|notre)\b|\bthe (?:order|parcel|package|shipment)\b"
)
_SENDS_BACK = re.compile(r"\b(?:return\w*|ruckgabe|rueckgabe|zuruckgeben|retourner)\b")  # goods, not money
_WHERE = re.compile(
    r"\b(?:where|track\w*|late|delay\w*|overdue|lost|missing|wo|ou|donde|onde|"
    r"not (?:yet )?(?:arrived|come)|n't (?:yet )?(?:arrived|come)|never (?:arrived|came))\b"
)
_HOW = re.compile(
    r"\b(?:how (?:do|can|should|could)|where (?:can|do|should)|what (?:can|should|do)|can|may|could|do) (?:i|we|one)\b|"
    r"\bwhat (?:happens|if)\b|\bis it possible\b|\bam i allowed\b"
)
_REQUEST = re.compile(r"\b(?:can|could|may) (?:i|we) (?:please )?(?:get|have|receive)\b.*\b(?:back|refund\w*|my|our)\b")


_GENERIC = frozenset(
    {"create", "change", "send", "book", "issue", "process", "submit", "set", "apply", "give", "start", "do"}
)


_SILENT = frozenset({"issue", "process", "do", "apply", "set"})  # "I have an issue" asks for nothing


OBJECTS = matching.word_set(
    "order subscription account invoice address payment flight room hotel appointment ticket login book warranty"
)


_TALK = (
    r"(?:speak|talk|chat|connect|transfer|get|give|put|reach|pass|want|need|hablar|falar|parler|sprechen|"
    r"contact)\b.{0,40}"
    r"\b(?:human|person|agent|manager|supervisor|representative|someone|somebody|colleague|humano|persona|"
    r"gerente|pessoa|"
    r"humain|conseiller|quelqu'un|responsable|alguien|alguem)\b"
)


_PERSON = re.compile(
    rf"\b{_TALK}|\b(?:real|live|actual) (?:human|person|agent)\b|\bhuman (?:being|please|agent)\b|"
    rf"^\W*(?:human|agent|manager)\W*$"
    r"|\b(?:mit (?:einem |einer )?(?:menschen?|mitarbeiter\w*|vorgesetzten))\b|\bcomplain\w*|\b(?:lawyer|"
    r"attorney|ombudsman|"
    r"legal action|take legal|sue you|beschwer\w+|anwalt|avocat|plainte|reclamation|reclamacion|queja|"
    r"reclamacao|abogado|"
    r"advogado)\b"
)

WISHED = {
    "refund": "make the refund",
    "cancel": "do the cancellation",
    "delete": "do the deletion",
    "book": "make the booking",
    "reset": "do the reset",
}
