"""What takes long to make and does not change is made once for all processes of a test run."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import access, store
from workbench.tickets import seed as samples


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` filled, by whichever process of this run came first; copy it before changing it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place, half = base / f"once-{name}", base / f"half-{name}"
    with (base / f"once-{name}.lock").open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not place.exists():
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            make(half)
            half.rename(place)
    return place


def at_home(home: Path, act: Callable[[], object]) -> None:
    """Do something in another home than the test's own, with a database of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        patch.delenv("WORKBENCH_DATABASE_URL", raising=False)
        store.migrate()
        act()
        store.dispose()


def together(count: int, act: Callable[[], object]) -> None:
    """Let so many people do something at the same moment, and wait for all of them."""
    moment = threading.Barrier(count)

    def one() -> None:
        moment.wait()
        act()

    people = [threading.Thread(target=one) for _ in range(count)]
    for person in people:
        person.start()
    for person in people:
        person.join()


def shop(factory: pytest.TempPathFactory, *, count: int, days: int, until: dt.date) -> Path:
    """A home with so many tickets of the sample shop, over so many days until a day; nothing else is in it."""

    def make(home: Path) -> None:
        at_home(home, lambda: samples.seed(access.Actor("ada", "admin"), count=count, days=days, until=until))

    return once(factory, f"shop-{count}-{days}-{until}", make)
