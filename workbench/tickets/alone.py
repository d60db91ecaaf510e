"""One SELECT over the tickets in a process of its own, which can be stopped and can use up nothing: neither disk nor memory.

Run as a script it reads a job as JSON from standard input and writes what it found, or why it refused, to standard
output. It imports nothing of the workbench, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

LONGEST = 20_000
"""Characters of a statement."""
CHARACTERS = 20_000_000
"""Characters that all rows together may have."""
MAKERS = frozenset({"unnest", "range", "generate_series"})
"""Functions that may stand where a table stands."""
REFUSED = re.compile(
    r"^(duckdb_|pragma_|pg_|sqlite_|read_|glob$|sniff_|parquet_|query(_table)?$|getenv$|current_(setting|query)|stats$"
    r"|which_secret$|getvariable$|nextval$|currval$|setval$|setseed$|icu_|load_|sleep|write_|set|json_(de)?serialize_"
    r"|json_execute|has_\w+_privilege$|\w*_description$|inet_|txid_|in_search_path$|checkpoint|force_|error$)"
)
NAME = re.compile(r"[a-z_]\w*")
VIEW = "The view is `ticket`."


class Unfit(Exception):
    """The statement may not run, or failed; with what helps."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def locked(files: Sequence[Path], view: str, settings: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
    """A connection with our own SELECT `view` as `ticket`, which reaches no file but `files`, and changes no setting.

    Raises duckdb.Error where a file cannot be read.
    """
    connection = duckdb.connect(":memory:")
    reach = f"SET allowed_paths = {literals(files)}"
    for setting in (*settings, reach, "SET enable_external_access = false", "SET lock_configuration = true"):
        connection.execute(setting)
    connection.execute(f"CREATE VIEW ticket AS {view}")
    return connection


def literals(paths: Sequence[Path]) -> str:
    """Paths as a list in SQL, none of them taken for a pattern."""
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"


def checked(sql: str) -> str:
    """`sql` as it may run; raises Unfit where it is no single SELECT over the tickets."""
    if len(sql) > LONGEST:
        raise Unfit(f"A statement has at most {LONGEST:,} characters.", "Make it shorter.")
    try:
        told = _parser().cursor().execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchone()
    except (duckdb.Error, UnicodeError) as error:
        raise Unfit(f"DuckDB says: {_line(error)}", "Write one SELECT over `ticket`.") from error
    try:
        tree: dict[str, Any] = json.loads(told[0]) if told else {"error": True}
    except RecursionError:
        raise Unfit("The statement is nested too deeply.", "Make it simpler.") from None
    if tree.get("error"):
        reason = str(tree.get("error_message", "")).splitlines()[:1]
        raise Unfit(
            f"This is no SELECT that can run here{': ' + reason[0][:300] if reason else ''}.",
            "Write one SELECT over `ticket`; nothing can be changed from here.",
        )
    if len(tree["statements"]) != 1:
        raise Unfit("Exactly one statement can run.", "Write one SELECT over `ticket`.")
    _only_tickets(tree)
    return sql


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """What a job found: names and kinds of the columns, rows, and whether there are more; or why it was refused."""
    try:
        sql = checked(job["sql"])
        try:
            limits = (f"SET memory_limit = '{job['memory']}'", "SET temp_directory = ''", "SET threads = 2")
            connection = locked([Path(one) for one in job["parts"]], job["view"], limits)
        except duckdb.Error:
            return {"unreadable": True}
        return _ran(connection, sql, float(job["seconds"]), int(job["rows"]))
    except Unfit as refused:
        return {"refused": refused.message, "remedy": refused.remedy}


def _ran(connection: duckdb.DuckDBPyConnection, sql: str, seconds: float, rows: int) -> dict[str, Any]:
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    clock = threading.Timer(seconds, stop)
    clock.daemon = True
    clock.start()
    try:
        found = connection.execute(sql)
        names = [str(column[0]) for column in found.description or ()]
        kinds = [str(column[1]) for column in found.description or ()]
        return {"names": names, "kinds": kinds, **_taken(found, rows)}
    except (duckdb.Error, MemoryError) as error:
        if stopped.is_set():
            raise Unfit(
                f"The statement took longer than {seconds:g} seconds and was stopped.",
                "Ask for fewer tickets, or group them.",
            ) from error
        if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
            raise Unfit("The statement needs more memory than it may use.", "Ask for fewer tickets.") from error
        raise Unfit(f"DuckDB says: {_line(error)}", f"Correct the statement; {VIEW[0].lower()}{VIEW[1:]}") from error
    finally:
        clock.cancel()


def _taken(found: duckdb.DuckDBPyConnection, rows: int) -> dict[str, Any]:
    """At most so many rows, and whether there are more."""
    taken: list[list[Any]] = []
    size = 0
    while len(taken) <= rows and (some := found.fetchmany(min(100, rows + 1 - len(taken)))):
        for row in some:
            taken.append([_cell(value) for value in row])
            size += sum(len(value) for value in taken[-1] if isinstance(value, str))
            if size > CHARACTERS:
                raise Unfit("The rows are too long to show.", "Ask for fewer columns, or for shorter texts.")
    return {"rows": taken[:rows], "more": len(taken) > rows}


def _cell(value: Any) -> Any:
    """A value as JSON has it: numbers and texts as they are, moments as ISO writes them, all else in words."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """An empty database that only parses: no statement that somebody wrote runs in it."""
    return duckdb.connect(":memory:")


def _only_tickets(tree: Any) -> None:
    nodes = list(_nodes(tree))
    named = {"ticket"} | {str(entry.get("key", "")).casefold() for node in nodes for entry in _expressions(node)}
    if strange := next((one for one in named if not NAME.fullmatch(one) or REFUSED.match(one)), None):
        raise Unfit(f"A part of the statement cannot be called {strange[:60]!r} here.", "Give it a plain name.")
    for node in nodes:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node.get("table_name", ""))
            if name.casefold() not in named or node.get("schema_name") or node.get("catalog_name"):
                raise Unfit(f"There is no table {name[:60]!r} here.", VIEW)
        elif kind in ("SHOW_REF", "COLUMN_DATA", "DELIM_GET") or (str(kind).endswith("_QUERY_NODE")):
            raise Unfit("Only the tickets themselves can be read.", VIEW)
        if kind == "TABLE_FUNCTION":
            name = str(node.get("function", {}).get("function_name", ""))
            if name.casefold() not in MAKERS:
                raise Unfit(f"The function {name[:60]!r} cannot stand for a table here.", VIEW)
        if REFUSED.match(name := str(node.get("function_name", "")).casefold()):
            raise Unfit(f"The function {name[:60]!r} cannot be used here.", "Use what counts and groups tickets.")


def _expressions(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The common table expressions that a node brings."""
    found = node.get("cte_map")
    entries = found.get("map") if isinstance(found, dict) else None
    return [entry for entry in entries or [] if isinstance(entry, dict)]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _limit(memory: int, seconds: float) -> None:
    """Let this process use so many bytes and so much time, write no file and leave no picture of its memory."""
    with contextlib.suppress(ImportError):
        import resource

        most = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_CPU: int(seconds * 2) + 5,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_CORE: 0,
        }
        for what, much in most.items():
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (much, much))


def main() -> None:
    """Read a job, answer it, and end at once: threads that DuckDB still has are not waited for."""
    job = json.load(sys.stdin)
    _limit(int(job["bytes"]), float(job["seconds"]))
    json.dump(answer(job), sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
