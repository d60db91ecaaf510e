"""A run file says anything: it is refused in one sentence, or every page that shows the run can read it."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.traces.recorded import stored
from workbench import store, traces
from workbench.access import Actor
from workbench.errors import Invalid
from workbench.runtime import seal
from workbench.runtime.record import digest
from workbench.traces import capture, costs, exchange
from workbench.traces.compare import steps
from workbench.ui.charts import path, timeline

JUNK: list[Any] = ["x", 5, None, [5], {"a": 5}, 10**30, 1e308, "y" * 3000]
LARGE = (10**30, 1e308, "y" * 3000)
SPAN = {"type": "custom", "name": "step", "start": 0.0, "seconds": 0.1}


def exported() -> dict[str, Any]:
    """A run as its file holds it."""
    return dict(json.loads(traces.export(stored().run_id)))


def crafted(document: dict[str, Any], at: tuple[str | int, ...], value: Any) -> str:
    """The file with one value changed, and with digests and a seal that fit."""
    made = copy.deepcopy(document)
    place = made["run"]
    for name in at[:-1]:
        place = place[name]
    place[at[-1]] = value
    for call in made["run"]["calls"] if isinstance(made["run"]["calls"], list) else ():
        if isinstance(call, dict) and call.get("kind") == "model" and at[-1] != "digest":
            call["digest"] = digest(call["request"])
    with contextlib.suppress(AttributeError, TypeError):  # what cannot be sealed is refused before
        made["run"] = seal.sealed(made["run"])
    return json.dumps(made)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in plain data; of entries of a list that have the same names, those in the first."""
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        kinds = {str(sorted(one)) if isinstance(one, dict) else "": number for number, one in enumerate(value[::-1], 1)}
        for number in kinds.values():
            yield from places(value[-number], (*at, len(value) - number))


def read_by_pages(record: dict[str, Any]) -> None:
    """What the pages and commands that show a run ask of it."""
    steps(record)
    traces.step_words(record)
    traces.waits(record)
    costs.bill(record)
    costs.usd(record)
    timeline.together(record["spans"])
    timeline.tree(record["spans"])
    path.dot(record, ink="#000", accent="#000", faint="#000", alarm="#000")
    assert ", ".join(f"{name} {value}" for name, value in record.get("told", {}).items()) is not None


def test_whatever_a_file_holds_it_is_refused_in_a_sentence_or_can_be_read_and_stored(migrated: Path) -> None:
    document = exported()
    document["run"] |= {"told": {"channel": "chat"}, "unanswered": ""}
    taken: list[Any] = []
    for at in places(document["run"]):
        if "schema" in at or at[0] == "seal":
            continue
        for value in JUNK:
            try:
                (one,) = exchange.read(crafted(document, at, value))
            except Invalid as refused:
                assert "\n" not in str(refused)
                continue
            read_by_pages(one[0])
            if value in LARGE:
                taken.append(({**one[0], "id": f"run_{len(taken):032x}"}, one[1]))
    assert len(taken) > 50
    with store.session() as open_session:
        assert len(capture.put(open_session, taken, source=exchange.IMPORTED, asks=False)) == len(taken)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (("told",), "x", "told: Input should be a valid dictionary"),
        (("calls", 0, "usd"), "x", "calls.0.model.usd: Input should be a valid number"),
        (("calls", 0, "request", "input"), 5, "request.input"),
        (("calls", 0, "response", "output"), 5, "response.output: Input should be a valid list"),
        (("usage", "input_tokens"), 2**63, "usage.input_tokens: Input should be less than or equal to 2147483647"),
        (("usage", "usd"), 1e308, "usage.usd: Input should be less than or equal to"),
        (("started_at",), "9999-12-31T23:00:00-12:00", "has no valid start time"),
        (("started_at",), "2526-01-01T00:00:00+00:00", "says that it began in the year 2526"),
        (("conversation",), "c" * 3000, "conversation: String should have at most 500 characters"),
        (("spans",), [{**SPAN, "id": "a", "parent": None}] * 2, "The span a is in the run"),
    ],
)
def test_a_file_that_no_page_could_show_is_refused_and_says_why(
    migrated: Path, architect: Actor, at: tuple[str | int, ...], value: Any, words: str
) -> None:
    text = crafted(exported(), at, value)
    before = traces.ids()
    with pytest.raises(Invalid) as refused:
        traces.take_in(architect, text)
    assert words in str(refused.value)
    assert traces.ids() == before


def test_a_timeline_shows_each_step_once_however_deep_they_lie_and_whatever_they_say_of_each_other() -> None:
    pairs = [
        {**SPAN, "id": str(number), "parent": str(number - 1) if number else None} for number in range(12) for _ in "ab"
    ]
    assert [depth for depth, _ in timeline.tree(pairs)] == list(range(12))
    deep = [{**SPAN, "id": str(number), "parent": str(number - 1)} for number in range(3000)]
    assert timeline.tree(deep)[-1][0] == 2999
    assert len(timeline.figure(deep, "#000", "#888").data[0].y) == timeline.MOST
    ring = [{**SPAN, "id": "a", "parent": "b"}, {**SPAN, "id": "b", "parent": "a"}]
    assert {span["id"] for _, span in timeline.tree(ring)} == {"a", "b"}
