from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pandas as pd
import pytest

from tests.tickets.files import ADMIN, stored
from workbench import access
from workbench.errors import Invalid, Refused
from workbench.tickets import trends
from workbench.tickets.columns import ATTRIBUTES, COLUMNS
from workbench.tickets.seed import INCIDENTS, LANGUAGE_SHARES, TOPICS, VENDORS, Incident, generate, seed

UNTIL = dt.date(2026, 10, 31)


@pytest.fixture(scope="module")
def tickets() -> pd.DataFrame:
    return generate(until=UNTIL)


def test_the_same_seed_gives_the_same_tickets_and_another_one_others() -> None:
    first, again, other = (generate(500, 60, number, until=UNTIL) for number in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["created_at"].equals(other["created_at"])


def test_tickets_have_every_column_and_lie_within_their_days(tickets: pd.DataFrame) -> None:
    assert list(tickets.columns) == [*COLUMNS, ATTRIBUTES]
    assert tickets["ticket_id"].is_unique
    assert tickets["created_at"].is_monotonic_increasing
    assert tickets["created_at"].max().date() == UNTIL
    assert tickets["created_at"].min().date() >= UNTIL - dt.timedelta(days=547)
    assert (tickets["csat"].dropna().isin([1, 2, 3, 4, 5])).all()
    assert tickets["sentiment"].between(-1, 1).all()
    assert set(tickets["language"]) == set(LANGUAGE_SHARES)


def test_nothing_is_answered_before_it_was_asked_or_after_the_end(tickets: pd.DataFrame) -> None:
    end = pd.Timestamp(UNTIL) + pd.Timedelta(days=1)
    replied, resolved = tickets["first_response_at"].dropna(), tickets["resolved_at"].dropna()
    assert (replied >= tickets["created_at"][replied.index]).all()
    assert (resolved > tickets["first_response_at"][resolved.index]).all()
    assert max(replied.max(), resolved.max()) < end
    assert 0 < tickets["first_response_at"].isna().mean() < 0.05
    assert set(tickets["status"]) == {"new", "pending", "solved"}


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.name)
def test_an_incident_shows_as_a_spike_with_longer_waits_and_worse_ratings(
    tickets: pd.DataFrame, incident: Incident
) -> None:
    first, last = incident.window(UNTIL)
    ours = tickets[(tickets["topic"] == incident.topic) & (tickets["vendor"] == incident.vendor)]
    day = ours["created_at"].dt.date
    during, usual = ours[(day >= first) & (day <= last)], ours[(day < first) | (day > last)]
    assert len(during) / incident.length > 2.5 * len(usual) / (548 - incident.length)
    waits = [(part["first_response_at"] - part["created_at"]).median() for part in (during, usual)]
    assert waits[0] > 1.5 * waits[1]
    assert during["csat"].mean() < usual["csat"].mean() - 0.5
    assert (during["subtopic"] == incident.subtopic).mean() > 0.5


def test_working_days_are_busier_than_weekends_and_days_than_nights(tickets: pd.DataFrame) -> None:
    per_day = tickets["created_at"].dt.day_of_week.value_counts()
    assert per_day[[5, 6]].max() < per_day[[0, 1, 2, 3, 4]].min()
    assert (tickets["created_at"].dt.hour.between(8, 19)).mean() > 0.6


def test_vendors_differ_in_speed_ratings_and_reopened_tickets(tickets: pd.DataFrame) -> None:
    hours = (tickets["resolved_at"] - tickets["created_at"]).groupby(tickets["vendor"], observed=True).median()
    order = [vendor.name for vendor in sorted(VENDORS, key=lambda vendor: vendor.slowness)]
    assert all(hours[fast] < hours[slow] for fast, slow in pairwise(order))
    rated = tickets.groupby("vendor", observed=True)["csat"].mean()
    assert rated["Brightline"] > rated["Northwind"] > rated["Calder"]


def test_waiting_long_costs_rating(tickets: pd.DataFrame) -> None:
    email = tickets[tickets["channel"] == "email"]
    wait = email["first_response_at"] - email["created_at"]
    quick, slow = wait.quantile(0.25), wait.quantile(0.75)
    assert email["csat"][wait < quick].mean() > email["csat"][wait > slow].mean() + 0.2


def test_topics_grow_and_shrink_as_they_are_told(tickets: pd.DataFrame) -> None:
    half = tickets["created_at"].iloc[25_000]
    for topic in TOPICS:
        if topic.growth >= 1.5:
            ours = tickets[tickets["topic"] == topic.name]["created_at"]
            assert (ours >= half).mean() > 0.5


@pytest.mark.usefixtures("home")
def test_seeding_publishes_sample_data_and_tells_its_progress() -> None:
    steps: list[tuple[str, float]] = []
    assert seed(ADMIN, count=200, days=20, until=UNTIL, progress=lambda what, share: steps.append((what, share))) == 200
    assert trends.freshness().source == "sample data"
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert steps[-1] == ("200 sample tickets", 1.0)
    first = stored()
    seed(ADMIN, count=200, days=20, until=UNTIL)
    pd.testing.assert_frame_equal(stored(), first)
    assert access.audit.newest()[0].verb == "seed"


@pytest.mark.usefixtures("home")
def test_seeding_is_for_admins_and_needs_at_least_one_ticket() -> None:
    with pytest.raises(Refused):
        seed(access.Actor("mia", "manager"))
    with pytest.raises(Invalid):
        seed(ADMIN, count=0)


@pytest.mark.parametrize(("count", "days"), [(1, 1), (5, 3), (40, 2)])
def test_very_few_tickets_and_days_work_too(count: int, days: int) -> None:
    assert len(generate(count, days, until=UNTIL)) == count
