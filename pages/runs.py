"""Runs: find a run, read what happened, replay it, fork it, compare it, flag it."""

import streamlit as st

from workbench.ui import nav, run_view, session, show

actor = session.actor()
place = nav.place("runs")
show.head(place.title, place.purpose)

with show.errors():
    found = run_view.filters()
    if not found and (st.query_params.get("words") or "run" not in st.query_params):
        show.empty("No runs fit", "Try a flow on the Flows page, or take the filters away.")
        nav.link("flows", "Try a flow")
    else:
        chosen = run_view.listing(found) if found else st.query_params["run"]
        run_view.reading(actor, chosen)
