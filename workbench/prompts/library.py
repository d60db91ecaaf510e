"""The prompt library: numbered texts that never change. Files under `prompts/` are taken in at start."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import string
from dataclasses import dataclass
from pathlib import Path

import yaml
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from workbench import settings
from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, NotFound
from workbench.runtime.release import PromptText
from workbench.store import session
from workbench.store.tables import Prompt

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
LONGEST = 50_000


@dataclass(frozen=True)
class Version:
    """One numbered version of a prompt."""

    name: str
    number: int
    text: str
    purpose: str
    owner: str
    author: str
    created_at: dt.datetime


def names() -> list[str]:
    """The names of all prompts."""
    with session() as open_session:
        return list(open_session.exec(select(Prompt.name).distinct().order_by(Prompt.name)))


def versions(name: str) -> list[Version]:
    """All versions of `name`, newest first. Raises NotFound."""
    with session() as open_session:
        rows = open_session.exec(select(Prompt).where(Prompt.name == name).order_by(col(Prompt.number).desc())).all()
    if not rows:
        raise NotFound(f"There is no prompt called {name}.")
    return [_version(row) for row in rows]


def get(reference: str) -> PromptText:
    """The text that `name` (its newest number) or `name@3` refers to. Raises NotFound."""
    with session() as open_session:
        return read(open_session, reference)


def read(open_session: Session, reference: str) -> PromptText:
    """Like `get`, inside a transaction."""
    name, _, number = reference.partition("@")
    query = select(Prompt).where(Prompt.name == name).order_by(col(Prompt.number).desc()).limit(1)
    row = open_session.exec(query.where(Prompt.number == int(number)) if number else query).first()
    if row is None:
        near = difflib.get_close_matches(name, open_session.exec(select(Prompt.name).distinct()).all(), n=1)
        hint = f"Did you mean {near[0]}?" if near else "Write it first, or name another one."
        raise NotFound(f"There is no prompt {reference}.", remedy=hint)
    return PromptText(name=row.name, number=row.number, text=row.text, purpose=row.purpose)


def save(actor: Actor, name: str, text: str, *, purpose: str | None = None) -> PromptText:
    """Save `text` as the next number of `name`; the same text as the newest number is not saved again.

    Raises Refused, Invalid for a name or text that cannot be used, Conflict where two saved at the same moment.
    """
    with session() as open_session:
        return write(open_session, actor, name, text, purpose=purpose)


def write(
    open_session: Session, actor: Actor, name: str, text: str, *, purpose: str | None = None, base: int | None = None
) -> PromptText:
    """Like `save`, inside a transaction. With `base`, raises Conflict where that is not the newest number any more."""
    require(actor, "edit a prompt")
    _check(name, text)
    newest = open_session.exec(
        select(Prompt).where(Prompt.name == name).order_by(col(Prompt.number).desc()).limit(1)
    ).first()
    if base is not None and base != (newest.number if newest else 0):
        raise Conflict(
            f"The prompt {name} was changed by somebody else meanwhile: its newest number is {newest.number if newest else 0}.",
            remedy="Keep your text aside, discard, and apply your change again.",
        )
    if newest and newest.text == text and purpose in (None, newest.purpose):
        return PromptText(name=name, number=newest.number, text=text, purpose=newest.purpose)
    row = Prompt(
        name=name,
        number=(newest.number if newest else 0) + 1,
        text=text,
        purpose=purpose if purpose is not None else (newest.purpose if newest else ""),
        owner=newest.owner if newest else actor.name,
        variables=string.Template(text).get_identifiers(),
        author=actor.name,
    )
    open_session.add(row)
    try:
        open_session.flush()
    except IntegrityError:
        raise Conflict(f"Somebody else saved {name} just now.", remedy="Reload it and save again.") from None
    audit.append(open_session, actor, "edit a prompt", f"{name}@{row.number}")
    return PromptText(name=name, number=row.number, text=text, purpose=row.purpose)


def diff(before: str, after: str) -> list[str]:
    """The lines that differ, each with `+ ` or `- `; empty where the texts are equal."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line.startswith(("+ ", "- "))]


def take_in(folder: Path | None = None) -> int:
    """Take in the committed prompt files that are not in the library yet; returns how many.

    Raises Invalid naming a file whose front matter cannot be read.
    """
    folder = folder or settings.load().prompts
    added = 0
    with session() as open_session:
        rows = open_session.exec(select(Prompt.name, func.max(Prompt.number)).group_by(col(Prompt.name))).all()
        known = {(name, number) for name, top in rows for number in range(1, top + 1)}
        for path in sorted(folder.rglob("[0-9][0-9][0-9].md")):
            name, number = path.parent.relative_to(folder).as_posix(), int(path.stem)
            if (name, number) in known:
                continue
            head, text = front_matter(path)
            _check(name, text)
            open_session.add(
                Prompt(
                    name=name,
                    number=number,
                    text=text,
                    purpose=str(head.get("purpose", "")),
                    owner=str(head.get("owner", "")),
                    variables=string.Template(text).get_identifiers(),
                    author="shipped",
                )
            )
            added += 1
    return added


def front_matter(path: Path) -> tuple[dict[str, object], str]:
    """A Markdown file's front matter and its text. Raises Invalid naming the file."""
    whole = path.read_text(encoding="utf-8")
    found = re.match(r"---\n(.*?)\n---\n(.*)", whole, re.DOTALL)
    if not found:
        return {}, whole.strip()
    try:
        head = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError:
        raise Invalid(f"{path}: the front matter is not YAML.") from None
    if not isinstance(head, dict):
        raise Invalid(f"{path}: the front matter is not a mapping.")
    return head, found[2].strip()


def _check(name: str, text: str) -> None:
    if not NAME.fullmatch(name) or len(name) > 120:
        raise Invalid(
            f"{name!r} is not a prompt name.", remedy="Use small letters, digits, - and _, with / for folders."
        )
    if not text.strip():
        raise Invalid(f"The prompt {name} is empty.", remedy="Write what the agent shall do.")
    if len(text) > LONGEST:
        raise Invalid(f"The prompt {name} has {len(text):,} characters; at most {LONGEST:,} are stored.")
    if not string.Template(text).is_valid():
        raise Invalid(f"The prompt {name} has a $ that names no variable.", remedy="Write $$ for a dollar sign.")


def _version(row: Prompt) -> Version:
    return Version(row.name, row.number, row.text, row.purpose, row.owner, row.author, row.created_at)
