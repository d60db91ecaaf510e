"""Free SQL over the current tickets, for people who write it: read only, and nothing but the tickets within reach.

The statement is parsed by DuckDB itself before it runs: one SELECT, from the view `ticket`, from its own common table
expressions and from a few functions that make rows. It then runs in a process of its own, in a connection that can reach
no file but the tickets' and cannot change its own settings. That process gets no variable of ours, writes no file, and
is ended when it uses more time or memory than it may.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench import access
from workbench.errors import Invalid, Unavailable
from workbench.tickets import alone, manifest, source, view

SECONDS, ROWS = 10.0, 5_000
MEMORY, BYTES = "1GB", 3_000_000_000
"""What DuckDB may use for rows, and its process for everything."""
GRACE = 5.0
"""Seconds that the process has to begin and to end beside those of the statement."""


@dataclass(frozen=True)
class Found:
    """What a statement found: at most `ROWS` rows, whether there were `more`, and how many seconds it took."""

    frame: pd.DataFrame
    more: bool
    seconds: float


def run(actor: access.Actor, sql: str, *, seconds: float = SECONDS, rows: int = ROWS) -> Found:
    """The rows of one SELECT over `ticket`.

    Raises Refused for who may not, Invalid with DuckDB's reason where the statement is no such SELECT, fails, needs more
    than `MEMORY`, or takes longer than `seconds`; NotFound where there are no tickets.
    """
    access.require(actor, "ask in SQL")
    began = time.monotonic()
    before = source.signature()
    told = _told(sql, seconds, rows)
    if told.get("unreadable") and source.signature() != before:
        told = _told(sql, seconds, rows)  # The tickets were changed meanwhile; the files that were named are gone.
    if told.get("unreadable"):
        raise Unavailable("The ticket file cannot be read.", remedy="Load the tickets again on the page Load tickets.")
    if "refused" in told:
        raise Invalid(told["refused"], remedy=told["remedy"])
    return Found(_frame(told), bool(told["more"]), time.monotonic() - began)


def _told(sql: str, seconds: float, rows: int) -> dict[str, Any]:
    """What the process says that runs the statement. Raises Invalid where it had to be ended."""
    found = manifest.read()
    parts = [str(manifest.folder() / part.file) for part in found.parts]
    job = {
        "sql": sql,
        "parts": parts,
        "view": view.sql(found),
        "memory": MEMORY,
        "bytes": BYTES,
        "seconds": seconds,
        "rows": rows,
    }
    try:
        ended = subprocess.run(  # noqa: S603 — our own script in our own Python
            [sys.executable, "-I", alone.__file__],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=seconds + GRACE,
            env={"TZ": "UTC"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Invalid(
            f"The statement took longer than {seconds:g} seconds and was stopped.",
            remedy="Ask for fewer tickets, or group them.",
        ) from None
    if ended.returncode:
        raise Invalid(
            "The statement needed more than it may use, and was stopped.", remedy="Make it smaller or simpler."
        )
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def _frame(told: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(told["rows"], columns=_distinct(told["names"]))
    for name, kind in zip(frame.columns, told["kinds"], strict=True):
        if kind.startswith(("TIMESTAMP", "DATE")):
            moments = pd.to_datetime(frame[name], errors="coerce", format="ISO8601")
            frame[name] = frame[name] if (moments.isna() & frame[name].notna()).any() else moments
    return frame


def _distinct(names: list[str]) -> list[str]:
    """The names, told apart where two columns have the same."""
    made: list[str] = []
    for name in names:
        new, n = name, 2
        while new in made:
            new, n = f"{name} ({n})", n + 1
        made.append(new)
    return made
