"""A wish in plain English as filters, by rules: "refused refunds last week over 2 cents slower than 3 s flagged by Ana".

Each rule takes the words it understands out of the text. What is left over is named, never guessed at: a word that
nobody explained may be looked for in the texts, where the person says so.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.store import index
from workbench.traces import masking, periods
from workbench.traces.filters import Filters, read

Known = Mapping[str, Sequence[str]]
"""The values of each filter that runs have."""


@dataclass(frozen=True)
class Read:
    """What a wish was understood as, and the words that were not understood."""

    filters: Filters
    missed: tuple[str, ...]


OUTCOMES: Mapping[str, tuple[str, ...]] = {
    r"answered|resolved|solved|successful|succeeded": ("answered",),
    r"abstain(?:ed)?|declined(?: to answer)?|unanswered|gave up|did(?: not|n't) know|had no answer": ("abstained",),
    r"escalated|escalations?|(?:handed|passed|transferred)(?: over| on)?(?: to)?(?: a| the)? (?:humans?|people|person|team)": (
        "escalated",
    ),
    r"held|on hold|pending|wait(?:ed|s|ing)?(?: for)?(?: an?| the)? ?(?:approvals?|persons?|decisions?)?|needs? approval": (
        "held",
    ),
    r"blocked": ("blocked",),
    r"refused|refusals?|rejected|denied|turned down": ("held", "blocked"),
    r"(?:hit|reached|ran into)(?: a| the)? limits?|out of turns|too many turns|over(?: the)? limit": ("limit",),
    r"errors?|failed|failures?|failing|crash(?:ed|es)?|broke|went wrong": ("error",),
}  # fmt: skip
ALL = ("answered", "abstained", "escalated", "held", "blocked", "limit", "error")
SOURCES: Mapping[str, str] = {
    r"(?:in|from|on)?\s*production|live(?= runs| traffic|\b)": "production",
    r"(?:in|from)?\s*(?:the )?playground": "playground",
    r"(?:in|from|of)?\s*(?:the |an )?experiments?": "experiment",
    r"imported": "imported",
    r"forks?|forked": "fork",
    r"(?:from )?other programs?|(?:from )?outside": "otlp",
    r"backtests?|backtested": "backtest",
}
TOPICS = frozenset(
    re.findall(
        r"\w+",
        """
        refund order delivery parcel invoice payment return password login account subscription shipping voucher
        warranty address tracking exchange cancellation receipt coupon discount package credit card chargeback
        """,
    )
)
"""What customers write about: words like these are looked for in the texts without being told to."""
EMPTY = frozenset(
    re.findall(
        r"\w+",
        """
        a an and all any are at be but by can did do does every find for from get give had has have i in is it list
        look me my of on only or our please run runs say see show some than that the their them there these they
        this those to us was we were what when where which while who with conversation chat message answer reply
        question call called calls customer ones one also just then most recent newest ever been between about
        """,
    )
)
NUMBER = r"(\d+(?:[.,]\d+)?|\.\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|half a)"
NUMBERS = {
    **dict(
        zip(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), range(1, 11), strict=True)
    ),
    "a": 1,
    "an": 1,
    "half a": 0.5,
}
_LEAD = r"(?:(?:cost(?:ing|s)?|took|taking|that)\s+)*"
MORE = _LEAD + r"(?:(?:more|dearer|slower|longer|greater|pricier) than|over|above|at least|exceeding|upwards of|>=?)"
LESS = _LEAD + r"(?:(?:less|cheaper|faster|shorter|quicker) than|under|below|at most|up to|within|<=?)"
MONEY = r"(cents?|c\b|¢|dollars?|usd|\$|euros?|bucks?)"
TIME = r"(milliseconds?|ms|seconds?|secs?|s\b|minutes?|mins?|m\b)"


@dataclass
class _Reader:
    """The text that is left, and the filters that were understood so far."""

    left: str
    known: Known
    now: dt.datetime
    state: dict[str, list[str]] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def take(self, pattern: str, act: Callable[[re.Match[str]], bool | None]) -> None:
        """Take out every place that fits; one that `act` returns False for is kept."""

        def one(found: re.Match[str]) -> str:
            return found[0] if act(found) is False else " | "

        self.left = re.sub(pattern, one, self.left, flags=re.I)

    def add(self, name: str, *values: str) -> None:
        """Let a filter also take these values."""
        there = self.state.setdefault(name, [])
        there += [one for one in values if one not in there]

    def adding(self, name: str, *values: str) -> Callable[[re.Match[str]], None]:
        """What lets a filter also take these values."""
        return lambda _: self.add(name, *values)

    def naming(self, kind: str) -> Callable[[re.Match[str]], None]:
        """What lets a filter also take the values that were named."""

        def add(found: re.Match[str]) -> None:
            said = [one for group in found.groups() if group for one in re.split(r",\s*|\s+(?:and|or)\s+", group)]
            self.add(kind, *filter(None, (self.named(kind, one) for one in said)))

        return add

    def set(self, name: str, value: Any) -> None:
        """Let a filter have this value."""
        self.state[name] = [value.isoformat() if isinstance(value, dt.datetime) else str(value)]

    def named(self, kind: str, said: str) -> str | None:
        """The known value that somebody means: written alike but for case, hyphens, underscores and plurals."""
        wanted = _folded(said)
        return next((one for one in self.known.get(kind, ()) if wanted and _folded(one) == wanted), None)


def parse(wish: str, known: Known, *, now: dt.datetime) -> Read:
    """The filters that a wish in English means. `now` is the moment in the zone of whoever wishes."""
    reader = _Reader(f" {wish.strip()} ".replace("’", "'"), known, now)
    for rule in (
        _quoted,
        _customers,
        _people,
        _labels,
        _scores,
        _dates,
        _measures,
        _inside,
        _values,
        _outcomes,
        _sources,
        _about,
    ):
        rule(reader)
    _rest(reader)
    return Read(read(reader.state), tuple(dict.fromkeys(reader.missed)))


def _folded(text: str) -> str:
    return " ".join(index.words(re.sub(r"[_\-/.]", " ", text)))


# ---- rules, in the order in which they take ---------------------------------------------------------------------------


def _quoted(reader: _Reader) -> None:
    def words(found: re.Match[str]) -> None:
        reader.add("words", f'"{found[1] or found[2]}"')

    lead = r"(?:(?:that )?(?:say(?:s|ing)?|said|mention(?:s|ed|ing)?|contain(?:s|ing)?|with(?: the words?)?|about)\s+)?"
    reader.take(lead + r'(?:"([^"]+)"|“([^”]+)”)', words)


def _customers(reader: _Reader) -> None:
    def customer(found: re.Match[str]) -> None:
        reader.set("customer", masking.known_as(found[1]))

    reader.take(r"(?:(?:from|of|by|for)\s+)?(?:(?:the\s+)?customer\s+)?([\w.+-]+@[\w-]+(?:\.[\w-]+)+)", customer)
    reader.take(r"(?:(?:in|of)\s+)?(?:(?:the\s+)?(?:customer|conversation)\s+)?(conv_\w+)", customer)
    reader.take(r"\b(run_\w{6,})", lambda found: reader.set("words", found[1]))


def _people(reader: _Reader) -> None:
    def flagged(found: re.Match[str]) -> None:
        for said in re.split(r"\s+(?:or|and)\s+|,\s*", found[1] or ""):
            name = reader.named("flagged_by", said)
            if said and name is None:
                reader.missed.append(f"flagged by {said}")
            elif name:
                reader.add("flagged_by", name)
        if not found[1]:
            reader.set("flagged", "true")

    reader.take(
        r"\b(?:not|never|un)[\s-]*(?:been )?flagged(?: by \w+)?", lambda found: reader.missed.append(found[0].strip())
    )
    reader.take(
        r"\b(?:that |which )?flagged(?: by| from) ([\w.-]+(?:(?:,| or| and) (?!over|under|slower|last|since)[\w.-]+)*)",
        flagged,
    )
    if names := _either(reader, "flagged_by"):
        reader.take(rf"\b(?:that |which )?({names}) (?:has |have )?flagged\b", reader.naming("flagged_by"))
    reader.take(r"\b(?:with (?:a )?flags?|flagged|flags?)()\b", flagged)


def _labels(reader: _Reader) -> None:
    def label(found: re.Match[str]) -> bool:
        fits = [
            one
            for one in reader.known.get("label", ())
            if _folded(found[1]) in (_folded(one), _folded(one.rpartition(":")[2]))
        ]
        reader.add("label", *fits)
        return bool(fits)

    said = r"['\"]?([\w-]+(?:: ?[\w-]+)?)['\"]?"
    reader.take(rf"\b(?:label+ed|judged|marked|rated|reviewed)(?: as)? {said}", label)
    reader.take(rf"\b(?:with )?(?:the )?(?:labels?|verdicts?)(?: of| is)? {said}", label)
    reader.take(rf"\b(?:with )?(?:an? |the )?{said} (?:labels?|verdicts?)", label)


def _scores(reader: _Reader) -> None:
    names = _either(reader, "score")
    if not names:
        return
    side = rf"({MORE}|{LESS})"

    def score(number: str, name: str, sign: str) -> None:
        less = re.fullmatch(LESS, sign.strip(), re.I)
        reader.add("score", f"{reader.named('score', name)} {'below' if less else 'above'} {_number(number):g}")

    reader.take(
        rf"\b(?:scor(?:ed?|ing)|rated)\s+{side}\s+{NUMBER}\s+(?:on|for|by|in)\s+({names})",
        lambda f: score(f[2], f[3], f[1]),
    )
    reader.take(
        rf"\b(?:with )?(?:an? |the )?(?:score (?:of|for|on) )?({names})(?:'s)?(?: scores?)?(?: is| was| of)? {side}\s+{NUMBER}",
        lambda f: score(f[3], f[1], f[2]),
    )
    reader.take(rf"\b(?:that )?(?:failed|failing|fails?) (?:on |at )?({names})", lambda f: score("0.5", f[1], "below"))
    reader.take(rf"\b(?:that )?(?:passed|passing|pass(?:es)?) (?:on )?({names})", lambda f: score("0.5", f[1], "above"))


def _dates(reader: _Reader) -> None:
    today = reader.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def between(since: dt.datetime | None, until: dt.datetime | None) -> None:
        for name, value in (("since", since), ("until", until)):
            if value is not None:
                reader.set(name, value.astimezone(dt.UTC))

    def period(found: re.Match[str]) -> None:
        count, unit = _number(found[1] or "1"), found[2].lower()[0:2]
        hours = (
            count
            * {"mi": 1 / 60, "ho": 1, "h": 1, "da": 24, "d": 24, "we": 168, "mo": 720, "ye": 8760, "qu": 2160}[unit]
        )
        short = hours < 48 and hours == int(hours)
        reader.set("period", f"{int(hours)}h" if short and hours > 0 else f"{max(1, round(hours / 24))}d")

    def before(found: re.Match[str]) -> None:
        count, unit = _number(found[1]), found[2].lower()[0:2]
        days = count * {"ho": 1 / 24, "da": 1, "we": 7, "mo": 30, "ye": 365}[unit]
        between(None, reader.now - dt.timedelta(days=days))

    span = r"(minutes?|hours?|days?|weeks?|months?|years?|quarters?)"
    reader.take(rf"\b(?:more than|over|older than) {NUMBER} {span} (?:ago|old)\b", before)
    reader.take(rf"\bolder than {NUMBER} {span}\b", before)
    reader.take(
        rf"\b(?:in |during |within |over |from )?(?:the )?(?:last|past|previous|recent) {NUMBER} {span}\b", period
    )
    reader.take(r"\b(?:in |during |within )?(?:the )?past ()(hour|day|week|month|year|quarter)\b", period)
    reader.take(r"\b(?:in |during |within )?(?:the )?last ()(hour|day)\b", period)
    reader.take(r"\blast night\b", lambda _: between(today - dt.timedelta(hours=6), today + dt.timedelta(hours=6)))
    _calendar(reader, today, between)


def _calendar(
    reader: _Reader, today: dt.datetime, between: Callable[[dt.datetime | None, dt.datetime | None], None]
) -> None:
    """Days, weeks, months, quarters and years, as `periods` knows them."""

    def at(day: dt.date) -> dt.datetime:
        return today.replace(year=day.year, month=day.month, day=day.day)

    def take(pattern: str, days: Callable[[re.Match[str]], tuple[dt.date | None, dt.date | None]]) -> None:
        """Take out what names days; words for a day that no calendar has are kept."""

        def act(found: re.Match[str]) -> bool:
            try:
                since, last = days(found)
                between(at(since) if since else None, at(last + periods.DAY) if last else None)
            except (ValueError, OverflowError):
                return False
            return True

        reader.take(pattern, act)

    def point(words: str) -> tuple[dt.date, dt.date]:
        return periods.point(words, today.date())

    def whole(found: re.Match[str]) -> tuple[dt.date | None, dt.date | None]:
        since, last = periods.whole(found[1].lower(), found[2].lower(), today.date())
        return since, None if found[1].lower() in ("this", "current") else last

    some = f"({periods.POINT})"
    take(r"\b(?:from |in |during )?(?:the )?(this|current|last|previous) (week|month|quarter|year)\b", whole)
    take(
        rf"\b(?:between|from) {some} (?:and|to|until|till|-) {some}\b",
        lambda f: (point(f[1])[0], point(f[2])[1]),
    )
    take(rf"\b(?:since|from|starting)(?: on)? {some}\b(?: on(?:wards)?)?", lambda f: (point(f[1])[0], None))
    take(rf"\bafter {some}\b", lambda f: (point(f[1])[1] + periods.DAY, None))
    take(rf"\b(?:before|older than) {some}\b", lambda f: (None, point(f[1])[0] - periods.DAY))
    take(rf"\b(?:until|till|up to) {some}\b", lambda f: (None, point(f[1])[1]))
    take(rf"\b(?:on |last )?({periods.ONE_DAY})(?:'s)?\b", lambda f: point(f[1]))
    take(rf"\b(?:in|during|of) {some}\b", lambda f: point(f[1]))


def _measures(reader: _Reader) -> None:
    def money(name: str) -> Callable[[re.Match[str]], None]:
        return lambda found: reader.set(name, f"{_number(found[1]) / (100 if found[2].lower()[0] in 'c¢' else 1):g}")

    def dollars(name: str) -> Callable[[re.Match[str]], None]:
        return lambda found: reader.set(name, f"{_number(found[1]):g}")

    def seconds(name: str) -> Callable[[re.Match[str]], None]:
        return lambda found: reader.set(name, f"{_number(found[1]) * _second(found[2].lower()):g}")

    for side, cost, time in ((MORE, "dearer", "slower"), (LESS, "cheaper", "faster")):
        reader.take(rf"(?<!\w){side}\s*(?=\$)(?:\$\s?){NUMBER}()", dollars(cost))
        reader.take(rf"(?<!\w){side}\s*{NUMBER}\s?{MONEY}", money(cost))
        reader.take(rf"(?<!\w){side}\s*{NUMBER}\s?{TIME}", seconds(time))
    reader.take(rf"\b(?:dearer|pricier) than {NUMBER}\b", lambda f: reader.set("dearer", _number(f[1])))
    reader.take(rf"\b(?:slower|longer) than {NUMBER}\b", lambda f: reader.set("slower", _number(f[1])))
    reader.take(rf"\b(?:faster|quicker|shorter) than {NUMBER}\b", lambda f: reader.set("faster", _number(f[1])))


def _inside(reader: _Reader) -> None:
    """What happened in a run: tools that were called, guardrails, agents."""
    if tools := _either(reader, "tool"):
        several = rf"((?:{tools})(?:(?:,| and| or) (?:{tools}))*)"
        reader.take(
            rf"\b(?:that |which )?(?:us(?:ed|ing|es)|call(?:ed|ing|s)?|ran|with)(?: the)?(?: tools?)? {several}(?: tools?)?\b",
            reader.naming("tool"),
        )
        reader.take(
            rf"\b(?:the )?tool ({tools})\b|\b({tools}) (?:tool|was called|calls?)\b",
            reader.naming("tool"),
        )
    for kind, verbs in (
        ("held", r"held|delayed|kept waiting"),
        ("tripped", r"tripped|blocked|stopped|caught|refused|rejected"),
    ):
        if names := _either(reader, kind):
            reader.take(
                rf"\b(?:were |was |that )?(?:{verbs})(?: by)?(?: the)?(?: guardrail)? ({names})(?: guardrail| check)?\b",
                reader.naming(kind),
            )
            reader.take(
                rf"\b(?:where |when )?(?:the )?(?:guardrail )?({names})(?: guardrail| check)? (?:{verbs})\b",
                reader.naming(kind),
            )
        every = list(reader.known.get(kind, ()))
        if every:
            reader.take(
                rf"\b(?:were |was |that )?(?:{verbs}) by (?:a|any|the) (?:guardrail|safety check|check)s?\b",
                reader.adding(kind, *every),
            )
            reader.take(
                rf"\b(?:where |when )?(?:a |any |the )?(?:guardrail|safety check)s? (?:was |were )?(?:{verbs}|trip)\b",
                reader.adding(kind, *every),
            )
            if kind == "tripped":
                reader.take(r"\b(?:with )?tripped guardrails?\b", reader.adding("tripped", *every))
    if agents := _either(reader, "agent"):
        reader.take(
            rf"\b(?:handled by |answered by |by |with |from |that reached |through )?(?:the )?({agents}) agents?\b",
            reader.naming("agent"),
        )
        reader.take(rf"\b(?:by |with )?(?:the )?agent ({agents})\b", reader.naming("agent"))
        reader.take(rf"\b(?:handled|answered|taken) by (?:the )?({agents})\b", reader.naming("agent"))


def _values(reader: _Reader) -> None:
    """Names of flows, versions, models and causes."""
    for kind, around in (("flow", r"(?: flow)?"), ("model", r"(?: model)?"), ("cause", "")):
        if names := _either(reader, kind):
            reader.take(
                rf"\b(?:in |of |on |from |with |by |using |because of |caused by )?(?:the )?(?:{kind} )?({names}){around}\b",
                reader.naming(kind),
            )

    def version(found: re.Match[str]) -> bool:
        name = reader.named("version", f"v{found[1]}")
        reader.add("version", *filter(None, [name]))
        return name is not None

    reader.take(r"\b(?:in |of |on |from |with )?(?:the )?(?:version |release |v)v?(\d+)\b", version)


def _outcomes(reader: _Reader) -> None:
    no = (
        r"\b(?:not|n't|never|weren't|wasn't|were not|was not|other than|except|without"
        r"|(?:all|any|every)(?:thing)? (?:but|except)|but not) (?:been |be |an? |any )?"
    )
    for pattern, meant in OUTCOMES.items():
        others = [one for one in ALL if one not in meant]
        reader.take(
            rf"{no}(?:{pattern})\b",
            reader.adding("outcome", *others),
        )
    for pattern, meant in OUTCOMES.items():
        reader.take(
            rf"(?<![\w-])(?:were |was |that |which |with (?:an? )?|ended (?:in |as |with )?(?:an? )?)?(?:{pattern})(?![\w-])",
            reader.adding("outcome", *meant),
        )
    reader.take(r"\bunsuccessful\b", lambda _: reader.add("outcome", *ALL[1:]))


def _sources(reader: _Reader) -> None:
    for pattern, source in SOURCES.items():
        if source in reader.known.get("source", ()):
            reader.take(rf"\b(?:{pattern})\b", reader.adding("source", source))


def _about(reader: _Reader) -> None:
    """What the texts have to say: after `about` or `mentioning`, up to the next thing that was understood."""
    verb = r"(?:about|mention(?:s|ed|ing)?|contain(?:s|ing)|say(?:s|ing)|ask(?:s|ed|ing)? (?:for|about)|regarding|concerning)"
    who = r"(?:that |which |where (?:the )?(?:customer |question |reply )?)?"
    said = rf"\b{who}{verb}\s+((?:(?!\||\bnot\b|\bwithout\b|\bexcept\b|,).)+)"

    def words(found: re.Match[str]) -> None:
        kept = [one for one in re.findall(r"[\w'*-]+", found[1]) if one.lower() not in EMPTY]
        reader.add("words", *kept)

    reader.take(said, words)


def _rest(reader: _Reader) -> None:
    """What a tool is for is looked for in texts and tools; another topic of customers in the texts; a name that only one
    filter knows is that; the rest was not understood.
    """
    left = reader.left
    for found in re.finditer(r"\b(?:not|without|except|excluding|no|never|n't)\b([^|]*)", left, re.I):
        reader.missed.append(" ".join(found[0].split()))
    left = re.sub(r"\b(?:not|without|except|excluding|no|never|n't)\b[^|]*", " | ", left, flags=re.I)
    for word in re.findall(r"[^\W_][\w'.-]*[\w]|\w|[$€£]\d+", left):
        folded = _folded(word)
        if folded in EMPTY or word.lower() in EMPTY:
            continue
        if _of_tools(reader, folded):
            reader.add("about", folded)
        elif folded in TOPICS:
            reader.add("words", folded)
        elif only := _only(reader, word):
            reader.add(*only)
        else:
            reader.missed.append(word)
    if "words" in reader.state:
        reader.state["words"] = [" ".join(reader.state["words"])]
    if "flagged_by" in reader.state:
        reader.state.pop("flagged", None)


def _of_tools(reader: _Reader, word: str) -> bool:
    """Whether a word is what some tool is for: a topic in its name, or any word of it but the verb that it begins with."""
    named = (index.parts(one) for one in reader.known.get("tool", ()))
    return any(word in (parts if word in TOPICS else parts[1:]) for parts in named)


def _only(reader: _Reader, word: str) -> tuple[str, str] | None:
    fits = [(kind, name) for kind in ("agent", "tool", "source", "tripped") if (name := reader.named(kind, word))]
    return fits[0] if len(fits) == 1 else None


# ---- parts -----------------------------------------------------------------------------------------------------------


def _either(reader: _Reader, kind: str) -> str:
    """A pattern of every known name, the longest first, with any of hyphen, underscore and blank between its words."""
    names = sorted({one for one in reader.known.get(kind, ()) if one.strip()}, key=len, reverse=True)
    return "|".join(re.sub(r"(?:\\?[ _\-])+", r"[ _-]", re.escape(one)) + "s?" * one.isalpha() for one in names)


def _number(said: str) -> float:
    said = said.lower()
    return float(NUMBERS[said]) if said in NUMBERS else float(said.replace(",", "."))


def _second(unit: str) -> float:
    return 0.001 if unit == "ms" or unit.startswith("mil") else 60.0 if unit.startswith("m") else 1.0
