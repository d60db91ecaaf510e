"""Every metric against a computation that shares nothing with ours, and the laws that sums and filters obey."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.once import at_home, once
from tests.tickets.files import ADMIN, parts, stored
from workbench import settings, store
from workbench.errors import Invalid
from workbench.store.tables import Run
from workbench.tickets import (
    Filters,
    alone,
    changes,
    hours,
    load,
    manifest,
    mapping,
    measure,
    metrics,
    rollups,
    source,
    trends,
    view,
)
from workbench.tickets import seed as samples
from workbench.tickets.columns import DIMENSIONS
from workbench.tickets.load import put_frames
from workbench.tickets.measure import Asked

UNTIL = dt.date(2026, 3, 31)
SINCE = UNTIL - dt.timedelta(days=119)
SHARED = settings.ROOT.parent / "shared" / "data" / "servicenow_incidents" / "incidents.parquet"
MAPPING = settings.ROOT / "data" / "seed" / "mappings" / "servicenow.yaml"
TARGETS = {"urgent": (1, 8), "high": (4, 24), "normal": (8, 72), "low": (24, 120)}

pytestmark = pytest.mark.usefixtures("home")
LAWS = hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(frame: pd.DataFrame) -> None:
    """Put ready tickets in the place of the current ones, with the rollups that as few would not have."""
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)
    for part in parts():
        rollups.write(part, manifest.rollup(part))


@pytest.fixture
def sample(tmp_path_factory: pytest.TempPathFactory, home: Path) -> pd.DataFrame:
    """1,500 sample tickets, a fifth of which name a run; half of those runs are known here."""
    store.dispose()
    shutil.copytree(once(tmp_path_factory, "measured", lambda made: at_home(made, _fill)), home, dirs_exist_ok=True)
    return stored()


def _fill() -> None:
    frame = samples.generate(1500, 120, 7, until=UNTIL)
    frame["run_id"] = [f"r{i}" if i % 5 == 0 else None for i in range(len(frame))]
    frame["attributes"] = [json.dumps({"pending_minutes": i % 90}) if i % 3 else "{}" for i in range(len(frame))]
    put(frame)
    with store.session() as session:
        for i in range(0, len(frame), 10):
            session.add(_run(f"r{i}", "answered" if i % 4 == 0 else "escalated", i / 1e5 if i % 3 else None))


def _run(name: str, outcome: str, usd: float | None) -> Run:
    return Run(
        id=name, flow="desk", version="", digest="", source="test", conversation="", started_at=store.now(), seconds=1,
        outcome=outcome, agent="", question="", reply="", model="", usd=usd,
    )  # fmt: skip


def business_hours(start: pd.Timestamp, end: pd.Timestamp) -> float:
    """Hours from Monday to Friday, 09:00 to 17:30 in Berlin, but for four holidays, between two moments in UTC."""
    zone, total = ZoneInfo("Europe/Berlin"), dt.timedelta()
    begin, until = (one.to_pydatetime().replace(tzinfo=dt.UTC) for one in (start, end))
    day = begin.astimezone(zone).date()
    while day <= until.astimezone(zone).date():
        if day.weekday() < 5 and (day.month, day.day) not in {(1, 1), (5, 1), (12, 25), (12, 26)}:
            opens = dt.datetime.combine(day, dt.time(9), zone).astimezone(dt.UTC)
            closes = dt.datetime.combine(day, dt.time(17, 30), zone).astimezone(dt.UTC)
            total += max(dt.timedelta(), min(until, closes) - max(begin, opens))
        day += dt.timedelta(days=1)
    return total / dt.timedelta(hours=1)


def in_pandas(frame: pd.DataFrame) -> dict[str, float | None]:
    """Every metric that needs no runs, from its definition, without our SQL."""
    created, first, solved = (frame[name] for name in ("created_at", "first_response_at", "resolved_at"))
    newest = created.max().normalize()
    end = newest + pd.Timedelta(days=1)
    reply, work = (first - created).dt.total_seconds() / 60, (solved - created).dt.total_seconds() / 3600
    pending = frame["attributes"].map(lambda text: json.loads(text).get("pending_minutes", 0)).astype(float) / 60
    limits = frame["priority"].map(lambda name: TARGETS.get(name, (8, 72)))
    age = (newest - created.dt.normalize()).dt.days
    late: list[float] = [
        _late(taken, limits.map(lambda pair, i=i: pair[i]), age >= days)
        for i, (taken, days) in enumerate(((reply / 60, 2), (work, 6)))
    ]
    open_ = frame[solved.isna() | (solved >= end)]

    def business(until: str) -> float:
        known = frame[frame[until].notna()]
        return float(np.median([business_hours(a, b) for a, b in zip(known["created_at"], known[until], strict=True)]))

    return {
        "volume": len(frame),
        "first_response": reply.median(),
        "first_response_p90": reply.quantile(0.9),
        "first_response_business": business("first_response_at") * 60 if first.notna().any() else None,
        "resolution": work.median(),
        "resolution_p90": work.quantile(0.9),
        "resolution_business": business("resolved_at"),
        "requester_wait": (work - pending).clip(lower=0).median(),
        "csat": frame["csat"].mean(),
        "reopened": 100 * frame["reopened"].astype("float").mean(),
        "sla_first_response": late[0] if first.notna().any() else None,
        "sla_resolution": late[1],
        "unresolved": solved.isna().sum(),
        "unanswered": 100 * first.isna().mean() if first.notna().any() else None,
        "backlog": len(open_),
        "backlog_age": ((end - open_["created_at"].dt.floor("s")) / pd.Timedelta(hours=1)).mean(),
        "resolved": ((solved >= created.min().normalize()) & (solved < end)).sum(),
        "sentiment": frame["sentiment"].mean(),
    }


def _late(taken: Any, limit: Any, given_up: Any) -> float:
    judged = taken.notna() | given_up
    return float(100 * ((taken > limit) | (taken.isna() & given_up))[judged].mean())


def found(**more: Any) -> dict[str, float | None]:
    return {name: trends.query(name, **more).rows[0]["value"] for name in metrics.METRICS}


def unlike(ours: dict[str, float | None], theirs: dict[str, float | None]) -> dict[str, tuple[Any, Any]]:
    """The metrics for which the two do not agree to nine digits, with both values."""
    expected = {name: None if value is None or pd.isna(value) else value for name, value in theirs.items()}
    return {
        name: (ours[name], value)
        for name, value in expected.items()
        if ours[name] != (value if value is None else pytest.approx(value, rel=1e-9))
    }


def test_every_metric_equals_a_computation_in_pandas_on_sample_tickets(sample: pd.DataFrame) -> None:
    assert unlike(found(), in_pandas(sample)) == {}


@pytest.mark.usefixtures("sample")
def test_automation_counts_runs_that_answered_and_cost_only_known_prices() -> None:
    ours = found()
    assert ours["automation"] == pytest.approx(100 * 75 / 1500)
    known = [i / 1e5 for i in range(0, 1500, 10) if i % 3]
    assert ours["cost"] == pytest.approx(sum(known) / len(known))


@pytest.mark.skipif(not SHARED.exists(), reason=f"the ServiceNow incident log is not at {SHARED}")
def test_every_metric_equals_a_computation_in_pandas_on_a_real_incident_log(home: Path) -> None:
    load(ADMIN, SHARED, mapping=mapping.read(MAPPING))
    assert unlike(found(), in_pandas(stored())) == {}


@pytest.mark.usefixtures("sample")
def test_every_metric_says_what_it_is_where_that_comes_from_and_when_it_says_little() -> None:
    for metric in metrics.METRICS.values():
        assert metric.definition.endswith("."), metric.name
        assert metric.source, metric.name
        assert metric.minimum or metric.counts, metric.name


DAYS = st.dates(SINCE, UNTIL)
WHERE = st.dictionaries(
    st.sampled_from(["topic", "channel", "vendor", "priority", "language", "subtopic", "product", "team"]),
    st.integers(0, 4), max_size=2,
)  # fmt: skip
BY = st.sampled_from([(), ("topic",), ("vendor", "channel"), ("priority",), ("team",), ("status",)])
GRAIN = st.sampled_from([None, "day", "week", "month"])
EXACT = [name for name, metric in metrics.METRICS.items() if metric.quantile is None]


def _filters(picked: dict[str, int]) -> dict[str, list[str]]:
    facets = trends.facets()
    return {name: [facets[name][i % len(facets[name])]] for name, i in picked.items()}


@given(one=DAYS, other=DAYS, picked=WHERE, by=BY, grain=GRAIN)
@LAWS
def test_sums_and_counts_from_rollups_are_exactly_those_from_the_tickets(
    sample: pd.DataFrame, one: dt.date, other: dt.date, picked: dict[str, int], by: tuple[str, ...], grain: Any
) -> None:
    asked = [
        Asked(min(one, other), max(one, other), _filters(picked), by, grain, tickets_only=only)
        for only in (False, True)
    ]
    rolled, plain = (measure.measure([metrics.get(name) for name in EXACT], each).rows for each in asked)

    def keyed(rows: list[measure.Row]) -> dict[Any, Any]:
        groups = ["metric", *asked[0].keys]
        return {tuple(row[key] for key in groups): (row["value"], row["n"]) for row in rows if row["n"]}

    assert keyed(rolled) == keyed(plain)


def _told(rows: list[measure.Row], **more: Any) -> dict[Any, Any]:
    told = ("value", "tickets", "n")
    found = [row for row in rows if all(row[key] == value for key, value in more.items())]
    return {(row["metric"], row["label"], row.get("period")): tuple(row[name] for name in told) for row in found}


@given(one=DAYS, other=DAYS, picked=WHERE, only=st.booleans())
@LAWS
def test_days_the_days_before_and_their_course_asked_together_are_those_asked_one_by_one(
    sample: pd.DataFrame, one: dt.date, other: dt.date, picked: dict[str, int], only: bool
) -> None:
    start, end, where = min(one, other), max(one, other), _filters(picked)
    days = dt.timedelta((end - start).days + 1)
    before = (start - days, end - days)
    chosen = [metrics.get(name) for name in ("volume", "csat", "first_response", "resolution_p90", "sla_resolution")]
    shared: dict[str, Any] = {"where": where, "tickets_only": only}
    together = measure.measure(chosen, Asked(start, end, grain="week", before=before, whole=True, **shared)).rows
    now, then, course = (
        measure.measure(chosen, asked).rows
        for asked in (
            Asked(start, end, **shared),
            Asked(*before, **shared),
            Asked(start, end, grain="week", **shared),
        )
    )
    assert _told(together, side="now", period=None) == _told(now)
    assert _told(together, side="before") == _told(then)
    assert _told([row for row in together if row["period"]]) == _told(course)


@pytest.mark.usefixtures("sample")
def test_each_dimension_alone_is_answered_by_the_rollups_and_its_values_are_those_of_the_tickets() -> None:
    chosen = [metrics.get(name) for name in ("volume", "csat", "backlog", "resolved")]
    for name in DIMENSIONS:
        assert measure.measure(chosen, Asked(SINCE, UNTIL, by=(name,))).from_tickets == frozenset(), name
    before = trends.facets()
    for part in parts():
        manifest.rollup(part).unlink()
    os.utime(manifest.current())
    assert source.cubes() == frozenset()
    assert trends.facets() == before


@given(one=DAYS, other=DAYS, picked=WHERE)
@LAWS
def test_filters_commute_and_parts_add_up_to_the_whole(
    sample: pd.DataFrame, one: dt.date, other: dt.date, picked: dict[str, int]
) -> None:
    start, end, where = min(one, other), max(one, other), _filters(picked)
    ahead, back = (trends.query("volume", start=start, end=end, where=dict(order)) for order in (
        where.items(), reversed(where.items())
    ))  # fmt: skip
    assert ahead.rows == back.rows
    total = ahead.rows[0]["value"] if ahead.rows else 0
    for by in ("topic", "status"):
        parts = trends.query("volume", by=[by], start=start, end=end, where=where).rows
        assert sum(row["value"] for row in parts) == total
        daily = trends.series("volume", by, grain="day", filters=Filters(start, end, where), top=2, others=True)
        assert daily["value"].sum() == total


def test_the_same_tickets_published_again_change_no_figure(sample: pd.DataFrame) -> None:
    before = found()
    put(sample)
    assert found() == before


def test_rollups_of_two_parts_made_together_add_up_to_that_of_the_whole(sample: pd.DataFrame, tmp_path: Path) -> None:
    whole = alone.literals(parts())
    pieces = []
    for i, sign in enumerate(("<", ">=")):
        part, target = tmp_path / f"{i}.parquet", tmp_path / f"{i}.rollup.parquet"
        duckdb.execute(
            f"COPY (FROM read_parquet({whole}) WHERE created_at {sign} '2026-02-01') TO '{part}' (FORMAT parquet)"
        )
        pieces.append((part, target))
    rollups.write_all(pieces)
    sums = "SELECT cube, dated, day, sum(tickets), sum(rating), sum(born) FROM stored WHERE bin IS NULL GROUP BY ALL ORDER BY ALL"
    bins = "SELECT cube, bin, sum(tickets) FROM stored WHERE bin IS NOT NULL GROUP BY ALL ORDER BY ALL"
    sides = []
    for files in ([manifest.rollup(one) for one in parts()], [target for _part, target in pieces]):
        with duckdb.connect(":memory:") as connection:
            assert rollups.attach(connection, files)
            sides.append([connection.execute(sql).fetchall() for sql in (sums, bins)])
    assert sides[0] == sides[1]


def test_rollups_count_every_value_of_a_dimension_whether_there_are_few_or_many(sample: pd.DataFrame) -> None:
    many = sample.assign(topic=[f"Topic {i % 7}" for i in range(1500)], subtopic=[f"No {i % 300}" for i in range(1500)])
    many.loc[many.index[:20], ["topic", "subtopic"]] = None
    put(many)
    with duckdb.connect(":memory:") as connection:
        assert rollups.attach(connection, [manifest.rollup(one) for one in parts()])
        for cube in (["topic"], ["topic", "subtopic"]):
            rows = connection.execute(
                f"SELECT {', '.join(cube)}, sum(tickets)::BIGINT FROM stored WHERE cube = '{rollups.name(cube)}' "
                "AND dated = 'created' AND bin IS NULL GROUP BY ALL"
            ).fetchall()
            assert {tuple(word or "-" for word in words): n for *words, n in rows} == dict(
                many.fillna({"topic": "-", "subtopic": "-"}).value_counts(cube)
            )


def test_what_is_late_by_business_hours_is_the_same_in_rollups_and_over_tickets(
    home: Path, sample: pd.DataFrame
) -> None:
    text = hours.file("targets.yaml").read_text(encoding="utf-8").replace("clock: calendar", "clock: business")
    (home / "local" / "targets.yaml").write_text(text, encoding="utf-8")
    put(sample)
    late = [metrics.COLUMNS[name] for name in ("first_late", "resolution_late")]
    with duckdb.connect(":memory:") as connection:
        hours.attach(connection)
        connection.execute(f"CREATE VIEW ticket AS {view.sql(manifest.read())}")
        told = connection.execute(f"SELECT {', '.join(one.over_tickets for one in late)} FROM ticket").fetchall()
        assert rollups.attach(connection, [manifest.rollup(one) for one in parts()])
        kept = connection.execute(
            f"SELECT {', '.join(f'sum({one.name})::BIGINT' for one in late)} FROM stored WHERE cube = 'all' AND dated = 'created'"
        ).fetchall()
    assert kept == told
    assert min(told[0]) > 10


@pytest.mark.usefixtures("sample")
def test_a_median_out_of_bins_is_said_to_be_approximate_and_is_near_the_exact_one() -> None:
    asked = Filters(SINCE, UNTIL)
    near, exact = (trends.overview(asked, names=("resolution", "first_response"), exact=only) for only in (False, True))
    for rough, true in zip(near.tiles, exact.tiles, strict=True):
        assert (rough.approximate, true.approximate) == (True, False)
        assert rough.value == pytest.approx(true.value, rel=0.05)
        assert true.low is not None
        assert true.high is not None
        assert true.value is not None
        assert true.low < true.value < true.high
        assert rough.low == pytest.approx(true.low, rel=0.1)


@pytest.mark.usefixtures("sample")
def test_where_rollups_are_missing_or_of_another_recipe_the_tickets_answer() -> None:
    before = found()
    rollup = manifest.rollup(parts()[0])
    content = duckdb.execute(f"SELECT * FROM '{rollup}'").df()
    duckdb.execute(f"COPY content TO '{rollup}' (FORMAT parquet, KV_METADATA {{recipe: 'old', cubes: 'all'}})")
    assert len(content)
    os.utime(manifest.current())
    assert source.cubes() == frozenset()
    assert found() == before
    rollup.unlink()
    os.utime(manifest.current())
    assert found() == before


@pytest.mark.parametrize("metric", ["csat", "reopened", "volume", "sla_first_response"])
@pytest.mark.usefixtures("sample")
def test_contributions_of_all_groups_add_up_to_the_change_of_all(metric: str) -> None:
    asked = Filters(dt.date(2026, 2, 10), UNTIL)
    tile = trends.overview(asked, names=(metric,)).tiles[0]
    moved = changes.movers("topic", metric=metric, filters=asked, limit=99)
    assert tile.value is not None
    assert tile.previous is not None
    assert moved["contribution"].sum() == pytest.approx(tile.value - tile.previous, abs=1e-9)
    assert (moved["mix"] + moved["rate"]).sum() == pytest.approx(moved["contribution"].sum())


def test_a_shift_in_mix_alone_is_told_as_mix(home: Path) -> None:
    rows = []
    for month, counts in ((2, {"A": 80, "B": 20}), (3, {"A": 20, "B": 80})):
        for topic, count in counts.items():
            rows += [(f"2026-0{month}-05", topic, 5.0 if topic == "A" else 1.0)] * count
    frame = samples.generate(len(rows), 1, 1, until=UNTIL)
    frame["created_at"] = pd.to_datetime([row[0] for row in rows])
    frame["topic"], frame["csat"] = [row[1] for row in rows], [row[2] for row in rows]
    frame["resolved_at"] = frame["first_response_at"] = pd.NaT
    put(frame)
    asked = Filters(dt.date(2026, 3, 5), dt.date(2026, 3, 5))
    assert changes.movers("topic", metric="csat", filters=asked)["mix"].isna().all()
    asked = Filters(dt.date(2026, 3, 1), dt.date(2026, 3, 28))
    moved = changes.movers("topic", metric="csat", filters=asked).set_index("label")
    assert moved["rate"].abs().max() == pytest.approx(0)
    assert moved["mix"].sum() == pytest.approx(1.8 - 4.2)


@pytest.mark.usefixtures("sample")
def test_two_segments_are_compared_metric_by_metric_with_their_intervals() -> None:
    both = changes.segments({"vendor": ["Northwind"]}, {"vendor": ["Calder"]}, Filters()).set_index("metric")
    volume = {row["vendor"]: row["value"] for row in trends.query("volume", by=["vendor"]).rows}
    assert both.loc["volume", "one"] == volume["Northwind"]
    assert both.loc["volume", "difference"] == volume["Northwind"] - volume["Calder"]
    low, middle, high = (float(str(both.loc["csat", name])) for name in ("one_low", "one", "one_high"))
    assert low < middle < high
    with pytest.raises(Invalid, match="needs at least one value"):
        changes.segments({"vendor": []}, {"vendor": ["Calder"]}, Filters())


@pytest.mark.usefixtures("sample")
def test_releases_are_compared_over_equally_many_days_before_and_after() -> None:
    moved = [changes.Release(dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC), f"v{day}") for day in (10, 20)]
    rows = changes.cohorts(moved, "volume", Filters()).set_index("label")
    assert list(rows["days"]) == [9, 11]
    before = trends.query("volume", start=dt.date(2026, 3, 1), end=dt.date(2026, 3, 9)).rows[0]["value"]
    after = trends.query("volume", start=dt.date(2026, 3, 11), end=dt.date(2026, 3, 19)).rows[0]["value"]
    assert (rows.loc["v10", "value_before"], rows.loc["v10", "value"]) == (before, after)


def test_a_year_is_compared_with_the_same_weekdays() -> None:
    samples.seed(ADMIN, count=800, days=500, until=UNTIL)
    asked = Filters(dt.date(2026, 3, 4), dt.date(2026, 3, 13))
    assert trends.window(asked, "previous").before == dt.date(2026, 2, 22)
    assert trends.window(asked, "weekdays").before == dt.date(2026, 2, 18)
    assert trends.window(asked, "year").before == dt.date(2025, 3, 5)


@given(
    start=st.datetimes(dt.datetime(2024, 10, 1), dt.datetime(2025, 4, 30)),
    length=st.timedeltas(dt.timedelta(), dt.timedelta(days=20)),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_business_hours_are_exact_over_weekends_holidays_and_changes_of_the_clock(
    start: dt.datetime, length: dt.timedelta
) -> None:
    sql = "SELECT (open_until($end::TIMESTAMP) - open_until($start::TIMESTAMP)) / 3600e6"
    ours = _clock().execute(sql, {"start": start, "end": start + length}).fetchall()[0][0]
    assert ours == pytest.approx(business_hours(pd.Timestamp(start), pd.Timestamp(start + length)), abs=1e-9)


_clocks: list[duckdb.DuckDBPyConnection] = []


def _clock() -> duckdb.DuckDBPyConnection:
    if not _clocks:
        _clocks.append(duckdb.connect(":memory:"))
        hours.attach(_clocks[0])
    return _clocks[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zone: Mars/Base\nweek: {monday: ['09:00-17:00']}", "Mars/Base"),
        ("zone: UTC\nweek: {someday: ['09:00-17:00']}", "someday is no weekday"),
        ("zone: UTC\nweek: {monday: ['17:00-09:00']}", "does not end after it begins"),
        ("zone: UTC\nweek: {monday: ['09:00-13:00', '12:00-17:00']}", "overlap"),
        ("zone: UTC\nweek: {monday: ['09:00-24:00', '12:00-17:00']}", "overlap"),
        ("zone: UTC\nweek: {}", "no day has opening times"),
        ("just words", "does not hold named values"),
    ],
)
def test_opening_times_that_cannot_be_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "hours.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=words):
        hours.read_schedule(path)


def test_where_holidays_close_every_day_no_time_is_business_time(home: Path) -> None:
    days = [(dt.date(2000, 1, 1) + dt.timedelta(days=n)).strftime("%m-%d") for n in range(366)]
    text = f"zone: UTC\nweek: {{monday: ['09:00-17:00']}}\nholidays: {days}"
    (home / "local").mkdir(parents=True, exist_ok=True)
    (home / "local" / "hours.yaml").write_text(text, encoding="utf-8")
    with duckdb.connect(":memory:") as connection:
        hours.attach(connection)
        assert connection.execute("SELECT open_until(TIMESTAMP '2026-03-11 12:00')").fetchall() == [(0,)]


def test_opening_times_over_midnight_in_utc_are_counted_once(home: Path) -> None:
    (home / "local").mkdir(parents=True, exist_ok=True)
    (home / "local" / "hours.yaml").write_text(
        "zone: America/Los_Angeles\nweek: {monday: ['09:00-12:00', '13:00-24:00']}", encoding="utf-8"
    )
    with duckdb.connect(":memory:") as connection:
        hours.attach(connection)
        sql = "SELECT (open_until('2026-03-11'::TIMESTAMP) - open_until('2026-03-09'::TIMESTAMP)) / 3600e6"
        assert connection.execute(sql).fetchall() == [(14.0,)]


@pytest.mark.parametrize(
    ("zone", "sunday", "longer"),
    [
        ("Europe/Berlin", "2026-03-29", -1),
        ("Europe/Berlin", "2026-10-25", 1),
        ("America/Sao_Paulo", "2018-11-04", -1),
        ("America/Havana", "2026-11-01", 1),
    ],
    ids=["spring", "autumn", "no midnight", "midnight twice"],
)
def test_a_day_on_which_clocks_change_is_open_an_hour_less_or_more(
    home: Path, zone: str, sunday: str, longer: int
) -> None:
    (home / "local").mkdir(parents=True, exist_ok=True)
    (home / "local" / "hours.yaml").write_text(
        f"zone: {zone}\nweek: {{sunday: ['00:00-06:00', '08:00-24:00']}}", encoding="utf-8"
    )
    sql = "SELECT (open_until($day::DATE + 3) - open_until($day::DATE - 3)) / 3600e6"
    with duckdb.connect(":memory:") as connection:
        hours.attach(connection)
        assert connection.execute(sql, {"day": sunday}).fetchall() == [(22.0 + longer,)]


@pytest.mark.usefixtures("sample")
def test_the_hours_of_the_week_are_those_of_the_readers_zone() -> None:
    utc = trends.hours_of_week(Filters())
    there = trends.hours_of_week(Filters(dt.date(2025, 12, 8), dt.date(2026, 3, 15)), ZoneInfo("Asia/Tokyo"))
    here = trends.hours_of_week(Filters(dt.date(2025, 12, 8), dt.date(2026, 3, 15)))
    assert utc.shape == (7, 24)
    assert there.loc[1, 9] == pytest.approx(here.loc[1, 0])
