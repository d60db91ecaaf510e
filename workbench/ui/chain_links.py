"""The links between a ticket, its run, the labels and cases made of it, and the releases that must pass them."""

from __future__ import annotations

from textwrap import shorten

import streamlit as st

from workbench.datasets.labelling import Label
from workbench.operations import chain
from workbench.operations.chain import Origin
from workbench.tickets import signals
from workbench.tickets.signals import Incident
from workbench.ui import nav, show

POLARITY = {"must-stay": "Must stay as it is.", "must-not-repeat": "Must not happen again."}
ANSWERED = 8
"""So many tickets that a flow answered are linked from an incident."""
MOST = 20
"""So many cases of a release are listed, those that people labelled first."""


def of_run(run_id: str) -> None:
    """What came of a run: its labels, where it waits for one, and its cases."""
    found = chain.come(run_id)
    with st.container(horizontal=True, vertical_alignment="center", key=f"came-of-{run_id}"):
        for one in found.labels:
            st.markdown(f":material/label: {show.plain(_said(one))}", width="content")
        for item in found.waiting:
            nav.link("label", show.plain(f"Label it: {item.queue}"), {"queue": item.queue, "run": run_id})
        for dataset, identity in found.cases:
            _case(dataset, identity, show.plain(f"The case in {dataset}"))
        if not (found.labels or found.waiting or found.cases):
            st.caption("Nobody has flagged or labelled this run yet.")


def quoted(ticket: str, text: str, group: str = "") -> None:
    """What a customer wrote, and below it the ticket with what it stands for."""
    st.markdown(f"> {show.plain(text)}")
    nav.link("ticket", show.plain(f"Ticket {ticket}" + (f" ({group})" if group else "")), {"ticket": ticket})


def of_incident(found: Incident) -> None:
    """The tickets behind an incident whose runs are recorded."""
    known = signals.answered(found, limit=ANSWERED)
    if not known:
        return
    st.caption("Tickets of these days that a flow answered, with the run on record:")
    with st.container(horizontal=True, key="incident-answered"):
        for one in known:
            nav.link(
                "ticket",
                show.plain(f"{one['ticket_id']}: {shorten(one['subject'], 60, placeholder=' …')}"),
                {"ticket": one["ticket_id"]},
            )


def mended_with(found: Incident) -> None:
    """The release that mended an incident, where a release did."""
    if release := chain.mending(found.fix):
        flow, number = release
        nav.link("releases", f"Mended with {flow} v{number}", {"flow": flow, "release": f"v{number}"})


def case(dataset: str, identity: str) -> None:
    """One case: what it asks, what it expects, where it comes from, and the releases that had to pass it."""
    with st.container(border=True, key="one-case"), show.errors():
        found = chain.origin(dataset, identity)
        st.subheader(show.plain(f"Case {identity}"), anchor=False)
        st.markdown(f"> {show.plain(found.case.question)}")
        for line in _expected(found):
            st.markdown(f"- {show.plain(line)}")
        _origin(found)
        with st.container(horizontal=True):
            for flow, number in chain.released_with(dataset, identity)[:5]:
                label = f"Tested for {flow} v{number}"
                nav.link("releases", label, {"flow": flow, "release": f"v{number}"})


def of_release(flow: str, number: int) -> None:
    """What a release rests on: the experiment of its gate, its labelled cases with their runs and tickets; its mark."""
    with st.container(border=True, key="release-rests"), show.errors():
        found = chain.rests(flow, number)
        with st.container(horizontal=True):
            nav.link("trends", f"v{number} on the charts", {"deeper": "Releases"})
            if found.experiment:
                label = f"The experiment of its gate: {found.cases} cases"
                nav.link("evaluate", label, {"flow": flow, "experiment": found.experiment.id})
            for mended in found.mended:
                nav.link("signals", show.plain(f"Mended: {mended.title}"), {"incident": mended.id})
        if found.experiment is None:
            st.caption("No experiment is on record for the gate of this release.")
        elif not found.origins:
            st.caption("None of its cases came from a recorded run; they were written or imported.")
        else:
            st.markdown(f"**Cases that came from runs: {len(found.origins)}**")
        for one in found.origins[:MOST]:
            st.markdown(f"> {show.plain(one.case.question)}")
            _case(one.dataset, one.case.id, "The case")
            _origin(one)


def _origin(found: Origin) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for one in found.labels:
            st.markdown(f":material/label: {show.plain(_said(one))}", width="content")
        if found.run:
            nav.link("runs", "The run it came from", {"run": found.run.id})
        if found.ticket:
            nav.link("ticket", show.plain(f"Ticket {found.ticket.id}"), {"ticket": found.ticket.id})
        if not found.run:
            st.caption("It came from no run that is on record here.")


def _expected(found: Origin) -> list[str]:
    expected, lines = found.case.expected, []
    if found.case.polarity:
        lines.append(POLARITY[found.case.polarity])
    if expected.outcome:
        lines.append(f"Ends as: {expected.outcome}.")
    if expected.agent:
        lines.append(f"Answered by: {expected.agent}.")
    if expected.tools:
        lines.append("Uses: " + ", ".join(tool.name for tool in expected.tools) + ".")
    if expected.contains:
        words = [expected.contains] if isinstance(expected.contains, str) else list(expected.contains)
        lines.append("The reply contains: " + ", ".join(f"“{one}”" for one in words))
    if expected.reply:
        lines.append(f"The reply: {expected.reply}")
    return lines or ["It expects nothing, so it is not scored."]


def _case(dataset: str, identity: str, label: str) -> None:
    nav.link("evaluate", label, {"dataset": dataset, "case": identity})


def _said(one: Label) -> str:
    return f"“{one.value}” said {one.reviewer}" + (f": {one.note}" if one.note else "")
