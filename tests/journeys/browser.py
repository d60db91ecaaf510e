"""A real server and a real browser, for journeys."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.conftest import ARTIFACTS, ROOT

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class App:
    """A running app: its address, its home, its process, and how long the first answer took."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    seconds: float


def environment(home: Path) -> dict[str, str]:
    """The environment of a process of the product: this home, no key, no proxy."""
    kept = {
        k: v for k, v in os.environ.items() if not k.upper().startswith(("OPENAI", "WORKBENCH", "HTTP", "ALL_PROXY"))
    }
    return {**kept, "WORKBENCH_HOME": str(home)}


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(home: Path, *arguments: str, more: Mapping[str, str] | None = None) -> Iterator[App]:
    """Run the app as the command does, with `more` in its environment, until the block ends."""
    port = free_port()
    started = time.perf_counter()
    log = (home.parent / "app.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "--port", str(port), "--headless", *arguments],
        cwd=ROOT,
        env={**environment(home), **(more or {})},
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, process, home.parent / "app.log")
        yield App(url, home, process, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server of a process answers; its log is the message where it ends before."""
    for _ in range(1200):
        if process.poll() is not None:
            raise AssertionError(f"the app ended: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the app did not answer within a minute")


@contextmanager
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise AssertionError("No Chromium on the PATH; install it (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def picture(page: Page, name: str) -> None:
    """Keep a screenshot among the artifacts."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(400)
    page.screenshot(path=str(ARTIFACTS / f"{name}.png"))


def settled(page: Page) -> None:
    """Wait until the app has stopped running its script, and has not begun again soon after."""
    for pause in (200, 100):
        page.wait_for_timeout(pause)
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(timeout=60_000)


def written(field: Locator) -> str:
    """What stands in a field that the page fills, once it is there: a tab's fields come after the click on it."""
    expect(field).not_to_have_value("", timeout=60_000)
    return field.input_value()
