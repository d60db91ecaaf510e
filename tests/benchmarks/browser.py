"""What a person waits for in the browser with the sample workspace, beside an empty Streamlit app in the same browser."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.benchmarks._figure import figure
from tests.conftest import ROOT
from tests.journeys.browser import browser, environment, serve, wait_for
from workbench.ui.nav import PLACES

ROUNDS = 5

EMPTY = """
import streamlit as st
def one(): st.title("One")
def two(): st.title("Two")
st.navigation([st.Page(one, title="One", default=True), st.Page(two, title="Two", url_path="two")]).run()
"""


def measure() -> list[dict[str, Any]]:
    """Start, first page and median page change, beside those of the empty app."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        seed = [sys.executable, "-m", "workbench", "seed"]
        subprocess.run(seed, cwd=ROOT, env=environment(home), check=True, capture_output=True)
        with browser() as chromium:
            with _empty_app(Path(folder)) as url:
                floor_first, floor_change = _visit(chromium, url, "One", ["Two", "One"])
            with serve(home) as app:
                titles = [place.title for place in PLACES if place.address != "home"]
                first, change = _visit(chromium, app.url, "Workbench", titles)
    told = f"an empty app: first page {floor_first:.2f} s, page change {floor_change * 1000:.0f} ms"
    return [
        figure("start, command to first 200", app.seconds, "s", 6, told),
        figure("first page once the server is up", first, "s", 2, told),
        figure("page change, median", change * 1000, "ms", 400, told),
    ]


def _visit(chromium: Browser, url: str, first: str, titles: list[str]) -> tuple[float, float]:
    """Seconds to the first page in a fresh browser context, and the median page change after one round to warm up."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    opened = _until(page, lambda: page.goto(url), first)
    for title in titles:
        _change(page, title)
    changes = [_change(page, title) for _ in range(ROUNDS) for title in titles]
    context.close()
    return opened, statistics.median(changes)


def _change(page: Page, title: str) -> float:
    return _until(page, lambda: page.get_by_role("link", name=title, exact=True).first.click(), title)


def _until(page: Page, act: Any, title: str) -> float:
    started = time.perf_counter()
    act()
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for(timeout=20_000)
    return time.perf_counter() - started


@contextmanager
def _empty_app(folder: Path) -> Iterator[str]:
    script = folder / "empty.py"
    script.write_text(EMPTY)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "address": "127.0.0.1", "headless": "true", "fileWatcherType": "none"}
    flags = [part for name, value in options.items() for part in (f"--server.{name}", str(value))]
    log = folder / "empty.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), *flags], cwd=folder, stdout=out, stderr=out
        )
        try:
            wait_for(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)
