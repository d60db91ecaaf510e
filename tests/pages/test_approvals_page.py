"""The approvals page through the real app: why a call waits, who may decide, and how many wait."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages.test_every_page import opened, words
from workbench import access, jobs, traces
from workbench.jobs import work
from workbench.traces import approvals
from workbench.ui import show

REFUND = "Please refund $80 for order 1015, it arrived broken"


def held(role: str = "architect") -> tuple[AppTest, approvals.Approval]:
    """A refund that waits, asked for in the chat; the app there, and the approval."""
    app = opened("flows", role)
    app.chat_input(key="message").set_value(REFUND).run()
    traces.flush()
    return app, approvals.find(state="waiting")[0]


def linked(page: str, role: str = "rep", **address: str) -> AppTest:
    """The app on a page, opened by a link."""
    app = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    app.session_state["acting-role"] = role
    app.run()
    for name, value in address.items():
        app.query_params[name] = value
    app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
    assert [one.message for one in app.exception] == []
    return app


def told(app: AppTest) -> str:
    """What stands there as text, marks taken away, warnings too."""
    text = words(app) + " ".join(str(one.value) for one in app.warning)
    return text.replace("\\", "").replace("**", "")


def test_a_decision_shows_the_rule_that_asked_and_what_the_tools_said(seeded: Path) -> None:
    held()
    text = told(opened("approvals", "manager"))
    assert "Refund order needs a person's decision when the amount is above 50; here: amount 80." in text
    assert "From the tools" in text
    assert "status delivered" in text
    assert "total 42.9" in text
    assert REFUND in text


def test_who_may_not_decide_about_an_own_run_sees_why_and_no_button_works(seeded: Path) -> None:
    _, waiting = held()
    app = opened("approvals", "rep")
    assert app.button(key=f"approve-{waiting.id}").disabled
    assert app.button(key=f"reject-{waiting.id}").disabled
    assert "Somebody else must decide: your own run asks for this call." in told(app)
    manager = opened("approvals", "manager")
    assert not manager.button(key=f"approve-{waiting.id}").disabled
    assert "Whoever started the run may not decide about its calls, except as a manager." in told(manager)


def test_a_role_without_the_permission_is_told_who_has_it(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, waiting = held()
    monkeypatch.setitem(access.people.PERMISSIONS, "decide an approval", frozenset({"manager"}))
    app = opened("approvals", "rep")
    assert app.button(key=f"approve-{waiting.id}").disabled
    assert "A rep may not decide about calls. Ask somebody who may act as manager." in told(app)


def test_a_run_that_could_not_go_on_says_why_and_goes_on_by_a_click(seeded: Path, manager: access.Actor) -> None:
    _, waiting = held()
    decided = approvals.decide(manager, waiting.id, approved=True)
    work.end_job(decided.job_id, "failed", "The database was locked.")
    app = linked("approvals", "manager", approval=waiting.id)
    assert [show.plain("The run could not go on: The database was locked.")] == [one.value for one in app.error]
    app.button(key=f"stuck-{waiting.id}").click().run()
    try:
        for _ in range(600):
            if approvals.approval(waiting.id).result_run:
                break
            time.sleep(0.1)
        after = approvals.approval(waiting.id)
        assert (after.state in ("done", "failed"), after.trouble) == (True, "")
        assert traces.run(after.result_run).outcome == "answered"
    finally:
        jobs.stop()


def test_home_and_the_menu_count_what_waits(seeded: Path) -> None:
    assert "for a decision" not in told(opened("home", "rep"))
    held()
    assert "1 call waits for a decision" in told(opened("home", "rep"))
    held()
    assert "2 calls wait for a decision" in told(opened("home", "rep"))


def test_a_link_to_an_approval_that_is_gone_says_so_and_offers_the_list(seeded: Path) -> None:
    assert "There is no approval apr_0 here." in told(linked("approvals", approval="apr_0"))
    _, waiting = held()
    app = linked("approvals", "manager", approval="apr_0")
    assert "There is no approval apr_0 here." in told(app)
    assert not [one for one in app.button if one.key == f"approve-{waiting.id}"]
    box = next(one for one in app.selectbox if one.label == "Call")
    box.select(box.options[0]).run()
    assert app.button(key=f"approve-{waiting.id}")
    assert app.query_params["approval"] in (waiting.id, [waiting.id])
    assert "There is no approval" not in told(app)


def test_moments_are_told_in_the_readers_zone_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    summer = dt.datetime(2001, 7, 3, 22, 30, tzinfo=dt.UTC)
    for zone, said in (("Europe/Paris", "4 Jul 2001, 00:30 CEST"), ("Asia/Riyadh", "4 Jul 2001, 01:30 UTC+03")):
        monkeypatch.setattr(type(st.context), "timezone", zone)
        assert show.when(summer) == said
    monkeypatch.setattr(type(st.context), "timezone", None)
    assert show.when(summer) == "3 Jul 2001, 22:30 UTC"
