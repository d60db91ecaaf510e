"""When to decline: the curve of a flow's knowledge over a dataset, and what the thresholds come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from workbench import releases
from workbench.access import Actor
from workbench.evals import abstaining
from workbench.ui import charts, show
from workbench.ui.charts import declining


def panel(actor: Actor, flow: str, dataset: str) -> None:
    """The curve, the present and the best threshold in words, and the cases behind them."""
    st.caption("How often the flow would answer, and how often wrongly, if it declined below another score.")
    with show.errors():
        curve = abstaining.curve(actor, releases.resolve(flow), dataset)
        theme = charts.colours()
        st.plotly_chart(
            declining.figure(curve, theme["ink"], theme["accent"]), theme=None, config={"displayModeBar": False}
        )
        st.markdown(f"**Now** {words(curve.present)}  \n**Best** {words(curve.best)}")
        rows = [
            {"case": c.case_id, "best score": c.score, "ought to": "answer" if c.answerable else "decline"}
            for c in curve.cases
        ]
        frame = pd.DataFrame(rows)
        st.dataframe(frame, hide_index=True, key="declining-rows", column_config=show.headings(frame.columns))
        if curve.left:
            st.caption(left_out(curve.left))
        st.caption("Set the threshold as `abstain_below` under Settings of the flow.")


def left_out(left: Sequence[abstaining.Left]) -> str:
    """How many cases say nothing about knowledge, and why, the most frequent reason first."""
    reasons = Counter(one.why for one in left).most_common()
    count = f"{len(left)} case is" if len(left) == 1 else f"{len(left)} cases are"
    return f"{count} left out: " + "; ".join(f"{many} because {show.plain(why)}" for why, many in reasons) + "."


def words(point: abstaining.Point) -> str:
    """A threshold in a sentence."""
    wrong = "nothing is answered" if point.risk is None else f"{100 * point.risk:.0f} % of the answers are wrong"
    return f"below {point.threshold:g}: {100 * point.coverage:.0f} % answered, {wrong}, {100 * point.missed:.0f} % declined for nothing."
