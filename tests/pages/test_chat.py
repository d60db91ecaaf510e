"""The chat beside the editor through the real app: nothing that a person wrote is lost."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_approvals_page import REFUND, held, linked, told
from tests.pages.test_every_page import opened
from workbench import flows, prompts, traces
from workbench.access import Actor
from workbench.traces import approvals

QUESTION = "Where is my order 1042?"


def replies(app: AppTest) -> list[str]:
    """What the customer and the flow wrote, in order."""
    return [str(one.markdown[0].value).replace("\\", "") for one in app.chat_message if one.markdown]


def broken(text: str = "The weather is $weather.") -> str:
    """Give the first agent a text that cannot run; returns the text that it had."""
    before = prompts.get("order-desk/triage").text
    prompts.save(Actor("eve", "architect"), "order-desk/triage", text)
    return before


def test_a_message_that_could_not_be_answered_stays_with_what_to_do_and_is_sent_again(seeded: Path) -> None:
    before = broken()
    app = opened("flows", "rep")
    app.chat_input(key="message").set_value(QUESTION).run()
    assert [one.message for one in app.exception] == []
    assert replies(app) == [QUESTION]
    assert any("weather" in one.value for one in app.error)
    prompts.save(Actor("eve", "architect"), "order-desk/triage", before)
    app = opened("flows", "rep")
    assert replies(app) == [QUESTION]
    app.button(key="again-order-desk-0").click().run()
    assert replies(app)[0] == QUESTION
    assert len(replies(app)) == 2
    assert "Order 1042 is late" in replies(app)[1]
    assert not app.error


def test_a_reload_shows_the_conversation_again_and_it_goes_on(seeded: Path) -> None:
    app = opened("flows", "rep")
    app.chat_input(key="message").set_value("Where is my order?").run()
    shown = replies(app)
    again = opened("flows", "rep")
    assert replies(again) == shown
    again.chat_input(key="message").set_value("It is 1042.").run()
    traces.flush()
    first, second = (traces.find(words=words, source="playground")[0] for words in ("Where is my", "It is 1042"))
    assert first.conversation == second.conversation
    assert "Order 1042 is late" in replies(again)[-1]
    again.button(key="new-chat").click().run()
    assert replies(opened("flows", "rep")) == []


def test_the_chats_of_two_flows_are_kept_apart(seeded: Path) -> None:
    app = opened("flows", "rep")
    app.chat_input(key="message").set_value(QUESTION).run()
    other = next(one.name for one in flows.drafts() if one.name != "order-desk")
    assert replies(linked("flows", flow=other)) == []


def test_decide_about_it_leads_to_that_very_approval(seeded: Path) -> None:
    held()
    app, _ = held()
    first, second = approvals.find(state="waiting")
    links = [one.proto.query_string for one in app.get("page_link") if "approval=" in one.proto.query_string]
    assert links == [f"approval={first.id}", f"approval={second.id}"]
    page = linked("approvals", "manager", approval=second.id)
    assert page.button(key=f"approve-{second.id}")
    approvals.decide(Actor("mei", "manager"), second.id, approved=False, message="Too much.")
    text = told(opened("flows", "architect"))
    assert "refund_order (order id 1015, amount 80" in text
    assert "rejected." in text[text.index("refund_order (order") :]
    assert REFUND in told(page)
