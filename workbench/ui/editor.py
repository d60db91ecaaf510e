"""The working copy of a draft in the browser session, and the forms that edit it.

The copy is plain data. Form, YAML and picture all change it; each is drawn from it, so that they always agree. Every
change is a step that can be undone, and is saved by itself a while after the last one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitAPIException

from workbench import flows, knowledge, prompts, releases, settings
from workbench.access import Actor, may
from workbench.errors import Conflict, Invalid, NotFound, WorkbenchError
from workbench.flows import diagram, versions
from workbench.flows.drafts import Draft, fork, fork_release, rename, saves
from workbench.runtime import spec
from workbench.runtime.release import PromptText, Release
from workbench.runtime.spec import CONTROLS, ROLES, FlowSpec
from workbench.ui import canvas, session, show

PARTS = ("Agents", "Tools", "Guardrails", "Coverage", "Settings", "YAML", "Versions")
STEPS = 500
"""How many steps can be undone."""
LARGE = 24
"""With more agents and tools than this, only the form that is open is drawn."""
WIDE = 720
"""A picture wider than this gets the whole width of the page."""
SCOPE = ".st-key-editor, .st-key-aside"
FILES = ["yaml", "yml", "json"]

State = tuple[str, dict[str, str]]
"""What a step remembers: the body as JSON text, and the changed prompt texts."""


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
    waiting: dict[str, str] = field(default_factory=dict)
    began: dict[str, str] = field(default_factory=dict)
    past: list[State] = field(default_factory=list)
    future: list[State] = field(default_factory=list)
    known: State | None = None
    chosen: tuple[str, str] | None = None
    folds: dict[str, bool] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    theirs: Draft | None = None
    told: str = ""
    yaml: str = ""
    typed: str = ""
    pages: int = 0
    part: str = ""
    aside: str = ""
    forked_from: str = ""

    @property
    def spec(self) -> FlowSpec:
        """The copy as a flow. The forms only let valid ones in."""
        return spec.parse(self.body)

    @property
    def live(self) -> dict[str, str]:
        """The changed texts of the prompts that the flow follows."""
        return {name: self.texts[name] for name in versions.followed(self.body) if name in self.texts}

    @property
    def state(self) -> State:
        """What a step remembers of the copy as it is now."""
        return json.dumps(self.body), dict(self.texts)

    @property
    def changed(self) -> bool:
        """Whether something is not saved."""
        return json.dumps(self.body) != json.dumps(self.saved) or self.live != self.waiting

    def key(self, *parts: str) -> str:
        """A widget key that is new whenever the copy was replaced from outside the forms."""
        return "-".join([self.flow, str(self.generation), *parts])

    def replace(self, body: dict[str, Any]) -> None:
        """Take over a whole new body; the forms begin anew from it."""
        self.body, self.generation = body, self.generation + 1

    def record(self) -> None:
        """Make a step of what changed since the last one."""
        now = self.state
        if self.known is not None and self.known != now:
            self.past = [*self.past, self.known][-STEPS:]
            self.future = []
        self.known = now

    def undo(self) -> None:
        """Go one step back."""
        if self.past:
            self.future.append(self.state)
            self._become(self.past.pop())

    def redo(self) -> None:
        """Go one step forward again."""
        if self.future:
            self.past.append(self.state)
            self._become(self.future.pop())

    def settle(self, draft: Draft) -> None:
        """Take note that the copy is saved as `draft`, without changing it. Texts that got a number are no change any more."""
        numbered = {name: text for name, text in self.live.items() if name not in draft.texts}
        for name in numbered:
            old = self.loaded[name].text if name in self.loaded else ""
            for _, texts in (*self.past, *self.future):
                texts.setdefault(name, old)
            self.texts.pop(name)
        self.base, self.saved = draft.version, spec.plain(draft.spec)
        self.waiting = {name: one.text for name, one in draft.texts.items()}
        self.loaded, self.theirs = _bases(draft), None
        self.began = dict(versions.copy_of(draft).texts)
        self.known = self.state
        self.forked_from = draft.forked_from

    def take(self, draft: Draft) -> None:
        """Become what `draft` is; what the copy was can be had back by undoing."""
        self.replace(spec.plain(draft.spec))
        self.texts = {name: one.text for name, one in draft.texts.items()}
        self.record()
        self.settle(draft)

    def _become(self, state: State) -> None:
        self.replace(json.loads(state[0]))
        self.texts = {name: text for name, text in state[1].items() if text != _newest(name).text}
        self.known = self.state


def work(name: str) -> Work:
    """The working copy of a draft, loaded on first use, with what this person left unsaved. Raises NotFound."""

    def load() -> Work:
        draft, actor = flows.draft(name), session.actor()
        left = _left().get(_place(actor, name))
        if left is not None and (left.base == draft.version or may(actor, "edit a flow")):
            return _twin(left)
        body = spec.plain(draft.spec)
        made = Work(name, body, draft.version, {n: one.text for n, one in draft.texts.items()})
        made.settle(draft)
        return made

    return session.kept(f"work-{name}", load)


def reload(name: str) -> None:
    """Forget the working copy and what was left unsaved of it; the next look loads the draft."""
    old = session.get(f"work-{name}")
    session.forget(f"work-{name}")
    _left().pop(_place(session.actor(), name), None)
    if old is not None:
        new = work(name)
        new.generation, new.chosen, new.folds = old.generation + 1, old.chosen, old.folds
        new.past, new.future, new.known = old.past, old.future, old.state
        new.record()


def save(actor: Actor, copy: Work, *, number: bool = True) -> None:
    """Save the working copy. With `number`, changed texts become the next numbers of their prompts; else they wait.

    Raises as `flows.save` does. Where somebody else saved meanwhile, the copy remembers what they saved.
    """
    live = copy.live
    bases = {name: copy.loaded[name].number for name in live if name in copy.loaded}
    try:
        draft = flows.save(actor, copy.spec, base=copy.base, texts=live, bases=bases, number=number)
    except Conflict:
        copy.theirs = flows.draft(copy.flow)
        raise
    copy.settle(draft)
    copy.told = f"Saved as save {copy.base}."


def begin(copy: Work) -> None:
    """Make the step that the forms are about to change from. Call it before they are drawn."""
    if copy.known is None:
        copy.known = copy.state


def finish(actor: Actor, copy: Work) -> None:
    """After the forms: record the step, do what was asked by key, save after a rest, notice what others saved."""
    copy.record()
    copy.part = str(session.get(f"part-{copy.flow}", PARTS[0]))
    asked, copy.asked = copy.asked, []
    for one in asked:
        if one == "undo":
            copy.undo()
        elif one == "redo":
            copy.redo()
    if {"undo", "redo"} & {*asked}:
        _remember(actor, copy)
        again()
    _look(actor, copy)
    with show.errors():
        if "quiet" in asked and copy.changed and copy.theirs is None and may(actor, "edit a flow"):
            save(actor, copy, number=False)
    _remember(actor, copy)


def again() -> NoReturn:
    """Draw the editor anew; the whole page where that is what runs."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
    raise AssertionError("a rerun does not come back")


def _look(actor: Actor, copy: Work) -> None:
    """Where somebody saved meanwhile: show it, or, where this copy has changes too, remember it until one chose."""
    if saves(copy.flow) == copy.base:
        return
    draft = flows.draft(copy.flow)
    same = json.dumps(spec.plain(draft.spec)) == json.dumps(copy.body)
    if same and copy.live == {name: one.text for name, one in draft.texts.items()}:
        copy.settle(draft)
    elif not copy.changed:
        copy.take(draft)
        copy.told = f"{draft.saved_by} saved save {draft.version}; it is shown here now."
        again()
    elif may(actor, "edit a flow"):
        copy.theirs = draft


def _remember(actor: Actor, copy: Work) -> None:
    """Keep what is unsaved on the server, for the case that the browser is loaded anew."""
    place = _place(actor, copy.flow)
    if copy.changed:
        _left()[place] = _twin(copy)
    else:
        _left().pop(place, None)


def _twin(copy: Work) -> Work:
    return dataclasses.replace(
        copy, texts=dict(copy.texts), loaded=dict(copy.loaded), past=list(copy.past), future=list(copy.future), asked=[]
    )


@st.cache_resource(show_spinner=False)
def _left() -> dict[tuple[str, str, str], Work]:
    """The unsaved copies of this server, by database, person and flow."""
    return {}


def _place(actor: Actor, flow: str) -> tuple[str, str, str]:
    return settings.load().database_url, actor.name, flow


def _bases(draft: Draft) -> dict[str, PromptText]:
    """The texts that the draft's waiting ones were edited from."""
    return {name: _newest(f"{name}@{one.base}" if one.base else name) for name, one in draft.texts.items()}


def _newest(reference: str) -> PromptText:
    try:
        return prompts.get(reference)
    except NotFound:
        return PromptText(name=reference.partition("@")[0], number=0, text="")


def beside() -> bool:
    """What stands beside the form: the chat, or the YAML. Returns whether it is the YAML."""
    options = {"chat": "Try it", "yaml": "YAML beside the form"}
    chosen = st.segmented_control(
        "Beside the form",
        list(options),
        default="chat",
        format_func=lambda one: options[one],
        key="beside",
        required=True,
        label_visibility="collapsed",
    )
    return chosen == "yaml"


def parts(copy: Work, aside: Any) -> dict[str, Any]:
    """Where each form goes: into its tab, and the YAML into `aside` where that is given.

    Of a large flow only what is open is returned, so that the others need not be drawn; and once more what was open
    before, because somebody may have typed there as the last thing.
    """
    tabs = dict(zip(PARTS, st.tabs(PARTS, key=f"part-{copy.flow}", on_change="rerun"), strict=True))
    large = len(copy.body["agents"]) + len(copy.body.get("tools", {})) > LARGE
    drawn = {name: tab for name, tab in tabs.items() if tab.open or not large or name == copy.part}
    if aside is not None:
        tabs["YAML"].caption("The YAML stands beside the form.")
        drawn["YAML"] = aside
    return drawn


def is_wide(copy: Work) -> bool:
    """Whether the picture needs the whole width of the page."""
    return diagram.picture(copy.spec, copy.folds).width > WIDE


def picture(copy: Work) -> None:
    """The network; a click on it opens the form of an agent or a tool."""

    def act(event: canvas.Event) -> None:
        if event.kind == "pick":
            copy.chosen = (event.what, event.name)
            session.keep(f"part-{copy.flow}", "Tools" if event.what == "tool" else "Agents")
            if event.what == "agent":
                session.keep(copy.key("agent"), event.name)
        elif event.kind == "fold":
            copy.folds = {**copy.folds, event.name: False}
        elif event.kind in ("folds", "unfolds"):
            copy.folds = dict.fromkeys(copy.body["agents"], event.kind == "folds")
        else:
            copy.asked.append(event.kind)

    unsaved = copy.changed and copy.theirs is None and may(session.actor(), "edit a flow")
    canvas.draw(
        copy.spec,
        name=copy.flow,
        chosen=copy.chosen,
        folds=copy.folds,
        unsaved=f"{copy.base}-{zlib.crc32(repr(copy.state).encode())}" if unsaved else "",
        scope=SCOPE,
        act=act,
        height=600 if is_wide(copy) else 430,
    )


def bar(actor: Actor, copy: Work) -> None:
    """Undo, redo, save, discard, and whether something is unsaved."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Undo", key="undo", icon=":material/undo:", disabled=not copy.past, help="Ctrl+Z"):
            copy.undo()
            again()
        if st.button("Redo", key="redo", icon=":material/redo:", disabled=not copy.future, help="Ctrl+Shift+Z"):
            copy.redo()
            again()
        unsaved = copy.changed or bool(copy.live)
        if st.button("Save draft", key="save", type="primary", disabled=not unsaved, icon=":material/save:"):
            with show.errors():
                save(actor, copy)
                _remember(actor, copy)
                again()
        if copy.changed:
            with st.popover("Discard", icon=":material/delete_sweep:"):
                st.caption("Go back to what was saved last. Undo brings your changes back.")
                if st.button("Discard them", key="discard"):
                    reload(copy.flow)
                    again()
        _status(actor, copy)


def _status(actor: Actor, copy: Work) -> None:
    if copy.changed:
        st.caption("Unsaved changes")
        if not may(actor, "edit a flow") and not session.get(f"told-{copy.flow}-{actor.role}"):
            session.keep(f"told-{copy.flow}-{actor.role}", True)
            st.toast(
                f"A {actor.role} may try changes to a flow, but nothing of them will be saved.",
                icon=":material/lock:",
                duration="long",
            )
    else:
        st.caption(show.plain(copy.told or f"Save {copy.base}, unchanged"))
    if copy.live and not copy.changed:
        names = ", ".join(sorted({name.rpartition("/")[2] for name in copy.live}))
        st.caption(show.plain(f"New instructions of {names}: Save draft gives them a number."))


def found(copy: Work) -> None:
    """Static findings, each beside what it is about, in words."""
    for one in flows.findings(copy.spec, copy.live):
        words = f"**{show.plain(one.where)}** {show.plain(one.message)}"
        (st.error if one.level == "error" else st.warning)(
            words, icon=":material/error:" if one.level == "error" else ":material/warning:"
        )


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
        **_taking(copy, copy.key("about", chosen), "agents", chosen, "description"),
        help="Other agents read this when they choose whom to hand over to.",
    )
    role = agent.get("model", "main")
    taking = _taking(copy, copy.key("model", chosen), "agents", chosen, "model")
    agent["model"] = right.selectbox("Model role", ROLES, ROLES.index(role), **taking)
    _prompt(copy, chosen, agent)
    left, right = st.columns(2)
    declared = list(copy.body.get("tools", {}))
    agent["tools"] = left.multiselect(
        "Tools",
        [*declared, *(t for t in agent.get("tools", []) if t not in declared)],
        agent.get("tools", []),
        **_taking(copy, copy.key("tools", chosen), "agents", chosen, "tools"),
        help="Declare more tools on the Tools tab.",
    )
    others = [name for name in agents if name != chosen]
    agent["handoffs"] = right.multiselect(
        "Hands over to",
        [*others, *(h for h in agent.get("handoffs", []) if h not in others)],
        agent.get("handoffs", []),
        **_taking(copy, copy.key("handoffs", chosen), "agents", chosen, "handoffs"),
    )
    with st.expander("Temperature, what it receives, structured reply, fallback", icon=":material/tune:"):
        _more(copy, chosen, agent, others)
    put(copy, ("agents", chosen), agent)
    _agents_row(copy, chosen)


def _taking(copy: Work, key: str, *path: str) -> dict[str, Any]:
    """What makes a widget's change a change of the copy at once, even where the next run does not draw it any more.

    A widget that is gone already, or of a copy that was replaced since, has nothing to say.
    """
    generation = copy.generation

    def take() -> None:
        if copy.generation != generation or not session.has(key):
            return
        body = json.loads(json.dumps(copy.body))
        holder = body
        for one in path[:-1]:
            if one not in holder and one != "fallback":
                return
            holder = holder.setdefault(one, {})
        holder[path[-1]] = session.get(key)
        if holder[path[-1]] == "":
            holder.pop(path[-1])
        with contextlib.suppress(Invalid):
            copy.body = tidy(body)

    return {"key": key, "on_change": take}


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
        **_taking(copy, copy.key("temperature", chosen), "agents", chosen, "temperature"),
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
    taking = _taking(copy, copy.key("fallback-reply", chosen), "agents", chosen, "fallback", "reply")
    reply = three.text_input("Then reply", fallback.get("reply") or "", **taking)
    given = {"model": role, "agent": other, "reply": reply}
    agent["fallback"] = {key: value for key, value in given.items() if value not in ("none", "")} or None
    agent["output"] = _schema(copy, chosen, agent.get("output"))


KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "whole number": {"type": "integer"},
    "yes or no": {"type": "boolean"},
    "list of texts": {"type": "array", "items": {"type": "string"}},
}
OTHER = "as in the JSON"


def _schema(copy: Work, chosen: str, schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The structured reply as a small table, with the JSON Schema under a fold. Without fields the agent replies freely."""
    st.caption("Structured reply: with at least one field the agent answers as data instead of as text.")
    old = dict((schema or {}).get("properties") or {})
    needed = (schema or {}).get("required") or []
    rows = [
        {"name": n, "type": _kind(p), "description": str(p.get("description", "")), "required": n in needed}
        for n, p in old.items()
    ]
    columns = {
        "name": st.column_config.TextColumn("Field", required=True),
        "type": st.column_config.SelectboxColumn("Type", options=[*KINDS, OTHER], default="text", required=True),
        "description": st.column_config.TextColumn("Description", width="large"),
        "required": st.column_config.CheckboxColumn("Required", default=True),
    }
    edited = [row for row in _table(copy, ("output", chosen), rows, columns) if row["name"]]
    if edited != rows:
        schema = _of_rows(schema or {}, old, edited)
    with st.expander("The same as JSON Schema", icon=":material/data_object:"):
        text = json.dumps(schema, indent=2, ensure_ascii=False) if schema else ""
        stamp = str(zlib.crc32(text.encode()))
        written = st.text_area("JSON Schema", text, height=220, key=copy.key("schema", chosen, stamp))
    if written != text:
        agents = copy.body["agents"]
        try:
            output = _json(written)
            body = tidy({**copy.body, "agents": {**agents, chosen: {**agents[chosen], "output": output}}})
        except Invalid as error:
            show.failure(error)
        else:
            _step(copy, body)
    return schema


def _json(text: str) -> dict[str, Any] | None:
    try:
        made = json.loads(text) if text.strip() else None
    except ValueError as error:
        raise Invalid(f"The JSON cannot be read: {error}.") from None
    if made is None or isinstance(made, dict):
        return made
    raise Invalid("A schema is a JSON object.", remedy='Begin with {"type": "object", "properties": {}}.')


def _kind(part: Any) -> str:
    if not isinstance(part, Mapping) or {"enum", "const", "anyOf", "format", "pattern"} & set(part):
        return OTHER
    for word, wanted in KINDS.items():
        if part.get("type") == wanted["type"] and part.get("items") == wanted.get("items"):
            return word
    return OTHER


def _of_rows(schema: dict[str, Any], old: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    parts: dict[str, Any] = {}
    for row in rows:
        name, before = str(row["name"]), old.get(str(row["name"]), {})
        kept = dict(before) if row["type"] == OTHER or (before and _kind(before) == row["type"]) else {}
        parts[name] = {**kept, **KINDS.get(row["type"], {} if kept else {"type": "object"})}
        parts[name].pop("description", None)
        if row["description"]:
            parts[name]["description"] = str(row["description"])
    if not parts:
        return None
    needed = [str(row["name"]) for row in rows if row["required"]]
    return {"additionalProperties": False, **schema, "type": "object", "properties": parts, "required": needed}


def _table(
    copy: Work, key: tuple[str, ...], rows: list[dict[str, Any]], columns: dict[str, Any]
) -> list[dict[str, Any]]:
    """A small table that grows. It begins from `rows` whenever it is drawn anew, and then counts its own edits."""
    widget = copy.key(*key)
    if session.get(widget) is None:
        session.keep(f"{widget}-rows", rows)
    begun = pd.DataFrame(session.get(f"{widget}-rows"), columns=list(columns))
    edited = st.data_editor(
        begun, num_rows="dynamic", key=widget, hide_index=True, column_config=columns, width="stretch"
    )
    return [{str(name): _cell(value) for name, value in row.items()} for row in edited.to_dict("records")]


def _cell(value: Any) -> Any:
    return value if isinstance(value, bool) else "" if pd.isna(value) else str(value)


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
        if session.get(key) not in (text, _newest(name).text):
            copy.texts[name] = session.get(key) or ""
        else:
            copy.texts.pop(name, None)

    st.text_area(f"Instructions · {label}", copy.texts.get(name, text), height=200, key=key, on_change=take)


def _saved(copy: Work, reference: str) -> PromptText:
    """The text that an edit began from: the newest one, until somebody begins to edit it here."""
    name = reference.partition("@")[0]
    if name not in copy.texts or name not in copy.loaded:
        copy.loaded[name] = _newest(reference)
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
                    _step(copy, _without(copy.body, chosen))


def _add_agent(copy: Work, name: str, chosen: str) -> None:
    """A new agent that the chosen one, where there is one, hands over to."""
    if name in copy.body["agents"]:
        raise Invalid(f"There is an agent called {name} already.")
    agents = {**copy.body["agents"], name: {"prompt": f"{copy.flow}/{name.lower()}"}}
    if chosen:
        agents[chosen] = {**agents[chosen], "handoffs": [*agents[chosen].get("handoffs", []), name]}
    body = tidy({**copy.body, "agents": agents})
    if not _newest(f"{copy.flow}/{name.lower()}").number:
        copy.texts.setdefault(f"{copy.flow}/{name.lower()}", f"You are the {name} agent.")
    copy.chosen = ("agent", name)
    _step(copy, body)


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
            _step(copy, spec.plain(made))


def _step(copy: Work, body: dict[str, Any]) -> NoReturn:
    """Take over a new body as one step, and draw the editor anew."""
    copy.replace(body)
    copy.record()
    again()


def _without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    agents = {
        other: {**agent, "handoffs": [h for h in agent.get("handoffs", []) if h != name]}
        for other, agent in body["agents"].items()
        if other != name
    }
    entry = body["entry"] if body["entry"] != name else next(iter(agents))
    return tidy({**body, "agents": agents, "entry": entry})


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
    edited = _table(copy, ("variables",), rows, columns)
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


def yaml_form(copy: Work) -> None:
    """The same flow as YAML; a change here changes the forms, once it can be read. Also as a file, out and in."""
    text, shown = spec.write(copy.spec), session.get(f"yaml-{copy.flow}-{copy.pages}")
    if shown is None or copy.yaml != text:
        copy.aside = shown if shown not in (None, copy.yaml, copy.typed) else copy.aside
        copy.yaml = copy.typed = text
        copy.pages += 1
    key = f"yaml-{copy.flow}-{copy.pages}"
    edited = str(st.text_area("The flow as YAML", copy.typed, height=520, key=key, label_visibility="collapsed"))
    if copy.aside:
        with st.expander("Your YAML as it was before the form was changed", icon=":material/history_edu:"):
            st.code(copy.aside, language="yaml")
    if edited not in (copy.yaml, copy.typed):
        _take_yaml(copy, edited)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download",
            text,
            f"{copy.flow}.yaml",
            "application/yaml",
            key="download",
            icon=":material/download:",
            on_click="ignore",
        )
        with st.popover("Take in a file", icon=":material/upload:"):
            given = st.file_uploader("A flow as YAML or JSON", FILES, key=copy.key("upload"))
            if given is not None:
                _take_yaml(copy, _text(given), file=given.name)


def _take_yaml(copy: Work, text: str, file: str = "") -> None:
    """Take over a flow as text, or say where it is wrong and change nothing."""
    try:
        made = spec.read(text)
        if made.flow != copy.flow:
            raise Invalid(
                f"flow: this draft is called {copy.flow}, the text's flow {made.flow}.",
                remedy="To rename it, begin a new flow.",
            )
    except WorkbenchError as error:
        show.failure(Invalid(f"{file}: {error.message}", remedy=error.remedy) if file else error)
        return
    copy.aside, body = "", spec.plain(made)
    if not file:
        copy.yaml, copy.typed = spec.write(made), text
    if json.dumps(body) != json.dumps(copy.body):
        _step(copy, body)


def _text(given: Any) -> str:
    """An uploaded file's text; what is not UTF-8 is marked, and then refused where it matters."""
    return str(given.getvalue().decode("utf-8", "replace"))


def versions_form(actor: Actor, copy: Work) -> None:
    """Named versions: keep one, compare any two, restore one."""
    if copy.forked_from:
        st.caption(show.plain(f"Forked from {copy.forked_from}."))
    listed = versions.versions(copy.flow)
    with (
        st.popover("Name this version", icon=":material/bookmark_add:"),
        st.form(copy.key("name-version"), border=False),
    ):
        title = st.text_input("Title", key=copy.key("version-title"), placeholder="Before the refund rules")
        note = st.text_area("Note", key=copy.key("version-note"), height=80)
        if st.form_submit_button("Keep it", type="primary"):
            with show.errors():
                if copy.changed or copy.live:
                    save(actor, copy)
                versions.add(actor, copy.flow, title, note, base=copy.base)
                copy.told = f"Named {title.strip()}."
                again()
    if not listed:
        st.caption("No named versions yet. Name one before a larger change; restoring it is one click.")
    for one in listed:
        _version_row(actor, copy, one)
    _compare(copy, listed)


def _version_row(actor: Actor, copy: Work, one: versions.Version) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        words = f"**{one.number}. {show.plain(one.title)}**" + (f"  \n{show.plain(one.note)}" if one.note else "")
        st.markdown(words)
        st.caption(show.plain(f"{one.saved_by}, {_moment(one.saved_at)}"))
        if st.button("Restore", key=f"restore-{copy.flow}-{one.number}", type="tertiary", icon=":material/restore:"):
            with show.errors():
                if copy.changed:
                    save(actor, copy, number=False)
                copy.take(versions.restore(actor, copy.flow, one.number, base=copy.base))
                copy.told = f"Version {one.number} restored as save {copy.base}."
                again()


def _moment(at: Any) -> str:
    zone = st.context.timezone
    return str(pd.Timestamp(at).tz_convert(zone or "UTC").strftime("%-d %b, %H:%M"))


def _compare(copy: Work, listed: list[versions.Version]) -> None:
    """What changed between any two of: the draft as it is here, its versions, its releases."""
    ends: dict[str, versions.Version | str | None] = {"the draft as it is here": None}
    ends |= {f"version {one.number}: {one.title}": one for one in listed}
    ends |= {f"release v{one.number}": f"{copy.flow}@v{one.number}" for one in releases.releases(copy.flow)}
    if len(ends) < 2:
        return
    left, right = st.columns(2)
    names = list(ends)
    before = left.selectbox("Compare", names, 1, key=f"before-{copy.flow}")
    after = right.selectbox("with", names, 0, key=f"after-{copy.flow}")
    with show.errors():
        one, other = _end(copy, ends[before]), _end(copy, ends[after])
        listing([] if versions.alike(one, other) else releases.diff(one, other))


def _end(copy: Work, end: versions.Version | str | None) -> Release:
    if isinstance(end, versions.Version):
        return versions.content(end)
    return versions.bare(releases.resolve(end)) if end else versions.release(versions.Copy(copy.body, copy.live))


def listing(changes: list[releases.Change]) -> None:
    """Changes in words, the lines of a text under a fold."""
    if not changes:
        st.caption("Nothing differs between the two.")
    for change in changes:
        mark = ":red-badge[:material/warning: risk] " if change.risk else ""
        st.markdown(f"- {mark}{show.plain(change.words)}")
        if change.lines:
            with st.expander("The lines"):
                st.code("\n".join(change.lines), language="diff", wrap_lines=True)


def clash(actor: Actor, copy: Work) -> None:
    """Somebody else saved meanwhile: both versions in words, and three ways out. Nothing is lost in any of them."""
    theirs = copy.theirs
    if theirs is None:
        return
    texts = {
        **copy.began,
        **{name: copy.loaded[name].text for name in copy.live if name in copy.loaded},
        **copy.waiting,
    }
    base = versions.Copy(copy.saved, texts)
    they = versions.copy_of(theirs)
    mine = versions.Copy(copy.body, {**texts, **copy.live})
    their_edits, my_edits = versions.edits(base, they), versions.edits(base, mine)
    their_edits = [one for one in their_edits if one not in my_edits]
    if not their_edits:
        copy.base, copy.theirs = theirs.version, None
        again()
    with st.container(border=True, key="clash"):
        who = (
            f"{theirs.saved_by} saved save {theirs.version}"
            if theirs.version != copy.base
            else "A prompt has a newer number"
        )
        show.failure(
            Conflict(
                f"The flow {copy.flow} was changed by somebody else meanwhile.",
                remedy=f"{who} after you had begun from save {copy.base}. Choose below; nothing is lost in any case.",
            )
        )
        left, right = st.columns(2, gap="medium")
        with left:
            st.markdown(f"**Theirs** ({show.plain(theirs.saved_by)})")
            taken = _picks(copy, base, their_edits, my_edits, "theirs", ticked=False)
        with right:
            st.markdown("**Yours**")
            taken += _picks(copy, base, my_edits, their_edits, "mine", ticked=True)
        both = any(versions.clash(one, other) for one in taken for other in taken)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Take theirs", key="take-theirs"):
                copy.take(theirs)
                copy.told = f"Save {theirs.version} of {theirs.saved_by} is shown. Undo brings yours back."
                again()
            if st.button("Keep mine", key="keep-mine"):
                _over(actor, copy, theirs, mine)
            if st.button("Merge what is ticked", key="merge", type="primary", disabled=both):
                _over(actor, copy, theirs, versions.merged(base, taken))
            if both:
                st.caption("Two ticked changes touch the same thing: take one of them.")


def _picks(
    copy: Work, base: versions.Copy, edits: list[versions.Edit], others: list[versions.Edit], side: str, *, ticked: bool
) -> list[versions.Edit]:
    """One side's changes to tick, in words; where both sides touch the same thing, `ticked` says which side begins ticked."""
    taken = []
    before = versions.release(base)
    for place, edit in enumerate(edits):
        contested = any(versions.clash(edit, other) for other in others)
        changes = _words(before, base, edit)
        words = "; ".join(change.words for change in changes) or " ".join(edit.path)
        label = show.plain(words) + (" :orange-badge[both changed this]" if contested else "")
        if st.checkbox(label, ticked or not contested, key=copy.key("pick", side, str(place))):
            taken.append(edit)
        lines = [line for change in changes for line in change.lines]
        if lines:
            st.code("\n".join(lines), language="diff", wrap_lines=True)
    if not edits:
        st.caption("No change.")
    return taken


def _words(before: Release, base: versions.Copy, edit: versions.Edit) -> list[releases.Change]:
    try:
        after = versions.merged(base, [edit])
        return releases.diff(before, versions.release(versions.Copy(tidy(after.body), after.texts)))
    except Invalid:
        return []


def _over(actor: Actor, copy: Work, theirs: Draft, mine: versions.Copy) -> None:
    """Save `mine` as the next save after theirs, which is kept among the versions."""
    with show.errors():
        body = tidy(mine.body)
        saved = versions.saved_texts(spec.parse(body))
        texts = {n: mine.texts[n] for n in versions.followed(body) if n in mine.texts and mine.texts[n] != saved.get(n)}
        draft = versions.override(actor, spec.parse(body), texts, theirs=theirs.version)
        copy.take(draft)
        copy.told = f"Saved as save {draft.version}. What {theirs.saved_by} had saved is kept on the Versions tab."
        again()


def new_flow(actor: Actor, names: list[str]) -> None:
    """A new flow: from nothing, a template, a released flow, a draft or a file. Open where there is no flow yet."""
    if not names:
        show.empty(
            "No flows yet",
            "Begin from the template “order-desk”: a triage agent that hands over to refunds and shipping.",
        )
        with st.container(border=True, key="gallery"):
            _gallery(actor, names, shown=True)
        return
    popover = st.popover("New flow", key="new-flow", on_change="rerun", icon=":material/add:")
    with popover, st.container(key="gallery"):
        _gallery(actor, names, shown=bool(popover.open))


NOTHING = "nothing"
_STYLE = """<style>
[data-testid="stPopoverBody"]:has(.st-key-gallery) {width: min(62rem, 94vw); max-width: none;}
</style>"""


def _gallery(actor: Actor, names: list[str], *, shown: bool) -> None:
    st.html(_STYLE)
    made, origins = flows.templates(), _origins(names) if shown else {}
    options = [NOTHING, *(t.name for t in made), *origins]
    if session.get("template") not in options:
        session.keep("template", NOTHING)
    one, two, three = st.columns([3, 3, 1], vertical_alignment="bottom")
    template = one.selectbox("Begin from", options, key="template")
    name = two.text_input("Name", key="new-name", placeholder="returns-desk", help="Small letters, digits and dashes.")
    three.button("Create", key="create", type="primary", disabled=not name, on_click=_create, args=(actor, origins))
    if error := session.get("not-made"):
        show.failure(error)
    if not shown:
        return
    _cards(actor, [(t.name, t.purpose, t.spec) for t in made], template, origins)
    if origins:
        st.caption("Fork what is there: a copy with prompts of its own, which remembers where it came from.")
        _cards(actor, [(label, one.spec.purpose, one.spec) for label, one in origins.items()], template, origins)
    given = st.file_uploader("Or take in a file", FILES, key="new-file")
    if given is not None and session.get("taken") != given.file_id:
        _take_file(actor, given)


def _origins(names: list[str]) -> dict[str, Draft | Release]:
    """What can be forked: each flow's release in production, and each draft, by what it is called."""
    found: dict[str, Draft | Release] = {}
    for name in names:
        for environment, number in releases.environments(name).items():
            if environment == "production":
                found[f"{name} v{number}, in production"] = releases.resolve(f"{name}@v{number}")
    return {**found, **{f"{draft.name}, save {draft.version}": draft for draft in flows.drafts()}}


def _cards(
    actor: Actor, cards: list[tuple[str, str, FlowSpec]], chosen: str, origins: Mapping[str, Draft | Release]
) -> None:
    grid = st.grid("auto", min_column_width=250)
    for name, purpose, made in cards:
        with grid.container(border=True, height="stretch"):
            agents = len(made.agents)
            st.markdown(f"**{show.plain(name)}**")
            st.caption(show.plain(purpose))
            canvas.still(made, key=f"card-{name}")
            tools = f"{len(made.tools)} tool{'' if len(made.tools) == 1 else 's'}"
            st.caption(f"{'One agent' if agents == 1 else f'{agents} agents'}, {tools if made.tools else 'no tools'}")
            if name == chosen and session.get("new-name"):
                label = f"Create {session.get('new-name')}"
                st.button(label, key=f"create-{name}", type="primary", on_click=_create, args=(actor, origins))
            else:
                st.button("Use this", key=f"use-{name}", on_click=_choose, args=(name, made.flow))


def _choose(label: str, flow: str) -> None:
    """Begin from this card; where no name was given yet, propose one that is free."""
    session.keep("template", label)
    if not session.get("new-name"):
        taken = {draft.name for draft in flows.drafts()}
        names = (f"{flow}-{place}" for place in itertools.count(2))
        session.keep("new-name", flow if flow not in taken else next(name for name in names if name not in taken))


def _create(actor: Actor, origins: Mapping[str, Draft | Release]) -> None:
    """Make the new flow that the form asks for; runs before the page is drawn, so that it can be chosen there."""
    template, name = str(session.get("template", NOTHING)), str(session.get("new-name", "")).strip()
    origin = origins.get(template)
    try:
        if isinstance(origin, Draft):
            made = fork(actor, origin.name, name)
        elif origin is not None:
            made = fork_release(actor, origin, name)
        else:
            made = flows.blank(actor, name) if template == NOTHING else flows.begin(actor, template, name)
    except WorkbenchError as error:
        session.keep("not-made", error)
        return
    session.forget("not-made")
    session.keep("new-flow", False)
    session.choose_flow(made.name)


def _take_file(actor: Actor, given: Any) -> None:
    """A flow from a file: a new draft, or the next save of the one with its name."""
    try:
        draft, new = flows.put(actor, _text(given))
    except WorkbenchError as error:
        show.failure(Invalid(f"{given.name}: {error.message}", remedy=error.remedy))
        return
    session.keep("taken", given.file_id)
    st.success(
        show.plain(f"{draft.name} was {'made' if new else f'saved as save {draft.version}'} from {given.name}."),
        icon=":material/check:",
    )


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
