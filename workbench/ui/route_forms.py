"""Where notices go: destinations, routes, and everything that was sent."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench.access import Actor
from workbench.operations import notices, routes
from workbench.operations.routes import Destination, Kind, Route
from workbench.tickets.detectors import SEVERITIES
from workbench.ui import show

KINDS: dict[Kind, str] = {"webhook": "Webhook, signed", "slack": "Slack", "email": "E-mail"}


def panel(actor: Actor) -> None:
    """Routes and destinations."""
    known = routes.destinations()
    if not known:
        show.empty(
            "Nobody is told yet",
            "Make a destination, then say which areas it hears of. Secrets stay with whoever runs the workbench: only "
            "their names are written here.",
            icon="outgoing_mail",
        )
    else:
        _routes(actor, [one.name for one in known])
        for one in known:
            _shown(actor, one)
    _form(actor)


def sent() -> None:
    """Every notice: to whom, when, what, and what became of it."""
    found = notices.sent()
    if not found:
        show.empty(
            "Nothing was sent yet", "Notices appear here with their text and what became of them.", icon="outgoing_mail"
        )
        return
    rows = [
        {
            "made": one.made_at,
            "to": one.destination or "nobody",
            "what": one.kind,
            "state": one.state,
            "result": one.result,
            "sent": one.sent_at,
            "tries": one.tries,
            "text": one.text,
            "about": _about(one),
        }
        for one in found
    ]
    show.table(
        pd.DataFrame(rows),
        key="notices-table",
        column_config={
            "made": show.moments("Made"),
            "sent": show.moments("Sent"),
            "text": st.column_config.TextColumn("text", width="large"),
            "about": st.column_config.LinkColumn("about", display_text="open"),
        },
    )


def _about(one: notices.Sent) -> str | None:
    """The address of what a notice is about: an incident or a brief."""
    if one.kind == notices.BRIEF:
        return f"/brief?week={one.incident.removeprefix(notices.BRIEF + '-')}"
    return f"/signals?incident={one.incident}" if one.incident.startswith("inc_") else None


def failed(actor: Actor) -> None:
    """The notices that did not arrive, each with a button to send it again."""
    for one in notices.sent():
        if one.state not in (notices.FAILED, notices.UNSETTLED):
            continue
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(show.plain(f"{one.text.splitlines()[0]} did not surely reach {one.destination}: {one.result}"))
            if st.button(
                "Send again", key=f"again-{one.incident}-{one.turn}-{one.destination}", icon=":material/replay:"
            ):
                with show.errors():
                    notices.again(actor, one.incident, one.turn, one.destination)
                    st.rerun()


def _routes(actor: Actor, names: list[str]) -> None:
    st.markdown("**Who hears of what**")
    st.caption("An area of * is every area. Incidents below the severity are not sent.")
    frame = pd.DataFrame(
        [{"area": one.area, "destination": one.destination, "from severity": one.least} for one in routes.routes()],
        columns=["area", "destination", "from severity"],
        dtype="str",
    )
    edited = st.data_editor(
        frame,
        num_rows="dynamic",
        hide_index=True,
        key=f"routes-{len(frame)}",
        column_config={
            "area": st.column_config.TextColumn("Area", default=routes.EVERY),
            "destination": st.column_config.SelectboxColumn("Destination", options=names, required=True),
            "from severity": st.column_config.SelectboxColumn(
                "From severity", options=list(SEVERITIES), default="low", required=True
            ),
        },
    )
    if st.button("Save routes", key="save-routes", type="primary", icon=":material/save:"):
        with show.errors():
            rows = edited.dropna(subset=["destination"]).fillna("").to_dict("records")
            wanted = [Route(str(r["area"]), str(r["destination"]), str(r["from severity"]) or "low") for r in rows]
            routes.set_routes(actor, wanted)
            st.rerun()


def _shown(actor: Actor, one: Destination) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        named = f", secret {one.secret}" if one.secret else ""
        st.markdown(show.plain(f"{one.name}: {KINDS[one.kind]} to {one.address}{named}"))
        if st.button("Send a trial message", key=f"try-{one.name}", icon=":material/send:"):
            with show.errors():
                st.toast(show.plain(notices.try_out(actor, one.name)))
        with st.popover("Take away", icon=":material/delete:"):
            st.caption("Its routes go too. What was sent stays on record.")
            if st.button("Take it away", key=f"drop-{one.name}"):
                with show.errors():
                    routes.drop(actor, one.name)
                    st.rerun()


def _form(actor: Actor) -> None:
    with st.expander("New destination", icon=":material/add:"), st.form("destination", border=False):
        one, two = st.columns(2)
        name = one.text_input("Name", placeholder="payments on call")
        kind = two.selectbox("Kind", list(KINDS), format_func=lambda kind: KINDS[kind])
        address = one.text_input(
            "Address", placeholder="https://… or secret:NAME, or e-mail addresses",
            help="A Slack address is itself a secret: have it set as one, and write secret:NAME here.",
        )  # fmt: skip
        secret = two.text_input(
            "Name of its secret",
            placeholder="page_key",
            help="The key that signs a webhook, or the mail server of e-mail.",
        )
        if st.form_submit_button("Save destination"):
            with show.errors():
                routes.put(actor, Destination(name.strip(), kind, address.strip(), secret.strip()))
                st.rerun()
