"""Our own SQL, a file each in `queries/`, with its gaps filled by our own words; values are always bound."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


def statement(name: str, **parts: str) -> str:
    """The SQL in `queries/<name>.sql` with `parts` in its gaps."""
    return _text(name).format(**parts)


@lru_cache
def _text(name: str) -> str:
    return (Path(__file__).parent / "queries" / f"{name}.sql").read_text(encoding="utf-8")
