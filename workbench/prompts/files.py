"""Prompt files: `<name>/<nnn>.md`, front matter and text. Committed ones are taken in at start; any can be written out."""

from __future__ import annotations

import difflib
import logging
import re
import string
from pathlib import Path
from typing import Any

import yaml
from sqlmodel import col, select

from workbench import settings
from workbench.errors import Invalid
from workbench.prompts.library import Version, check
from workbench.store import insert_missing, session
from workbench.store.tables import Prompt

log = logging.getLogger("workbench.prompts")

KEYS = ("purpose", "variables", "owner")
_CHANGED = "prompts/%s/%03d.md is not what %s@%d holds, and numbers never change; write its text as number %d"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def take_in(folder: Path | None = None) -> int:
    """Take in the committed prompt files that are not in the library yet; returns how many.

    A number that is taken keeps its text: a file that was changed afterwards is told in the log and left out.
    Raises Invalid naming a file that cannot be used; then nothing is taken in.
    """
    folder = folder or settings.load().prompts
    rows = [_row(folder, path) for path in sorted(folder.rglob("[0-9][0-9][0-9].md"))]
    added = 0
    with session() as open_session:
        query = select(Prompt.name, Prompt.number, Prompt.text).where(col(Prompt.name).in_({row.name for row in rows}))
        known = {(name, number): text for name, number, text in open_session.exec(query)}
        top: dict[str, int] = {}
        for name, number in known:
            top[name] = max(number, top.get(name, 0))
        for row in rows:
            if row.number > top.get(row.name, 0):
                insert_missing(open_session, Prompt, row.model_dump())
                added += 1
            elif known.get((row.name, row.number)) != row.text:
                log.warning(_CHANGED, row.name, row.number, row.name, row.number, top[row.name] + 1)
    return added


def front_matter(path: Path) -> tuple[dict[str, object], str]:
    """A Markdown file's front matter and its text. Raises Invalid naming the file."""
    try:
        whole = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"{path}: the file is not UTF-8 text.") from None
    except OSError as error:
        raise Invalid(f"{path}: the file cannot be read: {error.strerror}.") from None
    found = re.match(r"---\n(.*?)^---\n(.*)", whole, re.DOTALL | re.MULTILINE)
    if not found:
        return {}, whole.strip()
    try:
        head = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError:
        raise Invalid(f"{path}: the front matter is not YAML.") from None
    if not isinstance(head, dict):
        raise Invalid(f"{path}: the front matter is not a mapping.")
    return head, found[2].strip()


def file(version: Version) -> str:
    """A version as the text of a prompt file, which `take_in` reads back."""
    head = {"purpose": version.purpose, "owner": version.owner, "variables": list(version.variables)}
    body = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)
    return f"---\n{body}---\n{version.text}\n"


def _row(folder: Path, path: Path) -> Prompt:
    name, number = path.parent.relative_to(folder).as_posix(), int(path.stem)
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise Invalid(f"{path}: a link is not taken in.", remedy="Put the file itself there.")
    if not path.is_file():
        raise Invalid(f"{path}: it is not a file.")
    if number == 0:
        raise Invalid(f"{path}: numbers begin at 001.")
    head, text = front_matter(path)
    try:
        check(name, text)
        declared = _head(head, text)
    except Invalid as error:
        raise Invalid(f"{path}: {error.message}", remedy=error.remedy) from None
    return Prompt(
        name=name,
        number=number,
        text=text,
        purpose=str(head.get("purpose") or ""),
        owner=str(head.get("owner") or ""),
        variables=declared,
        author="shipped",
    )


def _head(head: dict[str, Any], text: str) -> list[str]:
    """The variables that a file declares, or those of its text. Raises Invalid for a key or value that is not known."""
    for key in head:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            raise Invalid(
                f"unknown key {key!r}.", remedy=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(KEYS)}."
            )
    for key in ("purpose", "owner"):
        if not isinstance(head.get(key, ""), str | None):
            raise Invalid(f"{key} must be text.")
    declared = head.get("variables")
    if declared is None:
        return string.Template(text).get_identifiers()
    if not isinstance(declared, list) or not all(isinstance(one, str) and VARIABLE.fullmatch(one) for one in declared):
        raise Invalid("variables must be a list of names.", remedy="Write variables: [shop_name].")
    return declared
