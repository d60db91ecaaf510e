"""Backtests of a flow: recorded runs through a candidate, chosen, watched and read."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from workbench import jobs, releases
from workbench.access import Actor
from workbench.evals import backtests
from workbench.runtime.spec import OUTCOMES
from workbench.store import now
from workbench.ui import progress, session, show

WORDS = {
    "worse": "worse",
    "not comparable": "cannot be compared",
    "changed": "changed",
    "better": "better",
    "same": "the same",
}
DRAFT = "draft"


def panel(actor: Actor, names: list[str]) -> None:
    """Choose a candidate and recorded runs, start, and read what came of it."""
    flow = _start(actor, names)
    if chosen := _choose(flow):
        _result(actor, chosen)


def _start(actor: Actor, names: list[str]) -> str:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        flow = session.pick_flow(names, "Flow")
        versions = [DRAFT, *(f"v{one.number}" for one in releases.releases(flow))]
        candidate = st.selectbox("Candidate", versions, key=f"candidate-{flow}", width=140)
        days = st.number_input("Days back", 1, 3650, 30, key="backtest-days", width=150)
        outcome = st.selectbox("That ended as", ["all", *OUTCOMES], key="backtest-outcome", width=170)
        most = st.number_input("At most", 1, backtests.MOST, 200, key="backtest-most", width=130)
        flagged = st.toggle("Flagged only", key="backtest-flagged")
    ids = backtests.chosen(
        flow,
        since=now() - dt.timedelta(days=int(days)),
        outcome="" if outcome == "all" else str(outcome),
        flagged=flagged,
        limit=int(most),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Backtest", key="run-backtest", type="primary", icon=":material/history:", disabled=not ids)
        st.caption(_estimated(ids))
    if pressed:
        with show.errors():
            made = backtests.create(actor, releases.resolve(flow if candidate == DRAFT else f"{flow}@{candidate}"), ids)
            jobs.start(made.job_id)
            session.point("backtest", made.id)
    return flow


def _estimated(ids: list[str]) -> str:
    if not ids:
        return "No recorded run fits. Take more days, or talk to the flow on the Flows page."
    took = backtests.estimate(ids)
    runs = "1 recorded run" if took.runs == 1 else f"{took.runs:,} recorded runs"
    cost = "at a price that is not known" if took.usd is None else f"for ${took.usd:,.4f}" if took.usd else "at no cost"
    return show.plain(f"{runs}. When recorded, they took {took.seconds:,.1f} s {cost}; expect about the same.")


def _choose(flow: str) -> str | None:
    """Choose one of the flow's newest backtests; None where it has none, or none is chosen yet."""
    known = backtests.backtests(flow)
    if not known:
        if session.missing("backtest", []):
            session.not_there("backtest", session.asked("backtest"))
        show.empty(
            f"No backtest of {show.plain(flow)} yet",
            "Press Backtest: the candidate answers recorded messages again. Tools are answered from the record, so nothing "
            "is changed.",
            icon="history",
        )
        return None
    titles = {
        one.id: f"{one.flow} {one.version} over {one.runs} runs, {show.when(one.created_at)} · {one.id[-8:]}"
        for one in known
    }
    return session.pick(
        "Earlier backtests", "backtest", titles, thing=f"backtest of {flow}", fresh=f"{flow}-{known[0].id}"
    )


def _result(actor: Actor, identity: str) -> None:
    """The share of each verdict with its interval, and every pair, worst first, each with the two runs side by side."""
    found = backtests.report(identity)
    job = jobs.job(found.backtest.job_id)
    if not job.ended:
        progress.of(actor, job.id, "runs")
        return
    if job.state != "done":
        st.warning(
            show.plain(
                f"This backtest ended as {job.state} after {found.done} of {found.backtest.runs} runs. {job.message}"
            ),
            icon=":material/warning:",
        )
    if not found.pairs:
        return
    with st.container(horizontal=True):
        for verdict, share in found.shares.items():
            st.metric(
                WORDS[verdict].capitalize(),
                f"{share.passed} of {share.total}",
                f"{share.interval} (95 %)",
                delta_color="off",
                delta_arrow="off",
                border=True,
                width=170,
            )
    st.caption(
        "Better and worse are said by the case made from a run, or where only one of the two runs ended in an error or at a "
        "limit. A changed run is for you to judge; one that cannot be compared asked a tool what the record does not answer."
    )
    _table(found)


def _table(found: backtests.Report) -> None:
    rows = [
        {
            "verdict": WORDS[one.verdict],
            "question": one.question or "(this run is gone)",
            "why": one.why,
            "side by side": f"/runs?run={one.run_id}&compare={one.new_run_id}" if one.new_run_id else None,
            "seconds before": one.seconds,
            "seconds now": one.new_seconds if one.new_run_id else None,
            "$ before": one.usd,
            "$ now": one.new_usd if one.new_run_id else None,
        }
        for one in found.pairs
    ]
    show.table(
        pd.DataFrame(rows),
        key="backtest-rows",
        column_config={
            "question": st.column_config.TextColumn("question", width="medium"),
            "why": st.column_config.TextColumn("why", width="medium"),
            "side by side": st.column_config.LinkColumn("side by side", display_text="open"),
            **{name: st.column_config.NumberColumn(name, format="%.3f") for name in ("seconds before", "seconds now")},
            **{name: st.column_config.NumberColumn(name, format="%.4f") for name in ("$ before", "$ now")},
        },
    )
