"""What groups would show if all had the same mix of work: a fixed-effects regression on cell sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Standing:
    """One group's mean of a value: as counted, and with everybody's mix of work; each with its 95 % interval.

    `n` measured tickets, of which `comparable` are of a kind that another group handles too. The adjusted figures are
    None where the group shares no kind of ticket with the others.
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


@dataclass(frozen=True)
class Standings:
    """All groups, the overall mean that they are held against, and `spread`: the deviation of single tickets within a kind."""

    groups: tuple[Standing, ...]
    mean: float
    spread: float


def standings(cells: pd.DataFrame) -> Standings:
    """Each group's mean, raw and adjusted to the mix of all, from sums by cell.

    `cells` has the columns label, stratum (the kind of ticket), n, total and squares: how many values, their sum, and the
    sum of their squares. The model is value = effect of the stratum + effect of the group, by least squares (the within
    or fixed-effects estimator, Wooldridge, *Econometric Analysis of Cross Section and Panel Data*, 10.5); the adjusted
    mean of a group is the overall mean plus its effect less the mean effect. Intervals are normal, with White's
    heteroskedasticity-consistent variance, so that rates and ratings need no equal variances. Groups that are linked by
    no stratum cannot be compared: those outside the largest linked set have no adjusted mean.
    """
    cells = cells[cells["n"] > 0]
    if cells.empty:
        return Standings((), float("nan"), float("nan"))
    labels, group = np.unique(cells["label"].to_numpy(dtype=str), return_inverse=True)
    _, stratum = np.unique(cells["stratum"].to_numpy(dtype=str), return_inverse=True)
    n, total, squares = (cells[name].to_numpy(dtype=float) for name in ("n", "total", "squares"))
    linked = _largest(group, stratum, n, len(labels))
    shared = _sum(stratum, (n > 0).astype(float))[stratum] > 1
    inside = linked[group]
    effects, variance, residual = _fit(
        group[inside], stratum[inside], n[inside], total[inside], squares[inside], linked
    )
    counted = _sum(group, n, len(labels))
    weights = np.where(linked, counted, 0.0) / counted[linked].sum()
    mean = float(total[inside].sum() / n[inside].sum())
    base = residual**2 / n[inside].sum()
    comparable = _sum(group, np.where(shared & inside, n, 0.0), len(labels))
    rows = []
    for i, label in enumerate(labels):
        mine = group == i
        raw, low, high = _plain(n[mine].sum(), total[mine].sum(), squares[mine].sum())
        contrast = (np.arange(len(labels)) == i) - weights
        known = bool(linked[i]) and comparable[i] > 0
        adjusted = mean + float(contrast @ effects) if known else None
        error = float(np.sqrt(max(contrast @ variance @ contrast, 0.0) + base))
        rows.append(
            Standing(
                label=str(label),
                n=int(counted[i]),
                comparable=int(comparable[i]),
                raw=raw,
                raw_low=low,
                raw_high=high,
                adjusted=adjusted,
                low=None if adjusted is None else adjusted - Z * error,
                high=None if adjusted is None else adjusted + Z * error,
            )
        )
    return Standings(tuple(rows), mean, residual)


def limits(overall: Standings, n: Floats, z: float) -> tuple[Floats, Floats]:
    """Between which values a group of `n` tickets lies by chance alone, for a normal quantile `z`.

    The control limits of a funnel plot: Spiegelhalter, *Funnel plots for comparing institutional performance*,
    Statistics in Medicine 24 (2005), with the deviation within kinds of tickets.
    """
    half = z * overall.spread / np.sqrt(np.maximum(n, 1.0))
    return overall.mean - half, overall.mean + half


def _largest(
    group: npt.NDArray[np.intp], stratum: npt.NDArray[np.intp], n: Floats, groups: int
) -> npt.NDArray[np.bool_]:
    """Which groups belong to the set with most tickets among those that strata link."""
    table = np.zeros((int(stratum.max()) + 1, groups))
    table[stratum, group] = 1
    reached = table.T @ table > 0
    while not np.array_equal(reached, further := reached.astype(float) @ reached > 0):
        reached = further
    return np.asarray(reached[np.argmax(reached @ _sum(group, n, groups))])


def _fit(
    group: npt.NDArray[np.intp],
    stratum: npt.NDArray[np.intp],
    n: Floats,
    total: Floats,
    squares: Floats,
    linked: npt.NDArray[np.bool_],
) -> tuple[Floats, Floats, float]:
    """The effects of the groups, their covariance, and the deviation of single values from the fit."""
    groups = len(linked)
    strata, stratum = np.unique(stratum, return_inverse=True)
    table = np.zeros((len(strata), groups))
    np.add.at(table, (stratum, group), n)
    sizes = table.sum(axis=1)
    shares = table / sizes[:, None]
    normal = np.diag(table.sum(axis=0)) - table.T @ shares
    means = _sum(stratum, total, len(strata)) / sizes
    inverse = np.linalg.pinv(normal, hermitian=True)
    effects = inverse @ _sum(group, total - n * means[stratum], groups)
    fitted = means[stratum] + effects[group] - (shares @ effects)[stratum]
    errors = np.maximum(squares - 2 * fitted * total + n * fitted**2, 0.0)
    regressors = np.eye(groups)[group] - shares[stratum]
    freedom = max(float(n.sum()) - len(strata) - int(linked.sum()) + 1, 1.0)
    meat = (regressors * errors[:, None]).T @ regressors * (n.sum() / freedom)
    return effects, inverse @ meat @ inverse, float(np.sqrt(errors.sum() / freedom))


def _plain(n: float, total: float, squares: float) -> tuple[float, float, float]:
    """A mean and its 95 % interval; without width where there is one value."""
    mean = float(total / n)
    deviation = np.sqrt(max(squares - n * mean**2, 0.0) / max(n - 1, 1.0))
    half = float(Z * deviation / np.sqrt(n))
    return mean, mean - half, mean + half


def _sum(index: npt.NDArray[np.intp], values: Floats, length: int | None = None) -> Floats:
    return np.bincount(index, weights=values, minlength=length or 0).astype(np.float64)
