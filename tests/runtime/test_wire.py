"""The genuine OpenAI client and the SDK's Responses model against a server that speaks the wire format."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.flows_for_tests import CALLED, freeze
from tests.loopback import Cut, Server, Status, Turn, call, message, serve
from workbench import runtime, traces
from workbench.errors import Invalid
from workbench.runtime import Result, Roles, Words
from workbench.runtime import roles as roles_of

SCRIPT: list[Turn] = [
    [call("transfer_to_money", {}, "c1")],
    [call("look_up", {"order_id": 1042}, "c2")],
    [message("Order 1042 is late.")],
]


def roles(server: Server) -> Roles:
    """Two roles on the server, with prices."""
    return Roles(
        small="tiny-1",
        main="large-1",
        api_key="key-1",
        base_url=server.url,
        prices={"tiny-1": (1, 2), "large-1": (10, 20)},
    )


async def go(server: Server, *, streamed: bool, chosen: Roles | None = None, agent: str = "") -> tuple[Result, str]:
    """Run once; the result and the words that streamed."""
    models = runtime.Models(chosen or roles(server))
    try:
        if not streamed:
            talk = runtime.Conversation(id="conv_1", agent=agent)
            return await runtime.run(freeze(), "Where is 1042?", models=models, conversation=talk), ""
        words, result = "", None
        async for event in runtime.stream(freeze(), "Where is 1042?", models=models):
            if isinstance(event, Words):
                words += event.text
            result = event
        assert isinstance(result, Result)
        return result, words
    finally:
        await models.aclose()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_flow_over_the_wire_gives_a_complete_record(streamed: bool) -> None:
    CALLED.clear()
    with serve(SCRIPT) as server:
        result, words = asyncio.run(go(server, streamed=streamed))
    assert (result.outcome, result.reply) == ("answered", "Order 1042 is late.")
    assert words == (result.reply if streamed else "")
    assert CALLED == [("look_up", 1042)]
    assert str(traces.replay_record(json.loads(json.dumps(result.record)), freeze(), strict=True)) == "faithful"
    assert CALLED == [("look_up", 1042)]
    record = result.record
    assert record["models"] == ["large-1", "tiny-1"]
    assert record["usage"] == {"requests": 3, "input_tokens": 300, "output_tokens": 60, "usd": 0.00294}
    assert [c["model"] for c in record["calls"] if c["kind"] == "model"] == ["tiny-1", "large-1", "large-1"]
    assert all(c["response"]["output"] for c in record["calls"] if c["kind"] == "model")
    assert [asked["model"] for asked in server.asked] == ["tiny-1", "large-1", "large-1"]
    assert server.asked[0]["instructions"] == "You work for Fernhill."
    assert "key-1" not in str(record)


def test_streamed_and_not_streamed_record_the_same_requests_and_answers() -> None:
    records: list[list[Any]] = []
    for streamed in (False, True):
        with serve(SCRIPT) as server:
            result, _ = asyncio.run(go(server, streamed=streamed))
        records.append([(c["digest"], c["response"]["output"]) for c in result.record["calls"] if c["kind"] == "model"])
    assert records[0] == records[1]


def test_a_rate_limit_is_tried_again_and_then_answered() -> None:
    with serve([Status(429, {"retry-after-ms": "1"}), *SCRIPT]) as server:
        result, _ = asyncio.run(go(server, streamed=False))
    assert result.outcome == "answered"
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([Status(401)], "The model server refused the key. Check OPENAI_API_KEY."),
        ([Status(404)], "The model server does not know this model."),
        ([Status(400)], "The model server answered with an error (400)."),
        ([Status(429, {"retry-after-ms": "1"})] * 5, "The model server is limiting requests (429)"),
        ([Status(500, {"retry-after-ms": "1"})] * 5, "The model server answered with an error (500)."),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_of_the_server_is_an_error_outcome_in_words(script: list[Turn], told: str, streamed: bool) -> None:
    with serve(script) as server:
        result, _ = asyncio.run(go(server, streamed=streamed))
    assert result.outcome == "error"
    assert told in result.error
    assert result.record["calls"][-1]["error"] == result.error


@pytest.mark.parametrize("streamed", [False, True])
def test_a_cut_connection_is_an_error_outcome_and_the_record_keeps_what_was(streamed: bool) -> None:
    with serve([SCRIPT[0], *[Cut()] * 4]) as server:
        result, _ = asyncio.run(go(server, streamed=streamed))
    assert result.outcome == "error"
    assert "model" in result.error
    assert [c["error"] == "" for c in result.record["calls"]] == [True, False]


def test_many_runs_in_a_row_share_one_client_on_one_loop() -> None:
    async def twice(server: Server) -> list[str]:
        models = runtime.Models(roles(server))
        try:
            return [(await runtime.run(freeze(), "Where?", models=models)).outcome for _ in range(2)]
        finally:
            await models.aclose()

    with serve(SCRIPT * 2) as server:
        assert asyncio.run(twice(server)) == ["answered", "answered"]


@pytest.mark.parametrize("streamed", [False, True])
def test_each_role_may_have_a_server_and_an_api_of_its_own(streamed: bool) -> None:
    CALLED.clear()
    with serve(SCRIPT[:1]) as first, serve(SCRIPT[1:]) as second:
        mixed = Roles(
            small=f"tiny-1@{first.url}",
            main=f"chat:large-1@{second.url}",
            api_key="openai-key",
            keys={"small": "first-key"},
        )
        result, words = asyncio.run(go(first, streamed=streamed, chosen=mixed))
    assert (result.outcome, result.reply) == ("answered", "Order 1042 is late.")
    assert words == (result.reply if streamed else "")
    assert (len(first.asked), len(second.asked)) == (1, 2)
    assert first.headers[0]["authorization"] == "Bearer first-key"
    assert {one["authorization"] for one in second.headers} == {"Bearer none"}
    assert [c["model"] for c in result.record["calls"] if c["kind"] == "model"] == ["tiny-1", "large-1", "large-1"]
    assert second.asked[0]["messages"][0] == {"role": "system", "content": "You work for Fernhill."}


def test_one_role_may_be_offline_and_another_on_a_server() -> None:
    with serve(SCRIPT[1:]) as server:
        mixed = Roles(small="offline", main="large-1", api_key="key-1", base_url=server.url)
        result, _ = asyncio.run(go(server, streamed=False, chosen=mixed, agent="money"))
    assert (result.reply, result.record["models"]) == ("Order 1042 is late.", ["large-1"])
    assert runtime.Models(mixed).label("small") == "offline model"


def test_a_role_with_a_server_that_is_no_address_is_refused_by_its_variable() -> None:
    with pytest.raises(Invalid, match="WORKBENCH_MODEL_MAIN names the server ftp://host"):
        roles_of({"WORKBENCH_MODEL_MAIN": "large@ftp://host"})
