"""Remarks about an instruction text: what is better said elsewhere, cannot be followed, or cannot be checked.

The same text always gets the same remarks. The rules about words read English; in another language only length,
repetitions, variables, secrets and capitals are noticed.
"""

from __future__ import annotations

import difflib
import math
import re
import string
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from workbench.prompts.contradictions import clashes
from workbench.prompts.elsewhere import guarded, is_approval
from workbench.prompts.sentences import Sentence, at, sentences
from workbench.runtime.guardrails import card_numbers

Kind = Literal[
    "secret", "contradiction", "variable", "tool", "guardrail", "approval", "length", "duplicate", "vague", "shouting"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of remark, the gravest first."""

LONGEST_TOKENS = 1_500
"""About 1,100 words: what a person reads in five minutes, and so can still review as a whole. Every request carries it."""
LONGEST_CHARACTERS = 4 * LONGEST_TOKENS
"""The same in characters: English text has about four in a token."""
REPEATED_WORDS = 5
"""A shorter sentence, such as “Be kind.”, may be said twice."""


@dataclass(frozen=True)
class Remark:
    """One remark: the sentence it is about and its place in the text, why it was made, and what to do.

    What is missing from the text has no sentence; `beside` is the earlier sentence that this one disagrees with.
    """

    kind: Kind
    start: int
    end: int
    sentence: str
    why: str
    remedy: str
    beside: str = ""


def lint(
    text: str,
    variables: Collection[str],
    *,
    tools: Collection[str] | None = None,
    given: Collection[str] | None = None,
) -> list[Remark]:
    """Every remark about `text`, in the order of the text.

    `variables` are those that the prompt declares, `given` those that its flows give a value, `tools` the tools that
    its agent has; what is None is not looked at.
    """
    found = sentences(text)
    remarks = [
        *_length(text, found),
        *_elsewhere(found),
        *_contradictions(found),
        *_vague(found),
        *_shouting(found),
        *_duplicates(found),
        *_variables(text, found, variables, given),
        *_secrets(found),
        *(_tools(text, found, tools) if tools is not None else ()),
    ]
    return sorted(remarks, key=lambda one: (one.start, KINDS.index(one.kind)))


def secrets(text: str) -> list[Remark]:
    """The sentences of `text` that look like a password, key or card number, with why that matters."""
    return list(_secrets(sentences(text)))


def tokens(text: str) -> int:
    """An estimate of the tokens of `text`: a quarter of an ASCII character, half of another letter, one of an ideograph."""
    plain = sum(c < "\x80" for c in text)
    wide = sum(c >= "\u2e80" for c in text)
    return math.ceil(plain / 4 + (len(text) - plain - wide) / 2 + wide)


def _about(kind: Kind, one: Sentence, why: str, remedy: str, beside: str = "") -> Remark:
    return Remark(kind, one.start, one.end, one.text, why, remedy, beside)


# ---- length ----------------------------------------------------------------------------------------------------------


def _length(text: str, found: Sequence[Sentence]) -> Iterator[Remark]:
    estimate = tokens(text)
    if len(text) > LONGEST_CHARACTERS or estimate > LONGEST_TOKENS:
        share = min(LONGEST_CHARACTERS / len(text), LONGEST_TOKENS / estimate)
        beyond = next((one for one in found if one.end > share * len(text)), found[-1] if found else None)
        if beyond:
            yield _about(
                "length",
                beyond,
                f"The text has {len(text):,} characters, about {estimate:,} tokens; from here on it is longer than "
                f"{LONGEST_TOKENS:,} tokens. Every request pays for it, and nobody reviews it in one reading.",
                "Move facts into knowledge, limits into approval rules, and separate tasks into agents of their own.",
            )


# ---- what belongs elsewhere, and what disagrees ----------------------------------------------------------------------


def _elsewhere(found: Sequence[Sentence]) -> Iterator[Remark]:
    for one in found:
        if is_approval(one.said):
            yield _about(
                "approval",
                one,
                "A limit or permission that stands only in a text is a request: the tool runs all the same.",
                "Make it an approval rule of the tool, such as approve: {amount: {above: 50}}; here, say only that it may wait.",
            )
        elif why := guarded(one.said):
            yield _about("guardrail", one, why, "Make it a guardrail on the input, the tool results or the reply.")


def _contradictions(found: Sequence[Sentence]) -> Iterator[Remark]:
    for clash in clashes(found):
        yield _about(
            "contradiction",
            clash.sentence,
            clash.why,
            "Keep one of the two, or say when each of them holds.",
            clash.earlier.text,
        )


# ---- words that cannot be checked ------------------------------------------------------------------------------------

_OPEN = re.compile(
    r"\b(?:(?:respond|reply|answer|act|react|handle (?:it|this|them|that)|behave|proceed|respond to [^.;,]{1,40}) )?"
    r"(?P<word>appropriately|accordingly|adequately|sufficiently|reasonabl[ey]"
    r"|(?:as|if|when|whenever|where|wherever) (?:absolutely |really |strictly )?(?:needed|necessary|appropriate)(?! (?:to|for|by)\b)"
    r"|etc\b\.?|et cetera|and so (?:on|forth)|in a timely (?:manner|fashion)"
    r"|(?:use )?(?:your )?(?:best |good |own )?judge?ment|common sense|(?:do|try) your best|be (?:careful|cautious))(?!\w)",
    re.I,
)


def _vague(found: Sequence[Sentence]) -> Iterator[Remark]:
    for one in found:
        if not one.heading and (word := _OPEN.search(one.said)):
            said = one.text[word.start("word") : word.end("word")]
            yield _about(
                "vague",
                one,
                f"“{said}” leaves the decision to the model: two runs may decide differently, and no case can check it.",
                "Say when and what exactly, or take it out.",
            )


_SMALL = re.compile(
    r"\b(?:A|AN|ALL|ALWAYS|AND|ANY|ARE|AS|AT|BE|BEFORE|BUT|BY|CALL|DO|FIRST|FOR|FROM|IF|IN|IS|IT|MUST|NEVER|NO|NOT|OF|ON"
    r"|ONLY|OR|SHOULD|THAT|THE|THEM|THEY|THIS|TO|UNDER|UP|WHEN|WITH|YOU|YOUR)\b"
)
_LOUD = re.compile(r"(?:\b[A-Z][A-Z'’]*\b[\s,:]*){4,}")


def _shouting(found: Sequence[Sentence]) -> Iterator[Remark]:
    for one in found:
        loud = [run for run in _LOUD.findall(one.said) if len(_SMALL.findall(run)) >= 2]
        if not one.heading and (loud or re.search(r"!{2,}", one.said)):
            yield _about(
                "shouting",
                one,
                "Capitals and exclamation marks make one rule heavier than all others, and the next author shouts louder.",
                "Say it once in plain words; what must never happen belongs in a guardrail or an approval rule.",
            )


def _duplicates(found: Sequence[Sentence]) -> Iterator[Remark]:
    known: dict[tuple[str, ...], Sentence] = {}
    for one in found:
        words = tuple(re.findall(r"\w+", one.text.casefold()))
        if len(words) >= REPEATED_WORDS and not one.heading and known.setdefault(words, one) is not one:
            yield _about(
                "duplicate",
                one,
                "The same sentence stands further up; one of the two will be changed and the other forgotten.",
                "Keep one of them.",
            )


# ---- variables, secrets, tools ---------------------------------------------------------------------------------------


def _variables(
    text: str, found: Sequence[Sentence], declared: Collection[str], given: Collection[str] | None
) -> Iterator[Remark]:
    used: set[str] = set()
    stray: set[int] = set()
    for match in string.Template.pattern.finditer(text):
        name = match["named"] or match["braced"]
        place = at(found, match.start()) or Sentence(match.start(), match.end(), match[0], match[0])
        if match["invalid"] is not None and place.start not in stray:
            stray.add(place.start)
            yield _about(
                "variable",
                place,
                "A $ here names no variable, so the text cannot be filled in.",
                "Write $$ for a dollar sign.",
            )
        elif name and name not in used:
            used.add(name)
            if name not in declared:
                yield _about(
                    "variable",
                    place,
                    f"${name} is not declared.",
                    _near(name, declared, "Declare it, or write $$ for a dollar sign."),
                )
            elif given is not None and name not in given:
                yield _about(
                    "variable",
                    place,
                    f"No flow that uses this prompt gives ${name} a value.",
                    _near(name, given, "Add it under the flow's variables."),
                )
    for name in sorted(set(declared) - used):
        yield Remark(
            "variable",
            len(text),
            len(text),
            "",
            f"${name} is declared, but the text never uses it.",
            "Use it, or take it out.",
        )


def _near(name: str, known: Collection[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]}?" if close else otherwise


_KEY = re.compile(
    r"\b(?:sk|rk|pk)[-_](?:live|test|proj|ant)?[-_]?(?=[\w-]*\d)[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^\s/:@$<{]+:(?![$<{])[^\s/:@]{4,}@"
    r"|\b(?:password|passcode|api[ _-]?key|secret|token)\b\s*(?:is|:|=)\s*[\"'`]?"
    r"(?=[^\s\"'`]*\d)(?=[^\s\"'`]*[A-Za-z])(?![$<{])[^\s\"'`]{8,}",
    re.I,
)


_CARD = 400
"""How far into a sentence a card number is looked for."""


def _secrets(found: Sequence[Sentence]) -> Iterator[Remark]:
    for one in found:
        if _KEY.search(one.text) or card_numbers(one.text[:_CARD]):
            yield _about(
                "secret",
                one,
                "This looks like a password, key or card number. Everybody who reads the prompt or a run sees it, and so does the model.",
                "Take it out and change it where it is valid; a tool's header may hold secret:name instead.",
            )


_CALLED = re.compile(
    r"\b(?:call|calls|calling|use|uses|using|invoke|run|with|via|through)\s+(?:the\s+)?(?:tools?\s+)?`?(?P<bare>[A-Za-z]\w*+)"
    r"|\b(?P<before>[A-Za-z]\w*+)`?\s+tool\b|\btool\s+`(?P<marked>[A-Za-z]\w*+)`",
    re.I,
)
_MARKED = re.compile(
    r"\b(?:call|calls|calling|invoke|invokes)\s+(?:the\s+)?(?:tool\s+)?`(?P<marked>[A-Za-z]\w*+)`", re.I
)


def _tools(text: str, found: Sequence[Sentence], tools: Collection[str]) -> Iterator[Remark]:
    """Tools that are named as such: in backquotes after “call” or “tool”, or by a name that only a tool would have."""
    named = {match["marked"]: match.start() for match in _MARKED.finditer(text)}
    for match in _CALLED.finditer(text):
        name = match["marked"] or match["bare"] or match["before"]
        if match["marked"] or "_" in name.strip("_"):
            named.setdefault(name, match.start())
    for name, start in named.items():
        if name not in tools and (place := at(found, start)) is not None:
            yield _about(
                "tool",
                place,
                f"The agent has no tool {name}.",
                _near(name, tools, "Give the agent that tool, or name one that it has."),
            )
