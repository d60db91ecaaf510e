"""Every page opens for every role, with an empty database and with the sample workspace, through the real app."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from workbench import access, jobs, traces
from workbench.access import ROLES
from workbench.traces import approvals
from workbench.ui.nav import PLACES
from workbench.ui.session import ROLE

EMPTY = {
    "home": "No runs yet",
    "flows": "No flows yet",
    "prompts": "No prompts yet",
    "playground": "No flow to try yet",
    "evaluate": "No flow yet",
    "releases": "No flows yet",
    "approvals": "Nothing waits for a person",
    "runs": "No runs fit",
    "failures": "No runs yet",
    "label": "No labelling queue yet",
    "load": "No tickets yet",
    "brief": "There are no tickets yet",
    "opportunities": "There are no tickets yet",
    "trends": "There are no tickets yet",
    "ticket": "There are no tickets yet",
    "signals": "Nothing is watched yet",
    "detectors": "There are no tickets yet",
    "vendors": "There are no tickets yet",
    "ask": "There are no tickets yet",
    "topics": "There are no tickets yet",
}

STAYS_EMPTY = ("approvals",)
"""Pages for which the sample workspace holds nothing."""


def opened(address: str, role: str) -> AppTest:
    """The app on a page, acting in a role."""
    app = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    app.session_state[ROLE] = role
    app.run()
    if address != "home":
        app.switch_page(str(ROOT / "pages" / f"{address}.py")).run()
    return app


def words(app: AppTest) -> str:
    """Everything that stands on the page as text, escapes taken away."""
    parts = [e.value for kind in (app.title, app.markdown, app.caption, app.subheader, app.info) for e in kind]
    return " ".join(str(part) for part in parts).replace("\\", "")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", [place.address for place in PLACES])
def test_a_page_opens_with_an_empty_database_and_says_what_to_do(migrated: Path, place: str, role: str) -> None:
    app = opened(place, role)
    assert [e.message for e in app.exception] == []
    assert EMPTY[place] in words(app)
    assert "python -m" not in words(app)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_opens_with_the_sample_workspace(seeded: Path, role: str) -> None:
    for place in PLACES:
        app = opened(place.address, role)
        assert [e.message for e in app.exception] == [], place.address
        assert [e.value for e in app.error] == [], place.address
        assert EMPTY[place.address] not in words(app) or place.address in STAYS_EMPTY, place.address
        assert app.title[0].value == ("Workbench" if place.address == "home" else place.title)


def test_a_database_that_was_never_set_up_is_one_friendly_box(home: Path) -> None:
    app = opened("runs", "rep")
    assert [e.message for e in app.exception] == []
    assert "The database has not been set up yet" in app.error[0].value.replace("\\", "")


def test_a_rep_who_opens_a_flow_is_told_who_may_edit_it(seeded: Path) -> None:
    app = opened("flows", "rep")
    assert "To change it, act as architect or ask one." in words(app)
    assert app.text_area(key="order-desk-0-prompt-triage-1").disabled


def test_an_edit_in_the_form_is_in_the_yaml_and_back(seeded: Path) -> None:
    app = opened("flows", "architect")
    app.multiselect(key="order-desk-0-handoffs-triage").set_value(["refunds"]).run()
    app.session_state["part"] = "YAML"
    app.run()
    yaml = next(t for t in app.text_area if t.label == "The flow as YAML")
    assert "handoffs:\n    - refunds\n  refunds:" in str(yaml.value)
    yaml.set_value(str(yaml.value).replace("model: small", "model: reasoning")).run()
    assert app.selectbox(key="order-desk-1-model-triage").value == "reasoning"
    assert app.multiselect(key="order-desk-1-handoffs-triage").value == ["refunds"]


def test_yaml_that_cannot_be_read_is_told_beside_it_and_changes_nothing(seeded: Path) -> None:
    app = opened("flows", "architect")
    app.session_state["part"] = "YAML"
    app.run()
    yaml = next(t for t in app.text_area if t.label == "The flow as YAML")
    yaml.set_value(str(yaml.value).replace("entry:", "entyr:")).run()
    assert "entyr: unknown key; did you mean `entry`?" in app.error[0].value.replace("\\", "")
    assert "Saved" in words(app)


def test_the_chat_answers_offline_and_says_that_it_does(seeded: Path) -> None:
    app = opened("flows", "rep")
    app.chat_input(key="message").set_value("Where is my order 1042?").run()
    text = words(app)
    assert "triage hands over to shipping" in text
    assert "Order 1042 is late" in text
    assert "offline model" in text


def test_hostile_text_in_a_run_stays_text(seeded: Path) -> None:
    app = opened("flows", "architect")
    app.chat_input(key="message").set_value(
        "<img src=x onerror=alert(1)> [click](javascript:alert(1)) order 1042"
    ).run()
    shown = next(m.value for m in app.markdown if "onerror" in m.value)
    assert "\\<img" in shown
    assert "\\[click\\]\\(javascript" in shown
    assert not any(m.allow_html for m in app.markdown if "onerror" in m.value)


def test_the_right_run_is_opened_from_its_address(seeded: Path) -> None:
    from workbench import traces

    wanted = traces.find(words="capital of Mongolia", limit=1)[0]
    app = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    app.run()
    app.query_params["run"] = wanted.id
    app.switch_page(str(ROOT / "pages" / "runs.py")).run()
    assert "What is the capital of Mongolia?" in words(app)
    app.button(key=f"replay-{wanted.id}").click().run()
    assert "Faithful" in app.success[0].value


def test_a_new_flow_from_a_template_has_prompts_of_its_own(seeded: Path) -> None:
    from workbench import flows

    app = opened("flows", "architect")
    app.selectbox(key="template").set_value("order-desk")
    app.text_input(key="new-name").set_value("second-desk").run()
    app.button(key="create").click().run()
    assert [e.message for e in app.exception] == []
    assert app.selectbox(key="flow").value == "second-desk"
    assert flows.draft("second-desk").spec.agents["triage"].prompt == "second-desk/triage"
    app.text_input(key="new-name").set_value("second-desk").run()
    app.button(key="create").click().run()
    assert "There is a flow called second-desk already" in app.error[0].value.replace("\\", "")


def test_a_colleagues_new_prompt_is_shown_and_an_older_edit_does_not_overwrite_it(seeded: Path) -> None:
    from workbench import prompts
    from workbench.access import Actor

    app = opened("flows", "architect")
    prompts.save(Actor("eve", "architect"), "order-desk/triage", "Eve's words for $shop_name.")
    app.run()
    assert app.text_area(key="order-desk-0-prompt-triage-2").value == "Eve's words for $shop_name."
    app.text_area(key="order-desk-0-prompt-triage-2").set_value("Mine for $shop_name.").run()
    prompts.save(Actor("eve", "architect"), "order-desk/triage", "Eve's second words for $shop_name.")
    app.button(key="save").click().run()
    assert "was changed by somebody else meanwhile" in app.error[0].value.replace("\\", "")
    assert prompts.get("order-desk/triage").text == "Eve's second words for $shop_name."


def test_experiments_of_the_same_minute_can_be_told_apart(seeded: Path) -> None:
    from workbench import access, evals, releases

    actor = access.local("architect")
    for _ in range(3):
        evals.create(actor, releases.resolve("order-desk"), "order-desk", repeat=1)
    app = opened("evaluate", "architect")
    listed = next(box for box in app.selectbox if box.label == "Experiment").options
    assert len(listed) == len(set(listed)) == 4


def test_the_evaluate_page_says_when_to_decline(seeded: Path) -> None:
    app = opened("evaluate", "architect")
    app.toggle(key="declining").set_value(True).run()
    assert [e.message for e in app.exception] == []
    assert re.search(r"Now below 0\.\d+: \d+ % answered", words(app).replace("*", ""))


def test_a_held_refund_is_decided_in_the_inbox(seeded: Path) -> None:
    app = opened("flows", "architect")
    app.chat_input(key="message").set_value("Please refund $80 for order 1015, it arrived broken").run()
    traces.flush()
    (waiting,) = approvals.find()
    app = opened("approvals", "rep")
    assert "refund_order: waits for a decision" in " ".join(s.value for s in app.subheader).replace("\\", "")
    assert "Somebody else must decide" in app.warning[0].value.replace("\\", "")
    assert app.button(key=f"approve-{waiting.id}").disabled
    app = opened("approvals", "manager")
    app.button(key=f"reject-{waiting.id}").click().run()
    assert "A rejection needs a reason" in app.error[0].value.replace("\\", "")
    app.text_area(key=f"message-{waiting.id}").set_value("Only 50 are covered")
    app.button(key=f"reject-{waiting.id}").click().run()
    assert [e.message for e in app.exception] == []
    decided = approvals.approval(waiting.id)
    assert (decided.state, decided.decided_by) == ("rejected", access.local().name)
    for _ in range(200):
        if jobs.job(decided.job_id).ended:
            break
        time.sleep(0.05)
    jobs.stop()
    run = traces.record(approvals.approval(waiting.id).result_run)
    assert "A person did not allow this call: Only 50 are covered" in str(run["calls"])
