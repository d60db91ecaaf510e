"""Evaluators: each scores one run of one case, says why, or gives no score where the case expects nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.datasets import Case
from workbench.errors import NotFound


@dataclass(frozen=True)
class Score:
    """What an evaluator found: whether it passes, and why."""

    evaluator: str
    passed: bool
    why: str

    @property
    def plain(self) -> dict[str, Any]:
        """The score as plain data."""
        return asdict(self)


Found = tuple[bool, str] | None
Evaluator = Callable[[Case, Mapping[str, Any]], Found]

_evaluators: dict[str, Evaluator] = {}


def evaluator(function: Evaluator) -> Evaluator:
    """Register a function as an evaluator under its own name.

    It gets the case and the run's record, and returns whether it passes and why, or None for no score.
    """
    _evaluators[function.__name__] = function
    return function


def evaluators() -> dict[str, str]:
    """All evaluators: name to the first line of what they check."""
    return {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in sorted(_evaluators.items())}


def score(case: Case, record: Mapping[str, Any], names: list[str] | None = None) -> list[Score]:
    """The scores of a run by the named evaluators (default: all). Raises NotFound for an unknown name."""
    chosen = names or list(_evaluators)
    if unknown := [name for name in chosen if name not in _evaluators]:
        raise NotFound(
            f"There is no evaluator {', '.join(unknown)}.", remedy=f"Known: {', '.join(sorted(_evaluators))}."
        )
    found = ((name, _evaluators[name](case, record)) for name in chosen)
    return [Score(name, one[0], one[1]) for name, one in found if one is not None]


@evaluator
def outcome(case: Case, record: Mapping[str, Any]) -> Found:
    """The run ends with the expected outcome."""
    wanted = case.expected.outcome
    if wanted is None:
        return None
    return record["outcome"] == wanted, f"{record['outcome']}, expected {wanted}"


@evaluator
def reply(case: Case, record: Mapping[str, Any]) -> Found:
    """The reply is the expected text, spaces aside."""
    wanted = case.expected.reply
    if wanted is None:
        return None
    same = " ".join(str(record["reply"]).split()) == " ".join(wanted.split())
    return same, "the same text" if same else "another text"


@evaluator
def contains(case: Case, record: Mapping[str, Any]) -> Found:
    """The reply contains every expected text, capital letters aside."""
    wanted = case.expected.contains
    texts = [text for text in ([wanted] if isinstance(wanted, str) else wanted or ()) if text.strip()]
    if not texts:
        return None
    missing = [text for text in texts if text.casefold() not in str(record["reply"]).casefold()]
    return not missing, f"missing: {', '.join(missing)}" if missing else "all there"


@evaluator
def agent(case: Case, record: Mapping[str, Any]) -> Found:
    """The expected agent gives the answer."""
    wanted = case.expected.agent
    if wanted is None:
        return None
    return record["agent"] == wanted, f"{record['agent']}, expected {wanted}"


@evaluator
def tools(case: Case, record: Mapping[str, Any]) -> Found:
    """Every expected tool is called, with the expected arguments where they are given; others may be called too."""
    wanted = case.expected.tools
    if not wanted:
        return None
    calls = [c for c in record["calls"] if c["kind"] == "tool" and not c["error"]]
    for one in wanted:
        fits = [c for c in calls if c["name"] == one.name and _covers(c["arguments"], one.arguments)]
        if not fits:
            called = ", ".join(f"{c['name']} {c['arguments']}" for c in calls) or "no tool"
            return False, f"{one.name} was not called as expected; called: {called}"
    return True, "all called"


def _covers(given: str, wanted: Mapping[str, Any] | None) -> bool:
    if not wanted:
        return True
    try:
        arguments = json.loads(given)
    except ValueError:
        return False
    return isinstance(arguments, dict) and all(arguments.get(name) == value for name, value in wanted.items())
