"""Lines over time with their names at their ends, releases and incidents marked, as one Vega-Lite picture.

A browser draws it at once, where a library of a hundred kinds of charts must first be read. It fits a light and a dark
page. All words in it are drawn as text or told in a table on hover, never as HTML.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.tickets.markers import Marker
from workbench.tickets.metrics import Metric, say
from workbench.ui.charts import over_time as drawn

Layer = dict[str, Any]
YEAR = 300
"""On a chart of more days than so many, the axis tells the year."""
POINT, DAYS = "point", "days"
"""What can be chosen in the picture: a point by a click, and days by dragging over them."""
DAY = "day"
LATEST = dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp() * 1000
ROW = 14
"""Pixels from one line of markers' names to the next."""
ROWS = 4
LETTER, NARROW = 6.6, 560
"""Pixels of a letter of such a name, and of a chart on a small screen."""
AROUND = 60
"""Pixels of a chart's height that the axis and the names above it take."""
REACH = 260
"""The area around a point in which a click or the pointer means it, in square pixels."""


def spec(
    frame: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str],
    *,
    grain: str,
    markers: Sequence[Marker] = (),
    height: int = 330,
    choosing: bool = False,
) -> dict[str, Any]:
    """`metric` over time, one line for each label of `frame` (columns period, label, value, tickets, complete).

    A period that is only partly within the data is left out, unless there is no other; a point that rests on too few
    tickets is grey and hollow. `markers` are drawn with their words; one with an end is shaded. `colours` are the
    page's. With `choosing`, a click chooses the `label` and `day` of a point, and dragging the days from one to another.
    """
    shown = frame[frame["complete"]] if frame["complete"].any() else frame
    scale, unit = drawn.scale_of(metric, shown["value"])
    low, high = drawn.range_of(metric, shown["value"] / scale)
    labels = [str(one) for one in dict.fromkeys(shown["label"])]
    among = drawn.within(markers, shown["period"])
    marked = _marks(among, shown["period"], colours)
    x = {
        "field": DAY,
        "type": "temporal",
        "axis": _along(colours, shown["period"], grain),
        "scale": _days(shown["period"], among),
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "axis": {**_upward(colours), "labelExpr": f"datum.label + '{unit}'"},
        "scale": {"domain": [low, high], "nice": False, "zero": False},
    }
    lines = _lines(labels, {"x": x, "y": y}, choosing=choosing)
    gap = (high - low) * drawn.LABEL_PIXELS / (height - AROUND)
    ends = _ends(shown, labels, scale, gap, (low, high))
    return {
        "data": {"values": _points(shown, metric, scale, grain)},
        "height": height,
        "padding": {"left": 4, "right": 8, "top": 4, "bottom": 4},
        "autosize": {"type": "fit", "contains": "padding"},
        "config": {"view": {"stroke": None}, "font": "Source Sans, sans-serif"},
        "layer": [*_marked(marked, x), *lines, *_named(ends, colours)],
    }


def chosen_point(selection: Mapping[str, Any]) -> tuple[str, dt.date] | None:
    """The label and the day of the point that was clicked; None where there is none, or what came back is none."""
    found = selection.get(POINT)
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, Mapping) or (day := _day(first.get(DAY))) is None:
        return None
    return str(first.get("label")), day


def chosen_days(selection: Mapping[str, Any]) -> tuple[dt.date, dt.date] | None:
    """The first and the last day that were dragged over; None where there are none, or what came back are none."""
    found = selection.get(DAYS)
    edges = found.get(DAY) if isinstance(found, Mapping) else None
    days = sorted(day for one in edges if (day := _day(one))) if isinstance(edges, list) else []
    return (days[0], days[-1]) if len(days) > 1 else None


def _day(moment: Any) -> dt.date | None:
    """The day (UTC) of milliseconds since 1970; None for what is no moment from then to 2100."""
    if not isinstance(moment, int | float) or not 0 <= moment < LATEST:
        return None
    return (dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=float(moment))).date()


def _points(shown: pd.DataFrame, metric: Metric, scale: float, grain: str) -> list[dict[str, Any]]:
    names = ("label", "period", "value", "n", "low", "high", "few")
    return [
        {
            "label": str(label),
            DAY: _ms(moment.to_pydatetime()),
            "value": None if pd.isna(value) else value / scale,
            "few": bool(few),
            "when": moment.strftime(drawn.FORMS[grain]),
            "told": say(metric, value) + drawn.between(metric, low, high),
            "rests": f"{n:,} tickets{': too few to say much' if few else ''}",
        }
        for label, moment, value, n, low, high, few in zip(*(shown[name] for name in names), strict=True)
    ]


def _lines(labels: list[str], place: Layer, *, choosing: bool) -> list[Layer]:
    colours = {"domain": labels, "range": [drawn.COLOURS[i % len(drawn.COLOURS)] for i in range(len(labels))]}
    colour: Layer = {"field": "label", "type": "nominal", "scale": colours, "legend": None, "sort": None}
    few: Layer = {"test": "datum.few", "value": drawn.QUIET}
    told = [
        {"field": name, "type": "nominal", "title": title}
        for name, title in (("label", "Which"), ("when", "When"), ("told", "Value"), ("rests", "Rests on"))
    ]
    params = [
        {"name": POINT, "select": {"type": "point", "fields": ["label", DAY], "toggle": False}},
        {"name": DAYS, "select": {"type": "interval", "encodings": ["x"], "mark": {"fillOpacity": 0.12}}},
    ]
    dots = {"color": {"condition": few, **colour}, "fillOpacity": {"condition": {**few, "value": 0}, "value": 1}}
    return [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {**place, "color": colour}},
        {"mark": {"type": "point", "filled": True, "size": 18, "strokeWidth": 1.2}, "encoding": {**place, **dots}},
        {
            "mark": {"type": "point", "filled": True, "size": REACH, "opacity": 0},
            "encoding": {**place, "tooltip": told, "detail": {"field": "label"}},
            **({"params": params} if choosing else {}),
        },
    ]


def _ends(
    shown: pd.DataFrame, labels: list[str], scale: float, gap: float, limits: tuple[float, float]
) -> list[dict[str, Any]]:
    """The names of the lines, each at the height where its line ends, moved apart where they would touch."""
    found: list[dict[str, Any]] = []
    for i, label in enumerate(labels):
        known = shown.loc[shown["label"] == label, "value"].dropna()
        if not known.empty:
            colour = drawn.COLOURS[i % len(drawn.COLOURS)]
            found.append({"label": drawn.short(label), "colour": colour, "at": float(known.iloc[-1]) / scale})
    heights = drawn.spread([one["at"] for one in found], gap, limits)
    return [{**one, "at": height} for one, height in zip(found, heights, strict=True)]


def _named(ends: list[dict[str, Any]], colours: Mapping[str, str]) -> list[Layer]:
    place = {"x": {"value": "width"}, "y": {"field": "at", "type": "quantitative"}}
    dot = {"type": "text", "text": "●", "dx": 8, "align": "left", "fontSize": 11}
    name = {"type": "text", "dx": 20, "align": "left", "fontSize": 13, "color": colours["ink"]}
    return [
        {
            "data": {"values": ends},
            "mark": dot,
            "encoding": {**place, "color": {"field": "colour", "type": "nominal", "scale": None}},
        },
        {"data": {"values": ends}, "mark": name, "encoding": {**place, "text": {"field": "label"}}},
    ]


def _marks(among: Sequence[Marker], periods: pd.Series[Any], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Where each marker stands and how it is told.

    Names that would touch stand on different lines, the newest first; where there is no room for one, only its kind
    stands there.
    """
    if not among:
        return []
    first, last = drawn.ends_of(periods, among)
    crowded = len(among) > drawn.CROWDED
    taken: list[list[tuple[float, float]]] = [[] for _ in range(ROWS)]
    made = []
    for one in sorted(among, key=lambda one: drawn.utc(one.at), reverse=True):
        at = max(drawn.utc(one.at), first)
        place = (at - first) / ((last - first) or dt.timedelta(days=1))
        name = drawn.name_of(one)
        left = place + _width(name) > 1  # Else it would run over the names of the lines.
        row = None if crowded else _row(place, name, taken, left=left)
        made.append(
            {
                DAY: _ms(at),
                "until": _ms(min(drawn.utc(one.until), last)) if one.until else None,
                "colour": drawn.ALARM if one.kind == "incident" else drawn.QUIET,
                "ink": colours["ink"],
                "row": ROW * (row or 0) - ROW,
                "name": drawn.SIGNS[one.kind] if row is None else name,
                "whole": one.label,
                "kind": one.kind.capitalize(),
                "days": drawn.days_of(one),
                "note": one.note,
                "left": left,
            }
        )
    return made[::-1]


def _row(place: float, name: str, taken: list[list[tuple[float, float]]], *, left: bool) -> int | None:
    """The first line on which a name that begins or ends at a place of the axis touches no other; None where none is free."""
    width = _width(name)
    begin, end = (place - width, place) if left else (place, place + width)
    for row, others in enumerate(taken):
        if all(end <= one or begin >= other for one, other in others):
            others.append((begin, end))
            return row
    return None


def _width(name: str) -> float:
    """The part of the axis that a name takes, where the chart is narrow."""
    return (len(name) * LETTER + 12) / NARROW


def _marked(marked: list[dict[str, Any]], x: Mapping[str, Any]) -> list[Layer]:
    told = [
        {"field": name, "type": "nominal", "title": title}
        for name, title in (("whole", "What"), ("kind", "Kind"), ("days", "When"), ("note", "Note"))
    ]
    colour = {"field": "colour", "type": "nominal", "scale": None}
    bands = [one for one in marked if one["until"]]
    layers: list[Layer] = []
    if bands:
        over = {"x": x, "x2": {"field": "until"}, "color": colour, "tooltip": told}
        layers.append({"data": {"values": bands}, "mark": {"type": "rect", "opacity": 0.12}, "encoding": over})
    if marked:
        rule = {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 1.5}
        at = {"x": x, "color": colour, "tooltip": told}
        layers.append({"data": {"values": marked}, "mark": rule, "encoding": at})
    for left in (False, True):
        if some := [one for one in marked if one["left"] is left]:
            side = {"align": "right", "dx": -4} if left else {"align": "left", "dx": 4}
            where: Layer = {"x": x, "y": {"field": "row", "type": "quantitative", "scale": None}, "tooltip": told}
            named = {**where, "text": {"field": "name"}, "color": {**colour, "field": "ink"}}
            layers.append(
                {
                    "data": {"values": some},
                    "mark": {"type": "text", "baseline": "top", "fontSize": 12, **side},
                    "encoding": named,
                }
            )
    return layers


def _days(periods: pd.Series[Any], among: Sequence[Marker]) -> dict[str, Any]:
    days = drawn.days_of_axis(periods, among)
    ends = [f"{one.isoformat()}Z" for one in days or ()]  # Numbers would not be taken for moments here.
    return {"type": "utc", **({"domain": ends} if ends else {})}


def _along(colours: Mapping[str, str], periods: pd.Series[Any], grain: str) -> dict[str, Any]:
    long = not periods.empty and (periods.max() - periods.min()).days > YEAR
    form = "%b %Y" if grain == "month" or long else "%-d %b"
    labels: Layer = {"labelColor": colours["faint"], "labelOverlap": True, "labelFlush": False, "format": form}
    return {"title": None, "grid": False, "tickCount": 8, **labels}


def _upward(colours: Mapping[str, str]) -> dict[str, Any]:
    return {"title": None, "labelColor": colours["faint"], "tickCount": 6, "domain": False, "ticks": False}


def _ms(moment: dt.datetime) -> float:
    """Milliseconds from 1970 to a moment in UTC without a zone."""
    return (moment - dt.datetime(1970, 1, 1)) / dt.timedelta(milliseconds=1)
