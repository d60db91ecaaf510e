"""Two runs compared: nothing between a run and itself, the same counts from either side, the first divergence named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message, function_call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_commands import call, here
from tests.traces.recorded import PAID, copy_of, refund, run, stored
from workbench import traces
from workbench.errors import NotFound
from workbench.traces.compare import Comparison, compare, steps


def words(found: Comparison) -> list[tuple[str, str]]:
    """The steps that differ, and in what."""
    return [(pair.step.title, pair.words) for pair in found.differences]


def test_a_runs_steps_are_its_message_verdicts_requests_handoffs_calls_and_reply() -> None:
    found = steps(run().record)
    assert [one.title for one in found] == [
        "the customer's message",
        "guardrail injection on the message",
        "model request of front",
        "handoff, front to money",
        "model request of money",
        "tool look_up",
        "model request of money",
        "tool pay_out",
        "model request of money",
        "guardrail no-cards on the reply",
        "the reply",
    ]
    assert [one.number for one in found] == list(range(1, 12))
    assert [one.calls for one in found] == [0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 6]
    assert found[6].parts["new input"].startswith("calls look_up") is True


def test_a_run_is_the_same_as_itself() -> None:
    record = run().record
    found = compare(record, copy.deepcopy(record))
    assert (found.same, found.divergence, words(found)) == (True, None, [])
    assert {delta.change for delta in found.deltas} == {0}


def test_runs_that_do_the_same_under_other_ids_are_the_same() -> None:
    other = [
        [function_call("transfer_to_money", {}, call_id="x1")],
        [function_call("look_up", {"order_id": 1042}, call_id="x2")],
        [function_call("pay_out", {"amount": 5}, call_id="x3")],
        [assistant_message(PAID)],
    ]
    assert words(compare(run().record, run(steps=other).record)) == []


def test_the_first_divergence_is_named_with_number_kind_and_what() -> None:
    found = compare(run().record, run(steps=refund(amount=6)).record)
    parted = found.divergence
    assert parted is not None
    assert (parted.step, parted.other_step, parted.kind, parted.name) == (7, 7, "model", "model request of money")
    assert parted.what == "the answer differs"
    assert str(parted) == "step 7, model request of money: the answer differs"
    assert words(found)[1] == ("tool pay_out", "the arguments and the answer differ")


def test_what_differs_is_told_word_by_word() -> None:
    found = compare(run().record, run(steps=refund(reply=PAID.replace("good", "splendid"))).record)
    reply = found.pairs[-1]
    gone, come = (line for line in reply.diff("reply") if line.kind != "same")
    assert [gone.text[a:b] for a, b in gone.changed] == ["good"]
    assert [come.text[a:b] for a, b in come.changed] == ["splendid"]


def test_a_call_that_only_one_run_makes_stands_alone_and_the_rest_stays_paired() -> None:
    without = [*refund()[:1], *refund()[2:]]
    found = compare(run().record, run(steps=without).record)
    alone = [pair.step.title for pair in found.pairs if pair.verdict == "only in one"]
    assert alone == ["tool look_up", "model request of money"] or alone == ["model request of money", "tool look_up"]
    assert [pair.verdict for pair in found.pairs if pair.step.title == "tool pay_out"] == ["same"]
    parted = found.divergence
    assert parted is not None and parted.step == 5


def test_of_several_like_calls_the_one_that_is_the_same_is_paired() -> None:
    def looks(*orders: int) -> list[Any]:
        calls = [[function_call("look_up", {"order_id": n}, call_id=f"look-{n}")] for n in orders]
        return [*refund()[:1], *calls, [assistant_message("Found.")]]

    found = compare(run(steps=looks(1, 2)).record, run(steps=looks(2)).record)
    tools = [(pair.verdict, pair.step.parts["arguments"]) for pair in found.pairs if pair.step.kind == "tool"]
    assert [verdict for verdict, _ in tools] == ["only in one", "same"]
    assert '"order_id": 2' in tools[1][1]


def test_a_tripped_guardrail_and_its_outcome_differ() -> None:
    blocked = run(steps=[*refund()[:3], [assistant_message("Your card is 4111 1111 1111 1111.")]])
    found = compare(run().record, blocked.record)
    assert ("guardrail no-cards on the reply", "the verdict differs") in words(found)
    assert "the outcome" in words(found)[-1][1]


def test_deltas_are_unknown_where_a_cost_is() -> None:
    one = copy_of(run())
    other = copy.deepcopy(one)
    one["usage"]["usd"] = 0.25
    other["usage"]["usd"] = None
    other["seconds"] += 2
    deltas = {delta.name: delta for delta in compare(one, other).deltas}
    assert (deltas["US dollars"].one, deltas["US dollars"].other, deltas["US dollars"].change) == (0.25, None, None)
    assert deltas["seconds"].change == pytest.approx(2)
    assert deltas["tool calls"].change == 0


ORDERS = st.lists(st.integers(1, 3), max_size=6)


def invented(orders: list[int], reply: str) -> dict[str, Any]:
    """A record with a tool call for each order, made without running."""
    asked: dict[str, Any] = {
        "system": "Work.",
        "input": "Hello",
        "tools": [],
        "handoffs": [],
        "schema": None,
        "settings": {},
    }
    answer: dict[str, Any] = {
        "output": [],
        "usage": {"requests": 1, "input_tokens": 3, "output_tokens": 2},
        "response_id": None,
    }
    calls: list[dict[str, Any]] = []
    for place, order in enumerate(orders):
        said = {"type": "function_call", "name": "look_up", "arguments": json.dumps({"order_id": order})}
        calls += [
            {
                "kind": "model",
                "agent": "front",
                "model": "m",
                "request": asked,
                "response": answer | {"output": [said]},
                "error": "",
                "started": 0.0,
            },
            {
                "kind": "tool",
                "agent": "front",
                "name": "look_up" if order < 3 else "pay_out",
                "call_id": f"c{place}",
                "arguments": said["arguments"],
                "output": str(order),
                "error": "",
                "started": 0.0,
            },
        ]
    return {
        "id": "run_" + "0" * 32,
        "question": "Hello",
        "input": [{"role": "user", "content": "Hello"}],
        "starts_at": "front",
        "agent": "front",
        "outcome": "answered",
        "reply": reply,
        "error": "",
        "stop": "",
        "waiting": [],
        "seconds": 1.0,
        "usage": {"usd": None},
        "calls": calls,
        "guardrails": [],
    }


@settings(max_examples=200, deadline=None)
@given(one=ORDERS, other=ORDERS, reply=st.sampled_from(["Yes.", "No."]))
def test_a_comparison_counts_the_same_from_either_side(one: list[int], other: list[int], reply: str) -> None:
    first, second = invented(one, "Yes."), invented(other, reply)
    there, back = compare(first, second), compare(second, first)
    assert there.count("same") == back.count("same")
    assert there.count("changed") == back.count("changed")
    assert there.count("only in one") == back.count("only in the other")
    assert there.count("only in the other") == back.count("only in one")
    assert there.same == back.same == (one == other and reply == "Yes.")
    assert [d.change for d in there.deltas] == [None if d.change is None else -d.change for d in back.deltas]


@settings(max_examples=200, deadline=None)
@given(one=ORDERS, other=ORDERS)
def test_a_comparison_holds_every_step_of_both_once_and_in_order(one: list[int], other: list[int]) -> None:
    first, second = invented(one, "Yes."), invented(other, "Yes.")
    found = compare(first, second)
    assert [pair.one for pair in found.pairs if pair.one is not None] == steps(first)
    assert [pair.other for pair in found.pairs if pair.other is not None] == steps(second)
    assert all(p.one.name == p.other.name for p in found.pairs if p.one is not None and p.other is not None)


def test_runs_of_a_thousand_steps_that_differ_throughout_are_compared_too() -> None:
    one = invented([1, 2, 3, 2] * 125, "Yes.")
    other = invented([3, 1, 1, 2, 2] * 100, "No.")
    other["question"] = one["question"] + "?"
    found = compare(one, other)
    assert len(steps(one)) > 1000
    assert found.count("same") > 100
    assert found.count("only in one") == found.count("only in the other") > 0


def test_stored_runs_are_compared_by_their_ids(migrated: Path) -> None:
    one, other = stored(), stored(steps=refund(reply="Paid."))
    found = traces.between(one.run_id, other.run_id)
    assert (found.one, found.other) == (one.run_id, other.run_id)
    assert found.plain == json.loads(json.dumps(found.plain))
    assert [one["verdict"] for one in found.plain["steps"]].count("changed") == 2
    with pytest.raises(NotFound, match="There is no run run_0"):
        traces.between(one.run_id, "run_0")


def test_the_command_compares_as_a_process(migrated: Path) -> None:
    one, other = stored(), stored(steps=refund(reply="Paid."))
    done = call("runs", "compare", one.run_id, other.run_id, "--json")
    assert done.code == 1, done.err
    assert done.json["divergence"]["words"] == "step 9, model request of money: the answer differs"
    same = call("runs", "compare", one.run_id, one.run_id)
    assert (same.code, same.out.splitlines()[0]) == (0, "The runs are the same, step by step.")
    bad = call("runs", "compare", one.run_id, "run_0", "--json")
    assert (bad.code, bad.out, bad.err.count("\n")) == (2, "", 1)
    assert "There is no run run_0" in bad.err


def test_people_read_what_differs_line_by_line(migrated: Path) -> None:
    one, other = stored(), stored(steps=refund(reply="Paid."))
    told = here("runs", "compare", one.run_id, other.run_id).out
    assert f"- reply: {PAID}" in told
    assert "+ reply: Paid." in told
    assert "tool calls: 2 and 2" in told


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_any_text_is_compared(text: str) -> None:
    record = invented([1], text)
    record["calls"][1] |= {"arguments": text, "output": text}
    assert compare(record, copy.deepcopy(record)).same
    assert all(pair.diff(part) for pair in compare(record, invented([1], "x")).differences for part in pair.texts)
