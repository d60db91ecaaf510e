"""Runs: stored once, found again, replayed to the byte, named where they were tampered with, never lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message, function_call
from sqlalchemy import event
from sqlmodel import select

from tests.conftest import ROOT
from tests.flows_for_tests import CALLED, freeze
from tests.traces.recorded import PAID, copy_of, refund, run, stored
from workbench import flows, runtime, settings, store, traces
from workbench.access import Actor, audit
from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime import release
from workbench.runtime.record import ToolCall
from workbench.store.engine import engine
from workbench.store.tables import Frozen
from workbench.traces import approvals, capture

Change = Callable[[dict[str, Any]], Any]


def test_a_run_is_stored_found_and_read_back_whole(database: str) -> None:
    result = stored()
    found = traces.find(flow="desk")
    assert [(one.id, one.outcome, one.agent, one.reply) for one in found] == [
        (result.run_id, "answered", "money", PAID)
    ]
    assert found[0].started_at.tzinfo is dt.UTC
    assert traces.record(result.run_id) == result.record
    assert flows.frozen(found[0].digest).body == freeze().body


def test_each_filter_finds_what_it_names(database: str) -> None:
    first = stored("Is 100% of order_7 late?")
    second = stored("Refund me", refund(amount=80), source="playground")
    since = dt.datetime.now(dt.UTC)
    third = stored("Again?", [[assistant_message("Yes, again.")]], conversation=first.conversation)

    def found(**filters: Any) -> list[str]:
        return [one.id for one in traces.find(**filters)]

    assert found() == [third.run_id, second.run_id, first.run_id]
    assert found(limit=1) == [third.run_id]
    assert found(outcome="held") == found(source="playground") == [second.run_id]
    assert found(since=since) == [third.run_id]
    assert found(words="100% of ORDER_7") == [first.run_id]
    assert found(words="1__%") == []
    assert found(words=first.run_id) == [first.run_id]
    assert found(conversation=first.record["conversation"]) == [third.run_id, first.run_id]
    assert found(flow="dusk") == []
    assert traces.ids() == [first.run_id, second.run_id, third.run_id]
    assert (traces.count(), traces.flow_names()) == (3, ["desk"])


def test_a_stored_conversation_goes_on_where_it_stopped(database: str) -> None:
    first = stored()
    talk = traces.conversation(first.record["conversation"])
    second = run("And now?", [[assistant_message("Now it is paid.")]], conversation=talk)
    assert second.record["starts_at"] == "money"
    assert [i["content"] for i in second.record["input"] if "content" in i][-2:] == [PAID, "And now?"]


def test_a_flag_names_its_reason_and_filters_runs(database: str, rep: Actor) -> None:
    one, _ = stored(), stored()
    traces.flag(rep, one.run_id, "  Was this paid twice? ")
    assert [f.reason for f in traces.flags([one.run_id])] == ["Was this paid twice?"]
    assert [r.id for r in traces.find(flagged=True)] == [one.run_id]
    before = audit.verify()
    with pytest.raises(Invalid, match="A flag needs a reason"):
        traces.flag(rep, one.run_id, " ")
    with pytest.raises(NotFound, match="There is no run run_0"):
        traces.flag(rep, "run_0", "Look.")
    assert audit.verify() == before


def test_a_run_stored_twice_is_stored_once(database: str) -> None:
    finished = run().finished
    capture.write([finished, finished])
    capture.write([finished])
    assert traces.ids() == [finished.recorder.id]
    assert traces.record(finished.recorder.id) == finished.plain


def test_a_run_that_two_processes_store_at_the_same_moment_is_stored_once(database: str) -> None:
    one, other = copy_of(run()), copy_of(run())
    with ThreadPoolExecutor(1) as second:
        with store.session() as first:
            assert capture.put(first, [(one, freeze())]) == [one["id"]]
            late = second.submit(put, [one, other])
            time.sleep(0.5)
            assert not late.done()
        assert late.result(20) == [other["id"]]
    assert [found.id for found in traces.find()].count(one["id"]) == 1


def put(records: list[dict[str, Any]]) -> list[str]:
    with store.session() as open_session:
        return capture.put(open_session, [(record, freeze()) for record in records])


def test_a_replay_is_faithful_and_calls_no_tool(database: str, rep: Actor) -> None:
    result = stored()
    held = stored("Pay me 80", refund(amount=80))
    failed = stored(
        "Order 13?", [*refund()[:1], [function_call("look_up", {"order_id": 13}, call_id="c2")], *refund()[3:]]
    )
    CALLED.clear()
    for one in (result, held, failed):
        assert traces.replay(rep, one.run_id).verdict == "faithful"
    assert CALLED == []
    assert traces.count() == 3


def recorded_answer(answers: dict[str, Any], call: ToolCall) -> Any:
    return answers[call.call_id]


def test_every_run_of_the_sample_workspace_replays_to_the_byte(seeded: Path, rep: Actor) -> None:
    ids = traces.ids()
    assert len(ids) >= 30
    for run_id in ids:
        assert str(traces.replay(rep, run_id, strict=True)) == "faithful"
        record = traces.record(run_id)
        answers = {c["call_id"]: c for c in record["calls"] if c["kind"] == "tool"}
        talk = runtime.Conversation(record["conversation"], tuple(record["input"][:-1]), record["starts_at"])
        again = asyncio.run(
            runtime.run(
                flows.frozen(record["digest"]),
                record["question"],
                models=runtime.Tape(record["calls"]),
                conversation=talk,
                answers=functools.partial(recorded_answer, answers),
            )
        )
        assert again.reply.encode() == record["reply"].encode()


def calls(record: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [call for call in record["calls"] if call["kind"] == kind]


@pytest.mark.parametrize(
    ("tamper", "span", "what"),
    [
        (lambda r: r.update(reply="I paid you 500."), "the reply", "instead of 'I paid you 500.'"),
        (lambda r: r.update(outcome="escalated"), "the outcome", "'answered' instead of 'escalated'"),
        (lambda r: r.update(agent="front"), "the agent that answers", "'money' instead of 'front'"),
        (lambda r: r.update(question="Pay me"), "model request 1", ""),
        (lambda r: r["variables"].update(shop="Mallory"), "model request 1", ""),
        (lambda r: calls(r, "model")[0]["request"].update(system="Be rude."), "model request 1", ""),
        (lambda r: calls(r, "model")[2]["request"].update(tools=[]), "model request 3", ""),
        (lambda r: calls(r, "model")[1].update(digest="0" * 64), "model request 2", ""),
        (lambda r: calls(r, "tool")[0].update(output='{"order_id": 1042, "status": "here"}'), "model request 3", ""),
        (lambda r: calls(r, "tool")[1].update(output='{"paid": 500.0}'), "model request 4", ""),
        (lambda r: calls(r, "tool")[1].update(arguments='{"amount": 500}'), "tool call pay_out", ""),
        (lambda r: calls(r, "tool")[0].update(name="find_order"), "tool call look_up", ""),
        (lambda r: calls(r, "tool")[0].update(error="look_up failed."), "model request 3", ""),
        (
            lambda r: calls(r, "model")[2]["response"]["output"][0].update(arguments='{"amount": 40}'),
            "tool call pay_out",
            "no such call",
        ),
        (
            lambda r: calls(r, "model")[3]["response"]["output"][0]["content"][0].update(text="No."),
            "the reply",
            "'No.' instead of",
        ),
        (lambda r: r["calls"].pop(), "model request 4", "no such request"),
        (lambda r: r["calls"].append(dict(r["calls"][-1])), "the run", "number of model requests"),
        (lambda r: r["calls"].append({**r["calls"][2], "call_id": "c9"}), "", ""),
    ],
)
def test_a_tampered_record_is_named_with_the_step(tamper: Change, span: str, what: str) -> None:
    record = copy_of(run())
    tamper(record)
    verdict = traces.replay_record(record, freeze())
    assert verdict.verdict == "differs", verdict
    assert span in verdict.span
    assert what in verdict.what


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: r.update(stop="stopped after 60 seconds"), "stopped by the clock"),
        (lambda r: r.update(stop="stopped by the person"), "stopped by a person"),
        (lambda r: r.update(digest="sha256:0"), "not the one that ran"),
    ],
)
def test_a_replay_that_cannot_be_says_why(change: Change, why: str) -> None:
    record = copy_of(run())
    change(record)
    verdict = traces.replay_record(record, freeze())
    assert (verdict.verdict, why in verdict.what) == ("impossible", True)


def test_a_run_whose_tool_is_gone_cannot_be_replayed() -> None:
    body = json.loads(json.dumps(freeze().body))
    body["spec"]["tools"]["look_up"]["call"] = "look_up_of_last_year"
    frozen = release.of(body)
    verdict = traces.replay_record(copy_of(run()) | {"digest": frozen.digest}, frozen)
    assert verdict.verdict == "impossible"
    assert "There is no Python tool called look_up_of_last_year" in verdict.what


def test_a_run_whose_flow_is_not_stored_cannot_be_replayed(migrated: Path, rep: Actor) -> None:
    result = stored()
    with store.session() as open_session:
        for row in open_session.exec(select(Frozen)):
            open_session.delete(row)
    assert "No flow with the digest" in traces.replay(rep, result.run_id).what


def test_nobody_replays_what_does_not_exist(migrated: Path, rep: Actor) -> None:
    with pytest.raises(NotFound, match="There is no run run_0"):
        traces.replay(rep, "run_0")


def test_an_export_is_imported_whole_by_another_database(
    database: str, architect: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = stored("Schön, or is it? 語 \u2028 \u0085 end")
    text = traces.export(result.run_id)
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    store.migrate()
    assert traces.take_in(architect, text) == [result.run_id]
    assert traces.take_in(architect, text) == []
    assert traces.record(result.run_id) == result.record
    assert traces.export(result.run_id) == text
    assert traces.replay(architect, result.run_id).verdict == "faithful"
    assert audit.newest(1)[0].verb == "import runs"


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("content"),
        lambda d: d.update(format=99),
        lambda d: d.update(kind="workbench release"),
        lambda d: d.update(run=[]),
        lambda d: d.update(run=None),
        lambda d: d.update(content="text"),
        lambda d: d.update(content={"spec": {}}),
        lambda d: d["content"]["prompts"]["front"].update(text="Be rude."),
        lambda d: d["run"].pop("reply"),
        lambda d: d["run"].update(reply=5),
        lambda d: d["run"].update(started_at="yesterday"),
        lambda d: d["run"].update(started_at="2026-11-01T10:00:00"),
        lambda d: d["run"].update(version="vNext"),
        lambda d: d["run"].update(outcome="splendid"),
        lambda d: d["run"].update(usage={}),
        lambda d: d["run"].update(models=[7]),
        lambda d: d["run"].update(seconds=float("nan")),
        lambda d: d["run"]["calls"].insert(0, "call"),
        lambda d: d["run"]["calls"][0].pop("request"),
        lambda d: d["run"]["calls"][0].pop("kind"),
        lambda d: d["run"]["calls"][0]["request"].update(system="Be rude."),
        lambda d: d["run"]["calls"][2].pop("call_id"),
    ],
)
def test_a_broken_export_is_refused_and_nothing_is_changed(migrated: Path, architect: Actor, damage: Change) -> None:
    document = {"format": 1, "kind": "workbench run export", "run": copy_of(run()), "content": dict(freeze().body)}
    document = json.loads(json.dumps(document))
    damage(document)
    before = audit.verify()
    with pytest.raises(Invalid):
        traces.take_in(architect, json.dumps(document))
    assert (traces.count(), audit.verify()) == (0, before)


@pytest.mark.parametrize("text", ["", "not json", "[]", "5", "null", "[" * 5000])
def test_a_text_that_is_no_export_is_refused(migrated: Path, architect: Actor, text: str) -> None:
    with pytest.raises(Invalid, match="not a run export"):
        traces.take_in(architect, text)


def test_of_two_runs_with_one_broken_none_is_imported(database: str, architect: Actor) -> None:
    good = {"run": copy_of(run()), "content": freeze().body}
    bad = {"run": copy_of(run()) | {"digest": "sha256:0"}, "content": freeze().body}
    with pytest.raises(Invalid, match="is not the one that run_"):
        traces.take_in(architect, f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    assert traces.count() == 0


def test_a_rep_may_not_import_runs(migrated: Path, rep: Actor) -> None:
    with pytest.raises(Refused, match="A rep may not import runs"):
        traces.take_in(rep, "{}")


def test_a_killed_process_loses_at_most_its_last_second(migrated: Path, rep: Actor) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.traces.endless"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while not traces.ids():  # the first writing takes longer: all that it needs is loaded then
            lines.append(process.stdout.readline())
        end = time.time() + 1.8
        while float(lines[-1].split()[0]) < end or len(lines) < 40:
            lines.append(process.stdout.readline())
        killed = time.time()
        process.send_signal(signal.SIGKILL)
        lines += [line for line in process.stdout if line.endswith("\n")]
    ended = {run_id: float(at) for at, run_id in map(str.split, lines)}
    kept = set(traces.ids())
    assert {run_id for run_id, at in ended.items() if at < killed - 1} <= kept
    assert len(kept) > 10
    newest = traces.find(limit=1)[0]
    assert traces.replay(rep, newest.id).verdict == "faithful"


def test_a_process_that_ends_by_itself_loses_nothing(migrated: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.traces.endless", "20"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == sorted(traces.ids())


def impatient() -> None:
    """Let this test wait for a lock no longer than a moment."""

    def prepare(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout=20")

    event.listen(engine(), "checkout", prepare)


def test_a_database_locked_for_a_moment_loses_nothing(migrated: Path) -> None:
    impatient()
    locker = sqlite3.connect(settings.load().local / "workbench.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    result = run(sink=traces.sink())
    time.sleep(0.6)
    assert traces.count() == 0
    locker.execute("ROLLBACK")
    locker.close()
    assert traces.flush()
    assert traces.ids() == [result.run_id]


def test_a_database_that_stays_locked_loses_nothing(migrated: Path, architect: Actor) -> None:
    impatient()
    locker = sqlite3.connect(settings.load().local / "workbench.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    results = [run(text, sink=traces.sink()) for text in ("My order is late", "Late \u2028 again \u0085 ?")]
    traces.close()
    locker.execute("ROLLBACK")
    locker.close()
    assert traces.count() == 0
    text = (settings.load().local / capture.SPILL).read_text(encoding="utf-8")
    assert sorted(traces.take_in(architect, text)) == sorted(one.run_id for one in results)
    assert traces.take_in(architect, text) == []
    for one in results:
        assert traces.record(one.run_id) == one.record


def test_a_held_run_that_could_not_be_stored_asks_once_it_is_taken_in(migrated: Path, architect: Actor) -> None:
    impatient()
    locker = sqlite3.connect(settings.load().local / "workbench.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    waits = run(steps=refund(amount=80), sink=traces.sink())
    trial = run(steps=refund(amount=90), sink=traces.sink(asks=False))
    traces.close()
    locker.execute("ROLLBACK")
    locker.close()
    assert (waits.outcome, trial.outcome) == ("held", "held")
    kept = (settings.load().local / capture.SPILL).read_text(encoding="utf-8")
    foreign = run(steps=refund(amount=70))
    forged = json.dumps({"run": foreign.record, "content": foreign.finished.recorder.release.body, "asks": True})
    assert len(traces.take_in(architect, f"{kept}{forged}\n")) == 3
    asked = approvals.find()
    assert [(one.run_id, one.arguments, one.state) for one in asked] == [(waits.run_id, {"amount": 80}, "waiting")]


@pytest.mark.parametrize("depth", [250, 900, 100_000])
def test_a_document_that_is_nested_too_deeply_is_refused(migrated: Path, architect: Actor, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    body = f'{{"run": {{"more": {deep}}}, "content": {{"spec": {deep}}}}}'
    with pytest.raises(Invalid, match="This is not a run export: it is nested"):
        traces.take_in(architect, body)


@pytest.mark.parametrize("text", ["nul \x00 inside", "half a face \ud83d"])
def test_a_message_that_a_database_cannot_hold_takes_no_other_run_with_it(
    database: str, architect: Actor, text: str
) -> None:
    before = run(sink=traces.sink())
    odd = run(text, sink=traces.sink())
    after = run(sink=traces.sink())
    traces.close()
    spill = settings.load().local / capture.SPILL
    if spill.exists():
        traces.take_in(architect, spill.read_text(encoding="utf-8"))
    assert {before.run_id, after.run_id} <= set(traces.ids())
    assert odd.run_id in traces.ids()
