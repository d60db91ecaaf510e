"""Storing finished runs: one batching writer per process, off the path of whoever runs a flow."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from workbench import flows, settings
from workbench.errors import WorkbenchError
from workbench.runtime import redaction, sinks
from workbench.runtime.record import Finished, Writer, clean
from workbench.runtime.release import Release
from workbench.store import insert_new, pack, session
from workbench.store.engine import insert_many
from workbench.store.tables import HeldRun, Run, RunBody
from workbench.traces import cause_rules, facts, masking
from workbench.traces.asked import ask, asks_people

log = logging.getLogger("workbench.traces")

BODIES = RunBody.__table__  # type: ignore[attr-defined]
PAUSE = 0.8
"""Seconds of runs that a killed process may lose; what comes in half of them is stored together."""

SPILL = "unsaved-runs.jsonl"

_writers: dict[tuple[str, bool], Writer] = {}
_lock = threading.Lock()


def sink(*, asks: bool = True) -> Writer:
    """The writer of this process for the settings' database: a sink for `runtime.run`.

    Unless it `asks`, the held runs that it stores ask nobody to decide: they were trials.
    """
    url = settings.load().database_url
    with _lock:
        if (key := (url, asks)) not in _writers:
            _writers[key] = Writer(
                lambda batch: write(batch, url, asks=asks), spill=lambda batch: _spill(batch, asks=asks), pause=PAUSE
            )
        return _writers[key]


def flush() -> bool:
    """Wait until every finished run of this process is stored; False when that took longer than 30 seconds."""
    with _lock:
        writers = list(_writers.values())
    return all(writer.flush() for writer in writers)


def close() -> None:
    """Store what is queued and end the writers of this process."""
    with _lock:
        writers = list(_writers.values())
        _writers.clear()
    for writer in writers:
        writer.close()


def write(batch: list[Finished], url: str | None = None, *, asks: bool = True) -> None:
    """Store a batch in one transaction; a run that is stored already is left as it is."""
    with session(url) as open_session:
        put(open_session, [(one.plain, one.recorder.release) for one in batch], asks=asks)


def put(
    open_session: Session, runs: Sequence[tuple[dict[str, Any], Release]], *, source: str = "", asks: bool = True
) -> list[str]:
    """Store records with the frozen flows they ran, inside a transaction; returns the ids of those that are new.

    `source` is what lists show as their source instead of what the records say of themselves. Unless it `asks`, held
    runs ask nobody to decide. What is stored is masked; a held run that asks is kept beside it as it is, without
    credentials, until it has gone on.
    """
    whole = {record["id"]: record for record, _ in runs}
    masked = redaction.records(list(whole.values()), masking.rules(), ours=not source)
    new = {record["id"]: record for record in masked}
    for _, frozen in sorted({frozen.digest: frozen for _, frozen in runs}.items()):
        flows.keep(open_session, frozen)
    rows = [columns(record) | ({"source": source} if source else {}) for record in new.values()]
    stored = insert_new(open_session, Run, rows, "id")  # another process may store the same run at this moment
    new = {i: record for i, record in new.items() if i in stored}
    rows = [row for row in rows if row["id"] in stored]
    if not rows:
        return []
    insert_many(open_session.connection(), BODIES, [{"run_id": i, "body": pack(record)} for i, record in new.items()])
    caused = cause_rules.at_capture(open_session, new.values())
    terms = {i: [*facts.of_record(record), *(("cause", one) for one in caused.get(i, ()))] for i, record in new.items()}
    facts.store(open_session.connection(), rows, terms)
    for record, frozen in runs:
        if asks and record["id"] in new and asks_people(record, source or record["source"]):
            kept = masking.held(record)
            ask(open_session, kept, frozen)
            if new[record["id"]].get("redacted"):
                open_session.execute(insert(HeldRun), [{"run_id": record["id"], "body": pack(kept)}])
    return list(new)


@contextlib.contextmanager
def unsaved() -> Iterator[Path]:
    """The file of unsaved runs, for one process at a time: nobody adds to it while another takes something out."""
    path = settings.load().local / SPILL
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        yield path


def spilled() -> list[dict[str, Any]]:
    """The records of this workplace's own runs that wait in its file to be stored, of those that ask people to decide."""
    path = settings.load().local / SPILL
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            one = json.loads(line)
            found += [clean(one["run"])] if isinstance(one, dict) and one.get("asks") is True else []
    return found


def columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What lists show of a record."""
    usage = record["usage"]
    same = (
        "id",
        "flow",
        "version",
        "digest",
        "source",
        "conversation",
        "seconds",
        "outcome",
        "agent",
        "question",
        "reply",
    )
    return {
        **{name: record[name] for name in same},
        "started_at": dt.datetime.fromisoformat(record["started_at"]),
        "error": record["error"] or record["stop"],
        "model": ", ".join(record["models"]),
        "input_tokens": usage["input_tokens"],
        "output_tokens": usage["output_tokens"],
        "usd": usage["usd"],
    }


def _masked(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it is kept in a file, masked also where this workbench's key cannot be read."""
    try:
        return masking.masked(record)
    except WorkbenchError:
        return redaction.record(record, redaction.Rules(key=b"unsaved"))


def _spill(batch: list[Finished], *, asks: bool) -> None:
    """Keep runs that the database would not take, with the flow each needs, in a file that `runs import` reads."""
    with unsaved() as path:
        lines = []
        for one in batch:
            record = _masked(one.plain)
            # What a masked call was to be made with is not known any more, so nobody is asked to allow it.
            body = {"run": record, "content": one.recorder.release.body, "asks": asks and not record.get("redacted")}
            lines.append(json.dumps(body))
        sinks.add(path, lines)
    log.error("%d runs were kept in %s; import them when the database can be written again", len(batch), path)
