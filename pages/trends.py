"""Trends: what changed in the tickets, where, and which tickets are behind it."""

import datetime as dt
from typing import Any

import streamlit as st

from workbench import releases, tickets
from workbench.errors import NotFound
from workbench.tickets import metrics, trends
from workbench.ui import session, show
from workbench.ui import trends as parts
from workbench.ui.charts import trends as charts

BREAKDOWNS = {"None": None, "Topic": "topic", "Channel": "channel", "Vendor": "vendor"}
GRAINS: dict[str, trends.Grain | None] = {"Auto": None, "Day": "day", "Week": "week", "Month": "month"}
TITLES = {metric.title: metric for metric in metrics.METRICS.values()}


def release_markers() -> list[tuple[dt.datetime, str]]:
    """When which release went where, to be drawn on the chart."""
    moved = [one for one in releases.moves() if one.environment == "production"]
    return [(one.at, f"{one.flow} v{one.after}") for one in moved]


def chart(filters: tickets.Filters) -> tuple[tickets.Filters, str]:
    """The chosen metric over time; returns what a click on it narrows the tickets to, and how to call that."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = TITLES[st.selectbox("Metric", list(TITLES), key="metric", bind="query-params", width=210)]
        by = BREAKDOWNS[parts.switch("Break down by", BREAKDOWNS, "Topic", "by")]
        grain = GRAINS[parts.switch("Each point is", GRAINS, "Auto", "grain")]
    grain = grain or trends.grain_for(trends.window(filters))
    frame = tickets.series(metric.name, by, grain=grain, filters=filters)
    if frame["value"].isna().all():
        st.info(f"No ticket here has a value for “{metric.title}”. {metric.definition}", icon=":material/info:")
        return filters, ""
    st.caption(f"{metric.definition} Whole {grain}s, UTC. Click a point to see its tickets.")
    event: Any = st.plotly_chart(
        charts.series(frame, metric, grain=grain, markers=release_markers()),
        key=f"trends-{session.get(parts.CLICKS, 0)}-{metric.name}-{by}-{grain}-{filters}",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"{metric.title} by {grain}",
    )
    if not (points := event["selection"]["points"]):
        return filters, ""
    label, day = points[0]["customdata"]
    period = dt.date.fromisoformat(day)
    narrowed = trends.narrow(filters, by=by, label=label, period=period, grain=grain)
    return narrowed, f"{label}, {grain} of {period:%-d %b %Y}"


show.head("Trends", "What changed, where, and which tickets are behind it.")
with show.errors():
    try:
        fresh = tickets.freshness()
    except NotFound as nothing:
        show.empty(nothing.message, nothing.remedy, icon="confirmation_number")
        st.stop()
    parts.origin(fresh)
    facets = tickets.facets()
    filters = parts.choose(facets)
    overview = tickets.overview(filters)
    parts.tiles(overview)
    narrowed, picked = chart(filters)
    if overview.window.comparable:
        parts.movers(filters, facets)
    parts.listing(narrowed, picked)
