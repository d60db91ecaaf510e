"""What arguments may be taken from: the user's words, and the values that tools and earlier calls named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workbench.runtime.offline import matching
from workbench.runtime.offline.conversation import Call
from workbench.runtime.offline.offers import CONTROL, sort_name


@dataclass(frozen=True)
class Known:
    """A value that a tool or an earlier call named."""

    concepts: frozenset[str]
    value: Any


@dataclass(frozen=True)
class Evidence:
    """What arguments may be taken from."""

    need: str
    texts: tuple[str, ...]
    known: tuple[Known, ...]
    asked: str = ""
    today: str = ""
    reply: str = ""


def known_from(calls: Sequence[Call]) -> tuple[Known, ...]:
    """The values that the calls of a conversation named, the newest first."""
    known: list[Known] = []
    for call in reversed(calls):
        if call.name in CONTROL or call.failure:
            continue
        nouns = frozenset(matching.concepts(" ".join(sort_name(call.name)[2])))
        for path, value in leaves(call.value):
            words = label_concepts(" ".join(path))
            known.append(Known(words | nouns if words <= matching.ID_WORDS | {"name"} else words, value))
        known += [Known(label_concepts(name), value) for name, value in leaves_of_arguments(call.arguments)]
    return tuple(known)


def leaves(value: Any, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar of nested data with its path; of a list only the first few entries."""
    if depth > 6:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)), depth + 1)
    elif isinstance(value, list):
        for inner in value[:5]:
            yield from leaves(inner, path, depth + 1)
    elif value is not None and path:
        yield path, value


def leaves_of_arguments(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The scalar arguments of a call."""
    return [(name, value) for name, value in arguments.items() if isinstance(value, (str, int, float)) and value != ""]


@lru_cache(maxsize=4096)
def label_concepts(label: str) -> frozenset[str]:
    return frozenset(matching.concept(word) for word in matching.words(label))
