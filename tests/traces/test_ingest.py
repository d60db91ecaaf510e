"""Runs of other programs: taken once, masked, durable once acknowledged, pushed back under load, and read like our own."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message

from tests import spans
from tests.conftest import ROOT
from tests.receiving import children, receiving
from tests.traces.recorded import stored
from workbench import flows, store, traces
from workbench.access import Actor
from workbench.errors import Invalid, NotFound, Refused, Unavailable
from workbench.runtime import redaction
from workbench.traces import foreign, ingest, otlp, query, receive

NONE = redaction.Rules(kinds=frozenset())


def desk(seed: int = 1, attributes: dict[str, Any] | None = None) -> list[otlp.Span]:
    """A generated run of another program."""
    made = spans.trace(random.Random(seed), turns=2, marked=0)  # noqa: S311  (generated spans)
    made[0]["attributes"] |= attributes or {}
    return made


def take(made: list[otlp.Span], service: str = "shop-bot") -> int:
    """Store spans as a request of their own; how many were new."""
    return ingest.store([ingest.prepare([otlp.Batch({"service.name": service}, made)], NONE)])[0]


def test_protobuf_and_json_say_the_same() -> None:
    made = desk(
        attributes={"list": ["a", 1, 2.5, True], "nested": {"x": {"y": [0, False, ""]}}, "minus": -7, "empty": ""}
    )
    made[1]["error"], made[1]["events"] = "failed", [{"name": "gen_ai.choice", "attributes": {"index": 0}}]
    told = otlp.read_protobuf(spans.as_protobuf(made))
    assert told == otlp.read_json(spans.as_json(made))
    assert told[0].resource == {"service.name": "shop-bot"}
    assert told[0].spans == made


def test_numbers_that_json_has_no_word_for_are_kept() -> None:
    made = desk(attributes={"ratio": float("nan"), "limit": float("-inf"), "large": 2**62, "list": [1.5, float("inf")]})
    batch = otlp.read_protobuf(spans.as_protobuf(made))[0]
    assert otlp.read_json(spans.as_json(made))[0] == batch
    part = ingest.prepare([batch], NONE)[0]
    kept = foreign.unpacked(part.trace, [part.body])[1][0]["attributes"]
    assert [kept[name] for name in ("ratio", "limit", "large", "list")] == ["nan", "-inf", 2**62, [1.5, "inf"]]


def test_a_number_too_large_for_other_programs_is_kept_whole() -> None:
    assert store.unpack(store.pack_quickly({"large": 10**30, "text": "ä", "share": 0.1})) == {
        "large": 10**30,
        "text": "ä",
        "share": 0.1,
    }


@pytest.mark.parametrize(
    "body",
    [b"\xff\xff\xff", b"{", b"[1]", b'{"resourceSpans": 3}', b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}'],
)
def test_what_is_no_request_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(Invalid, match=r"is not|no trace id"):
        otlp.read_json(body)
    with pytest.raises(Invalid, match="not an OTLP trace request in protobuf"):
        otlp.read_protobuf(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parentSpanId", "ada@example.com"),
        ("parentSpanId", "ab" * 9),
        ("startTimeUnixNano", "9" * 400),
        ("endTimeUnixNano", "-1"),
        ("endTimeUnixNano", 1e300),
    ],
)
def test_a_span_whose_parent_or_time_has_another_shape_is_refused(field: str, value: Any) -> None:
    request = json.loads(spans.as_json(desk()))
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][1][field] = value
    with pytest.raises(Invalid, match=f"A span's {field} is no"):
        otlp.read_json(json.dumps(request))


def test_a_parent_in_protobuf_has_eight_bytes() -> None:
    made = desk()
    made[1]["parent"] = "ab" * 9
    with pytest.raises(Invalid, match="parent id has not 8 bytes"):
        otlp.read_protobuf(spans.as_protobuf(made))


def test_the_last_moment_that_protobuf_can_tell_is_kept() -> None:
    made = desk()
    made[0]["end"] = 2**64 - 1
    assert ingest.prepare(otlp.read_json(spans.as_json(made)), NONE)[0].row["seconds"] > 10**9


def test_a_run_of_another_program_is_listed_and_read_like_our_own(database: str, rep: Actor) -> None:
    made = desk()
    assert take(made) == 5
    listed = traces.find()[0]
    question = made[0]["attributes"]["input.value"]
    assert (listed.flow, listed.source, listed.outcome, listed.agent) == ("shop-bot", "otlp", "answered", "desk")
    assert (listed.question, listed.model, listed.conversation) == (
        question,
        "gpt-5.6-luna",
        made[0]["attributes"]["session.id"],
    )
    assert listed.reply == json.loads(made[3]["attributes"]["gen_ai.output.messages"])[0]["content"]
    assert listed.input_tokens == sum(one["attributes"].get("gen_ai.usage.input_tokens", 0) for one in made)
    record = traces.record(listed.id)
    words = traces.step_words(record)
    assert words[0] == "desk takes the conversation"
    assert sum(one.startswith("looked up order ") for one in words) == 2
    assert [call["kind"] for call in record["calls"]] == ["model", "tool", "model", "tool"]
    assert (
        record["calls"][0]["request"]["system"]
        == json.loads(made[1]["attributes"]["gen_ai.input.messages"])[0]["content"]
    )
    assert [one["type"] for one in record["spans"]] == ["agent", "generation", "function", "generation", "function"]
    assert {one["parent"] for one in record["spans"][1:]} == {made[0]["id"]}
    assert str(traces.replay(rep, listed.id)) == "impossible it ran in another program, whose flow is not here"
    assert traces.flag(rep, listed.id, "Look").run_id == listed.id


def test_open_inference_spans_are_read_too(migrated: Path) -> None:
    trace, made = "ab" * 16, []
    told: list[dict[str, Any]] = [
        {"openinference.span.kind": "AGENT", "agent.name": "clerk", "session.id": "s1"},
        {
            "openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "llm.token_count.prompt": 7, "llm.token_count.completion": 3,
            "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Where is order 7?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "find_order",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"order_id": 7}',
        },
        {"openinference.span.kind": "TOOL", "tool.name": "find_order",
            "input.value": '{"order_id": 7}', "output.value": '{"status": "late"}'},
        {"openinference.span.kind": "GUARDRAIL"},
        {
            "openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "It is late.",
        },
    ]  # fmt: skip
    for number, attributes in enumerate(told):
        span = {
            "trace": trace,
            "id": f"{number + 1:016x}",
            "parent": "" if number == 0 else f"{1:016x}",
            "name": f"step {number}",
        }
        made.append(
            span
            | {
                "start": 10**18 + number,
                "end": 10**18 + number + 1,
                "error": "",
                "attributes": attributes,
                "events": [],
            }
        )
    take(made)
    record = traces.record(f"run_{trace}")
    assert (record["question"], record["reply"], record["agent"]) == ("Where is order 7?", "It is late.", "clerk")
    assert record["calls"][0]["response"]["output"][0]["name"] == "find_order"
    assert (record["calls"][1]["arguments"], record["calls"][1]["output"]) == ('{"order_id": 7}', '{"status": "late"}')
    assert "guardrail step 3 found nothing wrong with the message" in traces.step_words(record)
    assert record["usage"] == {"requests": 2, "input_tokens": 7, "output_tokens": 3, "usd": None}


def test_spans_that_come_twice_in_pieces_and_out_of_order_are_one_run(database: str) -> None:
    made = desk()
    assert take(made[3:]) == 2
    first = traces.find()[0]
    assert take(made[:4]) == 3
    assert take(made) == take(made[1:3]) == 0
    assert traces.count() == 1
    assert traces.find()[0] != first
    whole = traces.record(first.id)
    other = desk()
    for one in other:
        one["trace"] = "cd" * 16
    take(other)
    again = traces.record(f"run_{'cd' * 16}")
    differ = ("id", "root")
    assert {k: v for k, v in whole.items() if k not in differ} == {k: v for k, v in again.items() if k not in differ}


def test_spans_of_a_run_of_our_own_leave_it_as_it_is(migrated: Path) -> None:
    from tests.traces.recorded import stored

    result = stored()
    made = desk()
    for one in made:
        one["trace"] = result.run_id.removeprefix("run_")
    assert take(made) == 0
    assert traces.record(result.run_id) == result.record


def test_hostile_spans_are_stored_and_read(migrated: Path) -> None:
    made = desk()
    made[1]["parent"], made[2]["parent"] = made[2]["id"], made[1]["id"]
    made[3]["attributes"]["gen_ai.input.messages"] = '[{"role": 5, "parts": [7, null, {"type": "text"}]}, "x", null]'
    made[3]["attributes"]["gen_ai.output.messages"] = "[" * 5000
    made[4]["end"], made[0]["start"], made[0]["name"] = 0, 2**64 - 1, "\x00<script>\ud800"
    made[4]["attributes"]["gen_ai.usage.input_tokens"] = 10**30
    assert ingest.store([ingest.prepare(otlp.read_json(spans.as_json(made, "")), redaction.Rules(key=b"k"))]) == [5]
    record = traces.record(f"run_{made[0]['trace']}")
    assert len(record["spans"]) == 5
    assert traces.step_words(record)
    assert traces.export(record["id"])


def test_it_is_masked_before_it_is_stored_whatever_field_it_is_in(migrated: Path) -> None:
    canary = "sk-live-CANARY0123456789abcdef"
    made = desk(
        attributes={
            "user.id": "ada@example.com",
            "db.password": "xyz",
            "odd": [{"deep": canary}],
            canary: 1,
            "card": 4111111111111111,
        }
    )
    made[1]["events"] = [{"name": canary, "attributes": {"x": canary}}]
    made[2]["name"] = made[2]["error"] = f"It failed for ada@example.com with {canary}"
    with receiving() as address:
        assert address.packed(spans.as_protobuf(made, service=canary))[0] == 200
        assert address.post(spans.as_json(desk(2, {"note": "mail ada@example.com"})), kind="application/json")[0] == 200
    record = traces.record(foreign.run_id(made[0]["trace"]))
    everything = b"".join(p.read_bytes() for p in migrated.rglob("*") if p.is_file()).decode("latin-1")
    with store.session() as open_session:
        everything += json.dumps([query.trace(open_session, one) for one in traces.ids()])
    everything += "".join(json.dumps(traces.record(one)) + traces.export(one) for one in traces.ids())
    for hidden in ("CANARY", "ada@example", "xyz", "4111111111111111"):
        assert hidden not in everything
    assert record["redacted"] == {"card": 1, "email": 1, "secret": 2}


def test_what_was_acknowledged_survives_a_kill(database: str) -> None:
    chance, acknowledged = random.Random(3), set()  # noqa: S311  (generated spans)
    with receiving(workers=2) as address:
        for _ in range(12):
            made = [one for _ in range(20) for one in spans.trace(chance)]
            assert address.post(spans.as_protobuf(made))[0] == 200
            acknowledged |= {foreign.run_id(one["trace"]) for one in made}
        address.kill()
    assert len(acknowledged) == 240
    assert set(traces.ids()) == acknowledged
    assert all(len(traces.record(one)["spans"]) == 7 for one in list(acknowledged)[:20])


def test_a_connection_is_closed_now_and_then_so_that_each_process_gets_work(migrated: Path) -> None:
    with receiving(workers=2) as address:
        told = [address.post(spans.as_protobuf(desk(seed)))[1].get("connection", "") for seed in range(40)]
        assert set(told) == {"", "close"}
        assert told.count("close") in (1, 2)
    assert len(traces.ids()) == 40


def test_its_processes_end_with_it(migrated: Path) -> None:
    with receiving(workers=2) as address:
        running = children(address.process.pid)
        assert len(running) == 2
        address.process.kill()
        address.process.wait()
        for _ in range(200):
            if not any(
                Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running
            ):
                break
            time.sleep(0.1)
        assert not any(
            Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running
        )


def test_a_database_that_cannot_be_written_is_said_so_and_nothing_is_acknowledged(migrated: Path) -> None:
    import sqlite3

    body = spans.as_protobuf(desk())
    with receiving() as address:
        assert address.post(spans.as_protobuf(desk(9)))[0] == 200
        locked = sqlite3.connect(migrated / "local" / "workbench.db", isolation_level=None)
        locked.execute("begin immediate")
        status, headers, answer = address.post(body)
        assert (status, headers["retry-after"]) == (503, "5")
        assert "database is locked" in json.loads(answer)["message"]
        locked.execute("rollback")
        assert address.post(body)[0] == 200
    assert traces.count() == 2


def test_more_than_can_be_stored_is_pushed_back(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(ingest, "MOST_WAITING", 1000)
    kept = ingest.Store()
    receiver = receive.Receiver(kept)
    assert kept.claim(900), "somebody's spans wait to be stored"
    sent: list[dict[str, Any]] = []

    async def once() -> None:
        body = spans.as_json(desk())

        async def given() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def put(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "path": "/v1/traces",
            "method": "POST",
            "headers": [(b"content-type", b"application/json")],
        }
        await receiver(scope, given, put)

    asyncio.run(once())
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"retry-after"]) == (429, b"1")
    assert traces.count() == 0
    kept.release(900)
    asyncio.run(once())
    assert sent[2]["status"] == 200
    assert traces.count() == 1
    receiver.close()


def test_each_wrong_request_has_its_answer(migrated: Path) -> None:
    with receiving(1, WORKBENCH_INGEST_TOKEN=" ".join(("open", "sesame"))) as address:

        def status(body: bytes = b"{}", **rest: str) -> int:
            return int(
                address.post(body, authorization="Bearer open sesame", **{"kind": "application/json", **rest})[0]
            )

        assert address.post(b"{}", kind="application/json")[0] == 401
        assert status() == status(b"", kind="application/x-protobuf") == 200
        assert status(kind="text/plain") == 415
        assert status(path="/v1/logs") == 404
        assert (
            status(b"not json") == status(b"xx", content_encoding="gzip") == status(b"", content_encoding="br") == 400
        )
        assert status(gzip.compress(b" " * (receive.LARGEST + 1)), content_encoding="gzip") == 400
        assert status(b" " * (receive.LARGEST + 1)) == 413


def test_an_address_that_others_reach_needs_a_token(migrated: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != receive.TOKEN}
    command = [sys.executable, "-m", "workbench", "runs", "receive", "--address", "::", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("Set WORKBENCH_INGEST_TOKEN, or listen on 127.0.0.1.")


EXPORT: dict[str, Any] = {
    "data": [
        {"object": "trace", "id": f"trace_{'ef' * 16}", "workflow_name": "Order bot", "group_id": "chat-7", "metadata": None},
        {
            "object": "trace.span", "id": "span_1", "trace_id": f"trace_{'ef' * 16}", "parent_id": None, "error": None,
            "started_at": "2026-11-01T10:00:00+00:00", "ended_at": "2026-11-01T10:00:02+00:00",
            "span_data": {"type": "agent", "name": "clerk", "handoffs": [], "tools": ["find_order"], "output_type": "str"},
        },
        {
            "object": "trace.span", "id": "span_2", "trace_id": f"trace_{'ef' * 16}", "parent_id": "span_1", "error": None,
            "started_at": "2026-11-01T10:00:00+00:00", "ended_at": "2026-11-01T10:00:01+00:00",
            "span_data": {
                "type": "generation", "model": "gpt-x", "input": [{"role": "user", "content": "Where is it?"}],
                "output": [{"role": "assistant", "content": "On its way."}], "usage": {"input_tokens": 5, "output_tokens": 2},
            },
        },
        {
            "object": "trace.span", "id": "span_3", "trace_id": f"trace_{'ef' * 16}", "parent_id": "span_1",
            "error": {"message": "no such order"}, "started_at": "2026-11-01T10:00:01+00:00", "ended_at": "2026-11-01T10:00:02+00:00",
            "span_data": {"type": "function", "name": "find_order", "input": '{"order_id": 7}', "output": None},
        },
    ]
}  # fmt: skip


def test_a_trace_export_of_the_agents_sdk_is_a_run(migrated: Path) -> None:
    with receiving() as address:
        body = json.dumps(EXPORT).encode()
        assert address.post(body, kind="application/json", path="/v1/traces/ingest")[0] == 200
        assert address.post(body, kind="application/json", path="/v1/traces/ingest")[0] == 200
    one = traces.find()[0]
    assert (one.id, one.flow, one.conversation, one.agent) == (f"run_{'ef' * 16}", "Order bot", "chat-7", "clerk")
    assert (one.question, one.reply, one.input_tokens, one.seconds) == ("Where is it?", "On its way.", 5, 2.0)
    assert traces.step_words(traces.record(one.id))[-1] == "called find order of 7; it answered: no such order"


def test_files_of_other_programs_are_imported_and_exported_again(migrated: Path, architect: Actor, rep: Actor) -> None:
    made = desk()
    with pytest.raises(Refused):
        traces.take_in(rep, spans.as_json(made).decode())
    ids = traces.take_in(architect, spans.as_json(made).decode() + "\n" + json.dumps(otlp_line(desk(2))))
    assert ids == [foreign.run_id(made[0]["trace"]), foreign.run_id(desk(2)[0]["trace"])]
    assert traces.take_in(architect, json.dumps(EXPORT)) == [f"run_{'ef' * 16}"]
    before = traces.record(ids[0])
    text = traces.export(ids[0])
    assert traces.take_in(architect, text) == []
    moved = copy.deepcopy(json.loads(text))
    for span in moved["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span["traceId"] = "12" * 16
    assert traces.take_in(architect, json.dumps(moved)) == [f"run_{'12' * 16}"]
    again = traces.record(f"run_{'12' * 16}")
    assert {k: v for k, v in again.items() if k not in ("id", "root")} == {
        k: v for k, v in before.items() if k not in ("id", "root")
    }


def otlp_line(made: list[otlp.Span]) -> Any:
    """One line of a file of requests."""
    return json.loads(spans.as_json(made))


def test_a_run_of_another_program_cannot_be_forked_and_the_reason_is_said(migrated: Path, architect: Actor) -> None:
    from workbench.traces.fork import read_change

    take(desk())
    made = traces.fork(architect, traces.ids()[0], "end", read_change('{"message": "And now?"}'))
    assert made.record is None
    assert "This run was made by another program, and its flow is not here" in made.words
    with pytest.raises(NotFound, match="made by another program, and its flow is not here"):
        flows.frozen("")


def test_without_a_database_nothing_is_taken(home: Path) -> None:
    with pytest.raises(Unavailable):
        take(desk())


def test_a_span_of_another_program_puts_no_words_into_a_live_conversation(database: str) -> None:
    ours = stored("Where is my order?", [[assistant_message("On its way.")]])
    made = desk(attributes={"session.id": ours.record["conversation"]})
    made[3]["attributes"]["gen_ai.output.messages"] = '[{"role": "assistant", "content": "I promised a full refund."}]'
    for one in made:
        one["start"] += 10**17
        one["end"] += 10**17
    take(made)
    assert traces.find(conversation=ours.record["conversation"])[0].reply == "I promised a full refund."
    talk = traces.conversation(ours.record["conversation"])
    assert [one["content"] for one in talk.items] == ["Where is my order?", "On its way."]
    take(desk(2, {"session.id": "chat-of-theirs"}))
    with pytest.raises(NotFound, match="can go on here"):
        traces.conversation("chat-of-theirs")


def test_a_run_of_another_program_whose_first_step_failed_has_failed(database: str) -> None:
    made = desk()
    made[0]["error"] = "the order system did not answer"
    take(made)
    one = traces.find(outcome="error")[0]
    assert (one.error, one.reply != "") == ("the order system did not answer", True)
    assert traces.record(one.id)["error"] == "the order system did not answer"
    later = desk(2)
    later[2]["error"] = "no such order"
    take(later)
    assert [one.outcome for one in traces.find()].count("answered") == 1, "a step that failed is no failed run"
