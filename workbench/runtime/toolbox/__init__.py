"""The Python functions that a flow may name; importing this package registers them."""

from workbench.runtime.toolbox import control, shop

__all__ = ["control", "shop"]
