"""The sample invoices and the tools that work on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime import ToolContext
from workbench.runtime.toolbox import invoices
from workbench.runtime.toolbox.invoices import Invoices
from workbench.runtime.tools import catalogue, find


@pytest.fixture
def context() -> ToolContext:
    return ToolContext()


def call(context: ToolContext, name: str, **arguments: Any) -> Any:
    """Call a tool as the engine does: by its name, with validated arguments."""
    tool = find(name)
    return tool.function(context, **tool.arguments(arguments))


def test_the_tools_declare_their_effects_and_parameters() -> None:
    own = {name: known for name, known in catalogue().items() if known.function.__module__ == invoices.__name__}
    assert {name: known.effect for name, known in own.items()} == {
        "change_company_name": "high-stakes",
        "describe_invoice_line": "read",
        "get_invoice": "read",
        "send_invoice": "write",
    }
    for known in own.values():
        assert known.description
        assert all(field["description"] for field in known.parameters["properties"].values()), known.name


def test_an_invoice_is_found_by_its_number_and_by_the_one_of_its_order(context: ToolContext) -> None:
    found = call(context, "get_invoice", invoice_number="F-2026-4042")
    assert found == call(context, "get_invoice", invoice_number="1042")
    assert found == call(context, "get_invoice", invoice_number=" f-2026-4042 ")
    assert (found["total"], found["issued_on"]) == (84.0, "2026-10-25")
    assert sum(line["price"] for line in found["lines"]) == 84.0


def test_an_invoice_is_shown_without_name_and_address(context: ToolContext) -> None:
    shown = str(call(context, "get_invoice", invoice_number="1042"))
    whole = Invoices.sample().invoice("1042")
    assert whole["email"] not in shown
    assert "company_name" not in shown


def test_each_kind_of_line_is_explained(context: ToolContext) -> None:
    fee = call(context, "describe_invoice_line", invoice_number="1042", line="delivery fee")
    assert "$12.00" in fee
    assert "once for each order" in fee
    tax = call(context, "describe_invoice_line", invoice_number="1042", line="VAT or tax")
    assert "$14.00 of tax, at 20 percent" in tax
    assert "wool throw $72.00" in call(context, "describe_invoice_line", invoice_number="1042", line="goods")
    none = call(context, "describe_invoice_line", invoice_number="1044", line="delivery fee")
    assert none == "F-2026-4044 charges no delivery fee."
    with pytest.raises(Invalid, match="line"):
        call(context, "describe_invoice_line", invoice_number="1042", line="gift wrapping")


def test_a_copy_goes_only_to_the_address_of_the_order_and_once(context: ToolContext) -> None:
    sent = call(context, "send_invoice", invoice_number="1042", email="Kofi.Mensah@example.com ")
    assert sent == call(context, "send_invoice", invoice_number="F-2026-4042", email="kofi.mensah@example.com")
    assert sent["email"] == "kofi.mensah@example.com"
    with pytest.raises(Refused, match="only to the e-mail address of its order") as refused:
        call(context, "send_invoice", invoice_number="1042", email="mallory@example.com")
    assert "kofi" not in str(refused.value)


def test_a_company_name_is_corrected_within_thirty_days(context: ToolContext) -> None:
    made = call(context, "change_company_name", invoice_number="1042", company_name=" Mensah  & Daughters ")
    assert made == {"corrected_invoice": "F-2026-4042C", "company_name": "Mensah & Daughters"}
    assert context.resource(Invoices).invoice("1042")["company_name"] == "Mensah & Daughters"
    with pytest.raises(Refused, match="F-2026-4002 is older than 30 days"):
        call(context, "change_company_name", invoice_number="1002", company_name="Keller")
    with pytest.raises(Invalid, match="empty"):
        call(context, "change_company_name", invoice_number="1042", company_name="  ")


def test_an_unknown_invoice_is_named(context: ToolContext) -> None:
    others: tuple[tuple[str, dict[str, str]], ...] = (
        ("get_invoice", {}),
        ("describe_invoice_line", {"line": "goods"}),
        ("send_invoice", {"email": "a@example.com"}),
        ("change_company_name", {"company_name": "Keller"}),
    )
    for name, more in others:
        with pytest.raises(NotFound, match="F-2026-9999"):
            call(context, name, invoice_number="F-2026-9999", **more)


def test_each_sample_is_a_fresh_copy_and_many_threads_send_one_message() -> None:
    shelf, ready = Invoices.sample(), threading.Barrier(16)

    def send(_number: int) -> str:
        ready.wait()
        return str(shelf.send("1042", "kofi.mensah@example.com")["message_id"])

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(16))) == {"M7001"}
    shelf.rename("1042", "Mensah")
    assert Invoices.sample().invoice("1042")["company_name"] == ""


def test_a_missing_sample_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoices, "SAMPLE", tmp_path / "invoices.json")
    invoices._sample.cache_clear()
    with pytest.raises(NotFound, match=r"invoices\.json") as missing:
        Invoices.sample()
    assert missing.value.remedy
