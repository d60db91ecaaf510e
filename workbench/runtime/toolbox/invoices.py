"""The tools of an invoice desk, and the sample invoices that they work on when the caller brings none."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import json
import threading
from pathlib import Path
from typing import Any, Literal

from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime.tools import ToolContext, tool

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "seed" / "invoices.json"

CORRECTED_WITHIN = 30
"""Days from its issue in which an invoice can be corrected."""

Line = Literal["goods", "delivery fee", "VAT or tax"]


class Invoices:
    """Invoices in memory, safe to use from several threads. Amounts are US dollars, dates ISO 8601."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.today = dt.date.fromisoformat(body["as_of"])
        self.reasons: dict[str, str] = body["reasons"]
        self._invoices: dict[str, dict[str, Any]] = {one["invoice_number"]: one for one in body["invoices"]}
        self._by_order = {str(one["order_id"]): one for one in body["invoices"]}
        self._sent: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()

    @classmethod
    def sample(cls) -> Invoices:
        """A fresh copy of the sample invoices, so that one run does not see what another did. Raises NotFound."""
        return cls(copy.deepcopy(_sample()))

    def invoice(self, number: str) -> dict[str, Any]:
        """A copy of the invoice with this number, or of the order with this number. Raises NotFound."""
        with self._lock:
            return copy.deepcopy(self._invoice(number))

    def explain(self, number: str, line: Line) -> str:
        """What a kind of line comes to on an invoice, and why it is charged. Raises NotFound."""
        found = self.invoice(number)
        name, reason = found["invoice_number"], self.reasons[line]
        if line == "VAT or tax":
            return (
                f"The prices on {name} include ${found['tax']:.2f} of tax, at {found['tax_rate']:g} percent. {reason}"
            )
        charged = [f"{one['item']} ${one['price']:.2f}" for one in found["lines"] if one["kind"] == line]
        return f"{name} charges: {', '.join(charged)}. {reason}" if charged else f"{name} charges no {line}."

    def send(self, number: str, email: str) -> dict[str, Any]:
        """Send a copy to the address that the order was placed with, once. Raises NotFound or Refused."""
        with self._lock:
            found = self._invoice(number)
            name, address = found["invoice_number"], found["email"]
            if email.strip().casefold() != address.casefold():
                raise Refused(f"A copy of {name} goes only to the e-mail address of its order.")
            if name not in self._sent:
                message_id = f"M{7000 + len(self._sent) + 1}"
                self._sent[name] = {"message_id": message_id, "invoice_number": name, "email": address}
            return dict(self._sent[name])

    def rename(self, number: str, company_name: str) -> dict[str, Any]:
        """Put another company name on a recent invoice; it keeps its number and gains the letter C.

        The same name again changes nothing. Raises NotFound, Invalid or Refused.
        """
        name = " ".join(company_name.split())
        if not name:
            raise Invalid("The company name is empty.")
        with self._lock:
            found = self._invoice(number)
            if (self.today - dt.date.fromisoformat(found["issued_on"])).days > CORRECTED_WITHIN:
                raise Refused(
                    f"{found['invoice_number']} is older than {CORRECTED_WITHIN} days and cannot be corrected."
                )
            found["company_name"] = name
            return {"corrected_invoice": f"{found['invoice_number']}C", "company_name": name}

    def _invoice(self, number: str) -> dict[str, Any]:
        wanted = number.strip().upper()
        found = self._invoices.get(wanted) or self._by_order.get(wanted)
        if found is None:
            raise NotFound(f"There is no invoice {number}.")
        return found


@tool(effect="read")
def get_invoice(context: ToolContext, invoice_number: str) -> dict[str, Any]:
    """Look up an invoice: when it was issued, its items and its total.

    Args:
        invoice_number: The invoice number, such as F-2026-4042; the number of its order, such as 1042, will do.
    """
    return _shown(context.resource(Invoices).invoice(invoice_number))


@tool(effect="read")
def describe_invoice_line(context: ToolContext, invoice_number: str, line: Line) -> str:
    """Explain a charge on an invoice: what was charged, and why.

    Args:
        invoice_number: The invoice number, such as F-2026-4042; the number of its order, such as 1042, will do.
        line: What the customer asks about: the goods, the delivery fee, or VAT and sales tax.
    """
    return context.resource(Invoices).explain(invoice_number, line)


@tool(effect="write")
def send_invoice(context: ToolContext, invoice_number: str, email: str) -> dict[str, Any]:
    """Send a copy of an invoice by e-mail. It goes only to the address that the order was placed with.

    Args:
        invoice_number: The invoice number, such as F-2026-4042; the number of its order, such as 1042, will do.
        email: The customer's e-mail address.
    """
    return context.resource(Invoices).send(invoice_number, email)


@tool(effect="high-stakes")
def change_company_name(context: ToolContext, invoice_number: str, company_name: str) -> dict[str, Any]:
    """Change the company name on an invoice of the last 30 days. The corrected invoice gains the letter C.

    Args:
        invoice_number: The invoice number, such as F-2026-4042; the number of its order, such as 1042, will do.
        company_name: The company name as it shall be on the invoice.
    """
    return context.resource(Invoices).rename(invoice_number, company_name)


def _shown(invoice: dict[str, Any]) -> dict[str, Any]:
    """What may be told to whoever knows the number: neither the name nor the address."""
    names = ("invoice_number", "order_id", "total", "issued_on", "tax", "tax_rate")
    lines = [{"item": line["item"], "price": line["price"]} for line in invoice["lines"]]
    return {**{name: invoice[name] for name in names}, "lines": lines}


@functools.cache
def _sample() -> dict[str, Any]:
    try:
        return dict(json.loads(SAMPLE.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NotFound(f"The sample {SAMPLE} is missing.", remedy="Pass Invoices in `resources`.") from None
