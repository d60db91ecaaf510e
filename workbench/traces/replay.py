"""Replay: run again from recorded answers, without a model and without calling a tool, and say whether it is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench import flows, runtime
from workbench.access import Actor, require
from workbench.errors import WorkbenchError
from workbench.runtime.record import ToolCall
from workbench.runtime.release import Release
from workbench.traces import foreign, query

if TYPE_CHECKING:
    from workbench.runtime.engine import Options


@dataclass(frozen=True)
class Verdict:
    """What a replay came to: `faithful`, or where and how it `differs`, or why it is `impossible`."""

    run_id: str
    verdict: Literal["faithful", "differs", "impossible"]
    span: str = ""
    what: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.verdict, f"at {self.span}:" if self.span else "", self.what) if part)


def replay(actor: Actor, run_id: str) -> Verdict:
    """Replay a stored run. Raises Refused or NotFound."""
    require(actor, "replay a run")
    record = query.record(run_id)
    if record["source"] == foreign.SOURCE:
        return Verdict(run_id, "impossible", what="it ran in another program, whose flow is not here")
    try:
        release = flows.frozen(record["digest"], number=_number(record["version"]))
    except WorkbenchError as error:
        return Verdict(run_id, "impossible", what=error.message)
    return replay_record(record, release)


def replay_record(record: Mapping[str, Any], release: Release) -> Verdict:
    """Replay a record against the frozen flow it names."""
    # The SDK is loaded only when something runs.
    from workbench.runtime.job import Decision
    from workbench.runtime.models import Diverged

    run_id = str(record["id"])
    if why := _impossible(record, release):
        return Verdict(run_id, "impossible", what=why)
    answers = _Answers(record, release)
    options: Options = {
        "models": runtime.Tape(record["calls"]),
        "conversation": runtime.Conversation(
            id=record["conversation"], items=tuple(record["input"][:-1]), agent=record["starts_at"]
        ),
        "variables": record["variables"],
        "answers": answers,
        "decisions": [Decision(**one) for one in record.get("decisions", ())],
        "verdicts": record["guardrails"],
        "source": "replay",
    }
    try:
        result = _finished(_again(record, release, options))
    except Diverged as diverged:
        if answers.unknown:
            return _judged(record, _unknown(run_id, answers))
        return _judged(record, Verdict(run_id, "differs", f"model request {diverged.call}", diverged.what))
    except WorkbenchError as error:
        return Verdict(run_id, "impossible", what=error.message)
    if answers.unknown:
        return _judged(record, _unknown(run_id, answers))
    return _judged(record, _compare(record, result.record))


def _judged(record: Mapping[str, Any], verdict: Verdict) -> Verdict:
    """The verdict; of a run of which parts were masked, a difference tells nothing: those parts may have decided."""
    if verdict.verdict != "differs" or not record.get("redacted"):
        return verdict
    masked = ", ".join(f"{count} {kind}" for kind, count in sorted(record["redacted"].items()))
    what = f"redacted input ({masked}): what was masked may have decided how it went on ({verdict.what})"
    return Verdict(verdict.run_id, "impossible", verdict.span, what)


def _again(record: Mapping[str, Any], release: Release, options: Options) -> Coroutine[Any, Any, runtime.Result]:
    """The recorded run once more; of a fork, the past as it was before what the fork changed."""
    from workbench.runtime import engine

    forked = record.get("forked")
    if not forked:
        return engine.run(release, record["question"], **options)
    tape = runtime.Tape(record["calls"], start=forked["requests"])
    return engine.fork(release, record["question"], record, forked, **(options | {"models": tape}))


def _finished(work: Coroutine[Any, Any, runtime.Result]) -> runtime.Result:
    """What the work returns. A loop of its own, without the handling of signals that takes `asyncio.run` its time."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _unknown(run_id: str, answers: _Answers) -> Verdict:
    return Verdict(run_id, "differs", f"tool call {answers.unknown}", "the recorded run had no such call")


class _Answers:
    """The recorded answers of a run's tool calls, by call id, name and arguments.

    An agent asked as a tool is asked again: its own requests and calls stand in the record.
    """

    def __init__(self, record: Mapping[str, Any], release: Release) -> None:
        self._asked = {name for name, tool in release.spec.tools.items() if tool.kind == "agent"}
        calls = [call for call in record["calls"] if call["kind"] == "tool"]
        self._recorded = {(call["call_id"], call["name"], call["arguments"]): call for call in calls}
        self.unknown = ""

    def __call__(self, call: ToolCall) -> Mapping[str, Any] | None:
        if call.name in self._asked and not self._recorded.get((call.call_id, call.name, call.arguments), {}).get(
            "mocked"
        ):
            return None
        found = self._recorded.get((call.call_id, call.name, call.arguments))
        if found is None:
            self.unknown = self.unknown or call.name
            return {"output": "", "error": "this call was not recorded"}
        return dict(found)


def _impossible(record: Mapping[str, Any], release: Release) -> str:
    if record.get("stop", "").startswith("stopped after") and record["stop"].endswith("seconds"):
        return "it was stopped by the clock, which a replay does not wait for"
    if record.get("stop") == "stopped by the person":
        return "it was stopped by a person half-way"
    if release.digest != record["digest"]:
        return "the flow given is not the one that ran"
    return ""


def _compare(record: Mapping[str, Any], again: Mapping[str, Any]) -> Verdict:
    run_id = str(record["id"])
    before, after = _tools(record), _tools(again)
    for number, (one, other) in enumerate(zip(before, after, strict=False), 1):
        if one != other:
            return Verdict(run_id, "differs", f"tool call {number} ({one[1]})", "its arguments or its answer differ")
    if record["outcome"] != "blocked" and len(before) != len(after):
        return Verdict(run_id, "differs", "the run", f"{len(after)} tool calls instead of {len(before)}")
    asked, asked_again = _requests(record), _requests(again)
    for number, (one_digest, other_digest) in enumerate(zip(asked, asked_again, strict=False), 1):
        if one_digest != other_digest:
            return Verdict(run_id, "differs", f"model request {number}", "its recorded digest does not fit the request")
    if record["outcome"] != "blocked" and len(asked) != len(asked_again):
        return Verdict(run_id, "differs", "the run", "another number of model requests")
    for part, words in (
        ("outcome", "the outcome"),
        ("agent", "the agent that answers"),
        ("reply", "the reply"),
        ("error", "the error"),
    ):
        if record[part] != again[part]:
            return Verdict(run_id, "differs", words, f"{again[part]!r} instead of {record[part]!r}")
    return Verdict(run_id, "faithful")


def _tools(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    calls = [c for c in record["calls"] if c["kind"] == "tool"]
    return sorted((c["call_id"], c["name"], c["arguments"], c["output"], c["error"]) for c in calls)


def _requests(record: Mapping[str, Any]) -> list[str]:
    """The digests of the model requests, in order within each agent asked as a tool."""
    models = [c for c in record["calls"] if c["kind"] == "model"]
    return [c["digest"] for c in sorted(models, key=lambda c: c.get("inside", ""))]


def _number(version: str) -> int | None:
    return int(version[1:]) if version.startswith("v") else None
