"""The parts of the trend page: filters, tiles, what moved, and the tickets themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import pandas as pd
import streamlit as st
from streamlit.column_config import DatetimeColumn, NumberColumn, TextColumn

from workbench import tickets
from workbench.tickets import metrics, trends
from workbench.tickets.figures import counted
from workbench.tickets.metrics import Metric
from workbench.ui import nav, session, show

PERIODS: Mapping[str, int | None] = {"30 days": 30, "90 days": 90, "12 months": 365, "All": None}
AGAINST: Mapping[str, trends.Against] = {
    "Period before": "previous", "Same weekdays": "weekdays", "Year before": "year"
}  # fmt: skip
FILTERED = ("topic", "channel", "vendor")
LISTED = ("ticket_id", "created_at", "subject", "topic", "channel", "vendor", "status")
MEASURED = ("first_response", "resolution", "csat", "body", "run_id")
ROWS, DOWNLOADED = 200, 10_000
CLICKS, ZOOM = "trends-clicks", "trends-zoom"
COLOURS: Mapping[bool | None, Literal["green", "red", "gray"]] = {True: "green", False: "red", None: "gray"}
GREY = "color: #8b979b"

PRINT = """<style>
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stElementToolbar"],
  .modebar, .st-key-trend-filters, .st-key-trend-tickets, [data-testid="stDownloadButton"] {display: none !important;}
  [data-testid="stMainBlockContainer"] {padding: 0 !important; max-width: none !important;}
  [data-testid="stMetric"], [data-testid="stPlotlyChart"], [data-testid="stVegaLiteChart"],
  [data-testid="stDataFrame"] {break-inside: avoid;}
  [data-testid="stAppViewContainer"], [data-testid="stMain"] {position: static !important; overflow: visible !important;}
}
</style>"""


def switch(label: str, options: Iterable[str], default: str, key: str) -> str:
    """One of a few options, kept in the address."""
    return st.segmented_control(label, list(options), default=default, key=key, bind="query-params", required=True)


def no_tickets(hint: str = "Load a file of your help desk's tickets to see what changed.") -> None:
    """The empty state: what is not here yet, and the next step; `hint` says what the page will do with tickets."""
    show.empty("There are no tickets yet", hint, icon="confirmation_number")
    if any(place.address == "load" for place in nav.PLACES):
        nav.link("load", "Load tickets")


def choose(facets: Mapping[str, list[str]]) -> tuple[tickets.Filters, trends.Against, bool]:
    """The filters, what to compare with, and whether all figures shall be exact; kept in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="trend-filters"):
        period = switch("Period", PERIODS, "90 days", "period")
        against = AGAINST[st.selectbox("Compared with", list(AGAINST), key="against", bind="query-params", width=140)]
        where = {name: _pick(name, facets[name]) for name in FILTERED if facets[name]}
        more = [name for name, values in facets.items() if values and name not in FILTERED]
        with st.popover("More", icon=":material/tune:"):
            where |= {name: _pick(name, facets[name]) for name in more}
            exact = st.toggle("Exact figures", key="exact", bind="query-params", help=metrics.APPROXIMATE)
    filters = replace(trends.last_days(PERIODS[period]), where=where)
    if zoomed := _zoom(period):
        filters = replace(filters, start=zoomed[0], end=zoomed[1])
    return filters, against, exact


def _zoom(period: str) -> tuple[dt.date, dt.date] | None:
    """The days that were dragged over, or that the address names; gone when another period is chosen."""
    if not session.has(ZOOM) or session.arrived():
        session.keep(ZOOM, (period, _asked_days()))
    chosen_in, days = session.get(ZOOM)
    if days and chosen_in != period:
        zoom(period, None)
        return None
    return cast("tuple[dt.date, dt.date] | None", days)


def _asked_days() -> tuple[dt.date, dt.date] | None:
    try:
        start, end = (dt.date.fromisoformat(session.asked(name)) for name in ("from", "to"))
    except ValueError:
        return None
    return (start, end) if start <= end else None


def zoom(period: str, days: tuple[dt.date, dt.date] | None) -> None:
    """Look at `days` only, or at the whole period again; the address says so."""
    session.keep(ZOOM, (period, days))
    session.keep(CLICKS, session.get(CLICKS, 0) + 1)
    for name, day in zip(("from", "to"), days or (None, None), strict=True):
        if day:
            st.query_params[name] = day.isoformat()
        else:
            st.query_params.pop(name, None)


def origin(fresh: trends.Freshness) -> None:
    """One line: how many tickets, until when, from where."""
    text = f"{counted(fresh.rows, 'ticket')} to {show.when(fresh.last)} from {fresh.source}, loaded {show.when(fresh.loaded_at)}"
    st.caption(show.plain(text + (f"; {counted(fresh.rejected, 'row')} could not be used" if fresh.rejected else "")))


def tiles(overview: trends.Overview, against: trends.Against) -> None:
    """Each metric now, its interval, its change and whether that is good, its course, and the days compared."""
    with st.container(horizontal=True, key="trend-tiles"):
        for tile in overview.tiles:
            value, change = metrics.say(tile.metric, tile.value), metrics.say_change(tile.metric, tile.change)
            same = change.startswith("±")
            st.metric(
                tile.metric.title + (" ≈" if tile.approximate else ""),
                f":gray[{value}]" if tile.few else value,
                change or None,
                delta_arrow="off" if same else "auto",
                delta_color="gray" if tile.few or same else COLOURS[tile.better],
                delta_description=_interval(tile),
                chart_data=[point for point in tile.spark if point is not None] or None,
                help=_told(tile),
                border=True,
                width=172,
                height="stretch",
            )
    days = overview.window
    words = trends.AGAINST[against].format(days=days.days, before=days.before)
    compared = f"against {words}" if days.comparable else "with no earlier period to compare with"
    near = " ≈ is approximate." if any(tile.approximate for tile in overview.tiles) else ""
    st.caption(f"{days.start:%-d %b %Y} to {days.end:%-d %b %Y}, {compared}. Days are UTC.{near}")


def _interval(tile: trends.Tile) -> str | None:
    if tile.few:
        return f"only {counted(tile.n, 'ticket')}"
    if tile.low is None or tile.high is None:
        return None
    return f"± {metrics.say(tile.metric, (tile.high - tile.low) / 2)}"


def _told(tile: trends.Tile) -> str:
    interval = metrics.INTERVALS[tile.metric.interval]
    if interval and tile.low is not None:
        interval = f"{metrics.say(tile.metric, tile.low)} to {metrics.say(tile.metric, tile.high)}. {interval}"
    near = f" {metrics.APPROXIMATE}" if tile.approximate else ""
    return f"{tile.metric.told}{near}" + (f" {interval}" if interval else "")


def movers(
    filters: tickets.Filters, facets: Mapping[str, list[str]], metric: Metric, against: trends.Against, *, exact: bool
) -> None:
    """What moved the metric most against the period compared with."""
    named = [name for name, values in facets.items() if values]
    by = st.selectbox("By", named, key="movers", bind="query-params", format_func=name_of, width=210)
    rows = tickets.movers(by, metric=metric.name, filters=filters, against=against, exact=exact)
    if tickets.changes.splits(metric):
        st.caption(
            "Contribution is what a group adds to the change of all tickets"
            + ("." if metric.counts else ": by its share of them (mix), and by its own change (rate).")
        )
    else:
        st.caption(f"“{metric.title}” is not a mean or a count, so its change cannot be split among groups.")
    if metric.counts:
        rows = rows.drop(columns=["mix", "rate"])
    if metric.name == "volume":
        rows = rows.drop(columns=["tickets", "tickets_before"])
    table(rows, metric, name_of(by), "what-moved")


def table(rows: pd.DataFrame, metric: Metric, label: str, name: str) -> None:
    """A table of a metric's figures, those on too few tickets grey; it can be downloaded."""
    shown = rows.dropna(axis="columns", how="all")
    few = rows["few"].tolist() if "few" in rows else [False] * len(rows)
    figures = f"%,.2f{_suffix(metric)}" if not metric.counts else "%,.0f"
    signed = figures.replace("%", "%+", 1)
    change = "%+.0f %%" if metric.relative else signed
    st.dataframe(
        shown.drop(columns=["few"], errors="ignore").style.apply(
            lambda row: [GREY if few[row.name] else ""] * len(row), axis=1
        ),
        hide_index=True,
        placeholder="",
        alt=name.replace("-", " ").capitalize(),
        column_config={
            "label": label,
            "days": NumberColumn("Days on each side"),
            "at": show.moments("Live"),
            "value": NumberColumn(metric.title, format=figures),
            "value_before": NumberColumn("Before", format=figures),
            "low": NumberColumn("From", format=figures, help="The lower end of the interval of 95 %."),
            "high": NumberColumn("To", format=figures, help="The upper end of the interval of 95 %."),
            "change": NumberColumn("Change", format=change),
            "contribution": NumberColumn("Contribution", format=signed),
            "mix": NumberColumn("By mix", format=signed),
            "rate": NumberColumn("By rate", format=signed),
            "tickets": NumberColumn("Tickets", format="localized"),
            "tickets_before": NumberColumn("Tickets before", format="localized"),
        },
    )
    download(rows, name)


def download(rows: pd.DataFrame, name: str) -> None:
    """A button that saves a table as CSV."""
    st.download_button(
        "Download CSV", lambda: trends.as_csv(rows), file_name=f"{name}.csv", icon=":material/download:",
        on_click="ignore", key=f"csv-{name}",
    )  # fmt: skip


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
        st.caption(f"The newest {ROWS}; the download has up to {DOWNLOADED:,}. Choose a row to read the ticket.")
    rows = tickets.tickets(filters, limit=ROWS)
    event: Any = st.dataframe(
        rows.dropna(axis="columns", how="all"),
        hide_index=True,
        placeholder="",
        alt="Tickets",
        key=f"trend-tickets-{session.get(CLICKS, 0)}",
        on_select="rerun",
        selection_mode="single-row",
        column_order=(*LISTED, *MEASURED),
        column_config={
            **{name: name_of(name) for name in (*LISTED, *MEASURED)},
            "ticket_id": "Ticket",
            "run_id": "Run",
            "subject": TextColumn("Subject", width="large"),
            "created_at": _created(),
            "first_response": NumberColumn("First response", format="%,.0f min"),
            "resolution": NumberColumn("Resolution", format="%,.1f h"),
            "csat": NumberColumn("CSAT", format="%.0f"),
        },
    )
    if chosen := event["selection"]["rows"]:
        st.switch_page(nav.place("ticket").path, query_params={"ticket": str(rows["ticket_id"].iloc[chosen[0]])})


def name_of(column: str) -> str:
    """A column's name as a person reads it."""
    return column.replace("_", " ").capitalize()


def _created() -> Any:
    zone = st.context.timezone or "UTC"
    return DatetimeColumn(f"Created ({zone})", format="D MMM YYYY HH:mm", timezone=zone)


def _suffix(metric: Metric) -> str:
    return {"min": " min", "h": " h", "%": " %%"}.get(metric.unit, "")


def _pick(name: str, values: list[str]) -> list[str]:
    return st.multiselect(name_of(name), values, key=name, bind="query-params", placeholder=f"Every {name}", width=140)
