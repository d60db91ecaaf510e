"""Judging flagged runs by keyboard: one item at a time, and what a key press does."""

from __future__ import annotations

import streamlit as st

from workbench import traces
from workbench.access import Actor
from workbench.datasets import labelling
from workbench.runtime import mocks
from workbench.runtime.spec import OUTCOMES
from workbench.ui import keys, mock_forms, nav, session, show, transcript

HELP = """
| key | does |
|---|---|
| `1` `2` `3` | the verdicts, as the buttons say |
| `u` | undo the last verdict, with the case it made |
| `s` | skip: put this run at the end |
| `?` | show or hide this sheet |
"""


def _act(actor: Actor, key: str, queue: labelling.Queue, item: labelling.Item | None) -> None:
    """One key press."""
    if key == "?":
        session.keep("sheet", not session.get("sheet", False))
    elif key == "u":
        taken = labelling.undo(actor, queue.name)
        session.forget("last-case")
        session.keep("last", f"Took back “{taken.value}”." if taken else "There is nothing to take back.")
    elif item is not None and key == "s":
        labelling.skip(actor, item.id)
        session.keep("last", "Skipped; it waits at the end of the queue.")
    elif item is not None:
        choice = next(c for c in queue.criterion.choices if c.key == key)
        given = labelling.label(
            actor,
            item.id,
            choice.value,
            note=session.get("note") or "",
            make_case=bool(session.get("make-case", True)),
            contains=session.get("contains") or "",
            outcome=session.get("right-outcome") or "",
            keep_mocks=bool(session.get("keep-mocks", False)),
        )
        made = f" It made the case {given.case_id} in {queue.dataset}." if given.case_id else ""
        session.keep("last", f"Labelled “{given.value}”.{made}")
        session.keep("last-case", (queue.dataset, given.case_id) if given.case_id else None)
        session.forget("note", "contains", "right-outcome")


@st.fragment
def work(actor: Actor, name: str) -> None:
    """The item under the reviewer's eyes. A fragment, so that a verdict redraws nothing else."""
    queue, asked = labelling.queue(name), session.asked("run")
    choices = [(c.key, c.title) for c in queue.criterion.choices]
    top = st.container()
    with top:
        seen = session.get(f"shown-{name}")
        for key in keys.pressed(name.replace(" ", "-"), [*choices, ("s", "Skip"), ("u", "Undo"), ("?", "Keys")]):
            with show.errors():
                _act(actor, key, queue, seen or labelling.take(actor, name, first=asked))
            seen = None if key not in "u?" else seen
    queue, item = labelling.queue(name), labelling.take(actor, name, first=asked)
    session.keep(f"shown-{name}", item)
    whole = queue.waiting + queue.labelled
    st.progress(
        queue.labelled / whole if whole else 1.0, f"{queue.labelled} of {whole} labelled · {queue.waiting} wait"
    )
    if last := session.get("last"):
        st.caption(show.plain(last))
        if made := session.get("last-case"):
            nav.link("evaluate", "See the case", {"dataset": made[0], "case": made[1]})
    if session.get("sheet"):
        st.markdown(HELP)
    if item is None:
        show.empty(
            "Nothing waits here", "Flag a run on the Runs page or in the chat, and it comes here.", icon="done_all"
        )
        nav.link("evaluate", "Run the cases", {"dataset": queue.dataset})
        return
    left, right = st.container(key="split").columns([3, 2], gap="large")
    record = traces.record(item.run_id)
    with left:
        transcript.record(record)
    with right:
        st.markdown(f"**{show.plain(queue.criterion.question)}**")
        st.caption(f":material/flag: {show.plain(item.reason)}")
        st.toggle("Make it a case", True, key="make-case", help=f"The case goes into the dataset {queue.dataset}.")
        mock_forms.keep(mocks.used(record["calls"]), "keep-mocks")
        st.selectbox(
            "If it is bad: the right outcome",
            ["", *OUTCOMES],
            key="right-outcome",
            format_func=lambda o: o or "as it was",
        )
        st.text_input("If it is bad: the reply must contain", key="contains")
        st.text_input("Note", key="note")
        nav.link("runs", "See the whole run", {"run": item.run_id})


def make_first(actor: Actor) -> None:
    """The empty state, with a button that makes the queue for flagged runs."""
    show.empty("No labelling queue yet", "A queue takes up the runs that people flag.")
    if st.button("Make the queue for flagged runs", type="primary", key="make-queue"):
        labelling.make(
            actor,
            labelling.FLAGGED,
            purpose="Runs that somebody flagged.",
            instructions="Good runs become cases that must stay; for bad ones, say what should have happened.",
            dataset="order-desk",
        )
        st.rerun()
