"""Transcripts of chat completions with tools, as runs: one for each message of the customer, with the flow they tell of.

An entry holds a list of messages with roles (`messages`, `traj` or any other name). It may name its `tools` in OpenAI's
format, its `model`, and when it was (`created` or `created_at`). Nobody described the flow, so it is made of what the
file says: the instructions, and each tool as it was declared or as its calls tell. Nothing stands behind its tools.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workbench.errors import Invalid
from workbench.flows import transcripts
from workbench.flows.signatures import Signature, called, declared, effect, inferred
from workbench.flows.transcripts import Call, Said, Transcript, Turn
from workbench.runtime import release
from workbench.runtime.record import digest
from workbench.runtime.release import PromptText, Release
from workbench.runtime.spec import canonical, parse

AGENT = "assistant"
UNNAMED = "unnamed model"
CUT = "the transcript ends here, before a reply"
"""Why a run stops that ends with a tool's answer: what the model said to it is not in the file."""

NO_ANSWER = "the transcript has no answer to this call"

DEEPEST = 100
"""Levels of nesting in the arguments of a tool call."""

LONGEST = 100
"""Answers of the assistant within one turn: more than a flow may take."""

_PERSON = {"human", "humans", "person", "escalate", "supervisor"}
_KEPT = 20
_BRACKET = re.compile(r"[\[{\]}]")

Pair = tuple[dict[str, Any], Release]


def entries(documents: Sequence[Any]) -> list[Any] | None:
    """The transcripts among plain documents; None where the first of them is none."""
    found = documents
    if len(documents) == 1 and isinstance(documents[0], list) and transcripts.messages(documents[0]) is None:
        found = documents[0]
    first = found[0] if found else None
    return list(found) if transcripts.messages(first) is not None else None


def runs(found: Sequence[Any], name: str = "", now: dt.datetime | None = None) -> list[Pair]:
    """The runs of transcripts, each with the frozen flow that it tells of; `name` is what the flow is called.

    Entries that name no time are put at `now` (default: this moment). Raises Invalid naming the entry that cannot be used.
    """
    read = [(one, _read(one, f"entry {number}")) for number, one in enumerate(found, 1)]
    flows = _Flows(_slug(name), read)
    moment = now or dt.datetime.now(dt.UTC)
    made: list[Pair] = []
    for number, (entry, transcript) in enumerate(read):
        began = _began(entry) or moment + dt.timedelta(seconds=number - len(read))
        frozen = flows.of(transcript)
        made += [(record, frozen) for record in _records(entry, transcript, frozen, began)]
    return made


def _read(entry: Any, where: str) -> Transcript:
    transcript = transcripts.of_entry(entry, where)
    if transcript is None:
        raise Invalid(
            f"{where} is not a transcript: it holds no list of messages with roles.",
            remedy="Give a file in which every entry is one conversation.",
        )
    if any(_nesting(call.arguments) > DEEPEST for call in transcript.calls):
        raise Invalid(f"{where} has a tool call whose arguments are nested deeper than {DEEPEST} levels.")
    if any(len(turn.answers) > LONGEST for turn in transcript.turns):
        raise Invalid(f"{where} has a message with more than {LONGEST} answers; a flow takes at most so many turns.")
    return transcript


def _slug(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"chat-{plain}"[:60].rstrip("-") if not plain[:1].isalpha() else plain[:60].rstrip("-")


class _Flows:
    """The frozen flow of each instructions text: with all tools that any transcript under it declares or calls."""

    def __init__(self, name: str, read: Sequence[tuple[Any, Transcript]]) -> None:
        self._name = name
        self._tools: dict[str, list[Signature]] = {}
        self._made: dict[str, Release] = {}
        grouped: dict[str, list[tuple[Any, Transcript]]] = {}
        for entry, transcript in read:
            grouped.setdefault(transcript.system, []).append((entry, transcript))
        for system, members in grouped.items():
            self._tools[system] = _signatures(members)

    def of(self, transcript: Transcript) -> Release:
        """The flow that a transcript tells of."""
        system = transcript.system
        if system not in self._made:
            self._made[system] = _frozen(self._name, system, self._tools[system])
        return self._made[system]


def _signatures(members: Sequence[tuple[Any, Transcript]]) -> list[Signature]:
    found: dict[str, Signature] = {}
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for entry, transcript in members:
        for one in declared(entry, transcript.where) if isinstance(entry, Mapping) else []:
            found.setdefault(one.called, one)
        for call in transcript.calls:
            calls.setdefault(called(call.name), []).append(_given(call))
    return [found.get(name) or inferred(name, calls[name]) for name in dict.fromkeys([*found, *calls])]


def _given(call: Call) -> Mapping[str, Any]:
    return call.given or {}


def _nesting(text: str) -> int:
    """How deep JSON text is nested at the most; brackets within its strings count too."""
    depth = deepest = 0
    for one in _BRACKET.finditer(text):
        depth += 1 if one[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _frozen(name: str, system: str, signatures: Sequence[Signature]) -> Release:
    tools = {
        one.called: {
            "kind": "mock",
            "effect": effect(one)[0],
            "description": one.description,
            "parameters": dict(one.parameters),
        }
        for one in signatures
    }
    spec = parse(
        {
            "flow": name,
            "purpose": "Told from transcripts of another program.",
            "entry": AGENT,
            "agents": {AGENT: {"prompt": f"{name}/{AGENT}", "tools": list(tools)}},
            "tools": tools,
            "limits": {"turns": LONGEST, "seconds": 600, "usd": 1},
            "control": [],
        }
    )
    text = system.replace("$", "$$")
    prompt = PromptText(name=f"{name}/{AGENT}", number=0, text=text, purpose="The instructions in the transcripts.")
    return release.freeze(spec, lambda _: prompt, lambda _: [])


def _records(entry: Any, transcript: Transcript, frozen: Release, began: dt.datetime) -> Iterator[dict[str, Any]]:
    told = _told(entry)
    identity = _hex([transcript.system, transcripts.messages(entry), told])
    items = list(history(transcript.opening))
    answered = [turn for turn in transcript.turns if turn.answers]
    for number, turn in enumerate(answered):
        at = began + dt.timedelta(milliseconds=number)
        record = _record(turn, items, frozen, _model(entry), number)
        record |= {
            "id": f"run_{_hex([identity, number])}",
            "conversation": f"conv_{identity}",
            "started_at": at.isoformat(timespec="milliseconds"),
        }
        record["root"] = record["id"]
        if told:
            record["told"] = told
        if turn is answered[-1] and not transcript.turns[-1].answers:
            record["unanswered"] = transcript.turns[-1].question
        yield record
        items += [{"role": "user", "content": turn.question}, *history(turn.answers)]


def _record(turn: Turn, before: Sequence[Any], frozen: Release, model: str, number: int) -> dict[str, Any]:
    items = [*before, {"role": "user", "content": turn.question}]
    calls: list[dict[str, Any]] = []
    asked = list(items)
    for at, said in enumerate(turn.answers):
        calls.append(_model_call(said, asked, frozen, model, f"{number}_{at}"))
        made = [_tool_call(call, frozen) for call in said.calls]
        calls += made
        outputs = [{"type": "function_call_output", "call_id": c["call_id"], "output": c["output"]} for c in made]
        asked = [*asked, *calls[-1 - len(made)]["response"]["output"], *outputs]
    outcome, error, stop = _outcome(turn)
    return {
        "format": 1,
        "kind": "workbench run",
        "flow": frozen.name,
        "version": frozen.version,
        "digest": frozen.digest,
        "source": "imported",
        "environment": "",
        "seconds": 0.0,
        "question": turn.question,
        "input": items,
        "starts_at": AGENT,
        "variables": {},
        "outcome": outcome,
        "reply": turn.reply,
        "agent": AGENT,
        "error": error,
        "stop": stop,
        "escalation": None,
        "waiting": [],
        "person": "",
        "resumes": "",
        "decisions": [],
        "reply_waited": {"seconds": 0.0, "for": []},
        "models": [model],
        "usage": {"requests": len(turn.answers), "input_tokens": 0, "output_tokens": 0, "usd": None},
        "calls": calls,
        "guardrails": [],
        "spans": [],
        "packages": {},
    }


def _outcome(turn: Turn) -> tuple[str, str, str]:
    """Outcome, error and what stopped a run that is as whole as its turn."""
    if turn.reply:
        return "answered", "", ""
    last = turn.answers[-1].calls[-1].name if turn.answers[-1].calls else ""
    if _PERSON & set(re.findall(r"[a-z]+", last.lower())):
        return "escalated", "", CUT
    return "error", "", CUT


def _model_call(said: Said, asked: Sequence[Any], frozen: Release, model: str, at: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "system": frozen.content.prompts[AGENT].text.replace("$$", "$"),
        "input": list(asked),
        "tools": list(frozen.spec.agents[AGENT].tools),
        "handoffs": [],
        "schema": None,
        "settings": {},
    }
    return {
        "kind": "model",
        "agent": AGENT,
        "role": "main",
        "model": model,
        "request": request,
        "digest": digest(request),
        "response": response(said, at),
        "usd": None,
        "error": "",
        "inside": "",
        "replayed": False,
        "started": 0.0,
        "seconds": 0.0,
    }


def _tool_call(call: Call, frozen: Release) -> dict[str, Any]:
    name = called(call.name)
    missing = call.answer is None
    return {
        "kind": "tool",
        "agent": AGENT,
        "name": name,
        "call_id": call.id,
        "arguments": call.arguments,
        "effect": frozen.spec.tools[name].effect,
        "started": 0.0,
        "seconds": 0.0,
        "held": 0.0,
        "output": json.dumps({"error": NO_ANSWER}) if missing else call.answer,
        "error": NO_ANSWER if missing else "",
        "waited_for": [],
        "inside": "",
        "replayed": False,
        "decided": "",
        "mocked": False,
        "done": True,
    }


def _told(entry: Any) -> dict[str, Any]:
    """What else the file says of a conversation, as far as it is short: its id, a reward, a rating."""
    if not isinstance(entry, Mapping):
        return {}
    short = (
        (str(name)[:60], value)
        for name, value in entry.items()
        if isinstance(value, bool | int | float) or (isinstance(value, str) and 0 < len(value) <= 200)
    )
    return dict(list(short)[:_KEPT])


def _model(entry: Any) -> str:
    named = entry.get("model") if isinstance(entry, Mapping) else None
    return named[:200] if isinstance(named, str) and named.strip() else UNNAMED


def _began(entry: Any) -> dt.datetime | None:
    """When an entry says that it was, in seconds since 1970 or as a date; None where it does not, or cannot be read."""
    if not isinstance(entry, Mapping):
        return None
    told = next((entry[name] for name in ("created_at", "created", "timestamp") if entry.get(name)), None)
    try:
        if isinstance(told, int | float) and not isinstance(told, bool):
            return dt.datetime.fromtimestamp(told, dt.UTC)
        moment = dt.datetime.fromisoformat(told) if isinstance(told, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.replace(tzinfo=dt.UTC) if moment is not None and moment.tzinfo is None else moment


def _hex(parts: Iterable[Any]) -> str:
    return hashlib.blake2b(canonical(list(parts)).encode("utf-8", "replace"), digest_size=16).hexdigest()


def response(said: Said, at: str) -> dict[str, Any]:
    """A recorded message as the plain form of a model's response."""
    output: list[dict[str, Any]] = []
    if said.text.strip():
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        output.append(
            {"type": "message", "id": f"msg_{at}", "role": "assistant", "status": "completed", "content": [part]}
        )
    output += [
        {
            "type": "function_call",
            "id": f"fc_{at}_{place}",
            "call_id": call.id,
            "name": called(call.name),
            "arguments": call.arguments,
            "status": "completed",
        }
        for place, call in enumerate(said.calls)
    ]
    usage = {"requests": 1, "input_tokens": 0, "output_tokens": 0}
    return {"output": output, "usage": usage, "response_id": None}


def history(opening: Iterable[Said]) -> Iterator[dict[str, Any]]:
    """What was said before the customer's first message, as items of a conversation."""
    for said in opening:
        if said.text:
            yield {"role": "assistant", "content": said.text}
        for call in said.calls:
            name = called(call.name)
            yield {"type": "function_call", "call_id": call.id, "name": name, "arguments": call.arguments}
            yield {"type": "function_call_output", "call_id": call.id, "output": call.answer or ""}
