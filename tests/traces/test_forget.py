"""Runs are deleted when their time is over, and everything of one customer on request, with a report."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message
from sqlalchemy import update
from sqlmodel import col, select

from tests.conftest import ROOT
from tests.flows_for_tests import Scripted, freeze
from tests.receiving import receiving
from tests.traces.recorded import refund, run, stored
from tests.traces.test_ingest import desk, take
from workbench import datasets, jobs, runtime, settings, store, traces
from workbench.access import Actor, audit
from workbench.datasets import labelling
from workbench.errors import Invalid, NotFound, Refused
from workbench.evals import backtests
from workbench.runtime import Conversation, sinks
from workbench.store.tables import DeskRow, Run
from workbench.traces import approvals, capture, clock, forget, forget_job
from workbench.traces.fork import case, change_of

MAIL, OTHER = "ada.lovelace@example.com", "rui@example.com"


def says(text: str, conversation: str, **rest: Any) -> str:
    """A stored run of a conversation; its id."""
    talk = Conversation(id=conversation)
    return stored(text, [[assistant_message("Noted.")]], conversation=talk, **rest).run_id


def aged(run_id: str, days: int) -> None:
    """Make a stored run older."""
    with store.session() as open_session:
        before = store.now() - dt.timedelta(days=days)
        open_session.execute(update(Run).where(col(Run.id) == run_id).values(started_at=before))


def test_runs_older_than_their_flow_keeps_them_are_deleted(database: str, manager: Actor, rep: Actor) -> None:
    old, young = says("One", "c1"), says("Two", "c2")
    waiting = stored("Pay me 80", refund(amount=80), person="ada").run_id
    take(desk())
    for one in (old, waiting, traces.find(flow="shop-bot")[0].id):
        aged(one, 40)
    traces.flag(rep, old, "Look")
    with pytest.raises(Refused):
        forget.keep(rep, "desk", 30)
    with pytest.raises(Invalid):
        forget.keep(manager, "desk", -1)
    assert forget.expire().words == "Deleted: nothing"
    forget.keep(manager, "desk", 30)
    assert [(one.flow, one.days, one.set_by) for one in forget.kept()] == [("desk", 30, "mei")]
    assert forget.expire().words == "Deleted: 1 runs, 1 flags"
    assert set(traces.ids("desk")) == {young, waiting}, "a run that waits for a person stays"
    assert len(traces.ids("shop-bot")) == 1, "another flow's runs stay"
    forget.keep(manager, "shop-bot", 7)
    assert forget.expire().deleted["runs"] == 1
    assert traces.ids("shop-bot") == []
    assert forget.keep(manager, "desk", 0) is None
    assert [one.flow for one in forget.kept()] == ["shop-bot"]
    assert audit.verify().intact


def test_what_was_made_from_a_customers_runs_goes_too(migrated: Path, manager: Actor, architect: Actor) -> None:
    mine, other = says(f"I am {MAIL}, Elm Street 4", "c1"), says(f"I am {OTHER}", "conv_2")

    def fork(run_id: str) -> str:
        asked = change_of({"message": "And my parcel?"})
        return traces.fork(architect, run_id, "end", asked, models=Scripted([[assistant_message("Soon.")]])).run_id

    forks = [fork(mine), fork(other)]
    of_fork = fork(forks[0])
    datasets.put(architect, "forks", [datasets.case_of(case(traces.record(of_fork)), where="The fork")], run_id=of_fork)
    test = backtests.create(architect, freeze(), [mine, of_fork, other])
    assert jobs.run_here(test.job_id).state == "done"
    again = [one.new_run_id for one in backtests.report(test.id).pairs if one.run_id == other]
    told = forget.customer(manager, MAIL, confirmed=True)
    assert told.words.startswith("Deleted: 5 runs, 1 cases")
    assert set(traces.ids()) == {other, forks[1], *again}, "another customer's runs stay"
    assert forget.customer(manager, "conv_2").deleted["runs"] == 3


def test_the_clock_of_a_worker_deletes_old_runs(migrated: Path, manager: Actor) -> None:
    aged(says("One", "c1"), 40)
    forget.keep(manager, "desk", 30)
    clock.Clock().stop()
    assert traces.ids() == []


def test_everything_of_one_customer_is_deleted_and_nothing_of_another(
    database: str, manager: Actor, rep: Actor, architect: Actor
) -> None:
    first = says(f"I am {MAIL}", "c1")
    second = says("And my parcel?", "c1")
    masked_id = says("Hello", MAIL)
    other = says(f"I am {OTHER}", "c2")
    take(desk(attributes={"user.email": MAIL.upper()}))
    take(desk(2))
    traces.flag(rep, first, "Look")
    traces.flag(rep, other, "Look")
    labelling.save(architect, first, "cases")
    capture._spill([run(f"Write to {MAIL}").finished, run(f"Write to {OTHER}").finished], asks=True)
    with pytest.raises(Refused):
        forget.customer(rep, MAIL)
    with pytest.raises(Invalid, match="too short"):
        forget.customer(manager, "ada")
    before = forget.customer(manager, MAIL)
    assert (before.deleted["runs"], before.deleted["flags"], before.deleted["unsaved runs"], before.done) == (
        4,
        1,
        1,
        False,
    )
    assert before.words.startswith("Would be deleted: 4 runs")
    assert traces.count() == 6
    after = forget.customer(manager, MAIL, confirmed=True)
    assert after.deleted == before.deleted
    assert after.words.startswith("Deleted: 4 runs")
    kept = set(traces.ids())
    assert other in kept
    assert kept.isdisjoint({first, second, masked_id})
    assert len(kept) == 2
    assert len((settings.load().local / capture.SPILL).read_text().strip().split("\n")) == 1
    assert [one.run_id for one in traces.flags()] == [other]
    assert forget.customer(manager, MAIL).deleted["runs"] == 0
    assert MAIL not in str(audit.newest()[0].detail)
    assert audit.verify().intact


def test_a_job_deletes_what_the_call_does_and_keeps_nothing_of_the_customer(
    migrated: Path, manager: Actor, rep: Actor
) -> None:
    says(f"Write to {MAIL}", "c1")
    says("And now?", "c1")
    other = says(f"Write to {OTHER}", "c2")
    with pytest.raises(Refused):
        forget_job.start(rep, MAIL)
    asked = forget_job.start(manager, MAIL)
    with pytest.raises(NotFound, match="There is no report"):
        forget_job.report(manager, asked)
    seen: list[tuple[int, int]] = []
    assert jobs.run_here(asked, watch=lambda job: seen.append((job.done, job.total))).state == "done"
    assert seen[-1] == (3, 3)
    before = forget_job.report(manager, asked)
    assert (before.deleted["runs"], before.done) == (2, False)
    assert before.deleted == forget.customer(manager, MAIL).deleted
    done = forget_job.start(manager, MAIL, confirmed=True)
    jobs.run_here(done)
    assert forget_job.report(manager, done).words.startswith("Deleted: 2 runs")
    assert traces.ids() == [other]
    local = settings.load().local
    assert all(MAIL.encode() not in file.read_bytes() for file in local.rglob("*") if file.is_file())


def test_what_was_deleted_is_not_left_in_the_file(
    migrated: Path, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_REDACT", "off")
    word = "Zanzibarquestion"
    says(f"{word} from {MAIL}", "c1")
    stored_bytes = b"".join(path.read_bytes() for path in (migrated / "local").glob("workbench.db*"))
    assert word.encode() in stored_bytes
    forget.customer(manager, MAIL, confirmed=True)
    store.dispose()
    assert word.encode() not in b"".join(path.read_bytes() for path in (migrated / "local").glob("workbench.db*"))


def test_a_held_call_of_the_customer_goes_too(migrated: Path, manager: Actor) -> None:
    stored(f"I am {MAIL}, pay me 80", refund(amount=80), person="ada")
    assert len(approvals.find()) == 1
    report = forget.customer(manager, MAIL, confirmed=True)
    assert (report.deleted["runs"], report.deleted["approvals"]) == (1, 1)
    assert approvals.find() == []


def test_the_command_says_first_and_deletes_when_confirmed(migrated: Path) -> None:
    says(f"I am {MAIL}", "c1")
    store.dispose()

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workbench", "runs", *arguments], cwd=ROOT, capture_output=True, text=True
        )

    assert command("delete", MAIL).stdout.startswith("Would be deleted: 1 runs\n")
    told = json.loads(command("delete", MAIL, "--confirm", "--json").stdout)
    assert (told["deleted"]["runs"], told["done"], told["conversations"]) == (1, True, ["c1"])
    assert command("delete", MAIL).returncode == 1
    assert command("keep", "desk", "30").stdout.startswith("desk: 30 days, set by ")
    assert command("keep", "desk", "0").stdout == "All runs are kept without an end.\n"


def test_a_file_of_runs_from_another_process_is_imported_masked(
    migrated: Path, tmp_path: Path, architect: Actor
) -> None:
    place = tmp_path / "runs.jsonl"
    sink = sinks.to(str(place))
    result = asyncio.run(
        runtime.run(freeze(), f"I am {MAIL}", models=Scripted([[assistant_message("Hello.")]]), sink=sink)
    )
    sink.close()
    assert MAIL not in place.read_text(encoding="utf-8")
    assert traces.take_in(architect, place.read_text(encoding="utf-8")) == [result.run_id]
    assert str(traces.replay(architect, result.run_id)) == "faithful"
    whole = place.read_text(encoding="utf-8")
    place.write_text(whole + whole[:900], encoding="utf-8")  # a process was killed while it wrote
    sink = sinks.to(str(place))
    later = asyncio.run(runtime.run(freeze(), "Hi", models=Scripted([[assistant_message("Hello.")]]), sink=sink))
    sink.close()
    assert traces.take_in(architect, place.read_text(encoding="utf-8")) == [later.run_id]
    assert traces.take_in(architect, whole + whole[:900]) == []
    with pytest.raises(Invalid, match="cannot be written"):
        sinks.to(str(tmp_path / "none" / "runs.jsonl"))


def test_runs_sent_to_another_workbench_are_read_there(migrated: Path, tmp_path: Path) -> None:
    with receiving() as address:
        sink = sinks.to(f"http://127.0.0.1:{address.port}/v1/traces")
        result = asyncio.run(
            runtime.run(freeze(), f"My order is late, says {MAIL}", models=Scripted(refund()), sink=sink)
        )
        sink.close()
    record, sent = result.record, traces.record(result.run_id)
    assert (sent["flow"], sent["reply"], sent["outcome"], sent["agent"]) == (
        "desk",
        record["reply"],
        "answered",
        "money",
    )
    assert sent["question"].startswith("My order is late, says [email ")
    assert [one["name"] for one in sent["calls"] if one["kind"] == "tool"] == ["look_up", "pay_out"]
    assert {one["name"] for one in sent["guardrails"]} == {"injection", "no-cards"}
    assert sent["usage"]["requests"] == 4


def test_runs_that_no_collector_takes_are_kept(migrated: Path, tmp_path: Path, architect: Actor) -> None:
    kept = tmp_path / "unsaved.jsonl"
    sink = sinks.to("http://127.0.0.1:9/v1/traces", spill=kept)
    sink._tries = 1
    result = asyncio.run(runtime.run(freeze(), "Hello", models=Scripted([[assistant_message("Hi.")]]), sink=sink))
    sink.close()
    assert traces.take_in(architect, kept.read_text(encoding="utf-8")) == [result.run_id]


def test_the_runtime_command_records_to_a_file(seeded: Path, tmp_path: Path) -> None:
    place = tmp_path / "runs.jsonl"
    release = f"{settings.load().releases}#order-desk@production"
    command = [
        sys.executable,
        "-m",
        "workbench.runtime",
        "run",
        release,
        "Where is order 1042?",
        "--record",
        str(place),
    ]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(place.read_text())["run"]["question"] == "Where is order 1042?"


WRITTEN = {
    '"Ann" O\'Neil': 'I am "Ann" O\'Neil.',
    "Jose\u0301 Alvarez": "Here is JOS\u00c9  Alvarez again",
    "415-555-0132": "Call me at +1 (415) 555-0132, please",
    "4155550133": "Call +14155550133",
    "+44 20 7946 0958": "Ring 020 7946 0958",
    "20000": "My customer number is 20000.",
    MAIL: "It is Ada.Lovelace%40example.com",
}


@pytest.mark.parametrize("masked", ["off", "all"])
def test_a_customer_is_found_however_the_name_or_number_is_written(
    migrated: Path, manager: Actor, monkeypatch: pytest.MonkeyPatch, masked: str
) -> None:
    monkeypatch.setenv("WORKBENCH_REDACT", masked)
    for number, written in enumerate(WRITTEN.values()):
        says(written, f"ours-{number}")
        made = desk(number, {"session.id": f"theirs-{number}"})
        made[2]["attributes"]["gen_ai.tool.call.result"] = json.dumps({"customer": written})
        take(made)
    found = {asked: forget.customer(manager, asked).conversations for asked in WRITTEN}
    assert found == {asked: (f"ours-{number}", f"theirs-{number}") for number, asked in enumerate(WRITTEN)}


def test_nobody_is_taken_for_a_customer_by_a_longer_number_or_by_what_programs_write(
    migrated: Path, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_REDACT", "off")
    texts = [
        "Order 120000, 20000.5 and A20000",
        f"I am not.{MAIL} and x{MAIL}.org",
        "Call me at +1 (212) 555-0132, or 4155550132999",
        "The parcel 991234567",
    ]
    for number, written in enumerate(texts):
        stored(written, refund(), conversation=Conversation(id=f"ours-{number}"))
        made = desk(number, {"gen_ai.usage.input_tokens": 20000, "session.id": f"theirs-{number}"})
        made[2]["attributes"]["gen_ai.tool.call.result"] = json.dumps({"customer": written})
        take(made)
    asked = ["20000", MAIL, "415-555-0132", "1234567", "system", "assistant", "gpt-5.6-luna", "order_id", "look_up"]
    assert {one: forget.customer(manager, one).deleted["runs"] for one in asked} == dict.fromkeys(asked, 0)


def test_a_run_that_is_stored_while_a_customer_is_deleted_goes_too(database: str, manager: Actor) -> None:
    says(f"I am {MAIL}", "c1")
    late, new, other = run("And now?"), run(f"I am {MAIL}"), run(f"I am {OTHER}")
    asked = [{**one.record, "conversation": name} for one, name in ((late, "c1"), (new, "c2"), (other, "c3"))]
    done: list[forget.Report] = []
    deleting = threading.Thread(target=lambda: done.append(forget.customer(manager, MAIL, confirmed=True)))
    with store.session() as open_session:
        capture.put(open_session, [(record, freeze()) for record in asked])
        deleting.start()
        deleting.join(1)
        assert deleting.is_alive(), "nothing is said to be done while somebody stores runs"
    deleting.join(30)
    assert (done[0].deleted["runs"], done[0].conversations) == (3, ("c1", "c2"))
    assert traces.ids() == [other.run_id]


def test_a_run_that_is_stored_between_the_parts_of_a_job_goes_too(database: str, manager: Actor) -> None:
    says(f"I am {MAIL}", "c1")
    made = desk(attributes={"session.id": "c4"})
    take(made[:3])
    new: list[str] = []

    def between(job: Any) -> None:
        if job.done and not new:
            new.extend([says("And now?", "c1"), says(f"I am {MAIL}", "c2"), says(f"I am {OTHER}", "c3")])
            made[4]["attributes"]["gen_ai.tool.call.result"] = f"write to {MAIL}"
            take(made[4:])

    job = forget_job.start(manager, MAIL, confirmed=True)
    assert jobs.run_here(job, watch=between).state == "done"
    assert len(new) == 3
    assert forget_job.report(manager, job).deleted["runs"] == 4
    assert traces.ids() == [new[2]]
    with store.session() as open_session:
        assert [one.place for one in open_session.exec(select(DeskRow))] == [forget_job.PLACE + job]


def test_a_run_that_could_not_be_stored_while_a_customer_is_deleted_is_kept(migrated: Path, manager: Actor) -> None:
    capture._spill([run(f"Write to {MAIL}").finished], asks=True)
    deleting = threading.Thread(target=lambda: forget.customer(manager, MAIL, confirmed=True))
    writing = threading.Thread(target=lambda: capture._spill([run(f"Write to {OTHER}").finished], asks=True))
    with capture.unsaved() as path:
        deleting.start()
        writing.start()
        deleting.join(1)
        assert deleting.is_alive()
        assert writing.is_alive()
        assert len(path.read_text().strip().split("\n")) == 1
    deleting.join(30)
    writing.join(30)
    lines = path.read_text().strip().split("\n")
    assert [json.loads(one)["run"]["question"].split(" [")[0] for one in lines] == ["Write to"]
    assert forget.customer(manager, OTHER).deleted["unsaved runs"] == 1
