"""Trends: what changed in the tickets, where, and which tickets are behind it."""

import streamlit as st

from workbench import tickets
from workbench.errors import NotFound
from workbench.ui import show, trend_views
from workbench.ui import trends as parts

show.head("Trends", "What changed, where, and which tickets are behind it.")
st.html(parts.PRINT)
with show.errors():
    try:
        fresh = tickets.freshness()
    except NotFound:
        parts.no_tickets()
        st.stop()
    parts.origin(fresh)
    facets = tickets.facets()
    filters, against, exact = parts.choose(facets)
    overview = tickets.overview(filters, against=against, exact=exact)
    parts.tiles(overview, against)
    metric, narrowed, picked = trend_views.chart(filters, facets, exact=exact)
    trend_views.deeper(filters, facets, metric, overview, against, exact=exact)
    parts.listing(narrowed, picked)
