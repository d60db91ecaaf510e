"""Two runs step by step: aligned, each pair the same or changed and in what, the first divergence, what each took."""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.prompts import Line, lines
from workbench.traces import query
from workbench.traces.words import brief, call_words

Kind = Literal["message", "guardrail", "model", "handoff", "tool", "reply"]
Verdict = Literal["same", "changed", "only in one", "only in the other"]

CELLS = 4_000_000
"""Up to so many pairs of steps are weighed against each other; longer runs are aligned more coarsely."""

PAIRED = 1_000_000
"""What a pair of steps of the same kind and name weighs beside one that is the same in content too."""


@dataclass(frozen=True)
class Step:
    """A step of a run, counted from 1. `calls` are the model requests and tool calls before it.

    `name` is a tool, a guardrail, the agent whose model is asked, or the two agents of a handoff. `parts` are its
    texts by what they are, such as `arguments` and `answer`.
    """

    number: int
    kind: Kind
    name: str
    agent: str
    calls: int
    parts: Mapping[str, str] = field(default_factory=dict)
    on: str = ""
    call_id: str = ""

    @property
    def title(self) -> str:
        """What the step is, in words."""
        return {
            "message": "the customer's message",
            "guardrail": f"guardrail {self.name} on {ABOUT.get(self.on, self.on)}",
            "model": f"model request of {self.name}",
            "handoff": f"handoff, {self.name}",
            "tool": f"tool {self.name}",
            "reply": "the reply",
        }[self.kind]

    @property
    def words(self) -> str:
        """The step in a short line."""
        said = {"message": "message", "guardrail": "verdict", "model": "answer", "tool": "answer", "reply": "reply"}
        text = self.parts.get(said.get(self.kind, ""), "") or self.parts.get("error", "")
        text = _spoken(text) if self.kind == "model" else text
        before = f" ({brief(self.parts['arguments'], 80)})" if self.kind == "tool" else ""
        return f"{self.title}{before}" + (f": {brief(' '.join(text.split()), 80)}" if text else "")


@dataclass(frozen=True)
class Pair:
    """A step of one run beside the step of the other; `what` names the parts that differ."""

    verdict: Verdict
    one: Step | None
    other: Step | None
    what: tuple[str, ...] = ()

    @property
    def step(self) -> Step:
        """The step, of the first run where it has it."""
        found = self.one or self.other
        assert found is not None  # noqa: S101  (a pair has at least one side)
        return found

    @property
    def words(self) -> str:
        """What differs, in words; empty where nothing does."""
        if self.verdict == "changed":
            return f"{_listed(self.what)} {'differs' if len(self.what) == 1 else 'differ'}"
        return "" if self.verdict == "same" else self.verdict

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """The parts that differ, in one run and in the other."""
        one, other = (side.parts if side else {} for side in (self.one, self.other))
        names = self.what if self.verdict == "changed" else [*one, *other] if self.verdict != "same" else ()
        return {name: (one.get(name, ""), other.get(name, "")) for name in names}

    def diff(self, part: str) -> list[Line]:
        """A part that differs, word by word."""
        return lines(*self.texts[part])


@dataclass(frozen=True)
class Divergence:
    """Where two runs part: the number of the step in each, None in a run that does not have it, and what differs."""

    step: int | None
    other_step: int | None
    kind: Kind
    name: str
    what: str

    def __str__(self) -> str:
        number = f"step {self.step}" if self.step is not None else f"step {self.other_step} of the other run"
        return f"{number}, {self.name}: {self.what}"


@dataclass(frozen=True)
class Delta:
    """A measure of both runs; a value is None where it is not known."""

    name: str
    one: float | None
    other: float | None

    @property
    def change(self) -> float | None:
        """The second less the first; None where one is not known."""
        return None if self.one is None or self.other is None else round(self.other - self.one, 8)


@dataclass(frozen=True)
class Comparison:
    """Two runs, aligned. `deltas` are input tokens, output tokens, US dollars, seconds and tool calls."""

    one: str
    other: str
    pairs: tuple[Pair, ...]
    deltas: tuple[Delta, ...]

    @property
    def differences(self) -> tuple[Pair, ...]:
        """The pairs that are not the same."""
        return tuple(pair for pair in self.pairs if pair.verdict != "same")

    @property
    def same(self) -> bool:
        """Whether every step is the same in both."""
        return not self.differences

    @property
    def divergence(self) -> Divergence | None:
        """Where the runs part first; None where they do not."""
        if self.same:
            return None
        first = self.differences[0]
        numbers = [None if side is None else side.number for side in (first.one, first.other)]
        return Divergence(numbers[0], numbers[1], first.step.kind, first.step.title, first.words)

    def count(self, verdict: Verdict) -> int:
        """How many pairs came to this."""
        return sum(pair.verdict == verdict for pair in self.pairs)

    @property
    def plain(self) -> dict[str, Any]:
        """The comparison as plain data, with the texts that differ."""
        parted = self.divergence
        return {
            "one": self.one,
            "other": self.other,
            "same": self.same,
            "divergence": None if parted is None else vars(parted) | {"words": str(parted)},
            "steps": [_plain(pair) for pair in self.pairs],
            "deltas": {d.name: {"one": d.one, "other": d.other, "change": d.change} for d in self.deltas},
        }


def between(run_id: str, other_id: str) -> Comparison:
    """Compare two stored runs. Raises NotFound."""
    return compare(query.record(run_id), query.record(other_id))


def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> Comparison:
    """Compare two records, step by step. A fork that goes on after the other run counts with that run before it."""
    one_side, other_side = _sides(one, other)
    pairs = tuple(_align(one_side.steps, other_side.steps))
    deltas = [Delta(name, value, other_side.took[name]) for name, value in one_side.took.items()]
    return Comparison(str(one["id"]), str(other["id"]), pairs, tuple(deltas))


def steps(record: Mapping[str, Any]) -> list[Step]:
    """The steps of a run in order: the message, verdicts, model requests, handoffs, tool calls, and the reply.

    What a guardrail says stands by what it is about, so that the order is the same however long each took.
    """
    return [
        Step(number, kind, name, agent, calls, **rest)
        for number, (kind, name, agent, calls, rest) in enumerate(_walk(record), 1)
    ]


ABOUT = {"input": "the message", "tool_result": "a tool's result", "reply": "the reply"}

_Found = tuple[Kind, str, str, int, dict[str, Any]]


def _walk(record: Mapping[str, Any]) -> Iterator[_Found]:
    calls, verdicts = record["calls"], record["guardrails"]
    earlier = "\n".join(_item(one) for one in record["input"][:-1])
    said = {"message": record["question"], **({"earlier messages": earlier} if earlier else {})}
    yield "message", "", record["starts_at"], 0, {"parts": said}
    yield from _judged(verdicts, "input", 0)
    agent, before = record["starts_at"], _Inputs()
    for place, call in enumerate(calls):
        if call["kind"] == "tool":
            yield "tool", call["name"], call["agent"], place, {"parts": _tool(call), "call_id": call["call_id"]}
            yield from _judged(verdicts, "tool_result", place, call["call_id"])
            continue
        if not call.get("inside") and call["agent"] != agent:
            yield "handoff", f"{agent} to {call['agent']}", call["agent"], place, {}
            agent = call["agent"]
        yield "model", call["agent"], call["agent"], place, {"parts": _model(call, before.new(call))}
    yield from _judged(verdicts, "reply", len(calls))
    yield "reply", "", record["agent"], len(calls), {"parts": _reply(record)}


def _judged(verdicts: Sequence[Mapping[str, Any]], on: str, calls: int, about: str = "") -> Iterator[_Found]:
    """The verdicts on the message, on the result of a call, or on the reply, by name: they came side by side."""
    found = [v for v in verdicts if v["on"] == on and (on != "tool_result" or v.get("about", "") == about)]
    for one in sorted(found, key=lambda v: str(v["name"])):
        told = f"stopped it: {one['reason']}" if one["tripped"] else "let it pass"
        yield "guardrail", one["name"], "", calls, {"parts": {"verdict": told}, "on": on, "call_id": about}


class _Inputs:
    """What each model request holds that the one before it, by the same agent or those before it, did not."""

    def __init__(self) -> None:
        self._before: dict[str, list[Any]] = {}

    def new(self, call: Mapping[str, Any]) -> str:
        given = call["request"].get("input") or []
        items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        known = self._before.get(call.get("inside", ""), [])
        self._before[call.get("inside", "")] = items
        shared = len(known)
        if items[:shared] != known:
            pairs = enumerate(zip(known, items, strict=False))
            shared = next((i for i, (a, b) in pairs if a != b), min(len(known), len(items)))
        return "\n".join(_item(one) for one in items[shared:])


def _item(item: Any) -> str:
    """A conversation item as text, without the ids that differ from run to run."""
    if not isinstance(item, Mapping):
        return str(item)
    if item.get("type") == "function_call":
        return f"calls {item.get('name')}: {_readable(str(item.get('arguments', '')))}"
    if item.get("type") == "function_call_output":
        return f"answer: {_readable(str(item.get('output', '')))}"
    content = item.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", part.get("refusal", ""))) for part in content if isinstance(part, dict))
    if "role" in item:
        return f"{item['role']}: {content or ''}"
    return json.dumps({k: v for k, v in item.items() if k not in ("id", "call_id", "status")}, ensure_ascii=False)


_CALL = re.compile(r"calls ([^\s:]+): (.*)", re.DOTALL)


def _spoken(answer: str) -> str:
    """A model's answer without JSON: what it says, the calls it asks for in words, and whom it hands over to."""
    said = [one.strip() for one in re.split(r"\n(?=calls |assistant: )", answer)]
    calls = [_CALL.fullmatch(one) for one in said]
    words = [call_words(call[1], call[2]) if call else one for call, one in zip(calls, said, strict=True)]
    return "; ".join(one.removeprefix("assistant: ") for one in words)


def _model(call: Mapping[str, Any], new: str) -> dict[str, str]:
    asked, answered = call["request"], call["response"]
    others = {
        "tools offered": asked.get("tools"),
        "handoffs offered": asked.get("handoffs"),
        "settings": asked.get("settings"),
        "output schema": asked.get("schema"),
    }
    parts = {
        "instructions": str(asked.get("system") or ""),
        "new input": new,
        "model": str(call["model"]),
        **{name: json.dumps(value, ensure_ascii=False, sort_keys=True) for name, value in others.items() if value},
        "answer": "\n".join(_item(one) for one in answered["output"]) if answered else "",
        "error": call["error"],
    }
    return {name: text for name, text in parts.items() if text}


def _tool(call: Mapping[str, Any]) -> dict[str, str]:
    parts = {
        "arguments": _readable(call["arguments"]),
        "answer": _readable(call["output"]),
        "error": call["error"],
        "decision": call.get("decided", ""),
    }
    return {name: text for name, text in parts.items() if text or name == "arguments"}


def _reply(record: Mapping[str, Any]) -> dict[str, str]:
    waiting = "\n".join(f"{one['tool']}: {_readable(one['arguments'])}" for one in record["waiting"])
    parts = {
        "reply": record["reply"],
        "outcome": record["outcome"],
        "agent": record["agent"],
        "reason": record["error"] or record["stop"],
        "waiting calls": waiting,
    }
    return {name: text for name, text in parts.items() if text}


def _readable(text: str) -> str:
    """JSON with a line for each value and sorted keys, so that it is compared value by value; other text as it is."""
    try:
        body = json.loads(text)
        return json.dumps(body, indent=1, ensure_ascii=False, sort_keys=True) if isinstance(body, dict | list) else text
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True)
class _Side:
    steps: list[Step]
    took: dict[str, float | None]


def _sides(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[_Side, _Side]:
    first, second = _side(one), _side(other)
    if _goes_on(one, other):
        return first, _joined(first, second)
    if _goes_on(other, one):
        return _joined(second, first), second
    return first, second


def _goes_on(record: Mapping[str, Any], fork: Mapping[str, Any]) -> bool:
    """Whether `fork` is the next message after `record`."""
    forked = fork.get("forked") or {}
    return bool(forked.get("run") == record["id"] and forked["change"].get("where") == "end")


def _joined(before: _Side, after: _Side) -> _Side:
    shift = len(before.steps)
    later = [Step(**(vars(one) | {"number": one.number + shift})) for one in after.steps]
    took = {name: _sum(value, after.took[name]) for name, value in before.took.items()}
    return _Side([*before.steps, *later], took)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _side(record: Mapping[str, Any]) -> _Side:
    """A run's steps and what it took. Of a fork, what it repeats counts as it did in the run it was forked from."""
    used = [call["response"]["usage"] for call in record["calls"] if call["kind"] == "model" and call["response"]]
    forked = record.get("forked") or {"calls": 0, "seconds": 0.0, "usd": 0.0}
    took: dict[str, float | None] = {
        "input tokens": sum(one["input_tokens"] for one in used),
        "output tokens": sum(one["output_tokens"] for one in used),
        "US dollars": _sum(forked["usd"], record["usage"]["usd"]),
        "seconds": round(forked["seconds"] + record["seconds"] - _began(record, forked["calls"]), 6),
        "tool calls": sum(call["kind"] == "tool" for call in record["calls"]),
    }
    return _Side(steps(record), took)


def _began(record: Mapping[str, Any], calls: int) -> float:
    """The second at which a fork left what it repeats."""
    if not calls:
        return 0.0
    later = record["calls"][calls:]
    return float(later[0]["started"] if later else record["seconds"])


def _align(one: Sequence[Step], other: Sequence[Step]) -> Iterator[Pair]:
    """The steps of two runs, paired by kind and name in order; of all such pairings, one with most steps the same."""
    head = _shared(one, other)
    tail = _shared(one[head:][::-1], other[head:][::-1])
    ends = len(one) - tail, len(other) - tail
    yield from (_pair(a, b) for a, b in zip(one[:head], other[:head], strict=True))
    a = b = head
    for i, j in [*_matches(one[head : ends[0]], other[head : ends[1]]), (ends[0] - head, ends[1] - head)]:
        yield from (Pair("only in one", step, None) for step in one[a : head + i])
        yield from (Pair("only in the other", None, step) for step in other[b : head + j])
        if head + i < ends[0]:
            yield _pair(one[head + i], other[head + j])
        a, b = head + i + 1, head + j + 1
    yield from (_pair(a, b) for a, b in zip(one[ends[0] :], other[ends[1] :], strict=True))


def _pair(one: Step, other: Step) -> Pair:
    names = dict.fromkeys((*one.parts, *other.parts))
    what = tuple(name for name in names if one.parts.get(name, "") != other.parts.get(name, ""))
    return Pair("changed" if what else "same", one, other, what)


def _shared(one: Sequence[Step], other: Sequence[Step]) -> int:
    """With how many steps that are the same two runs begin."""
    pairs = enumerate(zip(one, other, strict=False))
    differ = (i for i, (a, b) in pairs if _key(a) != _key(b) or a.parts != b.parts)
    return next(differ, min(len(one), len(other)))


def _matches(one: Sequence[Step], other: Sequence[Step]) -> list[tuple[int, int]]:
    """A longest common subsequence by kind and name, and among those one with most pairs that are the same."""
    names: dict[Any, int] = defaultdict(lambda: len(names))
    sides = [[(names[_key(s)], names[(_key(s), *sorted(s.parts.items()))]) for s in side] for side in (one, other)]
    if len(one) * len(other) > CELLS:
        keys = [[key for key, _ in side] for side in sides]
        blocks = difflib.SequenceMatcher(None, keys[0], keys[1]).get_matching_blocks()
        return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]
    rows = [[0] * (len(other) + 1)]
    for key, content in sides[0]:
        weights = [PAIRED + (its == content) if its_key == key else 0 for its_key, its in sides[1]]
        rows.append(_row(rows[-1], weights))
    return _path(rows)


def _row(last: Sequence[int], weights: Sequence[int]) -> list[int]:
    """The next row of the table of best alignments: what a step adds to the row before, place by place."""
    row, best = [0], 0
    for weight, beside, above in zip(weights, last, last[1:], strict=False):
        if above > best:
            best = above
        if weight and beside + weight > best:
            best = beside + weight
        row.append(best)
    return row


def _path(rows: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The pairs of the best alignment, read from its table backwards."""
    found, i, j = [], len(rows) - 1, len(rows[-1]) - 1
    while i and j:
        if rows[i][j] == rows[i - 1][j]:
            i -= 1
        elif rows[i][j] == rows[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found.append((i, j))
    return found[::-1]


def _key(step: Step) -> tuple[str, ...]:
    return step.kind, step.name, step.on


def _plain(pair: Pair) -> dict[str, Any]:
    return {
        "verdict": pair.verdict,
        "kind": pair.step.kind,
        "name": pair.step.name,
        "title": pair.step.title,
        "one": None if pair.one is None else pair.one.number,
        "other": None if pair.other is None else pair.other.number,
        "what": list(pair.what),
        "texts": {name: {"one": a, "other": b} for name, (a, b) in pair.texts.items()},
    }


def _listed(words: Sequence[str]) -> str:
    """`the answer`, `the answer and the error`, `the a, the b and the c`."""
    named = [f"the {one}" for one in words]
    return " and ".join([", ".join(named[:-1]), named[-1]] if named[:-1] else named)
