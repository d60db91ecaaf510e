"""The only toucher of `st.session_state`: who acts, and what a page keeps between reruns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import streamlit as st

from workbench import access

T = TypeVar("T")

ROLE = "acting-role"
FIRST_FLOW = "order-desk"


def actor() -> access.Actor:
    """The local person in the role chosen in the sidebar."""
    return access.local(cast(access.Role, st.session_state.get(ROLE) or "architect"))


def kept(key: str, make: Callable[[], T]) -> T:
    """The value kept under `key` for this browser session, made on first use."""
    if key not in st.session_state:
        st.session_state[key] = make()
    return cast(T, st.session_state[key])


def keep(key: str, value: Any) -> None:
    """Keep `value` under `key` for this browser session."""
    st.session_state[key] = value


def get(key: str, default: Any = None) -> Any:
    """What is kept under `key`, or `default`."""
    return st.session_state.get(key, default)


def forget(*keys: str) -> None:
    """Forget what was kept under `keys`."""
    for key in keys:
        st.session_state.pop(key, None)


def pick_flow(names: Sequence[str], label: str = "Flow") -> str:
    """Choose a flow; the choice is in the address and goes along from page to page."""
    last = get("last-flow", FIRST_FLOW)
    index = names.index(last) if last in names else 0
    chosen = st.selectbox(label, names, index, key="flow", bind="query-params", width=260)
    keep("last-flow", chosen)
    return chosen


def choose_flow(name: str) -> None:
    """Make `name` the chosen flow from the next rerun on."""
    keep("last-flow", name)
    forget("flow")
    st.query_params["flow"] = name
