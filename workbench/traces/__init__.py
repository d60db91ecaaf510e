"""Runs: captured, found, flagged, replayed, forked, compared, exchanged."""

from workbench.traces.capture import close, flush, sink
from workbench.traces.compare import Comparison, between, compare, steps
from workbench.traces.exchange import export, take_in
from workbench.traces.fork import Forked, fork
from workbench.traces.query import Flag, Run, conversation, count, find, flag, flags, flow_names, ids, record, run
from workbench.traces.replay import Verdict, replay, replay_record
from workbench.traces.words import brief, call_words, step_words, tool_words, waits, went_wrong

__all__ = [
    "Comparison",
    "Flag",
    "Forked",
    "Run",
    "Verdict",
    "between",
    "brief",
    "call_words",
    "close",
    "compare",
    "conversation",
    "count",
    "export",
    "find",
    "flag",
    "flags",
    "flow_names",
    "flush",
    "fork",
    "ids",
    "record",
    "replay",
    "replay_record",
    "run",
    "sink",
    "step_words",
    "steps",
    "take_in",
    "tool_words",
    "waits",
    "went_wrong",
]
