"""Replay: run again from recorded answers, without a model and without calling a tool, and say whether it is the same."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench import flows, runtime
from workbench.access import Actor, require
from workbench.errors import WorkbenchError
from workbench.runtime import seal
from workbench.runtime.record import OF_ASKED, Finished, ToolCall
from workbench.runtime.release import Release
from workbench.traces import capture, chats, foreign, query

if TYPE_CHECKING:
    from workbench.runtime.engine import Options


KEPT = 16
"""Frozen flows whose networks are kept between replays."""

ELSEWHERE = "it ran in another program, whose flow is not here"
AS_FAR = "as far as the transcript goes, which ends before a reply"


@dataclass(frozen=True)
class Verdict:
    """What a replay came to: `faithful`, or where and how it `differs`, or why it is `impossible`."""

    run_id: str
    verdict: Literal["faithful", "differs", "impossible"]
    span: str = ""
    what: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.verdict, f"at {self.span}:" if self.span else "", self.what) if part)


def replay(actor: Actor, run_id: str, *, strict: bool = False) -> Verdict:
    """Replay a stored run. A `strict` replay also finds what was changed in the record or in lists after it was written.

    Raises Refused or NotFound.
    """
    require(actor, "replay a run")
    record = query.record(run_id)
    if record["source"] == foreign.SOURCE:
        return Verdict(run_id, "impossible", what=ELSEWHERE)
    try:
        release = _once(flows.frozen(record["digest"], number=_number(record["version"])))
    except WorkbenchError as error:
        return Verdict(run_id, "impossible", what=error.message)
    if strict and (column := _relisted(run_id, record)):
        return Verdict(run_id, "differs", f"{column} in lists", "it is not what the record says")
    return replay_record(record, release, strict=strict)


def why_not(record: Mapping[str, Any]) -> str:
    """Why a run can be neither replayed nor forked, in a sentence; empty where nothing speaks against trying."""
    return f"{ELSEWHERE.capitalize()}." if record["source"] == foreign.SOURCE else ""


def replay_record(record: Mapping[str, Any], release: Release, *, strict: bool = False) -> Verdict:
    """Replay a record against the frozen flow it names. A `strict` replay also holds it against its seal."""
    # The SDK is loaded only when something runs.
    from workbench.runtime.job import Decision
    from workbench.runtime.models import Diverged

    run_id = str(record["id"])
    if strict and (part := seal.broken(record)):
        return Verdict(run_id, "differs", part, "it was changed after it was recorded")
    if why := _impossible(record, release):
        return Verdict(run_id, "impossible", what=why)
    answers = _Answers(record, release)
    ended: list[Finished] = []
    options: Options = {
        "models": runtime.Tape(record["calls"], limit=_limit(record)),
        "conversation": runtime.Conversation(
            id=record["conversation"], items=tuple(record["input"][:-1]), agent=record["starts_at"]
        ),
        "variables": record["variables"],
        "answers": answers,
        "decisions": [Decision(**one) for one in record.get("decisions", ())],
        "verdicts": record["guardrails"],
        "source": "replay",
        "sink": ended.append,
    }
    try:
        _finished(_again(record, release, options))
    except Diverged as diverged:
        if answers.unknown:
            return _judged(record, _unknown(run_id, answers))
        if record.get("stop") == chats.CUT and diverged.call > sum(map(len, _requests(record).values())):
            return _judged(record, _compare_calls(record, ended[0].plain) or Verdict(run_id, "faithful", what=AS_FAR))
        return _judged(record, Verdict(run_id, "differs", f"model request {diverged.call}", diverged.what))
    except WorkbenchError as error:
        return Verdict(run_id, "impossible", what=error.message)
    if answers.unknown:
        return _judged(record, _unknown(run_id, answers))
    return _judged(record, _compare(record, ended[0].plain))


def _relisted(run_id: str, record: Mapping[str, Any]) -> str:
    """The first thing that lists show of a run and its record says otherwise; empty where they agree.

    Of a run from a file lists show another source than the record.
    """
    listed = query.run(run_id)
    told = capture.columns(record)
    if listed.source == query.IMPORTED:
        told["source"] = listed.source
    return next((f"the {name.replace('_', ' ')}" for name, value in told.items() if getattr(listed, name) != value), "")


def _judged(record: Mapping[str, Any], verdict: Verdict) -> Verdict:
    """The verdict; of a run of which parts were masked, a difference tells nothing: those parts may have decided."""
    if verdict.verdict != "differs" or not record.get("redacted"):
        return verdict
    masked = ", ".join(f"{count} {kind}" for kind, count in sorted(record["redacted"].items()))
    what = f"redacted input ({masked}): what was masked may have decided how it went on ({verdict.what})"
    return Verdict(verdict.run_id, "impossible", verdict.span, what)


_releases: OrderedDict[tuple[str, int | None], Release] = OrderedDict()


def _once(release: Release) -> Release:
    """The same frozen flow as at an earlier replay, whose network of agents is built already."""
    known = _releases[release.digest, release.number] = _releases.pop((release.digest, release.number), release)
    while len(_releases) > KEPT:
        _releases.popitem(last=False)
    return known


def _again(record: Mapping[str, Any], release: Release, options: Options) -> Coroutine[Any, Any, runtime.Result]:
    """The recorded run once more; of a fork, the past as it was before what the fork changed."""
    from workbench.runtime import engine

    forked = record.get("forked")
    if not forked:
        return engine.run(release, record["question"], **options)
    tape = runtime.Tape(record["calls"], start=forked["requests"], limit=_limit(record))
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
        return {**found, "unfinished": not found.get("done", True)}


def _limit(record: Mapping[str, Any]) -> str:
    stop = str(record.get("stop", ""))
    return stop if stop.startswith("stopped after $") or stop.endswith(OF_ASKED) else ""


def _impossible(record: Mapping[str, Any], release: Release) -> str:
    if record.get("stop", "").startswith("stopped after") and record["stop"].endswith("seconds"):
        return "it was stopped by the clock, which a replay does not wait for"
    if record.get("stop") == "stopped by the person":
        return "it was stopped by a person half-way"
    if release.digest != record["digest"]:
        return "the flow given is not the one that ran"
    return ""


def _compare_calls(record: Mapping[str, Any], again: Mapping[str, Any]) -> Verdict | None:
    """The first tool call or model request that differs, as far as both go.

    What goes on when a run is stopped from outside may get further in one than in the other.
    """
    run_id, torn = str(record["id"]), record["outcome"] == "blocked" or _torn(record)
    before, after = _tools(record), _tools(again)
    for number, (key, one) in enumerate(before.items(), 1):
        differs = _other(one, after.get(key)) if torn else (key not in after or after[key] != one)
        if differs:
            return Verdict(run_id, "differs", f"tool call {number} ({key[1]})", "its arguments or its answer differ")
    called, called_again = (sum(c["kind"] == "tool" for c in one["calls"]) for one in (record, again))
    if not torn and called != called_again:
        return Verdict(run_id, "differs", "the run", f"{called_again} tool calls instead of {called}")
    asked, asked_again = _requests(record), _requests(again)
    for lane in asked:
        for (number, one_digest), (_, other_digest) in zip(asked[lane], asked_again.get(lane, ()), strict=False):
            if one_digest != other_digest:
                what = "its recorded digest does not fit the request"
                return Verdict(run_id, "differs", f"model request {number}", what)
    return None


def _compare(record: Mapping[str, Any], again: Mapping[str, Any]) -> Verdict:
    if (different := _compare_calls(record, again)) is not None:
        return different
    run_id, torn = str(record["id"]), record["outcome"] == "blocked" or _torn(record)
    asked, asked_again = _requests(record), _requests(again)
    if not torn and {k: len(v) for k, v in asked.items()} != {k: len(v) for k, v in asked_again.items()}:
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


def _other(one: tuple[str, str] | None, other: tuple[str, str] | None) -> bool:
    """Whether a call answered otherwise, where it came to an answer in both runs."""
    return one is not None and other is not None and one != other


def _torn(record: Mapping[str, Any]) -> bool:
    """Whether something was still under way when the run ended."""
    return any(
        not one.get("done", True) if one["kind"] == "tool" else one["response"] is None and not one["error"]
        for one in record["calls"]
    )


def _tools(record: Mapping[str, Any]) -> dict[tuple[str, str, str], tuple[str, str] | None]:
    """What each tool call answered, in the order of their ids; None for one that was stopped half-way."""
    calls = sorted(((_key(c), c) for c in record["calls"] if c["kind"] == "tool"), key=lambda one: one[0])
    return {key: (c["output"], c["error"]) if c.get("done", True) else None for key, c in calls}


def _key(call: Mapping[str, Any]) -> tuple[str, str, str]:
    return call["call_id"], call["name"], call["arguments"]


def _requests(record: Mapping[str, Any]) -> dict[str, list[tuple[int, str]]]:
    """Number and digest of each model request, in order, for each agent asked as a tool."""
    found: dict[str, list[tuple[int, str]]] = {}
    models = [c for c in record["calls"] if c["kind"] == "model"]
    for number, call in enumerate(models, 1):
        found.setdefault(call.get("inside", ""), []).append((number, call["digest"]))
    return found


def _number(version: str) -> int | None:
    return int(version[1:]) if version.startswith("v") else None
