"""The last answers, kept up to so many values in all: with every click on a page the same questions are asked again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 200_000
"""So many values are kept in all, and an answer of more than a tenth of them is not kept."""


class Answers:
    """Answers by what was asked; those asked for longest ago go first."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: Hashable) -> Any | None:
        """The answer that was kept, or None."""
        with self._lock:
            if asked not in self._kept:
                return None
            self._kept.move_to_end(asked)
            return self._kept[asked][1]

    def keep(self, asked: Hashable, size: int, answer: Any) -> None:
        """Keep an answer of so many values."""
        if size > self._most / 10:
            return
        with self._lock:
            self._size += size - self._kept.pop(asked, (0, None))[0]
            self._kept[asked] = (size, answer)
            while self._size > self._most:
                self._size -= self._kept.popitem(last=False)[1][0]

    def forget(self) -> None:
        """Keep none any longer."""
        with self._lock:
            self._kept.clear()
            self._size = 0
