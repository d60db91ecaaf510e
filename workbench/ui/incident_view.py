"""The parts of the Signals page: the list, one incident with its chart, tickets and story, and what people do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from workbench import tickets
from workbench.access import Actor
from workbench.datasets import labelling
from workbench.errors import NotFound
from workbench.operations import notices, routes
from workbench.tickets import detectors, metrics, signals
from workbench.tickets.columns import DIMENSIONS
from workbench.tickets.figures import counted
from workbench.tickets.signals import Incident
from workbench.ui import chain_links, nav, session, show
from workbench.ui.charts import detectors as charts

AROUND = dt.timedelta(days=21)
LISTED = 50
ENOUGH = 10
FILTERED = ("topic", "channel", "vendor")
"""Dimensions that the Trends page filters by."""
ICONS = {
    "open": "error",
    "acknowledged": "engineering",
    "fixed": "check_circle",
    "not an incident": "do_not_disturb_on",
}
COLOURS = {"critical": "red", "high": "orange", "medium": "blue", "low": "gray"}


def listing(found: Sequence[Incident]) -> str | None:
    """All incidents, those at work first; the chosen one's id."""
    frame = pd.DataFrame(
        [
            {
                "state": one.state,
                "incident": one.title,
                "what": str(one.evidence.get("say", "")),
                "severity": one.severity,
                "area": one.area or "—",
                "owner": one.owner or "nobody yet",
                "since": one.started_at,
                "last seen": one.last_seen,
                "reopened": one.reopened,
            }
            for one in found
        ]
    )
    titles = {one.id: f"{one.title} · {one.state} · {one.started_at:%-d %b %Y}" for one in found}
    fresh = "-".join(f"{one.changes}" for one in found)
    chosen = session.pick("Incident", "incident", titles, thing="incident", fresh=fresh)
    with st.expander(f"All incidents: {len(found)}", icon=":material/list:"):
        show.table(
            frame,
            key="incidents-table",
            column_config={
                "what": st.column_config.TextColumn("what", width="large"),
                "since": show.moments("Since"),
                "last seen": show.moments("Last seen"),
            },
        )
    return chosen


def speed(found: Sequence[Incident]) -> None:
    """How long telling, taking on and mending took, in hours: half of them, and nine of ten."""
    watched = [one for one in found if one.detector]
    steps = {
        "sent": ("Found to told", "hours from a detector's finding until somebody was sent a notice"),
        "acknowledged": (
            "Told to taken on",
            "hours from the notice, or from the finding where nobody was told, until somebody acknowledged",
        ),
        "fixed": ("Found to fixed", "hours from a detector's finding until somebody said it was fixed"),
    }
    with st.container(horizontal=True):
        at_work = sum(one.at_work for one in found)
        st.metric(
            "At work",
            f"{at_work}",
            f"of {len(found)} in all",
            delta_color="off",
            delta_arrow="off",
            border=True,
            width=190,
        )
        for step, (title, meaning) in steps.items():
            took = signals.times(step, watched)
            st.metric(
                title,
                _hours(took.middle),
                _spread(took),
                delta_color="off",
                delta_arrow="off",
                help=meaning.capitalize() + ".",
                border=True,
                width=210,
            )


def _spread(took: signals.Times) -> str:
    """How far the slow ones lie from the middle, where there are enough to tell; else how many there are."""
    if not took.count:
        return "none yet"
    return f"9 of 10 within {_hours(took.most)}" if took.count >= ENOUGH else f"of {counted(took.count, 'incident')}"


def one(actor: Actor, found: Incident) -> None:
    """One incident: what it is, its chart, tickets and words, its story, and what to do about it."""
    icon, colour = ICONS[found.state], COLOURS.get(found.severity, "gray")
    st.subheader(f":material/{icon}: {show.plain(found.title)}", anchor=False)
    st.markdown(f":{colour}-badge[{show.plain(found.severity)}] {show.plain(str(found.evidence.get('say', '')))}")
    st.caption(show.plain(_facts(found)))
    chain_links.mended_with(found)
    buttons(actor, found)
    left, right = st.container(key="split").columns([3, 2], gap="large")
    with left:
        chart(found)
        quotes(found)
        behind(actor, found)
    with right:
        story(found)
        told(found)


def buttons(actor: Actor, found: Incident) -> None:
    """Acknowledge, assign, note, fixed, not an incident, reopen."""
    identity, changes = found.id, found.changes
    with st.container(horizontal=True, vertical_alignment="center"):
        if found.state == signals.OPEN and st.button(
            "Acknowledge", type="primary", key="acknowledge", icon=":material/front_hand:", help="You take it on."
        ):
            _do(lambda: signals.acknowledge(actor, identity, changes=changes))
        if found.at_work:
            _assign(actor, found)
            _fixed(actor, found)
            _dismiss(actor, found)
        elif found.detector and st.button("Reopen", key="reopen", icon=":material/undo:"):
            _do(lambda: signals.reopen(actor, identity, changes=changes))
        _note(actor, found)


def _assign(actor: Actor, found: Incident) -> None:
    with st.popover("Assign", icon=":material/person_add:"):
        owner = st.text_input("To whom", key=f"owner-{found.id}")
        if st.button("Assign", key="assign", type="primary"):
            _do(lambda: signals.assign(actor, found.id, owner, changes=found.changes))


def _fixed(actor: Actor, found: Incident) -> None:
    with st.popover("Fixed", icon=":material/check_circle:"):
        other = "something else"
        with_what = st.selectbox("Mended with", [*signals.mended_with()[:20], other], key=f"mended-{found.id}")
        text = st.text_input("What mended it", key=f"how-{found.id}") if with_what == other else with_what
        if st.button("It is fixed", key="fix", type="primary"):
            _do(lambda: signals.fix(actor, found.id, text, changes=found.changes))


def _dismiss(actor: Actor, found: Incident) -> None:
    with st.popover("Not an incident", icon=":material/do_not_disturb_on:"):
        st.caption("Backtests count its alarms as false from then on. It can be reopened.")
        why = st.text_input("Why not", key=f"why-{found.id}")
        if st.button("It is none", key="dismiss"):
            _do(lambda: signals.dismiss(actor, found.id, why, changes=found.changes))


def _note(actor: Actor, found: Incident) -> None:
    with st.popover("Note", icon=":material/edit_note:"):
        text = st.text_area("Note", key=f"note-{found.id}-{len(signals.story(found.id))}", label_visibility="collapsed")
        if st.button("Write it down", key="note", type="primary"):
            _do(lambda: signals.note(actor, found.id, text))


def chart(found: Incident) -> None:
    """The metric around the incident, with what is usual."""
    if not found.detector:
        st.caption("Somebody wrote this incident down, so there is no detector's chart.")
        _trends(found)
        return
    try:
        spec = detectors.version(found.detector, found.number)
        judged = detectors.judge(spec)
    except NotFound as gone:
        st.info(show.plain(str(gone)), icon=":material/info:")
        return
    if found.label in judged.history.groups:
        st.plotly_chart(
            charts.figure(spec, judged, found.label, found.started_at - AROUND, found.last_seen + AROUND / 3),
            key=f"incident-chart-{found.id}",
            config={"displayModeBar": False},
            alt=f"{found.title}: the metric around the incident, and what is usual",
        )
    else:
        st.caption("The tickets it was found in are not loaded any more.")
    with st.container(horizontal=True):
        _trends(found)
        nav.link("detectors", "The detector", {"detector": found.detector})


def quotes(found: Incident) -> None:
    """What customers wrote, masked."""
    said = list(found.evidence.get("quotes", ()))
    if said:
        st.markdown("**What customers write**")
        for one in said:
            chain_links.quoted(one["ticket"], one["text"])


def behind(actor: Actor, found: Incident) -> None:
    """The tickets, their runs, and a labelling queue filled from them."""
    ids = list(found.evidence.get("tickets", ()))
    if ids:
        _tickets(found, ids)
    chain_links.of_incident(found)
    if signals.answered(found, limit=1):
        _queue(actor, found)


def _tickets(found: Incident, ids: list[str]) -> None:
    st.markdown(f"**Tickets behind it: {len(ids)}**")
    where = {name: values for name, values in found.conditions.items() if name in DIMENSIONS}
    filters = tickets.Filters(found.started_at.date(), found.last_seen.date(), where)
    frame = tickets.tickets(filters, limit=10_000)
    frame = frame[frame["ticket_id"].isin(ids)].head(LISTED)
    frame["ticket"] = [f"/ticket?ticket={quote(str(one), safe='')}" for one in frame["ticket_id"]]
    frame["run"] = [f"/runs?run={run}" if isinstance(run, str) and run else None for run in frame["run_id"]]
    shown = ["ticket", "ticket_id", "created_at", "subject", "topic", "vendor", "status", "run"]
    filled = frame[shown].dropna(axis="columns", how="all")
    named = {
        "ticket": st.column_config.LinkColumn(display_text="read", width=60),
        "ticket_id": "Id",
        "created_at": st.column_config.DatetimeColumn("Created (UTC)", format="D MMM, HH:mm"),
        "subject": st.column_config.TextColumn(width="medium"),
        "run": st.column_config.LinkColumn(display_text="open"),
    }
    st.dataframe(
        filled,
        hide_index=True,
        height=38 + 35 * min(len(frame), 10),
        key=f"incident-tickets-{found.id}",
        column_config=show.headings(filled.columns, named),
    )


def _queue(actor: Actor, found: Incident) -> None:
    queues = [queue.name for queue in labelling.queues()]
    if not queues:
        nav.link("label", "Make a labelling queue for the runs behind it")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        queue = st.selectbox("Labelling queue", queues, key="incident-queue", width=240)
        if st.button("Have the runs behind it labelled", key="to-queue", icon=":material/label:"):
            with show.errors():
                st.success(
                    f"New in the queue: {counted(signals.to_queue(actor, found.id, queue), 'run')}.",
                    icon=":material/check:",
                )
        nav.link("label", "Label them", {"queue": queue})


def story(found: Incident) -> None:
    """From detection to mending, with the hours between."""
    st.markdown("**Story**")
    begin = found.detected_at
    for event in signals.story(found.id):
        after = (event.at - begin).total_seconds() / 3600
        late = f" · {_hours(after)} after" if after >= 0.05 else ""
        who = f" by {event.person}" if event.person else ""
        text = f": {event.text}" if event.text else ""
        st.markdown(f"**{show.plain(event.kind)}**{show.plain(who + text)}  \n:gray[{show.when(event.at)}{late}]")


def told(found: Incident) -> None:
    """Who was told what, and what would be sent now."""
    sent = notices.sent(incident=found.id)
    with st.expander(
        f"Who was told: {sum(one.state == notices.SENT for one in sent)}", icon=":material/outgoing_mail:"
    ):
        for one in sent:
            name = one.destination or "nobody"
            st.markdown(f"**{show.plain(name)}**: {show.plain(one.kind)}, {show.plain(one.state)}")
            st.caption(show.plain(f"{one.result or 'not tried yet'}\n{one.text}"))
        if not sent:
            st.caption("Nobody yet.")
    with st.expander("What would be sent now", icon=":material/visibility:"):
        for name, body in notices.preview(found.id):
            st.markdown(f"**{show.plain(name)}**")
            st.code(body, language=None, wrap_lines=True)
        if not routes.leading(found.area, found.severity):
            st.caption("No route leads anywhere for this area and severity.")


def write_down(actor: Actor) -> None:
    """A form for an incident of the past, for backtests."""
    with st.expander("Write down an incident of the past", icon=":material/edit_calendar:"):
        st.caption("Backtests of detectors count it as known. Nobody is told.")
        with st.form("write-down", border=False, clear_on_submit=True):
            title = st.text_input("Title")
            one, two = st.columns(2)
            start, end = one.date_input("First day"), two.date_input("Last day")
            name = one.selectbox("Where", ["", *FILTERED, "product", "team"], format_func=lambda x: x or "everywhere")
            value = two.text_input("Which", help="Such as the topic's name, as the tickets have it.")
            if st.form_submit_button("Write it down"):
                begin = dt.datetime.combine(start, dt.time(), dt.UTC)
                until = dt.datetime.combine(end, dt.time(), dt.UTC) + dt.timedelta(days=1)
                where = {name: value.strip()} if name and value.strip() else {}
                _do(lambda: _open(signals.record(actor, title, start=begin, end=until, where=where)))


def _open(made: Incident) -> None:
    """Show an incident on this page."""
    session.point("incident", made.id)


def _trends(found: Incident) -> None:
    state = {"period": "All" if found.last_seen < tickets.freshness().last - dt.timedelta(days=80) else "90 days"}
    around = AROUND - dt.timedelta(days=7)
    state |= {"from": f"{found.started_at - around:%Y-%m-%d}", "to": f"{found.last_seen + around:%Y-%m-%d}"}
    if found.metric in metrics.METRICS:
        state["metric"] = metrics.get(found.metric).title
    for name in FILTERED:
        if len(values := found.conditions.get(name, ())) == 1:
            state[name] = values[0]
    nav.link("trends", "On the trend page, with its filter", state)


def _facts(found: Incident) -> str:
    facts = [
        found.state,
        f"area {found.area}" if found.area else "no area",
        f"owner {found.owner}" if found.owner else "nobody has it yet",
        f"since {show.when(found.started_at)}",
        f"last seen {show.when(found.last_seen)}",
    ]
    if found.signals:
        facts.append("1 window out of the usual" if found.signals == 1 else f"{found.signals} windows out of the usual")
    if found.reopened:
        facts.append("came back once" if found.reopened == 1 else f"came back {found.reopened} times")
    if found.fix:
        facts.append(f"mended with {found.fix}")
    return " · ".join(facts)


def _do(what: Callable[[], Any]) -> None:
    with show.errors():
        what()
        st.rerun()


def _hours(value: float | None) -> str:
    if value is None:
        return "—"
    if value < 1:
        return f"{value * 60:.0f} min"
    return f"{value:.1f} h" if value < 48 else f"{value / 24:.1f} days"
