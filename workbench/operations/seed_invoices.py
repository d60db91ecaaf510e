"""The generator of the sample invoices, one for each order of the sample shop.

`python -m workbench.operations.seed_invoices` writes the file anew.
"""

from __future__ import annotations

import json
from typing import Any

from workbench.operations import seed_shop
from workbench.runtime.toolbox.invoices import SAMPLE

RATES = {"Leeds": 20.0, "Porto": 23.0, "Graz": 20.0, "Lyon": 20.0, "Boston": 6.25}
"""The tax that a price includes, in percent, by where the order goes."""

BUSINESSES = {"Priya Raman": "Raman Interiors", "Owen Hughes": "Hughes Guest House", "Mei Tanaka": "Tanaka Studio"}

REASONS = {
    "goods": "The price of an item is the one of the day on which you ordered.",
    "delivery fee": "It is charged once for each order, for bringing it to your address; express delivery costs more.",
    "VAT or tax": "Every price includes it: VAT in Europe and sales tax in the United States, at the rate of the address.",
}
"""Why a line stands on an invoice, by its kind."""


def generate(seed: int = 7) -> dict[str, Any]:
    """All invoices as plain data; the same for the same seed, on any day."""
    shop = seed_shop.generate(seed)
    invoices = [_invoice(order) for order in shop["orders"]]
    return {"currency": shop["currency"], "as_of": shop["as_of"], "reasons": REASONS, "invoices": invoices}


def write(seed: int = 7) -> None:
    """Write the committed file anew."""
    SAMPLE.write_text(text(seed), encoding="utf-8")


def text(seed: int = 7) -> str:
    """The committed file's text."""
    return json.dumps(generate(seed), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _invoice(order: dict[str, Any]) -> dict[str, Any]:
    rate = RATES[order["address"]["city"]]
    lines = [_line(line["item"], line["price"], rate) for line in order["lines"]]
    return {
        "invoice_number": order["invoice"],
        "order_id": order["order_id"],
        "issued_on": order["ordered_on"],
        "company_name": BUSINESSES.get(order["customer"], ""),
        "email": order["email"],
        "lines": lines,
        "tax_rate": rate,
        "tax": round(sum(line["tax"] for line in lines), 2),
        "total": order["total"],
    }


def _line(item: str, price: float, rate: float) -> dict[str, Any]:
    kind = "delivery fee" if item == "delivery fee" else "goods"
    return {"item": item, "kind": kind, "price": price, "tax": round(price * rate / (100 + rate), 2)}


if __name__ == "__main__":
    write()
