"""Questions in plain English: sixty of them, the ones without an answer, SQL, and the page."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from tests.once import shop
from tests.tickets.files import ADMIN
from tests.tickets.questions import ANSWERED, NEWEST, UNANSWERABLE
from workbench import settings, store
from workbench.access import Actor
from workbench.errors import Invalid, Refused
from workbench.tickets import ask, expert, report, trends, verified
from workbench.traces import periods

REP = Actor("Rita", "rep")
TODAY = dt.date.fromisoformat(NEWEST)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop of a year, made once: what is asked changes nothing."""
    home = tmp_path_factory.mktemp("shop") / "home"
    shutil.copytree(shop(tmp_path_factory, count=6000, days=365, until=TODAY), home)
    return home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBENCH_HOME", str(made))
    yield made
    store.dispose()


def slim(question: ask.Question) -> dict[str, Any]:
    body = {name: value for name, value in question.plain.items() if value not in (None, [], {}, "", 0)}
    return {**body, "where": {k: sorted(v) for k, v in body["where"].items()}} if "where" in body else body


@pytest.mark.parametrize("text", ANSWERED)
def test_a_question_is_understood(home: Path, text: str) -> None:
    reading = ask.read(text, trends.facets(), TODAY)
    assert reading.question is not None, reading.refused
    wanted = dict(ANSWERED[text])
    if "where" in wanted:
        wanted["where"] = {name: sorted(values) for name, values in wanted["where"].items()}
    assert slim(reading.question) == wanted
    assert report.answer(reading.question).sentences


@pytest.mark.parametrize("text", UNANSWERABLE)
def test_what_tickets_do_not_tell_is_refused_with_the_reason(home: Path, text: str) -> None:
    reading = ask.read(text, trends.facets(), TODAY)
    assert reading.question is None
    assert UNANSWERABLE[text] in reading.refused


def test_there_are_sixty_questions_of_which_ten_have_no_answer() -> None:
    assert (len(ANSWERED), len(UNANSWERABLE)) == (50, 10)


def test_an_answer_is_what_the_tickets_say(home: Path) -> None:
    told = report.answer(ask.Question("volume", by=("vendor",), order="highest"))
    rows = trends.query("volume", by=["vendor"]).rows
    assert list(told.frame["vendor"]) == [row["vendor"] for row in sorted(rows, key=lambda row: -row["value"])]
    assert told.sentences[0] == f"Highest: Northwind, {max(row['value'] for row in rows):,.0f}."


def test_a_comparison_names_both_times_and_does_not_claim_a_cause(home: Path) -> None:
    question = ask.read("Why did volume rise this month by topic?", trends.facets(), TODAY).question
    assert question is not None
    told = report.answer(question)
    assert "before" in told.sentences[0]
    assert told.sentences[-1].startswith("This says where it changed, not why")
    assert told.window.before == dt.date(2026, 1, 29)


def test_an_answer_says_how_many_tickets_it_rests_on(home: Path) -> None:
    rated = expert.run(ADMIN, "SELECT count(csat) AS n FROM ticket").frame["n"].iloc[0]
    assert report.answer(ask.Question("csat")).sentences[0].endswith(f", of {rated:,} tickets.")
    assert report.answer(ask.Question("volume")).sentences[0] == "Tickets: 6,000, 1 Apr 2025 to 31 Mar 2026."
    assert trends.query("csat").rows[0]["tickets"] == 6000 > rated


def test_what_changed_most_comes_first_and_not_what_is_largest(home: Path) -> None:
    question = ask.read("What changed most by topic in the last 30 days?", trends.facets(), TODAY).question
    assert question is not None
    moved = (report.answer(question).frame[["value", "before"]].diff(axis=1)["before"]).abs().tolist()
    assert moved == sorted(moved, reverse=True)


def test_customers_words_in_a_report_are_masked(home: Path) -> None:
    told = report.answer(ask.Question("volume"))
    assert 1 <= len(told.quotes) <= 3
    assert all(quote.ticket_id and "@" not in quote.text for quote in told.quotes)


def test_a_checked_question_is_read_so_again_with_the_time_read_anew(home: Path) -> None:
    text = "How happy were people with the chat folks last week?"
    assert verified.read(text).reading.question is None
    meant = ask.Question("csat", where={"channel": ("chat",)}, start=dt.date(2020, 1, 1))
    verified.keep(ADMIN, text, meant)
    found = verified.read("how happy were people with the CHAT folks, last week")
    assert found.reading.question == meant
    assert found.verified is not None
    assert found.verified.by == ADMIN.name
    verified.forget(ADMIN, text)
    assert verified.read(text).verified is None


def test_a_checked_question_keeps_its_meaning_and_moves_with_the_time(home: Path) -> None:
    text = "refunds last week"
    verified.keep(ADMIN, text, ask.Question("csat", where={"topic": ("Refunds",)}, start=dt.date(2020, 1, 1)))
    asked = verified.read(text).reading.question
    verified.forget(ADMIN, text)
    assert asked == ask.Question(
        "csat", where={"topic": ("Refunds",)}, start=dt.date(2026, 3, 23), end=dt.date(2026, 3, 29)
    )


def test_a_rep_checks_no_questions_and_writes_no_sql(home: Path) -> None:
    with pytest.raises(Refused):
        verified.keep(REP, "tickets", ask.Question("volume"))
    with pytest.raises(Refused):
        expert.run(REP, "SELECT 1")


@profile(max_examples=80, deadline=None)
@given(
    some.text(max_size=60),
    some.lists(
        some.sampled_from(
            [
                "tickets",
                "by",
                "topic",
                "last",
                "0",
                "99",
                "week",
                "vs",
                "except",
                "top",
                "q9",
                "2026-99-99",
                "may",
                "from",
                "to",
                "31 feb",
            ]
        ),
        max_size=7,
    ),
)
def test_whatever_is_asked_is_a_question_or_a_refusal_with_a_remedy(noise: str, words: list[str]) -> None:
    reading = ask.read(f"{noise} {' '.join(words)}", {"topic": ["Refunds"], "channel": ["chat", "email"]}, TODAY)
    if reading.question is None:
        assert reading.refused
        assert reading.remedy
    else:
        assert ask.of(reading.question.plain) == reading.question


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("last week", "2026-03-23", "2026-03-29"),
        ("last 7 days", "2026-03-25", "2026-03-31"),
        ("this quarter", "2026-01-01", "2026-03-31"),
        ("last quarter", "2025-10-01", "2025-12-31"),
        ("in december", "2025-12-01", "2025-12-31"),
        ("from january to february 2026", "2026-01-01", "2026-02-28"),
        ("since 15 march", "2026-03-15", None),
        ("before february 2026", None, "2026-01-31"),
        ("may 3rd", "2025-05-03", "2025-05-03"),
        ("on 29 february 2024", "2024-02-29", "2024-02-29"),
        ("yesterday", "2026-03-30", "2026-03-30"),
    ],
)
def test_words_for_a_time_are_days(words: str, start: str | None, end: str | None) -> None:
    found = periods.find(f"tickets {words} by topic", TODAY)
    assert found is not None
    assert (found.start and found.start.isoformat(), found.end and found.end.isoformat()) == (start, end)


def test_sql_counts_the_tickets_and_says_when_there_is_more(home: Path) -> None:
    found = expert.run(ADMIN, "WITH x AS (SELECT topic FROM ticket) SELECT count(*) AS n FROM x")
    assert found.frame.to_dict("records") == [{"n": 6000}]
    some_rows = expert.run(ADMIN, "SELECT ticket_id, ticket_id FROM ticket ORDER BY 1", rows=10)
    assert (len(some_rows.frame), some_rows.more) == (10, True)
    assert list(some_rows.frame.columns) == ["ticket_id", "ticket_id (2)"]


def test_sql_that_takes_too_long_is_stopped(home: Path) -> None:
    endless = "SELECT count(*) FROM ticket a, ticket b, ticket c WHERE a.subject || b.subject || c.subject = 'x'"
    with pytest.raises(Invalid, match=r"longer than 0\.3 seconds"):
        expert.run(ADMIN, endless, seconds=0.3)


def page(question: str = "") -> AppTest:
    made = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    made.switch_page(str(settings.ROOT / "pages" / "ask.py"))
    if question:
        made.query_params["ask"] = question
    return made.run()


def said(made: AppTest) -> str:
    assert not made.exception
    return "\n".join(str(one.value) for one in [*made.markdown, *made.caption, *made.info]).replace("\\", "")


def test_the_page_shows_how_a_question_was_understood_and_lets_it_be_changed(home: Path) -> None:
    made = page("Which vendor has the worst CSAT?")
    assert "“worst” as ranked" in said(made)
    assert "Lowest: Calder" in said(made)
    assert "Of tickets" in str(made.dataframe[0].proto.columns)
    metric = next(one for one in made.selectbox if one.label == "Metric")
    metric.set_value("reopened").run()
    assert "Reopened by vendor" in "\n".join(one.value for one in made.subheader)


def test_the_page_refuses_what_it_cannot_answer_and_says_what_can_be_asked(home: Path) -> None:
    assert "no sales figures" in said(page("What was our revenue last month?"))
    assert "Ask for a metric" in said(page("What was our revenue last month?"))


def test_an_empty_page_offers_questions_that_all_have_an_answer(home: Path) -> None:
    made = page()
    offered = [one.label for one in made.button if one.key and one.key.startswith("example-")]
    assert len(offered) == 6
    assert all(ask.read(text, trends.facets(), TODAY).question for text in offered)


def test_a_question_is_kept_on_the_page_and_then_says_who_checked_it(home: Path) -> None:
    made = page("tickets by vendor")
    made.button(key="keep-question").click().run()
    assert "Read as" in said(made)
    made.button(key="forget-question").click().run()
    assert "Understood" in said(made)


def test_sql_runs_on_the_page(home: Path) -> None:
    made = page()
    made.text_area(key="sql-text").set_value("SELECT count(*) AS n FROM ticket")
    next(one for one in made.button if one.label == "Run").click().run()
    assert made.dataframe[-1].value["n"].tolist() == [6000]
