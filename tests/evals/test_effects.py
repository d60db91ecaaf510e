"""Trials change nothing: calls that would are answered by a mock or held back, until somebody who may says otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_every_page import opened, words
from tests.pages.test_playground_page import linked
from tests.runtime.web import Site, reply, saying, site
from workbench import datasets, evals, flows, jobs, prompts, releases, traces
from workbench.access import Actor, audit
from workbench.errors import Refused
from workbench.evals import effects, grid
from workbench.evals.grid import Variant
from workbench.flows import trial
from workbench.runtime import Result, release
from workbench.runtime.mocks import Mock
from workbench.traces import approvals
from workbench.traces.answers import Policy
from workbench.traces.fork import Change
from workbench.ui import for_real, live

SHOP = """
format: 1
flow: shop
entry: front
agents:
  front: {prompt: shop/front, model: small, tools: [read_order, cancel_order]}
tools:
  read_order:
    {kind: http, method: GET, url: "http://HOST/orders/{order_id}", effect: read, description: Look up an order.,
     parameters: {type: object, properties: {order_id: {type: integer}}, required: [order_id]}}
  cancel_order:
    {kind: http, method: POST, url: "http://HOST/cancel", effect: write, description: Cancel an order.,
     parameters: {type: object, properties: {order_id: {type: integer}}, required: [order_id]}}
"""
CANCEL = "Please cancel order 1042"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web service that the deployment allows."""
    with site(saying(reply(200, '{"done": true}', content_type="application/json"))) as running:
        monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", running.place)
        yield running


@pytest.fixture
def shop(migrated: Path, web: Site, architect: Actor) -> str:
    """A flow with an HTTP tool that reads and one that writes, and a dataset with one case."""
    prompts.save(architect, "shop/front", "You help with orders.")
    flows.put(architect, SHOP.replace("HOST", web.place))
    datasets.put(architect, "shop", [datasets.case_of({"id": "one", "input": CANCEL}, where="case")])
    return "shop"


def calls(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The calls of one tool."""
    return [call for call in record["calls"] if call["kind"] == "tool" and call["name"] == name]


def side_by_side(actor: Actor, flow: str, text: str, **options: Any) -> list[dict[str, Any]]:
    """The records of two variants that ran on a message."""
    frozen = releases.resolve(flow)
    events = [event for _, event in live.side_by_side(actor, [frozen, frozen], text, **options)]
    return [dict(event.record) for event in events if isinstance(event, Result)]


def sent(web: Site, method: str) -> int:
    """How many requests of a method arrived."""
    return sum(one.method == method for one in web.seen)


def test_a_tool_that_writes_is_not_called_side_by_side_and_the_model_is_told(shop: str, web: Site, rep: Actor) -> None:
    for record in side_by_side(rep, shop, CANCEL):
        (call,) = calls(record, "cancel_order")
        assert call["error"] == "Not called in the playground: cancel_order changes something (write)."
        assert json.loads(call["output"]) == {"error": call["error"]}
        assert traces.replay_record(record, releases.resolve(shop)).verdict == "faithful"
    assert sent(web, "POST") == 0


def test_reading_is_called_side_by_side_as_ever(shop: str, web: Site, rep: Actor) -> None:
    side_by_side(rep, shop, "Where is order 1042?")
    assert (sent(web, "GET"), sent(web, "POST")) == (2, 0)


def test_a_mock_answers_side_by_side_what_would_be_held_back(shop: str, web: Site, rep: Actor) -> None:
    mock = Mock(tool="cancel_order", answer={"cancelled": True})
    for record in side_by_side(rep, shop, CANCEL, mocked={shop: [mock]}):
        (call,) = calls(record, "cancel_order")
        assert (call["output"], call["error"], call["mocked"]) == ('{"cancelled": true}', "", True)
    assert sent(web, "POST") == 0


def test_only_who_may_release_lets_variants_change_something(shop: str, web: Site, rep: Actor, manager: Actor) -> None:
    for actor in (rep, manager):
        with pytest.raises(Refused, match="may not let a trial change something"):
            side_by_side(actor, shop, CANCEL, real=True)
    assert sent(web, "POST") == 0
    side_by_side(Actor("ada", "architect"), shop, CANCEL, real=True)
    assert sent(web, "POST") == 2
    (entry,) = audit.newest(1)
    assert (entry.thing, entry.detail) == (shop, {"called for real, side by side": ["cancel_order"]})


def test_one_permission_lets_a_fork_the_playground_an_experiment_and_a_tool_alone_change_something(
    shop: str, web: Site, rep: Actor, architect: Actor
) -> None:
    frozen = releases.resolve(shop)
    record = side_by_side(rep, shop, CANCEL)[0]
    assert traces.flush()
    tools = {"cancel_order": Policy(use="live")}
    change = Change(message="Cancel order 1042 at once")
    with pytest.raises(Refused) as forking:
        traces.fork(rep, record["id"], 1, change, tools=tools, confirmed=True)
    with pytest.raises(Refused) as playing:
        side_by_side(rep, shop, CANCEL, real=True)
    with pytest.raises(Refused) as trying:
        asyncio.run(trial.try_tool(rep, frozen.spec, "cancel_order", {"order_id": 1}, confirmed=True))
    with pytest.raises(Refused) as evaluating:
        evals.create(Actor("mei", "manager"), frozen, shop, real=True)
    told = "may not let a trial change something. Act as architect, or ask one."
    assert {str(one.value) for one in (forking, playing, trying)} == {f"A rep {told}"}
    assert str(evaluating.value) == f"A manager {told}"
    assert sent(web, "POST") == 0


def test_what_changes_something_is_held_back_whatever_an_imported_flow_declares(shop: str) -> None:
    body = json.loads(json.dumps(releases.resolve(shop).body))
    body["spec"]["tools"]["cancel_order"]["effect"] = body["tools"]["cancel_order"]["effect"] = "read"
    body["spec"]["tools"]["refund_order"] = {"kind": "python", "call": "refund_order"}
    body["spec"]["tools"]["far"] = {"kind": "mcp", "server": "docs", "tool": "search"}
    assert effects.held(release.of(body)) == ["cancel_order", "refund_order", "far"]


def test_what_waits_side_by_side_asks_nobody_while_nothing_is_called_for_real(seeded: Path, architect: Actor) -> None:
    text = "Please refund $80 for order 1015, it arrived broken"
    assert [one["outcome"] for one in side_by_side(architect, "order-desk", text)] == ["held", "held"]
    assert traces.flush()
    assert len(traces.find(source="playground", outcome="held")) == 2
    assert approvals.find() == []
    side_by_side(architect, "order-desk", text, real=True)
    assert traces.flush()
    assert len(approvals.find()) == 2


def ran(actor: Actor, flow: str, dataset: str, **options: Any) -> dict[str, Any]:
    """The record of the only case of an experiment."""
    made = evals.create(actor, releases.resolve(flow), dataset, **options)
    jobs.run_here(made.job_id)
    (row,) = evals.report(made.id).rows
    return traces.record(row.run_id)


def test_an_experiment_holds_back_what_would_change_something(shop: str, web: Site, architect: Actor) -> None:
    (call,) = calls(ran(architect, shop, shop), "cancel_order")
    assert call["error"] == "Not called in the experiment: cancel_order changes something (write)."
    assert sent(web, "POST") == 0
    ran(architect, shop, shop, real=True)
    assert sent(web, "POST") == 1
    assert audit.newest(1)[0].detail["for real"] is True


def test_who_may_not_release_starts_no_experiment_that_changes_something(
    shop: str, architect: Actor, manager: Actor
) -> None:
    before = evals.experiments()
    with pytest.raises(Refused, match="A manager may not let a trial change something"):
        evals.create(manager, releases.resolve(shop), shop, real=True)
    with pytest.raises(Refused, match="A manager may not let a trial"):
        grid.create(manager, [Variant(flow=shop)], shop, releases.resolve, real=True)
    made = grid.create(architect, [Variant(flow=shop)], shop, releases.resolve)
    with pytest.raises(Refused, match="A manager may not let a trial"):
        grid.again(manager, made, real=True)
    assert (len(evals.experiments()), list(grid.grids())) == (len(before) + 1, [made])


def test_a_grid_is_for_real_only_each_time_that_somebody_says_so(shop: str, web: Site, architect: Actor) -> None:
    def run_all(made: str) -> None:
        for side in grid.grid(made).sides:
            jobs.run_here(side.experiment.job_id)

    made = grid.create(architect, [Variant(flow=shop)], shop, releases.resolve, real=True)
    run_all(made)
    assert sent(web, "POST") == 1
    run_all(grid.again(architect, made))
    assert sent(web, "POST") == 1


def test_tools_that_work_on_a_sample_in_memory_are_called_in_experiments(seeded: Path, architect: Actor) -> None:
    text = "I would like a refund of $20 for order 1015, the vase arrived chipped."
    datasets.put(architect, "one", [datasets.case_of({"id": "one", "input": text}, where="case")])
    (call,) = calls(ran(architect, "order-desk", "one"), "refund_order")
    assert json.loads(call["output"])["amount"] == 20.0
    (held,) = calls(side_by_side(architect, "order-desk", text)[0], "refund_order")
    assert held["error"].startswith("Not called in the playground: refund_order")


def test_the_playground_says_what_it_does_not_call_and_its_switch_is_off(seeded: Path) -> None:
    app = linked("order-desk,order-desk", "rep")
    assert app.toggle(key="for-real-message").label == for_real.LABEL
    assert app.toggle(key="for-real-message").value is False
    assert "Not called here: refund_order. Where a mock fits, it answers instead." in words(app)
    assert app.toggle(key="for-real-message").disabled
    assert "A rep may not let a trial call them; act as an architect, or ask one." in words(app)
    app = linked("order-desk,order-desk", "architect")
    app.toggle(key="for-real-message").set_value(True).run()
    assert "Called for real, by every variant and case: refund_order" in boxes(app)
    app.segmented_control(key="over").set_value("A dataset").run()
    assert [one.key for one in app.toggle] == []


def test_the_evaluate_page_asks_before_an_experiment_changes_something(shop: str, web: Site) -> None:
    app = opened("evaluate", "manager")
    app.selectbox(key="flow").set_value("shop").run()
    assert "Not called here: cancel_order" in words(app)
    assert app.toggle(key="experiment-for-real").disabled
    assert "A manager may not let a trial call them" in words(app)
    app = opened("evaluate", "architect")
    app.selectbox(key="flow").set_value("shop").run()
    app.toggle(key="experiment-for-real").set_value(True).run()
    assert "Called for real, by every variant and case: cancel_order" in boxes(app)
    assert evals.experiments() == []


def boxes(app: AppTest) -> str:
    """What stands in boxes of errors and warnings, escapes taken away."""
    return " ".join(str(one.value) for kind in (app.error, app.warning) for one in kind).replace("\\", "")
