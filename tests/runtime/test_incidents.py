"""The sample incidents and the tools that work on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime import ToolContext
from workbench.runtime.toolbox import incidents
from workbench.runtime.toolbox.incidents import Incidents
from workbench.runtime.tools import catalogue, find


@pytest.fixture
def context() -> ToolContext:
    return ToolContext()


def call(context: ToolContext, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool as the engine does: by its name, with validated arguments."""
    tool = find(name)
    result: dict[str, Any] = tool.function(context, **tool.arguments(arguments))
    return result


def test_the_tools_declare_their_effects_and_parameters() -> None:
    own = {name: known for name, known in catalogue().items() if known.function.__module__ == incidents.__name__}
    assert {name: known.effect for name, known in own.items()} == {
        "find_incident": "read",
        "get_incident": "read",
        "notify_about_incident": "write",
    }
    for known in own.values():
        assert known.description
        assert all(field["description"] for field in known.parameters["properties"].values()), known.name


@pytest.mark.parametrize(
    ("problem", "incident"),
    [
        ("My card is declined again and again when I pay", "INC-301"),
        ("Northline has not moved my parcel from the depot", "INC-302"),
        ("I am waiting for the SMS code to sign in", "INC-303"),
        ("the cart makes the app crash", "INC-304"),
        ("gift card balance is 0.00", "INC-305"),
        ("white page when I open the password link", "INC-306"),
        ("promotion code is invalid", "INC-307"),
        ("no confirmation e-mail", "INC-308"),
        ("there are no images", "INC-309"),
        ("the search shows no results", "INC-310"),
        ("printing the return label does not work", "INC-311"),
        ("Fern Points are missing", "INC-312"),
    ],
)
def test_a_problem_in_other_words_is_recognised(context: ToolContext, problem: str, incident: str) -> None:
    assert call(context, "find_incident", problem=problem)["incident_id"] == incident


@pytest.mark.parametrize(
    "problem",
    [
        "The shop shows me the orders of somebody else",
        "My sofa squeaks",
        "The chat window covers the whole page",
        "I cannot delete my account",
        "The checkout asks for my postcode in a loop",
        "What is the capital of Mongolia?",
        "",
    ],
)
def test_a_new_problem_is_not_taken_for_a_known_one(context: ToolContext, problem: str) -> None:
    with pytest.raises(NotFound, match="There is no known incident like this"):
        call(context, "find_incident", problem=problem)


def test_an_incident_that_goes_on_comes_before_one_that_is_over() -> None:
    over, open_ = ({"incident_id": name, "title": "Search", "state": state, "symptoms": ["The search finds nothing."]}
                   for name, state in (("INC-1", "resolved"), ("INC-2", "being fixed")))  # fmt: skip
    assert Incidents({"incidents": [over, open_]}).like("search finds nothing")["incident_id"] == "INC-2"
    assert Incidents({"incidents": [over]}).like("search finds nothing")["incident_id"] == "INC-1"


def test_an_incident_is_looked_up_by_its_number(context: ToolContext) -> None:
    found = call(context, "get_incident", incident_id="inc-310")
    assert (found["state"], found["began_on"], found["resolved_on"]) == ("resolved", "2026-10-27", "2026-10-28")
    assert "resolved_on" not in call(context, "get_incident", incident_id="INC-301")
    with pytest.raises(NotFound, match="INC-999"):
        call(context, "get_incident", incident_id="INC-999")


def test_an_address_is_noted_once_and_only_while_the_incident_goes_on(context: ToolContext) -> None:
    noted = call(context, "notify_about_incident", incident_id="INC-301", email="Greta.Holm@example.com")
    assert noted == call(context, "notify_about_incident", incident_id="inc-301", email="greta.holm@example.com ")
    assert noted["email"] == "greta.holm@example.com"
    with pytest.raises(Refused, match="INC-310 is resolved already"):
        call(context, "notify_about_incident", incident_id="INC-310", email="greta.holm@example.com")
    with pytest.raises(Invalid, match="not an e-mail address"):
        call(context, "notify_about_incident", incident_id="INC-301", email="greta")


def test_many_threads_note_an_address_once() -> None:
    known, ready = Incidents.sample(), threading.Barrier(16)

    def note(number: int) -> str:
        ready.wait()
        return str(known.notify("INC-301", f"p{number % 4}@example.com")["notice_id"])

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(note, range(16))) == {"N501", "N502", "N503", "N504"}


def test_a_missing_sample_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "SAMPLE", tmp_path / "incidents.json")
    incidents._sample.cache_clear()
    with pytest.raises(NotFound, match=r"incidents\.json") as missing:
        Incidents.sample()
    assert missing.value.remedy
