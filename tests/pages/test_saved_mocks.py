"""What a mock answered is kept with the case that is made of the run, and experiments are given the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.pages.test_every_page import opened, words
from workbench import access, datasets, evals, jobs, releases, traces
from workbench.datasets import Case, labelling
from workbench.runtime import mocks
from workbench.runtime.mocks import Mock

QUESTION = "Where is my order 1042?"
LOST = Mock(tool="find_order", when={"order_id": {"above": 1000}}, error="The order system is being mended.")
EXACT = LOST.model_copy(update={"when": {"order_id": 1042}})


def asked(dataset: str) -> Any:
    """The page with the chat, after a question that a mock answered."""
    app = opened("flows", "rep")
    app.session_state["try-mocks-order-desk"] = (LOST,)
    app.chat_input(key="message").set_value(QUESTION).run()
    assert traces.flush()
    (run,) = traces.find(source="playground")
    app.text_input(key=f"case-dataset-{run.id}").set_value(dataset)
    return app, run.id


def only(dataset: str) -> Case:
    """The only case of a dataset."""
    (case,) = datasets.cases(dataset)
    return case


def errors(dataset: str) -> list[str]:
    """What went wrong with the calls of an experiment over the dataset."""
    actor = access.local("architect")
    made = evals.create(actor, releases.resolve("order-desk"), dataset)
    jobs.run_here(made.job_id)
    (row,) = evals.report(made.id).rows
    assert row.passed
    return [call["error"] for call in traces.record(row.run_id)["calls"] if call["kind"] == "tool" and call["error"]]


def test_a_run_of_the_chat_is_saved_with_the_mocks_that_answered_and_experiments_use_them(seeded: Path) -> None:
    app, run_id = asked("tried")
    assert app.toggle(key=f"case-mocks-{run_id}").value is True
    app.button(key=f"case-save-{run_id}").click().run()
    assert [e.message for e in app.exception] == []
    case = only("tried")
    assert f"Saved as {case.id} in tried." in words(app)
    assert (case.question, case.mocks, case.polarity) == (QUESTION, (LOST,), "must-stay")
    assert errors("tried") == [LOST.error]


def test_the_mocks_are_left_out_where_they_shall_be(seeded: Path) -> None:
    app, run_id = asked("tried")
    app.toggle(key=f"case-mocks-{run_id}").set_value(False)
    app.text_input(key=f"case-contains-{run_id}").set_value("late")
    app.button(key=f"case-save-{run_id}").click().run()
    case = only("tried")
    assert (case.mocks, case.expected.contains, case.polarity) == ((), "late", "must-not-repeat")
    assert errors("tried") == []


def test_who_may_not_edit_a_dataset_saves_no_case(seeded: Path) -> None:
    app, run_id = asked("tried")
    app.session_state["acting-role"] = "manager"
    app.button(key=f"case-save-{run_id}").click().run()
    assert "A manager may not edit a dataset" in app.warning[0].value.replace("\\", "")
    assert "tried" not in [one.name for one in datasets.datasets()]


def test_a_verdict_keeps_the_mocked_answers_of_the_run_with_its_case(seeded: Path) -> None:
    _, run_id = asked("tried")
    actor = access.local("architect")
    labelling.make(actor, "mocked", purpose="", instructions="", dataset="labelled")
    traces.flag(actor, run_id, "A mock answered.")
    app = opened("label", "rep")
    app.selectbox(key="queue").set_value("mocked").run()
    item = app.session_state["shown-mocked"]
    while item.run_id != run_id:
        labelling.skip(access.local("rep"), item.id)
        app.run()
        item = app.session_state["shown-mocked"]
    assert app.toggle(key="keep-mocks").value is True
    labelling.label(access.local("rep"), item.id, "good", keep_mocks=bool(app.session_state["keep-mocks"]))
    assert only("labelled").mocks == (EXACT,)
    assert errors("labelled") == [LOST.error]


def call(name: str, arguments: str, **rest: Any) -> dict[str, Any]:
    """A tool call as a record holds it."""
    return {"kind": "tool", "name": name, "arguments": arguments, "output": "", "error": "", "mocked": True, **rest}


def test_only_what_a_mock_answered_is_made_a_mock() -> None:
    calls = [
        {"kind": "model"},
        call("find", '{"id": 7, "why": "free words", "rule": {"in": [1]}}', output='{"a": 1}'),
        call("find", '{"id": 7, "why": "other words", "rule": {"in": [1]}}', output='{"a": 1}'),
        call("real", "{}", mocked=False),
        call("held", "{}", error="Not called in the playground: held changes something (write)."),
        call("read", "{}", error="The result was withheld by the guardrail no-cards: a card."),
    ]
    (made,) = mocks.used(calls)
    assert made == Mock(tool="find", when={"id": 7, "rule": {"in": [{"in": [1]}]}}, answer='{"a": 1}')
    given = {"id": 7, "why": "words of its own", "rule": {"in": [1]}}
    assert mocks.first([made], "find", given) == made
    assert mocks.first([made], "find", {**given, "rule": {"in": [2]}}) is None
