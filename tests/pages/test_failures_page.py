"""Why runs fail: the page with its shares, the runs behind one, and the rules applied to what is recorded."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages.test_approvals_page import linked
from tests.pages.test_reading_view import FAILING, told
from tests.pages.test_run_list import chips
from tests.traces.recorded import stored
from workbench import jobs
from workbench.access import Actor
from workbench.traces import causes
from workbench.ui.charts import failures as charts
from workbench.ui.session import ROLE


def opened(role: str = "architect") -> AppTest:
    """The page."""
    at = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    at.session_state[ROLE] = role
    at.run()
    at.switch_page(str(ROOT / "pages" / "failures.py")).run()
    assert [one.message for one in at.exception] == []
    return at


def test_the_shares_lead_to_the_runs_behind_them(migrated: Path) -> None:
    bad = stored("Where is 13?", steps=FAILING).run_id
    stored()
    at = opened("rep")
    assert [(one.label, one.value, one.delta) for one in at.metric][:2] == [
        ("Runs with a cause", "50.0 %", "1 of 2, 9 to 91 %"),
        ("Tool error", "50.0 %", "1 of 2, 9 to 91 %"),
    ]
    row = at.dataframe[0].value.iloc[0]
    assert (row["cause"], row["flow"], row["runs"], row["of"]) == ("tool error", "desk", 1, 2)
    address = dict(parse_qsl(urlsplit(row["list"]).query))
    assert (address["run-cause"], address["run-flow"]) == ("tool error", "desk")
    assert "Grey: fewer than 20 runs, which says little." in told(at)
    assert "To change them, act as architect or manager" in told(at)
    at.session_state["shares-flow--1"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert "**Tool error** in desk: A tool failed, or refused what it was asked." in told(at)
    behind = at.dataframe[1].value.iloc[0]
    assert (behind["question"], behind["said by"], behind["run"]) == (
        "Where is 13?",
        "tool-failed (rule)",
        f"/runs?run={bad}",
    )
    listed = linked("runs", "rep", **address)
    assert list(listed.dataframe[0].value["question"]) == ["Where is 13?"]
    assert chips(listed)[:2] == ["flow: desk", "cause of failure: tool error"]


def test_rules_are_applied_to_old_runs_from_the_page(migrated: Path, architect: Actor) -> None:
    bad = stored(steps=FAILING).run_id
    causes.set_rule(architect, "tool-failed", active=False)
    at = opened()
    try:
        at.button(key="apply-rules").click().run()
        for _ in range(100):
            if not causes.of([bad]):
                break
            at.run()
        assert causes.of([bad]) == []
        at.run()
        assert [one.message for one in at.exception] == []
    finally:
        jobs.stop()
    assert "No run here has a cause" in told(opened())


def test_the_axis_of_few_runs_has_whole_numbers_only() -> None:
    rows = [{"day": "2026-11-11", "cause": "policy", "runs": 1}, {"day": "2026-11-11", "cause": "loop", "runs": 1}]
    assert charts.over_time(rows, "day", "#000", "#999").layout.yaxis.dtick == 1
    assert charts.over_time([{**rows[0], "runs": 40}], "day", "#000", "#999").layout.yaxis.dtick is None
