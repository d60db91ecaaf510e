"""Why runs fail: the figures with the runs behind them, and the rules that tell the causes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench import jobs, traces
from workbench.access import Actor, may
from workbench.evals.backtests import TRIALS
from workbench.evals.statistics import Rate
from workbench.operations import failures
from workbench.operations.failures import By, Overview, Period, Share
from workbench.store import now
from workbench.traces import cause_rules, causes, search
from workbench.traces.filters import Filters
from workbench.ui import charts, progress, run_list, session, show
from workbench.ui.charts import failures as drawn

DAYS = {"7 days": 7, "30 days": 30, "90 days": 90, "a year": 365}
GROUPS: dict[str, By] = {"Flow": "flow", "Release": "release", "Topic": "topic"}
GREY = "color: #8b979b"
JOB = "causes-job"


def choose() -> Period:
    """The flow and the period, both in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        flow = st.selectbox("Flow", ["all", *traces.flow_names()], key="failing-flow", bind="query-params", width=220)
        days = st.segmented_control(
            "Runs of the last", list(DAYS), default="30 days", required=True, key="failing-days", bind="query-params"
        )
    since = now().replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=DAYS[str(days)])
    return Period(since, "" if flow == "all" else str(flow))


def tiles(found: Overview) -> None:
    """How many runs failed, and the three most frequent causes."""
    with st.container(horizontal=True):
        _tile("Runs with a cause", found.failed)
        for one in found.causes[:3]:
            _tile(one.cause.capitalize(), one.share)
    st.caption(
        "A run may have several causes. Figures are runs of customers; experiments, backtests and forks are left out. "
        "The small line is the 95 % interval."
    )


def _tile(title: str, share: Rate) -> None:
    st.metric(
        title,
        f"{100 * share.value:.1f} %",
        f"{share.passed:,} of {share.total:,}, {share.interval}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        width=230,
    )


def table(period: Period) -> None:
    """The share of each cause in each group, the worst first; a row chosen shows the runs behind it."""
    title = st.segmented_control("By", list(GROUPS), default="Flow", required=True, key="by", bind="query-params")
    by = GROUPS[str(title)]
    found = failures.shares(period, by)
    sources = search.known()["source"]
    real = [one for one in sources if one not in TRIALS] if set(TRIALS) & {*sources} else []
    frame = pd.DataFrame([_row(one, str(title), period, real) for one in found])
    styled = frame.style.apply(lambda row: [GREY if found[int(row.name)].small else ""] * len(row), axis=1)
    event: Any = st.dataframe(
        styled,
        key=f"shares-{by}-{period.flow}-{len(found)}",
        hide_index=True,
        height="content" if len(found) <= show.ROWS else 38 + 35 * show.ROWS,
        on_select="rerun",
        selection_mode="single-row",
        column_config=show.headings(
            frame.columns,
            {
                "share of runs": st.column_config.NumberColumn(format="%.1f %%"),
                "list": st.column_config.LinkColumn(display_text="open", help="These runs on the Runs page."),
            },
        ),
    )
    if any(one.small for one in found):
        st.caption(f"Grey: fewer than {failures.SMALL} runs, which says little. They stand last.")
    picked = event["selection"]["rows"]
    if picked and picked[0] < len(found):
        _behind(period, found[picked[0]], by)
    else:
        st.caption("Choose a row to read the runs behind it.")


def _row(one: Share, title: str, period: Period, sources: Sequence[str]) -> dict[str, Any]:
    return {
        "cause": one.cause,
        title.lower(): one.group,
        "share of runs": one.share.value * 100,
        "runs": one.share.passed,
        "of": one.share.total,
        "95 % interval": one.share.interval,
        "list": _list(one, GROUPS[title], period, sources),
    }


def _list(one: Share, by: By, period: Period, sources: Sequence[str]) -> str | None:
    """Where the very runs of a share are listed; None for a topic, by which runs cannot be filtered."""
    if by == "topic":
        return None
    flow, version = one.group, ""
    if by == "release" and flow not in traces.flow_names():
        flow, _, version = one.group.rpartition(" ")
    asked = Filters(
        cause=(one.cause,),
        flow=(flow,),
        version=(version,) if version else (),
        source=tuple(sources),
        since=period.since,
    )
    return run_list.link(asked)


def _behind(period: Period, one: Share, by: By) -> None:
    found = failures.behind(period, one, by)
    st.markdown(f"**{show.plain(one.cause.capitalize())}** in {show.plain(one.group)}: {causes.causes()[one.cause]}")
    rows = [
        {
            "started": run.started_at,
            "question": run.question,
            "why": run.why,
            "outcome": run.outcome,
            "said by": run.by.removeprefix(causes.RULE) + (" (rule)" if run.by.startswith(causes.RULE) else ""),
            "run": f"/runs?run={run.run_id}",
        }
        for run in found
    ]
    show.table(
        pd.DataFrame(rows),
        key=f"behind-{by}-{one.cause}-{one.group}",
        column_config={
            "started": show.moments("started"),
            "question": st.column_config.TextColumn("question", width=300),
            "why": st.column_config.TextColumn("why", width=300),
            "run": st.column_config.LinkColumn("run", display_text="read"),
        },
    )


def over_time(period: Period) -> None:
    """Runs with each cause by day, or by week where the period is long."""
    rows = failures.over_time(period)
    grain = "week" if (now() - period.since).days > 60 else "day"
    theme = charts.colours()
    st.subheader("Over time", anchor=False)
    st.plotly_chart(
        drawn.over_time(rows, grain, theme["ink"], theme["faint"]),
        theme=None,
        config={"displayModeBar": False},
        alt=f"Runs with each cause by {grain}",
    )


def bottleneck(period: Period) -> None:
    """Where the seconds of the runs go, by flow."""
    found = failures.seconds(period)
    if not found:
        return
    st.subheader("Where the seconds go", anchor=False)
    slowest = found[0]
    runs = sum(one.runs for one in found)
    st.caption(
        show.plain(
            f"The newest {runs:,} runs that were timed. {slowest.flow} takes longest, {sum(slowest.mean.values()):.2f} s a run, "
            f"most of it in: {slowest.most}. Steps side by side count each."
        )
    )
    theme = charts.colours()
    st.plotly_chart(
        drawn.seconds(found, theme["ink"], theme["faint"]),
        theme=None,
        config={"displayModeBar": False},
        alt="Mean seconds of a run by flow and part",
    )
    frame = pd.DataFrame([{"flow": one.flow, "runs": one.runs, **one.mean} for one in found])
    with st.expander("As a table"):
        show.table(frame, key="seconds-table")


def rules(actor: Actor) -> None:
    """The rules with how many runs each would tag, to be changed and applied to what is recorded already."""
    st.subheader("Rules", anchor=False)
    known = causes.rules()
    seen = cause_rules.preview(known)
    allowed = may(actor, "set the rules of causes")
    st.caption(
        f"New runs get their causes by the rules in use. Would tag: how many of the newest {seen.runs:,} runs it fits. "
        "What people say of a run stands above the rules. Runs that other programs send get theirs within a minute."
    )
    frame = pd.DataFrame(
        [
            {
                "in use": one.active,
                "finds": one.finds,
                "than": one.than,
                "unit": one.unit,
                "cause": one.cause,
                "would tag": seen.tagged[one.name],
            }
            for one in known
        ]
    )
    edited = st.data_editor(
        frame,
        key=f"cause-rules-{hash(tuple(known))}",
        hide_index=True,
        height="content",
        placeholder="",
        disabled=True if not allowed else ["finds", "unit", "cause", "would tag"],
        column_config=show.headings(
            frame.columns,
            {"than": st.column_config.NumberColumn(min_value=0.0, help="The threshold, where it has one.")},
        ),
    )
    changed = [
        (one, bool(row["in use"]), None if one.than is None else float(row["than"]))
        for one, row in zip(known, edited.to_dict("records"), strict=True)
        if bool(row["in use"]) != one.active or (one.than is not None and row["than"] != one.than)
    ]
    if not allowed:
        st.caption("To change them, act as architect or manager, or ask one.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save the rules", key="save-rules", disabled=not changed, icon=":material/save:"):
            with show.errors():
                for one, active, than in changed:
                    causes.set_rule(actor, one.name, active=active, than=than)
                st.rerun()
        if st.button("Apply to all recorded runs", key="apply-rules", disabled=bool(changed), icon=":material/rule:"):
            with show.errors():
                job_id = cause_rules.apply(actor)
                jobs.start(job_id)
                session.keep(JOB, job_id)
    _progress(actor)


def _progress(actor: Actor) -> None:
    job_id = session.get(JOB)
    if not job_id:
        return
    job = jobs.job(job_id)
    if not job.ended:
        progress.of(actor, job_id, "runs")
    elif job.state == "done":
        st.success(f"The rules were applied to {job.total:,} runs.", icon=":material/check_circle:")
    else:
        st.warning(show.plain(f"Applying the rules ended as {job.state}. {job.message}"), icon=":material/warning:")
