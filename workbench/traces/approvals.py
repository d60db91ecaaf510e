"""Approvals: tool calls that wait for a person. A decision is claimed once; an approved call is executed once.

A call goes from `waiting` to `approved` or `rejected` (or `expired`), and an approved one to `executing` and then `done`
or `failed`. One that was executing when its process died is `unclear`: it may have taken effect, so nobody repeats it
but a person who has looked. Where a run could not go on after the decisions (`trouble`), a person lets it go on again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, update
from sqlmodel import Session, col, func, select

from workbench import flows, jobs, runtime
from workbench.access import Actor, audit, may, require
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.runtime.redaction import Masker
from workbench.runtime.release import Release
from workbench.store import now, session
from workbench.store.tables import Approval as Row
from workbench.store.tables import Claim, HeldRun, Job
from workbench.traces import capture, claims, masking, query
from workbench.traces.asked import digest

KIND = "approval"
STATES = ("waiting", "approved", "rejected", "expired", "executing", "done", "failed", "unclear")
NOBODY = "nobody"


@dataclass(frozen=True)
class Approval:
    """A call that waits, or waited, for a person. `result_run` is the run that went on after the decision; `trouble`
    says why it could not go on.
    """

    id: str
    run_id: str
    call_id: str
    flow: str
    tool: str
    arguments: Mapping[str, Any]
    state: str
    asked_by: str
    asked_at: dt.datetime
    expires_at: dt.datetime
    another: bool
    decided_by: str
    decided_at: dt.datetime | None
    message: str
    answer: str
    error: str
    job_id: str
    result_run: str
    trouble: str

    @property
    def open(self) -> bool:
        """Whether a person can still decide."""
        return self.state == "waiting"


def find(*, state: str = "", flow: str = "", run_id: str = "", limit: int = 200) -> list[Approval]:
    """Approvals, the oldest that wait first, then the newest decided."""
    waits = col(Row.state) == "waiting"
    asked = select(Row).order_by(~waits, case((waits, col(Row.asked_at))), col(Row.decided_at).desc()).limit(limit)
    stored = "executing" if state == "unclear" else state
    for column, value in ((Row.state, stored), (Row.flow, flow), (Row.run_id, run_id)):
        asked = asked.where(col(column) == value) if value else asked
    with session() as open_session:
        rows = [_approval(open_session, row) for row in open_session.exec(asked)]
    return [one for one in rows if not state or one.state == state]


def approval(identity: str) -> Approval:
    """The approval with this id. Raises NotFound."""
    with session() as open_session:
        return _approval(open_session, _row(open_session, identity))


def decide(actor: Actor, identity: str, *, approved: bool, message: str = "") -> Approval:
    """Allow or reject a call. The run goes on as a job once each of its calls is decided: hand `job_id` to `jobs.start`.

    Raises Refused for who may not, or who asked for it and may not decide about an own call; NotFound; Conflict where
    it was decided meanwhile or has expired. Then nothing is changed.
    """
    require(actor, "decide an approval")
    message = message.strip()
    if not approved and not message:
        raise Invalid("A rejection needs a reason: the model tells it to the customer.", remedy="Write a sentence.")
    with session() as open_session:
        audit.lock(open_session)
        row = _row(open_session, identity)
        _no_own(actor, row)
        _claim(
            open_session, identity, "waiting", "approved" if approved else "rejected", by=actor.name, message=message
        )
        words = {"approved": approved, "run": row.run_id, "tool": row.tool}
        audit.append(open_session, actor, "decide an approval", identity, words)
        _go_on(open_session, row.run_id, actor)
        open_session.flush()
        open_session.expire_all()
        return _approval(open_session, _row(open_session, identity))


def soonest() -> dt.datetime | None:
    """When the next approval that waits expires; None where none waits."""
    with session() as open_session:
        return open_session.exec(select(func.min(Row.expires_at)).where(col(Row.state) == "waiting")).one()


def expire() -> list[str]:
    """Close what nobody decided in time; the ids of the jobs in which those runs go on, to hand to `jobs.start`.

    Of several processes that do it at once, one closes a call and gets its job.
    """
    begun: list[str] = []
    first = soonest()
    if first is None or first > now():
        return []
    with session() as open_session:
        audit.lock(open_session)
        due = open_session.exec(select(Row).where(Row.state == "waiting", col(Row.expires_at) <= now())).all()
        system = Actor(NOBODY, "admin")
        for row in due:
            hours = (row.expires_at - row.asked_at).total_seconds() / 3600
            changed = open_session.execute(
                update(Row)
                .where(col(Row.id) == row.id, col(Row.state) == "waiting")
                .values(state="expired", decided_at=now(), message=f"nobody decided within {hours:g} hours")
            )
            if changed.rowcount:  # type: ignore[attr-defined]
                audit.append(open_session, system, "decide an approval", row.id, {"expired": True})
        for run_id in dict.fromkeys(row.run_id for row in due):
            begun += _go_on(open_session, run_id, system)
    return begun


def settle(actor: Actor, identity: str, *, happened: bool, answer: str = "") -> Approval:
    """Say what became of a call that was under way when its process died: it happened (with its answer), or do it again.

    The run goes on anew from where it was held, in a new job. Raises Refused as `decide` does, NotFound, or Conflict where
    the call is not unclear.
    """
    require(actor, "decide an approval")
    with session() as open_session:
        audit.lock(open_session)
        row = _row(open_session, identity)
        _no_own(actor, row)
        if _approval(open_session, row).state != "unclear":
            raise Conflict(f"The call {row.tool} is not unclear any more.", remedy="Reload the page.")
        values = {"state": "done", "answer": answer or "{}"} if happened else {"state": "approved"}
        changed = open_session.execute(
            update(Row).where(col(Row.id) == identity, col(Row.state) == "executing").values(job_id="", **values)
        )
        if not changed.rowcount:  # type: ignore[attr-defined]
            raise Conflict(f"The call {row.tool} is not unclear any more.", remedy="Reload the page.")
        audit.append(open_session, actor, "decide an approval", identity, {"happened": happened})
        return _anew(open_session, row, actor)


def again(actor: Actor, identity: str) -> Approval:
    """Let a run go on that could not after its decisions: hand `job_id` to `jobs.start`.

    What it did before is not repeated. Raises Refused, NotFound, or Conflict where it has gone on meanwhile.
    """
    require(actor, "decide an approval")
    with session() as open_session:
        audit.lock(open_session)
        row = _row(open_session, identity)
        if not _approval(open_session, row).trouble:
            raise Conflict("This run has gone on meanwhile.", remedy="Reload the page.")
        audit.append(open_session, actor, "decide an approval", identity, {"again": True})
        return _anew(open_session, row, actor)


def _anew(open_session: Session, row: Row, actor: Actor) -> Approval:
    """A new job in which the run goes on from where it was held; what was stored of it before stays a run of its own."""
    open_session.execute(update(Row).where(col(Row.run_id) == row.run_id).values(job_id="", result_run=""))
    _go_on(open_session, row.run_id, actor)
    open_session.flush()
    open_session.expire_all()
    return _approval(open_session, _row(open_session, row.id))


def _no_own(actor: Actor, row: Row) -> None:
    if row.another and row.asked_by == actor.name and not may(actor, "decide an own approval"):
        raise Refused(
            "Somebody else must decide about a call that your own run asks for.",
            remedy="Ask a colleague, or act as manager.",
        )


def _go_on(open_session: Session, run_id: str, actor: Actor) -> list[str]:
    """Store the job in which a run goes on, once every one of its calls is decided."""
    open_session.flush()
    rows = open_session.exec(select(Row).where(Row.run_id == run_id).execution_options(populate_existing=True)).all()
    if any(row.state == "waiting" for row in rows) or any(row.job_id for row in rows):
        return []
    job = jobs.row(KIND, f"{rows[0].flow} goes on after a decision", {"run": run_id}, actor, total=1)
    open_session.add(job)
    open_session.execute(update(Row).where(col(Row.run_id) == run_id).values(job_id=job.id))
    return [job.id]


def _claim(open_session: Session, identity: str, before: str, after: str, *, by: str, message: str) -> None:
    changed = open_session.execute(
        update(Row)
        .where(col(Row.id) == identity, col(Row.state) == before, col(Row.expires_at) > now())
        .values(state=after, decided_by=by, decided_at=now(), message=message)
    )
    if not changed.rowcount:  # type: ignore[attr-defined]
        row = _row(open_session, identity)
        who = f" by {row.decided_by}" if row.decided_by else ""
        words = "has expired" if row.state == "waiting" else f"was {row.state} already{who}"
        raise Conflict(f"This call {words}.", remedy="Reload the page.")


def _plan(arguments: dict[str, Any]) -> list[str]:
    return [str(arguments["run"])]


def _work(job: str, _arguments: dict[str, Any], run_id: str) -> int:
    """Go on with a held run: its record answers for the past, the approved calls are claimed one by one."""
    with session() as open_session:
        rows = open_session.exec(select(Row).where(Row.run_id == run_id)).all()
        if rows[0].job_id != job or rows[0].result_run:
            return 1
    record = query.waiting(run_id)
    number = int(record["version"][1:]) if record["version"].startswith("v") else None
    release = flows.frozen(record["digest"], number=number)
    result = asyncio.run(_resume(job, release, record, rows))
    with session() as open_session:
        capture.put(open_session, [(result.record, release)])
        claims.settle(open_session, run_id, result.record)
        open_session.execute(
            update(Row).where(col(Row.run_id) == run_id, col(Row.job_id) == job).values(result_run=result.run_id)
        )
        _forget(open_session, run_id, masking.masker(record["conversation"]))
    return 1


def _forget(open_session: Session, run_id: str, masker: Masker) -> None:
    """Mask what was kept as it was for the people who decided and the tools that were called.

    While it is unclear whether a call happened, it is still needed: the run may have to go on anew. Claims stay, masked:
    a slower process that goes on with the same run must still find them.
    """
    asked = select(Row).where(Row.run_id == run_id).execution_options(populate_existing=True)
    rows = open_session.exec(asked).all()
    if any(row.state == "executing" for row in rows):
        return
    open_session.execute(delete(HeldRun).where(col(HeldRun.run_id) == run_id))
    for row in rows:
        for name in ("arguments", "answer", "error", "message"):
            setattr(row, name, masker.text(getattr(row, name)))
    for claim in open_session.exec(select(Claim).where(Claim.run_id == run_id)):
        claim.answer, claim.error = masker.text(claim.answer), masker.text(claim.error)


async def _resume(job: str, release: Release, record: Mapping[str, Any], rows: Sequence[Row]) -> runtime.Result:
    from workbench.runtime.job import Decision

    decided = [
        Decision(
            call_id=row.call_id,
            tool=row.tool,
            arguments=row.arguments,
            approved=row.state not in ("rejected", "expired"),
            by=row.decided_by or NOBODY,
            message=row.message,
        )
        for row in rows
    ]
    return await runtime.resume(
        release,
        record,
        decided,
        ledger=claims.Claims(record["id"]),
        source="approval",
        environment=record["environment"],
        person=record.get("person", ""),
        run_id=f"run_{digest('resumed', record['id'], job, *(row.state for row in rows))}",
    )


def _row(open_session: Session, identity: str) -> Row:
    row = open_session.get(Row, identity)
    if row is None:
        raise NotFound(f"There is no approval {identity}.")
    return row


def _approval(open_session: Session, row: Row) -> Approval:
    state, trouble = row.state, ""
    asked = bool(row.job_id) and (state == "executing" or not row.result_run)
    job = open_session.get(Job, row.job_id) if asked else None
    if job is not None and job.state in jobs.ENDED:
        state = "unclear" if state == "executing" else state
        trouble = "" if row.result_run or job.state == "done" else job.message or "It was stopped."
    return Approval(
        row.id, row.run_id, row.call_id, row.flow, row.tool, _arguments(row.arguments), state, row.asked_by, row.asked_at,
        row.expires_at, row.another, row.decided_by, row.decided_at, row.message, row.answer, row.error, row.job_id,
        row.result_run, trouble,
    )  # fmt: skip


def _arguments(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return body if isinstance(body, dict) else {"text": str(body)}


jobs.kind(KIND, _plan, _work, verb="decide an approval")
