"""Large bodies as compressed JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any


def pack(body: Any) -> bytes:
    """`body` as compressed JSON."""
    return zlib.compress(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), 6)


def unpack(packed: bytes) -> Any:
    """What `pack` was given."""
    return json.loads(zlib.decompress(packed))
