"""The trend page as a person drives it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.tickets.files import ADMIN, MakeCsv
from workbench import settings
from workbench.tickets import load, trends
from workbench.tickets import seed as samples

PAGE = settings.ROOT / "pages" / "trends.py"


@pytest.fixture
def page(home: Path) -> AppTest:
    return AppTest.from_file(PAGE, default_timeout=20)


@pytest.fixture
def full(page: AppTest) -> AppTest:
    samples.seed(ADMIN, count=2000, days=200, until=dt.date(2026, 3, 31))
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
