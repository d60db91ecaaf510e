"""An event loop whose clock leaps over waiting, so that many timings can be tried in a moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Leaping(selectors.DefaultSelector):
    """Leaps to the next timer instead of sleeping, unless a thread is still at work."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.working or timeout is None:
            return super().select(0.05 if self.loop.working else timeout)
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; `now` is seconds since it was made."""

    def __init__(self) -> None:
        self.now, self.working = 0.0, 0
        selector = _Leaping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As usual; the clock stands still until the thread has ended."""
        future = super().run_in_executor(executor, func, *args)
        self.working += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _future: Any) -> None:
        self.working -= 1


def run(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What `work` returns, and the virtual seconds that it took; what it left behind is stopped, as by `asyncio.run`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work)
        return result, runner.get_loop().time()
