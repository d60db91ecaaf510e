"""The watch and its incidents: told once, by whoever looks; late tickets open a window again; people bring it to an end."""

from __future__ import annotations

import datetime as dt
import functools
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from sqlmodel import func, select

from tests.conftest import ROOT
from tests.tickets.files import ADMIN
from workbench import store
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.store import tables
from workbench.tickets import detectors, history, signals, watch
from workbench.tickets import seed as samples
from workbench.tickets.detectors import Detector
from workbench.tickets.load import put_frames
from workbench.tickets.signals import Incident

UNTIL = dt.date(2026, 3, 31)
RUSH = Detector(
    detector="rush",
    where={"topic": ("Billing",)},
    by="topic",
    window=6,
    slide=2,
    weeks=4,
    minimum=8,
    cooldown=24,
    area="Payments",
    lateness=12,
    escalate=0,
)
MINUTES = pd.Timedelta(minutes=3)


@functools.cache
def calm(until: dt.date) -> pd.DataFrame:
    """Sample tickets of 70 days; nobody changes them."""
    frame = samples.generate(2800, 70, 7, until=until)
    return frame[frame["created_at"] <= pd.Timestamp("2026-03-31 23:00")]


def put(extra: int = 0, *, at: str = "2026-03-30 08:00", until: dt.date = UNTIL, topic: str = "Billing") -> None:
    """Sample tickets of 70 days, with `extra` ones of a topic that begin at a moment, one every three minutes."""
    frame = calm(until)
    more = frame.head(extra).copy()
    more["ticket_id"] = [f"X{n}" for n in range(extra)]
    more["created_at"] = [pd.Timestamp(at) + MINUTES * n for n in range(extra)]
    more["topic"], more["subject"] = topic, "Charged twice, mail me at jo.smith@example.com"
    every = pd.concat([frame, more], ignore_index=True)
    put_frames(ADMIN, iter([every]), source="test", verb="load tickets", progress=lambda _rows: None)


def live(spec: Detector = RUSH, since: str = "2026-03-29") -> None:
    """The detector, live since a day."""
    made = detectors.save(ADMIN, spec)
    detectors.backtest(ADMIN, spec.detector, [], labels="nothing")
    moment = dt.datetime.fromisoformat(since).replace(tzinfo=dt.UTC)
    detectors.go_live(ADMIN, spec.detector, changes=made.changes, since=moment)


def opened() -> Incident:
    """The one incident, found by a watch."""
    put(60)
    live()
    watch.run(ADMIN)
    (found,) = signals.incidents()
    return found


def test_firings_with_one_key_are_one_incident_that_says_why(home: Path) -> None:
    found = opened()
    assert (found.title, found.state, found.area, found.label) == ("rush: Billing", "open", "Payments", "Billing")
    assert found.signals >= 2
    assert found.evidence["say"].startswith("Tickets: usually ")
    assert "X59" in found.evidence["tickets"]
    assert any("mail me at [email" in quote["text"] for quote in found.evidence["quotes"])
    assert "jo.smith" not in str(found.evidence)
    assert found.started_at <= dt.datetime(2026, 3, 30, 9, tzinfo=dt.UTC) <= found.last_seen


def test_looking_again_tells_nothing_again(home: Path) -> None:
    found = opened()
    again = watch.run(ADMIN)
    assert (again.windows, again.again, again.firings, again.incidents) == (0, 0, 0, ())
    assert signals.incident(found.id) == found


def test_two_workers_at_once_judge_each_window_once(database: str) -> None:
    put(60)
    live()
    done: list[watch.Watched] = []
    workers = [threading.Thread(target=lambda: done.append(watch.run(ADMIN))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with store.session() as open_session:
        windows = open_session.exec(select(func.count()).select_from(tables.DetectorWindow)).one()
        told = open_session.exec(select(func.count()).select_from(tables.SignalRow)).one()
    assert sum(one.windows for one in done) == windows
    assert sum(one.firings for one in done) == told
    assert len(signals.incidents()) == 1
    assert audit.verify().intact


def test_a_killed_watch_leaves_nothing_half_done(home: Path) -> None:
    put(60)
    live()
    program = (
        "import os; from workbench.tickets import signals, watch; from workbench.access import Actor\n"
        "real = signals.take_in\n"
        "def die(*given, **named):\n    real(*given, **named)\n    os._exit(9)\n"
        "signals.take_in = die\nwatch.run(Actor('w', 'admin'))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 9
    assert signals.incidents() == []
    done = watch.run(ADMIN)
    assert (done.firings > 0, len(done.incidents)) == (True, 1)


def test_late_tickets_within_the_allowance_open_a_window_again(home: Path) -> None:
    put()
    live()
    assert watch.run(ADMIN).firings == 0
    put(60, at="2026-03-31 17:00")
    late = watch.run(ADMIN)
    assert (late.windows, late.again > 0, len(late.incidents)) == (0, True, 1)


def test_tickets_that_come_later_than_that_change_nothing(home: Path) -> None:
    put()
    live()
    watch.run(ADMIN)
    put(60, at="2026-03-30 08:00")
    assert watch.run(ADMIN).again == 0
    assert signals.incidents() == []


def test_silence_is_told_once_where_the_rule_asks_for_it(home: Path) -> None:
    put()
    live(RUSH.model_copy(update={"no_data": 24}))
    watch.run(ADMIN)
    watch.run(ADMIN)
    (found,) = signals.incidents()
    assert (found.label, found.signals) == (watch.SILENCE, 1)
    assert "perhaps the feed of tickets has stopped" in found.evidence["say"]


def test_an_incident_is_taken_on_assigned_and_fixed_with_its_story(home: Path, rep: Actor) -> None:
    found = opened()
    found = signals.acknowledge(rep, found.id, changes=found.changes)
    assert (found.state, found.owner, found.verdict) == ("acknowledged", "rui", "real")
    found = signals.assign(rep, found.id, "billing team", changes=found.changes)
    signals.note(rep, found.id, "The bank says it is theirs.")
    with pytest.raises(Conflict):
        signals.fix(rep, found.id, "too late", changes=found.changes)
    found = signals.incident(found.id)
    with pytest.raises(Invalid, match="Say what mended it"):
        signals.fix(rep, found.id, " ", changes=found.changes)
    found = signals.fix(rep, found.id, "release order-desk v4", changes=found.changes)
    assert (found.state, found.fix, found.turn) == ("fixed", "release order-desk v4", 2)
    kinds = [event.kind for event in signals.story(found.id)]
    assert kinds == ["opened", "acknowledged", "assigned", "note", "fixed"]
    assert signals.times("acknowledged", [found]).count == 1
    assert [one.title for one in signals.known()] == ["rush: Billing"]


def test_what_comes_back_after_it_was_fixed_opens_again(home: Path) -> None:
    found = opened()
    signals.fix(ADMIN, found.id, "a restart", changes=found.changes)
    put(60, at="2026-03-31 14:00")
    with store.session() as open_session:
        for row in open_session.exec(select(tables.DetectorWindow)).all():
            open_session.delete(row)
    watch.run(ADMIN)
    (again,) = signals.incidents()
    assert (again.id, again.state, again.reopened, again.turn) == (found.id, "open", 1, 3)


def test_a_dismissed_incident_stays_away_and_counts_as_false(home: Path) -> None:
    found = opened()
    signals.dismiss(ADMIN, found.id, "a mailing", changes=found.changes)
    assert signals.known() == []
    found = signals.incident(found.id)
    back = signals.reopen(ADMIN, found.id, changes=found.changes)
    assert (back.state, back.verdict) == ("open", "")
    kept = detectors.backtest(ADMIN, "rush", signals.known(), labels="own")
    assert (kept.figures["right"], kept.figures["known"]) == (0, 0)


def test_nobody_on_it_in_time_is_told_again_once(home: Path) -> None:
    put(60)
    live(RUSH.model_copy(update={"escalate": 4}))
    watch.run(ADMIN)
    assert signals.escalate(store.now() + dt.timedelta(hours=3)) == 0
    assert signals.escalate(store.now() + dt.timedelta(hours=5)) == 1
    assert signals.escalate(store.now() + dt.timedelta(hours=6)) == 0
    assert signals.story(signals.incidents()[0].id)[-1].text == "nobody acknowledged it within 4 hours"


def test_only_a_live_detector_runs_and_a_rep_may_not_run_it(home: Path, rep: Actor) -> None:
    put()
    detectors.save(ADMIN, RUSH)
    assert watch.run(ADMIN).detectors == 0
    with pytest.raises(NotFound, match="no live detector 'rush'"):
        watch.run(ADMIN, names=["rush"])
    with pytest.raises(Refused):
        watch.run(rep)
    live_again = detectors.detector("rush")
    detectors.backtest(ADMIN, "rush", [], labels="nothing")
    detectors.go_live(ADMIN, "rush", changes=live_again.changes)
    assert history.newest() == detectors.detector("rush").live_from
    detectors.pause(ADMIN, "rush", changes=2)
    assert watch.tick() is None
