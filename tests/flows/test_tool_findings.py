"""What is found about tools of every kind before a flow runs, each finding beside what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows_for_tests import DESK, prompt
from workbench.flows import Finding
from workbench.flows.check import check
from workbench.runtime import spec

ORDER = {"type": "object", "properties": {"order_id": {"type": "integer"}}, "required": ["order_id"]}
HTTP: dict[str, Any] = {
    "kind": "http",
    "url": "https://crm.example/orders/{order_id}",
    "effect": "read",
    "description": "Reads an order.",
    "parameters": ORDER,
}
MCP: dict[str, Any] = {"kind": "mcp", "server": "docs", "tool": "search", "effect": "read", "parameters": ORDER}
MOCK: dict[str, Any] = {"kind": "mock", "effect": "read", "description": "Reads.", "parameters": ORDER}


@pytest.fixture(autouse=True)
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that declares nothing."""
    for name in ("WORKBENCH_PRIVATE_HOSTS", "WORKBENCH_SERVERS", "WORKBENCH_SECRET_CRM", "WORKBENCH_HOSTS_CRM"):
        monkeypatch.delenv(name, raising=False)


def found(tool: dict[str, Any], **rest: Any) -> list[Finding]:
    """The findings of the desk with one more tool, `crm`, that the front agent uses."""
    body = yaml.safe_load(DESK.replace("{kind", '{"kind"').replace("{name", '{"name"').replace("on:", '"on":'))
    body["tools"]["crm"] = tool
    body["agents"]["front"]["tools"] = ["crm"]
    body["agents"] |= rest.pop("agents", {})
    body["tools"] |= rest.pop("tools", {})
    return check(spec.parse(body | rest), prompt, [])


def told(tool: dict[str, Any], **rest: Any) -> list[tuple[str, str, str]]:
    """The same as plain rows; what no guardrail reads is told of elsewhere."""
    rows = [(one.where, one.level, one.message) for one in found(tool, **rest)]
    return [row for row in rows if "no guardrail" not in row[2]]


def test_a_good_http_tool_has_no_finding() -> None:
    assert told(HTTP) == []
    assert told({**HTTP, "method": "POST", "effect": "write", "hosts": ["files.example:8443"]}) == []


@pytest.mark.parametrize(
    ("changed", "where", "message"),
    [
        ({"url": "ftp://crm.example/{order_id}"}, "url", "has the scheme ftp; only https and http are called."),
        ({"url": "https://{order_id}.example/"}, "url", "an argument may not choose the host."),
        ({"url": "https://u:p@crm.example/{order_id}"}, "url", "The URL holds a user name or password."),
        ({"url": "https://127.0.0.1/{order_id}"}, "url", "127.0.0.1 is a loopback address; tools do not reach those."),
        ({"url": "https://169.254.169.254/{order_id}"}, "url", "169.254.169.254 is a cloud metadata address"),
        ({"url": "https://[::ffff:10.0.0.1]/{order_id}"}, "url", "is a private address (10.0.0.1 inside an IPv6 one)"),
        ({"url": "https://2130706433/{order_id}"}, "url", "is an odd spelling of an address"),
        ({"url": "https://crm.example/{order}"}, "url", "{order} stands in the URL, but is not an argument."),
        ({"url": "https://crm.example/{order_id}?{order_id}=1"}, "url", "braces in the name of a query value"),
        ({"url": "https://crm.example/a?order_id=1"}, "url", "order_id stands in the query of the URL"),
        ({"hosts": ["ok.example", "https://no.example"]}, "hosts", "“https://no.example” does not name a host."),
        ({"headers": {"Host": "evil.example"}}, "headers", "The header Host is set by the workbench"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers", "The header X-A holds a character"),
        ({"headers": {"X A": "a"}}, "headers", "X A is not the name of a header."),
        ({"parameters": {"type": "string"}}, "parameters", "they must be a JSON schema of type object."),
        ({"parameters": {}}, "parameters", "they must be a JSON schema of type object."),
        ({"parameters": {**ORDER, "properties": []}}, "parameters", "properties: [] is not of type 'object'"),
        ({"parameters": {**ORDER, "required": "order_id"}}, "parameters", "required: 'order_id' is not of type"),
        (
            {"parameters": {**ORDER, "properties": {"order_id": {"type": "int"}}}},
            "parameters",
            "properties.order_id.type: 'int' is not valid",
        ),
        (
            {"parameters": {**ORDER, "properties": {"order_id": {"$ref": "http://169.254.169.254/x"}}}},
            "parameters",
            "http://169.254.169.254/x points outside the schema.",
        ),
        ({"approve": {"amount": {"above": 1}}}, "approve", "crm has no argument amount."),
    ],
)
def test_a_mistake_in_an_http_tool_is_found_where_it_is(changed: dict[str, Any], where: str, message: str) -> None:
    rows = told({**HTTP, **changed})
    assert any(one[:2] == (f"tools.crm.{where}", "error") and message in one[2] for one in rows), rows


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_method_that_changes_something_cannot_be_called_read(method: str) -> None:
    row = ("tools.crm.effect", "error", f"{method} changes something; declare write or high-stakes.")
    assert told({**HTTP, "method": method}) == [row]
    for effect in ("write", "high-stakes"):
        assert not [one for one in told({**HTTP, "method": method, "effect": effect}) if one[1] == "error"]


def test_a_private_host_that_the_deployment_lists_is_no_mistake_there(monkeypatch: pytest.MonkeyPatch) -> None:
    local = {**HTTP, "url": "http://127.0.0.1:8080/{order_id}"}
    assert [one[:2] for one in told(local)] == [("tools.crm.url", "error")]
    monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", "127.0.0.1:8080")
    assert told(local) == []


def test_an_argument_of_the_url_that_is_not_required_is_warned_of() -> None:
    row = ("tools.crm.url", "warning", "{order_id} stands in the URL, but is not required.")
    assert told({**HTTP, "parameters": {**ORDER, "required": []}}) == [row]


def test_a_secret_that_is_not_set_is_warned_of_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    keyed = {**HTTP, "headers": {"Authorization": "Bearer secret:crm"}}
    monkeypatch.setenv("WORKBENCH_HOSTS_CRM", "crm.example")
    row = ("tools.crm.headers", "warning", "The secret crm is not set here; set WORKBENCH_SECRET_CRM.")
    assert told(keyed) == [row]
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "abc")
    assert told(keyed) == []
    row = ("tools.crm.url", "warning", "Its secrets go out unencrypted; use https.")
    assert told({**keyed, "url": "http://crm.example/{order_id}"}) == [row]


def test_a_secret_that_is_not_sent_to_the_tools_host_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CRM", "abc")
    monkeypatch.setenv("WORKBENCH_HOSTS_CRM", "crm.example")
    keyed = {**HTTP, "headers": {"Authorization": "Bearer secret:crm"}, "url": "https://elsewhere.example/{order_id}"}
    message = (
        "The secret crm is not sent to elsewhere.example: it may be sent to crm.example. "
        "Whoever runs the workbench can list elsewhere.example in WORKBENCH_HOSTS_CRM."
    )
    assert told(keyed) == [("tools.crm.headers", "warning", message)]


def test_an_unknown_server_is_warned_of_and_a_known_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "There is no server docs here; declare it in a YAML file and name that file in WORKBENCH_SERVERS."
    assert told(MCP) == [("tools.crm.server", "warning", message)]
    path = tmp_path / "servers.yaml"
    path.write_text("docs: {command: [python, server.py]}", encoding="utf-8")
    monkeypatch.setenv("WORKBENCH_SERVERS", str(path))
    assert told(MCP) == []
    path.write_text("docs: {comand: [python]}", encoding="utf-8")
    rows = told(MCP)
    assert [one[:2] for one in rows] == [("tools.crm.server", "warning")]
    assert "docs.comand: unknown key" in rows[0][2]


def test_a_tool_of_a_server_without_parameters_must_be_picked_again() -> None:
    row = ("tools.crm.parameters", "error", "It is not known what search takes; pick it again.")
    assert told({**MCP, "parameters": {}})[0] == row
    assert "they must be a JSON schema of type object" in told({**MCP, "parameters": {"type": "array"}})[0][2]


def test_a_mock_is_warned_of() -> None:
    row = ("tools.crm", "warning", "Nothing stands behind crm yet; it cannot be promoted to production.")
    assert told(MOCK) == [row]
    assert told({**MOCK, "parameters": {"type": "array"}})[0][:2] == ("tools.crm.parameters", "error")


@pytest.mark.parametrize("tool", [HTTP, MCP, MOCK, {"kind": "agent", "agent": "money", "description": "Asks."}])
def test_an_approval_rule_names_an_argument_whatever_the_kind(tool: dict[str, Any]) -> None:
    argument = "question" if tool["kind"] == "agent" else "order_id"
    row = ("tools.crm.approve", "error", "crm has no argument amuont.")
    assert row in told({**tool, "approve": {"amuont": {"above": 1}}})
    rows = told({**tool, "approve": {argument: {"in": ["a"]}}})
    assert not [one for one in rows if one[1] == "error"]


def test_an_agent_that_is_asked_need_not_be_handed_over_to() -> None:
    asked = {"kind": "agent", "agent": "expert", "description": "Asks."}
    assert told(asked, agents={"expert": {"prompt": "desk/expert"}}) == []
    assert ("tools.crm.agent", "error", "crm asks nobody, which does not exist.") in told({**asked, "agent": "nobody"})


def test_agents_that_ask_each_other_in_a_circle_are_found() -> None:
    itself = {"kind": "agent", "agent": "front", "description": "Asks."}
    row = ("tools.crm.agent", "error", "The agents ask each other in a circle: front asks front.")
    assert row in told(itself)
    round_about = told(
        {"kind": "agent", "agent": "expert", "description": "Asks."},
        agents={"expert": {"prompt": "desk/expert", "tools": ["back"]}},
        tools={"back": {"kind": "agent", "agent": "front", "description": "Asks back."}},
    )
    assert [one for one in round_about if one[1] == "error"] == [
        ("tools.crm.agent", "error", "The agents ask each other in a circle: expert asks front asks expert."),
        ("tools.back.agent", "error", "The agents ask each other in a circle: front asks expert asks front."),
    ]


def test_an_agent_that_only_leads_to_a_circle_is_not_in_it() -> None:
    rows = told(
        {"kind": "agent", "agent": "expert", "description": "Asks."},
        agents={"expert": {"prompt": "desk/expert", "tools": ["again"]}},
        tools={"again": {"kind": "agent", "agent": "expert", "description": "Asks itself."}},
    )
    assert [one[0] for one in rows if one[1] == "error"] == ["tools.crm.agent", "tools.again.agent"]


def test_the_names_of_the_engine_belong_to_it_whatever_the_kind() -> None:
    rows = told(HTTP, tools={"escalate": HTTP, "transfer_to_x": MOCK})
    for name in ("escalate", "transfer_to_x"):
        assert (f"tools.{name}", "error", f"The name {name} belongs to the engine; choose another.") in rows


def test_an_architect_states_what_a_servers_tool_can_do() -> None:
    silent = {key: value for key, value in MCP.items() if key != "effect"}
    assert told(silent)[0] == (
        "tools.crm.effect",
        "error",
        "It is not stated what crm can do, so it counts as high-stakes. "
        "Say whether its effect is read, write or high-stakes.",
    )
    for effect in spec.EFFECTS:
        assert not [one for one in told({**MCP, "effect": effect}) if one[1] == "error"]


@pytest.mark.parametrize("stated", [{"effect": "read"}, {"effect": "high-stakes"}, {}])
def test_what_was_stated_of_a_servers_tool_is_kept_and_nothing_else(stated: dict[str, Any]) -> None:
    body = yaml.safe_load(DESK.replace("on:", '"on":'))
    body["tools"]["crm"] = {**{key: value for key, value in MCP.items() if key != "effect"}, **stated}
    flow = spec.read(spec.write(spec.parse(body)))
    assert spec.plain(flow)["tools"]["crm"].get("effect") == stated.get("effect")
    assert flow.tools["crm"].effect == stated.get("effect", "high-stakes")
