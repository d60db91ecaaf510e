"""Trying a flow: a chat with the working copy, its steps and words as they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from workbench import datasets, flows, traces
from workbench.access import Actor
from workbench.datasets import labelling
from workbench.runtime import Conversation, Release, Result, Step, Words, mocks
from workbench.runtime.mocks import Mock
from workbench.runtime.spec import OUTCOMES
from workbench.ui import live, mock_forms, nav, session, show, transcript
from workbench.ui.editor import Work


@dataclass
class Turn:
    """One exchange of the chat."""

    question: str
    steps: list[str]
    reply: str
    footer: str
    run_id: str
    flagged: bool = False
    held: bool = False
    flow: str = ""
    mocks: tuple[Mock, ...] = ()
    cases: list[str] = field(default_factory=list)


@dataclass
class Chat:
    """The chat beside the editor."""

    turns: list[Turn] = field(default_factory=list)
    conversation: Conversation | None = None


def panel(actor: Actor, copy: Work) -> None:
    """The chat: earlier turns, the input, and a running reply."""
    chat = session.kept(f"chat-{copy.flow}", Chat)
    head, action = st.columns([3, 2], vertical_alignment="center")
    head.subheader("Try it", anchor=False)
    if chat.turns and action.button("New conversation", icon=":material/restart_alt:", key="new-chat", type="tertiary"):
        session.forget(f"chat-{copy.flow}")
        st.rerun()
    box = st.container(border=True, height=540, autoscroll=True)
    text = st.chat_input("Message as the customer", key="message", submit_mode="stop", max_chars=8000)
    with box:
        if not chat.turns and not text:
            st.caption("Write as a customer would. The draft answers as it is in the editor, saved or not.")
            for place, example in enumerate(datasets.questions(copy.flow)):
                if st.button(show.plain(example), key=f"example-{place}", type="tertiary"):
                    text = example
        for turn in chat.turns:
            _turn(actor, turn)
        if text:
            with show.errors():
                chat.turns.append(_answer(actor, flows.freeze(copy.spec, copy.texts), text, chat))
                st.rerun()


def _turn(actor: Actor, turn: Turn) -> None:
    transcript.question(turn.question)
    transcript.reply(turn.steps, turn.reply, turn.footer)
    if turn.held:
        nav.link("approvals", "Decide about it")
    with st.container(horizontal=True, vertical_alignment="center"):
        flag_button(actor, turn.run_id, key=f"turn-{turn.run_id}")
        case_button(actor, turn)


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
        return _finished(chat, text, result, mock_forms.tried(release.name))


def _finished(chat: Chat, text: str, result: Any, given: Sequence[Mock]) -> Turn:
    assert isinstance(result, Result)  # noqa: S101  (a stream ends with its Result, or raises)
    chat.conversation = result.conversation
    return Turn(
        question=text,
        steps=traces.step_words(result.record),
        reply=result.reply,
        footer=transcript.result_footer(result),
        held=result.outcome == "held",
        run_id=result.run_id,
        flow=result.record["flow"],
        mocks=mocks.used(result.record["calls"], given),
    )
