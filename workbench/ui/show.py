"""What every page shows the same way: its head, a friendly error, an empty state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from workbench.errors import Refused, Unavailable, WorkbenchError


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


def moments(label: str) -> Any:
    """A table column of moments, shown in the reader's time zone."""
    return st.column_config.DatetimeColumn(label, format="D MMM, HH:mm", timezone=st.context.timezone, width=110)


def plain(text: str) -> str:
    """Text from outside, so that Markdown shows it as it was written: no HTML, links, images or directives.

    A word joiner keeps addresses from being made into links after the text was read; line breaks and leading blanks
    are kept.
    """
    unlinked = re.sub(r"(://|www(?=\.)|@)", "\\1\u2060", text, flags=re.IGNORECASE)
    lines = []
    for line in unlinked.split("\n"):
        body = line.lstrip(" \t")
        lines.append("\u00a0" * (len(line) - len(body)) + "".join("\\" + c if c in _MARKUP else c for c in body))
    return "  \n".join(lines)


_MARKUP = frozenset("\\`*_{}[]()#+-.!|<>~$:&=^@/")
