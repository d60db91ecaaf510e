"""When to decline: how often a flow answers, and how often it is wrong then, for every threshold of its knowledge.

The curve is the risk–coverage curve of selective prediction (El-Yaniv and Wiener, 2010): coverage is the share of cases
that are answered, risk the share of the answered ones that were wrongly answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import col, select

from workbench import datasets, traces
from workbench.access import Actor, require
from workbench.errors import Invalid
from workbench.runtime.release import Release
from workbench.runtime.retrieval import Passage
from workbench.runtime.tools import CONTROL
from workbench.store import session
from workbench.store.tables import CaseRow, ExperimentRow
from workbench.store.tables import Experiment as ExperimentTable

SEARCH = "search_knowledge"


@dataclass(frozen=True)
class Scored:
    """A case with the score of the best passage for its question, and whether it ought to be answered."""

    case_id: str
    score: float
    answerable: bool


@dataclass(frozen=True)
class Left:
    """A case that says nothing about knowledge, and why."""

    case_id: str
    why: str


@dataclass(frozen=True)
class Point:
    """What a threshold comes to. `risk` is None where nothing is answered; `missed` is the share wrongly declined."""

    threshold: float
    coverage: float
    risk: float | None
    missed: float


@dataclass(frozen=True)
class Curve:
    """A point for each threshold that changes something, the present one, and the best by risk plus missed answers.

    `left` are the cases that it leaves out.
    """

    points: tuple[Point, ...]
    present: Point
    best: Point
    cases: tuple[Scored, ...]
    left: tuple[Left, ...] = ()


def curve(actor: Actor, release: Release, dataset: str) -> Curve:
    """The risk–coverage curve of a flow's knowledge over the cases of a dataset.

    A case ought to be declined where it expects the outcome `abstained` or `escalated`, and to be answered where it
    expects `answered` or words of the reply. Left out is what a tool answers: the case expects one or mocks one, its
    last passing run or the run it was made of called one, or nothing in the knowledge is about it and no passage holds
    the expected words. Raises Refused, NotFound, and Invalid where the flow has no knowledge or the dataset does not
    hold both kinds.
    """
    require(actor, "run an experiment")
    if release.index is None or release.spec.knowledge is None:
        raise Invalid(
            f"{release.name} has no knowledge, so there is no threshold.", remedy="Choose a collection first."
        )
    index, scored, left = release.index, list[Scored](), list[Left]()
    runs = _runs(release.name, dataset)
    for case in datasets.cases(dataset):
        hits = index.search(case.question, 1)
        wanted, run_id = answerable(case), runs.get(case.id, "")
        if wanted and run_id:
            why = _from_a_tool(case, release, traces.record(run_id))
        elif wanted and not hits and release.spec.tools:
            why = "" if _holds(case, index.passages) else "nothing in the knowledge is about it"
        else:
            why = unsaid(case) if wanted is None else ""
        if why:
            left.append(Left(case.id, why))
        else:
            scored.append(Scored(case.id, hits[0].score if hits else 0.0, bool(wanted)))
    if len({one.answerable for one in scored}) < 2:
        raise Invalid(
            f"{dataset} needs cases that ought to be answered and cases that ought to be declined.",
            remedy="Label some runs as `abstained`, or add cases that expect it.",
        )
    return replace(trace(scored, release.spec.knowledge.abstain_below), left=tuple(left))


def answerable(case: datasets.Case) -> bool | None:
    """Whether a case ought to be answered from knowledge; None where it does not say so, as `unsaid` tells."""
    if case.expected.outcome in ("abstained", "escalated"):
        return False
    return None if unsaid(case) else True


def unsaid(case: datasets.Case) -> str:
    """Why a case does not say whether knowledge ought to answer it; empty where it does."""
    expected = case.expected
    if expected.outcome not in (None, "answered", "abstained", "escalated"):
        return f"it expects the outcome {expected.outcome}"
    if any(one.name != SEARCH for one in expected.tools or ()):
        return "it expects a tool"
    if any(one.tool != SEARCH for one in case.mocks):
        return "it mocks a tool"
    if not (expected.outcome or expected.contains or expected.reply or expected.tools):
        return "it expects nothing of the answer"
    return ""


def _runs(flow: str, dataset: str) -> dict[str, str]:
    """The last passing run of each case with this flow, else the run that a case which must stay was made of."""
    made = select(CaseRow.id, CaseRow.run_id, CaseRow.body).where(CaseRow.dataset == dataset, CaseRow.run_id != "")
    passed = (
        select(ExperimentRow.case_id, ExperimentRow.run_id)
        .join(ExperimentTable, col(ExperimentTable.id) == ExperimentRow.experiment)
        .where(ExperimentTable.flow == flow, ExperimentTable.dataset == dataset, col(ExperimentRow.passed).is_(True))
        .order_by(col(ExperimentTable.created_at))
    )
    with session() as open_session:
        from_runs = {case: run for case, run, body in open_session.exec(made) if body.get("polarity") == "must-stay"}
        return {**from_runs, **dict(open_session.exec(passed).all())}


def _from_a_tool(case: datasets.Case, release: Release, record: Mapping[str, Any]) -> str:
    """Why a run shows that a tool answers the case; empty where knowledge does, or may."""
    calls = [call for call in record["calls"] if call["kind"] == "tool" and not call["error"]]
    if not (answered := [call for call in calls if call["name"] not in CONTROL]):
        return ""
    searched = any(call["name"] == SEARCH for call in calls)
    if searched and (release.index is None or _holds(case, release.index.passages)):
        return ""
    return f"its last run answers from the tool {answered[-1]['name']}"


def _holds(case: datasets.Case, passages: Sequence[Passage]) -> bool:
    """Whether some passage holds one of the words that the case expects; also where it expects none."""
    given = case.expected.contains or case.expected.reply or ()
    words = [one.casefold() for one in ([given] if isinstance(given, str) else given) if one.strip()]
    texts = [f"[{one.id}] {one.title} {one.text}".casefold() for one in passages]
    return not words or any(word in text for word in words for text in texts)


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
