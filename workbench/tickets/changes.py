"""What changed and where: the groups that moved a metric, two segments side by side, and releases before and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import Invalid
from workbench.tickets import measure
from workbench.tickets.columns import dimension
from workbench.tickets.measure import Asked
from workbench.tickets.metrics import Metric, change, get
from workbench.tickets.trends import Against, Filters, window

DECOMPOSED = ("wilson", "normal")
"""Intervals of the metrics that are means over tickets: only their change splits into mix and rate."""

COMPARED = (
    "volume",
    "first_response",
    "resolution",
    "csat",
    "reopened",
    "sla_first_response",
    "sla_resolution",
    "sentiment",
)
AROUND = 28
"""So many days before and after a release are compared, at most."""


def splits(metric: Metric) -> bool:
    """Whether a change of the metric is the sum of what its groups contribute."""
    return metric.interval in DECOMPOSED or (metric.counts and metric.day != "open")


def movers(
    by: str,
    *,
    metric: str = "volume",
    filters: Filters | None = None,
    against: Against = "previous",
    limit: int = 10,
    exact: bool = False,
) -> pd.DataFrame:
    """The groups of the dimension `by` that moved `metric` most against the period before, the strongest first.

    Columns: label, value, value_before, change (percent or the metric's unit; empty where there was nothing before),
    contribution (to the change of all, in the metric's unit), mix (of it, because the group's share changed), rate (of
    it, because the group itself changed), tickets, tickets_before, few. Contributions of all groups add up to the
    change of all tickets, mix and rate to the contribution; a metric that does not split has none.
    """
    chosen, filters = get(metric), filters or Filters()
    frame = _sides(chosen, dimension(by), filters, against, exact)
    if frame.empty:
        return frame
    frame["change"] = [
        change(chosen, _none(now), _none(then)) for now, then in zip(frame["value"], frame["value_before"], strict=True)
    ]
    mix, rate = _parts(chosen, frame)
    frame["mix"], frame["rate"] = mix, rate
    frame["contribution"] = frame["mix"] + frame["rate"]
    strength = frame["contribution"] if splits(chosen) else frame["value"] - frame["value_before"]
    frame["strength"] = strength.abs().fillna(-1.0)
    frame["few"] = (frame[["n", "n_before"]].min(axis=1) < chosen.minimum) & frame["value"].notna()
    frame = frame.sort_values(["strength", "label"], ascending=[False, True]).head(limit).reset_index(drop=True)
    names = ["value", "value_before", "change", "contribution", "mix", "rate", "tickets", "tickets_before", "few"]
    return frame[["label", *names]]


def _sides(metric: Metric, by: str, filters: Filters, against: Against, exact: bool) -> pd.DataFrame:
    """Each group now and before; a count is 0 where a group has no tickets."""
    days = window(filters, against)
    before = (days.before, days.until_before)
    asked = Asked(days.start, days.end, filters.where, by=(by,), exact=exact, before=before)
    found = {(row["side"], str(row[by])): row for row in measure.measure([metric], asked).rows}
    nothing = {"value": measure.empty(metric), "n": 0, "tickets": 0}
    labels = sorted({label for _, label in found})
    columns: dict[str, Any] = {"label": pd.Series(labels, dtype="str")}
    for side, suffix in (("now", ""), ("before", "_before")):
        rows = [found.get((side, label), nothing) for label in labels]
        columns |= {f"value{suffix}": np.array([row["value"] for row in rows], dtype="float64")}
        columns |= {
            f"{name}{suffix}": np.array([row[name] for row in rows], dtype="int64") for name in ("n", "tickets")
        }
    return pd.DataFrame(columns)


def _parts(metric: Metric, frame: pd.DataFrame) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """What each group's share and what its own value add to the change of all.

    With shares w and values r, the change of the mean is the sum over groups of (w1 - w0) times (mean r - mean of all)
    and of mean w times (r1 - r0): the midpoint form of Kitagawa's decomposition (1955), without a remainder. A group
    that was not there on one side has no change of its own: all that it adds is mix.
    """
    empty = pd.Series(float("nan"), index=frame.index)
    if not splits(metric):
        return empty, empty
    if metric.counts:
        return pd.Series(0.0, index=frame.index), frame["value"] - frame["value_before"]
    if not frame["n"].sum() or not frame["n_before"].sum():
        return empty, empty
    share, before = frame["n"] / frame["n"].sum(), frame["n_before"] / frame["n_before"].sum()
    now = frame["value"].where(frame["n"] > 0, frame["value_before"]).fillna(0.0)
    then = frame["value_before"].where(frame["n_before"] > 0, frame["value"]).fillna(0.0)
    middle = ((share * now).sum() + (before * then).sum()) / 2
    return (share - before) * ((now + then) / 2 - middle), (share + before) / 2 * (now - then)


def segments(
    one: Mapping[str, Sequence[str]],
    other: Mapping[str, Sequence[str]],
    filters: Filters,
    names: Sequence[str] = COMPARED,
    *,
    exact: bool = False,
) -> pd.DataFrame:
    """Two segments of the tickets that `filters` mean, metric by metric.

    Columns: metric, one, one_low, one_high, other, other_low, other_high, difference, apart (whether the two intervals
    of 95 % do not touch; empty where there is none), n_one, n_other, few.
    """
    if not any(one.values()) or not any(other.values()):
        raise Invalid("A segment needs at least one value.", remedy="Choose what each of the two segments is.")
    days, chosen = window(filters), [get(name) for name in names]
    sides = []
    for segment in (one, other):
        where = {**filters.where, **{dimension(name): values for name, values in segment.items()}}
        rows = measure.measure(chosen, Asked(days.start, days.end, where, exact=exact)).rows
        sides.append({str(row["metric"]): row for row in rows})
    made = []
    for metric in chosen:
        left, right = (side.get(metric.name, {}) for side in sides)
        a, b = (_none(row.get("value")) for row in (left, right))
        edges = [_none(row.get(edge)) for row in (left, right) for edge in ("low", "high")]
        n_one, n_other = (int(row.get("n", 0)) for row in (left, right))
        made.append(
            {
                "metric": metric.name,
                "one": a,
                "one_low": edges[0],
                "one_high": edges[1],
                "other": b,
                "other_low": edges[2],
                "other_high": edges[3],
                "difference": None if a is None or b is None else a - b,
                "apart": None if None in edges else _apart(*edges),
                "n_one": n_one,
                "n_other": n_other,
                "few": min(n_one, n_other) < metric.minimum,
            }
        )
    return pd.DataFrame(made)


def _apart(low: float | None, high: float | None, other_low: float | None, other_high: float | None) -> bool:
    assert low is not None and high is not None and other_low is not None and other_high is not None  # noqa: S101
    return high < other_low or other_high < low


@dataclass(frozen=True)
class Release:
    """A release that went live: when (UTC), and what it is called."""

    at: dt.datetime
    label: str


def cohorts(released: Sequence[Release], metric: str, filters: Filters, *, exact: bool = False) -> pd.DataFrame:
    """`metric` in the days before and after each release, up to the next one or to `AROUND` days, whichever is sooner.

    Columns: at (UTC), label, days, value_before, value, low, high, change, tickets, few. The day of the release itself
    belongs to neither side. A release outside the period, or without a whole day on both sides, is left out.
    """
    chosen, days = get(metric), window(filters)
    moments = sorted({one.at.date() for one in released})
    made = []
    for one in sorted(released, key=lambda each: each.at):
        day = one.at.date()
        later = [other for other in moments if other > day]
        end = min([days.last, day + dt.timedelta(days=AROUND), *(other - dt.timedelta(days=1) for other in later[:1])])
        length = min((end - day).days, (day - days.oldest).days)
        if length < 1 or day < days.first:
            continue
        span = dt.timedelta(days=length)
        after, before = (
            _only(chosen, Asked(start, start + span - dt.timedelta(days=1), filters.where, exact=exact))
            for start in (day + dt.timedelta(days=1), day - span)
        )
        value, then = _none(after.get("value")), _none(before.get("value"))
        made.append(
            {
                "at": one.at,
                "label": one.label,
                "days": length,
                "value_before": then,
                "value": value,
                "low": _none(after.get("low")),
                "high": _none(after.get("high")),
                "change": change(chosen, value, then),
                "tickets": int(after.get("tickets", 0)),
                "few": min(int(after.get("n", 0)), int(before.get("n", 0))) < chosen.minimum,
            }
        )
    return pd.DataFrame(made)


def _only(metric: Metric, asked: Asked) -> dict[str, Any]:
    rows = measure.measure([metric], asked).rows
    return rows[0] if rows else {}


def _none(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
