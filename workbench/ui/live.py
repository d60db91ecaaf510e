"""Agent runs inside the app: one event loop on its own thread for all of them, and a plain generator for a page."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator, Sequence

import streamlit as st

from workbench import runtime, traces
from workbench.access import Actor, require
from workbench.errors import Unavailable
from workbench.runtime import Conversation, Release, Result, Step, Words

Event = Step | Words | Result


class _Loop:
    """A running event loop with the models that belong to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="agent-runs", daemon=True).start()
        self.models = runtime.Models()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.models.aclose(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)


@st.cache_resource(show_spinner=False, on_release=lambda one: one.close())
def _loop() -> _Loop:
    return _Loop()


def converse(
    actor: Actor, release: Release, text: str, conversation: Conversation | None, *, resources: Sequence[object] = ()
) -> Iterator[Event]:
    """Run a flow on a message, yielding its steps, its words and the Result. Closing the generator stops the run.

    Raises Refused, or what `runtime.run` raises.
    """
    require(actor, "run a flow")
    bridge = _loop()
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    async def go() -> None:
        try:
            async for event in runtime.stream(
                release,
                text,
                models=bridge.models,
                sink=traces.sink(),
                conversation=conversation,
                resources=resources,
                source="playground",
                person=actor.name,
            ):
                events.put(event)
        finally:
            events.put(None)

    running = asyncio.run_coroutine_threadsafe(go(), bridge.loop)
    try:
        while True:
            try:
                event = events.get(timeout=release.spec.limits.seconds + 30)
            except queue.Empty:
                raise Unavailable("The run gave no sign of life and was stopped.") from None
            if event is None:
                break
            yield event
        running.result()
    finally:
        running.cancel()
