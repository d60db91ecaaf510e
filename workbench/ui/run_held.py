"""Why a run is held: the call that waits, the rule that asked for a person, and the way to the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench import traces
from workbench.traces import approvals, inbox
from workbench.ui import approval, nav, show


def why(record: Mapping[str, Any]) -> None:
    """Each call of a held run that waits, or waited, for a person; nothing for a run that held none."""
    if not record["waiting"]:
        return
    asked = approvals.find(run_id=record["id"])
    with st.container(border=True, key=f"held-{record['id']}"):
        for one in asked:
            _asked(one, record["digest"])
        for call in record["waiting"] if not asked else ():
            given = traces.brief(call["arguments"])
            st.markdown(f":material/pan_tool: **{show.plain(call['tool'].replace('_', ' '))}** ({show.plain(given)})")
        if not asked:
            st.caption("It waits for a person where it ran. Nobody is asked here, so there is nothing to decide here.")


def _asked(one: approvals.Approval, digest: str) -> None:
    told = f"({approval.given(one)}) {approval.WORDS[one.state]}."
    st.markdown(f":material/pan_tool: **{show.plain(one.tool.replace('_', ' '))}** {show.plain(told)}")
    with show.errors():
        rule = inbox.rule(one, digest)
        st.caption(show.plain(rule[:1].upper() + rule[1:]))
    if one.result_run:
        nav.link("runs", "How the run went on", {"run": one.result_run})
    else:
        nav.link("approvals", "Decide" if one.open else "Open the approval", {"approval": one.id})
