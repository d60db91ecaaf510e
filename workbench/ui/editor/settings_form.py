"""The settings of a flow: purpose, entry, knowledge, limits, ways out, approvals, variables and the charter."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench import knowledge
from workbench.runtime.spec import CONTROLS
from workbench.ui.editor.schema_table import table
from workbench.ui.editor.working_copy import Work, field_at, put

NONE = "none"


def settings_form(copy: Work) -> None:
    """Purpose, entry, knowledge, limits, ways out, waiting, approvals, variables and the charter."""
    body = copy.body
    st.text_input("Purpose", body.get("purpose", ""), **field_at(copy, ("purpose",), "purpose"))
    left, right = st.columns(2)
    agents = list(body["agents"])
    entry = agents.index(body["entry"]) if body["entry"] in agents else 0
    left.selectbox("Begins at", agents, entry, **field_at(copy, ("entry",), "entry"))
    with right:
        _knowledge(copy)
    _limits(copy)
    _ways_out(copy)
    _approvals(copy)
    _variables(copy)
    with st.expander("Charter: why this flow exists and how it is judged", icon=":material/flag:"):
        for name, label in CHARTER.items():
            given = (body.get("charter") or {}).get(name, "")
            st.text_input(label, given, **field_at(copy, ("charter", name), "charter", name))


def _knowledge(copy: Work) -> None:
    known = dict(copy.body.get("knowledge") or {})
    present, collections = known.get("collection", NONE), [NONE, *knowledge.names()]
    collections += [] if present in collections else [present]

    def of(chosen: str) -> Any:
        return None if chosen == NONE else {**known, "collection": chosen}

    taking = field_at(copy, ("knowledge",), "knowledge", read=of)
    st.selectbox("Knowledge", collections, collections.index(present), **taking)


def _limits(copy: Work) -> None:
    now = copy.spec.limits
    st.caption("A run is stopped where it reaches one of these limits.")
    one, two, three = st.columns(3)
    one.number_input(
        "Model turns at most",
        1,
        100,
        now.turns,
        **field_at(copy, ("turns",), "limits", "turns"),
        help="How often the agents may ask their models in one run.",
    )
    two.number_input(
        "Time at most (seconds)",
        1.0,
        3600.0,
        float(now.seconds),
        format="%g",
        **field_at(copy, ("seconds",), "limits", "seconds"),
        help="How long a run may take; one that takes longer is stopped.",
    )
    three.number_input(
        "Cost at most (US dollars)",
        0.001,
        1000.0,
        float(now.usd),
        format="%.3f",
        **field_at(copy, ("usd",), "limits", "usd"),
        help="What the models of one run may cost together.",
    )


def _ways_out(copy: Work) -> None:
    now = copy.spec

    def of(chosen: list[str]) -> list[str]:
        return [way for way in now.control if way in chosen] + [way for way in chosen if way not in now.control]

    st.pills(
        "Besides answering, the agents may",
        CONTROLS,
        selection_mode="multi",
        default=list(now.control),
        **field_at(copy, ("control",), "control", read=of),
        help="abstain: decline when nothing is known. escalate: hand over to a person, with a note.",
    )
    st.checkbox(
        "Tools that write wait for the guardrails",
        now.writes == "wait",
        **field_at(copy, ("writes",), "writes", read=lambda waits: "wait" if waits else "go"),
        help="High-stakes tools and the reply always wait.",
    )


def _approvals(copy: Work) -> None:
    now = copy.spec.approvals
    one, two = st.columns([1, 2], vertical_alignment="bottom")
    one.number_input(
        "Approvals wait at most (hours)",
        0.1,
        720.0,
        float(now.hours),
        format="%g",
        **field_at(copy, ("approval-hours",), "approvals", "hours"),
        help="A call that nobody has decided on by then is not made.",
    )
    two.checkbox(
        "By another person than who started the run",
        now.another,
        **field_at(copy, ("approval-another",), "approvals", "another"),
    )


def _variables(copy: Work) -> None:
    st.caption("Variables: the prompts name them as $name.")
    rows = [{"name": name, "value": value} for name, value in copy.body.get("variables", {}).items()]
    columns = {
        "name": st.column_config.TextColumn("Name"),
        "value": st.column_config.TextColumn("Value", width="large"),
    }
    edited = table(copy, ("variables",), rows, columns)
    if edited != rows:
        put(copy, ("variables",), {row["name"]: row["value"] for row in edited if row["name"]})


CHARTER = {
    "problem": "The problem it solves",
    "kpi": "The figure it shall move",
    "target": "The target",
    "guard": "The figure that must not get worse",
    "owner": "Who answers for it",
}
