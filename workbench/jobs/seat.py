"""A worker's seat: its lasting name among all workers, held by a lock that the system frees when the process dies.

Whoever takes a dead worker's seat takes up that worker's unfinished jobs, and nobody takes the seat of a living one.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from sqlalchemy import text

from workbench.errors import Unavailable
from workbench.store.engine import engine

SEATS = 64
LOCK_SPACE = 0x776B  # one number for our advisory locks, so that they cannot meet those of other programs

_held: list[Any] = []


def take(url: str, folder: Path) -> str:
    """Take a free seat and return its name; empty where the only one, on SQLite, is taken by another process.

    Raises Unavailable where all seats on PostgreSQL are taken.
    """
    return _on_file(folder / "worker.lock") if url.startswith("sqlite") else _on_postgres(url)


def taken() -> bool:
    """Whether this process holds a seat."""
    return bool(_held)


def leave() -> None:
    """Free the seat of this process."""
    while _held:
        held = _held.pop()
        if hasattr(held, "invalidate"):
            held.invalidate()  # a pooled connection would keep the lock
        held.close()


def _on_file(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return ""
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)
    return "app"


def _on_postgres(url: str) -> str:
    connection = engine(url).connect().execution_options(isolation_level="AUTOCOMMIT")
    for number in range(1, SEATS + 1):
        query = text("select pg_try_advisory_lock(:space, :number)")
        if connection.execute(query, {"space": LOCK_SPACE, "number": number}).scalar():
            _held.append(connection)
            return f"worker-{number}"
    connection.close()
    raise Unavailable(f"All {SEATS} worker seats are taken.", remedy="End a worker first.")
