"""Saved views of any page: open one, save what is seen, delete one and take that back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from workbench.access import Actor, views
from workbench.access.views import State, View
from workbench.ui import session, show


def control(actor: Actor, page: str, state: State, apply: Callable[[State], None]) -> None:
    """One button with the views of a page: `state` is what is seen now, `apply` shows another, called before widgets are drawn."""
    with st.popover("Views", icon=":material/bookmark:", key=f"views-{page}"), show.errors():
        known = views.views(actor, page)
        if not known:
            st.caption("No view is saved yet. Set the page as you want it, give it a name, and save it.")
        for one in known:
            _row(actor, one, apply)
        if gone := session.get(f"deleted-view-{page}"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(show.plain(f"Deleted: {gone.name}"))
                st.button(
                    "Undo", key=f"undo-view-{page}", type="tertiary", on_click=_guarded, args=(_again, actor, gone)
                )
        st.divider()
        st.text_input("Name of this view", key=f"view-name-{page}", max_chars=views.LONGEST)
        st.checkbox("Everybody may open it", key=f"view-shared-{page}")
        st.button(
            "Save this view",
            key=f"save-view-{page}",
            icon=":material/bookmark_add:",
            on_click=_guarded,
            args=(_save, actor, page, state),
        )
        if problem := session.get("view-problem"):
            session.forget("view-problem")
            show.failure(problem)


def _row(actor: Actor, one: View, apply: Callable[[State], None]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        mine = one.owner == actor.name
        title = one.name if mine else f"{one.name} ({one.owner})"
        icon = ":material/group:" if one.shared else ":material/bookmark:"
        st.button(
            show.plain(title),
            key=f"open-{one.id}",
            type="tertiary",
            icon=icon,
            width="stretch",
            on_click=apply,
            args=(one.state,),
        )
        if mine or actor.role == "admin":
            st.button(
                "",
                key=f"delete-{one.id}",
                type="tertiary",
                icon=":material/delete:",
                help="Delete this view",
                on_click=_guarded,
                args=(_delete, actor, one),
            )


def _guarded(act: Callable[..., None], *given: object) -> None:
    """Do what a click asks for; what is wrong with it is told when the page is drawn."""
    from workbench.errors import WorkbenchError

    try:
        act(*given)
    except WorkbenchError as error:
        session.keep("view-problem", error)


def _save(actor: Actor, page: str, state: Mapping[str, Sequence[str]]) -> None:
    """Save what is seen under the name as it stands in the field now: the click itself may have ended the typing."""
    name, shared = str(session.get(f"view-name-{page}") or ""), bool(session.get(f"view-shared-{page}"))
    views.save(actor, page, name, state, shared=shared)
    session.keep(f"view-name-{page}", "")
    session.keep(f"view-shared-{page}", False)
    session.forget(f"deleted-view-{page}")


def _delete(actor: Actor, one: View) -> None:
    session.keep(f"deleted-view-{one.page}", views.delete(actor, one.id))


def _again(actor: Actor, one: View) -> None:
    views.save(actor, one.page, one.name, one.state, shared=one.shared)
    session.forget(f"deleted-view-{one.page}")
