"""A secret and somebody's address, put wherever a run can hold them, are in no file, no log, no export, and on no page."""

from __future__ import annotations

import json
import random
from pathlib import Path

from agents.testing import assistant_message, function_call

from tests import spans
from tests.flows_for_tests import DESK
from tests.journeys.browser import browser, serve, settled
from tests.traces.recorded import refund, stored
from tests.traces.test_masked_runs import CANARY, MAIL, everywhere
from workbench import traces
from workbench.access import Actor
from workbench.runtime import Conversation

BOTH = f"{CANARY} of {MAIL}"
PAGES = ("", "runs", "playground", "flows", "prompts", "label", "evaluate", "releases", "approvals", "trends")


def plant(actor: Actor) -> list[str]:
    """Store runs of our own and of another program with the two in every field that somebody outside fills."""
    said = Conversation(id=MAIL, items=({"role": "user", "content": BOTH},))
    steps = [
        [function_call("transfer_to_money", {}, call_id="c1")],
        [function_call("look_up", {"order_id": BOTH}, call_id="c2")],
        [function_call("look_up", json.dumps({BOTH: BOTH}), call_id="c3")],
        [assistant_message(f"I wrote to {BOTH}")],
    ]
    down = [ConnectionError(BOTH)]
    handed = [
        [function_call("escalate", {"summary": BOTH, "question": BOTH}, call_id="c1")],
        [assistant_message(f"A person writes to {BOTH}")],
    ]
    ours = [
        stored(f"I am {BOTH}", given, flow=DESK, conversation=said, variables={"shop": BOTH}).run_id
        for given in (steps, down, handed, refund(BOTH))
    ]
    for run_id in ours:
        traces.flag(actor, run_id, f"Ask {BOTH} about it.")
    told = spans.trace(random.Random(5))  # noqa: S311  (generated spans)
    for one in told:
        texts = {name: f"{value} {BOTH}" for name, value in one["attributes"].items() if isinstance(value, str)}
        one["attributes"] = one["attributes"] | texts | {
            "file.name": f"uploads/{CANARY}/{MAIL}.pdf",
            "http.request.header.authorization": f"Bearer {CANARY}",
            "enduser.id": MAIL,
        }  # fmt: skip
        one["name"] = f"{one['name']} {BOTH}"
    document = json.loads(spans.as_json(told))
    for batch in document["resourceSpans"]:
        batch["resource"]["attributes"] += [
            {"key": "host.name", "value": {"stringValue": MAIL}},
            {"key": "deployment.note", "value": {"stringValue": CANARY}},
        ]
    return [*ours, *traces.take_in(actor, json.dumps(document))]


def test_what_is_masked_is_on_no_page_and_in_no_file_log_or_export(seeded: Path) -> None:
    runs = plant(Actor("abe", "admin"))
    assert len(runs) == 5
    hidden = (CANARY, MAIL, "CANARY0123", "canary.person")
    with serve(seeded, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000})
        seen = {}
        for address in (*PAGES, *(f"runs?run={one}" for one in runs)):
            page.goto(f"{app.url}/{address}")
            page.locator("h1, h2").first.wait_for(timeout=60_000)
            settled(page)
            seen[address] = page.content() + page.inner_text("body")
        assert [(one, what) for one, text in seen.items() for what in hidden if what in text] == []
        assert "[email " in seen[f"runs?run={runs[0]}"] and "[secret]" in seen[f"runs?run={runs[0]}"]
    found = everywhere(seeded) + (seeded.parent / "app.log").read_bytes()
    assert [what for what in hidden if what.encode() in found] == []
