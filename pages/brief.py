"""Brief: what moved in a week, whether it is more than chance, and what Support asks of Product."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.tickets import brief, brief_text
from workbench.ui import briefing, digest_forms, nav, session, show
from workbench.ui import trends as parts

actor = session.actor()
place = nav.place("brief")
show.head(place.title, place.purpose)
st.html(briefing.PRINT)
with show.errors():
    try:
        tickets.freshness()
    except NotFound:
        parts.no_tickets("Load tickets first; each week is then told here in a page, with its figures.")
        st.stop()
    with st.container(horizontal=True, vertical_alignment="bottom", key="brief-tools"):
        period = briefing.choose()
        if period is None:
            st.stop()
        files = st.container(horizontal=True, vertical_alignment="center", width="content")
    with st.container(key="brief-page"):
        found = brief.brief(period)
        st.caption(show.plain(f"{period.said}: {brief_text.about(found)}"))
        briefing.notes(actor, period)
        briefing.page(found)
    with files:
        briefing.files(found)
    digest_forms.panel(actor, period)
