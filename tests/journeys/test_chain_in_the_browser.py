"""One chain, by links only: spike, ticket, run, label, case, gate, release, the mark on the same chart; and back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.browser import browser, picture, serve, settled
from workbench import prompts, store
from workbench.access import Actor

SLOW = 45_000
QUESTION = "Where is my order 1042?"


def test_from_a_spike_to_the_release_that_answers_it_and_back_by_links_only(seeded: Path) -> None:
    kinder = prompts.get("order-desk/triage").text + "\nBe kind."
    prompts.save(Actor("ada", "architect"), "order-desk/triage", kinder)
    store.dispose()
    with serve(seeded, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(app.url)
        page.get_by_role("link", name="Look at the trends").click()
        follow(page, "Parcel scans lost", "signals", "Parcel scans lost")
        follow(page, QUESTION, "ticket", "Run and labels")
        follow(page, "Read the run", "runs", "looked up order")
        follow(page, "Label it: flagged runs", "label", "A good, complete answer")
        page.get_by_role("button", name="Good: keep it so").click()
        expect(page.get_by_text(re.compile("It made the case case-"))).to_be_visible(timeout=SLOW)
        follow(page, "See the case", "evaluate", "Must stay as it is.")
        picture(page, "14-case")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_text(re.compile(r"^1[0-3] of 13 pass$"))).to_be_visible(timeout=SLOW)
        follow(page, "To the gate", "releases", "Draft against production")
        page.get_by_role("button", name="Promote to production").click()
        expect(page.get_by_text("order-desk v2 is in production")).to_be_visible(timeout=SLOW)
        follow(page, "See it on the charts", "trends", "Tickets created in the period")
        expect(page.get_by_test_id("stVegaLiteChart").get_by_text("order-desk v2").first).to_be_visible(timeout=SLOW)
        picture(page, "15-marks")
        follow(page, "order-desk v2,", "releases", "Cases that came from runs: 1")
        picture(page, "16-rests")
        follow(page, "The case", "evaluate", "Must stay as it is.")
        follow(page, "The run it came from", "runs", "looked up order")
        expect(page.get_by_text(re.compile("“good” said"))).to_be_visible(timeout=SLOW)
        follow(page, f": {QUESTION}", "ticket", "Run and labels")
        expect(page.get_by_text(re.compile("“good” said"))).to_be_visible(timeout=SLOW)
        follow(page, "Trends of Delivery", "trends", "Tickets created in the period")
        follow(page, "Parcel scans lost", "signals", "Parcel scans lost")
        assert problems == []


def follow(page: Page, link: str, address: str, words: str) -> None:
    """Click a link in the page itself, and wait until the page that it names says some words."""
    one = page.get_by_test_id("stMain").get_by_role("link", name=link).first
    expect(one).to_be_visible(timeout=SLOW)
    settled(page)
    one.click()
    page.wait_for_url(re.compile(rf"/{address}(\?|$)"), timeout=SLOW)
    expect(page.get_by_test_id("stMain").get_by_text(words).first).to_be_visible(timeout=SLOW)
