"""How a new flow begins: from nothing, a template, a release, a draft or a file; and flows that are put away."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from workbench import flows, releases
from workbench.access import Actor, may
from workbench.errors import WorkbenchError
from workbench.flows import shelf
from workbench.flows.drafts import Draft, fork, fork_release
from workbench.runtime.release import Release
from workbench.runtime.spec import FlowSpec
from workbench.ui import canvas, session, show
from workbench.ui.editor import importing

NOTHING = "nothing"
_STYLE = """<style>
[data-testid="stPopoverBody"]:has(.st-key-gallery) {width: min(62rem, 94vw); max-width: none;}
.st-key-flow [data-testid="stWidgetLabelRequired"] {display: none;}
</style>"""

Origins = Mapping[str, Draft | Release]


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


def _gallery(actor: Actor, names: list[str], *, shown: bool) -> None:
    st.html(_STYLE)
    shut = not may(actor, "edit a flow")
    if shut:
        st.caption(f":material/lock: A {actor.role} cannot make flows. Act as an architect, or ask one.")
    made, origins = flows.templates(), _origins(names) if shown else {}
    options = [NOTHING, *(t.name for t in made), *origins]
    if session.get("template") not in options:
        session.keep("template", NOTHING)
    one, two, three = st.columns([3, 3, 2], vertical_alignment="bottom")
    one.selectbox("Begin from", options, key="template", disabled=shut)
    name = two.text_input(
        "Name", key="new-name", placeholder="returns-desk", help="Small letters, digits and dashes.", disabled=shut
    )
    three.button(
        "Create", key="create", type="primary", disabled=shut or not name, on_click=_create, args=(actor, origins)
    )
    if error := session.get("not-made"):
        show.failure(error)
    if not shown:
        return
    _cards(actor, [(t.name, t.purpose, t.spec) for t in made], origins, shut=shut)
    if origins:
        st.caption("Fork what is there: a copy with prompts of its own, which remembers where it came from.")
        _cards(actor, [(label, one.spec.purpose, one.spec) for label, one in origins.items()], origins, shut=shut)
    importing.form(actor, shut=shut)


def _origins(names: list[str]) -> dict[str, Draft | Release]:
    """What can be forked: each flow's release in production, and each draft, by what it is called."""
    found: dict[str, Draft | Release] = {}
    for name in names:
        for environment, number in releases.environments(name).items():
            if environment == "production":
                found[f"{name} v{number}, in production"] = releases.resolve(f"{name}@v{number}")
    return {**found, **{f"{draft.name}, save {draft.version}": draft for draft in flows.drafts()}}


def _cards(actor: Actor, cards: list[tuple[str, str, FlowSpec]], origins: Origins, *, shut: bool) -> None:
    grid = st.grid("auto", min_column_width=250)
    for name, purpose, made in cards:
        with grid.container(border=True, height="stretch"):
            agents = len(made.agents)
            st.markdown(f"**{show.plain(name)}**")
            st.caption(show.plain(purpose))
            canvas.still(made, key=f"card-{name}")
            tools = f"{len(made.tools)} tool{'' if len(made.tools) == 1 else 's'}"
            st.caption(f"{'One agent' if agents == 1 else f'{agents} agents'}, {tools if made.tools else 'no tools'}")
            given = (actor, origins, name, made.flow)
            st.button(
                "Use this",
                key=f"use-{name}",
                disabled=shut,
                on_click=_use,
                args=given,
                help="Makes a new flow at once, under the name above or a free one.",
            )


def _use(actor: Actor, origins: Origins, label: str, flow: str) -> None:
    """Make a new flow from this card; where no name was given, under one that is free."""
    session.keep("template", label)
    if not session.get("new-name"):
        session.keep("new-name", free(flow))
    _create(actor, origins)


def free(flow: str) -> str:
    """The name of a flow, or the first of name-2, name-3 … that no flow has yet."""
    taken = {draft.name for draft in flows.drafts(archived=True)}
    names = (f"{flow}-{place}" for place in itertools.count(2))
    return flow if flow not in taken else next(name for name in names if name not in taken)


def _create(actor: Actor, origins: Origins) -> None:
    """Make the new flow that the form asks for; runs before the page is drawn, so that it can be chosen there."""
    template, name = str(session.get("template", NOTHING)), str(session.get("new-name", "")).strip()
    origin = origins.get(template)

    def make() -> Draft:
        if isinstance(origin, Draft):
            return fork(actor, origin.name, name)
        if origin is not None:
            return fork_release(actor, origin, name)
        return flows.blank(actor, name) if template == NOTHING else flows.begin(actor, template, name)

    opened(make)


def opened(make: Callable[[], Draft]) -> None:
    """Make a flow and open it, the gallery closed; or keep what hindered it, to be shown there. For callbacks."""
    try:
        made = make()
    except WorkbenchError as error:
        session.keep("not-made", error)
        return
    session.forget("not-made")
    session.keep("new-flow", False)
    session.keep("new-name", "")
    session.choose_flow(made.name)


def put_away(actor: Actor, chosen: str, names: list[str]) -> None:
    """Archive the chosen flow, once confirmed; and bring archived ones back."""
    away = flows.archived()
    if not chosen and not away:
        return
    shut = not may(actor, "edit a flow")
    popover = st.popover("Archive", key="archive", on_change="rerun", icon=":material/inventory_2:", disabled=shut)
    if not popover.open:
        return
    with popover:
        if error := session.get("not-archived"):
            show.failure(error)
        if chosen:
            _archive_form(actor, chosen, names)
        if away:
            st.markdown("**Archived flows**")
        for name in away:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(show.plain(name), width="stretch")
                st.button(
                    "Bring back", key=f"bring-back-{name}", type="tertiary", on_click=_bring_back, args=(actor, name)
                )


def _archive_form(actor: Actor, chosen: str, names: list[str]) -> None:
    st.markdown(f"**Archive {show.plain(chosen)}?**")
    st.caption("It leaves the lists. Its versions, runs and releases stay, and it can be brought back as it is.")
    serving = shelf.served(chosen)
    known = True
    if serving:
        where = ", ".join(f"{environment} serves v{number}" for environment, number in serving.items())
        st.warning(show.plain(f"{chosen} is in use: {where}."), icon=":material/rocket_launch:")
        known = st.checkbox("It may go on being served while it is archived", key=f"archive-served-{chosen}")
    st.button(
        f"Archive {chosen}",
        key="archive-it",
        type="primary",
        disabled=not known,
        on_click=_archive,
        args=(actor, chosen, names),
    )


def _archive(actor: Actor, chosen: str, names: list[str]) -> None:
    try:
        flows.archive(actor, chosen, still_served=bool(session.get(f"archive-served-{chosen}")))
    except WorkbenchError as error:
        session.keep("not-archived", error)
        return
    session.forget("not-archived")
    session.keep("archive", False)
    rest = [name for name in names if name != chosen]
    if rest:
        session.choose_flow(rest[0])


def _bring_back(actor: Actor, name: str) -> None:
    try:
        flows.bring_back(actor, name)
    except WorkbenchError as error:
        session.keep("not-archived", error)
        return
    session.forget("not-archived")
    session.keep("archive", False)
    session.choose_flow(name)


def missing(actor: Actor, name: str, names: list[Any]) -> None:
    """Say that a link's flow is not there, and offer those that are; an archived one can be brought back."""
    away = name in flows.archived()
    with st.container(border=True):
        st.markdown(
            f"**The flow {show.plain(name)} is archived.**"
            if away
            else f"**There is no flow called {show.plain(name)}.**"
        )
        st.caption(
            "It can be brought back as it was."
            if away
            else "The link may be old, or have a slip in it. Choose one of these:"
        )
        if away and may(actor, "edit a flow"):
            st.button("Bring back", key="bring-back-linked", type="primary", on_click=_bring_back, args=(actor, name))
        with st.container(horizontal=True):
            for other in names:
                st.button(other, key=f"open-{other}", on_click=session.choose_flow, args=(other,))
