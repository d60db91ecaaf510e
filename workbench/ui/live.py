"""Agent runs inside the app: one event loop on its own thread for all of them, and a plain generator for a page."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from workbench import flows, runtime, traces
from workbench.access import Actor, may, require
from workbench.errors import Refused, Unavailable, WorkbenchError
from workbench.evals import effects
from workbench.runtime import Conversation, Release, Result, Step, Words, mocks
from workbench.runtime.mocks import Mock

if TYPE_CHECKING:
    from workbench.runtime.job import Answers

Event = Step | Words | Result
T = TypeVar("T")


class _Loop:
    """A running event loop with the models that belong to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._turn, name="agent-runs", daemon=True)
        self.thread.start()
        self.models = runtime.Models()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.models.aclose(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def _turn(self) -> None:
        self.loop.run_forever()
        self.loop.close()


@st.cache_resource(show_spinner=False, on_release=lambda one: one.close())
def _loop() -> _Loop:
    return _Loop()


def wait(asked: Coroutine[Any, Any, T]) -> T:
    """What a question to a model comes to; it must end by itself. Leaving the page stops it."""
    running = asyncio.run_coroutine_threadsafe(asked, _loop().loop)
    try:
        return running.result()
    finally:
        running.cancel()


def converse(
    actor: Actor,
    release: Release,
    text: str,
    conversation: Conversation | None,
    *,
    resources: Sequence[object] = (),
    mocked: Sequence[Mock] = (),
) -> Iterator[Event]:
    """Run a flow on a message, yielding its steps, its words and the Result. Closing the generator stops the run.

    A call that one of the mocks fits is answered by it.

    Raises Refused, or what `runtime.run` raises.
    """
    answers = mocks.policy(mocked) if mocked else None
    _only_saved(actor, release)
    with closing(_together(actor, [release], text, conversation, resources, [answers])) as events:
        for _, event in events:
            if isinstance(event, WorkbenchError):
                raise event
            yield event


def _only_saved(actor: Actor, release: Release) -> None:
    """Who may not edit a flow tries it as it is saved: taking a rule away must not be a way round it."""
    if may(actor, "edit a flow"):
        return
    saved = flows.draft(release.name)
    texts = {name: one.text for name, one in saved.texts.items()}
    if flows.freeze(saved.spec, texts).digest != release.digest:
        raise Refused(
            f"A {actor.role} tries a flow as it is saved, not with changes.",
            remedy="Discard them, or act as an architect.",
        )


def side_by_side(
    actor: Actor,
    releases: Sequence[Release],
    text: str,
    *,
    mocked: Mapping[str, Sequence[Mock]] | None = None,
    real: bool = False,
) -> Generator[tuple[int, Event | WorkbenchError], None, None]:
    """Run several flows on the same message at once, yielding what each does as it comes, with the flow's place.

    The last event of each is its Result, or the error of one that could not run. Closing the generator stops them all.
    A call that a mock of its flow fits is answered by it; unless `real`, calls that change something are held back,
    and what waits for a person asks nobody. Raises Refused.
    """
    answers = effects.side_by_side(actor, releases, mocked or {}, real=real)
    return _together(actor, releases, text, None, (), answers, asks=real)


def _together(
    actor: Actor,
    releases: Sequence[Release],
    text: str,
    conversation: Conversation | None,
    resources: Sequence[object],
    answers: Sequence[Answers | None],
    *,
    asks: bool = True,
) -> Generator[tuple[int, Event | WorkbenchError], None, None]:
    require(actor, "run a flow")
    bridge = _loop()
    events: queue.SimpleQueue[tuple[int, Event | Exception | None]] = queue.SimpleQueue()

    async def go(place: int, release: Release) -> None:
        failure: Exception | None = None
        try:
            async for event in runtime.stream(
                release,
                text,
                models=bridge.models,
                sink=traces.sink(asks=asks),
                conversation=conversation,
                resources=resources,
                answers=answers[place],
                source="playground",
                person=actor.name,
            ):
                events.put((place, event))
        except Exception as error:  # noqa: BLE001  (raised again, or told, by whoever reads the events)
            failure = error
        finally:
            events.put((place, failure))

    running = [asyncio.run_coroutine_threadsafe(go(place, one), bridge.loop) for place, one in enumerate(releases)]
    patience = max((one.spec.limits.seconds for one in releases), default=0) + 30
    left = len(running)
    try:
        while left:
            try:
                place, event = events.get(timeout=patience)
            except queue.Empty:
                raise Unavailable("The run gave no sign of life and was stopped.") from None
            if event is None or isinstance(event, Exception):
                left -= 1
            if isinstance(event, WorkbenchError):
                yield place, event
            elif isinstance(event, Exception):
                raise event
            elif event is not None:
                yield place, event
    finally:
        for one in running:
            one.cancel()
