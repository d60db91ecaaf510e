"""What is done with runs as a whole: taking them in from a file, how long they are kept, one customer's data deleted."""

from __future__ import annotations

import datetime as dt
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from workbench import jobs, traces
from workbench.access import Actor, may
from workbench.errors import Invalid, NotFound
from workbench.store import now
from workbench.traces import forget, forget_job, search
from workbench.traces.filters import Filters
from workbench.ui import nav, progress, session, show

TAKEN = "runs-taken-in"
JOB, ASKED = "deletion", "deletion-of"
"""What the address calls the job of a deletion, and where the browser session keeps whose data it is."""


def panel(actor: Actor) -> None:
    """A fold with what this person may do of it; nothing for whoever may do none of it."""
    parts = {
        "Import": (may(actor, "import runs"), _import),
        "Retention": (may(actor, "set how long runs are kept"), _retention),
        "Deletion": (may(actor, "delete a customer's data"), _deletion),
    }
    mine = {title: draw for title, (allowed, draw) in parts.items() if allowed}
    if not mine:
        return
    title = ", ".join(mine)
    with st.expander(title[0] + title[1:].lower(), icon=":material/inventory_2:", key="run-keeping"):
        for column, (title, draw) in zip(st.columns(len(mine), gap="large"), mine.items(), strict=True):
            with column:
                st.markdown(f"**{title}**")
                with show.errors():
                    draw(actor)


# ---- runs from a file ------------------------------------------------------------------------------------------------


def _import(actor: Actor) -> None:
    given = st.file_uploader(
        "A file of runs",
        type=["json", "jsonl"],
        key="runs-file",
        help="What Export gives, traces of other programs (OTLP as JSON, OpenAI Agents SDK), or chat transcripts.",
    )
    st.caption("Runs that are here already stay as they are. A file that was changed after its export is refused.")
    if (
        st.button("Take the runs in", key="take-runs-in", disabled=given is None, icon=":material/upload_file:")
        and given
    ):
        with st.spinner("Reading the file"):
            session.keep(TAKEN, traces.take_in(actor, _text(given), PurePath(given.name).name.split(".")[0]))
        st.rerun()
    taken = session.get(TAKEN)
    if taken is None:
        return
    if not taken:
        st.info("Every run of that file was here already.", icon=":material/check:")
        return
    st.success(f"{_counted(len(taken), 'run')} taken in.", icon=":material/check:")
    nav.link("runs", "Read the first of them", {"run": taken[0]})


def _text(given: Any) -> str:
    """The text of an uploaded file. Raises Invalid where it is none."""
    try:
        return str(given.getvalue().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Invalid(f"{given.name} is not a text file.", remedy="Choose a file as Export gives it.") from None


# ---- how long runs are kept ------------------------------------------------------------------------------------------


def _retention(actor: Actor) -> None:
    kept = forget.kept()
    if kept:
        rows = [
            {"flow": one.flow, "days": one.days, "set by": one.set_by, "set": show.when(one.set_at)} for one in kept
        ]
        show.table(pd.DataFrame(rows), key=f"kept-{hash(tuple(kept))}")
    else:
        st.caption("The runs of all flows are kept without an end.")
    flow = st.selectbox("Flow", traces.flow_names(), None, key="keep-flow", placeholder="Choose a flow")
    if not flow:
        return
    there = next((one.days for one in kept if one.flow == flow), 0)
    days = int(
        st.number_input(
            "Days that its runs are kept",
            0,
            forget.LONGEST,
            there,
            key=f"keep-days-{flow}-{there}",
            help="0 keeps them without an end.",
        )
    )
    sure = days == there or _sure(flow, days)
    if st.button("Save", key="keep-save", disabled=days == there or not sure, icon=":material/save:"):
        forget.keep(actor, flow, days)
        st.rerun()


def _sure(flow: str, days: int) -> bool:
    """Whether nothing is deleted by this, or the person said that it may be."""
    if not days:
        return True
    older = search.counts(Filters(flow=(flow,), until=now() - dt.timedelta(days=days)), ())
    if not older.counted:
        st.caption("No run is that old yet.")
        return True
    many = _counted(older.counted, "run") if older.all else f"More than {_counted(older.counted - 1, 'run')}"
    verb = "is" if older.all and older.counted == 1 else "are"
    st.warning(
        f"{many} {verb} older than that, and will soon be deleted for good, with flags, labels and cases.",
        icon=":material/delete_forever:",
    )
    return st.checkbox("They may be deleted", key=f"keep-sure-{flow}-{days}")


# ---- one customer's data ---------------------------------------------------------------------------------------------


def _deletion(actor: Actor) -> None:
    with st.form("deletion-form", border=False):
        value = st.text_input(
            "Whose data", key="deletion-value", placeholder="e-mail address, number or conversation", max_chars=200
        )
        if st.form_submit_button("Look for it", key="deletion-look", icon=":material/search:"):
            _start(actor, value, confirmed=False)
    st.caption("Nothing is deleted before you have seen what was found.")
    if job_id := st.query_params.get(JOB):
        _job(actor, job_id)


def _start(actor: Actor, value: str, *, confirmed: bool) -> None:
    job_id = forget_job.start(actor, value, confirmed=confirmed)
    jobs.start(job_id)
    st.query_params[JOB] = job_id
    session.keep(ASKED, None if confirmed else (job_id, value))
    st.rerun()


def _job(actor: Actor, job_id: str) -> None:
    job = jobs.job(job_id)
    if not job.ended:
        progress.of(actor, job_id, "runs")
    elif job.state != "done":
        st.warning(
            show.plain(f"It ended as {job.state}, and nothing was deleted. {job.message}"), icon=":material/warning:"
        )
    else:
        _report(actor, job_id)


def _report(actor: Actor, job_id: str) -> None:
    """What was found or deleted, as a table and a file, and the button that deletes what was found."""
    try:
        told = forget_job.report(actor, job_id)
    except NotFound:
        st.caption("What this search came to can only be read by whoever asked for it.")
        return
    counts = {name: count for name, count in told.deleted.items() if count}
    title = "Deleted" if told.done else "Found, to be deleted"
    if counts:
        rows = [{"what": name, "how many": count} for name, count in counts.items()]
        st.markdown(f"**{title}**")
        show.table(pd.DataFrame(rows), key=f"deletion-{job_id}")
    else:
        st.info("Nothing of this customer is kept here.", icon=":material/check:")
    for line in told.left:
        st.caption(show.plain(line))
    st.download_button(
        "Download the report",
        told.words + "\n",
        f"{'deleted' if told.done else 'found'}-{job_id[-6:]}.txt",
        "text/plain",
        key=f"deletion-report-{job_id}",
        icon=":material/download:",
        on_click="ignore",
    )
    if counts and not told.done:
        _confirm(actor, job_id)


def _confirm(actor: Actor, job_id: str) -> None:
    asked_for, value = session.get(ASKED) or ("", "")
    if asked_for != job_id:
        st.caption("To delete it, look for it once more: whose data it is was not kept.")
        return
    sure = st.checkbox(f"Delete everything of {show.plain(value)}, for good", key=f"deletion-sure-{job_id}")
    if st.button(
        "Delete", key=f"deletion-do-{job_id}", type="primary", disabled=not sure, icon=":material/delete_forever:"
    ):
        _start(actor, value, confirmed=True)


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
