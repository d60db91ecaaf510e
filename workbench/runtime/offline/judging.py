"""A yes-or-no question about a text, answered offline: by the words that question and text have in common."""

from __future__ import annotations

from workbench.runtime.offline import matching

ENOUGH = 0.34
"""The share of the question's content words that the text must hold for a yes."""

ASKING = matching.word_set("customer agent text message reply say ask mention contain talk")


def answer(question: str, text: str) -> str:
    """The words that speak for a yes, or an empty text for a no. It compares words, and understands nothing."""
    wanted = {term.stem for term in matching.terms(question)} - {matching.stem(word) for word in ASKING}
    there = {term.stem for term in matching.terms(text)}
    shared = sorted(wanted & there)
    return ", ".join(shared) if wanted and len(shared) / len(wanted) >= ENOUGH else ""
