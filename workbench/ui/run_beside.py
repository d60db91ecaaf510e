"""What stands beside a run where it is read: its ticket and conversation, what it cost, and the case made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench import traces
from workbench.access import Actor, may
from workbench.datasets import labelling
from workbench.operations import links
from workbench.runtime.spec import OUTCOMES
from workbench.traces import costs
from workbench.ui import nav, show

TICKET = "ticket"
"""The address of the page that shows one ticket."""


def origin(record: Mapping[str, Any]) -> None:
    """The ticket that the run answered, its place in the conversation, and what the file of a transcript says of it."""
    ticket, place = links.ticket(record["id"]), links.place(record)
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.get("told", {}).items())
    if not (ticket or len(place.runs) > 1 or told):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if ticket:
            _ticket(ticket)
        if len(place.runs) > 1:
            _conversation(record["id"], place)
        if told:
            st.caption(f":material/description: The file says: {show.plain(told)}", width="content")


def _ticket(ticket: links.Ticket) -> None:
    label = f"Ticket {ticket.id}" + (f": {ticket.subject[:60]}" if ticket.subject else "")
    if any(one.address == TICKET for one in nav.PLACES):
        nav.link(TICKET, show.plain(label), {"ticket": ticket.id})
    else:
        topic = f" ({ticket.topic})" if ticket.topic else ""
        st.caption(f":material/confirmation_number: {show.plain(label + topic)}", width="content")


def _conversation(run_id: str, place: links.Place) -> None:
    before, after = place.before, place.after
    if before:
        st.link_button("The run before", f"/runs?run={before.id}", icon=":material/chevron_left:", type="tertiary")
    with st.popover(f"Run {place.number} of {len(place.runs)} in this conversation", type="tertiary"):
        rows = [
            {
                "": "this run" if one.id == run_id else "",
                "question": one.question,
                "outcome": one.outcome,
                "run": f"/runs?run={one.id}",
            }
            for one in place.runs
        ]
        show.table(
            pd.DataFrame(rows),
            key=f"conversation-{run_id}",
            column_config={
                "question": st.column_config.TextColumn("question", width=300),
                "run": st.column_config.LinkColumn("run", display_text="read"),
            },
        )
    if after:
        st.link_button("The run after", f"/runs?run={after.id}", icon=":material/chevron_right:", type="tertiary")


def cost(record: Mapping[str, Any]) -> None:
    """Tokens and cost by model, at the price of the run's day."""
    lines = costs.bill(record)
    if not lines:
        st.caption("No model was called, so nothing was paid for.")
        return
    st.markdown("**Tokens and cost**")
    if not any(one.input_tokens for one in lines):
        st.caption("The record tells no tokens, so the cost is unknown.")
        return
    rows = [
        {
            "model": one.model,
            "requests": one.requests,
            "tokens in": one.input_tokens,
            "of these charged less, as repeated": one.cached_tokens,
            "tokens out": one.output_tokens,
            "cost": "unknown" if one.usd is None else f"${one.usd:.4f}" if one.usd else "none",
            "price of the day": one.price or ("none" if one.usd == 0 else "unknown"),
        }
        for one in lines
    ]
    show.table(pd.DataFrame(rows), key=f"cost-{record['id']}")


def case(actor: Actor, record: Mapping[str, Any]) -> None:
    """A form that makes the run a case, with the expected answer edited on the way."""
    if not may(actor, "edit a dataset"):
        return
    key = record["id"]
    with (
        st.popover("Make a case", icon=":material/playlist_add_check:", type="tertiary"),
        st.form(f"make-case-{key}", border=False),
    ):
        st.caption("The case expects the answer below. Left as it is, it must stay; changed, this run must not repeat.")
        reply = st.text_area("The right answer", record["reply"], key=f"right-answer-{key}", height=140)
        outcome = st.selectbox(
            "Right outcome", ["", *OUTCOMES], key=f"right-outcome-{key}", format_func=lambda one: one or "as it was"
        )
        contains = st.text_input(
            "Or only: the reply must contain", key=f"right-words-{key}", help="Then the answer above is not compared."
        )
        dataset = st.text_input(
            "Dataset", record["flow"][:80], key=f"right-dataset-{key}", help="It is made where it is new."
        )
        if st.form_submit_button("Make the case", type="primary"):
            with show.errors():
                traces.flush()
                wanted = "" if contains.strip() else reply
                made = labelling.save(actor, key, dataset, contains=contains, outcome=outcome, reply=wanted)
                st.success(show.plain(f"Saved as {made.id} in {dataset}."), icon=":material/check:")
