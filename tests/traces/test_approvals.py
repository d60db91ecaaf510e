"""Approvals: whoever decides, however often and whatever dies, an approved call is executed once."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message, function_call
from sqlalchemy import update
from sqlmodel import col

from tests.conftest import ROOT
from tests.flows_for_tests import CALLED, DESK, Scripted, freeze
from tests.traces import paying
from tests.traces.recorded import refund
from workbench import jobs, runtime, traces
from workbench.access import Actor
from workbench.errors import Conflict, Invalid, Refused
from workbench.runtime import Decision, Result
from workbench.runtime.record import ToolCall
from workbench.store import now, session
from workbench.store.tables import Approval as Row
from workbench.traces import approvals
from workbench.traces.replay import replay_record

SLOWLY = DESK.replace("pay_out: {kind: python, call: pay_out,", "pay_out: {kind: python, call: pay_slowly,")
NESTED = DESK.replace("tools: [look_up, pay_out]", "tools: [look_up, ask_payer]").replace(
    "tools:\n  look_up",
    "  payer: {prompt: desk/payer, tools: [pay_out]}\ntools:\n"
    "  ask_payer: {kind: agent, agent: payer, description: Asks who pays.}\n  look_up",
)


def held(flow: str = DESK, steps: list[Any] | None = None, **rest: Any) -> Result:
    """A run that waits for a person."""
    CALLED.clear()
    result = asyncio.run(
        runtime.run(freeze(flow), "My order is late", models=Scripted(steps or refund(amount=80)), **rest)
    )
    assert result.outcome == "held"
    return result


def resumed(before: Result, *decisions: Decision, steps: list[Any], flow: str = DESK) -> Result:
    """The run going on after the decisions, with a script for what is new."""
    return asyncio.run(runtime.resume(freeze(flow), before.record, decisions, models=Scripted(steps)))


def stored(flow: str = DESK, person: str = "ada") -> approvals.Approval:
    """A stored held run's approval."""
    held(flow, sink=traces.sink(), person=person)
    assert traces.flush()
    return approvals.find()[0]


AMOUNT = '{"amount": 80}'
YES = Decision("c3", "pay_out", AMOUNT, approved=True, by="mei")
DONE = [[assistant_message("Paid back 80 dollars.")]]


def test_an_approved_run_goes_on_from_its_record_and_executes_the_call_once() -> None:
    after = resumed(held(), YES, steps=DONE)
    assert (after.outcome, after.reply) == ("answered", "Paid back 80 dollars.")
    assert CALLED == [("look_up", 1042), ("pay_out", 80.0)]
    record = after.record
    assert [(c["kind"], c["replayed"]) for c in record["calls"]] == [
        ("model", True),
        ("model", True),
        ("tool", True),
        ("model", True),
        ("tool", False),
        ("model", False),
    ]
    assert next(c for c in record["calls"] if c.get("name") == "pay_out")["decided"] == "mei"
    assert record["usage"]["requests"] == 1


def test_a_resumed_run_replays_faithfully() -> None:
    record = resumed(held(), YES, steps=DONE).record
    assert str(replay_record(record, freeze(DESK))) == "faithful"


def test_a_rejection_reaches_the_model_in_the_persons_words() -> None:
    no = Decision("c3", "pay_out", AMOUNT, approved=False, by="mei", message="Only 50 dollars are covered")
    after = resumed(held(), no, steps=[[assistant_message("I may not pay that.")]])
    assert ("pay_out", 80.0) not in CALLED
    call = next(c for c in after.record["calls"] if c.get("name") == "pay_out")
    assert call["output"] == '{"error": "A person did not allow this call: Only 50 dollars are covered"}'
    assert after.reply == "I may not pay that."


def test_a_guardrail_holds_an_approved_call_of_a_resumed_run() -> None:
    flow = DESK.replace("check: prompt_injection}", "check: phrases, settings: {phrases: [nothing like it]}}")
    before = held(flow)
    stricter = flow.replace("nothing like it", "order is late")
    record = before.record | {"digest": freeze(stricter).digest}
    after = asyncio.run(runtime.resume(freeze(stricter), record, [YES], models=Scripted(DONE)))
    assert after.outcome == "blocked"
    assert ("pay_out", 80.0) not in CALLED


def test_a_call_inside_an_agent_asked_as_a_tool_is_held_and_goes_on_too() -> None:
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("ask_payer", {"question": "Pay 80"}, call_id="c2")],
        [function_call("pay_out", {"amount": 80}, call_id="c3")],
    ]
    before = held(NESTED, steps)
    assert [(w["tool"], w["agent"], w["inside"]) for w in before.record["waiting"]] == [("pay_out", "payer", "c2")]
    after = resumed(before, YES, steps=[[assistant_message("I paid.")], [assistant_message("All paid.")]], flow=NESTED)
    assert (after.outcome, after.reply, CALLED) == ("answered", "All paid.", [("pay_out", 80.0)])
    assert str(replay_record(after.record, freeze(NESTED))) == "faithful"


def test_two_calls_of_one_turn_wait_each_for_its_own_decision() -> None:
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [
            function_call("pay_out", {"amount": 80}, call_id="c2"),
            function_call("pay_out", {"amount": 90}, call_id="c3"),
            function_call("pay_out", {"amount": 7}, call_id="c4"),
        ],
    ]
    before = held(steps=steps)
    assert CALLED == [("pay_out", 7.0)]
    no = Decision("c2", "pay_out", AMOUNT, approved=False, by="mei", message="twice")
    yes = Decision("c3", "pay_out", '{"amount": 90}', approved=True, by="mei")
    resumed(before, no, yes, steps=DONE)
    assert CALLED == [("pay_out", 7.0), ("pay_out", 90.0)]


def test_a_decision_about_other_arguments_allows_nothing() -> None:
    other = Decision("c3", "pay_out", '{"amount": 51}', approved=True, by="mei")
    after = resumed(held(), other, steps=DONE)
    assert after.outcome == "held"
    assert ("pay_out", 80.0) not in CALLED


def test_only_a_held_run_of_the_same_flow_can_go_on() -> None:
    before = held()
    with pytest.raises(Invalid, match="is not a held run of this flow"):
        asyncio.run(runtime.resume(freeze(DESK.replace("50", "60")), before.record, [YES]))


def test_a_held_run_asks_in_the_inbox_and_goes_on_after_the_decision(database: str, manager: Actor) -> None:
    one = stored()
    assert (one.tool, one.arguments, one.asked_by, one.state) == ("pay_out", {"amount": 80}, "ada", "waiting")
    assert one.expires_at - one.asked_at == dt.timedelta(hours=24)
    CALLED.clear()
    decided = approvals.decide(manager, one.id, approved=True)
    assert (decided.state, decided.decided_by) == ("approved", "mei")
    assert CALLED == []
    assert jobs.run_here(decided.job_id).state == "done"
    after = approvals.approval(one.id)
    assert (after.state, after.answer) == ("done", '{"paid": 80.0}')
    assert CALLED == [("pay_out", 80.0)]
    run = traces.record(after.result_run)
    assert (run["resumes"], run["source"], run["person"]) == (one.run_id, "approval", "ada")
    jobs.run_here(decided.job_id)
    assert CALLED == [("pay_out", 80.0)]


def test_a_decision_is_taken_once(database: str, manager: Actor, rep: Actor) -> None:
    one = stored()
    approvals.decide(manager, one.id, approved=False, message="Not covered")
    with pytest.raises(Conflict, match="This call was rejected already by mei"):
        approvals.decide(rep, one.id, approved=True)
    assert approvals.approval(one.id).state == "rejected"


def test_nobody_decides_about_an_own_call_but_a_manager(migrated: Path, architect: Actor, manager: Actor) -> None:
    one = stored()
    with pytest.raises(Refused, match="Somebody else must decide"):
        approvals.decide(architect, one.id, approved=True)
    assert approvals.approval(one.id).state == "waiting"
    own = stored(person="mei")
    assert approvals.decide(manager, own.id, approved=True).state == "approved"


def test_a_flow_may_let_people_decide_about_their_own_calls(migrated: Path, architect: Actor) -> None:
    one = stored(DESK + "approvals: {another: false, hours: 2}\n")
    assert approvals.decide(architect, one.id, approved=True).state == "approved"


def test_a_rejection_without_a_reason_is_refused(migrated: Path, manager: Actor) -> None:
    one = stored()
    with pytest.raises(Invalid, match="A rejection needs a reason"):
        approvals.decide(manager, one.id, approved=False, message="  ")


def test_what_nobody_decides_expires_and_the_run_goes_on_without_the_call(database: str, manager: Actor) -> None:
    one = stored()
    with session() as open_session:
        open_session.execute(update(Row).where(col(Row.id) == one.id).values(expires_at=now() - dt.timedelta(hours=1)))
    with pytest.raises(Conflict, match="This call has expired"):
        approvals.decide(manager, one.id, approved=True)
    CALLED.clear()
    (job_id,) = approvals.expire()
    assert approvals.expire() == []
    jobs.run_here(job_id)
    after = approvals.approval(one.id)
    assert (after.state, CALLED) == ("expired", [])
    call = next(c for c in traces.record(after.result_run)["calls"] if c.get("name") == "pay_out")
    assert "nobody decided within" in call["output"]


def test_runs_of_experiments_and_from_files_ask_nobody(migrated: Path) -> None:
    held(sink=traces.sink(), source="experiment")
    assert traces.flush()
    assert approvals.find() == []


def spawned(job_id: str, **environment: str) -> subprocess.Popen[bytes]:
    """A process that does the job."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.traces.paying", job_id],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the slow payment notes itself down; the file outlives whoever is killed."""
    monkeypatch.setenv(paying.LOG, str(tmp_path / "paid"))
    return tmp_path / "paid"


def lines(log: Path) -> list[str]:
    """What was noted down."""
    return log.read_text().splitlines() if log.exists() else []


def test_two_processes_that_go_on_at_the_same_time_execute_the_call_once(
    database: str, manager: Actor, log: Path
) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    both = [spawned(decided.job_id, **{paying.PAUSE: "0.5"}) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert lines(log) == [f"{one.run_id}:c3 80.0"]


def test_a_decision_survives_a_kill_before_the_call(database: str, manager: Actor, log: Path) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    first = spawned(decided.job_id)
    first.kill()
    first.wait(30)
    if not lines(log):
        assert spawned(decided.job_id).wait(60) == 0
    assert lines(log) == [f"{one.run_id}:c3 80.0"]


def test_a_call_killed_half_way_is_not_repeated_but_told_as_unclear(database: str, manager: Actor, log: Path) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    first = spawned(decided.job_id, **{paying.PAUSE: "60"})
    for _ in range(600):
        if lines(log):
            break
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait(30)
    assert spawned(decided.job_id).wait(60) == 0
    assert lines(log) == [f"{one.run_id}:c3 80.0"]
    unclear = approvals.approval(one.id)
    assert unclear.state == "unclear"
    again = approvals.settle(manager, one.id, happened=True, answer='{"paid": 80.0}')
    assert jobs.run_here(again.job_id).state == "done"
    assert approvals.approval(one.id).state == "done"
    assert lines(log) == [f"{one.run_id}:c3 80.0"]


def test_a_call_that_reported_success_is_not_repeated_when_the_run_was_not_stored(
    migrated: Path, manager: Actor, log: Path
) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    claims = approvals.Claims(one.run_id)
    call = ToolCall("money", "pay_out", "c3", "{}", "high-stakes", 0.0)
    assert claims.begin(call) is None
    call.output = '{"paid": 80.0}'
    claims.end(call)
    assert jobs.run_here(decided.job_id).state == "done"
    assert lines(log) == []
    assert approvals.approval(one.id).answer == '{"paid": 80.0}'
