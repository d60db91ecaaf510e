"""When to decline: how often a flow answers, and how often it is wrong then, for every threshold of its knowledge.

The curve is the risk–coverage curve of selective prediction (El-Yaniv and Wiener, 2010): coverage is the share of cases
that are answered, risk the share of the answered ones that were wrongly answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import datasets
from workbench.access import Actor, require
from workbench.errors import Invalid
from workbench.runtime.release import Release


@dataclass(frozen=True)
class Scored:
    """A case with the score of the best passage for its question, and whether it ought to be answered."""

    case_id: str
    score: float
    answerable: bool


@dataclass(frozen=True)
class Point:
    """What a threshold comes to. `risk` is None where nothing is answered; `missed` is the share wrongly declined."""

    threshold: float
    coverage: float
    risk: float | None
    missed: float


@dataclass(frozen=True)
class Curve:
    """A point for each threshold that changes something, the present one, and the best by risk plus missed answers."""

    points: tuple[Point, ...]
    present: Point
    best: Point
    cases: tuple[Scored, ...]


def curve(actor: Actor, release: Release, dataset: str) -> Curve:
    """The risk–coverage curve of a flow's knowledge over the cases of a dataset.

    A case ought to be declined where it expects the outcome `abstained` or `escalated`, and to be answered where it
    expects `answered` or words of the reply. Raises Refused, NotFound, and Invalid where the flow has no knowledge or
    the dataset does not hold both kinds.
    """
    require(actor, "run an experiment")
    if release.index is None or release.spec.knowledge is None:
        raise Invalid(
            f"{release.name} has no knowledge, so there is no threshold.", remedy="Choose a collection first."
        )
    index = release.index
    scored = []
    for case in datasets.cases(dataset):
        wanted = answerable(case)
        if wanted is not None:
            hits = index.search(case.question, 1)
            scored.append(Scored(case.id, hits[0].score if hits else 0.0, wanted))
    if len({one.answerable for one in scored}) < 2:
        raise Invalid(
            f"{dataset} needs cases that ought to be answered and cases that ought to be declined.",
            remedy="Label some runs as `abstained`, or add cases that expect it.",
        )
    return trace(scored, release.spec.knowledge.abstain_below)


def answerable(case: datasets.Case) -> bool | None:
    """Whether a case ought to be answered from knowledge; None where it does not say, or expects tools or a person."""
    expected = case.expected
    if expected.outcome in ("abstained", "escalated"):
        return False
    if expected.tools or expected.outcome not in (None, "answered"):
        return None
    return True if expected.outcome or expected.contains or expected.reply else None


def trace(cases: Sequence[Scored], present: float) -> Curve:
    """The curve over scored cases, with the present threshold. Raises Invalid where there is no case."""
    if not cases:
        raise Invalid("There are no cases to draw a curve from.")
    steps = sorted({0.0, *(one.score for one in cases), max(one.score for one in cases) + 0.01})
    points = tuple(point(cases, step) for step in steps)
    best = min(points, key=lambda one: ((one.risk or 0.0) * one.coverage + one.missed, one.threshold))
    return Curve(points, point(cases, present), best, tuple(cases))


def point(cases: Sequence[Scored], threshold: float) -> Point:
    """What `threshold` comes to: a case is answered where its score reaches it."""
    answered = [one for one in cases if one.score >= threshold]
    wrong = sum(not one.answerable for one in answered)
    missed = sum(one.answerable and one.score < threshold for one in cases)
    risk = wrong / len(answered) if answered else None
    return Point(round(threshold, 3), len(answered) / len(cases), risk, missed / len(cases))
