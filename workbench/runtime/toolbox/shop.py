"""The tools of an order desk, and the sample shop that they work on when the caller brings no shop."""

from __future__ import annotations

import copy
import functools
import json
import threading
from pathlib import Path
from typing import Any, Literal

from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime.tools import ToolContext, tool

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "seed" / "shop.json"

Area = Literal["checkout", "login", "payments", "delivery"]


class Shop:
    """Orders in memory, safe to use from several threads. Amounts are US dollars, dates ISO 8601."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.currency: str = body["currency"]
        self.services: dict[str, dict[str, str]] = body["services"]
        self._orders: dict[int, dict[str, Any]] = {int(order["order_id"]): order for order in body["orders"]}
        self._paid: dict[str, dict[str, Any]] = {}
        self._tickets = 0
        self._lock = threading.RLock()

    @classmethod
    def sample(cls) -> Shop:
        """A fresh copy of the sample shop, so that one run does not see another's refunds. Raises NotFound."""
        return cls(copy.deepcopy(_sample()))

    def order(self, order_id: int) -> dict[str, Any]:
        """A copy of the order with this number. Raises NotFound."""
        with self._lock:
            return copy.deepcopy(self._order(order_id))

    def left(self, order_id: int) -> float:
        """What was paid for an order and not refunded yet. Raises NotFound."""
        with self._lock:
            order = self._order(order_id)
            return round(float(order["total"]) - sum(float(r["amount"]) for r in order["refunds"]), 2)

    def refund(self, order_id: int, amount: float, reason: str, *, key: str = "") -> dict[str, Any]:
        """Refund part of an order, once: the same `key` gets the same receipt again. Raises NotFound, Invalid or Refused.

        Without a key, the same amount for the same order is the same refund. With a new key it is refused: it may be a
        refund that was asked for twice, so a person decides.
        """
        amount = round(amount, 2)
        if not amount > 0:
            raise Invalid(f"A refund must be more than nothing, not {amount:g}.")
        with self._lock:
            order = self._order(order_id)
            if key in self._paid:
                return _same(self._paid[key], order_id, amount)
            for receipt in order["refunds"]:
                if receipt["amount"] == amount:
                    return _again(receipt, key)
            if amount > self.left(order_id):
                raise Refused(f"Only ${self.left(order_id):.2f} of order {order_id} can still be refunded.")
            receipt = {
                "refund_id": f"R{order_id}-{len(order['refunds']) + 1}",
                "order_id": order_id,
                "amount": amount,
                "reason": reason,
                "arrival": "within 5 business days, by the original payment method",
            }
            order["refunds"].append(receipt)
            if key:
                self._paid[key] = receipt
            return dict(receipt)

    def move(self, order_id: int, street: str, city: str, postcode: str) -> dict[str, Any]:
        """Change an order's address while it has not been shipped. Raises NotFound or Refused."""
        with self._lock:
            order = self._order(order_id)
            if order["status"] != "processing":
                raise Refused(f"Order {order_id} is {order['status']}; its address can no longer be changed.")
            order["address"] = {"street": street, "city": city, "postcode": postcode}
            return {"order_id": order_id, "address": dict(order["address"])}

    def ticket(self, summary: str, priority: str) -> dict[str, Any]:
        """Open a ticket for the people of the shop."""
        with self._lock:
            self._tickets += 1
            return {"ticket_id": f"T{4000 + self._tickets}", "summary": summary, "priority": priority}

    def _order(self, order_id: int) -> dict[str, Any]:
        if order_id not in self._orders:
            raise NotFound(f"There is no order {order_id}.")
        return self._orders[order_id]


def _same(receipt: dict[str, Any], order_id: int, amount: float) -> dict[str, Any]:
    if (receipt["order_id"], receipt["amount"]) != (order_id, amount):
        raise Refused(f"This refund was made already, as {receipt['refund_id']}, with another order or amount.")
    return dict(receipt)


def _again(receipt: dict[str, Any], key: str) -> dict[str, Any]:
    if key:
        raise Refused(
            f"${receipt['amount']:.2f} of order {receipt['order_id']} was refunded already, as {receipt['refund_id']}.",
            remedy="To refund the same amount once more, pass it to a colleague.",
        )
    return dict(receipt)


@tool(effect="read")
def find_order(context: ToolContext, order_id: int) -> dict[str, Any]:
    """Look up an order: its status, dates, items, total and refunds.

    Args:
        order_id: The order number, such as 1042.
    """
    order = context.resource(Shop).order(order_id)
    names = ("order_id", "status", "ordered_on", "shipped_on", "expected_on", "delivered_on", "total", "refunds")
    found = {name: order[name] for name in names if order.get(name) not in (None, [])}
    return {**found, "items": [line["item"] for line in order["lines"]]}


@tool(effect="read")
def track_parcel(context: ToolContext, order_id: int) -> dict[str, Any]:
    """Track the parcel of an order: carrier, tracking number, where it is, when it is expected to arrive.

    Args:
        order_id: The order number, such as 1042.
    """
    order = context.resource(Shop).order(order_id)
    if not order.get("tracking_number"):
        raise Refused(f"Order {order_id} has not been shipped, so there is no parcel to track yet.")
    names = ("order_id", "status", "carrier", "tracking_number", "location", "expected_on", "delivered_on")
    return {name: order[name] for name in names if order.get(name)}


@tool(effect="high-stakes")
def refund_order(context: ToolContext, order_id: int, amount: float, reason: str) -> dict[str, Any]:
    """Refund money for an order to the original payment method.

    Args:
        order_id: The order number, such as 1042.
        amount: The amount to refund, in US dollars.
        reason: Why the customer gets the money back, in a few words.
    """
    return context.resource(Shop).refund(order_id, amount, reason, key=context.key)


@tool(effect="read")
def find_invoice(context: ToolContext, order_id: int) -> dict[str, Any]:
    """Look up the invoice of an order: its number, lines and total.

    Args:
        order_id: The order number, such as 1042.
    """
    order = context.resource(Shop).order(order_id)
    return {"invoice": order["invoice"], "order_id": order_id, "lines": order["lines"], "total": order["total"]}


@tool(effect="write")
def change_address(context: ToolContext, order_id: int, street: str, city: str, postcode: str) -> dict[str, Any]:
    """Change the delivery address of an order that has not been shipped.

    Args:
        order_id: The order number, such as 1042.
        street: Street and house number.
        city: Town or city.
        postcode: Postal code.
    """
    return context.resource(Shop).move(order_id, street, city, postcode)


@tool(effect="write")
def open_ticket(context: ToolContext, summary: str, priority: Literal["low", "normal", "high"]) -> dict[str, Any]:
    """Open a ticket for a colleague to follow up.

    Args:
        summary: What has to be done, in one or two sentences.
        priority: How urgent it is.
    """
    return context.resource(Shop).ticket(summary, priority)


@tool(effect="read")
def service_status(context: ToolContext, area: Area) -> dict[str, Any]:
    """Look up whether a part of the shop has an outage or incident now.

    Args:
        area: The part of the shop.
    """
    return {"area": area, **context.resource(Shop).services[area]}


@functools.cache
def _sample() -> dict[str, Any]:
    try:
        return dict(json.loads(SAMPLE.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NotFound(f"The sample shop {SAMPLE} is missing.", remedy="Pass a Shop in `resources`.") from None
