"""Tickets: load them, measure them, see what changed."""

from workbench.tickets import changes, mapping, markers, metrics, trends
from workbench.tickets.changes import movers
from workbench.tickets.load import Loaded, load
from workbench.tickets.trends import Filters, facets, freshness, overview, query, series, tickets, window

__all__ = [
    "Filters",
    "Loaded",
    "changes",
    "facets",
    "freshness",
    "load",
    "mapping",
    "markers",
    "metrics",
    "movers",
    "overview",
    "query",
    "series",
    "tickets",
    "trends",
    "window",
]
