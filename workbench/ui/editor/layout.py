"""The editor around its forms: the tabs, the picture, the bar with undo and save, and the findings."""

from __future__ import annotations

import zlib
from typing import Any

import streamlit as st

from workbench import flows
from workbench.access import Actor
from workbench.access.people import PERMISSIONS
from workbench.flows import diagram
from workbench.ui import canvas, session, show
from workbench.ui.editor.working_copy import AGENT, PART, Work, again, moment, remember, save

PARTS = ("Agents", "Tools", "Guardrails", "Coverage", "Settings", "YAML", "Versions")


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
    """Where each form goes: into its tab, and the YAML into `aside` where that is given. The open tab is in the address.

    Only what is open is returned, so that the others need not be drawn; and what was open before that, because somebody
    may have typed there as the last thing, or goes to and fro.
    """
    tabs = dict(zip(PARTS, st.tabs(PARTS, key=PART, on_change="rerun", bind="query-params"), strict=True))
    opened = next(name for name, tab in tabs.items() if tab.open)
    if opened != copy.part:
        copy.part, copy.part_before = opened, copy.part
    drawn = {name: tab for name, tab in tabs.items() if name in (opened, copy.part_before)}
    if copy.chosen is None and session.asked(AGENT) in copy.body["agents"]:
        copy.chosen = ("agent", session.asked(AGENT))
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
            session.keep(PART, "Tools" if event.what == "tool" else "Agents")
            if event.what == "agent":
                session.keep(AGENT, event.name)
        elif event.kind == "fold":
            copy.folds = {**copy.folds, event.name: False}
        elif event.kind in ("folds", "unfolds"):
            copy.folds = dict.fromkeys(copy.body["agents"], event.kind == "folds")
        elif not copy.locked:
            copy.asked.append(event.kind)

    unsaved = copy.changed and copy.theirs is None and not copy.locked
    canvas.draw(
        copy.spec,
        name=copy.flow,
        chosen=copy.chosen,
        folds=copy.folds,
        unsaved=f"{copy.base}-{zlib.crc32(repr(copy.state).encode())}" if unsaved else "",
        scope=SCOPE,
        sought=copy.sought,
        act=act,
        height=600 if is_wide(copy) else 430,
    )


def bar(actor: Actor, copy: Work) -> None:
    """Undo, redo, whether everything is saved, and a number for new instructions; who may not edit is told why."""
    with st.container(horizontal=True, vertical_alignment="center"):
        shut = copy.locked
        if st.button("Undo", key="undo", icon=":material/undo:", disabled=shut or not copy.past, help="Ctrl+Z"):
            copy.undo()
            again()
        if st.button("Redo", key="redo", icon=":material/redo:", disabled=shut or not copy.future, help="Ctrl+Shift+Z"):
            copy.redo()
            again()
        icon, words = _state(actor, copy)
        st.caption(f":material/{icon}: {show.plain(words)}")
        if copy.told:
            st.caption(show.plain(copy.told))
    if copy.live and not shut:
        _waiting(actor, copy)


def _state(actor: Actor, copy: Work) -> tuple[str, str]:
    """How it stands with saving: an icon, and words."""
    if copy.locked:
        who = " or ".join(sorted(PERMISSIONS["edit a flow"] - {"admin"}))
        return "lock", f"As a {actor.role} you can read and try this flow. To change it, act as {who} or ask one."
    if copy.theirs is not None:
        return "sync_problem", "Not saved: choose below whose changes to keep."
    if copy.changed:
        return "sync", "Not saved yet. It is saved by itself when you pause."
    at = moment(copy.saved_at) if copy.saved_at else ""
    by = f"by {copy.saved_by}" if copy.saved_by not in ("", actor.name) else ""
    return "cloud_done", " ".join(one for one in ("Saved", at, by, f"as save {copy.base}.") if one)


def _waiting(actor: Actor, copy: Work) -> None:
    """New instructions are saved with the draft; here they become the next numbered version of their prompts."""
    names = ", ".join(sorted({name.rpartition("/")[2] for name in copy.live}))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(show.plain(f"New instructions of {names} are kept with this flow and have no number yet."))
        if st.button(
            "Number the instructions",
            key="save",
            type="tertiary",
            icon=":material/bookmark_add:",
            help="They become the next version on the Prompts page, to be compared and taken back there.",
        ):
            with show.errors():
                save(actor, copy)
                remember(actor, copy)
                again()


FEW = 4
"""Of more findings than this, the rest is under a fold."""


def found(copy: Work) -> None:
    """What is wrong with the flow, errors first: each says what it is about, and leads there."""
    wrong, copy.wrong = copy.wrong, None
    if wrong is not None:
        show.failure(wrong)
    listed = flows.findings(copy.spec, copy.live)
    if not listed:
        return
    with st.container(border=True, key="findings", gap="xsmall"):
        for place, one in enumerate(listed[:FEW]):
            _finding(copy, place, one)
        if rest := listed[FEW:]:
            with st.expander(f"{len(rest)} more", type="compact"):
                for place, one in enumerate(rest, FEW):
                    _finding(copy, place, one)


def _finding(copy: Work, place: int, one: flows.Finding) -> None:
    icon, colour = ("error", "red") if one.level == "error" else ("warning", "orange")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":{colour}[:material/{icon}:] **{show.plain(subject(one.where))}** {show.plain(one.message)}",
            width="stretch",
        )
        st.button(
            "Show",
            key=copy.key("show", str(place)),
            type="tertiary",
            icon=":material/arrow_forward:",
            help="Open the form of what this is about.",
            on_click=_go,
            args=(copy, one.where),
        )


SUBJECTS = {"agents": "Agent", "tools": "Tool", "guardrails": "Guardrail"}
SETTINGS = {"entry": "Where the flow begins", "knowledge": "Knowledge"}


def subject(where: str) -> str:
    """What a finding is about, in words."""
    kind, _, rest = where.partition(".")
    if kind in SUBJECTS:
        return f"{SUBJECTS[kind]} {rest.partition('.')[0]}" if rest else f"{SUBJECTS[kind]}s"
    return SETTINGS.get(kind, kind.capitalize())


def _go(copy: Work, where: str) -> None:
    """Open the tab, and the agent or tool, that a finding is about. Runs before the page is drawn."""
    kind, _, rest = where.partition(".")
    name = rest.partition(".")[0]
    session.keep(PART, kind.capitalize() if kind in SUBJECTS else "Settings")
    if kind == "agents" and name in copy.body["agents"]:
        copy.chosen = ("agent", name)
        session.keep(AGENT, name)
    elif kind == "tools" and name in copy.body.get("tools", {}):
        copy.chosen = ("tool", name)
    if kind in ("tools", "guardrails") and name:
        copy.sought = (copy.sought[0] + 1, name)
