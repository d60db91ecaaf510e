"""A recorded support benchmark, taken in as a flow and walked through: 200 conversations of an airline's assistant."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import SHARED
from workbench import flows, prompts
from workbench.access import Actor
from workbench.flows import coverage
from workbench.flows.transcripts import Transcript
from workbench.runtime import Release, mocks, spec
from workbench.runtime.spec import canonical
from workbench.traces.walk import tally, walk

FOLDER = SHARED / "tau_bench_v1"
RUNS = FOLDER / "trajectories_gpt-4o_airline.jsonl.gz"

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    pytest.mark.skipif(not RUNS.exists(), reason=f"the recorded airline conversations are not at {RUNS}"),
]

READS = {
    "calculate",
    "get_reservation_details",
    "get_user_details",
    "list_all_airports",
    "search_direct_flight",
    "search_onestop_flight",
    "think",
}
WRITES = {"cancel_reservation", "hand_over_to_human_agents", "update_reservation_passengers"}
MONEY = {"book_reservation", "send_certificate", "update_reservation_baggages", "update_reservation_flights"}


@pytest.fixture
def airline(migrated: Path, architect: Actor) -> flows.Imported:
    """The airline, taken in from the whole folder, which holds another shop's policy and tools too."""
    return flows.take_in_conversations(architect, "airline", FOLDER)


def changed(airline: flows.Imported, **approve: str) -> Release:
    """The flow with calls that always wait for a person."""
    body = spec.plain(airline.draft.spec)
    for name, rule in approve.items():
        body["tools"][name]["approve"] = rule
    return flows.freeze(spec.parse(body))


def test_the_airline_becomes_a_flow_that_checks_clean(airline: flows.Imported) -> None:
    made = airline.draft.spec
    assert len(made.tools) == 14
    assert {kind: set(names) for kind, names in airline.by_effect.items()} == {
        "read": READS,
        "write": WRITES,
        "high-stakes": MONEY,
    }
    assert {one.declared for one in airline.tools} == {"airline/tools.json"}
    assert not [one for one in flows.findings(made) if one.level == "error"]
    found = coverage.coverage(made)
    assert {one.tool for one in found.changes} == WRITES | MONEY
    assert {one.waits_for for one in found.changes} == {("injection",)}
    assert found.holes == ()
    assert coverage.holes(made) == []


def test_the_policy_is_the_prompt_word_by_word(airline: flows.Imported) -> None:
    text = prompts.get(airline.prompts[0])
    assert prompts.fill(text.name, text.text, {}) == (FOLDER / "airline" / "policy.md").read_text(encoding="utf-8")


def test_the_mocks_come_from_the_record_and_fit_into_a_flow(airline: flows.Imported) -> None:
    kept, left = sum(one.mocks for one in airline.tools), sum(one.left for one in airline.tools)
    assert (sum(one.calls for one in airline.tools), kept, left) == (1_164, 253, 180)
    assert [(one.tool, one.answers) for one in airline.clashes] == [("book_reservation", 2)] * 2
    frozen = flows.freeze(airline.draft.spec)
    assert 200_000 < len(canonical(frozen.body)) < 250_000
    assert spec.read(spec.write(airline.draft.spec)) == airline.draft.spec
    tool = airline.draft.spec.tools["list_all_airports"]
    assert isinstance(tool, spec.MockTool)
    found = mocks.answer(tool, {})
    assert found is not None
    assert found.answer["SFO"] == "San Francisco"


def test_what_is_unusual_is_told(airline: flows.Imported) -> None:
    odd = Counter(note.words for one in airline.conversations for note in one.notes)
    assert odd == {"a call has the id of an earlier one; it is given its own": 73}
    assert sum(bool(one.notes) for one in airline.conversations) == 49
    assert any("its own (73 times, first in trajectories_gpt-4o_airline" in one for one in airline.notes)
    assert any(one.startswith("transfer_to_human_agents is called hand_over_to_human_agents") for one in airline.notes)


def test_every_conversation_is_walked_to_its_end(airline: flows.Imported) -> None:
    flow = flows.freeze(airline.draft.spec)
    wall, work = time.perf_counter(), time.process_time()
    walks = [walk(flow, one) for one in airline.conversations]
    wall, work = time.perf_counter() - wall, time.process_time() - work
    print(f"\n200 conversations walked in {wall:.1f} s, {work:.1f} s of computing: {tally(walks)}")  # noqa: T201  (the figure is for whoever reads the test)
    assert len(walks) == 200
    assert [str(one) for one in walks if one.stop] == []
    assert tally(walks) == {"faithful": 1_290, "unanswered": 149, "ends with a call": 51}
    assert sum(turn.calls for one in walks for turn in one.turns) == 1_164
    # Others may be at work on the same machine, so the limit is on what the walk itself needs.
    assert work < 60


def ends(conversation: Transcript) -> str:
    last = conversation.turns[-1]
    return last.calls[-1].name if last.calls and not last.reply else ""


def test_most_that_end_with_a_call_end_with_a_person(airline: flows.Imported) -> None:
    found = Counter(ends(one) for one in airline.conversations)
    assert found == {
        "": 149,
        "transfer_to_human_agents": 48,
        "book_reservation": 1,
        "search_direct_flight": 1,
        "update_reservation_flights": 1,
    }


def test_a_certificate_that_needs_approval_stops_the_walk_where_it_is_sent(airline: flows.Imported) -> None:
    flow = changed(airline, send_certificate="always")
    sending = [one for one in airline.conversations if any(call.name == "send_certificate" for call in one.calls)]
    walks = [walk(flow, one) for one in sending]
    assert {(one.stop.cause, one.stop.where) for one in walks if one.stop} == {("approval", "send_certificate")}
    assert all(one.stop for one in walks)
    assert tally(walks)["stopped: approval"] == len(sending) > 5


def test_long_turns_are_stopped_by_a_lower_limit(airline: flows.Imported) -> None:
    flow = flows.freeze(spec.parse({**spec.plain(airline.draft.spec), "limits": {"turns": 12}}))
    long = [one for one in airline.conversations if any(len(turn.answers) > 12 for turn in one.turns)]
    walks = [walk(flow, one) for one in long]
    assert len(walks) == 4
    assert {str(one.stop) for one in walks} == {"limit: stopped after 12 turns"}


def test_from_the_runs_alone_the_arguments_are_told_from_the_calls(architect: Actor) -> None:
    policy = FOLDER / "airline" / "policy.md"
    made = flows.take_in_conversations(architect, "airline", RUNS, policy=policy)
    assert len(made.tools) == 14
    assert {one.declared for one in made.tools} == {""}
    assert set(made.by_effect["high-stakes"]) == MONEY
    assert not [one for one in flows.findings(made.draft.spec) if one.level == "error"]
    flow = flows.freeze(made.draft.spec)
    assert [str(one) for one in (walk(flow, talk) for talk in made.conversations[:10]) if one.stop] == []
