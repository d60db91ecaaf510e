"""The marks on a chart over time in words below it: a legend line, and a link to each incident and release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from workbench.tickets.markers import Marker
from workbench.ui import nav, show

SHOWN = 6
"""So many links stand below a chart; the others are under a fold."""


def below(drawn: Sequence[Marker]) -> None:
    """What the marks mean, and where they lead, the newest first; nothing where nothing is marked."""
    if not drawn:
        return
    kinds = {one.kind for one in drawn}
    words = []
    if "incident" in kinds:
        words.append("▲ and a shade: an incident, from its first sign to its last")
    if "release" in kinds:
        words.append("dotted line with a flow's name, or ◆: a release went live")
    st.caption("; ".join(words) + ". Point at a name to read more.")
    newest = list(reversed(drawn))
    with st.container(horizontal=True, key="chart-marks"):
        _links(newest[:SHOWN])
    if len(newest) > SHOWN:
        with st.expander(f"{len(newest) - SHOWN} more on this chart"), st.container(horizontal=True):
            _links(newest[SHOWN:])


def _links(some: Sequence[Marker]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in some:
        address, parameters = target(one)
        label = f"{one.label}, {one.at:%-d %b}"
        if address and (label, one.thing) not in seen:
            seen.add((label, one.thing))
            nav.link(address, show.plain(label), dict(parameters))


def target(one: Marker) -> tuple[str, Mapping[str, str]]:
    """The page that a mark leads to, and its state there; an empty page where there is none."""
    if one.kind == "incident":
        return ("signals", {"incident": one.thing}) if one.thing else ("", {})
    flow, _, version = one.thing.partition("@")
    return ("releases", {"flow": flow, "release": version}) if flow else ("", {})
