"""Sentences quoted from the help articles, with the passages they come from."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.runtime.offline import matching, mentions
from workbench.runtime.offline.conversation import Call


def found(need: str, searches: Sequence[Call]) -> str:
    """What the searches of a turn have found about the need; empty when they do not answer."""
    return next((quoted for call in searches if (quoted := quotation(need, call))), "")


def rephrased(need: str) -> str:
    """The need in the words of help articles, for a second search: "ship to Iceland" as "deliver to Iceland"."""
    text = re.sub(r"(?i)\bship(?:ping|ped|s)?\b", "deliver", need)
    text = " ".join(word for word in text.split() if not _VAGUE.fullmatch(word.strip(" ?!.,")))
    place = _PLACE.search(need)
    return f"{text} country" if place and "order" in matching.concepts(need) else text


def without_ids(need: str) -> str:
    """The need without the numbers that name one thing: no article knows them."""
    for mention in mentions.quantities(need):
        if mention.identifies:
            need = need.replace(mention.text, "")
    return re.sub(r"\s+", " ", need.replace("#", "")).strip()


def quotation(need: str, call: Call) -> str:
    """The best one or two sentences of the passages with their ids; empty when they do not answer."""
    value = call.value if isinstance(call.value, dict) else {}
    passages = [passage for passage in value.get("passages") or [] if isinstance(passage, dict)]
    if not value.get("enough") or call.failure:
        return ""
    lines = [line for place, passage in enumerate(passages) for line in _lines(place, passage)]
    quotable = [line for line in lines if _may_be_quoted(line)]
    place, unnamed = _PLACE.search(need), ""
    if place and "order" in matching.concepts(need) and not any(place[1] in line.text for line in lines):
        need = need.replace(place[1], "other countries")
        quotable = [line for line in quotable if re.search(r"\bcountr", line.text)]
        unnamed = f"Our articles do not name {place[1]}. "  # whether it is one of those countries, no article says
    rarity = _rarity(need, lines)
    scores = {line: _score(need, line, rarity) for line in quotable}
    ranked = sorted(quotable, key=lambda line: (-scores[line], line.place, line.number))
    if not ranked or scores[ranked[0]] < 0.25:
        return ""
    if listed := _listed(need, [line for line in lines if line.place == ranked[0].place], rarity):
        return listed
    chosen = _beside(need, ranked, scores, quotable)
    return unnamed + " ".join(f"{line.text.rstrip('. ')} [{line.source}]." for line in chosen)


def _beside(need: str, ranked: Sequence[_Line], scores: Mapping[_Line, float], lines: Sequence[_Line]) -> list[_Line]:
    """The best sentence with the one that it leans on, or with one of its passage that adds to the answer."""
    best = ranked[0]
    before = next((line for line in lines if (line.place, line.number) == (best.place, best.number - 1)), None)
    if before and _LEANS.match(best.text):
        return [before, best]
    if (tells := _kind(need)) is _HOW_TO and not tells.search(best.text):
        article = best.source.rpartition("-")[0]
        steps = [line for line in lines if line.source.rpartition("-")[0] == article and tells.search(line.text)]
        if steps:
            first = max(steps, key=lambda line: (line.place == best.place, scores[line]))
            return sorted([best, first], key=lambda line: (line.source, line.number))
    wanted = matching.concepts(need) - matching.concepts(best.text)
    adds = [
        line
        for line in ranked[1:3]
        if scores[line] >= 0.8 * scores[best]
        and line.place == best.place
        and not _LEANS.match(line.text)
        and wanted & matching.concepts(line.text)
    ]
    return [best, *adds[:1]]


def _listed(need: str, lines: Sequence[_Line], rarity: Mapping[str, float]) -> str:
    """The list of a passage whose heading a question of what or which repeats; empty for any other."""
    items = [line for line in lines if line.item and _may_be_quoted(line)]
    asks = re.match(r"\W*(?:what|which)\b", matching.fold(need))
    if not asks or len(items) < 2 or any(_share(need, line.text, rarity) >= 0.6 for line in items):
        return ""
    if _share(need, lines[0].title, rarity) < 0.4:
        return ""
    return f"{'; '.join(line.text.rstrip('. ') for line in items[:5])} [{lines[0].source}]."


def statements(text: str) -> list[tuple[str, bool]]:
    """The sentences of an article without marks, and whether each is of a list; a row of a table says its columns."""
    said: list[tuple[str, bool]] = []
    header: list[str] = []
    for line in text.splitlines():
        if not line.strip().startswith("|"):
            header = []
            item = re.match(r"\s*[-*•]\s", line) is not None
            said += [(sentence, item) for sentence in matching.sentences(_unmarked(line))]
            continue
        cells = [_unmarked(cell.strip()) for cell in line.strip().strip("|").split("|")]
        if not header:
            header = cells
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            pairs = zip(header[1:], cells[1:], strict=False)
            columns = ", ".join(f"{name[:1].lower()}{name[1:]} {cell}" for name, cell in pairs)
            said.append((f"{cells[0]}: {columns}." if columns else cells[0], False))
    return said


@dataclass(frozen=True)
class _Line:
    place: int
    number: int
    text: str
    item: bool
    title: str
    source: str


def _lines(place: int, passage: Mapping[str, object]) -> list[_Line]:
    title, source = str(passage.get("title", "")), str(passage.get("id", ""))
    return [
        _Line(place, number, text, item, title, source)
        for number, (text, item) in enumerate(statements(str(passage.get("text", ""))))
    ]


def _may_be_quoted(line: _Line) -> bool:
    return not matching.is_instruction(line.text) and not line.text.endswith("?") and line.text != line.title


def _rarity(need: str, lines: Sequence[_Line]) -> dict[str, float]:
    """How much each word of the need tells among these lines: a word that every line has tells little."""
    known = [matching.concepts(f"{line.title} {line.text}") for line in lines]
    return {
        term.stem: math.log(1 + len(lines) / (1 + sum(term.concept in concepts for concepts in known)))
        for term in matching.terms(need)
    }


def _score(need: str, line: _Line, rarity: Mapping[str, float]) -> float:
    said, headed = _share(need, line.text, rarity), _share(need, line.title, rarity)
    kind = _kind(need)
    typed = 0.25 if kind and kind.search(line.text) else 0.0
    if not said and headed < (0.3 if typed else 0.5):
        return 0.0
    return said + 0.6 * headed + typed - 0.03 * line.place - 0.01 * line.number


def _kind(need: str) -> re.Pattern[str] | None:
    """How a sentence shows that it has the kind of thing that the question asks for."""
    return next((pattern for asks, pattern in _KINDS if asks.search(matching.fold(need))), None)


def _share(need: str, text: str, rarity: Mapping[str, float]) -> float:
    """The share of the need's words that a text has, the rare ones counting more."""
    stems, concepts = {term.stem for term in matching.terms(text)}, matching.concepts(text)
    wanted = matching.terms(need)
    total = sum(rarity[term.stem] for term in wanted)
    earned = sum(
        rarity[term.stem] * (1.0 if term.stem in stems else matching.SYNONYM if term.concept in concepts else 0.0)
        for term in wanted
    )
    return earned / total if total else 0.0


def _unmarked(text: str) -> str:
    """A line of Markdown as a person reads it."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"(\*{1,3}|_{2,3}|`+)(?=\S)(.+?)(?<=\S)\1", r"\2", text)


_MONTHS_AND_DAYS = (
    "January|February|March|April|May|June|July|August|September|October|November|December|"
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
)
_PLACE = re.compile(rf"\b(?:to|in|from) (?!(?:{_MONTHS_AND_DAYS})\b)((?:the )?[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")
_VAGUE = re.compile(r"(?i)see|find|look|works?|go|used?|view|please")
_LEANS = re.compile(r"(?:It|They|This|That|These|Those|Otherwise|Then|After that)\b")
_DURATION = re.compile(
    r"(?i)\b(?:\d+|one|two|three|a|an)\b[\w ]{0,15}\b(?:minute|hour|day|week|month|year)s?\b|\b\d+ to \d+\b"
)
_HOW_TO = re.compile(
    r"^(?:Choose|Open|Go to|Enter|Use|Write|Send|Ask|Apply|Download|Sign|Report|Call|Log|Click|Select|To \w+)\b|"
    r"\byou can(?!not)\b|^(?!.*\bwe\b).*\b(?:choose|use|open|download)\b"
)
_KINDS = (
    (re.compile(r"\b(?:how (?:long|soon|quickly|fast)|when|wie lange|wann|combien de temps|cuando)\b"), _DURATION),
    (
        re.compile(r"\bhow much|\b(?:cost|price|fee|free|pay for)s?\b"),
        re.compile(r"[$€£]\s?\d|\d\s?(?:€|percent|%)|\bfree\b"),
    ),
    (re.compile(r"\bhow (?:many|often)\b"), re.compile(r"\d")),
    (
        re.compile(r"\b(?:how|where) (?:do|can|should|could) (?:i|we)\b|\bwhat (?:do|can|should) (?:i|we) do\b"),
        _HOW_TO,
    ),
    (re.compile(r"\b(?:opening )?hours\b"), re.compile(r"\d:\d\d")),
)
"""What kind of thing a question asks for, and how a sentence shows that it has it."""
