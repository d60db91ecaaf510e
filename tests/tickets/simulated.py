"""Three years of support that never happened: hourly figures by topic with trend, seasons, holidays, and known incidents.

Tickets of a topic in an hour are negative binomial around level × growth × season of the year × hour of the week × holiday,
with a common and an own random factor for every day. Handling time is a log-normal mean, CSAT a mean of ratings, both by
vendor, with a weekly rhythm, a slow drift and a random factor for every day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.tickets.defaults import DEFAULTS
from workbench.tickets.firing import (
    ORIGIN,
    Figures,
    History,
    Known,
    compare,
    episodes,
    judged_weeks,
    moment,
    usual,
)

Floats = npt.NDArray[np.float64]

TOPICS = ("Delivery", "Refunds", "Billing", "Sign-in", "Subscription", "Damaged item", "Setup", "Returns")
SHARES = (0.24, 0.17, 0.14, 0.13, 0.11, 0.08, 0.08, 0.05)
VENDORS = ("Northwind", "Calder", "Brightline")
VENDOR_SHARES = (0.45, 0.35, 0.2)
SHAPES = ("spike", "step", "ramp", "drop-out", "metric shift")
HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 10, 11, 11, 10, 9, 8, 8, 7, 6, 5, 3], dtype=float)
DAYS = np.array([1.25, 1.15, 1.05, 1.0, 0.98, 0.6, 0.5])
HOLIDAYS = ("01-01", "05-01", "12-24", "12-25", "12-26", "12-31")
MOVING = ((-2, 0.6), (1, 0.6), (39, 0.75))
"""Days from Easter Sunday, and what part of an ordinary day remains."""


@dataclass(frozen=True)
class World:
    """Hourly figures from hour `first` (since ORIGIN): tickets by topic; by vendor, tickets, mean handling hours, mean CSAT."""

    first: int
    topics: Floats
    vendors: Floats
    handling: Floats
    rated: Floats
    csat: Floats
    incidents: tuple[tuple[str, Known], ...]
    holidays: tuple[str, ...]


def world(seed: int, *, weeks: int = 156, incidents: int = 60, a_day: float = 600.0) -> World:
    """One history; the same for the same arguments. `a_day` is the number of tickets of a day at its beginning."""
    rng = np.random.default_rng(seed)
    first = int((dt.datetime(2023, 1, 2, tzinfo=dt.UTC) - ORIGIN).total_seconds() // 3600)
    size = weeks * 168
    hour = np.arange(size)
    calm, listed = _holidays(first, size)
    rhythm = np.outer(DAYS, HOURS / HOURS.mean()).ravel()[hour % 168]
    yearly = 1 + 0.18 * np.cos(2 * np.pi * (hour / 8766 + 0.04))
    rates = np.empty((len(TOPICS), size))
    for row, share in enumerate(SHARES):
        shift = np.roll(rhythm, int(rng.integers(-2, 3)))
        growth = np.exp(np.log(rng.uniform(0.75, 1.8)) * hour / (156 * 168))
        rates[row] = a_day / 24 * share * growth * yearly * shift * calm
    rates *= _daily(rng, (1, size), 0.06) * _daily(rng, rates.shape, 0.07)
    slow, rude = np.zeros((len(VENDORS), size)), np.zeros((len(VENDORS), size))
    made = _inject(rng, incidents, rates, slow, rude, first)
    topics = rng.negative_binomial(12.0, 12.0 / (12.0 + rates)).astype(float)
    tickets = rng.multinomial(topics.sum(axis=0).astype(int), VENDOR_SHARES).T.astype(float)
    handling = 14 * np.exp(slow + 0.12 * np.cos(2 * np.pi * hour / 168) + _drift(rng, slow.shape, 0.04))
    spread = np.exp(rng.normal(0, 1, slow.shape) * 0.9 / np.sqrt(np.maximum(tickets, 1)))
    rated = rng.binomial(tickets.astype(int), 0.32).astype(float)
    mood = 3.9 - rude + 0.05 * np.cos(2 * np.pi * hour / 168) + _drift(rng, rude.shape, 0.03)
    csat = mood + rng.normal(0, 1, rude.shape) * 1.1 / np.sqrt(np.maximum(rated, 1))
    return World(first, topics, tickets, handling * spread, rated, csat, tuple(made), listed)


def history(made: World, metric: str, *, window: int, slide: int) -> History:
    """A metric of a world over windows: `volume` by topic, `handling` or `csat` by vendor."""
    if metric == "volume":
        return _windows(made, TOPICS, made.topics, made.topics, window, slide, counts=True, logs=False)
    values, weights = (made.handling, made.vendors) if metric == "handling" else (made.csat, made.rated)
    return _windows(made, VENDORS, values, weights, window, slide, counts=False, logs=metric == "handling")


def _windows(
    made: World, groups: tuple[str, ...], values: Floats, weights: Floats, window: int, slide: int, **kind: Any
) -> History:
    many = _rolled(weights, window)
    if kind["counts"]:
        rolled = many
    else:
        total = _rolled((np.log(values) if kind["logs"] else values) * weights, window)
        with np.errstate(invalid="ignore", divide="ignore"):
            rolled = np.where(many > 0, total / many, np.nan)
        rolled = np.exp(rolled) if kind["logs"] else rolled
    ends = made.first + np.arange(window, values.shape[1] + 1)
    keep = ends % slide == 0
    return History(groups, ends[keep], rolled[:, keep], many[:, keep], slide, window, **kind)


def _rolled(rows: Floats, window: int) -> Floats:
    total = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
    return np.asarray(total[:, window:] - total[:, :-window])


def _daily(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Floats:
    days = rng.normal(0, spread, (shape[0], -(-shape[1] // 24)))
    return np.asarray(np.exp(np.repeat(days, 24, axis=1)[:, : shape[1]] - spread**2 / 2))


def _drift(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> Floats:
    days = rng.normal(0, spread, (shape[0], -(-shape[1] // 24)))
    return np.asarray(np.repeat(days, 24, axis=1)[:, : shape[1]])


def _holidays(first: int, size: int) -> tuple[Floats, tuple[str, ...]]:
    calm, listed = np.ones(size), list(HOLIDAYS)

    def quiet(day: dt.date, part: float) -> None:
        at = (day - ORIGIN.date()).days * 24 - first
        if 0 <= at < size:
            calm[at : at + 24] *= part
            calm[at + 24 : at + 48] *= 1 + (1 - part) * 0.4

    for year in range(moment(first).year, moment(first + size).year + 1):
        for one in HOLIDAYS:
            quiet(dt.date.fromisoformat(f"{year}-{one}"), 0.5)
        for away, part in MOVING:
            day = _easter(year) + dt.timedelta(days=away)
            quiet(day, part)
            listed.append(day.isoformat())
    return calm, tuple(listed)


def _easter(year: int) -> dt.date:
    """Easter Sunday by the method of Meeus, Jones and Butcher."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return dt.date(year, f // 31, f % 31 + 1)


def _inject(
    rng: np.random.Generator, count: int, rates: Floats, slow: Floats, rude: Floats, first: int
) -> list[tuple[str, Known]]:
    """Put in `count` incidents, one shape after the other, far enough apart; each is (shape, what people know)."""
    if not count:
        return []
    warm, size = 10 * 168, rates.shape[1]
    slot = (size - warm) // count
    made = []
    for number in range(count):
        shape = SHAPES[number % len(SHAPES)]
        start = warm + number * slot + int(rng.integers(0, max(1, slot // 3)))
        length = {"spike": 8, "step": 72, "ramp": 120, "drop-out": 30, "metric shift": 72}[shape]
        length = min(int(length * rng.uniform(0.8, 1.4)), max(8, slot // 2))
        at = slice(start, start + length)
        # An incident that nobody could tell from a quiet night is no incident: spikes and drop-outs begin by day.
        if shape in ("spike", "drop-out"):
            begin = start - start % 24 + int(rng.integers(8, 15))
            at = slice(begin, begin + length)
        title, where = _shape(rng, shape, at, rates, slow, rude)
        made.append((shape, Known(title, moment(first + at.start), moment(first + at.stop), where)))
    return made


def _shape(
    rng: np.random.Generator, shape: str, at: slice, rates: Floats, slow: Floats, rude: Floats
) -> tuple[str, dict[str, str]]:
    if shape == "metric shift":
        row = int(rng.integers(0, len(VENDORS)))
        if rng.random() < 0.5:
            slow[row, at] += np.log(rng.uniform(1.7, 2.5))
            return f"{VENDORS[row]} is slow", {"vendor": VENDORS[row]}
        rude[row, at] += rng.uniform(0.6, 1.0)
        return f"{VENDORS[row]} is rated lower", {"vendor": VENDORS[row]}
    row = int(rng.integers(0, len(TOPICS)))
    length = at.stop - at.start
    if shape == "spike":
        rates[row, at] *= rng.uniform(3.0, 6.0)
    elif shape == "step":
        rates[row, at] *= rng.uniform(1.8, 3.0)
    elif shape == "ramp":
        rates[row, at] *= np.linspace(1.0, rng.uniform(2.2, 3.5), length)
    else:
        rates[row, at] *= rng.uniform(0.0, 0.15)
    return f"{TOPICS[row]}: {shape}", {"topic": TOPICS[row]}


WATCH: dict[str, str] = {
    "sudden rise": "volume",
    "slow rise": "volume",
    "drop-out": "volume",
    "slow handling": "handling",
    "low ratings": "csat",
}
"""The product's default detectors, and the figures of a world that each looks at."""


def watched(made: World, name: str, metric: str) -> tuple[Figures, float]:
    """What a default detector finds in a world, and for how many weeks it could judge."""
    spec = DEFAULTS[name]
    seen = history(made, metric, window=spec.window, slide=spec.slide)
    against = usual(seen, weeks=spec.weeks, holidays=made.holidays)
    told = episodes(seen, against, spec.knobs)
    weeks = judged_weeks(seen, against)
    by = "topic" if metric == "volume" else "vendor"
    return compare(told, [one for _, one in made.incidents], by=by, window=spec.window, weeks=weeks), weeks
