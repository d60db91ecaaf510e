"""The brief for Product: what moved in a week, how much, whether that is more than chance, and what Support asks for.

Every sentence is made of figures by fixed rules, and every number leads to the query that made it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import NotFound
from workbench.tickets import changes, fixes, metrics, moves, signals, source, trends
from workbench.tickets.columns import NONE
from workbench.tickets.figures import Figure, Sentence, counted, in_line, sentence, told, trend
from workbench.tickets.metrics import Metric
from workbench.tickets.moves import Days, Move
from workbench.tickets.noise import Difference
from workbench.tickets.signals import Incident
from workbench.tickets.view import WAITING
from workbench.tickets.weeks import Period

HEADLINES = ("volume", "first_response", "resolution", "csat", "reopened", "backlog")
QUOTES, LENGTH = 4, 220
TELLS = 30
"""Fewer letters say little by themselves, such as an order's number sent after a question."""


@dataclass(frozen=True)
class Quote:
    """A customer's words, masked and cut, and the ticket."""

    ticket_id: str
    group: str
    text: str


@dataclass(frozen=True)
class Brief:
    """The brief of a period. `end` is the last of its days that has tickets; `whole` whether that is its last day.

    `quiet` says what moved within the usual ups and downs. Parts that have nothing to tell are empty.
    """

    period: Period
    start: dt.date
    end: dt.date
    before: dt.date
    whole: bool
    tickets: int
    headlines: tuple[Sentence, ...]
    moves: tuple[Move, ...]
    quiet: Sentence
    incidents: tuple[Sentence, ...]
    fixes: tuple[Sentence, ...]
    quotes: tuple[Quote, ...]
    asks: tuple[Sentence, ...]

    @property
    def said(self) -> list[Sentence]:
        """All sentences, in order."""
        moved = [one.said for one in self.moves]
        return [*self.headlines, *moved, self.quiet, *self.incidents, *self.fixes, *self.asks]


def brief(period: Period) -> Brief:
    """The brief of a week or a day. Raises NotFound where there are no tickets at all, or none in it."""
    fresh = trends.freshness()
    end = min(period.end, fresh.last.date())
    filters = trends.Filters(period.start, end)
    if period.start > end or not trends.tickets(filters, limit=1).shape[0]:
        last = f"The tickets are of {fresh.first:%-d %b %Y} to {fresh.last:%-d %b %Y}."
        raise NotFound(f"There are no tickets of {period.said}.", remedy=f"{last} Choose another week.")
    window = trends.window(filters, "weekdays")
    days = Days(window.start, end, window.before, window.until_before, window.comparable, window.oldest)
    overview = trends.overview(filters, against="weekdays", names=HEADLINES, exact=True)
    count = int(overview.tiles[0].value or 0)
    moved = moves.moves(days)
    at_work = [one for one in _incidents(period) if one.at_work]
    return Brief(
        period=period,
        start=period.start,
        end=end,
        before=days.before,
        whole=end == period.end,
        tickets=count,
        headlines=tuple(_headline(tile, days, len(HEADLINES), count) for tile in overview.tiles),
        moves=moved.told,
        quiet=moves.quiet(moved, days),
        incidents=tuple(_incident(one) for one in _incidents(period)),
        fixes=tuple(fixes.sentences(period.start - dt.timedelta(days=7), end)),
        quotes=tuple(_quotes(moved.told, at_work, days)),
        asks=tuple(_asks(moved.told, at_work, days)),
    )


def _headline(tile: trends.Tile, days: Days, among: int, tickets: int) -> Sentence:
    """A metric of all tickets, its change, and whether that is more than chance."""
    metric = tile.metric
    now = trend(told(metric, tile.value), metric, days.start, days.end, {})
    if tile.value is None:
        unknown = metric.by_resolution and not source.resolutions()
        why = "not known, as no ticket tells when it was resolved" if unknown else "no ticket of these days has a value"
        return sentence(f"{metric.title}: {why}.")
    rests = "" if metric.counts else f" of {counted(tile.n, 'ticket')}"
    if tile.few:
        return sentence(f"{metric.title}: ", now, f"{rests}; too few to say anything.")
    if not days.comparable or tile.previous is None:
        return sentence(f"{metric.title}: ", now, f"{rests}; there is nothing earlier to compare with.")
    before = trend(told(metric, tile.previous), metric, days.before, days.until, {})
    change = moves.change(metric, tile.change)
    said = sentence(f"{metric.title}: ", now, f"{rests}, {change} against ", before, " the week before; ")
    judged = (
        _judged(moves.compare(metric, {}, days, among)[2], metric)
        if moves.settled(metric, tile.n, tickets)
        else moves.OPEN
    )
    return Sentence((*said.parts, judged + "."))


def _judged(found: Difference | None, metric: Metric) -> str:
    if metric.interval == "none":
        return "a count at one moment, for which there is no test"
    if found is None:
        return "there are too few weeks before it to say whether that is usual"
    return "more than chance and the usual ups and downs" if found.beyond else "within the usual ups and downs"


def _incidents(period: Period) -> list[Incident]:
    """Incidents of the period: found, going on or fixed in it; what was found to be none is left out."""
    begin = dt.datetime.combine(period.start, dt.time(), dt.UTC)
    until = dt.datetime.combine(period.end, dt.time(), dt.UTC) + dt.timedelta(days=1)

    def within(one: Incident) -> bool:
        moments = [one.detected_at, one.fixed_at]
        going_on = one.started_at < until and (one.at_work or one.last_seen >= begin)
        return going_on or any(moment is not None and begin <= moment < until for moment in moments)

    found = [one for one in signals.incidents(limit=1000) if one.state != signals.DISMISSED and within(one)]
    return sorted(found, key=lambda one: (one.detected_at, one.id))


def _incident(one: Incident) -> Sentence:
    """An incident with its times: found, told, taken on, fixed; each number leads to its story."""

    def after(begin: dt.datetime | None, end: dt.datetime | None, name: str, missing: str) -> list[str | Figure]:
        if end is None or begin is None:
            return [f", {missing}"]
        return [f", {name} after ", Figure(_took(end - begin), "signals", {"incident": one.id})]

    parts: list[str | Figure] = [f"“{one.title}” ({one.severity})"]
    found = Figure(f"{one.detected_at:%a %-d %b, %H:%M} UTC", "signals", {"incident": one.id})
    if not one.detector:
        first, last = (f"{moment:%-d %b}" for moment in (one.started_at, one.last_seen))
        when = Figure(f"{first} to {last}", "signals", {"incident": one.id})
        return sentence(*parts, ": ", when, ", written down by a person.")
    parts += [": found ", found]
    parts += after(one.detected_at, one.sent_at, "told", "nobody was told")
    parts += after(one.sent_at or one.detected_at, one.acknowledged_at, "taken on", "nobody has taken it on")
    parts += after(one.detected_at, one.fixed_at, "fixed", "not fixed yet")
    if tickets := len(one.evidence.get("tickets", ())):
        parts += ["; ", Figure(counted(tickets, "ticket"), "signals", {"incident": one.id}), " at its strongest"]
    return sentence(*parts, ".")


def _took(span: dt.timedelta) -> str:
    minutes = span.total_seconds() / 60
    if minutes < 60:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 72 * 60 else f"{minutes / 1440:.1f} days"


def _quotes(moved: Sequence[Move], at_work: Sequence[Incident], days: Days) -> list[Quote]:
    """Words of customers of what moved most and of incidents at work, the newest tickets that say more than a word first."""
    groups = [({one.by: [one.group]}, one.group) for one in moved]
    groups += [({name: list(v) for name, v in one.conditions.items()}, one.title) for one in at_work]
    each = max(1, QUOTES // max(1, len(groups)))
    found: dict[str, Quote] = {}
    for where, name in groups or [({}, "")]:
        rows = trends.tickets(trends.Filters(days.start, days.end, where), limit=each * 5).to_dict("records")
        texts = [(str(row["ticket_id"]), _words(row["subject"], row["body"])) for row in rows]
        fresh = [Quote(ticket, name, _masked(ticket, text)) for ticket, text in texts if text and ticket not in found]
        fresh.sort(key=lambda one: len(one.text) < TELLS)
        found |= {one.ticket_id: one for one in fresh[:each]}
    return list(found.values())[:QUOTES]


def _words(*parts: object) -> str:
    said = [" ".join(in_line(one).split()) for one in parts if isinstance(one, str) and one.strip() and one != WAITING]
    return " — ".join(dict.fromkeys(said))


def _masked(ticket: str, text: str) -> str:
    from workbench.traces import masking

    masked: str = masking.masker(ticket).text(text)
    return masked if len(masked) <= LENGTH else masked[: LENGTH - 1] + "…"


def _asks(moved: Sequence[Move], at_work: Sequence[Incident], days: Days) -> list[Sentence]:
    """What Support asks of Product: by open incidents, by topics that grew, by what got worse."""
    found = []
    for one in at_work[: moves.TOLD]:
        if one.last_seen.date() < days.start:
            seen = Figure(f"{one.last_seen:%-d %b}", "signals", {"incident": one.id})
            found.append(sentence(f"Say whether “{one.title}” is mended: it was last seen on ", seen, ", and is open."))
            continue
        story = Figure(f"{one.started_at:%-d %b}", "signals", {"incident": one.id})
        found.append(sentence(f"Say when “{one.title}” will be mended: it goes on since ", story, "."))
    for move in [one for one in moved if one.better is False][: moves.TOLD]:
        if move.metric == "volume":
            found.append(_why(move, days))
        else:
            metric = metrics.get(move.metric)
            value = trend(told(metric, move.now.value), metric, days.start, days.end, {move.by: [move.group]})
            found.append(
                sentence(f"Look into {move.group}: {metric.title} is ", value, ", worse than chance explains.")
            )
    if not found:
        return [sentence("Nothing of this week asks for a change: no incident is open, and nothing got worse.")]
    return found


def _why(move: Move, days: Days) -> Sentence:
    """Why a topic grew is for Product to find out; its strongest part is where to begin."""
    metric, where = metrics.get(move.metric), {move.by: [move.group]}
    more = trend(moves.signed(metric, move.difference.value), metric, days.start, days.end, {}, movers=move.by)
    parts: list[str | Figure] = [f"Find out why {move.group} has ", more, " tickets against the week before"]
    if move.by == "topic" and trends.facets().get("subtopic"):
        filters = trends.Filters(days.start, days.end, where)
        rows = changes.movers("subtopic", filters=filters, against="weekdays", limit=1, exact=True).to_dict("records")
        if rows and rows[0]["label"] != NONE and float(rows[0]["contribution"]) > 0:
            added = moves.signed(metric, float(rows[0]["contribution"]))
            part = trend(added, metric, days.start, days.end, where, movers="subtopic")
            parts += [f"; {rows[0]['label']} is the strongest part of it (", part, ")"]
    return sentence(*parts, ".")
