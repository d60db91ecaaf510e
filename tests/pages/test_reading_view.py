"""Reading a run: its conversation and ticket, its path and cost, why it failed, and the case made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agents.testing import assistant_message, function_call
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.traces.recorded import run, stored
from tests.traces.test_chats import text
from workbench import datasets, traces
from workbench.access import Actor
from workbench.cli.tickets import app
from workbench.datasets import labelling
from workbench.operations import links
from workbench.traces import approvals, causes, search
from workbench.traces.filters import Filters
from workbench.ui.charts import path, timeline
from workbench.ui.session import ROLE

COLOURS = {"ink": "#000", "accent": "#00f", "faint": "#888", "alarm": "#f00"}
FAILING = [
    [function_call("transfer_to_money", {}, call_id="c1")],
    [function_call("look_up", {"order_id": 13}, call_id="c2"), function_call("look_up", {"order_id": 1}, call_id="c3")],
    [assistant_message("I cannot see it.")],
]


def opened(run_id: str, role: str = "rep", **parameters: str) -> AppTest:
    """The Runs page with a run."""
    at = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    at.session_state[ROLE] = role
    at.run()
    at.switch_page(str(ROOT / "pages" / "runs.py"))
    at.query_params["run"] = run_id
    for name, value in parameters.items():
        at.query_params[name] = value
    at.run()
    assert [one.message for one in at.exception] == []
    return at


def told(at: AppTest) -> str:
    """Everything that stands there as text, escapes taken away."""
    parts = [one.value for kind in (at.markdown, at.caption, at.success, at.error) for one in kind]
    return " ".join(str(part) for part in parts).replace("\\", "")


def test_a_transcript_reads_with_its_earlier_steps_and_its_end(migrated: Path, architect: Actor) -> None:
    _, last = traces.take_in(architect, text(), "chats")
    seen = told(opened(last, **{"run-tab": "Timeline"}))
    assert "called get order details of #W2378156: status delivered, city Austin" in seen
    assert "The file says: reward 0.0" in seen
    assert "###STOP###" in seen
    assert "Nobody answered this: the transcript ends here." in seen
    assert "tokens not told · cost unknown" in seen
    assert "Nothing in this record says when its steps began" in seen


def test_a_rep_says_why_a_run_failed_and_takes_it_away(migrated: Path) -> None:
    run_id = stored(steps=FAILING).run_id
    at = opened(run_id)
    assert ":orange-badge[:material/troubleshoot: tool error]" in told(at)
    at.selectbox(key=f"cause-of-{run_id}").set_value("policy")
    at.text_input(key=f"cause-note-{run_id}").set_value("should have asked")
    next(one for one in at.button if one.label == "Say so").click().run()
    assert [(one.cause, one.note) for one in causes.of([run_id])][-1] == ("policy", "should have asked")
    assert "troubleshoot: policy]" in told(at)
    at.button(key=f"untag-{run_id}-tool error").click().run()
    assert "troubleshoot: tool error]" not in told(at)
    assert [one.cause for one in causes.of([run_id])] == ["policy"]


@pytest.mark.parametrize(
    ("answer", "polarity"), [("I cannot see it.", "must-stay"), ("Order 13 is lost.", "must-not-repeat")]
)
def test_a_case_is_made_with_the_right_answer_edited_on_the_way(migrated: Path, answer: str, polarity: str) -> None:
    run_id = stored(steps=FAILING).run_id
    at = opened(run_id)
    at.text_area(key=f"right-answer-{run_id}").set_value(answer)
    next(one for one in at.button if one.label == "Make the case").click().run()
    (case,) = datasets.cases("desk")
    assert (case.expected.reply, case.polarity) == (answer, polarity)
    assert f"Saved as {case.id} in desk." in told(at)


def test_a_run_leads_to_its_ticket_and_to_its_conversation(migrated: Path, tmp_path: Path) -> None:
    first = stored("Where is it?")
    second = stored("And now?", conversation=first.conversation)
    file = tmp_path / "tickets.csv"
    file.write_text(
        f"ticket_id,created_at,subject,topic,run_id\nT-1,2026-01-02 10:00:00,Late parcel,delivery,{second.run_id}\n"
    )
    assert CliRunner().invoke(app, ["load", str(file)]).exit_code == 0
    assert links.ticket(first.run_id) is None
    found = links.ticket(second.run_id)
    assert found is not None
    assert (found.id, found.subject, found.topic) == ("T-1", "Late parcel", "delivery")
    place = links.place(traces.record(second.run_id))
    assert (place.number, len(place.runs), place.after) == (2, 2, None)
    assert place.before is not None
    assert place.before.id == first.run_id
    seen = opened(second.run_id)
    assert "Late parcel" in told(seen) or any("Late parcel" in str(one.proto) for one in seen.get("page_link"))
    assert any("Run 2 of 2 in this conversation" in str(one.proto) for one in seen.get("popover"))


def test_the_path_tells_handoffs_failures_and_holds(migrated: Path) -> None:
    record = run(steps=FAILING).record
    drawn = path.dot(record, **COLOURS)
    assert '"agent:front" -> "agent:money" [label="hands over"' in drawn
    assert 'label="look_up\\n2 times\\n1 failed" color="#f00"' in drawn
    assert 'label="injection\\nmessage passed' in drawn
    hostile = record | {"outcome": 'x" [shape=none]; evil \\" -> "', "reply_waited": {}}
    assert 'evil ∖\\" -> \\""' in path.dot(hostile, **COLOURS)


HOLDING = [
    [function_call("transfer_to_money", {}, call_id="c1")],
    [function_call("pay_out", {"amount": 80}, call_id="c2")],
]


def test_a_held_run_says_which_rule_asked_and_leads_to_the_decision(migrated: Path) -> None:
    record = stored("Money back, please", HOLDING).record
    at = opened(record["id"])
    assert "pay out (amount 80) waits for a decision." in told(at).replace("*", "")
    assert "Pay out needs a person's decision when the amount is above 50; here: amount 80." in told(at)
    (waits,) = approvals.find(run_id=record["id"])
    links = [str(one.proto) for one in at.get("page_link")]
    assert any('label: "Decide"' in one and waits.id in one for one in links)
    assert [one.run["id"] for one in search.page(Filters(about=("pay",), outcome=("held",))).rows] == [record["id"]]


def test_a_call_that_waits_is_no_finished_step_on_path_and_timeline(migrated: Path) -> None:
    record = run("Money back, please", HOLDING).record
    assert r'label="pay_out\nwaits for a person" color="#00f" fontsize=10 style="rounded,dashed"' in path.dot(
        record, **COLOURS
    )
    spans = timeline.held(record["spans"], record["waiting"])
    assert [(one["type"], one["name"]) for one in spans if one["name"] == "pay_out"] == [("waiting", "pay_out")]
    assert "waits for a person" in timeline.figure(spans, "#000", "#888").data[0].text


@pytest.mark.parametrize(("steps", "title"), [(None, "Name a cause"), (FAILING, "Why it failed")])
def test_only_a_run_in_which_something_failed_is_asked_why(migrated: Path, steps: Any, title: str) -> None:
    labels = [str(one.proto) for one in opened(stored(steps=steps).run_id).get("popover")]
    assert any(f'label: "{title}"' in one for one in labels)


def test_steps_of_a_fork_are_words_and_no_json(migrated: Path) -> None:
    words = [one.words for one in traces.steps(run(steps=FAILING).record)]
    assert "model request of front: hands over to money" in words
    assert "model request of money: calls look up of 13; calls look up of 1" in words
    assert not any("{" in one for one in words)


def test_steps_side_by_side_are_counted() -> None:
    def span(identity: str, start: float, parent: str | None = None, seconds: float = 1.0) -> dict[str, Any]:
        return {"id": identity, "parent": parent, "start": start, "seconds": seconds}

    assert (
        timeline.together([span("a", 0, seconds=3), span("b", 0, "a"), span("c", 0.5, "a"), span("d", 1.5, "a")]) == 2
    )
    assert timeline.together([span("a", 0, seconds=2), span("b", 0, "a"), span("c", 1, "a")]) == 0


def test_what_people_write_is_masked_before_it_is_stored(migrated: Path, rep: Actor, manager: Actor) -> None:
    run_id = stored().run_id
    assert "bob@example.com" not in traces.flag(rep, run_id, "bob@example.com complained").reason
    labelling.make(manager, "q", purpose="p", instructions="i", dataset="d")
    labelling.fill(rep, "q")
    item = labelling.take(rep, "q")
    assert item is not None
    label = labelling.label(rep, item.id, "good", note="call +1 415 555 2671")
    assert "555 2671" not in label.note
    assert label.note.startswith("call [phone ")
