"""Evaluate: run a flow over the cases of a dataset, or over recorded runs, and see what fails."""

import streamlit as st

from workbench import datasets, flows
from workbench.ui import backtesting, chain_links, declining, experiments, nav, session, show

CASES, RECORDED = "The cases of a dataset", "Recorded runs"

actor = session.actor()
place = nav.place("evaluate")
show.head(place.title, place.purpose)

with show.errors():
    names = [draft.name for draft in flows.drafts()]
    sets = [one.name for one in datasets.datasets()]
    if not names:
        show.empty("No flow yet", "Begin a flow on the Flows page, then label some runs: each verdict makes a case.")
        nav.link("flows", "Begin a flow")
        st.stop()
    over = st.segmented_control(
        "Over", (CASES, RECORDED), default=CASES, required=True, key="over", bind="query-params"
    )
    if over == RECORDED:
        backtesting.panel(actor, names)
    elif not sets:
        show.empty("No dataset yet", "Label some runs: each verdict makes a case.")
        nav.link("label", "Label some runs")
    else:
        experiments.follow(names)
        if (named := session.asked("case")) and (among := session.asked("dataset")):
            chain_links.case(among, named)
        flow, dataset = experiments.start_form(actor, names, sets)
        if chosen := experiments.choose(flow):
            experiments.result(actor, chosen)
        if st.toggle(
            "When to decline",
            key="declining",
            bind="query-params",
            help="How often the flow would answer, and how often wrongly, by how sure it must be.",
        ):
            declining.panel(actor, flow, dataset)
