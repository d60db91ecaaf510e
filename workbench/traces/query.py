"""Finding and reading runs, and flagging them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.runtime import Conversation
from workbench.store import session, unpack
from workbench.store.tables import Flag as FlagRow
from workbench.store.tables import HeldRun, RunBody, TracePart
from workbench.store.tables import Run as Row
from workbench.traces import facts, foreign, masking, search
from workbench.traces.filters import Filters
from workbench.traces.otlp import Span

IMPORTED = "imported"
"""The source of runs that came from a file. Nobody goes on with their conversations: a file may say anything."""
ELSEWHERE = (IMPORTED, foreign.SOURCE)
"""The sources of runs that did not happen here: they are read, and no conversation goes on from them."""


@dataclass(frozen=True)
class Run:
    """A run as lists show it. Times are UTC, `seconds` wall time, `usd` None where the price is not known."""

    id: str
    flow: str
    version: str
    digest: str
    source: str
    conversation: str
    started_at: dt.datetime
    seconds: float
    outcome: str
    agent: str
    question: str
    reply: str
    error: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None


@dataclass(frozen=True)
class Flag:
    """A remark that a run deserves a look."""

    run_id: str
    reason: str
    person: str
    at: dt.datetime


def find(
    *,
    flow: str = "",
    outcome: str = "",
    source: str = "",
    words: str = "",
    since: dt.datetime | None = None,
    flagged: bool = False,
    conversation: str = "",
    without: Sequence[str] = (),
    limit: int = 50,
) -> list[Run]:
    """The newest runs that fit every given filter, newest first. `words` is looked for in question and reply.

    Runs of the sources `without` are left out.
    """
    wanted = Filters(
        flow=(flow,) if flow else (),
        outcome=(outcome,) if outcome else (),
        source=(source,) if source else (),
        words=words[:2000],
        since=since,
        flagged=flagged,
        customer=conversation,
    )
    return listed(search.page(wanted, limit=limit, without=without))


def listed(page: search.Page) -> list[Run]:
    """The runs of a page."""
    return [Run(**one.run) for one in page.rows]


def run(run_id: str) -> Run:
    """The run with this id. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(Row, run_id)
    if row is None:
        raise NotFound(
            f"There is no run {run_id}.",
            remedy="It may have been deleted, or belong to another workspace. Look for it among the runs.",
        )
    return _run(row)


def record(run_id: str) -> dict[str, Any]:
    """The whole record of a run. Raises NotFound."""
    with session() as open_session:
        return body(open_session, run_id)


def body(open_session: Session, run_id: str) -> dict[str, Any]:
    """The whole record of a run, inside a transaction. Raises NotFound."""
    row = open_session.get(RunBody, run_id)
    if row is not None:
        return dict(unpack(row.body))
    resource, spans, redacted = trace(open_session, run_id)
    if not spans:
        raise NotFound(
            f"There is no run {run_id}.",
            remedy="It may have been deleted, or belong to another workspace. Look for it among the runs.",
        )
    return foreign.record(run_id.removeprefix("run_"), resource, spans, redacted)


def trace(open_session: Session, run_id: str) -> tuple[dict[str, Any], list[Span], dict[str, int]]:
    """What another program said of a run: its resource, the spans, and how much was masked; no spans where it is ours."""
    parts = open_session.exec(select(TracePart.body).where(TracePart.run_id == run_id).order_by(col(TracePart.id)))
    return foreign.unpacked(run_id.removeprefix("run_"), parts)


def waiting(run_id: str) -> dict[str, Any]:
    """What a held run needs to go on: its record, not masked while people decide. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(HeldRun, run_id)
        if row is not None:
            return dict(unpack(row.body))
    return record(run_id)


def conversation(conversation_id: str) -> Conversation:
    """A stored conversation, so that a next run can go on with it. Only runs that happened here count.

    Raises NotFound, also where all its runs came from a file or another program.
    """
    newest = find(conversation=conversation_id, without=ELSEWHERE, limit=1)
    if not newest:
        raise NotFound(
            f"There is no conversation {conversation_id} that can go on here.",
            remedy="Runs that came from a file or another program can be read, but nobody goes on with them.",
        )
    body = record(newest[0].id)
    items = [*body["input"]]
    if body["outcome"] == "blocked":
        items.pop()
    elif body["reply"]:
        items.append({"role": "assistant", "content": body["reply"]})
    return Conversation(id=conversation_id, items=tuple(items), agent=body["agent"])


def ids(flow: str = "") -> list[str]:
    """The ids of all stored runs, oldest first."""
    query = select(Row.id).order_by(Row.started_at, Row.id)  # type: ignore[arg-type]
    with session() as open_session:
        return list(open_session.exec(query.where(Row.flow == flow) if flow else query))


def count() -> int:
    """How many runs are stored."""
    with session() as open_session:
        return int(open_session.exec(select(func.count()).select_from(Row)).one())


def flow_names() -> list[str]:
    """The flows that have runs."""
    with session() as open_session:
        return list(open_session.exec(select(Row.flow).distinct().order_by(Row.flow)))


def flag(actor: Actor, run_id: str, reason: str) -> Flag:
    """Flag a run with a reason, which is masked as the run is. Raises Refused, NotFound, or Invalid for an empty reason."""
    require(actor, "flag a run")
    if not reason.strip():
        raise Invalid("A flag needs a reason.", remedy="Say in a few words what is wrong or worth a look.")
    with session() as open_session:
        run = open_session.get(Row, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id}.")
        masked = masking.masker(run.conversation).text(reason.strip())
        row = FlagRow(run_id=run_id, reason=masked[:500], person=actor.name)
        open_session.add(row)
        audit.append(open_session, actor, "flag a run", run_id, {"reason": row.reason})
        facts.refresh(open_session, [run_id])
        return _flag(row)


def flags(run_ids: Sequence[str] | None = None) -> list[Flag]:
    """The flags of these runs (default: all), oldest first."""
    query = select(FlagRow).order_by(col(FlagRow.at), col(FlagRow.id))
    if run_ids is not None:
        query = query.where(col(FlagRow.run_id).in_(list(run_ids)))
    with session() as open_session:
        return [_flag(row) for row in open_session.exec(query)]


def _run(row: Row) -> Run:
    return Run(**row.model_dump())


def _flag(row: FlagRow) -> Flag:
    return Flag(row.run_id, row.reason, row.person, row.at)
