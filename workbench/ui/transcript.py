"""A run as a conversation with plain-word steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench import traces
from workbench.traces import costs
from workbench.ui import show

if TYPE_CHECKING:
    from workbench.runtime import Step

USER, FLOW = ":material/person:", ":material/support_agent:"

OUTCOMES = {
    "answered": ("green", "check_circle"),
    "abstained": ("gray", "do_not_disturb_on"),
    "escalated": ("blue", "person_raised_hand"),
    "held": ("orange", "pan_tool"),
    "blocked": ("red", "block"),
    "limit": ("orange", "timer_off"),
    "error": ("red", "error"),
}


def question(text: str) -> None:
    """What the customer wrote."""
    with st.chat_message("user", avatar=USER):
        st.markdown(show.plain(text))


def reply(steps: list[str], text: str, footer: str) -> None:
    """What the flow did and said."""
    with st.chat_message("assistant", avatar=FLOW):
        if steps:
            st.caption(steps_text(steps))
        if text:
            st.markdown(show.plain(text))
        st.caption(footer)


def steps_text(steps: list[str]) -> str:
    """Steps as one quiet paragraph, a line each."""
    return "  \n".join(f"· {show.plain(one)}" for one in steps)


def badge(outcome: str) -> str:
    """The outcome as a coloured badge with an icon and a word."""
    if outcome not in OUTCOMES:
        return show.plain(outcome)
    colour, icon = OUTCOMES[outcome]
    return f":{colour}-badge[:material/{icon}: {outcome}]"


def footer(outcome: str, seconds: float, tokens: int, usd: float | None, model: str, error: str = "") -> str:
    """One quiet line: outcome, time, tokens, cost, model."""
    cost = "cost unknown" if usd is None else "no cost" if usd == 0 else f"${usd:.4f}"
    used = "tokens not told" if usd is None and not tokens else f"{tokens:,} tokens"
    parts = [badge(outcome), took(seconds), used, show.plain(cost), show.plain(model)]
    return " · ".join(parts) + (f"  \n{show.plain(error)}" if error else "")


def record_footer(record: Mapping[str, Any]) -> str:
    """The footer of a recorded run."""
    usage = record["usage"]
    return footer(
        record["outcome"],
        record["seconds"],
        usage["input_tokens"] + usage["output_tokens"],
        costs.usd(record),
        ", ".join(record["models"]) or "no model called",
        record["error"] or record["stop"],
    )


def record(body: Mapping[str, Any]) -> None:
    """A recorded run as a conversation: earlier messages, the question, the steps, the reply."""
    earlier(body["input"][:-1])
    question(body["question"])
    reply(traces.step_words(body), body["reply"], record_footer(body))
    if body.get("unanswered"):
        question(body["unanswered"])
        st.caption("Nobody answered this: the transcript ends here.")
    if body.get("escalation"):
        note(body["escalation"])


def earlier(items: Sequence[Any]) -> None:
    """What was said before the question, with what was done for each answer."""
    steps: list[str] = []
    for item in items:
        if not isinstance(item, Mapping):
            continue
        text = message_text(item) if item.get("role") in ("user", "assistant") else ""
        if item.get("type") == "function_call":
            steps.append(earlier_call(item, items))
        elif text and item["role"] == "user":
            question(text)
        elif text:
            with st.chat_message("assistant", avatar=FLOW):
                if steps:
                    st.caption(steps_text(steps))
                st.markdown(show.plain(text))
            steps = []
    if steps:
        st.caption(steps_text(steps))


def earlier_call(call: Mapping[str, Any], items: Sequence[Any]) -> str:
    """A tool call of an earlier turn in words, with its answer."""
    name = str(call.get("name", ""))
    if name.startswith("transfer_to_"):
        return f"handed over to {name.removeprefix('transfer_to_')}"
    answers = (
        one
        for one in items
        if isinstance(one, Mapping)
        and one.get("type") == "function_call_output"
        and one.get("call_id") == call.get("call_id")
    )
    answer = next(answers, {}).get("output", "")
    output = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
    return traces.tool_words(name, str(call.get("arguments", "")), output, "", 0.0)


def note(escalation: Mapping[str, Any]) -> None:
    """The note for the person who takes over: what happened, the collected facts, the open question."""
    with st.container(border=True):
        st.markdown("**:material/assignment: Note for the person who takes over**")
        st.markdown(show.plain(str(escalation.get("summary", ""))))
        for fact in escalation.get("facts", []):
            st.caption(
                show.plain(f"{fact['tool']} ({traces.brief(fact['arguments'])}): {traces.brief(fact['answer'], 300)}")
            )
        if escalation.get("question"):
            st.markdown(f"**Open question** {show.plain(str(escalation['question']))}")


def message_text(item: Mapping[str, Any]) -> str:
    """The text of a conversation item."""
    content = item.get("content", "")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content)


def step_line(step: Step, before: str) -> str | None:
    """A live step in words, or None where it says nothing new. `before` is the agent that acted before."""
    if step.kind == "agent":
        return f"{step.name} takes the conversation" if not before else f"{before} hands over to {step.name}"
    if step.kind in ("tool answered", "tool failed"):
        word = "answered" if step.kind == "tool answered" else "could not answer"
        return f"{step.name} {word}: {traces.brief(step.detail)}"
    if step.kind == "tool":
        return f"calls {step.name} ({traces.brief(step.detail)})"
    if step.kind == "guardrail passed":
        return f"guardrail {step.name} passed"
    if step.kind == "guardrail tripped":
        return f"guardrail {step.name} tripped: {step.detail}"
    if step.kind == "held":
        return f"{step.name} {step.detail}"
    return None


def took(seconds: float) -> str:
    """How long something took, in words: `575 ms`, `3.2 s`, or that nobody knows."""
    if seconds == 0:
        return "not timed"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
