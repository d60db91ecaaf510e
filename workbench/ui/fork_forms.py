"""Fork from here: pick a step of a run, change one thing, run on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from workbench import flows, traces
from workbench.access import Actor
from workbench.errors import Invalid
from workbench.flows import live
from workbench.runtime import Release
from workbench.runtime.spec import ROLES
from workbench.traces.answers import Policy
from workbench.traces.compare import Step
from workbench.traces.fork import Change, change_of, fitting, guards
from workbench.traces.replay import why_not
from workbench.ui import compare_view, mock_forms, nav, session, show

TITLES = {
    "answer": "The tool's answer",
    "error": "The tool fails",
    "message": "The message",
    "instructions": "Instructions",
    "model": "Model role",
    "guardrail": "A guardrail",
}

RECORDED, ELSE_LIVE, MOCKED, LIVE = "from the record", "from the record, else called", "mocked", "called"


@dataclass(frozen=True)
class _Here:
    """Where a fork begins: the run, its flow, the step, and what the keys of the widgets begin with."""

    record: Mapping[str, Any]
    release: Release
    step: Step
    key: str


def panel(actor: Actor, record: Mapping[str, Any]) -> None:
    """The form: step, change, who answers the tools; a run that was made is opened beside this one."""
    if why_not(record):
        st.info(
            "This run was made by another program, and its flow is not here, so it cannot be forked. Make a case of it to"
            " put its question to a flow of yours.",
            icon=":material/lan:",
        )
        return
    release = flows.frozen(record["digest"])
    here = _where(record, release)
    kinds = fitting(record, release.spec, here.step)
    if not kinds:
        _inherited(record)
        return
    kind = st.radio("Change", kinds, key=f"{here.key}-kind", format_func=lambda one: TITLES[one], horizontal=True)
    with show.errors():
        body = _FORMS[kind](here)
        policies, confirmed = _tools(actor, here)
        if st.button("Run the fork", type="primary", icon=":material/alt_route:", key=f"run-fork-{record['id']}"):
            _run(actor, here, change_of(body), policies, confirmed)
    if session.get("forked") and session.get("forked") == st.query_params.get("compare"):
        st.success("The fork has run. It stands beside this run, above.", icon=":material/alt_route:")


def _where(record: Mapping[str, Any], release: Release) -> _Here:
    """The step to fork at, chosen from all of them; a tool call at first, where there is one."""
    found = traces.steps(record)
    first = next((place for place, step in enumerate(found) if step.kind == "tool"), 0)
    st.caption("The record answers for everything before the step; from it on, the model is asked anew.")
    with st.container(height=min(300, 60 + 28 * len(found))):
        place = st.radio(
            "Fork from step",
            range(len(found)),
            first,
            key=f"fork-step-{record['id']}",
            format_func=lambda at: show.plain(f"{found[at].number}. {found[at].words}"),
        )
    return _Here(record, release, found[place], f"fork-{record['id']}-{place}")


def _inherited(record: Mapping[str, Any]) -> None:
    origin = str((record.get("forked") or {}).get("run", ""))
    st.caption("This step was repeated from the run that this one is a fork of. Choose a later step, or fork that run.")
    if origin:
        nav.link("runs", "Open that run", {"run": origin})


def _run(actor: Actor, here: _Here, change: Change, policies: dict[str, Policy], confirmed: bool) -> None:
    with st.spinner("Replaying the run, then running the fork"):
        made = traces.fork(
            actor, here.record["id"], here.step.number, change, tools=policies, confirmed=confirmed
        )  # fmt: skip
    if made.record is None:
        st.warning(show.plain(made.words), icon=":material/difference:")
        return
    session.keep("forked", made.run_id)
    compare_view.point(here.record["id"], made.run_id)
    st.rerun()


def _instructions(here: _Here) -> dict[str, Any]:
    agent = _agent(here)
    text = here.release.content.prompts[agent].text
    edited = st.text_area(show.plain(f"Instructions of {agent}"), text, key=f"{here.key}-text-{agent}", height=260)
    return {"instructions": {"agent": agent, "text": edited}}


def _model(here: _Here) -> dict[str, Any]:
    agent = _agent(here)
    others = [one for one in ROLES if one != here.release.spec.agents[agent].model]
    role = st.selectbox("Model role", others, key=f"{here.key}-role-{agent}", width=260)
    return {"model": {"agent": agent, "role": role}}


def _answer(here: _Here) -> dict[str, Any]:
    given = here.record["calls"][here.step.calls]
    text = st.text_area(
        show.plain(f"What {given['name']} answers"),
        _shown(given["output"]),
        key=f"{here.key}-answer",
        height=220,
        help="Text, or JSON.",
    )
    answer = _given(text)
    if answer == text and text.lstrip()[:1] in ("{", "["):
        st.caption("This is not whole JSON, so the model is given it as a text.")
    return {"answer": answer}


def _error(here: _Here) -> dict[str, Any]:
    name = here.record["calls"][here.step.calls]["name"]
    return {
        "error": st.text_input(
            show.plain(f"How {name} fails"), f"{name} did not answer in time.", key=f"{here.key}-error"
        )
    }


def _guardrail(here: _Here) -> dict[str, Any]:
    names = guards(here.release.spec, here.step)
    name = st.selectbox("Guardrail", names, key=f"{here.key}-guardrail", width=260)
    known = next(one for one in here.release.spec.guardrails if one.name == name)
    how = st.radio("It is", ["removed", "given other settings"], key=f"{here.key}-how-{name}", horizontal=True)
    if how == "removed":
        return {"guardrail": {"name": name, "remove": True}}
    shown = json.dumps(known.settings, indent=1, ensure_ascii=False)
    text = st.text_area("Settings, as JSON", shown, key=f"{here.key}-settings-{name}", height=160)
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("The settings are not JSON.", remedy='Write them as {"name": value}.') from None
    return {"guardrail": {"name": name, "settings": settings}}


def _message(here: _Here) -> dict[str, Any]:
    first = here.step.kind == "message"
    label = "What the customer writes instead" if first else "What the customer writes next"
    return {"message": st.text_area(label, here.record["question"] if first else "", key=f"{here.key}-message")}


_FORMS: dict[str, Callable[[_Here], dict[str, Any]]] = {
    "answer": _answer,
    "error": _error,
    "guardrail": _guardrail,
    "instructions": _instructions,
    "message": _message,
    "model": _model,
}


def _agent(here: _Here) -> str:
    """The agent to change, the one of the step first."""
    agents = list(here.release.spec.agents)
    at = agents.index(here.step.agent) if here.step.agent in agents else 0
    return st.selectbox("Agent", agents, at, key=f"{here.key}-agent", width=260)


def _tools(actor: Actor, here: _Here) -> tuple[dict[str, Policy], bool]:
    """Who answers the calls of each tool from the step on, and whether what changes something may be called."""
    flow = here.release.spec
    if not flow.tools:
        return {}, False
    with st.expander("Who answers the tools", icon=":material/build:"):
        st.caption("A call that the record does not answer is told to the model as not recorded.")
        chosen = {name: _who(here, name) for name in flow.tools}
        mocked = [name for name, how in chosen.items() if how == MOCKED]
        rows = mock_forms.table(f"fork-mocks-{here.record['id']}", [], mocked) if mocked else []
        dangerous = [name for name, how in chosen.items() if how == LIVE and live.changes(flow.tools[name])]
        confirmed = _confirmed(actor, here, dangerous)
    return {name: _policy(name, how, rows) for name, how in chosen.items() if how != RECORDED}, confirmed


def _who(here: _Here, name: str) -> str:
    tool = here.release.spec.tools[name]
    recorded = [RECORDED, ELSE_LIVE] if tool.effect == "read" else [RECORDED]
    options = [*(recorded if tool.kind != "agent" else []), LIVE, MOCKED]
    return st.selectbox(
        show.plain(f"{name} ({tool.effect})"), options, key=f"who-{here.record['id']}-{name}", width=300
    )


def _policy(name: str, how: str, rows: list[dict[str, Any]]) -> Policy:
    if how == LIVE:
        return Policy(use="live")
    if how == ELSE_LIVE:
        return Policy(miss="live")
    answers = [{k: v for k, v in row.items() if k != "tool"} for row in rows if row.get("tool") == name]
    return Policy.model_validate({"use": "mock", "answers": answers})


def _confirmed(actor: Actor, here: _Here, dangerous: list[str]) -> bool:
    if not dangerous:
        return False
    listed = ", ".join(map(show.plain, dangerous))
    if not live.allowed(actor):
        st.warning(f"A {actor.role} may not let a fork call {listed}.", icon=":material/lock:")
    return st.toggle(f"Let {listed} change something for real", key=f"confirm-{here.record['id']}")


def _shown(text: str) -> str:
    """A tool's answer, JSON with a line for each value."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _given(text: str) -> Any:
    """What is written as a JSON object or list is data; everything else is a text."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else text
    except (ValueError, RecursionError):
        return text
