"""What surrounds every page: name and mark, the acting role, the model and the worker's health."""

from __future__ import annotations

import threading
from pathlib import Path

import streamlit as st

from workbench import runtime
from workbench.access import ROLES
from workbench.errors import WorkbenchError
from workbench.ui import session, show

drawn = threading.Event()
"""Set once the first page of this process has been drawn."""

ASSETS = Path(__file__).parent / "assets"
MARK = str(ASSETS / "mark.svg")

_STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 2.6rem; padding-bottom: 3rem; max-width: 1500px;}
[data-testid="stMainBlockContainer"] h1 {padding-top: 0;}
@media (max-width: 1100px) {
  [class*="st-key-split"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {flex-wrap: wrap;}
  [class*="st-key-split"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
    flex: 1 1 100%; min-width: 100%;
  }
}
</style>"""


def sidebar() -> None:
    """Draw the frame."""
    st.html(_STYLE)
    st.logo(str(ASSETS / "wordmark.svg"), icon_image=MARK, size="large")
    session.role_from_address()
    with st.sidebar:
        st.selectbox(
            "Acting as",
            ROLES,
            key=session.ROLE,
            bind="query-params",
            persist_state="session",
            format_func=str.capitalize,
            help="There is one local person; the role decides what you may do.",
        )
        _health()


def _health() -> None:
    from workbench import jobs

    try:
        words = _model_words()
    except WorkbenchError as error:
        st.warning(show.plain(str(error)))
        return
    worker = "worker ready" if jobs.running() else "worker not running here"
    st.caption(f":material/neurology: {show.plain(words)}  \n:material/engineering: {worker}")


def _model_words() -> str:
    """Which model serves the roles, in a few words."""
    chosen = runtime.roles()
    names = {chosen.served(role).name for role in ("small", "main", "reasoning")}
    return "offline model" if names == {"offline"} else ", ".join(sorted(names))
