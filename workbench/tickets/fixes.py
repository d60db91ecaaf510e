"""Whether a fix worked: an incident's metric after it was mended, against while it went on; a release's, against before."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from sqlmodel import col, select

from workbench import releases, store
from workbench.releases import Moved
from workbench.store.tables import Run
from workbench.tickets import metrics, noise, signals, source, trends
from workbench.tickets.columns import NONE
from workbench.tickets.figures import Figure, Sentence, counted, sentence, told, trend
from workbench.tickets.measure import label
from workbench.tickets.metrics import Metric
from workbench.tickets.noise import Side
from workbench.tickets.signals import Incident
from workbench.tickets.statement import statement

AFTER = 14
"""So many days after the mending are looked at, at most."""
LOOKED_AT = 2000
"""So many of a flow's newest runs say what it is about."""


def sentences(start: dt.date, end: dt.date) -> list[Sentence]:
    """What was mended or released from `start` to `end`, and whether that worked as far as tickets tell."""
    mended = [
        one
        for one in signals.incidents(limit=1000)
        if one.state == signals.FIXED and one.fixed_at is not None and start <= one.fixed_at.date() <= end
    ]
    told_of = {one.fix for one in mended}
    found = [judged(one) for one in sorted(mended, key=lambda one: (one.fixed_at or one.last_seen, one.id))]
    for move in sorted(releases.moves(limit=200), key=lambda one: one.at):
        if move.environment != "production" or not start <= move.at.date() <= end:
            continue
        if f"release {move.flow} v{move.after}" not in told_of:
            found.append(released(move))
    return found


def released(move: Moved) -> Sentence:
    """A release that no incident names: the share of tickets that were automated among those its flow is about, in as many
    days after it as before; or why nothing can be said."""
    name = f"{move.flow} v{move.after}"
    link = Figure(name, "releases", {"flow": move.flow, "release": f"v{move.after}"})
    head: list[str | Figure] = [link, f" was {move.kind} on {move.at:%-d %b}"]
    day, fresh = move.at.date(), trends.freshness()
    length = min(AFTER, (fresh.last.date() - day).days, (day - fresh.first.date()).days)
    if length < 1:
        missing = "of a whole day after it" if day >= fresh.last.date() else "from before it"
        return sentence(*head, f"; nothing can be said of it: there are no tickets {missing}.")
    about = topics_of(move.flow)
    if about is None:
        why = "no ticket names a run of this flow, and no incident says that it was mended with it"
        return sentence(*head, f"; nothing can be said of it: {why}.")
    where = {"topic": about} if about else {}
    span = dt.timedelta(days=length)
    before, after = (day - span, day - _DAY), (day + _DAY, day + span)
    of = f" of {' and '.join(about)}" if about else ""
    metric = metrics.get("automation")
    sides = [noise.side(metric, *days, where, per_day=True) for days in (before, after)]
    if sides[0] is None or sides[1] is None:
        missing = f"{counted(length, 'day')} {'before' if sides[0] is None else 'after'} it"
        return sentence(*head, f"; nothing can be said of it: no ticket{of} names a run in the {missing}.")
    shown = [_side(metric, one, *days, where) for one, days in zip(sides, (before, after), strict=True) if one]
    told_by = f"{metric.title}{of}{', what its tickets are about' if about else ''}"
    return sentence(
        *head, f"; {told_by}: ", shown[0], f" in the {counted(length, 'day')} before, ", shown[1],
        " in as many after; ", _verdict(metric, sides[1], sides[0]),
    )  # fmt: skip


def topics_of(flow: str) -> list[str] | None:
    """What the tickets that a flow's runs answered are about: the topics with a fifth of them or more, the largest first.

    None where no ticket names a run of it.
    """
    with store.session() as session:
        query = select(Run.id).where(Run.flow == flow).order_by(col(Run.started_at).desc()).limit(LOOKED_AT)
        runs = list(session.exec(query))
    sql = statement("runs_of", label=label("topic"), where="true")
    rows = source.records(sql, {"runs": runs}) if runs else []
    if not rows:
        return None
    counts = Counter(str(row["label"]) for row in rows)
    return [name for name, count in counts.most_common() if name != NONE and count * 5 >= len(rows)]


def judged(one: Incident) -> Sentence:
    """An incident's metric after the mending against while it went on, with the range of the difference."""
    metric = metrics.get(one.metric if one.metric in metrics.METRICS else "volume")
    where = signals.narrowed(one)
    fixed = (one.fixed_at or one.last_seen).date()
    first, last = one.started_at.date(), max(one.started_at.date(), min(fixed, one.last_seen.date()) - _DAY)
    begin = fixed + _DAY
    until = min(begin + (AFTER - 1) * _DAY, trends.freshness().last.date())
    story = Figure(f"“{one.title}”", "signals", {"incident": one.id})
    head = f", mended on {fixed:%-d %b}" + (f" ({one.fix})" if one.fix else "") + ": "
    if until < begin:
        return sentence(story, head, "too early to say; there are no tickets of a whole day after it.")
    oldest = trends.freshness().first.date()
    usual = noise.usual(first, last, where, oldest) if metric.counts else 1.0
    during = noise.side(metric, first, last, where, per_day=True, usual=usual)
    after = noise.side(metric, begin, until, where, per_day=True, usual=usual)
    if during is None or after is None:
        return sentence(story, head, f"{metric.title} cannot be compared: one side has too little to measure by.")
    parts: list[str | Figure] = [_side(metric, during, first, last, where), " while it went on, "]
    parts += [_side(metric, after, begin, until, where), " after it; "]
    return sentence(story, head, f"{metric.title} ", *parts, _verdict(metric, after, during))


def _verdict(metric: Metric, after: Side, before: Side) -> str:
    """Whether a figure is better or worse after, by more than chance."""
    apart = noise.difference(after, before)
    rests = f"on {before.n:,} and {counted(after.n, 'ticket')}"
    if min(before.n, after.n) < metric.minimum:
        return f"{rests}, too few to say whether it worked."
    if not apart.beyond:
        return f"{rests}, a difference within noise: it is not shown to have worked."
    return f"{rests}, {'better' if metrics.is_better(metric, apart.value) else 'worse'} by more than chance."


def _side(metric: Metric, side: Side, start: dt.date, end: dt.date, where: dict[str, list[str]]) -> Figure:
    """A side's number as Trends shows it: the count of all its days, or the value."""
    days = (end - start).days + 1
    total = side.value * days if metric.counts and metric.interval == "poisson" else side.value
    text = told(metric, total) + (f" in {counted(days, 'day')}" if metric.counts else "")
    return trend(text, metric, start, end, where)


_DAY = dt.timedelta(days=1)
