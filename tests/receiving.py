"""The address for spans, run as a process of its own, and a client that sends to it."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT


@dataclass
class Address:
    """A running `runs receive`."""

    port: int
    process: subprocess.Popen[str]

    def post(
        self, body: bytes, *, kind: str = "application/x-protobuf", path: str = "/v1/traces", **headers: str
    ) -> Any:
        """Send a request; its status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, {"content-type": kind, **named})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def packed(self, body: bytes, **rest: str) -> Any:
        """Send a request packed with gzip."""
        return self.post(gzip.compress(body), content_encoding="gzip", **rest)

    def kill(self) -> None:
        """End it and all its processes at once, as a power cut would."""
        for pid in [*children(self.process.pid), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def cpu(self) -> float:
        """Seconds of CPU that it and its processes have used."""
        ticks = 0
        for pid in [self.process.pid, *children(self.process.pid)]:
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(told[11]) + int(told[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process began."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def receiving(workers: int = 1, **variables: str) -> Iterator[Address]:
    """A running address in the home of the environment."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "runs", "receive", "--port", "0", "--workers", str(workers)],
        cwd=ROOT, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    told: list[str] = []
    found = None
    while found is None:
        line = process.stderr.readline()
        told.append(line)
        assert line, "".join(told)
        found = re.search(r"http://127\.0\.0\.1:(\d+)/v1/traces", line)
    reading = threading.Thread(target=lambda: told.extend(process.stderr or ()), daemon=True)
    reading.start()
    try:
        yield Address(int(found[1]), process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(40)
        reading.join(40)
        process.stderr.close()
