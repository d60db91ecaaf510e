"""Ticket: one ticket to read, with its run and labels."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.ui import nav, session, show, ticket_view
from workbench.ui import trends as parts

place = nav.place("ticket")
show.head(place.title, place.purpose)
with show.errors():
    try:
        tickets.freshness()
    except NotFound:
        parts.no_tickets()
        st.stop()
    named = st.text_input(
        "Ticket", session.asked("ticket"), placeholder="a ticket's id", width=260, key=f"id-{session.asked('ticket')}"
    )
    if not named:
        show.empty("No ticket chosen", "Write its id above, or find it on the Trends page.", icon="confirmation_number")
        nav.link("trends", "Trends")
        st.stop()
    if named != session.asked("ticket"):
        st.query_params["ticket"] = named
    ticket_view.reading(session.actor(), tickets.trends.ticket(named))
