"""The list of runs: the wish in plain English, the filters, how they divide, and a page of those that fit."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
from collections.abc import Coroutine, Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from workbench import traces
from workbench.access import Actor
from workbench.access.views import State
from workbench.errors import WorkbenchError
from workbench.traces import by_model, masking, phrases, search
from workbench.traces import filters as wanted
from workbench.traces.filters import CHOICES, PERIODS, Filters
from workbench.ui import charts, readers, run_open, session, show, views
from workbench.ui.charts import volume

LIMIT = 50
"""Runs on a page of the list."""
MOST = 10_000
"""Runs in a file at most."""
SHORT = {"words": "words", "outcome": "outcome", "flagged": "flagged"}
KEYS = {name: SHORT.get(name, f"run-{name.replace('_', '-')}") for name in Filters.model_fields}
"""What the address calls each filter, which is also the key of its widget."""
UNDRAWN = ("customer", "about")
"""The filters that stand in the address without a widget of their own."""
COUNTED = (
    "outcome",
    "flow",
    "version",
    "agent",
    "tool",
    "tripped",
    "held",
    "flagged_by",
    "label",
    "cause",
    "model",
    "source",
)
"""The filters whose values are counted beside the list."""
TOLD = (
    "The model is told the wish (personal data masked), the filters with their values, and the day; no run and no person. Until"
    " then our grammar's reading stands."
)
FEW = 6
"""So many values of a filter are counted in sight."""


def filters(actor: Actor) -> Filters:
    """Everything that says which runs are wanted, with its state in the address. Raises Invalid."""
    known = search.known()
    _wish(actor, known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Words",
            key="words",
            bind="query-params",
            placeholder="in question or reply",
            width=240,
            help="Finds runs whose question or reply has all these words, or the run with this id. Put words that must"
            " stand together in quotes; end a word with * to find all that begin with it.",
        )
        periods = [*PERIODS, *(one for one in _there("period") if one not in PERIODS)]
        st.selectbox(
            "Time",
            ["", *periods],
            key=KEYS["period"],
            bind="query-params",
            width=150,
            format_func=lambda one: one or "any time",
        )
        _choice("flow", known, width=200)
        _choice("outcome", known, width=200)
        st.toggle("Flagged only", key="flagged", bind="query-params")
        with st.popover("More filters", icon=":material/filter_list:", key="more-filters"):
            _more(known)
        views.control(actor, "runs", _address(), _show_view)
    found = wanted.read({name: values for name, key in KEYS.items() if (values := _address().get(key))})
    _chips(found)
    return found


def listing(found: search.Page, asked: Filters, slot: Any) -> str:
    """The runs as a table with what leads on; the id of the one that is read."""
    chosen = run_open.chosen([one.run["id"] for one in found.rows])
    with slot:
        _table([one.run for one in found.rows], chosen)
        _pager(found, asked)
    return chosen


def page(asked: Filters) -> search.Page:
    """The runs of the page that the address names; another filter begins at the newest again."""
    before = session.get("runs-asked")
    session.keep("runs-asked", asked)
    if before is not None and before != asked and not session.arrived():
        run_open.moved()
        st.query_params.pop("older", None)
        st.query_params.pop("newer", None)
    older, newer = (_place(name) for name in ("older", "newer"))
    return search.page(asked, after=older, before=newer, limit=LIMIT)


def divided(asked: Filters, facets: Any, picture: Any, words: Any) -> None:
    """How many fit, when they began, and how they divide, each value a click that narrows the list."""
    found = search.counts(asked, COUNTED)
    with words:
        if not found.counted:
            pass
        elif found.all:
            st.caption("1 run fits." if found.counted == 1 else f"{found.counted:,} runs fit, the newest first.")
        else:
            st.caption(
                f"More than {found.counted - 1:,} runs fit, the newest first. The counts and the picture are of the"
                f" newest {found.counted:,}."
            )
    with picture:
        if found.moments:
            st.plotly_chart(
                volume.figure(found.moments, show.zone(), charts.colours()),
                theme=None,
                config={"displayModeBar": False},
                key="runs-volume",
            )
    with facets:
        for name in COUNTED:
            _facet(name, found.values.get(name, ()), getattr(asked, name))


def link(asked: Filters) -> str:
    """The address at which the page shows the runs that fit, `since` and `until` to the minute."""
    told = asked.address()
    for name in ("since", "until"):
        if moment := getattr(asked, name):
            told[name] = [_written(moment.astimezone(dt.UTC).replace(tzinfo=None))]
    return f"/runs?{urlencode({KEYS[name]: values for name, values in told.items()}, doseq=True)}"


def nothing(asked: Filters) -> None:
    """What to say where no run fits, and the way on."""
    if asked.empty:
        show.empty("No runs fit", "Try a flow on the Flows page; its runs are listed here.")
        return
    show.empty("No runs fit", "Take a filter away, or look at a longer time.", icon="filter_alt_off")
    st.button("Take all filters away", key="clear-empty", on_click=_apply, args=(Filters(),), icon=":material/close:")


# ---- the wish in plain English ---------------------------------------------------------------------------------------


def _wish(actor: Actor, known: phrases.Known) -> None:
    """The box, and what it was understood as: nothing is filtered before the person has seen it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wish = st.text_input(
            "Describe the runs you want",
            key="run-wish",
            placeholder="refused refunds last week over 2 cents slower than 3 s flagged by Ana",
            max_chars=by_model.LONGEST,
        )
        role = readers.choose(actor, "wish-read-by")
    if not wish or session.get("wish-done") == wish:
        return
    with st.container(border=True, key="understood"):
        read = _understood(actor, wish, known, role)
        told = wanted.told(read.filters)
        offered = [*told, *(("words", one, f"says “{one}”") for one in read.missed)]
        if told:
            st.caption("Understood as these filters. Take away what you did not mean, then apply them.")
        else:
            st.caption("No filter was understood. Name a flow, an outcome, a time, a cost, a tool or a person.")
        labels = [show.plain(words) for _, _, words in offered]
        chosen = st.pills(
            "Filters",
            labels,
            selection_mode="multi",
            default=labels[: len(told)],
            key=f"wish-{role}-{len(told)}-{wish}",
            label_visibility="collapsed",
        )
        if read.missed:
            missed = ", ".join(f"“{one}”" for one in read.missed)
            st.warning(
                show.plain(f"Not understood: {missed}.") + " Choose it above to look for it in question and reply.",
                icon=":material/help:",
            )
        kept = [offered[labels.index(one)] for one in chosen]
        with st.container(horizontal=True):
            st.button(
                "Apply", key="apply-wish", type="primary", disabled=not kept, on_click=_take_up, args=(wish, kept)
            )
            st.button("Leave it", key="leave-wish", on_click=_leave)


def _understood(actor: Actor, wish: str, known: phrases.Known, role: str) -> phrases.Read:
    """What the wish was understood as: by the model of `role` where it has read it, else by our rules."""
    now = dt.datetime.now(show.zone())

    def asked() -> Coroutine[Any, Any, by_model.ByModel]:
        return by_model.read(actor, wish, known, role, now=now)

    found = by_model.kept(wish, known, role, now=now) if role else None
    if role and found is None:
        readers.offer(role, TOLD, "ask-model", asked)
    if found is not None:
        st.caption(f":material/neurology: {show.plain(readers.took(found.record))}")
        if found.understood is None:
            st.warning(f"{show.plain(found.record.problem)} Our grammar reads it instead.", icon=":material/warning:")
        readers.offer(role, "", "ask-model", asked, again=True)
        if found.understood is not None:
            return found.understood
    return phrases.parse(wish, known, now=now)


def _take_up(wish: str, kept: Sequence[tuple[str, str, str]]) -> None:
    state: dict[str, list[str]] = {}
    for name, value, _ in kept:
        state.setdefault(name, []).append(value)
    if "words" in state:
        state["words"] = [" ".join(state["words"])]
    session.keep("wish-done", wish)
    _apply(wanted.read(state))


def _leave() -> None:
    session.keep("run-wish", "")


# ---- the filters -----------------------------------------------------------------------------------------------------


def _more(known: phrases.Known) -> None:
    """The filters that are used less."""
    one, other = st.columns(2, width=560)
    with one:
        for name in ("version", "agent", "tool", "tripped", "held", "flagged_by"):
            _choice(name, known)
        st.text_input(
            "Customer",
            key="customer-typed",
            placeholder="e-mail address or conversation",
            on_change=_customer,
            help="Only the form in which the customer is known here is put into the address of this page.",
        )
        for name, title in (("since", "From (UTC)"), ("until", "Before (UTC)")):
            st.datetime_input(title, None, key=KEYS[name], bind="query-params", min_value=dt.datetime(2000, 1, 1))
    with other:
        for name in ("label", "cause", "model", "source"):
            _choice(name, known)
        st.multiselect(
            "Score",
            _options("score", [f"{name} {side} 0.5" for name in known["score"] for side in ("below", "above")]),
            key=KEYS["score"],
            bind="query-params",
            accept_new_options=True,
            placeholder="such as: helpful below 0.5",
        )
        for left, right, unit in (("slower", "faster", "s"), ("dearer", "cheaper", "$")):
            for column, name in zip(st.columns(2), (left, right), strict=True):
                title = str(Filters.model_fields[name].title).capitalize()
                column.number_input(
                    f"{title}, {unit}", 0.0, None, None, key=KEYS[name], bind="query-params", format="%g"
                )


def _choice(name: str, known: phrases.Known, **given: Any) -> None:
    """A filter of which several values may be chosen."""
    title = str(Filters.model_fields[name].title)
    st.multiselect(
        title.capitalize(),
        _options(name, known[name]),
        key=KEYS[name],
        bind="query-params",
        placeholder="any",
        **given,
    )


def _options(name: str, known: Sequence[str]) -> list[str]:
    """What may be chosen: what runs have, and what is chosen already."""
    return [*known, *(one for one in _there(name) if one not in known)]


def _there(name: str) -> list[str]:
    """What the address or the widget of a filter holds."""
    kept = session.get(KEYS[name]) or []
    kept = [kept] if isinstance(kept, str) else list(kept)
    return list(dict.fromkeys([*st.query_params.get_all(KEYS[name]), *kept]))


def _address() -> dict[str, list[str]]:
    """The filters as the address holds them, by its names: what the widgets say, and who the customer is."""
    found: dict[str, list[str]] = {}
    for name, key in KEYS.items():
        value = st.query_params.get_all(key) if name in UNDRAWN else session.get(key)
        if value in (None, "", (), [], False):
            continue
        several = value if isinstance(value, list | tuple) else [value]
        found[key] = [_written(one) for one in several]
    return found


def _written(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="minutes")
    return "true" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _customer() -> None:
    typed = str(session.get("customer-typed") or "").strip()
    try:
        known = masking.known_as(typed) if typed else ""
    except WorkbenchError:
        known = ""
    session.keep("customer-typed", "")
    if known:
        st.query_params[KEYS["customer"]] = known
    else:
        st.query_params.pop(KEYS["customer"], None)


def _show_view(state: State) -> None:
    """Show a saved view."""
    try:
        _apply(wanted.read({name: state[key] for name, key in KEYS.items() if key in state}))
    except WorkbenchError as error:
        session.keep("view-problem", error)


def _apply(filters: Filters) -> None:
    """Let every widget say what these filters say. Only before they are drawn, as in a callback."""
    for name, key in KEYS.items():
        value = getattr(filters, name)
        if name in UNDRAWN:
            if value:
                st.query_params[key] = value
            else:
                st.query_params.pop(key, None)
        elif name in CHOICES:
            session.keep(key, list(value))
        elif name == "score":
            session.keep(key, [str(one) for one in value])
        elif isinstance(value, dt.datetime):
            session.keep(key, value.astimezone(dt.UTC).replace(tzinfo=None))
        else:
            session.keep(key, value)


def _chips(asked: Filters) -> None:
    """Every filter in words, each taken away by a click."""
    told = wanted.told(asked)
    if not told:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="chips", gap="small"):
        for number, (name, value, words) in enumerate(told):
            st.button(
                show.plain(words),
                key=f"chip-{number}-{name}-{value[:40]}",
                icon=":material/close:",
                help="Take this filter away",
                on_click=_apply,
                args=(asked.without(name, value),),
            )
        st.button("Take all away", key="clear", type="tertiary", on_click=_apply, args=(Filters(),))


# ---- the list --------------------------------------------------------------------------------------------------------


def _table(rows: Sequence[Any], chosen: str) -> None:
    """The runs of this page, the row of the one that is read selected."""
    made = pd.DataFrame(
        [
            {
                "started": r["started_at"],
                "outcome": r["outcome"],
                "agent": r["agent"],
                "question": r["question"],
                "flow": f"{r['flow']} {r['version']}",
                "seconds": r["seconds"],
                "US dollars": r["usd"],
                "tokens": r["input_tokens"] + r["output_tokens"],
                "model": r["model"],
                "source": r["source"],
            }
            for r in rows
        ]
    )
    ids = [str(r["id"]) for r in rows]
    key = f"runs-{'-'.join(one[-6:] for one in ids[:3])}-{len(rows)}"
    run_open.mark(key, ids, chosen)
    st.dataframe(
        made.style.format({"US dollars": _dollars}),
        key=key,
        hide_index=True,
        height=min(250, 38 + 35 * len(rows)),
        on_select=functools.partial(run_open.pick, key, ids),
        selection_mode="single-row",
        column_config=show.headings(
            made.columns,
            {
                "started": show.moments("Started"),
                "outcome": st.column_config.TextColumn(width=85),
                "agent": st.column_config.TextColumn(width=90),
                "question": st.column_config.TextColumn(width=240),
                "seconds": st.column_config.NumberColumn(format="%.3f", width=75),
                "US dollars": st.column_config.Column(width=85),
            },
        ),
    )


def _dollars(usd: Any) -> str:
    """A cost as the footer of the run tells it."""
    return "unknown" if pd.isna(usd) else f"{usd:.4f}" if usd else "no cost"


def _pager(found: search.Page, asked: Filters) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Newer",
            key="newer-page",
            icon=":material/chevron_left:",
            disabled=not found.newer,
            on_click=_turn,
            args=("newer", found.newer),
        )
        st.button(
            "Older",
            key="older-page",
            icon=":material/chevron_right:",
            disabled=not found.older,
            on_click=_turn,
            args=("older", found.older),
        )
        if _place("older") or _place("newer"):
            st.button("Newest", key="newest-page", type="tertiary", on_click=_turn, args=("", 0))
        st.download_button(
            "Download as CSV",
            lambda: _csv(asked),
            "runs.csv",
            "text/csv",
            key="runs-csv",
            icon=":material/download:",
            on_click="ignore",
            help=f"The runs that fit, the newest first, at most {MOST:,}.",
        )


def _turn(name: str, place: int) -> None:
    """Turn to the page beside this one; the address names where it begins."""
    for one in ("older", "newer"):
        st.query_params.pop(one, None)
    st.query_params.pop("run", None)
    st.query_params.pop("compare", None)
    run_open.moved()
    if name:
        st.query_params[name] = str(place)


def _place(name: str) -> int:
    """Where the page begins that the address names; 0 where it names none that can be read."""
    asked = st.query_params.get(name, "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 20 else 0


def _csv(asked: Filters) -> str:
    """The newest runs that fit as CSV, their texts kept from being read as formulas."""
    file = io.StringIO()
    names = [name for name in traces.Run.__dataclass_fields__ if name != "digest"]
    writer = csv.writer(file)
    writer.writerow(names)
    for run in search.every(asked, MOST):
        writer.writerow([_cell(run[name]) for name in names])
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds")
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


# ---- how they divide -------------------------------------------------------------------------------------------------


def _facet(name: str, values: Sequence[tuple[str, int]], chosen: Sequence[str]) -> None:
    """A filter's values with how many runs have them; a click adds one to the filter or takes it away."""
    if not values or (len(values) == 1 and not chosen):
        return
    title = str(Filters.model_fields[name].title).capitalize()
    st.caption(f"**{title}**")
    with st.container(gap=None, key=f"facet-{name}"):
        for number, (value, count) in enumerate(values[:FEW]):
            st.button(
                show.plain(f"{value[:40]} · {count:,}"),
                key=f"facet-{name}-{number}-{value[:40]}",
                type="tertiary",
                icon=":material/check:" if value in chosen else None,
                on_click=_toggle,
                args=(name, value),
            )
        if len(values) > FEW:
            st.caption(f"and {len(values) - FEW} more under the filters")


def _toggle(name: str, value: str) -> None:
    there = list(session.get(KEYS[name]) or [])
    session.keep(KEYS[name], [one for one in there if one != value] if value in there else [*there, value])
