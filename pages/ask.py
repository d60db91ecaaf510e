"""Ask: a question in plain English, how it was understood, and the answer."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.ui import asking, nav, session, show, trends

actor = session.actor()
place = nav.place("ask")
show.head(place.title, place.purpose)
with show.errors():
    try:
        facets = tickets.facets()
    except NotFound:
        trends.no_tickets("Load tickets first; then ask them how many, how fast, how good, by what and when.")
        st.stop()
    text, reader = asking.box(actor)
    if text:
        question = asking.understood(actor, text, reader, facets)
        if question is not None:
            asking.answer(question)
    with st.expander("Ask in SQL", key="in-sql", icon=":material/database:"):
        asking.sql(actor)
