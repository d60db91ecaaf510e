"""A wish in plain English: what it is understood as, word for word, and what it says that it did not understand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from workbench.traces import phrases

NOW = dt.datetime(2026, 11, 18, 15, 30, tzinfo=dt.UTC)
"""A Wednesday."""
KNOWN = {
    "flow": ["order-desk", "help-answers", "invoices"],
    "version": ["draft", "v1", "v2", "v12"],
    "agent": ["triage", "refunds", "shipping"],
    "model": ["gpt-6-luna", "offline"],
    "source": ["production", "playground", "experiment", "imported", "otlp"],
    "tool": ["find_order", "refund_order", "track_parcel"],
    "tripped": ["injection", "no-cards"],
    "held": ["injection"],
    "flagged_by": ["Ana", "rui"],
    "label": ["verdict: good", "verdict: bad", "tone: rude"],
    "score": ["helpful", "same_tools"],
    "cause": ["wrong tool", "missing knowledge"],
}

UNDERSTOOD = {
    "refused refunds last week over 2 cents slower than 3 s flagged by Ana": "outcome=held,blocked about=refund"
    " since=2026-11-09T00:00 until=2026-11-16T00:00 dearer=0.02 slower=3 flagged_by=Ana",
    "all runs": "",
    "flagged": "flagged=true",
    "flagged runs": "flagged=true",
    "show me what rui flagged": "flagged_by=rui",
    "refunds last 90 days flagged by Ana": "about=refund period=last 90 days flagged_by=Ana",
    "flagged by ana or rui": "flagged_by=Ana,rui",
    "flagged by Tom": "?flagged by Tom",
    "not flagged": "?not flagged",
    "errors": "outcome=error",
    "failed runs today": "outcome=error since=2026-11-18T00:00 until=2026-11-19T00:00",
    "what went wrong yesterday": "outcome=error since=2026-11-17T00:00 until=2026-11-18T00:00",
    "blocked or escalated": "outcome=escalated,blocked",
    "not answered": "outcome=abstained,escalated,held,blocked,limit,error",
    "runs that were not blocked": "outcome=answered,abstained,escalated,held,limit,error",
    "handed over to a person this week": "outcome=escalated since=2026-11-16T00:00",
    "waiting for approval": "outcome=held",
    "declined to answer in help answers": "outcome=abstained flow=help-answers",
    "ran into the limit": "outcome=limit",
    "order desk": "flow=order-desk",
    "in the order-desk flow version 12": "flow=order-desk version=v12",
    "order desk v2 or v1": "flow=order-desk version=v2,v1",
    "version 99": "?version ?99",
    "last 7 days": "period=last 7 days",
    "in the past three hours": "period=last 3 hours",
    "past week": "period=last 7 days",
    "last 2 weeks": "period=last 14 days",
    "last month": "since=2026-10-01T00:00 until=2026-11-01T00:00",
    "this month": "since=2026-11-01T00:00",
    "since monday": "since=2026-11-16T00:00",
    "on Friday": "since=2026-11-13T00:00 until=2026-11-14T00:00",
    "since 2026-11-01": "since=2026-11-01T00:00",
    "between 1 November and 5 November": "since=2026-11-01T00:00 until=2026-11-06T00:00",
    "after 3 May 2026": "since=2026-05-04T00:00",
    "before December 24": "until=2025-12-24T00:00",
    "in october": "since=2026-10-01T00:00 until=2026-11-01T00:00",
    "last quarter": "since=2026-07-01T00:00 until=2026-10-01T00:00",
    "from march to may 2026": "since=2026-03-01T00:00 until=2026-06-01T00:00",
    "errors since q3": "outcome=error since=2026-07-01T00:00",
    "before 2026": "until=2026-01-01T00:00",
    "on 31 feb": "?31 ?feb",
    "older than 3 days": "until=2026-11-15T15:30",
    "over 5 cents": "dearer=0.05",
    "costing more than $0.10": "dearer=0.1",
    "under 1 cent": "cheaper=0.01",
    "more than half a dollar": "dearer=0.5",
    "cheaper than 2c and slower than 500 ms": "cheaper=0.02 slower=0.5",
    "longer than a minute": "slower=60",
    "took over 10 seconds": "slower=10",
    "faster than 1.5 s": "faster=1.5",
    "slower than 4": "slower=4",
    "that called refund_order": "tool=refund_order",
    "using find order and track parcel": "tool=find_order,track_parcel",
    "with the tool track_parcel": "tool=track_parcel",
    "handled by the shipping agent": "agent=shipping",
    "answered by refunds": "agent=refunds",
    "triage": "agent=triage",
    "gpt-6-luna runs": "model=gpt-6-luna",
    "in production": "source=production",
    "from the playground yesterday": "source=playground since=2026-11-17T00:00 until=2026-11-18T00:00",
    "imported runs": "source=imported",
    "blocked by no-cards": "tripped=no-cards",
    "where the injection guardrail tripped": "tripped=injection",
    "where a guardrail tripped": "tripped=injection,no-cards",
    "held by injection": "held=injection",
    "labelled bad": "label=verdict: bad",
    "judged as good last week": "label=verdict: good since=2026-11-09T00:00 until=2026-11-16T00:00",
    "with the label rude": "label=tone: rude",
    "with a bad verdict": "label=verdict: bad",
    "helpful below 0.5": "score=helpful below 0.5",
    "scored under .4 on helpful": "score=helpful below 0.4",
    "that failed same_tools": "score=same_tools below 0.5",
    "caused by missing knowledge": "cause=missing knowledge",
    "about a broken lamp": "words=broken lamp",
    'that say "where is my parcel"': 'words="where is my parcel"',
    "mentioning vouchers last 24 hours": "words=vouchers period=last 24 hours",
    "refund questions": "about=refund",
    "runs where the refund was held": "outcome=held about=refund",
    "rejected parcels": "outcome=held,blocked about=parcel",
    "late deliveries in order-desk": "words=delivery flow=order-desk ?late",
    "angry customers": "?angry",
    "conversation conv_123": "customer=conv_123",
    "everything but errors": "outcome=answered,abstained,escalated,held,blocked,limit",
    "purple monkeys": "?purple ?monkeys",
    "runs without refunds": "?without refunds",
    "": "",
}


@pytest.mark.parametrize("wish", UNDERSTOOD)
def test_a_wish_is_understood_or_says_what_was_not(home: Path, wish: str) -> None:
    read = phrases.parse(wish, KNOWN, now=NOW)
    said = [f"{name}={','.join(values)}" for name, values in read.filters.address().items()]
    wanted = UNDERSTOOD[wish]
    for one in [*said, *(f"?{one}" for one in read.missed)]:
        assert one in wanted, (wish, said, read.missed)
        wanted = wanted.replace(one, "", 1)
    assert not wanted.strip(), (wish, said, read.missed)
