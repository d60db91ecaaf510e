"""The parts of the trend page: filters, tiles, what moved, and the tickets themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

import streamlit as st
from streamlit.column_config import DatetimeColumn, NumberColumn, TextColumn

from workbench import tickets
from workbench.tickets import metrics, trends
from workbench.ui import session, show

PERIODS: Mapping[str, int | None] = {"30 days": 30, "90 days": 90, "12 months": 365, "All": None}
FILTERED = ("topic", "channel", "vendor")
LISTED = ("ticket_id", "created_at", "subject", "topic", "channel", "vendor", "status")
MEASURED = ("first_response", "resolution", "csat", "body", "run_id")
ROWS, DOWNLOADED = 200, 10_000
CLICKS = "trends-clicks"
COLOURS: Mapping[bool | None, Literal["green", "red", "gray"]] = {True: "green", False: "red", None: "gray"}


def switch(label: str, options: Iterable[str], default: str, key: str) -> str:
    """One of a few options, kept in the address."""
    return st.segmented_control(label, list(options), default=default, key=key, bind="query-params", required=True)


def choose(facets: Mapping[str, list[str]]) -> tickets.Filters:
    """The filters, kept in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = switch("Period", PERIODS, "90 days", "period")
        where = {name: _pick(name, facets[name]) for name in FILTERED if facets[name]}
    return replace(trends.last_days(PERIODS[period]), where=where)


def origin(fresh: trends.Freshness) -> None:
    """One line: how many tickets, until when, from where."""
    day = "%-d %b %Y %H:%M UTC"
    text = f"{fresh.rows:,} tickets to {fresh.last:{day}} from {fresh.source}, loaded {fresh.loaded_at:{day}}"
    st.caption(show.plain(text + (f"; {fresh.rejected:,} rows could not be used" if fresh.rejected else "")))


def tiles(overview: trends.Overview) -> None:
    """Each metric now, its change and whether that is good, its course, and the days compared."""
    with st.container(horizontal=True):
        for tile in overview.tiles:
            st.metric(
                tile.metric.title,
                metrics.say(tile.metric, tile.value),
                metrics.say_change(tile.metric, tile.change) or None,
                delta_color=COLOURS[tile.better],
                chart_data=[point for point in tile.spark if point is not None] or None,
                help=tile.metric.definition,
                border=True,
                width=186,
                height="stretch",
            )
    days = overview.window
    compared = f"against the {days.days} days before" if days.comparable else "with no earlier period to compare with"
    st.caption(f"{days.start:%-d %b %Y} to {days.end:%-d %b %Y}, {compared}.")


def movers(filters: tickets.Filters, facets: Mapping[str, list[str]]) -> None:
    """What changed most against the period before."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    left.subheader("What moved most", anchor=False)
    named = [name for name, values in facets.items() if values]
    by = right.selectbox(
        "By", named, key="movers", bind="query-params", label_visibility="collapsed", format_func=_name
    )
    st.dataframe(
        tickets.movers(by, filters=filters).drop(columns=["first_response_before", "csat_before"]),
        hide_index=True,
        placeholder="",
        alt="What moved most",
        column_config={
            "label": _name(by),
            "tickets": NumberColumn("Tickets", format="localized"),
            "tickets_before": NumberColumn("Before", format="localized"),
            "difference": NumberColumn("Difference", format="%+,.0f"),
            "change": NumberColumn("Change", format="%+.0f %%"),
            "first_response": NumberColumn("First response", format="%,.0f min"),
            "csat": NumberColumn("CSAT", format="%.2f"),
        },
    )


def listing(filters: tickets.Filters, picked: str) -> None:
    """The tickets themselves, the newest first; where a click `picked` some of them, the way back from it."""
    st.subheader("Tickets", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        if picked:
            st.markdown(show.plain(picked))
            if st.button("Show all", icon=":material/close:"):
                session.keep(CLICKS, session.get(CLICKS, 0) + 1)
                st.rerun()
        st.download_button(
            "Download CSV",
            lambda: trends.as_csv(tickets.tickets(filters, limit=DOWNLOADED)),
            file_name="tickets.csv",
            icon=":material/download:",
            on_click="ignore",
        )
    st.dataframe(
        tickets.tickets(filters, limit=ROWS).dropna(axis="columns", how="all"),
        hide_index=True,
        placeholder="",
        alt="Tickets",
        column_order=(*LISTED, *MEASURED),
        column_config={
            **{name: _name(name) for name in (*LISTED, *MEASURED)},
            "ticket_id": "Ticket",
            "run_id": "Run",
            "subject": TextColumn("Subject", width="large"),
            "created_at": DatetimeColumn("Created (UTC)", format="D MMM YYYY HH:mm"),
            "first_response": NumberColumn("First response", format="%,.0f min"),
            "resolution": NumberColumn("Resolution", format="%,.1f h"),
            "csat": NumberColumn("CSAT", format="%.0f"),
        },
    )


def _pick(name: str, values: list[str]) -> list[str]:
    return st.multiselect(_name(name), values, key=name, bind="query-params", placeholder=f"Every {name}", width=210)


def _name(column: str) -> str:
    return column.replace("_", " ").capitalize()
