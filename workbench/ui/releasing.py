"""Releasing a flow: what would change, the gate, promoting, and what was released with the way back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import releases
from workbench.access import Actor
from workbench.ui import chain_links, nav, session, show


def changes(proposal: releases.Proposal, to: str) -> None:
    """What would change, in words."""
    st.subheader(f"Draft against {to}", anchor=False)
    if proposal.current is None:
        st.info(f"Nothing is in {to} yet; this would be the first release.", icon=":material/new_releases:")
    elif not proposal.changes:
        st.info(f"The draft is what {to} runs: {proposal.current.version}.", icon=":material/check:")
    for change in proposal.changes:
        mark = ":red-badge[:material/warning: risk] " if change.risk else ""
        st.markdown(f"- {mark}{show.plain(change.words)}")
        if change.lines:
            with st.expander("The lines"):
                st.code("\n".join(change.lines), language="diff", wrap_lines=True)


def gate(proposal: releases.Proposal) -> None:
    """The gate's checks."""
    st.subheader("Gate", anchor=False)
    for check in proposal.gate.checks:
        icon = ":green[:material/check_circle:]" if check.passed else ":red[:material/cancel:]"
        st.markdown(f"{icon} {show.plain(check.words)}")
    if not proposal.gate.passed:
        nav.link("evaluate", "Run the experiment", {"flow": proposal.candidate.name})


def promote_form(actor: Actor, proposal: releases.Proposal, to: str) -> None:
    """Promote, with a note."""
    note = st.text_input("Note", key="note", placeholder="what this release is for")
    seen = session.seen(f"candidate-{proposal.candidate.name}-{to}", proposal.candidate.digest)
    nothing = proposal.current is not None and not proposal.changes
    reason = (
        f"There is nothing to promote: the draft is what {to} runs."
        if nothing
        else ""
        if proposal.gate.passed
        else "The gate does not let it pass yet; what is missing is marked above."
    )
    if st.button(
        f"Promote to {to}",
        type="primary",
        key="promote",
        disabled=bool(reason),
        icon=":material/rocket_launch:",
        help=reason or None,
    ):
        with show.errors():
            made = releases.promote(actor, proposal.candidate.name, to, note, expect=seen)
            session.keep("promoted", f"{made.flow} v{made.number} is in {to}.")
            st.rerun()


def history(actor: Actor, flow: str) -> None:
    """Every release, and a way back."""
    st.subheader("Released", anchor=False)
    found = releases.releases(flow)
    if not found:
        show.empty("Nothing released yet", "Promote the draft when its gate is green.", icon="rocket")
        return
    rows = pd.DataFrame(
        [
            {
                "version": f"v{r.number}",
                "in": ", ".join(r.environments),
                "note": r.note,
                "by": r.made_by,
                "made": r.made_at,
                "digest": r.digest.removeprefix("sha256:")[:12],
            }
            for r in found
        ]
    )
    show.table(rows, key="released", column_config={"made": show.moments("made")})
    titles = {f"v{r.number}": f"v{r.number}" + (f" · {r.note}" if r.note else "") for r in found}
    chosen = session.pick(
        "What a release rests on", "release", titles, thing=f"release of {flow}", fresh=found[0].digest
    )
    if chosen:
        chain_links.of_release(flow, int(chosen[1:]))
    with st.container(horizontal=True):
        for name, number in releases.environments(flow).items():
            _way_back(actor, flow, name, number)


def _way_back(actor: Actor, flow: str, name: str, number: int) -> None:
    """Roll an environment back; where it had no release before, the button says so."""
    before = releases.before(flow, name)
    if before is None:
        st.button(
            f"Roll back {name}",
            icon=":material/undo:",
            key=f"no-way-back-{name}",
            disabled=True,
            help=f"{name} has had no release before v{number}, so there is nothing to go back to.",
        )
        return
    with st.popover(f"Roll back {name}", icon=":material/undo:"):
        seen = session.seen(f"running-{flow}-{name}", number)
        st.caption(f"{name} runs v{number}. The next run uses v{before}, which it had before.")
        if st.button(f"Roll back to v{before}", key=f"rollback-{name}"):
            with show.errors():
                moved = releases.rollback(actor, flow, name, expect=seen)
                session.keep("promoted", f"{name} runs v{moved.after} again.")
                st.rerun()
