"""The page Topics as a person drives it."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from workbench import access, jobs, store
from workbench.tickets import discover, enrich, load, topic_figures, topics, trends
from workbench.tickets import seed as samples
from workbench.ui.charts import colours
from workbench.ui.charts import topics as charts
from workbench.ui.session import ROLE

ADMIN = access.Actor("ada", "admin")
EVIL = "<img src=x onerror=alert(1)> [press](javascript:alert(1))"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    """A home with topics found in tickets, one of them hostile; copy it before changing it."""
    home = tmp_path_factory.mktemp("topics") / "home"
    (home / "local").mkdir(parents=True)
    shutil.copy(empty_file, home / "local" / "workbench.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        frame = samples.generate(600, 60, until=dt.date(2026, 3, 31)).drop(columns=["attributes"])
        frame["body"] = [f"{EVIL} {text}" for text in frame["body"]]
        frame.to_csv(home / "t.csv", index=False)
        load(ADMIN, home / "t.csv", mapping=None)
        jobs.run_here(discover.start(ADMIN, 24))
        store.dispose()
    return home


@pytest.fixture
def page(made: Path, home: Path) -> Iterator[AppTest]:
    shutil.copytree(made, home)
    app = AppTest.from_file(ROOT / "workbench" / "app.py", default_timeout=60)
    app.session_state[ROLE] = "manager"
    yield app.run().switch_page(str(ROOT / "pages" / "topics.py"))
    jobs.stop()


def words(page: AppTest) -> str:
    assert [one.message for one in page.exception] == []
    kinds = (page.markdown, page.caption, page.info, page.error, page.warning, page.success, page.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def largest() -> topics.Topic:
    return max((one for one in topics.tree() if one.parent is None), key=lambda one: (one.tickets, -one.number))


def test_tickets_without_topics_yet_lead_to_the_button_that_finds_them(migrated: Path, made: Path) -> None:
    load(ADMIN, made / "t.csv", mapping=None)
    app = AppTest.from_file(ROOT / "workbench" / "app.py", default_timeout=60)
    app.session_state[ROLE] = "manager"
    app.run().switch_page(str(ROOT / "pages" / "topics.py")).run()
    assert "No topics yet" in words(app)
    assert app.button(key="find-topics").label == "Find topics"
    app.session_state[ROLE] = "rep"
    app.run()
    assert "To find topics, act as manager or architect" in words(app)


def test_the_page_shows_shares_ratings_and_one_topic_with_examples_whose_words_stay_words(page: AppTest) -> None:
    one = largest()
    page.query_params["chosen"] = str(one.number)
    page.run()
    table = page.dataframe[0].value
    assert int(table["tickets"].sum()) <= 600
    assert one.name in table["topic"].tolist()
    assert table["share"].sum() == pytest.approx(100)
    assert [len(page.get(kind)) for kind in ("plotly_chart", "vega_lite_chart")] == [1, 1]
    assert f"Told by: {', '.join(one.terms)}" in words(page)
    raw = "\n".join(str(one.value) for one in page.markdown)
    assert "\\<img" in raw
    assert "\\[press\\]\\(javascript" in raw


def test_figures_that_rest_on_too_few_tickets_are_grey(page: AppTest) -> None:
    page.query_params["period"] = "30 days"
    page.run()
    table = page.dataframe[0]
    few = table.value[["few_csat", "few_resolution", "few_reopened"]]
    grey = table.proto.arrow_data.styler.styles.count("_row")
    assert grey == int((few == True).to_numpy().sum()) > 0  # noqa: E712 — nothing is known where it is empty


def test_a_manager_renames_merges_and_undoes(page: AppTest) -> None:
    one = largest()
    page.query_params["chosen"] = str(one.number)
    page.run()
    page.text_input(key=f"name-{one.number}-{one.name}").set_value("Where is my parcel")
    next(button for button in page.button if button.label == "Rename").click().run()
    assert "Where is my parcel" in page.dataframe[0].value["topic"].tolist()
    assert f"Renamed “{one.name}” to “Where is my parcel”." in words(page)
    other = next(each for each in topics.tree() if each.number != one.number)
    page.selectbox(key=f"into-{one.number}").set_value(other.number).run()
    page.button(key=f"merge-{one.number}").click().run()
    assert "Where is my parcel" not in page.dataframe[0].value["topic"].tolist()
    page.button(key="undo-topics").click().run()
    assert "Where is my parcel" in page.dataframe[0].value["topic"].tolist()
    assert "Undid: merged “Where is my parcel”" in words(page)


def test_a_link_to_a_topic_is_followed_after_another_was_chosen_and_a_name_given_elsewhere_is_shown(
    page: AppTest,
) -> None:
    one, other = sorted(topics.tree(), key=lambda each: (-each.tickets, each.number))[:2]
    page.query_params["chosen"] = str(one.number)
    page.run()
    assert f"Told by: {', '.join(one.terms)}" in words(page)
    page.query_params["chosen"] = str(other.number)
    page.run()
    assert f"Told by: {', '.join(other.terms)}" in words(page)
    topics.rename(ADMIN, other.number, "Named elsewhere")
    page.run()
    assert next(each for each in page.text_input if each.label == "Name").value == "Named elsewhere"


def test_a_rep_sees_topics_but_changes_none(page: AppTest) -> None:
    page.session_state[ROLE] = "rep"
    page.query_params["chosen"] = str(largest().number)
    page.run()
    assert "To change topics, act as manager or architect." in words(page)
    assert [one.label for one in page.button if one.label in ("Rename", "Merge", "Split", "Look for new topics")] == []


def test_what_else_can_be_found_says_how_far_it_has_come_and_why_sentiment_cannot(page: AppTest) -> None:
    page.query_params["show"] = "Language, sentiment and masking"
    page.query_params["found-by"] = "The connected model"
    page.run()
    rows = {row["what"]: row for row in page.dataframe[0].value.to_dict("records")}
    assert rows["Language"]["from the help desk"] == 600
    assert rows["Topic"]["found here"] > 500
    assert "it needs 300 with a rating and a text, and there are" in words(page)
    assert "The offline model follows rules and cannot judge what a ticket is about" in words(page)


def test_what_else_can_be_found_is_there_before_any_topic(migrated: Path, made: Path) -> None:
    load(ADMIN, made / "t.csv", mapping=None)
    app = AppTest.from_file(ROOT / "workbench" / "app.py", default_timeout=60)
    app.session_state[ROLE] = "manager"
    app.query_params["show"] = "Language, sentiment and masking"
    app.run().switch_page(str(ROOT / "pages" / "topics.py")).run()
    assert app.multiselect(key="enrich-kinds").value == ["masked"]
    assert "No topics yet" not in words(app)
    assert not app.button(key="enrich").disabled
    app.multiselect(key="enrich-kinds").set_value(["language"]).run()
    assert app.button(key="enrich").disabled
    assert "Nothing of this is still to do." in words(app)


def test_undo_takes_back_what_the_person_saw_and_not_what_another_did_since(page: AppTest) -> None:
    one, two = sorted((one for one in topics.tree()), key=lambda one: (-one.tickets, one.number))[:2]
    topics.rename(ADMIN, one.number, "Mine")
    page.run()
    topics.rename(ADMIN, two.number, "Theirs")
    page.button(key="undo-topics").click().run()
    assert {topics.topic(each.number).name for each in (one, two)} == {one.name, "Theirs"}
    assert f"Undid: renamed “{one.name}” to “Mine”." in words(page)


def test_a_long_job_stays_in_sight_however_many_jobs_come_after_it(page: AppTest) -> None:
    enrich.create(ADMIN, ["masked"])
    with store.session() as session:
        for n in range(6):
            session.add(jobs.row("notices", f"{n} notices", {"notices": []}, ADMIN, total=1))
    page.run()
    assert any(button.label == "Cancel" for button in page.button)
    assert not any(button.key == "look" for button in page.button)


def test_the_link_to_trends_keeps_the_days_and_the_chart_shows_shares_of_all_tickets(page: AppTest) -> None:
    one = largest()
    page.query_params["chosen"] = str(one.number)
    page.query_params["period"] = "30 days"
    page.run()
    links = [each.proto.query_string for each in page.get("page_link")]
    assert any("found_topic=" in each and "from=2026-03-02" in each and "to=2026-03-31" in each for each in links)
    frame = topic_figures.figures(trends.last_days(30))
    assert frame["share_before"].sum() == pytest.approx(100)
    shown = frame[frame["topic"] != topic_figures.UNASSIGNED].head(5)
    drawn = charts.shares(shown, "", {"ink": "#000", "accent": "#0aa"} | colours())
    assert list(drawn.data[1].x) == shown["share_before"].tolist()[::-1]


def test_an_address_with_nonsense_chooses_nothing(page: AppTest) -> None:
    page.query_params["chosen"] = "99999"
    page.run()
    assert "Told by" not in words(page)


def test_from_a_topic_one_click_opens_a_detector_that_watches_it_and_then_the_page_leads_there(page: AppTest) -> None:
    one = largest()
    page.query_params["chosen"] = str(one.number)
    page.run()
    assert ":material/add_alert: Set" in page.dataframe[0].value["alarm"].tolist()
    page.query_params.clear()
    page.query_params["of-topic"] = str(one.number)
    page.switch_page(str(ROOT / "pages" / "detectors.py")).run()
    assert f"looks at tickets with found topic {one.name}" in words(page)
    page.button(key="save-detector").click().run()
    assert "Saved as a new version." in words(page)
    assert topic_figures.watched()[one.name].startswith("growth of ")
    page.switch_page(str(ROOT / "pages" / "topics.py")).run()
    table = page.dataframe[0].value
    assert dict(zip(table["topic"], table["alarm"], strict=True))[one.name] == ":material/notifications_active: Open"


def test_on_its_page_a_ticket_gets_another_topic_and_the_old_one_back(page: AppTest) -> None:
    here, there = sorted(topics.tree(), key=lambda one: (-one.tickets, one.number))[:2]
    page.query_params["ticket"] = here.examples[0]
    page.switch_page(str(ROOT / "pages" / "ticket.py")).run()
    box = next(one for one in page.selectbox if one.label == "Topic by its words")
    assert box.options[0] == "(no topic)"
    box.set_value(there.number)
    next(one for one in page.button if one.label == "Set").click().run()
    assert f"The topic is {there.name} now, on every page." in words(page)
    assert f"{access.local().name} put ticket {here.examples[0]} under “{there.name}”" in words(page)
    assert trends.ticket(here.examples[0])["found_topic"] == there.name
    next(one for one in page.button if one.label == "Undo").click().run()
    assert trends.ticket(here.examples[0])["found_topic"] == here.name
    page.session_state[ROLE] = "rep"
    page.run()
    assert not any(one.label == "Set" for one in page.button)
