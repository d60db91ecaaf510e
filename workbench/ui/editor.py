"""The working copy of a draft in the browser session, and the forms that edit it.

The copy is plain data. Form and YAML both change it; the picture and the findings are drawn from it after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from workbench import flows, knowledge, prompts
from workbench.access import Actor
from workbench.errors import Invalid, NotFound, WorkbenchError
from workbench.runtime import spec
from workbench.runtime.release import PromptText
from workbench.runtime.spec import CONTROLS, ROLES, FlowSpec
from workbench.ui import session, show


@dataclass
class Work:
    """A draft being edited: its plain spec, changed prompt texts by name, and the save it began from."""

    flow: str
    body: dict[str, Any]
    base: int
    texts: dict[str, str] = field(default_factory=dict)
    saved: dict[str, Any] = field(default_factory=dict)
    loaded: dict[str, PromptText] = field(default_factory=dict)
    generation: int = 0

    @property
    def spec(self) -> FlowSpec:
        """The copy as a flow. The forms only let valid ones in."""
        return spec.parse(self.body)

    @property
    def changed(self) -> bool:
        """Whether something is not saved."""
        return self.body != self.saved or bool(self.texts)

    def key(self, *parts: str) -> str:
        """A widget key that is new whenever the copy was replaced from outside the forms."""
        return "-".join([self.flow, str(self.generation), *parts])

    def replace(self, body: dict[str, Any]) -> None:
        """Take over a whole new body; the forms begin anew from it."""
        self.body, self.generation = body, self.generation + 1


def work(name: str) -> Work:
    """The working copy of a draft, loaded on first use. Raises NotFound."""

    def load() -> Work:
        draft = flows.draft(name)
        body = spec.plain(draft.spec)
        return Work(name, body, draft.version, saved=body)

    return session.kept(f"work-{name}", load)


def reload(name: str) -> None:
    """Forget the working copy; the next look loads the draft."""
    old = session.get(f"work-{name}")
    session.forget(f"work-{name}")
    if old is not None:
        work(name).generation = old.generation + 1


def save(actor: Actor, copy: Work) -> None:
    """Save the working copy. Raises as `flows.save` does."""
    bases = {name: copy.loaded[name].number for name in copy.texts if name in copy.loaded}
    draft = flows.save(actor, copy.spec, base=copy.base, texts=copy.texts, bases=bases)
    copy.base, copy.texts, copy.loaded = draft.version, {}, {}
    copy.body = copy.saved = spec.plain(draft.spec)


def agent_form(copy: Work) -> None:
    """One agent: prompt, model role, tools, handoffs."""
    agents = copy.body["agents"]
    chosen = st.segmented_control(
        "Agent", list(agents), default=next(iter(agents)), key=copy.key("agent"), required=True, width="stretch"
    )
    if chosen is None or chosen not in agents:
        return
    agent = dict(agents[chosen])
    left, right = st.columns([2, 1])
    agent["description"] = left.text_input(
        "What it is for",
        agent.get("description", ""),
        key=copy.key("about", chosen),
        help="Other agents read this when they choose whom to hand over to.",
    )
    role = agent.get("model", "main")
    agent["model"] = right.selectbox("Model role", ROLES, ROLES.index(role), key=copy.key("model", chosen))
    _prompt(copy, chosen, agent)
    left, right = st.columns(2)
    declared = list(copy.body.get("tools", {}))
    agent["tools"] = left.multiselect(
        "Tools",
        [*declared, *(t for t in agent.get("tools", []) if t not in declared)],
        agent.get("tools", []),
        key=copy.key("tools", chosen),
        help="Declare more tools on the Tools tab.",
    )
    others = [name for name in agents if name != chosen]
    agent["handoffs"] = right.multiselect(
        "Hands over to",
        [*others, *(h for h in agent.get("handoffs", []) if h not in others)],
        agent.get("handoffs", []),
        key=copy.key("handoffs", chosen),
    )
    put(copy, ("agents", chosen), agent)
    _agents_row(copy, chosen)


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
            copy.body["agents"][chosen] = {**copy.body["agents"][chosen], "prompt": name}
            copy.generation += 1
            st.rerun()
        return
    edited = st.text_area(
        f"Instructions · {label}",
        copy.texts.get(name, text),
        height=200,
        key=copy.key("prompt", chosen, str(saved.number)),
    )
    if edited != text:
        copy.texts[name] = edited
    else:
        copy.texts.pop(name, None)


def _saved(copy: Work, reference: str) -> PromptText:
    """The text that an edit began from: the newest one, until somebody begins to edit it here."""
    name = reference.partition("@")[0]
    if name in copy.texts and name in copy.loaded:
        return copy.loaded[name]
    try:
        copy.loaded[name] = prompts.get(reference)
    except NotFound:
        copy.loaded[name] = PromptText(name=name, number=0, text="")
    return copy.loaded[name]


def _agents_row(copy: Work, chosen: str) -> None:
    with st.container(horizontal=True):
        with st.popover("Add an agent", icon=":material/add:"):
            name = st.text_input("Name", key=copy.key("new-agent"), placeholder="billing")
            if st.button("Add", key=copy.key("add-agent"), type="primary", disabled=not name):
                body = {**copy.body, "agents": {**copy.body["agents"], name: {"prompt": f"{copy.flow}/{name.lower()}"}}}
                with show.errors():
                    spec.parse(body)
                    if name in copy.body["agents"]:
                        raise Invalid(f"There is an agent called {name} already.")
                    copy.texts.setdefault(f"{copy.flow}/{name.lower()}", f"You are the {name} agent.")
                    copy.replace(body)
                    st.rerun()
        if len(copy.body["agents"]) > 1:
            with st.popover(f"Remove {chosen}", icon=":material/delete:"):
                st.caption("Handoffs to it are removed too. Nothing is saved until you press Save.")
                if st.button("Remove", key=copy.key("remove", chosen)):
                    copy.replace(_without(copy.body, chosen))
                    st.rerun()


def _without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    agents = {
        other: {**agent, "handoffs": [h for h in agent.get("handoffs", []) if h != name]}
        for other, agent in body["agents"].items()
        if other != name
    }
    entry = body["entry"] if body["entry"] != name else next(iter(agents))
    return tidy({**body, "agents": agents, "entry": entry})


def settings_form(copy: Work) -> None:
    """Purpose, entry, ways out, variables, knowledge and limits."""
    body = copy.body
    purpose = st.text_input("Purpose", body.get("purpose", ""), key=copy.key("purpose"))
    agents = list(body["agents"])
    left, right = st.columns(2)
    entry = left.selectbox(
        "Begins at", agents, agents.index(body["entry"]) if body["entry"] in agents else 0, key=copy.key("entry")
    )
    collections = ["none", *knowledge.names()]
    known = dict(body.get("knowledge") or {})
    present = known.get("collection", "none")
    collection = right.selectbox(
        "Knowledge", collections, collections.index(present) if present in collections else 0, key=copy.key("knowledge")
    )
    limits = copy.spec.limits
    one, two, three = st.columns(3)
    turns = one.number_input("Turns", 1, 100, limits.turns, key=copy.key("turns"))
    seconds = two.number_input("Seconds", 1.0, 3600.0, float(limits.seconds), key=copy.key("seconds"))
    usd = three.number_input("US dollars", 0.001, 1000.0, float(limits.usd), format="%.3f", key=copy.key("usd"))
    control = st.pills(
        "Besides answering, the agents may",
        CONTROLS,
        selection_mode="multi",
        default=list(copy.spec.control),
        key=copy.key("control"),
        help="abstain: decline when nothing is known. escalate: hand over to a person, with a note.",
    )
    rows = [{"name": k, "value": v} for k, v in body.get("variables", {}).items()]
    st.caption("Variables: the prompts name them as $name.")
    edited = st.data_editor(
        rows or [{"name": "", "value": ""}], num_rows="dynamic", key=copy.key("variables"), hide_index=True
    )
    variables = {str(row["name"]): str(row["value"] or "") for row in edited if row.get("name")}
    put(copy, ("purpose",), purpose)
    put(copy, ("entry",), entry)
    put(copy, ("variables",), variables)
    put(copy, ("control",), list(control))
    put(copy, ("limits",), {"turns": turns, "seconds": seconds, "usd": usd})
    put(copy, ("knowledge",), None if collection == "none" else {**known, "collection": collection})


def yaml_form(copy: Work) -> None:
    """The same flow as YAML; a change here changes the forms, once it can be read."""
    text = spec.write(copy.spec)
    edited = st.text_area(
        "The flow as YAML", text, height=520, key=copy.key("yaml", str(hash(text))), label_visibility="collapsed"
    )
    if edited == text:
        return
    try:
        made = spec.read(edited)
        if made.flow != copy.flow:
            raise Invalid(f"flow: this draft is called {copy.flow}.", remedy="To rename it, begin a new flow.")
    except WorkbenchError as error:
        show.failure(error)
        return
    copy.replace(spec.plain(made))
    st.rerun()


def put(copy: Work, path: tuple[str, ...], value: Any) -> None:
    """Take a form's value over, where the flow stays one that can be read; else say why and keep what was."""
    body = dict(copy.body)
    if len(path) == 2:
        body[path[0]] = {**body[path[0]], path[1]: value}
    else:
        body[path[0]] = value
    with show.errors():
        copy.body = tidy(body)


def tidy(body: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of `body`: defaults left out. Raises Invalid."""
    return spec.plain(spec.parse({key: value for key, value in body.items() if value is not None}))
