"""Backtests on the Evaluate page, through the real app: what they will take, what became of each run."""

from __future__ import annotations

import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_every_page import opened, words
from workbench import flows, jobs
from workbench.access import Actor
from workbench.evals import backtests
from workbench.runtime import spec


def on_recorded_runs(role: str = "architect") -> AppTest:
    """The Evaluate page, on recorded runs."""
    app = opened("evaluate", role)
    app.segmented_control(key="over").set_value("Recorded runs").run()
    assert [one.message for one in app.exception] == []
    return app


def ended(flow: str = "order-desk") -> backtests.Report:
    """The newest backtest of a flow, once it has ended."""
    for _ in range(600):
        found = backtests.report(backtests.backtests(flow)[0].id)
        if found.state in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.1)
    raise AssertionError("the backtest did not end")


def test_before_the_first_backtest_the_page_says_what_one_does_and_takes(seeded: Path) -> None:
    app = on_recorded_runs()
    assert "No backtest of order-desk yet" in words(app)
    assert "recorded runs. When recorded, they took" in words(app)


def test_a_candidate_that_stops_early_is_told_worst_first_with_the_two_runs_side_by_side(
    seeded: Path, architect: Actor
) -> None:
    draft = flows.draft("order-desk")
    flows.save(architect, spec.parse({**spec.plain(draft.spec), "limits": {"turns": 1}}), base=draft.version)
    app = on_recorded_runs()
    app.number_input(key="backtest-days").set_value(3650).run()
    app.number_input(key="backtest-most").set_value(12).run()
    try:
        app.button(key="run-backtest").click().run()
        found = ended()
        assert (found.state, found.done) == ("done", 12)
        app.run()
    finally:
        jobs.stop()
    assert app.metric[0].label == "Worse"
    assert app.metric[0].value == f"{found.shares['worse'].passed} of 12"
    rows = app.dataframe[0].value
    assert rows["verdict"][0] == "worse"
    first = found.pairs[0]
    assert rows["side by side"][0] == f"/runs?run={first.run_id}&compare={first.new_run_id}"
    assert "limit instead of" in rows["why"][0]


def test_a_role_that_may_not_is_told_and_nothing_is_begun(seeded: Path) -> None:
    app = on_recorded_runs("rep")
    app.number_input(key="backtest-days").set_value(3650).run()
    app.button(key="run-backtest").click().run()
    assert "may not" in " ".join(str(one.value) for one in [*app.error, *app.warning])
    assert backtests.backtests() == []
