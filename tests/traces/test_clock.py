"""Approvals expire by themselves: once, whoever looks, and also where the database is away for a while."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from tests.conftest import ROOT
from tests.once import together
from tests.test_commands import ask, look
from tests.traces.test_approvals import stored
from workbench import jobs, releases, runtime, traces
from workbench.access import audit
from workbench.errors import Unavailable
from workbench.store import now, session
from workbench.store.tables import Approval as Row
from workbench.traces import approvals, clock

REFUND = "Please refund $80 for order 1015, it arrived broken"


def expires(identity: str, seconds: float) -> None:
    """Let an approval expire so many seconds from now."""
    with session() as open_session:
        moment = now() + dt.timedelta(seconds=seconds)
        open_session.execute(update(Row).where(col(Row.id) == identity).values(expires_at=moment))


def held() -> str:
    """The id of an approval that the order desk waits for."""
    result = asyncio.run(runtime.run(releases.resolve("order-desk"), REFUND, sink=traces.sink(), person="ada"))
    assert result.outcome == "held"
    assert traces.flush()
    return approvals.find()[0].id


def until(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something comes to hold in time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of the jobs that were handed over; they are done in the thread that hands them over."""
    given: list[str] = []

    def start(job_id: str) -> None:
        given.append(job_id)
        jobs.run_here(job_id)

    monkeypatch.setattr(jobs, "start", start)
    yield given
    clock.stop()


def test_a_call_expires_by_itself_and_its_run_goes_on(migrated: Path, here: list[str]) -> None:
    one = stored()
    expires(one.id, 0.4)
    clock.start()
    clock.start()
    assert approvals.approval(one.id).state == "waiting"
    assert until(lambda: bool(approvals.approval(one.id).result_run))
    after = approvals.approval(one.id)
    assert (after.state, here) == ("expired", [after.job_id])
    assert "nobody decided within" in str(traces.record(after.result_run)["calls"])


def test_what_is_asked_for_while_it_sleeps_expires_too(
    migrated: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "LONGEST", 0.1)
    clock.start()
    one = stored()
    expires(one.id, 0.2)
    assert until(lambda: approvals.approval(one.id).state == "expired")


def test_of_many_that_look_at_once_one_does_the_work(migrated: Path) -> None:
    one = stored()
    expires(one.id, -1)
    begun, failed = list[str](), list[Exception]()

    def expire() -> None:
        try:
            begun.extend(approvals.expire())
        except Exception as error:  # noqa: BLE001  (told to the test)
            failed.append(error)

    before = audit.verify().entries
    together(8, expire)
    assert (begun, failed) == ([approvals.approval(one.id).job_id], [])
    assert audit.verify().entries == before + 1


def test_the_clock_goes_on_after_the_database_and_the_queue_were_away(
    migrated: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stored()
    expires(one.id, -1)
    expire, start = approvals.expire, jobs.start
    away: list[Exception] = [Unavailable("The database is locked."), ZeroDivisionError("a bug")]
    lost: list[Exception] = [Unavailable("The queue is away.")]

    def failing(work: Callable[..., Any], failures: list[Exception]) -> Callable[..., Any]:
        def again(*given: Any) -> Any:
            if failures:
                raise failures.pop(0)
            return work(*given)

        return again

    monkeypatch.setattr(clock, "LONGEST", 0.05)
    monkeypatch.setattr(approvals, "expire", failing(expire, away))
    monkeypatch.setattr(jobs, "start", failing(start, lost))
    clock.start()
    assert until(lambda: bool(approvals.approval(one.id).result_run))
    assert (away, lost, here) == ([], [], [approvals.approval(one.id).job_id])


def test_cron_expires_approvals_by_a_command_and_twice_does_it_once(seeded: Path) -> None:
    identity = held()
    assert ask("approvals", "expire") == []
    expires(identity, -1)
    assert [one["state"] for one in look("approvals", "list")] == ["waiting"]
    assert [one["state"] for one in ask("approvals", "expire")] == ["done"]
    assert ask("approvals", "expire") == []
    (after,) = look("approvals", "list", "--state", "expired")
    assert (after["id"], bool(after["result_run"])) == (identity, True)


def test_the_running_app_expires_what_nobody_decided_without_a_visitor(seeded: Path) -> None:
    identity = held()
    expires(identity, -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "--headless", "--no-seed", "--port", str(port)]
    app = subprocess.Popen(
        command, cwd=ROOT, env=os.environ.copy(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert until(lambda: bool(approvals.approval(identity).result_run), 60)
    finally:
        app.terminate()
        app.wait(20)
    assert approvals.approval(identity).state == "expired"
