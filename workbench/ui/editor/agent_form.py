"""The form of an agent, and what can be done with agents and tools as a whole: add, rename, remove."""

from __future__ import annotations

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
from workbench.ui.editor.working_copy import Work, again, newest, put, step, taking, tidy


def agent_form(copy: Work) -> None:
    """One agent: prompt, model role, tools, handoffs, and what it does besides."""
    agents = copy.body["agents"]
    key, first = copy.key("agent"), next(iter(agents))
    before = copy.chosen[1] if copy.chosen and copy.chosen[0] == "agent" else copy.body["entry"]
    if session.get(key) not in agents:
        session.keep(key, before if before in agents else first)
    chosen = st.segmented_control("Agent", list(agents), key=key, required=True, width="stretch")
    if chosen is None or chosen not in agents:
        return
    if copy.chosen is None or copy.chosen[0] == "agent":
        copy.chosen = ("agent", chosen)
    agent = dict(agents[chosen])
    left, right = st.columns([2, 1])
    agent["description"] = left.text_input(
        "What it is for",
        agent.get("description", ""),
        **taking(copy, copy.key("about", chosen), "agents", chosen, "description"),
        help="Other agents read this when they choose whom to hand over to.",
    )
    role = agent.get("model", "main")
    given = taking(copy, copy.key("model", chosen), "agents", chosen, "model")
    agent["model"] = right.selectbox("Model role", ROLES, ROLES.index(role), **given)
    _prompt(copy, chosen, agent)
    left, right = st.columns(2)
    declared = list(copy.body.get("tools", {}))
    agent["tools"] = left.multiselect(
        "Tools",
        [*declared, *(t for t in agent.get("tools", []) if t not in declared)],
        agent.get("tools", []),
        **taking(copy, copy.key("tools", chosen), "agents", chosen, "tools"),
        help="Declare more tools on the Tools tab.",
    )
    others = [name for name in agents if name != chosen]
    agent["handoffs"] = right.multiselect(
        "Hands over to",
        [*others, *(h for h in agent.get("handoffs", []) if h not in others)],
        agent.get("handoffs", []),
        **taking(copy, copy.key("handoffs", chosen), "agents", chosen, "handoffs"),
    )
    with st.expander("Temperature, what it receives, structured reply, fallback", icon=":material/tune:"):
        _more(copy, chosen, agent, others)
    put(copy, ("agents", chosen), agent)
    _agents_row(copy, chosen)


RECEIVES = {
    "all": "the whole conversation",
    "messages": "the messages, without tool calls",
    "last": "the customer's last message",
}


def _more(copy: Work, chosen: str, agent: dict[str, Any], others: list[str]) -> None:
    left, right = st.columns(2)
    agent["temperature"] = left.number_input(
        "Temperature",
        0.0,
        2.0,
        agent.get("temperature"),
        0.1,
        **taking(copy, copy.key("temperature", chosen), "agents", chosen, "temperature"),
        placeholder="as the model has it",
    )
    agent["receives"] = right.selectbox(
        "Receives, when it is handed over to",
        list(RECEIVES),
        list(RECEIVES).index(agent.get("receives", "all")),
        format_func=lambda one: RECEIVES[one],
        key=copy.key("receives", chosen),
    )
    st.caption("Where its model fails: another model role is asked, then another agent, then a fixed reply is given.")
    fallback = dict(agent.get("fallback") or {})
    one, two, three = st.columns(3)
    roles, agents = ["none", *ROLES], ["none", *others]
    role, other = fallback.get("model") or "none", fallback.get("agent") or "none"
    agents += [] if other in agents else [other]
    role = one.selectbox("Then ask the model", roles, roles.index(role), key=copy.key("fallback-model", chosen))
    other = two.selectbox("Then the agent", agents, agents.index(other), key=copy.key("fallback-agent", chosen))
    given = taking(copy, copy.key("fallback-reply", chosen), "agents", chosen, "fallback", "reply")
    reply = three.text_input("Then reply", fallback.get("reply") or "", **given)
    given = {"model": role, "agent": other, "reply": reply}
    agent["fallback"] = {key: value for key, value in given.items() if value not in ("none", "")} or None
    agent["output"] = schema_table(copy, chosen, agent.get("output"))


def _prompt(copy: Work, chosen: str, agent: dict[str, Any]) -> None:
    reference = str(agent["prompt"])
    name, _, fixed = reference.partition("@")
    saved = _saved(copy, reference)
    text, label = saved.text, saved.label if saved.number else f"{name} (new)"
    if fixed:
        st.text_area(
            f"Instructions · {label}, a fixed version", text, height=180, disabled=True, key=copy.key("fixed", chosen)
        )
        if st.button("Follow the newest version", key=copy.key("follow", chosen)):
            agents = copy.body["agents"]
            copy.replace({**copy.body, "agents": {**agents, chosen: {**agents[chosen], "prompt": name}}})
            copy.record()
            again()
        return
    key = copy.key("prompt", chosen, str(saved.number))

    generation = copy.generation

    def take() -> None:
        if copy.generation != generation or not session.has(key):
            return
        if session.get(key) not in (text, newest(name).text):
            copy.texts[name] = session.get(key) or ""
        else:
            copy.texts.pop(name, None)

    st.text_area(f"Instructions · {label}", copy.texts.get(name, text), height=200, key=key, on_change=take)


def _saved(copy: Work, reference: str) -> PromptText:
    """The text that an edit began from: the newest one, until somebody begins to edit it here."""
    name = reference.partition("@")[0]
    if name not in copy.texts or name not in copy.loaded:
        copy.loaded[name] = newest(reference)
    return copy.loaded[name]


def _agents_row(copy: Work, chosen: str) -> None:
    with st.container(horizontal=True):
        with st.popover("Add an agent", icon=":material/add:"):
            name = st.text_input("Name", key=copy.key("new-agent"), placeholder="billing")
            joined = st.checkbox(f"{chosen} hands over to it", True, key=copy.key("new-agent-joined", chosen))
            if st.button("Add", key=copy.key("add-agent"), type="primary", disabled=not name):
                with show.errors():
                    _add_agent(copy, str(name), chosen if joined else "")
        with st.popover(f"Rename {chosen}", icon=":material/edit:"):
            _rename_form(copy, "agent", chosen)
        if len(copy.body["agents"]) > 1:
            with st.popover(f"Remove {chosen}", icon=":material/delete:"):
                st.caption("Handoffs to it are removed too. Undo brings it back.")
                if st.button("Remove", key=copy.key("remove", chosen)):
                    step(copy, _without(copy.body, chosen))


def _add_agent(copy: Work, name: str, chosen: str) -> None:
    """A new agent that the chosen one, where there is one, hands over to."""
    if name in copy.body["agents"]:
        raise Invalid(f"There is an agent called {name} already.")
    agents = {**copy.body["agents"], name: {"prompt": f"{copy.flow}/{name.lower()}"}}
    if chosen:
        agents[chosen] = {**agents[chosen], "handoffs": [*agents[chosen].get("handoffs", []), name]}
    body = tidy({**copy.body, "agents": agents})
    if not newest(f"{copy.flow}/{name.lower()}").number:
        copy.texts.setdefault(f"{copy.flow}/{name.lower()}", f"You are the {name} agent.")
    copy.chosen = ("agent", name)
    step(copy, body)


def rename_row(copy: Work) -> None:
    """For the tool that was chosen on the picture: who uses it, and what it is called."""
    with st.container(horizontal=True, vertical_alignment="center"):
        kind, name = copy.chosen or ("", "")
        if kind == "tool" and name in copy.body.get("tools", {}):
            used = [agent for agent, one in copy.body["agents"].items() if name in one.get("tools", [])]
            st.caption(show.plain(f"Chosen: {name}, used by {', '.join(used) or 'nobody'}."))
            with st.popover(f"Rename {name}", icon=":material/edit:", type="tertiary"):
                _rename_form(copy, "tool", name)


def _rename_form(copy: Work, kind: Any, old: str) -> None:
    new = st.text_input("New name", old, key=copy.key(f"rename-{kind}", old))
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
