"""Answers that stand in for a tool: of a mock that a flow declares, or of any tool during a try or a case."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.runtime.spec import MockAnswer, MockTool, Name

if TYPE_CHECKING:
    from workbench.runtime.record import ToolCall

RULES = frozenset({"above", "below", "in"})

NOT_CALLED = "Not called in "
"""How the error of a call begins that a trial held back: nothing stood in for the tool."""


class Mock(MockAnswer):
    """An answer that stands in for `tool` where the arguments fit `when`. With `error`, the call fails with it."""

    tool: Name


def fits(when: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether every argument named in `when` is there and has its value, or keeps its rule.

    A rule is a mapping such as `{above: 50}`, `{below: 5}`, `{in: [a, b]}`, or several of them, which must all hold.
    """
    return all(name in arguments and _keeps(wanted, arguments[name]) for name, wanted in when.items())


def first(mocks: Sequence[Mock], tool: str, arguments: Mapping[str, Any]) -> Mock | None:
    """The first of `mocks` that stands in for this call, or None."""
    return next((one for one in mocks if one.tool == tool and fits(one.when, arguments)), None)


def answer(tool: MockTool, arguments: Mapping[str, Any]) -> MockAnswer | None:
    """The first answer of `tool` that fits `arguments`, or None."""
    return next((one for one in tool.answers if fits(one.when, arguments)), None)


def text(given: Any) -> str:
    """A mocked answer as the text that a tool would give: what is not a text becomes JSON."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def policy(mocks: Sequence[Mock]) -> Callable[[ToolCall], Mapping[str, Any] | None]:
    """The engine's `answers`: the first fitting mock as `output` and `error`; None, so that the tool is called, else."""
    kept = tuple(mocks)

    def answers(call: ToolCall) -> Mapping[str, Any] | None:
        try:
            given = json.loads(call.arguments or "{}")
        except ValueError:
            return None
        except RecursionError:
            return {"output": "", "error": f"The arguments of {call.name} are nested too deeply."}
        found = first(kept, call.name, given) if isinstance(given, dict) else None
        return None if found is None else {"output": text(found.answer), "error": found.error}

    return answers


def used(calls: Sequence[Mapping[str, Any]], given: Sequence[Mock] = ()) -> tuple[Mock, ...]:
    """The mocks that answered the recorded `calls`, each once: of `given`, else made anew from the call.

    One that is made anew asks for the call's arguments, but not for free texts, because they may be worded otherwise.
    """
    found: list[Mock] = []
    for call in calls:
        if (
            call["kind"] == "tool"
            and call.get("mocked")
            and not call["error"].startswith((NOT_CALLED, "The result was withheld"))
        ):
            arguments = json.loads(call["arguments"] or "{}")
            one = first(given, call["name"], arguments) or _made(call, arguments)
            found += [one] if one not in found else []
    return tuple(found)


def _made(call: Mapping[str, Any], arguments: Mapping[str, Any]) -> Mock:
    when = {name: _exactly(value) for name, value in arguments.items() if not (isinstance(value, str) and " " in value)}
    if call["error"]:
        return Mock(tool=call["name"], when=when, error=call["error"])
    return Mock(tool=call["name"], when=when, answer=call["output"])


def _exactly(value: Any) -> Any:
    return {"in": [value]} if _rule(value) else value


def _keeps(wanted: Any, value: Any) -> bool:
    if not _rule(wanted):
        return _same(wanted, value)
    if "in" in wanted and not any(_same(one, value) for one in wanted["in"]):
        return False
    if "above" in wanted and not (_number(value) and value > wanted["above"]):
        return False
    return "below" not in wanted or (_number(value) and value < wanted["below"])


def _rule(wanted: Any) -> bool:
    """Whether a wanted value is a rule and not a value: it names nothing but rules, each with what it needs."""
    return (
        isinstance(wanted, Mapping)
        and bool(wanted)
        and wanted.keys() <= RULES
        and isinstance(wanted.get("in", []), list | tuple)
        and all(_number(wanted[name]) for name in ("above", "below") if name in wanted)
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but true is not 1, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
