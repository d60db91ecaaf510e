"""An edit of a flow of 20 agents and 60 tools until it is on the picture, and the check of that flow."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.benchmarks._figure import figure
from tests.benchmarks.browser import _empty_app, _visit
from tests.journeys.browser import browser, serve, settled
from workbench import access, flows, prompts, store
from workbench.runtime import spec
from workbench.runtime.spec import FlowSpec

AGENTS, TOOLS, ROUNDS = 20, 60, 15
FLOW = "large-desk"

SEEN = """
(wanted) => new Promise((resolve) => {
  const canvas = document.querySelector(".st-key-canvas-large-desk");
  const find = (root) => [...root.querySelectorAll("*")].find((one) => one.shadowRoot);
  const look = () => {
    const box = find(canvas).shadowRoot.querySelector('[data-id="agent:specialist-7"]');
    if (box && box.textContent.includes(wanted)) resolve(performance.now() - window.__up);
    else requestAnimationFrame(look);
  };
  look();
})
"""


def large() -> FlowSpec:
    """A triage, four teams and their specialists, with three tools each; the tools repeat under other names."""
    names = ["triage", *(f"team-{n}" for n in range(1, 5)), *(f"specialist-{n}" for n in range(1, AGENTS - 4))]
    calls = ["find_order", "track_parcel", "refund_order"]
    tools = {f"{calls[n % 3]}_{n + 1}": {"kind": "python", "call": calls[n % 3]} for n in range(TOOLS)}
    for name, tool in tools.items():
        if name.startswith("refund"):
            tools[name] = {**tool, "effect": "high-stakes", "approve": {"amount": {"above": 50}}}  # type: ignore[dict-item]
    agents: dict[str, dict[str, Any]] = {
        name: {"prompt": f"{FLOW}/{name}", "tools": list(tools)[3 * place : 3 * place + 3]}
        for place, name in enumerate(names)
    }
    agents["triage"]["handoffs"] = names[1:5]
    for place, name in enumerate(names[5:]):
        agents[names[1 + place % 4]].setdefault("handoffs", []).append(name)
    guardrails = [{"name": "injection", "on": "input", "check": "prompt_injection"}]
    return spec.parse(
        {"format": 1, "flow": FLOW, "entry": "triage", "agents": agents, "tools": tools, "guardrails": guardrails}
    )


def measure() -> list[dict[str, Any]]:
    """The median edit in the browser beside a page change of an empty app, and the median check."""
    with tempfile.TemporaryDirectory() as folder, _at_home(Path(folder) / "home") as home:
        check = _check()
        with browser() as chromium:
            with _empty_app(Path(folder)) as url:
                _, floor = _visit(chromium, url, "One", ["Two", "One"])
            with serve(home, "--no-seed") as app:
                edit = _edits(chromium, app.url)
    size = f"{AGENTS} agents, {TOOLS} tools"
    told = f"{size}; an empty app changes its page in {floor * 1000:.0f} ms"
    return [
        figure("an edit in the form until it is on the picture, median", edit, "ms", 300, told),
        figure("checking a flow, median", check * 1000, "ms", 50, size),
    ]


@contextmanager
def _at_home(home: Path) -> Iterator[Path]:
    """A home that holds nothing but the large flow with its prompts."""
    before = dict(os.environ)
    os.environ["WORKBENCH_HOME"] = str(home)
    try:
        store.migrate()
        actor, made = access.local("architect"), large()
        for agent in made.agents.values():
            prompts.save(actor, agent.prompt, f"You are {agent.prompt}. Help the customer.")
        flows.create(actor, made)
        yield home
    finally:
        store.dispose()
        os.environ.clear()
        os.environ.update(before)


def _check() -> float:
    """Seconds that the findings of the flow take."""
    made, taken = flows.draft(FLOW).spec, []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        flows.findings(made)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _edits(chromium: Browser, url: str) -> float:
    """Milliseconds from the click on another model role until the picture says so."""
    page = chromium.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(f"{url}/flows?flow={FLOW}")
    page.locator(f'.st-key-canvas-{FLOW} [data-id="agent:specialist-7"]').click(timeout=20_000)
    page.get_by_text(f"Instructions · {FLOW}/specialist-7@1").wait_for()
    page.evaluate("() => document.addEventListener('pointerup', () => (window.__up = performance.now()), true)")
    taken = [_edit(page, ("small", "main", "reasoning")[n % 3]) for n in range(ROUNDS)]
    return statistics.median(taken[3:])


def _edit(page: Page, role: str) -> float:
    settled(page)
    page.wait_for_timeout(1500)
    box, option = page.get_by_role("combobox", name="Model role"), page.get_by_role("option", name=role, exact=True)
    box.click()
    if not option.is_visible():
        page.wait_for_timeout(500)
    if not option.is_visible():  # The page scrolled under the click.
        box.click()
    option.click()
    return float(page.evaluate(SEEN, f"{role} model"))
