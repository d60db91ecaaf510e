"""Which run is read below the list: the one that the address names, and from the first act on it always names one."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urljoin

import streamlit as st

from workbench.ui import compare_view, session

SHOWN, PINNED = "run-shown", "run-pinned"


def chosen(ids: Sequence[str]) -> str:
    """The id of the run to read: the one in the address, else the newest of `ids`.

    Whoever does something with the newest goes on with that very run: the address then names it, though newer ones come.
    """
    there = st.query_params.get("run", "")
    shown = "" if session.arrived() else str(session.get(SHOWN) or "")
    if shown and there != shown:
        # Also where a link of this page was followed: the browser does not write those to its address.
        if not there:
            session.keep(PINNED, shown)
        st.query_params["run"] = there = there or shown
    there = there or ids[0]
    session.keep(SHOWN, there)
    return there


def moved() -> None:
    """The list shows other runs now: its newest is read, unless the person chose a run or compares two."""
    there = st.query_params.get("run", "")
    if "compare" not in st.query_params and there == session.get(PINNED):
        st.query_params.pop("run", None)
    elif there:
        st.query_params["run"] = there
    session.forget(SHOWN, PINNED)


def mark(table: str, ids: Sequence[str], run_id: str) -> None:
    """Let the row of the run that is read be the selected one. Only before the table is drawn."""
    rows = [ids.index(run_id)] if run_id in ids else []
    if _rows(table) != rows:
        session.keep(table, {"selection": {"rows": rows, "columns": [], "cells": []}})


def pick(table: str, ids: Sequence[str]) -> None:
    """Read the run of the row that was selected just now: the callback of the table."""
    if (rows := _rows(table)) and rows[0] < len(ids):
        session.forget(PINNED)
        compare_view.point(ids[rows[0]])


def link(run_id: str) -> None:
    """A link to this very run and its id, each to be copied."""
    with st.popover("Link", icon=":material/link:", type="tertiary"):
        st.caption("This link always opens this run. Its id below finds it in the field for words.")
        st.code(urljoin(st.context.url or "", f"/runs?run={run_id}"), language=None)
        st.code(run_id, language=None)


def _rows(table: str) -> list[int]:
    kept = session.get(table)
    return list(kept["selection"]["rows"]) if kept else []
