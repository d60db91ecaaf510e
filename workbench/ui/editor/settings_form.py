"""The settings of a flow: purpose, entry, knowledge, limits, ways out, approvals, variables and the charter."""

from __future__ import annotations

import streamlit as st

from workbench import knowledge
from workbench.runtime.spec import CONTROLS
from workbench.ui.editor.schema_table import table
from workbench.ui.editor.working_copy import Work, put


def settings_form(copy: Work) -> None:
    """Purpose, entry, knowledge, limits, ways out, waiting, approvals, variables and the charter."""
    body, now = copy.body, copy.spec
    purpose = st.text_input("Purpose", body.get("purpose", ""), key=copy.key("purpose"))
    agents = list(body["agents"])
    left, right = st.columns(2)
    entry = left.selectbox(
        "Begins at", agents, agents.index(body["entry"]) if body["entry"] in agents else 0, key=copy.key("entry")
    )
    collections = ["none", *knowledge.names()]
    known = dict(body.get("knowledge") or {})
    present = known.get("collection", "none")
    collections += [] if present in collections else [present]
    collection = right.selectbox("Knowledge", collections, collections.index(present), key=copy.key("knowledge"))
    one, two, three = st.columns(3)
    turns = one.number_input("Turns", 1, 100, now.limits.turns, key=copy.key("turns"))
    seconds = two.number_input("Seconds", 1.0, 3600.0, float(now.limits.seconds), key=copy.key("seconds"))
    usd = three.number_input("US dollars", 0.001, 1000.0, float(now.limits.usd), format="%.3f", key=copy.key("usd"))
    control = st.pills(
        "Besides answering, the agents may",
        CONTROLS,
        selection_mode="multi",
        default=list(now.control),
        key=copy.key("control"),
        help="abstain: decline when nothing is known. escalate: hand over to a person, with a note.",
    )
    waits = st.checkbox(
        "Tools that write wait for the guardrails",
        now.writes == "wait",
        key=copy.key("writes"),
        help="High-stakes tools and the reply always wait.",
    )
    one, two = st.columns([1, 2], vertical_alignment="bottom")
    hours = one.number_input(
        "Approvals wait (hours)", 0.1, 720.0, float(now.approvals.hours), key=copy.key("approval-hours")
    )
    another = two.checkbox(
        "By another person than who started the run", now.approvals.another, key=copy.key("approval-another")
    )
    put(copy, ("purpose",), purpose)
    put(copy, ("entry",), entry)
    put(
        copy,
        ("control",),
        [way for way in now.control if way in control] + [w for w in control if w not in now.control],
    )
    put(copy, ("limits",), {"turns": turns, "seconds": seconds, "usd": usd})
    put(copy, ("knowledge",), None if collection == "none" else {**known, "collection": collection})
    put(copy, ("writes",), "wait" if waits else "go")
    put(copy, ("approvals",), {"hours": hours, "another": another})
    _variables(copy)
    with st.expander("Charter: why this flow exists and how it is judged", icon=":material/flag:"):
        _charter(copy)


def _variables(copy: Work) -> None:
    st.caption("Variables: the prompts name them as $name.")
    rows = [{"name": name, "value": value} for name, value in copy.body.get("variables", {}).items()]
    columns = {
        "name": st.column_config.TextColumn("Name"),
        "value": st.column_config.TextColumn("Value", width="large"),
    }
    edited = table(copy, ("variables",), rows, columns)
    put(copy, ("variables",), {row["name"]: row["value"] for row in edited if row["name"]})


CHARTER = {
    "problem": "The problem it solves",
    "kpi": "The figure it shall move",
    "target": "The target",
    "guard": "The figure that must not get worse",
    "owner": "Who answers for it",
}


def _charter(copy: Work) -> None:
    charter = dict(copy.body.get("charter") or {})
    for name, label in CHARTER.items():
        charter[name] = st.text_input(label, charter.get(name, ""), key=copy.key("charter", name))
    put(copy, ("charter",), {name: value for name, value in charter.items() if value} or None)
