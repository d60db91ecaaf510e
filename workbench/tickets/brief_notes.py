"""What people write under a brief: one text for each week or day, every version of it kept with author and time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import col, select

from workbench import store
from workbench.access import Actor, audit, require
from workbench.errors import Invalid
from workbench.store.engine import changed_elsewhere
from workbench.store.tables import BriefNote as Row
from workbench.tickets.weeks import Period

LONGEST = 8000


@dataclass(frozen=True)
class Note:
    """One version of the text under a brief. `number` counts from 1; the newest is shown."""

    number: int
    text: str
    author: str
    at: dt.datetime


NOTHING = Note(0, "", "", dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
"""The text of a brief under which nobody has written."""


def note(period: Period) -> Note:
    """The text under the brief of a period as it is now."""
    return next(iter(versions(period)), NOTHING)


def versions(period: Period) -> list[Note]:
    """Every version of it, the newest first."""
    query = select(Row).where(Row.period == period.name).order_by(col(Row.number).desc())
    with store.session() as session:
        return [Note(row.number, row.text, row.author, row.at) for row in session.exec(query)]


def write(actor: Actor, period: Period, text: str, *, seen: int) -> Note:
    """Put `text` under the brief; `seen` is the number of the version that the person had before their eyes.

    Raises Refused, Invalid for a text that is too long, or Conflict where somebody else wrote meanwhile.
    """
    require(actor, "write under a brief")
    kept = text.strip().replace("\x00", "")
    if len(kept) > LONGEST:
        raise Invalid(f"Notes have at most {LONGEST:,} characters.", remedy="Shorten them.")
    with store.session() as session:
        audit.lock(session)
        newest = select(Row).where(Row.period == period.name).order_by(col(Row.number).desc()).limit(1)
        last = session.exec(newest).first()
        if (last.number if last else 0) != seen:
            raise changed_elsewhere(f"The text under the brief of {period.said}")
        if last is not None and last.text == kept:
            return Note(last.number, last.text, last.author, last.at)
        row = Row(period=period.name, number=seen + 1, text=kept, author=actor.name)
        session.add(row)
        audit.append(session, actor, "write under a brief", period.name, {"version": row.number})
        return Note(row.number, row.text, row.author, row.at)
