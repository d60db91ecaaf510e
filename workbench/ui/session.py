"""The only toucher of `st.session_state`: who acts, and what a page keeps between reruns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import streamlit as st

from workbench import access
from workbench.access import desk
from workbench.errors import Invalid, WorkbenchError
from workbench.ui import show

T = TypeVar("T")

ROLE = "acting-role"
FIRST_FLOW = "order-desk"


def actor() -> access.Actor:
    """The local person in the role chosen in the sidebar."""
    return access.local(cast(access.Role, st.session_state.get(ROLE) or "architect"))


def role_from_address() -> None:
    """Act in the role that the address names at first, in whatever case; the choice in the sidebar reads its own words."""
    asked = st.query_params.get(ROLE, "").casefold()
    if ROLE not in st.session_state and asked in access.ROLES:
        keep(ROLE, asked)


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


def come_to(page: str) -> None:
    """Keep which page is drawn, so that a page knows whether somebody has just come to it."""
    keep("page-before", get("page-now"))
    keep("page-now", page)


def arrived() -> bool:
    """Whether the page before this run was another one, so that the address is a link that was followed."""
    return bool(get("page-before") != get("page-now"))


def address(names: Sequence[str]) -> dict[str, list[str]]:
    """What the address holds under these names."""
    return {name: found for name in names if (found := st.query_params.get_all(name))}


def forget(*keys: str) -> None:
    """Forget what was kept under `keys`."""
    for key in keys:
        st.session_state.pop(key, None)


def from_desk(place: str) -> Any:
    """What this person left at a place of their desk before the page was reloaded; None where nothing is there."""
    try:
        found = desk.take(actor(), place)
    except WorkbenchError:
        return None  # The page itself says that the database cannot be read.
    keep(f"desk-{place}", found)
    return found


def to_desk(place: str, what: Any) -> None:
    """Leave `what` at a place of this person's desk, so that a reload finds it; None takes it away."""
    if get(f"desk-{place}") == what:
        return
    keep(f"desk-{place}", what)
    if what is None:
        desk.clear(actor(), place)
        return
    try:
        desk.put(actor(), place, what)
    except Invalid as error:
        show.failure(error)


def pick_flow(names: Sequence[str], label: str = "Flow") -> str:
    """Choose a flow; the choice is in the address and goes along from page to page.

    Where the address names a flow that is not there, that is said, and nothing more is drawn until one is chosen.
    """
    asked = st.query_params.get("flow", "")
    if missing("flow", names):
        instead = st.selectbox(label, names, None, key=f"flow-instead-of-{asked}", placeholder="Choose one", width=260)
        if instead is None:
            not_there("flow", asked)
            st.stop()
        keep("passed-flow", asked)
        choose_flow(instead)
        st.rerun()
    last = get("last-flow", FIRST_FLOW)
    index = names.index(last) if last in names else 0
    chosen = st.selectbox(label, names, index, key="flow", bind="query-params", width=260)
    keep("last-flow", chosen)
    return chosen


def pick(label: str, name: str, titles: Mapping[str, str], *, thing: str, fresh: str = "") -> str | None:
    """Choose one of `titles`, a title by its id; the choice is in the address under `name`.

    Where the address names one that is not there, that is said, and None comes back until the person chooses. `fresh`
    is anything that changes with the titles, because the browser tells a choice back by its words.
    """
    asked, gone = st.query_params.get(name, ""), missing(name, list(titles))
    there = None if gone else list(titles).index(linked(name, list(titles)))
    key = f"{name}-{fresh}-{asked if gone else there}"
    chosen = st.selectbox(
        label, list(titles), there, key=key, format_func=lambda one: titles[one], placeholder="Choose one"
    )
    if chosen is None:
        not_there(thing, asked)
        return None
    if gone:
        keep(f"passed-{name}", asked)
    point(name, chosen)
    return chosen


def link(name: str) -> str:
    """What a link that somebody followed names under `name`; empty for what we wrote to the address ourselves."""
    asked = st.query_params.get(name, "")
    return "" if asked in _written(name) else asked


def missing(name: str, options: Sequence[str]) -> bool:
    """Whether the address names under `name` what is none of the options, and the person has chosen none since."""
    asked = st.query_params.get(name, "")
    return bool(asked) and asked not in options and asked not in _written(name) and asked != get(f"passed-{name}")


def not_there(thing: str, asked: str) -> None:
    """Say that the address names a thing that is not there, and what to do."""
    words = f"There is no {thing} {asked} here. It may have been renamed or deleted. Choose one from the list."
    st.warning(show.plain(words), icon=":material/link_off:")


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


def unpoint(name: str) -> None:
    """Take `name` out of the address."""
    st.query_params.pop(name, None)


def seen(name: str, value: T) -> T:
    """What the person had before their eyes under `name` when they clicked: the value of the run before this one."""
    before = cast(T, get(f"seen-{name}", value))
    keep(f"seen-{name}", value)
    return before


def _written(name: str) -> set[str]:
    return kept(f"written-{name}", lambda: set[str]())
