"""What became of the runs that tickets name: a small table for questions about automation and its price."""

from __future__ import annotations

import threading

import pandas as pd
from sqlalchemy import func
from sqlmodel import col, select

from workbench import settings, store
from workbench.errors import WorkbenchError
from workbench.store.tables import Run

TABLE = "run_outcome"
COLUMNS = ("id", "outcome", "usd")

_lock = threading.Lock()
_known: tuple[object, pd.DataFrame] | None = None


def table() -> pd.DataFrame:
    """One row for each run: id, outcome, and price in USD where it is known. Empty where there is no database yet."""
    global _known
    try:
        with store.session() as session:
            about = select(func.count(), func.max(Run.started_at), func.count(col(Run.usd)), func.sum(Run.usd))
            held = select(func.count()).where(Run.outcome == "held")
            now = (settings.load().database_url, *session.exec(about).one(), session.exec(held).one())
            with _lock:
                if _known is None or _known[0] != now:
                    rows = session.exec(select(Run.id, Run.outcome, Run.usd)).all()
                    _known = (now, _frame([(one, outcome, usd) for one, outcome, usd in rows]))
                return _known[1]
    except WorkbenchError:
        return _frame([])


def _frame(rows: list[tuple[str, str, float | None]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"id": "str", "outcome": "str", "usd": "float64"})
