"""An architect builds, breaks, mends and shares flows in a real browser, and loses nothing on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as TooLong

from tests.journeys.browser import App, browser, picture, serve, settled, written

SLOW, PATIENCE = 45_000, 8_000
FLOW = "first-desk"


@dataclass
class Hand:
    """Whoever sits before the page; every click, choice and filled field is counted."""

    page: Page
    flow: str = FLOW
    count: int = 0
    last: Locator | None = None

    @property
    def canvas(self) -> Locator:
        """The picture of the flow."""
        return self.page.locator(f".st-key-canvas-{self.flow}")

    def click(self, one: Locator) -> None:
        """Click, and wait until the page has settled. A popover that closed in the moment of a redraw is opened again."""
        self.count += 1
        try:
            one.click(timeout=PATIENCE)
        except TooLong:
            if self.last and self.page.get_by_test_id("stPopover").filter(has=self.last).count() and not one.count():
                self.again()
            one.click(timeout=SLOW)
        self.last = one
        settled(self.page)

    def again(self) -> None:
        """Click once more what was clicked last: a click in the moment of a redraw can be lost, and a person clicks again."""
        if self.last is not None:
            self.last.click(timeout=SLOW)
        settled(self.page)

    def button(self, name: str | re.Pattern[str]) -> None:
        """Click the button."""
        self.click(self.page.get_by_role("button", name=name, exact=isinstance(name, str)).last)

    def fill(self, label: str | re.Pattern[str], text: str) -> None:
        """Fill a field and leave it."""
        self.count += 1
        field = self.page.get_by_label(label, exact=isinstance(label, str)).last
        try:
            field.fill(text, timeout=PATIENCE)
        except TooLong:
            self.again()
            field.fill(text, timeout=SLOW)
        field.press("Tab")
        settled(self.page)

    def press(self, key: str) -> None:
        """Press a key."""
        self.count += 1
        self.page.keyboard.press(key)
        settled(self.page)

    def tab(self, name: str) -> None:
        """Open a tab of the editor."""
        tab = self.page.get_by_role("tab", name=name)
        self.click(tab)
        expect(tab).to_have_attribute("aria-selected", "true", timeout=SLOW)

    def agent(self, name: str) -> None:
        """Choose an agent on the picture."""
        self.click(self.canvas.locator(f'[data-id="agent:{name}"]'))
        expect(self.page.get_by_role("radio", name=name, exact=True)).to_be_checked(timeout=SLOW)

    def choose(self, label: str, *options: str) -> None:
        """Choose in a list of several."""
        listed = self.page.get_by_role("combobox", name=re.compile(f"{label}$")).last
        box = self.page.get_by_test_id("stMultiSelect").filter(has=listed).last
        self.click(listed)
        for option in options:
            found = self.page.get_by_role("option", name=option, exact=True)
            if not found.is_visible():
                self.count += 1
                self.page.keyboard.type(option)
            self.count += 1
            try:
                found.click(timeout=PATIENCE)
            except TooLong:
                self.page.keyboard.press("Escape")
                listed.click(timeout=SLOW)
                found.click(timeout=SLOW)
            settled(self.page)
            self.page.wait_for_timeout(500)
            settled(self.page)
            if not box.get_by_text(option, exact=True).count():
                listed.click(timeout=SLOW)
                found.click(timeout=SLOW)
                settled(self.page)
        self.page.keyboard.press("Escape")
        settled(self.page)

    def saved(self, number: int | None = None) -> None:
        """Wait until everything is saved by itself, as this number where one is given."""
        words = re.compile(rf"Saved .*as save {number or '[0-9]+'}\.")
        expect(self.page.get_by_text(words)).to_be_visible(timeout=SLOW)


@contextmanager
def opened(home: Path) -> Iterator[tuple[App, Browser]]:
    """The app and a browser."""
    with serve(home, "--no-seed") as app, browser() as chromium:
        yield app, chromium


def flows_page(app: App, chromium: Browser, flow: str = "", width: int = 1440) -> Page:
    """The page of flows in a browser context of its own."""
    page = chromium.new_context(viewport={"width": width, "height": 1000}).new_page()
    page.goto(f"{app.url}/flows{f'?flow={flow}' if flow else ''}")
    expect(page.get_by_role("heading", name="Flows")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("tab", name="YAML")).to_be_visible(timeout=SLOW)
    settled(page)
    return page


def test_a_network_is_built_without_yaml_broken_in_five_ways_and_mended(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        page = flows_page(app, chromium)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        hand = Hand(page)
        build(hand)
        assert hand.count < 40, hand.count
        picture(page, "editor-1-built")
        hand.saved()
        expect(page.get_by_test_id("stAlert")).to_have_count(0)
        answer = page.get_by_role("textbox", name="Message as the customer")
        answer.fill("Where is my order 1042?")
        answer.press("Enter")
        expect(page.get_by_text("triage hands over to shipping").last).to_be_visible(timeout=SLOW)
        break_and_mend(hand)
        assert problems == []


def build(hand: Hand) -> None:
    """Triage hands over to refunds and shipping; three tools; a person approves refunds above 50; a guardrail."""
    hand.button("New flow")
    hand.fill("Name", FLOW)
    hand.button("Create")
    expect(hand.canvas.get_by_text("assistant", exact=True)).to_be_visible(timeout=SLOW)
    hand.button("Rename assistant")
    hand.fill("New name", "triage")
    hand.button("Rename")
    for name in ("refunds", "shipping"):
        hand.button("Add an agent")
        hand.fill("Name", name)
        hand.button("Add")
        hand.agent("triage")
    hand.tab("Tools")
    hand.choose("Tools of this flow", "find_order", "track_parcel", "refund_order")
    hand.fill(re.compile("Approval if amount.* above"), "50")
    hand.agent("refunds")
    hand.choose("Tools", "find_order", "refund_order")
    hand.agent("shipping")
    hand.fill("What it is for", "Where an order or parcel is, delivery dates, tracking.")
    hand.choose("Tools", "find_order", "track_parcel")
    hand.tab("Guardrails")
    hand.button("Add a guardrail")
    hand.click(hand.page.get_by_role("combobox", name="Check"))
    hand.click(hand.page.get_by_role("option", name="prompt injection"))
    hand.button("Add")
    expect(hand.canvas.get_by_text("guarded: input").first).to_be_visible(timeout=SLOW)
    expect(hand.canvas.get_by_text("a person approves amount above 50")).to_be_visible()


def break_and_mend(hand: Hand) -> None:
    """Five mistakes, each told in words beside what it is about, and mended by what is said there."""
    page = hand.page

    def told(words: str, times: int = 1) -> None:
        expect(page.get_by_text(words).first).to_be_visible(timeout=SLOW) if times else expect(
            page.get_by_text(words)
        ).to_have_count(0, timeout=SLOW)

    hand.tab("YAML")
    yaml = page.get_by_role("textbox", name="The flow as YAML")
    good = written(yaml)

    def write(text: str) -> None:
        yaml.fill(text)
        yaml.press("Control+Enter")
        settled(page)

    write(good.replace("    - refunds\n    - shipping\n", "    - refunds\n", 1))
    told("Nobody hands over to shipping; it can never speak.")
    expect(hand.canvas.get_by_text("unreachable", exact=True)).to_be_visible(timeout=SLOW)
    picture(page, "editor-2-unreachable")
    hand.agent("triage")
    hand.choose("Hands over to", "shipping")
    told("Nobody hands over to shipping", 0)

    hand.tab("YAML")
    write(written(yaml).replace("    - refunds\n    - shipping\n", "    - refunds\n    - shipping\n    - moon\n", 1))
    told("triage hands over to moon, which does not exist.")
    expect(hand.canvas.get_by_text("does not exist", exact=True)).to_be_visible(timeout=SLOW)
    hand.button("Undo")
    told("hands over to moon", 0)

    hand.agent("shipping")
    instructions = page.get_by_role("textbox", name=re.compile("^Instructions"))
    instructions.fill("You ship for $shop_name.")
    told("uses $shop_name, which has no value; add it under variables.")
    instructions.fill("You ship parcels.")
    told("uses $shop_name", 0)

    hand.tab("YAML")
    write(written(yaml).replace("    effect: high-stakes\n", "    effect: write\n", 1))
    told("refund_order is high-stakes; it cannot be declared write.")
    hand.click(hand.canvas.locator('[data-id="tool:refunds:refund_order"]'))
    hand.click(page.get_by_role("combobox", name="Effect").last)
    hand.click(page.get_by_role("option", name="high-stakes"))
    told("cannot be declared write", 0)

    hand.tab("Guardrails")
    hand.button("Remove")
    told("No guardrail")
    page.locator("h1").click()
    page.keyboard.press("Control+z")
    told("No guardrail", 0)
    hand.saved()


def test_steps_are_undone_and_done_again_by_key_and_by_button(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        page = flows_page(app, chromium, "order-desk")
        hand = Hand(page, "order-desk")
        hand.agent("shipping")
        about = page.get_by_role("textbox", name="What it is for")
        before = about.input_value()
        for text in ("One", "Two", "Three"):
            hand.fill("What it is for", text)
            page.wait_for_timeout(500)  # two texts that come while a script runs are one change
            settled(page)
        page.locator("h1").click()
        for _ in range(3):
            page.keyboard.press("Control+z")
        expect(about).to_have_value(before, timeout=SLOW)
        for _ in range(2):
            page.keyboard.press("Control+Shift+z")
        expect(about).to_have_value("Two", timeout=SLOW)
        expect(page.get_by_role("radio", name="shipping", exact=True)).to_be_checked()
        hand.button("Redo")
        expect(about).to_have_value("Three", timeout=SLOW)
        expect(page.get_by_role("button", name="Redo")).to_be_disabled()
        about.fill("Three and a half")
        about.press("Control+z")
        expect(about).not_to_have_value("Two", timeout=SLOW)


def test_what_is_typed_is_saved_by_itself_and_survives_a_reload(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        page = flows_page(app, chromium, "order-desk")
        hand = Hand(page, "order-desk")
        hand.agent("shipping")
        text = page.get_by_role("textbox", name=re.compile("^Instructions"))
        text.press("Control+End")
        page.keyboard.type(" Thank the customer.", delay=15)
        expect(page.get_by_text("Not saved yet.")).to_be_visible(timeout=SLOW)
        hand.saved()
        expect(
            page.get_by_text("New instructions of shipping are kept with this flow and have no number yet.")
        ).to_be_visible()
        assert text.evaluate("one => one === document.activeElement"), "the field keeps the focus"
        page.keyboard.type(" Always.", delay=15)
        expect(page.get_by_text("Not saved yet.")).to_be_visible(timeout=SLOW)
        page.reload()
        expect(page.get_by_role("tab", name="YAML")).to_be_visible(timeout=SLOW)
        hand.agent("shipping")
        expect(text).to_have_value(re.compile(r"Thank the customer\. Always\.$"), timeout=SLOW)
        hand.saved()
        page.reload()
        expect(page.get_by_role("tab", name="YAML")).to_be_visible(timeout=SLOW)
        hand.agent("shipping")
        expect(text).to_have_value(re.compile(r"Thank the customer\. Always\.$"), timeout=SLOW)
        expect(page.get_by_text("Instructions · order-desk/shipping@1")).to_be_visible()
        hand.button("Number the instructions")
        expect(page.get_by_text("Instructions · order-desk/shipping@2")).to_be_visible(timeout=SLOW)


def test_an_open_popover_is_not_drawn_anew_by_saving(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        page = flows_page(app, chromium, "order-desk")
        hand = Hand(page, "order-desk")
        hand.agent("shipping")
        hand.button("Add an agent")
        name = page.get_by_test_id("stPopoverBody").get_by_role("textbox", name="Name")
        expect(name).to_be_visible(timeout=SLOW)
        about = page.get_by_role("textbox", name="What it is for")
        about.fill("Everything that is sent.")
        about.press("Tab")
        expect(page.get_by_text("Not saved yet.")).to_be_visible(timeout=SLOW)
        page.wait_for_timeout(2_500)
        expect(page.get_by_text("Not saved yet.")).to_be_visible()
        expect(name).to_be_visible()
        page.keyboard.press("Escape")
        expect(name).to_have_count(0, timeout=SLOW)
        hand.saved(2)


def test_two_people_who_edit_the_same_draft_lose_nothing(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        one = Hand(flows_page(app, chromium, "order-desk"), "order-desk")
        other = Hand(flows_page(app, chromium, "order-desk"), "order-desk")
        one.agent("shipping")
        one.fill("What it is for", "Parcels.")
        one.saved(2)
        other.agent("refunds")
        expect(other.page.get_by_text(re.compile("saved save 2; it is shown here now"))).to_be_visible(timeout=SLOW)
        other.agent("shipping")
        expect(other.page.get_by_role("textbox", name="What it is for")).to_have_value("Parcels.", timeout=SLOW)

        one.fill("What it is for", "Parcels and letters.")
        one.saved(3)
        other.fill("What it is for", "Everything that is sent.")
        other.choose("Tools", "refund_order")
        expect(other.page.get_by_text("was changed by somebody else meanwhile")).to_be_visible(timeout=SLOW)
        picture(other.page, "editor-3-conflict")
        for words in ("shipping: description changed", "shipping: tool refund_order added"):
            expect(other.page.get_by_text(words).first).to_be_visible(timeout=SLOW)
        other.button("Merge what is ticked")
        other.saved(4)
        expect(other.page.get_by_text("was changed by somebody else meanwhile")).to_have_count(0, timeout=SLOW)
        expect(other.page.get_by_role("textbox", name="What it is for")).to_have_value("Everything that is sent.")
        other.tab("Versions")
        expect(other.page.get_by_text(re.compile(r"Save 3 of .*, before .* saved over it"))).to_be_visible(timeout=SLOW)
        one.agent("triage")
        one.agent("shipping")
        expect(one.page.get_by_role("textbox", name="What it is for")).to_have_value(
            "Everything that is sent.", timeout=SLOW
        )


def test_the_picture_is_walked_by_keyboard_and_opens_the_forms(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        for scheme in ("light", "dark"):
            context = chromium.new_context(viewport={"width": 1000, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{app.url}/flows?flow=order-desk")
            hand = Hand(page, "order-desk")
            first = hand.canvas.locator('[data-id="agent:triage"]')
            expect(first).to_be_visible(timeout=SLOW)
            settled(page)
            first.focus()
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            expect(page.get_by_role("radio", name="shipping", exact=True)).to_be_checked(timeout=SLOW)
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
            expect(page.get_by_role("tab", name="Tools")).to_have_attribute("aria-selected", "true", timeout=SLOW)
            expect(page.get_by_text("Chosen: find_order, used by refunds, shipping.")).to_be_visible(timeout=SLOW)
            page.wait_for_function("document.activeElement.getAttribute('aria-label') === 'Effect'", timeout=SLOW)
            page.wait_for_timeout(1500)
            assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Effect"
            picture(page, f"editor-4-keyboard-{scheme}")
            context.close()


def test_a_picture_that_grows_wide_by_an_edit_is_drawn_and_a_finding_leads_to_its_form(seeded: Path) -> None:
    with opened(seeded) as (app, chromium):
        page = flows_page(app, chromium, "order-desk")
        hand = Hand(page, "order-desk")
        hand.tab("YAML")
        yaml = page.get_by_role("textbox", name="The flow as YAML")
        text = written(yaml).replace("    handoffs:\n    - refunds\n    - shipping\n", "", 1)
        yaml.fill(text.replace("effect: high-stakes", "effect: write", 1))
        yaml.press("Control+Enter")
        expect(page.get_by_text("Nobody hands over to shipping; it can never speak.")).to_be_visible(timeout=SLOW)
        expect(hand.canvas.get_by_text("unreachable", exact=True)).to_have_count(2, timeout=SLOW)
        expect(page.get_by_text("This app has encountered an error")).to_have_count(0)
        hand.saved(2)
        hand.click(page.locator('[class*="-show-2"]').get_by_role("button", name="Show"))
        expect(page.get_by_role("tab", name="Tools")).to_have_attribute("aria-selected", "true", timeout=SLOW)
        expect(page.get_by_text("Chosen: refund_order, used by refunds.")).to_be_visible(timeout=SLOW)
        expect(page).to_have_url(re.compile("part=Tools"))
        hand.click(page.locator('[class*="-show-1"]').get_by_role("button", name="Show"))
        expect(page.get_by_role("radio", name="shipping", exact=True)).to_be_checked(timeout=SLOW)
        page.reload()
        expect(page.get_by_role("radio", name="shipping", exact=True)).to_be_checked(timeout=SLOW)
        picture(page, "editor-5-wide")
