"""Releases: see what changed, pass the gate, promote, roll back."""

import streamlit as st

from workbench import flows, releases
from workbench.ui import nav, releasing, session, show

actor = session.actor()
place = nav.place("releases")
show.head(place.title, place.purpose)

with show.errors():
    drafts = [draft.name for draft in flows.drafts()]
    if not drafts:
        show.empty("No flows yet", "Begin one, try it and evaluate it; then it can be released.")
        nav.link("flows", "Begin a flow")
    else:
        with st.container(horizontal=True):
            flow = session.pick_flow(drafts)
            to = st.selectbox("Environment", releases.ENVIRONMENTS, index=2, key="to", bind="query-params", width=200)
        if words := session.get("promoted"):
            st.success(show.plain(words), icon=":material/check_circle:")
            session.forget("promoted")
            nav.link("trends", "See it on the charts")
        with show.errors():
            proposal = releases.propose(flow, to)
            left, right = st.container(key="split").columns(2, gap="large")
            with left:
                releasing.changes(proposal, to)
            with right:
                releasing.gate(proposal)
                releasing.promote_form(actor, proposal, to)
        releasing.history(actor, flow)
