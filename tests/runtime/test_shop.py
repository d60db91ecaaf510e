"""The sample shop and the tools that work on it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Invalid, NotFound, Refused, WorkbenchError
from workbench.runtime import ToolContext
from workbench.runtime.toolbox import shop
from workbench.runtime.toolbox.shop import Shop
from workbench.runtime.tools import catalogue, find


@pytest.fixture
def context() -> ToolContext:
    return ToolContext()


def call(context: ToolContext, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool as the engine does: by its name, with validated arguments."""
    tool = find(name)
    result: dict[str, Any] = tool.function(context, **tool.arguments(arguments))
    return result


def first(context: ToolContext, status: str) -> int:
    """The number of the first sample order with this status."""
    return next(
        number for number in range(1001, 1061) if call(context, "find_order", order_id=number)["status"] == status
    )


def test_the_tools_declare_their_effects_and_parameters() -> None:
    own = {name: known for name, known in catalogue().items() if known.function.__module__ == shop.__name__}
    assert {name: known.effect for name, known in own.items()} == {
        "change_address": "write",
        "find_invoice": "read",
        "find_order": "read",
        "open_ticket": "write",
        "refund_order": "high-stakes",
        "service_status": "read",
        "track_parcel": "read",
    }
    for known in own.values():
        assert known.description
        assert all(field["description"] for field in known.parameters["properties"].values()), known.name
    assert catalogue()["open_ticket"].parameters["properties"]["priority"]["enum"] == ["low", "normal", "high"]


def test_order_1042_is_two_days_late(context: ToolContext) -> None:
    found = call(context, "find_order", order_id=1042)
    assert (found["status"], found["expected_on"], found["total"]) == ("late", "2026-10-30", 84.0)
    assert "delivery fee" in found["items"]
    tracked = call(context, "track_parcel", order_id=1042)
    assert tracked["tracking_number"]
    assert tracked["expected_on"] == "2026-10-30"


def test_a_refund_is_paid_once_and_shows_in_the_order(context: ToolContext) -> None:
    receipt = call(context, "refund_order", order_id=1042, amount=12, reason="two days late")
    assert (receipt["order_id"], receipt["amount"], receipt["reason"]) == (1042, 12.0, "two days late")
    assert call(context, "refund_order", order_id=1042, amount=12.0, reason="asked again") == receipt
    assert call(context, "find_order", order_id=1042)["refunds"] == [receipt]
    assert context.resource(Shop).left(1042) == 72.0


def test_no_more_is_refunded_than_was_paid(context: ToolContext) -> None:
    with pytest.raises(Refused, match=r"\$84\.00 of order 1042"):
        call(context, "refund_order", order_id=1042, amount=84.01, reason="late")
    call(context, "refund_order", order_id=1042, amount=80, reason="lost")
    with pytest.raises(Refused, match=r"\$4\.00 of order 1042"):
        call(context, "refund_order", order_id=1042, amount=4.01, reason="lost")
    call(context, "refund_order", order_id=1042, amount=4, reason="lost")
    with pytest.raises(Refused, match=r"\$0\.00 of order 1042"):
        call(context, "refund_order", order_id=1042, amount=0.01, reason="lost")


def test_the_same_key_gets_the_same_receipt_and_no_second_refund(context: ToolContext) -> None:
    shop = context.resource(Shop)
    receipt = shop.refund(1042, 12, "late", key="run_1:call_1")
    assert shop.refund(1042, 12.0, "late", key="run_1:call_1") == receipt
    assert shop.left(1042) == 72.0
    with pytest.raises(Refused, match="R1042-1, with another order or amount"):
        shop.refund(1042, 13, "late", key="run_1:call_1")
    with pytest.raises(Refused, match="another order"):
        shop.refund(1030, 12, "late", key="run_1:call_1")
    assert (shop.left(1042), shop.left(1030)) == (72.0, 153.9)


def test_the_same_amount_under_a_new_key_is_neither_paid_again_nor_said_to_be(context: ToolContext) -> None:
    shop = context.resource(Shop)
    shop.refund(1042, 12, "late", key="run_1:call_1")
    with pytest.raises(Refused, match=r"\$12\.00 of order 1042 was refunded already, as R1042-1") as told:
        shop.refund(1042, 12, "late", key="run_1:call_2")
    assert "colleague" in (told.value.remedy or "")
    assert shop.refund(1042, 20, "torn", key="run_1:call_3")["refund_id"] == "R1042-2"
    assert shop.left(1042) == 52.0


def test_the_tool_refunds_under_the_key_of_its_call() -> None:
    shop = Shop.sample()
    first, again = (ToolContext(resources={Shop: shop}, key=key) for key in ("run_1:call_1", "run_1:call_2"))
    receipt = call(first, "refund_order", order_id=1042, amount=12, reason="late")
    assert call(first, "refund_order", order_id=1042, amount=12, reason="late") == receipt
    with pytest.raises(Refused, match="refunded already"):
        call(again, "refund_order", order_id=1042, amount=12, reason="late")


def test_many_threads_never_refund_more_than_was_paid() -> None:
    shop, taken = Shop.sample(), threading.Barrier(24)

    def pay(number: int) -> float:
        taken.wait()
        try:
            return float(shop.refund(1042, 10 + number / 100, "late", key=f"k{number}")["amount"])
        except Refused:
            return 0.0

    with ThreadPoolExecutor(24) as pool:
        paid = list(pool.map(pay, range(24)))
    assert sum(one > 0 for one in paid) == 8
    assert shop.left(1042) == pytest.approx(84 - sum(paid))
    assert shop.left(1042) >= 0


def test_many_threads_with_one_key_pay_once() -> None:
    shop, taken = Shop.sample(), threading.Barrier(24)

    def pay(_number: int) -> str:
        taken.wait()
        return str(shop.refund(1042, 12, "late", key="one")["refund_id"])

    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(pay, range(24))) == {"R1042-1"}
    assert shop.left(1042) == 72.0


def test_what_an_order_is_told_as_cannot_change_the_shop() -> None:
    shop = Shop.sample()
    shop.order(1042)["refunds"].append({"amount": 84.0})
    assert shop.left(1042) == 84.0


@pytest.mark.parametrize("amount", [0, -5, 0.001, float("nan"), float("-inf")])
def test_a_refund_of_nothing_is_invalid(context: ToolContext, amount: float) -> None:
    with pytest.raises(Invalid, match="more than nothing"):
        call(context, "refund_order", order_id=1042, amount=amount, reason="late")


def test_each_sample_is_a_fresh_copy() -> None:
    Shop.sample().refund(1042, 84, "late")
    assert Shop.sample().left(1042) == 84.0


def test_an_unknown_order_is_named(context: ToolContext) -> None:
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("find_order", {}),
        ("track_parcel", {}),
        ("find_invoice", {}),
        ("refund_order", {"amount": 1, "reason": "late"}),
        ("change_address", {"street": "1 Elm Row", "city": "Leeds", "postcode": "LS1 4AP"}),
    )
    for name, others in calls:
        with pytest.raises(NotFound, match="9999"):
            call(context, name, order_id=9999, **others)


def test_an_address_changes_only_before_shipping(context: ToolContext) -> None:
    waiting = first(context, "processing")
    address = {"street": "1 Elm Row", "city": "Boston", "postcode": "02116"}
    assert call(context, "change_address", order_id=waiting, **address) == {"order_id": waiting, "address": address}
    for status in ("shipped", "late", "delivered", "cancelled", "returned"):
        number = first(context, status)
        with pytest.raises(Refused, match=f"Order {number} is {status}"):
            call(context, "change_address", order_id=number, **address)


def test_there_is_no_parcel_to_track_before_shipping(context: ToolContext) -> None:
    waiting = first(context, "processing")
    with pytest.raises(Refused, match=f"Order {waiting}"):
        call(context, "track_parcel", order_id=waiting)


def test_an_invoice_adds_up(context: ToolContext) -> None:
    invoice = call(context, "find_invoice", order_id=1042)
    assert invoice["invoice"]
    assert sum(line["price"] for line in invoice["lines"]) == invoice["total"] == 84.0


def test_tickets_are_numbered_in_turn(context: ToolContext) -> None:
    one = call(context, "open_ticket", summary="Call back about the lamp.", priority="high")
    two = call(context, "open_ticket", summary="Send a label.", priority="low")
    assert one["ticket_id"] != two["ticket_id"]
    assert one["priority"] == "high"
    with pytest.raises(Invalid, match="priority"):
        call(context, "open_ticket", summary="Now!", priority="urgent")


@pytest.mark.parametrize("area", ["checkout", "login", "payments", "delivery"])
def test_each_service_has_a_status(context: ToolContext, area: str) -> None:
    found = call(context, "service_status", area=area)
    assert found["area"] == area
    assert found["status"]
    assert found["since"] <= "2026-11-01"


def test_a_missing_sample_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "SAMPLE", tmp_path / "shop.json")
    shop._sample.cache_clear()
    with pytest.raises(NotFound, match=r"shop\.json") as missing:
        Shop.sample()
    assert isinstance(missing.value, WorkbenchError)
    assert missing.value.remedy
