"""The parts of the Opportunities page: what is looked at, the picture, the table, and the next step of one kind."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pandas as pd
import streamlit as st

from workbench.access import Actor, may
from workbench.operations import from_tickets
from workbench.tickets import opportunities, trends
from workbench.tickets.columns import title
from workbench.tickets.figures import counted
from workbench.tickets.opportunities import Found, Opportunity
from workbench.ui import charts, nav, session, show
from workbench.ui import trends as parts
from workbench.ui.charts import opportunities as drawn

BY: dict[str, opportunities.Kind] = {"Topic and channel": "channel", "Topic, subtopic and product": "subtopic"}
PICTURED = 12


def choose() -> Found:
    """The days, the kinds and the assumed work, kept in the address; the opportunities in them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = parts.switch("Period", parts.PERIODS, "90 days", "period")
        by = BY[parts.switch("Taken together by", BY, "Topic and channel", "kinds")]
        minutes = st.number_input(
            "Work on a ticket, minutes", 1, 600, round(opportunities.MINUTES), key="minutes", bind="query-params",
            width=190, help="Counts where the tickets themselves do not tell it. It is your assumption.",
        )  # fmt: skip
    return opportunities.opportunities(trends.last_days(parts.PERIODS[period]), by=by, minutes=float(minutes))


def overview(found: Found) -> None:
    """In one line: how much, of what days, and how much of it was tried; then the picture."""
    days, tried = found.window, [one for one in found.kinds if one.success]
    hours = sum(one.hours for one in found.kinds)
    saved = sum(one.saved.value for one in tried if one.saved)
    tried_of = (
        f"{len(tried)} of them {'was' if len(tried) == 1 else 'were'} tried ({found.solved} of {counted(found.runs, 'run')} "
        f"solved theirs); on those, {saved:,.0f} hours a month could likely be saved."
        if tried
        else "None was tried yet, so it is not known what could be saved."
    )
    made = f"{counted(len(found.kinds), 'kind')} of tickets {'makes' if len(found.kinds) == 1 else 'make'}"
    st.markdown(show.plain(f"{made} {hours:,.0f} hours of work a month. {tried_of}"))
    assumed = sum(not one.measured for one in found.kinds)
    told = f"{days.first:%-d %b %Y} to {days.last:%-d %b %Y}. "
    told += (
        ""
        if not assumed
        else f"The work is your assumption of {found.minutes:g} minutes a ticket for {counted(assumed, 'kind')}."
    )
    st.caption(told)
    picture = list(found.kinds[:PICTURED])
    st.plotly_chart(
        drawn.bars(picture, charts.colours()), config={"displayModeBar": False}, key=f"chances-{found.by}",
        alt="Hours of work a month by kind of ticket, and how many of them could likely be saved",
    )  # fmt: skip
    st.caption("Pale: hours of work a month. Strong: what could likely be saved, with its range of 95 %.")


def table(found: Found) -> Opportunity | None:
    """Every kind with its figures; the one that was chosen."""
    rows = pd.DataFrame(
        [
            {
                **{title(name): value for name, value in one.where.items()},
                "a_month": one.a_month,
                "hours": one.hours,
                "repeated": "not known" if one.repeated is None else f"{100 * one.repeated:.0f} %",
                "success": opportunities.say_success(one),
                "saved": opportunities.say_saved(one),
            }
            for one in found.kinds
        ]
    )
    event: Any = st.dataframe(
        rows,
        hide_index=True,
        key=f"chances-table-{found.by}-{_drawn(found)}",
        on_select="rerun",
        selection_mode="single-row",
        alt="Kinds of tickets",
        column_config={
            "a_month": st.column_config.NumberColumn("Tickets a month", format="%,.0f"),
            "hours": st.column_config.NumberColumn("Hours a month", format="%,.1f"),
            "repeated": st.column_config.TextColumn(
                "Same customer again", help="Tickets whose customer wrote more than once about the same."
            )
            if any(one.repeated is not None for one in found.kinds)
            else None,
            "success": st.column_config.TextColumn("Likely success", width="medium"),
            "saved": st.column_config.TextColumn("Could be saved a month", width="medium"),
        },
    )
    parts.download(opportunities.frame(found), "opportunities")
    chosen = event["selection"]["rows"]
    return found.kinds[chosen[0]] if chosen else (found.kinds[0] if found.kinds else None)


def next_step(actor: Actor, one: Opportunity, found: Found) -> None:
    """What to do about one kind of tickets: read them, make cases of them, begin a flow."""
    with st.container(border=True, key="next-step"):
        st.markdown(f"**Next step: {show.plain(one.name)}**")
        st.caption("Choose a row of the table for another kind." if one is found.kinds[0] else "")
        days = {"from": found.window.start.isoformat(), "to": found.window.end.isoformat()}
        with st.container(horizontal=True, vertical_alignment="center"):
            nav.link("trends", f"Its {counted(one.tickets, 'ticket')}", {**one.where, **days})
            nav.link("flows", "Begin a flow from a template")
            if one.runs:
                nav.link("failures", "Why runs fail")
        if not may(actor, "edit a dataset"):
            st.caption("Architects and reps make cases of tickets.")
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input("Dataset", _named(one), key=f"chance-dataset-{one.name}", max_chars=80, width=260)
            if st.button("Make cases of its newest 20 tickets", key="make-cases", icon=":material/playlist_add:"):
                with show.errors():
                    where = {dimension: [value] for dimension, value in one.where.items()}
                    filters = trends.Filters(found.window.start, found.window.end, where)
                    fresh = from_tickets.cases(actor, filters, name.strip())
                    session.keep("chance-done", (fresh, name.strip()))
        if done := session.get("chance-done"):
            st.success(
                show.plain(f"{done[0]} cases are new in {done[1]}. They expect nothing yet."), icon=":material/check:"
            )
            nav.link("evaluate", "Run a flow over them", {"dataset": done[1]})
            session.forget("chance-done")


def explained() -> None:
    """The formula and what it assumes."""
    with st.expander("How this is reckoned", icon=":material/functions:"):
        st.markdown(
            f"""
*Hours that could be saved* = tickets a month that no flow has answered × minutes of work on one ÷ 60 × likely success.

- **Tickets a month**: those of the days looked at, for {opportunities.MONTH} days. Kinds with fewer than
  {opportunities.LEAST} tickets are left out.
- **Minutes of work**: the mean of what the tickets tell (a column `handling_minutes` of the file), where at least half of
  them tell it; otherwise your assumption above. Time from creation to resolution is mostly waiting, so it is not used.
- **Likely success**: the share of runs on such tickets that ended with an answer, without a person, and whose ticket was
  not opened again. Few runs say little, so {opportunities.PRIOR:g} runs that went like all runs together are added (a
  Beta prior); the range holds 95 % of what is then likely. Where no run was made, it says *not tried*.
- **Same customer again**: known where the file has a column `customer_id` or `requester_id`.

{opportunities.HONEST}
"""
        )


def _drawn(found: Found) -> str:
    """What tells these rows from others: a row that was chosen is none of another table, where other kinds stand."""
    names = "\n".join(repr(sorted(one.where.items())) for one in found.kinds)
    return hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()[:12]


def _named(one: Opportunity) -> str:
    return re.sub(r"[^a-z0-9]+", "-", one.name.lower()).strip("-")[:60] or "tickets"
