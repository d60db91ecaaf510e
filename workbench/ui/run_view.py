"""One run as conversation, timeline and exact requests."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench import traces
from workbench.access import Actor
from workbench.traces.replay import why_not
from workbench.ui import (
    cause_chips,
    chain_links,
    charts,
    compare_view,
    fork_forms,
    playground,
    run_beside,
    run_held,
    run_open,
    session,
    show,
    transcript,
)
from workbench.ui.charts import path, timeline

PARTS = ("Conversation", "Timeline", "Path", "Exact requests", "Fork from here")


def reading(actor: Actor, run_id: str) -> None:
    """One run: conversation, timeline, exact requests."""
    record = traces.record(run_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(show.plain(f"{record['flow']} {record['version']}"), anchor=False)
        st.markdown(transcript.badge(record["outcome"]))
        cannot = why_not(record)
        if st.button(
            "Replay",
            key=f"replay-{run_id}",
            icon=":material/replay:",
            type="secondary" if cannot else "primary",
            disabled=bool(cannot),
            help=cannot or None,
        ):
            session.keep(f"verdict-{run_id}", traces.replay(actor, run_id, strict=True))
        st.download_button(
            "Export",
            functools.partial(traces.export, run_id),
            f"{run_id}.json",
            "application/json",
            icon=":material/download:",
            key=f"export-{run_id}",
            on_click="ignore",
        )
        playground.flag_button(actor, run_id, key=run_id)
        run_beside.case(actor, record)
        run_open.link(run_id)
        other = compare_view.picker(record)
    cause_chips.chips(actor, run_id, failed=traces.went_wrong(record))
    run_held.why(record)
    run_beside.origin(record)
    chain_links.of_run(run_id)
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
    """The run's conversation, timeline, exact requests, and the form that forks it; the open one is in the address.

    Only the open one is drawn: hundreds of requests take longer to send to the browser than to read.
    """
    conversation, spans, way, exact, fork = st.tabs(PARTS, key="run-tab", bind="query-params")
    with conversation:
        transcript.record(record)
    if spans.open:
        with spans:
            _timeline(record)
            run_beside.cost(record)
    if way.open:
        with way:
            _path(record)
    if exact.open:
        with exact:
            _exact(record)
    opened = f"fork-opened-{record['id']}"
    if fork.open or session.get(opened):  # what was filled in stays while other parts are read
        session.keep(opened, True)
        with fork, show.errors():
            fork_forms.panel(actor, record)


def _exact(record: Mapping[str, Any]) -> None:
    """Every request and answer as it was sent, each under a fold."""
    made = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
    st.caption(show.plain(f"Run {record['id']} of {record['digest'][:19]}…, {made}"))
    for number, call in enumerate(record["calls"], 1):
        what = call["model"] if call["kind"] == "model" else call["name"]
        title = f"{number}. {call['agent']}: {what} ({call['seconds'] * 1000:.1f} ms)"
        with st.expander(show.plain(title)):
            st.code(json.dumps(call, indent=1, ensure_ascii=False), language="json")


def _timeline(record: Mapping[str, Any]) -> None:
    """The steps over time, with what waited for what, and what ran side by side, in words."""
    if not record["spans"]:
        st.caption("Nothing in this record says when its steps began, so there is no timeline.")
        return
    waits = traces.waits(record)
    words = [one["name"] + f" for {one['seconds']:.2f} s" for one in waits if one["seconds"] >= timeline.NOTABLE]
    if together := timeline.together(record["spans"]):
        words.append(f"up to {together} steps ran side by side")
    if len(record["spans"]) > timeline.MOST:
        words.append(f"the first {timeline.MOST:,} of {len(record['spans']):,} steps are drawn")
    if words:
        st.caption(show.plain("; ".join(words)[:1].upper() + "; ".join(words)[1:] + "."))
    theme = charts.colours()
    st.plotly_chart(
        timeline.figure(timeline.held(record["spans"], record["waiting"]), theme["ink"], theme["faint"], waits),
        theme=None,
        config={"displayModeBar": False},
    )


def _path(record: Mapping[str, Any]) -> None:
    """Who handed over to whom, the tools they called, and what the guardrails held or stopped."""
    st.caption(
        "Boxes are agents, dashed boxes their tools, dotted boxes the guardrails that judged. What failed, was stopped"
        " or waits for a person says so."
    )
    st.graphviz_chart(path.dot(record, **charts.colours()), width="content")
