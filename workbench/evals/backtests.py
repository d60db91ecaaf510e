"""Backtests: recorded runs through a live candidate, with the recorded answers of the tools, as a durable job.

The candidate's models answer anew; its tools are answered by the record, and a call that was not recorded is refused, so
nothing is changed and nothing is asked for outside. Such a run cannot be compared, because the candidate went where
nobody knows what the tools would have said.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlmodel import Session, col, func, select

from workbench import flows, jobs, runtime, traces
from workbench.access import Actor, audit, require
from workbench.datasets import Case, case_of
from workbench.errors import Invalid, NotFound, WorkbenchError
from workbench.evals.evaluators import score
from workbench.evals.statistics import Rate, rate
from workbench.runtime.release import Release
from workbench.store import session
from workbench.store.tables import Backtest as Row
from workbench.store.tables import BacktestRow, CaseRow
from workbench.store.tables import Run as RunRow
from workbench.traces import capture
from workbench.traces.answers import Recorded, value

if TYPE_CHECKING:
    _Made = tuple[Mapping[str, Any], runtime.Result | str, Sequence[str]]
    """A record, what the candidate came to or why it could not run, and the calls that the record could not answer."""

KIND = "backtest"
SOURCE = "backtest"
SHARD = 20
WORKERS = 8
MOST = 10_000
"""Runs of one backtest."""

TRIALS = ("experiment", SOURCE, "fork", "replay")
"""Sources of runs that were no customer's."""

Verdict = Literal["worse", "not comparable", "changed", "better", "same"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""Worst first."""

STOPPED = ("error", "limit")
"""Outcomes that help no customer."""


@dataclass(frozen=True)
class Backtest:
    """A backtest: which candidate, over how many runs of its flow."""

    id: str
    flow: str
    version: str
    digest: str
    runs: int
    job_id: str
    created_by: str
    created_at: dt.datetime


@dataclass(frozen=True)
class Pair:
    """A recorded run beside the candidate's. Times are seconds; `usd` is None where a price is not known.

    `new_run_id` is empty where the candidate could not be run, `question` where the recorded run was deleted.
    """

    run_id: str
    new_run_id: str
    verdict: Verdict
    why: str
    seconds: float
    new_seconds: float
    usd: float | None
    new_usd: float | None
    question: str


@dataclass(frozen=True)
class Report:
    """What a backtest has come to so far: the share of each verdict with its interval, and every pair, worst first."""

    backtest: Backtest
    state: str
    done: int
    shares: Mapping[Verdict, Rate]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Estimate:
    """What the recorded runs took, which is what the candidate will take about: US dollars, None where unknown; seconds."""

    runs: int
    usd: float | None
    seconds: float


def chosen(
    flow: str, *, since: dt.datetime | None = None, outcome: str = "", flagged: bool = False, limit: int = 200
) -> list[str]:
    """The ids of the newest recorded runs of a flow that fit, newest first. Runs of trials are left out.

    Raises Invalid where `limit` is not between 1 and 10,000.
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"A backtest takes 1 to {MOST:,} runs.")
    found = traces.find(flow=flow, since=since, outcome=outcome, flagged=flagged, without=TRIALS, limit=limit)
    return [one.id for one in found]


def estimate(run_ids: Sequence[str]) -> Estimate:
    """What these runs took when they were recorded."""
    with session() as open_session:
        took = [
            pair
            for ids in _batches(run_ids)
            for pair in open_session.exec(select(RunRow.usd, RunRow.seconds).where(col(RunRow.id).in_(ids)))
        ]
    costs = [usd for usd, _ in took]
    total = None if None in costs else sum(usd or 0.0 for usd in costs)
    return Estimate(len(took), total, sum(seconds for _, seconds in took))


def create(actor: Actor, release: Release, run_ids: Sequence[str]) -> Backtest:
    """Store a backtest of a candidate over recorded runs with its job: hand `job_id` to `jobs.start` or `jobs.run_here`.

    Raises Refused, Invalid for no runs or too many, and NotFound for a run that is not stored; then nothing is stored.
    """
    require(actor, "run an experiment")
    wanted = list(dict.fromkeys(run_ids))
    if not 1 <= len(wanted) <= MOST:
        raise Invalid(
            f"A backtest takes 1 to {MOST:,} recorded runs; there are {len(wanted):,}.", remedy="Choose other runs."
        )
    with session() as open_session:
        audit.lock(open_session)
        known = {
            one
            for ids in _batches(wanted)
            for one in open_session.exec(select(RunRow.id).where(col(RunRow.id).in_(ids)))
        }
        if gone := [one for one in wanted if one not in known]:
            raise NotFound(f"There is no run {gone[0]}.", remedy="List them with `runs list`.")
        flows.keep(open_session, release)
        identity = f"back_{uuid.uuid4().hex[:16]}"
        title = f"{release.name} {release.version} over {len(wanted)} recorded runs"
        job = jobs.row(KIND, title, {"backtest": identity}, actor, total=len(wanted))
        row = Row(
            id=identity,
            flow=release.name,
            version=release.version,
            digest=release.digest,
            runs=wanted,
            job_id=job.id,
            created_by=actor.name,
        )
        open_session.add(job)
        open_session.add(row)
        audit.append(open_session, actor, "run an experiment", identity, {"flow": release.name, "runs": len(wanted)})
        return _backtest(row)


def backtests(flow: str = "", limit: int = 30) -> list[Backtest]:
    """The newest backtests (of one flow), newest first."""
    query = select(Row).order_by(col(Row.created_at).desc(), col(Row.id)).limit(limit)
    with session() as open_session:
        return [_backtest(row) for row in open_session.exec(query.where(Row.flow == flow) if flow else query)]


def backtest(identity: str) -> Backtest:
    """The backtest with this id. Raises NotFound."""
    return _backtest(_load(identity))


def report(identity: str) -> Report:
    """What a backtest has come to so far. Raises NotFound."""
    row = _load(identity)
    with session() as open_session:
        query = select(BacktestRow, RunRow.question).outerjoin(RunRow, col(RunRow.id) == col(BacktestRow.run_id))
        rows = open_session.exec(query.where(BacktestRow.backtest == identity)).all()
    pairs = sorted(
        (_pair(one, question or "") for one, question in rows),
        key=lambda one: (VERDICTS.index(one.verdict), one.run_id),
    )
    counts = Counter(one.verdict for one in pairs)
    shares = {verdict: rate(counts[verdict], len(pairs)) for verdict in VERDICTS}
    return Report(_backtest(row), jobs.job(row.job_id).state, len(pairs), shares, tuple(pairs))


def judge(
    before: Mapping[str, Any], after: Mapping[str, Any], missed: Sequence[str], case: Case | None
) -> tuple[Verdict, str]:
    """How a candidate's run compares with the recorded one, and why.

    Better and worse are said by what the case made from the run expects, or else where only one of the two ended in an
    error or at a limit; any other difference is a change for a person to judge.
    """
    if missed:
        names = ", ".join(dict.fromkeys(missed))
        return "not comparable", f"it called {names} as the recorded run had not"
    if case is not None and (judged := _by_case(before, after, case)) is not None:
        return judged
    was, now = before["outcome"] in STOPPED, after["outcome"] in STOPPED
    if was != now:
        words = f"{after['outcome']} instead of {before['outcome']}"
        return ("worse" if now else "better"), words + (f": {after['error'] or after['stop']}" if now else "")
    different = [words for part, words in _PARTS if _seen(before, part) != _seen(after, part)]
    return ("changed", f"another {', another '.join(different)}") if different else ("same", "")


_PARTS = (("outcome", "outcome"), ("agent", "agent"), ("tools", "use of tools"), ("reply", "reply"))


def _seen(record: Mapping[str, Any], part: str) -> Any:
    if part == "tools":
        made = [one for one in record["calls"] if one["kind"] == "tool"]
        return [(one["name"], value(one["arguments"])) for one in made]
    return " ".join(str(record[part]).split())


def _by_case(before: Mapping[str, Any], after: Mapping[str, Any], case: Case) -> tuple[Verdict, str] | None:
    """What the expectations of a case say, where they tell the two runs apart."""
    was = {one.evaluator for one in score(case, before) if not one.passed}
    now = {one.evaluator: one.why for one in score(case, after) if not one.passed}
    if lost := [f"{name}: {why}" for name, why in now.items() if name not in was]:
        return "worse", f"fails what case {case.id} expects; {'; '.join(lost)}"
    if won := sorted(was - set(now)):
        return "better", f"passes what case {case.id} expects: {', '.join(won)}"
    return None


def _plan(arguments: dict[str, Any]) -> list[list[str]]:
    row = _load(arguments["backtest"])
    return [row.runs[at : at + SHARD] for at in range(0, len(row.runs), SHARD)]


def _work(_job: str, arguments: dict[str, Any], shard: list[str]) -> int:
    """Run the candidate on the runs of a shard that have no row yet; rows and runs are stored in one transaction.

    A run that was deleted meanwhile is left out, and nothing that repeats it is stored.
    """
    row = _load(arguments["backtest"])
    release = flows.frozen(row.digest, number=int(row.version[1:]) if row.version.startswith("v") else None)
    with session() as open_session:
        todo, cases = _left(open_session, row.id, shard), _cases(open_session, shard)
    made = asyncio.run(_run_all(release, todo))
    with session() as open_session:
        audit.lock(open_session)
        left = _left(open_session, row.id, todo)
        for run_id, (before, result, missed) in zip(todo, made, strict=True):
            if run_id not in left:
                continue
            if isinstance(result, str):
                open_session.add(_unable(row.id, before, result))
                continue
            capture.put(open_session, [(result.record, release)], asks=False)
            verdict, why = judge(before, result.record, missed, cases.get(run_id))
            open_session.add(_row(row.id, before, result.record, verdict, why))
        open_session.flush()
        count = select(func.count()).select_from(BacktestRow).where(BacktestRow.backtest == row.id)
        return int(open_session.exec(count).one())


async def _run_all(release: Release, run_ids: Sequence[str]) -> list[_Made]:
    models, free = runtime.Models(), asyncio.Semaphore(WORKERS)

    async def one(run_id: str) -> _Made:
        record = traces.record(run_id)
        answers = Recorded(record, release.spec, {})
        talk = runtime.Conversation(
            id=f"conv_{uuid.uuid4().hex}", items=tuple(record["input"][:-1]), agent=record["starts_at"]
        )
        async with free:
            try:
                result = await runtime.run(
                    release,
                    record["question"],
                    models=models,
                    conversation=talk,
                    variables=record["variables"],
                    answers=answers,
                    source=SOURCE,
                )
            except WorkbenchError as error:
                return record, error.message, ()
        return record, result, answers.missed

    try:
        return list(await asyncio.gather(*(one(run_id) for run_id in run_ids)))
    finally:
        await models.aclose()


def _cases(open_session: Session, run_ids: Sequence[str]) -> dict[str, Case]:
    """The newest case made from each of these runs."""
    query = select(CaseRow).where(col(CaseRow.run_id).in_(run_ids)).order_by(col(CaseRow.created_at))
    return {one.run_id: case_of(one.body, where=f"The case {one.id}") for one in open_session.exec(query)}


def _left(open_session: Session, identity: str, run_ids: Sequence[str]) -> list[str]:
    """Those of the recorded runs that are still there and have no row yet."""
    done = set(open_session.exec(select(BacktestRow.run_id).where(BacktestRow.backtest == identity)))
    there = set(open_session.exec(select(RunRow.id).where(col(RunRow.id).in_(run_ids))))
    return [one for one in run_ids if one in there and one not in done]


def _row(identity: str, before: Mapping[str, Any], after: Mapping[str, Any], verdict: Verdict, why: str) -> BacktestRow:
    return BacktestRow(
        backtest=identity,
        run_id=before["id"],
        new_run_id=after["id"],
        verdict=verdict,
        why=why,
        seconds=before["seconds"],
        new_seconds=after["seconds"],
        usd=before["usage"]["usd"],
        new_usd=after["usage"]["usd"],
    )


def _unable(identity: str, before: Mapping[str, Any], why: str) -> BacktestRow:
    return BacktestRow(
        backtest=identity,
        run_id=before["id"],
        verdict="not comparable",
        why=why,
        seconds=before["seconds"],
        usd=before["usage"]["usd"],
    )


def _batches(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _load(identity: str) -> Row:
    with session() as open_session:
        row = open_session.get(Row, identity)
    if row is None:
        raise NotFound(f"There is no backtest {identity}.")
    return row


def _backtest(row: Row) -> Backtest:
    return Backtest(
        row.id, row.flow, row.version, row.digest, len(row.runs), row.job_id, row.created_by, row.created_at
    )


def _pair(row: BacktestRow, question: str) -> Pair:
    verdict: Verdict = next(one for one in VERDICTS if one == row.verdict)
    return Pair(
        row.run_id,
        row.new_run_id,
        verdict,
        row.why,
        row.seconds,
        row.new_seconds,
        row.usd,
        row.new_usd,
        question,
    )


jobs.kind(KIND, _plan, _work, verb="run an experiment")
