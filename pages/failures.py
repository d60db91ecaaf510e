"""Failures: why runs fail, by cause, flow, release and topic, with the runs behind each figure."""

import streamlit as st

from workbench import traces
from workbench.operations import failures
from workbench.ui import failures as parts
from workbench.ui import nav, session, show

actor = session.actor()
place = nav.place("failures")
show.head(place.title, place.purpose)

with show.errors():
    if not traces.count():
        show.empty("No runs yet", "Try a flow on the Flows page; what goes wrong then is counted here.")
        nav.link("flows", "Try a flow")
        st.stop()
    period = parts.choose()
    found = failures.overview(period)
    if found.causes:
        parts.tiles(found)
        parts.table(period)
        parts.over_time(period)
    else:
        show.empty(
            "No run here has a cause",
            "Take a longer period or another flow, apply the rules below to what is recorded, or say why a run failed "
            "where you read it on the Runs page.",
            icon="sentiment_satisfied",
        )
        nav.link("runs", "Read runs")
    parts.bottleneck(period)
    parts.rules(actor)
