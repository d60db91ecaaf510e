"""The causes of a run where it is read: who said so and why, one more, one less."""

from __future__ import annotations

import streamlit as st

from workbench import traces
from workbench.access import Actor, may
from workbench.traces import causes
from workbench.ui import show


def chips(actor: Actor, run_id: str, *, failed: bool) -> None:
    """Each cause with who said so and why, a button that takes it away, and a form that adds one.

    Only where something `failed` or a cause is named it asks why.
    """
    there = causes.of([run_id])
    allowed = may(actor, "say why a run failed")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for one in there:
            said = f"the rule {one.by.removeprefix(causes.RULE)}" if one.ruled else one.by
            why = f"{one.note}\n\n" if one.note else ""
            st.markdown(
                f":orange-badge[:material/troubleshoot: {show.plain(one.cause)}]",
                help=show.plain(f"{why}{causes.causes().get(one.cause, '')} Said by {said}."),
                width="content",
            )
            taken = allowed and st.button(
                f"Take away {one.cause}",
                key=f"untag-{run_id}-{one.cause}",
                icon=":material/close:",
                type="tertiary",
                help="No rule gives it back; you can.",
            )
            if taken:
                with show.errors():
                    causes.untag(actor, run_id, one.cause)
                    st.rerun()
        if allowed:
            title = "Why it failed" if failed or there else "Name a cause"
            _adding(actor, run_id, [one.cause for one in there], title)


def _adding(actor: Actor, run_id: str, there: list[str], title: str) -> None:
    left = [one for one in causes.causes() if one not in there]
    with (
        st.popover(title, icon=":material/troubleshoot:", type="tertiary"),
        st.form(f"cause-{run_id}", border=False, clear_on_submit=True),
    ):
        cause = st.selectbox(
            "Cause", left, key=f"cause-of-{run_id}", format_func=lambda one: f"{one}: {causes.causes()[one]}"
        )
        note = st.text_input("In a few words (may stay empty)", key=f"cause-note-{run_id}", max_chars=causes.LONGEST)
        if st.form_submit_button("Say so", type="primary") and cause:
            with show.errors():
                traces.flush()
                causes.tag(actor, run_id, cause, note)
                st.rerun()
