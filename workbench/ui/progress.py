"""How far a long job has come, with the button that cancels it."""

from __future__ import annotations

import streamlit as st

from workbench import jobs
from workbench.access import Actor
from workbench.ui import show


@st.fragment(run_every=1.0)
def of(actor: Actor, job_id: str, things: str = "cases") -> None:
    """The job's progress, counted in `things`, once a second, until it ends; then the page is drawn anew."""
    job = jobs.job(job_id)
    if job.ended:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, show.plain(f"{job.title}: {job.done:,} of {job.total:,} {things}"))
        if st.button("Cancel", key=f"cancel-{job_id}"):
            with show.errors():
                jobs.cancel(actor, job_id)
