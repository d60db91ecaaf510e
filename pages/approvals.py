"""Approvals: tool calls that wait for a person, with the whole conversation beside them."""

import streamlit as st

from workbench import jobs, traces
from workbench.traces import approvals
from workbench.ui import approval, nav, session, show, transcript

actor = session.actor()
place = nav.place("approvals")
show.head(place.title, place.purpose)

with show.errors():
    for job_id in approvals.expire():
        jobs.start(job_id)
    listed = approvals.find()
    if not listed:
        if session.missing("approval", []):
            session.not_there("approval", st.query_params["approval"])
        show.empty(
            "Nothing waits for a person",
            "A tool with an approval rule waits here, such as a refund above 50 in the order desk.",
            icon="done_all",
        )
        nav.link("flows", "Try one in a flow", {"flow": "order-desk"})
    else:
        titles = {one.id: approval.title(one) for one in listed}
        waiting = sum(one.open for one in listed)
        st.caption(f"{waiting} {'waits' if waiting == 1 else 'wait'} for a decision, of {len(listed)} in all.")
        states = "-".join(one.state for one in listed)
        chosen = session.pick("Call", "approval", titles, thing="approval", fresh=states)
        if chosen:
            one = next(item for item in listed if item.id == chosen)
            record = traces.record(one.run_id)
            left, right = st.container(key="split").columns([3, 2], gap="large")
            with left:
                transcript.record(record)
            with right, st.container(border=True):
                approval.form(actor, one, record)
        with st.expander("All approvals"):
            approval.table(listed)
