"""Runs are stored masked: a planted secret is nowhere, a masked run still replays, and a held one still goes on."""

from __future__ import annotations

import copy
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message, function_call
from sqlmodel import select

from tests.conftest import ROOT
from tests.flows_for_tests import CALLED, DESK, freeze
from tests.traces.recorded import PAID, refund, run, stored
from workbench import settings, store, traces
from workbench.access import Actor
from workbench.runtime import Conversation, ToolContext, redaction, seal, tool
from workbench.store.tables import HeldRun
from workbench.traces import approvals, capture, masking
from workbench.traces.replay import replay_record

CANARY = "sk-live-CANARY0123456789abcdef"
MAIL = "canary.person@example.com"
NOTED = DESK.replace("tools: [look_up, pay_out]", "tools: [look_up, pay_out, write_down]").replace(
    "tools:\n  look_up",
    "tools:\n  write_down: {kind: python, call: write_down, effect: high-stakes, approve: always}\n  look_up",
)


@tool(effect="write")
def write_down(context: ToolContext, note: str) -> dict[str, Any]:
    """Keep a note.

    Args:
        note: Any text.
    """
    CALLED.append(("write_down", note))
    return {"kept": note}


def everywhere(home: Path) -> bytes:
    """All bytes of the workbench's folder, and every stored record and approval unpacked."""
    store.dispose()
    raw = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    records = [json.dumps(traces.record(one), ensure_ascii=False) for one in traces.ids()]
    exports = [traces.export(one) for one in traces.ids()]
    return raw + "".join([*records, *exports, *(str(one) for one in approvals.find())]).encode()


def planted(value: Any, canary: str) -> Any:
    """Plain data with the canary put into every text."""
    if isinstance(value, str):
        return f"{value} {canary}"
    if isinstance(value, dict):
        return {k: planted(v, canary) for k, v in value.items()}
    return [planted(one, canary) for one in value] if isinstance(value, list) else value


def test_a_canary_in_every_text_of_a_record_is_stored_nowhere(migrated: Path) -> None:
    finished = run().finished
    named = redaction._KEPT
    for canary in (CANARY, MAIL, "+49 171 23456789", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"):
        record = copy.deepcopy(finished.plain)
        record = {k: v if k in named else planted(v, canary) for k, v in record.items()}
        record["outcome"], record["id"] = "answered", f"run_{abs(hash(canary)):032x}"[:36]
        for call in record["calls"]:
            call["kind"] = call["kind"].split()[0]
        with store.session() as open_session:
            capture.put(open_session, [(record, freeze())])
        found = everywhere(migrated)
        assert canary.encode() not in found
        assert canary.split("@")[0].encode() not in found
        assert record["id"].encode() in found


def test_a_run_full_of_secrets_leaves_none_in_files_logs_or_exports(migrated: Path) -> None:
    code = (
        "from tests.traces.recorded import run; from tests.traces.test_masked_runs import CANARY, MAIL; "
        "from workbench import runtime; "
        "from agents.testing import function_call as call, assistant_message as says; "
        "from workbench import traces; "
        "steps = [[call('transfer_to_money', {}, call_id='c1')], [call('look_up', {'order_id': CANARY}, call_id='c2')], [says(CANARY)]]; "
        "run(f'I am {MAIL}, my key is {CANARY}', steps, sink=traces.sink(), "
        "conversation=runtime.Conversation(id=MAIL, items=({'role': 'user', 'content': MAIL},)), variables={'shop': CANARY}); "
        "traces.flush()"
    )
    environment = {**os.environ, "WORKBENCH_SECRET_CRM": "quiet-as-a-mouse"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    found = everywhere(migrated) + done.stdout + done.stderr
    assert [one for one in (CANARY, MAIL, "CANARY0123", "canary.person") if one.encode() in found] == []
    record = traces.record(traces.ids()[0])
    assert record["redacted"] == {"email": 1, "secret": 1}
    assert record["question"] == f"I am {record['conversation']}, my key is [secret]"


@tool(effect="read")
def break_down(context: ToolContext, order_id: int) -> str:
    """Fail, quoting a customer.

    Args:
        order_id: The order's number.
    """
    raise ConnectionError(f"{MAIL} with {CANARY}")


@pytest.mark.parametrize("fails", ["model", "tool"])
def test_what_an_error_quotes_is_in_no_log(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    steps: list[Any] = [ConnectionError(f"{MAIL} with {CANARY}")] if fails == "model" else refund()
    run(steps=steps, flow=DESK.replace("call: look_up", "call: break_down"))
    assert f"{fails} " in caplog.text and "ConnectionError: [email " in caplog.text
    assert (CANARY in caplog.text, MAIL in caplog.text) == (False, False)


def test_what_the_database_will_not_take_is_kept_masked(home: Path) -> None:
    capture._spill([run(f"I am {MAIL}").finished], asks=True)
    text = (settings.load().local / capture.SPILL).read_text(encoding="utf-8")
    assert MAIL not in text
    assert "I am [email " in text


def test_a_masked_run_replays_faithfully_and_reads_well(migrated: Path, rep: Actor) -> None:
    result = stored(f"My order is late, write to {MAIL}", refund(f"I wrote to {MAIL}. {PAID}"))
    record = traces.record(result.run_id)
    mail = record["question"].removeprefix("My order is late, write to ")
    assert record["reply"] == f"I wrote to {mail}. {PAID}"
    assert traces.find(words=mail)[0].id == result.run_id
    assert str(traces.replay(rep, result.run_id)) == "faithful"
    assert result.reply == f"I wrote to {MAIL}. {PAID}", "who runs it gets the whole reply"


def test_a_replay_that_masking_changes_is_impossible_and_not_a_difference(migrated: Path) -> None:
    blocked = stored("Pay", refund("The card is 4111 1111 1111 1111."))
    assert blocked.outcome == "blocked"
    verdict = replay_record(traces.record(blocked.run_id), freeze())
    assert verdict.verdict == "impossible"
    assert verdict.what.startswith("redacted input (1 card): what was masked may have decided")
    assert replay_record(blocked.record, freeze()).verdict == "faithful"


def test_a_held_call_is_made_with_what_was_asked_for_and_masked_afterwards(migrated: Path, manager: Actor) -> None:
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("write_down", {"note": MAIL}, call_id="c3")],
    ]
    CALLED.clear()
    result = stored(f"I am {MAIL}", steps, flow=NOTED, person="ada")
    waiting = approvals.find()[0]
    assert waiting.arguments == {"note": MAIL}, "who decides sees what is asked for"
    assert MAIL not in json.dumps(traces.record(result.run_id))
    decided = approvals.decide(manager, waiting.id, approved=True)
    approvals._work(decided.job_id, {}, result.run_id)
    assert CALLED == [("write_down", MAIL)]
    assert approvals.find()[0].arguments["note"].startswith("[email ")
    with store.session() as open_session:
        assert open_session.exec(select(HeldRun)).all() == []


def test_what_a_run_from_a_file_says_of_who_ran_it_and_where_is_masked(migrated: Path, architect: Actor) -> None:
    document = json.loads(traces.export(stored("Hello", [[assistant_message("Hi.")]], person="ada").run_id))
    told = {"person": MAIL, "source": MAIL, "root": MAIL, "packages": {"shop": MAIL}, "id": "run_" + "ab" * 16}
    document["run"] = seal.sealed(document["run"] | told)
    assert traces.take_in(architect, json.dumps(document)) == [told["id"]]
    record = traces.record("run_" + "ab" * 16)
    mail = record["person"]
    assert mail.startswith("[email ")
    assert (record["source"], record["root"], record["packages"]["shop"]) == (mail, mail, mail)
    assert seal.broken(record) == ""


def test_a_conversation_named_by_an_address_goes_on(migrated: Path) -> None:
    stored("Hello", [[assistant_message("Hi.")]], conversation=Conversation(id=MAIL))
    assert [one.question for one in traces.find(conversation=MAIL)] == ["Hello"]
    assert [item["content"] for item in traces.conversation(MAIL).items] == ["Hello", "Hi."]


def test_the_key_of_the_placeholders_is_for_its_owner_only_and_stays(migrated: Path) -> None:
    one = masking.masker("conv_1").text(MAIL)
    masking._key.cache_clear()
    assert masking.masker("conv_1").text(MAIL) == one
    path = settings.load().local / masking.KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_masking_a_run_is_stored_as_it_is(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_REDACT", "off")
    result = stored(f"I am {MAIL}")
    assert traces.record(result.run_id) == result.record
