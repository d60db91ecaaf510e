"""The parts of the ask page: the question, how it was understood, the answer, and SQL for those who write it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st

from workbench.access import Actor, may
from workbench.tickets import ask, by_model, expert, metrics, report, trends, verified
from workbench.tickets.columns import title
from workbench.tickets.figures import counted
from workbench.tickets.measure import Grain
from workbench.ui import chain_links, charts, nav, readers, session, show
from workbench.ui import trends as parts
from workbench.ui.charts import answers

EXAMPLES = (
    "How many tickets last week, compared with the week before?",
    "Which vendor has the best CSAT?",
    "Median resolution time by topic, slowest first",
    "What changed most by topic in the last 30 days?",
    "First response by channel since January",
    "CSAT trend for chat",
)
NONE = "all together"
ONCE = "once"
TOLD = (
    "The model is told the question (personal data masked), the metrics, the names and values of the dimensions, and the day; no"
    " ticket. Until then our grammar's reading stands."
)
GRAINS: dict[str, Grain | None] = {ONCE: None, "day": "day", "week": "week", "month": "month"}
AGAINST: dict[ask.Against, str] = {"": "nothing", "previous": "the time before", "year": "a year before"}
ORDERS: dict[ask.Order, str] = {"": "as it comes", "highest": "highest first", "lowest": "lowest first"}


def box(actor: Actor) -> tuple[str, str]:
    """The question and the role of the model that shall read it, both in the address; and some questions to begin with."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Question",
            key="ask",
            bind="query-params",
            placeholder=EXAMPLES[0],
            max_chars=ask.LONGEST,
            label_visibility="collapsed",
        )
        role = readers.choose(actor, "read-by")
    if not text:
        show.empty("Ask the tickets", "Write a question above, or begin with one of these.", icon="forum")
        with st.container(horizontal=True):
            for example in EXAMPLES:
                st.button(example, key=f"example-{example}", on_click=lambda words=example: session.keep("ask", words))
        kept = verified.everything()
        if kept:
            st.markdown("**Checked questions**")
            for one in kept[:12]:
                st.button(
                    show.plain(one.text),
                    key=f"kept-{one.text}",
                    on_click=lambda words=one.text: session.keep("ask", words),
                )
    return text or "", role


def understood(actor: Actor, text: str, role: str, facets: Mapping[str, list[str]]) -> ask.Question | None:
    """How the question was read, as fields that can be changed; None where it was refused, with the reason.

    What somebody checked comes first; then the model of `role`, where it has read the question; then the grammar.
    """
    read = verified.read(text)
    asked = _by_model(actor, text, role) if role and not read.verified else None
    usable = asked if asked and asked.record.answer else None
    reading = usable.reading if usable else read.reading
    if reading.question is None:
        st.info(f"{show.plain(reading.refused)}  \n{show.plain(reading.remedy)}", icon=":material/help:")
        return None
    if read.verified:
        by = show.plain(f"Read as {read.verified.by} checked it, {show.when(read.verified.at)}.")
        st.caption(f":material/verified: {by}")
    elif usable is None:
        st.caption(show.plain("Understood: " + "; ".join(_said(one) for one in reading.meant) + "."))
    question = _fields(text, reading.question, facets)
    _keeping(actor, text, question, read)
    return question


def _by_model(actor: Actor, text: str, role: str) -> by_model.ByModel | None:
    """What the model took the question for, and what that took; else a button that asks it."""
    found = by_model.kept(text, role)
    if found is None:
        readers.offer(role, TOLD, "ask-model", lambda: by_model.read(actor, text, role))
        return None
    said = f" Understood as {ask.words(found.reading.question, dated=True)}." if found.reading.question else ""
    st.caption(f":material/neurology: {show.plain(readers.took(found.record) + said)}")
    if found.record.problem:
        st.warning(f"{show.plain(found.record.problem)} Our grammar reads it instead.", icon=":material/warning:")
    readers.offer(role, "", "ask-model", lambda: by_model.read(actor, text, role), again=True)
    return found


def answer(question: ask.Question) -> None:
    """The answer: sentences, the picture, the rows, the tickets behind it."""
    told = report.answer(question)
    metric = metrics.get(question.metric)
    st.subheader(show.plain(ask.words(question)), anchor=False)
    st.caption(show.plain(f"{told.window.start:%-d %b %Y} to {told.window.end:%-d %b %Y}, UTC. {metric.definition}"))
    for sentence in told.sentences:
        st.markdown(f"- {show.plain(sentence)}")
    drawn = answers.figure(told, charts.colours())
    if drawn is not None:
        st.plotly_chart(drawn, config={"displayModeBar": False}, key=f"answer-{_digest(str(question))}")
    if drawn is not None and question.against and question.by:
        st.caption("The line at a bar is its value before.")
    if question.by or question.grain:
        _rows(told, metric)
    if told.quotes:
        st.markdown("**What customers wrote**")
        for quote in told.quotes:
            chain_links.quoted(quote.ticket_id, quote.text, quote.group)
    nav.link("trends", "See it on Trends", _on_trends(question, told, metric))


def _on_trends(question: ask.Question, told: report.Report, metric: metrics.Metric) -> dict[str, str]:
    """The address of the chart of a question on Trends: the same days, the same metric and, where it is one, the same groups."""
    first = {name: values[0] for name, values in question.where.items() if len(values) == 1}
    days = {"period": "All"}
    if question.start or question.end:
        days |= {"from": told.window.start.isoformat(), "to": told.window.end.isoformat()}
    by = {"by": parts.name_of(question.by[0])} if len(question.by) == 1 else {}
    return {**first, **days, **by, "metric": metric.title}


def sql(actor: Actor) -> None:
    """One SELECT over the tickets, for those who write SQL."""
    if not may(actor, "ask in SQL"):
        st.caption("SQL is for architects and managers.")
        return
    st.caption(
        f"One SELECT over the view `ticket`; read only, at most {expert.ROWS:,} rows and {expert.SECONDS:g} seconds."
    )
    with st.form("sql", border=False):
        text = st.text_area(
            "SQL",
            "SELECT topic, count(*) AS tickets\nFROM ticket\nGROUP BY topic\nORDER BY tickets DESC",
            key="sql-text",
            height=140,
        )
        asked = st.form_submit_button("Run", icon=":material/play_arrow:", key="sql-run")
    if asked:
        with show.errors():
            session.keep("sql-found", expert.run(actor, text))
    found = session.get("sql-found")
    if found is None:
        return
    more = f"; only the first {expert.ROWS:,} are shown" if found.more else ""
    st.caption(f"{counted(len(found.frame), 'row')} in {found.seconds:.2f} s{more}.")
    st.dataframe(found.frame, hide_index=True, alt="Rows that the statement found", placeholder="")
    st.download_button(
        "Download CSV", lambda: trends.as_csv(found.frame), "rows.csv", icon=":material/download:", on_click="ignore"
    )


def _fields(text: str, question: ask.Question, facets: Mapping[str, list[str]]) -> ask.Question:
    """The reading as fields; another question has other fields, so that nothing of the last one stays."""
    tag = _digest(text + str(question))
    names = list(metrics.METRICS)
    grouped = [name for name, values in facets.items() if values]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.selectbox(
            "Metric",
            names,
            names.index(question.metric),
            key=f"m-{tag}",
            format_func=lambda n: metrics.get(n).title,
            width=210,
        )
        by = st.multiselect(
            "By", grouped, list(question.by), key=f"b-{tag}", format_func=title, placeholder=NONE, width=240
        )
        grain = st.selectbox(
            "A value for each",
            list(GRAINS),
            list(GRAINS).index(question.grain or ONCE),
            key=f"g-{tag}",
            width=140,
        )
        against = st.selectbox(
            "Against",
            list(AGAINST),
            list(AGAINST).index(question.against),
            key=f"a-{tag}",
            format_func=AGAINST.__getitem__,
            width=160,
        )
        order = st.selectbox(
            "Order",
            list(ORDERS),
            list(ORDERS).index(question.order),
            key=f"o-{tag}",
            format_func=lambda one: "most changed first" if against and not one else ORDERS[one],
            width=160,
        )
        start, end, where = _narrowed(question, facets, tag)
    return replace(
        question,
        metric=metric,
        by=tuple(by),
        grain=GRAINS[grain],
        against="" if grain != ONCE else against,
        order=order,
        start=start,
        end=end,
        where=where,
    )


def _narrowed(
    question: ask.Question, facets: Mapping[str, list[str]], tag: str
) -> tuple[dt.date | None, dt.date | None, dict[str, tuple[str, ...]]]:
    """The fields of the period and of the values that tickets must have."""
    start = st.date_input("From", question.start, key=f"s-{tag}", width=140)
    end = st.date_input("To", question.end, key=f"e-{tag}", width=140)
    more = [name for name, values in facets.items() if values and name not in question.where]
    extra = st.multiselect("Only with", more, key=f"w-{tag}", format_func=title, placeholder="any", width=200)
    where = {}
    for name in (*question.where, *extra):
        there = list(question.where.get(name, ()))
        if chosen := st.multiselect(title(name), facets[name], there, key=f"v-{name}-{tag}", width=240):
            where[name] = tuple(chosen)
    return (
        start if isinstance(start, dt.date) else None,
        end if isinstance(end, dt.date) else None,
        where,
    )


def _keeping(actor: Actor, text: str, question: ask.Question, read: verified.Read) -> None:
    if not may(actor, "keep a question"):
        return
    same = read.verified is not None and replace(read.verified.question, start=None, end=None) == replace(
        question, start=None, end=None
    )
    if not same and st.button(
        "This is what it means: read it so from now on",
        key="keep-question",
        icon=":material/verified:",
        type="tertiary",
    ):
        with show.errors():
            verified.keep(actor, text, question)
            st.rerun()
    if same and st.button("Read it by the grammar again", key="forget-question", type="tertiary"):
        with show.errors():
            verified.forget(actor, text)
            st.rerun()


def _rows(told: report.Report, metric: metrics.Metric) -> None:
    unit = metric.unit
    whole = unit in ("tickets", "min")
    figure, signed = ("%,.0f", "%+,.0f") if whole else ("%,.2f", "%+,.2f")
    st.dataframe(
        told.frame,
        hide_index=True,
        placeholder="",
        alt="The answer as rows",
        column_config={
            **{name: title(name) for name in told.question.by},
            "period": "Period (UTC)",
            "value": st.column_config.NumberColumn(
                metric.title if unit == "tickets" else f"{metric.title}, {unit}", format=figure
            ),
            "before": st.column_config.NumberColumn("Before", format=figure),
            "change": st.column_config.NumberColumn(
                "Change, %" if metric.relative else f"Change, {unit}", format="%+,.1f" if metric.relative else signed
            ),
            "tickets": None if unit == "tickets" else st.column_config.NumberColumn("Of tickets", format="localized"),
        },
    )
    st.download_button(
        "Download CSV",
        lambda: trends.as_csv(pd.DataFrame(told.frame)),
        "answer.csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _said(one: ask.Meant) -> str:
    return f"“{one.words}” as {one.meaning}" if one.words else one.meaning


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
