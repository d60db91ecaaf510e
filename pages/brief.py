"""Brief: what moved in a week, whether it is more than chance, and what Support asks of Product."""

import streamlit as st

from workbench.errors import NotFound
from workbench.tickets import brief, brief_text
from workbench.ui import briefing, digest_forms, nav, session, show
from workbench.ui import trends as parts

actor = session.actor()
place = nav.place("brief")
show.head(place.title, place.purpose)
st.html(briefing.PRINT)
with show.errors():
    with st.container(horizontal=True, vertical_alignment="bottom", key="brief-tools"):
        try:
            period = briefing.choose()
        except NotFound:
            parts.no_tickets()
            st.stop()
        if period is None:
            st.stop()
        files = st.container(horizontal=True, vertical_alignment="center")
    with st.container(key="brief-page"):
        found = brief.brief(period)
        st.caption(show.plain(f"{period.said}: {brief_text.about(found)}"))
        briefing.notes(actor, period)
        briefing.page(found)
    with files:
        briefing.files(found)
    digest_forms.panel(actor, period)
