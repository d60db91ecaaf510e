"""What belongs to a run elsewhere: its ticket, and the other runs of its conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench import traces
from workbench.errors import NotFound, Unavailable
from workbench.tickets import source

MOST = 100
"""So many runs of one conversation are told."""


@dataclass(frozen=True)
class Ticket:
    """The ticket that a run answered."""

    id: str
    subject: str
    topic: str
    status: str


@dataclass(frozen=True)
class Place:
    """Where a run stands among those of its conversation, the oldest first; `number` counts from 1."""

    runs: tuple[traces.Run, ...]
    number: int

    @property
    def before(self) -> traces.Run | None:
        """The run before it."""
        return self.runs[self.number - 2] if self.number > 1 else None

    @property
    def after(self) -> traces.Run | None:
        """The run after it."""
        return self.runs[self.number] if 0 < self.number < len(self.runs) else None


def ticket(run_id: str) -> Ticket | None:
    """The ticket whose run this is; None where there is none, or no tickets can be read."""
    sql = "select ticket_id, subject, topic, status from ticket where run_id = $run limit 1"
    try:
        rows = source.fetch(sql, {"run": run_id})
    except (NotFound, Unavailable):
        return None
    if rows.empty:
        return None
    told = {str(name): "" if value is None or value != value else str(value) for name, value in rows.iloc[0].items()}
    return Ticket(told["ticket_id"], told["subject"], told["topic"], told["status"])


def place(record: Mapping[str, Any]) -> Place:
    """The runs of the conversation of a run, the oldest first, and where it stands among them."""
    found = traces.find(conversation=record["conversation"], limit=MOST)
    runs = tuple(sorted(found, key=lambda one: (one.started_at, one.id)))
    return Place(runs, next((n for n, one in enumerate(runs, 1) if one.id == record["id"]), 0))
