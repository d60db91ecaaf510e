"""Runs that repeat what a customer wrote, in conversations of their own: forks, backtests, and cases run in experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from sqlmodel import Session, col, select

from workbench.store.tables import BacktestRow, CaseRow, Experiment, ExperimentRow, Run
from workbench.traces import query

AT_ONCE = 500


def conversations(open_session: Session, given: Set[str]) -> set[str]:
    """The conversations of all runs that were made from runs of the `given` ones, directly or from one another."""
    forks = _forks(open_session)
    known: set[str] = set()
    fresh = set(_of(open_session, Run.conversation, given, Run.id))
    while fresh:
        known |= fresh
        made = {fork for origin in fresh for fork in forks.get(origin, ())}
        made.update(_of(open_session, BacktestRow.run_id, fresh, BacktestRow.new_run_id))
        made.update(_experimented(open_session, fresh))
        reached = set(_of(open_session, Run.id, made, Run.conversation))
        fresh = set(_of(open_session, Run.conversation, reached, Run.id)) - known
    return set(_of(open_session, Run.id, known, Run.conversation))


def _forks(open_session: Session) -> dict[str, list[str]]:
    """The forks of each run."""
    found: dict[str, list[str]] = {}
    for run_id in open_session.exec(select(Run.id).where(Run.source == "fork")).all():
        origin = query.body(open_session, run_id).get("forked") or {}
        found.setdefault(str(origin.get("run", "")), []).append(run_id)
    return found


def _experimented(open_session: Session, ids: Iterable[str]) -> Iterator[str]:
    """The runs of experiments on the cases that were made from these runs."""
    for part in _parts(ids):
        asked = (
            select(ExperimentRow.run_id)
            .join(Experiment, col(Experiment.id) == col(ExperimentRow.experiment))
            .join(
                CaseRow,
                (col(CaseRow.dataset) == col(Experiment.dataset)) & (col(CaseRow.id) == col(ExperimentRow.case_id)),
            )
            .where(col(CaseRow.run_id).in_(part))
        )
        yield from open_session.exec(asked)


def _of(open_session: Session, column: str, values: Iterable[str], wanted: str) -> Iterator[str]:
    """What stands in the `wanted` column where `column` has one of these values."""
    for part in _parts(values):
        yield from open_session.exec(select(wanted).where(col(column).in_(part)).distinct())


def _parts(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """Values in lists that a query takes; empty ones left out."""
    listed = sorted(one for one in values if one)
    return (listed[at : at + AT_ONCE] for at in range(0, len(listed), AT_ONCE))
