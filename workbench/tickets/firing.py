"""When a detector fires on a history, and how that compares with incidents that people know of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.tickets import baseline
from workbench.tickets.baseline import Bools, Floats, Usual

ORIGIN = dt.datetime(1970, 1, 5, tzinfo=dt.UTC)
"""The Monday from which hours are counted, so that windows begin with the week."""
DAY_OFFSET = 4
"""Days from the epoch to that Monday."""
GRACE = 24
"""Hours after an incident's end in which a firing still belongs to it."""


@dataclass(frozen=True)
class History:
    """One metric over windows: groups × windows, all windows equally long. `ends` are hours since ORIGIN.

    `values` is the metric, NaN where it has none; `tickets` is how many tickets are behind it.
    """

    groups: tuple[str, ...]
    ends: np.ndarray[Any, np.dtype[np.int64]]
    values: Floats
    tickets: Floats
    slide: int
    window: int
    counts: bool
    logs: bool


@dataclass(frozen=True)
class Knobs:
    """What decides whether a window fires; the rest of a detector decides what is measured.

    `change` is the least difference from the usual, in percent; `minimum` the least number of tickets in the window, or
    expected in it where the metric falls.
    """

    threshold: float
    direction: str
    minimum: int
    change: float
    cooldown: int


@dataclass(frozen=True)
class Episode:
    """A firing: the group, and the ends of its first and its last window that were out of the usual; of the first, figures.

    Moments are UTC. `peak` is the highest score.
    """

    group: str
    first: dt.datetime
    last: dt.datetime
    value: float
    expected: float
    score: float
    peak: float
    tickets: int


@dataclass(frozen=True)
class Known:
    """An incident that people know of. `where` names values of dimensions; empty means everywhere."""

    title: str
    start: dt.datetime
    end: dt.datetime
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A known incident and its first firing; `delay` is hours from its start, None where nothing fired."""

    known: Known
    first: dt.datetime | None
    delay: float | None


@dataclass(frozen=True)
class Figures:
    """How firings compare with known incidents. Shares are None where there is nothing to share.

    `false` are firings that belong to no known incident; `weeks` is how long the history was judged.
    """

    firings: int
    right: int
    false: int
    known: int
    found: int
    precision: float | None
    recall: float | None
    delay: float | None
    a_week: float
    false_a_month: float
    weeks: float
    matched: tuple[Found, ...]


def usual(history: History, *, weeks: int, holidays: Iterable[dt.date | str] = ()) -> Usual:
    """What every window of `history` usually holds, from the `weeks` before it."""
    odd = baseline.odd_days(history.ends, history.window, odd_days(history, holidays))
    if history.counts:
        return baseline.of_counts(history.values, slide=history.slide, window=history.window, weeks=weeks, odd=odd)
    return baseline.of_values(
        history.values,
        history.tickets,
        slide=history.slide,
        window=history.window,
        weeks=weeks,
        odd=odd,
        logs=history.logs,
    )


def odd_days(history: History, holidays: Iterable[dt.date | str]) -> frozenset[int]:
    """The holidays as days since ORIGIN: dates, or `12-25` for that day of every year."""
    if not len(history.ends):
        return frozenset()
    first, last = moment(int(history.ends[0])).year - 1, moment(int(history.ends[-1])).year
    days: set[dt.date] = set()
    for one in holidays:
        if isinstance(one, dt.date):
            days.add(one)
        elif len(one) > 5:
            days.add(dt.date.fromisoformat(one))
        else:
            days.update(day for year in range(first, last + 1) if (day := _yearly(year, one)))
    return frozenset((day - ORIGIN.date()).days for day in days)


def fires(history: History, against: Usual, knobs: Knobs) -> Bools:
    """Which windows fire, groups × windows."""
    values, expected, score = history.values, against.expected, against.score
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(values - expected) * 100 >= knobs.change * np.abs(expected)
        up = (score >= knobs.threshold) & (history.tickets >= knobs.minimum)
        seen = expected if history.counts else history.tickets
        down = (score <= -knobs.threshold) & (seen >= knobs.minimum)
    fired = {"up": up, "down": down, "both": up | down}[knobs.direction]
    return np.asarray(fired & ratio)


def episodes(history: History, against: Usual, knobs: Knobs) -> list[Episode]:
    """The firings, in order of time: windows of one group that follow each other within the cool-down are one."""
    fired = fires(history, against, knobs)
    gap = max(1, knobs.cooldown // history.slide)
    made = []
    for row, group in enumerate(history.groups):
        places = np.flatnonzero(fired[row])
        if not len(places):
            continue
        for run in np.split(places, np.flatnonzero(np.diff(places) > gap) + 1):
            first, last = int(run[0]), int(run[-1])
            scores = against.score[row, run]
            made.append(
                Episode(
                    group=group,
                    first=moment(int(history.ends[first])),
                    last=moment(int(history.ends[last])),
                    value=float(history.values[row, first]),
                    expected=float(against.expected[row, first]),
                    score=float(scores[0]),
                    peak=float(scores[np.argmax(np.abs(scores))]),
                    tickets=int(history.tickets[row, first]),
                )
            )
    return sorted(made, key=lambda one: (one.first, one.group))


def compare(
    found: Sequence[Episode],
    known: Sequence[Known],
    *,
    by: str | None,
    window: int,
    weeks: float,
    where: Mapping[str, Sequence[str]] | None = None,
) -> Figures:
    """Precision, recall, delay and alarms a week of firings, against the incidents that this detector could see.

    An incident can be seen by a detector whose filter does not exclude it, and which looks at a dimension in which it is
    told of. A firing belongs to an incident of its group that it meets in time, up to a day after the end.
    """
    visible = [one for one in known if _can_see(one, by, where or {})]
    right: set[int] = set()
    matched = []
    for one in visible:
        mine = [place for place, firing in enumerate(found) if _belongs(firing, one, by, window)]
        right.update(mine)
        first = min((found[place].first for place in mine), default=None)
        delay = None if first is None else max(0.0, (first - one.start).total_seconds() / 3600)
        matched.append(Found(one, first, delay))
    delays = [one.delay for one in matched if one.delay is not None]
    span = max(weeks, 1e-9)
    return Figures(
        firings=len(found),
        right=len(right),
        false=len(found) - len(right),
        known=len(visible),
        found=len(delays),
        precision=len(right) / len(found) if found else None,
        recall=len(delays) / len(visible) if visible else None,
        delay=float(np.median(delays)) if delays else None,
        a_week=len(found) / span,
        false_a_month=(len(found) - len(right)) / span * 30.44 / 7,
        weeks=weeks,
        matched=tuple(matched),
    )


def judged_weeks(history: History, against: Usual) -> float:
    """For how many weeks anything could be judged."""
    return float(np.count_nonzero(~np.isnan(against.score).all(axis=0)) * history.slide / baseline.WEEK)


def moment(hours: int) -> dt.datetime:
    """The moment so many hours after ORIGIN."""
    return ORIGIN + dt.timedelta(hours=hours)


def hours(at: dt.datetime) -> float:
    """The hours from ORIGIN to a moment."""
    return (at - ORIGIN).total_seconds() / 3600


def _belongs(firing: Episode, one: Known, by: str | None, window: int) -> bool:
    if by is not None and one.where.get(by, firing.group) != firing.group:
        return False
    begin = firing.first - dt.timedelta(hours=window)
    return begin < one.end + dt.timedelta(hours=GRACE) and firing.last > one.start


def _can_see(one: Known, by: str | None, where: Mapping[str, Sequence[str]]) -> bool:
    """Whether the filter does not exclude it, and whether it is told of in the dimensions that the detector knows."""
    if any(name in one.where and one.where[name] not in values for name, values in where.items() if values):
        return False
    mine = {by, *(name for name, values in where.items() if values)} - {None}
    return not one.where or not mine or bool(mine & set(one.where))


def _yearly(year: int, day: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(f"{year}-{day}")
    except ValueError:
        return None
