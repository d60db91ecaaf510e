"""The audit trail: append-only and hash-chained, written in the transaction of the change itself."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from workbench.access.people import Actor
from workbench.store.engine import session
from workbench.store.tables import AuditEntry, AuditHead, now

GENESIS = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """Whether the chain holds; `broken_at` is the id of the first entry that does not fit."""

    entries: int
    broken_at: int | None = None

    @property
    def intact(self) -> bool:
        """Whether every entry fits."""
        return self.broken_at is None


def append(open_session: Session, actor: Actor, verb: str, thing: str, detail: dict[str, Any] | None = None) -> None:
    """Add one entry inside the caller's transaction; it commits or vanishes with the change."""
    head = _claim_head(open_session)
    entry = AuditEntry(
        at=now(),
        actor=actor.name,
        role=actor.role,
        verb=verb,
        thing=thing,
        detail=detail or {},
        previous=head,
        digest="",
    )
    entry.digest = _digest(entry)
    open_session.add(entry)
    open_session.execute(
        update(AuditHead).where(col(AuditHead.id) == 1).values(digest=entry.digest, entries=AuditHead.entries + 1)
    )


def lock(open_session: Session) -> None:
    """Let no other change be written until this transaction ends, so that what is read next is still true at its end."""
    _claim_head(open_session)


def newest(limit: int = 50) -> list[AuditEntry]:
    """The newest entries, newest first."""
    with session() as open_session:
        return list(open_session.exec(select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)))


def verify() -> Verdict:
    """Recompute the whole chain: an edited, removed or inserted row is found."""
    with session() as open_session:
        previous, entries = GENESIS, 0
        for entry in open_session.exec(select(AuditEntry).order_by(col(AuditEntry.id))):
            if entry.previous != previous or entry.digest != _digest(entry):
                return Verdict(entries=entries, broken_at=entry.id)
            previous, entries = entry.digest, entries + 1
        head = open_session.get(AuditHead, 1)
        if head is not None and (head.digest != previous or head.entries != entries):
            return Verdict(entries=entries, broken_at=entries + 1)
        return Verdict(entries=entries)


def _claim_head(open_session: Session) -> str:
    """The newest digest, locked until the transaction ends, so that two writers cannot follow the same entry."""
    claimed = open_session.execute(
        update(AuditHead).where(col(AuditHead.id) == 1).values(id=1).execution_options(synchronize_session=False)
    )
    if claimed.rowcount == 0:  # type: ignore[attr-defined]
        open_session.add(AuditHead(id=1, digest=GENESIS, entries=0))
        open_session.flush()
        return GENESIS
    return open_session.exec(
        select(AuditHead.digest).where(AuditHead.id == 1).execution_options(populate_existing=True)
    ).one()


def _digest(entry: AuditEntry) -> str:
    at = entry.at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    body = [at, entry.actor, entry.role, entry.verb, entry.thing, entry.detail, entry.previous]
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
