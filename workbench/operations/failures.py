"""Why runs fail, in figures: shares by cause and flow, release or topic; over time; and where the seconds go."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import func
from sqlmodel import col, select

from workbench import traces
from workbench.errors import Invalid, NotFound
from workbench.evals.backtests import TRIALS
from workbench.evals.statistics import Rate, rate
from workbench.store import session
from workbench.store.tables import Cause, Run
from workbench.tickets import source

By = Literal["flow", "release", "topic"]
BYS: tuple[By, ...] = get_args(By)

SMALL = 20
"""A share of fewer runs than this says little, and is greyed."""

SAMPLE = 300
"""So many of the newest runs are looked into for where their seconds went."""

NO_TOPIC = "(no ticket)"
BETWEEN = "between the steps"
PARTS = ("model", "tools", "guardrail holds", "search", BETWEEN)
AT_ONCE = 500

_SEARCH = "search_knowledge"


@dataclass(frozen=True)
class Period:
    """Which runs are meant: those since a moment, of one flow or of all. Trials are never among them."""

    since: dt.datetime
    flow: str = ""


@dataclass(frozen=True)
class Share:
    """How many of a group's runs have a cause; `group` is a flow, a release of a flow, or a topic."""

    cause: str
    group: str
    share: Rate

    @property
    def small(self) -> bool:
        """Whether there are too few runs for the share to say much."""
        return self.share.total < SMALL


@dataclass(frozen=True)
class Overview:
    """Runs and failed runs of a period: each run once, however many causes it has; and the share of each cause."""

    failed: Rate
    causes: tuple[Share, ...]


@dataclass(frozen=True)
class Behind:
    """A run behind a figure, and why it has the cause."""

    run_id: str
    question: str
    flow: str
    outcome: str
    started_at: dt.datetime
    why: str
    by: str


@dataclass(frozen=True)
class Seconds:
    """Where the time of a flow's runs went: mean seconds a run by part, of `runs` runs; steps side by side count each."""

    flow: str
    runs: int
    mean: Mapping[str, float]

    @property
    def most(self) -> str:
        """The part that takes the most."""
        return max(self.mean, key=lambda part: self.mean[part])


def overview(period: Period) -> Overview:
    """How many runs failed, and the share of each cause, the most frequent first."""
    total = _total(period)
    with session() as open_session:
        asked = select(func.count(func.distinct(Cause.run_id))).join(Run, col(Run.id) == col(Cause.run_id))
        failed = int(open_session.exec(asked.where(*_fits(period))).one())
        counted = (
            select(Cause.cause, func.count())
            .join(Run, col(Run.id) == col(Cause.run_id))
            .where(*_fits(period))
            .group_by(Cause.cause)
        )
        counts = {cause: int(count) for cause, count in open_session.exec(counted)}
    shares = [Share(cause, "", rate(count, total)) for cause, count in counts.items()]
    return Overview(rate(failed, total), tuple(sorted(shares, key=lambda one: (-one.share.passed, one.cause))))


def shares(period: Period, by: By) -> list[Share]:
    """The share of each cause in each flow, release or topic, the worst first; well-founded shares before small ones.

    Raises Invalid for another grouping.
    """
    if by not in BYS:
        raise Invalid(f"Failures cannot be grouped by {by!r}.", remedy=f"Use {', '.join(BYS)}.")
    pairs, totals = _by_topic(period) if by == "topic" else _by_flow(period, releases=by == "release")
    found = [Share(cause, group, rate(count, totals[group])) for (cause, group), count in pairs.items()]
    return sorted(found, key=lambda one: (one.small, -one.share.value, -one.share.total, one.cause, one.group))


def over_time(period: Period) -> list[dict[str, Any]]:
    """Runs with each cause on each day: `day`, `cause`, `runs`; days in UTC, days without a run with it left out."""
    with session() as open_session:
        asked = select(Cause.cause, Run.started_at).join(Run, col(Run.id) == col(Cause.run_id)).where(*_fits(period))
        counts = Counter((at.date(), cause) for cause, at in open_session.exec(asked))
    return [{"day": day, "cause": cause, "runs": count} for (day, cause), count in sorted(counts.items())]


def behind(period: Period, share: Share, by: By, limit: int = 50) -> list[Behind]:
    """The newest runs behind a share."""
    asked = (
        select(Run, Cause)
        .join(Cause, col(Run.id) == col(Cause.run_id))
        .where(*_fits(period), Cause.cause == share.cause)
        .order_by(col(Run.started_at).desc(), col(Run.id))
    )
    topics = _topics(period) if by == "topic" else {}
    found: list[Behind] = []
    with session() as open_session:
        for run, cause in open_session.exec(asked):
            group = topics.get(run.id, NO_TOPIC) if by == "topic" else _group(run, releases=by == "release")
            if share.group in ("", group):
                found.append(Behind(run.id, run.question, run.flow, run.outcome, run.started_at, cause.note, cause.by))
            if len(found) == limit:
                break
    return found


def seconds(period: Period, limit: int = SAMPLE) -> list[Seconds]:
    """Where the seconds of the newest runs went, by flow, the slowest first."""
    with session() as open_session:
        asked = select(Run.id, Run.flow).where(*_fits(period), Run.seconds > 0)
        newest = open_session.exec(asked.order_by(col(Run.started_at).desc(), col(Run.id)).limit(limit)).all()
    sums: dict[str, Counter[str]] = {}
    runs = Counter(flow for _, flow in newest)
    for run_id, flow in newest:
        try:
            sums.setdefault(flow, Counter()).update(parts(traces.record(run_id)))
        except NotFound:
            continue
    found = [
        Seconds(flow, runs[flow], {part: taken[part] / runs[flow] for part in PARTS}) for flow, taken in sums.items()
    ]
    return sorted(found, key=lambda one: -sum(one.mean.values()))


def parts(record: Mapping[str, Any]) -> dict[str, float]:
    """The seconds of one run by part: models, tools, waiting for guardrails, searching, and what is left of its time."""
    taken = dict.fromkeys(PARTS, 0.0)
    for call in record["calls"]:
        if call["kind"] == "model":
            taken["model"] += call["seconds"]
        else:
            taken["search" if call["name"] == _SEARCH else "tools"] += max(0.0, call["seconds"] - call["held"])
            taken["guardrail holds"] += call["held"]
    taken["guardrail holds"] += (record.get("reply_waited") or {}).get("seconds", 0.0)
    taken[BETWEEN] = max(0.0, record["seconds"] - sum(taken.values()))
    return taken


def _fits(period: Period) -> list[Any]:
    fits = [col(Run.started_at) >= period.since, col(Run.source).not_in(TRIALS)]
    return [*fits, col(Run.flow) == period.flow] if period.flow else fits


def _total(period: Period) -> int:
    with session() as open_session:
        return int(open_session.exec(select(func.count()).select_from(Run).where(*_fits(period))).one())


def _group(run: Any, *, releases: bool) -> str:
    return f"{run.flow} {run.version}".rstrip() if releases else str(run.flow)


Counts = tuple[Counter[tuple[str, str]], Counter[str]]
"""How many runs have a cause in a group, and how many runs a group has."""


def _by_flow(period: Period, *, releases: bool) -> Counts:
    pairs: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    with session() as open_session:
        all_runs = select(Run.flow, Run.version, func.count()).where(*_fits(period)).group_by(Run.flow, Run.version)
        for flow, version, count in open_session.exec(all_runs):
            totals[f"{flow} {version}".rstrip() if releases else flow] += int(count)
        tagged = (
            select(Cause.cause, Run.flow, Run.version, func.count())
            .join(Run, col(Run.id) == col(Cause.run_id))
            .where(*_fits(period))
            .group_by(Cause.cause, Run.flow, Run.version)
        )
        for cause, flow, version, count in open_session.exec(tagged):
            pairs[cause, f"{flow} {version}".rstrip() if releases else flow] += int(count)
    return pairs, totals


def _by_topic(period: Period) -> Counts:
    topics = _topics(period)
    with session() as open_session:
        asked = select(Cause.cause, Cause.run_id).join(Run, col(Run.id) == col(Cause.run_id)).where(*_fits(period))
        pairs = Counter((cause, topics.get(run_id, NO_TOPIC)) for cause, run_id in open_session.exec(asked))
    totals = Counter(topics.values())
    totals[NO_TOPIC] = _total(period) - totals.total()
    return pairs, totals


def _topics(period: Period) -> dict[str, str]:
    """The topic of each run of the period that is a ticket's; none where no tickets are loaded."""
    try:
        rows = source.fetch("select run_id, any_value(topic) as topic from ticket where run_id <> '' group by run_id")
    except NotFound:
        return {}
    named = {str(run_id): str(topic or "(none)") for run_id, topic in zip(rows["run_id"], rows["topic"], strict=True)}
    return {run_id: named[run_id] for run_id in _there(period, list(named))}


def _there(period: Period, run_ids: Sequence[str]) -> Iterable[str]:
    """Those of the ids that are runs of the period."""
    with session() as open_session:
        for at in range(0, len(run_ids), AT_ONCE):
            asked = select(Run.id).where(*_fits(period), col(Run.id).in_(run_ids[at : at + AT_ONCE]))
            yield from open_session.exec(asked)
