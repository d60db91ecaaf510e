"""Whether a fix worked: an incident's metric after it was mended, against while it went on."""

from __future__ import annotations

import datetime as dt

from workbench import releases
from workbench.tickets import metrics, noise, signals, trends
from workbench.tickets.figures import Figure, Sentence, sentence, told, trend
from workbench.tickets.metrics import Metric
from workbench.tickets.noise import Side
from workbench.tickets.signals import Incident

AFTER = 14
"""So many days after the mending are looked at, at most."""


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
        name = f"{move.flow} v{move.after}"
        if f"release {name}" in told_of:
            continue
        figure = Figure(name, "releases", {"flow": move.flow, "release": f"v{move.after}"})
        words = f" was {move.kind} on {move.at:%-d %b}; no incident says that it was mended with it, so there is no metric to judge it by."
        found.append(sentence(figure, words))
    return found


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
    apart = noise.difference(after, during)
    parts: list[str | Figure] = [_side(metric, during, first, last, where), " while it went on, "]
    parts += [_side(metric, after, begin, until, where), " after it; "]
    few = min(during.n, after.n) < metric.minimum
    good = metrics.is_better(metric, apart.value)
    if few:
        verdict = f"on {during.n:,} and {after.n:,} tickets, too few to say whether it worked."
    elif not apart.beyond:
        verdict = f"on {during.n:,} and {after.n:,} tickets, a difference within noise: it is not shown to have worked."
    else:
        verdict = f"on {during.n:,} and {after.n:,} tickets, {'better' if good else 'worse'} by more than chance."
    return sentence(story, head, f"{metric.title} ", *parts, verdict)


def _side(metric: Metric, side: Side, start: dt.date, end: dt.date, where: dict[str, list[str]]) -> Figure:
    """A side's number as Trends shows it: the count of all its days, or the value."""
    days = (end - start).days + 1
    total = side.value * days if metric.counts and metric.interval == "poisson" else side.value
    text = told(metric, total) + (f" in {days} days" if metric.counts else "")
    return trend(text, metric, start, end, where)


_DAY = dt.timedelta(days=1)
