"""Runs: the filters, the list, and one run as conversation, timeline and exact requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench import traces
from workbench.access import Actor
from workbench.runtime.spec import OUTCOMES
from workbench.ui import charts, compare_view, fork_forms, playground, session, show, transcript
from workbench.ui.charts import timeline

PARTS = ("Conversation", "Timeline", "Exact requests", "Fork from here")
MOST = 200
"""So many runs are listed at most."""


def filters() -> list[traces.Run]:
    """The filters, with their state in the address, and the runs that fit."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            "Words", key="words", bind="query-params", placeholder="in question or reply, or a run id", width=300
        )
        flow = st.selectbox("Flow", ["all", *traces.flow_names()], key="run-flow", bind="query-params", width=180)
        outcome = st.selectbox("Outcome", ["all", *OUTCOMES], key="outcome", bind="query-params", width=160)
        flagged = st.toggle("Flagged only", key="flagged", bind="query-params")
    return traces.find(
        words=words or "",
        flow="" if flow == "all" else flow,
        outcome="" if outcome == "all" else outcome,
        flagged=flagged,
        limit=MOST,
    )


def listing(found: list[traces.Run]) -> str:
    """The runs as a table; the id of the one chosen here or in the address."""
    rows = pd.DataFrame(
        [
            {
                "started": r.started_at,
                "question": r.question,
                "flow": f"{r.flow} {r.version}",
                "outcome": r.outcome,
                "agent": r.agent,
                "seconds": r.seconds,
                "tokens": r.input_tokens + r.output_tokens,
                "model": r.model,
                "source": r.source,
            }
            for r in found
        ]
    )
    event = st.dataframe(
        rows,
        key=f"runs-{'-'.join(r.id[-6:] for r in found[:3])}-{len(found)}",
        hide_index=True,
        height=min(250, 38 + 35 * len(found)),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "started": show.moments("started"),
            "question": st.column_config.TextColumn("question", width=270),
            "seconds": st.column_config.NumberColumn("seconds", format="%.3f"),
        },
    )
    more = f"The newest {MOST} runs that fit; narrow the filters to find older ones."
    one = "1 run fits." if len(found) == 1 else f"{len(found)} runs fit, the newest first."
    st.caption(more if len(found) == MOST else one)
    picked = event["selection"]["rows"]
    if picked and picked[0] < len(found) and found[picked[0]].id != st.query_params.get("run"):
        compare_view.point(found[picked[0]].id)
    known = [r.id for r in found]
    asked = st.query_params.get("run", "")
    return asked if asked else known[0]


def reading(actor: Actor, run_id: str) -> None:
    """One run: conversation, timeline, exact requests."""
    record = traces.record(run_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(show.plain(f"{record['flow']} {record['version']}"), anchor=False)
        st.markdown(transcript.badge(record["outcome"]))
        if st.button("Replay", key=f"replay-{run_id}", icon=":material/replay:", type="primary"):
            session.keep(f"verdict-{run_id}", traces.replay(actor, run_id, strict=True))
        st.download_button(
            "Export",
            traces.export(run_id),
            f"{run_id}.json",
            "application/json",
            icon=":material/download:",
            key=f"export-{run_id}",
            on_click="ignore",
        )
        playground.flag_button(actor, run_id, key=run_id)
        other = compare_view.picker(record)
    _verdict(run_id)
    if other:
        with show.errors():
            compare_view.panel(actor, record, other)
    _parts(actor, record)


def _verdict(run_id: str) -> None:
    """What the last replay of this run came to."""
    if verdict := session.get(f"verdict-{run_id}"):
        if verdict.verdict == "faithful":
            st.success(
                "**Faithful**: run again from its record, it made the same requests and gave the same reply.",
                icon=":material/verified:",
            )
        else:
            st.warning(
                f"**{verdict.verdict.capitalize()}** {show.plain(f'{verdict.span}: {verdict.what}' if verdict.span else verdict.what)}",
                icon=":material/difference:",
            )


def _parts(actor: Actor, record: Mapping[str, Any]) -> None:
    """The run's conversation, timeline, exact requests, and the form that forks it; the open one is in the address."""
    conversation, spans, exact, fork = st.tabs(PARTS, key="run-tab", bind="query-params")
    with conversation:
        transcript.record(record)
    with spans:
        theme = charts.colours()
        st.plotly_chart(
            timeline.figure(record["spans"], theme["ink"], theme["faint"], traces.waits(record)),
            theme=None,
            config={"displayModeBar": False},
        )
    with exact:
        made = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
        st.caption(show.plain(f"Run {record['id']} of {record['digest'][:19]}…, {made}"))
        for number, call in enumerate(record["calls"], 1):
            what = call["model"] if call["kind"] == "model" else call["name"]
            title = f"{number}. {call['agent']}: {what} ({call['seconds'] * 1000:.1f} ms)"
            with st.expander(show.plain(title)):
                st.code(json.dumps(call, indent=1, ensure_ascii=False), language="json")
    with fork, show.errors():
        fork_forms.panel(actor, record)
