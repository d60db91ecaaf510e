"""Briefs that are sent by themselves: once for each week and destination, signed, on record, and stopped on the page."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlmodel import select

from tests.conftest import Fill
from tests.once import together
from tests.operations.test_notices import ADMIN, allow, route
from tests.pages.test_brief_page import page
from tests.pages.test_signals_pages import words
from tests.runtime.web import Site, reply, saying, site
from workbench import jobs, store
from workbench.access import Actor
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.operations import digest, notices
from workbench.operations.digest import Plan
from workbench.store import tables
from workbench.tickets import weeks

TODAY = store.now().date()
LAST = weeks.week(TODAY - dt.timedelta(days=7))
DUE = dt.datetime.combine(LAST.end + dt.timedelta(days=1), dt.time(8), dt.UTC)


@pytest.fixture
def hook(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A receiver on loopback that is a destination, and sample tickets up to yesterday."""
    fill(count=700, days=60, until=max(LAST.end, TODAY - dt.timedelta(days=1)))
    with site(saying(reply(200, "ok"))) as made:
        allow(monkeypatch, made)
        route(made)
        yield made


def on(every: digest.Every = "week") -> Plan:
    """Briefs every Monday at eight, or every day, turned on long ago."""
    made = digest.turn_on(ADMIN, Plan(every, destinations=("on call",)))
    with store.session() as open_session:
        row = open_session.get(tables.DigestPlan, every)
        assert row is not None
        row.set_at = DUE - dt.timedelta(days=30)
        open_session.add(row)
    return made


def go() -> list[notices.Sent]:
    """Send what is due, as the schedule does."""
    if job_id := notices.due():
        jobs.run_here(job_id)
    return digest.sent()


def test_the_brief_of_last_week_goes_out_once_signed_and_on_record(hook: Site) -> None:
    on()
    assert digest.make(DUE - dt.timedelta(minutes=1)) == 0
    assert [digest.make(DUE + dt.timedelta(minutes=late)) for late in (1, 6, 600)] == [1, 0, 0]
    (sent,) = go()
    assert (sent.state, sent.destination, sent.kind) == ("sent", "on call", "brief")
    (seen,) = hook.seen
    body = json.loads(seen.body)
    assert body["subject"] == f"Support brief: {LAST.said}"
    assert body["link"].endswith(f"/brief?week={LAST.name}")
    assert "THE WEEK IN FIGURES\n- Tickets: " in body["text"]
    assert seen.headers["x-workbench-signature"].startswith("v1=")
    assert [digest.preview(LAST, ["on call"])] == [[("on call", seen.body.decode())]]
    go()
    assert len(hook.seen) == 1


def test_two_workers_at_once_make_one_brief(hook: Site) -> None:
    on()
    made: list[int] = []
    together(3, lambda: made.append(digest.make(DUE)))
    assert sum(made) == 1
    assert [one.state for one in go()] == ["sent"]


def test_after_a_crash_between_sending_and_writing_down_the_key_is_the_same(hook: Site) -> None:
    on()
    digest.make(DUE)
    job_id = notices.due()
    with store.session() as open_session:
        row = open_session.exec(select(tables.Notice)).one()
        row.state, row.tries = "sending", 1
        open_session.add(row)
    jobs.run_here(job_id)
    assert [one.state for one in digest.sent()] == ["sent"]
    assert [one.headers["idempotency-key"] for one in hook.seen] == [f"brief-{LAST.name}-1"]
    with store.session() as open_session:
        row = open_session.exec(select(tables.Notice)).one()
        row.state, row.job_id = "sending", job_id
        made = open_session.get(tables.Destination, "on call")
        assert made is not None
        made.kind = "slack"
        open_session.add_all([row, made])
    jobs.run_here(job_id)
    (unknown,) = digest.sent()
    assert (unknown.state, "perhaps it arrived" in unknown.result) == ("not known", True)
    assert len(hook.seen) == 1


def test_a_full_destination_gets_its_brief_later(hook: Site) -> None:
    on()
    with store.session() as open_session:
        for turn in range(notices.AN_HOUR):
            open_session.add(
                tables.Notice(
                    incident="inc_x", turn=turn, destination="on call", kind="opened", text="x", state="sent",
                    sent_at=store.now() - dt.timedelta(minutes=20),
                )
            )  # fmt: skip
    assert digest.make(DUE) == 1
    assert [one.state for one in go()] == ["waiting"]
    assert hook.seen == []


def test_a_brief_waits_for_the_tickets_of_its_last_day_and_is_dropped_when_it_is_too_late(hook: Site) -> None:
    on("day")
    today = dt.datetime.combine(TODAY + dt.timedelta(days=1), dt.time(8), dt.UTC)
    assert digest.make(today + dt.timedelta(hours=1)) == 0
    yesterday = dt.datetime.combine(TODAY, dt.time(8), dt.UTC)
    assert digest.make(yesterday) == 1
    assert go()[0].text.startswith(f"Support brief: {weeks.single(TODAY - dt.timedelta(days=1)).said}")
    digest.turn_off(ADMIN, "day")
    on()
    assert digest.make(DUE + digest.LATEST + dt.timedelta(hours=1)) == 0


def test_a_destination_that_joins_while_a_brief_waits_for_its_tickets_costs_nobody_that_brief(hook: Site) -> None:
    made = on()
    digest.turn_on(ADMIN, replace(made, destinations=("on call",), hour=made.hour))
    assert digest.make(DUE + dt.timedelta(minutes=30)) == 1
    digest.turn_off(ADMIN, "week")
    digest.turn_on(ADMIN, digest.plan("week"))
    assert digest.plan("week").set_at > DUE


def test_sending_now_twice_needs_a_second_word(hook: Site, manager: Actor, rep: Actor) -> None:
    jobs.run_here(digest.send_now(manager, LAST, ["on call"]))
    with pytest.raises(Invalid, match="went to on call already"):
        digest.send_now(manager, LAST, ["on call"])
    jobs.run_here(digest.send_now(manager, LAST, ["on call"], again=True))
    assert [json.loads(one.body)["id"] for one in hook.seen] == [f"brief-{LAST.name}-1", f"brief-{LAST.name}-2"]
    with store.session() as session:
        session.add_all(
            tables.Notice(incident=f"inc_{n}", turn=1, destination="x", kind="opened", text="") for n in range(301)
        )
    assert [one.turn for one in digest.sent()] == [2, 1]
    with pytest.raises(Refused):
        digest.send_now(rep, LAST, ["on call"])
    with pytest.raises(NotFound):
        digest.turn_on(manager, Plan("week", destinations=("nobody",)))
    digest.turn_on(manager, Plan("week", destinations=("on call",)))
    with pytest.raises(Conflict):
        digest.turn_on(manager, Plan("week", destinations=("on call",)))


def test_it_is_turned_on_after_a_preview_and_stopped_on_the_page(hook: Site) -> None:
    app = page("brief", week=LAST.name)
    assert app.button(key="brief-on").disabled
    app.multiselect(key="brief-to-week-0").set_value(["on call"]).run()
    app.button(key="brief-preview").click().run()
    assert any("THE WEEK IN FIGURES" in one.value for one in app.code)
    app.button(key="brief-on").click().run()
    assert "Every week on Monday at 08:00 UTC to on call; next " in words(app)
    assert digest.plan("week").active
    app.button(key="stop-brief-week").click().run()
    assert "Every week: stopped." in words(app)
    assert not digest.plan("week").active
    assert digest.make(DUE + dt.timedelta(days=7)) == 0
    app.multiselect(key="brief-to-week-2").set_value(["on call"])
    app.checkbox(key="brief-again-0").check().run()
    app.button(key="brief-now").click().run()
    jobs.stop()
    assert f"The brief of {LAST.said} is on its way to on call." in words(app)
    assert not app.checkbox(key="brief-again-1").value
