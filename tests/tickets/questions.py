"""Sixty questions as managers ask them, over the sample shop, and what each means; ten have no answer in tickets."""

from __future__ import annotations

from typing import Any

NEWEST = "2026-03-31"
"""The day of the newest sample ticket, a Tuesday."""


def asks(metric: str, **more: Any) -> dict[str, Any]:
    return {"metric": metric, **more}


ANSWERED: dict[str, dict[str, Any]] = {
    "How many tickets did we get last week?": asks("volume", start="2026-03-23", end="2026-03-29"),
    "How many tickets came in yesterday?": asks("volume", start="2026-03-30", end="2026-03-30"),
    "Tickets by topic": asks("volume", by=["topic"]),
    "volume per day in March 2026": asks("volume", grain="day", start="2026-03-01", end="2026-03-31"),
    "Show me tickets by channel over the last 90 days": asks("volume", by=["channel"], start="2026-01-01", end=NEWEST),
    "Which topic had the most tickets this month?": asks(
        "volume", by=["topic"], order="highest", start="2026-03-01", end=NEWEST
    ),
    "Top 5 topics by volume since January": asks("volume", by=["topic"], order="highest", limit=5, start="2026-01-01"),
    "What is the average CSAT by vendor?": asks("csat", by=["vendor"]),
    "Which vendor has the worst CSAT?": asks("csat", by=["vendor"], order="lowest"),
    "Which vendor has the best customer satisfaction in Q1 2026?": asks(
        "csat", by=["vendor"], order="highest", start="2026-01-01", end=NEWEST
    ),
    "CSAT trend for chat": asks("csat", grain="week", where={"channel": ["chat"]}),
    "Weekly CSAT of Calder": asks("csat", grain="week", where={"vendor": ["Calder"]}),
    "first response time by channel": asks("first_response", by=["channel"]),
    "How long do customers wait for a reply by email?": asks("first_response", where={"channel": ["email"]}),
    "How long does it take to resolve a refund?": asks("resolution", where={"topic": ["Refunds"]}),
    "Median resolution time by topic, slowest first": asks("resolution", by=["topic"], order="highest"),
    "Which vendor is the slowest?": asks("resolution", by=["vendor"], order="highest"),
    "fastest team": asks("resolution", by=["team"], order="lowest"),
    "Compare email vs chat on CSAT": asks("csat", by=["channel"], where={"channel": ["email", "chat"]}),
    "Northwind versus Calder resolution time": asks(
        "resolution", by=["vendor"], where={"vendor": ["Northwind", "Calder"]}
    ),
    "How many delivery tickets in February?": asks(
        "volume", where={"topic": ["Delivery"]}, start="2026-02-01", end="2026-02-28"
    ),
    "tickets about billing from Calder last month": asks(
        "volume", where={"topic": ["Billing"], "vendor": ["Calder"]}, start="2026-02-01", end="2026-02-28"
    ),
    "Reopen rate by vendor": asks("reopened", by=["vendor"]),
    "Which topics get reopened the most?": asks("reopened", by=["topic"], order="highest"),
    "What share of tickets is unanswered?": asks("unanswered"),
    "How many tickets are still open?": asks("unresolved"),
    "backlog per day in the last 30 days": asks("backlog", grain="day", start="2026-03-02", end=NEWEST),
    "backlog by team": asks("backlog", by=["team"]),
    "How many tickets were resolved last week?": asks("resolved", start="2026-03-23", end="2026-03-29"),
    "SLA breaches by priority": asks("sla_first_response", by=["priority"]),
    "sentiment by language": asks("sentiment", by=["language"]),
    "German tickets by topic": asks("volume", by=["topic"], where={"language": ["de"]}),
    "sentiment of french customers over time": asks("sentiment", grain="week", where={"language": ["fr"]}),
    "urgent tickets per week": asks("volume", grain="week", where={"priority": ["urgent"]}),
    "Did CSAT drop last month?": asks("csat", start="2026-02-01", end="2026-02-28", against="previous"),
    "Why did CSAT fall last week by topic?": asks(
        "csat", by=["topic"], start="2026-03-23", end="2026-03-29", against="previous"
    ),
    "What changed most by topic in the last 30 days?": asks(
        "volume", by=["topic"], start="2026-03-02", end=NEWEST, against="previous"
    ),
    "Volume this month compared with last month": asks("volume", start="2026-03-01", end=NEWEST, against="previous"),
    "tickets this month vs last year": asks("volume", start="2026-03-01", end=NEWEST, against="year"),
    "Are refunds growing?": asks("volume", where={"topic": ["Refunds"]}, against="previous"),
    "CSAT by vendor except Northwind": asks("csat", by=["vendor"], where={"vendor": ["Calder", "Brightline"]}),
    "tickets by topic without delivery in March 2026": asks(
        "volume",
        by=["topic"],
        where={
            "topic": [
                "Refunds",
                "Billing",
                "Sign-in",
                "Subscription",
                "Damaged item",
                "Setup",
                "Returns",
                "App",
                "Privacy",
            ]
        },
        start="2026-03-01",
        end="2026-03-31",
    ),
    "Sign-in tickets between 2026-01-10 and 2026-01-20": asks(
        "volume", where={"topic": ["Sign-in"]}, start="2026-01-10", end="2026-01-20"
    ),
    "how many tickets on 3 March": asks("volume", start="2026-03-03", end="2026-03-03"),
    "automation rate per month": asks("automation", grain="month"),
    "Damaged items by product": asks("volume", by=["product"], where={"topic": ["Damaged item"]}),
    "p90 first response by channel": asks("first_response_p90", by=["channel"]),
    "tickets from business customers": asks("volume", where={"customer_tier": ["business"]}),
    "lowest CSAT by team in 2026": asks("csat", by=["team"], order="lowest", start="2026-01-01", end=NEWEST),
    "late parcel tickets by week": asks("volume", grain="week", where={"subtopic": ["Late parcel"]}),
}

UNANSWERABLE: dict[str, str] = {
    "What was our revenue last month?": "no sales figures",
    "Which agent closed the most tickets?": "teams and vendors, not people",
    "What will the volume be next week?": "lies ahead",
    "Forecast tickets for April": "what was, not what will be",
    "NPS by vendor": "no promoter scores",
    "How many customers churned after a refund?": "“churned”",
    "Tickets by country": "not a country",
    "What is the weather like?": "“weather”",
    "CSAT and resolution time by vendor": "Two things are asked for at once",
    "How many tickets mention sharks?": "“sharks”",
}
