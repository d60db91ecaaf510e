"""Jobs: a killed worker's job is taken up, nothing is done twice, and only one process works on SQLite."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlmodel import select

from tests.conftest import ROOT
from tests.jobs import process
from workbench import datasets, evals, flows, jobs, prompts, releases, settings, store
from workbench.access import Actor, Role
from workbench.errors import NotFound, Refused
from workbench.evals.experiments import KIND as EXPERIMENT
from workbench.jobs import durable, seat, work
from workbench.store.tables import ExperimentRow
from workbench.store.tables import Job as JobRow
from workbench.tickets import incoming
from workbench.traces import approvals, forget_job

KINDS = {
    "experiment": EXPERIMENT,
    "load": incoming.KIND,
    "forget": forget_job.KIND,
    "continue": approvals.KIND,
    "gone": "gone",
}
FLOW = """
format: 1
flow: slow
entry: clerk
agents: {clerk: {prompt: slow/clerk, tools: [note_down]}}
tools: {note_down: {kind: python, call: note_down}}
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tool of the slow flow writes; the file outlives whoever is killed."""
    monkeypatch.setenv(process.LOG, str(tmp_path / "noted"))
    monkeypatch.setenv(process.PAUSE, "0.01")
    return tmp_path / "noted"


def experiment(actor: Actor, cases: int, workers: int = 1) -> evals.Experiment:
    """A stored experiment of the slow flow over so many cases; nothing runs yet."""
    prompts.save(actor, "slow/clerk", "Note down the number that the customer names.")
    flows.put(actor, FLOW)
    body = [
        {"id": f"n{n}", "input": f"Note down number {n}", "expected": {"outcome": "answered"}}
        for n in range(1, cases + 1)
    ]
    datasets.put(actor, "slow", [datasets.case_of(one, where="case") for one in body])
    return evals.create(actor, releases.resolve("slow"), "slow", workers=workers)


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `process`, killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.process", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as one:
        try:
            yield one
        finally:
            one.kill()


def said(one: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert one.stdout is not None
    return one.stdout.readline().strip()


def until(holds: Callable[[], bool], seconds: float = 40) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def noted(log: Path) -> Counter[int]:
    """How often each number was noted down."""
    return Counter(int(line) for line in log.read_text().split()) if log.exists() else Counter()


def rows(made: evals.Experiment) -> list[ExperimentRow]:
    """The stored rows of an experiment, in the order of the cases."""
    with store.session() as open_session:
        found = open_session.exec(select(ExperimentRow).where(ExperimentRow.experiment == made.id)).all()
    return sorted(found, key=lambda row: int(row.case_id[1:]))


def state(made: evals.Experiment) -> str:
    """The state of an experiment's job."""
    return jobs.job(made.job_id).state


@pytest.fixture
def at_home() -> Iterator[None]:
    """Whatever DBOS this process started is ended."""
    yield
    jobs.stop()


def test_a_killed_workers_job_is_finished_by_the_next_without_repeating_finished_shards(
    migrated: Path, architect: Actor, log: Path
) -> None:
    made = experiment(architect, 60)
    with started("start", made.job_id) as first:
        assert said(first) == "worker"
        until(lambda: sum(noted(log).values()) >= 30)
        first.send_signal(signal.SIGKILL)
        first.wait()
    before = {row.case_id: row.run_id for row in rows(made)}
    assert sorted(before) == sorted(f"n{n}" for n in range(1, 21))
    assert state(made) == "running"
    with started("work") as second:
        assert said(second) == "worker"
        until(lambda: jobs.job(made.job_id).ended)
    after = rows(made)
    assert [row.case_id for row in after] == [f"n{n}" for n in range(1, 61)]
    assert {row.case_id: row.run_id for row in after if row.case_id in before} == before
    times = noted(log)
    assert {times[n] for n in range(1, 21)} | {times[n] for n in range(41, 61)} == {1}
    assert {times[n] for n in range(21, 41)} <= {1, 2}
    report = evals.report(made.id)
    assert (report.state, report.done, report.total, report.rate.value) == ("done", 60, 60, 1.0)
    assert jobs.job(made.job_id).share == 1.0


def test_a_cancelled_job_stops_after_the_shard_under_way(
    migrated: Path, architect: Actor, log: Path, at_home: None
) -> None:
    made = experiment(architect, 60)
    assert jobs.launch(worker=True)
    jobs.start(made.job_id)
    until(lambda: sum(noted(log).values()) >= 5)
    jobs.cancel(architect, made.job_id)
    until(lambda: jobs.job(made.job_id).ended)
    assert (state(made), len(rows(made)), len(noted(log))) == ("cancelled", 20, 20)
    assert jobs.job(made.job_id).finished_at is not None
    jobs.cancel(architect, made.job_id)
    assert state(made) == "cancelled"


@pytest.mark.parametrize(
    ("kind", "may", "may_not"),
    [
        ("experiment", "architect", "rep"),
        ("load", "manager", "architect"),
        ("forget", "manager", "architect"),
        ("continue", "rep", ""),
        ("gone", "admin", "manager"),
    ],
)
def test_a_job_is_cancelled_by_who_may_start_it(
    migrated: Path, architect: Actor, kind: str, may: Role, may_not: Role | Literal[""]
) -> None:
    row = jobs.row(KINDS[kind], "A job", {}, architect, total=1)
    with store.session() as open_session:
        open_session.add(row)
    if may_not:
        with pytest.raises(Refused, match=f"A {may_not} may not"):
            jobs.cancel(Actor("Nina", may_not), row.id)
    jobs.cancel(Actor("Maya", may), row.id)
    with store.session() as open_session:
        assert open_session.exec(select(JobRow.cancel)).one() is True
    with pytest.raises(NotFound, match="There is no job job_0"):
        jobs.cancel(architect, "job_0")


def test_what_a_schedule_did_long_ago_is_taken_away(
    migrated: Path, at_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []

    def tick() -> list[str]:
        did.append("tick")
        return []

    jobs.schedule("tick", "* * * * * *", tick)
    monkeypatch.setattr(durable, "KEPT", dt.timedelta(0))
    try:
        assert jobs.launch(worker=True)
        until(lambda: len(did) >= 4)
    finally:
        work._schedules.pop("tick")
    jobs.stop()
    with contextlib.closing(sqlite3.connect(settings.load().local / "jobs.db")) as connection:
        asked = "select count(*) from workflow_status where name = 'scheduled' and status = 'SUCCESS'"
        assert connection.execute(asked).fetchone()[0] <= 2


def test_a_job_handed_over_twice_is_done_once(migrated: Path, architect: Actor, log: Path, at_home: None) -> None:
    made = experiment(architect, 5)
    jobs.launch(worker=True)
    jobs.start(made.job_id)
    jobs.start(made.job_id)
    until(lambda: jobs.job(made.job_id).ended)
    jobs.start(made.job_id)
    time.sleep(0.5)
    assert noted(log) == Counter(range(1, 6))


def test_a_job_that_fails_says_why_and_ends(migrated: Path, architect: Actor, at_home: None) -> None:
    for name, message in (
        ("gone", "This version does not know jobs of the kind gone."),
        ("crash", "ZeroDivisionError"),
    ):
        if name == "crash":
            jobs.kind("crash", lambda _: [1], lambda *_: 1 // 0, verb="seed")
        row = jobs.row(name, "A job", {}, architect, total=1)
        with store.session() as open_session:
            open_session.add(row)
        jobs.launch(worker=True)
        jobs.start(row.id)
        until(lambda job_id=row.id: jobs.job(job_id).ended)  # type: ignore[misc]
        assert jobs.job(row.id).state == "failed"
        assert message in jobs.job(row.id).message


def test_a_job_run_here_that_crashes_does_not_stay_running(migrated: Path, architect: Actor) -> None:
    jobs.kind("crash", lambda _: [1], lambda *_: 1 // 0, verb="seed")
    row = jobs.row("crash", "A job", {}, architect, total=1)
    with store.session() as open_session:
        open_session.add(row)
    with pytest.raises(ZeroDivisionError):
        jobs.run_here(row.id)
    assert jobs.job(row.id).state == "failed"


def test_a_job_that_does_not_exist_is_named(migrated: Path) -> None:
    with pytest.raises(NotFound, match="There is no job job_0"):
        jobs.job("job_0")
    with pytest.raises(NotFound, match="There is no job job_0"):
        jobs.run_here("job_0")


def test_a_second_process_does_not_work_on_sqlite_while_the_first_lives(
    migrated: Path, architect: Actor, log: Path, at_home: None
) -> None:
    with started("work") as first:
        assert said(first) == "worker"
        assert jobs.launch(worker=True) is False
        assert not jobs.running()
        made = experiment(architect, 3)
        jobs.start(made.job_id)
        until(lambda: jobs.job(made.job_id).ended)
        assert state(made) == "done"
        first.kill()
        first.wait()
        jobs.stop()
        assert jobs.launch(worker=True) is True


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_of_two_workers_on_postgres_one_is_killed_and_a_new_one_finishes_its_job(
    database: str, architect: Actor, log: Path, at_home: None
) -> None:
    made = [experiment(architect, 45) for _ in range(3)]
    with started("work") as first:
        assert said(first) == "worker"
        with started("start", *[one.job_id for one in made]) as second:
            assert said(second) == "worker"
            until(lambda: len(rows(made[0])) >= 20 and sum(noted(log).values()) >= 50)
            first.send_signal(signal.SIGKILL)
            first.wait()
            with started("work") as third:
                assert said(third) == "worker"
                until(lambda: all(jobs.job(one.job_id).ended for one in made), 60)
    for one in made:
        assert (state(one), [row.case_id for row in rows(one)]) == ("done", [f"n{n}" for n in range(1, 46)])
    assert max(noted(log).values()) <= 2 * len(made), "no case of any experiment is asked more than twice"
    assert sum(noted(log).values()) <= 45 * len(made) + 20 * len(made), "only shards that were under way are repeated"
    assert nothing_pickled(tables_of_postgres())


def test_a_seat_that_was_left_is_free_for_another_process(database: str, at_home: None) -> None:
    chosen = settings.load()
    assert seat.take(chosen.database_url, chosen.local)
    with started("seat") as other:
        if database == "sqlite":
            assert said(other) == "guest"
    seat.leave()
    with started("seat") as other:
        assert said(other) == "worker"
        with store.session() as open_session:
            if database == "postgres":
                held = open_session.connection().exec_driver_sql(
                    f"select objid from pg_locks where locktype = 'advisory' and classid = {seat.LOCK_SPACE}"
                )
                assert [number for (number,) in held] == [1]


def tables_of_sqlite(path: Path) -> Iterator[Any]:
    """Every value that DBOS stored."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for found in connection.execute(f'select * from "{table}"'):
                yield from found


def tables_of_postgres() -> Iterator[Any]:
    """Every value that DBOS stored."""
    with store.session() as open_session:
        connection = open_session.connection()
        names = connection.exec_driver_sql(
            "select table_name from information_schema.tables where table_schema = 'dbos'"
        )
        for (table,) in names.all():
            for found in connection.exec_driver_sql(f'select * from dbos."{table}"'):
                yield from found


def nothing_pickled(values: Iterator[Any]) -> bool:
    """Whether there are values, and none of them can be unpickled, as it is or from base 64."""
    texts = [value for value in values if isinstance(value, str | bytes) and len(value) > 4]
    for value in texts:
        raw = value.encode() if isinstance(value, str) else bytes(value)
        with contextlib.suppress(binascii.Error, ValueError):
            if base64.b64decode(raw, validate=True).startswith(b"\x80"):
                return False
        if raw.startswith(b"\x80"):
            return False
    return len(texts) > 10


def test_nothing_that_is_stored_is_a_pickle(migrated: Path, architect: Actor, log: Path, at_home: None) -> None:
    assert not nothing_pickled(iter([pickle.dumps({"a": 1}), *["a longer text"] * 20]))
    made = experiment(architect, 25)
    jobs.launch(worker=True)
    jobs.start(made.job_id)
    jobs.kind("crash", lambda _: [1], lambda *_: 1 // 0, verb="seed")
    row = jobs.row("crash", "A job", {}, architect, total=1)
    with store.session() as open_session:
        open_session.add(row)
    jobs.start(row.id)
    until(lambda: jobs.job(made.job_id).ended and jobs.job(row.id).ended)
    assert nothing_pickled(tables_of_sqlite(settings.load().local / "jobs.db"))
