"""Statistics whose unit is the case."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A share of cases with its interval, all from 0 to 1."""

    passed: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share; 0 where there is no case."""
        return self.passed / self.total if self.total else 0.0

    def __str__(self) -> str:
        if not self.total:
            return "no scored case"
        return f"{100 * self.value:.0f} % of {self.total} (95 % interval {self.interval})"

    @property
    def interval(self) -> str:
        """The interval as a person reads it: `49 to 94 %`."""
        return f"{100 * self.low:.0f} to {100 * self.high:.0f} %"


def rate(passed: int, total: int, z: float = 1.959963984540054) -> Rate:
    """The share with its score interval (Wilson 1927, JASA 22:209-212); `z` is the normal quantile, default 95 %."""
    if total == 0:
        return Rate(0, 0, 0.0, 1.0)
    share = passed / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low = 0.0 if passed == 0 else (centre - spread) / scale
    high = 1.0 if passed == total else (centre + spread) / scale
    return Rate(passed, total, low, high)
