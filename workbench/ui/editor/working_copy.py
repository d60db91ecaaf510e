"""The working copy of a draft in the browser session: what is edited, its steps, and how it is saved.

The copy is plain data. Form, YAML and picture all change it; each is drawn from it, so that they always agree. Every
change is a step that can be undone, and is saved by itself a while after the last one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitAPIException

from workbench import flows, prompts, settings
from workbench.access import Actor, may
from workbench.errors import Conflict, Invalid, NotFound
from workbench.flows import versions
from workbench.flows.drafts import Draft, saves
from workbench.runtime import spec
from workbench.runtime.release import PromptText
from workbench.runtime.spec import FlowSpec
from workbench.ui import session, show

STEPS = 500
"""How many steps can be undone."""

PART = "part"
"""The name, in the address too, under which the open tab is kept."""

AGENT = "agent"
"""The name, in the address too, under which the open agent is kept."""

OPTIONAL = ("fallback", "knowledge", "tools", "limits", "variables", "approvals", "charter")
"""Parts of a flow that need not be there before a form writes into them."""


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
    in_field: str | None = None
    pages: int = 0
    part: str = ""
    part_before: str = ""
    agent: str = ""
    aside: str = ""
    forked_from: str = ""
    saved_by: str = ""
    saved_at: dt.datetime | None = None
    locked: bool = False
    wrong: Invalid | None = None
    next_agent: str = ""
    sought: tuple[int, str] = (0, "")

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
        self.forked_from, self.saved_by, self.saved_at = draft.forked_from, draft.saved_by, draft.saved_at

    def take(self, draft: Draft) -> None:
        """Become what `draft` is; what the copy was can be had back by undoing."""
        self.replace(spec.plain(draft.spec))
        self.texts = {name: one.text for name, one in draft.texts.items()}
        self.record()
        self.settle(draft)

    def _become(self, state: State) -> None:
        self.replace(json.loads(state[0]))
        self.texts = {name: text for name, text in state[1].items() if text != newest(name).text}
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
    copy.told = ""


def begin(actor: Actor, copy: Work) -> None:
    """Make the step that the forms are about to change from; who may not edit reads. Call it before they are drawn."""
    copy.locked = not may(actor, "edit a flow")
    if copy.known is None:
        copy.known = copy.state


def finish(actor: Actor, copy: Work) -> None:
    """After the forms: record the step, do what was asked by key, save after a rest, notice what others saved."""
    copy.record()
    asked, copy.asked = copy.asked, []
    for one in asked:
        if one == "undo":
            copy.undo()
        elif one == "redo":
            copy.redo()
    if {"undo", "redo"} & {*asked}:
        remember(actor, copy)
        again()
    _look(copy)
    with show.errors():
        if "quiet" in asked and copy.changed and copy.theirs is None and not copy.locked:
            save(actor, copy, number=False)
    remember(actor, copy)


def again() -> NoReturn:
    """Draw the editor anew; the whole page where that is what runs."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()
    raise AssertionError("a rerun does not come back")


def step(copy: Work, body: dict[str, Any]) -> NoReturn:
    """Take over a new body as one step, and draw the editor anew."""
    copy.replace(body)
    copy.record()
    again()


def put(copy: Work, path: tuple[str, ...], value: Any) -> None:
    """Write `value` into the copy at `path`; nothing and an empty text take away what is there.

    Where the flow could not be read any more, the copy stays as it was and remembers why.
    """
    body = json.loads(json.dumps(copy.body))
    holders = [body]
    for one in path[:-1]:
        if one not in holders[-1] and one not in OPTIONAL:
            return
        holders.append(holders[-1].setdefault(one, {}))
    if value is None or value == "":
        holders[-1].pop(path[-1], None)
    else:
        holders[-1][path[-1]] = value
    for one, above, holder in reversed([*zip(path, holders, holders[1:], strict=False)]):
        if not holder:
            above.pop(one)
    try:
        copy.body = tidy(body)
    except Invalid as error:
        copy.wrong = error


def field_at(copy: Work, key: tuple[str, ...], *path: str, read: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """What makes a widget the field of what is at `path` of the copy: its key, what a change does, whether it is open.

    A change is taken at once, even where the next run does not draw the widget any more. A widget that is gone already,
    or of a copy that was replaced since, has nothing to say. `read` makes the value to store of what was chosen.
    """
    name, generation = copy.key(*key), copy.generation

    def take() -> None:
        if copy.locked or copy.generation != generation or not session.has(name):
            return
        value = session.get(name)
        put(copy, path, value if read is None else read(value))

    return {"key": name, "on_change": take, "disabled": copy.locked}


def popover(copy: Work, *key: str, label: str, icon: str, kind: Any = "secondary") -> Any:
    """A popover for changing the copy; it closes by itself once a step was made there."""
    return st.popover(
        label, type=kind, icon=f":material/{icon}:", key=copy.key("open", *key), on_change="rerun", disabled=copy.locked
    )


def tidy(body: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of `body`: defaults left out. Raises Invalid."""
    return spec.plain(spec.parse({key: value for key, value in body.items() if value is not None}))


def _look(copy: Work) -> None:
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
    elif not copy.locked:
        copy.theirs = draft


def remember(actor: Actor, copy: Work) -> None:
    """Keep what is unsaved on the server, for the case that the browser is loaded anew."""
    place = _place(actor, copy.flow)
    if copy.changed or copy.in_field not in (None, copy.yaml, copy.typed):
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
    return {name: newest(f"{name}@{one.base}" if one.base else name) for name, one in draft.texts.items()}


def newest(reference: str) -> PromptText:
    """The text of a prompt as it is saved; an empty one without a number where there is none."""
    try:
        return prompts.get(reference)
    except NotFound:
        return PromptText(name=reference.partition("@")[0], number=0, text="")


def moment(at: dt.datetime) -> str:
    """A moment in the reader's time zone: the time of today, or the day too."""
    here = pd.Timestamp(at).tz_convert(st.context.timezone or "UTC")
    today = pd.Timestamp.now(here.tz).date() == here.date()
    return str(here.strftime("%H:%M" if today else "%-d %b, %H:%M"))
