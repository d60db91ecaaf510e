"""Which days words mean: `last week`, `since 1 May`, `Q3 2026`, seen from a given day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workbench.errors import Invalid

DAY = dt.timedelta(days=1)
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBERS = {
    word: n
    for n, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
} | {"a": 1, "an": 1, "couple": 2, "thirty": 30, "ninety": 90}


def _any(names: Iterable[str]) -> str:
    return "(?:" + "|".join(dict.fromkeys(form for name in names for form in (name, name[:4], name[:3]))) + ")"


_ISO = r"\d{4}-\d{1,2}-\d{1,2}"
_DAY = (
    rf"{_ISO}|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_any(MONTHS)}(?:,? \d{{4}})?"
    rf"|{_any(MONTHS)} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?(?!\d)|today|yesterday|(?:{'|'.join(DAYS)})"
)
ONE_DAY = f"(?:{_DAY})"
"""A day as people write it; no groups."""
_DATED = rf"{_DAY}|{_any(MONTHS)} \d{{4}}|q[1-4](?: \d{{4}})?|\d{{4}}-\d{{2}}|(?:19|20)\d{{2}}"
POINT = f"(?:{_DATED}|{_any(MONTHS)})"
"""A day, a month, a quarter or a year, as people write it; no groups."""
_BARE = f"(?:{_DATED}|{_any(name for name in MONTHS if name not in ('march', 'may'))})"
"""The same where no preposition leads to it: `may` and `march` are words of their own."""


@dataclass(frozen=True)
class Period:
    """Days `start` to `end`, both within it; None is the first or the last there is. `words` are those that said so."""

    start: dt.date | None
    end: dt.date | None
    words: str
    at: tuple[int, int]


def find(text: str, today: dt.date) -> Period | None:
    """The period that lower-case `text` names first, seen from the day `today`; None where it names none.

    Raises Invalid for days that lie ahead, or that no calendar has.
    """
    for pattern, meaning in _PATTERNS:
        if match := pattern.search(text):
            try:
                start, end = meaning(match, today)
            except (ValueError, OverflowError) as error:
                raise Invalid(f"There is no day {match[0]!r}.", remedy="Write it as 2026-05-31.") from error
            if start and start > today:
                raise Invalid(
                    f"{match[0].capitalize()} lies after the newest ticket ({today:%-d %b %Y}).",
                    remedy="Ask about a time that has tickets.",
                )
            if start and end and start > end:
                raise Invalid(f"The period {match[0]!r} ends before it begins.", remedy="Swap the two days.")
            return Period(start, end and min(end, today), match[0], match.span())
    return None


def point(words: str, today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day of a day, month, quarter or year in words; without a year the newest one that began.

    Raises ValueError for a day that no calendar has.
    """
    words = words.casefold()
    words = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", words.replace(",", " ").replace(" of ", " ")).strip()
    if words == "today":
        return today, today
    if words == "yesterday":
        return today - DAY, today - DAY
    if words in DAYS:
        day = today - (today.weekday() - DAYS.index(words)) % 7 * DAY
        return day, day
    if re.fullmatch(_ISO, words):
        day = dt.date(*map(int, words.split("-")))
        return day, day
    if found := re.fullmatch(r"(\d{4})-(\d{2})", words):
        return _month(int(found[1]), int(found[2]))
    if re.fullmatch(r"\d{4}", words):
        return dt.date(int(words), 1, 1), dt.date(int(words), 12, 31)
    parts = words.split()
    year = int(parts.pop()) if len(parts) > 1 and re.fullmatch(r"\d{4}", parts[-1]) else None
    if re.fullmatch(r"q[1-4]", parts[0]):
        return _latest(lambda y: _quarter(y, int(parts[0][1])), year, today)
    month = next(_named(part) for part in parts if part[0].isalpha())
    days = [int(part) for part in parts if part.isdigit()]
    if days:
        return _latest(lambda y: (dt.date(y, month, days[0]), dt.date(y, month, days[0])), year, today)
    return _latest(lambda y: _month(y, month), year, today)


def whole(which: str, unit: str, today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day of `this` week, month, quarter or year until today, or of the whole one before it."""
    first = _first_of(unit, today)
    if which in ("this", "current"):
        return first, today
    return _first_of(unit, first - DAY), first - DAY


def _latest(
    make: Callable[[int], tuple[dt.date, dt.date]], year: int | None, today: dt.date
) -> tuple[dt.date, dt.date]:
    if year is not None:
        return make(year)
    this = make(today.year)
    return this if this[0] <= today else make(today.year - 1)


def _named(word: str) -> int:
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word[:3]))


def _month(year: int, month: int) -> tuple[dt.date, dt.date]:
    first = dt.date(year, month, 1)
    return first, (first.replace(day=28) + 4 * DAY).replace(day=1) - DAY


def _quarter(year: int, quarter: int) -> tuple[dt.date, dt.date]:
    return dt.date(year, 3 * quarter - 2, 1), _month(year, 3 * quarter)[1]


def _number(word: str) -> int:
    return int(word) if word.isdigit() else NUMBERS[word]


def _back(match: re.Match[str], today: dt.date) -> tuple[dt.date, dt.date]:
    if not _number(match["n"] or "one"):
        raise Invalid(f"{match[0].capitalize()} is no time.", remedy="Ask about a time that has tickets.")
    days = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}[match["unit"]] * _number(match["n"] or "one")
    return today - (days - 1) * DAY, today


def _first_of(unit: str, day: dt.date) -> dt.date:
    if unit == "week":
        return day - day.weekday() * DAY
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return _quarter(day.year, (day.month + 2) // 3)[0]
    return dt.date(day.year, 1, 1)


def _between(match: re.Match[str], today: dt.date) -> tuple[dt.date, dt.date]:
    end = point(match["b"], today)
    start = point(match["a"], min(end[1], today))
    return start[0], end[1]


def _ahead(match: re.Match[str], _today: dt.date) -> tuple[dt.date | None, dt.date | None]:
    raise Invalid(
        f"{match[0].capitalize()} lies ahead; tickets tell what was.", remedy="Ask about a time that has tickets."
    )


Meaning = Callable[[re.Match[str], dt.date], tuple[dt.date | None, dt.date | None]]
_UNIT = r"(?P<unit>day|week|month|quarter|year)s?"
_COUNT = r"(?P<n>\d{1,4}|" + "|".join(NUMBERS) + ")"
_PATTERNS: tuple[tuple[re.Pattern[str], Meaning], ...] = tuple(
    (re.compile(rf"\b{pattern}\b"), meaning)
    for pattern, meaning in (
        (r"(?:next (?:day|week|month|quarter|year)s?|tomorrow)", _ahead),
        (rf"(?:between|from) (?P<a>{POINT}) (?:and|to|until|till|-) (?P<b>{POINT})", _between),
        (
            rf"(?:since|from|starting|after) (?P<a>{POINT})",
            lambda m, t: (point(m["a"], t)[m[0].startswith("after")] + m[0].startswith("after") * DAY, None),
        ),
        (rf"(?:until|till|through|up to) (?P<a>{POINT})", lambda m, t: (None, point(m["a"], t)[1])),
        (rf"before (?P<a>{POINT})", lambda m, t: (None, point(m["a"], t)[0] - DAY)),
        (rf"(?:in |over |during |for |within )?(?:the )?(?:last|past|previous|recent) {_COUNT} {_UNIT}", _back),
        (
            rf"(?:in |during |over )?(?:the )?(?P<which>this|current|last|previous|past) {_UNIT}(?! than)",
            lambda m, t: whole(m["which"], m["unit"], t) if m["unit"] != "day" else (t - DAY, t - DAY),
        ),
        (rf"(?:in|on|during|for|of|at) (?P<a>{POINT})", lambda m, t: point(m["a"], t)),
        (rf"(?P<a>{_BARE})", lambda m, t: point(m["a"], t)),
    )
)
