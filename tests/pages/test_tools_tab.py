"""The Tools tab: declaring tools of every kind without writing JSON, reading what they take, and trying one alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from tests.pages.test_every_page import opened, words
from tests.runtime.web import Site, reply, saying, site
from workbench.runtime import spec
from workbench.runtime.spec import HttpTool, McpTool, MockTool
from workbench.ui.editor import Work

SERVER = Path(__file__).resolve().parents[1] / "mcp_server.py"


def unfold(app: AppTest, *titles: str, generation: int = 0) -> AppTest:
    """Open the tab, and folds there."""
    app.session_state["part"] = "Tools"
    for title in titles:
        app.session_state[f"order-desk-{generation}-fold-{title}"] = True
    return app.run()


def body(app: AppTest) -> Any:
    """The flow as it is in the editor."""
    copy: Work = app.session_state["work-order-desk"]
    return copy.spec


def boxes(app: AppTest) -> str:
    """What stands in boxes of errors and warnings, escapes taken away."""
    return " ".join(str(one.value) for kind in (app.error, app.warning, app.markdown) for one in kind).replace("\\", "")


def table(app: AppTest, key: str, *rows: dict[str, Any]) -> None:
    """Write rows into an empty table."""
    app.session_state[key] = {"edited_rows": {}, "added_rows": list(rows), "deleted_rows": []}


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web service that the deployment allows."""
    with site(saying(reply(200, '{"tier": "gold"}', content_type="application/json"))) as running:
        monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", running.place)
        yield running


def test_a_python_tool_is_documented_and_tried(seeded: Path) -> None:
    app = unfold(opened("flows", "rep"), "What it takes-find_order", "Try it alone-find_order")
    assert "Look up an order: its status, dates, items, total and refunds." in words(app)
    shown = next(one.value for one in app.dataframe if "Argument" in one.value)
    assert shown.to_dict("records") == [
        {
            "Argument": "order_id",
            "Type": "whole number",
            "Required": "yes",
            "Description": "The order number, such as 1042.",
        }
    ]
    app.number_input(key="order-desk-0-argument-find_order-order_id").set_value(1042)
    app.button(key="order-desk-0-call-find_order").click().run()
    assert [e.message for e in app.exception] == []
    assert json.loads(app.code[0].value)["status"] == "late"
    assert "The tool answered in" in words(app)


def test_what_does_not_fit_is_told_by_argument(seeded: Path) -> None:
    app = unfold(opened("flows", "rep"), "Try it alone-find_order")
    app.button(key="order-desk-0-call-find_order").click().run()
    assert "order_id: Field required" in boxes(app)
    app.number_input(key="order-desk-0-argument-find_order-order_id").set_value(1)
    app.button(key="order-desk-0-call-find_order").click().run()
    assert "There is no order 1." in boxes(app)


def test_what_changes_something_is_called_for_real_only_when_that_is_ticked(seeded: Path) -> None:
    app = unfold(opened("flows", "architect"), "Try it alone-refund_order")
    assert "This tool is high-stakes: for real, it changes something." in boxes(app)
    app.number_input(key="order-desk-0-argument-refund_order-order_id").set_value(1015)
    app.number_input(key="order-desk-0-argument-refund_order-amount").set_value(5.0)
    app.text_input(key="order-desk-0-argument-refund_order-reason").set_value("late")
    app.button(key="order-desk-0-call-refund_order").click().run()
    assert "refund_order is high-stakes: calling it changes something" in boxes(app)
    assert len(app.code) == 0
    app.checkbox(key="order-desk-0-really-refund_order").check()
    app.button(key="order-desk-0-call-refund_order").click().run()
    assert json.loads(app.code[0].value)["amount"] == 5.0


def test_a_mock_stands_in_while_trying(seeded: Path) -> None:
    app = unfold(opened("flows", "rep"), "Mocks for trying", "Try it alone-refund_order")
    row = {"tool": "refund_order", "when": "amount: {below: 10}", "answer": '{"refunded": true}'}
    table(app, "order-desk-0-try-mocks", row)
    app.run()
    app.number_input(key="order-desk-0-argument-refund_order-amount").set_value(5.0)
    app.button(key="order-desk-0-call-refund_order").click().run()
    assert app.code[0].value == '{"refunded": true}'
    assert "A mock answered in" in words(app)
    table(app, "order-desk-0-try-mocks", {"tool": "refund_order", "when": "amount: ["})
    app.run()
    assert "Row 1: “amount: [” cannot be read." in boxes(app)


def test_an_http_tool_is_declared_in_the_form_and_tried(seeded: Path, crm: Site) -> None:
    app = unfold(opened("flows", "architect"), "Declare an HTTP tool")
    app.text_input(key="order-desk-0-http--name").set_value("find_customer")
    app.selectbox(key="order-desk-0-http--method").set_value("POST")
    app.text_input(key="order-desk-0-http--url").set_value(crm.url + "/customers/{email}")
    app.text_input(key="order-desk-0-http--about").set_value("Finds a customer.")
    app.text_area(key="order-desk-0-http--headers").set_value("X-Team: desk")
    rows = [
        {"name": "email", "type": "text", "description": "Their address.", "required": True},
        {"name": "limit", "type": "whole number", "description": "", "required": False},
    ]
    table(app, "order-desk-0-http--parameters-0", *rows)
    app.run()
    app.button(key="order-desk-0-take-http-").click().run()
    assert "POST changes something; declare write or high-stakes." in boxes(app)
    assert "find_customer" not in body(app).tools
    app.session_state["order-desk-0-http--effect-new"] = "write"
    app.run()
    app.button(key="order-desk-0-take-http-").click().run()
    assert [e.message for e in app.exception] == []
    made = body(app).tools["find_customer"]
    assert isinstance(made, HttpTool)
    assert (made.method, made.effect, made.headers) == ("POST", "write", {"X-Team": "desk"})
    assert made.parameters == {
        "additionalProperties": False,
        "type": "object",
        "properties": {"email": {"type": "string", "description": "Their address."}, "limit": {"type": "integer"}},
        "required": ["email"],
    }
    unfold(app, "Try it alone-find_customer", generation=1)
    app.text_input(key="order-desk-1-argument-find_customer-email").set_value("a/b@c.example")
    app.checkbox(key="order-desk-1-really-find_customer").check()
    app.button(key="order-desk-1-call-find_customer").click().run()
    assert app.code[0].value == '{"tier": "gold"}'
    assert [one.target for one in crm.seen] == ["/customers/a%2Fb%40c.example"]
    assert json.loads(crm.seen[0].body) == {}


def test_a_declared_tool_is_changed_in_its_form(seeded: Path, crm: Site) -> None:
    app = unfold(opened("flows", "architect"))
    choices = {"type": "string", "enum": ["gold", "silver"], "description": "Old."}
    given = {
        "kind": "http",
        "url": crm.url,
        "effect": "read",
        "description": "Finds.",
        "retries": 0,
        "parameters": {"type": "object", "properties": {"tier": choices}},
    }
    copy: Work = app.session_state["work-order-desk"]
    copy.replace({**copy.body, "tools": {**copy.body["tools"], "find_customer": given}})
    unfold(app.run(), "Change it-find_customer", generation=1)
    app.text_input(key="order-desk-1-http-find_customer-about").set_value("Finds a customer.")
    app.session_state["order-desk-1-http-find_customer-parameters-0"] = {
        "edited_rows": {0: {"description": "New."}},
        "added_rows": [],
        "deleted_rows": [],
    }
    app.run()
    app.button(key="order-desk-1-take-http-find_customer").click().run()
    made = body(app).tools["find_customer"]
    assert isinstance(made, HttpTool)
    assert (made.description, made.retries) == ("Finds a customer.", 0)
    assert made.parameters["properties"] == {"tier": {**choices, "description": "New."}}
    unfold(app, "Try it alone-find_customer", generation=2)
    chosen = app.selectbox(key="order-desk-2-argument-find_customer-tier")
    assert list(chosen.options) == ["not given", "gold", "silver"]


def test_a_mock_is_declared_in_the_form_and_answers(seeded: Path) -> None:
    app = unfold(opened("flows", "architect"), "Declare a mock")
    app.text_input(key="order-desk-0-mock--name").set_value("check_warranty")
    app.text_input(key="order-desk-0-mock--about").set_value("Whether an item is under warranty.")
    number = {"name": "serial", "type": "whole number", "description": "", "required": True}
    table(app, "order-desk-0-mock--parameters-0", number)
    answers = [{"when": "serial: {above: 100}", "answer": '{"valid": true}'}, {"error": "There is no such item."}]
    table(app, "order-desk-0-mock--answers", *answers)
    app.run()
    app.button(key="order-desk-0-take-mock-").click().run()
    assert [e.message for e in app.exception] == []
    made = body(app).tools["check_warranty"]
    assert isinstance(made, MockTool)
    assert [one.model_dump(exclude_defaults=True) for one in made.answers] == [
        {"when": {"serial": {"above": 100}}, "answer": {"valid": True}},
        {"error": "There is no such item."},
    ]
    assert "Nothing stands behind check_warranty yet" in boxes(app)
    unfold(app, "Try it alone-check_warranty", generation=1)
    app.number_input(key="order-desk-1-argument-check_warranty-serial").set_value(101)
    app.button(key="order-desk-1-call-check_warranty").click().run()
    assert app.code[0].value == '{"valid": true}'
    assert spec.read(spec.write(body(app))) == body(app)


def test_a_broken_http_tool_is_refused_in_words_and_changes_nothing(seeded: Path) -> None:
    app = unfold(opened("flows", "architect"), "Declare an HTTP tool")
    app.text_input(key="order-desk-0-http--name").set_value("find_customer")
    app.text_input(key="order-desk-0-http--url").set_value("not a url")
    app.text_input(key="order-desk-0-http--about").set_value("Finds a customer.").run()
    app.button(key="order-desk-0-take-http-").click().run()
    assert "find_customer cannot be declared like this." in boxes(app)
    assert "find_customer" not in body(app).tools
    assert app.text_input(key="order-desk-0-http--url").value == "not a url"


def test_a_name_that_is_taken_or_cannot_be_one_is_told(seeded: Path) -> None:
    app = unfold(opened("flows", "architect"), "Declare a mock")
    for name, told in (("find_order", "There is a tool called find_order already."), ("a b", "is not a valid name")):
        app.text_input(key="order-desk-0-mock--name").set_value(name).run()
        app.button(key="order-desk-0-take-mock-").click().run()
        assert told in boxes(app)
    assert set(body(app).tools) == {"find_order", "track_parcel", "refund_order"}


def test_a_tool_is_picked_from_a_server(seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = unfold(opened("flows", "architect"), "Pick from a server")
    assert "No tool server is connected to this workbench." in words(app)
    path = tmp_path / "servers.yaml"
    path.write_text(yaml.safe_dump({"docs": {"command": [sys.executable, str(SERVER)]}}), encoding="utf-8")
    monkeypatch.setenv("WORKBENCH_SERVERS", str(path))
    app.run()
    app.button(key="order-desk-0-list-server").click().run()
    app.selectbox(key="order-desk-0-offered-docs").set_value("search").run()
    assert "Search the documents." in words(app)
    app.text_input(key="order-desk-0-picked-name-docs-search").set_value("search_docs")
    app.button(key="order-desk-0-pick-docs").click().run()
    assert [e.message for e in app.exception] == []
    made = body(app).tools["search_docs"]
    assert isinstance(made, McpTool)
    assert (made.server, made.tool, made.effect, made.description) == (
        "docs",
        "search",
        "write",
        "Search the documents.",
    )
    assert made.parameters["required"] == ["query"]
    unfold(app, "Try it alone-search_docs", generation=1)
    app.text_input(key="order-desk-1-argument-search_docs-query").set_value("returns")
    app.checkbox(key="order-desk-1-really-search_docs").check()
    app.button(key="order-desk-1-call-search_docs").click().run()
    assert app.code[0].value == "3 passages about returns"


def test_hostile_words_of_a_tool_stay_words(seeded: Path) -> None:
    app = unfold(opened("flows", "architect"))
    evil = "<img src=x onerror=alert(1)> [click](javascript:alert(1))"
    given = {
        "kind": "mock",
        "effect": "read",
        "description": evil,
        "parameters": {"type": "object", "properties": {evil: {"type": "string", "description": evil}}},
        "answers": [{"error": evil}],
    }
    copy: Work = app.session_state["work-order-desk"]
    copy.replace({**copy.body, "tools": {**copy.body["tools"], "evil": given}})
    unfold(app.run(), "What it takes-evil", "Try it alone-evil", generation=1)
    app.button(key="order-desk-1-call-evil").click().run()
    assert [e.message for e in app.exception] == []
    shown = [str(one.value) for kind in (app.markdown, app.caption, app.error) for one in kind]
    assert any("onerror" in one for one in shown)
    assert not any("<img" in one.replace("\\<", "") or "[click](" in one for one in shown)
    labels = [str(one.label) for one in app.text_input]
    assert not any("<img" in one.replace("\\<", "") or "[click](" in one for one in labels)
