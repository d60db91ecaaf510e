"""Questions whose reading a person has checked: the same words are read so again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from sqlmodel import col, delete, select, update

from workbench import access, store
from workbench.errors import Invalid
from workbench.store.tables import VerifiedQuestion as Row
from workbench.tickets import ask, trends


@dataclass(frozen=True)
class Verified:
    """A question as it was asked, what it means, and who checked that, when (UTC)."""

    text: str
    question: ask.Question
    by: str
    at: dt.datetime


@dataclass(frozen=True)
class Read:
    """What a question was taken for, and who checked that reading; None where nobody did."""

    reading: ask.Reading
    verified: Verified | None


def read(text: str) -> Read:
    """What `text` asks of the current tickets: as somebody checked it, or by the grammar.

    Words for a time are read anew, so that `last week` stays the last week. Raises NotFound where there are no tickets.
    """
    reading = ask.read(text, trends.facets(), trends.freshness().last.date())
    kept = find(text)
    if kept is None:
        return Read(reading, None)
    question = kept.question
    if reading.question and reading.relative:
        question = replace(question, start=reading.question.start, end=reading.question.end)
    return Read(replace(reading, question=question, refused="", remedy=""), kept)


def keep(actor: access.Actor, text: str, question: ask.Question) -> Verified:
    """Say that `text` means `question`, from now on for everybody. Raises Refused, or Invalid where nothing was asked."""
    access.require(actor, "keep a question")
    if not (words := ask.key(text)) or len(text) > ask.LONGEST:
        raise Invalid("There is no question to keep.", remedy=f"Ask one of at most {ask.LONGEST} characters.")
    at = store.now()
    body = {"asked": text.strip(), "question": question.plain, "checked_by": actor.name, "at": at}
    with store.session() as session:
        store.insert_missing(session, Row, {"words": words, **body})
        session.execute(update(Row).where(col(Row.words) == words).values(**body))
        access.audit.append(session, actor, "keep a question", text.strip(), {"question": question.plain})
    return Verified(text.strip(), question, actor.name, at)


def forget(actor: access.Actor, text: str) -> None:
    """Read `text` by the grammar again. Raises Refused."""
    access.require(actor, "keep a question")
    with store.session() as session:
        session.execute(delete(Row).where(col(Row.words) == ask.key(text)))
        access.audit.append(session, actor, "keep a question", text.strip(), {"question": None})


def find(text: str) -> Verified | None:
    """What somebody checked that `text` means; None where nobody did, or where it means nothing any more."""
    with store.session() as session:
        row = session.get(Row, ask.key(text))
        return None if row is None else _verified(row)


def everything() -> list[Verified]:
    """All checked questions, the newest first."""
    with store.session() as session:
        rows = session.exec(select(Row).order_by(col(Row.at).desc(), Row.words))
        return [one for row in rows if (one := _verified(row))]


def _verified(row: Row) -> Verified | None:
    try:
        return Verified(row.asked, ask.of(row.question), row.checked_by, row.at)
    except Invalid:
        return None
