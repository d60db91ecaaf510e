"""The Detectors and Signals pages as people drive them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_every_page import opened as opened_page
from tests.tickets.test_signals import opened, put
from workbench import settings, store
from workbench.datasets import labelling
from workbench.store import tables
from workbench.tickets import detectors, signals

PAGES = settings.ROOT / "pages"


def page(name: str, role: str = "architect", **address: str) -> AppTest:
    """The real app on a page, with what its address names."""
    app = opened_page("home", role)
    for key, value in address.items():
        app.query_params[key] = value
    return app.switch_page(str(PAGES / f"{name}.py"))


def words(shown: AppTest) -> str:
    assert not shown.exception
    elements = [
        *shown.subheader,
        *shown.markdown,
        *shown.caption,
        *shown.info,
        *shown.warning,
        *shown.error,
        *shown.success,
    ]
    return "\n".join(str(one.value) for one in elements).replace("\\", "")


def button(shown: AppTest, label: str) -> AppTest:
    return next(one for one in shown.button if one.label == label).click().run()


def test_without_tickets_both_pages_say_the_next_step(migrated: Path) -> None:
    assert "There are no tickets yet" in words(page("detectors").run())
    assert "Nothing is watched yet" in words(page("signals").run())


def test_a_knob_changes_the_figures_at_once_and_nothing_is_kept(migrated: Path) -> None:
    put(60)
    shown = page("detectors").run()
    assert "No detector yet" in words(shown)
    shown.text_input(key="new-sudden-rise-name").set_value("rush").run()
    before = {one.label: one.value for one in shown.metric}["Would have told"]
    shown.slider(key="new-sudden-rise-threshold").set_value(2.0).run()
    after = {one.label: one.value for one in shown.metric}["Would have told"]
    assert int(after.split()[0]) > int(before.split()[0])
    assert "2 times the usual ups and downs" in words(shown)
    assert detectors.detectors() == []


def test_save_backtest_go_live_in_that_order(migrated: Path) -> None:
    put(60)
    shown = page("detectors").run()
    shown.text_input(key="new-sudden-rise-name").set_value("rush").run()
    shown.button(key="save-detector").click().run()
    assert "Version 1 can go live after a backtest." in words(shown)
    assert shown.button(key="go-live").disabled
    shown.button(key="backtest-detector").click().run()
    assert "Version 1 is backtested and can go live." in words(shown)
    shown.button(key="go-live").click().run()
    assert "Version 1 is live." in words(shown)
    assert detectors.detector("rush").live == 1
    shown.button(key="pause-detector").click().run()
    assert detectors.detector("rush").live is None


def test_an_incident_reads_in_words_and_is_taken_on(migrated: Path) -> None:
    found = opened()
    shown = page("signals", "rep", incident=found.id)
    text = words(shown.run())
    assert "rush: Billing" in text
    assert "Tickets: usually" in text
    assert "mail me at [email" in text
    assert "jo.smith@" not in text
    assert {one.label: one.value for one in shown.metric}["At work"] == "1"
    button(shown, "Acknowledge")
    assert signals.incident(found.id).state == "acknowledged"
    assert "**acknowledged**" in words(shown)
    next(one for one in shown.text_input if one.label == "Title").set_value("Old outage")
    [one for one in shown.button if one.label == "Write it down"][-1].click().run()
    assert "Written down by a person." in words(shown)
    assert shown.query_params["incident"] != [found.id]


def test_a_destination_is_made_and_refused_on_the_page(migrated: Path) -> None:
    shown = page("signals", "manager", view="Where notices go")
    assert "Nobody is told yet" in words(shown.run())
    shown.text_input[0].set_value("pager")
    shown.text_input[1].set_value("http://169.254.169.254/")
    shown.text_input[2].set_value("page_key")
    button(shown, "Save destination")
    assert "a cloud metadata address; tools do not reach those" in words(shown)
    shown.text_input[1].set_value("https://page.example/hook")
    button(shown, "Save destination")
    assert "pager: Webhook, signed to https" in words(shown).replace("\u2060", "")


def test_the_sample_workspace_has_signals_to_look_at(seeded: Path) -> None:
    shown = page("signals").run()
    text = words(shown)
    assert "slow rise: Delivery" in text or "low ratings: Northwind" in text
    assert "usually" in text
    listed = page("detectors").run()
    assert {one.label: one.value for one in listed.metric}["Would have told"].endswith(("once", "times"))
    assert [one.live for one in detectors.detectors()] == [1, 1]


def test_the_runs_behind_an_incident_go_into_a_labelling_queue(seeded: Path) -> None:
    from workbench import traces

    found = next(one for one in signals.incidents() if one.evidence["tickets"])
    runs = [one.id for one in traces.find(limit=3)]
    with store.session() as open_session:
        row = open_session.get(tables.IncidentRow, found.id)
        assert row is not None
        row.evidence = {**row.evidence, "runs": [*runs, "run_unknown"]}
        open_session.add(row)
    before = labelling.queue(labelling.FLAGGED).waiting
    shown = page("signals", "rep", incident=found.id).run()
    shown.button(key="to-queue").click().run()
    after = labelling.queue(labelling.FLAGGED).waiting
    assert after > before
    assert f"New in the queue: {after - before} runs." in words(shown)
