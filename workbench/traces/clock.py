"""The clock by which approvals expire: a thread of the process that closes what nobody decided in time.

Every server and worker may have one: of several that wake at once, one closes a call.
"""

from __future__ import annotations

import logging
import threading

from workbench import jobs
from workbench.errors import WorkbenchError
from workbench.store import now
from workbench.traces import approvals, cause_rules, forget

log = logging.getLogger("workbench.traces")

LONGEST = 60.0
"""Seconds after which it looks again at the latest; a call asked for meanwhile may expire before those known."""

SOON = 1.0
"""Seconds after which it looks again while runs of other programs wait for their causes."""

_starting = threading.Lock()
_clock: Clock | None = None


class Clock:
    """A thread that looks for expired approvals, sleeps until the next one expires, and looks again."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._begun: list[str] = []
        self._thread = threading.Thread(target=self._run, name="approvals-clock", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once what it does is done."""
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            pause = LONGEST
            try:
                pause = self._tick()
            except WorkbenchError as error:
                log.warning("approvals did not expire, trying again in %g seconds: %s", LONGEST, error)
            except Exception:
                log.exception("approvals did not expire, trying again in %g seconds", LONGEST)
            if self._ended.wait(pause):
                return

    def _tick(self) -> float:
        """Close what has expired, let those runs go on, delete old runs, look for causes, and say how many seconds the next one has left.

        A job that could not be handed over is kept for the next time.
        """
        self._begun += approvals.expire()
        while self._begun:
            jobs.start(self._begun[0])
            self._begun.pop(0)
        forget.expire()
        behind = cause_rules.catch_up() > 0
        first = approvals.soonest()
        left = LONGEST if first is None else (first - now()).total_seconds()
        return min(SOON if behind else LONGEST, max(0.05, left))


def start() -> None:
    """Start the clock of this process; a second time, nothing."""
    global _clock
    with _starting:
        if _clock is None:
            _clock = Clock()


def stop() -> None:
    """End the clock of this process, where it was started."""
    global _clock
    with _starting:
        if _clock is not None:
            _clock.stop()
            _clock = None
