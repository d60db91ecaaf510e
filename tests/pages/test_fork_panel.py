"""Fork from here and compare, as people see them: three clicks, the divergence in words, the same view by its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextArea

from tests.conftest import ROOT
from workbench import datasets, flows, store, traces
from workbench.access import Actor
from workbench.flows import versions
from workbench.store.tables import RunBody
from workbench.traces.fork import change_of
from workbench.ui.session import ROLE

RUNS = str(ROOT / "pages" / "runs.py")


def opened(role: str = "architect", **address: str) -> AppTest:
    """The Runs page at an address, with the form that forks a run open."""
    app = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    app.session_state[ROLE] = role
    app.run()
    for name, value in {"run-tab": "Fork from here", **address}.items():
        app.query_params[name] = value
    app.switch_page(RUNS).run()
    assert [one.message for one in app.exception] == []
    return app


def words(app: AppTest) -> str:
    """Everything that stands there as text, escapes taken away."""
    kinds = (app.markdown, app.caption, app.info, app.success, app.warning, app.error)
    return " ".join(str(one.value) for kind in kinds for one in kind).replace("\\", "").replace("\u2060", "")


def parameter(app: AppTest, name: str) -> str:
    """What the address says under a name."""
    value = app.query_params.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def late_order() -> str:
    """The id of a sample run that looks an order up."""
    return next(one.id for one in traces.find(words="1042", limit=50) if one.agent == "shipping")


def steps_of(app: AppTest) -> list[dict[str, str]]:
    """The aligned steps as rows."""
    table = next(one for one in app.dataframe if "what differs" in one.value.columns)
    return [{str(k): str(v) for k, v in row.items()} for row in table.value.to_dict("records")]


def answer_of(app: AppTest) -> TextArea:
    """The field for a tool's answer."""
    return next(one for one in app.text_area if str(one.key).endswith("-answer"))


def test_three_clicks_lead_from_a_run_to_the_side_by_side(seeded: Path) -> None:
    run_id = late_order()
    app = opened(run=run_id)
    record = traces.record(run_id)
    step = next(one for one in traces.steps(record) if one.kind == "tool")
    place = step.number - 1
    app.radio(key=f"fork-step-{run_id}").set_value(place).run()
    app.text_area(key=f"fork-{run_id}-{place}-answer").set_value('{"error": "The').run()
    assert "This is not whole JSON, so the model is given it as a text." in words(app)
    app.text_area(key=f"fork-{run_id}-{place}-answer").set_value('{"error": "The warehouse burned down."}')
    app.button(key=f"run-fork-{run_id}").click().run()
    assert [one.message for one in app.exception] == []
    assert [one.value for one in app.error] == []
    fork = traces.find(limit=1)[0]
    assert (fork.source, parameter(app, "compare"), parameter(app, "run")) == ("fork", fork.id, run_id)
    assert f"First divergence: step {step.number}, tool find_order: the answer differs" in words(app).replace("*", "")
    assert "is a fork: another answer of find_order, from step" in words(app)
    first = next(row for row in steps_of(app) if row["what differs"])
    assert first["what differs"] == "▶ first divergence: the answer differs"
    assert {one.label for one in app.metric} == {
        "Input tokens", "Output tokens", "US dollars", "Seconds", "Tool calls",
    }  # fmt: skip


def test_a_link_opens_the_same_two_runs_and_closing_leaves_one(seeded: Path, architect: Actor) -> None:
    run_id = late_order()
    made = traces.fork(architect, run_id, "end", change_of({"message": "And order 1015?"}))
    app = opened("rep", run=run_id, compare=made.run_id)
    assert "Side by side" in words(app)
    assert "the customer's message: only in the other" in words(app)
    app.button(key="close-compare").click().run()
    assert "Side by side" not in words(app)
    assert parameter(app, "compare") == ""
    assert parameter(app, "run") == run_id


def test_another_run_is_picked_those_of_the_same_question_first(seeded: Path, architect: Actor) -> None:
    run_id = late_order()
    made = traces.fork(architect, run_id, 1, change_of({"instructions": {"agent": "triage", "text": "Be brief."}}))
    app = opened(run=run_id)
    picker = app.selectbox(key=f"compare-{run_id}-")
    assert any(made.run_id[-6:] in one for one in picker.options[:5])
    assert not any(one.endswith(run_id[-6:]) for one in picker.options)
    picker.select(next(one for one in picker.options if one.endswith(made.run_id[-6:]))).run()
    assert [one.message for one in app.exception] == []
    assert parameter(app, "compare") == made.run_id
    assert "Side by side" in words(app)


def test_a_run_beside_itself_is_the_same(seeded: Path) -> None:
    run_id = late_order()
    app = opened(run=run_id, compare=run_id)
    assert "The runs are the same, step by step." in words(app)


def test_a_link_to_a_run_that_is_gone_says_so_and_the_run_is_still_read(seeded: Path) -> None:
    run_id = late_order()
    app = opened(run=run_id, compare="run_0")
    assert "There is no run run_0" in words(app)
    assert traces.record(run_id)["question"] in words(app)


def test_a_change_that_fits_nothing_is_one_box_and_nothing_runs(seeded: Path) -> None:
    run_id = late_order()
    app = opened(run=run_id)
    before = traces.ids()
    app.button(key=f"run-fork-{run_id}").click().run()
    assert "answered the same before. Give another answer or error." in words(app).replace("  \n", " ")
    assert traces.ids() == before


def test_a_run_that_does_not_replay_says_why_and_shows_no_comparison(seeded: Path) -> None:
    run_id = late_order()
    with store.session() as open_session:
        row = open_session.get(RunBody, run_id)
        assert row is not None
        row.body = store.pack({**store.unpack(row.body), "reply": "I paid you 500."})
    app = opened(run=run_id)
    place = 0
    app.radio(key=f"fork-step-{run_id}").set_value(place).run()
    app.text_area(key=f"fork-{run_id}-{place}-message").set_value("Where is order 1015?")
    app.button(key=f"run-fork-{run_id}").click().run()
    assert "does not replay faithfully" in words(app)
    assert "Side by side" not in words(app)


@pytest.mark.parametrize("kind", ["instructions", "model", "guardrail", "error"])
def test_every_kind_of_change_has_a_form_that_runs(seeded: Path, kind: str) -> None:
    run_id = late_order()
    app = opened(run=run_id)
    record = traces.record(run_id)
    place = next(one for one in traces.steps(record) if one.kind == "tool").number - 1
    if f"fork-{run_id}-{place}-kind" in [one.key for one in app.radio]:
        app.radio(key=f"fork-{run_id}-{place}-kind").set_value(kind).run()
    if kind == "instructions":
        app.text_area(key=f"fork-{run_id}-{place}-text-shipping").set_value("Be brief at $shop_name.")
    app.button(key=f"run-fork-{run_id}").click().run()
    assert [one.message for one in app.exception] == []
    assert [one.value for one in app.error] == []
    found = traces.record(traces.find(limit=1)[0].id)
    assert found["forked"]["change"]["kind"] == {"error": "answer"}.get(kind, kind)
    assert found["forked"]["run"] == run_id


def test_a_tool_that_changes_something_asks_for_the_role_and_a_confirmation(seeded: Path) -> None:
    run_id = late_order()
    app = opened("rep", run=run_id)
    app.selectbox(key=f"who-{run_id}-refund_order").set_value("called").run()
    assert "A rep may not let a fork call refund_order." in words(app)
    answer_of(app).set_value("late")
    app.button(key=f"run-fork-{run_id}").click().run()
    assert "A rep may not let a trial change something" in words(app)
    app = opened("architect", run=run_id)
    app.selectbox(key=f"who-{run_id}-refund_order").set_value("called").run()
    answer_of(app).set_value("late")
    app.button(key=f"run-fork-{run_id}").click().run()
    assert "refund_order would change something for real" in words(app)


def test_a_fork_is_saved_as_a_draft_version_and_as_a_case(seeded: Path, architect: Actor) -> None:
    run_id = late_order()
    step = next(one for one in traces.steps(traces.record(run_id)) if one.kind == "model" and one.name == "shipping")
    change = {"instructions": {"agent": "shipping", "text": "Be brief at $shop_name."}}
    made = traces.fork(architect, run_id, step.number, change_of(change))
    app = opened(run=run_id, compare=made.run_id)
    app.button(key=f"save-draft-{made.run_id}").click().run()
    assert "Saved as version 1 of the draft" in words(app)
    assert versions.versions("order-desk")[0].note == f"From the run {made.run_id}."
    assert flows.freeze(flows.draft("order-desk").spec).content.prompts["shipping"].text == "Be brief at $shop_name."
    app.text_input(key=f"dataset-{made.run_id}").set_value("forks")
    app.button(key=f"save-case-{made.run_id}").click().run()
    assert "is in the dataset forks" in words(app)
    assert datasets.cases("forks")[0].context == {"run": made.run_id, "forked from": run_id}
    app = opened("rep", run=run_id, compare=made.run_id)
    app.button(key=f"save-draft-{made.run_id}").click().run()
    assert "A rep may not edit a flow" in words(app)


def test_hostile_words_are_shown_as_they_were_written(seeded: Path, architect: Actor) -> None:
    hostile = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) :red[x] order 1042"
    run_id = late_order()
    made = traces.fork(architect, run_id, 1, change_of({"message": hostile}))
    app = opened(run=made.run_id, compare=run_id)
    shown = [str(one.value) for kind in (app.markdown, app.caption, app.info) for one in kind if "onerror" in one.value]
    shown += [str(one) for box in app.radio for one in box.options if "onerror" in str(one)]
    assert shown
    assert all("\\<img" in one and "\\[click\\]\\(javascript" in one for one in shown)
    assert not any(one.allow_html for one in app.markdown if "onerror" in one.value)
    assert json.dumps(traces.record(made.run_id)["question"]) == json.dumps(hostile)
