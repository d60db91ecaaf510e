"""The ledger of a run that goes on after a decision: each call that may change something is claimed before it is made.

An approved call is claimed on its approval. Any other is claimed by its tool, its arguments and how often the same call was
made: an attempt that comes after a crash asks the model anew, and gets the same call under another id.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from workbench.errors import Invalid, Refused
from workbench.runtime.record import ToolCall
from workbench.runtime.spec import canonical
from workbench.store import session
from workbench.store.tables import Approval, Claim


class Claims:
    """The ledger of one attempt to go on with a held run."""

    def __init__(self, run_id: str) -> None:
        self._run = run_id
        self._lock = threading.Lock()
        self._made: Counter[tuple[str, str]] = Counter()
        self._claimed: dict[str, int] = {}

    def begin(self, call: ToolCall) -> Mapping[str, Any] | None:
        """Claim a call. Returns its answer where it was executed before.

        Raises Refused where it is being executed, or was when its process died; Invalid where it failed before.
        """
        state, answer, error = self._approved(call) or self._other(call)
        if state == "claimed":
            return None
        if state == "done":
            return {"output": answer}
        if state == "failed":
            raise Invalid(error)
        raise Refused(f"{call.name} was begun before and may have taken effect; it was not called again.")

    def end(self, call: ToolCall) -> None:
        """Keep what the call came to."""
        values = {"state": "failed", "error": call.error} if call.error else {"state": "done", "answer": call.output}
        with session() as open_session:
            if call.call_id in self._claimed:
                mine = col(Claim.id) == self._claimed[call.call_id]
                open_session.execute(update(Claim).where(mine, col(Claim.state) == "executing").values(**values))
            else:
                _end(open_session, self._run, call.call_id, values)

    def _approved(self, call: ToolCall) -> tuple[str, str, str] | None:
        """The claim on the approval of a call; None where nobody was asked about it."""
        if not call.decided:
            return None
        with session() as open_session:
            changed = open_session.execute(
                update(Approval)
                .where(col(Approval.run_id) == self._run, col(Approval.call_id) == call.call_id)
                .where(col(Approval.state) == "approved")
                .values(state="executing")
            )
            if changed.rowcount == 1:  # type: ignore[attr-defined]
                return "claimed", "", ""
            asked = select(Approval).where(Approval.run_id == self._run, Approval.call_id == call.call_id)
            row = open_session.exec(asked).one_or_none()
        return None if row is None else (row.state, row.answer, row.error)

    def _other(self, call: ToolCall) -> tuple[str, str, str]:
        """The claim on a call about which nobody was asked."""
        arguments = hashlib.sha256(canonical(call.given).encode()).hexdigest()
        with self._lock:
            self._made[call.name, arguments] += 1
            number = self._made[call.name, arguments]
        claim = Claim(run_id=self._run, tool=call.name, arguments=arguments, number=number)
        try:
            with session() as open_session:
                open_session.add(claim)
                open_session.flush()
                self._claimed[call.call_id] = int(claim.id or 0)
        except IntegrityError:
            same = (Claim.run_id == self._run, Claim.tool == call.name, Claim.arguments == arguments)
            with session() as open_session:
                row = open_session.exec(select(Claim).where(*same, Claim.number == number)).one()
            return row.state, row.answer, row.error
        return "claimed", "", ""


def settle(open_session: Session, run_id: str, record: Mapping[str, Any]) -> None:
    """Keep the answers of calls that could not be kept when they were made, in the transaction that stores the run."""
    for call in record["calls"]:
        if call["kind"] == "tool" and call["done"] and not call["error"] and not call["replayed"]:
            _end(open_session, run_id, call["call_id"], {"state": "done", "answer": call["output"]})


def _end(open_session: Session, run_id: str, call_id: str, values: Mapping[str, str]) -> None:
    mine = (col(Approval.run_id) == run_id, col(Approval.call_id) == call_id)
    open_session.execute(update(Approval).where(*mine, col(Approval.state) == "executing").values(**values))
