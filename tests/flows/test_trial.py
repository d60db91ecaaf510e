"""Trying one tool alone: mocks first, nothing that changes something without a word, and failures told as a model gets them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows_for_tests import CALLED, DESK
from tests.runtime.web import Site, reply, saying, site
from workbench.access import Actor
from workbench.errors import Invalid, NotFound, Refused
from workbench.flows.trial import Trial, described, real, try_tool
from workbench.runtime import spec
from workbench.runtime.mocks import Mock
from workbench.runtime.spec import FlowSpec

pytestmark = pytest.mark.usefixtures("migrated")

NUMBER = {"type": "object", "properties": {"order_id": {"type": "integer"}}, "required": ["order_id"]}


def flow(**tools: dict[str, Any]) -> FlowSpec:
    """The desk with further tools."""
    body = spec.plain(spec.read(DESK))
    return spec.parse({**body, "tools": {**body["tools"], **tools}})


def attempt(
    actor: Actor, made: FlowSpec, name: str, arguments: dict[str, Any], *mocks: Mock, confirmed: bool = False
) -> Trial:
    """Try a tool."""
    return asyncio.run(try_tool(actor, made, name, arguments, mocks, confirmed=confirmed))


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that the deployment allows."""
    with site(saying(reply(200, '{"status": "late"}', content_type="application/json"))) as running:
        monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", running.place)
        yield running


def test_a_python_tool_is_called_and_timed(rep: Actor) -> None:
    CALLED.clear()
    tried = attempt(rep, flow(), "look_up", {"order_id": 7})
    assert (json.loads(tried.answer), tried.error, tried.mocked) == ({"order_id": 7, "status": "late"}, "", False)
    assert 0 <= tried.seconds < 5
    assert CALLED == [("look_up", 7)]


def test_a_mock_that_fits_stands_in_and_nothing_is_called(rep: Actor) -> None:
    CALLED.clear()
    paid = Mock(tool="pay_out", when={"amount": {"below": 50}}, answer={"paid": 1})
    tried = attempt(rep, flow(), "pay_out", {"amount": 20}, Mock(tool="look_up", answer="no"), paid)
    assert (tried.answer, tried.error, tried.mocked) == ('{"paid": 1}', "", True)
    failed = attempt(rep, flow(), "pay_out", {"amount": 20}, Mock(tool="pay_out", error="The bank is closed."))
    assert (failed.answer, failed.error, failed.mocked) == ("", "The bank is closed.", True)
    assert CALLED == []


def test_what_changes_something_is_only_called_when_it_is_confirmed(architect: Actor) -> None:
    CALLED.clear()
    made = flow(pays={"kind": "python", "call": "pay_out", "effect": "high-stakes"})
    with pytest.raises(Refused, match="pays is high-stakes: calling it changes something"):
        attempt(architect, made, "pays", {"amount": 20})
    assert CALLED == []
    assert attempt(architect, made, "pays", {"amount": 20}, confirmed=True).answer == '{"paid": 20.0}'
    assert CALLED == [("pay_out", 20.0)]


def test_what_changes_something_is_called_alone_by_no_rep_and_never_where_a_person_is_to_be_asked(
    rep: Actor, architect: Actor
) -> None:
    CALLED.clear()
    with pytest.raises(Refused, match="A rep may not let a trial change something"):
        attempt(rep, flow(), "pay_out", {"amount": 20}, confirmed=True)
    with pytest.raises(Refused, match="pay_out asks a person before it is called like this"):
        attempt(architect, flow(), "pay_out", {"amount": 99999}, confirmed=True)
    assert CALLED == []


def test_a_declaration_does_not_make_a_function_harmless(rep: Actor) -> None:
    made = flow(sly={"kind": "python", "call": "pay_out", "effect": "read"})
    assert described(made, "sly").effect == "high-stakes"
    with pytest.raises(Refused, match="sly is high-stakes"):
        attempt(rep, made, "sly", {"amount": 20})


def test_an_http_tool_is_called(architect: Actor, crm: Site) -> None:
    reads = {"kind": "http", "url": crm.url + "/{order_id}", "effect": "read", "description": "", "parameters": NUMBER}
    writes = {**reads, "method": "POST", "effect": "write"}
    made = flow(reads=reads, writes=writes)
    assert attempt(architect, made, "reads", {"order_id": 7}).answer == '{"status": "late"}'
    with pytest.raises(Refused, match="writes is one that writes"):
        attempt(architect, made, "writes", {"order_id": 7})
    assert [seen.target for seen in crm.seen] == ["/7"]
    assert attempt(architect, made, "writes", {"order_id": 7}, confirmed=True).error == ""
    assert crm.seen[1].method == "POST"


def test_what_fails_is_told_as_a_model_would_get_it(rep: Actor) -> None:
    made = flow(
        slow={"kind": "python", "call": "doze", "timeout": 0.1},
        away={"kind": "http", "url": "http://127.0.0.1:1/", "effect": "read", "description": "", "parameters": NUMBER},
        far={"kind": "mcp", "server": "docs", "tool": "search", "effect": "read", "parameters": NUMBER},
    )
    assert attempt(rep, made, "look_up", {"order_id": 13}).error == "look_up failed (ZeroDivisionError)."
    assert "order_id: Field required" in attempt(rep, made, "look_up", {}).error
    assert attempt(rep, made, "slow", {"seconds": 0.3}).error == "slow took longer than 0.1 seconds."
    assert "127.0.0.1 is a loopback address" in attempt(rep, made, "away", {"order_id": 7}).error
    assert "order_id: 'x' is not of type 'integer'" in attempt(rep, made, "away", {"order_id": "x"}).error
    assert "There is no server docs here" in attempt(rep, made, "far", {"order_id": 7}).error


def test_a_mocked_tool_answers_what_fits(rep: Actor) -> None:
    answers = [{"when": {"order_id": 7}, "answer": {"status": "late"}}, {"when": {"order_id": 8}, "error": "Gone."}]
    made = flow(
        crm={"kind": "mock", "effect": "high-stakes", "description": "", "parameters": NUMBER, "answers": answers}
    )
    tried = attempt(rep, made, "crm", {"order_id": 7})
    assert (tried.answer, tried.mocked) == ('{"status": "late"}', True)
    assert attempt(rep, made, "crm", {"order_id": 8}).error == "Gone."
    assert "No mocked answer of crm fits these arguments" in attempt(rep, made, "crm", {"order_id": 9}).error
    assert "order_id is missing" in attempt(rep, made, "crm", {}).error


def test_an_agent_is_tried_in_the_chat_or_by_a_mock(rep: Actor) -> None:
    made = flow(expert={"kind": "agent", "agent": "money", "description": "Knows."})
    with pytest.raises(Invalid, match=r"expert asks the agent money\. Try it in the chat"):
        attempt(rep, made, "expert", {"question": "Why?"})
    assert (
        attempt(rep, made, "expert", {"question": "Why?"}, Mock(tool="expert", answer="Because.")).answer == "Because."
    )
    assert list(described(made, "expert").parameters["properties"]) == ["question"]


def test_a_tool_that_is_not_there_is_told_with_the_known_ones(rep: Actor) -> None:
    with pytest.raises(NotFound, match=r"The flow declares no tool fly. Known: look_up, pay_out"):
        attempt(rep, flow(), "fly", {})
    with pytest.raises(NotFound, match="There is no Python tool called look_down"):
        attempt(rep, flow(bad={"kind": "python", "call": "look_down"}), "bad", {})


def test_whether_a_call_would_be_real_is_known_before(rep: Actor) -> None:
    made = flow(mocked={"kind": "mock", "effect": "read", "description": "", "parameters": NUMBER})
    mock = Mock(tool="look_up", when={"order_id": 7}, answer="late")
    assert not real(made, "look_up", {"order_id": 7}, [mock])
    assert real(made, "look_up", {"order_id": 8}, [mock])
    assert not real(made, "mocked", {})
