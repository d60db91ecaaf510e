"""Opportunities: which kinds of tickets a flow could answer, and how many hours that would save."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.ui import chances, nav, session, show
from workbench.ui import trends as parts

actor = session.actor()
place = nav.place("opportunities")
show.head(place.title, place.purpose)
with show.errors():
    try:
        tickets.freshness()
    except NotFound:
        parts.no_tickets("Load tickets first; those that come often and alike are then found here.")
        st.stop()
    found = chances.choose()
    if not found.kinds:
        show.empty(
            "No kind of ticket repeats here",
            "Choose a longer period; kinds with few tickets are left out, and tickets without any of these names make none.",
        )
        st.stop()
    chances.overview(found)
    chosen = chances.table(found)
    if chosen:
        chances.next_step(actor, chosen, found)
    chances.explained()
