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
        (("trends", "Look at the trends", {}),),
    ),
)

with show.errors():
    names = [draft.name for draft in flows.drafts()]
    waiting = sum(queue.waiting for queue in labelling.queues())
    cards = st.container(horizontal=True)
    for role, words, links in ROLES:
        with cards.container(border=True, width=320):
            st.subheader(role, anchor=False)
            st.write(words)
            for address, label, parameters in links:
                if address != "flows" or parameters["flow"] in names:
                    nav.link(address, label, parameters)
                else:
                    nav.link(address, "Begin a flow")
            if role == "Rep" and waiting:
                st.caption(f"{waiting} runs wait for a verdict.")

    st.subheader("Newest runs", anchor=False)
    newest = traces.find(limit=5)
    if not newest:
        show.empty(
            "No runs yet",
            "Open a flow and write a message; or make the sample workspace with `python -m workbench seed`.",
        )
    for run in newest:
        with st.container(horizontal=True, vertical_alignment="center"):
            nav.link("runs", show.plain(run.question[:90]), {"run": run.id})
            told = (f"{run.flow} {run.version}", run.outcome, run.model)
            st.caption(" · ".join(show.plain(part) for part in told if part))
