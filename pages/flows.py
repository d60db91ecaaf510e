"""Flows: edit a draft as form, picture and YAML, and try it beside the editor."""

import streamlit as st

from workbench import flows
from workbench.errors import WorkbenchError
from workbench.ui import charts, editor, guardrail_forms, nav, playground, session, show, tool_forms

actor = session.actor()
place = nav.place("flows")
show.head(place.title, place.purpose)


def create() -> None:
    """Make the new flow that the form asks for; runs before the page is drawn, so that it can be chosen there."""
    template, name = str(session.get("template", "nothing")), str(session.get("new-name", "")).strip()
    try:
        made = flows.blank(actor, name) if template == "nothing" else flows.begin(actor, template, name)
    except WorkbenchError as error:
        session.keep("not-made", error)
        return
    session.forget("not-made")
    session.choose_flow(made.name)


def begin_form() -> None:
    """A new draft from a template, or from nothing."""
    with st.popover("New flow", icon=":material/add:"):
        st.selectbox("Begin from", ["nothing", *(t.name for t in flows.templates())], key="template")
        name = st.text_input(
            "Name", key="new-name", placeholder="returns-desk", help="Small letters, digits and dashes."
        )
        st.button("Create", key="create", type="primary", disabled=not name, on_click=create)
        if error := session.get("not-made"):
            show.failure(error)


def save_row(copy: editor.Work) -> None:
    """Save, discard, and whether something is unsaved."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save draft", key="save", type="primary", disabled=not copy.changed, icon=":material/save:"):
            with show.errors():
                editor.save(actor, copy)
                session.keep("saved", f"Saved as save {copy.base}.")
                st.rerun()
        if copy.changed:
            with st.popover("Discard", icon=":material/undo:"):
                st.caption("Unsaved changes to this flow and its prompts are lost.")
                if st.button("Discard them", key="discard"):
                    editor.reload(copy.flow)
                    st.rerun()
            st.caption("Unsaved changes")
        else:
            st.caption(session.get("saved") or f"Save {copy.base}, unchanged")
        nav.link("evaluate", "Evaluate", {"flow": copy.flow})
        nav.link("releases", "Release", {"flow": copy.flow})


def findings(copy: editor.Work) -> None:
    """Static findings, each beside what it is about, in words."""
    for one in flows.findings(copy.spec, copy.texts):
        words = f"**{show.plain(one.where)}** {show.plain(one.message)}"
        (st.error if one.level == "error" else st.warning)(
            words, icon=":material/error:" if one.level == "error" else ":material/warning:"
        )


with show.errors():
    drafts = [draft.name for draft in flows.drafts()]
    if drafts:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = session.pick_flow(drafts)
            begin_form()
    else:
        show.empty(
            "No flows yet",
            "Begin from the template “order-desk”: a triage agent that hands over to refunds and shipping.",
        )
        begin_form()
    if drafts and chosen:
        copy = editor.work(chosen)
        left, right = st.container(key="split").columns([8, 5], gap="large")
        with left:
            picture, bar, found = st.container(), st.container(), st.container()
            agents, tools, rails, setting, yaml = st.tabs(["Agents", "Tools", "Guardrails", "Settings", "YAML"])
            with agents:
                editor.agent_form(copy)
            with tools:
                tool_forms.tools_form(copy)
            with rails:
                guardrail_forms.guardrails_form(copy)
            with setting:
                editor.settings_form(copy)
            with yaml:
                editor.yaml_form(copy)
            with picture:
                st.caption(show.plain(copy.body.get("purpose", "")))
                charts.network(copy.spec)
            with bar:
                save_row(copy)
            with found:
                findings(copy)
        with right:
            playground.panel(actor, copy)
