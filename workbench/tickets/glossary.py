"""A small dictionary of what support is about, to see that topics in different languages are the same."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import yaml

if TYPE_CHECKING:
    from workbench.tickets.finding import Floats

SAME = 0.6
"""Topics in two languages are one from this likeness (cosine) of what they are about."""
KNOWN = 0.1
"""A topic says enough in words of the dictionary where they make up this part of it (length of its direction)."""


def profiles(words: Sequence[str], centroids: Floats) -> Floats:
    """How much each topic is about each meaning; nothing where hardly any of its words are known."""
    kept = meanings()
    made = np.zeros((len(centroids), len(kept)), dtype=np.float32)
    for at, word in enumerate(words):
        if " " not in word and (found := _meaning(word)) is not None:
            made[:, found] += centroids[:, at]
    length = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(np.where(length >= KNOWN, made / np.maximum(length, 1e-9), 0.0), dtype=np.float32)


def pairs(about: Floats, languages: Sequence[str]) -> list[tuple[int, int]]:
    """Which topic is the same as which in the language of the first: each with the one it is most like."""
    if not languages:
        return []
    main = max(sorted(set(languages)), key=lambda one: list(languages).count(one))
    mine = [at for at, one in enumerate(languages) if one == main]
    likeness: npt.NDArray[np.float32] = about @ about[mine].T
    made = []
    for at, one in enumerate(languages):
        best = int(likeness[at].argmax())
        if one != main and likeness[at, best] >= SAME:
            made.append((at, mine[best]))
    return made


@functools.lru_cache(maxsize=1)
def meanings() -> dict[str, tuple[str, ...]]:
    """What is known: beginnings of words by meaning."""
    told = yaml.safe_load((Path(__file__).parent / "glossary.yaml").read_text(encoding="utf-8"))
    return {meaning: tuple(text.split()) for meaning, text in told.items()}


@functools.lru_cache(maxsize=50_000)
def _meaning(word: str) -> int | None:
    fits = [
        (len(start), at) for at, starts in enumerate(meanings().values()) for start in starts if word.startswith(start)
    ]
    return max(fits)[1] if fits else None
