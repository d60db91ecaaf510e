"""Detectors as data: what they refuse, how they are kept, what they find, and what must be done before one goes live."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tickets import simulated
from tests.tickets.files import ADMIN, MakeCsv
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.tickets import detectors, firing, history, known, load
from workbench.tickets import seed as samples
from workbench.tickets.defaults import DEFAULTS
from workbench.tickets.detectors import Detector
from workbench.tickets.firing import History, Knobs, Known

UNTIL = dt.date(2026, 3, 31)


def steady(rate: float = 12.0, weeks: int = 20, seed: int = 3) -> History:
    """Hourly counts of one group, twice as many by day as by night."""
    rng = np.random.default_rng(seed)
    ends = np.arange(1, weeks * 168 + 1)
    rates = np.where(ends % 24 < 12, rate / 2, rate)
    counts = rng.poisson(rates)[None, :].astype(float)
    return History(("App",), ends, counts, counts, 1, 1, counts=True, logs=False)


def spiked(found: History, at: int, length: int, count: float) -> History:
    values = found.values.copy()
    values[0, at : at + length] = count
    return History(found.groups, found.ends, values, values, 1, 1, counts=True, logs=False)


KNOBS = Knobs(threshold=5, direction="up", minimum=5, change=50, cooldown=24)


def test_a_spike_fires_once_and_says_what_is_usual() -> None:
    found = spiked(steady(), 2500, 6, 60)
    told = firing.episodes(found, firing.usual(found, weeks=8), KNOBS)
    assert [(one.group, one.first) for one in told] == [("App", firing.moment(2501))]
    usual = 6 if 2501 % 24 < 12 else 12
    assert told[0].expected == pytest.approx(usual, rel=0.25)
    assert detectors.usually("volume", 41, 12.2, 1) == "usually 12 an hour at this time of the week, now 41"


def test_a_calm_history_does_not_fire() -> None:
    found = steady()
    assert firing.episodes(found, firing.usual(found, weeks=8), KNOBS) == []


def test_what_came_later_changes_nothing_before() -> None:
    short, long = steady(), spiked(steady(), 2600, 400, 90)
    one, two = firing.usual(short, weeks=8), firing.usual(long, weeks=8)
    for part in ("expected", "score", "noise"):
        np.testing.assert_array_equal(getattr(one, part)[:, :2600], getattr(two, part)[:, :2600])


def test_an_incident_of_the_past_does_not_move_what_is_usual() -> None:
    plain, hit = steady(), spiked(steady(), 2000, 60, 80)
    usual, after = firing.usual(plain, weeks=8).expected, firing.usual(hit, weeks=8).expected
    later = slice(2060 + 24, 2060 + 500)
    assert np.nanmean(np.abs(after[:, later] / usual[:, later] - 1)) < 0.12


def test_where_the_median_deviation_is_zero_a_count_still_has_its_own_noise() -> None:
    quiet = steady(rate=0.02)
    usual = firing.usual(quiet, weeks=8)
    assert firing.episodes(quiet, usual, KNOBS) == []
    rush = spiked(quiet, 2500, 4, 9)
    assert len(firing.episodes(rush, firing.usual(rush, weeks=8), KNOBS)) == 1


def test_a_holiday_is_compared_with_earlier_holidays() -> None:
    calm = steady(weeks=60)
    days = [firing.moment(hour).date() for hour in range(24 * 100, 24 * 400, 24 * 35)]
    values = calm.values.copy()
    for day in days:
        at = int(firing.hours(dt.datetime.combine(day, dt.time(), dt.UTC)))
        values[:, at : at + 24] = np.floor(values[:, at : at + 24] / 4)
    made = History(calm.groups, calm.ends, values, values, 1, 1, counts=True, logs=False)
    down = Knobs(threshold=3.5, direction="down", minimum=5, change=30, cooldown=24)
    blind = firing.episodes(made, firing.usual(made, weeks=8), down)
    told = firing.episodes(made, firing.usual(made, weeks=8, holidays=days), down)
    assert len(blind) >= 5
    assert len(told) <= 2


def test_precision_recall_and_delay_are_counted_by_hand() -> None:
    found = spiked(spiked(steady(), 2000, 3, 70), 3000, 3, 70)
    told = firing.episodes(found, firing.usual(found, weeks=8), KNOBS)
    start = firing.moment(1996)
    labels = [
        Known("found", start, start + dt.timedelta(hours=12), {"topic": "App"}),
        Known("missed", firing.moment(2700), firing.moment(2710), {}),
        Known("of another topic", firing.moment(3000), firing.moment(3010), {"topic": "Billing"}),
        Known("told of by vendor only", firing.moment(3000), firing.moment(3010), {"vendor": "Calder"}),
    ]
    figures = firing.compare(told, labels, by="topic", window=1, weeks=10)
    assert (figures.firings, figures.right, figures.false) == (2, 1, 1)
    assert (figures.known, figures.found, figures.precision) == (3, 1, 0.5)
    assert figures.recall == pytest.approx(1 / 3)
    assert figures.delay == 5
    assert figures.a_week == 0.2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"detector": "rush", "treshold": 3}, "no 'treshold'; the nearest is 'threshold'"),
        ({"detector": "rush", "metric": "volum"}, "There is no metric 'volum'; the nearest is 'volume'"),
        ({"detector": "rush", "by": "tpic"}, "There is no dimension 'tpic'; the nearest is 'topic'"),
        ({"detector": "rush", "slide": 5}, "whole number of steps"),
        ({"detector": "rush", "window": 1, "slide": 2}, "in no window"),
        ({"detector": "rush", "holidays": ["13-40"]}, "'13-40' is no day"),
        ({"detector": "rush", "key": "{topic}"}, "The dedupe key has {topic}"),
        ({"detector": "Rush!"}, "A name has 2 to 60 small letters"),
        ("- a list", "A detector is a list of keys"),
        ("a: [", "This is not YAML"),
    ],
)
def test_a_detector_that_cannot_be_used_is_refused_in_words(body: Any, message: str) -> None:
    with pytest.raises(Invalid) as error:
        detectors.parse(body)
    assert message in str(error.value)


def test_a_detector_comes_back_from_its_yaml() -> None:
    for made in DEFAULTS.values():
        assert detectors.parse(detectors.dump(made)) == made
        assert "usual at this time of the week" in detectors.words(made)


def test_only_a_backtested_version_goes_live(home: Path, manager: Actor, rep: Actor) -> None:
    samples.seed(ADMIN, count=1500, days=120, until=UNTIL)
    spec = Detector(detector="rush", by="topic")
    with pytest.raises(Refused):
        detectors.save(rep, spec)
    made = detectors.save(manager, spec)
    with pytest.raises(Refused, match="has not been backtested"):
        detectors.go_live(manager, "rush", changes=made.changes)
    detectors.backtest(manager, "rush", [], labels="nothing")
    live = detectors.go_live(manager, "rush", changes=made.changes)
    assert (live.live, live.live_from) == (1, history.newest())
    changed = detectors.save(manager, spec.model_copy(update={"threshold": 7.0}), changes=live.changes)
    assert (changed.number, changed.live) == (2, 1)
    with pytest.raises(Refused, match="Version 2 of rush"):
        detectors.go_live(manager, "rush", changes=changed.changes)
    assert detectors.version("rush", 1).threshold == 5
    assert [entry.verb for entry in audit.newest(2)] == ["edit a detector"] * 2
    assert audit.verify().intact


def test_the_second_of_two_editors_meets_a_conflict(home: Path) -> None:
    spec = Detector(detector="rush", by="topic")
    first = detectors.save(ADMIN, spec)
    detectors.save(ADMIN, spec.model_copy(update={"minimum": 9}), changes=first.changes)
    with pytest.raises(Conflict):
        detectors.save(ADMIN, spec.model_copy(update={"minimum": 10}), changes=first.changes)
    with pytest.raises(Conflict, match="already"):
        detectors.save(ADMIN, spec)
    same = detectors.save(ADMIN, spec.model_copy(update={"minimum": 9}), changes=2)
    assert same.number == 2
    with pytest.raises(NotFound, match="nearest is 'rush'"):
        detectors.detector("rusch")


def test_the_windows_of_a_metric_are_those_of_a_computation_by_hand(home: Path, make_csv: MakeCsv) -> None:
    rows: list[Mapping[str, Any]] = [
        {"ticket_id": str(n), "created_at": f"2026-01-05T{hour:02d}:{minute}", "csat": score, "topic": topic}
        for n, (hour, minute, score, topic) in enumerate(
            [
                (0, "10", 5, "App"),
                (1, "00", 1, "App"),
                (2, "59", 3, "App"),
                (2, "00", 2, "Billing"),
                (6, "00", 4, "App"),
            ]
        )
    ]
    load(ADMIN, make_csv(rows), mapping=None)
    counts = history.load("volume", {}, "topic", "created_at", window=2, slide=1)
    assert counts.groups == ("App", "Billing")
    start = int(firing.hours(dt.datetime(2026, 1, 5, 2, tzinfo=dt.UTC)))
    assert counts.ends.tolist() == list(range(start, start + 5))
    assert counts.values.tolist() == [[2, 2, 1, 0, 0], [0, 1, 1, 0, 0]]
    means = history.load("csat", {"topic": ("App",)}, None, "created_at", window=2, slide=2)
    np.testing.assert_array_equal(means.values, [[3.0, 3.0, np.nan]])
    assert means.tickets.tolist() == [[2, 1, 0]]


def test_incidents_of_a_file_are_read_and_its_faults_named() -> None:
    found = known.read("title,start,end,topic\nDouble,2026-03-01,2026-03-02,Billing\n", "a.csv")
    assert found[0].where == {"topic": "Billing"}
    assert found[0].end == dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    for text, message in (
        ("title,start\n", "no column 'end'"),
        ("title,start,end,topik\n", "nearest is 'topic'"),
        ("title,start,end\nx,soon,2026-01-01\n", "Line 2 of a.csv has no usable time: 'soon'"),
        ("title,start,end\nx,2026-02-01,2026-01-01\n", "Line 2 of a.csv ends before it begins"),
    ):
        with pytest.raises(Invalid) as error:
            known.read(text, "a.csv")
        assert message in str(error.value)


def test_too_little_history_is_not_judged(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([{"ticket_id": "1", "created_at": "2026-01-05T00:00"}]), mapping=None)
    for made in DEFAULTS.values():
        figures = detectors.figures(made, [])
        assert (figures.firings, figures.precision, figures.recall) == (0, None, None)


def test_simulated_incidents_are_found_with_few_false_alarms() -> None:
    """A shorter history than the benchmark's, with fewer incidents; the whole is `python -m workbench bench detectors`."""
    weeks, false, judged = 60, 0.0, 0.0
    made = simulated.world(5, weeks=weeks, incidents=20)
    found: set[str] = set()
    for name, spec in simulated.WATCH.items():
        figures, span = simulated.watched(made, name, spec)
        found |= {f"{one.known.title} {one.known.start}" for one in figures.matched if one.delay is not None}
        false, judged = false + figures.false, judged + span
    assert len(found) / 20 >= 0.9
    assert false / judged * 30.44 / 7 <= 1
    clean = simulated.world(6, weeks=weeks, incidents=0)
    told = [simulated.watched(clean, name, spec) for name, spec in simulated.WATCH.items()]
    assert sum(figures.firings for figures, _ in told) / sum(span for _, span in told) * 30.44 / 7 <= 1
