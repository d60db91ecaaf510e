"""Playground: up to four variants side by side, over one message or a dataset."""

import streamlit as st

from workbench.ui import for_real, grids, nav, session, show, side_by_side

actor = session.actor()
place = nav.place("playground")
show.head(place.title, place.purpose)


def one_message(tried: list[side_by_side.Tried]) -> None:
    """A message that every variant answers at once."""
    real = for_real.switch(actor, [one.release for one in tried], "for-real-message")
    with st.container():
        text = st.chat_input(
            "Message as the customer", key="side-message", submit_mode="stop", max_chars=8000, disabled=not tried
        )
    if not text and not side_by_side.answers():
        show.empty(
            "Nothing asked yet",
            "Write a message above, or take one of these: every variant answers it at the same time.",
        )
        text = side_by_side.example(tried)
    if text:
        with show.errors():
            side_by_side.converse(actor, tried, text, real=real)
            st.rerun()


def over_cases(tried: list[side_by_side.Tried]) -> None:
    """A dataset that every variant runs, each as an experiment."""
    sets = grids.sets()
    if not sets:
        show.empty("No dataset yet", "Label some runs: each verdict makes a case.")
        nav.link("label", "Label some runs")
        return
    real = for_real.switch(actor, [one.release for one in tried], "for-real-dataset", samples=True)
    grids.begin(actor, tried, sets, real=real)
    grids.results(actor, real=real)


with show.errors():
    known = side_by_side.references()
    if not known:
        show.empty(
            "No flow to try yet", "Begin a flow on the Flows page, then try its variants here.", icon="grid_view"
        )
        nav.link("flows", "Begin a flow")
    else:
        made = side_by_side.columns(list(known))
        tried = side_by_side.choose(made, known)
        side_by_side.add(made)
        manner = st.segmented_control(
            "Over", ("One message", "A dataset"), default="One message", key="over", required=True, bind="query-params"
        )
        if manner == "One message":
            one_message(tried)
        else:
            over_cases(tried)
