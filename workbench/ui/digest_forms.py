"""Sending briefs: every week or every day, to whom, with a look at the message first; and one at once."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import streamlit as st

from workbench import jobs, store
from workbench.access import Actor, may
from workbench.operations import digest, notices, routes
from workbench.operations.digest import Plan
from workbench.tickets.weeks import Period
from workbench.ui import nav, session, show

TITLES: dict[digest.Every, str] = {"week": "Every week", "day": "Every day"}
RECENT = 5
SENDINGS = "brief-sendings"
"""How often this person has sent a brief: what was ticked for one sending is not for the next."""


@st.fragment
def panel(actor: Actor, period: Period) -> None:
    """What is sent by itself, and a form for whoever may set it. A fragment, so that a choice reckons no brief anew."""
    with st.container(key="brief-send"), st.expander("Send it by itself", icon=":material/schedule_send:"):
        if done := session.get("brief-done"):
            session.forget("brief-done")
            st.success(show.plain(done), icon=":material/check:")
        for every in digest.EVERY:
            _state(actor, digest.plan(every))
        known = [one.name for one in routes.destinations()]
        if not may(actor, "set where notices go"):
            st.caption("Managers set to whom briefs are sent.")
        elif not known:
            st.caption("There is no destination yet: a webhook, a Slack channel or e-mail addresses.")
            nav.link("signals", "Make a destination", {"view": "Where notices go"})
        else:
            _form(actor, known, period)
        _recent()


def _state(actor: Actor, one: Plan) -> None:
    if not one.active:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        when = f"on {digest.WEEKDAYS[one.weekday]} " if one.every == "week" else ""
        text = f"{TITLES[one.every]} {when}at {one.hour:02d}:00 UTC to {', '.join(one.destinations)}; "
        text += f"next {show.when(one.next(store.now()))}; set by {one.set_by}."
        st.markdown(f":material/schedule_send: {show.plain(text)}")
        if may(actor, "set where notices go") and st.button("Stop", key=f"stop-brief-{one.every}"):
            with show.errors():
                digest.turn_off(actor, one.every)
                session.keep("brief-done", f"{TITLES[one.every]}: stopped. Nothing more is sent by itself.")
                st.rerun()


def _form(actor: Actor, known: list[str], period: Period) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        every: digest.Every = st.selectbox(
            "How often", digest.EVERY, key="brief-every", format_func=lambda one: TITLES[one], width=140
        )
        now = digest.plan(every)
        tag = f"{every}-{now.changes}"
        weekday, hour = now.weekday, now.hour
        if every == "week":
            weekday = digest.WEEKDAYS.index(
                st.selectbox("On", digest.WEEKDAYS, weekday, key=f"brief-day-{tag}", width=150)
            )
        hour = st.selectbox(
            "At", range(24), hour, key=f"brief-hour-{tag}", format_func=lambda one: f"{one:02d}:00 UTC", width=130
        )
        names = st.multiselect(
            "To", known, [one for one in now.destinations if one in known], key=f"brief-to-{tag}", width=300
        )
    wanted = replace(now, weekday=weekday, hour=hour, destinations=tuple(names))
    about = wanted.period(wanted.due(store.now()))
    st.caption(show.plain(f"At {hour:02d}:00 UTC it is {_here(hour)} where you are. It is about the {every} before."))
    _buttons(actor, wanted, about, period)


def _buttons(actor: Actor, wanted: Plan, about: Period, period: Period) -> None:
    seen = session.get("brief-previewed") == (wanted.every, wanted.destinations)
    names = list(wanted.destinations)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Preview", key="brief-preview", icon=":material/visibility:", disabled=not names):
            session.keep("brief-previewed", (wanted.every, wanted.destinations))
            st.rerun()
        if st.button(
            "Turn on", key="brief-on", type="primary", disabled=not seen,
            help=None if seen else "Choose to whom, and look at the preview first.",
        ):  # fmt: skip
            with show.errors():
                digest.turn_on(actor, wanted)
                session.keep("brief-done", f"{TITLES[wanted.every]}: on.")
                st.rerun()
        again = st.checkbox(
            "Send it again",
            key=f"brief-again-{session.get(SENDINGS, 0)}",
            help="Also to those who got this brief already.",
        )
        if st.button("Send now", key="brief-now", icon=":material/send:", disabled=not names):
            with show.errors():
                if job_id := digest.send_now(actor, period, names, again=again):
                    jobs.start(job_id)
                session.keep(SENDINGS, session.get(SENDINGS, 0) + 1)
                session.keep("brief-done", f"The brief of {period.said} is on its way to {', '.join(names)}.")
                st.rerun()
    if seen:
        with show.errors():
            _previewed(about, names)


def _previewed(about: Period, names: list[str]) -> None:
    """What would be said, as a person reads it; as it is sent, under a fold."""
    made = digest.message(about)
    st.markdown(f"**{show.plain(made.subject)}** would go to {show.plain(', '.join(names))}:")
    st.code(made.text, language=None, wrap_lines=True, height=260)
    with st.expander("Exactly as each destination gets it"):
        for name, body in digest.preview(about, names):
            st.markdown(f"**{show.plain(name)}**")
            st.code(body, language=None, wrap_lines=True, height=200)


def _recent() -> None:
    found = digest.sent(RECENT)
    if not found:
        return
    st.markdown("**Sent lately**")
    for one in found:
        name = one.incident.removeprefix(notices.BRIEF + "-")
        moment = show.when(one.sent_at or one.made_at)
        st.caption(show.plain(f"{name} to {one.destination}: {one.state}, {moment}. {one.result}"))
    nav.link("signals", "Everything that was sent", {"view": "What was sent"})


def _here(hour: int) -> str:
    moment = dt.datetime.now(dt.UTC).replace(hour=hour, minute=0)
    return f"{moment.astimezone(show.zone()):%H:%M}"
