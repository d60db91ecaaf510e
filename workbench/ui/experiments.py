"""Experiments of a flow: start one, choose one, its progress and its result."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from workbench import evals, jobs, releases
from workbench.access import Actor
from workbench.errors import NotFound
from workbench.ui import for_real, nav, progress, session, show


def start_form(actor: Actor, names: list[str], sets: list[str]) -> tuple[str, str]:
    """Choose a flow and a dataset, and start; the choice."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        flow = session.pick_flow(names, "Flow (its draft)")
        own = sets.index(flow) if flow in sets else 0
        dataset = st.selectbox("Dataset", sets, own, key="dataset", bind="query-params", width=240)
        repeat = st.number_input("Times each", 1, 20, 1, key="repeat", width=120)
        pressed = st.button("Run", key="run-experiment", type="primary", icon=":material/play_arrow:")
    with show.errors():
        release = releases.resolve(flow)
        real = for_real.switch(actor, [release], "experiment-for-real", samples=True)
        if pressed:
            made = evals.create(actor, release, dataset, repeat=int(repeat), real=real)
            jobs.start(made.job_id)
            session.point("experiment", made.id)
    return flow, str(dataset)


def title(e: evals.Experiment) -> str:
    """An experiment in a list. It ends with its short id: the browser tells a choice back by its words alone."""
    return f"{e.flow} {e.version} over {e.dataset}, {show.when(e.created_at)} · {e.id[-8:]}"


def result(actor: Actor, experiment_id: str) -> None:
    """The pass rate with its interval, and every case, failing ones first."""
    report = evals.report(experiment_id)
    job = jobs.job(report.experiment.job_id)
    if not job.ended:
        progress.of(actor, job.id)
        return
    if job.state != "done":
        st.warning(f"This experiment ended as {job.state}: {show.plain(job.message)}", icon=":material/warning:")
    rate = report.rate
    if job.state != "done":
        st.caption(f"Only {report.done} of {report.total} runs were scored, so there is no pass rate.")
        return
    with st.container(horizontal=True):
        st.metric("Pass rate", f"{100 * rate.value:.0f} %" if rate.total else "none", border=True, width=200)
        st.metric("95 % interval", rate.interval, border=True, width=260)
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
    show.table(
        rows,
        key="rows",
        column_config={
            "why": st.column_config.TextColumn("why", width="large"),
            "seconds": st.column_config.NumberColumn("seconds", format="%.3f"),
            "run": st.column_config.LinkColumn("run", display_text="read"),
        },
    )
    nav.link("releases", "To the gate", {"flow": report.experiment.flow})


def follow(names: Sequence[str]) -> None:
    """Where somebody followed a link to an experiment that names no flow, choose the flow of that experiment."""
    there = _found(session.link("experiment"))
    if there is not None and there.flow in names and "flow" not in st.query_params:
        session.choose_flow(there.flow)


def choose(flow: str) -> str | None:
    """Choose one of the flow's newest experiments; None where it has none, or none is chosen yet."""
    known = evals.experiments(flow, limit=30)
    asked = st.query_params.get("experiment", "")
    if asked not in {e.id for e in known} and (there := _found(asked)) is not None and there.flow == flow:
        known = [*known, there]
    if not known:
        if session.missing("experiment", []):
            session.not_there("experiment", asked)
        show.empty(
            f"No experiment of {show.plain(flow)} yet", "Press Run: every case of the dataset is run and scored."
        )
        return None
    titles = {e.id: title(e) for e in known}
    return session.pick(
        "Experiment", "experiment", titles, thing=f"experiment of {flow}", fresh=f"{flow}-{known[0].id}"
    )


def _found(identity: str) -> evals.Experiment | None:
    try:
        return evals.experiment(identity) if identity else None
    except NotFound:
        return None
