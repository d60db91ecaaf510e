"""How groups of tickets compare, such as vendors: as counted, and as if all had the same mix of tickets."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from workbench.datasets import labelling
from workbench.errors import Invalid
from workbench.tickets import source, trends
from workbench.tickets.columns import dimension, nearest
from workbench.tickets.measure import label
from workbench.tickets.standardise import Standings, standings
from workbench.tickets.statement import statement

MIXED = ("topic", "priority", "channel", "language")
"""What a ticket's kind is made of, unless somebody says otherwise."""
ENOUGH = 30
"""Below so many comparable tickets a figure is shown as too thin to judge by."""
FAR = 3.0902323061678132
NEAR = 1.959963984540054
"""Normal quantiles of the two limits of a funnel: one in 20 and one in 500 groups lies outside by chance."""


@dataclass(frozen=True)
class Measure:
    """One thing that groups are compared by.

    `expression` is a value a ticket, empty where there is none. Times are compared by their logarithm, so that one
    ticket of a year does not decide; `typical` says that means are turned back (the geometric mean).
    """

    name: str
    title: str
    unit: Literal["points", "%", "min", "h"]
    expression: str
    definition: str
    good: Literal["up", "down"]
    typical: bool = False


def _log(until: str, seconds: int) -> str:
    return f"CASE WHEN {until} >= created_at THEN ln(greatest(epoch({until}) - epoch(created_at), 1) / {seconds}.0) END"


MEASURES: dict[str, Measure] = {
    one.name: one
    for one in (
        Measure("csat", "CSAT", "points", "csat", "Mean rating from 1 to 5 of the rated tickets.", "up"),
        Measure(
            "satisfied",
            "Satisfied",
            "%",
            "CASE WHEN csat IS NOT NULL THEN 100.0 * (csat >= 4)::INTEGER END",
            "Share of the rated tickets that were rated 4 or 5.",
            "up",
        ),
        Measure(
            "first_response",
            "First response, typical",
            "min",
            _log("first_response_at", 60),
            "Typical minutes from creation to the first public agent reply (geometric mean); open ones are left out.",
            "down",
            typical=True,
        ),
        Measure(
            "resolution",
            "Resolution, typical",
            "h",
            _log("resolved_at", 3600),
            "Typical hours from creation to resolution (geometric mean); tickets not resolved yet are left out.",
            "down",
            typical=True,
        ),
        Measure(
            "reopened",
            "Reopened",
            "%",
            "100.0 * reopened::INTEGER",
            "Share of tickets that were opened again after they had been resolved, where that is known.",
            "down",
        ),
    )
}

Verdict = Literal["better", "worse", "like the others", "too few", "not comparable"]


@dataclass(frozen=True)
class Figure:
    """One measure of one group, in the measure's unit. `adjusted`, `low` and `high` are None where it is not comparable.

    `n` measured tickets, `comparable` of a kind that others handle too. `verdict` holds the adjusted interval against
    the mean of all.
    """

    label: str
    n: int
    comparable: int
    raw: float
    raw_low: float
    raw_high: float
    adjusted: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Board:
    """One measure of all groups: `mean` of all, and `standings` for a funnel plot."""

    measure: Measure
    mean: float
    figures: tuple[Figure, ...]
    standings: Standings


@dataclass(frozen=True)
class Calibration:
    """How far people's verdicts on a group's runs can be leaned on.

    Of `labelled` verdicts on its tickets' runs, `good` were good; `twice` runs were judged by two people or more, who
    agreed on `agreed` of them.
    """

    labelled: int
    good: int
    reviewers: int
    twice: int
    agreed: int

    def __str__(self) -> str:
        if not self.labelled:
            return "no verdicts yet"
        if not self.twice:
            return f"{self.labelled:,} verdicts, none of them by two people: not calibrated"
        share = f"{100 * self.agreed / self.twice:.0f} %"
        return f"{self.labelled:,} verdicts; two people agreed on {share} of {self.twice:,} runs"


@dataclass(frozen=True)
class Card:
    """One group: how many tickets, its share of all, and how its verdicts are calibrated."""

    label: str
    tickets: int
    share: float
    calibration: Calibration


@dataclass(frozen=True)
class Scorecard:
    """All groups of a dimension, compared; `mixed` says what the kind of a ticket was made of."""

    by: str
    mixed: tuple[str, ...]
    window: trends.Window
    cards: tuple[Card, ...]
    boards: tuple[Board, ...]


def scorecard(by: str = "vendor", *, mixed: Sequence[str] = MIXED, filters: trends.Filters | None = None) -> Scorecard:
    """The groups of the dimension `by`, raw and adjusted for differences in `mixed`, the largest first.

    Raises Invalid for an unknown dimension or one that is held against itself, NotFound where there are no tickets.
    """
    filters = filters or trends.Filters()
    group, kinds = dimension(by), tuple(dict.fromkeys(dimension(name) for name in mixed))
    if group in kinds:
        raise Invalid(
            f"{by.capitalize()} cannot be compared at the same {by}.", remedy="Take it away from what is held equal."
        )
    days = trends.window(filters)
    cells = _cells(group, kinds, filters, days)
    counted = cells.groupby("label")["tickets"].sum().sort_values(ascending=False, kind="stable")
    known = _calibrations(group, filters, days)
    nothing = Calibration(0, 0, 0, 0, 0)
    cards = tuple(
        Card(str(label), int(n), float(n) / float(counted.sum()), known.get(str(label), nothing))
        for label, n in counted.items()
    )
    order = [card.label for card in cards]
    return Scorecard(group, kinds, days, cards, tuple(_board(one, cells, order) for one in MEASURES.values()))


def get(name: str) -> Measure:
    """The measure called `name`; raises Invalid with the nearest one."""
    if name not in MEASURES:
        raise Invalid(
            f"There is no measure {name!r}{nearest(name, MEASURES)}.", remedy=f"Use one of {', '.join(MEASURES)}."
        )
    return MEASURES[name]


def rows(card: Scorecard) -> pd.DataFrame:
    """Everything of a scorecard as a table for a file: a row for each group and measure."""
    return pd.DataFrame(
        [
            {
                card.by: figure.label,
                "measure": board.measure.title,
                "unit": board.measure.unit,
                "tickets": figure.n,
                "comparable": figure.comparable,
                "as counted": figure.raw,
                "as counted, low": figure.raw_low,
                "as counted, high": figure.raw_high,
                "same mix": figure.adjusted,
                "same mix, low": figure.low,
                "same mix, high": figure.high,
                "all": board.mean,
                "verdict": figure.verdict,
            }
            for board in card.boards
            for figure in board.figures
        ]
    )


def _cells(by: str, kinds: tuple[str, ...], filters: trends.Filters, days: trends.Window) -> pd.DataFrame:
    sums = ",\n    ".join(
        f"count({one.expression})::BIGINT AS {one.name}_n, sum({one.expression})::DOUBLE AS {one.name}_total, "
        f"sum(({one.expression}) * ({one.expression}))::DOUBLE AS {one.name}_squares"
        for one in MEASURES.values()
    )
    stratum = "concat_ws(chr(31), " + ", ".join(f"coalesce({name}, '')" for name in kinds) + ")" if kinds else "''"
    where, values = trends.condition(filters, days.start, days.end)
    sql = statement("scorecard", label=label(by), stratum=stratum, sums=sums, where=where)
    return source.fetch(sql, values)


def _board(measure: Measure, cells: pd.DataFrame, order: list[str]) -> Board:
    names = {f"{measure.name}_{part}": part for part in ("n", "total", "squares")}
    found = standings(cells[["label", "stratum", *names]].rename(columns=names))
    back = math.exp if measure.typical else float
    figures = [
        Figure(
            label=one.label,
            n=one.n,
            comparable=one.comparable,
            raw=back(one.raw),
            raw_low=back(one.raw_low),
            raw_high=back(one.raw_high),
            adjusted=None if one.adjusted is None else back(one.adjusted),
            low=None if one.low is None else back(one.low),
            high=None if one.high is None else back(one.high),
            verdict=_verdict(measure, one.comparable, one.low, one.high, found.mean),
        )
        for one in found.groups
    ]
    figures.sort(key=lambda figure: order.index(figure.label))
    mean = back(found.mean) if found.groups else math.nan
    return Board(measure, mean, tuple(figures), found)


def _verdict(measure: Measure, comparable: int, low: float | None, high: float | None, mean: float) -> Verdict:
    if low is None or high is None:
        return "not comparable"
    if comparable < ENOUGH:
        return "too few"
    if low <= mean <= high:
        return "like the others"
    return "better" if (low > mean) == (measure.good == "up") else "worse"


def _calibrations(by: str, filters: trends.Filters, days: trends.Window) -> dict[str, Calibration]:
    """What people said of the runs behind each group's tickets."""
    verdicts: dict[str, list[labelling.Label]] = defaultdict(list)
    for one in labelling.labels():
        verdicts[one.run_id].append(one)
    if not verdicts:
        return {}
    where, values = trends.condition(filters, days.start, days.end)
    sql = statement("runs_of", label=label(by), where=where)
    pairs = source.fetch(sql, {**values, "runs": list(verdicts)})
    found: dict[str, list[list[labelling.Label]]] = defaultdict(list)
    for group, run_id in pairs[["label", "run_id"]].itertuples(index=False):
        found[str(group)].append(verdicts[str(run_id)])
    return {group: _calibration(runs) for group, runs in found.items()}


def _calibration(runs: list[list[labelling.Label]]) -> Calibration:
    every = [one for run in runs for one in run]
    twice = agreed = 0
    for run in runs:
        by_criterion: dict[str, dict[str, str]] = defaultdict(dict)
        for one in run:
            by_criterion[one.criterion][one.reviewer] = one.value
        several = [list(said.values()) for said in by_criterion.values() if len(said) > 1]
        twice += bool(several)
        agreed += bool(several) and all(len(Counter(said)) == 1 for said in several)
    return Calibration(
        labelled=len(every),
        good=sum(one.value == "good" for one in every),
        reviewers=len({one.reviewer for one in every}),
        twice=twice,
        agreed=agreed,
    )
