"""Variants side by side: their columns, a message that all of them answer at once, and a dataset that all of them run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench import datasets, flows, releases, traces
from workbench.access import Actor
from workbench.errors import NotFound, WorkbenchError
from workbench.evals import grid
from workbench.evals.grid import Difference, Grid, Piece, Variant
from workbench.prompts.lint import secrets
from workbench.runtime import Release, Result, Step, Words
from workbench.runtime.spec import ROLES, Role
from workbench.ui import live, mock_forms, nav, playground, session, show, transcript

NARROWEST = 220
"""The least width in pixels of a column; where they do not fit beside each other, they stand below each other."""

SIGNS = {"removed": ("red", "−", "~~"), "added": ("green", "\\+", "**")}

AS_IT_IS = "as in the flow"
NO_AGENT = "no agent"

_numbers = itertools.count(1)


@dataclass
class Column:
    """One variant as it is being put together. `number` keys its widgets."""

    reference: str
    number: int = field(default_factory=lambda: next(_numbers))
    role: Role | None = None
    named: list[str] = field(default_factory=list)
    agent: str | None = None
    texts: dict[str, str] = field(default_factory=dict)

    def variant(self) -> Variant:
        """What this column tries."""
        roles = {name: self.role for name in self.named if self.role}
        prompts = {self.agent: self.texts[self.agent]} if self.agent in self.texts else {}
        return Variant(flow=self.reference, model=None if roles else self.role, models=roles, prompts=prompts)

    @property
    def link(self) -> str:
        """The column in the address: `flow`, `flow~role` or `flow~role~agent.agent`. An edited prompt is left out."""
        return "~".join([self.reference, *([self.role] if self.role else []), *self._agents])

    @property
    def _agents(self) -> list[str]:
        return [".".join(self.named)] if self.role and self.named else []


@dataclass(frozen=True)
class Tried:
    """A variant, ready to run, and what it is called beside the others."""

    title: str
    release: Release
    variant: Variant


@dataclass(frozen=True)
class Answer:
    """What one variant made of the message: the run's record, or why it could not run."""

    title: str
    record: dict[str, Any] | None
    failure: WorkbenchError | None = None

    @property
    def left(self) -> dict[str, str]:
        """What a reload needs to show it again."""
        run = self.record["id"] if self.record else ""
        error, remedy = (self.failure.message, self.failure.remedy) if self.failure else ("", "")
        return {"title": self.title, "run": run, "error": error, "remedy": remedy}


@dataclass(frozen=True)
class Shown:
    """A message and what every variant answered."""

    question: str
    answers: tuple[Answer, ...]


class _Place:
    """Where one variant's steps and words appear while it runs."""

    def __init__(self, box: DeltaGenerator, title: str) -> None:
        box.markdown(f"**{show.plain(title)}**")
        self.told, self.words = box.empty(), box.empty()
        self.words.caption("Waiting for the first step")
        self.steps: list[str] = []
        self.said, self.agent = "", ""

    def take(self, event: Words | Step) -> None:
        """Show what has just happened."""
        if isinstance(event, Words):
            self.said += event.text
            self.words.markdown(show.plain(self.said))
            return
        if line := transcript.step_line(event, self.agent):
            self.steps.append(line)
            self.told.caption(transcript.steps_text(self.steps))
        self.agent = event.agent or self.agent


def references() -> dict[str, str]:
    """Every flow that can be tried: its reference to its words, no two alike."""
    found: dict[str, str] = {}
    for name in [draft.name for draft in flows.drafts()]:
        found[name] = f"{name} draft"
        pointers = releases.environments(name)
        found |= {f"{name}@{place}": f"{name} in {place}, now v{number}" for place, number in pointers.items()}
        found |= {f"{name}@v{one.number}": f"{name} v{one.number}" for one in releases.releases(name)}
    return found


def columns(known: Sequence[str]) -> list[Column]:
    """The columns as the address or the last visit has them; at first, a draft beside what is in production."""
    kept = session.kept("side-by-side", lambda: _taken_up(known) or _first(known))
    kept[:] = [one for one in kept if one.reference in known] or _first(known)
    asked = st.query_params.get("variants", "")
    wanted = asked.split(",")
    _say_missing(wanted if asked else [], known)
    fits = len(wanted) <= grid.MOST and all(_linked(one, known) is not None for one in wanted)
    chosen = session.linked("variants", [*([asked] if fits else []), _joined(kept)])
    if chosen != _joined(kept):
        kept[:] = [made for one in chosen.split(",") if (made := _linked(one, known)) is not None]
    return kept


def choose(made: list[Column], known: dict[str, str]) -> list[Tried]:
    """The columns with their widgets, and what each tries; empty where one of them cannot run."""
    found: list[tuple[Variant, Release]] = []
    cells = st.grid(len(made), min_column_width=NARROWEST, key="variants")
    for place, column in enumerate(made):
        with cells.container(border=True), show.errors():
            _head(made, place, column, known)
            base = releases.resolve(column.reference)
            with st.popover("Model and prompt", icon=":material/tune:", key=f"change-{column.number}", width="stretch"):
                _change(column, base)
            variant = column.variant()
            frozen = grid.resolve(variant, releases.resolve)
            twin = next((n for n, (_, other) in enumerate(found) if other.digest == frozen.digest), None)
            found.append((variant, frozen))
            _note(variant, twin)
    session.point("variants", _joined(made))
    _leave(made)
    if edited := [grid.LETTERS[place] for place, column in enumerate(made) if column.texts]:
        st.caption(
            f":material/link_off: The address leaves out the edited prompt of variant {' and '.join(edited)}; "
            "a grid over a dataset keeps it."
        )
    if len(found) < len(made):
        return []
    titles = grid.titles([variant for variant, _ in found])
    return [Tried(title, frozen, variant) for title, (variant, frozen) in zip(titles, found, strict=True)]


def add(made: list[Column]) -> None:
    """A button that puts another column beside the last, with what that one tries."""
    full = len(made) >= grid.MOST
    if st.button("Add a variant", icon=":material/add:", key="add-variant", disabled=full):
        last = made[-1]
        made.append(Column(last.reference, next(_numbers), last.role, [*last.named], last.agent, dict(last.texts)))
        session.point("variants", _joined(made))
        st.rerun()


def converse(actor: Actor, tried: Sequence[Tried], text: str, *, real: bool = False) -> None:
    """Run every variant on a message at once, showing their steps and words as they come; the answers are kept.

    Unless `real`, calls that change something are answered by the mocks for trying the flow, or held back.
    """
    transcript.question(text)
    cells = st.grid(len(tried), min_column_width=NARROWEST, key="answers")
    places = [_Place(cells.container(border=True), one.title) for one in tried]
    found: dict[int, Answer] = {}
    made = [one.release for one in tried]
    mocked = {one.name: mock_forms.tried(one.name) for one in made}
    with closing(live.side_by_side(actor, made, text, mocked=mocked, real=real)) as events:
        for number, event in events:
            if isinstance(event, Words | Step):
                places[number].take(event)
            else:
                found[number] = _answer(tried[number].title, event)
    shown = Shown(text, tuple(found[number] for number in sorted(found)))
    session.keep("side-by-side-shown", shown)
    session.to_desk("playground-answers", {"question": text, "answers": [one.left for one in shown.answers]})


def example(tried: Sequence[Tried]) -> str | None:
    """A few messages to begin with; the one that was clicked."""
    found = datasets.questions(tried[0].release.name) if tried else []
    with st.container(gap="xsmall"):
        clicked = [
            st.button(show.plain(one), key=f"side-example-{place}", type="tertiary") for place, one in enumerate(found)
        ]
    return found[clicked.index(True)] if True in clicked else None


def answers() -> bool:
    """The answers to the last message, what differs from the first marked; whether there are any."""
    shown = session.kept("side-by-side-shown", _answers_left)
    if shown is None:
        return False
    transcript.question(shown.question)
    ran = [one.record for one in shown.answers if one.record is not None]
    compared = iter(grid.compare(ran) if ran else [])
    reference = next((one.title for one in shown.answers if one.record is not None), "")
    cells = st.grid(len(shown.answers), min_column_width=NARROWEST, key="answers")
    for one in shown.answers:
        with cells.container(border=True):
            st.markdown(f"**{show.plain(one.title)}**")
            if one.record is None:
                show.failure(one.failure or WorkbenchError("It did not run."))
            else:
                _reply(one.record, next(compared), reference if one.title != reference else "")
    return True


def marked(pieces: Sequence[Piece]) -> str:
    """A reply with the words that differ marked by a colour and a sign: − only in the first, + only here."""
    return "".join(show.plain(one.text) if one.kind == "same" else _painted(one) for one in pieces)


def _say_missing(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Say which variants the address names that are not there; what is shown instead stands below."""
    gone = [one for one in wanted if _linked(one, known) is None]
    if gone:
        words = f"The address names what is not here: {', '.join(gone)}. Choose a flow for each variant below."
    elif len(wanted) > grid.MOST:
        words = f"The address names {len(wanted)} variants; at most {grid.MOST} stand side by side."
    else:
        return
    st.warning(show.plain(words), icon=":material/link_off:")


def _leave(made: Sequence[Column]) -> None:
    """Leave the columns with their edited prompts on the desk, so that a reload finds them; a secret is stored nowhere."""
    left = [
        {
            "reference": one.reference,
            "role": one.role,
            "named": list(one.named),
            "agent": one.agent,
            "texts": {agent: text for agent, text in one.texts.items() if not secrets(text)},
        }
        for one in made
    ]
    session.to_desk("playground", left)


def _taken_up(known: Sequence[str]) -> list[Column]:
    """The columns as this person left them; empty where one of them is gone."""
    left = session.from_desk("playground")
    made = [
        Column(one["reference"], next(_numbers), one["role"], one["named"], one["agent"], one["texts"])
        for one in left or []
    ]
    return made if all(_linked(one.link, known) for one in made) else []


def _answers_left() -> Shown | None:
    """The answers to the last message as this person left them, from their recorded runs."""
    left = session.from_desk("playground-answers")
    if not left:
        return None
    traces.flush()
    return Shown(left["question"], tuple(_answer_left(one) for one in left["answers"]))


def _answer_left(left: dict[str, str]) -> Answer:
    try:
        return (
            Answer(left["title"], traces.record(left["run"]))
            if left["run"]
            else Answer(left["title"], None, WorkbenchError(left["error"], remedy=left["remedy"]))
        )
    except NotFound as gone:
        return Answer(left["title"], None, gone)


def _first(known: Sequence[str]) -> list[Column]:
    last = session.get("last-flow", session.FIRST_FLOW)
    flow = last if last in known else known[0]
    running = f"{flow}@production"
    return [Column(flow), Column(running if running in known else flow)]


def _joined(made: Sequence[Column]) -> str:
    return ",".join(one.link for one in made)


def _linked(link: str, known: Sequence[str]) -> Column | None:
    """The column that a piece of the address names; None where it names a flow, role or agent that is not there."""
    reference, *rest = link.split("~")
    if reference not in known or len(rest) > 2 or (rest and rest[0] not in ROLES):
        return None
    named = rest[1].split(".") if len(rest) == 2 else []
    if named and not set(named) <= set(releases.resolve(reference).spec.agents):
        return None
    return Column(reference, role=cast(Role, rest[0]) if rest else None, named=named)


def _again(variant: Variant) -> Column | None:
    """The column that tries `variant`; None where it changes more than a column can."""
    roles = {*variant.models.values(), *([variant.model] if variant.model else [])}
    if len(roles) > 1 or len(variant.prompts) > 1 or (variant.model and variant.models):
        return None
    role, agent = next(iter(roles), None), next(iter(variant.prompts), None)
    return Column(variant.flow, role=role, named=list(variant.models), agent=agent, texts=dict(variant.prompts))


def take_up(found: Grid) -> None:
    """A button that puts the variants of a grid, with their edited prompts, into the columns."""
    made = [one for side in found.sides if (one := _again(side.variant)) is not None]
    help = "With their roles and edited prompts; a draft is taken as it is now."
    if len(made) == len(found.sides) and st.button(
        "Try these variants", icon=":material/upgrade:", key="take-up", help=help
    ):
        session.keep("side-by-side", made)
        session.point("variants", _joined(made))
        st.rerun()


def _head(made: list[Column], place: int, column: Column, known: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**Variant {grid.LETTERS[place]}**", width="content")
        if len(made) > 1 and st.button(
            "Remove", icon=":material/close:", type="tertiary", key=f"remove-{column.number}"
        ):
            made.remove(column)
            session.point("variants", _joined(made))
            st.rerun()
    options = list(known)
    column.reference = st.selectbox(
        f"Flow of variant {grid.LETTERS[place]}",
        options,
        options.index(column.reference),
        key=f"reference-{column.number}",
        format_func=lambda one: known[one],
        label_visibility="collapsed",
    )


def _change(column: Column, base: Release) -> None:
    """What is changed for the trial: the model role of all or some agents, and one agent's prompt."""
    agents, number = list(base.spec.agents), column.number
    roles = [AS_IT_IS, *ROLES]
    role = st.selectbox("Model role", roles, roles.index(column.role or AS_IT_IS), key=f"role-{number}")
    column.role = None if role == AS_IT_IS else cast(Role, role)
    if column.role:
        there = [one for one in column.named if one in agents]
        column.named = st.multiselect("Of", agents, there, key=f"named-{number}-{base.name}", placeholder="all agents")
    options = [NO_AGENT, *agents]
    last = options.index(column.agent) if column.agent in options else 0
    agent = st.selectbox("Edit the prompt of", options, last, key=f"agent-{number}-{base.name}")
    column.agent = None if agent == NO_AGENT else agent
    if column.agent:
        text = base.content.prompts[column.agent].text
        key = f"text-{number}-{column.agent}-{base.content.prompts[column.agent].label}"
        label = f"Instructions of {column.agent}"
        edited = st.text_area(label, column.texts.get(column.agent, text), key=key, height=320, width=560)
        column.texts = {column.agent: edited} if edited != text else {}


def _note(variant: Variant, twin: int | None) -> None:
    words = [show.plain(_age(variant.flow)), *map(show.plain, variant.changes)]
    if twin is not None:
        words.append(f":material/equal: same as variant {grid.LETTERS[twin]} so far")
    st.caption(" · ".join(words))


def _age(reference: str) -> str:
    """What a reference stands for now, in words: a draft and when it was saved, or a release and when it was made."""
    name, _, place = reference.partition("@")
    if not place:
        return f"Draft, saved {show.when(flows.draft(name).saved_at)}"
    number = int(place[1:]) if place[1:].isdigit() else releases.environments(name)[place]
    made = next(one for one in releases.releases(name) if one.number == number)
    return f"v{number}, released {show.when(made.made_at)}"


def _answer(title: str, event: Result | WorkbenchError) -> Answer:
    if isinstance(event, WorkbenchError):
        return Answer(title, None, event)
    return Answer(title, event.record)


def _reply(record: dict[str, Any], found: Difference, reference: str) -> None:
    if record["reply"]:
        st.markdown(marked(found.reply))
    else:
        st.caption("No reply.")
    st.caption(transcript.record_footer(record))
    if reference:
        told = [f":material/difference: {show.plain(one)}" for one in found.words]
        st.caption("  \n".join(told or [f":material/equal: no difference from variant {reference[:1]}"]))
    steps = traces.step_words(record)
    with st.expander("1 step" if len(steps) == 1 else f"{len(steps)} steps", icon=":material/footprint:"):
        st.caption(transcript.steps_text(steps))
    if record["outcome"] == "held":
        playground.decisions(record["id"])
    nav.link("runs", "Read this run", {"run": record["id"]})


def _painted(piece: Piece) -> str:
    """A stretch that differs, line by line, because a mark cannot go over the end of one."""
    colour, sign, mark = SIGNS[piece.kind]
    lines = [
        f":{colour}-background[{sign}\u00a0{mark}{show.plain(line.strip())}{mark}]" if line.strip() else ""
        for line in piece.text.split("\n")
    ]
    return "  \n".join(lines) + (" " if piece.text.endswith(" ") or piece.kind == "removed" else "")
