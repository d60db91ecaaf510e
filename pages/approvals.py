"""Approvals: tool calls that wait for a person, with the whole conversation beside them."""

import pandas as pd
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
        linked = session.linked("approval", list(titles))
        known = st.query_params.get("approval", linked) in titles
        key = f"approval-{'-'.join(sorted({one.state for one in listed}))}-{linked}"
        chosen = st.selectbox(
            "Call",
            list(titles),
            list(titles).index(linked) if known else None,
            key=f"{key}-{known}",
            format_func=lambda identity: titles[identity],
        )
        if chosen is None:
            st.warning(
                show.plain(f"There is no approval {st.query_params.get('approval', '')}. Choose one from the list."),
                icon=":material/link_off:",
            )
            st.stop()
        session.point("approval", chosen)
        one = next(item for item in listed if item.id == chosen)
        left, right = st.container(key="split").columns([3, 2], gap="large")
        with left:
            transcript.record(traces.record(one.run_id))
        with right, st.container(border=True):
            approval.form(actor, one)
        with st.expander("All approvals"):
            rows = [
                {
                    "asked": a.asked_at,
                    "tool": a.tool,
                    "with": approval.given(a),
                    "flow": a.flow,
                    "state": approval.WORDS[a.state],
                    "asked by": a.asked_by,
                    "decided by": a.decided_by,
                    "reason": a.message,
                }
                for a in listed
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"asked": show.moments("asked")})
