"""What tickets there are: how many, of which time, with which values; found once until they change."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from workbench.tickets import rollups, source
from workbench.tickets.columns import DIMENSIONS
from workbench.tickets.measure import label

FACET_VALUES = 500
"""So many values of a dimension are told, the most frequent ones."""


@lru_cache(maxsize=4)
def extent(_signature: source.Signature) -> tuple[int, dt.datetime, dt.datetime]:
    """How many tickets, and when the first and the last were created (UTC)."""
    row = source.records("SELECT tickets, first, last FROM newest")[0]
    return row["tickets"], row["first"].replace(tzinfo=dt.UTC), row["last"].replace(tzinfo=dt.UTC)


@lru_cache(maxsize=4)
def with_runs(_signature: source.Signature) -> bool:
    """Whether any ticket names a run."""
    if rollups.ALL in source.cubes():
        sql = f"SELECT sum(with_run) > 0 AS any FROM {rollups.table('created', rollups.ALL)}"
    else:
        sql = "SELECT count(run_id) > 0 AS any FROM ticket"
    return bool(source.records(sql)[0]["any"])


@lru_cache(maxsize=4)
def facets(_signature: source.Signature) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each dimension with its values, the most frequent first."""
    found: dict[str, list[str]] = {name: [] for name in DIMENSIONS}
    if source.cubes():
        for row in source.records(f"SELECT dimension, {label('value')} AS label FROM facet ORDER BY tickets DESC, 2"):
            found[row["dimension"]].append(str(row["label"]))
    return tuple((name, tuple(values[:FACET_VALUES]) or _values(name)) for name, values in found.items())


def _values(name: str) -> tuple[str, ...]:
    """The values of a dimension, the most frequent first, counted ticket by ticket."""
    sql = f"SELECT {label(name)} AS label FROM ticket GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {FACET_VALUES}"
    return tuple(str(row["label"]) for row in source.records(sql))
