"""The guardrail coverage map of a flow as a table, with its holes in words and what changes something."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from workbench.flows.coverage import Call, Change, Coverage, Firing, Guarded, Handover, coverage, holes
from workbench.runtime.spec import FlowSpec
from workbench.ui import show

ICONS = {
    "waits": "hourglass_top",
    "reads": "visibility",
    "goes on": "arrow_forward",
    "ends": "stop_circle",
    "begins": "play_circle",
    "never fires": "block",
    "never replies": "voice_over_off",
    "never at work": "person_off",
    "hole": "warning",
}
"""The icon beside each word of a cell; a word that is not here has none."""

PLACES = {"input": "on the input", "tool_result": "on tool results", "reply": "on the reply"}

HOLES = {
    "unguarded call": "hole: not guarded",
    "unread result": "hole: not read",
    "unguarded reply": "hole",
}

_STYLE = """<style>
.st-key-coverage-table :is(th, td) {font-size: 0.8rem; padding: 0.25rem 0.4rem; line-height: 1.25;}
.st-key-coverage-table :is(th, td):first-child {position: sticky; left: 0; z-index: 1; background: var(--st-background-color);}
.st-key-coverage-table [data-testid="stTable"] > div {scrollbar-width: thin;}
</style>"""

ALL = "all agents"
FEW = 80
"""Rows up to which all agents are shown at once."""


@dataclass(frozen=True)
class Table:
    """The map as words: `rows` have a cell for each column of `header`; the first cell is the agent."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def panel(spec: FlowSpec) -> None:
    """Draw the map of a flow: what is not guarded, the table, and which calls change something."""
    found = coverage(spec)
    whole = table(found)
    _holes(spec)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        agents = [agent.agent for agent in found.agents]
        begin = 0 if len(whole.rows) <= FEW else 1
        chosen = st.selectbox("Show", [ALL, *agents], begin, key=f"coverage-{spec.flow}-agent", width=240)
        only = st.toggle("Only holes", key=f"coverage-{spec.flow}-holes")
        st.download_button(
            "CSV",
            whole.csv,
            file_name=f"{spec.flow}-coverage.csv",
            mime="text/csv",
            key=f"coverage-{spec.flow}-csv",
            icon=":material/download:",
        )
    rows = [row for row in whole.rows if chosen in (ALL, row[0]) and (not only or _has_hole(row))]
    if rows:
        st.html(_STYLE)
        with st.container(key="coverage-table"):
            st.table([dict(zip(map(show.plain, whole.header), map(_cell, row), strict=True)) for row in rows])
    else:
        st.caption("No row has a hole.")
    st.caption(
        "*waits*: the call or reply is held until this guardrail has passed. *reads*: the guardrail sees the customer's "
        "messages and the reply, or what a tool brought back. An empty cell: it does neither there."
    )
    _changes(found)


def table(found: Coverage) -> Table:
    """The map as rows of words: for each agent its own row, its tools, its handoffs."""
    names: dict[str, int] = {}
    heads = []
    for one in found.guardrails:
        names[one.name] = names.get(one.name, 0) + 1
        again = f" ({names[one.name]})" if names[one.name] > 1 else ""
        heads.append(f"{one.name}{again}, {PLACES[one.on]}")
    header = ("agent", "what", "effect", *heads, "approval", "reply", "holes")
    return Table(header, tuple(row for agent in found.agents for row in _rows(found, agent)))


def _rows(found: Coverage, agent: Guarded) -> Iterator[tuple[str, ...]]:
    if not agent.reached:
        yield (agent.agent, "never at work", "", *(_idle(one) for one in found.guardrails), "", "", "")
        return
    what = " and ".join([*(["replies"] if agent.replies else []), *(["is asked by agents"] if agent.asked else [])])
    guards = (_idle(one) or _at_agent(agent, one) for one in found.guardrails)
    yield (agent.agent, what, "", *guards, "", _reply(agent), "")
    for call in agent.calls:
        guards = (_idle(one) or _at_call(call, one) for one in found.guardrails)
        holes_of = "; ".join(HOLES[kind] for kind in call.holes)
        effect = call.effect if call.kind == "python" else f"{call.effect}, {call.kind}"
        yield (agent.agent, f"calls {call.tool}", effect, *guards, call.approval or _no_approval(call), "", holes_of)
    for over in agent.handovers:
        guards = (_idle(one) or _at_handover(agent, over, one) for one in found.guardrails)
        yield (agent.agent, f"hands over to {over.to}", "", *guards, "", "", "")


def _idle(one: Firing) -> str:
    return "never fires" if one.why_never else ""


def _at_agent(agent: Guarded, one: Firing) -> str:
    return "reads" if one.name in (agent.on_input if one.on == "input" else agent.on_reply) else ""


def _at_call(call: Call, one: Firing) -> str:
    if one.on == "input" and one.name in call.waits_for:
        return "waits"
    return "reads" if one.on == "tool_result" and one.name in call.read_by else ""


def _at_handover(agent: Guarded, over: Handover, one: Firing) -> str:
    if one.name in over.begins:
        return "begins"
    if one.name in over.ends:
        return "ends"
    return "goes on" if agent.agent in one.agents else ""


def _reply(agent: Guarded) -> str:
    if not agent.replies:
        return "never replies"
    return HOLES["unguarded reply"] if agent.holes else "waits"


def _no_approval(call: Call) -> str:
    return "" if call.effect == "read" else "never"


def _has_hole(row: tuple[str, ...]) -> bool:
    return any(cell.startswith("hole") for cell in row)


def _cell(words: str) -> str:
    icon = ICONS.get(words.partition(":")[0])
    return f":material/{icon}: {show.plain(words)}" if icon else show.plain(words)


def _holes(spec: FlowSpec) -> None:
    found = holes(spec)
    if not found:
        st.markdown(":material/check: **No holes.** Every reply and every call that changes something is guarded.")
        return
    st.markdown(f"**{len(found)} hole{'' if len(found) == 1 else 's'}**")
    st.markdown("\n".join(f"- :material/{one.level}: {one.level}: {show.plain(one.message)}" for one in found))


def _changes(found: Coverage) -> None:
    st.markdown("**What changes something**")
    if not found.changes:
        st.caption("Nothing: every tool only reads.")
        return
    st.markdown("\n".join(f"- **{show.plain(one.tool)}** {show.plain(_change(one))}" for one in found.changes))


def _change(one: Change) -> str:
    waits = f"waits for {', '.join(one.waits_for)}" if one.waits_for else "waits for no guardrail"
    always = "a person is always asked" if one.approval == "always" else f"a person is asked {one.approval}"
    return f"({one.effect}), called by {', '.join(one.agents)}: {waits}; {always if one.approval else 'no person is asked'}"
