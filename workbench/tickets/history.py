"""The history of a metric over windows, read from the tickets there are, and what was usual in it; both kept while they hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import NotFound
from workbench.tickets import firing, metrics, source, topics
from workbench.tickets.baseline import Floats, Usual
from workbench.tickets.columns import dimension
from workbench.tickets.firing import ORIGIN, History
from workbench.tickets.measure import conditions, label
from workbench.tickets.statement import statement

EVERYTHING = "All tickets"
MOST = 40
"""Groups of one detector: the largest ones."""


def load(
    metric: str,
    where: Mapping[str, Sequence[str]],
    by: str | None,
    event: str,
    *,
    window: int,
    slide: int,
) -> History:
    """`metric` in every whole window of the tickets there are. Raises NotFound where there are none."""
    narrowed = topics.followed({name: values for name, values in where.items() if values})
    conditions = tuple(sorted(narrowed.items()))
    return _load(source.signature(), metric, conditions, by, event, window, slide)


def usual(found: History, *, weeks: int, holidays: Sequence[str]) -> Usual:
    """What was usual in a history."""
    return _usual(_Same(found), weeks, tuple(holidays))


def newest() -> dt.datetime:
    """When the newest ticket was created: until then, every window is whole. Raises NotFound where there are none."""
    return _extent(source.signature())[1]


def evidence(
    where: Mapping[str, Sequence[str]],
    by: str | None,
    group: str,
    event: str,
    *,
    until: dt.datetime,
    window: int,
    most: int,
) -> pd.DataFrame:
    """The tickets of a group in a window, newest first: ticket_id, at, subject, body, run_id."""
    parts, values = conditions(topics.followed(where))
    sql = statement("evidence", event=_event(event), label=_label(by), where=_every(parts))
    end = until.astimezone(dt.UTC).replace(tzinfo=None)
    span = {"since": end - dt.timedelta(hours=window), "until": end, "label": group, "most": most}
    return source.fetch(sql, {**values, **span})


@lru_cache(maxsize=24)
def _load(
    _signature: Any,
    metric: str,
    where: tuple[tuple[str, tuple[str, ...]], ...],
    by: str | None,
    event: str,
    window: int,
    slide: int,
) -> History:
    chosen = metrics.get(metric)
    narrowed, values = conditions(dict(where))
    parts = {
        "label": _label(by),
        "event": _event(event),
        "where": _every(narrowed),
        "origin": str(int(ORIGIN.timestamp())),
        "most": str(MOST),
    }
    ends = _ends(window, slide)
    logs = chosen.relative and not chosen.counts
    if chosen.expression == metrics.COLUMNS["tickets"].over_tickets:
        frame = source.fetch(statement("hours", **parts), values)
        groups, tickets = _rolled(frame, ends, window)
        return History(groups, ends, tickets, tickets, slide, window, counts=True, logs=False)
    sql = statement("windows", metric=chosen.expression, window=str(window), slide=str(slide), **parts)
    frame = source.fetch(sql, values)
    groups = _groups(frame)
    tickets = _spread(frame, "tickets", groups, ends, slide, 0.0)
    measured = _spread(frame, "value", groups, ends, slide, 0.0 if chosen.counts else np.nan)
    return History(groups, ends, measured, tickets, slide, window, counts=chosen.counts, logs=logs)


class _Same:
    """A history, equal to itself only, so that what was usual in it can be kept."""

    def __init__(self, history: History) -> None:
        self.history = history

    def __hash__(self) -> int:
        return id(self.history)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.history is self.history


@lru_cache(maxsize=24)
def _usual(same: _Same, weeks: int, holidays: tuple[str, ...]) -> Usual:
    return firing.usual(same.history, weeks=weeks, holidays=holidays)


@lru_cache(maxsize=4)
def _extent(_signature: Any) -> tuple[dt.datetime, dt.datetime]:
    row = source.fetch("SELECT min(created_at) AS first, max(created_at) AS last FROM ticket").iloc[0]
    if pd.isna(row["first"]):
        raise NotFound("There are no tickets yet.", remedy="Load some first.")
    first, last = (moment.to_pydatetime().replace(tzinfo=dt.UTC) for moment in (row["first"], row["last"]))
    return first, last


def _ends(window: int, slide: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The hours at which whole windows end: from the first that begins with the tickets to the last that they fill."""
    first, last = _extent(source.signature())
    begin = -(-(int(firing.hours(first)) + window) // slide)
    return np.arange(begin, int(firing.hours(last)) // slide + 1, dtype=np.int64) * slide


def _rolled(
    frame: pd.DataFrame, ends: np.ndarray[Any, np.dtype[np.int64]], window: int
) -> tuple[tuple[str, ...], Floats]:
    """Hourly counts summed over windows; an hour without tickets is a zero."""
    groups = _groups(frame)
    if not len(ends):
        return groups, np.zeros((len(groups), 0))
    first, size = int(ends[0]) - window, int(ends[-1] - ends[0]) + window
    hourly = np.zeros((len(groups), size + 1))
    rows, places = _rows(frame, groups), frame["hour"].to_numpy() - first
    inside = (places >= 0) & (places < size)
    np.add.at(hourly, (rows[inside], places[inside] + 1), frame["tickets"].to_numpy()[inside])
    total = np.cumsum(hourly, axis=1)
    until = ends - first
    return groups, total[:, until] - total[:, until - window]


def _spread(
    frame: pd.DataFrame,
    column: str,
    groups: tuple[str, ...],
    ends: np.ndarray[Any, np.dtype[np.int64]],
    slide: int,
    missing: float,
) -> Floats:
    made = np.full((len(groups), len(ends)), missing)
    if len(ends) and len(frame):
        rows, places = _rows(frame, groups), (frame["hour"].to_numpy() - ends[0]) // slide
        inside = (places >= 0) & (places < len(ends))
        made[rows[inside], places[inside]] = frame[column].to_numpy(dtype=float)[inside]
    return made


def _groups(frame: pd.DataFrame) -> tuple[str, ...]:
    sizes = frame.groupby("label", sort=True)["tickets"].sum()
    return tuple(str(name) for name in sizes.sort_values(ascending=False, kind="stable").index)


def _rows(frame: pd.DataFrame, groups: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(frame["label"].map({name: row for row, name in enumerate(groups)}), dtype=np.int64)


def _every(parts: Sequence[str]) -> str:
    return " AND ".join(["true", *parts])


def _label(by: str | None) -> str:
    return label(dimension(by)) if by else f"'{EVERYTHING}'"


def _event(name: str) -> str:
    return {"first_response_at": "first_response_at", "resolved_at": "resolved_at"}.get(name, "created_at")
