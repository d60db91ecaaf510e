"""Transcripts of chat completions with tools, imported: one run for each message answered, read in words, replayed."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import SHARED
from workbench import traces
from workbench.access import Actor
from workbench.cli.runs import app
from workbench.errors import Invalid
from workbench.flows import transcripts
from workbench.traces import chats, exchange

RECORDED = SHARED / "tau_bench_v1" / "trajectories_gpt-4o_airline.jsonl.gz"


def call(identity: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call as chat completions write it."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def answer(identity: str, name: str, content: str) -> dict[str, Any]:
    """A tool's answer."""
    return {"role": "tool", "tool_call_id": identity, "name": name, "content": content}


CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Help with orders. Refund at most $50."},
    {"role": "assistant", "content": "Hello, how can I help?"},
    {"role": "user", "content": "Where is #W2378156? I am eve@example.com"},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [
            call("c1", "get_order_details", order_id="#W2378156"),
            call("c1", "find_user", email="eve@example.com", zip="19122"),
        ],
    },
    answer("c1", "get_order_details", '{"status": "delivered", "city": "Austin"}'),
    answer("c1", "find_user", "Error: user not found"),
    {"role": "assistant", "content": "It was delivered."},
    {"role": "user", "content": "I want a person"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [call("c2", "transfer_to_human_agents", summary="wants a person")],
    },
    answer("c2", "transfer_to_human_agents", "Transfer successful"),
    {"role": "user", "content": "###STOP###"},
]


def text(**more: Any) -> str:
    """A file with one transcript."""
    return json.dumps({"traj": CHAT, "reward": 0.0, **more})


def taken(actor: Actor, **more: Any) -> list[dict[str, Any]]:
    """The transcript, imported; its records, the oldest first."""
    return [traces.record(one) for one in traces.take_in(actor, text(**more), "airline chats")]


def test_each_answered_message_is_a_run_of_one_conversation(migrated: Path, architect: Actor) -> None:
    first, second = taken(architect, model="gpt-4o", created=1_760_000_000)
    assert (first["flow"], first["models"], first["outcome"], first["reply"]) == (
        "airline-chats",
        ["gpt-4o"],
        "answered",
        "It was delivered.",
    )
    assert first["conversation"] == second["conversation"]
    assert (second["outcome"], second["stop"], second["unanswered"]) == ("escalated", chats.CUT, "###STOP###")
    assert first["started_at"] == "2025-10-09T08:53:20.000+00:00"
    assert first["usage"]["usd"] is None
    assert first["told"]["reward"] == 0.0
    assert [one.source for one in traces.find()] == ["imported", "imported"]


def test_tools_that_nobody_described_are_told_in_words(migrated: Path, architect: Actor) -> None:
    first, second = taken(architect)
    words = traces.step_words(first)
    assert "called get order details of #W2378156: status delivered, city Austin" in words
    assert any("find user (" in one and one.endswith("it answered: Error: user not found") for one in words)
    assert "wrote beside its call: “One moment.”" in words
    assert "called hand over to human agents of wants a person: Transfer successful" in traces.step_words(second)
    assert "eve@example.com" not in json.dumps([first, second])


def test_a_replay_is_faithful_and_one_changed_answer_is_found(migrated: Path, architect: Actor) -> None:
    first, second = taken(architect)
    assert str(traces.replay(architect, first["id"])) == "faithful"
    ended = traces.replay(architect, second["id"])
    assert (ended.verdict, ended.what) == ("faithful", "as far as the transcript goes, which ends before a reply")
    frozen = exchange.read(traces.export(first["id"]))[0][1]
    first["calls"][1]["output"] = '{"status": "lost"}'
    changed = traces.replay_record(first, frozen)
    assert changed.verdict != "faithful"
    assert "conversation differs (function call output)" in changed.what
    second["calls"][1]["output"] = "Transfer refused"
    second["calls"].append(first["calls"][1] | {"call_id": "c9"})
    assert traces.replay_record(second, frozen).verdict != "faithful"


def test_importing_again_adds_nothing_and_an_export_comes_back(migrated: Path, architect: Actor) -> None:
    first, _ = taken(architect)
    assert traces.take_in(architect, text()) == []
    assert exchange.named(text())[0] == first["id"]
    assert exchange.read(traces.export(first["id"]))[0][0]["reply"] == "It was delivered."


def test_declared_tools_keep_their_schema_and_dollars_stay(migrated: Path, architect: Actor) -> None:
    schema = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
    tools = [{"type": "function", "function": {"name": "get_order_details", "description": "d", "parameters": schema}}]
    first = taken(architect, tools=tools)[0]
    frozen = exchange.read(traces.export(first["id"]))[0][1]
    assert frozen.content.tools["get_order_details"].parameters == schema
    assert frozen.spec.tools["find_user"].effect == "read"
    assert first["calls"][0]["request"]["system"] == "Help with orders. Refund at most $50."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f'{text()}\n{{"other": 1}}', "entry 2 is not a transcript"),
        ('{"messages": [{"role": "assistant", "content": 7}]}', "message 1: its content is neither a text nor"),
        ('{"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}', "without the name of a function"),
        (
            json.dumps({"m": [{"role": "user", "content": "hi"}, *[{"role": "assistant", "tool_calls": [call("", "f")]}] * 101]}),
            "more than 100 answers",
        ),
        (
            json.dumps({"m": [{"role": "assistant", "tool_calls": [call("", "f") | {"function": {"name": "f", "arguments": "[" * 900}}]}]}),
            "nested deeper than 100 levels",
        ),
        ('{"messages": [{"role": "user", "content": ' + "[" * 300 + "]" * 300 + "}]}", "not a run export"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_nothing_is_stored(
    migrated: Path, architect: Actor, body: str, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        traces.take_in(architect, body)
    assert traces.count() == 0


def test_hostile_arguments_are_kept_as_text(migrated: Path, architect: Actor) -> None:
    odd = {"id": "x", "function": {"name": "f", "arguments": '{"a": ' + "[" * 90 + "]" * 90 + "}"}}
    messages = [
        {"role": "user", "content": "hi \ud800"},
        {"role": "assistant", "content": "", "tool_calls": [odd, {"function": {"name": "9 bad$name", "arguments": "{"}}]},
        {"role": "assistant", "content": "done"},
    ]  # fmt: skip
    made = traces.take_in(architect, json.dumps(messages))
    record = traces.record(made[0])
    assert [one["name"] for one in record["calls"] if one["kind"] == "tool"] == ["f", "call_9_bad_name"]
    assert any("the transcript has no answer to this call" in one for one in traces.step_words(record))
    assert traces.replay(architect, made[0]).verdict == "faithful"


def test_the_command_takes_a_packed_file_and_names_the_flow_after_it(migrated: Path, tmp_path: Path) -> None:
    file = tmp_path / "Shop chats.jsonl.gz"
    file.write_bytes(gzip.compress(text().encode()))
    result = CliRunner().invoke(app, ["import", str(file), "--json"])
    assert result.exit_code == 0
    added = json.loads(result.stdout)["added"]
    assert [traces.run(one).flow for one in added] == ["shop-chats", "shop-chats"]


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded airline conversations are not at {RECORDED}")
def test_two_hundred_conversations_with_gpt_4o_import_whole_and_replay(migrated: Path, architect: Actor) -> None:
    """Every conversation, replayed by its last run, which holds all that was said before."""
    made = traces.take_in(architect, transcripts.text(RECORDED), RECORDED.name.split(".")[0])
    listed = {one.id: one for one in traces.find(limit=2_000)}
    assert len(made) == len(listed) == 1_341
    assert Counter(one.outcome for one in listed.values()) == {"answered": 1_290, "escalated": 48, "error": 3}
    assert {one.flow for one in listed.values()} == {"trajectories-gpt-4o-airline"}
    last = {listed[one].conversation: one for one in made}
    assert len(last) == 200
    verdicts = [traces.replay(architect, one) for one in last.values()]
    assert {str(one) for one in verdicts if one.verdict != "faithful"} == set()
    assert sum(bool(one.what) for one in verdicts) == 51
