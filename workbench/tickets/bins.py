"""Quantiles out of counted bins: the bin in which the rank lies, and how far into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.tickets import rollups

Array = np.ndarray[Any, Any]
Z = 1.96
"""Standard errors on each side of an interval of 95 %."""
SIDES = {"value": 0, "low": -1, "high": 1}
"""How many of them the ends of the interval are away."""


def starts(columns: Sequence[Array]) -> Array:
    """Where in sorted rows a new group begins: that of the first row, and of each that is unlike the one before."""
    new = np.ones(len(columns[0]), dtype=bool)
    new[1:] = False
    for column in columns:
        data, empty = np.ma.getdata(column), np.ma.getmaskarray(column)
        new[1:] |= (empty[1:] != empty[:-1]) | ((data[1:] != data[:-1]) & ~empty[1:])
    return np.flatnonzero(new)


def sizes(held: Array, first: Array) -> Array:
    """How many tickets each group has, when `held` lie in each bin and groups begin at `first`."""
    return np.add.reduceat(held, first)


def quantiles(bins: Array, held: Array, first: Array, quantile: float) -> Mapping[str, Array]:
    """A duration's quantile in each group and the interval of 95 % that order statistics give it, in microseconds."""
    n, upto = sizes(held, first), np.cumsum(held)
    before = upto[first] - held[first]
    spread = np.sqrt(n * quantile * (1 - quantile))
    found = {}
    for name, side in SIDES.items():
        rank = np.clip(quantile * (n - 1) + 0.5 + side * Z * spread, 0.5, n - 0.5)
        at = np.searchsorted(upto, rank + before)
        into = (rank - (upto[at] - held[at] - before)) / held[at]
        found[name] = 2.0 ** ((bins[at] + into) / rollups.PER_OCTAVE) * 1e6
    return found
