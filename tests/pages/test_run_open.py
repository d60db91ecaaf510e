"""Which run is read: the one in the address beats the selected row, and the first act puts a run into the address."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_approvals_page import linked, told
from tests.pages.test_fork_panel import parameter
from tests.traces.recorded import stored
from workbench import traces


def selected(app: AppTest) -> list[int]:
    """The rows of the list that are selected."""
    return list(app.session_state[str(app.dataframe[0].key)]["selection"]["rows"])


def test_a_link_to_another_run_opens_it_though_a_row_is_selected(seeded: Path) -> None:
    first, second = (one.id for one in traces.find(limit=2))
    app = linked("runs", "rep", run=first)
    app.session_state[str(app.dataframe[0].key)] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.query_params["run"] = second
    app.run()
    assert parameter(app, "run") == second
    assert traces.record(second)["question"] in told(app)
    assert selected(app) == [1]


def test_after_the_first_act_the_address_opens_this_run_though_newer_ones_come(seeded: Path) -> None:
    newest = traces.find(limit=1)[0].id
    app = linked("runs", "rep")
    assert parameter(app, "run") == ""
    stored("A newer one")
    app.button(key=f"replay-{newest}").click().run()
    assert parameter(app, "run") == newest
    assert "Faithful" in " ".join(one.value for one in app.success)
    assert any(newest in one.value and "/runs?run=" in one.value for one in app.code)


def test_other_filters_show_their_newest_run_where_nobody_chose_one(seeded: Path) -> None:
    app = linked("runs", "rep")
    app.button(key=f"replay-{traces.find(limit=1)[0].id}").click().run()
    app.multiselect(key="outcome").set_value(["blocked"]).run()
    blocked = traces.find(outcome="blocked", limit=1)[0].id
    assert app.button(key=f"replay-{blocked}").label == "Replay"
