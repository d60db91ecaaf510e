"""The state of one run while it goes on; the SDK carries it as its context."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agents import AgentsException

from workbench.runtime.models import Models, Tape
from workbench.runtime.record import Recorder, ToolCall, inside
from workbench.runtime.spec import FlowSpec
from workbench.runtime.tools import ToolContext

if TYPE_CHECKING:
    from workbench.runtime.barrier import Barrier
    from workbench.runtime.build import Network

Answers = Callable[[ToolCall], Mapping[str, Any] | None]
"""A tool policy: the recorded or mocked answer (`output`, `error`) to a call, or None to call the tool."""


class Held(AgentsException):
    """A call deep inside waits for a person, so the whole run does."""


class Unclaimed(AgentsException):
    """The ledger cannot be asked, so nothing may be called: the run ends as if it had not been made, with the `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True)
class Decision:
    """What a person decided about one call that needed approval: exactly this tool with exactly these arguments."""

    call_id: str
    tool: str
    arguments: str
    approved: bool
    by: str
    message: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        """The decision as it stands in a record."""
        return dataclasses.asdict(self)


class Ledger(Protocol):
    """Told of each call that may change something right before and after it is executed, so that none is executed twice."""

    def begin(self, call: ToolCall) -> Mapping[str, Any] | None:
        """Claim the call. Returns its answer where it was executed before.

        Raises Refused or Invalid where it must not be executed; anything else ends the run before the call.
        """

    def end(self, call: ToolCall) -> None:
        """Keep the answer of the call."""


@dataclass
class Job:
    """One run: what it runs with, and what it has come to so far."""

    recorder: Recorder
    tools: ToolContext
    variables: Mapping[str, str]
    models: Models | Tape
    answers: Answers | None
    network: Network
    barrier: Barrier = field(init=False)
    past: Tape | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    ledger: Ledger | None = None
    verdicts: Sequence[Mapping[str, Any]] | None = None
    spent: float = 0.0
    busy: int = 0
    asking: dict[str, str] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: set[asyncio.Task[Any]] = field(default_factory=set)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    config: Any = None

    @property
    def spec(self) -> FlowSpec:
        """The flow's specification."""
        return self.recorder.release.spec

    def decision(self, call_id: str, tool: str, arguments: Any) -> Decision | None:
        """What a person decided about this call; None where nobody did, or about another tool or other arguments."""
        found = self.decisions.get(call_id)
        if found is None or found.tool != tool:
            return None
        try:
            given = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
            return found if json.loads(found.arguments or "{}") == given else None
        except (ValueError, RecursionError):
            return found if found.arguments == arguments else None

    def context(self, call: ToolCall) -> ToolContext:
        """What the function behind a call may use; its `key` is the same whenever this call is made again."""
        return dataclasses.replace(self.tools, key=f"{self.recorder.root}:{call.call_id}")

    def began(self) -> None:
        """A tool has begun to work."""
        self.busy += 1

    def ended(self) -> None:
        """A tool has ended its work."""
        self.busy -= 1
        self.stirred.set()

    @contextlib.contextmanager
    def asks(self, call_id: str) -> Iterator[None]:
        """Another agent works, asked by this call: what it does is inside the call."""
        self.ended()
        self.asking[call_id] = inside.get()
        token = inside.set(call_id)
        try:
            yield
        finally:
            inside.reset(token)
            del self.asking[call_id]
            self.began()
            self.stirred.set()

    async def rest(self) -> None:
        """Wait until nothing that goes on beside a held call works any more: it ends, or is held as well.

        So what a held run has done does not depend on who was faster.
        """
        self.ended()
        self.resting.append(inside.get())
        try:
            while self.busy or set(self.asking) - {*self.asking.values(), *self.resting}:
                self.stirred.clear()
                await self.stirred.wait()
        finally:
            self.resting.remove(inside.get())
            self.began()

    def enters(self) -> None:
        """The task that asks this is a tool call: the run does not end before it has."""
        if (task := asyncio.current_task()) is not None:
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)

    async def settle(self) -> None:
        """Stop the tool calls that still go on, and wait until they have stopped."""
        left = [one for one in self.under_way if one is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
