"""The committed seed files: made by their generator, complete, and at one with each other."""

from __future__ import annotations

import datetime as dt
import json
import string
from collections import Counter
from typing import Any

import pytest

from tests.conftest import ROOT
from workbench import datasets, knowledge
from workbench.operations import seed_invoices, seed_shop
from workbench.operations.messages import CONVERSATIONS
from workbench.prompts import front_matter

ORDERS: list[dict[str, Any]] = seed_shop.generate()["orders"]


def test_the_committed_shop_is_what_its_generator_makes() -> None:
    committed = (ROOT / "data" / "seed" / "shop.json").read_text(encoding="utf-8")
    assert committed == seed_shop.text(), "run `python -m workbench.operations.seed_shop`"
    assert len(committed.encode()) < 60_000
    assert json.loads(committed) == seed_shop.generate()
    assert seed_shop.generate(8) != seed_shop.generate(7)


def test_the_orders_are_complete_and_add_up() -> None:
    assert [order["order_id"] for order in ORDERS] == list(range(1001, 1061))
    assert len({order["invoice"] for order in ORDERS}) == len(ORDERS)
    for order in ORDERS:
        number = order["order_id"]
        assert order["total"] == pytest.approx(sum(line["price"] for line in order["lines"])), number
        assert order["email"].endswith(("@example.com", "@example.org")), number
        assert order["email"].isascii(), number
        assert sum(refund["amount"] for refund in order["refunds"]) <= order["total"], number
        assert set(order["address"]) == {"street", "city", "postcode"}, number


def test_the_committed_invoices_are_what_their_generator_makes_and_agree_with_the_orders() -> None:
    committed = (ROOT / "data" / "seed" / "invoices.json").read_text(encoding="utf-8")
    assert committed == seed_invoices.text(), "run `python -m workbench.operations.seed_invoices`"
    assert len(committed.encode()) < 60_000
    by_order = {one["order_id"]: one for one in json.loads(committed)["invoices"]}
    for order in ORDERS:
        invoice = by_order.pop(order["order_id"])
        assert invoice["invoice_number"] == order["invoice"]
        assert invoice["total"] == order["total"] == pytest.approx(sum(line["price"] for line in invoice["lines"]))
        assert invoice["tax"] == pytest.approx(sum(line["tax"] for line in invoice["lines"]))
        assert invoice["issued_on"] == order["ordered_on"]
    assert by_order == {}


def test_the_incidents_are_complete() -> None:
    body = json.loads((ROOT / "data" / "seed" / "incidents.json").read_text(encoding="utf-8"))
    assert body["as_of"] == seed_shop.TODAY.isoformat()
    ids = [one["incident_id"] for one in body["incidents"]]
    assert len(set(ids)) == len(ids) >= 10
    for one in body["incidents"]:
        assert one["title"], one["incident_id"]
        assert one["workaround"].startswith("to "), one["incident_id"]
        assert len(one["symptoms"]) == 3, one["incident_id"]
        assert ("resolved_on" in one) == (one["state"] == "resolved"), one["incident_id"]
        assert one["began_on"] <= one.get("resolved_on", body["as_of"]) <= body["as_of"], one["incident_id"]


def test_the_cases_are_written_as_they_are_stored() -> None:
    for path in sorted((ROOT / "data" / "seed" / "cases").glob("*.jsonl")):
        text = path.read_text(encoding="utf-8")
        written = [json.loads(line) for line in text.splitlines()]
        assert [case.plain for case in datasets.read(text)] == written, path.name


def test_the_dates_of_an_order_fit_its_status() -> None:
    today = seed_shop.TODAY.isoformat()
    for order in ORDERS:
        number, status = order["order_id"], order["status"]
        dates = [order[name] for name in ("ordered_on", "shipped_on", "delivered_on") if name in order]
        assert dates == sorted(dates), number
        assert dates[-1] <= today, number
        assert ("tracking_number" in order) == (status not in ("processing", "cancelled")), number
        assert ("delivered_on" in order) == (status in ("delivered", "returned")), number
        if status == "late":
            assert order["expected_on"] < today, number
        if status == "shipped":
            assert order["expected_on"] >= today, number


def test_every_status_has_an_order() -> None:
    counts = Counter(order["status"] for order in ORDERS)
    assert set(counts) == {"processing", "shipped", "delivered", "late", "cancelled", "returned"}
    assert min(counts.values()) >= 2


def test_order_1042_is_the_late_one_of_the_examples() -> None:
    [order] = [order for order in ORDERS if order["order_id"] == 1042]
    assert dt.date.fromisoformat(order["expected_on"]) == seed_shop.TODAY - dt.timedelta(days=2)
    assert {"item": "delivery fee", "price": 12.0} in order["lines"]
    assert order["total"] == 84.0
    assert order["tracking_number"]


def test_the_sample_conversations_name_known_orders_but_for_one() -> None:
    spoken = " ".join(message for conversation in CONVERSATIONS for message in conversation)
    named = {int(word) for word in spoken.translate(str.maketrans("?.,:", "    ")).split() if word.isdigit()}
    known = {order["order_id"] for order in ORDERS}
    assert {number for number in named if number > 1000} - known == {9999}


def test_twenty_articles_of_a_readable_length() -> None:
    articles = knowledge.articles("help-center")
    assert knowledge.names() == ["help-center"]
    assert len(articles) == 20
    assert len({article.title for article in articles}) == 20
    for article in articles:
        assert 120 <= len(article.text.split()) <= 220, article.id
        assert "\n## " in article.text, article.id
        assert article.topic, article.id
        assert article.updated <= seed_shop.TODAY, article.id


def test_passages_have_their_own_ids_and_name_their_article() -> None:
    passages = knowledge.collection("help-center")
    assert len({passage.id for passage in passages}) == len(passages)
    assert {passage.source for passage in passages} == {article.id for article in knowledge.articles("help-center")}
    assert all(len(passage.text.split()) <= 90 for passage in passages)


def test_the_articles_state_the_rules_of_the_order_desk() -> None:
    text = {article.id: article.text for article in knowledge.articles("help-center")}
    assert "within 30 days" in text["returns"]
    assert "within 5 business days" in text["refunds"]
    assert "original payment method" in text["refunds"]
    assert "above $50" in text["refunds"]
    assert "two or more days past its expected date" in text["late-parcels"]
    assert "*processing*" in text["address-changes"]
    assert "$12.00" in text["delivery-times"]
    invoices = {order["invoice"][: len("F-2026")] for order in ORDERS}
    assert all(start in text["invoices-and-vat"] for start in invoices)


@pytest.mark.parametrize("agent", ["triage", "refunds", "shipping"])
def test_the_prompts_of_the_order_desk_declare_their_variables(agent: str) -> None:
    head, text = front_matter(ROOT / "prompts" / "order-desk" / agent / "001.md")
    assert head["purpose"]
    assert head["owner"]
    assert head["variables"] == ["shop_name"] == string.Template(text).get_identifiers()
