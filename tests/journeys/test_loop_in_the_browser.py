"""A newcomer goes round the whole loop in a real browser, offline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.journeys.browser import App, browser, environment, picture, serve, settled, written

QUESTION = "Where is my order 1042?"
SLOW = 45_000


def test_a_newcomer_goes_round_the_whole_loop(seeded: Path) -> None:
    with serve(seeded, "--no-seed") as app, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        outside: list[str] = []
        page.on("request", lambda r: None if r.url.startswith((app.url, "data:", "blob:")) else outside.append(r.url))
        page.goto(app.url)
        expect(page.get_by_role("heading", name="Workbench")).to_be_visible(timeout=SLOW)
        for role in ("Support architect", "Rep", "Manager"):
            expect(page.get_by_role("heading", name=role)).to_be_visible()
        picture(page, "1-home")
        edit_and_save(page)
        run_id = try_it(page)
        replay(page, app, run_id)
        label(page)
        evaluate(page)
        promote(page)
        consume(seeded)
        look_at_trends(page, app)
        assert problems == []
        assert outside == []


def edit_and_save(page: Page) -> None:
    """Prototype: the network is drawn; a mistake is found at once; form and YAML agree; the draft is saved."""
    page.get_by_role("link", name="Open the order desk").click()
    expect(page.get_by_role("heading", name="Flows")).to_be_visible(timeout=SLOW)
    picture_of_flow = page.locator(".st-key-canvas-order-desk svg")
    for name in ("triage", "refunds", "shipping", "refund_order"):
        expect(picture_of_flow.get_by_text(name, exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_role("radio", name="shipping").click()
    settled(page)
    page.get_by_role("tab", name="YAML").click()
    yaml = page.get_by_role("textbox", name="The flow as YAML")
    text = written(yaml)
    yaml.fill(text.replace("    handoffs:\n    - refunds\n    - shipping\n", "    handoffs:\n    - refunds\n", 1).replace(
        "    - find_order\n    - refund_order\n    handoffs:\n    - shipping\n", "    - find_order\n    - refund_order\n"
    ))  # fmt: skip
    yaml.press("Control+Enter")
    expect(page.get_by_text("Nobody hands over to shipping; it can never speak.")).to_be_visible(timeout=SLOW)
    picture(page, "2-finding")
    yaml.fill(text.replace("turns: 12", "turns: 10") if "turns: 12" in text else text + "limits:\n  turns: 10\n")
    yaml.press("Control+Enter")
    expect(page.get_by_text("Nobody hands over to shipping")).to_have_count(0, timeout=SLOW)
    page.get_by_role("tab", name="Settings").click()
    expect(page.get_by_role("spinbutton", name="Model turns at most")).to_have_value("10", timeout=SLOW)
    page.get_by_role("tab", name="Agents").click()
    page.get_by_role("radio", name="shipping").click()
    settled(page)
    prompt = page.get_by_role("textbox", name="Instructions · order-desk/shipping@1")
    prompt.fill(written(prompt) + '\nEnd with: "Thank you for your patience."')
    prompt.press("Control+Enter")
    expect(page.get_by_text("Not saved yet.")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Number the instructions").click()
    expect(page.get_by_text(re.compile(r"Saved .*as save [2-9]\.$"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Instructions · order-desk/shipping@2")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Not saved yet.")).to_have_count(0)
    expect(page.get_by_role("button", name="Number the instructions")).to_have_count(0)
    picture(page, "3-flow")


def try_it(page: Page) -> str:
    """Chat with the draft; see its steps, outcome, time, tokens and cost; flag the reply."""
    box = page.get_by_role("textbox", name="Message as the customer")
    box.fill(QUESTION)
    box.press("Enter")
    expect(page.get_by_text("Thank you for your patience.").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("triage hands over to shipping").last).to_be_visible(timeout=SLOW)
    footer = page.get_by_text(re.compile(r"answered.*tokens · no cost · offline model")).last
    expect(footer).to_be_visible(timeout=SLOW)
    settled(page)
    picture(page, "4-chat")
    page.get_by_role("button", name="Flag", exact=True).last.click()
    page.get_by_role("textbox", name="Why does this run deserve a look?").fill("A good answer with thanks")
    page.get_by_role("button", name="Flag it").click()
    expect(page.get_by_text("A good answer with thanks").first).to_be_visible(timeout=SLOW)
    return QUESTION


def replay(page: Page, app: App, words: str) -> None:
    """Find the run, read it, see its timeline, replay it."""
    page.goto(f"{app.url}/runs?flagged=true&words=1042")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Thank you for your patience.").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("looked up order"))).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Faithful", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_role("tab", name="Timeline").click()
    expect(page.locator(".js-plotly-plot").get_by_text("agent triage").first).to_be_visible(timeout=SLOW)
    picture(page, "5-replay")
    assert words == QUESTION


def label(page: Page) -> None:
    """Label by keyboard: a burst of keys loses none; the verdict makes a case."""
    page.get_by_role("link", name="Label", exact=True).click()
    expect(page.get_by_role("heading", name="Label")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("0 of 7 labelled · 7 wait")).to_be_visible(timeout=SLOW)
    picture(page, "6-label")
    page.keyboard.press("1")
    expect(page.get_by_text("1 of 7 labelled · 6 wait")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("It made the case case-"))).to_be_visible(timeout=SLOW)
    page.keyboard.press("u")
    expect(page.get_by_text("0 of 7 labelled · 7 wait")).to_be_visible(timeout=SLOW)
    for _ in range(7):
        page.keyboard.press("s")
    for key in ("3", "3", "3", "3", "3", "3"):
        page.keyboard.press(key)
    page.keyboard.press("1")
    expect(page.get_by_text("7 of 7 labelled · 0 wait")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Nothing waits here")).to_be_visible(timeout=SLOW)


def evaluate(page: Page) -> None:
    """Run the dataset as a background job and see the pass rate with its interval."""
    page.get_by_role("link", name="Evaluate", exact=True).click()
    expect(page.get_by_role("heading", name="Evaluate")).to_be_visible(timeout=SLOW)
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile(r"^1[0-3] of 13 pass$"))).to_be_visible(timeout=40_000)
    expect(page.get_by_text(re.compile(r"\d+ to \d+ %"))).to_be_visible()
    settled(page)
    picture(page, "7-evaluate")


def promote(page: Page) -> None:
    """See what changed in words, pass the gate, promote."""
    page.get_by_role("link", name="Releases", exact=True).click()
    expect(page.get_by_role("heading", name="Draft against production")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("shipping: instructions changed \\(1 line added, 0 removed"))).to_be_visible(
        timeout=SLOW
    )
    expect(page.get_by_text("limit turns 12 → 10")).to_be_visible()
    page.get_by_role("textbox", name="Note").fill("Thanks the customer")
    page.get_by_role("textbox", name="Note").press("Tab")
    settled(page)
    picture(page, "8-gate")
    page.get_by_role("button", name="Promote to production").click()
    expect(page.get_by_text(re.compile("order-desk v2 is in production"))).to_be_visible(timeout=SLOW)
    picture(page, "9-released")


def consume(home: Path) -> None:
    """The runtime answers from the release; a tampered file is refused by name; rolling back takes effect at once."""
    reference = f"{home / 'releases'}#order-desk@production"
    first = command(home, "-m", "workbench.runtime", "run", reference, QUESTION, "--json")
    told = json.loads(first.stdout)
    assert (told["version"], told["outcome"]) == ("v2", "answered")
    assert "Thank you for your patience." in told["reply"]
    file = home / "releases" / "order-desk" / "v2.json"
    whole = file.read_text()
    file.chmod(0o644)
    file.write_text(whole.replace("Thank you for your patience", "Thank you for your money"))
    refused = command(home, "-m", "workbench.runtime", "run", reference, QUESTION)
    assert refused.returncode == 2
    assert "v2.json was changed after it was released" in refused.stderr
    file.write_text(whole)
    rolled = command(home, "-m", "workbench", "releases", "rollback", "order-desk", "production")
    assert rolled.returncode == 0, rolled.stderr
    told = json.loads(command(home, "-m", "workbench.runtime", "run", reference, QUESTION, "--json").stdout)
    assert told["version"] == "v1"
    assert "Thank you for your patience." not in told["reply"]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the product, as a process."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment(home), capture_output=True, text=True)


def look_at_trends(page: Page, app: App) -> None:
    """Tiles, a chart by topic, a filter, tickets behind it."""
    page.get_by_role("link", name="Trends", exact=True).click()
    for title in ("Tickets", "First response", "Resolution", "CSAT", "Reopened"):
        expect(page.get_by_text(title, exact=True).first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stVegaLiteChart").get_by_text("Delivery").first).to_be_visible(timeout=SLOW)
    settled(page)
    line = page.get_by_test_id("stVegaLiteChart").locator(".mark-line path").first.bounding_box()
    assert line is not None and line["width"] > 300
    picture(page, "10-trends")
    points = page.locator('path[aria-roledescription="point"][aria-label*="Delivery"]')
    points.nth(points.count() - 2).click(force=True)  # the peak, which stands alone
    expect(page.get_by_text("Delivery, week of")).to_be_visible(timeout=SLOW)
    page.get_by_text("The figures of this chart", exact=True).click()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(3, timeout=SLOW)
    page.goto(f"{app.url}/trends?channel=chat")
    expect(page.get_by_test_id("stVegaLiteChart").get_by_text("Delivery").first).to_be_visible(timeout=SLOW)
    expect(page.locator('[data-testid="stDataFrame"]').last).to_be_visible(timeout=SLOW)
