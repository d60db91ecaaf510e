"""What a text mentions: amounts, numbers, codes, dates, times and addresses. Pure functions of text."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from workbench.runtime.offline.matching import ID_WORDS, STOP, fold, word_set, words


@dataclass(frozen=True)
class Mention:
    """A number or a code in a text, with the words beside it (nearest first)."""

    kind: Literal["money", "number", "code", "count"]
    text: str
    value: float | None
    start: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    marked: bool = False

    @property
    def whole(self) -> bool:
        """Whether the number has no fraction."""
        return self.value is not None and self.value == int(self.value)

    @property
    def identifies(self) -> bool:
        """Whether this looks like the name of one thing: a code, "#7", or a number of four digits or more."""
        return self.kind == "code" or self.marked or (self.kind == "number" and self.whole and len(self.text) > 3)


@dataclass(frozen=True)
class DateMention:
    """A date in a text, written as ISO."""

    iso: str
    start: int
    end: int
    clock: str = ""


@lru_cache(maxsize=512)
def quantities(text: str) -> tuple[Mention, ...]:
    """Amounts, plain numbers, codes and counted words, in order; dates, times and addresses are left out."""
    masked = _mask(text, [(d.start, d.end) for d in dates(text)])
    for pattern in (EMAIL, URL, TIME, PHONE):
        masked = _mask(masked, [m.span() for m in pattern.finditer(masked)])
    found: list[Mention] = []
    for kind, pattern in (("money", _MONEY), ("code", _CODE), ("number", _PLAIN), ("count", _COUNT)):
        for m in pattern.finditer(masked):
            found.append(_mention(text, m, kind))
        masked = _mask(masked, [m.span() for m in pattern.finditer(masked)])
    return tuple(sorted(found, key=lambda mention: mention.start))


@lru_cache(maxsize=512)
def dates(text: str, today: str = "", year: int = 0) -> tuple[DateMention, ...]:
    """The dates of a text in order. A date without a year takes `year`, today's, or one that the text names."""
    folded = fold(text) if len(fold(text)) == len(text) else text.lower()
    named = re.search(r"\b(20\d\d)\b", folded)
    usual = year or (int(today[:4]) if today else int(named[1]) if named else _ASSUMED_YEAR)
    found: list[DateMention] = []

    def add(match: re.Match[str], iso: str, clock: str = "") -> None:
        if iso and all(match.start() >= other.end or match.end() <= other.start for other in found):
            found.append(DateMention(iso, match.start(), match.end(), clock))

    for m in _ISO.finditer(text):
        add(m, _date(int(m[1]), int(m[2]), int(m[3])), m[4] or "")
    for m in _NUMERIC.finditer(folded):
        month, day = (int(m[3]), int(m[1])) if m[2] == "." or int(m[1]) > 12 else (int(m[1]), int(m[3]))
        add(m, _date(int(m[4]), month, day))
    for m in _DAY_MONTH.finditer(folded):
        add(m, _date(int(m[3] or usual), _MONTHS[m[2]], int(m[1])))
    for m in _MONTH_DAY.finditer(folded):
        add(m, _date(int(m[3] or usual), _MONTHS[m[1]], int(m[2])))
    if today:
        for m in _RELATIVE.finditer(folded):
            day_of = datetime.date.fromisoformat(today) + datetime.timedelta(days=_DAYS_FROM_TODAY.get(m[1], 1))
            add(m, day_of.isoformat())
    return tuple(sorted(found, key=lambda d: d.start))


@lru_cache(maxsize=512)
def times(text: str) -> tuple[str, ...]:
    """The times of a text as HH:MM."""
    found = []
    for m in TIME.finditer(text):
        hour, minute, half = (int(m[1]), m[2], m[3]) if m[1] else (int(m[4]), "00", m[5])
        if half:
            hour = hour % 12 + (12 if half.lower() == "p" else 0)
        found.append(f"{hour:02d}:{minute}")
    return tuple(found)


def number(text: str, *, money: bool = False) -> float:
    """Read "1,042", "12.50", "12,50" and "1.234,56"; a lone point before three digits groups only money."""
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return float(text)
    groups = len(text) - last - 1 == 3
    both = "." in text and "," in text
    if groups and (money or text[last] == "," or text.count(".") > 1):
        return float(re.sub("[.,]", "", text))
    head = text[:last]
    return float((re.sub("[.,]", "", head) if both else head.replace(",", ".")) + "." + text[last + 1 :])


def spoken_date(value: str) -> str:
    """`2026-05-03` as "3 May 2026"; anything else unchanged."""
    m = _ISO.fullmatch(value.strip())
    iso = _date(int(m[1]), int(m[2]), int(m[3])) if m else ""
    if not m or not iso:
        return value
    day = datetime.date.fromisoformat(iso)
    clock = f" at {m[4][:5]}" if m[4] and not m[4].startswith("00:00") else ""
    return f"{day.day} {_ENGLISH[day.month - 1]} {day.year}{clock}"


EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


URL = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:!?]")


TIME = re.compile(
    r"\b([01]?\d|2[0-3]):([0-5]\d)(?:\s*([ap])\.?m\b\.?)?|\b(1[0-2]|0?[1-9])\s*([ap])\.?m\b", re.IGNORECASE
)


PHONE = re.compile(r"(?<![\w-])\+\d[\d\s().-]{6,}\d")


def _mention(text: str, m: re.Match[str], kind: str) -> Mention:
    digits = next((g for g in m.groups() if g), "") if kind in ("money", "number") else ""
    value = number(digits, money=kind == "money") if digits else None
    if kind == "number" and value is not None and "-" in m[0]:
        value = -value
    if kind == "count":
        value = float(_COUNTS[m[0].lower()])
    before = re.split(r"[.!?;]\s|\d", text[: m.start()])[-1]
    after = re.split(r"[.!?;](?:\s|$)|\d", text[m.end() :])[0]
    near = [w for w in words(before) if w in ID_WORDS or w not in STOP or w == "id"]
    return Mention(
        kind=kind,  # type: ignore[arg-type]
        text=(digits or m[0]) if kind != "code" else m[0],
        value=value,
        start=m.start(),
        before=tuple(reversed(near[-3:])),
        after=tuple(w for w in words(after)[:2] if w not in STOP),
        marked="#" in text[max(0, m.start() - 1) : m.end()],
    )


def _mask(text: str, spans: Iterable[tuple[int, int]]) -> str:
    kept = list(text)
    for start, end in spans:
        kept[start:end] = " " * (end - start)
    return "".join(kept)


def _date(year: int, month: int, day: int) -> str:
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return ""


_NUMBER = r"\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)"


_MONEY = re.compile(
    rf"(?:[$€£¥]|\b(?:usd|eur|gbp|chf)\b)\s*({_NUMBER})"
    rf"|(?<![\w.,])({_NUMBER})\s*(?:[€$£¥]|(?:euros?|eur|dollars?|usd|pounds?|gbp|chf|bucks)\b)",
    re.IGNORECASE,
)


_CODE = re.compile(r"(?<![\w-])(?=[\w-]*\d)[A-Za-z]{1,8}[-_]?\d[\w-]*(?<![-_])|(?<![\w.,-])\d+(?:-[\w]+)+", re.ASCII)


_PLAIN = re.compile(rf"(?<![\w.,-])#?-?({_NUMBER})(?![\w-])")


_COUNTS = {
    w: n
    for n, w in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
}


_COUNT = re.compile(r"\b(?:" + "|".join(list(_COUNTS)[1:]) + r")\b", re.IGNORECASE)


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero janeiro",
            "february feb februar fevrier febrero fevereiro",
            "march mar marz maerz mars marzo marco",
            "april apr avril abril",
            "may mai mayo maio",
            "june jun juni juin junio junho",
            "july jul juli juillet julio julho",
            "august aug aout agosto",
            "september sep sept septembre septiembre setembro",
            "october oct oktober okt octobre octubre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez decembre diciembre dezembro",
        ),
        1,
    )
    for name in names.split()
}


_ENGLISH = [
    name.title()
    for name in _MONTHS
    if name in word_set("january february march april may june july august september october november december")
]


_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))


_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)\S*)?")


_DAY_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?({_MONTH})\b\.?,?(?:\s+(?:de\s+)?(\d{{4}}))?"
)


_MONTH_DAY = re.compile(rf"\b({_MONTH})\b\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}}))?")


_NUMERIC = re.compile(r"\b(\d{1,2})([./])(\d{1,2})\2(\d{4})\b")


_RELATIVE = re.compile(r"\b(day after tomorrow|today|tomorrow|yesterday|heute|morgen|demain|manana|amanha)\b")


_DAYS_FROM_TODAY = {"day after tomorrow": 2, "today": 0, "heute": 0, "yesterday": -1}


_ASSUMED_YEAR = 2026
