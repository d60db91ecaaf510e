"""Spans of the SDK: they come to the run's record, whichever provider the process around it has."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from workbench.runtime import spans

RUN = """
import asyncio
from agents.tracing import get_trace_provider, set_trace_provider, set_tracing_disabled
from agents.tracing.provider import DefaultTraceProvider
from tests.flows_for_tests import freeze
from workbench import runtime

class Own(DefaultTraceProvider):
    pass

{before}
before = get_trace_provider()
result = asyncio.run(runtime.run(freeze(), "Where is my order 1042?"))
after = get_trace_provider()
print(after is before, {{one["type"] for one in result.record["spans"]}} >= {{"agent"}})
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "False True"),
        ("set_trace_provider(Own())", "True True"),
        ("set_tracing_disabled(True)", "False False"),
    ],
    ids=["a host without tracing", "a host with a provider of its own", "a host that wants no tracing"],
)
def test_spans_are_recorded_as_the_host_wants_it(tmp_path: Path, before: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(before=before)],
        cwd=ROOT,
        env={"WORKBENCH_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


def test_ids_differ_and_times_are_now() -> None:
    provider = spans._Provider()
    ids = {provider.gen_span_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {29}
    told = dt.datetime.fromisoformat(provider.time_iso())
    assert abs(told - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert told.utcoffset() == dt.timedelta(0)
