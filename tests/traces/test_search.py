"""Finding runs: every filter names exactly what it says, pages follow one another, counts are honest, on both databases."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from tests.traces.recorded import stored
from workbench import store, traces
from workbench.access import Actor
from workbench.errors import Invalid
from workbench.store.engine import engine
from workbench.store.tables import Run
from workbench.traces import facts, forget, search
from workbench.traces.filters import Filters, read, told

BEGAN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def put(number: int, *inside: tuple[str, str], **given: Any) -> str:
    """Store a run as the product does, one minute after the one before it."""
    row = {
        "id": f"run_{number:04}",
        "flow": "desk",
        "version": "v1",
        "digest": "",
        "source": "cli",
        "conversation": f"conv_{number}",
        "started_at": BEGAN + dt.timedelta(minutes=number),
        "seconds": 1.0,
        "outcome": "answered",
        "agent": "money",
        "question": "Where is order 7?",
        "reply": "On its way.",
        "error": "",
        "model": "offline",
        "input_tokens": 1,
        "output_tokens": 1,
        "usd": 0.01,
        **given,
    }
    with store.session() as open_session:
        open_session.execute(insert(Run), [row])
        facts.store(open_session.connection(), [row], {row["id"]: list(inside)})
    return str(row["id"])


def found(**filters: Any) -> list[str]:
    """The ids of the runs that fit, the newest first, without their common beginning."""
    return [str(one.run["id"])[-1] for one in search.page(Filters(**filters)).rows]


def test_each_filter_finds_exactly_what_it_names(database: str, rep: Actor) -> None:
    put(1, ("tool", "find_order"), ("tripped", "injection"), ("agent", "triage"))
    put(2, ("tool", "refund_order"), ("held", "injection"), flow="shop", version="v2", model="luna, sol", source="otlp")
    put(3, outcome="error", seconds=3.0, usd=0.5, question="Refunds for the Café's broken lamps, please")
    put(4, seconds=3.001, usd=None, reply="注文はどこですか", conversation="conv_x")
    traces.flag(Actor("ana", "rep"), "run_0002", "look")
    traces.flag(rep, "run_0003", "look")
    with store.session() as open_session:
        facts.scored(
            open_session, [("run_0001", "helpful", 0.5), ("run_0002", "helpful", 0.49), ("run_0003", "exact", 1.0)]
        )
    assert found() == ["4", "3", "2", "1"]
    assert (found(flow=("shop",)), found(flow=("shop", "desk"))) == (["2"], ["4", "3", "2", "1"])
    assert (found(version=("v2",)), found(model=("sol",)), found(source=("otlp",))) == (["2"], ["2"], ["2"])
    assert (found(tool=("find_order",)), found(tripped=("injection",)), found(held=("injection",))) == (
        ["1"],
        ["1"],
        ["2"],
    )
    assert (found(agent=("triage",)), found(agent=("money",))) == (["1"], ["4", "3", "2", "1"])
    assert (found(flagged=True), found(flagged_by=("ana",)), found(flagged_by=("eve",))) == (["3", "2"], ["2"], [])
    assert (found(slower=3.0), found(slower=2.9), found(faster=3.0)) == (["4"], ["4", "3"], ["2", "1"])
    assert (found(dearer=0.01), found(dearer=0.009), found(cheaper=0.5)) == (["3"], ["3", "2", "1"], ["2", "1"])
    assert (found(score=("helpful<0.5",)), found(score=("helpful>0.4",)), found(score=("exact>0.5",))) == (
        ["2"],
        ["2", "1"],
        ["3"],
    )
    assert found(score=("helpful above 0.49",)) == ["1"]
    assert (found(customer="conv_x"), found(customer="conv_y")) == (["4"], [])
    assert (found(since=BEGAN + dt.timedelta(minutes=3)), found(until=BEGAN + dt.timedelta(minutes=2))) == (
        ["4", "3"],
        ["1"],
    )
    assert (found(words="cafe LAMP refund"), found(words='"broken lamps"'), found(words='"lamps broken"')) == (
        ["3"],
        ["3"],
        [],
    )
    assert (found(words="refu*"), found(words="refu"), found(words="注文"), found(words="%")) == (["3"], [], ["4"], [])
    assert (found(words="run_0002"), found(words="run_0009"), found(words='" OR NOT (')) == (["2"], [], [])
    assert found(flow=("desk",), outcome=("answered",), slower=2.0, words="where order") == ["4"]


def test_what_a_run_is_about_is_said_or_stands_in_the_name_of_a_tool_it_asks_for(database: str) -> None:
    put(1, ("tool", "refund_order"), question="Money back, please", outcome="held")
    put(2, question="I want a refund", outcome="blocked")
    put(3, ("tool", "find_order"), question="Refunded already?")
    assert (found(about=("refund",)), found(words="refund")) == (["2", "1"], ["2"])
    assert (found(about=("refunds", "order")), found(about=("parcel",))) == (["1"], [])
    assert found(about=("refund",), outcome=("held",)) == ["1"]
    assert [words for _, _, words in told(Filters(about=("refund",)))] == ["about “refund”"]


def test_what_people_take_back_is_not_found_any_more(database: str) -> None:
    put(1, ("tool", "find_order"))
    put(2)
    with store.session() as open_session:
        facts.scored(open_session, [("run_0001", "helpful", 0.2)])
        facts.scored(open_session, [("run_0001", "helpful", 0.9)])
    assert (found(score=("helpful<0.5",)), found(score=("helpful>0.5",))) == ([], ["1"])
    assert (found(tool=("find_order",)), found(words="order")) == (["1"], ["2", "1"])


def test_pages_follow_one_another_in_both_directions_and_hold_every_run_once(database: str) -> None:
    for number in range(1, 24):
        put(number, started_at=BEGAN + dt.timedelta(seconds=number // 6))
    seen, after, pages = [], 0, []
    while True:
        page = search.page(Filters(flow=("desk",)), after=after, limit=5)
        pages.append(page)
        seen += [one.run["id"] for one in page.rows]
        if not page.older:
            break
        after = page.older
    assert len(pages) == 5
    assert sorted(seen) == [f"run_{number:04}" for number in range(1, 24)]
    back = search.page(Filters(flow=("desk",)), before=pages[3].newer, limit=5)
    assert [one.seq for one in back.rows] == [one.seq for one in pages[2].rows]
    first = search.page(Filters(), before=pages[1].newer, limit=5)
    assert (first.newer, [one.seq for one in first.rows]) == (0, [one.seq for one in pages[0].rows])


def test_counts_follow_the_other_filters_but_not_their_own(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(1, ("tool", "find_order"))
    put(2, outcome="error")
    put(3, outcome="error", flow="shop")
    counts = search.counts(Filters(outcome=("error",)), ["outcome", "flow", "tool"])
    assert (counts.counted, counts.all) == (2, True)
    assert counts.values == {
        "outcome": (("error", 2), ("answered", 1)),
        "flow": (("desk", 1), ("shop", 1)),
        "tool": (),
    }
    assert [outcome for _, outcome in counts.moments] == ["error", "error"]
    monkeypatch.setattr(search, "COUNTED", 2)
    assert (search.counts(Filters(), ["flow"]).counted, search.counts(Filters(), ["flow"]).all) == (2, False)


def test_runs_of_trials_are_left_out(database: str) -> None:
    put(1)
    put(2, source="playground")
    assert [one.id for one in traces.find(without=("playground",))] == ["run_0001"]
    assert [one.id for one in traces.find(flow="desk", without=("playground",))] == ["run_0001"]


def test_a_deleted_customer_leaves_nothing_in_the_index(database: str, manager: Actor) -> None:
    stored("My zebra is late")
    kept = stored("My lamp is late")
    gone = traces.find(words="zebra")[0]
    forget.customer(manager, gone.conversation, confirmed=True)
    assert [one.run["id"] for one in search.page(Filters()).rows] == [kept.run_id]
    assert traces.find(words="zebra") == []
    with engine().connect() as connection:
        table = "run_words_data" if database == "sqlite" else "run_index"
        assert "zebra" not in str(connection.execute(text(f"select * from {table}")).all())


def test_the_migration_fills_the_index_for_runs_that_are_there(database: str, rep: Actor) -> None:
    from alembic import command

    from workbench import settings
    from workbench.store.engine import _alembic

    run = stored("Where is my zebra?")
    traces.flag(rep, run.run_id, "look")
    before = search.counts(Filters(), ["flow", "agent", "tool", "flagged_by", "outcome"]).values
    config = _alembic(settings.load().database_url)
    with engine().begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
    store.migrate()
    assert search.counts(Filters(), ["flow", "agent", "tool", "flagged_by", "outcome"]).values == before
    assert before["flagged_by"] == (("rui", 1),)
    assert [one.id for one in traces.find(words="zebras")] == [run.run_id]


def test_filters_come_back_from_the_address_as_they_went() -> None:
    filters = Filters(
        words="lamp", flow=("a", "b"), flagged=True, score=("helpful<0.5",), since=BEGAN, slower=3, period="7d", customer="c"
    )  # fmt: skip
    assert read(filters.address()) == filters
    assert read({**filters.address(), "theme": ["dark"], "flow": []}).flow == ()
    assert [words for _, _, words in told(filters)] == [
        "says “lamp”", "flow: a", "flow: b", "flagged", "score of helpful below 0.5", "last 7 days",
        "from 1 Nov 2026, 00:00 UTC", "slower than 3 s", "customer: c",
    ]  # fmt: skip
    assert filters.without("flow", "a").flow == ("b",)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"slower": ["soon"]}, "soon cannot be used as the filter slower than"),
        ({"period": ["9 weeks"]}, "9 weeks cannot be used as the filter time"),
        ({"score": ["helpful"]}, "helpful is not a score"),
        ({"since": ["never"]}, "never cannot be used as the filter since"),
    ],
)
def test_an_address_that_cannot_be_read_is_told_in_words(home: Path, state: dict[str, list[str]], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        read(state)
