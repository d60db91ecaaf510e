"""Free SQL over the current tickets, for people who write it: read only, and nothing but the tickets within reach.

The statement is parsed by DuckDB itself before it runs: one SELECT, from the view `ticket`, from its own common table
expressions and from a few functions that make rows. It then runs in a connection that can reach no file but the
tickets', cannot change its own settings, and is stopped after some seconds.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from workbench import access
from workbench.errors import Invalid
from workbench.tickets import source

SECONDS, ROWS, LONGEST = 10.0, 5_000, 20_000
MEMORY = "1GB"
MAKERS = frozenset({"unnest", "range", "generate_series"})
"""Functions that may stand where a table stands."""
REFUSED = re.compile(
    r"^(duckdb_|pragma_|read_|glob$|sniff_|parquet_|query(_table)?$|getenv$|current_setting$|which_secret$|getvariable$|nextval$|setseed$|icu_|load_|sleep|write_|set)"
)


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
    checked = _checked(sql)
    connection = source.private(MEMORY)
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    clock = threading.Timer(seconds, stop)
    began = time.monotonic()
    clock.start()
    try:
        answer = connection.execute(checked)
        names = [str(column[0]) for column in answer.description or ()]
        found = answer.fetchmany(rows + 1)
    except duckdb.Error as error:
        if stopped.is_set():
            raise Invalid(
                f"The statement took longer than {seconds:g} seconds and was stopped.",
                remedy="Ask for fewer tickets, or group them.",
            ) from error
        raise Invalid(f"DuckDB says: {_line(error)}", remedy="Correct the statement; the view is `ticket`.") from error
    finally:
        clock.cancel()
        connection.close()
    frame = pd.DataFrame(found[:rows], columns=_distinct(names))
    return Found(frame, len(found) > rows, time.monotonic() - began)


def _checked(sql: str) -> str:
    """`sql` as it may run; raises Invalid where it is no single SELECT over the tickets."""
    if len(sql) > LONGEST:
        raise Invalid(f"A statement has at most {LONGEST:,} characters.", remedy="Make it shorter.")
    with duckdb.connect(":memory:") as parser:
        try:
            told = parser.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchone()
        except duckdb.Error as error:
            raise Invalid(f"DuckDB says: {_line(error)}", remedy="Write one SELECT over `ticket`.") from error
    tree: dict[str, Any] = json.loads(told[0]) if told else {"error": True}
    if tree.get("error"):
        reason = str(tree.get("error_message", "")).splitlines()[:1]
        raise Invalid(
            f"This is no SELECT that can run here{': ' + reason[0] if reason else ''}.",
            remedy="Write one SELECT over `ticket`; nothing can be changed from here.",
        )
    if len(tree["statements"]) != 1:
        raise Invalid("Exactly one statement can run.", remedy="Write one SELECT over `ticket`.")
    _only_tickets(tree)
    return sql


def _only_tickets(tree: Any) -> None:
    nodes = list(_nodes(tree))
    named = {"ticket"} | {str(entry.get("key", "")).casefold() for node in nodes for entry in _expressions(node)}
    for node in nodes:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node.get("table_name", ""))
            if name.casefold() not in named or node.get("schema_name") or node.get("catalog_name"):
                raise Invalid(f"There is no table {name!r} here.", remedy="The view is `ticket`.")
        elif kind in ("SHOW_REF", "COLUMN_DATA", "DELIM_GET"):
            raise Invalid("Only the tickets themselves can be read.", remedy="The view is `ticket`.")
        if kind == "TABLE_FUNCTION":
            name = str(node.get("function", {}).get("function_name", ""))
            if name.casefold() not in MAKERS:
                raise Invalid(f"The function {name!r} cannot stand for a table here.", remedy="The view is `ticket`.")
        if REFUSED.match(name := str(node.get("function_name", "")).casefold()):
            raise Invalid(f"The function {name!r} cannot be used here.", remedy="Use what counts and groups tickets.")


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


def _distinct(names: list[str]) -> list[str]:
    """The names, told apart where two columns have the same."""
    made: list[str] = []
    for name in names:
        new, n = name, 2
        while new in made:
            new, n = f"{name} ({n})", n + 1
        made.append(new)
    return made


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:300]
