"""Vendors: how each does with the same kind of tickets."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.tickets import scorecard
from workbench.ui import nav, scorecards, show
from workbench.ui import trends as parts

place = nav.place("vendors")
show.head(place.title, place.purpose)
with show.errors():
    try:
        fresh = tickets.freshness()
    except NotFound:
        parts.no_tickets("Load tickets first; each group is then compared at the same mix of them.")
        st.stop()
    parts.origin(fresh)
    facets = tickets.facets()
    if not any(facets.values()):
        show.empty(
            "Nothing to compare by", "These tickets have no vendor, team, topic or channel. Load them with a mapping."
        )
        st.stop()
    by, mixed, filters = scorecards.choose(facets)
    card = scorecard.scorecard(by, mixed=mixed, filters=filters)
    scorecards.overview(card)
    scorecards.board(card)
