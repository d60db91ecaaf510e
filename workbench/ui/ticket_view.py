"""One ticket to read: its words, its times, where it belongs, and the run and labels that hang on it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from workbench import traces
from workbench.access import Actor, may
from workbench.errors import NotFound
from workbench.tickets import assign, topics
from workbench.tickets.columns import ATTRIBUTES, DIMENSIONS, FOUND, title
from workbench.ui import chain_links, nav, session, show

MOMENTS = (("created_at", "Created"), ("first_response_at", "First response"), ("resolved_at", "Resolved"))
DONE = "ticket-topic-done"
READ, BESIDE = 560, 320
"""How wide the ticket's words are, and what stands beside them, in pixels."""


def reading(actor: Actor, ticket: dict[str, Any]) -> None:
    """The whole ticket. Its words come from outside and are shown as they were written."""
    st.subheader(show.plain(ticket["subject"] or f"Ticket {ticket['ticket_id']}"), anchor=False)
    with st.container(horizontal=True):
        for name, title in MOMENTS:
            st.metric(title, _when(ticket[name]), _after(ticket, name), delta_color="off", delta_arrow="off",
                      width=280, border=True)  # fmt: skip
        st.metric("Rating", "—" if _empty(ticket["csat"]) else f"{ticket['csat']:g} of 5", width=130, border=True)
        st.metric("Reopened", {True: "yes", False: "no"}.get(ticket["reopened"], "—"), width=130, border=True)
    with st.container(horizontal=True, gap="large"):  # Side by side where there is room, else below one another.
        with st.container(width=READ):
            with st.container(border=True):
                st.markdown(show.plain(ticket["body"]) if ticket["body"] else ":gray[The ticket has no text.]")
            _run(ticket["run_id"])
        with st.container(width=BESIDE):
            _belongs(ticket)
            _topic(actor, ticket)
    _more(ticket)


def _belongs(ticket: dict[str, Any]) -> None:
    rows = {title(name): str(ticket[name]) + _by(ticket, name) for name in DIMENSIONS if not _empty(ticket[name])}
    if not _empty(ticket["sentiment"]):
        rows["Sentiment"] = f"{ticket['sentiment']:+.2f}{_by(ticket, 'sentiment')}"
    show.table(pd.DataFrame(rows.items(), columns=["", "This ticket"]), alt="Where it belongs")
    if topic := ticket["topic"]:
        nav.link("trends", f"Trends of {show.plain(topic)}", {"topic": topic})


def _topic(actor: Actor, ticket: dict[str, Any]) -> None:
    """Who gave the ticket its topic, where a person did, and the form that gives it another one."""
    ticket_id, titles = str(ticket["ticket_id"]), topics.titles()
    if not titles:
        return
    if done := session.get(DONE):
        session.forget(DONE)
        st.success(show.plain(done), icon=":material/check:")
    last = assign.last(ticket_id)
    if last is not None:
        st.caption(show.plain(f"{last.by} {last.what}, {show.when(last.at)}."))
    if not may(actor, "edit topics"):
        return
    if last is not None and st.button("Undo", icon=":material/undo:", key=f"undo-topic-{last.id}"):
        _do(lambda: topics.undo(actor, last.id), "Undone: the topic is what it was before.")
    choices = {assign.NO_TOPIC: "(no topic)", **titles}
    called = " › ".join(str(ticket[name]) for name in FOUND if not _empty(ticket[name])) or choices[assign.NO_TOPIC]
    tag = f"{ticket_id}-{last.id if last else 0}"
    with (
        st.form(f"topic-{tag}", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        number = st.selectbox(
            "Topic by its words", list(choices), next((i for i, one in enumerate(choices.values()) if one == called), 0),
            format_func=choices.__getitem__, key=f"topic-of-{tag}",
            help="It stands before the help desk's topic, and holds also after topics were found again.",
        )  # fmt: skip
        sent = st.form_submit_button("Set")
    if sent:
        _do(lambda: assign.assign(actor, ticket_id, number), f"The topic is {choices[number]} now, on every page.")


def _do(change: Callable[[], object], said: str) -> None:
    with show.errors():
        change()
        session.keep(DONE, said)
        st.rerun()


def _by(ticket: dict[str, Any], name: str) -> str:
    """Where a value comes from, unless the help desk gave it."""
    told = {"local": " (found in its words)", "model": " (by a model)", "person": " (by a person)"}
    return told.get(str(ticket.get(f"{name}_source")), "")


def _run(run_id: str | None) -> None:
    """The run that answered the ticket, and what reviewers said about it."""
    st.subheader("Run and labels", anchor=False)
    if not run_id:
        st.caption("No run is recorded for this ticket.")
        return
    try:
        run = traces.run(run_id)
    except NotFound:
        st.caption(show.plain(f"The ticket names the run {run_id}, which is not recorded here."))
        return
    st.markdown(show.plain(f"{run.flow} {run.version} ended “{run.outcome}”, {show.when(run.started_at)}."))
    nav.link("runs", "Read the run", {"run": run_id})
    chain_links.of_run(run_id)


def _more(ticket: dict[str, Any]) -> None:
    try:
        attributes = json.loads(ticket.get(ATTRIBUTES) or "{}")
    except ValueError:
        attributes = {}
    if attributes:
        with st.expander("What else the file said"):
            rows = [(str(name), str(value)) for name, value in attributes.items()]
            st.dataframe(
                pd.DataFrame(rows, columns=["Column", "Value"]), hide_index=True, alt="What else the file said"
            )


def _when(moment: dt.datetime | None) -> str:
    return "—" if _empty(moment) or moment is None else show.when(moment.replace(tzinfo=dt.UTC))


def _after(ticket: dict[str, Any], name: str) -> str | None:
    if name == "created_at" or _empty(ticket[name]):
        return None
    taken: dt.timedelta = ticket[name] - ticket["created_at"]
    if taken < dt.timedelta(minutes=1):
        return f"after {max(0, taken // dt.timedelta(seconds=1))} s"
    hours, rest = divmod(round(taken / dt.timedelta(minutes=1)), 60)
    if hours >= 72:
        return f"after {hours / 24:,.1f} days"
    return f"after {hours} h {rest:02d} min" if hours else f"after {rest} min"


def _empty(value: Any) -> bool:
    return value is None or value != value
