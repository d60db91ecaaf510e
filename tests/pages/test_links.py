"""A link is followed to exactly what it names, or the page says what is not there and offers the list."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_approvals_page import linked, told
from tests.pages.test_every_page import opened
from workbench import access, evals, jobs, releases, settings
from workbench.evals import grid


@pytest.mark.parametrize("page", ["releases", "evaluate"])
def test_a_link_to_a_flow_that_is_gone_says_so_and_offers_the_flows(seeded: Path, page: str) -> None:
    app = linked(page, "architect", flow="gone")
    assert "There is no flow gone here." in told(app)
    assert "order-desk v1" not in told(app)
    box = next(one for one in app.selectbox if str(one.key).startswith("flow-instead"))
    box.select("help-answers").run()
    assert [one.message for one in app.exception] == []
    assert app.selectbox(key="flow").value == "help-answers"
    assert "There is no flow" not in told(app)


def test_evaluate_shows_only_experiments_of_the_chosen_flow(seeded: Path) -> None:
    app = linked("evaluate", "architect", flow="help-answers")
    assert "No experiment of help-answers yet" in told(app)
    assert not app.metric
    other = evals.create(access.local("architect"), releases.resolve("help-answers"), "order-desk")
    jobs.run_here(other.job_id)
    app.run()
    box = next(one for one in app.selectbox if one.label == "Experiment")
    assert [str(one)[:12] for one in box.options] == ["help-answers"]
    app.selectbox(key="flow").set_value("order-desk").run()
    box = next(one for one in app.selectbox if one.label == "Experiment")
    assert all(str(one).startswith("order-desk ") for one in box.options)
    assert "There is no" not in told(app)


def test_a_link_to_an_experiment_chooses_its_flow(seeded: Path) -> None:
    other = evals.create(access.local("architect"), releases.resolve("help-answers"), "order-desk")
    jobs.run_here(other.job_id)
    app = linked("evaluate", "architect", experiment=other.id)
    assert app.selectbox(key="flow").value == "help-answers"
    assert "There is no" not in told(app)


def test_a_link_to_an_experiment_that_is_gone_says_so_and_offers_the_list(seeded: Path) -> None:
    app = linked("evaluate", "architect", experiment="exp_0")
    assert "There is no experiment of order-desk exp_0 here." in told(app)
    assert not app.metric
    box = next(one for one in app.selectbox if one.label == "Experiment")
    box.select(box.options[0]).run()
    assert app.metric[0].label == "Pass rate"
    assert "There is no" not in told(app)


def test_a_link_to_a_grid_that_is_gone_says_so(seeded: Path) -> None:
    made = grid.create(access.local("architect"), [grid.Variant(flow="order-desk")], "order-desk", releases.resolve)
    jobs.run_here(grid.grid(made).sides[0].experiment.job_id)
    app = linked("playground", "architect", over="A dataset", grid="grid_0")
    assert "There is no grid grid_0 here." in told(app)
    app = linked("playground", "architect", over="A dataset", grid=made)
    assert "Pass rate" in [one.label for one in app.metric]


def test_a_link_to_a_run_that_is_gone_says_so_below_the_list_without_a_command(seeded: Path) -> None:
    app = linked("runs", "rep", run="run_0")
    assert "There is no run run_0." in app.error[0].value.replace("\\", "")
    assert "Look for it among the runs." in app.error[0].value.replace("\\", "")
    assert len(app.dataframe[0].value) > 10


def test_the_first_release_offers_no_way_back_and_says_why(seeded: Path) -> None:
    app = opened("releases", "architect")
    assert app.button(key="no-way-back-production").disabled
    assert "so there is nothing to go back to" in str(app.button(key="no-way-back-production").help)
    assert not [one for one in app.button if one.key == "rollback-production"]
    assert app.button(key="promote").disabled
    assert "There is nothing to promote" in str(app.button(key="promote").help)
    assert releases.before("order-desk", "production") is None


def test_a_release_that_moved_after_it_was_shown_is_not_rolled_back(seeded: Path) -> None:
    from workbench import flows, prompts

    actor = access.local("architect")
    prompts.save(actor, "order-desk/triage", prompts.get("order-desk/triage").text + "\nBe kind.")
    made = evals.create(actor, releases.resolve("order-desk"), "order-desk")
    jobs.run_here(made.job_id)
    releases.promote(actor, flows.draft("order-desk").name)
    assert releases.before("order-desk", "production") == 1
    app = opened("releases", "architect")
    app.session_state["seen-running-order-desk-production"] = 7
    app.button(key="rollback-production").click().run()
    assert "was changed by somebody else meanwhile" in app.error[0].value.replace("\\", "")
    app = opened("releases", "architect")
    app.button(key="rollback-production").click().run()
    assert "production runs v1 again." in app.success[0].value.replace("\\", "")


def test_home_gives_no_command_line_and_links_to_a_flow_that_is_there(migrated: Path) -> None:
    text = told(opened("home", "architect"))
    assert "python -m" not in text
    assert "Begin a flow on the Flows page" in text


def test_a_role_in_the_address_is_taken_in_whatever_case(seeded: Path) -> None:
    for asked, role in (("manager", "manager"), ("Rep", "rep"), ("chief", "architect")):
        app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
        app.query_params["acting-role"] = asked
        app.run()
        assert app.selectbox(key="acting-role").value == role
