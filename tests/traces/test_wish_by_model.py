"""A model reads a wish for runs: the genuine client against a server on loopback, whatever that answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Server, Status, Turn, message, serve
from tests.pages.test_approvals_page import told
from tests.pages.test_every_page import opened
from tests.pages.test_run_list import chips
from tests.traces.test_phrases import KNOWN, NOW
from workbench import store, traces
from workbench.access import Actor
from workbench.errors import Unavailable
from workbench.traces import by_model
from workbench.traces.filters import told as words_of

REP = Actor("Rita", "rep")
NONE: dict[str, Any] = {
    **{name: [] for name in by_model.Wanted.model_fields},
    **dict.fromkeys(("words", "period", "since", "until"), ""),
    **dict.fromkeys(("slower", "faster", "dearer", "cheaper"), -1),
    "flagged": False,
}


@pytest.fixture
def asked(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[Any], Server]]:
    """What the model will answer, to fill in, and what it was asked."""
    script: list[Any] = []
    with serve(script) as server:
        use(server, monkeypatch)
        yield script, server
    store.dispose()


def use(server: Server, patch: pytest.MonkeyPatch) -> None:
    """Let the role main be served there."""
    patch.setenv("OPENAI_API_KEY", "key-1")
    patch.setenv("OPENAI_BASE_URL", server.url)
    patch.setenv("WORKBENCH_MODEL_MAIN", "chat:large-1")
    for role in ("SMALL", "REASONING"):
        patch.setenv(f"WORKBENCH_MODEL_{role}", "offline")


def read(wish: str = "whatever") -> by_model.ByModel:
    return asyncio.run(by_model.read(REP, wish, KNOWN, "main", now=NOW))


def says(**fields: Any) -> list[Any]:
    return [message(json.dumps({**NONE, **fields}))]


def shown(found: by_model.ByModel) -> str:
    assert found.understood is not None
    told_so = [f"{name}={value}" for name, value, _ in words_of(found.understood.filters)]
    return " ".join([*told_so, *(f"?{one}" for one in found.understood.missed)])


def test_a_wish_becomes_the_filters_that_the_rules_make(asked: tuple[list[Any], Server]) -> None:
    asked[0].append(
        says(
            outcome=["Blocked"],
            flow=["order-desk"],
            words="refund",
            flagged=True,
            flagged_by=["ana"],
            since="2026-11-09T00:00",
            dearer=0.02,
            slower=3,
            score=["helpful below 0.5"],
        )
    )
    found = read("those refund things that got stopped and Ana pointed at")
    assert shown(found) == (
        "words=refund flow=order-desk outcome=blocked flagged_by=Ana score=helpful below 0.5 since=2026-11-09T00:00 "
        "slower=3 dearer=0.02"
    )
    assert (found.record.tokens, found.record.usd) == (120, None)
    assert found.record.cost.startswith("120 tokens, at a price that is not known, ")
    again = by_model.kept("those refund things that got stopped and Ana pointed at", KNOWN, "main", now=NOW)
    assert again == found


def test_no_person_and_no_address_is_told_to_the_model(asked: tuple[list[Any], Server]) -> None:
    asked[0].append(says(outcome=["error"], missed=["[email 1]"]))
    found = read("errors of customer jane.roe@example.com")
    assert shown(found).startswith("outcome=error customer=[email")
    sent = json.dumps(asked[1].asked)
    assert "order-desk" in sent
    assert "jane.roe" not in sent
    assert "Ana" not in sent


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"flow": ["billing"]}, "?billing"),
        ({"outcome": ["x' OR 1=1 --"]}, "?x' OR 1=1 --"),
        ({"period": "since forever"}, "?since forever"),
        ({"since": "31 Feb"}, "?31 Feb"),
        ({"score": ["charming below 0.5", "helpful under par"]}, "?charming below 0.5 ?helpful under par"),
        ({"missed": ["purple"]}, "?purple"),
    ],
)
def test_what_runs_do_not_have_is_named_and_filters_nothing(
    asked: tuple[list[Any], Server], fields: dict[str, Any], wanted: str
) -> None:
    asked[0].append(says(**fields))
    assert shown(read()) == wanted


def test_an_answer_that_cannot_be_used_leaves_the_rules_reading(asked: tuple[list[Any], Server]) -> None:
    asked[0].extend([says(slower="3 s"), Status(401)])
    found = read()
    assert (found.understood, found.record.problem) == (None, "What it gave for slower cannot be used.")
    with pytest.raises(Unavailable, match="refused the key"):
        read("another")


def test_on_the_page_a_models_filters_are_seen_before_they_filter(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script: list[Turn] = [says(outcome=["blocked"], missed=["purple"]), Status(400)]
    with serve(script) as server:
        use(server, monkeypatch)
        app = opened("runs", "rep")
        app.text_input(key="run-wish").set_value("the purple ones that got stopped").run()
        app.selectbox(key="wish-read-by").set_value("main").run()
        assert "Until then our grammar's reading stands." in told(app)
        app.button(key="ask-model").click().run()
        assert "120 tokens" in told(app)
        assert "Not understood: “purple”." in told(app)
        assert chips(app) == []
        app.button(key="ask-model").click().run()
        assert "The model server answered with an error" in app.error[0].value
        app.button(key="apply-wish").click().run()
        assert [one.message for one in app.exception] == []
        assert chips(app) == ["outcome: blocked"]
        assert set(app.dataframe[0].value["outcome"]) == {"blocked"}
    traces.close()
