"""Signals: what is out of the usual, who has it, what was done, and who was told."""

import streamlit as st

from workbench.errors import NotFound
from workbench.tickets import detectors, signals
from workbench.ui import incident_view, nav, route_forms, session, show

VIEWS = ("Incidents", "Where notices go", "What was sent")

actor = session.actor()
place = nav.place("signals")
show.head(place.title, place.purpose)

with show.errors():
    view = st.segmented_control(
        "Shown", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    if view == VIEWS[1]:
        route_forms.panel(actor)
    elif view == VIEWS[2]:
        route_forms.failed(actor)
        route_forms.sent()
    else:
        found = signals.incidents()
        if not found:
            if session.missing("incident", []):
                session.not_there("incident", st.query_params["incident"])
            live = any(one.live for one in detectors.detectors())
            show.empty(
                "Nothing is out of the usual" if live else "Nothing is watched yet",
                "Live detectors look at new tickets every few minutes."
                if live
                else "Set up a detector and let it go live.",
                icon="done_all",
            )
            nav.link("detectors", "Detectors")
        else:
            incident_view.speed(found)
            chosen = incident_view.listing(found)
            if chosen:
                try:
                    incident_view.one(actor, signals.incident(chosen))
                except NotFound as gone:
                    show.failure(gone)
        incident_view.write_down(actor)
