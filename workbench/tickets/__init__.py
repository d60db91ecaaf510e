"""Tickets: load them, measure them, see what changed."""

from workbench.tickets import mapping, metrics, trends
from workbench.tickets.load import Loaded, load
from workbench.tickets.trends import Filters, facets, freshness, movers, overview, query, series, tickets, window

__all__ = [
    "Filters",
    "Loaded",
    "facets",
    "freshness",
    "load",
    "mapping",
    "metrics",
    "movers",
    "overview",
    "query",
    "series",
    "tickets",
    "trends",
    "window",
]
