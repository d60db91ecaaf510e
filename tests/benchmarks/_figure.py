"""A figure: what was measured, beside its limit and the baseline of the same run."""

from __future__ import annotations

from typing import Any


def figure(name: str, value: float, unit: str, limit: float, baseline: str) -> dict[str, Any]:
    """One line of the report."""
    return {"name": name, "value": value, "unit": unit, "limit": limit, "baseline": baseline}
