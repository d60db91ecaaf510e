"""Runs: find a run, read what happened, replay it, fork it, compare it, flag it."""

import streamlit as st

from workbench.ui import nav, run_keeping, run_list, run_view, session, show

actor = session.actor()
place = nav.place("runs")
show.head(place.title, place.purpose)

with show.errors():
    asked = run_list.filters(actor)
    found = run_list.page(asked)
    words = st.container()
    aside, beside = st.columns([1, 4])
    facets = aside.container(height=430 if found.rows else "content", border=False)
    picture = beside.container()
    if found.rows:
        chosen = run_list.listing(found, asked, beside)
    else:
        with beside:
            run_list.nothing(asked)
            if asked.empty:
                nav.link("flows", "Try a flow")
        chosen = st.query_params.get("run", "") if asked.empty else ""
    with show.errors():
        if chosen:
            run_view.reading(actor, chosen)
    run_list.divided(asked, facets, picture, words)
    run_keeping.panel(actor)
