"""Detectors on simulated histories of three years: recall, delay and false alarms of the default ones, and the time of a knob."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from tests.benchmarks._figure import figure
from tests.tickets import simulated
from workbench.tickets.defaults import DEFAULTS
from workbench.tickets.firing import compare, episodes, usual

HISTORIES, CLEAN = 10, 20
A_MONTH = 1.0
"""False alarms that a detector may give in a month, over all its groups together."""


def measure() -> list[dict[str, Any]]:
    """Incidents missed, false alarms a month of the worst detector with incidents and without, median delay, and times."""
    found: dict[str, list[bool]] = {shape: [] for shape in simulated.SHAPES}
    delays: list[float] = []
    false: dict[str, list[float]] = {name: [] for name in simulated.WATCH}
    for seed in range(HISTORIES):
        made = simulated.world(seed)
        first: dict[int, float] = {}
        for name, metric in simulated.WATCH.items():
            figures, _ = simulated.watched(made, name, metric)
            false[name].append(figures.false_a_month)
            for one in figures.matched:
                if one.delay is not None:
                    first[id(one.known)] = min(one.delay, first.get(id(one.known), one.delay))
        for shape, known in made.incidents:
            found[shape].append(id(known) in first)
        delays += first.values()
    everything = [hit for hits in found.values() for hit in hits]
    clean = _clean()
    shapes = ", ".join(f"{shape} {np.mean(hits):.0%}" for shape, hits in found.items())
    told = f"{HISTORIES} histories of 3 years, {len(everything)} incidents; found: {shapes}"
    named = "; ".join(f"{name} {np.mean(rates):.2f}" for name, rates in false.items())
    quiet = "; ".join(f"{name} {np.mean(rates):.2f}, most {max(rates):.2f}" for name, rates in clean.items())
    first_time, knob, floor = _times()
    return [
        figure("incidents missed", 1 - float(np.mean(everything)), "of all", 0.1, told),
        figure(
            "median delay", statistics.median(delays), "h", None, "hours from an incident's start to the first firing"
        ),
        figure("false alarms a month, worst detector", _worst(false), "", A_MONTH, named),
        figure("alarms a month on clean histories, worst detector and history", _most(clean), "", A_MONTH, quiet),
        figure(
            "a detector on 3 years, anew", first_time, "ms", 1000, f"a sum over the same windows takes {floor:.2f} ms"
        ),
        figure("a turned knob on 3 years", knob, "ms", 200, f"a sum over the same windows takes {floor:.2f} ms"),
    ]


def _clean() -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in simulated.WATCH}
    for seed in range(CLEAN):
        made = simulated.world(1000 + seed, incidents=0)
        for name, metric in simulated.WATCH.items():
            rates[name].append(simulated.watched(made, name, metric)[0].false_a_month)
    return rates


def _worst(rates: dict[str, list[float]]) -> float:
    return max(float(np.mean(some)) for some in rates.values())


def _most(rates: dict[str, list[float]]) -> float:
    return max(max(some) for some in rates.values())


def _times() -> tuple[float, float, float]:
    """Milliseconds of the whole computation, of turning the threshold, and of a bare sum over the same windows."""
    spec, made = DEFAULTS["sudden rise"], simulated.world(1)
    known = [one for _, one in made.incidents]
    seen = simulated.history(made, "volume", window=spec.window, slide=spec.slide)
    started = time.perf_counter()
    against = usual(seen, weeks=spec.weeks, holidays=made.holidays)
    middle = time.perf_counter()
    told = episodes(seen, against, spec.knobs)
    compare(told, known, by="topic", window=spec.window, weeks=156)
    done = time.perf_counter()
    seen.values.sum(axis=1)
    end = time.perf_counter()
    return (middle - started) * 1000, (done - middle) * 1000, (end - done) * 1000
