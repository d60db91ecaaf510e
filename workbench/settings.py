"""One frozen Settings, read from the environment; every default works offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

VARIABLES: tuple[tuple[str, str, str], ...] = (
    ("WORKBENCH_HOME", "data", "Folder that holds `local/` (database, tickets) and `releases/`."),
    ("WORKBENCH_DATABASE_URL", "SQLite in `local/`", "SQLite or PostgreSQL, as an SQLAlchemy URL."),
    ("WORKBENCH_URL", "http://127.0.0.1:8501", "The address of the app, with which links in notices begin."),
)
"""Name, default and meaning of each variable read here; the model variables are listed in `runtime.models`."""


@dataclass(frozen=True)
class Settings:
    """Where things lie. All paths are absolute."""

    home: Path
    database_url: str
    url: str = "http://127.0.0.1:8501"

    @property
    def local(self) -> Path:
        """Folder of the database and the ticket files; git-ignored."""
        return self.home / "local"

    @property
    def releases(self) -> Path:
        """Folder of published, immutable release files."""
        return self.home / "releases"

    @property
    def tickets(self) -> Path:
        """Folder of the published ticket Parquet files."""
        return self.local / "tickets"

    @property
    def seed(self) -> Path:
        """Folder of the committed seed files; the same for every home."""
        return ROOT / "data" / "seed"

    @property
    def prompts(self) -> Path:
        """Folder of the committed prompt texts; the same for every home."""
        return ROOT / "prompts"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: the process's own)."""
    env = os.environ if environment is None else environment
    home = Path(env.get("WORKBENCH_HOME") or ROOT / "data").expanduser().absolute()
    return _made(home, env.get("WORKBENCH_DATABASE_URL") or "", env.get("WORKBENCH_URL") or "http://127.0.0.1:8501")


@lru_cache(maxsize=16)
def _made(home: Path, url: str, address: str) -> Settings:
    """The settings that the variables mean; where links lead is looked up once."""
    home = home.resolve()
    url = url or f"sqlite:///{home / 'local' / 'workbench.db'}"
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    return Settings(home=home, database_url=url, url=address.rstrip("/"))
