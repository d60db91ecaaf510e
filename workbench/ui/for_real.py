"""The switch that lets a trial call tools that change something, and what happens to them while it is off."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from workbench.access import Actor
from workbench.evals import effects
from workbench.flows import live
from workbench.runtime import Release
from workbench.ui import show

LABEL = "Call tools that change something for real"
HELP = "It needs the permission to let a trial change something. While it is off, nothing outside is changed."


def switch(actor: Actor, releases: Sequence[Release], key: str, *, samples: bool = False) -> bool:
    """The switch, off at first, with a note that names the tools; whether it is on. Nothing where there are none.

    Who may not switch it on sees it disabled, with the reason. With `samples`, tools that work on a sample in memory
    are none of them.
    """
    names = dict.fromkeys(name for one in releases for name in effects.held(one, samples=samples))
    if not names:
        return False
    listed, allowed = ", ".join(map(show.plain, names)), live.allowed(actor)
    on = st.toggle(LABEL, key=key, help=HELP, disabled=not allowed) and allowed
    if on:
        st.warning(f"Called for real, by every variant and case: {listed}.", icon=":material/warning:")
        return True
    why = "" if allowed else f" A {actor.role} may not let a trial call them; act as an architect, or ask one."
    st.caption(f":material/front_hand: Not called here: {listed}. Where a mock fits, it answers instead.{why}")
    return False
