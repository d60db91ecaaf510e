"""The trend page as a person drives it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import Fill
from tests.tickets.files import ADMIN, MakeCsv, parts
from workbench import settings
from workbench.tickets import load, manifest, metrics, rollups, trends

PAGE = settings.ROOT / "pages" / "trends.py"


@pytest.fixture
def page(home: Path) -> AppTest:
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    return app.switch_page(str(PAGE))


@pytest.fixture
def full(page: AppTest, fill: Fill) -> AppTest:
    fill(count=2000, days=200, until=dt.date(2026, 3, 31))
    return page


def words(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(str(element.value) for element in [*page.markdown, *page.caption, *page.info, *page.error])


def test_without_tickets_the_page_says_the_next_step_without_a_command_line(page: AppTest) -> None:
    text = words(page.run()).replace("\\", "")
    assert "There are no tickets yet" in text
    assert "Load a file" in text
    assert "python" not in text


def test_tiles_compare_with_the_period_before(full: AppTest) -> None:
    full.run()
    tiles = trends.overview(trends.last_days(90)).tiles
    assert [metric.label.removesuffix(" ≈") for metric in full.metric] == [tile.metric.title for tile in tiles]
    assert full.metric[0].value == f"{tiles[0].value:,.0f}"
    assert "against the 90 days before" in words(full)


def test_a_filter_narrows_tiles_and_tickets(full: AppTest) -> None:
    full.run()
    full.multiselect(key="topic").select("Refunds").run()
    expected = trends.overview(trends.Filters(**{**vars(trends.last_days(90)), "where": {"topic": ["Refunds"]}}))
    assert full.metric[0].value == f"{expected.tiles[0].value:,.0f}"
    assert set(full.dataframe[-1].value["topic"]) == {"Refunds"}


def test_the_address_sets_the_filters(full: AppTest) -> None:
    full.query_params["topic"] = ["Refunds", "App"]
    full.query_params["period"] = "All"
    full.run()
    assert set(full.multiselect(key="topic").value) == {"Refunds", "App"}
    assert "with no earlier period to compare with" in words(full)


def test_an_address_with_nonsense_is_ignored(full: AppTest) -> None:
    full.query_params["topic"] = "'; DROP TABLE ticket"
    full.query_params["metric"] = "<script>"
    assert words(full.run())
    assert full.multiselect(key="topic").value == []


@pytest.mark.parametrize("metric", ["CSAT", "Reopened", "First response", "Sentiment"])
@pytest.mark.parametrize("by", ["None", "Topic", "Vendor"])
def test_each_metric_and_breakdown_is_drawn(full: AppTest, metric: str, by: str) -> None:
    full.query_params["metric"] = metric
    full.query_params["by"] = by
    full.run()
    assert not full.exception
    assert not full.info


def test_a_metric_without_values_says_so(page: AppTest, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([{"ticket_id": "1", "created_at": "2026-01-01"}]), mapping=None)
    page.query_params["metric"] = "CSAT"
    assert "No ticket here has a value for “CSAT”" in words(page.run())


def test_the_page_is_short() -> None:
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize("view", ["Small multiples", "Median and slowest tenth", "Hours of the week"])
def test_every_view_of_a_metric_is_drawn(full: AppTest, view: str) -> None:
    full.query_params["view"] = view
    full.query_params["metric"] = "Resolution"
    full.run()
    assert words(full)
    assert len([*full.get("plotly_chart"), *full.get("vega_lite_chart")]) == 1


@pytest.mark.parametrize(
    ("deeper", "said"),
    [
        ("What moved most", "by its share of them (mix), and by its own change (rate)"),
        ("Releases", "No release went live within these days"),
        ("Two segments", "the two ranges of 95 % do not touch"),
    ],
)
def test_looking_closer_says_what_it_shows(full: AppTest, deeper: str, said: str) -> None:
    full.query_params["deeper"] = deeper
    full.query_params["metric"] = "CSAT"
    assert said in words(full.run())


def test_exact_figures_are_one_click_away_and_are_no_longer_marked_as_approximate(full: AppTest) -> None:
    for part in parts():
        rollups.write(part, manifest.rollup(part))
    os.utime(manifest.current())
    full.run()
    assert "First response ≈" in [metric.label for metric in full.metric]
    full.toggle(key="exact").set_value(True).run()
    assert "First response" in [metric.label for metric in full.metric]
    exact = trends.overview(trends.last_days(90), names=("first_response",), exact=True).tiles[0]
    assert full.metric[1].value == metrics.say(exact.metric, exact.value)


def test_days_in_the_address_are_the_ones_looked_at_until_the_whole_period_is_asked_for(full: AppTest) -> None:
    full.query_params["from"], full.query_params["to"] = "2026-03-02", "2026-03-15"
    full.run()
    zoomed = trends.overview(trends.Filters(dt.date(2026, 3, 2), dt.date(2026, 3, 15))).tiles[0]
    assert full.metric[0].value == f"{zoomed.value:,.0f}"
    assert "2 Mar 2026 to 15 Mar 2026, against the 14 days before" in words(full)
    full.button(key="zoom-out").click().run()
    assert "against the 90 days before" in words(full)


def test_a_value_on_few_tickets_is_grey_and_says_so(full: AppTest) -> None:
    full.query_params["topic"] = ["Privacy"]
    full.run()
    rated = next(metric for metric in full.metric if metric.label == "CSAT")
    assert rated.value.startswith(":gray[")


def test_a_ticket_is_read_with_its_times_and_hostile_words_stay_words(home: Path, make_csv: MakeCsv) -> None:
    evil = "<img src=x onerror=alert(1)> [press](javascript:alert(1))"
    row = {"ticket_id": "T/1 ü", "created_at": "2026-01-05T10:00:00Z", "resolved_at": "2026-01-05T12:30:00Z"}
    load(ADMIN, make_csv([{**row, "topic": "App", "subject": evil, "body": evil, "run_id": "r-gone"}]), mapping=None)
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    app.run()
    app.query_params["ticket"] = "T/1 ü"
    app.switch_page(str(settings.ROOT / "pages" / "ticket.py")).run()
    assert not app.exception
    assert "\\<img" in app.subheader[0].value
    assert "\\[press\\]\\(javascript" in app.markdown[0].value
    assert next(one for one in app.metric if one.label == "Resolved").delta == "after 2 h 30 min"
    assert "names the run r-gone, which is not recorded here" in " ".join(c.value for c in app.caption).replace(
        "\\", ""
    )


@pytest.mark.parametrize(
    ("resolved", "said"),
    [("10:00:24", "after 24 s"), ("10:03:10", "after 3 min"), ("10:59:50", "after 1 h 00 min")],
)
def test_a_short_wait_is_told_in_its_own_unit(home: Path, make_csv: MakeCsv, resolved: str, said: str) -> None:
    row = {"ticket_id": "T1", "created_at": "2026-01-05T10:00:00Z", "resolved_at": f"2026-01-05T{resolved}Z"}
    load(ADMIN, make_csv([row]), mapping=None)
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    app.run()
    app.query_params["ticket"] = "T1"
    app.switch_page(str(settings.ROOT / "pages" / "ticket.py")).run()
    assert next(one for one in app.metric if one.label == "Resolved").delta == said


def test_a_ticket_that_is_not_there_is_said_to_be_gone(full: AppTest) -> None:
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    app.run()
    app.query_params["ticket"] = "nobody"
    app.switch_page(str(settings.ROOT / "pages" / "ticket.py")).run()
    assert "There is no ticket nobody here" in app.error[0].value.replace("\\", "")
