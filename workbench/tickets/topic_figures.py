"""Topics as managers read them: share, growth, CSAT, resolution and reopening of each, by the metrics of the metrics file."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from workbench.tickets import detectors, measure, source, topics
from workbench.tickets.columns import FOUND, NONE
from workbench.tickets.measure import Asked
from workbench.tickets.metrics import get
from workbench.tickets.topics import Topic
from workbench.tickets.trends import Filters, window

BESIDE = ("csat", "resolution", "reopened")
"""Metrics that stand beside the number of tickets."""

UNASSIGNED = "No topic"
"""How tickets without a topic are called."""


def figures(filters: Filters) -> pd.DataFrame:
    """A row for each topic and for the tickets without one, the largest first.

    Columns: topic, tickets, share and share_before (percent of all tickets of the period), tickets_before, growth (percent
    against the equally long period before; both empty without one), csat, resolution (h), reopened (percent), and for each
    of these `few_` whether it rests on too few tickets. The tickets add up to all of the period. Raises NotFound without
    tickets.
    """
    days = window(filters)
    now = measure.measure(
        [get(name) for name in ("volume", *BESIDE)], Asked(days.start, days.end, filters.where, by=("found_topic",))
    ).rows
    before = measure.measure(
        [get("volume")], Asked(days.before, days.until_before, filters.where, by=("found_topic",))
    ).rows
    rows: dict[str, dict[str, object]] = {}
    for one in now:
        row = rows.setdefault(str(one["found_topic"]), {})
        name = str(one["metric"])
        row["tickets" if name == "volume" else name] = one["value"]
        row[f"few_{name}"] = one["n"] < get(name).minimum
    earlier = {str(one["found_topic"]): int(one["tickets"]) for one in before}
    for label in earlier:
        rows.setdefault(label, {"tickets": 0})
    columns = ["tickets", *BESIDE, *(f"few_{name}" for name in BESIDE)]
    frame = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    frame.insert(0, "topic", frame.index)
    frame["tickets"] = frame["tickets"].fillna(0).astype("int64")
    frame["share"] = 100 * frame["tickets"] / max(1, int(frame["tickets"].sum()))
    frame["tickets_before"] = [earlier.get(str(label), 0) for label in frame.index]
    total = max(1, sum(earlier.values())) if days.comparable else float("nan")
    frame["share_before"] = 100 * frame["tickets_before"] / total
    known = frame["tickets_before"].where(days.comparable & (frame["tickets_before"] > 0))
    frame["growth"] = 100 * (frame["tickets"] / known - 1)
    frame["topic"] = frame["topic"].where(frame["topic"] != NONE, UNASSIGNED)
    frame["order"] = frame["tickets"].where(frame["topic"] != UNASSIGNED, -1)
    ordered = frame.sort_values(["order", "topic"], ascending=[False, True])
    return ordered.drop(columns="order").reset_index(drop=True)


def examples(topic: Topic, limit: int = 6) -> pd.DataFrame:
    """Tickets that show best what a topic is about: ticket_id, created_at, subject, body."""
    rows = source.fetch(
        "SELECT ticket_id, created_at, subject, body FROM ticket WHERE list_contains($ids::VARCHAR[], ticket_id)",
        {"ids": list(topic.examples)},
    )
    order = {identity: at for at, identity in enumerate(topic.examples)}
    return rows.sort_values("ticket_id", key=lambda ids: ids.map(order)).head(limit).reset_index(drop=True)


def newest(name: str, limit: int = 50) -> pd.DataFrame:
    """The newest tickets of a topic by its name: ticket_id, created_at, subject, csat, status."""
    return source.fetch(
        "SELECT ticket_id, created_at, subject, csat, status FROM ticket WHERE found_topic = $name OR found_subtopic = $name "
        "ORDER BY created_at DESC, ticket_id LIMIT $limit",
        {"name": name, "limit": limit},
    )


def watched() -> dict[str, str]:
    """The topics that a detector watches by themselves, by name, and the detector."""
    made: dict[str, str] = {}
    for one in detectors.detectors():
        narrowed = topics.followed(one.spec.where)
        if one.spec.metric == "volume" and set(narrowed) <= set(FOUND):
            made |= dict.fromkeys((value for values in narrowed.values() for value in values), one.name)
    return made


def assigned() -> tuple[int, int, dt.datetime | None]:
    """Tickets that have a topic, all tickets, and when topics were last found."""
    latest = topics.newest()
    row = source.records("SELECT count(found_topic) AS told, count(*) AS n FROM ticket")[0]
    return int(row["told"]), int(row["n"]), latest.made_at if latest else None
