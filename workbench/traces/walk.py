"""Walk a flow through a recorded conversation: the record gives the model's words and the tools' answers, the rest is real.

Guardrails, approval rules, limits and the record work as in production. Where the recording cannot go on, the walk says why.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench import runtime
from workbench.errors import WorkbenchError
from workbench.flows.signatures import called
from workbench.flows.transcripts import Call, Note, Transcript, Turn
from workbench.runtime import arguments
from workbench.runtime.models import RecordedError, Tape, response_of
from workbench.runtime.record import Sink, ToolCall
from workbench.runtime.release import Release
from workbench.traces.chats import history, response

Verdict = Literal["faithful", "ends with a call", "unanswered", "stopped", "not reached"]
"""Of a turn: as it was recorded; as recorded up to a tool call, with which the record ends; the customer has the last word;
the flow goes another way than the record; or an earlier turn was stopped."""

Cause = Literal[
    "guardrail",
    "withheld",
    "approval",
    "unknown tool",
    "arguments",
    "no answer",
    "no reply",
    "limit",
    "message",
    "difference",
]
"""What stops a turn. `withheld`: the flow gives the model another answer of a tool than was recorded, as where a guardrail
withholds it. `no answer` and `no reply` are missing in the record."""


@dataclass(frozen=True)
class Stop:
    """Where and why a turn does not go as it was recorded. `where` is a tool or a guardrail, or empty."""

    cause: Cause
    where: str
    words: str

    def __str__(self) -> str:
        return f"{self.cause}{f' at {self.where}' if self.where else ''}: {self.words}"


@dataclass(frozen=True)
class Walked:
    """A turn of the walk, counted from 1; `calls` are the tool calls made, `run_id` its run, where there was one."""

    number: int
    verdict: Verdict
    stop: Stop | None = None
    run_id: str = ""
    calls: int = 0


@dataclass(frozen=True)
class Walk:
    """A flow's way through a recorded conversation. `notes` tell of what is unusual in the record."""

    conversation: str
    where: str
    turns: tuple[Walked, ...]
    notes: tuple[Note, ...] = ()

    @property
    def stop(self) -> Stop | None:
        """Why it did not come to the end; None where it did."""
        return next((turn.stop for turn in self.turns if turn.stop is not None), None)

    def __str__(self) -> str:
        stopped = next((f"turn {turn.number}, {turn.stop}" for turn in self.turns if turn.stop), "to its end")
        return f"{self.conversation}: {stopped}"


def walk(release: Release, conversation: Transcript, *, sink: Sink | None = None) -> Walk:
    """Drive `release` through a recorded conversation, without a model and without calling a tool.

    The finished runs go to `sink`. A check that asks a model has no recorded verdict here, and holds.
    Raises Invalid where the flow cannot be built or a prompt variable has no value.
    """
    return asyncio.run(_walk(release, conversation, sink))


def tally(walks: Iterable[Walk]) -> dict[str, int]:
    """How many turns of the walks came to what, stopped ones by their cause, most frequent first."""
    turns = (turn for one in walks for turn in one.turns)
    return dict(
        Counter(f"stopped: {turn.stop.cause}" if turn.stop else str(turn.verdict) for turn in turns).most_common()
    )


async def _walk(release: Release, conversation: Transcript, sink: Sink | None) -> Walk:
    talk = runtime.Conversation(id="", items=tuple(history(conversation.opening)))
    walked: list[Walked] = []
    for number, turn in enumerate(conversation.turns, 1):
        last = number == len(conversation.turns)
        if walked and walked[-1].verdict in ("stopped", "not reached"):
            walked.append(Walked(number, "not reached"))
        elif not turn.answers:
            missing = Stop("no reply", "", "the record has nothing but the customer's message")
            walked.append(Walked(number, "unanswered") if last else Walked(number, "stopped", missing))
        else:
            one, talk = await _take(release, turn, talk, number, sink, last=last)
            walked.append(one)
    return Walk(conversation.id, conversation.where, tuple(walked), conversation.notes)


async def _take(
    release: Release, turn: Turn, talk: runtime.Conversation, number: int, sink: Sink | None, *, last: bool
) -> tuple[Walked, runtime.Conversation]:
    """One turn, and the conversation as it is after it."""
    script = Script(release, turn)
    try:
        result = await runtime.run(
            release,
            turn.question,
            models=script,
            conversation=talk,
            answers=script.answer,
            verdicts=(),
            source="walk",
            sink=sink,
        )
    except WorkbenchError as error:
        return Walked(number, "stopped", Stop("message", "", error.message)), talk
    stop, calls = _stop(result, script, turn), len(_made(result))
    if stop is not None and stop.cause == "no reply" and last:
        return Walked(number, "ends with a call", None, result.run_id, calls), result.conversation
    verdict: Verdict = "stopped" if stop else "faithful"
    return Walked(number, verdict, stop, result.run_id, calls), result.conversation


def _stop(result: runtime.Result, script: Script, turn: Turn) -> Stop | None:
    """Why a turn did not go as recorded, or None."""
    if result.outcome == "blocked":
        tripped = next(
            (one for one in result.finished.recorder.verdicts if one.tripped and one.on != "tool_result"), None
        )
        return Stop("guardrail", tripped.name if tripped else "", tripped.reason if tripped else result.error)
    if result.outcome == "held":
        waiting = ", ".join(str(one["tool"]) for one in result.finished.waiting)
        return Stop("approval", waiting, "the call waits for a person")
    if result.outcome == "limit":
        return Stop("limit", "", result.error)
    if script.stop is not None:
        return script.stop
    return _difference(result, turn)


def _difference(result: runtime.Result, turn: Turn) -> Stop | None:
    if result.outcome == "error":
        return Stop("difference", "", result.error)
    recorded = [(called(call.name), call.arguments, call.answer or "") for call in turn.calls]
    made = [(call.name, call.arguments, call.output) for call in _made(result)]
    if sorted(recorded) != sorted(made):
        return Stop("difference", "", "other tool calls were made, or they were answered otherwise")
    if result.reply != turn.reply:
        return Stop("difference", "", "the reply is another one")
    return None


def _made(result: runtime.Result) -> list[ToolCall]:
    return [call for call in result.finished.recorder.calls if isinstance(call, ToolCall)]


class Script(Tape):
    """A recorded turn as a model and as its tools: what the assistant said in order, and what the tools answered."""

    def __init__(self, release: Release, turn: Turn) -> None:
        super().__init__(())
        self._said = 0
        self._release, self._turn = release, turn
        self._answers = {call.id: call for call in turn.calls}
        self.stop: Stop | None = None

    def label(self, role: str) -> str:
        """What records call the model: nobody knows which one it was."""
        return "recorded"

    def cost(self, role: str, usage: Any) -> float | None:
        """Never known."""
        return None

    def answer(self, call: ToolCall) -> Mapping[str, Any]:
        """The recorded answer to a call; a call that was not recorded fails and is never made."""
        known = self._answers.get(call.call_id)
        if known is None or known.answer is None:
            return {"output": "", "error": "this call was not recorded"}
        return {"output": known.answer}

    async def serve(self, request: Mapping[str, Any]) -> Any:
        """The next recorded message. Raises RecordedError where the record and the flow do not fit; `stop` says why."""
        if self.stop is None:
            self.stop = self._obstacle(request)
        if self.stop is not None:
            raise RecordedError(str(self.stop))
        at, self._said = self._said, self._said + 1
        return response_of(response(self._turn.answers[at], str(at)))

    def _obstacle(self, request: Mapping[str, Any]) -> Stop | None:
        """What keeps the record from going on: answers that changed on the way, its end, or a call that cannot be made."""
        if changed := next(self._changed(request["input"]), None):
            return changed
        if self._said >= len(self._turn.answers):
            ending = self._turn.calls[-1].name if self._turn.calls else ""
            return Stop("no reply", called(ending), "the record ends this turn without a reply")
        offered = {*request["tools"], *request["handoffs"]}
        calls = self._turn.answers[self._said].calls
        return next((stop for call in calls if (stop := self._unfit(call, offered)) is not None), None)

    def _changed(self, items: Any) -> Iterator[Stop]:
        given = items if isinstance(items, list) else []
        outputs = {one.get("call_id"): one.get("output") for one in given if one.get("type") == "function_call_output"}
        for said in self._turn.answers[: self._said]:
            for call in said.calls:
                if outputs.get(call.id, call.answer) != call.answer:
                    yield Stop("withheld", called(call.name), str(outputs[call.id]))

    def _unfit(self, call: Call, offered: set[str]) -> Stop | None:
        name, given = called(call.name), call.given
        if name not in offered:
            return Stop("unknown tool", name, "the flow does not offer this tool")
        if given is None:
            return Stop("arguments", name, "the arguments are not a JSON object")
        if (schema := self._release.content.tools.get(name)) is not None:
            try:
                arguments.check(given, schema.parameters)
            except WorkbenchError as error:
                return Stop("arguments", name, error.message)
        return Stop("no answer", name, "the record has no answer to this call") if call.answer is None else None
