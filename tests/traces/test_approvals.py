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
from tests.flows_for_tests import CALLED, DESK, Scripted, SideBySide, freeze
from tests.traces import paying
from tests.traces.recorded import refund
from workbench import jobs, runtime, traces
from workbench.access import Actor
from workbench.errors import Conflict, Invalid, Refused, Unavailable
from workbench.jobs import work
from workbench.runtime import Decision, Result
from workbench.runtime.record import ToolCall
from workbench.store import now, session
from workbench.store.tables import Approval as Row
from workbench.traces import approvals, claims
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
    assert [process.wait(180) for process in both] == [0, 0]
    assert lines(log) == [f"{one.run_id}:c3 80.0"]


def test_a_decision_survives_a_kill_before_the_call(database: str, manager: Actor, log: Path) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    first = spawned(decided.job_id)
    first.kill()
    first.wait(30)
    if not lines(log):
        assert spawned(decided.job_id).wait(180) == 0
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
    assert spawned(decided.job_id).wait(180) == 0
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
    ledger = claims.Claims(one.run_id)
    call = ToolCall("money", "pay_out", "c3", AMOUNT, "high-stakes", 0.0, decided="mei")
    assert ledger.begin(call) is None
    call.output = '{"paid": 80.0}'
    ledger.end(call)
    assert jobs.run_here(decided.job_id).state == "done"
    assert lines(log) == []
    assert approvals.approval(one.id).answer == '{"paid": 80.0}'


def left_half_way(manager: Actor) -> approvals.Approval:
    """A call that was begun in a process that is no more, and nothing is known of."""
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    work.open_job(decided.job_id)
    claims.Claims(one.run_id).begin(ToolCall("money", "pay_slowly", "c3", AMOUNT, "high-stakes", 0.0, decided="mei"))
    work.end_job(decided.job_id, "failed", "The process ended.")
    return approvals.approval(one.id)


def test_a_person_who_saw_that_a_call_did_not_happen_lets_it_be_made(migrated: Path, manager: Actor, log: Path) -> None:
    unclear = left_half_way(manager)
    assert unclear.state == "unclear"
    again = approvals.settle(manager, unclear.id, happened=False)
    assert (again.state, again.result_run) == ("approved", "")
    assert jobs.run_here(again.job_id).state == "done"
    done = approvals.approval(unclear.id)
    assert (done.state, done.answer) == ("done", '{"paid": 80.0}')
    assert lines(log) == [f"{unclear.run_id}:c3 80.0"]
    assert traces.record(done.result_run)["outcome"] == "answered"


def test_what_a_person_saw_happen_is_what_the_customer_is_told(migrated: Path, manager: Actor, log: Path) -> None:
    unclear = left_half_way(manager)
    again = approvals.settle(manager, unclear.id, happened=True, answer='{"paid": 80.0}')
    assert jobs.run_here(again.job_id).state == "done"
    record = traces.record(approvals.approval(unclear.id).result_run)
    call = next(one for one in record["calls"] if one.get("call_id") == "c3")
    assert (call["output"], call["error"]) == ('{"paid": 80.0}', "")
    assert lines(log) == []


def test_nobody_settles_an_own_call_but_a_manager(migrated: Path, architect: Actor, manager: Actor, log: Path) -> None:
    unclear = left_half_way(manager)
    assert unclear.asked_by == architect.name
    with pytest.raises(Refused, match="Somebody else must decide"):
        approvals.settle(architect, unclear.id, happened=False)
    assert approvals.approval(unclear.id).state == "unclear"


def test_a_run_that_could_not_go_on_goes_on_when_a_person_says_so(migrated: Path, manager: Actor, log: Path) -> None:
    one = stored(SLOWLY)
    decided = approvals.decide(manager, one.id, approved=True)
    with pytest.raises(Conflict, match="has gone on meanwhile"):
        approvals.again(manager, one.id)
    work.open_job(decided.job_id)
    work.end_job(decided.job_id, "failed", "The database is locked.")
    assert approvals.approval(one.id).trouble == "The database is locked."
    again = approvals.again(manager, one.id)
    assert (again.trouble, again.job_id == decided.job_id) == ("", False)
    assert jobs.run_here(again.job_id).state == "done"
    assert approvals.approval(one.id).state == "done"
    assert lines(log) == [f"{one.run_id}:c3 80.0"]


class Broken:
    """A ledger whose storage fails before or after the call."""

    def __init__(self, *, before: bool) -> None:
        self.before = before

    def begin(self, call: ToolCall) -> None:
        """Fails, or claims."""
        if self.before:
            raise Unavailable("The database is locked.")

    def end(self, call: ToolCall) -> None:
        """Always fails."""
        raise Unavailable("The database is locked.")


def test_nothing_is_called_and_no_run_made_where_the_ledger_cannot_be_asked() -> None:
    before = held()
    with pytest.raises(Unavailable, match="locked"):
        asyncio.run(
            runtime.resume(freeze(DESK), before.record, [YES], models=Scripted(DONE), ledger=Broken(before=True))
        )
    assert ("pay_out", 80.0) not in CALLED


def test_a_call_whose_answer_could_not_be_kept_is_told_as_it_was_and_not_made_twice() -> None:
    before = held()
    asks_again = [[function_call("look_up", {"order_id": 1}, call_id="c9")], *DONE]
    after = asyncio.run(
        runtime.resume(freeze(DESK), before.record, [YES], models=Scripted(asks_again), ledger=Broken(before=False))
    )
    call = next(c for c in after.record["calls"] if c.get("name") == "pay_out")
    assert (call["output"], call["error"]) == ('{"paid": 80.0}', "")
    assert CALLED.count(("pay_out", 80.0)) == 1


def test_an_answer_that_could_not_be_kept_at_once_is_kept_with_the_run(migrated: Path, manager: Actor) -> None:
    one = stored()
    approvals.decide(manager, one.id, approved=True)
    assert (
        claims.Claims(one.run_id).begin(ToolCall("money", "pay_out", "c3", AMOUNT, "high-stakes", 0.0, decided="m"))
        is None
    )
    call = {"kind": "tool", "call_id": "c3", "done": True, "error": "", "replayed": False, "output": "paid"}
    with session() as open_session:
        claims.settle(open_session, one.run_id, {"calls": [call]})
    assert (approvals.approval(one.id).state, approvals.approval(one.id).answer) == ("done", "paid")


def test_calls_nobody_was_asked_about_are_not_repeated_when_going_on_begins_anew(database: str, manager: Actor) -> None:
    one = stored()
    record = traces.record(one.run_id)

    def attempt(call_id: str) -> Result:
        steps = [[function_call("pay_out", {"amount": 7}, call_id=call_id)], [assistant_message("Paid 7 as well.")]]
        ledger = claims.Claims(one.run_id)
        return asyncio.run(runtime.resume(freeze(DESK), record, [YES], models=Scripted(steps), ledger=ledger))

    approvals.decide(manager, one.id, approved=True)
    first, second = attempt("c7"), attempt("c8")
    assert CALLED == [("look_up", 1042), ("pay_out", 80.0), ("pay_out", 7.0)]
    assert first.reply == second.reply == "Paid 7 as well."
    answered = next(c for c in second.record["calls"] if c.get("call_id") == "c8")
    assert answered["output"] == '{"paid": 7.0}'


def test_a_slower_process_finds_the_claims_after_the_faster_one_has_gone_on(migrated: Path, manager: Actor) -> None:
    one = stored()
    decided = approvals.decide(manager, one.id, approved=True)
    call = ToolCall("money", "pay_out", "c7", '{"amount": 7}', "high-stakes", 0.0)
    faster = claims.Claims(one.run_id)
    assert faster.begin(call) is None
    call.output = '{"paid": 7.0, "to": "ada@example.com"}'
    faster.end(call)
    assert jobs.run_here(decided.job_id).state == "done"
    assert approvals.approval(one.id).result_run
    again = claims.Claims(one.run_id).begin(ToolCall("money", "pay_out", "c8", '{"amount": 7}', "high-stakes", 0.0))
    assert again is not None
    assert "ada@example.com" not in again["output"]
    assert '"paid": 7.0' in again["output"]


def test_two_equal_calls_that_a_model_means_are_both_made(migrated: Path, manager: Actor) -> None:
    one = stored()
    approvals.decide(manager, one.id, approved=True)
    steps = [
        [function_call("pay_out", {"amount": 7}, call_id="c7"), function_call("pay_out", {"amount": 7}, call_id="c8")],
        *DONE,
    ]
    ledger = claims.Claims(one.run_id)
    record = traces.record(one.run_id)
    asyncio.run(runtime.resume(freeze(DESK), record, [YES], models=Scripted(steps), ledger=ledger))
    assert CALLED.count(("pay_out", 7.0)) == 2


BESIDE = DESK.replace("tools: [look_up, pay_out]", "tools: [ask_payer, ask_finder]").replace(
    "tools:\n  look_up",
    "  payer: {prompt: desk/payer, tools: [pay_out]}\n  finder: {prompt: desk/finder, tools: [look_up]}\ntools:\n"
    "  ask_payer: {kind: agent, agent: payer, description: Asks who pays.}\n"
    "  ask_finder: {kind: agent, agent: finder, description: Asks who finds.}\n  look_up",
)
BOTH = [
    [function_call("transfer_to_money", {}, call_id="c1")],
    [
        function_call("ask_payer", {"question": "Pay"}, call_id="p"),
        function_call("ask_finder", {"question": "Find"}, call_id="f"),
    ],
]


@pytest.mark.parametrize("slow", ["p", "f"])
def test_agents_asked_side_by_side_replay_and_go_on_whoever_is_slower(slow: str) -> None:
    waits = {"": 0.0, "p": 0.0, "f": 0.0} | {slow: 0.05}
    scripts = {
        "": [*BOTH, [assistant_message("Found, and paid.")]],
        "p": [[function_call("pay_out", {"amount": 80}, call_id="c3")], [assistant_message("I paid.")]],
        "f": [
            [function_call("look_up", {"order_id": 7}, call_id="c4")],
            [function_call("look_up", {"order_id": 8}, call_id="c5")],
            [assistant_message("I found both.")],
        ],
    }
    CALLED.clear()
    models = SideBySide({lane: (waits[lane], steps) for lane, steps in scripts.items()})
    before = asyncio.run(runtime.run(freeze(BESIDE), "My order is late", models=models))
    assert before.outcome == "held"
    assert str(replay_record(before.record, freeze(BESIDE))) == "faithful"
    after = asyncio.run(runtime.resume(freeze(BESIDE), before.record, [YES], models=models))
    assert (after.outcome, after.reply) == ("answered", "Found, and paid.")
    assert sorted(CALLED) == [("look_up", 7), ("look_up", 8), ("pay_out", 80.0)]
    assert str(replay_record(after.record, freeze(BESIDE))) == "faithful"


def test_what_differs_inside_an_asked_agent_is_told_and_not_swallowed_as_a_failure_of_a_tool() -> None:
    scripts = {"": [*BOTH, DONE[0]], "p": [[assistant_message("No.")]], "f": [[assistant_message("None.")]]}
    models = SideBySide({lane: (0.0, steps) for lane, steps in scripts.items()})
    record = asyncio.run(runtime.run(freeze(BESIDE), "My order is late", models=models)).record
    asked = next(one for one in record["calls"] if one["kind"] == "model" and one["inside"] == "f")
    asked["request"]["system"] = "You work for somebody else."
    assert str(replay_record(record, freeze(BESIDE))) == "differs at model request 4: the instructions differ"
