"""The form of an agent, and what can be done with agents and tools as a whole: add, rename, remove."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench.errors import Invalid
from workbench.flows.drafts import rename
from workbench.runtime import spec
from workbench.runtime.release import PromptText
from workbench.runtime.spec import ROLES
from workbench.ui import session, show
from workbench.ui.editor.schema_table import schema_table
from workbench.ui.editor.working_copy import AGENT, Work, field_at, newest, popover, step, tidy

NONE = "none"


def agent_form(copy: Work) -> None:
    """One agent: prompt, model role, tools, handoffs, and what it does besides. The open one stands in the address."""
    agents = copy.body["agents"]
    _open_agent(copy)
    chosen = st.segmented_control("Agent", list(agents), key=AGENT, required=True, width="stretch", bind="query-params")
    if chosen is None or chosen not in agents:
        return
    copy.agent = chosen
    if copy.chosen is None or copy.chosen[0] == "agent":
        copy.chosen = ("agent", chosen)
    agent = agents[chosen]
    left, right = st.columns([2, 1])
    left.text_input(
        "What it is for",
        agent.get("description", ""),
        **field_at(copy, ("about", chosen), "agents", chosen, "description"),
        help="Other agents read this when they choose whom to hand over to.",
    )
    role = ROLES.index(agent.get("model", "main"))
    right.selectbox("Model role", ROLES, role, **field_at(copy, ("model", chosen), "agents", chosen, "model"))
    _prompt(copy, chosen, str(agent["prompt"]))
    others = [name for name in agents if name != chosen]
    _works_with(copy, chosen, agent, others)
    with st.expander("Temperature, what it receives, structured reply, fallback", icon=":material/tune:"):
        _more(copy, chosen, agent)
        _fallback(copy, chosen, agent.get("fallback") or {}, others)
        schema_table(copy, chosen, agent.get("output"))
    _agents_row(copy, chosen)


def _open_agent(copy: Work) -> None:
    """Where no agent of this flow is open, neither here nor in the address, open the last chosen or the first one."""
    agents, wanted = copy.body["agents"], copy.next_agent
    copy.next_agent = ""
    if wanted in agents:
        session.keep(AGENT, wanted)
    if session.get(AGENT, session.asked(AGENT)) in agents:
        return
    before = copy.chosen[1] if copy.chosen and copy.chosen[0] == "agent" else copy.agent
    before = before or copy.body["entry"]
    session.keep(AGENT, before if before in agents else next(iter(agents)))


def _works_with(copy: Work, chosen: str, agent: Mapping[str, Any], others: list[str]) -> None:
    left, right = st.columns(2)
    declared = list(copy.body.get("tools", {}))
    left.multiselect(
        "Tools",
        [*declared, *(t for t in agent.get("tools", []) if t not in declared)],
        agent.get("tools", []),
        **field_at(copy, ("tools", chosen), "agents", chosen, "tools"),
        help="Declare more tools on the Tools tab.",
    )
    right.multiselect(
        "Hands over to",
        [*others, *(h for h in agent.get("handoffs", []) if h not in others)],
        agent.get("handoffs", []),
        **field_at(copy, ("handoffs", chosen), "agents", chosen, "handoffs"),
    )


RECEIVES = {
    "all": "the whole conversation",
    "messages": "the messages, without tool calls",
    "last": "the customer's last message",
}


def _more(copy: Work, chosen: str, agent: Mapping[str, Any]) -> None:
    left, right = st.columns(2)
    left.number_input(
        "Temperature",
        0.0,
        2.0,
        agent.get("temperature"),
        0.1,
        **field_at(copy, ("temperature", chosen), "agents", chosen, "temperature"),
        placeholder="as the model has it",
    )
    right.selectbox(
        "Receives, when it is handed over to",
        list(RECEIVES),
        list(RECEIVES).index(agent.get("receives", "all")),
        format_func=lambda one: RECEIVES[one],
        **field_at(copy, ("receives", chosen), "agents", chosen, "receives"),
    )


def _fallback(copy: Work, chosen: str, fallback: Mapping[str, Any], others: list[str]) -> None:
    st.caption("Where its model fails: another model role is asked, then another agent, then a fixed reply is given.")
    one, two, three = st.columns(3)
    roles, agents = [NONE, *ROLES], [NONE, *others]
    role, other = fallback.get("model") or NONE, fallback.get("agent") or NONE
    agents += [] if other in agents else [other]

    def at(name: str) -> dict[str, Any]:
        path = ("agents", chosen, "fallback", name)
        return field_at(copy, (f"fallback-{name}", chosen), *path, read=lambda one: None if one == NONE else one)

    one.selectbox("Then ask the model", roles, roles.index(role), **at("model"))
    two.selectbox("Then the agent", agents, agents.index(other), **at("agent"))
    three.text_input("Then reply", fallback.get("reply") or "", **at("reply"))


def _prompt(copy: Work, chosen: str, reference: str) -> None:
    name, _, fixed = reference.partition("@")
    saved = _saved(copy, reference)
    text, label = saved.text, saved.label if saved.number else f"{name} (new)"
    if fixed:
        st.text_area(
            f"Instructions · {label}, a fixed version", text, height=180, disabled=True, key=copy.key("fixed", chosen)
        )
        if st.button("Follow the newest version", key=copy.key("follow", chosen), disabled=copy.locked):
            agents = copy.body["agents"]
            step(copy, {**copy.body, "agents": {**agents, chosen: {**agents[chosen], "prompt": name}}})
        return
    key, generation = copy.key("prompt", chosen, str(saved.number)), copy.generation

    def take() -> None:
        if copy.locked or copy.generation != generation or not session.has(key):
            return
        if session.get(key) not in (text, newest(name).text):
            copy.texts[name] = session.get(key) or ""
        else:
            copy.texts.pop(name, None)

    shown = copy.texts.get(name, text)
    st.text_area(f"Instructions · {label}", shown, height=200, key=key, on_change=take, disabled=copy.locked)


def _saved(copy: Work, reference: str) -> PromptText:
    """The text that an edit began from: the newest one, until somebody begins to edit it here."""
    name = reference.partition("@")[0]
    if name not in copy.texts or name not in copy.loaded:
        copy.loaded[name] = newest(reference)
    return copy.loaded[name]


def _agents_row(copy: Work, chosen: str) -> None:
    with st.container(horizontal=True):
        with popover(copy, "add-agent", label="Add an agent", icon="add"):
            name = st.text_input("Name", key=copy.key("new-agent"), placeholder="billing", persist_state="session")
            joined = st.checkbox(f"{chosen} hands over to it", True, key=copy.key("new-agent-joined", chosen))
            if st.button("Add", key=copy.key("add-agent"), type="primary", disabled=not name):
                with show.errors():
                    _add_agent(copy, str(name).strip(), chosen if joined else "")
        with popover(copy, "rename", chosen, label=f"Rename {chosen}", icon="edit"):
            _rename_form(copy, "agent", chosen)
        if len(copy.body["agents"]) > 1:
            with popover(copy, "remove", chosen, label=f"Remove {chosen}", icon="delete"):
                st.caption("Handoffs to it are removed too. Undo brings it back.")
                if st.button("Remove", key=copy.key("remove", chosen)):
                    step(copy, _without(copy.body, chosen))


def _add_agent(copy: Work, name: str, chosen: str) -> None:
    """A new agent that the chosen one, where there is one, hands over to."""
    if name in copy.body["agents"]:
        raise Invalid(f"There is an agent called {name} already.", remedy="Choose another name.")
    prompt = f"{copy.flow}/{re.sub('[^a-z0-9_-]+', '-', name.lower()).strip('-') or 'agent'}"
    agents = {**copy.body["agents"], name: {"prompt": prompt}}
    if chosen:
        agents[chosen] = {**agents[chosen], "handoffs": [*agents[chosen].get("handoffs", []), name]}
    body = tidy({**copy.body, "agents": agents})
    if not newest(prompt).number:
        copy.texts.setdefault(prompt, f"You are the {name} agent.")
    copy.chosen, copy.next_agent = ("agent", name), name
    step(copy, body)


def rename_row(copy: Work) -> None:
    """For the tool that was chosen on the picture: who uses it, and what it is called."""
    with st.container(horizontal=True, vertical_alignment="center"):
        kind, name = copy.chosen or ("", "")
        if kind == "tool" and name in copy.body.get("tools", {}):
            used = [agent for agent, one in copy.body["agents"].items() if name in one.get("tools", [])]
            st.caption(show.plain(f"Chosen: {name}, used by {', '.join(used) or 'nobody'}."))
            with popover(copy, "rename-tool", name, label=f"Rename {name}", icon="edit", kind="tertiary"):
                _rename_form(copy, "tool", name)


def _rename_form(copy: Work, kind: Any, old: str) -> None:
    new = st.text_input("New name", old, key=copy.key(f"rename-{kind}", old), persist_state="session")
    st.caption("Whatever names it is changed too.")
    if st.button("Rename", key=copy.key(f"rename-{kind}-do", old), type="primary", disabled=not new or new == old):
        with show.errors():
            made = rename(copy.spec, kind, old, str(new))
            copy.chosen = (kind, str(new))
            step(copy, spec.plain(made))


def _without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    agents = {
        other: {**agent, "handoffs": [h for h in agent.get("handoffs", []) if h != name]}
        for other, agent in body["agents"].items()
        if other != name
    }
    entry = body["entry"] if body["entry"] != name else next(iter(agents))
    return tidy({**body, "agents": agents, "entry": entry})
