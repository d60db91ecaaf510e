"""Opportunities: volume and hours as pandas counts them, success as runs showed it, and nothing said without a run."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pages.test_brief_page import page
from tests.pages.test_signals_pages import words
from tests.tickets.files import ADMIN, stored
from workbench import datasets, store
from workbench.access import Actor
from workbench.cli.tickets import app as command
from workbench.errors import Invalid, Refused
from workbench.operations import from_tickets
from workbench.store import tables
from workbench.tickets import opportunities, trends
from workbench.tickets import seed as samples
from workbench.tickets.load import put_frames

UNTIL = dt.date(2026, 3, 31)
KNOWN = {"Billing": ("answered", "answered", "escalated"), "Delivery": ("answered",) * 9}


def put(*, told: bool = False) -> None:
    """Sample tickets of 90 days; runs answered twelve in the chat, one of which was opened again."""
    frame = samples.generate(2500, 90, 7, until=UNTIL).copy()
    frame["run_id"] = frame["run_id"].astype("object")
    with store.session() as open_session:
        for topic, outcomes in KNOWN.items():
            places = frame.index[(frame["topic"] == topic) & (frame["channel"] == "chat")]
            for place, outcome in zip(places, outcomes, strict=False):
                name = f"run-{topic}-{place}"
                frame.loc[place, "run_id"] = name
                frame.loc[place, "reopened"] = outcome == "answered" and place == places[0] and topic == "Delivery"
                open_session.add(_run(name, outcome))
    if told:
        frame["attributes"] = [
            json.dumps({"handling_minutes": 6, "customer_id": f"c{n % 40}"}) for n in range(len(frame))
        ]
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)


def _run(name: str, outcome: str) -> tables.Run:
    return tables.Run(
        id=name, flow="desk", version="v1", digest="", source="app", conversation=name, started_at=store.now(), seconds=1.0,
        outcome=outcome, agent="", question="", reply="", model="",
    )  # fmt: skip


def test_volume_hours_and_success_are_what_pandas_counts(migrated: Path) -> None:
    put()
    found = opportunities.opportunities()
    frame = stored()
    sizes = frame.groupby(["topic", "channel"]).size()
    assert {tuple(one.where.values()): one.tickets for one in found.kinds} == sizes[sizes >= 20].to_dict()
    delivery = next(one for one in found.kinds if one.name == "Delivery, chat")
    assert delivery.a_month == pytest.approx(sizes["Delivery", "chat"] * 30 / 90)
    assert delivery.hours == pytest.approx((sizes["Delivery", "chat"] - 8) * 30 / 90 * 12 / 60)
    assert (delivery.runs, delivery.solved) == (9, 8)
    mean = (10 + 1) / (12 + 2)
    assert delivery.success is not None
    assert delivery.success.value == pytest.approx((8 + 8 * mean) / (9 + 8))
    assert delivery.saved is not None
    left = (sizes["Delivery", "chat"] - 9) * 30 / 90 * 12 / 60
    assert delivery.saved.value == pytest.approx(left * delivery.success.value)
    assert "8 of 9 runs" in opportunities.say_success(delivery)


def test_where_no_run_was_made_nothing_is_said_about_success_and_it_comes_last(migrated: Path) -> None:
    put()
    found = opportunities.opportunities()
    tried = [one.success is not None for one in found.kinds]
    assert tried == sorted(tried, reverse=True)
    assert sum(tried) == 2
    untried = found.kinds[-1]
    assert (opportunities.say_success(untried), opportunities.say_saved(untried)) == ("not tried", "not known")
    assert untried.repeated is None
    assert not untried.measured


def test_tickets_that_bear_no_name_of_a_kind_make_none(migrated: Path) -> None:
    frame = samples.generate(300, 30, 7, until=UNTIL).copy()
    frame[["topic", "channel"]] = None
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)
    assert opportunities.opportunities().kinds == ()
    assert "tickets without any of these names make none" in words(page("opportunities"))


def test_work_and_customers_that_the_file_tells_are_used(migrated: Path) -> None:
    put(told=True)
    (one, *_) = opportunities.opportunities(by="subtopic", minutes=99).kinds
    assert (one.minutes, one.measured) == (6.0, True)
    assert list(one.where) == ["topic", "subtopic", "product"]
    assert one.repeated is not None
    assert 0 < one.repeated <= 1
    with pytest.raises(Invalid, match="more than 0 minutes"):
        opportunities.opportunities(minutes=0)


@settings(max_examples=40, deadline=None)
@given(runs=st.integers(1, 60), data=st.data())
def test_the_interval_holds_the_estimate_and_narrows_with_runs(runs: int, data: st.DataObject) -> None:
    solved = data.draw(st.integers(0, runs))
    one = opportunities.likely(solved, runs, (5.0, 3.0))
    more = opportunities.likely(10 * solved, 10 * runs, (5.0, 3.0))
    assert one is not None
    assert more is not None
    assert 0 <= one.low < one.value < one.high <= 1
    assert more.high - more.low < one.high - one.low


def test_the_interval_is_that_of_the_beta_distribution() -> None:
    one = opportunities.likely(7, 10, (5.0, 3.0))
    drawn = np.random.default_rng(5).beta(12, 6, 400_000)
    assert one is not None
    assert [one.value, one.low, one.high] == pytest.approx([12 / 18, *np.quantile(drawn, [0.025, 0.975])], abs=0.003)


def test_the_page_leads_to_the_tickets_and_makes_cases_of_them(migrated: Path, rep: Actor, manager: Actor) -> None:
    put()
    app = page("opportunities")
    assert "2 of them were tried (10 of 12 runs solved theirs)" in words(app)
    assert "The work is your assumption of 12 minutes a ticket" in words(app)
    table = app.dataframe[0].value
    assert table["success"].tolist().count("not tried") == len(table) - 2
    links = [one.proto.query_string for one in app.get("page_link")]
    assert any("topic=Delivery" in one and "channel=chat" in one for one in links)
    filters = trends.Filters(where={"topic": ["Delivery"], "channel": ["chat"]})
    assert from_tickets.cases(rep, filters, "delivery-chat", most=5) == 5
    assert from_tickets.cases(rep, filters, "delivery-chat", most=5) == 0
    assert all(case.id.startswith("ticket-T") for case in datasets.cases("delivery-chat"))
    with pytest.raises(Refused):
        from_tickets.cases(manager, filters, "delivery-chat")


def test_making_cases_again_keeps_what_a_person_said_of_them(migrated: Path, rep: Actor) -> None:
    put()
    filters = trends.Filters(where={"topic": ["Delivery"], "channel": ["chat"]})
    from_tickets.cases(rep, filters, "delivery-chat", most=5)
    mine = datasets.cases("delivery-chat")[0].model_copy(update={"expected": datasets.Expected(outcome="answered")})
    datasets.put(rep, "delivery-chat", [mine])
    assert from_tickets.cases(rep, filters, "delivery-chat", most=6) == 1
    kept = next(case for case in datasets.cases("delivery-chat") if case.id == mine.id)
    assert kept.expected.outcome == "answered"


def test_minutes_that_cannot_be_are_not_counted_as_told(migrated: Path) -> None:
    frame = samples.generate(600, 30, 7, until=UNTIL).copy()
    told = ["nan", "inf", "-5", "1e300", "6"]
    frame["attributes"] = [json.dumps({"handling_minutes": told[n % 5]}) for n in range(len(frame))]
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)
    found = opportunities.opportunities()
    assert {one.minutes for one in found.kinds} == {opportunities.MINUTES}
    assert not any(one.measured for one in found.kinds)


def test_a_row_that_is_no_longer_there_after_a_shorter_period_is_not_chosen(migrated: Path) -> None:
    put()
    app = page("opportunities")
    rows = len(app.dataframe[0].value)
    key = "chances" + app.dataframe[0].proto.id.partition("chances")[2]
    app.session_state[key] = {"selection": {"rows": [rows - 1], "columns": [], "cells": []}}
    app.run()
    app.segmented_control(key="period").set_value("30 days").run()
    assert len(app.dataframe[0].value) < rows
    assert "Next step" in words(app)


def test_the_commands_print_one_document_each(migrated: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    put()
    done = CliRunner().invoke(command, ["opportunities", "--days", "90", "--json"])
    assert json.loads(done.stdout)["kinds"][0]["where"] == {"topic": "Delivery", "channel": "chat"}
    file = tmp_path / "brief.md"
    done = CliRunner().invoke(command, ["brief", "--week", "2026-W13", "--markdown", str(file), "--json"])
    body = json.loads(done.stdout)
    assert body["brief"]["period"]["name"] == "2026-W13"
    assert file.read_text().startswith("# Support brief: Week 13, 23 Mar to 29 Mar 2026")
    wrong = CliRunner().invoke(command, ["brief", "--week", "soon"])
    assert wrong.exit_code != 0
