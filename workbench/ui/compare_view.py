"""Two runs side by side: where they part first, what each did and took, and what differs word by word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench import datasets, traces
from workbench.access import Actor
from workbench.traces import Comparison
from workbench.traces.compare import Delta, Pair
from workbench.traces.fork import alters_flow, case, change_words, save_draft
from workbench.ui import differences, nav, show, transcript

NAMES = {"one": "this run", "other": "the other run"}

UNITS = {"US dollars": "${:.4f}", "seconds": "{:.3f} s"}

OFFERED = 50
"""So many runs are offered to compare with."""


def picker(record: Mapping[str, Any]) -> str:
    """Choose a run to compare with: those of the same conversation, then of the same question, then of the same flow.

    The choice is in the address under `compare`; returns its id, empty where nothing is chosen.
    """
    there = st.query_params.get("compare", "")
    offered = {one.id: one for one in _near(record)}
    options = [*offered, *([there] if there and there not in offered else [])]
    chosen = st.selectbox(
        "Compare with",
        options,
        options.index(there) if there else None,
        key=f"compare-{record['id']}-{there}",
        format_func=lambda one: _title(offered[one]) if one in offered else one,
        placeholder="Compare with another run",
        label_visibility="collapsed",
        width=320,
    )
    if (chosen or "") != there:
        point(record["id"], chosen or "")
        st.rerun()
    return there


def point(run_id: str, other_id: str = "") -> None:
    """Open a run, beside the other one where it is named, and write both to the address."""
    st.query_params["run"] = run_id
    if other_id:
        st.query_params["compare"] = other_id
    else:
        st.query_params.pop("compare", None)


def panel(actor: Actor, record: Mapping[str, Any], other_id: str) -> None:
    """The run beside another one. Raises NotFound."""
    other = traces.record(other_id)
    found = traces.compare(record, other)
    with st.container(border=True):
        _head(found, record, other)
        for column, title, body in zip(st.columns(2), NAMES.values(), (record, other), strict=True):
            with column:
                st.markdown(f"**{title.capitalize()}**")
                transcript.question(body["question"])
                transcript.reply([], body["reply"], transcript.record_footer(body))
        with st.container(horizontal=True):
            for delta in found.deltas:
                title = delta.name[0].upper() + delta.name[1:]
                st.metric(title, _value(delta, delta.other), _change(delta), delta_color="off", width=150)
        _repeated(record, other)
        _steps(found)
        _texts(found)
        if fork := next((one for one in (other, record) if one.get("forked")), None):
            _save(actor, fork)


def _near(record: Mapping[str, Any]) -> list[traces.Run]:
    found = traces.find(conversation=record["conversation"], limit=OFFERED)
    found += traces.find(flow=record["flow"], words=record["question"], limit=OFFERED)
    found += traces.find(flow=record["flow"], limit=OFFERED)
    return list({one.id: one for one in found if one.id != record["id"]}.values())[:OFFERED]


def _title(run: traces.Run) -> str:
    return f"{show.when(run.started_at)} · {run.outcome} · {run.source} · {run.question[:60]} · {run.id[-6:]}"


def _head(found: Comparison, record: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**Side by side**", width="content")
        if st.button("Close", icon=":material/close:", type="tertiary", key="close-compare"):
            point(record["id"])
            st.rerun()
    for fork, origin in ((other, record), (record, other)):
        forked = fork.get("forked") or {}
        if forked.get("run") == origin["id"]:
            which = NAMES["other"] if fork is other else NAMES["one"]
            words = f"{change_words(forked['change'])}, from step {forked['step']} on."
            st.caption(show.plain(f"{which.capitalize()} is a fork: {words}"))
    if found.divergence is None:
        st.success("The runs are the same, step by step.", icon=":material/equal:")
    else:
        st.info(f"**First divergence**: {show.plain(str(found.divergence))}", icon=":material/alt_route:")


def _repeated(record: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Why the figures of a fork are more than the line under its reply says."""
    for which, body in zip(NAMES.values(), (record, other), strict=True):
        forked = body.get("forked")
        if forked and (forked["calls"] or forked["change"].get("where") == "end"):
            usage = body["usage"]
            alone = f"{usage['input_tokens'] + usage['output_tokens']:,} tokens and {transcript.took(body['seconds'])}"
            st.caption(
                f"The figures of {which} count what it repeats of the run that it is a fork of, so that both are"
                f" measured from the first message on. What came new took {alone}, as the line under its reply says."
            )


def _steps(found: Comparison) -> None:
    """The aligned steps; the first that differs is marked by a sign and a word."""
    first = next((place for place, pair in enumerate(found.pairs) if pair.verdict != "same"), None)
    rows = [
        {
            "this | other": _numbers(pair),
            "step": pair.step.title,
            "what differs": ("▶ first divergence: " if place == first else "") + _words(pair),
        }
        for place, pair in enumerate(found.pairs)
    ]
    show.table(
        pd.DataFrame(rows),
        key=f"steps-{found.one[-8:]}-{found.other[-8:]}",
        column_config={"this | other": st.column_config.TextColumn("this | other", width=90)},
    )


def _texts(found: Comparison) -> None:
    """A step that differs, chosen from all of them, word by word."""
    if found.same:
        return
    pairs = found.differences
    place = st.selectbox(
        "What differs, word by word",
        range(len(pairs)),
        key=f"differs-{found.one[-8:]}-{found.other[-8:]}",
        format_func=lambda at: f"{_place(pairs[at]).capitalize()}, {pairs[at].step.title}: {_words(pairs[at])}",
    )
    for part in pairs[place].texts:
        st.caption(part.capitalize())
        differences.compare(pairs[place].diff(part), NAMES["one"], NAMES["other"])


def _save(actor: Actor, fork: Mapping[str, Any]) -> None:
    """Keep what a fork tried: its change as a version of the draft, what it did as a case."""
    run_id = fork["id"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        draft = st.button(
            "Save as draft version",
            icon=":material/save:",
            key=f"save-draft-{run_id}",
            disabled=not alters_flow(fork),
            help="The change becomes the next save of the flow's draft. A message or a tool's answer is no part of it.",
        )
        kept = st.button("Save as case", icon=":material/fact_check:", key=f"save-case-{run_id}")
        name = st.text_input("in the dataset", fork["flow"], key=f"dataset-{run_id}", width=220)
    with show.errors():
        if draft:
            made = save_draft(actor, run_id)
            st.success(
                f"Saved as version {made.number} of the draft: {show.plain(made.title)}.", icon=":material/save:"
            )
            nav.link("flows", "Open the draft", {"flow": made.flow})
        if kept:
            one = datasets.case_of(case(fork), where="The fork")
            new = datasets.put(actor, name, [one], purpose="Cases from forks.", run_id=run_id)
            words = f"{'A new case' if new else 'The case'} {one.id} is in the dataset {name}."
            st.success(show.plain(words), icon=":material/fact_check:")


def _numbers(pair: Pair) -> str:
    return " | ".join("–" if side is None else str(side.number) for side in (pair.one, pair.other))


def _place(pair: Pair) -> str:
    """Which step of which run, in words."""
    if pair.one is None or pair.other is None:
        side = pair.one or pair.other
        return f"step {side.number}" if side else ""
    same = pair.one.number == pair.other.number
    return f"step {pair.one.number}" if same else f"steps {pair.one.number} and {pair.other.number}"


def _words(pair: Pair) -> str:
    return {"only in one": "only in this run", "only in the other": "only in the other run"}.get(
        pair.verdict, pair.words
    )


def _value(delta: Delta, value: float | None) -> str:
    if delta.name == "US dollars" and value == 0:
        return "no cost"
    return "unknown" if value is None else UNITS.get(delta.name, "{:,.0f}").format(value)


def _change(delta: Delta) -> str | None:
    """How much more (or, with a hyphen, which turns the arrow down, less) the other run took; None for no change."""
    if not delta.change:
        return None
    return f"{'+' if delta.change > 0 else '-'}{_value(delta, abs(delta.change))}"
