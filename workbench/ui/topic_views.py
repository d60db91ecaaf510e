"""The parts of the topics page: the picture, the table, one topic with its examples and trend, proposals, changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench import access, jobs, tickets
from workbench.access import Actor
from workbench.errors import NotFound
from workbench.tickets import discover, topic_figures, topics, trends
from workbench.tickets.figures import counted
from workbench.tickets.metrics import get
from workbench.tickets.topics import Topic
from workbench.ui import charts, nav, progress, session, show
from workbench.ui import trends as parts
from workbench.ui.charts import topics as drawn
from workbench.ui.charts import trends as lines

PERIODS = {"30 days": 30, "90 days": 90, "12 months": 365, "All": None}
SHOWN = 20
CLICKS = "topics-clicks"
JOB = "topics-job"
WATCH = "topics-watch"
SEEN = "topics-last-change-seen"
"""The change that the person saw as the last one: what a click on undo means, whatever others did since."""


def running(actor: Actor) -> bool:
    """What is being found now, with its progress; what came of the last job started here. Whether one is under way."""
    busy = [one for one in jobs.jobs(5, kinds=(discover.KIND, "enrich tickets")) if not one.ended]
    for one in busy:
        progress.of(actor, one.id, "tickets")
    started = session.get(JOB)
    if started and not busy:
        try:
            one = jobs.job(started)
        except NotFound:
            return False
        if one.state == "done":
            st.success(
                show.plain(f"{one.title}: done, {counted(one.done, 'ticket')} looked at."), icon=":material/check:"
            )
        elif one.ended:
            st.warning(show.plain(f"{one.title}: {one.message or one.state}"), icon=":material/warning:")
    return bool(busy)


def begin(job_id: str) -> None:
    """Hand a job to the worker and show it."""
    jobs.start(job_id)
    session.keep(JOB, job_id)
    st.rerun()


def nothing(actor: Actor, *, busy: bool) -> None:
    """No topics yet: what they are, and the button that finds them."""
    show.empty(
        "No topics yet",
        "Topics are found in the subjects and texts of your tickets, on this machine. You can then rename, merge, split "
        "and move them.",
        icon="topic",
    )
    if not busy:
        find(actor, "Find topics")


def find(actor: Actor, label: str) -> None:
    """The button that finds topics, with how many there shall be."""
    if not access.may(actor, "edit topics"):
        st.info("To find topics, act as manager or architect, or ask one.", icon=":material/lock:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        own = st.number_input(
            "How many topics", 2, 100, None, key="topic-count", width=190, placeholder="As the tickets tell",
            help="Leave it empty, and the number that tells the tickets apart best is taken.",
        )  # fmt: skip
        if st.button(label, type="primary", icon=":material/search:", key="find-topics"):
            with show.errors():
                begin(discover.start(actor, int(own) if own else None))


def overview() -> tickets.Filters:
    """The picture and the table of all topics; a click or a row chooses one."""
    period = parts.switch("Period", PERIODS, "90 days", "period")
    filters = trends.last_days(PERIODS[period])
    frame = topic_figures.figures(filters)
    days = trends.window(filters)
    known, number, at = topic_figures.assigned()
    told = f"{known:,} of {number:,} tickets have a topic" + (f", found {show.when(at)}" if at else "")
    st.caption(
        show.plain(f"{days.start:%-d %b %Y} to {days.end:%-d %b %Y}. {told}. The tick on a bar is its share before.")
    )
    with st.container(key="split-topics"):
        left, right = st.columns([4, 6], gap="medium")
    with left:
        shown = frame[frame["topic"] != topic_figures.UNASSIGNED].head(SHOWN)
        event: Any = st.plotly_chart(
            drawn.shares(shown, _chosen_name(), charts.colours()),
            config={"displayModeBar": False},
            key=f"topic-bars-{session.get(CLICKS, 0)}",
            on_select="rerun",
            selection_mode="points",
        )
        if points := event["selection"]["points"]:
            _choose(str(points[0]["customdata"][0]))
        if len(frame) > SHOWN:
            st.caption(f"The {len(shown)} largest; the table has all.")
    with right:
        _table(frame)
    return filters


def _table(frame: pd.DataFrame) -> None:
    """Every topic with its figures, those on too few tickets grey."""
    watched = topic_figures.watched()
    frame["alarm"] = [_alarm(name, watched) for name in frame["topic"]]
    event: Any = st.dataframe(
        frame.style.apply(
            lambda column: [parts.GREY if few is True else "" for few in frame[f"few_{column.name}"].tolist()],
            subset=list(topic_figures.BESIDE),
        ),
        hide_index=True,
        placeholder="",
        height=min(38 + 35 * len(frame), 38 + 35 * SHOWN),
        alt="Topics",
        key=f"topic-table-{session.get(CLICKS, 0)}",
        on_select="rerun",
        selection_mode="single-row",
        column_order=("topic", "tickets", "share", "growth", "alarm", "csat", "resolution", "reopened"),
        column_config={
            "topic": st.column_config.TextColumn("Topic", width="medium"),
            "tickets": st.column_config.NumberColumn("Tickets", format="localized"),
            "share": st.column_config.NumberColumn("Share", format="%.1f %%"),
            "growth": st.column_config.NumberColumn(
                "Growth", format="%+.0f %%", help="Against the equally long period before."
            ),
            "csat": st.column_config.NumberColumn("CSAT", format="%.2f", help=get("csat").told),
            "resolution": st.column_config.NumberColumn("Resolution", format="%,.1f h", help=get("resolution").told),
            "reopened": st.column_config.NumberColumn("Reopened", format="%.1f %%", help=get("reopened").told),
            "alarm": st.column_config.ButtonColumn(
                "Alarm", type="tertiary", width="small", key=WATCH, help="Be told when this topic grows."
            ),
        },
    )
    if clicked := session.get(WATCH):
        _watch(str(frame["topic"].iloc[clicked["row"]]))
    parts.download(frame.drop(columns="alarm"), "topics")
    if rows := event["selection"]["rows"]:
        _choose(str(frame["topic"].iloc[rows[0]]))


def _alarm(name: str, watched: Mapping[str, str]) -> str:
    """The button in a topic's row."""
    if name == topic_figures.UNASSIGNED:
        return ""
    return ":material/notifications_active: Open" if name in watched else ":material/add_alert: Set"


def _watch(name: str) -> None:
    """Go to the detector that watches a topic, or to the form of a new one."""
    detector = topic_figures.watched().get(name)
    found = [one for one in topics.tree() if one.name == name]
    if detector or found:
        state = {"detector": detector} if detector else {"of-topic": str(found[0].number)}
        st.switch_page(nav.place("detectors").path, query_params=state)


def _choose(name: str) -> None:
    found = [one for one in topics.tree() if one.name == name and one.parent is None]
    if found:
        session.keep(CLICKS, session.get(CLICKS, 0) + 1)
        _point(found[0].number)
        st.rerun()


def _point(number: int | None) -> None:
    session.keep("topic-chosen", number)
    if number is None:
        session.unpoint("chosen")
    else:
        session.point("chosen", str(number))


def _chosen() -> Topic | None:
    """The topic that a link names which somebody followed, or the one that was chosen last."""
    asked = session.asked("chosen") if session.arrived() else session.link("chosen")
    if asked.isdecimal():
        session.keep("topic-chosen", int(asked))
    number = session.get("topic-chosen")
    return next((one for one in topics.tree() if one.number == number), None)


def _chosen_name() -> str:
    one = _chosen()
    return one.name if one else ""


def one(actor: Actor, filters: tickets.Filters) -> None:
    """The chosen topic: its words, examples, trend, and the ways to change it."""
    tree = topics.tree()
    titles = topics.titles()
    present = _chosen()
    numbers = list(titles)
    picked = st.selectbox(
        "Topic",
        numbers,
        numbers.index(present.number) if present else None,
        format_func=lambda number: titles[number],
        placeholder="Choose a topic, or click one above",
        key=f"topic-pick-{session.get(CLICKS, 0)}-{present.number if present else 0}",
        width=420,
    )
    if picked is None:
        return
    if present is None or picked != present.number:
        _point(picked)
        st.rerun()
    topic = topics.topic(picked)
    st.subheader(show.plain(titles[picked]), anchor=False)
    merged = [other.name for other in topics.every() if other.into == topic.number]
    st.caption(
        show.plain("Told by: " + ", ".join(topic.terms) + (f". Holds also: {'; '.join(merged)}" if merged else ""))
    )
    with st.container(key="split-topic"):
        left, right = st.columns([3, 2], gap="large")
    with left:
        _trend(topic, filters)
        _links(topic, filters)
    with right:
        _edit(actor, topic, tree)
    _examples(topic)


def _where(topic: Topic) -> dict[str, list[str]]:
    return {"found_topic" if topic.parent is None else "found_subtopic": [topic.name]}


def _trend(topic: Topic, filters: tickets.Filters) -> None:
    narrowed = tickets.Filters(filters.start, filters.end, _where(topic))
    frame = tickets.series("volume", filters=narrowed)
    if not frame.empty:
        grain = trends.grain_for(trends.window(narrowed))
        st.caption(f"Tickets a {grain}; only whole {grain}s.")
        st.plotly_chart(
            lines.series(frame.assign(label=topic.name), get("volume"), grain=grain, height=240),
            config={"displayModeBar": False},
            key=f"topic-trend-{topic.number}",
        )


def _examples(topic: Topic) -> None:
    st.markdown("**Examples**")
    rows = topic_figures.examples(topic)
    if rows.empty:
        st.caption("The tickets that it was found in are no longer here.")
    with st.container(horizontal=True):
        places = [st.container(border=True, width=330) for _ in range(len(rows))]
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        with place:
            subject, body = _words(row["subject"]), _words(row["body"])[:300]
            st.markdown("  \n".join([f"**{show.plain(subject)}**"] * bool(subject) + [show.plain(body)]))
            nav.link("ticket", f"Ticket {show.plain(str(row['ticket_id']))}", {"ticket": str(row["ticket_id"])})


def _words(said: object) -> str:
    """What a ticket says; nothing where it has no such words."""
    return said.strip() if isinstance(said, str) else ""


def _links(topic: Topic, filters: tickets.Filters) -> None:
    (name, values), *_ = _where(topic).items()
    days = trends.window(filters)
    period = {"from": days.start.isoformat(), "to": days.end.isoformat()}
    nav.link("trends", "Trends of this topic, and its tickets", {name: values[0], **period})
    detector = topic_figures.watched().get(topic.name)
    if detector:
        nav.link("detectors", f"Watched by the detector {show.plain(detector)}", {"detector": detector})
    else:
        nav.link("detectors", "Set an alarm for when this topic grows", {"of-topic": str(topic.number)})


def _edit(actor: Actor, topic: Topic, tree: list[Topic]) -> None:
    if not access.may(actor, "edit topics"):
        st.caption("To change topics, act as manager or architect.")
        return
    others = {number: title for number, title in topics.titles().items() if number != topic.number}
    key = topic.number
    with st.form(f"rename-{key}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", topic.name, key=f"name-{key}-{topic.name}", max_chars=topics.LONGEST)
        if st.form_submit_button("Rename") and name.strip() != topic.name:
            _do(lambda: topics.rename(actor, key, name))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        into = st.selectbox("Merge into", list(others), None, format_func=others.__getitem__, key=f"into-{key}")
        if st.button("Merge", key=f"merge-{key}", disabled=into is None) and into is not None:
            _do(lambda: topics.merge(actor, key, into), chosen=into)
    top = {one.number: one.name for one in tree if one.parent is None and one.number != key}
    places = {0: "(at the top)", **top}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        above = st.selectbox(
            "Stands under", list(places), list(places).index(topic.parent or 0), format_func=places.__getitem__,
            key=f"under-{key}-{topic.parent or 0}",
        )  # fmt: skip
        if st.button("Move", key=f"move-{key}", disabled=above == (topic.parent or 0)):
            _do(lambda: topics.move(actor, key, above or None))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pieces = st.number_input("Split into", 2, 8, 2, key=f"pieces-{key}", width=140)
        if st.button("Split", key=f"split-{key}", help="Subtopics are found in its tickets."):
            with show.errors():
                begin(discover.split(actor, key, int(pieces)))
    if st.button("Remove this topic", icon=":material/delete:", key=f"remove-{key}"):
        _do(lambda: topics.remove(actor, key), chosen=None)


def _do(change: Callable[[], object], **chosen: int | None) -> None:
    with show.errors():
        change()
        session.keep(CLICKS, session.get(CLICKS, 0) + 1)
        session.keep("topic-told", topics.history(1)[0].what)
        if "chosen" in chosen:
            _point(chosen["chosen"])
        st.rerun()


def proposals(actor: Actor) -> None:
    """New topics that wait for a person, and the button that looks for some."""
    waiting = topics.proposals()
    if waiting:
        st.subheader("New topics proposed", anchor=False)
    for one in waiting:
        with st.container(border=True):
            growth = f", {one.growth:g} times as many as in the four weeks before" if one.growth else ""
            st.markdown(f"**{show.plain(one.name)}**: {counted(one.tickets, 'ticket')}{growth}")
            rows = topic_figures.examples(one, 3)
            st.caption(
                "  \n".join(
                    show.plain(": ".join(filter(None, (_words(row["subject"]), _words(row["body"])[:120]))))
                    for _, row in rows.iterrows()
                )
            )
            if access.may(actor, "edit topics"):
                with st.container(horizontal=True):
                    if st.button("Make it a topic", key=f"accept-{one.number}", type="primary"):
                        with show.errors():
                            begin(discover.accept(actor, one.number))
                    if st.button("Decline", key=f"decline-{one.number}"):
                        _do(lambda number=one.number: topics.remove(actor, number))  # type: ignore[misc]


def told() -> None:
    """What the last click came to."""
    if words := session.get("topic-told"):
        st.info(show.plain(f"{words[:1].upper()}{words[1:]}."), icon=":material/check:")
        session.forget("topic-told")


def look(actor: Actor) -> None:
    """Look for new topics, or find all topics again."""
    if not access.may(actor, "edit topics"):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Look for new topics", icon=":material/new_releases:", key="look",
                     help="Among the tickets of the last four weeks that fit no topic."):  # fmt: skip
            with show.errors():
                before = len(topics.proposals())
                made = len(discover.propose(actor)) - before
                session.keep("topic-told", f"found {counted(made, 'new topic')}" if made else "found no new topic")
                st.rerun()
        with st.popover("Find all topics again", icon=":material/refresh:"):
            st.markdown("Topics that are found again keep their names; what you named, merged or moved stays.")
            find(actor, "Find them again")


def changes(actor: Actor) -> None:
    """What people changed, the newest first, and the undo of the last change."""
    made = topics.history(50)
    if not made:
        return
    st.subheader("Changes", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        last = next((one for one in made if not one.undone), None)
        seen = session.get(SEEN)
        session.keep(SEEN, last.id if last else None)
        if last and access.may(actor, "edit topics"):
            if st.button("Undo the last change", icon=":material/undo:", key="undo-topics"):
                with show.errors():
                    session.keep("topic-told", f"undid: {topics.undo(actor, seen)}")
                    session.keep(CLICKS, session.get(CLICKS, 0) + 1)
                    st.rerun()
            st.caption(show.plain(f"{last.by} {last.what}, {show.when(last.at)}"))
    with st.expander("All changes"):
        rows = pd.DataFrame(
            [{"when": one.at, "who": one.by, "what": one.what, "note": "undone" if one.undone else ""} for one in made]
        )
        show.table(rows, key="topic-changes", column_config={"when": show.moments("when")})
        parts.download(rows, "topic-changes")
