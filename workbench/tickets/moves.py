"""What moved from one week to the next: which groups by more than chance, which not, and of which nobody can tell yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workbench.tickets import changes, metrics, noise, source, trends
from workbench.tickets.figures import Figure, Sentence, counted, sentence, told, trend
from workbench.tickets.metrics import Metric
from workbench.tickets.noise import Difference, Side

LOOKED_AT = (("volume", "topic"), ("resolution", "topic"), ("csat", "vendor"))
"""Each metric with the dimension by which its movers are looked for."""
TESTED, TOLD = 12, 3
"""So many groups of each metric are tested, those first that add most to its change; so many are told."""
SETTLED = 0.9
"""A time to resolution is judged once so large a share of the tickets is resolved: the slow ones are missing before."""
OPEN = "not judged yet, because many of these tickets are still open and the slow ones are missing"


@dataclass(frozen=True)
class Days:
    """The days `start` to `end`, the equally many from `before` to `until`, and the first day of all tickets."""

    start: dt.date
    end: dt.date
    before: dt.date
    until: dt.date
    comparable: bool
    oldest: dt.date


@dataclass(frozen=True)
class Move:
    """A group that moved a metric by more than chance: both sides, the difference, and what is said of it."""

    metric: str
    by: str
    group: str
    now: Side
    before: Side
    difference: Difference
    said: Sentence

    @property
    def better(self) -> bool | None:
        """Whether the change is for the good."""
        return metrics.is_better(metrics.get(self.metric), self.difference.value)


@dataclass(frozen=True)
class Moves:
    """Those told, how many more moved, how many are within noise, and of how many nobody can tell yet."""

    told: tuple[Move, ...] = ()
    more: int = 0
    within: int = 0
    unknown: int = 0


def moves(days: Days) -> Moves:
    """The groups that moved a metric, by metric and strength."""
    return _moves(source.signature(), days) if days.comparable else Moves()


def compare(
    metric: Metric, where: Mapping[str, Sequence[str]], days: Days, among: int
) -> tuple[Side | None, Side | None, Difference | None]:
    """Both sides of a metric of some tickets, and their difference among so many that are looked at together."""
    usual = noise.usual(days.start, days.end, where, days.oldest) if metric.interval == "poisson" else 1.0
    now = noise.side(metric, days.start, days.end, where, usual=usual)
    before = noise.side(metric, days.before, days.until, where, usual=usual)
    if now is None or before is None:
        return now, before, None
    return now, before, noise.difference(now, before, among=among)


def settled(metric: Metric, n: int, tickets: int) -> bool:
    """Whether a time to resolution rests on nearly all tickets; other metrics always are settled."""
    return not metric.name.startswith("resolution") or n >= SETTLED * tickets


def change(metric: Metric, value: float | None) -> str:
    """A change in words; one that rounds to nothing is none."""
    said = metrics.say_change(metric, value)
    return said if any(digit in said for digit in "123456789") else "no change"


def signed(metric: Metric, value: float) -> str:
    """A difference in the metric's own unit, with its sign."""
    if metric.unit == "points":
        return f"{value:+.2f}"
    text = told(metric, abs(value))
    return text if text in ("0", "—") else ("+" if value > 0 else "-") + text


def quiet(found: Moves, days: Days) -> Sentence:
    """What is said of all that is not told one by one."""
    if not days.comparable:
        return sentence("There are no tickets of the week before, so nothing can be said about what moved.")
    if not (found.told or found.within or found.unknown):
        return sentence("No group has enough tickets in both weeks to say what moved.")
    pairs = ", ".join(f"{metrics.get(name).title} by {by}" for name, by in LOOKED_AT)
    parts = []
    if found.more:
        parts.append(f"{found.more} more moved by more than chance; see Trends.")
    if found.within:
        which = "other changes that were tested" if found.told else "changes that were tested"
        lead = "" if found.told else "Nothing moved by more than chance. "
        parts.append(f"{lead}The {found.within} {which} ({pairs}) are within noise.")
    if found.unknown:
        parts.append(f"Of {found.unknown} nobody can tell yet: too few weeks before, or many tickets are still open.")
    return sentence(" ".join(parts))


@lru_cache(maxsize=16)
def _moves(_signature: source.Signature, days: Days) -> Moves:
    rows = [(metrics.get(name), by, _candidates(name, by, days)) for name, by in LOOKED_AT if trends.facets().get(by)]
    among = sum(len(candidates) for _, _, candidates in rows)
    one_by_one: list[Move] = []
    more = within = unknown = 0
    for metric, by, candidates in rows:
        moved, groups = 0, [str(row["label"]) for row in candidates]
        usual = noise.usuals(days.start, days.end, by, days.oldest) if metric.interval == "poisson" else {}
        here = noise.sides(metric, days.start, days.end, by, groups, usual)
        there = noise.sides(metric, days.before, days.until, by, groups, usual)
        for row in candidates:
            now, before = here[str(row["label"])], there[str(row["label"])]
            apart = noise.difference(now, before, among=among) if now and before else None
            if now is None or before is None or apart is None or not settled(metric, now.n, int(row["tickets"])):
                unknown += 1
            elif not apart.beyond:
                within += 1
            elif moved < TOLD:
                moved += 1
                said = _moved(metric, by, row, now, before, apart, days)
                one_by_one.append(Move(metric.name, by, str(row["label"]), now, before, apart, said))
            else:
                more += 1
    return Moves(tuple(one_by_one), more, within, unknown)


def _candidates(name: str, by: str, days: Days) -> list[dict[str, Any]]:
    """The groups that add most to a metric's change and rest on enough tickets on both sides."""
    filters = trends.Filters(days.start, days.end)
    rows = changes.movers(by, metric=name, filters=filters, against="weekdays", limit=500, exact=True)
    if rows.empty:
        return []
    enough = rows[~rows["few"] & rows["value"].notna() & rows["value_before"].notna()]
    return [{str(key): value for key, value in row.items()} for row in enough.head(TESTED).to_dict("records")]


def _moved(
    metric: Metric, by: str, row: Mapping[str, object], now: Side, before: Side, apart: Difference, days: Days
) -> Sentence:
    where = {by: [str(row["label"])]}
    said = change(metric, metrics.change(metric, now.value, before.value))
    parts: list[str | Figure] = [
        f"{metric.title} of {by.replace('_', ' ')} {row['label']}: ",
        trend(told(metric, before.value), metric, days.before, days.until, where),
        " before, ",
        trend(told(metric, now.value), metric, days.start, days.end, where),
        f" now ({said}; range of the difference {signed(metric, apart.low)} to {signed(metric, apart.high)})",
    ]
    share = row.get("contribution")
    if isinstance(share, float) and share == share and changes.splits(metric):
        added = trend(signed(metric, share), metric, days.start, days.end, {}, movers=by)
        parts += ["; to the change of all tickets it adds ", added]
    rests = "" if metric.counts else f"; {counted(now.n, 'ticket')} now, {before.n:,} before"
    return sentence(*parts, f"{rests}.")
