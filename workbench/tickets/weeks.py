"""The weeks and days that a brief can be about. Weeks begin on Monday (ISO 8601); days are UTC."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from workbench.errors import Invalid
from workbench.tickets import trends

DAY = dt.timedelta(days=1)
MOST = 105


@dataclass(frozen=True)
class Period:
    """The days `start` to `end`, both within it, and how they are called: `2026-W47`, or a day's date."""

    name: str
    start: dt.date
    end: dt.date

    @property
    def said(self) -> str:
        """The period in words."""
        if self.start == self.end:
            return f"{self.start:%A, %-d %b %Y}"
        return f"Week {self.start.isocalendar().week}, {self.start:%-d %b} to {self.end:%-d %b %Y}"


def week(day: dt.date) -> Period:
    """The week of a day."""
    year, number, weekday = day.isocalendar()
    start = day - (weekday - 1) * DAY
    return Period(f"{year}-W{number:02d}", start, start + 6 * DAY)


def single(day: dt.date) -> Period:
    """One day."""
    return Period(day.isoformat(), day, day)


def day(name: str) -> Period | None:
    """The day called so, such as `2026-11-20`; None where it is no day."""
    try:
        return single(dt.date.fromisoformat(name)) if "W" not in name else None
    except ValueError:
        return None


def named(name: str) -> Period:
    """The week or day called so. Raises Invalid."""
    try:
        if found := re.fullmatch(r"(\d{4})-W(\d{2})", name.strip()):
            return week(dt.date.fromisocalendar(int(found[1]), int(found[2]), 1))
        return single(dt.date.fromisoformat(name.strip()))
    except ValueError:
        raise Invalid(f"{name!r} is no week.", remedy="Write it as 2026-W47; a day as 2026-11-20.") from None


def latest() -> Period:
    """The newest week that the tickets cover whole, or that of the newest ticket. Raises NotFound without tickets."""
    last = trends.freshness().last.date()
    found = week(last)
    before = week(found.start - DAY)
    return found if last >= found.end or before.start < trends.freshness().first.date() else before


def known() -> list[Period]:
    """The weeks in which there are tickets, the newest first, at most two years. Raises NotFound without tickets."""
    fresh = trends.freshness()
    found: list[Period] = []
    at = week(fresh.last.date())
    while at.end >= fresh.first.date() and len(found) < MOST:
        found.append(at)
        at = week(at.start - DAY)
    return found
