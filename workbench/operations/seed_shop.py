"""Make the sample order shop, `data/seed/shop.json`: sixty invented orders, the same at every run.

`python -m workbench.operations.seed_shop` rewrites the file.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from workbench import settings

AS_OF = date(2026, 11, 1)
"""The shop's today. Every status and every delay is as of this day."""


class Region(NamedTuple):
    """Where a parcel goes: the fee in dollars and the days of transit (business days) that the help centre promises."""

    service: str
    fee: float
    fastest: int
    slowest: int
    carrier: str
    prefix: str


STANDARD = Region("standard", 6.00, 3, 5, "Northway Parcel", "NW")
EXPRESS = Region("express", 12.00, 1, 2, "Swiftlane Express", "SX")
FAR = Region("Alaska, Hawaii and Puerto Rico", 14.00, 6, 9, "Northway Parcel", "NW")
CANADA = Region("Canada", 18.00, 7, 10, "Maplepost", "MP")
EUROPE = Region("United Kingdom and European Union", 24.00, 8, 12, "Overseas Relay", "OR")
FREE_FROM = 90.00
"""Goods of this many dollars or more travel free by standard delivery."""

_CUSTOMERS = (
    "Adaeze Nwosu", "Ines Carvalho", "Tomasz Zielak", "Harper Whitlow", "Mei-Ling Tsao", "Rafael Ibarra",
    "Priya Raghunath", "Jonas Brandvold", "Leilani Kahale", "Omar Haddadin", "Saoirse Keane", "Dmitri Volkonin",
    "Yuki Amamiya", "Fatoumata Diarra", "Callum Strathearn", "Noor Siddiqa", "Beatriz Lozano", "Elias Mattsson",
    "Winona Redfeather", "Arjun Velan", "Chloe Desrosiers", "Kwame Boaten", "Hannah Eisenberg", "Minh Anh Luu",
    "Zoltan Erdei", "Amara Lindqvist", "Giulia Ferrante", "Samuel Okello", "Tariq Mansoor", "Ruth Abernethy",
)  # fmt: skip

_STREETS = (
    "Alder Lane", "Quarry Road", "Juniper Street", "Mill Pond Way", "Larkspur Avenue", "Copper Hill", "Orchard Row",
    "Harbour View", "Saddler Street", "Windmill Court", "Tannery Lane", "Elm Crescent",
)  # fmt: skip

_PLACES: tuple[tuple[str, str, str, Region], ...] = (
    ("Portland, OR", "97205", "US", STANDARD),
    ("Austin, TX", "78704", "US", STANDARD),
    ("Madison, WI", "53703", "US", STANDARD),
    ("Savannah, GA", "31401", "US", STANDARD),
    ("Tucson, AZ", "85701", "US", STANDARD),
    ("Providence, RI", "02903", "US", STANDARD),
    ("Chicago, IL", "60614", "US", EXPRESS),
    ("Boston, MA", "02116", "US", EXPRESS),
    ("Denver, CO", "80203", "US", EXPRESS),
    ("Honolulu, HI", "96815", "US", FAR),
    ("Anchorage, AK", "99501", "US", FAR),
    ("Toronto, ON", "M5V 2T6", "CA", CANADA),
    ("Halifax, NS", "B3H 1W5", "CA", CANADA),
    ("Leeds", "LS1 4AP", "GB", EUROPE),
    ("Berlin", "10115", "DE", EUROPE),
    ("Lyon", "69002", "FR", EUROPE),
)

_GOODS: tuple[tuple[str, float], ...] = (
    ("Linen duvet cover, queen", 58.00),
    ("Cotton sheet set, king", 74.00),
    ("Wool throw", 49.50),
    ("Bath towel", 16.00),
    ("Stoneware dinner plate", 14.50),
    ("Stoneware vase", 20.00),
    ("Hand-blown glass", 18.50),
    ("Storage jar with lid", 9.99),
    ("Cast-iron pan, 10 inch", 42.00),
    ("Oak cutting board", 31.00),
    ("Oak side table", 140.00),
    ("Brass desk lamp", 67.00),
    ("Paper lampshade", 23.50),
    ("Cotton rug, 4 by 6 feet", 88.00),
    ("Linen curtain, pair", 62.00),
    ("Beeswax candle, pair", 14.00),
    ("Enamel teapot", 36.50),
    ("Woven basket", 27.00),
)

_PRICES = dict(_GOODS)

_WRITTEN: dict[int, tuple[Region, tuple[tuple[str, int], ...]]] = {
    1012: (STANDARD, (("Storage jar with lid", 3),)),
    1015: (STANDARD, (("Stoneware vase", 1), ("Bath towel", 2))),
    1021: (STANDARD, (("Hand-blown glass", 4),)),
    1027: (STANDARD, (("Cotton rug, 4 by 6 feet", 1),)),
    1030: (STANDARD, (("Oak side table", 1),)),
    1042: (EXPRESS, (("Linen duvet cover, queen", 1), ("Beeswax candle, pair", 1))),
}
"""The orders that the sample conversations speak of: what was bought and how it travels."""

_CANCELLED = frozenset({1008, 1026, 1044, 1058})
_RETURNED = frozenset({1004, 1014, 1022, 1028})
_LATE = frozenset({1031, 1036, 1039})
_ARRIVED_LATE = frozenset({1017, 1027})
_BROKEN = frozenset({1010, 1023})

_SERVICES: tuple[Mapping[str, str], ...] = (
    {"area": "checkout", "state": "operational", "since": "2026-09-12", "note": "Orders are going through normally."},
    {"area": "login", "state": "operational", "since": "2026-10-03", "note": "Signing in works normally."},
    {
        "area": "payments",
        "state": "degraded",
        "since": "2026-10-31",
        "note": "Some American Express cards are declined; PayPal and other cards work.",
    },
    {
        "area": "delivery",
        "state": "delayed",
        "since": "2026-10-29",
        "note": "Swiftlane Express runs up to 3 days late after storms in the Midwest.",
    },
)


def generate(seed: int = 7) -> dict[str, Any]:
    """Return the shop as JSON-able data: `as_of`, `orders` 1001 to 1060 by number, `services`. Amounts are in dollars."""
    rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
    return {
        "as_of": AS_OF.isoformat(),
        "orders": [_order(order_id, rng) for order_id in range(1001, 1061)],
        "services": [dict(service) for service in _SERVICES],
    }


def render(shop: Mapping[str, Any]) -> str:
    """Return `shop` as the text of its file: keys sorted, one field a line."""
    return json.dumps(shop, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def path() -> Path:
    """Return where the committed file lies."""
    return settings.load().seed / "shop.json"


def _order(order_id: int, rng: random.Random) -> dict[str, Any]:
    customer = _CUSTOMERS[(order_id * 7) % len(_CUSTOMERS)]
    city, postcode, country, region = rng.choice(_PLACES)
    goods = [(name, rng.choice((1, 1, 1, 2, 4))) for name, _ in rng.sample(_GOODS, rng.choice((1, 1, 2, 2, 3)))]
    street = f"{rng.randint(2, 180)} {rng.choice(_STREETS)}"
    number = f"{rng.randrange(10**9):09d}"
    spare_hours = rng.random()
    if order_id in _WRITTEN:
        region, written = _WRITTEN[order_id]
        goods = list(written)
        city, postcode, country, _ = next(place for place in _PLACES if place[3] is region)
    lines = [{"name": name, "price": _PRICES[name], "quantity": quantity} for name, quantity in goods]
    worth = _dollars(sum(_PRICES[name] * quantity for name, quantity in goods))
    fee = 0.0 if region is STANDARD and worth >= FREE_FROM else region.fee
    lines.append({"name": f"Delivery fee, {region.service}", "price": fee, "quantity": 1})
    ordered = _ordered(order_id)
    shipped = _after(ordered, 2 if spare_hours < 0.3 and order_id != 1042 else 1)
    expected = _after(shipped, region.slowest)
    status, delivered = _course(order_id, region, shipped, expected, spare_hours)
    gone = status not in ("processing", "cancelled")
    return {
        "address": {"city": city, "country": country, "postcode": postcode, "street": street},
        "carrier": region.carrier if gone else None,
        "currency": "USD",
        "customer": customer,
        "delivered": delivered.isoformat() if delivered else None,
        "email": f"{customer.lower().replace(' ', '.')}@example.{'org' if order_id % 3 == 0 else 'com'}",
        "expected": None if status == "cancelled" else expected.isoformat(),
        "invoice": f"INV-{ordered.year}-{order_id}",
        "lines": lines,
        "order_id": order_id,
        "ordered": ordered.isoformat(),
        "payment_method": rng.choice(("Visa", "Mastercard", "American Express", "PayPal", "Apple Pay")),
        "refunds": _refunds(order_id, worth, fee, ordered, delivered, goods),
        "shipped": shipped.isoformat() if gone else None,
        "status": status,
        "total": _dollars(worth + fee),
        "tracking_number": f"{region.prefix}{number}" if gone else None,
    }


def _ordered(order_id: int) -> date:
    """Spread the first orders over two months and the last over the five days before the shop's today."""
    turn = date(2026, 10, 27)
    if order_id <= 1042:
        return turn - timedelta(days=round((1042 - order_id) * 1.5))
    return turn + timedelta(days=(order_id - 1042) * 4 // 18)


def _course(order_id: int, region: Region, shipped: date, expected: date, chance: float) -> tuple[str, date | None]:
    """Return what became of the order by the shop's today, and the day of delivery if there was one."""
    if order_id in _CANCELLED:
        return "cancelled", None
    if shipped > AS_OF - timedelta(days=1):
        return "processing", None
    if order_id in _LATE:
        return "late", None
    if order_id in _ARRIVED_LATE:
        arrived = _after(expected, 3)
    else:
        arrived = _after(shipped, region.fastest + int(chance * (region.slowest - region.fastest + 1)))
    if order_id == 1042 or arrived >= AS_OF:
        return "shipped", None
    return ("returned" if order_id in _RETURNED else "delivered"), arrived


def _refunds(
    order_id: int, worth: float, fee: float, ordered: date, delivered: date | None, goods: list[tuple[str, int]]
) -> list[dict[str, Any]]:
    def refund(amount: float, reason: str, day: date) -> list[dict[str, Any]]:
        return [{"amount": _dollars(amount), "day": day.isoformat(), "reason": reason, "receipt": f"RF-{order_id}-1"}]

    if order_id in _CANCELLED:
        return refund(worth + fee, "cancelled before shipping", _after(ordered, 1))
    if delivered is None:
        return []
    if order_id in _RETURNED:
        return refund(worth, "returned within 30 days", _after(delivered, 9))
    if order_id in _ARRIVED_LATE and fee:
        return refund(fee, "delivered two or more days late", _after(delivered, 1))
    if order_id in _BROKEN:
        return refund(_PRICES[goods[0][0]], "arrived broken", _after(delivered, 2))
    return []


def _after(day: date, business_days: int) -> date:
    """Return the day that many business days (Monday to Friday) after `day`."""
    while business_days:
        day += timedelta(days=1)
        business_days -= day.weekday() < 5
    return day


def _dollars(amount: float) -> float:
    return round(amount, 2)


if __name__ == "__main__":
    path().write_text(render(generate()), encoding="utf-8")
