"""The list of runs: a wish in plain English, filters by address, counts that narrow, pages, and the file."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_approvals_page import linked, told
from tests.pages.test_every_page import opened
from workbench import traces
from workbench.access import Actor
from workbench.ui import run_list


def chips(app: AppTest) -> list[str]:
    """The filters that are on, in words."""
    return [one.label.replace("\\", "") for one in app.button if str(one.key).startswith("chip-")]


def test_a_wish_is_shown_before_it_filters_and_says_what_it_did_not_understand(seeded: Path) -> None:
    traces.flag(Actor("ana", "rep"), traces.find(outcome="blocked")[0].id, "look")
    app = opened("runs", "rep")
    app.text_input(key="run-wish").set_value("purple blocked runs flagged by Ana").run()
    assert "Not understood: “purple”." in told(app)
    assert chips(app) == []
    app.button(key="apply-wish").click().run()
    assert [one.message for one in app.exception] == []
    assert chips(app) == ["outcome: blocked", "flagged by: ana"]
    assert "1 run fits." in told(app)
    assert app.multiselect(key="outcome").value == ["blocked"]
    next(one for one in app.button if str(one.key).startswith("chip-0-outcome")).click().run()
    assert chips(app) == ["flagged by: ana"]
    app.button(key="clear").click().run()
    assert chips(app) == []


def test_counts_stand_beside_the_list_and_a_click_narrows_it(seeded: Path) -> None:
    app = opened("runs", "rep")
    blocked = len(traces.find(outcome="blocked", limit=500))
    box = next(one for one in app.button if str(one.key).endswith("-blocked"))
    assert box.label == f"blocked · {blocked}"
    box.click().run()
    assert chips(app) == ["outcome: blocked"]
    assert set(app.dataframe[0].value["outcome"]) == {"blocked"}
    assert f"{blocked} runs fit" in told(app)


def test_a_link_opens_the_same_filters_page_and_run(seeded: Path) -> None:
    limit, run_list.LIMIT = run_list.LIMIT, 5
    try:
        app = linked("runs", "rep", **{"run-source": "sample"})
        app.button(key="older-page").click().run()
        older = app.query_params["older"]
        shown = list(app.dataframe[0].value["question"])
        again = linked("runs", "rep", **{"run-source": "sample", "older": older})
        assert list(again.dataframe[0].value["question"]) == shown
        assert chips(again) == ["source: sample"]
        again.button(key="newer-page").click().run()
        assert not again.button(key="older-page").disabled
        assert again.button(key="newer-page").disabled
        again.text_input(key="words").set_value("refund").run()
        assert "newer" not in again.query_params
    finally:
        run_list.LIMIT = limit


def test_where_no_run_fits_the_way_back_is_offered(seeded: Path) -> None:
    app = linked("runs", "rep", words="zzzz")
    assert "No runs fit" in told(app)
    app.button(key="clear-empty").click().run()
    assert len(app.dataframe[0].value) > 10


def test_a_view_is_saved_opened_deleted_and_taken_back(seeded: Path) -> None:
    app = linked("runs", "rep", outcome="blocked")
    app.button(key="save-view-runs").click().run()
    assert any("A view needs a name" in one.value for one in app.error)
    app.checkbox(key="view-shared-runs").check()
    app.text_input(key="view-name-runs").set_value("Refusals")  # the click itself ends the typing
    app.button(key="save-view-runs").click().run()
    assert not app.checkbox(key="view-shared-runs").value, "the next view is one's own again"
    app.button(key="clear").click().run()
    next(one for one in app.button if one.label == "Refusals").click().run()
    assert chips(app) == ["outcome: blocked"]
    next(one for one in app.button if str(one.key).startswith("delete-view_")).click().run()
    assert "Refusals" not in [one.label for one in app.button]
    app.button(key="undo-view-runs").click().run()
    assert "Refusals" in [one.label for one in app.button]


def test_a_customers_address_is_not_put_into_the_address_of_the_page(seeded: Path) -> None:
    app = opened("runs", "rep")
    app.text_input(key="customer-typed").set_value("ana@example.com").run()
    known = app.query_params["run-customer"]
    assert "ana@example.com" not in known
    assert chips(app) == [f"customer: {known}"]


def test_a_cell_of_the_file_is_never_a_formula(seeded: Path) -> None:
    from workbench.traces.filters import Filters

    lines = run_list._csv(Filters(outcome=("blocked",))).splitlines()
    assert lines[0].startswith("id,flow,version,source,conversation,started_at")
    assert len(lines) == 1 + len(traces.find(outcome="blocked", limit=500))
    assert run_list._cell("=1+1") == "'=1+1"
