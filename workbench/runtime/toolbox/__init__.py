"""The Python functions that a flow may name; importing this package registers them."""

from workbench.runtime.toolbox import control, incidents, invoices, shop

__all__ = ["SAMPLED", "control", "incidents", "invoices", "shop"]

SAMPLED = frozenset(one.__name__ for one in (incidents, invoices, shop))
"""Modules whose tools change nothing but a sample in memory, made for each run, where the caller brings nothing."""
