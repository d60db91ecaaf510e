"""Why runs failed: rules over the record, people's word above them, applied to old runs by a job, gone with the run."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from agents.testing import assistant_message, function_call

from tests.traces.recorded import refund, stored
from tests.traces.test_ingest import desk, take
from workbench import jobs, traces
from workbench.access import Actor, audit
from workbench.errors import Invalid, NotFound, Refused
from workbench.operations import failures
from workbench.operations.failures import Period
from workbench.store import now
from workbench.traces import cause_rules, causes, forget

BROKEN = [
    [function_call("transfer_to_money", {}, call_id="c1")],
    [function_call("look_up", {"order_id": 13}, call_id="c2")],
    [assistant_message("I cannot see it.")],
]
PERIOD = Period(now() - dt.timedelta(days=1))


def said(run_id: str) -> dict[str, str]:
    """The causes of a run with who said so."""
    return {one.cause: one.by for one in causes.of([run_id])}


def record(**changed: Any) -> dict[str, Any]:
    """The least of a record that the rules read."""
    made: dict[str, Any] = {"outcome": "answered", "reply": "", "error": "", "stop": "", "seconds": 1.0}
    return made | {"usage": {"usd": 0.0}, "calls": [], "guardrails": []} | changed


def tool(name: str, output: str = "ok", error: str = "") -> dict[str, Any]:
    """A recorded tool call."""
    return {"kind": "tool", "agent": "a", "name": name, "output": output, "error": error, "inside": ""}


SEARCHED = '{"passages": [{"id": "p-1"}], "enough": true}'
MISSED = '{"passages": [], "enough": false}'
TURNS = [{"kind": "model", "agent": name, "inside": ""} for name in "ababa"]


@pytest.mark.parametrize(
    ("given", "cause", "why"),
    [
        ({"calls": [tool("pay", error="no such order")]}, "tool error", "pay: no such order"),
        ({"calls": [tool("pay", output="Error: card declined")]}, "tool error", "pay: Error: card declined"),
        ({"guardrails": [{"name": "cards", "tripped": True, "reason": "a card"}]}, "policy", "cards: a card"),
        ({"seconds": 21.0}, "latency", "it took 21.0 s"),
        ({"usage": {"usd": 0.3}}, "limit", "it cost $0.3000"),
        ({"outcome": "limit", "stop": "stopped after 3 turns"}, "limit", "stopped after 3 turns"),
        ({"calls": TURNS}, "handoff loop", "a took over 3 times"),
        (
            {"outcome": "error", "error": "The model's answer does not fit the output schema: x."},
            "parse failure",
            "The model's answer does not fit the output schema: x.",
        ),
        ({"calls": [tool("search_knowledge", MISSED)]}, "retrieval miss", "no search brought a close passage"),
        (
            {"outcome": "abstained", "calls": [tool("search_knowledge", SEARCHED)]},
            "abstained wrongly",
            "it declined although a search had brought a close passage",
        ),
        (
            {"reply": "It is free.", "calls": [tool("search_knowledge", SEARCHED)]},
            "groundedness",
            "the reply names none of the passages found",
        ),
        ({"outcome": "error", "error": "The model server cannot be reached."}, "other", "The model server cannot be reached."),
        ({"usage": {"usd": None}, "seconds": 20.0, "calls": TURNS[:3]}, "", ""),
        ({"reply": "It is free [p-1].", "calls": [tool("search_knowledge", SEARCHED)]}, "", ""),
        ({"calls": [tool("pay", error="A person did not allow this call.")]}, "", ""),
    ],
)  # fmt: skip
def test_a_rule_finds_its_cause_and_says_why(given: dict[str, Any], cause: str, why: str) -> None:
    found = cause_rules.found(record(**given), causes.shipped())
    assert [(rule.cause, told) for rule, told in found] == ([(cause, why)] if cause else [])


def test_every_rule_has_a_cause_and_a_finding_that_exist() -> None:
    assert {one.cause for one in causes.shipped()} <= set(causes.causes())
    assert {one.finds for one in causes.shipped()} == set(cause_rules._FINDINGS)
    assert {one.unit == "" for one in causes.shipped() if one.than is None} == {True}


def test_new_runs_get_their_causes_and_people_stand_above_rules(migrated: Any, rep: Actor, manager: Actor) -> None:
    bad, good = stored(steps=BROKEN).run_id, stored().run_id
    assert said(bad) == {"tool error": "rule: tool-failed"}
    assert said(good) == {}
    causes.untag(rep, bad, "tool error")
    causes.tag(rep, good, "other", "wrote to bob@example.com")
    assert "bob@example.com" not in causes.of([good])[0].note
    assert causes.of([good])[0].note.startswith("wrote to [email ")
    assert jobs.run_here(cause_rules.apply(manager)).state == "done"
    assert (said(bad), said(good)) == ({}, {"other": "rui"})
    causes.tag(rep, bad, "tool error")
    assert said(bad) == {"tool error": "rui"}
    assert [one.verb for one in audit.newest(4)].count("say why a run failed") == 3
    assert audit.verify().intact


def test_a_rule_is_counted_first_and_then_applied_to_old_runs(migrated: Any, architect: Actor, rep: Actor) -> None:
    bad = stored(steps=BROKEN).run_id
    slow = next(one for one in causes.rules() if one.name == "slow")
    seen = cause_rules.preview([slow.model_copy(update={"than": 0.0})])
    assert (seen.runs, seen.tagged["slow"]) == (1, 1)
    with pytest.raises(Refused):
        causes.set_rule(rep, "slow", active=True, than=0.0)
    with pytest.raises(Invalid, match="needs a number"):
        causes.set_rule(architect, "slow", active=True)
    assert causes.set_rule(architect, "slow", active=True, than=0.0).words == "slower than 0 seconds"
    causes.set_rule(architect, "tool-failed", active=False)
    assert said(bad) == {"tool error": "rule: tool-failed"}
    done = jobs.run_here(cause_rules.apply(architect))
    assert (done.state, done.done, done.total) == ("done", 1, 1)
    assert said(bad) == {"latency": "rule: slow"}


def test_what_cannot_be_said_is_refused(migrated: Any, rep: Actor) -> None:
    with pytest.raises(Invalid, match="'moonlight' is not a cause"):
        causes.tag(rep, stored().run_id, "moonlight")
    with pytest.raises(NotFound, match="There is no run"):
        causes.tag(rep, "run_none", "other")
    with pytest.raises(NotFound, match="does not have the cause latency"):
        causes.untag(rep, "run_none", "latency")


def test_the_shares_are_of_all_runs_and_lead_to_the_runs_behind_them(migrated: Any, rep: Actor) -> None:
    bad = stored("Where is 13?", steps=BROKEN).run_id
    for _ in range(3):
        stored(steps=refund())
    stored(steps=BROKEN, source="experiment")
    found = failures.overview(PERIOD)
    assert (found.failed.passed, found.failed.total) == (1, 4)
    (share,) = failures.shares(PERIOD, "release")
    assert (share.cause, share.group, share.share.value, share.small) == ("tool error", "desk draft", 0.25, True)
    assert [one.group for one in failures.shares(PERIOD, "topic")] == ["(no ticket)"]
    (run,) = failures.behind(PERIOD, share, "release")
    assert (run.run_id, run.question, run.by) == (bad, "Where is 13?", "rule: tool-failed")
    assert run.why.startswith("look_up: ")
    assert [(one["cause"], one["runs"]) for one in failures.over_time(PERIOD)] == [("tool error", 1)]
    (times,) = failures.seconds(PERIOD)
    assert times.runs == 4
    assert set(times.mean) == set(failures.PARTS)


def test_the_parts_of_a_runs_time_add_up() -> None:
    calls = [
        {"kind": "model", "seconds": 2.0},
        {"kind": "tool", "name": "pay", "seconds": 1.5, "held": 1.0},
        {"kind": "tool", "name": "search_knowledge", "seconds": 0.5, "held": 0.0},
    ]
    taken = failures.parts({"calls": calls, "seconds": 5.0, "reply_waited": {"seconds": 0.25}})
    assert taken == {"model": 2.0, "tools": 0.5, "guardrail holds": 1.25, "search": 0.5, "between the steps": 0.75}


def test_runs_of_other_programs_get_their_causes_from_the_clock(migrated: Any, rep: Actor) -> None:
    made = desk()
    made[2]["error"] = "no such order"
    take(made)
    run_id = f"run_{made[0]['trace']}"
    assert said(run_id) == {}
    assert cause_rules.catch_up() == 1
    assert said(run_id) == {"tool error": "rule: tool-failed"}
    causes.untag(rep, run_id, "tool error")
    assert cause_rules.catch_up() == 0
    assert said(run_id) == {}


def test_causes_go_with_their_run(migrated: Any, rep: Actor, manager: Actor) -> None:
    bad = stored("I am bob@example.com", steps=BROKEN).run_id
    causes.tag(rep, bad, "other")
    causes.untag(rep, bad, "other")
    report = forget.customer(manager, "bob@example.com", confirmed=True)
    assert report.deleted["causes"] == 1
    assert causes.of([bad]) == []
    assert causes.counts() == {}
    assert traces.count() == 0
