"""Storing spans of other programs: masked, packed by trace, many requests in one transaction, each once."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from workbench.errors import Unavailable, WorkbenchError
from workbench.runtime.redaction import Look, Masker, Rules
from workbench.store import index, pack_quickly
from workbench.store.engine import engine, insert_many
from workbench.store.tables import Run, TracePart
from workbench.traces import facts, foreign
from workbench.traces.otlp import Batch, Span

log = logging.getLogger("workbench.traces")

RUNS, PARTS = Run.__table__, TracePart.__table__  # type: ignore[attr-defined]
MOST_WAITING = 64_000_000
"""Bytes of spans that may wait to be stored before more are pushed back."""
LOCK = 7_406_113
"""The advisory lock of PostgreSQL under which spans are stored."""


@dataclass(frozen=True)
class Part:
    """Spans of one trace that came together: masked, ready to be stored."""

    trace: str
    ids: bytes
    body: bytes
    row: Mapping[str, Any]
    facts: Sequence[index.Term]


def prepare(batches: Iterable[Batch], rules: Rules) -> list[Part]:
    """The spans by trace, with everything masked."""
    found: dict[str, tuple[Mapping[str, Any], dict[str, Span]]] = {}
    for batch in batches:
        for span in batch.spans:
            place = found.setdefault(span["trace"], (batch.resource, {}))
            place[1].setdefault(span["id"], span)
    look = None if rules.off else Look([_texts(resource, spans.values()) for resource, spans in found.values()], rules)
    return [
        _part(trace, resource, list(spans.values()), rules, look if look is not None and look.touches(number) else None)
        for number, (trace, (resource, spans)) in enumerate(found.items())
    ]


def _texts(resource: Mapping[str, Any], spans: Iterable[Span]) -> list[Any]:
    """Everything of spans that a person or model may have written."""
    return [resource, *([one["name"], one["error"], one["attributes"], one["events"]] for one in spans)]


def _part(trace: str, resource: Mapping[str, Any], spans: list[Span], rules: Rules, look: Look | None) -> Part:
    counts: Mapping[str, int] = {}
    if look is not None:
        masker = Masker(rules, foreign.conversation(spans) or trace, look.clean)
        resource = masker.value(resource)
        spans = [
            span | {name: masker.value(span[name]) for name in ("name", "error", "attributes", "events")}
            for span in spans
        ]
        counts = masker.counts
    packed = _packed(resource, spans, counts)
    return Part(trace, _ids(spans), packed, *foreign.listed(trace, resource, spans))


def _ids(spans: Iterable[Span]) -> bytes:
    return bytes.fromhex("".join(one["id"] for one in spans))


def _packed(resource: Mapping[str, Any], spans: Sequence[Span], redacted: Mapping[str, int]) -> bytes:
    return pack_quickly([resource, [[*one.values()][1:] for one in spans], redacted])


def put(connection: Connection, parts: Sequence[Part]) -> int:
    """Store parts inside a transaction that writes alone; returns how many spans are new."""
    by_trace: dict[str, list[Part]] = {}
    for part in parts:
        by_trace.setdefault(part.trace, []).append(part)
    known = _known(connection, [foreign.run_id(trace) for trace in by_trace])
    runs: list[Mapping[str, Any]] = []
    inside: dict[str, Sequence[index.Term]] = {}
    rows: list[dict[str, Any]] = []
    added = 0
    for trace, several in by_trace.items():
        identity = foreign.run_id(trace)
        if identity not in known and len(several) == 1:
            runs.append(several[0].row)
            inside[identity] = several[0].facts
            rows.append(_stored(several[0]))
            added += len(several[0].ids) // 8
        elif known.get(identity, foreign.SOURCE) == foreign.SOURCE:
            added += _merge(connection, trace, several, new=identity not in known)
    if runs:
        insert_many(connection, RUNS, runs)
        insert_many(connection, PARTS, rows)
        facts.store(connection, runs, inside)
    return added


def _known(connection: Connection, ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at in range(0, len(ids), 500):
        asked = select(RUNS.c.id, RUNS.c.source).where(RUNS.c.id.in_(ids[at : at + 500]))
        found.update((row.id, row.source) for row in connection.execute(asked))
    return found


def _stored(part: Part) -> dict[str, Any]:
    return {"run_id": foreign.run_id(part.trace), "spans": part.ids, "body": part.body}


def _merge(connection: Connection, trace: str, parts: Sequence[Part], *, new: bool) -> int:
    """Store what is new of a trace of which something is stored, and say anew what lists show of it."""
    identity = foreign.run_id(trace)
    before = (
        []
        if new
        else list(
            connection.execute(
                select(PARTS.c.spans, PARTS.c.body).where(PARTS.c.run_id == identity).order_by(PARTS.c.id)
            )
        )
    )
    seen = {one[at : at + 8] for one, _ in before for at in range(0, len(one), 8)}
    rows: list[dict[str, Any]] = []
    added = 0
    for part in parts:
        resource, spans, redacted = foreign.unpacked(trace, [part.body])
        fresh = [span for span in spans if bytes.fromhex(span["id"]) not in seen]
        seen |= {bytes.fromhex(span["id"]) for span in fresh}
        if fresh:
            body = part.body if len(fresh) == len(spans) else _packed(resource, fresh, redacted)
            rows.append({"run_id": identity, "spans": _ids(fresh), "body": body})
            added += len(fresh)
    if rows:
        resource, spans, _ = foreign.unpacked(trace, [*(body for _, body in before), *(one["body"] for one in rows)])
        row, inside = foreign.listed(trace, resource, spans)
        index.remove(connection, [identity])
        connection.execute(insert(RUNS).values(row) if new else update(RUNS).where(RUNS.c.id == identity).values(row))
        facts.store(connection, [row], {identity: inside})
        if not new:
            with Session(connection) as open_session:
                facts.refresh(open_session, [identity])
        connection.execute(insert(PARTS), rows)
    return added


@dataclass
class _Waiting:
    parts: list[Part]
    done: Future[int] = field(default_factory=Future)


class Store:
    """Stores parts on a thread of its own: whatever waits goes into one transaction. What `add` promised is durable."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name="span-store", daemon=True)
        self._thread.start()

    def claim(self, size: int, held: int = 0) -> bool:
        """Take room for so many bytes of a request that has `held` some; False where too much waits beside it."""
        with self._lock:
            if self._waiting > held and self._waiting + size > MOST_WAITING:
                return False
            self._waiting += size
            return True

    def release(self, size: int) -> None:
        """Give back the room of a request."""
        with self._lock:
            self._waiting -= size

    def add(self, parts: list[Part]) -> Future[int]:
        """Store parts; the future holds the number of new spans once they are durable, or Unavailable."""
        one = _Waiting(parts)
        self._queue.put(one)
        return one.done

    def close(self) -> None:
        """Store what waits and end the thread."""
        self._queue.put(None)
        self._thread.join(60)

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty() and len(batch) < 64:
                batch.append(self._queue.get())
            asked = [one for one in batch if one is not None]
            if asked:
                self._deliver(asked)
            if None in batch:
                return

    def _deliver(self, asked: Sequence[_Waiting]) -> None:
        try:
            counts = store([one.parts for one in asked], self._url)
        except Exception as error:  # noqa: BLE001  (whoever waits is told, and the thread goes on)
            log.warning("spans could not be stored: %s", type(error).__name__)
            for one in asked:
                one.done.set_exception(
                    error if isinstance(error, WorkbenchError) else Unavailable("The spans could not be stored.")
                )
            return
        for one, count in zip(asked, counts, strict=True):
            one.done.set_result(count)


def store(several: Sequence[list[Part]], url: str | None = None) -> list[int]:
    """Store the parts of several requests in one transaction, durably. Raises Unavailable; then nothing is stored."""
    try:
        with engine(url).connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA synchronous=FULL")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
            try:
                counts = [put(connection, parts) for parts in several]
                connection.commit()
            finally:
                connection.rollback()
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
            return counts
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        raise Unavailable(f"The spans cannot be stored: {reason}.", remedy="Send them again later.") from error
