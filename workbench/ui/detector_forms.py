"""The parts of the Detectors page: the knobs, the picture of what would have fired, the figures, and going live."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench import tickets
from workbench.access import Actor
from workbench.tickets import detectors, firing, history, known, metrics, signals, topics
from workbench.tickets.columns import DIMENSIONS, title
from workbench.tickets.defaults import DEFAULTS, of_topic
from workbench.tickets.detectors import Detector, Judged, Stored
from workbench.tickets.firing import Figures, Known
from workbench.ui import session, show
from workbench.ui.charts import detectors as charts

STEPS = (1, 2, 3, 4, 6, 8, 12, 24)
SPANS = {"4 weeks": 28, "13 weeks": 91, "1 year": 365, "All": 36_500}
TOPIC = "of-topic"
"""The topic, by its number, for which a link begins a new detector."""
WAYS = {"up": "high", "down": "low", "both": "high or low"}


def choose(listed: list[Stored]) -> Stored | None:
    """Choose a detector, or begin a new one (None); the choice is in the address."""
    titles = {one.name: f"{one.name} · {state(one)}" for one in listed}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        left, right = st.container(), st.container(width="content")
    with right:
        if listed and st.button("New detector", icon=":material/add:", key="new-detector"):
            _begin_new()
    with left:
        if session.get("detector-new") or session.asked(TOPIC) or not listed:
            if listed and st.button("Back to the list", icon=":material/arrow_back:", key="detector-back"):
                session.forget("detector-new")
                session.unpoint(TOPIC)
                st.rerun()
            return None
        fresh = "-".join(f"{one.changes}" for one in listed)
        name = session.pick("Detector", "detector", titles, thing="detector", fresh=fresh)
    if name is None:
        st.stop()
    return next(one for one in listed if one.name == name)


def _begin_new() -> None:
    session.keep("detector-new", True)
    session.unpoint(TOPIC)
    st.rerun()


def template(listed: list[Stored]) -> tuple[Detector, str]:
    """What a new detector begins from, and the key of its form: for the topic that the address names, or as chosen."""
    if (number := session.asked(TOPIC)).isdecimal():
        topic = topics.topic(int(number))
        return of_topic(topic.name, below=topic.parent is not None), f"new-topic-{topic.number}"
    names = list(DEFAULTS)
    name = st.segmented_control("Begin from", names, default=names[0], key="detector-template", required=True)
    base = DEFAULTS[name]
    if name in {one.name for one in listed}:
        base = base.model_copy(update={"detector": f"{name} 2"})
    return base, f"new-{name.replace(' ', '-')}"


def state(one: Stored) -> str:
    """Whether it is live, in words."""
    if one.live is None:
        return "not live"
    return "live" if one.live == one.number else f"live as version {one.live}, version {one.number} is not"


def overview(listed: list[Stored]) -> None:
    """All detectors in a table."""
    rows = [
        {
            "detector": one.name,
            "state": state(one),
            "looks at": metrics.get(one.spec.metric).title,
            "for each": (one.spec.by or "—").replace("_", " "),
            "severity": one.spec.severity,
            "area": one.spec.area or "—",
            "owner": one.spec.owner or "—",
            "saved by": one.saved_by,
        }
        for one in listed
    ]
    show.table(pd.DataFrame(rows), key="detectors-table")


def knobs(base: Detector, key: str, facets: dict[str, list[str]]) -> Detector:
    """The form of a detector; every change is seen at once. Raises Invalid where it does not fit together."""
    body: dict[str, Any] = base.model_dump(mode="json")
    body["where"] = topics.followed(body["where"])
    _measured(body, key, facets)
    _usual(body, key)
    _told(body, key)
    return detectors.parse(body)


def _measured(body: dict[str, Any], key: str, facets: dict[str, list[str]]) -> None:
    with st.container(border=True):
        st.markdown("**What it looks at**")
        if key.startswith("new"):
            body["detector"] = st.text_input("Name", body["detector"], key=f"{key}-name")
        one, two = _pair()
        titles = {name: metric.title for name, metric in metrics.METRICS.items()}
        body["metric"] = one.selectbox(
            "Metric",
            list(titles),
            _index(titles, body["metric"]),
            format_func=lambda name: titles[name],
            key=f"{key}-metric",
        )
        named = ["", *(name for name in DIMENSIONS if facets.get(name))]
        body["by"] = (
            two.selectbox(
                "For each",
                named,
                _index(named, body["by"] or ""),
                key=f"{key}-by",
                format_func=lambda name: name.replace("_", " ") or "all together",
            )
            or None
        )
        one, two = _pair()
        narrowed = one.selectbox(
            "Only tickets with", named, key=f"{key}-only", format_func=_or_all, index=_first(body, named)
        )
        if narrowed:
            known_values = facets.get(narrowed, [])
            chosen = [value for value in body["where"].get(narrowed, ()) if value in known_values]
            values = two.multiselect("Values", known_values, chosen, key=f"{key}-values-{narrowed}", placeholder="Any")
            body["where"] = {narrowed: tuple(values)} if values else {}
        else:
            body["where"] = {}
        one, two = _pair()
        body["window"] = one.number_input("Hours in the window", 1, 336, body["window"], key=f"{key}-window")
        body["slide"] = two.selectbox(
            "Looks every (hours)",
            STEPS,
            STEPS.index(body["slide"]) if body["slide"] in STEPS else 0,
            key=f"{key}-slide",
        )
        body["event"] = st.selectbox(
            "A ticket counts",
            list(detectors.EVENTS),
            list(detectors.EVENTS).index(body["event"]),
            key=f"{key}-event",
            format_func=lambda name: detectors.EVENTS[name],
            help="Answer times are known when the answer comes, ratings when the ticket is resolved.",
        )


def _usual(body: dict[str, Any], key: str) -> None:
    with st.container(border=True):
        st.markdown("**When it tells**")
        ways = list(WAYS)
        body["direction"] = st.segmented_control(
            "Tells when it is unusually",
            ways,
            default=body["direction"],
            format_func=lambda way: WAYS[way],
            key=f"{key}-way",
            required=True,
        )
        body["threshold"] = st.slider(
            "Times the usual ups and downs",
            2.0,
            12.0,
            min(12.0, float(body["threshold"])),
            0.1,
            key=f"{key}-threshold",
            help="Higher: fewer alarms, later. Lower: more alarms, sooner, more of them false.",
        )
        one, two = _pair()
        body["minimum"] = one.number_input(
            "At least so many tickets", 1, 100_000, body["minimum"], key=f"{key}-minimum"
        )
        body["change"] = two.number_input(
            "At least so far off (%)", 0.0, 1000.0, float(body["change"]), 5.0, key=f"{key}-change"
        )
        one, two = _pair()
        body["weeks"] = one.number_input("Weeks that tell what is usual", 4, 26, body["weeks"], key=f"{key}-weeks")
        body["cooldown"] = two.number_input(
            "Hours until it is a new alarm", 1, 2000, body["cooldown"], key=f"{key}-cooldown"
        )


def _told(body: dict[str, Any], key: str) -> None:
    with st.expander("Who is told, holidays, late tickets", icon=":material/tune:"):
        one, two = _pair()
        body["severity"] = one.selectbox(
            "Severity", detectors.SEVERITIES, detectors.SEVERITIES.index(body["severity"]), key=f"{key}-severity"
        )
        body["area"] = two.text_input(
            "Area", body["area"], key=f"{key}-area", help="Routes send an area to its people."
        )
        one, two = _pair()
        body["owner"] = one.text_input("Owner", body["owner"], key=f"{key}-owner")
        body["escalate"] = two.number_input(
            "Tell again after (hours)", 0, 2000, body["escalate"], key=f"{key}-escalate"
        )
        one, two = _pair()
        body["lateness"] = one.number_input(
            "Late tickets count for (hours)", 0, 336, body["lateness"], key=f"{key}-lateness",
            help="For so long after its end, a window is looked at again when late tickets come.",
        )  # fmt: skip
        body["no_data"] = two.number_input(
            "Tell when no ticket comes for (hours, 0 is never)", 0, 2000, body["no_data"], key=f"{key}-silence"
        )
        days = st.text_input(
            "Holidays",
            ", ".join(body["holidays"]),
            key=f"{key}-holidays",
            help="12-25 is every year; 2026-04-03 is one day.",
        )
        body["holidays"] = tuple(day.strip() for day in days.split(",") if day.strip())
        body["key"] = st.text_input(
            "Same alarm when this is the same",
            body["key"],
            key=f"{key}-key",
            help="In braces: detector, group, metric, area.",
        )
        body["purpose"] = st.text_input("What it is for", body["purpose"], key=f"{key}-purpose")


def labels(key: str) -> tuple[list[Known], str]:
    """The incidents that the detector is compared with: the workbench's own, or those of a file; and what they are called."""
    with st.expander("Known incidents to compare with", icon=":material/fact_check:"):
        given = st.file_uploader(
            "From a file", "csv", key=f"{key}-labels", help="Columns: title, start, end, and dimensions such as topic."
        )
        found, name = (
            (known.read(given.getvalue().decode("utf-8", "replace"), given.name), given.name)
            if given
            else (signals.known(), "the workbench's incidents")
        )
        rows = [
            {
                "title": one.title,
                "from": one.start,
                "to": one.end,
                "where": ", ".join(one.where.values()) or "everywhere",
            }
            for one in found
        ]
        if rows:
            show.table(
                pd.DataFrame(rows),
                key=f"{key}-known",
                column_config={"from": show.moments("From"), "to": show.moments("To")},
            )
        else:
            st.caption(
                "None yet. Acknowledge real incidents on the Signals page, write down old ones there, or give a file."
            )
    return found, name


def tiles(found: Figures) -> None:
    """How it would have done, for people without statistics."""
    with st.container(horizontal=True):
        _tile("Would have told", _times(found.firings), f"{found.a_week:.2f} a week")
        if not found.known:
            st.caption("No known incident to compare with: see below how to name some.")
            return
        _tile("Known incidents found", f"{found.found} of {found.known}", f"{_share(found.recall)} of them")
        _tile("Alarms that were right", f"{found.right} of {found.firings}", f"{_share(found.precision)} of them")
        _tile("False alarms", f"{found.false_a_month:.1f} a month", "met no known one")
        late = "—" if found.delay is None else f"{found.delay:.0f} hours"
        _tile("Told after", late, "half of them sooner")


def picture(spec: Detector, judged: Judged, key: str) -> None:
    """The metric of one group, what is usual, and where it would have told."""
    if not len(judged.history.ends):
        st.info("The tickets span less than one window.", icon=":material/info:")
        return
    told = Counter(one.group for one in judged.episodes)
    newest = {one.group: one.first for one in judged.episodes}
    groups = sorted(judged.history.groups, key=lambda group: newest.get(group, firing.ORIGIN), reverse=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if spec.by:
            group = st.selectbox(
                title(spec.by), groups, key=f"{key}-shown-{spec.by}", width=300,
                format_func=lambda name: f"{name} (told {_times(told[name])})",
            )  # fmt: skip
        else:
            group = groups[0]
        span = st.segmented_control("Shown", list(SPANS), default="13 weeks", key=f"{key}-span", required=True)
    until = firing.moment(int(judged.history.ends[-1]))
    since = until - dt.timedelta(days=SPANS[span])
    st.plotly_chart(
        charts.figure(spec, judged, group, since, until),
        key=f"{key}-chart",
        config={"displayModeBar": False},
        alt=f"{metrics.get(spec.metric).title} of {group}, what is usual, and where {spec.detector} would have told",
    )
    firings(spec, judged, key)


def firings(spec: Detector, judged: Judged, key: str) -> None:
    """Every alarm there would have been, newest first."""
    rows = [
        {
            "when": one.first,
            "group": one.group,
            "why": detectors.usually(spec.metric, one.value, one.expected, spec.window),
            "until": one.last,
            "times the usual ups and downs": abs(one.peak),
        }
        for one in reversed(judged.episodes)
    ]
    if not rows:
        st.caption("It would have told nothing in all of the history.")
        return
    with st.expander(f"Every alarm it would have given: {len(rows)}", icon=":material/list:"):
        show.table(
            pd.DataFrame(rows),
            key=f"{key}-firings",
            column_config={
                "when": show.moments("First told"),
                "until": show.moments("Last out of the usual"),
                "times the usual ups and downs": st.column_config.NumberColumn(format="%.1f"),
            },
        )


def actions(actor: Actor, spec: Detector, stored: Stored | None, found: list[Known], named: str) -> None:
    """Save, backtest, go live, pause; each says what it does."""
    changed = stored is None or spec != stored.spec
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save", type="primary", disabled=not changed, key="save-detector", icon=":material/save:"):
            _do(lambda: _save(actor, spec, stored), "Saved as a new version.")
        if stored is None:
            return
        if st.button("Backtest this version", disabled=changed, key="backtest-detector", icon=":material/history:"):
            _do(lambda: detectors.backtest(actor, stored.name, found, labels=named), "The backtest is kept.")
        tested = bool(detectors.tests(stored.name, stored.number))
        ready = not changed and tested and stored.live != stored.number
        if st.button("Go live", disabled=not ready, key="go-live", icon=":material/notifications_active:"):
            _do(
                lambda: detectors.go_live(actor, stored.name, changes=stored.changes),
                "It is live and watches new tickets.",
            )
        if stored.live is not None and st.button("Pause", key="pause-detector", icon=":material/pause:"):
            _do(lambda: detectors.pause(actor, stored.name, changes=stored.changes), "It watches no more.")
        st.caption(_next(stored, changed, tested))
    if said := session.get("detector-said"):
        st.success(show.plain(said), icon=":material/check:")
        session.forget("detector-said")


def kept_tests(stored: Stored) -> None:
    """The kept backtests, newest first."""
    rows = [
        {
            "version": one.number,
            "when": one.run_at,
            "against": one.labels,
            "alarms": one.figures["firings"],
            "a week": one.figures["a_week"],
            "false a month": one.figures["false_a_month"],
            "found": f"{one.figures['found']} of {one.figures['known']}",
            "hours until told": one.figures["delay"],
            "by": one.run_by,
        }
        for one in detectors.tests(stored.name)
    ]
    if rows:
        with st.expander(f"Backtests: {len(rows)}", icon=":material/history:"):
            two = st.column_config.NumberColumn(format="%.2f")
            show.table(
                pd.DataFrame(rows),
                key="detector-tests",
                column_config={"when": show.moments("When"), "a week": two, "false a month": two},
            )


def written(spec: Detector) -> None:
    """The detector as YAML, to be kept or carried to another workbench."""
    with st.expander("As YAML", icon=":material/code:"):
        st.code(detectors.dump(spec), language="yaml")
        st.download_button(
            "Download", detectors.dump(spec), f"{spec.detector}.yaml", icon=":material/download:", on_click="ignore"
        )


def facets() -> dict[str, list[str]]:
    """The values of each dimension. Raises NotFound without tickets."""
    history.newest()
    return tickets.facets()


def _pair() -> Sequence[Any]:
    """Two fields side by side, level where the name of one takes two lines."""
    return st.columns(2, vertical_alignment="bottom")


def _save(actor: Actor, spec: Detector, stored: Stored | None) -> None:
    made = detectors.save(actor, spec, changes=stored.changes if stored else None)
    session.forget("detector-new")
    session.unpoint(TOPIC)
    session.point("detector", made.name)


def _do(what: Any, said: str) -> None:
    with show.errors():
        what()
        session.keep("detector-said", said)
        st.rerun()


def _next(stored: Stored, changed: bool, tested: bool) -> str:
    if changed:
        return "Changed: what you see is what it would do; save it to keep it."
    if not tested:
        return f"Version {stored.number} can go live after a backtest."
    if stored.live == stored.number:
        return f"Version {stored.number} is live."
    return f"Version {stored.number} is backtested and can go live."


def _tile(label: str, value: str, below: str) -> None:
    st.metric(label, value, below, delta_color="off", delta_arrow="off", border=True, width=168)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _share(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.0f} %"


def _index(options: Any, value: str) -> int:
    listed = list(options)
    return listed.index(value) if value in listed else 0


def _first(body: dict[str, Any], named: list[str]) -> int:
    return _index(named, next(iter(body["where"]), ""))


def _or_all(name: str) -> str:
    return name.replace("_", " ") or "any value"
