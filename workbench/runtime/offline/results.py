"""A tool's result, told in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.conversation import Call
from workbench.runtime.offline.evidence import leaves_of_arguments
from workbench.runtime.offline.fitting import MONEY_WORDS
from workbench.runtime.offline.offers import sort_name
from workbench.runtime.offline.schema import is_id

Field = tuple[tuple[str, ...], Any]
"""Where a value stands in a result, and the value."""


def tell(call: Call, need: str, told: set[str] | None = None) -> list[str]:
    """A call's result in sentences. What `told` names is left out, and what is said now is added to it."""
    told = set() if told is None else told
    if call.failure:
        return [_told_failure(call)]
    act, verbs, _ = sort_name(call.name)
    done = f"I have {past(verbs[0])} {_subject(call, article=True)}." if act == "act" and verbs else ""
    if isinstance(call.value, dict):
        status = str(call.value.get("status", "")).lower()
        if done and re.search(r"reject|denied|declin|refus", status):
            refused = f"I could not {verbs[0]} {_subject(call, article=True)}: the status is {_spoken(status)}."
            return [refused, *_told_outcome(call, need, 2)]
        return [done, *_told_outcome(call, need, 3)] if is_act(call) and done else _told_fields(call, need, told)
    if isinstance(call.value, list):
        return [done or _told_list(call)]
    text = matching.harmless(call.text).strip()[:600]
    if not text:
        return [done or "The answer I received holds nothing that I can pass on."]
    if len(text.split()) < 3:
        return [done or f"The answer for {_subject(call)} is: {_spoken(text)}."]
    return [text if text.endswith((".", "!", "?")) else f"{text}."]


def under_way(call: Call) -> bool:
    """Whether a result says that something is on its way, so that tracking it can tell more."""
    status = str(call.value.get("status", "")) if isinstance(call.value, dict) else ""
    return bool(re.search(r"(?i)ship|transit|late|delay|way|dispatch|out for|sent", status)) and not call.failure


def past(verb: str) -> str:
    """The past participle of an action's verb."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return verb + "d"
    return verb[:-1] + "ied" if re.search(r"[^aeiou]y$", verb) else verb + "ed"


def join(parts: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _subject(call: Call, *, article: bool = False) -> str:
    """What a call was about: "order 1042", "the refund for order 1042"."""
    nouns = list(sort_name(call.name)[2])
    nouns = [noun for noun in nouns if noun not in ("status", "details", "info", "information")] or nouns
    noun = " ".join(nouns) or ("it" if article else "this")
    shown = [(name, value) for name, value in leaves_of_arguments(call.arguments) if is_id(name, {})]
    for name, value in shown[:1]:
        label = [w for w in matching.plain(name).split() if w not in matching.ID_WORDS]
        if not label or set(label) <= set(nouns) or not nouns:
            return f"{' '.join(label) if label and not nouns else noun} {value}"
        return f"{'the ' if article else ''}{noun} for {' '.join(label)} {value}"
    mails = [value for _, value in leaves_of_arguments(call.arguments) if mentions.EMAIL.fullmatch(str(value))]
    if mails:
        return f"{'the ' if article and nouns else ''}{noun} for {mails[0]}"
    return f"the {noun}" if nouns and article else noun


def is_act(call: Call) -> bool:
    return sort_name(call.name)[0] == "act"


def _identified(call: Call) -> str:
    """The thing that an id names: "order 1042", also when its parcel was asked for."""
    for name, value in leaves_of_arguments(call.arguments):
        label = [word for word in matching.plain(name).split() if word not in matching.ID_WORDS]
        if is_id(name, {}) and label:
            return f"{' '.join(label)} {value}"
    return ""


def _told_failure(call: Call) -> str:
    kind, verbs, _ = sort_name(call.name)
    why = matching.harmless(call.failure).strip().rstrip(".")[:300]
    if call.missing:
        return f"I could not find {_identified(call) or _subject(call)}."
    wished = f"{verbs[0] if verbs and kind == 'act' else 'look up'} {_subject(call, article=True)}"
    if re.search(r"(?i)an error occurred while running|timed out|^\W*$", why):
        return f"I could not {wished}: the system did not respond properly. Please try again later."
    if re.search(r"(?i)not approved", why):
        return f"I could not {wished}: it was not approved."
    why = re.sub(r"(?i)^(?:error|failed|failure)\W+", "", why)
    return f"I could not {wished}: {why[:1].lower() + why[1:] if not why[:2].isupper() else why}."


def _told_outcome(call: Call, need: str, limit: int) -> list[str]:
    """What an action's result adds to the fact that it was done: its number, its amount, when it arrives."""
    subject = _subject(call).split()
    echoed = {str(value) for _, value in leaves_of_arguments(call.arguments)}
    echoed = {value for value in echoed if value in subject or len(value.split()) > 2}
    fields = [(path, value) for path, value in _tellable(call, echoed) if value is not True]
    scores = [_relevance(need, path, value) for path, value in fields]
    kept = sorted(sorted(range(len(fields)), key=lambda i: (-scores[i], i))[:limit])
    parts = [
        f"the status is {_spoken(value)}" if path == ("status",) else _field(path, value, call.value, need)
        for path, value in (fields[i] for i in kept)
    ]
    return [_sentence(parts)] if parts else []


def _told_fields(call: Call, need: str, told: set[str]) -> list[str]:
    """The fields of a result that answer the question, after the status; without any, the first few."""
    subject, again = _subject(call, article=True), bool(told)
    known = {str(value) for _, value in leaves_of_arguments(call.arguments)}
    fields = [(path, value) for path, value in _tellable(call, known) if _mark(path, value) not in told]
    if not fields:
        return [] if again else [f"I found {subject}, but nothing that answers your question."]
    status = next((value for path, value in fields if path == ("status",) and isinstance(value, str)), "")
    rest = [(path, value) for path, value in fields if path[-1] not in ("status", f"{status}_on")]
    kept, alone = _chosen(rest, need, subject, str(call.value.get("status", "")))
    if not kept and again:
        return []
    dated = f"{status}_on" in call.value
    kept = kept or rest[: 0 if dated else 1 if status else 3]
    told |= {_mark(path, value) for path, value in [*kept, (("status",), status)]}
    parts = [_field(path, value, call.value, need) for path, value in kept]
    if alone and all(re.match(r"the .*? (?:is|are) ", part) for part in parts):
        return [_sentence([re.sub(r" (is|are) ", rf" of {subject} \1 ", parts[0], count=1), *parts[1:]])]
    if not status:
        return [_sentence(parts) if again else f"For {_subject(call)}: {join(parts)}."]
    state = _state(subject, status, call.value)
    if LATE.fullmatch(status) and parts and parts[0].startswith("it was expected"):
        state, parts = f"{state}: {parts[0]}", parts[1:]
    return [_sentence([state]), *([_sentence(parts)] if parts else [])]


def _chosen(rest: Sequence[Field], need: str, subject: str, status: str) -> tuple[list[Field], bool]:
    """The fields that a question asks for, and whether it asks for them alone."""
    named = [field for field in rest if _names(need, field[0], subject)]
    about = {aspect for aspect, (asks, _) in _ASPECTS.items() if asks.search(matching.fold(need))}
    single = bool(about) and about <= {"price", "content", "who"}
    if LATE.fullmatch(status) and not single:
        about |= {"place", "late"}
    asked = [
        field
        for field in rest
        if field not in named
        and any(_ASPECTS[aspect][1].search("_".join(field[0]).lower()) for aspect in about)
        and not _happened_elsewhere(field, need)
        and not (_OVER.match(status) and not LATE.match(status) and re.search(r"expected|location", field[0][-1]))
    ]
    if named and not about - {"place", "time"} and not LATE.fullmatch(status):
        return named[:3], not any(_PAST.match(path[-1]) for path, _ in named)
    if named and re.search(r"\b(?:what|which|how much|give|tell)\b", matching.fold(need)):
        return named[:3], True
    asked.sort(key=lambda field: not re.search(r"expected|estimated|due|date", field[0][-1]))
    first = [field for field in asked if "expected" in field[0][-1]] if LATE.fullmatch(status) else []
    return list(dict([*first, *named, *asked]).items())[:5], single


def _happened_elsewhere(field: Field, need: str) -> bool:
    """Whether a field is the date of a past event that the question does not name."""
    happened = _PAST.match(field[0][-1])
    return happened is not None and not _tells_of(happened[1], need)


def _tells_of(event: str, need: str) -> bool:
    """Whether the words name a past event: "was it shipped", "when did I order"."""
    root = matching.stem(event)
    return event in matching.words(need) or bool(re.search(rf"\bwhen did \w+ {root}", matching.fold(need)))


def _state(subject: str, status: str, whole: Mapping[str, Any]) -> str:
    """A status as a clause: "order 7 was delivered on 3 May 2026", "order 7 is in transit"."""
    day = whole.get(f"{status}_on") or whole.get(f"{status}_at")
    if isinstance(day, str) and mentions.spoken_date(day) != day:
        return f"{subject} was {_spoken(status)} on {_spoken(day)}"
    if _DONE.fullmatch(status):
        return f"{subject} has been {_spoken(status)}"
    return f"{subject} is {'being processed' if status == 'processing' else _spoken(status)}"


def _told_list(call: Call) -> str:
    noun = " ".join(sort_name(call.name)[2]) or "results"
    if not call.value:
        return f"I found no matching {noun}."
    count = len(call.value)
    noun = noun if count != 1 and noun.endswith("s") else noun.removesuffix("s") if count == 1 else f"{noun}s"
    return f"I found {count} {noun}: {_listed(call.value)}."


def _tellable(call: Call, known: Set[str]) -> list[tuple[tuple[str, ...], Any]]:
    """The fields of a result that may be told: neither known, nor internal, nor words to a machine."""
    return [
        (path, value)
        for path, value in _flat(call.value)
        if not path[-1].startswith("_")
        and str(value) not in known | {""}
        and path[-1] not in ("ok", "success", "found", "currency")
        and not (isinstance(value, str) and matching.is_instruction(value))
    ]


def _mark(path: tuple[str, ...], value: Any) -> str:
    return f"{path[-1]}={value}"


def _names(need: str, path: tuple[str, ...], subject: str) -> bool:
    """Whether the question names a field, by words that are not the subject's own."""
    if (happened := _PAST.match(path[-1])) and _tells_of(happened[1], need):
        return True
    label = matching.concepts(" ".join(path)) - matching.concepts(subject)
    return bool(label) and label <= matching.concepts(need)


def _relevance(need: str, path: tuple[str, ...], value: Any) -> float:
    """How well a field of an action's result fits the question; an amount, a number and a date come first."""
    label = " ".join(path)
    first = bool(re.search(r"amount|total|arriv|_id$|number|date|status", "_".join(path)))
    long = isinstance(value, str) and len(value) > 120
    return matching.overlap(label, need) + 0.4 * first - 0.1 * (len(path) - 1) - 0.3 * long


def _flat(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Nested objects flattened; a list stays one value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and len(path) < 4:
            yield from _flat(inner, (*path, str(key)))
        elif inner is not None and inner != []:
            yield (*path, str(key)), inner


def _field(path: tuple[str, ...], value: Any, whole: Any, need: str) -> str:
    """One field as a clause."""
    label = " ".join(dict.fromkeys(" ".join(matching.plain(part) for part in path).split()))
    dated = isinstance(value, str) and mentions.spoken_date(value) != value
    if dated and (moment := re.fullmatch(r"(\w+) (?:at|on|date)", label)):
        status = str(whole.get("status", "")) if isinstance(whole, dict) else ""
        open_ended = moment[1] in ("expected", "planned", "scheduled") and not _OVER.search(status)
        return (
            f"it {'is ' if open_ended else 'was ' if moment[1].endswith('ed') else ''}{moment[1]} on {_spoken(value)}"
        )
    if isinstance(value, bool):
        return _yes_or_no(label.removeprefix("is "), value)
    if isinstance(value, list):
        several = len(value) != 1
        return f"the {label if several else label.removesuffix('s')} {'are' if several else 'is'} {_listed(value)}"
    if isinstance(value, (int, float)) and MONEY_WORDS & set(label.split()):
        return f"the {label} is {_money(value, whole, need)}"
    if (
        isinstance(value, str)
        and (place := re.fullmatch(r"(?:at |in )?((?:the |a )[a-z].*)", value))
        and _SPOT.search(label)
    ):
        return f"it is at {place[1]}"
    if isinstance(value, str) and re.match(r"(?:within|by|after|before|until|from|in|on)\b", value):
        return f"it arrives {_spoken(value)}" if label == "arrival" else f"{label}: {_spoken(value)}"
    return f"the {label} is {_spoken(value)}"


def _money(value: float, whole: Any, need: str) -> str:
    """An amount with the result's currency, or with the sign that the user wrote beside the same amount."""
    amount = f"{value:.2f}" if isinstance(value, float) else str(value)
    currency = whole.get("currency") if isinstance(whole, dict) else None
    sign = next((m[1] for m in re.finditer(r"([$€£])\s?(\d+(?:\.\d+)?)", need) if float(m[2]) == value), "")
    return f"{amount} {currency}" if currency else f"{sign}{amount}"


def _yes_or_no(label: str, value: bool) -> str:
    if label.startswith("has "):
        return f"it has {'' if value else 'no '}{label.removeprefix('has ')}"
    if len(label.split()) == 1:
        return f"it is {'' if value else 'not '}{label}"
    return f"{label}: {'yes' if value else 'no'}"


def _spoken(value: Any) -> str:
    text = matching.harmless(str(value)).strip()
    if len(text) > 240:
        text = text[:240].rsplit(" ", 1)[0] + " …"
    snake = re.fullmatch(r"[a-z]+(?:_[a-z]+)+", text)
    return text.replace("_", " ") if snake else mentions.spoken_date(text).rstrip(".")


def _listed(items: Sequence[Any]) -> str:
    shown = [_item(item) for item in items[:3]]
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return (", ".join(shown) + more) if more else join(shown)


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return _spoken(item)
    fields = [(key, value) for key, value in item.items() if isinstance(value, (str, int, float)) and value != ""]
    head = next((str(v) for k, v in fields if k in ("name", "title")), "") or next(
        (str(v) for k, v in fields if matching.ID_WORDS & set(matching.words(k))), ""
    )
    rest = [
        f"{v:.2f}" if isinstance(v, float) and MONEY_WORDS & set(matching.words(k)) else _spoken(v)
        for k, v in fields
        if str(v) != head and not isinstance(v, bool)
    ][:2]
    head = matching.harmless(head) or (rest.pop(0) if rest else "")
    return f"{head} ({', '.join(rest)})" if rest and head else head


def _sentence(parts: Sequence[str]) -> str:
    text = join(parts)
    return text[:1].upper() + text[1:] + "."


LATE = re.compile(r"late|lost|overdue")
_OVER = re.compile(r"late|lost|overdue|delay|delivered|arrived|cancel|return")
_PAST = re.compile(r"(?!expected|estimated|scheduled|planned|delivered)(\w+ed)_(?:on|at|date)$")
_DONE = re.compile(r"shipped|sent|dispatched|cancell?ed|refunded|paid|delivered|returned|received|approved|closed")
_SPOT = re.compile(r"location|depot|place|position")
_ASPECTS = {
    "time": (
        re.compile(r"\b(?:when|wann|quand|cuando|quando|arriv\w+|date|long|eta|day|due)\b"),
        re.compile(r"date|eta\b|expected|arriv|deliver|due|_at$|_on$|time|until|when"),
    ),
    "place": (
        re.compile(r"\b(?:where|wo|ou|donde|onde|track\w*|carrier)\b"),
        re.compile(r"track|carrier|location|city|depot|expected|estimated|delivered"),
    ),
    "late": (
        re.compile(r"\b(?:late|delay\w*|overdue|not (?:yet )?arrived|never (?:came|arrived))\b"),
        re.compile(r"expected|due"),
    ),
    "price": (re.compile(r"\bhow much|\b(?:cost|price|paid|pay|total)\b"), re.compile(r"total|price|amount|fee|cost")),
    "content": (
        re.compile(r"\b(?:what (?:did|have) (?:i|we)|items?|contents?|contains?)\b"),
        re.compile(r"item|content|lines|product"),
    ),
    "who": (re.compile(r"\bwho\b"), re.compile(r"carrier|agent|owner|name|by$")),
    "state": (re.compile(r"\b(?:status|state)\b"), re.compile(r"expected|estimated|due")),
}
"""What a question is about: the words that ask, and the fields that answer."""


_IRREGULAR = {
    "send": "sent", "resend": "resent", "make": "made", "set": "set", "reset": "reset", "pay": "paid", "give": "given",
    "write": "written", "buy": "bought", "submit": "submitted", "stop": "stopped", "cancel": "cancelled",
    "ship": "shipped",
}  # fmt: skip
