"""The editor around its forms: the tabs, the picture, the bar with undo and save, and the findings."""

from __future__ import annotations

import zlib
from typing import Any

import streamlit as st

from workbench import flows
from workbench.access import Actor, may
from workbench.flows import diagram
from workbench.ui import canvas, session, show
from workbench.ui.editor.working_copy import Work, again, reload, remember, save

PARTS = ("Agents", "Tools", "Guardrails", "Coverage", "Settings", "YAML", "Versions")


LARGE = 24
"""With more agents and tools than this, only the form that is open is drawn."""


WIDE = 720
"""A picture wider than this gets the whole width of the page."""


SCOPE = ".st-key-editor, .st-key-aside"


def beside() -> bool:
    """What stands beside the form: the chat, or the YAML. Returns whether it is the YAML."""
    options = {"chat": "Try it", "yaml": "YAML beside the form"}
    chosen = st.segmented_control(
        "Beside the form",
        list(options),
        default="chat",
        format_func=lambda one: options[one],
        key="beside",
        required=True,
        label_visibility="collapsed",
    )
    return chosen == "yaml"


def parts(copy: Work, aside: Any) -> dict[str, Any]:
    """Where each form goes: into its tab, and the YAML into `aside` where that is given.

    Of a large flow only what is open is returned, so that the others need not be drawn; and once more what was open
    before, because somebody may have typed there as the last thing.
    """
    tabs = dict(zip(PARTS, st.tabs(PARTS, key=f"part-{copy.flow}", on_change="rerun"), strict=True))
    large = len(copy.body["agents"]) + len(copy.body.get("tools", {})) > LARGE
    drawn = {name: tab for name, tab in tabs.items() if tab.open or not large or name == copy.part}
    if aside is not None:
        tabs["YAML"].caption("The YAML stands beside the form.")
        drawn["YAML"] = aside
    return drawn


def is_wide(copy: Work) -> bool:
    """Whether the picture needs the whole width of the page."""
    return diagram.picture(copy.spec, copy.folds).width > WIDE


def picture(copy: Work) -> None:
    """The network; a click on it opens the form of an agent or a tool."""

    def act(event: canvas.Event) -> None:
        if event.kind == "pick":
            copy.chosen = (event.what, event.name)
            session.keep(f"part-{copy.flow}", "Tools" if event.what == "tool" else "Agents")
            if event.what == "agent":
                session.keep(copy.key("agent"), event.name)
        elif event.kind == "fold":
            copy.folds = {**copy.folds, event.name: False}
        elif event.kind in ("folds", "unfolds"):
            copy.folds = dict.fromkeys(copy.body["agents"], event.kind == "folds")
        else:
            copy.asked.append(event.kind)

    unsaved = copy.changed and copy.theirs is None and may(session.actor(), "edit a flow")
    canvas.draw(
        copy.spec,
        name=copy.flow,
        chosen=copy.chosen,
        folds=copy.folds,
        unsaved=f"{copy.base}-{zlib.crc32(repr(copy.state).encode())}" if unsaved else "",
        scope=SCOPE,
        act=act,
        height=600 if is_wide(copy) else 430,
    )


def bar(actor: Actor, copy: Work) -> None:
    """Undo, redo, save, discard, and whether something is unsaved."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Undo", key="undo", icon=":material/undo:", disabled=not copy.past, help="Ctrl+Z"):
            copy.undo()
            again()
        if st.button("Redo", key="redo", icon=":material/redo:", disabled=not copy.future, help="Ctrl+Shift+Z"):
            copy.redo()
            again()
        unsaved = copy.changed or bool(copy.live)
        if st.button("Save draft", key="save", type="primary", disabled=not unsaved, icon=":material/save:"):
            with show.errors():
                save(actor, copy)
                remember(actor, copy)
                again()
        if copy.changed:
            with st.popover("Discard", icon=":material/delete_sweep:"):
                st.caption("Go back to what was saved last. Undo brings your changes back.")
                if st.button("Discard them", key="discard"):
                    reload(copy.flow)
                    again()
        _status(actor, copy)


def _status(actor: Actor, copy: Work) -> None:
    if copy.changed:
        st.caption("Unsaved changes")
        if not may(actor, "edit a flow") and not session.get(f"told-{copy.flow}-{actor.role}"):
            session.keep(f"told-{copy.flow}-{actor.role}", True)
            st.toast(
                f"A {actor.role} may try changes to a flow, but nothing of them will be saved.",
                icon=":material/lock:",
                duration="long",
            )
    else:
        st.caption(show.plain(copy.told or f"Save {copy.base}, unchanged"))
    if copy.live and not copy.changed:
        names = ", ".join(sorted({name.rpartition("/")[2] for name in copy.live}))
        st.caption(show.plain(f"New instructions of {names}: Save draft gives them a number."))


def found(copy: Work) -> None:
    """Static findings, each beside what it is about, in words."""
    for one in flows.findings(copy.spec, copy.live):
        words = f"**{show.plain(one.where)}** {show.plain(one.message)}"
        (st.error if one.level == "error" else st.warning)(
            words, icon=":material/error:" if one.level == "error" else ":material/warning:"
        )
