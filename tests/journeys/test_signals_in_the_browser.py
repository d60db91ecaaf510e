"""A signal, in a real browser: a manager reads what is out of the usual, takes it on, and walks to its detector and back."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.journeys.browser import browser, picture, serve, settled
from tests.tickets.test_signals import opened
from workbench import store
from workbench.tickets import signals

SLOW = 45_000


def test_a_manager_takes_on_what_is_out_of_the_usual_and_sees_why(migrated: Path) -> None:
    found = opened()
    store.dispose()
    with serve(migrated, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{app.url}/signals?acting-role=manager")
        expect(page.get_by_text("Tickets: usually").first).to_be_visible(timeout=SLOW)
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0, timeout=SLOW)
        settled(page)
        assert f"incident={found.id}" in page.url
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SLOW)
        picture(page, "12-signals")
        page.get_by_text("The detector", exact=True).click()
        expect(page.get_by_text("usual at this time of the week").first).to_be_visible(timeout=SLOW)
        settled(page)
        assert "detector=rush" in page.url
        expect(page.get_by_text("Version 1 is live.")).to_be_visible(timeout=SLOW)
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SLOW)
        picture(page, "13-detectors")
        page.get_by_text("What they found").click()
        expect(page.get_by_text("acknowledged by")).to_be_visible(timeout=SLOW)
        assert problems == []
    assert signals.incident(found.id).state == "acknowledged"
