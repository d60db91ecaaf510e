"""Whether the workbench is well: database, migrations, models, worker, freshness."""

from __future__ import annotations

import datetime as dt
import fcntl
from dataclasses import dataclass

from workbench import jobs, runtime, settings, store
from workbench.access import audit
from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Line:
    """One thing that was looked at."""

    name: str
    well: bool
    words: str


def check() -> list[Line]:
    """One line for each part. Never raises a WorkbenchError: what cannot be reached is a line that is not well."""
    return [_database(), _audit(), _models(), _worker(), _tickets()]


def _database() -> Line:
    try:
        present, newest = store.revision()
    except WorkbenchError as error:
        return Line("database", False, str(error))
    kind = settings.load().database_url.split(":", 1)[0].split("+")[0]
    if present != newest:
        return Line(
            "database", False, f"{kind} at revision {present or 'none'}, newest is {newest}; start the app to migrate"
        )
    return Line("database", True, f"{kind}, revision {present}")


def _audit() -> Line:
    try:
        verdict = audit.verify()
    except WorkbenchError as error:
        return Line("audit", False, error.message)
    if not verdict.intact:
        return Line("audit", False, f"entry {verdict.broken_at} does not fit the chain: it was changed or removed")
    return Line("audit", True, f"{verdict.entries} entries, chain intact")


def _models() -> Line:
    try:
        chosen = runtime.roles()
    except WorkbenchError as error:
        return Line("models", False, str(error))
    return Line("models", True, ", ".join(f"{role}: {chosen.name(role)}" for role in ("small", "main", "reasoning")))


def _worker() -> Line:
    if jobs.running():
        return Line("worker", True, "in this process")
    if not settings.load().database_url.startswith("sqlite"):
        return Line("worker", True, "separate `worker` processes")
    path = settings.load().local / "worker.lock"
    if path.exists():
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Line("worker", True, "the app's process")
    return Line("worker", False, "not running; start the app")


def _tickets() -> Line:
    from workbench import tickets

    try:
        fresh = tickets.freshness()
    except WorkbenchError as error:
        return Line("tickets", False, error.message)
    age = dt.datetime.now(dt.UTC) - fresh.loaded_at
    return Line("tickets", True, f"{fresh.rows:,} from {fresh.source}, loaded {age.days} days ago")
