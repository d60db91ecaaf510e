"""Evaluate: run a flow over a dataset of cases and see what fails."""

import pandas as pd
import streamlit as st

from workbench import datasets, evals, flows, jobs, releases
from workbench.ui import declining, for_real, nav, session, show

actor = session.actor()
place = nav.place("evaluate")
show.head(place.title, place.purpose)


def start_form(names: list[str], sets: list[str]) -> tuple[str, str]:
    """Choose a flow and a dataset, and start; the choice."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        flow = session.pick_flow(names, "Flow (its draft)")
        own = sets.index(flow) if flow in sets else 0
        dataset = st.selectbox("Dataset", sets, own, key="dataset", bind="query-params", width=240)
        repeat = st.number_input("Times each", 1, 20, 1, key="repeat", width=120)
        pressed = st.button("Run", key="run-experiment", type="primary", icon=":material/play_arrow:")
    with show.errors():
        release = releases.resolve(flow)
        real = for_real.switch([release], "experiment-for-real", samples=True)
        if pressed:
            made = evals.create(actor, release, dataset, repeat=int(repeat), real=real)
            jobs.start(made.job_id)
            session.point("experiment", made.id)
    return flow, str(dataset)


def title(e: evals.Experiment) -> str:
    """An experiment in a list. It ends with its short id: the browser tells a choice back by its words alone."""
    return f"{e.flow} {e.version} over {e.dataset}, {e.created_at:%d %b %H:%M} UTC · {e.id[-8:]}"


@st.fragment(run_every=1.0)
def progress(job_id: str) -> None:
    """The job's progress, once a second, until it ends."""
    job = jobs.job(job_id)
    if job.ended:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, show.plain(f"{job.title}: {job.done} of {job.total} cases"))
        if st.button("Cancel", key=f"cancel-{job_id}"):
            with show.errors():
                jobs.cancel(actor, job_id)


def result(experiment_id: str) -> None:
    """The pass rate with its interval, and every case, failing ones first."""
    report = evals.report(experiment_id)
    job = jobs.job(report.experiment.job_id)
    if not job.ended:
        progress(job.id)
        return
    if job.state != "done":
        st.warning(f"This experiment ended as {job.state}: {show.plain(job.message)}", icon=":material/warning:")
    rate = report.rate
    if job.state != "done":
        st.caption(f"Only {report.done} of {report.total} runs were scored, so there is no pass rate.")
        return
    with st.container(horizontal=True):
        st.metric("Pass rate", f"{rate.value:.0%}" if rate.total else "none", border=True, width=200)
        st.metric("95 % interval", f"{rate.low:.0%} to {rate.high:.0%}", border=True, width=260)
        st.metric("Cases", f"{rate.passed} of {rate.total} pass", border=True, width=260)
    failing = len(report.failing)
    words = "Nothing fails." if not failing else "1 run fails." if failing == 1 else f"{failing} runs fail."
    st.markdown(
        f"**{words}** {report.unscored} cases expect nothing and were not scored."
        if report.unscored
        else f"**{words}**"
    )
    rows = pd.DataFrame(
        [
            {
                "case": r.case_id,
                "passed": "yes" if r.passed else "no" if r.passed is False else "not scored",
                "outcome": r.outcome,
                "why": r.why,
                "seconds": r.seconds,
                "run": f"/runs?run={r.run_id}",
            }
            for r in report.rows
        ]
    )
    st.dataframe(
        rows,
        hide_index=True,
        key="rows",
        column_config={
            "why": st.column_config.TextColumn("why", width="large"),
            "seconds": st.column_config.NumberColumn("seconds", format="%.3f"),
            "run": st.column_config.LinkColumn("run", display_text="read"),
        },
    )
    nav.link("releases", "To the gate", {"flow": report.experiment.flow})


with show.errors():
    names = [draft.name for draft in flows.drafts()]
    sets = [one.name for one in datasets.datasets()]
    if not names or not sets:
        missing = "flow" if not names else "dataset"
        show.empty(
            f"No {missing} yet", "Begin a flow on the Flows page, then label some runs: each verdict makes a case."
        )
        nav.link("label" if names else "flows", "Label some runs" if names else "Begin a flow")
    else:
        flow, dataset = start_form(names, sets)
        known = evals.experiments(limit=30)
        if not known:
            show.empty("No experiment yet", "Press Run: every case of the dataset is run and scored.")
        else:
            titles = {e.id: title(e) for e in known}
            shown = list(titles).index(session.linked("experiment", list(titles)))
            key = f"experiment-{known[0].id}-{shown}"
            chosen = st.selectbox("Experiment", list(titles), shown, key=key, format_func=lambda e: titles[e])
            session.point("experiment", chosen)
            result(chosen)
        if st.toggle("When to decline", key="declining", help="The risk–coverage curve of the flow's knowledge."):
            declining.panel(actor, flow, dataset)
