"""What a run cost: tokens and US dollars by model, at the price of the run's own day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench import runtime
from workbench.runtime.prices import Price


@dataclass(frozen=True)
class Line:
    """A model's part of a run. `usd` is None where it is not known; `price` is that of the day, in words."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    usd: float | None
    price: str


def bill(record: Mapping[str, Any]) -> list[Line]:
    """What each model of a run took, in the order they were asked. What was repeated from another run costs nothing."""
    day = dt.datetime.fromisoformat(record["started_at"]).date()
    made = [one for one in record["calls"] if one["kind"] == "model" and not one.get("replayed")]
    prices = runtime.roles()
    return [
        _line(model, [one for one in made if one["model"] == model], prices.price(model, day))
        for model in dict.fromkeys(one["model"] for one in made)
    ]


def usd(record: Mapping[str, Any]) -> float | None:
    """US dollars of a run: as recorded, or else by the price of its day; None where neither is known."""
    told = record["usage"]["usd"]
    if told is not None or not record["usage"]["input_tokens"]:
        return None if told is None else float(told)
    parts = [line.usd for line in bill(record)]
    return None if not parts or None in parts else sum(one or 0.0 for one in parts)


def _line(model: str, calls: Iterable[Mapping[str, Any]], price: Price | None) -> Line:
    listed = list(calls)
    used = [(one.get("response") or {}).get("usage") or {} for one in listed]
    given, out, cached = (
        sum(int(one.get(name, 0)) for one in used) for name in ("input_tokens", "output_tokens", "cached_tokens")
    )
    told = [one.get("usd") for one in listed]
    if None not in told:
        cost: float | None = sum(float(one) for one in told if one is not None)
    else:
        cost = price.cost(given, out, cached) if price is not None and given else None
    return Line(model, len(listed), given, out, cached, cost, price.words if price else "")
