"""What held runs ask people for, stored with the run."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from workbench.runtime.release import Release
from workbench.store.tables import Approval as Row

SILENT = ("experiment", "replay", "sample", "imported")
"""Sources whose held runs ask nobody: they are trials, or belong to another workplace."""


def asks_people(record: Mapping[str, Any], source: str) -> bool:
    """Whether a run of this source waits for people to decide."""
    return record["outcome"] == "held" and source not in SILENT


def ask(open_session: Session, record: Mapping[str, Any], release: Release) -> None:
    """Store what a held run waits for, in the transaction that stores the run."""
    rules, asked = release.spec.approvals, dt.datetime.fromisoformat(record["started_at"])
    for call in record["waiting"]:
        open_session.add(
            Row(
                id=f"appr_{digest(record['id'], call['call_id'])}",
                run_id=record["id"],
                call_id=call["call_id"],
                flow=record["flow"],
                digest=record["digest"],
                tool=call["tool"],
                arguments=call["arguments"] or "{}",
                asked_by=record.get("person", ""),
                asked_at=asked,
                expires_at=asked + dt.timedelta(hours=rules.hours),
                another=rules.another,
            )
        )


def digest(*parts: str) -> str:
    """A short name for what `parts` name together: the same parts, the same name."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
