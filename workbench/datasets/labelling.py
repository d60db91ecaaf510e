"""Labelling queues: runs that wait for a person's verdict against a rubric; a verdict makes a case in one step."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.datasets.cases import Case, Expected, ExpectedTool, add, new_id
from workbench.errors import Conflict, Invalid, NotFound
from workbench.runtime import mocks
from workbench.runtime.mocks import Mock
from workbench.runtime.spec import OUTCOMES
from workbench.store import now, session
from workbench.store.tables import CaseRow, Flag, QueueItem, Run
from workbench.store.tables import Label as LabelRow
from workbench.store.tables import Queue as Row
from workbench.traces import facts, masking, query

LOCK = dt.timedelta(minutes=10)
FLAGGED = "flagged runs"


@dataclass(frozen=True)
class Choice:
    """One verdict a reviewer can give, by one key."""

    key: str
    value: str
    title: str


@dataclass(frozen=True)
class Criterion:
    """What is judged, and the choices."""

    name: str
    question: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Queue:
    """A labelling queue with its rubric and progress."""

    name: str
    purpose: str
    instructions: str
    criterion: Criterion
    dataset: str
    waiting: int
    labelled: int


@dataclass(frozen=True)
class Item:
    """One run that waits for a verdict."""

    id: int
    queue: str
    run_id: str
    reason: str


@dataclass(frozen=True)
class Label:
    """A verdict that was given."""

    item_id: int
    run_id: str
    reviewer: str
    criterion: str
    value: str
    note: str
    case_id: str
    at: dt.datetime


RUBRIC = Criterion(
    name="verdict",
    question="Did this run serve the customer as the rules ask?",
    choices=(
        Choice("1", "good", "Good: keep it so"),
        Choice("2", "bad", "Bad: must not happen again"),
        Choice("3", "unsure", "Unsure: no case"),
    ),
)


def queues() -> list[Queue]:
    """All queues, by name."""
    with session() as open_session:
        rows = open_session.exec(select(Row).order_by(Row.name)).all()
        return [_queue(open_session, row) for row in rows]


def queue(name: str) -> Queue:
    """The queue called `name`. Raises NotFound."""
    with session() as open_session:
        return _queue(open_session, _row(open_session, name))


def make(
    actor: Actor, name: str, *, purpose: str, instructions: str, dataset: str, rubric: Criterion = RUBRIC
) -> Queue:
    """Make a queue. Raises Refused, or Conflict where the name is taken."""
    require(actor, "manage queues")
    with session() as open_session:
        if open_session.get(Row, name) is not None:
            raise Conflict(f"There is a queue called {name} already.")
        row = Row(
            name=name,
            purpose=purpose,
            instructions=instructions,
            criteria=[_plain(rubric)],
            dataset=dataset,
            created_by=actor.name,
        )
        open_session.add(row)
        audit.append(open_session, actor, "manage queues", name, {"dataset": dataset})
        open_session.flush()
        return _queue(open_session, row)


def fill(actor: Actor, name: str) -> int:
    """Put every flagged run that is not in the queue yet into it; returns how many. Raises Refused or NotFound."""
    require(actor, "label")
    with session() as open_session:
        audit.lock(open_session)
        _row(open_session, name)
        known = select(QueueItem.run_id).where(QueueItem.queue == name)
        rows = open_session.exec(
            select(Flag).where(col(Flag.run_id).not_in(known)).order_by(col(Flag.at), col(Flag.id))
        )
        reasons: dict[str, list[str]] = {}
        for flag in rows:
            reasons.setdefault(flag.run_id, []).append(flag.reason)
        top = open_session.exec(select(func.max(QueueItem.position)).where(QueueItem.queue == name)).one() or 0
        for number, (run_id, given) in enumerate(reasons.items(), top + 1):
            open_session.add(QueueItem(queue=name, run_id=run_id, reason="; ".join(given), position=number))
        return len(reasons)


def waiting(run_id: str) -> list[Item]:
    """The queues in which a run waits for a verdict."""
    query = select(QueueItem).where(QueueItem.run_id == run_id, QueueItem.state == "open").order_by(QueueItem.queue)
    with session() as open_session:
        return [_item(row) for row in open_session.exec(query)]


def take(actor: Actor, name: str, *, first: str = "") -> Item | None:
    """The reviewer's next item, locked for ten minutes; None where nothing waits. Raises Refused or NotFound.

    The run `first` comes before all others while it waits, then an item that the reviewer holds already; one held by
    somebody else is not given.
    """
    require(actor, "label")
    with session() as open_session:
        _row(open_session, name)
        moment = now()
        free = or_(
            col(QueueItem.locked_until).is_(None),
            col(QueueItem.locked_until) < moment,
            col(QueueItem.reviewer) == actor.name,
        )
        waiting = (
            select(QueueItem)
            .where(col(QueueItem.queue) == name, col(QueueItem.state) == "open", free)
            .order_by(
                (col(QueueItem.run_id) != first), (col(QueueItem.reviewer) != actor.name), col(QueueItem.position)
            )
            .limit(20)
        )
        while rows := open_session.exec(waiting.execution_options(populate_existing=True)).all():
            for row in rows:
                claimed = open_session.execute(
                    update(QueueItem)
                    .where(col(QueueItem.id) == row.id, col(QueueItem.state) == "open", free)
                    .values(reviewer=actor.name, locked_until=moment + LOCK)
                )
                if claimed.rowcount == 1:  # type: ignore[attr-defined]
                    return _item(row)
    return None


def label(
    actor: Actor,
    item_id: int,
    value: str,
    *,
    note: str = "",
    make_case: bool = True,
    contains: str = "",
    outcome: str = "",
    keep_mocks: bool = False,
) -> Label:
    """Give a verdict on an item; with `make_case`, a good or bad verdict becomes a case of the queue's dataset.

    A good run's case expects its outcome, agent and tools again (must stay). A bad run's case expects what the
    reviewer says should have happened: `outcome`, or words that the reply must contain (must not repeat). With
    `keep_mocks`, the mocked answers that the run was given stand in for its tools in the case too.
    Raises Refused, NotFound, Invalid for an unknown value, or Conflict where the item was labelled meanwhile.
    """
    require(actor, "label")
    with session() as open_session:
        item = open_session.get(QueueItem, item_id)
        if item is None:
            raise NotFound(f"There is no item {item_id} to label.")
        row = _row(open_session, item.queue)
        criterion = _criterion(row.criteria[0])
        if value not in [choice.value for choice in criterion.choices]:
            raise Invalid(f"{value!r} is not a verdict of {row.name}.")
        claimed = open_session.execute(
            update(QueueItem)
            .where(col(QueueItem.id) == item_id, col(QueueItem.state) == "open", col(QueueItem.reviewer) == actor.name)
            .values(state="labelled", locked_until=None)
        )
        if claimed.rowcount == 0:  # type: ignore[attr-defined]
            raise Conflict("This item was labelled, or is held by somebody else.", remedy="Take the next one.")
        case_id = ""
        if make_case and value in ("good", "bad"):
            record = _record(open_session, item.run_id)
            kept = mocks.used(record["calls"]) if keep_mocks else ()
            made = _case(record, value, contains=contains, outcome=outcome, kept=kept)
            add(open_session, actor, row.dataset, [made], purpose="Cases from labels.", run_id=item.run_id)
            case_id = made.id
        run = open_session.get(Run, item.run_id)
        masker = masking.masker(run.conversation if run is not None else item.run_id)
        given = LabelRow(
            item_id=item_id,
            run_id=item.run_id,
            reviewer=actor.name,
            criterion=criterion.name,
            value=value,
            note=masker.text(note.strip())[:2000],
            case_id=case_id,
        )
        open_session.add(given)
        audit.append(open_session, actor, "label", item.run_id, {"value": value, "case": case_id})
        facts.refresh(open_session, [item.run_id])
        return _label(given)


def undo(actor: Actor, queue_name: str) -> Label | None:
    """Take back the reviewer's newest label in a queue, with the case it made; None where there is none."""
    require(actor, "label")
    with session() as open_session:
        newest = open_session.exec(
            select(LabelRow, QueueItem)
            .join(QueueItem, col(QueueItem.id) == LabelRow.item_id)
            .where(col(LabelRow.reviewer) == actor.name, col(QueueItem.queue) == queue_name)
            .order_by(col(LabelRow.id).desc())
            .limit(1)
        ).first()
        if newest is None:
            return None
        given, item = newest
        row = _row(open_session, queue_name)
        if given.case_id and (made := open_session.get(CaseRow, (row.dataset, given.case_id))):
            open_session.delete(made)
        item.state, item.locked_until = "open", now() + LOCK
        taken_back = _label(given)
        open_session.delete(given)
        audit.append(open_session, actor, "label", given.run_id, {"taken back": given.value})
        facts.refresh(open_session, [taken_back.run_id])
        return taken_back


def skip(actor: Actor, item_id: int) -> None:
    """Put an item at the end of its queue and free it."""
    require(actor, "label")
    with session() as open_session:
        item = open_session.get(QueueItem, item_id)
        if item is None:
            raise NotFound(f"There is no item {item_id} to skip.")
        if item.reviewer == actor.name and item.state == "open":
            top = (
                open_session.exec(select(func.max(QueueItem.position)).where(QueueItem.queue == item.queue)).one() or 0
            )
            item.position, item.reviewer, item.locked_until = top + 1, "", None


def labels(run_id: str = "", queue_name: str = "") -> list[Label]:
    """The labels of a run or a queue (default: all), oldest first."""
    query = select(LabelRow).order_by(col(LabelRow.id))
    if run_id:
        query = query.where(LabelRow.run_id == run_id)
    if queue_name:
        query = query.where(col(LabelRow.item_id).in_(select(QueueItem.id).where(QueueItem.queue == queue_name)))
    with session() as open_session:
        return [_label(row) for row in open_session.exec(query)]


def save(
    actor: Actor,
    run_id: str,
    dataset: str,
    *,
    contains: str = "",
    outcome: str = "",
    reply: str = "",
    kept: Sequence[Mock] = (),
) -> Case:
    """Make a stored run a case of a dataset, with the mocks in `kept`; returns the case.

    It expects the run's outcome, agent and tools again, or, where one is given, the right `outcome`, what the reply
    must contain, or the right `reply`; a reply that is the run's own, spaces aside, must stay.
    Raises Refused, NotFound, or Invalid for a name or an outcome that cannot be used.
    """
    require(actor, "edit a dataset")
    with session() as open_session:
        record = _record(open_session, run_id)
        same = reply.split() == str(record["reply"]).split()
        value = "bad" if contains.strip() or outcome or (reply.strip() and not same) else "good"
        made = _case(record, value, contains=contains, outcome=outcome, reply=reply, kept=kept)
        add(open_session, actor, dataset, [made], purpose="Cases from runs.", run_id=run_id)
        return made


def _record(open_session: Session, run_id: str) -> dict[str, Any]:
    return query.body(open_session, run_id)


def _case(
    record: Mapping[str, Any], value: str, *, contains: str, outcome: str, kept: Sequence[Mock], reply: str = ""
) -> Case:
    if value == "good":
        called = [c for c in record["calls"] if c["kind"] == "tool" and not c["error"]]
        expected = Expected(
            outcome=record["outcome"],
            agent=record["agent"],
            tools=tuple(ExpectedTool(name=c["name"], arguments=_arguments(c)) for c in called) or None,
            reply=reply.strip() or None,
        )
    else:
        if not contains.strip() and not outcome and not reply.strip():
            raise Invalid(
                "A bad run makes a case only if you say what should have happened.",
                remedy="Choose the right outcome, or words that the reply must contain; or do not make a case.",
            )
        if outcome and outcome not in OUTCOMES:
            raise Invalid(f"{outcome!r} is not an outcome.", remedy=f"Use one of {', '.join(OUTCOMES)}.")
        expected = Expected.model_validate(
            {"contains": contains.strip() or None, "outcome": outcome or None, "reply": reply.strip() or None}
        )
    items = record["input"]
    if len(items) == 1:
        given: str | tuple[dict[str, str], ...] = record["question"]
    else:
        given = tuple(_message(one) for one in items if _message(one)["content"])
    return Case.model_validate(
        {
            "id": new_id(),
            "input": given,
            "expected": expected.model_dump(exclude_none=True),
            "tags": ("labelled", record["flow"]),
            "polarity": "must-stay" if value == "good" else "must-not-repeat",
            "mocks": tuple(kept),
        }
    )


def _arguments(call: dict[str, str]) -> dict[str, object] | None:
    """The arguments that a repeated call must have; free texts are left out, because they may be worded otherwise."""
    kept = {k: v for k, v in json.loads(call["arguments"] or "{}").items() if not (isinstance(v, str) and " " in v)}
    return kept or None


def _message(item: dict[str, object]) -> dict[str, str]:
    content = item.get("content", "")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    role = str(item.get("role", ""))
    return {"role": role, "content": str(content) if role in ("user", "assistant") else ""}


def _row(open_session: Session, name: str) -> Row:
    row = open_session.get(Row, name)
    if row is None:
        raise NotFound(f"There is no labelling queue called {name}.")
    return row


def _queue(open_session: Session, row: Row) -> Queue:
    counts = dict(
        open_session.exec(
            select(QueueItem.state, func.count()).where(QueueItem.queue == row.name).group_by(QueueItem.state)
        ).all()
    )
    criterion = _criterion(row.criteria[0])
    return Queue(
        row.name,
        row.purpose,
        row.instructions,
        criterion,
        row.dataset,
        counts.get("open", 0),
        counts.get("labelled", 0),
    )


def _plain(criterion: Criterion) -> dict[str, object]:
    return {
        "name": criterion.name,
        "question": criterion.question,
        "choices": [{"key": c.key, "value": c.value, "title": c.title} for c in criterion.choices],
    }


def _criterion(body: dict[str, object]) -> Criterion:
    choices = body["choices"]
    assert isinstance(choices, list)  # noqa: S101  (written by _plain)
    return Criterion(str(body["name"]), str(body["question"]), tuple(Choice(**one) for one in choices))


def _item(row: QueueItem) -> Item:
    return Item(row.id or 0, row.queue, row.run_id, row.reason)


def _label(row: LabelRow) -> Label:
    return Label(row.item_id, row.run_id, row.reviewer, row.criterion, row.value, row.note, row.case_id, row.at)
