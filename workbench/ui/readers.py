"""Who reads what a person wrote: our grammar, or a model where one is set up; and what a model's reading took."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import streamlit as st

from workbench.access import Actor, may
from workbench.errors import WorkbenchError
from workbench.traces import readings
from workbench.ui import live, show

GRAMMAR = "grammar"
T = TypeVar("T")


def choose(actor: Actor, key: str) -> str:
    """The role of the model that shall read, which is in the address; empty where our grammar reads.

    Nothing is offered where no model is set up.
    """
    if not may(actor, "have a model read a sentence"):
        return ""
    with show.errors():
        if there := readings.readers():
            chosen = st.selectbox(
                "Read by",
                [GRAMMAR, *there],
                key=key,
                bind="query-params",
                width=200,
                format_func=lambda one: there.get(one, "our grammar"),
                help="Our grammar works without any model and costs nothing. A model also reads what the grammar does not"
                " know. Either way you see what was understood before it counts.",
            )
            return chosen if chosen in there else ""
    return ""


def offer(role: str, told: str, key: str, asked: Callable[[], Coroutine[Any, Any, T]], *, again: bool = False) -> None:
    """A button that lets the model of a role read; `told` says what it will be told. Our grammar's reading stays until then."""
    name = show.plain(readings.readers()[role])
    if not again:
        st.caption(show.plain(told))
    words = f"Let {name} read it again" if again else f"Let {name} read it"
    if st.button(words, key=key, icon=":material/neurology:", type="tertiary" if again else "secondary"):
        try:
            with st.spinner(f"{name} reads"):
                live.wait(asked())
        except WorkbenchError as error:
            show.failure(error)
        else:
            st.rerun()


def took(record: readings.Read[Any]) -> str:
    """Which model read, for whom, when, and at what cost, in one line."""
    return f"Read by {record.model} for {record.by}, {show.when(record.at)}; {record.cost}."
