"""Taking in a flow from a file: as a new flow, or, once that is confirmed, as the next save of the one with its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from workbench import flows, releases
from workbench.access import Actor
from workbench.errors import Invalid, WorkbenchError
from workbench.flows import versions
from workbench.flows.drafts import Draft
from workbench.runtime import spec
from workbench.runtime.spec import FlowSpec
from workbench.ui import session, show
from workbench.ui.editor.versions_form import listing
from workbench.ui.editor.yaml_form import FILES, text_of


@dataclass(frozen=True)
class Given:
    """A file that was read: its name, its text and the flow in it."""

    file: str
    text: str
    flow: FlowSpec


def form(actor: Actor, *, shut: bool) -> None:
    """Take in a file. A flow with a new name is opened at once; else a person chooses, seeing what would change."""
    st.file_uploader("Or take in a file", FILES, key="new-file", disabled=shut, on_change=lambda: _arrived(actor))
    if error := session.get("not-taken"):
        show.failure(error)
    given: Given | None = session.get("taken-file")
    if given is None:
        return
    taken = given.flow.flow
    with st.container(border=True, key="import"):
        st.markdown(f"**There is a flow called {show.plain(taken)} already.** Nothing was changed yet.")
        left, right = st.columns([3, 2], vertical_alignment="bottom")
        name = left.text_input("Take it in under another name", key="import-name")
        right.button(
            "Make a new flow",
            key="import-new",
            type="primary",
            disabled=not name,
            on_click=_as_new,
            args=(actor, given),
        )
        try:
            there = flows.draft(taken)
        except WorkbenchError as error:
            show.failure(error)
            return
        _what_changes(there, given)
        label = f"Make it the next save of {taken}"
        st.button(label, key="import-over", on_click=_as_next, args=(actor, given, there.version))


def _what_changes(there: Draft, given: Given) -> None:
    before = versions.copy_of(there)
    after = versions.Copy(spec.plain(given.flow), {**versions.saved_texts(given.flow), **before.texts})
    st.markdown(f"What would change in {show.plain(there.name)}:")
    one, other = versions.release(before), versions.release(after)
    listing([] if versions.alike(one, other) else releases.diff(one, other))


def _arrived(actor: Actor) -> None:
    """Read the file that was given; where no flow has its name, make it and open it."""
    session.forget("taken-file", "not-taken")
    given = session.get("new-file")
    if given is None:
        return
    text = text_of(given)
    try:
        made = spec.read(text)
    except WorkbenchError as error:
        session.keep("not-taken", Invalid(f"{given.name}: {error.message}", remedy=error.remedy))
        return
    names = {draft.name for draft in flows.drafts(archived=True)}
    if made.flow in names:
        session.keep("taken-file", Given(given.name, text, made))
        session.keep("import-name", "")
        return
    _open(lambda: flows.put_new(actor, text))


def _as_new(actor: Actor, given: Given) -> None:
    _open(lambda: flows.put_new(actor, given.text, str(session.get("import-name", "")).strip()))


def _as_next(actor: Actor, given: Given, base: int) -> None:
    _open(lambda: flows.put_over(actor, given.text, base=base))


def _open(make: Callable[[], Draft]) -> None:
    """Take the file in and open its flow, the gallery closed; or keep what hindered it, to be shown there."""
    try:
        made = make()
    except WorkbenchError as error:
        session.keep("not-taken", error)
        return
    session.forget("taken-file", "not-taken")
    session.keep("new-flow", False)
    session.choose_flow(made.name)
