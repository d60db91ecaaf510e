"""Detectors: rules over a metric as data, kept in numbered versions; one goes live only after a backtest of that version."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import update
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.store import now, session
from workbench.store.engine import changed_elsewhere
from workbench.store.tables import DetectorRow, DetectorTest, DetectorVersion
from workbench.tickets import firing, history, metrics
from workbench.tickets.baseline import WEEK, Usual
from workbench.tickets.columns import dimension, nearest
from workbench.tickets.firing import Episode, Figures, History, Knobs, Known

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The least first."""

EVENTS: dict[str, str] = {
    "created_at": "when it was created",
    "first_response_at": "when it was first answered",
    "resolved_at": "when it was resolved",
}
HOLIDAYS = ("01-01", "12-24", "12-25", "12-26", "12-31")
KEYS = ("detector", "group", "metric", "area")
"""What may stand in braces in a dedupe key."""


class Detector(BaseModel):
    """A rule over a metric: what is measured, what is usual, and how far from it is worth a person's time.

    Hours are hours, `weeks` is the length of the history that tells what is usual, `threshold` is in units of the usual
    noise, `change` in percent. `lateness` is for how many hours after its end a window may still change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    detector: str = Field(pattern=r"^[a-z0-9][a-z0-9 -]{0,58}[a-z0-9]$")
    purpose: str = Field(default="", max_length=300)
    metric: str = "volume"
    where: Mapping[str, tuple[str, ...]] = {}
    by: str | None = None
    event: Literal["created_at", "first_response_at", "resolved_at"] = "created_at"
    window: int = Field(default=4, ge=1, le=336)
    slide: int = Field(default=1, ge=1, le=168)
    weeks: int = Field(default=8, ge=4, le=26)
    holidays: tuple[str, ...] = HOLIDAYS
    threshold: float = Field(default=5.0, ge=2, le=30)
    direction: Literal["up", "down", "both"] = "up"
    minimum: int = Field(default=8, ge=1, le=1_000_000)
    change: float = Field(default=50, ge=0, le=10_000)
    key: str = Field(default="{detector}/{group}", max_length=200)
    cooldown: int = Field(default=24, ge=1, le=2000)
    lateness: int = Field(default=6, ge=0, le=336)
    no_data: int = Field(default=0, ge=0, le=2000)
    severity: Severity = "medium"
    owner: str = Field(default="", max_length=100)
    area: str = Field(default="", max_length=100)
    escalate: int = Field(default=8, ge=0, le=2000)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, name: str) -> str:
        return metrics.get(name).name

    @field_validator("by")
    @classmethod
    def _known_dimension(cls, name: str | None) -> str | None:
        return dimension(name) if name else None

    @field_validator("where")
    @classmethod
    def _known_dimensions(cls, where: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        return {dimension(name): tuple(values) for name, values in where.items() if values}

    @field_validator("holidays")
    @classmethod
    def _days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        for day in days:
            try:
                dt.date.fromisoformat(day if len(day) > 5 else f"2024-{day}")
            except ValueError:
                raise Invalid(f"{day!r} is no day.", remedy="Write 12-25 for every year, or 2026-04-03.") from None
        return tuple(sorted(set(days)))

    @field_validator("key")
    @classmethod
    def _fillable(cls, key: str) -> str:
        if unknown := [name for name in re.findall(r"\{(.*?)\}", key) if name not in KEYS]:
            raise Invalid(f"The dedupe key has {{{unknown[0]}}}.", remedy=f"Use {', '.join(KEYS)} in braces.")
        return key

    @model_validator(mode="after")
    def _fits(self) -> Detector:
        if WEEK % self.slide:
            raise Invalid(
                "A week must hold a whole number of steps.", remedy="Look every 1, 2, 3, 4, 6, 8, 12 or 24 hours."
            )
        if self.slide > self.window:
            raise Invalid("Some tickets would be in no window.", remedy="Look at least once in each window.")
        return self

    @property
    def knobs(self) -> Knobs:
        """What decides whether a window fires."""
        return Knobs(self.threshold, self.direction, self.minimum, self.change, self.cooldown)

    def fingerprint(self, group: str) -> str:
        """The dedupe key of a group's firings."""
        filled = {"detector": self.detector, "group": group, "metric": self.metric, "area": self.area}
        return re.sub(r"\{(\w+)\}", lambda found: filled[found[1]], self.key)


@dataclass(frozen=True)
class Stored:
    """A detector as it is kept: its newest version, the number of the live one, and when somebody last changed it."""

    spec: Detector
    number: int
    changes: int
    live: int | None
    live_from: dt.datetime | None
    saved_by: str
    saved_at: dt.datetime

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.detector


@dataclass(frozen=True)
class Judged:
    """A detector on the tickets there are: what was measured, what was usual, and the firings."""

    history: History
    usual: Usual
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class Test:
    """A kept backtest of one version."""

    id: str
    detector: str
    number: int
    labels: str
    figures: dict[str, Any]
    run_by: str
    run_at: dt.datetime


def parse(body: Any) -> Detector:
    """A detector from its written form, or from YAML text. Raises Invalid naming the key and the nearest known one."""
    if isinstance(body, str):
        try:
            body = yaml.safe_load(body)
        except yaml.YAMLError as error:
            raise Invalid(f"This is not YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(body, Mapping):
        raise Invalid("A detector is a list of keys with values.", remedy="Begin with `detector: a name`.")
    try:
        return Detector.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(one) for one in first["loc"])
        if first["type"] == "extra_forbidden":
            raise Invalid(f"A detector has no {place!r}{nearest(place, Detector.model_fields)}.") from None
        if place == "detector":
            raise Invalid("A name has 2 to 60 small letters, digits, blanks and dashes.") from None
        raise Invalid(f"{place or 'The detector'}: {first['msg']}.") from None


def dump(spec: Detector) -> str:
    """A detector as YAML, defaults included."""
    return yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def words(spec: Detector) -> str:
    """What a detector does, in a sentence for somebody who knows no statistics."""
    metric = metrics.get(spec.metric)
    each = f", for each {_name(spec.by)} by itself" if spec.by else ""
    only = "; ".join(f"{_name(name)} {' or '.join(values)}" for name, values in spec.where.items())
    of = f" with {only}" if only and spec.metric == "volume" else f" of tickets with {only}" if only else ""
    way = {"up": "well above", "down": "well below", "both": "well above or below"}[spec.direction]
    least = f"at least {spec.change:g} % off" if spec.change else "any amount off"
    counted = metric.counts and spec.direction == "down"
    many = f"where at least {spec.minimum} {'are usual' if counted else 'tickets are there'}"
    return (
        f"Every {span(spec.slide)}, looks at {_quiet(metric.title)}{of} in the last {span(spec.window)}{each}. "
        f"Tells when it is {way} what is usual at this time of the week over the {spec.weeks} weeks before: "
        f"{spec.threshold:g} times the usual ups and downs, "
        f"{least}, {many}. More of the same within {_hours(spec.cooldown)} is the same alarm."
    )


def span(count: int) -> str:
    """So many hours after `every` or `the last`: `hour`, `4 hours`, `2 days`."""
    return _hours(count).removeprefix("one ")


def usually(spec_metric: str, value: float, expected: float, window: int) -> str:
    """A window's figure beside the usual one, as a manager says it: `usually 12 an hour at this time of the week, now 41`."""
    metric = metrics.get(spec_metric)
    if metric.counts:
        if window <= 6 and expected / window >= 1:
            return f"usually {expected / window:,.0f} an hour at this time of the week, now {value / window:,.0f}"
        shown = f"{expected:,.0f}" if expected >= 10 else f"{expected:,.1f}"
        return f"usually {shown} in {_hours(window)} at this time of the week, now {value:,.0f}"
    return f"usually {metrics.say(metric, expected)} at this time of the week, now {metrics.say(metric, value)}"


def save(actor: Actor, spec: Detector, *, changes: int | None = None) -> Stored:
    """Keep `spec` as a new version of its detector; `changes` is what the editor saw. Raises Refused or Conflict.

    A version equal to the newest one makes no new one. A live version stays live until another one goes live.
    """
    require(actor, "edit a detector")
    body = spec.model_dump(mode="json")
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(DetectorRow, spec.detector)
        if row is None:
            if changes is not None:
                raise NotFound(f"There is no detector {spec.detector} any more.")
            row = DetectorRow(name=spec.detector, made_by=actor.name)
        elif changes is None:
            raise Conflict(f"There is a detector called {spec.detector} already.", remedy="Choose another name.")
        else:
            if _version(open_session, spec.detector, row.number).spec == body:
                return _stored(open_session, row)
            _change(open_session, row, changes, number=row.number + 1)
        open_session.add(row)
        open_session.add(DetectorVersion(detector=row.name, number=row.number, spec=body, saved_by=actor.name))
        audit.append(open_session, actor, "edit a detector", row.name, {"version": row.number})
        open_session.flush()
        return _stored(open_session, row)


def detectors() -> list[Stored]:
    """All detectors, by name."""
    with session() as open_session:
        return [_stored(open_session, row) for row in open_session.exec(select(DetectorRow).order_by(DetectorRow.name))]


def detector(name: str) -> Stored:
    """The detector called `name`. Raises NotFound with the nearest one."""
    with session() as open_session:
        row = open_session.get(DetectorRow, name)
        if row is None:
            known = open_session.exec(select(DetectorRow.name)).all()
            raise NotFound(f"There is no detector {name!r}{nearest(name, known)}.")
        return _stored(open_session, row)


def version(name: str, number: int) -> Detector:
    """One version of a detector. Raises NotFound."""
    with session() as open_session:
        return Detector.model_validate(_version(open_session, name, number).spec)


def judge(spec: Detector) -> Judged:
    """`spec` on all tickets there are. Raises NotFound where there are none."""
    found = history.load(spec.metric, spec.where, spec.by, spec.event, window=spec.window, slide=spec.slide)
    against = history.usual(found, weeks=spec.weeks, holidays=spec.holidays)
    return Judged(found, against, tuple(firing.episodes(found, against, spec.knobs)))


def figures(spec: Detector, known: Sequence[Known]) -> Figures:
    """How the firings of `spec` compare with incidents that people know of. Nothing is kept."""
    judged = judge(spec)
    weeks = firing.judged_weeks(judged.history, judged.usual)
    first = firing.moment(int(judged.history.ends[0])) if len(judged.history.ends) else now()
    begin = first + dt.timedelta(weeks=spec.weeks + 1)
    inside = [one for one in known if one.end > begin]
    return firing.compare(judged.episodes, inside, by=spec.by, window=spec.window, weeks=weeks, where=spec.where)


def backtest(actor: Actor, name: str, known: Sequence[Known], *, labels: str, number: int | None = None) -> Test:
    """Run a version (default: the newest) over all history and keep what came of it. Raises Refused or NotFound."""
    require(actor, "edit a detector")
    number = number or detector(name).number
    found = figures(version(name, number), known)
    body = {
        **{key: value for key, value in asdict(found).items() if key != "matched"},
        "matched": [
            {"title": one.known.title, "start": one.known.start.isoformat(), "delay": one.delay}
            for one in found.matched[:200]
        ],
    }
    with session() as open_session:
        row = DetectorTest(
            id=f"test_{uuid.uuid4().hex[:16]}",
            detector=name,
            number=number,
            labels=labels,
            figures=body,
            run_by=actor.name,
        )
        open_session.add(row)
        told = {"version": number, "backtest": row.id, "firings": found.firings}
        audit.append(open_session, actor, "edit a detector", name, told)
        return _test(row)


def tests(name: str, number: int | None = None) -> list[Test]:
    """The kept backtests of a detector, or of one version, newest first."""
    query = select(DetectorTest).where(DetectorTest.detector == name).order_by(col(DetectorTest.run_at).desc())
    with session() as open_session:
        rows = open_session.exec(query if number is None else query.where(DetectorTest.number == number))
        return [_test(row) for row in rows]


def go_live(actor: Actor, name: str, *, changes: int, since: dt.datetime | None = None) -> Stored:
    """Watch new tickets with the newest version, from now on or from `since`. Raises Refused without a backtest of it."""
    require(actor, "edit a detector")
    with session() as open_session:
        audit.lock(open_session)
        row = _row(open_session, name)
        mine = select(DetectorTest.id).where(DetectorTest.detector == name, DetectorTest.number == row.number)
        if open_session.exec(mine.limit(1)).first() is None:
            raise Refused(
                f"Version {row.number} of {name} has not been backtested.",
                remedy="Backtest it first, so that everybody knows how often it would have told.",
            )
        _change(open_session, row, changes, live=row.number, live_from=since or history.newest())
        audit.append(open_session, actor, "edit a detector", name, {"live": row.number})
        return _stored(open_session, row)


def pause(actor: Actor, name: str, *, changes: int) -> Stored:
    """Stop watching. Raises Refused, NotFound or Conflict."""
    require(actor, "edit a detector")
    with session() as open_session:
        audit.lock(open_session)
        row = _row(open_session, name)
        _change(open_session, row, changes, live=None, live_from=None)
        audit.append(open_session, actor, "edit a detector", name, {"live": None})
        return _stored(open_session, row)


def _change(open_session: Session, row: DetectorRow, changes: int, **values: Any) -> None:
    """Write `values`, where nobody has changed the row since the editor saw it."""
    done = open_session.execute(
        update(DetectorRow)
        .where(col(DetectorRow.name) == row.name, col(DetectorRow.changes) == changes)
        .values(changes=changes + 1, **values)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        raise changed_elsewhere(f"The detector {row.name}")
    open_session.refresh(row)


def _row(open_session: Session, name: str) -> DetectorRow:
    row = open_session.get(DetectorRow, name)
    if row is None:
        raise NotFound(f"There is no detector {name!r}.")
    return row


def _version(open_session: Session, name: str, number: int) -> DetectorVersion:
    found = open_session.get(DetectorVersion, (name, number))
    if found is None:
        raise NotFound(f"There is no version {number} of the detector {name!r}.")
    return found


def _stored(open_session: Session, row: DetectorRow) -> Stored:
    newest = _version(open_session, row.name, row.number)
    spec = Detector.model_validate(newest.spec)
    return Stored(spec, row.number, row.changes, row.live, row.live_from, newest.saved_by, newest.saved_at)


def _test(row: DetectorTest) -> Test:
    return Test(row.id, row.detector, row.number, row.labels, dict(row.figures), row.run_by, row.run_at)


def _hours(count: int) -> str:
    if count == 1:
        return "one hour"
    if count % 24 == 0:
        return "one day" if count == 24 else f"{count // 24} days"
    return f"{count} hours"


def _quiet(title: str) -> str:
    return title if title.isupper() else title.lower()


def _name(column: str) -> str:
    return column.replace("_", " ")
