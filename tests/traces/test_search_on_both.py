"""Both databases find the same runs, whatever is asked, and page through them alike in both directions."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from workbench import store, traces
from workbench.access import Actor
from workbench.store.tables import Run
from workbench.traces import facts, search
from workbench.traces.filters import Filters

BEGAN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SAID_AT_ONCE = (
    "order orders Refund refunds 1042 10-42 R1015-1 42.90 $45.00 50% a_b it's don't naïve Café ÄNDERN größe STRASSE "
    "Straße İstanbul 注文 注文はどこ 한국어 can’t x² ½ e-mail a@b.example https://a.example/x?y=1 1e5 3e10x 0x1f 007 -5 "
    "+49 C++ and OR NOT near ! %_ \\ ' : & | ( ) * <b> \u200d ﬁne ＡＢＣ s es ies yes dresses 12th v1.2.3 a/b/c ΣΊΣΥΦΟΣ"
)
SAID = SAID_AT_ONCE.split(" ")
"""Words, numbers and signs that databases take apart differently."""

texts = st.lists(st.sampled_from(SAID), max_size=6).map(" ".join)
quoted = texts.map(lambda said: f'"{said}"')
asked_for = st.lists(st.sampled_from(SAID) | quoted | st.sampled_from(SAID).map(lambda one: f"{one[:3]}*"), max_size=3)
some = st.integers(0, 2)


def chosen(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """Mostly nothing, sometimes one value or several."""
    return st.just(()) | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)


filters = st.builds(
    Filters,
    words=asked_for.map(" ".join),
    about=chosen("refund", "order", "café"),
    flow=chosen("desk", "shop", "nobody"),
    outcome=chosen("answered", "error"),
    tool=chosen("find_order", "refund_order"),
    tripped=chosen("injection"),
    score=chosen("helpful<0.5", "exact>0.3"),
    flagged=st.sampled_from((False, False, False, True)),
    slower=st.sampled_from((None, None, 1.0, 2.5)),
    cheaper=st.sampled_from((None, None, 0.02, 0.5)),
    customer=st.sampled_from(("", "", "", "conv_3")),
    since=st.sampled_from((None, None, BEGAN + dt.timedelta(minutes=30))),
    until=st.sampled_from((None, None, BEGAN + dt.timedelta(minutes=90))),
)


def fill(count: int, question: str | None = None) -> None:
    """The same runs in whichever database is the settings', which all ask `question` where one is given."""
    chance = random.Random(7)  # noqa: S311  (a made-up corpus, not a secret)
    rows: list[dict[str, Any]] = []
    inside = {}
    for number in range(count):
        said = " ".join(chance.choices(SAID, k=chance.randrange(0, 9)))
        rows.append(
            {
                "id": f"run_{number:04}",
                "flow": chance.choice(("desk", "shop")),
                "version": "v1",
                "digest": "",
                "source": "cli",
                "conversation": f"conv_{number % 7}",
                "started_at": BEGAN + dt.timedelta(minutes=number // 3),
                "seconds": chance.choice((0.5, 1.0, 2.5, 4.0)),
                "outcome": chance.choice(("answered", "error")),
                "agent": "money",
                "question": said if question is None else question,
                "reply": " ".join(chance.choices(SAID, k=3)),
                "error": "",
                "model": "offline",
                "input_tokens": 1,
                "output_tokens": 1,
                "usd": chance.choice((None, 0.01, 0.02, 0.4)),
            }
        )
        names = [("tool", "find_order"), ("tool", "refund_order"), ("tripped", "injection")]
        inside[f"run_{number:04}"] = [one for one in names if chance.random() < 0.4]
    with store.session() as open_session:
        open_session.execute(insert(Run), rows)
        facts.store(open_session.connection(), rows, inside)
        facts.scored(open_session, [(str(row["id"]), "helpful", n % 11 / 10) for n, row in enumerate(rows) if n % 2])
    for number in range(0, count, 9):
        traces.flag(Actor("ana", "rep"), f"run_{number:04}", "look")


def walked(asked: Filters, limit: int) -> tuple[list[list[int]], list[list[int]]]:
    """The places of every page from the newest to the oldest, and of those before each on the way back."""
    forth = [search.page(asked, limit=limit)]
    while forth[-1].older:
        forth.append(search.page(asked, after=forth[-1].older, limit=limit))
    back = [search.page(asked, before=one.newer, limit=limit) for one in forth if one.newer]
    return [[row.seq for row in one.rows] for one in forth], [[row.seq for row in one.rows] for one in back]


@pytest.fixture
def each(
    migrated: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Any]], list[Any]]:
    """What a question is answered on SQLite and on PostgreSQL, which hold the same 240 runs."""
    monkeypatch.setattr(search, "NEAR", 12)
    monkeypatch.setattr(search, "FAR", 150)

    def asked_of_both(question: Callable[[], Any]) -> list[Any]:
        answers = []
        for url in (f"sqlite:///{migrated / 'local' / 'workbench.db'}", postgres_url):
            monkeypatch.setenv("WORKBENCH_DATABASE_URL", url)
            answers.append(question())
        return answers

    asked_of_both(lambda: fill(240))
    return asked_of_both


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=filters, limit=st.sampled_from((3, 20)))
def test_both_databases_find_the_same_runs_and_page_alike(
    each: Callable[[Callable[[], Any]], list[Any]], asked: Filters, limit: int
) -> None:
    (forth, back), on_postgresql = each(lambda: walked(asked, limit))
    assert (forth, back) == on_postgresql
    places = list(itertools.chain(*forth))
    assert places == sorted(set(places), reverse=True)
    assert back == forth[: len(back)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=filters)
def test_both_databases_count_the_same(each: Callable[[Callable[[], Any]], list[Any]], asked: Filters) -> None:
    on_sqlite, on_postgresql = each(lambda: search.counts(asked, ["flow", "tool", "outcome"]))
    assert (on_sqlite.values, on_sqlite.counted, on_sqlite.all) == (
        on_postgresql.values,
        on_postgresql.counted,
        on_postgresql.all,
    )
    assert sorted(on_sqlite.moments) == sorted(on_postgresql.moments)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Где мой заказ?", '"Где мой"'),
        ("ЧТО С ЗАКАЗОМ", '"что с заказом"'),
        ("Größe ÄNDERN [bitte]", '"größe ändern [bitte]"'),
        ("tracking 3e10x, ref 1e5ab2", "3e10x"),
        ("tracking 3e10x, ref 1e5ab2", '"ref 1e5ab2"'),
    ],
)
def test_words_in_other_alphabets_and_mixed_with_digits_are_found(database: str, said: str, words: str) -> None:
    fill(1, said)
    assert [one.run["question"] for one in search.page(Filters(words=words)).rows] == [said]


def test_words_and_texts_of_any_length_are_stored_and_looked_for(database: str) -> None:
    fill(1, " ".join(f"word{number:07}" for number in range(100_000)) + " ж" + "я" * 1800)
    assert len(search.page(Filters(words="word0000007")).rows) == 1
    assert search.page(Filters(words="я" * 1800)).rows == ()
