"""The charts of the trend page and what they lead to: a click narrows to tickets, a drag to days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench import tickets
from workbench.errors import Invalid
from workbench.tickets import changes, grains, markers, metrics, trends
from workbench.tickets.metrics import Metric
from workbench.ui import charts as themes
from workbench.ui import marks, session, show
from workbench.ui import trends as parts
from workbench.ui.charts import course, over_time
from workbench.ui.charts import trends as charts

GRAINS: dict[str, trends.Grain | None] = {"Auto": None, "Day": "day", "Week": "week", "Month": "month"}
VIEWS = ("Lines", "Small multiples", "Median and slowest tenth", "Hours of the week")
DEEPER = ("What moved most", "Releases", "Two segments", "Tickets only")
TITLES = {metric.title: metric for metric in metrics.METRICS.values()}
PAPER = {"light": "#f5f6f6", "dark": "#1d2326"}
SAVED = {"format": "png", "filename": "trend", "scale": 2}
BUTTONS = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": SAVED}


def chosen_metric() -> Metric:
    """The metric that charts and tables show, kept in the address."""
    titles = [title for title, metric in TITLES.items() if not metric.live or trends.with_runs()]
    return TITLES[st.selectbox("Metric", titles, key="metric", bind="query-params", width=230)]


def chart(
    filters: tickets.Filters, facets: Mapping[str, list[str]], *, exact: bool
) -> tuple[Metric, tickets.Filters, str]:
    """The chosen metric as chosen; returns it, what a click narrows the tickets to, and how to call that."""
    named = {"None": None} | {parts.name_of(name): name for name, values in facets.items() if values}
    with st.container(horizontal=True, vertical_alignment="bottom", key="trend-chart-choices"):
        metric = chosen_metric()
        view = st.selectbox("View", VIEWS, key="view", bind="query-params", width=210)
        by = grain = None
        if view in VIEWS[:2]:
            preferred = list(named).index("Topic") if "Topic" in named else 0
            by = named[st.selectbox("Break down by", list(named), preferred, key="by", bind="query-params", width=170)]
            grain = GRAINS[parts.switch("Each point is", GRAINS, "Auto", "grain")]
    if view == "Hours of the week":
        _hours(filters)
        return metric, filters, ""
    grain = grain or grains.finest(trends.window(filters))
    if view == "Median and slowest tenth":
        _distribution(metric, filters, grain, exact=exact)
        return metric, filters, ""
    many = view == "Small multiples"
    frame = tickets.series(metric.name, by, grain=grain, filters=filters, top=12 if many else 6,
                           others=metric.counts and by is not None, exact=exact)  # fmt: skip
    if frame["value"].isna().all():
        st.info(f"No ticket here has a value for “{metric.title}”. {metric.definition}", icon=":material/info:")
        return metric, filters, ""
    near = f" {metrics.APPROXIMATE}" if frame.attrs["approximate"] else ""
    st.caption(f"{metric.definition} Whole {grain}s, UTC.{near}")
    if many:
        known = _marks(filters)
        figure = charts.multiples(frame, metric, grain=grain, markers=known, by=by)
        st.plotly_chart(figure, config=BUTTONS, alt=f"{metric.title} by {grain}, one chart for each group")
        marks.below(over_time.within(known, _periods(frame)))
        return metric, filters, ""
    narrowed, picked = _lines(frame, metric, by, grain, filters)
    figures = st.expander("The figures of this chart", key="chart-figures", on_change="rerun")
    if figures.open:
        with figures:
            shown = frame.drop(columns=["complete"])
            named = show.headings(shown.columns)
            st.dataframe(shown, hide_index=True, alt="The figures of this chart", column_config=named)
            parts.download(shown, "chart")
    return metric, narrowed, picked


def _lines(
    frame: Any, metric: Metric, by: str | None, grain: trends.Grain, filters: tickets.Filters
) -> tuple[tickets.Filters, str]:
    known = _marks(filters)
    event: Any = st.vega_lite_chart(
        course.spec(frame, metric, themes.colours(), grain=grain, markers=known, choosing=True),
        key=f"trends-{session.get(parts.CLICKS, 0)}-{metric.name}-{by}-{grain}-{filters}",
        on_select="rerun",
        selection_mode=(course.POINT, course.DAYS),
        alt=f"{metric.title} by {grain}",
    )
    _zooming(course.chosen_days(event["selection"]), grain, filters)
    marks.below(over_time.within(known, _periods(frame)))
    if not (point := course.chosen_point(event["selection"])):
        return filters, ""
    label, period = point
    if label == trends.OTHER:
        st.caption(f"“{label}” are several groups: choose one of them above to see its tickets.")
        return filters, ""
    narrowed = trends.narrow(filters, by=by, label=label, period=period, grain=grain)
    return narrowed, f"{label}, {grain} of {period:%-d %b %Y}"


def _zooming(dragged: tuple[dt.date, dt.date] | None, grain: trends.Grain, filters: tickets.Filters) -> None:
    """Zoom into the days that were dragged over; offer the way back where that was done."""
    period = str(session.get("period") or "")
    if dragged:
        days = trends.window(filters)
        start, end = max(dragged[0], days.start), min(grains.end_of(dragged[1], grain), days.end)
        if start <= end:
            parts.zoom(period, (start, end))
            st.rerun()
    zoomed = session.get(parts.ZOOM, ("", None))[1]
    if zoomed:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Whole period again", icon=":material/zoom_out_map:", key="zoom-out"):
                parts.zoom(period, None)
                st.rerun()
            st.caption(f"Zoomed to {zoomed[0]:%-d %b %Y} to {zoomed[1]:%-d %b %Y}.")
    else:
        st.caption("Click a point to see its tickets; drag over days to zoom in.")


def _distribution(metric: Metric, filters: tickets.Filters, grain: trends.Grain, *, exact: bool) -> None:
    resolution = "resol" in metric.name
    frame = trends.distribution("resolution" if resolution else "first_response", filters, exact=exact)
    shown = metrics.get("resolution" if resolution else "first_response")
    near = f" {metrics.APPROXIMATE}" if frame.attrs["approximate"] else ""
    st.caption(f"{shown.title}: the median, and what nine of ten tickets stay under. Whole {grain}s, UTC.{near}")
    if frame["value"].isna().all():
        st.info(f"No ticket here has a value for “{shown.title}”.", icon=":material/info:")
        return
    known = _marks(filters)
    st.vega_lite_chart(
        course.spec(frame, shown, themes.colours(), grain=grain, markers=known),
        alt=f"{shown.title}, median and slowest tenth, by {grain}",
    )
    marks.below(over_time.within(known, _periods(frame)))


def _marks(filters: tickets.Filters) -> list[markers.Marker]:
    """The markers that may concern the tickets; those after the chosen days only where these are the newest."""
    found, days = markers.markers(filters.where), trends.window(filters)
    newest = days.end >= trends.freshness().last.date()
    return [one for one in found if newest or over_time.utc(one.at).date() <= days.end]


def _periods(frame: Any) -> Any:
    """The periods that a chart of `frame` shows: the whole ones, or all where there is no whole one."""
    return (frame[frame["complete"]] if frame["complete"].any() else frame)["period"]


def _hours(filters: tickets.Filters) -> None:
    zone = show.zone()
    table = trends.hours_of_week(filters, zone)
    st.caption(f"Tickets created in each hour of the week, on average, in your time zone ({show.plain(str(zone))}).")
    theme = "dark" if st.context.theme.get("type") == "dark" else "light"
    st.plotly_chart(charts.hours(table, themes.colours()["accent"], PAPER[theme]), config=BUTTONS,
                    alt="Tickets by hour and weekday")  # fmt: skip
    parts.download(table.set_axis(charts.WEEKDAYS).rename_axis("weekday").reset_index(), "hours-of-the-week")


def deeper(
    filters: tickets.Filters, facets: Mapping[str, list[str]], metric: Metric, overview: trends.Overview,
    against: trends.Against, *, exact: bool,
) -> None:  # fmt: skip
    """One of: what moved the metric, what releases did to it, two segments side by side."""
    view = parts.switch("Look closer", DEEPER, DEEPER[0], "deeper")
    if view == "Releases":
        _releases(filters, metric, exact=exact)
    elif view == "Two segments":
        _segments(filters, facets, exact=exact)
    elif view == "What moved most":
        if overview.window.comparable:
            parts.movers(filters, facets, metric, against, exact=exact)
        else:
            st.info("There is no earlier period to compare with. Choose a shorter one.", icon=":material/info:")


def _releases(filters: tickets.Filters, metric: Metric, *, exact: bool) -> None:
    rows = changes.cohorts(markers.released(), metric.name, filters, exact=exact)
    if rows.empty:
        st.info("No release went live within these days.", icon=":material/rocket_launch:")
        return
    st.caption(
        f"“{metric.title}” in up to {changes.AROUND} days after each release went live, against as many days before. "
        "Other things may have changed on the same days."
    )
    parts.table(rows, metric, "Release", "releases")


def _segments(filters: tickets.Filters, facets: Mapping[str, list[str]], *, exact: bool) -> None:
    named = [name for name, values in facets.items() if len(values) > 1]
    if not named:
        st.info("No dimension here has two values to compare.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox("Compare by", named, min(2, len(named) - 1), key="segment-by", bind="query-params",
                          format_func=parts.name_of, width=170)  # fmt: skip
        sides = [
            st.selectbox(label, facets[by], place, key=f"segment-{key}-{by}", width=210)
            for label, place, key in (("First", 0, "a"), ("Second", 1, "b"))
        ]
    try:
        rows = changes.segments({by: [sides[0]]}, {by: [sides[1]]}, filters, exact=exact)
    except Invalid as error:
        show.failure(error)
        return
    texts = [_said({str(key): value for key, value in row.items()}, *sides) for row in rows.to_dict("records")]
    st.dataframe(texts, hide_index=True, alt="Two segments")
    st.caption("Apart: the two ranges of 95 % do not touch.")
    parts.download(rows, "two-segments")


def _said(row: Mapping[str, Any], one: str, other: str) -> dict[str, str]:
    metric = metrics.get(row["metric"])

    def side(name: str) -> str:
        value, low, high = (_known(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
        between = "" if low is None else f" ({metrics.say(metric, low)} – {metrics.say(metric, high)})"
        return metrics.say(metric, value) + between

    apart = {True: "yes", False: "no"}.get(row["apart"], "—") if not row["few"] else "too few tickets"
    difference = _known(row["difference"])
    return {
        "Metric": metric.title,
        one: side("one"),
        f"{other} ": side("other"),
        "Difference": "—" if difference is None else ("+" if difference > 0 else "") + metrics.say(metric, difference),
        "Apart": apart,
    }


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
