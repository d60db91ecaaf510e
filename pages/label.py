"""Label: judge flagged runs by keyboard; each verdict can become a case."""

import streamlit as st

from workbench.datasets import labelling
from workbench.ui import labelling_forms, nav, session, show

actor = session.actor()
place = nav.place("label")
show.head(place.title, place.purpose)

with show.errors():
    queues = [one.name for one in labelling.queues()]
    if not queues:
        labelling_forms.make_first(actor)
    else:
        if session.missing("queue", queues):
            session.not_there("queue", st.query_params["queue"])
        chosen = st.selectbox("Queue", queues, key="queue", bind="query-params", width=320)
        labelling.fill(actor, chosen)
        st.caption(show.plain(labelling.queue(chosen).instructions))
        session.forget("last", "last-case")
        labelling_forms.work(actor, chosen)
