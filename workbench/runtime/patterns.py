"""How long a pattern of a JSON schema may take: those of which that cannot be told beforehand are refused.

Python's engine tries one way after another, so a pattern such as `(a+)+$` takes for ever on a short text. A pattern is
judged by its parse tree, from its end to its beginning: where the next character decides every choice, nothing is tried
twice. Any other choice multiplies the steps, or, where it repeats without an end, raises the power of the text's length.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

LONGEST = 1_000
"""Characters of a text that a pattern may read whose time grows with the square of the length."""

MOST = 50_000_000
"""Squares of the lengths of all texts of a value, times the patterns that may read them in the square of the length."""

_WIDE = 256
"""A repeat that may go over more characters than this counts as one without an end."""

_STEPS = {1: 400, 2: 40}
"""With each power, so many steps a character are taken at most."""

_MANY = 1_000_000
_SHOWN = 80
_parser: Any = importlib.import_module("re._parser")


@dataclass(frozen=True)
class _Rest:
    """What is still to be matched: the characters that it may begin with, and how long it may take.

    The time is at most `steps` times the `power` of the text's length. `forks`: a choice in it is not decided by the
    next character. `sure`: it matches whatever comes, so that nothing before it is tried again.
    """

    first: int = 0
    power: int = 0
    steps: int = 1
    forks: bool = False
    sure: bool = False


class _Unknown(ValueError):
    """A part of a pattern about which nothing can be told, in words."""


@functools.lru_cache(2000)
def power(pattern: str) -> int:
    """With which power of a text's length the time of a search grows: 1, or 2. Raises ValueError saying why none is known."""
    try:
        tree = _parser.parse(pattern)
        if tree.state.flags & ~re.UNICODE:
            raise _Unknown("it holds flags")
        rest = _sequence(list(tree), _Rest(sure=True))
    except (re.error, OverflowError) as error:
        raise _Unknown(f"it cannot be read: {error}") from None
    except RecursionError:
        raise _Unknown("it is nested too deeply") from None
    found = max(1, rest.power + (0 if rest.power == 0 or _anchored(list(tree)) else 1))
    if rest.steps > _STEPS.get(found, 0):
        raise _Unknown("its parts can share a text in too many ways")
    return found


def fault(schema: Any) -> str:
    """The first pattern in `schema` that is not matched, and why, in words; empty where every one is."""
    for pattern in _patterns(schema):
        try:
            power(pattern)
        except ValueError as error:
            shown = pattern if len(pattern) <= _SHOWN else pattern[: _SHOWN - 1] + "…"
            return (
                f"the pattern `{shown}` could take very long: {error}; "
                "begin it with ^, and let each repeated part end at a character that it cannot hold"
            )
    return ""


def too_long(pattern: str, text: str) -> bool:
    """Whether `text` is longer than `pattern` may read. Raises ValueError where the pattern is refused anyway."""
    return power(pattern) > 1 and len(text) > LONGEST


def search(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`; not where that could take long."""
    try:
        return not too_long(pattern, text) and re.search(pattern, text) is not None
    except ValueError:
        return False


def names_too_long(schema: Any, value: Any) -> bool:
    """Whether `value` holds a name that is longer than the patterns of `schema` for names may read."""
    return _names_patterns(schema) and any(len(one) > LONGEST for one in _names(value))


def too_much(schema: Any, value: Any) -> bool:
    """Whether `value` holds so many texts that the slower patterns of `schema`, of which none is a fault, take too long."""
    slow = sum(power(one) > 1 for one in _patterns(schema))
    return slow > 0 and slow * sum(min(len(one), LONGEST) ** 2 for one in _texts(value)) > MOST


def _patterns(node: Any) -> Iterator[str]:
    """Every text that a validator could take for a pattern, wherever it stands: a reference may lead there."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            elif key == "patternProperties" and isinstance(value, Mapping):
                yield from (one for one in value if isinstance(one, str))
            yield from _patterns(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _patterns(value)


def _names_patterns(node: Any) -> bool:
    if isinstance(node, Mapping):
        return "patternProperties" in node or any(map(_names_patterns, node.values()))
    return isinstance(node, list | tuple) and any(map(_names_patterns, node))


def _names(value: Any) -> Iterator[str]:
    return (name for node in _nodes(value) if isinstance(node, Mapping) for name in node)


def _texts(value: Any) -> Iterator[str]:
    yield from _names(value)
    yield from (node for node in _nodes(value) if isinstance(node, str))


def _nodes(value: Any) -> Iterator[Any]:
    """A JSON value and all that it holds, however deeply it is nested."""
    ahead = [value]
    while ahead:
        node = ahead.pop()
        yield node
        if isinstance(node, Mapping):
            ahead += node.values()
        elif isinstance(node, list | tuple):
            ahead += node


def _anchored(nodes: list[Any]) -> bool:
    """Whether a match can only begin where the text does."""
    for kind, given in nodes:
        match str(kind):
            case "AT":
                if str(given) in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
                    return True
            case "SUBPATTERN":
                return _anchored(list(given[3]))
            case "BRANCH":
                return all(_anchored(list(one)) for one in given[1])
            case _:
                return False
    return False


def _sequence(nodes: list[Any], rest: _Rest) -> _Rest:
    for kind, given in reversed(nodes):
        rest = _node(str(kind), given, rest)
    return rest


def _node(kind: str, given: Any, rest: _Rest) -> _Rest:
    match kind:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN" | "RANGE" | "CATEGORY":
            return replace(rest, first=_set(kind, given), steps=rest.steps + 1, sure=False)
        case "AT":
            return replace(rest, first=rest.first | _bit(10), sure=False)
        case "SUBPATTERN":
            if given[1] or given[2]:
                raise _Unknown("it holds flags")
            return _sequence(list(given[3]), rest)
        case "BRANCH":
            return _choice([_sequence(list(one), rest) for one in given[1]])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _repeat(given[0], given[1], given[2], rest)
    raise _Unknown("it looks ahead, back or at what it matched before")


def _choice(ways: list[_Rest]) -> _Rest:
    """One of several ways to go on: where their first characters differ, only one is gone; else all may be tried."""
    seen = shared = 0
    for one in ways:
        shared |= seen & one.first
        seen |= one.first
    decided = not shared
    return _Rest(
        first=seen,
        power=max(one.power for one in ways),
        steps=(max if decided else sum)(one.steps for one in ways) + 1,
        forks=not decided or any(one.forks for one in ways),
        sure=any(one.sure for one in ways),
    )


def _repeat(least: int, most: int, tree: Any, rest: _Rest) -> _Rest:
    body, (shortest, longest) = list(tree), tree.getwidth()
    if most == 0:
        return rest
    if most == 1:
        return _sequence(body, rest) if least else _choice([_sequence(body, rest), rest])
    if shortest == 0:
        raise _Unknown("it repeats what may be empty")
    begins = _sequence(body, _Rest()).first
    one = _sequence(body, _Rest(first=begins | rest.first))
    clash = bool(begins & rest.first) and not rest.sure and least < most
    made = replace(
        rest,
        first=begins if least else begins | rest.first,
        forks=rest.forks or clash or one.forks,
        sure=rest.sure and not least,
    )
    if most * longest <= _WIDE:
        ways = one.steps**most if one.forks else 1
        steps = rest.steps * (most - least + 1 if clash else 1) * ways + most * one.steps
        return replace(made, steps=min(steps, _MANY))
    if one.forks:
        raise _Unknown("what it repeats can be read in several ways")
    if rest.sure and longest == 1 and least <= _WIDE:
        return replace(made, steps=min(rest.steps + least, _MANY))
    return replace(
        made, power=rest.power + 1 if clash else max(1, rest.power), steps=min(rest.steps + one.steps, _MANY)
    )


_HIGH = {"DIGIT": 1 << 128, "WORD": 1 << 129, "SPACE": 1 << 130, "OTHER": 1 << 131}
"""Beside a bit for each ASCII character, one for each sort of all others: digits, what else is in words, spaces, the rest."""
_ALL = (1 << 132) - 1


def _bit(code: int) -> int:
    """A character's bit; of one beyond ASCII, the bits of every sort, because it may be any."""
    return 1 << code if code < 128 else sum(_HIGH.values())


def _set(kind: str, given: Any) -> int:
    """The characters that a node may match, or more."""
    match kind:
        case "LITERAL":
            return _bit(given)
        case "NOT_LITERAL":
            return _ALL & ~(_bit(given) if given < 128 else 0)
        case "RANGE":
            low, high = given
            ascii_ = sum(1 << code for code in range(low, min(high, 127) + 1))
            return ascii_ | (_bit(high) if high > 127 else 0)
        case "CATEGORY":
            return _category(str(given))
        case "IN":
            return _class(given)
    return _ALL


def _class(items: Any) -> int:
    negated = str(items[0][0]) == "NEGATE"
    held = 0
    for kind, given in items[1:] if negated else items:
        one = _set(str(kind), given)
        # What is taken away from all characters must surely be held: of those beyond ASCII, only whole sorts are.
        held |= one & ((1 << 128) - 1) if negated and str(kind) != "CATEGORY" else one
    return _ALL & ~held if negated else held


def _category(name: str) -> int:
    sort = name.removeprefix("CATEGORY_").removeprefix("NOT_")
    letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[sort]
    found = sum(1 << code for code in range(128) if re.match(letter, chr(code)))
    found |= _HIGH["DIGIT"] | _HIGH["WORD"] if sort == "WORD" else _HIGH[sort]
    return _ALL & ~found if "NOT_" in name else found
