"""The generator of the sample shop. `python -m workbench.operations.seed_shop` writes the file anew."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

from workbench.runtime.toolbox.shop import SAMPLE

TODAY = dt.date(2026, 11, 1)
FIRST, COUNT = 1001, 60

PEOPLE = (
    "Amara Obi", "Jonas Keller", "Lucía Ferrer", "Mei Tanaka", "Owen Hughes", "Priya Raman", "Salma Haddad", "Tomas Novak",
    "Ines Duarte", "Kofi Mensah", "Elena Petrova", "Marc Dubois", "Nora Lind", "Rafael Costa", "Yusuf Demir", "Greta Holm",
)  # fmt: skip
GOODS = (
    ("stoneware vase", 38.0), ("set of four glasses", 37.0), ("oak side table", 149.0), ("linen tablecloth", 44.0),
    ("storage jar with lid", 9.99), ("wool throw", 72.0), ("desk lamp", 56.0), ("bread board", 24.5), ("bath towels", 32.0),
    ("cast iron pan", 61.0), ("picture frame", 18.5), ("plant stand", 27.0),
)  # fmt: skip
STREETS = ("Mill Lane", "Harbour Street", "Station Road", "Elm Avenue", "Castle Walk", "Market Square")
CITIES = (("Leeds", "LS1 4AP"), ("Porto", "4050-253"), ("Graz", "8010"), ("Lyon", "69002"), ("Boston", "02116"))
CARRIERS = ("Northline", "Parcelo", "Swift Mail")
PLACES = ("the sorting centre", "the carrier's depot", "the delivery van")

SERVICES = {
    "checkout": {"status": "working", "since": "2026-10-12"},
    "login": {"status": "working", "since": "2026-09-30"},
    "payments": {"status": "degraded", "since": "2026-11-01", "note": "Card payments fail for one in ten customers."},
    "delivery": {"status": "delayed", "since": "2026-10-29", "note": "Northline delivers two days late in the north."},
}

KNOWN: dict[int, dict[str, Any]] = {
    1003: {"status": "delivered"},
    1005: {"status": "delivered"},
    1007: {"status": "shipped"},
    1011: {"status": "shipped"},
    1012: {"status": "delivered", "goods": [("storage jar with lid", 9.99), ("bread board", 24.5)]},
    1015: {"status": "delivered", "goods": [("stoneware vase", 38.0)]},
    1021: {"status": "delivered", "goods": [("set of four glasses", 37.0)]},
    1027: {"status": "delivered", "goods": [("wool throw", 72.0)]},
    1030: {"status": "delivered", "goods": [("oak side table", 149.0)]},
    1033: {"status": "delivered", "goods": [("bread board", 24.5)]},
    1040: {"status": "processing"},
    1042: {"status": "late", "goods": [("wool throw", 72.0)], "fee": 12.0},
}
"""Orders that the sample conversations name."""


def generate(seed: int = 7) -> dict[str, Any]:
    """The whole shop as plain data; the same for the same seed, on any day."""
    chance = random.Random(seed)  # noqa: S311  (sample data)
    orders = [_order(chance, number) for number in range(FIRST, FIRST + COUNT)]
    return {"shop": "Fernhill", "currency": "USD", "as_of": TODAY.isoformat(), "orders": orders, "services": SERVICES}


def write(seed: int = 7) -> None:
    """Write the committed file anew."""
    SAMPLE.write_text(text(seed), encoding="utf-8")


def text(seed: int = 7) -> str:
    """The committed file's text."""
    return json.dumps(generate(seed), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _order(chance: random.Random, number: int) -> dict[str, Any]:
    known = KNOWN.get(number, {})
    person = chance.choice(PEOPLE)
    goods = known.get("goods") or chance.sample(GOODS, chance.randint(1, 3))
    fee = known.get("fee", chance.choice((0.0, 4.9, 6.9)))
    lines = [{"item": item, "price": price} for item, price in goods]
    if fee:
        lines.append({"item": "delivery fee", "price": fee})
    drawn = chance.choices(("processing", "shipped", "delivered", "late", "cancelled", "returned"), (2, 4, 9, 2, 1, 1))[
        0
    ]
    status = known.get("status") or drawn
    city, postcode = chance.choice(CITIES)
    order = {
        "order_id": number,
        "customer": person,
        "email": person.lower().replace(" ", ".").replace("í", "i") + "@example.com",
        "lines": lines,
        "total": round(sum(line["price"] for line in lines), 2),
        "status": status,
        "invoice": f"F-2026-{number + 3000}",
        "address": {"street": f"{chance.randint(1, 90)} {chance.choice(STREETS)}", "city": city, "postcode": postcode},
        "refunds": [],
    }
    return order | _dates(chance, status, late=number == 1042)


def _dates(chance: random.Random, status: str, *, late: bool) -> dict[str, Any]:
    ordered = TODAY - dt.timedelta(days=chance.randint(2, 4) if status == "processing" else chance.randint(9, 40))
    dates: dict[str, Any] = {"ordered_on": ordered.isoformat()}
    if status in ("processing", "cancelled"):
        return dates
    shipped = ordered + dt.timedelta(days=chance.randint(1, 2))
    expected = shipped + dt.timedelta(days=chance.randint(3, 5))
    if status == "shipped":
        shipped, expected = TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=chance.randint(1, 3))
        dates["ordered_on"] = (TODAY - dt.timedelta(days=3)).isoformat()
    if status == "late":
        expected = TODAY - dt.timedelta(days=2 if late else chance.randint(1, 5))
        shipped = expected - dt.timedelta(days=4)
        dates["ordered_on"] = (shipped - dt.timedelta(days=1)).isoformat()
    dates |= {
        "shipped_on": shipped.isoformat(),
        "expected_on": expected.isoformat(),
        "carrier": "Northline" if late else chance.choice(CARRIERS),
        "tracking_number": f"NL{chance.randint(10_000_000, 99_999_999)}",
    }
    if status in ("delivered", "returned"):
        dates["delivered_on"] = (expected + dt.timedelta(days=chance.choice((0, 0, 1)))).isoformat()
    else:
        dates["location"] = chance.choice(PLACES)
    return dates


if __name__ == "__main__":
    write()
