"""Two hundred and more hostile inputs for Ask: each writes nothing, reads nothing outside, and ends within its limits."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import delete

from tests.once import shop as samples_of
from tests.tickets.files import ADMIN
from tests.tickets.hostile import EXTREME, GOOD, HARMLESS, QUERIES, QUESTIONS, SQL, STOPPED
from workbench import store
from workbench.errors import Invalid, WorkbenchError
from workbench.store.tables import VerifiedQuestion
from workbench.tickets import alone, ask, expert, report, trends, verified

TODAY = dt.date(2026, 3, 31)
CANARY = "canary-7f3a91"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small sample shop, made once, with a file outside that nobody may read."""
    made = tmp_path_factory.mktemp("shop")
    (made / "outside").mkdir()
    (made / "outside" / "canary.csv").write_text(f"a,b\n{CANARY},1\n", encoding="utf-8")
    shutil.copytree(samples_of(tmp_path_factory, count=1200, days=90, until=TODAY), made / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(made / "home"))
        assert report.answer(ask.of(GOOD)).quotes
        store.dispose()
    yield made


@pytest.fixture
def place(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The shop; afterwards all its files are as they were."""
    monkeypatch.setenv("WORKBENCH_HOME", str(shop / "home"))
    monkeypatch.setenv("WORKBENCH_CANARY", CANARY)
    before = digest(shop)
    yield shop
    assert digest(shop) == before
    store.dispose()


def digest(folder: Path) -> str:
    """What all files are, but for those that a database keeps while it is open."""
    made = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("workbench.db"):
            made.update(f"{path} {path.stat().st_mtime_ns}".encode() + path.read_bytes())
    return made.hexdigest()


def filled(text: str, place: Path) -> str:
    """A hostile text with the places that it aims at."""
    outside = {"{canary}": "outside/canary.csv", "{out}": "outside/stolen.csv", "{tickets}": "home/local/tickets"}
    for gap, name in outside.items():
        text = text.replace(gap, str(place / name))
    return text


def tells_nothing(told: str, asked: str, place: Path) -> None:
    """No secret, and no place that the asker did not name."""
    assert CANARY not in told
    for name in ("home", "outside"):
        path = str(place / name)
        assert path in asked or path not in told
    assert ".venv" not in told
    assert "Traceback" not in told


def test_there_are_two_hundred_and_more() -> None:
    told = [QUESTIONS, QUERIES, EXTREME, SQL, [*STOPPED], HARMLESS]
    assert sum(map(len, told)) >= 200
    assert all(len({str(one) for one in some}) == len(some) for some in told)


def test_hostile_questions_are_refused_with_a_reason(place: Path) -> None:
    for text in QUESTIONS:
        asked = filled(text, place)
        reading = verified.read(asked).reading
        assert reading.question is None, asked[:80]
        assert reading.refused
        assert len(reading.refused) < 2000
        assert reading.remedy
        tells_nothing(reading.refused.replace(asked, ""), asked, place)


def test_hostile_queries_are_refused_with_a_reason(place: Path) -> None:
    for body in QUERIES:
        with pytest.raises(Invalid) as caught:
            report.answer(ask.fitting(ask.of(body), trends.facets(), TODAY))
        assert len(caught.value.message) < 1_500
        tells_nothing(caught.value.message, str(body), place)


def test_queries_at_the_edge_have_an_answer_or_a_refusal(place: Path) -> None:
    for body in EXTREME:
        try:
            told = report.answer(ask.fitting(ask.of(body), trends.facets(), TODAY))
        except WorkbenchError as error:
            assert error.message
        else:
            assert told.sentences


def test_checked_questions_as_a_hostile_database_holds_them_mean_nothing(place: Path) -> None:
    with store.session() as session:
        for number, body in enumerate(QUERIES):
            kept = json.loads(json.dumps(body)) if len(str(body)) < 10_000 else {}
            row = VerifiedQuestion(words=f"tickets {number}", asked="x", question=kept, checked_by="m")
            session.add(row)
    for number in range(len(QUERIES)):
        found = verified.find(f"tickets {number}")
        if found is not None:
            with pytest.raises(Invalid):
                report.answer(ask.fitting(found.question, trends.facets(), TODAY))
    assert len(verified.everything()) < len(QUERIES) / 4
    with store.session() as session:
        session.execute(delete(VerifiedQuestion))


def test_what_is_kept_as_checked_is_a_question_only(place: Path) -> None:
    for text in ("", " ", "?", "x" * 401, "\u0000"):
        with pytest.raises(Invalid):
            verified.keep(ADMIN, text, ask.of(GOOD))


def test_hostile_sql_is_refused_before_it_runs(place: Path) -> None:
    for sql in (filled(one, place) for one in SQL):
        with pytest.raises(alone.Unfit) as caught:
            alone.checked(sql)
            pytest.fail(f"not refused: {sql[:100]}")
        assert caught.value.remedy
        tells_nothing(caught.value.message, sql, place)


async def _through_the_door(statements: list[str], seconds: float = 5) -> list[Any]:
    """What the product says to each, several at once: a refusal, or what was found."""
    few = asyncio.Semaphore(3)

    async def one(sql: str) -> Any:
        async with few:
            try:
                return await asyncio.to_thread(expert.run, ADMIN, sql, seconds=seconds)
            except Invalid as error:
                return error

    return await asyncio.gather(*map(one, statements))


def test_sql_that_never_ends_or_eats_memory_is_stopped(place: Path) -> None:
    for sql, told in zip(STOPPED, asyncio.run(_through_the_door([*STOPPED], 0.25)), strict=True):
        assert isinstance(told, Invalid), sql
        words = STOPPED[sql].split("|")
        assert any(word in told.message for word in words), (sql, told.message)
        tells_nothing(told.message, sql, place)


def test_sql_that_does_no_harm_runs_within_its_limits(place: Path) -> None:
    for sql, told in zip(HARMLESS, asyncio.run(_through_the_door(HARMLESS)), strict=True):
        assert isinstance(told, expert.Found), (sql, told)
        assert len(told.frame) <= expert.ROWS
        tells_nothing(told.frame.head(3).to_csv(), sql, place)


def test_what_is_refused_is_refused_at_the_door_too(place: Path) -> None:
    some = [filled(sql, place) for sql in SQL[:: len(SQL) // 5]]
    for sql, told in zip(some, asyncio.run(_through_the_door(some)), strict=True):
        assert isinstance(told, Invalid), sql
        tells_nothing(told.message, sql, place)
