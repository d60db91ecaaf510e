"""Trends: what changed in the tickets, where, and which tickets are behind it."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.ui import session, show, trend_state, trend_views
from workbench.ui import trends as parts

actor = session.actor()
show.head("Trends", "What changed, where, and which tickets are behind it.")
st.html(parts.PRINT)
with show.errors():
    try:
        fresh = tickets.freshness()
    except NotFound:
        parts.no_tickets()
        st.stop()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        parts.origin(fresh)
        saved = st.container(width="content")
    facets = tickets.facets()
    filters, against, exact = parts.choose(facets)
    overview = tickets.overview(filters, against=against, exact=exact)
    parts.tiles(overview, against)
    metric, narrowed, picked = trend_views.chart(filters, facets, exact=exact)
    trend_views.deeper(filters, facets, metric, overview, against, exact=exact)
    parts.listing(narrowed, picked)
    with saved:
        trend_state.control(actor)
