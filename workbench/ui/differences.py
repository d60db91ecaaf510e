"""Two texts compared on screen: signs and struck or bold words say what changed, colour only repeats it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import streamlit as st

from workbench.prompts import Line
from workbench.ui import show

Manner = Literal["In one column", "Side by side"]
MANNERS: tuple[Manner, ...] = ("In one column", "Side by side")
NEAR = 3
"""So many unchanged lines are shown before and after a change; fewer than that are never left out."""

_SIGN = {"same": "", "removed": "−", "added": "\\+"}
_PAINT = {"removed": ("red", "~~"), "added": ("green", "**")}


def compare(lines: Sequence[Line], before: str, after: str, manner: Manner = "In one column") -> None:
    """The lines of a comparison as a table; `before` and `after` are what the two texts are called."""
    if all(line.kind == "same" for line in lines):
        st.caption("The two texts are the same.")
        return
    rows = _column(lines, before, after) if manner == "In one column" else _sides(lines, before, after)
    st.markdown("\n".join(f"| {' | '.join(cells)} |" for cells in rows))


def _column(lines: Sequence[Line], before: str, after: str) -> Iterator[tuple[str, ...]]:
    yield ("", "", "", f"{show.plain(before)} → {show.plain(after)}")
    yield ("--:", "--:", ":-:", ":--")
    for line in _near(lines):
        if isinstance(line, int):
            yield ("", "", "⋯", f":gray[{line} unchanged lines]")
        else:
            yield (_number(line.before), _number(line.after), _SIGN[line.kind], _words(line))


def _sides(lines: Sequence[Line], before: str, after: str) -> Iterator[tuple[str, ...]]:
    yield ("", show.plain(before), "", show.plain(after))
    yield ("--:", ":--", "--:", ":--")
    waiting: list[Line] = []
    for line in _near(lines):
        if isinstance(line, Line) and line.kind == "added" and waiting:
            yield (*_side(waiting.pop(0)), *_side(line))
            continue
        if not isinstance(line, Line) or line.kind != "removed" or line.paired:
            yield from ((*_side(one), "", "") for one in waiting)
            waiting = []
        if isinstance(line, int):
            yield ("⋯", f":gray[{line} unchanged lines]", "⋯", "")
        elif line.kind == "same":
            yield (_number(line.before), _words(line), _number(line.after), _words(line))
        elif line.kind == "removed":
            waiting.append(line)
        else:
            yield ("", "", *_side(line))
    yield from ((*_side(one), "", "") for one in waiting)


def _side(line: Line) -> tuple[str, str]:
    number = line.before if line.kind == "removed" else line.after
    return f"{_number(number)}{_SIGN[line.kind]}", _words(line)


def _near(lines: Sequence[Line]) -> Iterator[Line | int]:
    """The lines near a change, and the number of the unchanged ones between."""
    changed = [place for place, line in enumerate(lines) if line.kind != "same"]
    shown = {n for place in changed for n in range(place - NEAR, place + NEAR + 1)}
    for near, stretch in itertools.groupby(enumerate(lines), lambda one: one[0] in shown):
        found = [line for _, line in stretch]
        if near or len(found) < NEAR:
            yield from found
        else:
            yield len(found)


def _number(number: int | None) -> str:
    return f":gray[{number}]" if number else ""


def _words(line: Line) -> str:
    """A line's text, the changed words marked; a line without its like is marked as a whole."""
    if line.kind == "same":
        return show.plain(line.text)
    colour, mark = _PAINT[line.kind]
    if not line.paired:
        return f":{colour}-background[{show.plain(line.text)}]" if line.text.strip() else _blank(line.text)
    parts, done = [], 0
    for start, end in line.changed:
        parts += [show.plain(line.text[done:start]), _marked(line.text[start:end], colour, mark)]
        done = end
    return "".join([*parts, show.plain(line.text[done:])])


def _marked(text: str, colour: str, mark: str) -> str:
    inner = text.strip()
    if not inner:
        return f":{colour}-background[{_blank(text)}]"
    lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{lead}:{colour}-background[{mark}{show.plain(inner)}{mark}]{trail}"


def _blank(text: str) -> str:
    """Blanks that can be seen."""
    return "·" * len(text) or "¶"
