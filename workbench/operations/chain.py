"""The chain from a ticket to a release and back: each link that leads from one thing to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from workbench import datasets, evals, releases, traces
from workbench.datasets import Case, labelling
from workbench.datasets.labelling import Item, Label
from workbench.errors import NotFound
from workbench.operations import links
from workbench.operations.links import Ticket
from workbench.tickets import signals
from workbench.tickets.signals import Incident

_FIX = re.compile(r"release (?P<flow>[a-z0-9][a-z0-9-]*) v(?P<number>[1-9][0-9]*)")
NEWEST = 30
"""So many of a flow's newest releases are searched for a case."""


@dataclass(frozen=True)
class Come:
    """What came of a run: the queues where it waits for a verdict, the verdicts, and its cases as (dataset, id)."""

    waiting: tuple[Item, ...]
    labels: tuple[Label, ...]
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Origin:
    """A case and where it comes from: the run, its verdicts, and the ticket that the run answered."""

    dataset: str
    case: Case
    run: traces.Run | None
    labels: tuple[Label, ...]
    ticket: Ticket | None


@dataclass(frozen=True)
class Rests:
    """What a release rests on: the experiment of its gate, how many cases that had, and those that came from runs.

    `mended` are the incidents that people say were mended with it.
    """

    experiment: evals.Experiment | None
    cases: int
    origins: tuple[Origin, ...]
    mended: tuple[Incident, ...]


def come(run_id: str) -> Come:
    """What came of a run."""
    waiting = labelling.waiting(run_id)
    return Come(tuple(waiting), tuple(labelling.labels(run_id=run_id)), tuple(datasets.from_run(run_id)))


def origin(dataset: str, case_id: str) -> Origin:
    """A case and where it comes from. Raises NotFound where there is no such case."""
    case, run_id = datasets.case(dataset, case_id)
    return _origin(dataset, case, run_id)


def rests(flow: str, number: int) -> Rests:
    """What release `number` of a flow rests on. Raises NotFound where there is none."""
    made = releases.resolve(f"{flow}@v{number}").made
    tested = _experiment(made)
    told = f"release {flow} v{number}"
    mended = [one for one in signals.incidents(limit=1000) if one.fix == told]
    if tested is None:
        return Rests(None, 0, (), tuple(mended))
    cases = datasets.version(tested.dataset_digest).cases
    runs = datasets.runs_of(tested.dataset)
    origins = [_origin(tested.dataset, case, runs[case.id]) for case in cases if runs.get(case.id)]
    return Rests(tested, len(cases), tuple(origins), tuple(mended))


def released_with(dataset: str, case_id: str) -> list[tuple[str, int]]:
    """The releases whose gate tested this case, as (flow, number), newest first."""
    found = []
    for flow in {one.flow for one in evals.experiments(limit=500) if one.dataset == dataset}:
        for made in releases.releases(flow)[:NEWEST]:
            tested = _experiment(releases.resolve(f"{flow}@v{made.number}").made)
            if tested is None or tested.dataset != dataset:
                continue
            if any(case.id == case_id for case in datasets.version(tested.dataset_digest).cases):
                found.append((made.made_at, flow, made.number))
    return [(flow, number) for _, flow, number in sorted(found, reverse=True)]


def mending(fix: str) -> tuple[str, int] | None:
    """The release that the words about a mending name, as (flow, number); None where they name none that is there."""
    told = _FIX.fullmatch(fix.strip())
    if told is None:
        return None
    flow, number = told["flow"], int(told["number"])
    return (flow, number) if any(one.number == number for one in releases.releases(flow)) else None


def _experiment(made: Mapping[str, object]) -> evals.Experiment | None:
    gate = made.get("gate")
    named = str(gate.get("experiment", "")) if isinstance(gate, Mapping) else ""
    try:
        return evals.experiment(named) if named else None
    except NotFound:
        return None


def _origin(dataset: str, case: Case, run_id: str) -> Origin:
    try:
        run = traces.run(run_id) if run_id else None
    except NotFound:
        run = None
    if run is None:
        return Origin(dataset, case, None, (), None)
    return Origin(dataset, case, run, tuple(labelling.labels(run_id=run.id)), links.ticket(run.id))
