from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.conftest import Fill
from tests.tickets.files import ADMIN, MakeCsv, parts, stored
from workbench.errors import Invalid, NotFound, Unavailable
from workbench.tickets import Filters, brief, changes, grains, load, metrics, source, trends, weeks
from workbench.tickets.columns import DIMENSIONS, NONE
from workbench.tickets.markers import Marker
from workbench.ui import charts as colours
from workbench.ui.charts import course, over_time

UNTIL = dt.date(2026, 3, 31)

pytestmark = pytest.mark.usefixtures("home")


def ticket(number: int, day: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("first_response_at", "resolved_at", "reopened", "topic", "csat"), "")
    return {"ticket_id": str(number), "created_at": f"{day}T10:00:00Z", **empty, **more}


@pytest.fixture
def sample(fill: Fill) -> pd.DataFrame:
    fill(count=3000, days=120, until=UNTIL)
    return stored()


def test_without_tickets_the_error_says_how_to_get_some() -> None:
    with pytest.raises(NotFound) as caught:
        trends.freshness()
    assert "tickets load FILE" in caught.value.remedy
    assert "workbench seed" in caught.value.remedy


@pytest.mark.usefixtures("sample")
def test_freshness_tells_extent_and_origin() -> None:
    fresh = trends.freshness()
    assert (fresh.rows, fresh.source, fresh.rejected) == (3000, "sample data", 0)
    assert fresh.last.date() == UNTIL


def test_each_metric_equals_what_its_definition_says(make_csv: MakeCsv) -> None:
    rows = [
        ticket(1, "2026-01-01", first_response_at="2026-01-01T10:30:00Z", resolved_at="2026-01-01T20:00:00Z", csat=5),
        ticket(2, "2026-01-01", first_response_at="2026-01-01T11:30:00Z", resolved_at="2026-01-02T10:00:00Z", csat=2),
        ticket(3, "2026-01-01", first_response_at="2026-01-01T10:10:00Z", reopened="yes"),
        ticket(4, "2026-01-01", reopened="no"),
    ]
    load(ADMIN, make_csv(rows), mapping=None)
    found = {name: trends.query(name).rows[0]["value"] for name in metrics.METRICS}
    assert found == {
        "volume": 4,
        "first_response": 30,
        "first_response_p90": 78,
        "first_response_business": 0,
        "resolution": 17,
        "resolution_p90": pytest.approx(22.6),
        "resolution_business": 1,
        "requester_wait": 17,
        "csat": 3.5,
        "reopened": 50,
        "sla_first_response": 0,
        "sla_resolution": 0,
        "unresolved": 2,
        "unanswered": 25,
        "backlog": 3,
        "backlog_age": 14,
        "resolved": 1,
        "sentiment": None,
        "automation": None,
        "cost": None,
    }


def test_days_without_tickets_count_zero_and_have_no_median(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ticket(1, "2026-01-01"), ticket(2, "2026-01-04")]), mapping=None)
    assert list(trends.series("volume", grain="day")["value"]) == [1, 0, 0, 1]
    assert trends.series("csat", grain="day")["value"].isna().all()


@pytest.mark.parametrize("by", [None, *DIMENSIONS])
@pytest.mark.usefixtures("sample")
def test_every_metric_can_be_broken_down_by_every_dimension(by: str | None) -> None:
    for metric in metrics.METRICS:
        frame = trends.series(metric, by, grain="week", top=3)
        assert list(frame.columns) == ["period", "label", *grains.SERIES]
        assert frame["label"].nunique() <= 3
        assert frame.groupby("label")["period"].nunique().nunique() == 1


def test_the_lines_of_a_breakdown_are_the_largest_and_add_up(sample: pd.DataFrame) -> None:
    frame = trends.series("volume", "topic", grain="month", top=100)
    assert frame["value"].sum() == len(sample)
    largest = trends.series("volume", "topic", grain="month", top=2)["label"].unique()
    assert list(largest) == list(sample["topic"].value_counts().index[:2])


@pytest.mark.usefixtures("sample")
def test_a_week_that_is_only_partly_asked_for_is_marked_as_not_complete() -> None:
    asked = Filters(dt.date(2026, 3, 4), dt.date(2026, 3, 17))
    frame = trends.series("volume", grain="week", filters=asked)
    assert [(p.date().isoformat(), c) for p, c in zip(frame["period"], frame["complete"], strict=True)] == [
        ("2026-03-02", False),
        ("2026-03-09", True),
        ("2026-03-16", False),
    ]


DAYS = st.dates(dt.date(2025, 12, 2), UNTIL)


@given(one=DAYS, other=DAYS)
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_period_is_compared_with_the_equally_long_one_just_before(
    sample: pd.DataFrame, one: dt.date, other: dt.date
) -> None:
    start, end = min(one, other), max(one, other)
    length = end - start + dt.timedelta(days=1)
    before = Filters(start - length, start - dt.timedelta(days=1))
    now = trends.overview(Filters(start, end))
    assert now.window.before == before.start
    if now.window.comparable:
        then = trends.overview(before)
        assert [tile.previous for tile in now.tiles] == [tile.value for tile in then.tiles]
    else:
        assert all(tile.previous is None and tile.change is None for tile in now.tiles)
    day = sample["created_at"].dt.date
    assert now.tiles[0].value == ((day >= start) & (day <= end)).sum()


@pytest.mark.usefixtures("sample")
def test_movers_agree_with_the_series_of_both_periods() -> None:
    asked = Filters(dt.date(2026, 3, 2), UNTIL)
    moved = changes.movers("topic", filters=asked).set_index("label")
    then = Filters(dt.date(2026, 1, 31), dt.date(2026, 3, 1))
    for filters, column in ((asked, "tickets"), (then, "tickets_before")):
        totals = (
            trends.series("volume", "topic", grain="month", filters=filters, top=99).groupby("label")["value"].sum()
        )
        assert moved[column].to_dict() == totals.to_dict()
    assert list(moved["contribution"].abs()) == sorted(moved["contribution"].abs(), reverse=True)


@pytest.mark.usefixtures("sample")
def test_a_point_narrows_to_just_the_tickets_that_it_counts() -> None:
    asked = Filters(dt.date(2026, 3, 4), UNTIL, {"channel": ["email"]})
    for row in trends.series("volume", "topic", grain="week", filters=asked).to_dict("records"):
        inside = trends.narrow(asked, by="topic", label=row["label"], period=row["period"].date(), grain="week")
        assert len(trends.tickets(inside, limit=9999)) == row["tickets"]


def test_tickets_without_a_value_are_called_none_and_can_be_asked_for(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ticket(1, "2026-01-01", topic="App"), ticket(2, "2026-01-01")]), mapping=None)
    assert set(trends.facets()["topic"]) == {"App", NONE}
    assert list(trends.tickets(Filters(where={"topic": [NONE]}))["ticket_id"]) == ["2"]


def test_the_newest_tickets_come_first_however_long_ago_they_are(make_csv: MakeCsv) -> None:
    days = ["2026-03-01", "2026-02-27", "2026-01-20", "2025-01-05", "2024-01-01"]
    load(ADMIN, make_csv([ticket(i, day) for i, day in enumerate(days)]), mapping=None)
    for limit in range(1, len(days) + 1):
        assert list(trends.tickets(limit=limit)["ticket_id"]) == ["0", "1", "2", "3", "4"][:limit]
    since = Filters(start=dt.date(2026, 1, 1))
    assert list(trends.tickets(since)["ticket_id"]) == ["0", "1", "2"]
    assert list(trends.tickets(Filters(where={"topic": [NONE]}), limit=4)["ticket_id"]) == ["0", "1", "2", "3"]


@pytest.mark.usefixtures("sample")
def test_an_answer_that_somebody_changed_is_told_again_as_it_was() -> None:
    sql = "SELECT topic, count(*) AS n FROM ticket GROUP BY ALL ORDER BY n DESC"
    first = source.records(sql)
    expected = dict(first[0])
    first[0]["n"] = -1
    assert source.records(sql)[0] == expected
    with pytest.raises(ValueError, match="read-only"):
        source.arrays(sql)["n"][0] = -1


def test_new_tickets_are_seen_at_once_and_by_every_thread(make_csv: MakeCsv) -> None:
    for rows in range(1, 4):
        load(ADMIN, make_csv([ticket(i, "2026-01-01") for i in range(rows)]), mapping=None)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(trends.query, ["volume"] * 16))
        assert {answer.rows[0]["value"] for answer in found} == {rows}


@pytest.mark.usefixtures("sample")
def test_a_damaged_ticket_file_is_said_to_be_unreadable() -> None:
    parts()[0].write_bytes(b"not a parquet file at all")
    with pytest.raises(Unavailable, match="cannot be read"):
        trends.freshness()


@pytest.mark.usefixtures("sample")
def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(Invalid, match=r"ends .* before it begins"):
        trends.query("volume", start=UNTIL, end=dt.date(2026, 1, 1))


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("year", [1, 2020, 9999])
def test_a_period_far_from_all_tickets_is_empty_and_costs_nothing(year: int) -> None:
    far = Filters(dt.date(year, 1, 1), dt.date(year, 12, 31))
    assert trends.overview(far).tiles[0].value == 0
    assert trends.series("volume", "topic", filters=far).empty


@given(
    heights=st.lists(st.floats(-1e6, 1e6), max_size=12),
    gap=st.floats(0.01, 1e3),
)
def test_labels_at_line_ends_never_overlap_and_keep_their_order(heights: list[float], gap: float) -> None:
    placed = over_time.spread(heights, gap, (-1e6, 1e6))
    in_order = [placed[i] for i in sorted(range(len(heights)), key=lambda i: heights[i])]
    assert all(above - below >= gap * 0.999 - 1e-6 for below, above in pairwise(in_order))


@pytest.mark.usefixtures("sample")
def test_the_chart_names_each_line_at_its_end_and_marks_releases() -> None:
    metric = metrics.get("volume")
    frame = trends.series("volume", "channel", grain="week")
    markers = [
        Marker(dt.datetime(2026, 2, 10, tzinfo=dt.UTC), "order-desk <v2>"),
        Marker(dt.datetime(1999, 1, 1), "long ago"),
    ]
    texts = _texts(course.spec(frame, metric, colours.LIGHT, grain="week", markers=markers))
    assert set(frame["label"].unique()) < texts
    assert "order-desk <v2>" in texts
    assert "long ago" not in texts
    released_today = [Marker(dt.datetime(2026, 4, 1), "v9")]
    later = course.spec(frame, metric, colours.LIGHT, grain="week", markers=released_today)
    assert "v9" in _texts(later)
    (rule,) = [layer for layer in later["layer"] if layer.get("mark", {}).get("type") == "rule"]
    assert rule["encoding"]["x"]["scale"]["domain"][1] >= "2026-04-01T00:00:00Z"
    days = (
        (2, "Parcel scans lost"),
        (3, "slow rise: Delivery"),
        (10, "low ratings: Northwind"),
        (11, "no replies: chat"),
    )
    crowd = [Marker(dt.datetime(2026, 3, day), name, "incident") for day, name in days]
    crowd += [Marker(dt.datetime(2026, 3, 24, hour), f"order-desk v{hour}") for hour in (1, 2)]
    crowded = _texts(course.spec(frame, metric, colours.LIGHT, grain="week", markers=crowd))
    assert {"order-desk v1", "order-desk v2", "▲ low ratings: Northwind"} < crowded


def _texts(spec: dict[str, Any]) -> set[str]:
    """All that a picture writes beside its lines."""
    written = [layer for layer in spec["layer"] if layer.get("mark", {}).get("type") == "text"]
    fields = [
        (layer["data"]["values"], layer["encoding"]["text"]["field"])
        for layer in written
        if "text" in layer["encoding"]
    ]
    return {row[field] for rows, field in fields for row in rows}


def test_a_click_means_a_point_and_dragging_means_days() -> None:
    day = dt.datetime(2026, 3, 2, tzinfo=dt.UTC).timestamp() * 1000
    assert course.chosen_point({"point": [{"label": "Refunds", "day": day}]}) == ("Refunds", dt.date(2026, 3, 2))
    assert course.chosen_point({"point": {}, "days": {}}) is None
    assert course.chosen_days({"days": {"day": [day + 5e7, day - 1e9]}}) == (dt.date(2026, 2, 18), dt.date(2026, 3, 2))
    assert course.chosen_days({"days": {}}) is None


@pytest.mark.parametrize("odd", [None, "x", [], ["x"], [{}], {"day": [None, "a"]}, {"day": [float("nan"), 1e300]}, -1])
def test_what_is_no_choice_in_the_chart_chooses_nothing(odd: Any) -> None:
    assert course.chosen_point({"point": odd}) is None
    assert course.chosen_point({"point": [{"label": "A", "day": odd}]}) is None
    assert course.chosen_days({"days": odd}) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("volume", 12345.0, "12,345"),
        ("first_response", 2.5, "2.5 min"),
        ("first_response", 192.0, "3 h 12 min"),
        ("first_response", 119.6, "2 h 00 min"),
        ("resolution", 22.1, "22.1 h"),
        ("resolution", 178.0, "7.4 days"),
        ("csat", 4.314, "4.31"),
        ("reopened", 3.94, "3.9 %"),
        ("csat", None, "—"),
        ("csat", float("nan"), "—"),
    ],
)
def test_values_are_said_with_their_unit(name: str, value: float | None, text: str) -> None:
    assert metrics.say(metrics.get(name), value) == text


def test_a_longer_wait_is_worse_and_a_better_rating_is_better() -> None:
    wait, rating = metrics.get("first_response"), metrics.get("csat")
    assert metrics.is_better(wait, metrics.change(wait, 20, 10)) is False
    assert metrics.is_better(rating, metrics.change(rating, 4.5, 4.0)) is True
    assert metrics.is_better(rating, 0.0) is None
    assert metrics.change(wait, 20, 0) is None
    assert [metrics.say_change(wait, one) for one in (-0.3, -12.4, 1234, None)] == ["±0 %", "-12 %", "+1,234 %", ""]
    assert [metrics.say_change(rating, one) for one in (0.004, -0.06)] == ["±0.00", "-0.06"]


def test_where_no_ticket_tells_when_it_was_answered_none_was_answered_too_late(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ticket(n, f"2026-03-{n:02}") for n in range(1, 29)]), mapping=None)
    (tile,) = trends.overview(Filters(), names=["sla_first_response"]).tiles
    assert (tile.value, metrics.say(tile.metric, tile.value)) == (None, "not known")
    assert trends.query("unanswered").rows[0]["value"] is None
    load(ADMIN, make_csv([ticket(29, "2026-03-01", first_response_at="2026-03-01T23:59:00Z")]), mapping=None)
    assert trends.query("unanswered").rows[0]["value"] == pytest.approx(100 * 28 / 29)


def test_where_no_ticket_tells_when_it_was_resolved_nobody_knows_the_backlog(make_csv: MakeCsv) -> None:
    rows = [ticket(n, f"2026-03-{n:02}") for n in range(1, 29)]
    load(ADMIN, make_csv(rows), mapping=None)
    (tile,) = trends.overview(Filters(), names=["backlog"]).tiles
    assert (tile.value, metrics.say(tile.metric, tile.value)) == (None, "not known")
    assert trends.query("unresolved").rows[0]["value"] is None
    assert trends.series("backlog", filters=Filters())["value"].isna().all()
    assert brief.brief(weeks.named("2026-W12")).headlines[5].plain == (
        "Backlog: not known, as no ticket tells when it was resolved."
    )
    load(ADMIN, make_csv([ticket(29, "2026-03-01", resolved_at="2026-03-02T10:00:00Z")]), mapping=None)
    (tile,) = trends.overview(Filters(), names=["backlog"]).tiles
    assert tile.value == 28


@pytest.mark.usefixtures("home")
def test_a_question_about_some_days_does_not_look_into_the_files_of_other_months(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ticket(i, f"2026-0{i}-10") for i in range(1, 6)]), mapping=None)
    march = Filters(dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    assert trends.freshness().rows == 5
    parts()[0].write_bytes(b"not a parquet file at all")
    assert list(trends.tickets(march)["created_at"]) == [pd.Timestamp("2026-03-10T10:00")]
    assert list(trends.series("volume", filters=march, grain="month")["value"]) == [1]
    with pytest.raises(Unavailable, match="cannot be read"):
        trends.tickets(Filters())
