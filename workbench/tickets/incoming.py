"""Files that wait to be loaded, mappings under a name, and the load as a job that survives."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Mapping as Named
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import pandas as pd
import yaml
from sqlalchemy import update
from sqlmodel import col

from workbench import access, jobs, settings, store
from workbench.errors import Conflict, Invalid, NotFound, WorkbenchError
from workbench.jobs.work import cancelled_job
from workbench.store.tables import Job
from workbench.tickets import mapping as mappings
from workbench.tickets.batches import Batch, Reject
from workbench.tickets.columns import READ, REQUIRED, closest
from workbench.tickets.convert import LINE, convert, plan
from workbench.tickets.enrich import SCHEDULE
from workbench.tickets.load import load
from workbench.tickets.mapping import Mapping
from workbench.tickets.read import read

KIND = "load tickets"
SAMPLE = 100
ENDINGS = ("csv", "jsonl", "ndjson", "json", "parquet")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The first rows of a file: its columns with an example, the rows as tickets, and what would be rejected."""

    columns: tuple[str, ...]
    examples: dict[str, str]
    tickets: pd.DataFrame
    rejects: tuple[Reject, ...]


def inbox() -> Path:
    """The folder of files that wait."""
    return settings.load().local / "inbox"


def files() -> list[str]:
    """The names of the files that wait, the newest first."""
    if not inbox().is_dir():
        return []
    found = [path for path in inbox().iterdir() if path.is_file() and path.suffix.lower()[1:] in ENDINGS]
    return [path.name for path in sorted(found, key=lambda path: (-path.stat().st_mtime, path.name))]


def keep(actor: access.Actor, name: str, data: IO[bytes]) -> str:
    """Put an uploaded file among those that wait; its name there. Raises Refused, or Invalid for an unknown kind."""
    access.require(actor, "load tickets")
    clean = re.sub(r"[^\w. -]", "_", Path(name).name).lstrip(".") or "tickets.csv"
    if Path(clean).suffix.lower()[1:] not in ENDINGS:
        raise Invalid(f"{name} is of no known kind.", remedy=f"Load a file that ends in {', '.join(ENDINGS)}.")
    inbox().mkdir(parents=True, exist_ok=True)
    temporary = inbox() / f".{clean}.tmp"
    with temporary.open("wb") as out:
        shutil.copyfileobj(data, out, MEGABYTE)
    temporary.replace(inbox() / clean)
    return clean


def path_of(name: str) -> Path:
    """A file that waits. Raises NotFound."""
    if name not in files():
        raise NotFound(f"There is no file {name} among those that wait.", remedy="Upload it again.")
    return inbox() / name


def columns_of(name: str, how: Mapping) -> tuple[str, ...]:
    """The columns of a waiting file; raises NotFound or Invalid."""
    return read(path_of(name), dialect=how.dialect, within=how.within).columns


def sample(name: str, how: Mapping) -> Sample:
    """The first 100 rows of a waiting file under a mapping. Raises NotFound, or Invalid where it cannot be mapped."""
    table = read(path_of(name), dialect=how.dialect, within=how.within)
    steps = plan(table.columns, how, name=name)
    first = next(iter(table.batches), Batch([], {}))
    cut = Batch(first.lines[:SAMPLE], {key: values[:SAMPLE] for key, values in first.values.items()})
    last = cut.lines[-1] if len(cut.lines) == SAMPLE else None
    known = [one for one in first.rejects if last is None or one.line < last]
    frame, rejects = convert(replace(cut, rejects=known[:SAMPLE]), steps)
    shown = frame.drop(columns=[LINE]).dropna(axis="columns", how="all")
    return Sample(table.columns, examples(cut), shown, tuple(rejects))


def examples(batch: Batch) -> dict[str, str]:
    """A value of each column."""
    return {
        name: next((str(value)[:60] for value in values if value not in (None, "")), "")
        for name, values in batch.values.items()
    }


def peek(name: str, how: Mapping) -> tuple[tuple[str, ...], dict[str, str]]:
    """The columns of a waiting file with an example of each, whatever they mean. Raises NotFound or Invalid."""
    table = read(path_of(name), dialect=how.dialect, within=how.within)
    first = next(iter(table.batches), Batch([], {}))
    return table.columns, examples(Batch(first.lines[:SAMPLE], {k: v[:SAMPLE] for k, v in first.values.items()}))


def saved() -> dict[str, Mapping]:
    """All mappings by name: those that ship with the workbench, and those that somebody saved."""
    found = {}
    for folder in (settings.load().seed / "mappings", _folder()):
        for path in sorted(folder.glob("*.yaml")):
            found[path.stem] = mappings.read(path)
    return found


def save(actor: access.Actor, name: str, how: Mapping, *, again: bool = False) -> None:
    """Keep a mapping under a name. Raises Refused, Invalid for a name, and Conflict where it is taken unless `again`."""
    access.require(actor, "load tickets")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", name):
        raise Invalid(
            "A mapping's name has small letters, digits and hyphens.", remedy="Name it acme-zendesk, for instance."
        )
    if name in saved() and not again:
        raise Conflict(f"There is a mapping called {name} already.", remedy="Choose another name.")
    _folder().mkdir(parents=True, exist_ok=True)
    with store.session() as session:
        access.audit.append(session, actor, "load tickets", f"mapping {name}", mappings.plain(how))
        temporary = _folder() / f".{name}.tmp"
        temporary.write_text(yaml.safe_dump(mappings.plain(how), allow_unicode=True, sort_keys=False), encoding="utf-8")
        temporary.replace(_folder() / f"{name}.yaml")


def suggest(name: str) -> tuple[str, Mapping]:
    """The known mapping that fits a waiting file best, and its name; or one by the names of the columns, and no name.

    Raises NotFound or Invalid where the file cannot be read.
    """
    fits: list[tuple[int, str, Mapping]] = []
    for label, how in saved().items():
        try:
            columns = columns_of(name, how)
        except WorkbenchError:
            continue
        asked = [*how.columns.values(), *(rule.column for rule in how.derive.values())]
        there = {column for column in asked if column in columns}
        if all(how.columns.get(column) in there for column in REQUIRED) and len(there) * 3 >= len(asked) * 2:
            fits.append((len(there), label, _without(how, columns)))
    if fits:
        _count, label, how = max(fits, key=lambda one: (one[0], one[1]))
        return label, how
    dialect = _dialect(name)
    columns = columns_of(name, dialect)
    free = [column for column in columns if column not in READ]
    near = {column: closest(column, free) for column in REQUIRED if column not in columns}
    return "", replace(dialect, columns={target: column for target, column in near.items() if column})


def lacking(name: str, how: Mapping) -> tuple[str, ...]:
    """What every ticket must have and no column of a waiting file becomes yet. Raises NotFound or Invalid."""
    columns = columns_of(name, how)
    return tuple(one for one in REQUIRED if one not in how.columns and one not in columns)


def start(actor: access.Actor, name: str, how: Mapping, *, replace_all: bool = False) -> str:
    """Store a job that loads a waiting file: hand the id to `jobs.start`. Raises Refused, NotFound or Invalid."""
    access.require(actor, "load tickets")
    path = path_of(name)
    plan(columns_of(name, how), how, name=name)
    size = max(1, path.stat().st_size // MEGABYTE)
    arguments = {"file": name, "mapping": mappings.plain(how), "actor": [actor.name, actor.role], "anew": replace_all}
    with store.session() as session:
        job = jobs.row(KIND, f"Loading {name}", arguments, actor, total=size)
        session.add(job)
        access.audit.append(session, actor, "load tickets", name, {"job": job.id})
        return job.id


def _without(how: Mapping, columns: tuple[str, ...]) -> Mapping:
    """A mapping without the columns that a file lacks."""
    return replace(
        how,
        columns={target: column for target, column in how.columns.items() if column in columns},
        derive={target: rule for target, rule in how.derive.items() if rule.column in columns},
    )


def _dialect(name: str) -> Mapping:
    """The usual mapping, or one with the delimiter or the encoding under which the file has columns."""
    encodings, delimiters = ("utf-8", "utf-16", "cp1252"), (",", ";", "\t", "|")
    for encoding, delimiter in itertools.product(encodings, delimiters):
        how = Mapping(delimiter=delimiter, encoding=encoding)
        try:
            if len(columns_of(name, how)) > 1:
                return how
        except WorkbenchError:
            continue
    columns_of(name, Mapping())
    return Mapping()


def _folder() -> Path:
    return settings.load().local / "mappings"


class Stopped(Invalid):
    """Somebody asked the load to stop."""


def _plan(_arguments: Named[str, Any]) -> list[Any]:
    return ["load", "end"]  # Before the second one the job sees that it was cancelled during the first.


def _work(job_id: str, arguments: Named[str, Any], shard: Any) -> int:
    name, role = arguments["actor"]
    path = path_of(arguments["file"])
    size = max(1, path.stat().st_size // MEGABYTE)
    if shard == "end":
        return size
    told = 0

    def progress(read_bytes: int) -> None:
        nonlocal told
        done = read_bytes // MEGABYTE
        if done >= told + 8 or not told:
            told = max(1, done)
            if cancelled_job(job_id):
                raise Stopped("The load was cancelled.")
            with store.session() as session:
                session.execute(update(Job).where(col(Job.id) == job_id).values(done=done))

    try:
        load(
            access.Actor(name, role),
            path,
            mapping=mappings.parse(arguments["mapping"]),
            replace_all=arguments["anew"],
            progress=progress,
        )
    except Stopped:
        return told
    return size


jobs.kind(KIND, _plan, _work, verb="load tickets", then=SCHEDULE)
