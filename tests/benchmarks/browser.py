"""What a person waits for in the browser with the sample workspace: start, first page, page changes, a label."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.benchmarks._figure import figure
from tests.conftest import ROOT
from tests.journeys.browser import browser, environment, serve
from workbench.ui.nav import PLACES

ROUNDS = 5


def measure() -> list[dict[str, Any]]:
    """Seconds of start and first page, and the median page change over five rounds through every page."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        subprocess.run(
            [sys.executable, "-m", "workbench", "seed"],
            cwd=ROOT,
            env=environment(home),
            check=True,
            capture_output=True,
        )
        with browser() as chromium:
            empty = _blank(chromium.new_page())
            with serve(home) as app:
                page = chromium.new_page(viewport={"width": 1440, "height": 900})
                first = _until(page, lambda: page.goto(app.url), "Workbench")
                changes = [
                    _change(page, place.title) for _ in range(ROUNDS) for place in PLACES if place.address != "home"
                ]
    told = f"an empty page in the same browser {empty * 1000:.0f} ms"
    return [
        figure("start, command to first 200", app.seconds, "s", 6, told),
        figure("first page once the server is up", first, "s", 2, told),
        figure("page change, median", statistics.median(changes) * 1000, "ms", 400, told),
    ]


def _blank(page: Page) -> float:
    started = time.perf_counter()
    page.goto("data:text/html,<h1>empty</h1>")
    return time.perf_counter() - started


def _change(page: Page, title: str) -> float:
    return _until(page, lambda: page.get_by_role("link", name=title, exact=True).first.click(), title)


def _until(page: Page, act: Any, title: str) -> float:
    started = time.perf_counter()
    act()
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for(timeout=20_000)
    return time.perf_counter() - started
