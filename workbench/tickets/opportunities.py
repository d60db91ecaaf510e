"""Repeated touchpoints: which kinds of tickets a flow could answer, by volume, work, and how often it has succeeded.

Hours that could be saved = tickets a month that no flow has answered x minutes of work a ticket / 60 x likely success.
Tickets a month are those of the days looked at, times 30 over the days. Hours of work are those on tickets that no run has
solved. Minutes are the mean of what the file tells (attribute handling_minutes), or an
assumption that a person sets. Likely success is the share of runs on such tickets that ended with an answer, without a
person, and whose ticket was not opened again. It is shrunk towards the share of all runs, as if PRIOR more runs had gone
like those (Beta prior; posterior mean, and the interval between its 2.5 % and 97.5 % quantiles). Where no run was made,
nothing is said about success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import Invalid
from workbench.tickets import measure, source, trends
from workbench.tickets.columns import NONE
from workbench.tickets.statement import statement
from workbench.tickets.trends import Filters

Kind = Literal["channel", "subtopic"]
KINDS: Mapping[Kind, tuple[str, ...]] = {"channel": ("topic", "channel"), "subtopic": ("topic", "subtopic", "product")}
"""By what tickets are of one kind."""
MONTH = 30
"""Days of a month."""
PRIOR = 8.0
"""So many runs like all others are added to the runs of a kind."""
LEAST = 20
"""Kinds with fewer tickets in the days looked at are left out."""
MINUTES = 12.0
"""The assumed work on a ticket, where the file does not tell it."""
HONEST = (
    "It is an estimate, not a promise: tickets that a flow has answered may be easier than the others of their kind, the "
    "number of tickets is taken as certain, and the work of building and checking a flow is not in it."
)


@dataclass(frozen=True)
class Likely:
    """A share from 0 to 1 with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Opportunity:
    """A kind of tickets. `minutes` is the work on one, `measured` whether the file tells it.

    `hours` are those of people in a month. `success` is None where no run was made; `repeated` is the share of tickets whose customer
    wrote more than once about the same, None where the file names no customers.
    """

    where: Mapping[str, str]
    tickets: int
    a_month: float
    minutes: float
    measured: bool
    hours: float
    repeated: float | None
    runs: int
    solved: int
    success: Likely | None
    saved: Likely | None

    @property
    def name(self) -> str:
        """How the kind is called: `Delivery, chat`."""
        return ", ".join(self.where.values())


@dataclass(frozen=True)
class Found:
    """The opportunities, the most hours first, those not tried last; the days, and the prior of all runs."""

    kinds: tuple[Opportunity, ...]
    by: Kind
    window: trends.Window
    runs: int
    solved: int
    minutes: float


def opportunities(
    filters: Filters | None = None, *, by: Kind = "channel", minutes: float = MINUTES, least: int = LEAST
) -> Found:
    """Kinds of tickets by the hours that could be saved. `minutes` is the assumed work where the file tells none.

    Raises NotFound where there are no tickets, Invalid for minutes that cannot be.
    """
    if by not in KINDS:
        raise Invalid(f"Tickets cannot be taken together by {by!r}.", remedy=f"Use {' or '.join(KINDS)}.")
    if not 0 < minutes <= 10_000:
        raise Invalid("The work on a ticket is more than 0 minutes.", remedy="Say how many minutes it takes.")
    filters = filters or Filters()
    days = trends.window(filters)
    rows = _rows(KINDS[by], filters, days)
    runs, solved = (sum(int(row[name]) for row in rows) for name in ("tried", "solved"))
    named = [row for row in rows if any(row[name] != NONE for name in KINDS[by])]
    span = max(1, (days.last - days.first).days + 1)
    kinds = [_kind(row, KINDS[by], span, minutes, _prior(runs, solved)) for row in named if row["tickets"] >= least]
    ranked = sorted(
        kinds, key=lambda one: (one.saved is None, -(one.saved.value if one.saved else one.hours), one.name)
    )
    return Found(tuple(ranked), by, days, runs, solved, minutes)


def frame(found: Found) -> pd.DataFrame:
    """The same as a table: shares in percent, hours and tickets a month; empty where nothing is known."""
    rows = []
    for one in found.kinds:
        success, saved = one.success, one.saved
        rows.append(
            {
                **one.where,
                "tickets": one.tickets,
                "a_month": one.a_month,
                "minutes": one.minutes,
                "measured": one.measured,
                "hours": one.hours,
                "repeated": None if one.repeated is None else 100 * one.repeated,
                "runs": one.runs,
                "solved": one.solved,
                **{f"success{end}": value for end, value in _ends(success, 100)},
                **{f"saved{end}": value for end, value in _ends(saved, 1)},
            }
        )
    return pd.DataFrame(rows)


def say_success(one: Opportunity) -> str:
    """The likely success in words: `62 % (31 to 88 %), 5 of 7 runs`, or that it was not tried."""
    if one.success is None:
        return "not tried"
    value, low, high = (100 * share for share in (one.success.value, one.success.low, one.success.high))
    return f"{value:.0f} % ({low:.0f} to {high:.0f} %), {one.solved} of {one.runs} runs"


def say_saved(one: Opportunity) -> str:
    """The hours a month that could be saved in words, or that nobody knows."""
    return (
        "not known" if one.saved is None else f"{one.saved.value:.1f} h ({one.saved.low:.1f} to {one.saved.high:.1f})"
    )


def likely(solved: int, runs: int, prior: tuple[float, float]) -> Likely | None:
    """The share of runs that solve, with a Beta prior; None without runs."""
    if not runs:
        return None
    a, b = solved + prior[0], runs - solved + prior[1]
    low, high = _quantiles(a, b, (0.025, 0.975))
    return Likely(a / (a + b), low, high)


def _prior(runs: int, solved: int) -> tuple[float, float]:
    """The two numbers of the Beta prior: PRIOR runs that went like all runs together, to which one of each is added."""
    mean = (solved + 1) / (runs + 2)
    return PRIOR * mean, PRIOR * (1 - mean)


def _quantiles(a: float, b: float, at: Sequence[float]) -> list[float]:
    """Quantiles of a Beta distribution, from its density on 20,000 points."""
    points = (np.arange(20_000) + 0.5) / 20_000
    density = (a - 1) * np.log(points) + (b - 1) * np.log1p(-points)
    total = np.cumsum(np.exp(density - density.max()))
    return [float(np.interp(one, total / total[-1], points)) for one in at]


def _rows(names: tuple[str, ...], filters: Filters, days: trends.Window) -> list[dict[str, Any]]:
    where, values = trends.condition(filters, days.start, days.end)
    keys = ", ".join(f"{measure.label(name)} AS {name}" for name in names)
    return source.records(statement("opportunities", keys=keys, names=", ".join(names), where=where), values)


def _kind(
    row: dict[str, Any], names: tuple[str, ...], span: int, assumed: float, prior: tuple[float, float]
) -> Opportunity:
    tickets, runs, solved = (int(row[name]) for name in ("tickets", "tried", "solved"))
    measured = 2 * int(row["timed"]) >= tickets
    minutes = float(row["minutes"]) if measured else assumed
    a_month = tickets * MONTH / span
    each, success = MONTH / span * minutes / 60, likely(solved, runs, prior)
    left = each * (tickets - runs)
    saved = None if success is None else Likely(*(left * one for one in (success.value, success.low, success.high)))
    return Opportunity(
        where={name: str(row[name]) for name in names},
        tickets=tickets,
        a_month=a_month,
        minutes=minutes,
        measured=measured,
        hours=each * (tickets - solved),
        repeated=int(row["repeated"]) / int(row["known"]) if row["known"] else None,
        runs=runs,
        solved=solved,
        success=success,
        saved=saved,
    )


def _ends(one: Likely | None, times: float) -> list[tuple[str, float | None]]:
    if one is None:
        return [("", None), ("_low", None), ("_high", None)]
    return [("", times * one.value), ("_low", times * one.low), ("_high", times * one.high)]
