"""Backtests: recorded runs through a candidate, answered by the record, each pair judged and told once."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.flows_for_tests import CALLED
from tests.traces.recorded import run
from workbench import flows, jobs, releases, traces
from workbench.access import Actor
from workbench.datasets import case_of
from workbench.errors import Invalid, NotFound, Refused
from workbench.evals import backtests
from workbench.jobs import work
from workbench.runtime import spec
from workbench.store import session
from workbench.traces import capture, forget


def made(actor: Actor, candidate: str = "order-desk", limit: int = 200) -> backtests.Report:
    """A backtest of a candidate over the newest runs of its flow, run here."""
    release = releases.resolve(candidate)
    one = backtests.create(actor, release, backtests.chosen(release.name, limit=limit))
    assert jobs.run_here(one.job_id).state == "done"
    return backtests.report(one.id)


def changed(actor: Actor, **parts: Any) -> None:
    """The draft of the order desk with other parts."""
    draft = flows.draft("order-desk")
    flows.save(actor, spec.parse({**spec.plain(draft.spec), **parts}), base=draft.version)


def record(steps: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A record of the small desk with some fields changed."""
    return {**copy.deepcopy(run(steps=steps).record), **changes}


def test_the_flow_that_was_recorded_answers_as_it_did(seeded: Path, architect: Actor) -> None:
    found = made(architect)
    assert found.done == found.backtest.runs > 10
    assert {one.verdict for one in found.pairs} == {"same"}
    assert found.shares["same"].value == 1.0
    assert all(traces.run(one.new_run_id).source == "backtest" for one in found.pairs)


def test_a_candidate_that_stops_where_the_recorded_run_answered_is_worse_and_comes_first(
    seeded: Path, architect: Actor
) -> None:
    changed(architect, limits={"turns": 1})
    found = made(architect)
    assert found.pairs[0].verdict == "worse"
    assert found.pairs[0].why.endswith(": stopped after 1 turns")
    assert found.shares["worse"].passed == sum(one.verdict == "worse" for one in found.pairs) > 0
    assert 0 < found.shares["worse"].low < found.shares["worse"].value < found.shares["worse"].high < 1


def test_nothing_is_called_and_a_call_the_record_cannot_answer_is_not_compared(
    migrated: Path, architect: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = record()
    missed = [one for one in before["calls"] if one.get("name") != "pay_out"]
    CALLED.clear()
    verdict = backtests.judge(before, {**before, "calls": missed}, ["pay_out", "pay_out"], None)
    assert verdict == ("not comparable", "it called pay_out as the recorded run had not")
    assert CALLED == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {}, ("same", "")),
        ({}, {"reply": "Paid  back."}, ("changed", "another reply")),
        ({}, {"agent": "front", "outcome": "escalated"}, ("changed", "another outcome, another agent")),
        ({"outcome": "limit"}, {}, ("better", "answered instead of limit")),
        ({}, {"outcome": "error", "error": "The model failed."}, ("worse", "error instead of answered: The model failed.")),
        ({"outcome": "error"}, {"outcome": "limit"}, ("changed", "another outcome")),
    ],
)  # fmt: skip
def test_a_pair_is_judged_by_what_a_customer_would_notice(
    before: dict[str, Any], after: dict[str, Any], told: tuple[str, str]
) -> None:
    one = record()
    assert backtests.judge({**one, **before}, {**one, **after}, [], None) == told


def test_another_use_of_tools_is_a_change_and_another_spelling_of_arguments_is_none() -> None:
    one, other = record(), record()
    call = next(c for c in other["calls"] if c.get("name") == "look_up")
    call["arguments"] = '{ "order_id" : 1042 }'
    assert backtests.judge(one, other, [], None)[0] == "same"
    call["arguments"] = '{"order_id": 1043}'
    assert backtests.judge(one, other, [], None) == ("changed", "another use of tools")


def test_the_case_made_from_a_run_says_what_is_better_and_what_is_worse() -> None:
    good, bad = record(reply="Paid back 5 dollars."), record(reply="No.")
    body = {"id": "c-1", "input": "My order is late", "expected": {"contains": ["paid back"]}}
    case = case_of(body, where="case")
    worse = backtests.judge(good, bad, [], case)
    assert worse[0] == "worse"
    assert worse[1].startswith("fails what case c-1 expects; contains:")
    assert backtests.judge(bad, good, [], case) == ("better", "passes what case c-1 expects: contains")


def test_a_job_that_is_done_twice_writes_nothing_twice(seeded: Path, architect: Actor) -> None:
    found = made(architect, limit=25)
    before = traces.count()
    arguments, shards = work.open_job(found.backtest.job_id)
    for shard in shards:
        work.do_shard(found.backtest.job_id, arguments, shard)
    assert traces.count() == before
    assert backtests.report(found.backtest.id).pairs == found.pairs


def test_trials_are_no_recorded_runs(seeded: Path, architect: Actor) -> None:
    before = backtests.chosen("order-desk")
    made(architect, limit=5)
    assert backtests.chosen("order-desk") == before


def test_what_the_recorded_runs_took_is_the_estimate(seeded: Path) -> None:
    ids = backtests.chosen("order-desk", limit=7)
    found = backtests.estimate(ids)
    assert (found.runs, found.usd) == (7, 0.0)
    assert found.seconds == pytest.approx(sum(traces.run(one).seconds for one in ids))


def test_who_may_not_and_what_cannot_be_backtested_is_told_and_stores_nothing(
    seeded: Path, architect: Actor, rep: Actor
) -> None:
    release = releases.resolve("order-desk")
    with pytest.raises(Refused):
        backtests.create(rep, release, backtests.chosen("order-desk"))
    with pytest.raises(Invalid, match="takes 1 to 10,000 recorded runs; there are 0"):
        backtests.create(architect, release, [])
    with pytest.raises(NotFound, match="There is no run run_none"):
        backtests.create(architect, release, ["run_none"])
    assert backtests.backtests() == []


def test_a_run_that_cannot_be_run_again_is_not_comparable_and_says_why(seeded: Path, architect: Actor) -> None:
    release = releases.resolve("order-desk")
    without = {**traces.record(backtests.chosen("order-desk")[0]), "id": "run_without", "question": ""}
    with session() as open_session:
        capture.put(open_session, [(without, release)])
    one = backtests.create(architect, release, ["run_without"])
    assert jobs.run_here(one.job_id).state == "done"
    pair = backtests.report(one.id).pairs[0]
    assert (pair.verdict, pair.why, pair.new_run_id) == ("not comparable", "The message is empty.", "")


def test_a_run_that_is_deleted_before_its_turn_is_left_out(seeded: Path, architect: Actor, manager: Actor) -> None:
    gone, stays = backtests.chosen("order-desk", limit=2)
    one = backtests.create(architect, releases.resolve("order-desk"), [gone, stays])
    assert forget.customer(manager, traces.run(gone).conversation, confirmed=True).deleted["runs"] == 1
    assert jobs.run_here(one.job_id).state == "done"
    assert [pair.run_id for pair in backtests.report(one.id).pairs] == [stays]


def test_the_command_tells_what_is_worse_and_takes_runs_from_a_file(seeded: Path, tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "WORKBENCH_HOME": str(seeded)}
        return subprocess.run(
            [sys.executable, "-m", "workbench", "runs", *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    told = command("backtest", "order-desk", "--limit", "3", "--json")
    assert told.returncode == 0, told.stderr
    body = json.loads(told.stdout)
    assert (body["state"], body["shares"]["same"]["count"], len(body["pairs"])) == ("done", 3, 3)
    file = tmp_path / "runs.json"
    file.write_text(traces.export(body["pairs"][0]["run_id"]), encoding="utf-8")
    again = command("backtest", "order-desk", "--file", str(file))
    assert again.returncode == 0, again.stderr
    assert "1 of 1 run, done" in again.stdout
