"""One approval: the call, what became of it, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench import jobs, traces
from workbench.access import Actor
from workbench.traces import approvals, inbox
from workbench.ui import nav, session, show

WORDS = {
    "waiting": "waits for a decision",
    "approved": "allowed; the run goes on",
    "rejected": "rejected",
    "expired": "nobody decided in time",
    "executing": "allowed; being executed",
    "done": "allowed and executed",
    "failed": "allowed; the call failed",
    "unclear": "unclear whether it took effect",
}


def title(one: approvals.Approval) -> str:
    """An approval in a list; it ends with its short id, because the browser tells a choice back by its words."""
    return f"{one.tool} ({given(one)}) · {one.flow} · {WORDS[one.state]} · {one.id[-6:]}"


def given(one: approvals.Approval) -> str:
    """The arguments of a call in a few words."""
    return traces.brief(
        ", ".join(f"{name.replace('_', ' ')} {inbox.value(value)}" for name, value in one.arguments.items())
    )


def decide(actor: Actor, one: approvals.Approval, approved: bool) -> None:
    """Take the decision, and let the run go on once all its calls are decided."""
    with show.errors():
        decided = approvals.decide(actor, one.id, approved=approved, message=session.get(f"message-{one.id}") or "")
        if decided.job_id:
            jobs.start(decided.job_id)
        st.rerun()


def settle(actor: Actor, one: approvals.Approval, happened: bool) -> None:
    """Say what became of a call whose process died."""
    with show.errors():
        decided = approvals.settle(actor, one.id, happened=happened, answer=session.get(f"answer-{one.id}") or "")
        if decided.job_id:
            jobs.start(decided.job_id)
        st.rerun()


def form(actor: Actor, one: approvals.Approval, record: Mapping[str, Any]) -> None:
    """The call with its arguments, the rule that asked, the facts of the case, and what a person can do about it."""
    st.subheader(f"{show.plain(one.tool)}: {WORDS[one.state]}", anchor=False)
    for name, value in one.arguments.items():
        st.markdown(f"**{show.plain(name.replace('_', ' '))}** {show.plain(inbox.value(value))}")
    _case(one, record)
    asked = f"{record['flow']} {record['version']} ({record['source']}), asked by {one.asked_by or 'a run'}"
    until = f" · decide until {show.when(one.expires_at)}" if one.open else ""
    st.caption(show.plain(f"{asked} on {show.when(one.asked_at)}{until}"))
    if one.state == "waiting":
        _waiting(actor, one)
    elif one.state == "unclear":
        _unclear(actor, one)
    else:
        by = f"Decided by {one.decided_by}" if one.decided_by else "Closed"
        at = f" on {show.when(one.decided_at)}" if one.decided_at else ""
        st.markdown(show.plain(f"{by}{at}. {one.message}"))
        if one.answer or one.error:
            st.caption(show.plain(traces.brief(one.error or one.answer)))
        if one.trouble:
            _stuck(actor, one)
    if one.result_run:
        nav.link("runs", "How the run went on", {"run": one.result_run})
    if one.open:
        return
    progress(one)


def table(listed: Sequence[approvals.Approval]) -> None:
    """Every approval as a row."""
    rows = [
        {
            "asked": a.asked_at,
            "tool": a.tool,
            "with": given(a),
            "flow": a.flow,
            "state": WORDS[a.state],
            "asked by": a.asked_by,
            "decided by": a.decided_by,
            "reason": a.message,
        }
        for a in listed
    ]
    show.table(pd.DataFrame(rows), column_config={"asked": show.moments("asked")})


def _case(one: approvals.Approval, record: Mapping[str, Any]) -> None:
    """Why the call waits, and what the tools of the run said about the case before."""
    with show.errors():
        st.markdown(f":material/gavel: **Why it waits** {show.plain(_sentence(inbox.rule(one, record['digest'])))}")
    if told := inbox.facts(one, record):
        words = " · ".join(f"{show.plain(name)} **{show.plain(value)}**" for name, value in told)
        st.markdown(f":material/fact_check: **From the tools** {words}")


def _waiting(actor: Actor, one: approvals.Approval) -> None:
    reason = inbox.why_not(actor, one)
    if reason:
        st.warning(show.plain(reason), icon=":material/lock:")
    elif one.another:
        st.caption("Whoever started the run may not decide about its calls, except as a manager.")
    st.text_area(
        "Reason (the customer is told)",
        key=f"message-{one.id}",
        help="A rejection needs one; an approval may have one.",
        disabled=bool(reason),
    )
    with st.container(horizontal=True):
        if st.button(
            "Approve", type="primary", icon=":material/check:", key=f"approve-{one.id}",
            disabled=bool(reason), help=reason or None,
        ):  # fmt: skip
            decide(actor, one, True)
        if st.button(
            "Reject", icon=":material/close:", key=f"reject-{one.id}", disabled=bool(reason), help=reason or None
        ):
            decide(actor, one, False)


def _unclear(actor: Actor, one: approvals.Approval) -> None:
    st.warning("The process died while this call was under way. Look whether it took effect before you go on.")
    reason = inbox.why_not(actor, one)
    if reason:
        st.caption(show.plain(reason))
    st.text_input("What it answered, if you know", key=f"answer-{one.id}", disabled=bool(reason))
    with st.container(horizontal=True):
        if st.button("It happened", key=f"happened-{one.id}", disabled=bool(reason)):
            settle(actor, one, True)
        if st.button("It did not: do it now", key=f"again-{one.id}", disabled=bool(reason)):
            settle(actor, one, False)


def _stuck(actor: Actor, one: approvals.Approval) -> None:
    """A run that could not go on after the decision, and the way on: what it did before is not repeated."""
    st.error(show.plain(f"The run could not go on: {one.trouble}"), icon=":material/error:")
    if st.button("Go on again", icon=":material/replay:", key=f"stuck-{one.id}"):
        with show.errors():
            jobs.start(approvals.again(actor, one.id).job_id)
            st.rerun()


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


@st.fragment(run_every=1.0)
def progress(one: approvals.Approval) -> None:
    """Watch the run go on, once a second, until it has."""
    job = jobs.job(one.job_id) if one.job_id else None
    if job is None or one.result_run or one.trouble:
        return
    if job.ended:
        st.rerun()
    st.caption(":material/hourglass_top: The run goes on …")
