"""Put a file of tickets in the place of the current ones: CSV, JSON Lines or Parquet, by a mapping where needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench import access, store
from workbench.errors import Invalid
from workbench.tickets import publish
from workbench.tickets.columns import ATTRIBUTES, COLUMNS
from workbench.tickets.convert import Plan, convert, plan
from workbench.tickets.mapping import Mapping
from workbench.tickets.read import Reject, read


@dataclass(frozen=True)
class Loaded:
    """What a file gave. `rows + duplicates + rejected` are all rows of the file.

    `mapped` is ticket column to file column. `published` and `rejects_file` are None for a preview.
    """

    source: str
    sha256: str
    rows: int
    rejected: int
    duplicates: int
    rejects: tuple[Reject, ...]
    mapped: dict[str, str]
    attributes: tuple[str, ...]
    first: str
    last: str
    published: Path | None
    rejects_file: Path | None


def load(actor: access.Actor, path: Path, *, mapping: Mapping | None, preview: bool = False) -> Loaded:
    """Replace the current tickets with those in the file at `path`; a preview only says what would happen.

    A bad row is kept out and named with its line and reasons. Of several rows with one ticket_id the last wins.
    Raises Refused, NotFound, Invalid or Unavailable, each with nothing changed.
    """
    access.require(actor, "load tickets")
    mapping = mapping or Mapping()
    table = read(path, delimiter=mapping.delimiter)
    how = plan(table.columns, mapping, name=path.name)
    parts, rejects = [], []
    for batch in table.batches:
        part, bad = convert(batch, how)
        parts.append(part)
        rejects += bad
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*COLUMNS, ATTRIBUTES])
    rejects.sort(key=lambda reject: reject.line)
    if frame.empty:
        raise _nothing(path, rejects)
    unique = frame.drop_duplicates("ticket_id", keep="last")
    about = publish.Meta(
        source=path.name,
        loaded_at=store.now(),
        rows=len(unique),
        rejected=len(rejects),
        duplicates=len(frame) - len(unique),
        sha256=_digest(path),
    )
    published = None if preview else publish.publish(actor, unique, about, rejects, verb="load tickets")
    return _report(about, unique, rejects, how, published)


def _report(
    about: publish.Meta, frame: pd.DataFrame, rejects: list[Reject], how: Plan, published: Path | None
) -> Loaded:
    return Loaded(
        source=about.source,
        sha256=about.sha256,
        rows=about.rows,
        rejected=about.rejected,
        duplicates=about.duplicates,
        rejects=tuple(rejects),
        mapped={**how.columns, **{target: rule.column for target, rule in how.derive.items()}},
        attributes=how.attributes,
        first=frame["created_at"].min().isoformat() + "Z",
        last=frame["created_at"].max().isoformat() + "Z",
        published=published,
        rejects_file=published.with_name(publish.REJECTS) if published else None,
    )


def _nothing(path: Path, rejects: list[Reject]) -> Invalid:
    if not rejects:
        return Invalid(f"{path.name} has a header but no rows.", remedy="The current tickets were kept.")
    first = rejects[0]
    return Invalid(
        f"None of the {len(rejects):,} rows of {path.name} can be used; line {first.line}: {first.reason}.",
        remedy="Correct the file or write a mapping. The current tickets were kept.",
    )


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
