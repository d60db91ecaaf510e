"""Sample tickets: deterministic, with a rhythm, trends, three vendors of different quality, and two incidents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench import access, store
from workbench.errors import Invalid
from workbench.tickets.columns import ATTRIBUTES, COLUMNS
from workbench.tickets.load import put_frames
from workbench.tickets.phrases import BODIES, CLOSINGS, SUBJECTS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

SOURCE = "sample data"
MINUTE, HOUR, DAY = 60, 3600, 86400
BLOCK = 250_000


@dataclass(frozen=True)
class Topic:
    """How often it comes (`share` at the start, times `growth` by the end), how long it takes, how people feel."""

    name: str
    share: float
    growth: float
    hours: float
    mood: float
    product: str
    team: str
    subtopics: tuple[str, ...]


@dataclass(frozen=True)
class Vendor:
    """A support vendor: its share, how much slower than usual it is, how often tickets come back, its ratings."""

    name: str
    share: float
    slowness: float
    reopened: float
    rating: float


@dataclass(frozen=True)
class Incident:
    """Days, counted from the end, in which a topic of one vendor comes `times` as often and everybody waits longer."""

    name: str
    topic: str
    subtopic: str
    vendor: str
    days_before_end: int
    length: int
    times: float
    slowness: float
    rating: float

    def window(self, until: dt.date) -> tuple[dt.date, dt.date]:
        """First and last day, for tickets that end with the day `until`."""
        first = until - dt.timedelta(days=self.days_before_end)
        return first, first + dt.timedelta(days=self.length - 1)


@dataclass(frozen=True)
class Answered:
    """A run that answered a ticket: when (aware), of which topic, the customer's words, and whether that solved it."""

    run_id: str
    at: dt.datetime
    topic: str
    subject: str
    body: str
    solved: bool


TOPICS = (
    Topic("Delivery", 0.22, 1.15, 20, -0.25, "Shop", "Logistics", ("Late parcel", "Tracking stuck", "Wrong address")),
    Topic("Refunds", 0.14, 0.75, 30, -0.35, "Shop", "Payments", ("Refund status", "Partial refund", "Refund refused")),
    Topic("Billing", 0.12, 1.0, 18, -0.3, "Plus", "Payments", ("Charged twice", "Wrong amount", "Unknown charge")),
    Topic("Sign-in", 0.11, 0.9, 4, -0.15, "App", "Accounts", ("Code missing", "Locked out", "Password reset")),
    Topic("Subscription", 0.1, 1.5, 10, -0.05, "Plus", "Accounts", ("Cancel", "Change plan", "Renewal")),
    Topic("Damaged item", 0.08, 1.05, 36, -0.4, "Lamp", "Logistics", ("Broken on arrival", "Parts missing")),
    Topic("Setup", 0.08, 1.8, 7, 0.1, "Speaker", "Product help", ("Pairing", "Network", "Firmware")),
    Topic("Returns", 0.07, 1.1, 26, -0.1, "Shop", "Logistics", ("Return label", "Return status", "Deadline")),
    Topic("App", 0.05, 2.2, 14, -0.2, "App", "Product help", ("Crash", "Slow", "Payment page")),
    Topic("Privacy", 0.03, 1.0, 40, 0.0, "Shop", "Accounts", ("Delete data", "Newsletter", "Copy of data")),
)
VENDORS = (
    Vendor("Northwind", 0.45, 1.0, 0.035, 0.1),
    Vendor("Calder", 0.35, 1.35, 0.055, -0.1),
    Vendor("Brightline", 0.2, 0.75, 0.02, 0.25),
)
INCIDENTS = (
    Incident("Parcel scans lost", "Delivery", "Tracking stuck", "Northwind", 20, 6, 3.5, 3.0, -1.1),
    Incident("Double charges", "Billing", "Charged twice", "Calder", 118, 8, 5.0, 3.5, -1.3),
)
CHANNELS = {"email": 0.46, "web": 0.24, "chat": 0.2, "phone": 0.1}
FIRST_RESPONSE_MINUTES = {"email": 240.0, "chat": 2.5, "web": 330.0, "phone": 1.5}
PRIORITIES = {"low": 0.25, "normal": 0.55, "high": 0.15, "urgent": 0.05}
PRIORITY_SPEED = {"low": 1.5, "normal": 1.0, "high": 0.6, "urgent": 0.3}
TIERS = {"free": 0.55, "standard": 0.33, "business": 0.12}
LANGUAGE_SHARES = {"en": 0.52, "de": 0.18, "fr": 0.13, "es": 0.1, "pt": 0.07}
WEEKDAYS = (1.25, 1.15, 1.05, 1.0, 0.98, 0.6, 0.5)
HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 10, 11, 11, 10, 9, 8, 8, 7, 6, 5, 3)


def seed(
    actor: access.Actor,
    *,
    count: int = 50_000,
    days: int = 548,
    seed: int = 7,
    until: dt.date | None = None,
    progress: Progress = lambda _what, _share: None,
    answered: Sequence[Answered] = (),
) -> int:
    """Put sample tickets in the place of the current ones; returns how many. The last day is `until`, or yesterday.

    Some of them become those that runs `answered`.

    Raises Refused, Invalid, or Unavailable with nothing changed.
    """
    access.require(actor, "seed")
    progress("Writing sample tickets", 0.0)
    blocks = generated(count, days, seed, until=until or store.now().date() - dt.timedelta(days=1))
    made = put_frames(
        actor,
        (with_runs(block, answered) for block in blocks),
        source=SOURCE,
        verb="seed",
        progress=lambda done: progress(f"Writing {done:,} of {count:,} sample tickets", 0.9 * done / count),
    )
    progress(f"{made:,} sample tickets", 1.0)
    return made


def generate(count: int = 50_000, days: int = 548, seed: int = 7, *, until: dt.date) -> pd.DataFrame:
    """`count` tickets of the `days` days that end with `until`: the same for the same arguments.

    What lies after `until` has not happened yet: such tickets are open, or unanswered. Raises Invalid for no days.
    """
    return pd.concat(list(generated(count, days, seed, until=until)), ignore_index=True)


def with_runs(block: pd.DataFrame, answered: Sequence[Answered]) -> pd.DataFrame:
    """`block` with one ticket of the same topic and day, where there is one, made that which each run answered."""
    if not answered:
        return block
    made = block.reset_index(drop=True)
    created, taken = made["created_at"], np.zeros(len(made), dtype=bool)
    for one in answered:
        at = pd.Timestamp(one.at.astimezone(dt.UTC).replace(tzinfo=None)).floor("s")
        near = (created - at).abs().where((made["topic"] == one.topic) & ~taken)
        if near.isna().all() or near.min() > pd.Timedelta(days=1):
            continue
        place = int(near.argmin())
        taken[place] = True
        work = made["resolved_at"].iloc[place] - created.iloc[place]
        told: dict[str, Any] = {"created_at": at, "first_response_at": at + pd.Timedelta(seconds=4)}
        told |= {"resolved_at": at + (pd.Timedelta(minutes=3) if one.solved else work)}
        told |= {"channel": "chat", "subject": one.subject, "body": one.body, "run_id": one.run_id}
        told |= {"status": "solved"} if one.solved else {}
        for name, value in told.items():
            made.loc[made.index == place, name] = value
    return made


def generated(count: int, days: int, seed: int, *, until: dt.date) -> Iterator[pd.DataFrame]:
    """The tickets of `generate` in blocks, so that many need little memory."""
    if not 1 <= count <= 100_000_000 or not 1 <= days <= 10_000:
        raise Invalid("Sample tickets need 1 to 100,000,000 tickets over 1 to 10,000 days.")
    rng = np.random.default_rng(seed)
    start = dt.datetime.combine(until - dt.timedelta(days=days - 1), dt.time())
    day, topic, second = _arrivals(rng, count, days, start.weekday())
    for first in range(0, count, BLOCK):
        block = slice(first, first + BLOCK)
        yield _block(rng, first, start, days, day[block], topic[block], second[block])


def _block(
    rng: np.random.Generator, first: int, start: dt.datetime, days: int, day: Ints, topic: Ints, second: Ints
) -> pd.DataFrame:
    count = len(day)
    incident = _incidents(rng, day, topic, days)
    vendor = _vendors(rng, topic, incident)
    channel, priority = _pick(rng, _shares(CHANNELS), count), _pick(rng, _shares(PRIORITIES), count)
    wait = _first_response(rng, second + start.weekday() * DAY, channel, priority, vendor, incident)
    work = _work(rng, topic, vendor, priority, incident)
    end = days * DAY
    answered = (second + wait < end) & (rng.random(count) > 0.012)
    resolved = answered & (second + wait + work < end) & (rng.random(count) > 0.02)
    reopened = resolved & (rng.random(count) < _each(VENDORS, "reopened")[vendor] * np.where(incident >= 0, 2.5, 1.0))
    mood = _mood(rng, topic, vendor, wait, channel, incident, reopened)
    rated = resolved & (rng.random(count) < 0.32)
    language = _pick(rng, _shares(LANGUAGE_SHARES), count)
    subject, body = _words(rng, topic, language)
    frame = pd.DataFrame(
        {
            "ticket_id": [f"T{n:07d}" for n in range(first + 1, first + count + 1)],
            "created_at": _moments(start, second, np.ones(count, dtype=bool)),
            "first_response_at": _moments(start, second + wait, answered),
            "resolved_at": _moments(start, second + wait + work, resolved),
            "reopened": reopened,
            "channel": _named(tuple(CHANNELS), channel),
            "topic": _named([t.name for t in TOPICS], topic),
            "subtopic": _subtopics(rng, topic, incident),
            "product": _named([t.product for t in TOPICS], topic),
            "vendor": _named([v.name for v in VENDORS], vendor),
            "team": _named([t.team for t in TOPICS], topic),
            "priority": _named(tuple(PRIORITIES), priority),
            "status": np.select([resolved, answered], ["solved", "pending"], "new"),
            "language": _named(tuple(LANGUAGE_SHARES), language),
            "csat": np.where(rated, np.clip(np.rint(3.9 + 1.25 * mood), 1, 5), np.nan),
            "sentiment": np.round(np.clip(mood + rng.normal(0, 0.15, count), -1, 1), 2),
            "customer_tier": _named(tuple(TIERS), _pick(rng, _shares(TIERS), count)),
            "subject": subject,
            "body": body,
            "run_id": pd.Series([None] * count, dtype="str"),
            ATTRIBUTES: "{}",
        }
    )
    return frame[[*COLUMNS, ATTRIBUTES]]


def _arrivals(rng: np.random.Generator, count: int, days: int, first_weekday: int) -> tuple[Ints, Ints, Ints]:
    """Day, topic, and second since the beginning of each ticket, the oldest first."""
    age = np.linspace(0, 1, days)
    weekday = np.array([WEEKDAYS[(first_weekday + d) % 7] for d in range(days)])
    noise = np.exp(rng.normal(0, 0.05, days))
    season = 1 + 0.12 * np.sin(2 * np.pi * np.arange(days) / 365.25)
    weights = _each(TOPICS, "share")[None, :] * _each(TOPICS, "growth")[None, :] ** age[:, None]
    weights = weights * (weekday * noise * season * (1 + 0.25 * age))[:, None]
    for found in INCIDENTS:
        first = days - 1 - found.days_before_end
        weights[max(first, 0) : max(first + found.length, 0), _topic(found)] *= found.times
    flat = _pick(rng, weights.ravel(), count)
    day, topic = flat // len(TOPICS), flat % len(TOPICS)
    second = day * DAY + _pick(rng, np.array(HOURS, dtype=float), count) * HOUR + rng.integers(0, HOUR, count)
    order = np.argsort(second, kind="stable")
    return day[order], topic[order], second[order]


def _incidents(rng: np.random.Generator, day: Ints, topic: Ints, days: int) -> Ints:
    """The number of the incident that a ticket belongs to, or -1."""
    belongs = np.full(len(day), -1)
    for number, found in enumerate(INCIDENTS):
        first = days - 1 - found.days_before_end
        hit = (day >= first) & (day < first + found.length) & (topic == _topic(found))
        belongs[hit & (rng.random(len(day)) < 1 - 1 / found.times)] = number
    return belongs


def _vendors(rng: np.random.Generator, topic: Ints, incident: Ints) -> Ints:
    """Vendors by share; each takes more of some topics than of others, and an incident hits its own."""
    tilt = 1 + 0.5 * np.cos(np.arange(len(TOPICS))[:, None] + 2 * np.arange(len(VENDORS))[None, :])
    cumulative = np.cumsum(_each(VENDORS, "share")[None, :] * tilt, axis=1)
    cumulative /= cumulative[:, -1:]
    vendor = _whole((rng.random(len(topic))[:, None] > cumulative[topic]).sum(axis=1))
    names = [v.name for v in VENDORS]
    for number, found in enumerate(INCIDENTS):
        vendor[incident == number] = names.index(found.vendor)
    return vendor


def _first_response(
    rng: np.random.Generator, second: Ints, channel: Ints, priority: Ints, vendor: Ints, incident: Ints
) -> Ints:
    """Seconds until the first reply; nights and weekends are slower. `second` counts from a Monday."""
    hour, weekday = second // HOUR % 24, second // DAY % 7
    base = np.array([FIRST_RESPONSE_MINUTES[name] for name in CHANNELS])[channel] * MINUTE
    speed = np.array([PRIORITY_SPEED[name] for name in PRIORITIES])[priority]
    quiet = np.where((hour < 7) | (hour > 20), 1.6, 1.0) * np.where(weekday > 4, 1.4, 1.0)
    spread = np.exp(rng.normal(0, 0.7, len(second)))
    waits = base * speed * quiet * spread * _each(VENDORS, "slowness")[vendor] * _slowness(incident)
    return _whole(np.maximum(waits, 5))


def _work(rng: np.random.Generator, topic: Ints, vendor: Ints, priority: Ints, incident: Ints) -> Ints:
    """Seconds from the first reply to the resolution."""
    hours = _each(TOPICS, "hours")[topic] * np.array([PRIORITY_SPEED[name] for name in PRIORITIES])[priority]
    hours = hours * np.exp(rng.normal(0, 0.9, len(topic))) * _each(VENDORS, "slowness")[vendor] * _slowness(incident)
    return _whole(np.maximum(hours * HOUR, 60))


def _mood(
    rng: np.random.Generator,
    topic: Ints,
    vendor: Ints,
    wait: Ints,
    channel: Ints,
    incident: Ints,
    reopened: npt.NDArray[np.bool_],
) -> Floats:
    """How a customer feels afterwards, about -1 to 1: waiting longer than usual for the channel costs most."""
    usual = np.array([FIRST_RESPONSE_MINUTES[name] for name in CHANNELS])[channel] * MINUTE
    late = np.log2(1 + wait / usual) - 1
    blame = np.concatenate([[found.rating for found in INCIDENTS], [0.0]])[incident]
    felt = 0.45 + 0.5 * _each(TOPICS, "mood")[topic] + 0.6 * _each(VENDORS, "rating")[vendor] - 0.3 * late
    return np.asarray(felt + 0.5 * blame - 0.5 * reopened + rng.normal(0, 0.4, len(topic)))


def _slowness(incident: Ints) -> Floats:
    return np.array([*(found.slowness for found in INCIDENTS), 1.0])[incident]


def _subtopics(rng: np.random.Generator, topic: Ints, incident: Ints) -> pd.Categorical[str]:
    names = [name for t in TOPICS for name in t.subtopics]
    first = np.cumsum([0, *(len(t.subtopics) for t in TOPICS)])
    width = np.array([len(t.subtopics) for t in TOPICS])[topic]
    codes = first[topic] + np.minimum((rng.random(len(topic)) ** 1.4 * width).astype(np.int64), width - 1)
    for number, found in enumerate(INCIDENTS):
        codes[incident == number] = first[_topic(found)] + TOPICS[_topic(found)].subtopics.index(found.subtopic)
    return _named(names, codes)


def _words(rng: np.random.Generator, topic: Ints, language: Ints) -> tuple[list[str], list[str]]:
    chosen = rng.random((3, len(topic))).tolist()
    order, waited = rng.integers(1000, 99999, len(topic)).tolist(), rng.integers(2, 21, len(topic)).tolist()
    cents = rng.integers(499, 24999, len(topic)).tolist()
    subjects, bodies = [], []
    spoken = tuple(LANGUAGE_SHARES)
    for i, (t, code) in enumerate(zip(topic.tolist(), language.tolist(), strict=True)):
        name, tongue = TOPICS[t].name, spoken[code]
        filled = {"order": order[i], "days": waited[i], "amount": f"{cents[i] / 100:.2f} €"}
        subjects.append(_one(SUBJECTS[name][tongue], chosen[0][i]).format_map(filled))
        text = _one(BODIES[name][tongue], chosen[1][i]).format_map(filled)
        bodies.append(f"{text} {_one(CLOSINGS[tongue], chosen[2][i])}")
    return subjects, bodies


def _one(texts: tuple[str, ...], at: float) -> str:
    return texts[int(at * len(texts))]


def _pick(rng: np.random.Generator, weights: Floats, count: int) -> Ints:
    cumulative = np.cumsum(weights)
    found = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    return _whole(np.minimum(found, len(weights) - 1))


def _moments(start: dt.datetime, seconds: Ints, happened: npt.NDArray[np.bool_]) -> pd.Series[Any]:
    moments = pd.Series(np.datetime64(start, "us") + (seconds * 1_000_000).astype("timedelta64[us]"))
    return moments.where(pd.Series(happened))


def _named(names: Sequence[str], codes: Ints) -> pd.Categorical[str]:
    unique = list(dict.fromkeys(names))
    positions = np.array([unique.index(name) for name in names], dtype=np.int64)
    return pd.Categorical.from_codes(positions[codes], pd.Index(unique))


def _whole(numbers: npt.NDArray[Any]) -> Ints:
    return np.asarray(numbers, dtype=np.int64)


def _shares(table: dict[str, float]) -> Floats:
    return np.array(list(table.values()))


def _each(things: Sequence[Topic] | Sequence[Vendor], field: str) -> Floats:
    return np.array([getattr(thing, field) for thing in things], dtype=float)


def _topic(incident: Incident) -> int:
    return [t.name for t in TOPICS].index(incident.topic)
