"""What changed between two texts: whole lines, and the words changed inside a line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.prompts.library import version

Span = tuple[int, int]
WORD = re.compile(r"\s+|\w+|[^\w\s]")
LIKE = 0.4
"""From which similarity on (0 to 1) a removed and an added line are shown as one line that changed."""
PAIRS = 10_000
"""At most so many pairs of lines are compared in one stretch; a longer stretch is shown as removed and added."""


@dataclass(frozen=True)
class Line:
    """One line of a comparison, with its number in each text and the parts that changed inside it.

    Where `paired`, a removed line and the added one that follows it are the same line, before and after.
    """

    kind: Literal["same", "removed", "added"]
    text: str
    before: int | None = None
    after: int | None = None
    changed: tuple[Span, ...] = ()
    paired: bool = False


def diff(name: str, one: int, other: int) -> list[Line]:
    """From version `one` of a prompt to version `other`, line by line. Raises NotFound."""
    return lines(version(name, one).text, version(name, other).text)


def lines(before: str, after: str) -> list[Line]:
    """From one text to another, line by line: without the added lines it is `before`, without the removed ones `after`."""
    old, new = before.split("\n"), after.split("\n")
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    found = _same(old, 0, 0, head)
    for kind, a, b, c, d in middle.get_opcodes():
        if kind == "equal":
            found += _same(old, head + a, head + c, b - a)
        else:
            found += _stretch(old[head + a : head + b], new[head + c : head + d], head + a, head + c)
    return [*found, *_same(old, len(old) - tail, len(new) - tail, tail)]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """With how many equal lines two texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _same(old: Sequence[str], a: int, c: int, count: int) -> list[Line]:
    return [Line("same", old[a + i], a + i + 1, c + i + 1) for i in range(count)]


def _stretch(old: Sequence[str], new: Sequence[str], a: int, c: int) -> Iterator[Line]:
    """A stretch that was replaced: lines that are alike stand together, the others by themselves."""
    done_old = done_new = 0
    for i, j in [*_alike(old, new), (len(old), len(new))]:
        yield from (Line("removed", old[k], before=a + k + 1) for k in range(done_old, i))
        yield from (Line("added", new[k], after=c + k + 1) for k in range(done_new, j))
        if i < len(old):
            gone, come = _words(old[i], new[j])
            yield Line("removed", old[i], before=a + i + 1, changed=gone, paired=True)
            yield Line("added", new[j], after=c + j + 1, changed=come, paired=True)
        done_old, done_new = i + 1, j + 1


def _alike(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of lines, in order, that together are most alike (a longest common subsequence by likeness)."""
    if not old or not new or len(old) * len(new) > PAIRS:
        return []
    bags = [[_bag(line) for line in side] for side in (old, new)]
    like = [[_likeness(one, other) for other in bags[1]] for one in bags[0]]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + like[i][j])
    pairs, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        if like[i][j] and best[i][j] == best[i + 1][j + 1] + like[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _bag(line: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", line.casefold()))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The Dice coefficient of two lines' words, 0 where they are too different to be the same line."""
    share = 2 * len(one & other) / (len(one) + len(other)) if one or other else 0.0
    return share if share >= LIKE else 0.0


def _words(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    one, other = ([found.span() for found in WORD.finditer(text)] for text in (old, new))
    matcher = difflib.SequenceMatcher(None, [old[a:b] for a, b in one], [new[a:b] for a, b in other])
    gone: list[Span] = []
    come: list[Span] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            gone += [(one[a][0], one[b - 1][1])] if b > a else []
            come += [(other[c][0], other[d - 1][1])] if d > c else []
    return _joined(old, gone), _joined(new, come)


def _joined(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans, those with only blanks between them as one."""
    found: list[Span] = []
    for start, end in spans:
        if found and not text[found[-1][1] : start].strip():
            start = found.pop()[0]
        found.append((start, end))
    return tuple(found)
