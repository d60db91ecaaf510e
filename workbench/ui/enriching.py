"""What can be found in the words of tickets: how far it has come, and the form that starts it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import access
from workbench.access import Actor
from workbench.errors import WorkbenchError
from workbench.tickets import asked, enrich, sentiment, trends
from workbench.tickets.figures import counted
from workbench.traces import masking
from workbench.ui import show, topic_views
from workbench.ui import trends as parts

HERE, MODEL = "This machine", "The connected model"
MASKED_FIRST = "Personal data is masked before anything is sent."
MASKING_OFF = "Masking is turned off by WORKBENCH_REDACT: nothing is replaced."
TOLD = {
    "language": "Read from the text, where the help desk names no language.",
    "sentiment": "Learnt from your own rated tickets, where the help desk gives none.",
    "topic": "By the topics found in the words, beside those of your help desk.",
    "masked": "Addresses, numbers and credentials are shown and exported as placeholders.",
}


def states(actor: Actor) -> None:
    """How many tickets have each value and from where, what is still to be done, and the start."""
    rows = enrich.states()
    st.caption(
        "Only what your help desk left open is filled; each ticket says what was found and what the help desk gave."
    )
    frame = pd.DataFrame(
        [
            {
                "what": enrich.KINDS[one.kind],
                "from the help desk": one.file,
                "found here": one.found,
                "still to do": one.pending,
                "how": _how(one),
            }
            for one in rows
        ]
    )
    numbers = {
        name: st.column_config.NumberColumn(name.capitalize(), format="localized")
        for name in ("from the help desk", "found here", "still to do")
    }
    show.table(frame, key="enrichment", column_config={"what": "What", "how": "How", **numbers})
    parts.download(frame, "enrichment")
    _agreement()
    if not access.may(actor, "enrich tickets"):
        st.info("To start this, act as manager, or ask one.", icon=":material/lock:")
        return
    by_model = parts.switch("By", (HERE, MODEL), HERE, "found-by") == MODEL
    if by_model:
        _by_model(actor)
        return
    known = [one.kind for one in rows]
    chosen = st.multiselect(
        "Find", known, [one.kind for one in rows if one.pending and one.kind != "sentiment"],
        format_func=enrich.KINDS.__getitem__, key="enrich-kinds",
    )  # fmt: skip
    left = sum(one.pending for one in rows if one.kind in chosen)
    if chosen and not left:
        st.caption("Nothing of this is still to do.")
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="enrich", disabled=not left):
        with show.errors():
            topic_views.begin(enrich.create(actor, chosen))


def _how(one: enrich.State) -> str:
    """Where values of a kind come from, and what is left over once all was looked at."""
    if one.kind == "masked" and masking.rules().off:
        return MASKING_OFF
    rest = trends.freshness().rows - one.file - one.found - one.pending
    left = {"topic": "fit none", "masked": "hold none"}.get(one.kind)
    return TOLD[one.kind] + (f" {rest:,} of the tickets looked at {left}." if left and rest > 0 else "")


def _by_model(actor: Actor) -> None:
    """What the connected model would take, and the start once somebody has said yes."""
    chosen = st.multiselect(
        "Find", asked.KINDS, ["topic"], format_func=enrich.KINDS.__getitem__, key="enrich-model-kinds"
    )
    if not chosen:
        return
    with show.errors():
        told = enrich.estimate(chosen)
        if not told.tickets:
            st.caption("Nothing is left for this model to find.")
            return
        off = masking.rules().off
        how = "as they were written" if off else "masked"
        sent = "Masking is off: they go as customers wrote them." if off else MASKED_FIRST
        cost = "its price is not known here" if told.usd is None else f"about ${told.usd:,.2f}"
        st.markdown(
            show.plain(
                f"{counted(told.tickets, 'ticket')} in {counted(told.requests, 'request')} to {told.model}: about "
                f"{told.tokens_in:,} tokens to it and {told.tokens_out:,} back, {cost}. {sent}"
            )
        )
        sure = st.checkbox(f"Send these tickets, {how}, to this model", key=f"sure-{told.tickets}-{'-'.join(chosen)}")
        if st.button("Start", type="primary", icon=":material/play_arrow:", key="enrich-model", disabled=not sure):
            topic_views.begin(enrich.create(actor, chosen, model=True))


def _agreement() -> None:
    how = sentiment.agreement()
    if how is None:
        try:
            sentiment.require_ratings()
        except WorkbenchError as why:
            st.caption(show.plain(f"{why.message} {why.remedy}"))
        return
    told = (
        f"Sentiment was learnt from {how.rated:,} rated tickets. On {how.held_back:,} that were held back it agrees with "
        f"the ratings by {how.correlation:+.2f} (rank correlation; 1 is perfect, 0 is chance)."
    )
    st.caption(told if how.used else f"{told} That is too little, so no sentiment is given.")
