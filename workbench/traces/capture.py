"""Storing finished runs: one batching writer per process, off the path of whoever runs a flow."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from typing import Any

from sqlmodel import Session

from workbench import flows, settings
from workbench.runtime.record import Finished, Writer
from workbench.runtime.release import Release
from workbench.store import pack, session
from workbench.store.tables import Run, RunBody

log = logging.getLogger("workbench.traces")

SPILL = "unsaved-runs.jsonl"

_writers: dict[str, Writer] = {}
_lock = threading.Lock()


def sink() -> Writer:
    """The writer of this process for the settings' database: a sink for `runtime.run`."""
    url = settings.load().database_url
    with _lock:
        if url not in _writers:
            _writers[url] = Writer(lambda batch: write(batch, url), spill=_spill)
        return _writers[url]


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


def write(batch: list[Finished], url: str | None = None) -> None:
    """Store a batch in one transaction; a run that is stored already is left as it is."""
    with session(url) as open_session:
        for one in batch:
            put(open_session, one.plain, one.recorder.release)


def put(open_session: Session, record: dict[str, Any], frozen: Release) -> bool:
    """Store one record inside a transaction; False where the run is stored already."""
    if open_session.get(Run, record["id"]) is not None:
        return False
    flows.keep(open_session, frozen)
    usage = record["usage"]
    open_session.add(
        Run(
            id=record["id"],
            flow=record["flow"],
            version=record["version"],
            digest=record["digest"],
            source=record["source"],
            conversation=record["conversation"],
            started_at=dt.datetime.fromisoformat(record["started_at"]),
            seconds=record["seconds"],
            outcome=record["outcome"],
            agent=record["agent"],
            question=record["question"],
            reply=record["reply"],
            error=record["error"] or record["stop"],
            model=", ".join(record["models"]),
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            usd=usage["usd"],
        )
    )
    open_session.flush()
    open_session.add(RunBody(run_id=record["id"], body=pack(record)))
    return True


def _spill(batch: list[Finished]) -> None:
    """Keep runs that the database would not take, with the flow each needs, in a file that `runs import` reads."""
    path = settings.load().local / SPILL
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for one in batch:
            file.write(json.dumps({"run": one.plain, "content": one.recorder.release.body}, ensure_ascii=False) + "\n")
    log.error("%d runs were kept in %s; import them when the database can be written again", len(batch), path)
