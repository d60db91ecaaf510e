"""Two variants of a flow answer the same message side by side in a real browser, offline."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.browser import browser, serve, settled

QUESTION = "Where is my order 1042?"
SLOW = 45_000


def test_two_variants_answer_side_by_side_and_the_difference_is_marked(seeded: Path) -> None:
    with serve(seeded, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(app.url)
        page.get_by_role("link", name="Playground", exact=True).click()
        expect(page.get_by_role("heading", name="Playground")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("Nothing asked yet")).to_be_visible(timeout=SLOW)
        choose_draft(page)
        edit(page)
        ask(page)
        page.reload()
        expect(page.get_by_text("prompt of shipping edited").first).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("5 words added, 0 removed")).to_be_visible(timeout=SLOW)
        assert problems == []


def choose_draft(page: Page) -> None:
    """The second variant is the draft too; the address follows."""
    settled(page)
    page.get_by_role("combobox", name="Flow of variant B").click()
    page.get_by_role("option", name="order-desk draft", exact=True).click()
    expect(page.get_by_text("same as variant A so far")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile("variants=order-desk(,|%2C)order-desk(&|$)"))


def edit(page: Page) -> None:
    """Another closing sentence for shipping, in the second variant alone."""
    settled(page)
    page.get_by_role("button", name="Model and prompt").nth(1).click()
    page.get_by_role("combobox", name="Edit the prompt of").click()
    page.get_by_role("option", name="shipping", exact=True).click()
    text = page.get_by_role("textbox", name="Instructions of shipping")
    text.fill(text.input_value() + '\nEnd with: "Thank you for your patience."')
    text.press("Control+Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_text("prompt of shipping edited").first).to_be_visible(timeout=SLOW)


def ask(page: Page) -> None:
    """Both replies appear; what only the second says is marked with a colour and a sign."""
    settled(page)
    box = page.get_by_role("textbox", name="Message as the customer")
    box.fill(QUESTION)
    box.press("Enter")
    answers = page.locator(".st-key-answers")
    expect(answers.get_by_text("5 words added, 0 removed")).to_be_visible(timeout=SLOW)
    expect(answers.get_by_text(re.compile("Order 1042 is late"))).to_have_count(2)
    added = answers.get_by_text("+ Thank you for your patience.")
    expect(added).to_have_count(1)
    expect(added).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    expect(answers.get_by_text("A · order-desk draft", exact=True)).to_be_visible()
    expect(answers.get_by_text("B · prompt of shipping edited", exact=True)).to_be_visible()
