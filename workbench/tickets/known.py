"""Known incidents from a file: CSV with title, start and end, and any dimensions, for backtests."""

from __future__ import annotations

import csv
import datetime as dt
import io

from workbench.errors import Invalid
from workbench.tickets.columns import DIMENSIONS, nearest
from workbench.tickets.firing import Known

NEEDED = ("title", "start", "end")


def read(text: str, name: str) -> list[Known]:
    """The incidents in a CSV text. Times without a zone are UTC; a day as `end` belongs to the incident.

    Raises Invalid naming the line and what is wrong with it.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = [one.strip() for one in rows.fieldnames or ()]
    rows.fieldnames = columns
    if missing := [one for one in NEEDED if one not in columns]:
        raise Invalid(
            f"{name} has no column {missing[0]!r}.", remedy="Its first line is title,start,end,topic or the like."
        )
    if unknown := [one for one in columns if one not in (*NEEDED, *DIMENSIONS)]:
        raise Invalid(f"{name} has a column {unknown[0]!r}{nearest(unknown[0], (*NEEDED, *DIMENSIONS))}.")
    made = []
    for number, row in enumerate(rows, 2):
        start, end = _moment(row["start"], name, number), _moment(row["end"], name, number, ends=True)
        if end <= start:
            raise Invalid(f"Line {number} of {name} ends before it begins.")
        where = {one: (row[one] or "").strip() for one in columns if one in DIMENSIONS and (row[one] or "").strip()}
        made.append(Known((row["title"] or "").strip() or f"line {number}", start, end, where))
    return made


def _moment(text: str | None, name: str, number: int, *, ends: bool = False) -> dt.datetime:
    shown = (text or "").strip()
    try:
        found = dt.datetime.fromisoformat(shown)
    except ValueError:
        raise Invalid(
            f"Line {number} of {name} has no usable time: {shown[:40]!r}.",
            remedy="Write 2026-03-01 or 2026-03-01T14:00.",
        ) from None
    if ends and len(shown) == 10:
        found += dt.timedelta(days=1)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
