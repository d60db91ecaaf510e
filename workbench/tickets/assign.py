"""The topic of one ticket as a person sets it: it holds against what the help desk and machines say, and can be undone.

It is kept with the changes of topics, so that a ticket whose words or file change gets it again when topics are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from sqlmodel import Session, col, select

from workbench import access, store
from workbench.errors import Conflict, Invalid, NotFound
from workbench.store.tables import TopicChange
from workbench.tickets import enrich, manifest, merge, publish, topics
from workbench.tickets.columns import ENRICHED
from workbench.tickets.manifest import FILE, Part
from workbench.tickets.topics import TICKET, Change

NO_TOPIC = 0
"""The number of no topic at all."""
Found = tuple[int | None, str | None]
"""A ticket's topic by its number, and by what it was found."""


def assign(actor: access.Actor, ticket_id: str, number: int) -> None:
    """Put a ticket under a topic, or under none with `NO_TOPIC`. Raises Refused, NotFound, or Invalid for a topic that is
    not in use or the one that it has by a person already."""
    access.require(actor, "edit topics")
    name = "no topic"
    if number != NO_TOPIC:
        one = topics.topic(number)
        if not one.seen:
            raise Invalid(f"“{one.name}” is no live topic.", remedy="Choose another topic.")
        name = f"“{one.name}”"
    what = f"put ticket {ticket_id} under {name}"
    after: Found = (number, f"person:{actor.name}")

    def keep(before: Found) -> Callable[[Session], None]:
        if before == after:
            raise Invalid(f"A person has {what} already.", remedy="Choose another topic.")
        row = TopicChange(what=what, before=_plain(ticket_id, before), after=_plain(ticket_id, after), by=actor.name)
        return lambda session: session.add(row)

    _set(actor, ticket_id, after, what, keep)


def undo(actor: access.Actor, row: TopicChange, mark: Callable[[Session], None]) -> None:
    """Take back a person's word on a ticket; `mark` writes down that it is. Raises Refused, NotFound where the ticket is
    gone, or Conflict where somebody set its topic again."""
    access.require(actor, "edit topics")
    ticket_id, before, after = str(row.after[TICKET]["id"]), _found(row.before), _found(row.after)

    def same(now: Found) -> Callable[[Session], None]:
        if now != after:
            raise Conflict(
                f"The topic of ticket {ticket_id} was set again since.", remedy="Undo the later change first."
            )
        return mark

    _set(actor, ticket_id, before, f"undid: {row.what}", same)


def last(ticket_id: str) -> Change | None:
    """The change by which a person set the topic of a ticket; None where its topic is not a person's."""
    mine = [row for row in _changes() if row.after[TICKET]["id"] == ticket_id]
    return topics.told(mine[-1]) if mine else None


def by_people() -> dict[str, Found]:
    """What people said of tickets' topics: by ticket, the topic and who."""
    return {str(row.after[TICKET]["id"]): _found(row.after) for row in _changes()}


def _changes() -> list[TopicChange]:
    """The changes of single tickets that hold, oldest first."""
    with store.session() as session:
        query = select(TopicChange).where(col(TopicChange.undone).is_(False)).order_by(col(TopicChange.id))
        return [row for row in session.exec(query) if TICKET in row.after]


def _plain(ticket_id: str, found: Found) -> dict[str, Any]:
    return {TICKET: {"id": ticket_id, "topic": found[0], "how": found[1]}}


def _found(kept: dict[str, Any]) -> Found:
    return kept[TICKET]["topic"], kept[TICKET]["how"]


def _set(
    actor: access.Actor, ticket_id: str, found: Found, what: str, also: Callable[[Found], Callable[[Session], None]]
) -> None:
    """Publish the ticket's month with another topic for it; `also` hears what it had, and says what else is written.

    Raises NotFound where there is no such ticket.
    """
    with publish.staging() as place, publish.writing():
        before = manifest.read()
        now = _place(before.parts, ticket_id)
        if now is None:
            raise NotFound(f"There is no ticket {ticket_id} here.", remedy="It may have been replaced by a later load.")
        write = also(now[2])
        made: dict[str, Part] = {}
        for found_at in (now, _place(before.before, ticket_id)):  # An undone load brings back the earlier part.
            if found_at is not None and found_at[0].file not in made:
                part, row, _had = found_at
                made[part.file] = enrich.rewritten(part, [_answer(part, row, found, place)], place)
        files = [place / one.file for one in made.values()]
        files += merge.rolled_up(place, made.values(), before.rows)
        parts, earlier = ([made.get(one.file, one) for one in listed] for listed in (before.parts, before.before))
        new = replace(before, generation=before.generation + 1, parts=tuple(parts), before=tuple(earlier))
        detail: dict[str, object] = {"ticket": ticket_id, "before": list(now[2]), "after": list(found)}
        publish.put(actor, new, files, verb="edit topics", thing=what, detail=detail, also=write)


def _place(parts: Sequence[Part], ticket_id: str) -> tuple[Part, int, Found] | None:
    """The part of a ticket, its row there, and its topic by what; None where it is in none of them."""
    for part in parts:
        if part.file == FILE:
            raise NotFound("These tickets are from an early version.", remedy="Load them again first.")
        found = "enriched_topic, topic_how" if part.enriched else "NULL, NULL"
        with closing(duckdb.connect(":memory:")) as connection:
            row = connection.execute(
                f"SELECT file_row_number, {found} FROM read_parquet('{_path(part)}', file_row_number=true) "
                "WHERE ticket_id = ? LIMIT 1",
                [ticket_id],
            ).fetchone()
        if row is not None:
            return part, int(row[0]), (row[1], row[2])
    return None


def _answer(part: Part, row: int, found: Found, place: Path) -> Path:
    """A file with what is found of one ticket, its topic as given."""
    target = place / "answer.parquet"
    given = {"enriched_topic": "$topic::INTEGER", "topic_how": "$how::VARCHAR"}
    kept = {name: name if part.enriched else f"NULL::{kind}" for name, kind in ENRICHED.items()}
    columns = ", ".join(f"{value} AS {name}" for name, value in {**kept, **given}.items())
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(
            f"COPY (SELECT file_row_number AS row, {columns} FROM read_parquet('{_path(part)}', file_row_number=true) "
            f"WHERE file_row_number = {row}) TO '{merge.escaped(target)}' (FORMAT parquet)",
            {"topic": found[0], "how": found[1]},
        )
    return target


def _path(part: Part) -> str:
    return merge.escaped(manifest.folder() / part.file)
