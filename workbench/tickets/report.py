"""The answer to a question: rows for a chart, and a few sentences that can be checked, with tickets to look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.tickets import ask, measure, metrics, trends
from workbench.tickets.columns import dimension
from workbench.tickets.figures import counted

QUOTED = 3
NAMED = 3


@dataclass(frozen=True)
class Quote:
    """A ticket to look at: what its customer wrote, masked."""

    ticket_id: str
    group: str
    text: str


@dataclass(frozen=True)
class Report:
    """The answer to a question.

    `frame` has the groups, `period` where there is a grain, `value`, `tickets` (how many it rests on), and with a
    comparison `before` and `change` (in percent or in the metric's unit, as the metric says). `sentences` say what is
    in it. `window` has the days, and those compared with.
    """

    question: ask.Question
    frame: pd.DataFrame
    sentences: tuple[str, ...]
    quotes: tuple[Quote, ...]
    window: trends.Window


def answer(question: ask.Question) -> Report:
    """The answer to `question` from the current tickets. Raises Invalid where it names a value that no ticket has."""
    window = trends.window(question.filters, "year" if question.against == "year" else "previous")
    frame = _frame(question, window)
    sentences = _sentences(question, frame, window)
    return Report(question, frame, tuple(sentences), tuple(_quotes(question, frame)), window)


def _frame(question: ask.Question, window: trends.Window) -> pd.DataFrame:
    metric = metrics.get(question.metric)
    rows = _ask(question, window.start, window.end)
    frame = pd.DataFrame(rows, columns=[*(["period"] if question.grain else []), *question.by, "value", "tickets"])
    if question.grain:
        return frame
    if question.against:
        length = window.end - window.start
        before = _ask(question, window.before, window.before + length) if window.comparable else []
        known = {tuple(row[name] for name in question.by): row["value"] for row in before}
        empty = measure.empty(metric)
        frame["before"] = [
            known.get(tuple(row[name] for name in question.by), empty) if window.comparable else None for row in rows
        ]
        frame["change"] = [
            metrics.change(metric, _number(now), _number(then))
            for now, then in zip(frame["value"], frame["before"], strict=True)
        ]
    return _ranked(question, metric, frame)


def _ranked(question: ask.Question, metric: metrics.Metric, frame: pd.DataFrame) -> pd.DataFrame:
    """The groups in the order asked for; those that rest on too few tickets come last, whatever their value."""
    if not question.by:
        return frame
    enough = frame["tickets"] >= metric.minimum
    if question.against and not question.order:
        key = (frame["value"] - frame["before"]).abs() if not frame["before"].isna().all() else frame["tickets"]
        frame = frame.assign(enough=enough, key=key).sort_values(
            ["enough", "key"], ascending=[False, False], kind="stable"
        )
    else:
        up = question.order == "lowest"
        frame = frame.assign(enough=enough, key=frame["value"]).sort_values(
            ["enough", "key"], ascending=[False, up], kind="stable", na_position="last"
        )
    frame = frame.drop(columns=["enough", "key"]).reset_index(drop=True)
    return frame.head(question.limit) if question.limit else frame


def _ask(question: ask.Question, start: Any, end: Any) -> list[dict[str, Any]]:
    return trends.query(
        question.metric,
        by=question.by,
        grain=question.grain,
        start=start,
        end=end,
        where=question.where,
        resting=True,
    ).rows


def _sentences(question: ask.Question, frame: pd.DataFrame, window: trends.Window) -> list[str]:
    metric = metrics.get(question.metric)
    days = f"{window.start:%-d %b %Y} to {window.end:%-d %b %Y}"
    if frame.empty or frame["value"].isna().all():
        return [f"No ticket from {days} has a value for {metric.title}."]
    if question.grain:
        return _over_time(question, metric, frame)
    if question.by:
        return _by_group(question, metric, frame, window)
    row = frame.iloc[0]
    value = metrics.say(metric, _number(row["value"]))
    behind = "" if metric.unit == "tickets" else f", of {counted(int(row['tickets']), 'ticket')}"
    return [
        f"{metric.title}: {value}, {days}{behind}.",
        *_compared(question, metric, row, window),
        *_thin(metric, int(row["tickets"])),
    ]


def _compared(question: ask.Question, metric: metrics.Metric, row: pd.Series, window: trends.Window) -> list[str]:
    if not question.against:
        return []
    if not window.comparable:
        return [f"There are no tickets from {window.before:%-d %b %Y} on to compare with."]
    then = _number(row["before"])
    change = metrics.say_change(metric, _number(row["change"])) or "no change to tell"
    length = f"{window.before:%-d %b %Y} to {window.before + (window.end - window.start):%-d %b %Y}"
    return [f"It was {metrics.say(metric, then)} in {length}: {change}."]


def _by_group(question: ask.Question, metric: metrics.Metric, frame: pd.DataFrame, window: trends.Window) -> list[str]:
    enough = frame[(frame["tickets"] >= metric.minimum) & frame["value"].notna()]
    if enough.empty:
        return [f"No group has the {metric.minimum} tickets that {metric.title} needs to say something."]
    told = []
    if question.against and window.comparable:
        for row in enough.head(NAMED).to_dict("records"):
            change = metrics.say_change(metric, _number(row["change"])) or "nothing to compare with"
            now, then = metrics.say(metric, _number(row["value"])), metrics.say(metric, _number(row["before"]))
            told.append(f"{_group(question, row)}: {then} before, {now} now ({change}).")
        told.append("This says where it changed, not why; look at the tickets behind it.")
    else:
        ordered = enough.sort_values("value", ascending=False, kind="stable")
        first, last = ordered.iloc[0].to_dict(), ordered.iloc[-1].to_dict()
        told.append(f"Highest: {_group(question, first)}, {metrics.say(metric, _number(first['value']))}.")
        if len(ordered) > 1:
            told.append(f"Lowest: {_group(question, last)}, {metrics.say(metric, _number(last['value']))}.")
    if len(enough) < len(frame):
        few = len(frame) - len(enough)
        told.append(f"{few} more rest on fewer than {metric.minimum} tickets, too few to judge by.")
    return told


def _over_time(question: ask.Question, metric: metrics.Metric, frame: pd.DataFrame) -> list[str]:
    known = frame[frame["value"].notna()]
    ordered = known.sort_values("value", kind="stable")
    low, high = ordered.iloc[0], ordered.iloc[-1]
    said = []
    for end, row in (("Highest", high.to_dict()), ("Lowest", low.to_dict())):
        whose = f"{_group(question, row)}, " if question.by else ""
        value = metrics.say(metric, _number(row["value"]))
        said.append(f"{end}: {whose}{_period(question, row)}, {value}.")
    return said


def _period(question: ask.Question, row: dict[Any, Any]) -> str:
    """A period as a person writes it: `11 Nov 2026`, `week of 9 Nov 2026`, `November 2026`."""
    day = dt.date.fromisoformat(row["period"])
    if question.grain == "month":
        return f"{day:%B %Y}"
    return f"week of {day:%-d %b %Y}" if question.grain == "week" else f"{day:%-d %b %Y}"


def _thin(metric: metrics.Metric, n: int) -> list[str]:
    return [f"That is fewer than {metric.minimum} tickets, too few to judge by."] if n < metric.minimum else []


def _group(question: ask.Question, row: dict[Any, Any]) -> str:
    return ", ".join(str(row[name]) for name in question.by)


def _quotes(question: ask.Question, frame: pd.DataFrame) -> list[Quote]:
    """The newest tickets of the first groups, their words masked."""
    from workbench.traces import masking

    groups: Sequence[dict[str, str]] = [{}]
    if question.by and not frame.empty:
        groups = [{name: str(row[name]) for name in question.by} for row in frame.head(1).to_dict("records")]
    found = []
    for group in groups:
        where = {**question.filters.where, **{dimension(name): [value] for name, value in group.items()}}
        chosen = trends.Filters(question.start, question.end, where)
        for row in trends.tickets(chosen, limit=QUOTED).to_dict("records"):
            text = str(row["subject"] or row.get("body") or "") if not pd.isna(row["subject"]) else ""
            if text:
                found.append(
                    Quote(
                        str(row["ticket_id"]),
                        ", ".join(group.values()),
                        masking.masker(str(row["ticket_id"])).text(text),
                    )
                )
    return found


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
