"""A refused refund, in a real browser: a rep reads why, an architect forks it with three clicks, links open both again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.journeys.browser import browser, environment, picture, serve, settled

ASKED = "Please refund $45 for order 1015, it arrived broken"
WHY = "Only $42.90 of order 1015 can still be refunded."
INSTEAD = '{"refund_id": "R1015-1", "order_id": 1015, "amount": 45.0, "arrival": "within 5 business days"}'
SLOW = 45_000


def test_a_rep_finds_why_a_refund_was_refused_and_an_architect_forks_it(seeded: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "workbench", "run", "order-desk", ASKED],
        cwd=ROOT,
        env={**os.environ, **environment(seeded)},
        check=True,
        capture_output=True,
    )
    with serve(seeded, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{app.url}/runs?words=45+for+order+1015&acting-role=rep")
        read(page)
        fork(page)
        again = chromium.new_page(viewport={"width": 800, "height": 1000}, color_scheme="dark")
        again.goto(page.url)
        compared(again)
        assert problems == []


def read(page: Page) -> None:
    """The reason stands in the conversation: nothing is unfolded, and no JSON is read."""
    expect(page.get_by_text(ASKED).last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(f"it answered: {WHY}")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("triage hands over to refunds").last).to_be_visible()
    settled(page)
    assert page.get_by_text("{").filter(visible=True).count() == 0


def fork(page: Page) -> None:
    """Three clicks: the form, the step, the button; between them the tool's other answer is written."""
    settled(page)
    page.get_by_role("tab", name="Fork from here").click()
    page.get_by_text("9. tool refund_order").click()
    settled(page)
    answer = page.get_by_role("textbox", name="What refund_order answers")
    expect(answer).to_be_visible(timeout=SLOW)
    answer.fill(INSTEAD)
    answer.press("Control+Enter")
    settled(page)
    page.get_by_role("button", name="Run the fork").click()
    compared(page)
    picture(page, "11-fork")


def compared(page: Page) -> None:
    """Both runs stand side by side, with the step at which they part."""
    expect(page.get_by_text("First divergence").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("I have refunded order 1015").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(WHY).first).to_be_attached()
