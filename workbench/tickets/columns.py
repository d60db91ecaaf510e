"""The columns of a ticket: names, types, and which of them break a metric down."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

from workbench.errors import Invalid

Type = Literal["VARCHAR", "TIMESTAMP", "DOUBLE", "BOOLEAN", "JSON"]

COLUMNS: dict[str, Type] = {
    "ticket_id": "VARCHAR",
    "created_at": "TIMESTAMP",
    "first_response_at": "TIMESTAMP",
    "resolved_at": "TIMESTAMP",
    "reopened": "BOOLEAN",
    "channel": "VARCHAR",
    "topic": "VARCHAR",
    "subtopic": "VARCHAR",
    "product": "VARCHAR",
    "vendor": "VARCHAR",
    "team": "VARCHAR",
    "priority": "VARCHAR",
    "status": "VARCHAR",
    "language": "VARCHAR",
    "csat": "DOUBLE",
    "sentiment": "DOUBLE",
    "customer_tier": "VARCHAR",
    "subject": "VARCHAR",
    "body": "VARCHAR",
    "run_id": "VARCHAR",
}
"""Name and stored type of each column; times are UTC without a zone."""

REQUIRED = ("ticket_id", "created_at")
ATTRIBUTES = "attributes"
UPDATED = "updated_at"
"""When the help desk last changed a ticket: says which of two rows is newer, and is stored but not shown."""

READ: dict[str, Type] = {**COLUMNS, UPDATED: "TIMESTAMP"}
"""What a file may give."""

STORED: dict[str, Type] = {**READ, ATTRIBUTES: "JSON"}
"""What a part of the current tickets holds."""

ENRICHED: dict[str, str] = {
    "enriched_language": "VARCHAR",
    "language_how": "VARCHAR",
    "enriched_sentiment": "DOUBLE",
    "sentiment_how": "VARCHAR",
    "enriched_topic": "INTEGER",
    "topic_how": "VARCHAR",
    "masked_subject": "VARCHAR",
    "masked_body": "VARCHAR",
    "masked_how": "VARCHAR",
}
"""What enrichment adds to a part. `how` begins with who found a value (`local`, `model`) and names what by; a ticket with
another one is still to be done. A topic is its number; a masked text is there only where something was masked."""

SOURCES = ("topic_source", "language_source", "sentiment_source")
"""Where a value of a ticket came from: `file`, `local`, `model` or `person`."""

FOUND = ("found_topic", "found_subtopic")
"""The topic that was found in a ticket's text, as people have named it, whatever the help desk says."""

DIMENSIONS = (
    "topic",
    "subtopic",
    "channel",
    "vendor",
    "product",
    "team",
    "priority",
    "status",
    "language",
    "customer_tier",
    *FOUND,
)
NONE = "(none)"
"""How a ticket without a value in a dimension is called, in answers and in filters."""

FOREIGN = {
    "ticket_id": ("id", "number", "key", "ticket", "case_number", "ticket_number"),
    "created_at": ("opened_at", "created", "opened", "created_date", "date", "timestamp"),
    "first_response_at": ("first_reply_at", "first_response", "first_responded_at"),
    "resolved_at": ("solved_at", "resolved", "closed_at"),
    "updated_at": ("updated", "last_updated", "modified_at", "last_modified"),
}
"""What other systems call a column; used only to suggest a mapping."""


def title(name: str) -> str:
    """How a column is called on the screen: `Customer tier`."""
    return name.replace("_", " ").capitalize()


def dimension(name: str) -> str:
    """`name`, when it is a dimension; raises Invalid with the nearest one."""
    if name not in DIMENSIONS:
        raise Invalid(
            f"There is no dimension {name!r}{nearest(name, DIMENSIONS)}.", remedy=f"Use one of {', '.join(DIMENSIONS)}."
        )
    return name


def nearest(name: str, known: Iterable[str]) -> str:
    """`; the nearest is …`, or nothing where none of `known` is near."""
    match = closest(name, known)
    return f"; the nearest is {match!r}" if match else ""


def closest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` was probably meant to be, or an empty string."""
    folded = {known_name.casefold(): known_name for known_name in known}
    for other in (name, *FOREIGN.get(name, ())):
        if other.casefold() in folded:
            return folded[other.casefold()]
    matches = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[matches[0]] if matches else ""
