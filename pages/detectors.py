"""Detectors: what is watched, what each would have told in the past, and which are live."""

import streamlit as st

from workbench.errors import NotFound
from workbench.tickets import detectors
from workbench.ui import detector_forms as forms
from workbench.ui import nav, session, show, trends

actor = session.actor()
place = nav.place("detectors")
show.head(place.title, place.purpose)

with show.errors():
    try:
        facets = forms.facets()
    except NotFound:
        trends.no_tickets("Load tickets first; a detector then watches them and tells when something is unusual.")
        st.stop()
    listed = detectors.detectors()
    if not listed:
        show.empty(
            "No detector yet", "Set one up below; the picture shows at once what it would have told.", icon="sensors"
        )
    stored = forms.choose(listed)
    base, key = (stored.spec, f"{stored.name}-{stored.number}") if stored else forms.template(listed)
    left, right = st.container(key="split").columns([3, 7], gap="large")
    with left:
        spec = forms.knobs(base, key, facets)
    with right:
        st.markdown(show.plain(detectors.words(spec)))
        above = st.container()
        known, named = forms.labels(key)
        with above:
            forms.actions(actor, spec, stored, known, named)
            forms.tiles(detectors.figures(spec, known))
            forms.picture(spec, detectors.judge(spec), key)
        if stored:
            forms.kept_tests(stored)
        forms.written(spec)
    if listed:
        st.subheader("All detectors", anchor=False)
        forms.overview(listed)
    nav.link("signals", "What they found")
