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


def has(key: str) -> bool:
    """Whether anything is kept under `key`, by us or by a widget that is drawn."""
    return key in st.session_state


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
    """Make `name` the chosen flow. Only before the choice is drawn, as in a callback."""
    keep("last-flow", name)
    forget("missing-flow")
    st.session_state["flow"] = name


def asked(name: str) -> str:
    """What the address names under `name`, or an empty text."""
    return str(st.query_params.get(name, ""))


def open_flow(names: Sequence[str], label: str = "Flow") -> str:
    """Choose a flow, which the address then always names. Returns an empty text where the address names an unknown one.

    The unknown name is kept as `missing-flow` until somebody chooses a flow.
    """
    named = asked("flow")
    if named and named not in names:
        keep("missing-flow", named)
        keep("flow", None)
    elif get("flow") not in names and named not in names:
        last = get("last-flow", FIRST_FLOW)
        keep("flow", None if has("missing-flow") else last if last in names else names[0])
    chosen = st.selectbox(
        label,
        names,
        None,
        key="flow",
        bind="query-params",
        required=True,
        width=260,
        placeholder="Choose a flow",
        on_change=lambda: forget("missing-flow"),
    )
    if chosen is None:
        return ""
    forget("missing-flow")
    keep("last-flow", chosen)
    return chosen


def linked(name: str, options: Sequence[str]) -> str:
    """What the address names under `name`, or what was chosen last, or the first option.

    A rerun may still carry the address from before our own last write to it, so a value that we wrote ourselves is
    never taken for a link that somebody followed.
    """
    written = _written(name)
    asked = st.query_params.get(name, "")
    if asked in options and asked not in written:
        keep(f"linked-{name}", asked)
    chosen = get(f"linked-{name}")
    return chosen if chosen in options else options[0]


def point(name: str, value: str) -> None:
    """Choose `value` under `name`, and write it to the address."""
    _written(name).add(value)
    keep(f"linked-{name}", value)
    st.query_params[name] = value


def seen(name: str, value: T) -> T:
    """What the person had before their eyes under `name` when they clicked: the value of the run before this one."""
    before = cast(T, get(f"seen-{name}", value))
    keep(f"seen-{name}", value)
    return before


def _written(name: str) -> set[str]:
    return kept(f"written-{name}", lambda: set[str]())
