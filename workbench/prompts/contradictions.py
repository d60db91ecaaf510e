"""Sentences of one text that cannot both be followed. Only what holds under the same condition is compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workbench.prompts.sentences import CONDITION, Sentence


@dataclass(frozen=True)
class Clash:
    """Two sentences, the later one first, and what they disagree about."""

    sentence: Sentence
    earlier: Sentence
    why: str


def clashes(found: Sequence[Sentence]) -> list[Clash]:
    """Every pair that disagrees, in the order of the later sentence; a sentence is told about once."""
    whole = [one for one in found if not one.heading]
    rules = (_orders, _styles, _limits, _figures, _languages)
    told = sorted((clash for rule in rules for clash in rule(whole)), key=lambda clash: clash.sentence.start)
    return list({clash.sentence.start: clash for clash in reversed(told)}.values())[::-1]


# ---- always and never ------------------------------------------------------------------------------------------------

_NO = r"(?:never|do not|don['’]t|must not|mustn['’]t|should not|shouldn['’]t|may not|cannot|can['’]t|shall not|avoid)"
_NEVER = re.compile(rf"\b{_NO}\b(?:\s+ever\b)?\s*(.+)", re.I | re.S)
_ALWAYS = re.compile(
    r"\b(?:always|must|should|shall|have to|need to|make sure to|make sure you|be sure to|remember to)\s+(.+)",
    re.I | re.S,
)
_YOU = re.compile(
    r"(?:^|[,;:–—*]|\b(?:and|but|so))\s*(?:(?:please|also|you|agents?|the (?:agent|assistant)|can|must|should|will)\s*)*$",
    re.I,
)
_CLAUSE_END = re.compile(r"[,;:.!?()\n–—]|\s-\s|\b(?:and|but|or)\s+(?:never|always|do not|don['’]t)\b", re.I)
_DROPPED = re.compile(
    r"a|an|the|your|our|their|his|her|its|this|that|these|those|any|all|every|each|to|with|of|in|on|at|by|for|from|as"
    r"|you|i|we|they|it|them|always|ever|also|please|be|is|are|repl(?:y|ies)|answers?|responses?|messages?|conversation|chat"
)
_SAME = {"customer": "user", "client": "user", "mention": "say", "state": "say", "emojis": "emoji"}


def _orders(found: Sequence[Sentence]) -> Iterator[Clash]:
    """“Always X” and “never X”, or plain “X”, about the same thing."""
    done: dict[tuple[frozenset[str], str], Sentence] = {}
    banned: dict[tuple[frozenset[str], str], Sentence] = {}
    for one in found:
        never = _NEVER.search(one.text)
        order = never or _ALWAYS.search(one.text)
        before = one.text[: order.start()] if order else ""
        words, condition = _order(
            order[1] if order else one.text, f"{one.scope} {before if CONDITION.search(before) else ''}"
        )
        if len(words) < 2 or not _YOU.search(before):
            continue
        mine, other = (banned, done) if never else (done, banned)
        if (earlier := other.get((words, condition))) is not None:
            yield Clash(one, earlier, "One sentence demands what the other forbids.")
        mine.setdefault((words, condition), one)


def _order(clause: str, scope: str) -> tuple[frozenset[str], str]:
    """The words that say what is ordered, and the condition under which."""
    clause = re.sub(r"^\s*(?:always|ever|please|just)\s+", "", clause, flags=re.I)
    end = _CLAUSE_END.search(clause)
    head = clause[: end.start()] if end else clause
    split = CONDITION.search(clause)
    condition = " ".join(re.findall(r"\w+", clause[split.start() :].casefold())) if split else ""
    head = head[: split.start()] if split and split.start() < len(head) else head
    words = (word for word in re.findall(r"[\w’']+", head.casefold()) if not _DROPPED.fullmatch(word))
    return frozenset(map(_stem, words)), f"{scope.casefold()}|{condition}"


def _stem(word: str) -> str:
    word = re.sub(r"['’]s$", "", word)
    word = _SAME.get(word, word)
    bare = re.sub(r"(?<=\w{3})(?:ies|ing|ed|es|s)$", "", word) if not word.endswith("ss") else word
    bare = bare[:-1] if len(bare) > 3 and bare.endswith("e") else bare
    return _SAME.get(bare, bare)


# ---- styles ----------------------------------------------------------------------------------------------------------

_SAY = r"\b(?:answer|reply|respond|write|explain|describe|speak|talk|be|keep|give|use|provide)\b"
_STYLES: tuple[tuple[str, re.Pattern[str], str, re.Pattern[str]], ...] = (
    (
        "short",
        re.compile(
            rf"{_SAY}[^.;,:]{{0,40}}\b(?:brief(?:ly)?|short|concise(?:ly)?|succinct(?:ly)?|in (?:a )?few words)\b", re.I
        ),
        "detailed",
        re.compile(
            rf"{_SAY}[^.;,:]{{0,40}}\b(?:in (?:great |full |more )?detail|detailed|thorough(?:ly)?|comprehensive(?:ly)?"
            r"|exhaustive(?:ly)?|at length|extensive(?:ly)?|long (?:answers?|replies))\b",
            re.I,
        ),
    ),
    (
        "formal",
        re.compile(rf"{_SAY}[^.;,:]{{0,30}}\bformal(?:ly)?\b", re.I),
        "informal",
        re.compile(rf"{_SAY}[^.;,:]{{0,30}}\b(?:informal(?:ly)?|casual(?:ly)?|slang|colloquial(?:ly)?)\b", re.I),
    ),
)
_BUT = re.compile(rf"\b(?:but|yet|although|rather|instead|{_NO}|not|no|nor|without|too)\b", re.I)


def _styles(found: Sequence[Sentence]) -> Iterator[Clash]:
    """Two manners of answering that exclude each other, both demanded without a condition."""
    plain = [one for one in found if _always_holds(one) and not _BUT.search(one.said)]
    for name, style, other_name, other in _STYLES:
        one = [s for s in plain if style.search(s.said) and not other.search(s.said)]
        two = [s for s in plain if other.search(s.said) and not style.search(s.said)]
        yield from _against(one, two, f"One sentence asks for {name} answers, the other for {other_name} ones.")


def _always_holds(one: Sentence) -> bool:
    return not one.scope and not CONDITION.search(one.said) and not re.match(r"(?:for|in case|on)\b", one.said, re.I)


def _against(one: Sequence[Sentence], other: Sequence[Sentence], why: str) -> Iterator[Clash]:
    """Each sentence of one side that comes after the first one of the other side."""
    for mine, theirs in ((one, other), (other, one)):
        yield from (Clash(late, theirs[0], why) for late in mine if theirs and theirs[0].start < late.start)


# ---- limits ----------------------------------------------------------------------------------------------------------

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_N = rf"(\d{{1,5}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(?:(?:short|full|complete|simple|clear|whole)\s+)?(sentence|word|paragraph|character|bullet|line|question|emoji)s?\b"
_MOST = (
    r"(?:at (?:the )?most|no more than|not more than|never more than|a maximum of|maximum|max\.?|up to|under|below"
    r"|fewer than|less than|within|not exceed|never exceed)"
)
_LEAST = r"(?:at least|no fewer than|no less than|not fewer than|a minimum of|minimum|more than|over)"
_LIMITS: tuple[tuple[re.Pattern[str], Callable[[int], tuple[float, float]]], ...] = (
    (re.compile(rf"\b{_MOST}\s+{_N}\s+{_UNIT}", re.I), lambda n: (0, n)),
    (re.compile(rf"(?<!no )(?<!not )(?<!never )\b{_LEAST}\s+{_N}\s+{_UNIT}", re.I), lambda n: (n, float("inf"))),
    (re.compile(rf"\b(?:exactly|in|only|just)\s+{_N}\s+{_UNIT}", re.I), lambda n: (n, n)),
)
_ABOUT = re.compile(
    r"\b(?:summar\w+|notes?|subjects?|titles?|headings?|e-?mails?|greetings?|apolog\w+|descriptions?|explanations?"
    r"|introductions?|conclusions?|examples?|steps?|tweets?|comments?|queries|query|asks?"
    r"|(?:each|every|per|first|last) (?!answer|reply|response|message)\w+)\b",
    re.I,
)


def _limits(found: Sequence[Sentence]) -> Iterator[Clash]:
    """Two limits of length for the same thing that do not go together, or that differ."""
    known: dict[tuple[str, str, frozenset[str]], dict[tuple[float, float], Sentence]] = {}
    for one in found:
        for unit, low, high in _limit(one.said):
            about = frozenset(_stem(word.casefold()) for word in _ABOUT.findall(one.said))
            condition = CONDITION.search(one.said)
            under = f"{one.scope}|{one.said[condition.start() :].casefold() if condition else ''}"
            before = known.setdefault((unit, under, about), {})
            for (a, b), earlier in before.items():
                if earlier is not one and (low > b or a > high or (low == a and high != b) or (high == b and low != a)):
                    yield Clash(one, earlier, f"Two different limits on the {unit}s of the same thing.")
                    break
            before.setdefault((low, high), one)


def _limit(text: str) -> Iterator[tuple[str, float, float]]:
    for pattern, bounds in _LIMITS:
        for match in pattern.finditer(text):
            word = match[1].casefold()
            low, high = bounds(int(word) if word.isdigit() else _NUMBERS.index(word))
            yield match[2].casefold(), low, high


_FIGURE = re.compile(
    rf"(?:[$€£]\s?)?\b(\d+(?:[.,]\d+)*|{'|'.join(_NUMBERS[2:])})\b(?=\s*(?:%|percent|(?:business |working )?(?:minute|hour|day|week"
    r"|month|year)s?\b|dollars?\b|euros?\b|pounds?\b|usd\b|eur\b|times\b))",
    re.I,
)


def _figures(found: Sequence[Sentence]) -> Iterator[Clash]:
    """The same sentence with another quantity in it; where there are more than two, it is a table of cases."""
    known: dict[tuple[str, str], list[tuple[str, Sentence]]] = {}
    for one in found:
        figures, condition = list(_FIGURE.finditer(one.said)), CONDITION.search(one.said)
        if len(figures) == 1 and (condition is None or figures[0].start() < condition.start()):
            bare = one.said[: figures[0].start()] + "#" + one.said[figures[0].end() :]
            key = (" ".join(re.findall(r"[\w#]+", bare.casefold())), one.scope)
            known.setdefault(key, []).append((figures[0][1].casefold(), one))
    for same in known.values():
        if len(same) == 2 and same[0][0] != same[1][0] and len(same[0][1].said.split()) >= 4:
            yield Clash(same[1][1], same[0][1], f"The same rule has the number {same[0][0]} elsewhere.")


# ---- languages -------------------------------------------------------------------------------------------------------

_TONGUES = (
    r"english|german|french|spanish|italian|portuguese|dutch|polish|czech|swedish|danish|norwegian|finnish|greek|turkish"
    r"|russian|ukrainian|arabic|hebrew|hindi|chinese|mandarin|japanese|korean|vietnamese|thai|romanian|hungarian"
)
_THEIRS = (
    r"(?:the )?(?:customer|user|client)['’]s (?:own )?language|(?:the )?(?:same )?language (?:of|as) the \w+"
    r"|their (?:own )?language"
)
_TONGUE = re.compile(rf"\b(?:{_TONGUES})\b|{_THEIRS}", re.I)
_DEMAND = re.compile(r"\b(?:answer|reply|respond|write|speak|communicate|talk|converse)\b[^.;:]{0,40}\bin\b", re.I)


def _languages(found: Sequence[Sentence]) -> Iterator[Clash]:
    """Two languages of the answer, both demanded without a condition."""
    demands: list[tuple[frozenset[str], Sentence]] = []
    for one in found:
        if _DEMAND.search(one.said) and _always_holds(one) and not re.search(rf"\b{_NO}\b|\bnot\b", one.said, re.I):
            named = frozenset(word.casefold() for word in _TONGUE.findall(one.said))
            tongues = frozenset(word if re.fullmatch(_TONGUES, word) else "the customer's own" for word in named)
            for other, earlier in demands if tongues else ():
                if not tongues & other:
                    asked = " and ".join(sorted(word if " " in word else word.capitalize() for word in tongues))
                    yield Clash(one, earlier, f"One sentence asks for {asked}, the other for another language.")
                    break
            demands += [(tongues, one)] if tongues else []
