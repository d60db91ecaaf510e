"""Spans of other programs over OTLP/HTTP until they are durable: spans a second, CPU time and database size.

The floor is the same spans written to SQLite in large batches, in process, without HTTP and without masking. Requests of
about 500 spans in protobuf are sent over four connections at once; each waits for its answer.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests import spans
from tests.benchmarks._figure import figure
from tests.receiving import Address, receiving
from workbench import store

REQUESTS, SENDERS = 160, 4
REFERENCE_FLOOR = 61_000
"""Spans a second of the floor on the machine that the limits were set on."""
REFERENCE_CPU = 1000 / REFERENCE_FLOOR
"""Milliseconds of CPU that a span takes in the floor on that machine: it does nothing else."""
WANTED, CPU, SIZE = 15_000, 0.1, 0.8


def measure() -> list[dict[str, Any]]:
    """Our time and CPU time over the floor's, and megabytes of database for 1,000 spans."""
    chance = random.Random(7)  # noqa: S311  (generated spans)
    made: list[list[Any]] = []
    for _ in range(REQUESTS):
        request: list[Any] = []
        while len(request) < 500:
            request += spans.trace(chance)
        made.append(request)
    bodies = [spans.as_protobuf(request) for request in made]
    count = sum(map(len, made))
    with tempfile.TemporaryDirectory() as home:
        floor, floor_cpu = _floor(Path(home) / "floor.db", made, count)
        before = os.environ.get("WORKBENCH_HOME")
        os.environ["WORKBENCH_HOME"] = home
        try:
            store.migrate()
            empty = _size(Path(home) / "local")
            with receiving(workers=2) as address:
                speed, cpu = _sent(address, bodies, count)
            size = (_size(Path(home) / "local") - empty) / count / 1000
        finally:
            store.dispose()
            os.environ.pop("WORKBENCH_HOME") if before is None else os.environ.update(WORKBENCH_HOME=before)
    wire = sum(map(len, bodies)) / count / 1000
    told = f"{floor:,.0f} spans/s in process, ours {speed:,.0f} spans/s"
    return [
        figure("ingest, until durable", floor / speed, "× the floor's time", REFERENCE_FLOOR / WANTED, told),
        figure(
            "ingest, CPU time",
            cpu / floor_cpu,
            "× the floor's CPU time",
            CPU / REFERENCE_CPU,
            f"{floor_cpu:.3f} ms a span, ours {cpu:.3f} ms",
        ),
        figure("ingest, database", size, "MB for 1,000 spans", SIZE, f"{wire:.2f} MB on the wire"),
    ]


def _floor(path: Path, made: list[list[Any]], count: int) -> tuple[float, float]:
    """Spans a second written one row each, in transactions of about 500, and CPU milliseconds a span."""
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table span (trace text, id text primary key, name text, start integer, body text)")
    began, cpu = time.perf_counter(), time.process_time()
    for request in made:
        rows = [(one["trace"], one["id"], one["name"], one["start"], json.dumps(one["attributes"])) for one in request]
        with connection:
            connection.executemany("insert into span values (?, ?, ?, ?, ?)", rows)
    taken, used = time.perf_counter() - began, time.process_time() - cpu
    connection.close()
    return count / taken, used / count * 1000


def _sent(address: Address, bodies: list[bytes], count: int) -> tuple[float, float]:
    """Spans a second from the first byte to the last answer, and CPU milliseconds a span."""
    waiting = list(bodies[8:])
    for body in bodies[:8]:
        assert address.post(body)[0] == 200
    measured = count * len(waiting) / len(bodies)
    cpu, began = address.cpu(), time.perf_counter()
    threads = [threading.Thread(target=_send, args=(address.port, waiting)) for _ in range(SENDERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    taken = time.perf_counter() - began
    return measured / taken, (address.cpu() - cpu) / measured * 1000


def _send(port: int, waiting: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while waiting:
        try:
            body = waiting.pop()
        except IndexError:
            return
        while True:
            connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
            time.sleep(float(answer.getheader("retry-after") or 1))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("workbench.db"))
