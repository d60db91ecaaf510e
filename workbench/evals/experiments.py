"""Experiments: one scored pass of a frozen flow over a frozen dataset, as a durable job."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from workbench import datasets, flows, jobs, runtime
from workbench.access import Actor, audit, require
from workbench.datasets import Case
from workbench.errors import Invalid, NotFound
from workbench.evals import effects
from workbench.evals.evaluators import evaluators as known_evaluators
from workbench.evals.evaluators import score
from workbench.evals.statistics import Rate, rate
from workbench.flows import live
from workbench.runtime import mocks
from workbench.runtime.release import Release
from workbench.store import session
from workbench.store.tables import Experiment as Row
from workbench.store.tables import ExperimentRow
from workbench.traces import capture, facts

SHARD = 20
KIND = "experiment"


@dataclass(frozen=True)
class Experiment:
    """An experiment and what it ran."""

    id: str
    flow: str
    version: str
    digest: str
    dataset: str
    dataset_digest: str
    repeat: int
    job_id: str
    created_by: str
    created_at: dt.datetime


@dataclass(frozen=True)
class Scored:
    """One case, run and scored. `passed` is None where nothing was expected of it. Times are seconds."""

    case_id: str
    repeat: int
    run_id: str
    outcome: str
    passed: bool | None
    why: str
    seconds: float
    usd: float | None


@dataclass(frozen=True)
class Report:
    """An experiment's result: the pass rate over cases, and every row, failing ones first."""

    experiment: Experiment
    state: str
    done: int
    total: int
    rate: Rate
    unscored: int
    rows: tuple[Scored, ...]

    @property
    def failing(self) -> tuple[Scored, ...]:
        """The rows that did not pass."""
        return tuple(row for row in self.rows if row.passed is False)


def create(
    actor: Actor,
    release: Release,
    dataset: str,
    *,
    evaluators: Sequence[str] = (),
    repeat: int = 1,
    workers: int = 8,
    real: bool = False,
) -> Experiment:
    """Store a new experiment with its job; nothing runs yet: hand `job_id` to `jobs.start` or `jobs.run_here`.

    Tools that change something are answered by a case's mocks or held back, unless `real`; those that work on a sample
    in memory are called. Raises Refused, also for `real` where the actor may not release; NotFound for an unknown
    dataset or evaluator; Invalid for an empty dataset.
    """
    require(actor, "run an experiment")
    with session() as open_session:
        audit.lock(open_session)
        cases = datasets.freeze(open_session, dataset)
        return add(
            open_session, actor, release, cases, evaluators=evaluators, repeat=repeat, workers=workers, real=real
        )


def add(
    open_session: Session,
    actor: Actor,
    release: Release,
    cases: datasets.Version,
    *,
    evaluators: Sequence[str] = (),
    repeat: int = 1,
    workers: int = 8,
    real: bool = False,
    note: Mapping[str, Any] | None = None,
) -> Experiment:
    """Like `create`, inside a transaction and over frozen cases. `note` is kept among the arguments of its job."""
    if real:
        live.allow(actor)
    if not 1 <= repeat <= 20 or not 1 <= workers <= 100:
        raise Invalid("An experiment repeats each case 1 to 20 times, with 1 to 100 workers.")
    known = known_evaluators()
    if unknown := [name for name in evaluators if name not in known]:
        raise NotFound(f"There is no evaluator {', '.join(unknown)}.", remedy=f"Known: {', '.join(known)}.")
    flows.keep(open_session, release)
    identity = f"exp_{uuid.uuid4().hex[:16]}"
    arguments = {**(note or {}), "experiment": identity, "workers": workers, **({"real": True} if real else {})}
    title = f"{release.name} {release.version} over {cases.dataset}"
    job = jobs.row(KIND, title, arguments, actor, total=len(cases.cases) * repeat)
    row = Row(
        id=identity,
        flow=release.name,
        version=release.version,
        digest=release.digest,
        dataset=cases.dataset,
        dataset_digest=cases.digest,
        evaluators=list(evaluators),
        repeat=repeat,
        job_id=job.id,
        created_by=actor.name,
    )
    open_session.add(job)
    open_session.add(row)
    detail = {"flow": release.name, "dataset": cases.dataset, **({"for real": True} if real else {})}
    audit.append(open_session, actor, "run an experiment", identity, detail)
    return _experiment(row)


def experiments(flow: str = "", limit: int = 50) -> list[Experiment]:
    """The newest experiments (of one flow), newest first."""
    query = select(Row).order_by(col(Row.created_at).desc(), col(Row.id)).limit(limit)
    with session() as open_session:
        return [_experiment(row) for row in open_session.exec(query.where(Row.flow == flow) if flow else query)]


def experiment(identity: str) -> Experiment:
    """The experiment with this id. Raises NotFound."""
    return _experiment(_load(identity)[0])


def newest(digest: str, dataset_digest: str) -> Experiment | None:
    """The newest experiment of exactly this flow over exactly these cases that ran to its end with every evaluator."""
    query = select(Row).where(Row.digest == digest, Row.dataset_digest == dataset_digest)
    with session() as open_session:
        rows = open_session.exec(query.order_by(col(Row.created_at).desc())).all()
    whole = (row for row in rows if not row.evaluators and jobs.job(row.job_id).state == "done")
    return next((_experiment(row) for row in whole), None)


def report(experiment_id: str) -> Report:
    """What an experiment has come to so far. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(Row, experiment_id)
        if row is None:
            raise NotFound(f"There is no experiment {experiment_id}.")
        rows = open_session.exec(select(ExperimentRow).where(ExperimentRow.experiment == experiment_id)).all()
    job = jobs.job(row.job_id)
    by_case: dict[str, list[bool | None]] = {}
    for one in rows:
        by_case.setdefault(one.case_id, []).append(one.passed)
    scored = {case: given for case, given in by_case.items() if None not in given}
    passed = sum(all(given) for given in scored.values())
    listed = sorted((_scored(one) for one in rows), key=lambda s: (s.passed is not False, s.case_id, s.repeat))
    return Report(
        experiment=_experiment(row),
        state=job.state,
        done=len(rows),
        total=job.total,
        rate=rate(passed, len(scored)),
        unscored=len(by_case) - len(scored),
        rows=tuple(listed),
    )


def _plan(arguments: dict[str, Any]) -> list[list[list[Any]]]:
    row, version = _load(arguments["experiment"])
    pairs = [[case.id, number] for number in range(row.repeat) for case in version.cases]
    return [pairs[at : at + SHARD] for at in range(0, len(pairs), SHARD)]


def _work(_job: str, arguments: dict[str, Any], shard: list[list[Any]]) -> int:
    """Run and score the cases of a shard that have no row yet; their rows and runs are stored in one transaction."""
    row, version = _load(arguments["experiment"])
    release = flows.frozen(row.digest, number=int(row.version[1:]) if row.version.startswith("v") else None)
    cases = {case.id: case for case in version.cases}
    with session() as open_session:
        there = _there(open_session, row.id)
    todo = [(cases[case_id], number) for case_id, number in shard if (case_id, number) not in there]
    real = bool(arguments.get("real"))
    results = asyncio.run(_run_all(release, [case for case, _ in todo], arguments["workers"], real=real))
    with session() as open_session:
        audit.lock(open_session)
        there = _there(open_session, row.id)
        fresh = [
            (case, n, result) for (case, n), result in zip(todo, results, strict=True) if (case.id, n) not in there
        ]
        capture.put(open_session, [(result.record, release) for _, _, result in fresh])
        given: list[tuple[str, str, float]] = []
        for case, number, result in fresh:
            record = result.record
            scores = score(case, record, list(row.evaluators) or None)
            given += [(result.run_id, one.evaluator, float(one.passed)) for one in scores]
            open_session.add(
                ExperimentRow(
                    experiment=row.id,
                    case_id=case.id,
                    repeat=number,
                    run_id=result.run_id,
                    outcome=result.outcome,
                    passed=all(s.passed for s in scores) if scores else None,
                    scores=[s.plain for s in scores],
                    seconds=result.seconds,
                    usd=record["usage"]["usd"],
                )
            )
        facts.scored(open_session, given)
        count = select(func.count()).select_from(ExperimentRow).where(ExperimentRow.experiment == row.id)
        return int(open_session.exec(count).one())


def _there(open_session: Session, identity: str) -> set[tuple[str, int]]:
    query = select(ExperimentRow.case_id, ExperimentRow.repeat).where(ExperimentRow.experiment == identity)
    return set(open_session.exec(query).all())


async def _run_all(release: Release, cases: list[Case], workers: int, *, real: bool) -> list[runtime.Result]:
    models, free = runtime.Models(), asyncio.Semaphore(workers)

    async def one(case: Case) -> runtime.Result:
        async with free:
            talk = runtime.Conversation(id=f"conv_{uuid.uuid4().hex}", items=case.history)
            held = effects.policy(release, case.mocks, where="the experiment", samples=True)
            answers = mocks.policy(case.mocks) if real else held
            return await runtime.run(
                release, case.question, models=models, conversation=talk, answers=answers, source="experiment"
            )

    try:
        return list(await asyncio.gather(*(one(case) for case in cases)))
    finally:
        await models.aclose()


def _load(identity: str) -> tuple[Row, datasets.Version]:
    with session() as open_session:
        row = open_session.get(Row, identity)
    if row is None:
        raise NotFound(f"There is no experiment {identity}.")
    return row, datasets.version(row.dataset_digest)


def _experiment(row: Row) -> Experiment:
    return Experiment(
        row.id, row.flow, row.version, row.digest, row.dataset, row.dataset_digest, row.repeat, row.job_id, row.created_by,
        row.created_at,
    )  # fmt: skip


def _scored(row: ExperimentRow) -> Scored:
    failing = [f"{s['evaluator']}: {s['why']}" for s in row.scores if not s["passed"]]
    why = "; ".join(failing) or ("passed" if row.scores else "nothing was expected")
    return Scored(row.case_id, row.repeat, row.run_id, row.outcome, row.passed, why, row.seconds, row.usd)


jobs.kind(KIND, _plan, _work, verb="run an experiment")
