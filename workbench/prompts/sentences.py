"""The sentences of an instruction text, each with its place, and the condition that its heading or lead-in sets."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONDITION = re.compile(
    r"\b(?:if|when|whenever|unless|until|after|before|while|once|except|without|in case|as soon as|as long as)\b", re.I
)
_MARK = re.compile(r"[ \t]*(?:>[ \t]*)*(?:(?:[-*+•–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+)?")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]")
_LISTED = re.compile(r"[ \t]*(?:[-*+•–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]")
_QUOTED = re.compile(
    r"\"[^\"\n]{0,400}\"|“[^”\n]{0,400}”|„[^“”\n]{0,400}[“”]|«[^»\n]{0,400}»|`[^`\n]{0,400}`|(?<![\w'])'[^'\n]{0,400}'(?!\w)"
)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.M | re.S)
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s)")
_SHORT = re.compile(r"(?:^|[\s(])(?:e\.g|i\.e|mr|mrs|ms|dr|st|no|nr|vs|approx|incl|max|min|[A-Za-z])\.$", re.I)


@dataclass(frozen=True)
class Sentence:
    """One sentence. `said` is its text with quotations and code blanked out, of the same length.

    `scope` is the condition under which it stands: that of its heading, or of the line that leads its list in.
    """

    start: int
    end: int
    text: str
    said: str
    heading: bool = False
    scope: str = ""


def sentences(text: str) -> list[Sentence]:
    """The sentences of `text` in order. A line of a list, a heading and a line that begins anew are sentences too."""
    blank = _blanked(text)
    found: list[Sentence] = []
    section = lead = ""
    for start, end in _blocks(text):
        heading = bool(_HEADING.match(text, start))
        if heading:
            section = lead = ""
        elif not _LISTED.match(text, start):
            lead = ""
        for a, b in _split(text, blank, start, end):
            found.append(Sentence(a, b, text[a:b], blank[a:b], heading, lead or section))
        condition = text[start:end].strip(" #*_\t\n")
        if CONDITION.search(condition) or re.match(r"(?:for|in|on)\b", condition, re.I):
            if heading:
                section = condition
            elif condition.endswith(":"):
                lead = condition
    return found


def at(found: Sequence[Sentence], place: int) -> Sentence | None:
    """The sentence that stands at `place`, or None."""
    before = bisect.bisect_right(found, place, key=lambda one: one.start)
    return found[before - 1] if before and place < found[before - 1].end else None


def _blanked(text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return _QUOTED.sub(blank, _FENCE.sub(blank, text))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Lines that belong together: a line that goes on in small letters belongs to the one before it."""
    fences = [found.span() for found in _FENCE.finditer(text)]
    start = end = -1
    for found in re.finditer(r"[^\n]+", text):
        if not found[0].strip() or any(a <= found.start() < b for a, b in fences):
            continue
        near = end >= 0 and "\n\n" not in text[end : found.start()] and text[end : found.start()].count("\n") == 1
        goes_on = near and re.match(r"[ \t]*[a-zäöüéèàçñ(]", found[0]) and not _LISTED.match(found[0])
        if goes_on and not _HEADING.match(text, start) and text[start:end].rstrip()[-1:] not in ".!?:;":
            end = found.end()
            continue
        if start >= 0:
            yield start, end
        start, end = found.span()
    if start >= 0:
        yield start, end


def _split(text: str, blank: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    mark = _HEADING.match(text, start) or _MARK.match(text, start, end)
    begin = start = mark.end() if mark else start
    for found in _END.finditer(text, start, end):
        quoted = blank[found.start()] != text[found.start()] and text[found.end() - 1] not in "\"'”’`"
        small = text[found.end() : end].lstrip()[:1].islower()
        if not quoted and not small and not _SHORT.search(text[max(begin, found.start() - 8) : found.start() + 1]):
            yield from _trimmed(text, begin, found.end())
            begin = found.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    body = text[start:end]
    start, end = start + len(body) - len(body.lstrip()), start + len(body.rstrip())
    if any(c.isalnum() for c in text[start:end]):
        yield start, end
