"""A model reads a question: the genuine client against a server on loopback, whatever that answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import delete, select
from streamlit.testing.v1 import AppTest

from tests.loopback import Late, Server, Status, Turn, message, serve
from tests.once import shop
from tests.tickets.files import ADMIN
from workbench import access, settings, store
from workbench.access import Actor
from workbench.errors import Invalid, Unavailable
from workbench.store.tables import ModelReading
from workbench.tickets import ask, by_model, trends
from workbench.traces import readings

TODAY = dt.date(2026, 3, 31)
REP = Actor("Rita", "rep")
TEXT = "how unhappy were folks who wrote by mail about their money lately"
"""The grammar does not read this."""
RIGHT = {
    "decline": "none",
    "metric": "csat",
    "by": ["vendor"],
    "where": [{"dimension": "topic", "values": ["Refunds"]}, {"dimension": "channel", "values": ["email"]}],
    "grain": "none",
    "start": "2026-03-01",
    "end": "2026-12-31",
    "against": "previous",
    "order": "lowest",
    "limit": 3,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample shop, made once."""
    home = tmp_path_factory.mktemp("shop") / "home"
    shutil.copytree(shop(tmp_path_factory, count=1500, days=120, until=TODAY), home)
    return home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBENCH_HOME", str(made))
    yield made
    with store.session() as session:
        session.execute(delete(ModelReading))
    store.dispose()


@pytest.fixture
def told(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Turn]]:
    """What the model will answer; fill it in."""
    script: list[Turn] = []
    with serve(script) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "key-1")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("WORKBENCH_MODEL_MAIN", "large-1")
        monkeypatch.setenv("WORKBENCH_MODEL_SMALL", "offline")
        monkeypatch.setenv("WORKBENCH_MODEL_REASONING", "offline")
        monkeypatch.setenv("WORKBENCH_PRICES", '{"large-1": [10, 20]}')
        ASKED.clear()
        ASKED.append(server)
        yield script


ASKED: list[Server] = []


def says(answer: Any) -> Turn:
    return [message(answer if isinstance(answer, str) else json.dumps(answer))]


def read(text: str = TEXT, *, actor: Actor = ADMIN, seconds: float = 20) -> by_model.ByModel:
    return asyncio.run(by_model.read(actor, text, "main", seconds=seconds))


def test_what_a_model_made_of_a_question_is_the_same_query_that_the_grammar_makes(told: list[Turn]) -> None:
    told.append(says(RIGHT))
    found = read()
    assert found.reading.question == ask.Question(
        "csat",
        by=("vendor",),
        where={"topic": ("Refunds",), "channel": ("email",)},
        start=dt.date(2026, 3, 1),
        end=TODAY,
        against="previous",
        order="lowest",
        limit=3,
    )
    assert (found.record.tokens, found.record.usd, found.record.model) == (120, 0.0014, "large-1")
    assert found.record.cost.startswith("120 tokens, $0.0014, ")
    assert by_model.kept(TEXT, "main") == found
    assert access.audit.newest()[0].detail == {"model": "large-1", "tokens": 120, "usd": 0.0014}


def test_an_answer_with_empty_fields_is_a_plain_question(told: list[Turn]) -> None:
    told.append(says(answer(metric="volume", by=[], where=[], start="", end="", against="none", order="none", limit=5)))
    assert read().reading.question == ask.Question("volume")


def test_the_model_is_told_names_and_values_and_the_day_but_no_ticket_and_no_address(told: list[Turn]) -> None:
    told.append(says(RIGHT))
    read("tickets of jane.roe@example.com by vendor")
    sent = ASKED[0].asked[0]
    body = json.loads(sent["input"][0]["content"])
    assert body["known"]["today"] == "2026-03-31"
    assert "Refunds" in body["known"]["dimensions"]["topic"]
    assert set(body["known"]["metrics"]) >= {"volume", "csat", "backlog"}
    assert "jane.roe" not in json.dumps(sent)
    subjects = trends.tickets(trends.Filters(), limit=200)["subject"].tolist()
    assert not [one for one in subjects if one in body["known"].values()]
    assert sent["text"]["format"]["strict"] is True
    with store.session() as session:
        assert "jane.roe" not in str([row.model_dump() for row in session.exec(select(ModelReading))])


def answer(**changed: Any) -> dict[str, Any]:
    return {**RIGHT, **changed}


REFUSED = {
    "a reason of ours": (answer(decline="no such figure"), "The tickets do not hold what is asked for."),
    "a reason of its own": (answer(decline="<b>no</b>"), "The model declined, for a reason that is none of ours."),
    "a metric": (answer(metric="revenue"), "There is no metric 'revenue'"),
    "a dimension": (answer(by=["country"]), "There is no dimension 'country'"),
    "a value": (
        answer(where=[{"dimension": "topic", "values": ["Refundz"]}]),
        "No ticket has the topic 'Refundz'; the nearest is 'Refunds'.",
    ),
    "SQL in a value": (
        answer(where=[{"dimension": "topic", "values": ["x' OR 1=1; DROP VIEW ticket --"]}]),
        "No ticket has the topic",
    ),
    "SQL as a metric": (answer(metric="count(*) FROM read_text('/etc/passwd')"), "There is no metric"),
    "a grain": (answer(grain="hour"), "There is no grain 'hour'."),
    "an order": (answer(order="; DROP"), "There is no order '; DROP'."),
    "a day": (answer(start="31 Feb"), "This is no question over the metrics."),
    "a time ahead": (answer(start="2027-01-01", end=""), "1 Jan 2027 lies after the newest ticket (31 Mar 2026)."),
    "a time that ends first": (answer(start="2026-03-02", end="2026-03-01"), "The period ends before it begins."),
    "too many": (answer(limit=10**9), "There are no 1e+09 groups to ask for."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_exist_is_refused_by_its_name(told: list[Turn], case: str) -> None:
    given, wanted = REFUSED[case]
    told.append(says(given))
    found = read()
    assert found.reading.question is None
    assert found.reading.refused.startswith(wanted)
    assert found.reading.remedy


RUBBISH = {
    "10 MB": ("x" * 10_000_000, "It answered with 10,000,000 characters; at most 20,000 are read."),
    "markup": ("<script>alert(1)</script>", "It did not answer with the fields that were asked for."),
    "deep": ("[" * 19_000, "It did not answer with the fields that were asked for."),
    "a list": ("[]", "What it gave for the answer cannot be used."),
    "a number as a metric": (json.dumps(answer(metric=7)), "What it gave for metric cannot be used."),
    "a text as a number": (json.dumps(answer(limit="3")), "What it gave for limit cannot be used."),
    "a long name": (json.dumps(answer(metric="m" * 5000)), "What it gave for metric cannot be used."),
    "more fields": (json.dumps({**RIGHT, "sql": "SELECT 1"}), "It answered with a field that was not asked for."),
    "fewer fields": ('{"metric": "csat"}', "What it gave for decline cannot be used."),
}


@pytest.mark.parametrize("case", RUBBISH)
def test_rubbish_is_told_in_words_and_never_quoted(told: list[Turn], case: str) -> None:
    given, wanted = RUBBISH[case]
    told.append(says(given))
    found = read()
    assert (found.reading.question, found.record.answer, found.record.problem) == (None, None, wanted)


@pytest.mark.parametrize(
    ("turn", "seconds", "told_so"),
    [
        (Late(1), 0.3, "large-1 did not answer within 0.3 seconds."),
        (Status(401), 20, "The model server refused the key."),
        ([], 20, "large-1 gave no answer."),
    ],
)
def test_a_model_that_does_not_answer_is_an_error_in_words(
    told: list[Turn], turn: Turn, seconds: float, told_so: str
) -> None:
    told.append(turn)
    with pytest.raises(Unavailable, match=told_so) as caught:
        read(seconds=seconds)
    assert "our grammar" in caught.value.remedy
    assert by_model.kept(TEXT, "main") is None


def test_without_a_model_nobody_is_offered_one(home: Path) -> None:
    assert readings.readers() == {}
    with pytest.raises(Invalid, match="There is no model 'main'"):
        read()


def page(question: str, reader: str = "") -> AppTest:
    made = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    made.switch_page(str(settings.ROOT / "pages" / "ask.py"))
    made.query_params["ask"] = question
    if reader:
        made.query_params["read-by"] = reader
    return made.run()


def said(made: AppTest) -> str:
    assert not made.exception
    shown = [*made.markdown, *made.caption, *made.info, *made.warning, *made.error, *made.subheader]
    return "\n".join(str(one.value) for one in shown).replace("\\", "").replace("⁠", "")


def test_on_the_page_a_model_is_asked_by_a_click_and_its_reading_can_be_changed(told: list[Turn]) -> None:
    told.append(says(RIGHT))
    made = page(TEXT, "large-1")
    assert "The tickets say nothing about" in said(made)
    assert ASKED[0].asked == []
    made.button(key="ask-model").click().run()
    assert "Understood as CSAT by vendor, topic is Refunds, channel is email, 1 Mar 2026 to 31 Mar 2026" in said(made)
    assert "120 tokens, $0.0014" in said(made)
    assert len(ASKED[0].asked) == 1
    next(one for one in made.selectbox if one.label == "Metric").set_value("volume").run()
    assert "Tickets, all" in said(made) or "Tickets by vendor" in said(made)
    assert len(ASKED[0].asked) == 1


def test_on_the_page_the_grammars_reading_stays_where_the_model_fails(told: list[Turn]) -> None:
    told += [Status(400), says("<img src=x onerror=alert(1)>")]
    made = page("tickets by vendor", "large-1")
    made.button(key="ask-model").click().run()
    assert "The model server answered with an error (400)." in said(made)
    assert "“vendor” as by vendor" in said(made)
    made.button(key="ask-model").click().run()
    assert "It did not answer with the fields that were asked for. Our grammar reads it instead." in said(made)
    assert "“vendor” as by vendor" in said(made)
    assert "onerror" not in said(made)


def test_on_the_page_nothing_is_said_of_models_where_there_is_none(home: Path) -> None:
    made = page("tickets by vendor", "large-1")
    assert "Read by" not in [one.label for one in made.selectbox]
    assert "“vendor” as by vendor" in said(made)
