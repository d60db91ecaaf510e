"""The record of a run: every model request and response, every tool call, every verdict, complete enough to run again.

While a run goes on, the recorder only keeps references; the plain form is made later, off the caller's path.
"""

from __future__ import annotations

import atexit
import contextvars
import datetime as dt
import functools
import hashlib
import json
import logging
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.runtime.release import Release, packages
from workbench.runtime.seal import FORMAT, sealed
from workbench.runtime.spec import Outcome, canonical

inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="")
"""The call id of the agent asked as a tool within which something happens; empty outside."""

log = logging.getLogger("workbench.runtime")


OF_ASKED = "turns of agents that were asked"
"""How the reason ends of a run that agents stopped which ask each other without end."""


@dataclass(frozen=True)
class Conversation:
    """What a next run needs to go on: the items so far and the agent that spoke last."""

    id: str
    items: tuple[Any, ...] = ()
    agent: str = ""


@dataclass(frozen=True)
class Step:
    """Something that a person who watches a run sees happen."""

    kind: str
    name: str
    detail: str = ""
    agent: str = ""


@dataclass
class ModelCall:
    """One request to a model and what came back. `request` holds the arguments of the function `request`."""

    agent: str
    role: str
    model: str
    request: tuple[Any, ...]
    started: float
    seconds: float = 0.0
    response: Any = None
    usd: float | None = 0.0
    error: str = ""
    inside: str = ""
    replayed: bool = False


@dataclass
class ToolCall:
    """One call of a tool: its arguments, its answer, and how long it waited for which guardrails.

    `inside` is the call id of the agent asked as a tool that made it; `decided` is who allowed or rejected it.
    """

    agent: str
    name: str
    call_id: str
    arguments: str
    effect: str
    started: float
    seconds: float = 0.0
    held: float = 0.0
    output: str = ""
    error: str = ""
    waited_for: list[str] = field(default_factory=list)
    inside: str = ""
    replayed: bool = False
    decided: str = ""
    mocked: bool = False
    done: bool = False

    @property
    def given(self) -> Any:
        """The arguments without their spelling: 80, 80.0 and "80" are the same to a tool that wants a number."""
        try:
            return _unspelled(json.loads(self.arguments or "{}"))
        except (ValueError, RecursionError):
            return self.arguments


@dataclass
class Verdict:
    """What a guardrail decided about `about`: a message, a reply, or the result of a tool call (its call id)."""

    name: str
    on: str
    check: str
    tripped: bool
    reason: str
    started: float
    seconds: float
    about: str = ""
    model: str = ""
    usd: float | None = 0.0


@dataclass
class Recorder:
    """Collects one run. `watch` is told of each step as it happens; `forked` says which run it is a fork of, and where."""

    release: Release
    source: str
    conversation: str
    environment: str
    input: Sequence[Any]
    question: str
    agent: str
    variables: Mapping[str, str]
    watch: Callable[[Step], None] | None = None
    hex: str = field(default_factory=lambda: uuid.uuid4().hex)
    calls: list[ModelCall | ToolCall] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    reply_waited: float = 0.0
    reply_waited_for: list[str] = field(default_factory=list)
    person: str = ""
    resumes: str = ""
    root: str = ""
    decisions: Sequence[Mapping[str, Any]] = ()
    forked: Mapping[str, Any] | None = None
    wall: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)

    @property
    def id(self) -> str:
        """The run's id."""
        return f"run_{self.hex}"

    @property
    def trace(self) -> str:
        """The id of the SDK trace of the run."""
        return f"trace_{self.hex}"

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.clock

    def say(self, kind: str, name: str, detail: str = "", agent: str = "") -> None:
        """Tell whoever watches of one step."""
        if self.watch is not None:
            self.watch(Step(kind, name, detail, agent))


@dataclass(frozen=True)
class Finished:
    """A run that has ended, with everything its record needs."""

    recorder: Recorder
    outcome: Outcome
    reply: str
    agent: str
    seconds: float
    error: str = ""
    stop: str = ""
    escalation: Mapping[str, Any] | None = None
    waiting: tuple[Mapping[str, Any], ...] = ()

    @functools.cached_property
    def plain(self) -> dict[str, Any]:
        """The record as plain data, made on first use: one JSON document with `format` 2, under its seal."""
        r = self.recorder
        models = [call for call in r.calls if isinstance(call, ModelCall)]
        body = {
            "format": FORMAT,
            "kind": "workbench run",
            "id": r.id,
            "flow": r.release.name,
            "version": r.release.version,
            "digest": r.release.digest,
            "source": r.source,
            "environment": r.environment,
            "conversation": r.conversation,
            "started_at": dt.datetime.fromtimestamp(r.wall, dt.UTC).isoformat(timespec="milliseconds"),
            "seconds": round(self.seconds, 6),
            "question": r.question,
            "input": jsonable(r.input),
            "starts_at": r.agent,
            "variables": dict(r.variables),
            "outcome": self.outcome,
            "reply": self.reply,
            "agent": self.agent,
            "error": self.error,
            "stop": self.stop,
            "escalation": dict(self.escalation) if self.escalation else None,
            "waiting": [dict(one) for one in self.waiting],
            "person": r.person,
            "resumes": r.resumes,
            "root": r.root or r.id,
            "decisions": [dict(one) for one in r.decisions],
            **({"forked": dict(r.forked)} if r.forked else {}),
            "reply_waited": {"seconds": round(r.reply_waited, 6), "for": list(r.reply_waited_for)},
            "models": sorted({call.model for call in models}),
            "usage": _usage([call for call in models if not call.replayed], r.verdicts),
            "calls": [_plain_call(call) for call in r.calls],
            "guardrails": [
                vars(v) | {"started": round(v.started, 6), "seconds": round(v.seconds, 6)} for v in r.verdicts
            ],
            "spans": [plain_span(span, r.wall) for span in r.spans],
            "packages": dict(packages()),
        }
        # The requests are clean already.
        beside = body | {"calls": [{**call, "request": ""} for call in body["calls"]]}
        return sealed(_cleaned(body) if _UNSTORABLE_IN_JSON.search(_encode(beside)) else body)


Sink = Callable[[Finished], None]
"""Where finished runs go. It must return at once and never raise."""


class Writer:
    """A sink that hands batches of finished runs to `write` on its own thread, off the caller's path.

    A batch that cannot be written is tried again `tries` times, a second apart, then given to `spill`.
    On normal exit the queue is written out; on `kill -9` at most `pause` seconds of runs are lost.
    """

    def __init__(
        self,
        write: Callable[[list[Finished]], None],
        *,
        spill: Callable[[list[Finished]], None],
        pause: float = 0.2,
        tries: int = 5,
    ) -> None:
        self._write, self._spill, self._pause, self._tries = write, spill, pause, tries
        self._queue: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._hurry = threading.Event()
        self._closed = False
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="run-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, finished: Finished) -> None:
        """Queue one finished run."""
        with self._lock:
            self._waiting += 1
            self._idle.clear()
        self._queue.put(finished)

    def flush(self, timeout: float = 30.0) -> bool:
        """Write everything queued now, and wait for it; False when `timeout` seconds were not enough."""
        self._hurry.set()
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Write what is queued and end the thread. Safe to call twice."""
        atexit.unregister(self.close)
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._hurry.set()
            self._thread.join(30)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            if batch[0] is not None and not self._closed:
                self._hurry.wait(self._pause / 2)
            self._hurry.clear()
            while not self._queue.empty() and len(batch) < 500:
                batch.append(self._queue.get())
            open_ = None not in batch
            finished = [one for one in batch if one is not None]
            if finished:
                self._deliver(finished)
            with self._lock:
                self._waiting -= len(finished)
                if self._waiting == 0:
                    self._idle.set()

    def _deliver(self, batch: list[Finished]) -> None:
        for attempt in range(self._tries):
            try:
                self._write(batch)
                return
            except Exception as error:  # noqa: BLE001  (a sink never breaks the process; it retries, then spills)
                log.warning("runs could not be stored (try %d): %s", attempt + 1, error)
                if attempt + 1 < self._tries and not self._closed:
                    time.sleep(1)
        for one in batch:
            self._deliver_alone(one)

    def _deliver_alone(self, one: Finished) -> None:
        """The last resort: one run that cannot be written must not take others with it."""
        try:
            self._write([one])
        except Exception as error:  # noqa: BLE001  (told and spilled)
            log.error("the run %s could not be stored: %s", one.recorder.id, error)
            try:
                self._spill([one])
            except Exception:
                log.exception("the run %s was lost", one.recorder.id)


_encode = json.JSONEncoder(ensure_ascii=False).encode
_UNSTORABLE = re.compile("[\ud800-\udfff\x00]")
_UNSTORABLE_IN_JSON = re.compile("[\ud800-\udfff]|\\\\u0000")


def clean(value: Any) -> Any:
    """Plain data in which every text can be stored: lone surrogates and NUL become the replacement character."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    # Looking through the JSON of the whole is many times faster than a walk, and hardly anything needs one.
    if isinstance(value, dict | list) and _UNSTORABLE_IN_JSON.search(_encode(value)):
        return _cleaned(value)
    return value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(v) for v in value]
    return value


def _unspelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unspelled(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_unspelled(one) for one in value]
    try:
        number = float(value) if isinstance(value, (int, float, str)) else value
    except (ValueError, OverflowError):
        return value.strip() if isinstance(value, str) else value
    return str(value) if number != number else number


def jsonable(value: Any) -> Any:
    """Plain JSON data from what the SDK hands around."""
    return json.loads(_spelled(value))


def request(
    system: str | None, items: Any, settings: Any, tools: Sequence[Any], schema: Any, handoffs: Sequence[Any]
) -> dict[str, Any]:
    """A model request as plain data: what is digested, replayed against and shown."""
    return _request(system, items, settings, tools, schema, handoffs)[0]


def _request(
    system: str | None, items: Any, settings: Any, tools: Sequence[Any], schema: Any, handoffs: Sequence[Any]
) -> tuple[dict[str, Any], str]:
    """A model request as plain data, and its canonical text, which the digest is of."""
    asked = {
        "system": system,
        "input": jsonable(items),
        "tools": [tool.name for tool in tools],
        "handoffs": [handoff.tool_name for handoff in handoffs],
        "schema": None if schema is None or schema.is_plain_text() else jsonable(schema.json_schema()),
        "settings": _settings(settings),
    }
    text = canonical(asked)
    if _UNSTORABLE_IN_JSON.search(text):
        asked = dict(_cleaned(asked))
        text = canonical(asked)
    return asked, text


def _settings(given: Any) -> dict[str, Any]:
    """The model settings that say something."""
    if all(value is None for value in vars(given).values()):
        return {}
    return {name: value for name, value in jsonable(given.to_json_dict()).items() if value is not None}


def digest(asked: Mapping[str, Any]) -> str:
    """The digest of a plain model request."""
    return _digest(canonical(asked))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plain_response(response: Any) -> dict[str, Any]:
    """An SDK ModelResponse as plain data."""
    usage = response.usage
    cached = getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
    used = {"requests": usage.requests, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    return {
        "output": [_default(item) for item in response.output],
        "usage": used | ({"cached_tokens": cached} if cached else {}),
        "response_id": response.response_id,
        "request_id": getattr(response, "request_id", None),
    }


def plain_span(span: Any, wall: float) -> dict[str, Any]:
    """An SDK span as plain data: place in the tree, type, name, and seconds from the run's start."""
    data = span.span_data
    kind = getattr(data, "type", "custom")
    name = getattr(data, "name", None) or getattr(data, "model", None) or ""
    if kind == "handoff":
        name = f"{data.from_agent} to {data.to_agent}"
    if kind == "custom":
        kind = (data.data or {}).get("sdk_span_type", "custom")
    started, ended = _seconds(span.started_at, wall), _seconds(span.ended_at, wall)
    return {
        "id": span.span_id,
        "parent": span.parent_id,
        "type": kind,
        "name": str(name),
        "start": started,
        "seconds": round(max(0.0, ended - started), 6),
        "error": (span.error or {}).get("message", ""),
    }


def _usage(calls: Sequence[ModelCall], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    answered = [call.response.usage for call in calls if call.response is not None]
    costs = [*(call.usd for call in calls), *(verdict.usd for verdict in verdicts)]
    return {
        "requests": len(calls),
        "input_tokens": sum(u.input_tokens for u in answered),
        "output_tokens": sum(u.output_tokens for u in answered),
        "usd": None if None in costs else round(sum(c or 0.0 for c in costs), 8),
    }


def _plain_call(call: ModelCall | ToolCall) -> dict[str, Any]:
    timing = {"started": round(call.started, 6), "seconds": round(call.seconds, 6)}
    if isinstance(call, ToolCall):
        return {"kind": "tool", **vars(call), **timing, "held": round(call.held, 6)}
    asked, text = _request(*call.request)
    return {
        "kind": "model",
        "agent": call.agent,
        "role": call.role,
        "model": call.model,
        "request": asked,
        "digest": _digest(text),
        "response": None if call.response is None else plain_response(call.response),
        "usd": call.usd,
        "error": call.error,
        "inside": call.inside,
        "replayed": call.replayed,
        **timing,
    }


def _seconds(moment: str | None, wall: float) -> float:
    if moment is None:
        return 0.0
    return round(dt.datetime.fromisoformat(moment).timestamp() - wall, 6)


def _default(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return str(value)


_spelled = json.JSONEncoder(ensure_ascii=False, default=_default).encode
