"""The Python functions that a flow may name; importing this package registers them."""

from workbench.runtime.toolbox import control, incidents, invoices, shop

__all__ = ["control", "incidents", "invoices", "shop"]
