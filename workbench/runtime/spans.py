"""The SDK's spans of runs that go on: each is given to its run's recorder, and the SDK exports none.

Spans are made many times in a run, on the path of whoever waits for it, so what each needs is made quickly.
"""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
import threading
import time
from contextlib import AbstractContextManager
from typing import Any

from agents import TracingProcessor, set_trace_processors, trace
from agents.tracing import get_trace_provider, set_trace_provider
from agents.tracing.provider import DefaultTraceProvider

from workbench.runtime.record import Recorder

_live: dict[str, Recorder] = {}
_lock = threading.Lock()
_collecting = False


def of_run(recorder: Recorder) -> AbstractContextManager[Any]:
    """The trace to run within: spans that end in it are added to the recorder until it is `left`."""
    _collect()
    _live[recorder.trace] = recorder
    return trace(recorder.release.spec.flow, recorder.trace, recorder.conversation)


def left(recorder: Recorder) -> None:
    """Nothing more is added to a recorder."""
    _live.pop(recorder.trace, None)


def _collect() -> None:
    """Have the SDK's spans come here, from the first run of the process on. A provider of the host's own stays."""
    global _collecting
    with _lock:
        if _collecting:
            return
        there = get_trace_provider()
        if type(there) is DefaultTraceProvider:
            ours = _Provider()
            if there._manual_disabled is not None:
                ours.set_disabled(there._manual_disabled)
            set_trace_provider(ours)
        else:
            set_trace_processors([_Collector()])
        _collecting = True


class _Provider(DefaultTraceProvider):
    """The SDK's provider with one processor, and with ids and times in a third of the time."""

    def __init__(self) -> None:
        super().__init__()
        self._own, self._number = secrets.token_hex(6), itertools.count()
        self._second = (0, "")
        self.set_processors([_Collector()])

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
