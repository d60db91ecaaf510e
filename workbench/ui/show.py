"""What every page shows the same way: its head, a friendly error, an empty state."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import streamlit as st

from workbench.errors import Refused, Unavailable, WorkbenchError

ROWS = 25
"""So many rows of a table stand in sight."""


def head(title: str, purpose: str) -> None:
    """The page's title and one line that says what it is for."""
    st.title(title, anchor=False)
    st.caption(purpose)


@contextmanager
def errors() -> Iterator[None]:
    """Show a WorkbenchError as one box with cause and remedy; anything else is a bug and keeps its traceback."""
    try:
        yield
    except WorkbenchError as error:
        failure(error)


def failure(error: WorkbenchError) -> None:
    """One box: what is wrong and what to do."""
    text = plain(error.message) + (f"  \n{plain(error.remedy)}" if error.remedy else "")
    if isinstance(error, Refused):
        st.warning(text, icon=":material/lock:")
    elif isinstance(error, Unavailable):
        st.error(text, icon=":material/cloud_off:")
    else:
        st.error(text, icon=":material/error:")


def empty(title: str, hint: str, *, icon: str = "inbox") -> None:
    """An empty state: what is not here yet, and the next step. Both are our own words, with Markdown."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(f"### :material/{icon}: {title}")
        st.caption(hint)


def zone() -> dt.tzinfo:
    """The reader's time zone, as the browser tells it; UTC where it does not."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def when(moment: dt.datetime) -> str:
    """A moment in the reader's time zone, the zone named: `21 Nov, 17:03 CET`; with the year where it is another."""
    there = moment.astimezone(zone())
    year = "" if there.year == dt.datetime.now(zone()).year else f" {there.year}"
    return f"{there.day} {there:%b}{year}, {there:%H:%M} {_named(there)}"


def moments(label: str) -> Any:
    """A table column of moments in the reader's time zone, which its title names."""
    named = _named(dt.datetime.now(zone()))
    return st.column_config.DatetimeColumn(
        f"{label} ({named})", format="D MMM, HH:mm", timezone=st.context.timezone or "UTC", width=130
    )


def _named(moment: dt.datetime) -> str:
    """The name of a moment's zone: `CET`, or `UTC+03` where the zone has no letters."""
    name = moment.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name


def headings(names: Iterable[Any], given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of a table's columns, each under a heading that begins with a capital."""
    made: dict[str, Any] = dict(given or {})
    for name in map(str, names):
        one = made.get(name, {})
        if one is None:
            continue
        one = {"label": one} if isinstance(one, str) else dict(one)
        label = one.get("label") or name
        made[name] = {**one, "label": label[:1].upper() + label[1:]}
    return made


def table(rows: pd.DataFrame, *, column_config: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """A table with all its rows in sight; a long one scrolls, and says how many there are. What `st.dataframe` returns."""
    height: Any = "content" if len(rows) <= ROWS else 38 + 35 * ROWS
    configured = headings(rows.columns, column_config)
    made = st.dataframe(rows, hide_index=True, height=height, column_config=configured, **given)
    if len(rows) > ROWS:
        st.caption(f"{len(rows)} rows; the table scrolls.")
    return made


def plain(text: str) -> str:
    """Text from outside, so that Markdown shows it as it was written: no HTML, links, images or directives.

    A word joiner keeps addresses from being made into links after the text was read; line breaks and leading blanks
    are kept.
    """
    unlinked = re.sub(r"(://|www(?=\.)|@)", "\\1\u2060", text, flags=re.IGNORECASE)
    lines = []
    for line in unlinked.split("\n"):
        body = line.lstrip(" \t")
        marked = "".join("\\" + c if c in _MARKUP else c for c in body)
        # Within a word an underscore marks nothing, and a label is read out as it is written here.
        lines.append("\u00a0" * (len(line) - len(body)) + _WITHIN.sub("_", marked))
    return "  \n".join(lines)


_WITHIN = re.compile(r"(?<=[A-Za-z0-9])\\_(?=[A-Za-z0-9])")
_MARKUP = frozenset("\\`*_{}[]()#+-.!|<>~$:&=^@/")
