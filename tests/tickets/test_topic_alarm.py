"""A topic found in tickets' words that grows is told of by an ordinary detector, whatever people call the topic."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tickets.files import ADMIN, MakeCsv
from workbench import jobs
from workbench.tickets import defaults, detectors, discover, load, signals, topic_figures, topics, watch
from workbench.tickets.detectors import Detector

FIRST, LAST = dt.date(2026, 1, 1), dt.date(2026, 3, 31)
SAYS = {
    "parcel": (
        "The courier lost my parcel",
        "Parcel missing, courier silent",
        "Courier says parcel delivered, no parcel",
    ),
    "login": ("Password reset link expired", "Login refused after password reset", "Reset mail for my login missing"),
    "drone": ("Drone propeller cracked", "Drone drifts, propeller guard broke", "Propeller of the drone missing"),
    "table": ("Oak table scratched", "A leg of the oak table wobbles", "Scratched leg on my table"),
    "invoice": ("Invoice shows wrong VAT", "VAT number missing on invoice", "Please correct the invoice VAT"),
}


def rows() -> Iterator[dict[str, str]]:
    """Five tickets a day of each kind, and in the last week eight more about parcels each day."""
    for day in range((LAST - FIRST).days + 1):
        date = FIRST + dt.timedelta(days=day)
        grown = 8 if date > LAST - dt.timedelta(days=7) else 0
        for kind, words in SAYS.items():
            for n in range(5 + grown * (kind == "parcel")):
                yield {
                    "ticket_id": f"{kind}-{day}-{n}",
                    "created_at": f"{date}T{n % 24:02}:{(7 * n) % 60:02}:00Z",
                    "subject": words[n % 3],
                    "body": f"{words[(n + 1) % 3]}. {words[(n + day) % 3]}.",
                }


@pytest.fixture
def parcels(home: Path, make_csv: MakeCsv) -> topics.Topic:
    """The topic of parcels, found in the tickets."""
    load(ADMIN, make_csv(list(rows())), mapping=None)
    assert jobs.run_here(discover.start(ADMIN, len(SAYS))).state == "done"
    return next(one for one in topics.tree() if "parcel" in one.name.casefold())


def live(spec: Detector) -> None:
    made = detectors.save(ADMIN, spec)
    detectors.backtest(ADMIN, made.name, [], labels="nothing")
    since = dt.datetime.combine(LAST - dt.timedelta(days=10), dt.time(), dt.UTC)
    detectors.go_live(ADMIN, made.name, changes=made.changes, since=since)


def test_a_known_topic_that_grows_opens_an_incident_also_after_it_got_another_name(parcels: topics.Topic) -> None:
    spec = defaults.of_topic(parcels.name)
    assert spec.where == {"found_topic": (parcels.name,)}
    live(spec)
    topics.rename(ADMIN, parcels.number, "Lost parcels")
    assert topic_figures.watched() == {"Lost parcels": spec.detector}
    watch.run(ADMIN)
    (found,) = signals.incidents()
    assert found.started_at.date() >= LAST - dt.timedelta(days=14)
    assert signals.narrowed(found) == {"found_topic": ["Lost parcels"]}
    assert len(found.evidence["tickets"]) > 0


def test_a_detector_for_each_topic_found_tells_of_the_one_that_grows_and_of_no_other(parcels: topics.Topic) -> None:
    spec = defaults.DEFAULTS[defaults.OF_A_TOPIC].model_copy(update={"by": "found_topic"})
    groups = {one.group for one in detectors.judge(spec).episodes}
    assert groups == {parcels.name}


def test_a_detector_follows_its_topic_into_another_and_under_another(parcels: topics.Topic) -> None:
    other = next(one for one in topics.tree() if one.number != parcels.number)
    topics.move(ADMIN, parcels.number, other.number)
    assert topics.followed({"found_topic": [parcels.name]}) == {"found_subtopic": (parcels.name,)}
    topics.undo(ADMIN)
    topics.merge(ADMIN, parcels.number, other.number)
    assert topics.followed({"found_topic": [parcels.name], "vendor": ["A"]}) == {
        "found_topic": (other.name,),
        "vendor": ("A",),
    }
    assert topics.followed({"found_topic": ["Never there"]}) == {"found_topic": ("Never there",)}
