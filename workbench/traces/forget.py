"""Deleting runs: after the time that a flow keeps them, and everything of one customer, with a report of what went."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, text, update
from sqlmodel import Session, col, select

from workbench import settings
from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.runtime.redaction import Masker
from workbench.store import index, now, session
from workbench.store.tables import (
    Approval,
    BacktestRow,
    CaseRow,
    Cause,
    CauseDenied,
    Claim,
    ExperimentRow,
    Flag,
    HeldRun,
    Label,
    QueueItem,
    Retention,
    Run,
    RunBody,
    RunScore,
    TracePart,
)
from workbench.traces import capture, masking, query

SYSTEM = Actor("workbench", "admin")
AT_ONCE = 500
LONGEST = 36_500
SHORTEST = 5


@dataclass(frozen=True)
class Kept:
    """For how many days the runs of a flow are kept, and who said so."""

    flow: str
    days: int
    set_by: str
    set_at: dt.datetime


@dataclass(frozen=True)
class Report:
    """What was deleted, or would be: how many of each kind; `left` says in words what deleting does not reach."""

    deleted: dict[str, int]
    conversations: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    done: bool = False

    @property
    def words(self) -> str:
        """The report in one line for each kind."""
        lines = [f"{count:,} {name}" for name, count in self.deleted.items() if count] or ["nothing"]
        return "\n".join([("Deleted: " if self.done else "Would be deleted: ") + ", ".join(lines), *self.left])


def keep(actor: Actor, flow: str, days: int) -> Kept | None:
    """Keep the runs of a flow for so many days; 0 keeps them without an end. Raises Refused, or Invalid."""
    require(actor, "set how long runs are kept")
    if not flow.strip() or not 0 <= days <= LONGEST:
        raise Invalid(f"Runs are kept for 1 to {LONGEST:,} days.", remedy="0 days keeps them without an end.")
    with session() as open_session:
        row = open_session.get(Retention, flow)
        if days == 0:
            if row is not None:
                open_session.delete(row)
            audit.append(open_session, actor, "set how long runs are kept", flow, {"days": 0})
            return None
        row = row or Retention(flow=flow, days=days, set_by=actor.name)
        row.days, row.set_by, row.set_at = days, actor.name, now()
        open_session.add(row)
        audit.append(open_session, actor, "set how long runs are kept", flow, {"days": days})
        return Kept(row.flow, row.days, row.set_by, row.set_at)


def kept() -> list[Kept]:
    """The flows whose runs are not kept without an end."""
    with session() as open_session:
        rows = open_session.exec(select(Retention).order_by(Retention.flow))
        return [Kept(row.flow, row.days, row.set_by, row.set_at) for row in rows]


def expire() -> Report:
    """Delete the runs that are older than their flows keep them. One that waits for a person is not deleted."""
    total: dict[str, int] = {}
    for one in kept():
        before = now() - dt.timedelta(days=one.days)
        while ids := _older(one.flow, before):
            with session() as open_session:
                audit.lock(open_session)
                counts = _delete(open_session, ids)
                audit.append(open_session, SYSTEM, "delete old runs", one.flow, {"days": one.days, **counts})
            total = {name: total.get(name, 0) + count for name, count in counts.items()}
    if total:
        wipe()
    return Report(total, done=True)


def customer(actor: Actor, value: str, *, confirmed: bool = False) -> Report:
    """Everything that is kept of one customer: every conversation that holds `value`, an address, number or conversation id.

    Unless `confirmed`, nothing is deleted and the report says what would be. Raises Refused, or Invalid for a value too
    short to tell one customer.
    """
    require(actor, "delete a customer's data")
    value = checked(value)
    found = {value, masking.known_as(value)}
    with session() as open_session:
        rows = list(open_session.exec(select(Run.id, Run.conversation).order_by(Run.id)))
    named = {conversation for _, conversation in rows} & found
    for at in range(0, len(rows), AT_ONCE):
        named |= holding(value, rows[at : at + AT_ONCE], named)
    return remove(actor, value, named, confirmed=confirmed)


def checked(value: str) -> str:
    """What tells one customer, without spaces around it. Raises Invalid where it is too short to."""
    if len(value.strip()) < SHORTEST:
        raise Invalid(
            "This is too short to tell one customer.", remedy="Give an e-mail address, a number, or a conversation."
        )
    return value.strip()


def remove(actor: Actor, value: str, conversations: set[str], *, confirmed: bool) -> Report:
    """Delete these conversations of a customer with all that hangs on them; unless `confirmed`, only say what would be."""
    require(actor, "delete a customer's data")
    ids = _ids(conversations)
    with session() as open_session:
        if confirmed:
            audit.lock(open_session)
        counts = _delete(open_session, ids, only_count=not confirmed)
        counts["unsaved runs"] = _unsaved(value, conversations, remove=confirmed)
        left = _left(open_session, ids)
        if confirmed:
            audit.append(open_session, actor, "delete a customer's data", f"{counts['runs']} runs", counts)
    if confirmed:
        wipe()
    return Report(counts, tuple(sorted(conversations)), left, confirmed)


def _older(flow: str, before: dt.datetime) -> list[str]:
    waiting = select(Approval.run_id).where(col(Approval.state).in_(("waiting", "approved", "executing")))
    asked = select(Run.id).where(Run.flow == flow, Run.started_at < before, col(Run.id).not_in(waiting)).limit(AT_ONCE)
    with session() as open_session:
        return list(open_session.exec(asked))


def holding(value: str, rows: Sequence[tuple[str, str]], named: Set[str]) -> set[str]:
    """The conversations among runs, given by id and conversation, that hold a value, as it is or masked as it is there.

    Those that are `named` already are not looked into.
    """
    found: set[str] = set()
    rules = masking.rules()
    with session() as open_session:
        for run_id, conversation in rows:
            if conversation in named or conversation in found:
                continue
            try:
                resource, spans, _ = query.trace(open_session, run_id)
                body = [resource, spans] if spans else query.body(open_session, run_id)
            except NotFound:
                continue
            written = json.dumps(body, ensure_ascii=False).lower()
            scopes = {conversation, conversation.removeprefix("conv_"), value}
            spellings = {value, *(Masker(rules, scope).text(value) for scope in scopes)}
            if any(one.lower() in written for one in spellings):
                found.add(conversation)
    return found


def _ids(conversations: set[str]) -> list[str]:
    found: list[str] = []
    asked = sorted(conversations)
    with session() as open_session:
        for at in range(0, len(asked), AT_ONCE):
            found += open_session.exec(select(Run.id).where(col(Run.conversation).in_(asked[at : at + AT_ONCE])))
    return found


def _delete(open_session: Session, ids: Sequence[str], *, only_count: bool = False) -> dict[str, int]:
    """Delete runs with all that hangs on them, inside a transaction; how many of each kind."""
    counts = dict.fromkeys(
        (
            "runs",
            "approvals",
            "flags",
            "causes",
            "labels",
            "places in labelling queues",
            "cases",
            "scores without their reasons",
        ),
        0,
    )
    for at in range(0, len(ids), AT_ONCE):
        part = list(ids[at : at + AT_ONCE])
        for name, column in (
            ("approvals", Approval.run_id),
            ("flags", Flag.run_id),
            ("causes", Cause.run_id),
            ("labels", Label.run_id),
            ("places in labelling queues", QueueItem.run_id),
            ("cases", CaseRow.run_id),
            ("scores without their reasons", ExperimentRow.run_id),
            ("runs", Run.id),
        ):
            asked = select(func.count()).where(col(column).in_(part))
            counts[name] += int(open_session.exec(asked).one())
        if only_count:
            continue
        overwrite(open_session)
        for row in open_session.exec(select(ExperimentRow).where(col(ExperimentRow.run_id).in_(part))):
            row.scores, row.run_id = [{**score, "reason": ""} for score in row.scores], ""
        open_session.flush()
        index.remove(open_session.connection(), part)
        for column in (
            RunScore.run_id, Approval.run_id, Cause.run_id, CauseDenied.run_id, Claim.run_id, Flag.run_id,
            Label.run_id, QueueItem.run_id, CaseRow.run_id, BacktestRow.run_id,
            HeldRun.run_id, TracePart.run_id, RunBody.run_id, Run.id,
        ):  # fmt: skip
            open_session.execute(delete(column.class_).where(col(column).in_(part)))  # type: ignore[attr-defined]
        open_session.execute(
            update(BacktestRow).where(col(BacktestRow.new_run_id).in_(part)).values(new_run_id="", why="")
        )
        open_session.execute(update(Approval).where(col(Approval.result_run).in_(part)).values(result_run=""))
    return counts


def _unsaved(value: str, conversations: set[str], *, remove: bool) -> int:
    """Lines of the file of unsaved runs that belong to the customer."""
    path = settings.load().local / capture.SPILL
    if not path.exists():
        return 0
    lines = path.read_text(encoding="utf-8").split("\n")
    gone = {number for number, line in enumerate(lines) if line.strip() and _theirs(line, value, conversations)}
    if gone and remove:
        _replace(path, (line for number, line in enumerate(lines) if number not in gone))
    return len(gone)


def _theirs(line: str, value: str, conversations: set[str]) -> bool:
    try:
        conversation = str(json.loads(line)["run"]["conversation"])
    except (ValueError, KeyError, TypeError, RecursionError):
        conversation = ""
    return conversation in conversations or any(
        one.lower() in line.lower() for one in (value, masking.masker(conversation).text(value))
    )


def _replace(path: Path, lines: Iterator[str]) -> None:
    draft = path.with_suffix(".part")
    draft.write_text("\n".join(lines), encoding="utf-8")
    draft.replace(path)


def _left(open_session: Session, ids: Sequence[str]) -> tuple[str, ...]:
    """What deleting does not reach."""
    datasets: set[str] = set()
    for at in range(0, len(ids), AT_ONCE):
        part = list(ids[at : at + AT_ONCE])
        datasets |= set(open_session.exec(select(CaseRow.dataset).where(col(CaseRow.run_id).in_(part))))
    words = [f"Frozen versions of the dataset {name} may hold its cases, masked." for name in sorted(datasets)]
    return (
        *words,
        "Tickets, backups, what people are writing just now, and files that were exported before are not reached.",
    )


def overwrite(open_session: Session) -> None:
    """Let what is deleted in this transaction be overwritten, where the database would leave it in its file."""
    if open_session.get_bind().dialect.name == "sqlite":
        open_session.execute(text("pragma secure_delete=on"))


def wipe() -> None:
    """Overwrite what was deleted, where the database would leave it in its file."""
    with session() as open_session:
        if open_session.get_bind().dialect.name != "sqlite":
            return
        open_session.commit()
        while index.settle(open_session.connection()):
            open_session.commit()
        open_session.commit()
        open_session.connection().execute(text("pragma wal_checkpoint(truncate)"))
