"""What is so of a run, as the terms that it is found by: written with the run, and again when people say more of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlmodel import Session, col, delete, select

from workbench.store import index
from workbench.store.index import Document, Term
from workbench.store.tables import Cause, Flag, Label, RunScore

Given = dict[str, list[Term]]
"""What is said of runs, by their ids."""


def store(connection: Connection, rows: Sequence[Mapping[str, Any]], inside: Mapping[str, Iterable[Term]]) -> None:
    """Make new runs findable, in the transaction that stores them. `inside` holds what their records say, by their ids."""
    index.put(connection, [_document(row, inside[row["id"]]) for row in rows])


def of_record(record: Mapping[str, Any]) -> list[Term]:
    """The agents that took part, the tools that were called or wait to be, the guardrails that tripped or held something."""
    calls, waited = record["calls"], record.get("reply_waited") or {}
    held = [name for call in calls if call.get("held") for name in call.get("waited_for", [])]
    held += waited.get("for", []) if waited.get("seconds") else []
    return [
        *(("agent", call["agent"]) for call in calls),
        *(("tool", call["name"]) for call in calls if call["kind"] == "tool"),
        *(("tool", one["tool"]) for one in record["waiting"]),
        *(("tripped", one["name"]) for one in record["guardrails"] if one["tripped"]),
        *(("held", name) for name in held),
    ]


def refresh(open_session: Session, run_ids: Sequence[str]) -> None:
    """Let runs be found by what people and evaluators say of them now, inside the transaction that changes it."""
    open_session.flush()
    ids = [one for one in dict.fromkeys(run_ids) if one]
    for at in range(0, len(ids), index.AT_ONCE):
        part = ids[at : at + index.AT_ONCE]
        found: Given = defaultdict(list)
        for said in SAID:
            for run_id, terms in said(open_session, part).items():
                found[run_id] += terms
        index.change(open_session.connection(), {one: found[one] for one in part}, SAID_KINDS)


def scored(open_session: Session, scores: Iterable[tuple[str, str, float]]) -> None:
    """Keep what evaluators gave runs (run, evaluator, value), and let the runs be found by it, inside a transaction."""
    rows = {(run_id, name): value for run_id, name, value in scores if run_id}
    for run_id in {run_id for run_id, _ in rows}:
        names = [name for one, name in rows if one == run_id]
        open_session.execute(delete(RunScore).where(col(RunScore.run_id) == run_id, col(RunScore.evaluator).in_(names)))
    open_session.add_all(RunScore(run_id=run_id, evaluator=name, value=value) for (run_id, name), value in rows.items())
    refresh(open_session, [run_id for run_id, _ in rows])


def _flags(open_session: Session, ids: list[str]) -> Given:
    found: Given = defaultdict(list)
    for run_id, person in open_session.exec(select(Flag.run_id, Flag.person).where(col(Flag.run_id).in_(ids))):
        found[run_id].append(("flagged", person))
    return found


def _labels(open_session: Session, ids: list[str]) -> Given:
    found: Given = defaultdict(list)
    asked = select(Label.run_id, Label.criterion, Label.value).where(col(Label.run_id).in_(ids))
    for run_id, criterion, value in open_session.exec(asked):
        found[run_id].append(("label", f"{criterion}: {value}"))
    return found


def _scores(open_session: Session, ids: list[str]) -> Given:
    found: Given = defaultdict(list)
    for one in open_session.exec(select(RunScore).where(col(RunScore.run_id).in_(ids))):
        found[one.run_id] += [("score", one.evaluator), ("bucket", index.bucket(one.evaluator, one.value))]
    return found


def _causes(open_session: Session, ids: list[str]) -> Given:
    found: Given = defaultdict(list)
    for run_id, cause in open_session.exec(select(Cause.run_id, Cause.cause).where(col(Cause.run_id).in_(ids))):
        found[run_id].append(("cause", cause))
    return found


SAID: tuple[Callable[[Session, list[str]], Given], ...] = (_flags, _labels, _scores, _causes)
"""What is said of runs after they are stored."""
SAID_KINDS = ("flagged", "label", "score", "bucket", "cause")


def _document(row: Mapping[str, Any], inside: Iterable[Term]) -> Document:
    same = [(kind, row[kind]) for kind in ("flow", "version", "outcome", "agent", "source") if row[kind]]
    models = [("model", name) for name in row["model"].split(", ") if name]
    terms = (*same, *models, ("conversation", row["conversation"]), *inside)
    return Document(
        row["id"], row["started_at"], terms, index.said(row["question"], row["reply"]), row["seconds"], row["usd"]
    )
