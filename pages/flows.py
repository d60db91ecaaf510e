"""Flows: edit a draft as form, picture and YAML, and try it beside the editor."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench import flows
from workbench.ui import coverage, editor, guardrail_forms, nav, playground, session, show, tool_forms

actor = session.actor()
place = nav.place("flows")
show.head(place.title, place.purpose)


def tools_form(copy: editor.Work) -> None:
    """The tools, and what can be done with the one that was chosen on the picture."""
    editor.rename_row(copy)
    tool_forms.tools_form(copy)


FORMS: dict[str, Callable[[editor.Work], None]] = {
    "Agents": editor.agent_form,
    "Tools": tools_form,
    "Guardrails": guardrail_forms.guardrails_form,
    "Coverage": lambda copy: coverage.panel(copy.spec),
    "Settings": editor.settings_form,
    "YAML": editor.yaml_form,
    "Versions": lambda copy: editor.versions_form(actor, copy),
}


@st.fragment
def edit(name: str, wide: DeltaGenerator, aside: DeltaGenerator | None) -> None:
    """The editor. It is drawn anew by itself after an edit, without the chat beside it.

    The forms come first, because they change the copy; what is drawn from it follows. A large picture goes into `wide`,
    the YAML into `aside` where that is given.
    """
    with st.container(key="editor"), show.errors():
        copy = editor.work(name)
        broad = wide.container()  # written to in every run, so that the picture may move there in any later one
        picture, bar, found = st.container(), st.container(), st.container()
        editor.begin(actor, copy)
        for part, holder in editor.parts(copy, aside).items():
            with holder:
                FORMS[part](copy)
        editor.finish(actor, copy)
        with bar:
            editor.bar(actor, copy)
        with found:
            editor.clash(actor, copy)
            editor.found(copy)
        with broad if editor.is_wide(copy) else picture:
            editor.picture(copy)


with show.errors():
    names = [draft.name for draft in flows.drafts()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = session.open_flow(names) if names else ""
        if names:
            editor.new_flow(actor, names)
        editor.put_away(actor, chosen, names)
        if chosen:
            nav.link("evaluate", "Evaluate", {"flow": chosen})
            nav.link("releases", "Release", {"flow": chosen})
    if not names:
        editor.new_flow(actor, names)
    elif not chosen:
        editor.missing(actor, session.get("missing-flow", ""), names)
    if chosen:
        wide = st.container()
        left, right = st.container(key="split").columns([8, 5], gap="large")
        with right:
            aside = st.container(key="aside") if editor.beside() else None
        with left:
            edit(chosen, wide, aside)
        if aside is None:
            with right:
                playground.panel(actor, editor.work(chosen))
