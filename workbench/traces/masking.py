"""What is masked in runs before they are stored, and the key of the placeholders: a file that only its owner reads."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.errors import Unavailable
from workbench.runtime import redaction
from workbench.runtime.redaction import Masker, Rules

KEY = "redaction.key"


def rules() -> Rules:
    """The rules of this workbench. Raises Invalid for settings that cannot be used, Unavailable without its key."""
    return redaction.rules(key=_key(settings.load().local / KEY))


def masked(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record as it is stored."""
    return redaction.record(record, rules())


def held(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a held run needs to go on: its record with credentials masked, and personal data as it is."""
    ours = rules()
    kept = Rules(ours.kinds & {"secret"}, ours.names, (), ours.values, ours.key)
    return redaction.record(record, kept)


def masker(conversation: str) -> Masker:
    """What masks the texts of a conversation."""
    return Masker(rules(), conversation)


def known_as(conversation: str) -> str:
    """How a conversation's id is stored: masked too, where a program used somebody's address as an id."""
    return masker(conversation).text(conversation)


@functools.lru_cache(4)
def _key(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _make(path)
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"The key of the placeholders cannot be kept: {error.strerror}.",
            remedy="Make the folder of the workbench writable, or set WORKBENCH_REDACT_KEY.",
        ) from error


def _make(path: Path) -> None:
    """A new key, in its place at once: another process never reads half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
