"""The SDK's spans of runs that go on: each is given to its run's recorder, and none leaves the process.

Spans are made many times in a run, on the path of whoever waits for it, so what each needs is made quickly.
"""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
import time
from contextlib import AbstractContextManager
from typing import Any

from agents import TracingProcessor, trace
from agents.tracing import set_trace_provider
from agents.tracing.provider import DefaultTraceProvider

from workbench.runtime.record import Recorder

_live: dict[str, Recorder] = {}


def of_run(recorder: Recorder) -> AbstractContextManager[Any]:
    """The trace to run within: spans that end in it are added to the recorder until it is `left`."""
    _Provider.use()
    _live[recorder.trace] = recorder
    return trace(recorder.release.spec.flow, recorder.trace, recorder.conversation)


def left(recorder: Recorder) -> None:
    """Nothing more is added to a recorder."""
    _live.pop(recorder.trace, None)


class _Provider(DefaultTraceProvider):
    """The SDK's provider with one processor, and with ids and times in a third of the time."""

    used = False

    def __init__(self) -> None:
        super().__init__()
        self._own, self._number = secrets.token_hex(6), itertools.count()
        self._second = (0, "")
        self.set_processors([_Collector()])

    @classmethod
    def use(cls) -> None:
        """Have the SDK make its spans here, from the first run of the process on."""
        if not cls.used:
            cls.used = True
            set_trace_provider(cls())

    def gen_span_id(self) -> str:
        """An id that no other span has."""
        return f"span_{self._own}{next(self._number):012x}"

    def time_iso(self) -> str:
        """The time in ISO 8601, to the microsecond."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        known, said = self._second
        if known != seconds:
            said = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None).isoformat()
            self._second = (seconds, said)
        return f"{said}.{rest // 1000:06d}+00:00"


class _Collector(TracingProcessor):
    """Gives each finished span to the recorder of its run."""

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def on_span_end(self, span: Any) -> None:
        if (recorder := _live.get(span.trace_id)) is not None:
            recorder.spans.append(span)

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...
