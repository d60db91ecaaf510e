"""Who answers the tool calls of a run that is made again: the record, a mock, or the tool itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from workbench.runtime import mocks, spec
from workbench.runtime.record import ToolCall
from workbench.runtime.spec import FlowSpec, MockAnswer

UNRECORDED = "this call was not recorded"

_ENGINE_SAID = ("Not called", "A person did not allow", "The result was withheld", UNRECORDED)
"""How an error begins that the engine gave in a tool's place: it is no answer of the tool, and is not given again."""


class Policy(BaseModel):
    """Who answers the calls of a tool from the fork on: the record, mocked `answers`, or the tool itself.

    `miss` says what happens to a call that was not recorded: the model is told so, a mock answers, or, for a tool that
    only reads, the tool is called.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    use: Literal["recorded", "mock", "live"] = "recorded"
    miss: Literal["refuse", "mock", "live"] = "refuse"
    answers: tuple[MockAnswer, ...] = ()


class Recorded:
    """Who answers the tool calls of a run that repeats another from call number `past` on: the change (a call id and its
    answer), the record, a mock, or the tool itself (None). `missed` are the tools whose calls nobody could answer.
    """

    def __init__(
        self,
        record: Mapping[str, Any],
        flow: FlowSpec,
        policies: Mapping[str, Policy],
        *,
        past: int = 0,
        changed: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._flow, self._policies, self._changed = flow, policies, changed
        self.missed: list[str] = []
        self._recorded: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
        for number, call in enumerate(record["calls"]):
            if call["kind"] == "tool" and answered(call) and (number >= past or self._reads(call["name"])):
                self._recorded.setdefault((call["name"], value(call["arguments"])), []).append(call)
        self._later = {id(call) for call in record["calls"][past:]}

    def __call__(self, call: ToolCall) -> Mapping[str, Any] | None:
        if self._changed is not None and self._changed[0] == call.call_id:
            given, self._changed = self._changed[1], None
            return given
        if call.name not in self._flow.tools:
            return None
        policy, kind = self._policies.get(call.name, Policy()), self._flow.tools[call.name].kind
        if kind == "agent" and policy.use != "mock":
            return None
        if policy.use == "live":
            return None
        found = self._from_record(call) if policy.use == "recorded" else None
        return found or self._missed(call, policy)

    def _missed(self, call: ToolCall, policy: Policy) -> Mapping[str, Any] | None:
        """What becomes of a call that the record does not answer, or shall not."""
        how = policy.use if policy.use == "mock" else policy.miss
        if how == "refuse":
            self.missed.append(call.name)
            return {"output": "", "error": UNRECORDED}
        if how == "live":
            return None
        if self._flow.tools[call.name].kind == "mock" and not policy.answers:
            return None
        stand_ins = [mocks.Mock(tool=call.name, **one.model_dump()) for one in policy.answers]
        return mocks.policy(stand_ins)(call) or {
            "output": "",
            "error": f"No mocked answer of {call.name} fits these arguments.",
        }

    def _from_record(self, call: ToolCall) -> Mapping[str, Any] | None:
        """The next recorded answer to the same call; what only reads may be given once more."""
        known = self._recorded.get((call.name, value(call.arguments)), [])
        found = next((one for one in known if id(one) in self._later), None)
        if found is None and known and self._reads(call.name):
            found = known[-1]
        if found is None:
            return None
        self._later.discard(id(found))
        return {"output": found["output"], "error": found["error"]}

    def _reads(self, name: str) -> bool:
        return name in self._flow.tools and self._flow.tools[name].effect == "read"


def answered(call: Mapping[str, Any]) -> bool:
    """Whether what a recorded call came to is an answer of the tool, or of what stood in for it."""
    return bool(call.get("done", True)) and not str(call["error"]).startswith(_ENGINE_SAID)


def value(text: str) -> str:
    """One text for equal JSON values."""
    return spec.canonical(data(text or "{}"))


def data(text: str) -> Any:
    """JSON text as data; another text as it is."""
    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text


def refuse(constant: str) -> Any:
    """Refuse what JSON does not have, such as NaN. Raises ValueError."""
    raise ValueError(f"{constant} is not JSON")
