"""A figure: what was measured, beside its limit and the baseline of the same run."""

from __future__ import annotations

from typing import Any


def figure(name: str, value: float, unit: str, limit: float | None, baseline: str) -> dict[str, Any]:
    """One line of the report. A figure without a limit is there to be read."""
    return {"name": name, "value": value, "unit": unit, "limit": limit, "baseline": baseline}
