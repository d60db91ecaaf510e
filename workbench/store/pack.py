"""Large bodies as compressed JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any


def pack(body: Any, level: int = 6) -> bytes:
    """`body` as compressed JSON, at a `level` from 1 (quick) to 9 (small)."""
    return zlib.compress(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), level)


def unpack(packed: bytes) -> Any:
    """What `pack` was given."""
    return json.loads(zlib.decompress(packed))
