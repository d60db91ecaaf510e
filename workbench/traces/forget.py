"""Deleting runs: after the time that a flow keeps them, and everything of one customer, with a report of what went."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, text, update
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
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
from workbench.traces import capture, masking, mentions, offspring, query

SYSTEM = Actor("workbench", "admin")
AT_ONCE = 500
LONGEST = 36_500
SHORTEST = 5
MARK = 8
"""Bytes that tell a run as it was looked into."""

State = tuple[str, str, int]
"""A stored run: its id, its conversation, and how many parts of it other programs sent."""


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
    return remove(actor, checked(value), set(), confirmed=confirmed)


def checked(value: str) -> str:
    """What tells one customer, without spaces around it. Raises Invalid where it is too short to."""
    if len(value.strip()) < SHORTEST:
        raise Invalid(
            "This is too short to tell one customer.", remedy="Give an e-mail address, a number, or a conversation."
        )
    return value.strip()


def remove(
    actor: Actor, value: str, conversations: Set[str], *, confirmed: bool, looked: Iterable[bytes] = ()
) -> Report:
    """Delete these conversations of a customer, and all others that hold `value`; unless `confirmed`, say what would be.

    Forks, backtests and experiments made from their runs go too. Runs that were `looked` into are not looked into
    again. What is stored while this goes on is found too: nothing is stored between the last look and the deleting.
    """
    require(actor, "delete a customer's data")
    capture.flush()
    named, seen = {*conversations, value, masking.known_as(value)}, set(looked)
    with session() as open_session:
        _look(open_session, value, named, seen)
    with session() as open_session:
        if confirmed:
            _alone(open_session)
            _look(open_session, value, named, seen)
        with capture.unsaved() as path:
            unsaved = _unsaved(path, value, named, remove=confirmed)
        named |= offspring.conversations(open_session, named)
        ids = _ids(open_session, named)
        there = _conversations(open_session, ids)
        counts = _delete(open_session, ids, only_count=not confirmed)
        counts["unsaved runs"] = unsaved
        left = _left(open_session, ids)
        if confirmed:
            audit.append(open_session, actor, "delete a customer's data", f"{counts['runs']} runs", counts)
    if confirmed:
        wipe()
    return Report(counts, tuple(sorted(there)), left, confirmed)


def _older(flow: str, before: dt.datetime) -> list[str]:
    waiting = select(Approval.run_id).where(col(Approval.state).in_(("waiting", "approved", "executing")))
    asked = select(Run.id).where(Run.flow == flow, Run.started_at < before, col(Run.id).not_in(waiting)).limit(AT_ONCE)
    with session() as open_session:
        return list(open_session.exec(asked))


def states(open_session: Session, first: str = "", last: str = "") -> list[State]:
    """Id, conversation and number of parts of the stored runs, by id; with `first` and `last`, of those between."""
    parts = select(func.count()).where(TracePart.run_id == Run.id).scalar_subquery()
    asked = select(Run.id, Run.conversation, parts).order_by(Run.id)
    if first:
        asked = asked.where(col(Run.id) >= first, col(Run.id) <= last)
    return [(identity, conversation, int(count)) for identity, conversation, count in open_session.exec(asked)]


def mark(state: State) -> bytes:
    """A run as it is now, in a few bytes: another one once more spans of it have come."""
    return hashlib.blake2b(f"{state[0]} {state[2]}".encode(), digest_size=MARK).digest()


def holding(open_session: Session, value: str, runs: Sequence[State], named: Set[str]) -> set[str]:
    """The conversations among runs that hold a value, as it is or masked as it is there.

    Those that are `named` already are not looked into.
    """
    found: set[str] = set()
    rules, wanted = masking.rules(), mentions.Wanted(value)
    for run_id, conversation, parts in runs:
        if conversation in named or conversation in found:
            continue
        try:
            if parts:
                resource, spans, _ = query.trace(open_session, run_id)
                texts = mentions.of_spans(resource, spans)
            else:
                texts = mentions.of_record(query.body(open_session, run_id))
        except NotFound:
            continue
        if wanted.inside(texts, rules, _scopes(conversation, value)):
            found.add(conversation)
    return found


def _scopes(conversation: str, value: str) -> list[str]:
    """The conversations by whose names something of this one may be masked."""
    return list(dict.fromkeys((conversation, conversation.removeprefix("conv_"), value)))


def _alone(open_session: Session) -> None:
    """Let no run be stored until this transaction ends."""
    audit.lock(open_session)
    if open_session.get_bind().dialect.name == "postgresql":
        open_session.execute(text("lock table run in share row exclusive mode"))


def _look(open_session: Session, value: str, named: set[str], seen: set[bytes]) -> None:
    """Add to `named` the conversations that hold a value, of the runs that were not `seen`; these are then seen."""
    fresh = [one for one in states(open_session) if mark(one) not in seen]
    for at in range(0, len(fresh), AT_ONCE):
        part = fresh[at : at + AT_ONCE]
        named |= holding(open_session, value, part, named)
        seen.update(map(mark, part))


def _ids(open_session: Session, conversations: Set[str]) -> list[str]:
    found: list[str] = []
    asked = sorted(conversations)
    for at in range(0, len(asked), AT_ONCE):
        found += open_session.exec(select(Run.id).where(col(Run.conversation).in_(asked[at : at + AT_ONCE])))
    return found


def _conversations(open_session: Session, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for at in range(0, len(ids), AT_ONCE):
        asked = select(Run.conversation).where(col(Run.id).in_(ids[at : at + AT_ONCE])).distinct()
        found |= set(open_session.exec(asked))
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


def _unsaved(path: Path, value: str, named: set[str], *, remove: bool) -> int:
    """How many lines of the file of unsaved runs belong to the customer; adds their conversations to `named`."""
    if not path.exists():
        return 0
    lines = path.read_text(encoding="utf-8").split("\n")
    rules, wanted = masking.rules(), mentions.Wanted(value)
    told = [_line(line) for line in lines]
    for texts, conversation in told:
        if wanted.inside(texts, rules, _scopes(conversation, value)):
            named.add(conversation)
    kept = [line for line, (_, conversation) in zip(lines, told, strict=True) if conversation not in named]
    if remove and len(kept) < len(lines):
        draft = path.with_suffix(".part")
        draft.write_text("\n".join(kept), encoding="utf-8")
        draft.replace(path)
    return len(lines) - len(kept)


def _line(line: str) -> tuple[list[str], str]:
    """What people and models wrote in a line of the file, and its conversation; a line that is no run is its own."""
    try:
        record = json.loads(line)["run"]
        return mentions.of_record(record), str(record["conversation"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [line], f"line {line}"


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
