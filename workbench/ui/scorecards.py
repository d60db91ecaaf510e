"""The parts of the vendors page: what is compared, the table, the two pictures, the words."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from workbench import tickets
from workbench.tickets import scorecard, trends
from workbench.tickets.columns import title
from workbench.ui import charts, show
from workbench.ui import trends as parts
from workbench.ui.charts import scorecards as drawn

SIGNS = {
    "better": "▲",
    "worse": "▼",
    "like the others": "≈",
    "too few": "(too few)",
    "not comparable": "(not comparable)",
}


def choose(facets: Mapping[str, list[str]]) -> tuple[str, list[str], tickets.Filters]:
    """What is compared, what is held equal, and of which tickets; kept in the address."""
    named = [name for name, values in facets.items() if values]
    first = named.index("vendor") if "vendor" in named else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = parts.switch("Period", parts.PERIODS, "90 days", "period")
        by = st.selectbox(
            "Compare", named, index=first, key="compare", bind="query-params", format_func=title, width=170
        )
        equal = [name for name in scorecard.MIXED if name in named and name != by]
        mixed = st.multiselect(
            "Held equal",
            [name for name in named if name != by],
            default=equal,
            key=f"equal-{by}",
            bind="query-params",
            format_func=title,
            help="Groups are compared at the same kind of ticket: the same value in each of these.",
        )
    return by, mixed, trends.last_days(parts.PERIODS[period])


def overview(card: scorecard.Scorecard) -> None:
    """A row for each group: how many tickets, and every measure with the same mix."""
    boards = {board.measure.name: {one.label: one for one in board.figures} for board in card.boards}
    rows = []
    for one in card.cards:
        row: dict[str, object] = {"group": one.label, "tickets": one.tickets, "share": 100 * one.share}
        for name, figures in boards.items():
            row[name] = _cell(scorecard.get(name), figures.get(one.label))
        rows.append({**row, "verdicts": str(one.calibration)})
    judged = any(one.calibration.labelled for one in card.cards)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="",
        alt="Groups compared at the same mix of tickets",
        column_config={
            "group": title(card.by),
            "tickets": st.column_config.NumberColumn("Tickets", format="localized"),
            "share": st.column_config.NumberColumn("Share", format="%.0f %%"),
            **{
                one.name: st.column_config.TextColumn(one.title, help=one.definition)
                for one in scorecard.MEASURES.values()
            },
            "verdicts": st.column_config.TextColumn(
                "People's verdicts", help="Verdicts on the runs behind these tickets, and whether two people agree."
            )
            if judged
            else None,
        },
    )
    st.caption(
        "With the same mix of tickets. ▲ better, ▼ worse, ≈ like the others, by the 95 % interval. "
        f"Below {scorecard.ENOUGH} comparable tickets nobody is judged. Typical times are geometric means, which "
        "many quick answers pull down; Trends shows medians."
    )
    st.download_button(
        "Download CSV",
        lambda: trends.as_csv(scorecard.rows(card)),
        file_name=f"scorecard-{card.by}.csv",
        icon=":material/download:",
        on_click="ignore",
    )


def board(card: scorecard.Scorecard) -> None:
    """One measure: as counted against the same mix, the funnel, and what it means in words."""
    titles = {one.title: one.name for one in scorecard.MEASURES.values()}
    name = titles[parts.switch("Measure", titles, "CSAT", "measure")]
    one = next(one for one in card.boards if one.measure.name == name)
    if not one.figures:
        st.info(f"No ticket here has a value for “{one.measure.title}”.", icon=":material/info:")
        return
    theme = charts.colours()
    with st.container(key="split-measure"):
        left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Same mix** (dot, 95 % interval) **against as counted** (ring)")
        st.plotly_chart(drawn.pairs(one, theme), config={"displayModeBar": False}, key=f"pairs-{name}")
    with right:
        st.markdown("**Who stands out**: inside the funnel is what chance alone does")
        st.plotly_chart(drawn.funnel(one, theme), config={"displayModeBar": False}, key=f"funnel-{name}")
    st.markdown("\n".join(f"- {show.plain(line)}" for line in words(one)))
    with st.expander("How this is reckoned"):
        st.markdown(
            "Each ticket's kind is its combination of what is held equal. The value of a ticket is taken as the effect "
            "of its kind plus the effect of the group that handled it (a regression with fixed effects for the kinds, "
            "least squares). *Same mix* is what the group would show if it had everybody's tickets. Only kinds that "
            "two groups handle say something about them; intervals allow for unequal spread (White). The funnel's "
            "lines leave 1 in 20 and 1 in 500 groups outside by chance."
        )


def words(one: scorecard.Board) -> list[str]:
    """What a measure says of each group, a sentence each."""
    return [_sentence(one, figure) for figure in one.figures]


def _sentence(board: scorecard.Board, one: scorecard.Figure) -> str:
    measure = board.measure
    raw = f"{one.label}: {drawn.say(measure, one.raw)} as counted"
    if one.verdict == "not comparable":
        return f"{raw}; it handles no kind of ticket that another one handles, so it cannot be compared."
    same = f"{raw}, {drawn.say(measure, one.adjusted)} with the same mix"
    interval = f"{drawn.say(measure, one.low)} to {drawn.say(measure, one.high)}"
    if one.verdict == "too few":
        return f"{same} ({interval}); {one.comparable:,} comparable tickets are too few to judge by."
    against = f"{one.verdict} than all together" if one.verdict != "like the others" else "like all together"
    return f"{same} ({interval}): {against} ({drawn.say(measure, board.mean)})."


def _cell(measure: scorecard.Measure, one: scorecard.Figure | None) -> str:
    if one is None:
        return "—"
    value = one.raw if one.adjusted is None else one.adjusted
    return f"{drawn.say(measure, value)} {SIGNS[one.verdict]}"
