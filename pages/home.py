"""Home: what to do next, by role."""

import streamlit as st

from workbench import flows, traces
from workbench.datasets import labelling
from workbench.ui import nav, show

show.head("Workbench", "Every interaction improves the next: prototype, try, replay, label, evaluate, release, watch.")

ROLES: tuple[tuple[str, str, tuple[tuple[str, str, dict[str, str]], ...]], ...] = (
    (
        "Support architect",
        "Open the order desk, change a prompt, try it, and promote what passes the gate.",
        (
            ("flows", "Open the order desk", {"flow": "order-desk"}),
            ("evaluate", "Evaluate it", {}),
            ("releases", "See what is released", {}),
        ),
    ),
    (
        "Rep",
        "Read flagged runs and judge them by keyboard; each verdict can become a case.",
        (("label", "Label flagged runs", {}), ("runs", "Find a run", {})),
    ),
    (
        "Manager",
        "See what changed in the tickets, by topic, channel and vendor, and look into the tickets behind it.",
        (("trends", "Look at the trends", {}), ("brief", "Read the brief of the week", {})),
    ),
)

with show.errors():
    names = [draft.name for draft in flows.drafts()]
    flagged = sum(queue.waiting for queue in labelling.queues())
    calls = nav.calls_waiting()
    if calls:
        words = "1 call waits for a decision" if calls == 1 else f"{calls} calls wait for a decision"
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/pan_tool: **{words}**", width="content")
            nav.link("approvals", "Decide")
    cards = st.container(horizontal=True)
    for role, words, links in ROLES:
        with cards.container(border=True, width=320):
            st.subheader(role, anchor=False)
            st.write(words)
            for address, label, parameters in links:
                known = parameters.get("flow", "") in ("", *names)
                nav.link(address, label if known else "Begin a flow", parameters if known else None)
            if role == "Rep" and flagged:
                st.caption("1 run waits for a verdict." if flagged == 1 else f"{flagged} runs wait for a verdict.")

    st.subheader("Newest runs", anchor=False)
    newest = traces.find(limit=5)
    if not newest:
        show.empty(
            "No runs yet",
            "Begin a flow on the Flows page and write it a message; every run is then listed here.",
        )
    for run in newest:
        with st.container(horizontal=True, vertical_alignment="center"):
            nav.link("runs", show.plain(run.question[:90]), {"run": run.id})
            told = (f"{run.flow} {run.version}", run.outcome, run.model)
            st.caption(" · ".join(show.plain(part) for part in told if part))
