"""What lies on a person's desk: what is being written and is not saved yet, so that it is still there after a reload."""

from __future__ import annotations

import json
from typing import Any

from sqlmodel import col, delete, select, update

from workbench.access.people import Actor
from workbench.errors import Invalid
from workbench.store import insert_missing, now, session
from workbench.store.tables import DeskRow

LARGEST = 1_000_000
"""Characters of one thing on a desk, as JSON."""


def put(actor: Actor, place: str, what: Any) -> None:
    """Leave `what`, which can be written as JSON, at a place of the actor's own desk, in place of what lay there.

    Raises Invalid where it is too large.
    """
    body = {"what": what}
    if len(json.dumps(body)) > LARGEST:
        raise Invalid("This is too large to be kept for you while you write.", remedy="Save it, or make it shorter.")
    with session() as open_session:
        key = {"person": actor.name, "place": place}
        insert_missing(open_session, DeskRow, {**key, "body": body, "at": now()})
        open_session.execute(
            update(DeskRow)
            .where(col(DeskRow.person) == actor.name, col(DeskRow.place) == place)
            .values(body=body, at=now())
        )


def take(actor: Actor, place: str) -> Any:
    """What lies at a place of the actor's own desk; None where nothing does."""
    with session() as open_session:
        row = open_session.exec(select(DeskRow).where(DeskRow.person == actor.name, DeskRow.place == place)).first()
        return None if row is None else row.body.get("what")


def clear(actor: Actor, place: str) -> None:
    """Take away what lies at a place of the actor's own desk."""
    with session() as open_session:
        open_session.execute(delete(DeskRow).where(col(DeskRow.person) == actor.name, col(DeskRow.place) == place))
