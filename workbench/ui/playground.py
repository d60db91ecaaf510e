"""Trying a flow: a chat with the working copy, its steps and words as they happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from workbench import datasets, flows, traces
from workbench.access import Actor
from workbench.datasets import labelling
from workbench.errors import NotFound, WorkbenchError
from workbench.runtime import Conversation, Release, Result, Step, Words, mocks
from workbench.runtime.mocks import Mock
from workbench.runtime.spec import OUTCOMES
from workbench.traces import approvals
from workbench.ui import approval, live, mock_forms, nav, session, show, transcript
from workbench.ui.editor import Work

LONGEST = 60
"""So many exchanges of a chat are kept across a reload."""


@dataclass
class Turn:
    """One exchange of the chat. Where the flow could not run, `error` says why and there is no run."""

    question: str
    steps: list[str] = field(default_factory=list)
    reply: str = ""
    footer: str = ""
    run_id: str = ""
    flagged: bool = False
    held: bool = False
    flow: str = ""
    mocks: tuple[Mock, ...] = ()
    cases: list[str] = field(default_factory=list)
    error: str = ""
    remedy: str = ""

    @property
    def left(self) -> dict[str, str]:
        """What a reload needs to show it again."""
        return {"run": self.run_id, "question": self.question, "error": self.error, "remedy": self.remedy}


@dataclass
class Chat:
    """The chat beside the editor."""

    turns: list[Turn] = field(default_factory=list)
    conversation: Conversation | None = None


def panel(actor: Actor, copy: Work) -> None:
    """The chat: earlier turns, the input, and a running reply."""
    chat = session.kept(f"chat-{copy.flow}", lambda: _taken_up(copy.flow))
    head, action = st.columns([3, 2], vertical_alignment="center")
    head.subheader("Try it", anchor=False)
    if chat.turns and action.button("New conversation", icon=":material/restart_alt:", key="new-chat", type="tertiary"):
        session.forget(f"chat-{copy.flow}")
        session.to_desk(f"chat-{copy.flow}", None)
        st.rerun()
    box = st.container(border=True, height=540, autoscroll=True)
    written = st.chat_input("Message as the customer", key="message", submit_mode="stop", max_chars=8000)
    text = written or session.get(f"again-{copy.flow}")
    session.forget(f"again-{copy.flow}")
    with box:
        if not chat.turns and not text:
            st.caption("Write as a customer would. The draft answers as it is in the editor, saved or not.")
            for place, example in enumerate(datasets.questions(copy.flow)):
                if st.button(show.plain(example), key=f"example-{place}", type="tertiary"):
                    text = example
        for place, turn in enumerate(chat.turns):
            _turn(actor, copy.flow, chat, place, turn)
        if text:
            _ask(actor, copy, text, chat)
            st.rerun()


def _ask(actor: Actor, copy: Work, text: str, chat: Chat) -> None:
    """Answer a message. It stays in the chat whatever happens, with what went wrong and what to do."""
    turn = Turn(text, error="This was stopped before it was answered.", flow=copy.flow)
    chat.turns.append(turn)
    _leave(copy.flow, chat)
    try:
        chat.turns[-1] = _answer(actor, flows.freeze(copy.spec, copy.texts), text, chat)
    except WorkbenchError as error:
        turn.error, turn.remedy = error.message, error.remedy
    _leave(copy.flow, chat)


def _leave(flow: str, chat: Chat) -> None:
    """Leave the chat on the person's desk, so that a reload finds it."""
    session.to_desk(
        f"chat-{flow}",
        {
            "conversation": chat.conversation.id if chat.conversation else "",
            "turns": [one.left for one in chat.turns[-LONGEST:]],
        },
    )


def _taken_up(flow: str) -> Chat:
    """The chat as this person left it: each exchange from its recorded run, and the conversation to go on with."""
    left = session.from_desk(f"chat-{flow}")
    if not isinstance(left, dict):
        return Chat()
    traces.flush()
    turns = [found for one in left["turns"] if (found := _turn_of(one, flow)) is not None]
    if not left["conversation"]:
        return Chat(turns)
    try:
        return Chat(turns, traces.conversation(left["conversation"]))
    except NotFound:
        return Chat(turns)


def _turn_of(left: dict[str, str], flow: str) -> Turn | None:
    """An exchange as it was left; None where its run is gone."""
    if not left["run"]:
        return Turn(left["question"], error=left["error"], remedy=left["remedy"], flow=flow)
    try:
        return _recorded(traces.record(left["run"]))
    except NotFound:
        return None


def _turn(actor: Actor, flow: str, chat: Chat, place: int, turn: Turn) -> None:
    transcript.question(turn.question)
    if turn.error:
        _failed(flow, chat, place, turn)
        return
    transcript.reply(turn.steps, turn.reply, turn.footer)
    if turn.held:
        decisions(turn.run_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        flag_button(actor, turn.run_id, key=f"turn-{turn.run_id}")
        case_button(actor, turn)


def _failed(flow: str, chat: Chat, place: int, turn: Turn) -> None:
    """Why a message was not answered, and a button that sends it again."""

    def again() -> None:
        chat.turns.remove(turn)
        session.keep(f"again-{flow}", turn.question)

    words = show.plain(turn.error) + (f"  \n{show.plain(turn.remedy)}" if turn.remedy else "")
    st.error(words, icon=":material/error:")
    st.button("Send it again", icon=":material/replay:", key=f"again-{flow}-{place}", type="tertiary", on_click=again)


def decisions(run_id: str) -> None:
    """For each call that waited: a link to the very approval, or what became of it and what the customer was told."""
    traces.flush()
    found = approvals.find(run_id=run_id)
    if not found:
        st.caption(":material/front_hand: This was a trial that changes nothing, so nobody is asked.")
    for one in found:
        called = f"{show.plain(one.tool)} ({show.plain(approval.given(one))})"
        if one.open:
            which = f": {called}" if len(found) > 1 else ""
            nav.link("approvals", f"Decide about it{which}", {"approval": one.id})
            continue
        st.caption(f":material/gavel: {called} {approval.WORDS[one.state]}.")
        if one.result_run:
            if one is found[-1]:
                st.markdown(show.plain(traces.run(one.result_run).reply))
            nav.link("runs", "How it went on", {"run": one.result_run})


def case_button(actor: Actor, turn: Turn) -> None:
    """A small form that saves an exchange as a case, with the mocks that answered its calls."""
    key = turn.run_id
    with (
        st.popover("Save as case", icon=":material/playlist_add_check:", type="tertiary"),
        st.form(f"case-{key}", border=False),
    ):
        st.caption("The case expects what happened here, or what you say should have.")
        dataset = st.text_input("Dataset", turn.flow, key=f"case-dataset-{key}", help="It is made where it is new.")
        outcome = st.selectbox(
            "Right outcome", ["", *OUTCOMES], key=f"case-outcome-{key}", format_func=lambda one: one or "as it was"
        )
        contains = st.text_input("The reply must contain", key=f"case-contains-{key}")
        kept = turn.mocks if mock_forms.keep(turn.mocks, f"case-mocks-{key}") else ()
        if st.form_submit_button("Save it", type="primary", key=f"case-save-{key}"):
            with show.errors():
                traces.flush()
                made = labelling.save(actor, key, dataset, contains=contains, outcome=outcome, kept=kept)
                turn.cases.append(f"{made.id} in {dataset}")
    for case in turn.cases:
        st.caption(f":material/check: Saved as {show.plain(case)}.")


def flag_button(actor: Actor, run_id: str, *, key: str) -> None:
    """A small form that flags a run with a reason; shows the flags that are there."""
    there = traces.flags([run_id])
    with st.container(horizontal=True, vertical_alignment="center"):
        for one in there:
            st.caption(f":material/flag: {show.plain(one.reason)} ({show.plain(one.person)})")
        with st.popover("Flag", icon=":material/flag:", type="tertiary"), st.form(f"flag-{key}", border=False):
            reason = st.text_input("Why does this run deserve a look?", key=f"reason-{key}")
            if st.form_submit_button("Flag it", type="primary"):
                with show.errors():
                    traces.flush()
                    traces.flag(actor, run_id, reason)
                    st.rerun()


def _answer(actor: Actor, release: Release, text: str, chat: Chat) -> Turn:
    transcript.question(text)
    steps: list[str] = []
    with st.chat_message("assistant", avatar=transcript.FLOW):
        told, words = st.empty(), st.empty()
        agent, said, result = "", "", None
        for event in live.converse(actor, release, text, chat.conversation, mocked=mock_forms.tried(release.name)):
            if isinstance(event, Words):
                said += event.text
                words.markdown(show.plain(said))
            elif isinstance(event, Step):
                if line := transcript.step_line(event, agent):
                    steps.append(line)
                    told.caption(transcript.steps_text(steps))
                agent = event.agent or agent
            else:
                result = event
        return _finished(chat, result, mock_forms.tried(release.name))


def _finished(chat: Chat, result: Any, given: Sequence[Mock]) -> Turn:
    assert isinstance(result, Result)  # noqa: S101  (a stream ends with its Result, or raises)
    chat.conversation = result.conversation
    return _recorded(result.record, given)


def _recorded(record: Mapping[str, Any], given: Sequence[Mock] = ()) -> Turn:
    """An exchange as its record tells it."""
    return Turn(
        question=record["question"],
        steps=traces.step_words(record),
        reply=record["reply"],
        footer=transcript.record_footer(record),
        held=record["outcome"] == "held",
        run_id=record["id"],
        flow=record["flow"],
        mocks=mocks.used(record["calls"], given),
    )
