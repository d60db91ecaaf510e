"""Topics: what tickets are about, by their words; people name, merge, split and move them."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.tickets import topics
from workbench.ui import enriching, nav, session, show, topic_views
from workbench.ui import trends as parts

actor = session.actor()
place = nav.place("topics")
show.head(place.title, place.purpose)
with show.errors():
    try:
        tickets.freshness()
    except NotFound:
        parts.no_tickets()
        st.stop()
    busy = topic_views.running(actor)
    view = parts.switch("Show", ("Topics", "Language, sentiment and masking"), "Topics", "show")
    if view != "Topics":
        enriching.states(actor)
    elif topics.newest() is None:
        topic_views.nothing(actor, busy=busy)
    else:
        topic_views.told()
        filters = topic_views.overview()
        topic_views.one(actor, filters)
        topic_views.proposals(actor)
        if not busy:
            topic_views.look(actor)
        topic_views.changes(actor)
