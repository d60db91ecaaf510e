"""Runs are deleted when their time is over, and everything of one customer on request, with a report."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message
from sqlalchemy import update
from sqlmodel import col

from tests.conftest import ROOT
from tests.flows_for_tests import Scripted, freeze
from tests.receiving import receiving
from tests.traces.recorded import refund, run, stored
from tests.traces.test_ingest import desk, take
from workbench import jobs, runtime, settings, store, traces
from workbench.access import Actor, audit
from workbench.datasets import labelling
from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime import Conversation, sinks
from workbench.store.tables import Run
from workbench.traces import approvals, capture, clock, forget, forget_job

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
