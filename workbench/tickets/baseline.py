"""What is usual at this time of the week: the expected value of every window, and how far the real one is from it.

Counts. The method is that of outbreak surveillance (Farrington, Andrews, Beale, Catchpole: J. R. Stat. Soc. A 159, 1996;
Noufaily and others: Statistics in Medicine 32, 2013): the same time of the week over some weeks, corrected for the trend,
with what was unusual in the past left out, and noise that is at least Poisson's.

    expected(t) = level(t) × share(t)
    level       a line through the logarithms of the weekly means before t (Theil and Sen), read at t
    share       the mean of the middle half of: window ÷ mean of the week around it, over the weeks before, at this time
                of the week; drawn towards the share of all groups together as if that were two more weeks
    score       sign × sqrt(2 (n ln(n / expected) − (n − expected))) ÷ noise: the deviance residual of a Poisson count
                (Pierce and Schafer: JASA 81, 1986), n moved by a half towards the expected count
    noise       1.4826 × median of |score| over the weeks before, and never less than 1; so where the median deviation
                is 0, as in a quiet night, a count still has the noise of a Poisson count

Other metrics. The residual from the mean of the weeks before and from what this time of the week usually adds, times the
root of the number of tickets, over its own median absolute deviation; times are taken as logarithms. Where the median
absolute deviation is 0, the standard deviation is taken; where that is 0 too, nothing is judged.

Everything is causal: what is said of a window depends on nothing that came after it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WEEK = 168
CLEAN = 3.5
"""A score from which on a window is left out of the history of later ones."""
PRIOR_WEEKS = 2.0
STEEPEST = 0.05
"""The steepest trend that is believed, in logarithms a week."""
STEADY = 150.0
"""Tickets a week at which half of a measured trend is believed."""
NORMAL = 1.4826
"""A standard deviation in median absolute deviations, of normal noise."""
SAMPLES = 200
"""Windows at most from which the noise is measured."""
LEAST = 0.05


@dataclass(frozen=True)
class Usual:
    """For each group and window: what was expected, the score, and the score's unit in the metric's own (its noise).

    All are NaN where there is not enough history.
    """

    expected: Floats
    score: Floats
    noise: Floats


def of_counts(counts: Floats, *, slide: int, window: int, weeks: int, odd: Bools) -> Usual:
    """The usual for `counts`, groups × windows, of `window` hours each, every `slide` hours.

    `odd` marks windows that touch a holiday.
    """
    week, reach = WEEK // slide, -(-window // slide)
    calm = _filled(counts, odd, week)
    in_a_week = WEEK / window
    expected = _expected_counts(calm, in_a_week, week, reach, weeks)
    expected = _on_odd_days(counts, expected, odd)
    score = _deviance(counts, expected)
    noise = _noise(np.where(odd, np.nan, score), week, reach, weeks)
    unusual = np.abs(score / noise) > CLEAN
    calm = np.where(unusual & ~odd, expected, calm)
    expected = _expected_counts(calm, in_a_week, week, reach, weeks)
    expected = _on_odd_days(counts, expected, odd)
    score = _deviance(counts, expected)
    noise = _noise(np.where(odd | unusual, np.nan, score), week, reach, weeks)
    return Usual(expected, score / noise, noise * np.sqrt(np.maximum(expected, LEAST)))


def of_values(values: Floats, tickets: Floats, *, slide: int, window: int, weeks: int, odd: Bools, logs: bool) -> Usual:
    """The usual for another metric: its `values` and the number of `tickets` behind each, groups × windows."""
    week, reach = WEEK // slide, -(-window // slide)
    with np.errstate(divide="ignore", invalid="ignore"):
        real = np.log(values) if logs else values
    real = np.where(np.isfinite(real) & (tickets > 0), real, np.nan)
    calm = np.where(odd, np.nan, real)
    for last in (False, True):
        usual = _expected_values(calm, tickets, week, reach, weeks)
        residual = (real - usual) * np.sqrt(np.maximum(tickets, 1))
        noise = _noise(np.where(np.isnan(calm), np.nan, residual), week, reach, weeks, floor=0.0)
        noise = np.where(noise > 0, noise, np.nan)
        score = residual / noise
        if not last:
            calm = np.where(np.abs(score) > CLEAN, np.nan, calm)
    spread = noise / np.sqrt(np.maximum(tickets, 1))
    if logs:
        usual, spread = np.exp(usual), np.exp(usual) * np.expm1(np.minimum(spread, 20))
    return Usual(usual, np.where(odd, np.nan, score), spread)


def odd_days(hours: npt.NDArray[np.int64], window: int, days: frozenset[int]) -> Bools:
    """Which windows, given the hour at which each ends, touch one of `days` or the day after it (days since the epoch)."""
    if not days:
        return np.zeros(len(hours), dtype=bool)
    known = np.array(sorted({day + more for day in days for more in (0, 1)}))
    first, last = (hours - window) // 24, (hours - 1) // 24
    return np.searchsorted(known, first, "left") < np.searchsorted(known, last, "right")


def _expected_counts(calm: Floats, in_a_week: float, week: int, reach: int, weeks: int) -> Floats:
    """Level times share; NaN in the first weeks."""
    everything = calm.sum(axis=0, keepdims=True)
    level = _level(calm, in_a_week, week, reach, weeks)
    own, common = _share(calm, week, weeks), _share(everything, week, weeks)
    share = (weeks * own + PRIOR_WEEKS * common) / (weeks + PRIOR_WEEKS)
    return np.asarray(np.maximum(np.exp(level) * share, LEAST))


def _level(calm: Floats, in_a_week: float, week: int, reach: int, weeks: int) -> Floats:
    """The logarithm of the mean count as it should be at each window, from the weeks that end before it began.

    A weekly mean changes slowly, so it is read four times a day at most.
    """
    means = np.log(np.maximum(_trailing(calm, week), 1e-3))
    every = max(1, week // 28)
    back = np.stack([_lag(means, reach + number * week)[:, ::every] for number in range(weeks)])
    slopes = np.stack([(back[i] - back[j]) / (j - i) for i, j in itertools.combinations(range(weeks), 2)])
    tickets = np.exp(_median(back)) * in_a_week
    slope = np.clip(_median(slopes), -STEEPEST, STEEPEST) * tickets / (tickets + STEADY)
    middle = (reach + (week - 1) / 2) / week
    recent = max(3, weeks // 2 + 1)
    level = _median(np.stack([back[i] + slope * (i + middle) for i in range(recent)]))
    return np.asarray(np.repeat(level, every, axis=1)[:, : calm.shape[1]])


def _median(rows: Floats) -> Floats:
    """The median along the first axis; NaN where one is NaN."""
    return np.asarray(np.sort(rows, axis=0)[[(len(rows) - 1) // 2, len(rows) // 2]].mean(axis=0))


def _share(calm: Floats, week: int, weeks: int) -> Floats:
    """What part of its week's mean a window at this time of the week has: the middle half over some weeks."""
    around = _lead(_trailing(calm, week), week // 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(around > 0, calm / around, 0.0)
    ratio = np.where(np.isnan(around), np.nan, ratio)
    past = np.sort(np.stack([_lag(ratio, number * week) for number in range(1, weeks + 1)]), axis=0)
    cut = weeks // 4
    return np.asarray(past[cut : weeks - cut].mean(axis=0))


def _expected_values(calm: Floats, tickets: Floats, week: int, reach: int, weeks: int) -> Floats:
    weight = np.where(np.isnan(calm), 0.0, tickets)
    total, count = _sums(np.nan_to_num(calm) * weight, weeks * week), _sums(weight, weeks * week)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = _lag(np.where(count > 0, total / count, np.nan), reach)
        off = np.where(np.isnan(calm), 0.0, calm - mean)
        known = np.where(np.isnan(off), 0.0, weight)
        lagged = range(1, weeks + 1)
        above = sum(
            np.nan_to_num(_lag(np.nan_to_num(off * known).sum(axis=0, keepdims=True), n * week)) for n in lagged
        )
        below = sum(np.nan_to_num(_lag(known.sum(axis=0, keepdims=True), n * week)) for n in lagged)
        usual = np.where(below > 0, above / below, 0.0)
    return np.asarray(mean + usual)


def _on_odd_days(counts: Floats, expected: Floats, odd: Bools) -> Floats:
    """On a holiday and the day after it: the share of an ordinary day that earlier such days had; NaN before three."""
    adjusted = expected.copy()
    places = np.flatnonzero(odd)
    if not len(places):
        return adjusted
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    known: list[float] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for run in runs:
            usual = float(np.nansum(expected[:, run]))
            adjusted[:, run] = expected[:, run] * np.median(known) if len(known) >= 3 else np.nan
            if usual > 0:
                known.append(float(np.nansum(np.where(np.isnan(expected[:, run]), 0, counts[:, run]))) / usual)
    return adjusted


def _deviance(counts: Floats, expected: Floats) -> Floats:
    n = np.where(counts > expected, np.maximum(counts - 0.5, expected), np.minimum(counts + 0.5, expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(n > 0, n * np.log(n / expected), 0.0) - (n - expected)
        return np.asarray(np.sign(n - expected) * np.sqrt(2 * np.maximum(inner, 0)))


def _noise(residual: Floats, week: int, reach: int, weeks: int, floor: float = 1.0) -> Floats:
    """The noise of the residuals of the weeks before, measured once for each day: 1.4826 × the median of their size.

    Where that is 0, their root mean square. NaN where less than a week is known.
    """
    day, span, size = max(1, week // 7), weeks * week, residual.shape[1]
    step = _apart(-(-span // SAMPLES))
    ends = np.arange(0, size, day) - reach
    places = ends[:, None] - np.arange(0, span, step)[None, :]
    part = np.where(places >= 0, np.abs(residual)[:, np.maximum(places, 0)], np.nan)
    part = np.sort(part, axis=2)  # NaN comes last.
    known = np.count_nonzero(~np.isnan(part), axis=2)
    middle = np.maximum(known - 1, 0)[:, :, None]
    low, high = (np.take_along_axis(part, (middle + more) // 2, axis=2)[:, :, 0] for more in (0, 1))
    robust = NORMAL * (low + high) / 2
    mean = np.sqrt(np.nansum(part**2, axis=2) / np.maximum(known, 1))
    made = np.where(known >= min(7, span // step), np.where(robust > 0, robust, mean), np.nan)
    return np.repeat(np.maximum(made, floor), day, axis=1)[:, :size]


def _apart(step: int) -> int:
    """The least number from `step` on that meets every hour of a day in turn."""
    while step > 1 and math.gcd(step, 24) > 1:
        step += 1
    return step


def _filled(counts: Floats, odd: Bools, week: int) -> Floats:
    """The counts with holidays replaced by the same time of the week before."""
    calm = counts.copy()
    for place in np.flatnonzero(odd):
        if place >= week:
            calm[:, place] = calm[:, place - week]
    return calm


def _sums(rows: Floats, length: int) -> Floats:
    total = np.cumsum(rows, axis=1)
    before = np.concatenate([np.zeros((len(rows), min(length, rows.shape[1]))), total], axis=1)[:, : rows.shape[1]]
    return np.asarray(total - before)


def _trailing(rows: Floats, length: int) -> Floats:
    """The mean of the `length` windows that end with each one; NaN before there are so many."""
    means = _sums(rows, length) / length
    means[:, : length - 1] = np.nan
    return means


def _lag(rows: Floats, by: int) -> Floats:
    made = np.full(rows.shape, np.nan)
    if by < rows.shape[1]:
        made[:, by:] = rows[:, : rows.shape[1] - by]
    return made


def _lead(rows: Floats, by: int) -> Floats:
    made = np.full(rows.shape, np.nan)
    if by < rows.shape[1]:
        made[:, : rows.shape[1] - by] = rows[:, by:]
    return made
