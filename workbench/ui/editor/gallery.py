"""How a new flow begins: from nothing, a template, a release, a draft or a file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench import flows, releases
from workbench.access import Actor
from workbench.errors import Invalid, WorkbenchError
from workbench.flows.drafts import Draft, fork, fork_release
from workbench.runtime.release import Release
from workbench.runtime.spec import FlowSpec
from workbench.ui import canvas, session, show
from workbench.ui.editor.yaml_form import FILES, text_of


def new_flow(actor: Actor, names: list[str]) -> None:
    """A new flow: from nothing, a template, a released flow, a draft or a file. Open where there is no flow yet."""
    if not names:
        show.empty(
            "No flows yet",
            "Begin from the template “order-desk”: a triage agent that hands over to refunds and shipping.",
        )
        with st.container(border=True, key="gallery"):
            _gallery(actor, names, shown=True)
        return
    popover = st.popover("New flow", key="new-flow", on_change="rerun", icon=":material/add:")
    with popover, st.container(key="gallery"):
        _gallery(actor, names, shown=bool(popover.open))


NOTHING = "nothing"


_STYLE = """<style>
[data-testid="stPopoverBody"]:has(.st-key-gallery) {width: min(62rem, 94vw); max-width: none;}
</style>"""


def _gallery(actor: Actor, names: list[str], *, shown: bool) -> None:
    st.html(_STYLE)
    made, origins = flows.templates(), _origins(names) if shown else {}
    options = [NOTHING, *(t.name for t in made), *origins]
    if session.get("template") not in options:
        session.keep("template", NOTHING)
    one, two, three = st.columns([3, 3, 1], vertical_alignment="bottom")
    template = one.selectbox("Begin from", options, key="template")
    name = two.text_input("Name", key="new-name", placeholder="returns-desk", help="Small letters, digits and dashes.")
    three.button("Create", key="create", type="primary", disabled=not name, on_click=_create, args=(actor, origins))
    if error := session.get("not-made"):
        show.failure(error)
    if not shown:
        return
    _cards(actor, [(t.name, t.purpose, t.spec) for t in made], template, origins)
    if origins:
        st.caption("Fork what is there: a copy with prompts of its own, which remembers where it came from.")
        _cards(actor, [(label, one.spec.purpose, one.spec) for label, one in origins.items()], template, origins)
    given = st.file_uploader("Or take in a file", FILES, key="new-file")
    if given is not None and session.get("taken") != given.file_id:
        _take_file(actor, given)


def _origins(names: list[str]) -> dict[str, Draft | Release]:
    """What can be forked: each flow's release in production, and each draft, by what it is called."""
    found: dict[str, Draft | Release] = {}
    for name in names:
        for environment, number in releases.environments(name).items():
            if environment == "production":
                found[f"{name} v{number}, in production"] = releases.resolve(f"{name}@v{number}")
    return {**found, **{f"{draft.name}, save {draft.version}": draft for draft in flows.drafts()}}


def _cards(
    actor: Actor, cards: list[tuple[str, str, FlowSpec]], chosen: str, origins: Mapping[str, Draft | Release]
) -> None:
    grid = st.grid("auto", min_column_width=250)
    for name, purpose, made in cards:
        with grid.container(border=True, height="stretch"):
            agents = len(made.agents)
            st.markdown(f"**{show.plain(name)}**")
            st.caption(show.plain(purpose))
            canvas.still(made, key=f"card-{name}")
            tools = f"{len(made.tools)} tool{'' if len(made.tools) == 1 else 's'}"
            st.caption(f"{'One agent' if agents == 1 else f'{agents} agents'}, {tools if made.tools else 'no tools'}")
            if name == chosen and session.get("new-name"):
                label = f"Create {session.get('new-name')}"
                st.button(label, key=f"create-{name}", type="primary", on_click=_create, args=(actor, origins))
            else:
                st.button("Use this", key=f"use-{name}", on_click=_choose, args=(name, made.flow))


def _choose(label: str, flow: str) -> None:
    """Begin from this card; where no name was given yet, propose one that is free."""
    session.keep("template", label)
    if not session.get("new-name"):
        taken = {draft.name for draft in flows.drafts()}
        names = (f"{flow}-{place}" for place in itertools.count(2))
        session.keep("new-name", flow if flow not in taken else next(name for name in names if name not in taken))


def _create(actor: Actor, origins: Mapping[str, Draft | Release]) -> None:
    """Make the new flow that the form asks for; runs before the page is drawn, so that it can be chosen there."""
    template, name = str(session.get("template", NOTHING)), str(session.get("new-name", "")).strip()
    origin = origins.get(template)
    try:
        if isinstance(origin, Draft):
            made = fork(actor, origin.name, name)
        elif origin is not None:
            made = fork_release(actor, origin, name)
        else:
            made = flows.blank(actor, name) if template == NOTHING else flows.begin(actor, template, name)
    except WorkbenchError as error:
        session.keep("not-made", error)
        return
    session.forget("not-made")
    session.keep("new-flow", False)
    session.choose_flow(made.name)


def _take_file(actor: Actor, given: Any) -> None:
    """A flow from a file: a new draft, or the next save of the one with its name."""
    try:
        draft, new = flows.put(actor, text_of(given))
    except WorkbenchError as error:
        show.failure(Invalid(f"{given.name}: {error.message}", remedy=error.remedy))
        return
    session.keep("taken", given.file_id)
    st.success(
        show.plain(f"{draft.name} was {'made' if new else f'saved as save {draft.version}'} from {given.name}."),
        icon=":material/check:",
    )
