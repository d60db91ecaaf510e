"""The prompt library: numbered texts that never change."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session, col, select, tuple_

from workbench.access import Actor, Verb, audit, require
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.runtime.release import PromptText
from workbench.store import session
from workbench.store.tables import AuditEntry, Prompt

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
REFERENCE = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")
LONGEST_NAME = 120
LONGEST = 50_000
LONGEST_LINE = 500
"""The longest purpose, owner or note, in characters."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_EDIT: Verb = "edit a prompt"


@dataclass(frozen=True)
class Version:
    """One numbered version of a prompt. `variables` are those it declares: in its file, or by naming them."""

    name: str
    number: int
    text: str
    purpose: str
    owner: str
    variables: tuple[str, ...]
    author: str
    created_at: dt.datetime
    note: str = ""

    @property
    def folder(self) -> str:
        """The part of the name before the last `/`, or nothing."""
        return self.name.rpartition("/")[0]

    @property
    def length(self) -> int:
        """The text's characters."""
        return len(self.text)


def names() -> list[str]:
    """The names of all prompts."""
    with session() as open_session:
        return list(open_session.exec(select(Prompt.name).distinct().order_by(Prompt.name)))


def find(words: str = "") -> list[Version]:
    """The newest version of each prompt whose name, purpose, owner or text holds every one of `words`, by name."""
    newest = select(Prompt.name, func.max(Prompt.number)).group_by(col(Prompt.name))
    query = select(Prompt).where(tuple_(col(Prompt.name), col(Prompt.number)).in_(newest)).order_by(Prompt.name)
    with session() as open_session:
        rows = open_session.exec(query).all()
        wanted = words.casefold().split()
        fit = [row for row in rows if all(word in _searched(row) for word in wanted)]
        notes = _notes(open_session, fit)
    return [_version(row, notes) for row in fit]


def folders() -> list[str]:
    """The folders that hold prompts, by name."""
    return sorted({name.rpartition("/")[0] for name in names()} - {""})


def versions(name: str) -> list[Version]:
    """All versions of `name`, newest first. Raises NotFound."""
    with session() as open_session:
        query = select(Prompt).where(Prompt.name == _readable(name)).order_by(col(Prompt.number).desc())
        rows = open_session.exec(query).all()
        if not rows:
            raise _missing(open_session, name)
        notes = _notes(open_session, rows)
    return [_version(row, notes) for row in rows]


def version(name: str, number: int) -> Version:
    """One version of `name`. Raises NotFound naming the numbers that there are."""
    found = versions(name)
    for one in found:
        if one.number == number:
            return one
    raise NotFound(f"{name} has no version {number}.", remedy=f"Its newest number is {found[0].number}.")


def get(reference: str) -> PromptText:
    """The text that `name` (its newest number) or `name@3` refers to. Raises NotFound."""
    with session() as open_session:
        return read(open_session, reference)


def read(open_session: Session, reference: str) -> PromptText:
    """Like `get`, inside a transaction."""
    parts = REFERENCE.fullmatch(reference)
    query = select(Prompt).order_by(col(Prompt.number).desc()).limit(1)
    if parts is None:
        raise _missing(open_session, reference)
    query = query.where(Prompt.name == parts[1])
    row = open_session.exec(query.where(Prompt.number == int(parts[3])) if parts[3] else query).first()
    if row is None:
        raise _missing(open_session, reference)
    return PromptText(name=row.name, number=row.number, text=row.text, purpose=row.purpose)


def variables(text: str) -> list[str]:
    """The names of the `$variables` in a text, in order."""
    return string.Template(text).get_identifiers()


def fill(name: str, text: str, values: Mapping[str, str]) -> str:
    """The text of the prompt `name` with its `$variables` filled in, as an agent reads it.

    Raises Invalid listing every variable that has no value, or for a `$` that names no variable.
    """
    known = {key: value for key, value in values.items() if value}
    check(name, text)
    missing = [f"${one}" for one in variables(text) if one not in known]
    if missing:
        raise Invalid(
            f"{name} has no value for {', '.join(missing)}.", remedy="Fill in every variable, then it can be read."
        )
    return string.Template(text).substitute(known)


def save(
    actor: Actor,
    name: str,
    text: str,
    *,
    purpose: str | None = None,
    owner: str | None = None,
    note: str = "",
    base: int | None = None,
) -> PromptText:
    """Save `text` as the next number of `name`; what is the same as the newest number is not saved again.

    `base` is the number that the text was edited from, 0 for a new prompt.
    Raises Refused, Invalid for a name or text that cannot be used, and Conflict where `base` is not the newest number
    any more, or two saved at the same moment.
    """
    with session() as open_session:
        return write(open_session, actor, name, text, purpose=purpose, owner=owner, note=note, base=base)


def write(
    open_session: Session,
    actor: Actor,
    name: str,
    text: str,
    *,
    purpose: str | None = None,
    owner: str | None = None,
    note: str = "",
    base: int | None = None,
) -> PromptText:
    """Like `save`, inside a transaction."""
    require(actor, _EDIT)
    check(name, text, purpose=purpose or "", owner=owner or "", note=note)
    newest = open_session.exec(
        select(Prompt).where(Prompt.name == name).order_by(col(Prompt.number).desc()).limit(1)
    ).first()
    top = newest.number if newest else 0
    if base is not None and base != top:
        raise _taken(name) if base == 0 else _changed(name, top)
    if newest and newest.text == text and purpose in (None, newest.purpose) and owner in (None, newest.owner):
        return PromptText(name=name, number=top, text=text, purpose=newest.purpose)
    row = Prompt(
        name=name,
        number=top + 1,
        text=text,
        purpose=purpose if purpose is not None else (newest.purpose if newest else ""),
        owner=owner or (newest.owner if newest else actor.name),
        variables=variables(text),
        author=actor.name,
    )
    open_session.add(row)
    try:
        open_session.flush()
    except IntegrityError:
        raise Conflict(f"Somebody else saved {name} just now.", remedy="Reload it and save again.") from None
    audit.append(open_session, actor, _EDIT, f"{name}@{row.number}", {"note": note} if note else None)
    return PromptText(name=name, number=row.number, text=text, purpose=row.purpose)


def restore(actor: Actor, name: str, number: int, *, note: str = "", base: int | None = None) -> PromptText:
    """Make an old version's text and purpose the newest number; the old number stays as it is.

    Raises as `save` does, NotFound, and Invalid where the newest number holds that text already.
    """
    require(actor, _EDIT)
    old = version(name, number)
    newest = versions(name)[0]
    if (old.text, old.purpose) == (newest.text, newest.purpose):
        raise Invalid(f"The newest version of {name} holds the text of version {number} already.")
    return save(actor, name, old.text, purpose=old.purpose, note=note or f"Version {number} again.", base=base)


def check(name: str, text: str, **lines: str) -> None:
    """Raise Invalid where a prompt cannot have this name or text, or a line about it (purpose, owner, note) is too long."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise Invalid(
            f"{name[:LONGEST_NAME]!r} is not a prompt name.",
            remedy="Use small letters, digits, - and _, with / for folders.",
        )
    if not text.strip():
        raise Invalid(f"The prompt {name} is empty.", remedy="Write what the agent shall do.")
    if len(text) > LONGEST:
        raise Invalid(f"The prompt {name} has {len(text):,} characters; at most {LONGEST:,} are stored.")
    if _CONTROL.search(text):
        raise Invalid(f"The prompt {name} holds control characters.", remedy="Write plain text, lines and tabs.")
    if not string.Template(text).is_valid():
        raise Invalid(f"The prompt {name} has a $ that names no variable.", remedy="Write $$ for a dollar sign.")
    for what, value in lines.items():
        if len(value) > LONGEST_LINE or _CONTROL.search(value) or "\n" in value:
            raise Invalid(f"The {what} of {name} must be one line of at most {LONGEST_LINE} characters.")


def _readable(name: str) -> str:
    """`name`, or what no prompt is called: a name with odd characters never reaches the database."""
    return name if NAME.fullmatch(name) and len(name) <= LONGEST_NAME else ""


def _missing(open_session: Session, reference: str) -> NotFound:
    name = reference.partition("@")[0]
    known = open_session.exec(select(Prompt.name, func.max(Prompt.number)).group_by(col(Prompt.name))).all()
    top = dict(known)
    near = difflib.get_close_matches(name[:LONGEST_NAME], top, n=1)
    hint = f"Did you mean {near[0]}?" if near else "Write it first, or name another one."
    if name in top:
        hint = f"Its newest number is {top[name]}."
    return NotFound(f"There is no prompt {reference[:LONGEST_NAME]}.", remedy=hint)


def _taken(name: str) -> Conflict:
    return Conflict(
        f"There is a prompt called {name} already.", remedy="Choose another name, or write that one's next version."
    )


def _changed(name: str, top: int) -> Conflict:
    return Conflict(
        f"The prompt {name} was changed by somebody else meanwhile: its newest number is {top}.",
        remedy="Keep your text aside, discard, and apply your change again.",
    )


def _searched(row: Prompt) -> str:
    return " ".join((row.name, row.purpose, row.owner, row.text)).casefold()


def _notes(open_session: Session, rows: Iterable[Prompt]) -> dict[str, str]:
    """What was noted with each version, by `name@number`; a version's note stands in the audit trail."""
    things = [f"{row.name}@{row.number}" for row in rows]
    query = select(AuditEntry.thing, AuditEntry.detail).where(
        AuditEntry.verb == _EDIT, col(AuditEntry.thing).in_(things)
    )
    return {thing: str(detail.get("note", "")) for thing, detail in open_session.exec(query)}


def _version(row: Prompt, notes: Mapping[str, str]) -> Version:
    return Version(
        name=row.name,
        number=row.number,
        text=row.text,
        purpose=row.purpose,
        owner=row.owner,
        variables=tuple(row.variables),
        author=row.author,
        created_at=row.created_at,
        note=notes.get(f"{row.name}@{row.number}", ""),
    )


@event.listens_for(Prompt, "before_update")
@event.listens_for(Prompt, "before_delete")
def _keep_row(_mapper: Any, _connection: Any, row: Prompt) -> None:
    raise _never_changes(f"{row.name}@{row.number}")


@event.listens_for(Session, "do_orm_execute")
def _keep_rows(state: ORMExecuteState) -> None:
    mapper = state.bind_mapper
    if (state.is_update or state.is_delete) and mapper is not None and mapper.class_ is Prompt:
        raise _never_changes("A stored prompt")


def _never_changes(what: str) -> Refused:
    return Refused(f"{what} never changes.", remedy="Write the text as the prompt's next number.")
