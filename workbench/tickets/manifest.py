"""The list of the current tickets' parts: one small file that is replaced at once, and says where they came from."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.errors import NotFound, Unavailable

FILE = "tickets.parquet"
META = "meta.json"
MANIFEST = "manifest.json"
PART = "tickets-"
"""How the name of every part begins, but of an old home's."""
FORMAT = 1
LOADS = 500
"""So many loads are listed; the audit trail has all."""


Names = tuple[tuple[str | None, str | None], ...]
"""Topic and subtopic of the topics 1, 2, 3 …; None where there is none."""


@dataclass(frozen=True)
class Part:
    """A file of tickets of one month (`2026-03`), sorted by creation. An old home's single file has an empty month.

    `enriched` tells whether it has the columns that enrichment adds.
    """

    file: str
    month: str
    rows: int
    first: str
    last: str
    enriched: bool = False


@dataclass(frozen=True)
class Load:
    """One load: what was read, what it changed, by whom, when, and by which mapping.

    `rows` are the usable tickets of the file: new, changed, unchanged, and older than what was there (`older`).
    """

    id: str
    verb: str
    source: str
    sha256: str
    loaded_at: str
    loaded_by: str
    lines: int
    rows: int
    rejected: int
    duplicates: int
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    older: int = 0
    replaced: bool = False
    undone: bool = False
    rejects_file: str = ""
    mapping: dict[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> dt.datetime:
        """When it was loaded."""
        return dt.datetime.fromisoformat(self.loaded_at)


@dataclass(frozen=True)
class Manifest:
    """The current tickets. `before` are the parts that an undo of the load `undoes` brings back.

    `topics` says what the topics found in texts are called: by number, the topic and its subtopic, or nothing. Where
    personal data is `masked` here, words are shown only once they were looked at.
    """

    generation: int
    parts: tuple[Part, ...]
    loads: tuple[Load, ...]
    before: tuple[Part, ...] = ()
    undoes: str = ""
    topics: Names = ()
    masked: bool = False

    @property
    def rows(self) -> int:
        """How many tickets there are."""
        return sum(part.rows for part in self.parts)

    @property
    def samples(self) -> bool:
        """Whether all there is are sample tickets."""
        real = [one for one in self.loads if not one.undone]
        return bool(real) and real[-1].verb == "seed"

    def last(self) -> Load:
        """The newest load that counts."""
        return next(one for one in reversed(self.loads) if not one.undone)


def folder() -> Path:
    """Where the current tickets lie."""
    return settings.load().tickets


def exists() -> bool:
    """Whether there are any current tickets."""
    return any((folder() / name).is_file() for name in (MANIFEST, FILE))


def current() -> Path:
    """The file that says what the current tickets are; raises NotFound with the ways to get some."""
    for name in (MANIFEST, FILE):
        if (folder() / name).is_file():
            return folder() / name
    raise NotFound(
        "There are no tickets yet.",
        remedy="Load yours on the page Load tickets or with `python -m workbench tickets load FILE`, or sample ones with "
        "`python -m workbench seed`.",
    )


def read() -> Manifest:
    """The current tickets; raises NotFound where there are none, and Unavailable where the list cannot be read."""
    path = current()
    try:
        if path.name == FILE:
            return _old(path)
        body = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(
            generation=body["generation"],
            parts=tuple(Part(**one) for one in body["parts"]),
            loads=tuple(Load(**one) for one in body["loads"]),
            before=tuple(Part(**one) for one in body["before"]),
            undoes=body["undoes"],
            topics=tuple((one[0], one[1]) for one in body.get("topics", ())),
            masked=body.get("masked", False),
        )
        manifest.last()
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        raise Unavailable(f"The ticket file {path.name} cannot be read.", remedy="Load the tickets again.") from error
    return manifest


def _old(path: Path) -> Manifest:
    """A home from before there were parts: its one file is one part."""
    about = path.with_name(META)
    body = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    source = body.get("source", "an earlier version")
    load = Load(
        id="earlier",
        verb="seed" if source == "sample data" else "load tickets",
        source=source,
        sha256=body.get("sha256", ""),
        loaded_at=body.get("loaded_at") or dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).isoformat(),
        loaded_by="",
        lines=0,
        rows=body.get("rows", 0),
        rejected=body.get("rejected", 0),
        duplicates=body.get("duplicates", 0),
        new=body.get("rows", 0),
    )
    return Manifest(0, (Part(FILE, "", body.get("rows", 0), "", ""),), (load,))


def text(manifest: Manifest) -> str:
    """What the file of the list says."""
    body = {
        "format": FORMAT,
        "generation": manifest.generation,
        "rows": manifest.rows,
        "first": min((part.first for part in manifest.parts), default=""),
        "last": max((part.last for part in manifest.parts), default=""),
        "parts": [asdict(part) for part in manifest.parts],
        "before": [asdict(part) for part in manifest.before],
        "undoes": manifest.undoes,
        "topics": [list(one) for one in manifest.topics],
        "masked": manifest.masked,
        "loads": [asdict(load) for load in manifest.loads[-LOADS:]],
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def undone(manifest: Manifest) -> Manifest:
    """The list as it was before its last load, which stays in the history, marked."""
    loads = tuple(replace(one, undone=True) if one.id == manifest.undoes else one for one in manifest.loads)
    return replace(
        manifest,
        generation=manifest.generation + 1,
        parts=manifest.before,
        loads=loads,
        before=manifest.parts,
        undoes="",
    )


def unused(month: str) -> str:
    """A name for a new part of a month, which no other file has."""
    return f"{PART}{month}-{secrets.token_hex(6)}.parquet"


def rollup(part: Path) -> Path:
    """Where the rollup of a part lies."""
    return part.with_suffix(".rollup.parquet")
