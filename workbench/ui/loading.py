"""Loading tickets: choose a file, say what its columns mean, see what would come of it, load, look back, undo."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from workbench import access, jobs
from workbench.access import Actor
from workbench.errors import Invalid, NotFound
from workbench.store import now as moment
from workbench.tickets import incoming, manifest, mapping, publish, trends
from workbench.tickets.columns import ATTRIBUTES, COLUMNS, READ, UPDATED
from workbench.tickets.figures import counted
from workbench.tickets.mapping import Derivation, Mapping
from workbench.ui import nav, progress, session, show

KEEP, OWN = "(keep as an attribute)", "(by the names of the columns)"
DERIVED = {"reopened": "above", "csat": "scale", "sentiment": "scale"}
TYPES = {"VARCHAR": "text", "TIMESTAMP": "time", "DOUBLE": "number", "BOOLEAN": "yes or no"}
ENCODINGS = ("utf-8", "utf-16", "cp1252", "iso8859-1")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
NEEDED = {"ticket_id": "the ticket's own number or id", "created_at": "when the ticket came in"}
WORDS = ["column", "the file's word", "our word"]


def now() -> None:
    """How many tickets there are, from where, and how fresh they are; or that there are none."""
    if not manifest.exists():
        show.empty(
            "No tickets yet",
            "Upload an export of your help desk: CSV, JSON or Parquet. Exports of Zendesk and Intercom are recognised.",
            icon="upload_file",
        )
        return
    fresh = trends.freshness()
    last = manifest.read().last()
    age = moment() - last.at
    with st.container(horizontal=True):
        st.metric("Tickets", f"{fresh.rows:,}", border=True, width=200)
        st.metric("Newest ticket", f"{fresh.last:%-d %b %Y}", border=True, width=200)
        st.metric("Last load", _ago(age), border=True, width=200)
    st.caption(show.plain(f"From {last.source}, loaded {show.when(last.at)}."))


def running(actor: Actor) -> None:
    """The loads under way, and what came of the last one that was started here."""
    for job in jobs.jobs(5, kinds=(incoming.KIND,)):
        if not job.ended:
            progress.of(actor, job.id, "MB read")
    started = session.get("load-job")
    if not started:
        return
    try:
        job = jobs.job(started)
    except NotFound:
        return
    if job.state == "done":
        load = manifest.read().loads[-1]
        st.success(show.plain(f"{job.title}: {_change(load)}"), icon=":material/check:")
        nav.link("trends", "See what changed")
    elif job.ended:
        st.warning(show.plain(f"{job.title}: {job.message or job.state}"), icon=":material/warning:")


def choose(actor: Actor) -> str:
    """Upload a file or choose one that waits; its name, or nothing."""
    if not access.may(actor, "load tickets"):
        st.info("To load tickets, act as manager or admin, or ask one.", icon=":material/lock:")
        return ""
    st.subheader("A new file", anchor=False)
    given = st.file_uploader(
        "Upload an export",
        type=list(incoming.ENDINGS),
        key=f"upload-{session.get('uploads', 0)}",
        help="Large files can be put into the folder `inbox` of the workbench's local data instead; they appear below.",
    )
    if given is not None:
        with show.errors():
            session.point("file", incoming.keep(actor, given.name, given))
            session.keep("uploads", session.get("uploads", 0) + 1)
            st.rerun()
    names = incoming.files()
    if not names:
        return ""
    return session.pick("File", "file", {name: name for name in names}, thing="file", fresh="|".join(names)) or ""


def prepare(actor: Actor, name: str) -> None:
    """Say what the columns of a file mean, see its first rows as tickets, save the mapping, and load."""
    suggestion, guess = incoming.suggest(name)
    known = incoming.saved()
    labels = [OWN, *known]
    picked = st.selectbox(
        "Mapping", labels, labels.index(suggestion or OWN), key=f"mapping-{name}", width=320, format_func=_label
    )
    if suggestion and picked == suggestion:
        st.caption(
            show.plain(f"This looks like {_label(suggestion)}; the mapping was chosen for you. Change what is wrong.")
        )
    base = guess if picked in (suggestion, OWN) else known[picked]
    with show.errors():
        how = _form(name, str(picked), base)
        if lacking := incoming.lacking(name, how):
            st.info(show.plain(_choose_columns(lacking)), icon=":material/table_edit:")
            return
        found = incoming.sample(name, how)
        _sample(name, found)
        _buttons(actor, name, how)


def _form(name: str, picked: str, base: Mapping) -> Mapping:
    """The mapping as the person fills it in."""
    key = f"{name}-{picked}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        delimiter, quote, encoding = base.delimiter, base.quote, base.encoding
        if name.lower().endswith(".csv"):
            marks = list(dict.fromkeys([base.delimiter, *DELIMITERS]))
            delimiter = st.selectbox(
                "Separated by",
                marks,
                key=f"delimiter-{key}",
                width=150,
                format_func=lambda one: DELIMITERS.get(one, one),
            )
            quote = st.selectbox(
                "Quoted by", list(dict.fromkeys([base.quote, '"', "'"])), key=f"quote-{key}", width=110
            )
            encodings = list(dict.fromkeys([base.encoding, *ENCODINGS]))
            encoding = st.selectbox("Encoding", encodings, key=f"encoding-{key}", width=140)
        zones = sorted(zoneinfo.available_timezones())
        zone = st.selectbox(
            "Time zone of times without one", zones, zones.index(base.timezone), key=f"zone-{key}", width=230
        )
        times = st.text_input(
            "How times are written",
            " | ".join(base.patterns),
            key=f"times-{key}",
            width=230,
            placeholder="2026-03-05T14:30:00Z",
            help="Leave empty for the usual form. `%d/%m/%Y %H:%M` is 5/3/2026 14:30; `unix` is seconds since 1970; "
            "write several with a bar between them.",
        )
    written = [one.strip() for one in times.split(" | ") if one.strip()]
    how = replace(
        base, delimiter=delimiter, quote=quote, encoding=encoding, timezone=str(zone), times=tuple(written) or None
    )
    columns, derive = _columns(name, key, how)
    values, hours = _words(key, base), _hours(key, base)
    body = mapping.plain(replace(how, columns=columns, derive=derive, values=values, hours=hours))
    return mapping.parse(body, name="The form")


def _columns(name: str, key: str, how: Mapping) -> tuple[dict[str, str], dict[str, Derivation]]:
    columns, examples = incoming.peek(name, how)
    meant = {column: target for target, column in how.columns.items()}
    meant |= {rule.column: target for target, rule in how.derive.items()}
    own = {
        column: column
        for column in columns
        if column in READ and column not in how.columns and column not in how.derive
    }
    rows = pd.DataFrame(
        [
            {"column": column, "example": examples.get(column, ""), "becomes": {**own, **meant}.get(column, KEEP)}
            for column in columns
        ]
    )
    edited = st.data_editor(
        rows,
        key=f"columns-{key}",
        height="content" if len(rows) <= show.ROWS else 38 + 35 * show.ROWS,
        hide_index=True,
        disabled=["column", "example"],
        column_config={
            "column": st.column_config.TextColumn("Column of the file"),
            "example": st.column_config.TextColumn("An example", width="small"),
            "becomes": st.column_config.SelectboxColumn("Becomes", options=[KEEP, *READ], required=True),
        },
    )
    chosen: dict[str, str] = {}
    for row in edited[edited["becomes"] != KEEP].to_dict("records"):
        target, column = str(row["becomes"]), str(row["column"])
        if target in chosen:
            raise Invalid(
                f"{chosen[target]} and {column} both become {target}.",
                remedy=f"Choose one of them; set the other to {KEEP}.",
            )
        chosen[target] = column
    derive = {
        target: replace(rule, column=chosen[target])
        for target, rule in how.derive.items()
        if chosen.get(target) == rule.column
    }
    return {target: column for target, column in chosen.items() if target not in derive}, derive


def _choose_columns(lacking: tuple[str, ...]) -> str:
    """What is still to be chosen in the table of columns before tickets can be made of the rows."""
    each = " and ".join(f"{name} ({NEEDED[name]})" for name in lacking)
    return (
        f"Choose in the table above, under Becomes, which column is {each}. The first rows then appear here as tickets."
    )


def _words(key: str, base: Mapping) -> dict[str, dict[str, str]]:
    with st.expander("Other words for the same: 1 - Critical is urgent", icon=":material/translate:"):
        rows = [[target, word, ours] for target, words in base.values.items() for word, ours in words.items()]
        edited = st.data_editor(
            pd.DataFrame(rows, columns=WORDS, dtype="str"),
            key=f"words-{key}",
            hide_index=True,
            num_rows="dynamic",
            column_config=show.headings(WORDS, {"column": st.column_config.SelectboxColumn(options=list(COLUMNS))}),
        )
    found: dict[str, dict[str, str]] = {}
    for target, word, ours in edited.dropna().itertuples(index=False):
        if target and word and ours:
            found.setdefault(str(target), {})[str(word)] = str(ours)
    return found


def _hours(key: str, base: Mapping) -> dict[str, str]:
    with st.expander("Business hours", icon=":material/schedule:"):
        known = [day for day in mapping.DAYS if day in base.hours]
        days = st.pills(
            "Days", mapping.DAYS, selection_mode="multi", default=known, key=f"days-{key}", format_func=str.capitalize
        )
        begin, end = (base.hours[known[0]] if known else "09:00-17:00").split("-")
        with st.container(horizontal=True):
            first = st.time_input("From", dt.time.fromisoformat(begin), key=f"from-{key}", width=140)
            last = st.time_input("To", dt.time.fromisoformat(end.replace("24:00", "23:59")), key=f"to-{key}", width=140)
        st.caption(
            "They are kept with the mapping and with each load, for the times that are measured in business hours."
        )
    if not days:
        return {}
    zone = base.hours.get("timezone", base.timezone)
    return {"timezone": zone, **dict.fromkeys(days, f"{first:%H:%M}-{last:%H:%M}")}


def _sample(name: str, found: incoming.Sample) -> None:
    good, bad = len(found.tickets), len(found.rejects)
    st.markdown(f"**The first {good + bad:,} rows as tickets:** {good:,} can be used, {bad:,} would be left out.")
    if good:
        kinds = ", ".join(f"{name} ({TYPES[READ[name]]})" for name in found.tickets.columns if name in READ)
        st.caption(show.plain(f"Found: {kinds}."))
        shown = found.tickets.drop(columns=[UPDATED], errors="ignore")
        if ATTRIBUTES in shown:
            shown = shown.assign(**{ATTRIBUTES: [_in_words(one) for one in shown[ATTRIBUTES]]})
        st.dataframe(
            shown,
            hide_index=True,
            height=260,
            placeholder="",
            key=f"sample-{name}",
            alt="The first rows as tickets",
            column_config={ATTRIBUTES: "Other columns"},
        )
    if bad:
        rows = pd.DataFrame([{**vars(one), "text": _in_words(one.text)} for one in found.rejects])
        st.dataframe(
            rows,
            hide_index=True,
            key=f"sample-rejects-{name}",
            column_config={
                "line": st.column_config.NumberColumn("Line", format="localized", width="small"),
                "reason": st.column_config.TextColumn("Why it would be left out", width="large"),
                "text": st.column_config.TextColumn("The row", width="large"),
            },
        )


def _in_words(text: str) -> str:
    """A row's values by name, as a person reads them; a text that holds none as it is."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return " · ".join(f"{name}: {value}" for name, value in values.items()) if isinstance(values, dict) else text


def _buttons(actor: Actor, name: str, how: Mapping) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        anew = st.toggle(
            "Take the place of all tickets",
            key=f"anew-{name}",
            help="Otherwise new tickets join, and those that are there are brought up to date. You can undo either.",
        )
        if st.button("Load", key="load-file", type="primary", icon=":material/upload:"):
            made = incoming.start(actor, name, how, replace_all=anew)
            jobs.start(made)
            session.keep("load-job", made)
            st.rerun()
        title = st.text_input("Save this mapping as", key=f"save-as-{name}", placeholder="acme-zendesk", width=220)
        if st.button("Save mapping", key="save-mapping", disabled=not title):
            incoming.save(actor, title, how)
            st.toast(show.plain(f"Saved as {title}."))
            st.rerun()


def history(actor: Actor) -> None:
    """All loads, the newest first; what was left out, to download; and the undo of the last load that changed any."""
    if not manifest.exists():
        return
    found = manifest.read()
    st.subheader("Loads", anchor=False)
    rows = pd.DataFrame([_row(one) for one in reversed(found.loads)])
    show.table(
        rows,
        key="loads",
        column_config={
            "when": show.moments("when"),
            **{
                name: st.column_config.NumberColumn(name, format="localized")
                for name in ("rows", "new", "changed", "the same", "older", "repeated", "left out")
            },
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download this list", rows.to_csv(index=False), "loads.csv", icon=":material/download:", on_click="ignore"
        )
        for one in [load for load in reversed(found.loads) if load.rejects_file][:3]:
            path = manifest.folder() / one.rejects_file
            if path.is_file():
                st.download_button(
                    f"Rows left out of {one.source}",
                    path.read_bytes,
                    f"left-out-{one.source}.csv",
                    key=f"rejects-{one.id}",
                    icon=":material/download:",
                    on_click="ignore",
                )
        _undo(actor, found)


def _undo(actor: Actor, found: manifest.Manifest) -> None:
    if not found.undoes or not access.may(actor, "load tickets"):
        return
    last = next(one for one in found.loads if one.id == found.undoes)
    with st.popover("Undo the last load", icon=":material/undo:"):
        st.markdown(
            show.plain(f"{last.source}: {_change(last)} Undoing it brings back the tickets as they were before.")
        )
        if st.button("Undo it", key="undo-load", type="primary"):
            with show.errors():
                publish.undo(actor)
                session.forget("load-job")
                st.rerun()


def _row(load: manifest.Load) -> dict[str, Any]:
    return {
        "when": load.at,
        "file": load.source,
        "rows": load.rows,
        "new": load.new,
        "changed": load.changed,
        "left out": load.rejected,
        "note": "undone" if load.undone else "took the place of all" if load.replaced else "",
        "the same": load.unchanged,
        "older": load.older,
        "repeated": load.duplicates,
        "by": load.loaded_by,
    }


def _change(load: manifest.Load) -> str:
    if load.new + load.changed == 0:
        return "nothing changed, all tickets were there already."
    return f"{counted(load.new, 'new ticket')}, {load.changed:,} changed, {counted(load.rejected, 'row')} left out."


def _ago(age: dt.timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    if hours < 1:
        return "just now"
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"


def _label(name: str) -> str:
    known = {
        "zendesk-json": "Zendesk (JSON)",
        "zendesk-csv": "Zendesk (CSV)",
        "intercom": "Intercom conversations",
        "servicenow": "ServiceNow incidents",
    }
    return known.get(name, name)
