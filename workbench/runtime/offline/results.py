"""A tool's result, told in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.conversation import Call
from workbench.runtime.offline.evidence import leaves_of_arguments
from workbench.runtime.offline.fitting import MONEY_WORDS
from workbench.runtime.offline.offers import sort_name
from workbench.runtime.offline.schema import is_id


def tell(call: Call, need: str) -> list[str]:
    """A call's result in sentences."""
    if call.failure:
        return [_told_failure(call)]
    act, verbs, _ = sort_name(call.name)
    done = f"I have {past(verbs[0])} {_subject(call, article=True)}." if act == "act" and verbs else ""
    if isinstance(call.value, dict):
        status = str(call.value.get("status", "")).lower()
        if done and re.search(r"reject|denied|declin|refus", status):
            return [
                f"I could not {verbs[0]} {_subject(call, article=True)}: the status is {_spoken(status)}.",
                *_told_fields(call, need, 2),
            ]
        return [done, *_told_fields(call, need, 3)] if done else _told_fields(call, need, 6)
    if isinstance(call.value, list):
        return [done or _told_list(call)]
    text = matching.harmless(call.text).strip()[:600]
    if not text:
        return [done or "The answer I received holds nothing that I can pass on."]
    if len(text.split()) < 3:
        return [done or f"The answer for {_subject(call)} is: {_spoken(text)}."]
    return [text if text.endswith((".", "!", "?")) else f"{text}."]


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


def _told_failure(call: Call) -> str:
    kind, verbs, _ = sort_name(call.name)
    why = matching.harmless(call.failure).strip().rstrip(".")[:300]
    if call.missing:
        return f"I could not find {_subject(call)}."
    wished = f"{verbs[0] if verbs and kind == 'act' else 'look up'} {_subject(call, article=True)}"
    if re.search(r"(?i)an error occurred while running|timed out|^\W*$", why):
        return f"I could not {wished}: the system did not respond properly. Please try again later."
    if re.search(r"(?i)not approved", why):
        return f"I could not {wished}: it was not approved."
    why = re.sub(r"(?i)^(?:error|failed|failure)\W+", "", why)
    return f"I could not {wished}: {why[:1].lower() + why[1:] if not why[:2].isupper() else why}."


def _told_fields(call: Call, need: str, limit: int) -> list[str]:
    """The fields of a result that match the question, then a few others; the status first."""
    subject = _subject(call)
    arguments = {str(value) for _, value in leaves_of_arguments(call.arguments)}
    arguments = {value for value in arguments if value in subject.split()} if is_act(call) else arguments
    fields = [
        (path, value)
        for path, value in _flat(call.value)
        if not path[-1].startswith("_")
        and str(value) not in arguments | {""}
        and path[-1] not in ("ok", "success", "found", "currency")
        and not (value is True and is_act(call))
    ]
    fields = [
        (path, value) for path, value in fields if not (isinstance(value, str) and matching.is_instruction(value))
    ]
    scores = [_relevance(need, path, value) for path, value in fields]
    chosen = sorted(range(len(fields)), key=lambda i: (-scores[i], i))
    asked = [i for i in chosen if scores[i] >= 0.5][:limit]
    others = sorted(i for i in chosen[:limit] if i not in asked)
    asked = [] if is_act(call) else asked
    others = sorted(chosen[:limit]) if is_act(call) else others
    kept = (
        [fields[i] for i in [*asked, *others[: max(1, limit - 2 - len(asked))]]]
        if asked
        else [fields[i] for i in others]
    )
    status = next((value for path, value in kept if path == ("status",) and isinstance(value, str)), "")
    rest = [_field(path, value, call.value) for path, value in kept if path != ("status",)]
    if not kept:
        return [] if is_act(call) else [f"I found {_subject(call)}, but nothing that answers your question."]
    if is_act(call):
        rest = ([f"the status is {_spoken(status)}"] if status else []) + rest
        return [_sentence(rest)]
    if status:
        return [_sentence([f"{subject} is {_spoken(status)}"]), *([_sentence(rest)] if rest else [])]
    return [f"For {subject}: {join(rest)}."]


def _told_list(call: Call) -> str:
    noun = " ".join(sort_name(call.name)[2]) or "results"
    if not call.value:
        return f"I found no matching {noun}."
    count = len(call.value)
    noun = noun if count != 1 and noun.endswith("s") else noun.removesuffix("s") if count == 1 else f"{noun}s"
    return f"I found {count} {noun}: {_listed(call.value)}."


def _relevance(need: str, path: tuple[str, ...], value: Any) -> float:
    label = " ".join(path)
    score = matching.overlap(label, need) + (0.2 if path == ("status",) else 0.0) - 0.1 * (len(path) - 1)
    folded = matching.fold(need)
    score += (
        0.6
        if _WHEN.search(label) and re.search(r"\b(?:when|wann|quand|cuando|quando|arrive|date|long)\b", folded)
        else 0.0
    )
    score += 0.5 if _WHERE.search(label) and re.search(r"\b(?:where|wo|ou|donde|onde|status|track)\b", folded) else 0.0
    return score - (0.3 if isinstance(value, str) and len(value) > 120 else 0.0)


def _flat(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Nested objects flattened; a list stays one value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and len(path) < 4:
            yield from _flat(inner, (*path, str(key)))
        elif inner is not None and inner != []:
            yield (*path, str(key)), inner


def _field(path: tuple[str, ...], value: Any, whole: Any) -> str:
    label = " ".join(dict.fromkeys(" ".join(matching.plain(part) for part in path).split()))
    dated = isinstance(value, str) and mentions.spoken_date(value) != value
    if dated and (moment := re.fullmatch(r"(\w+) (?:at|on)", label)):
        return f"it {'was ' if moment[1].endswith('ed') else ''}{moment[1]} on {_spoken(value)}"
    if isinstance(value, bool):
        return _yes_or_no(label.removeprefix("is "), value)
    if isinstance(value, list):
        return f"the {label} {'are' if len(value) != 1 else 'is'} {_listed(value)}"
    currency = whole.get("currency") if isinstance(whole, dict) else None
    if isinstance(value, (int, float)) and MONEY_WORDS & set(label.split()):
        amount = f"{value:.2f}" if isinstance(value, float) else str(value)
        return f"the {label} is {amount}{f' {currency}' if currency else ''}"
    return f"the {label} is {_spoken(value)}"


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


_WHEN = re.compile(r"date|eta|expected|arriv|deliver|due|_at$|_on$|time|until|when")


_WHERE = re.compile(r"track|carrier|location|city|status|address|depot")


_IRREGULAR = {
    "send": "sent", "resend": "resent", "make": "made", "set": "set", "reset": "reset", "pay": "paid", "give": "given",
    "write": "written", "buy": "bought", "submit": "submitted", "stop": "stopped", "cancel": "cancelled",
    "ship": "shipped",
}  # fmt: skip
