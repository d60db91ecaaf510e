"""The forms of a flow's guardrails: what they check and where, and trying one on its own."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench.access import Actor
from workbench.errors import Invalid
from workbench.flows import probe
from workbench.runtime import guardrails
from workbench.runtime.spec import GuardrailSpec
from workbench.ui import session, show
from workbench.ui.editor import Work, again, popover, tidy

FEW = 30
"""With fewer labelled texts than this, the figures of a check say little."""

WHERE = {"input": "the message", "tool_result": "what tools bring back", "reply": "the reply"}


def guardrails_form(copy: Work) -> None:
    """The flow's guardrails: each with its settings, tried and measured on its own; and a form for one more."""
    actor, listed = session.actor(), [dict(one) for one in copy.body.get("guardrails", [])]
    for place, one in enumerate(listed):
        with st.container(border=True):
            _row(actor, copy, listed, place, one)
    if not listed:
        st.caption("No guardrails yet. They run beside the model; what is dangerous, and the reply, wait for them.")
    with popover(copy, "add-guardrail", label="Add a guardrail", icon="add"):
        _add(copy, listed)


def _row(actor: Actor, copy: Work, listed: list[dict[str, Any]], place: int, one: dict[str, Any]) -> None:
    known = guardrails.checks().get(one["check"])
    what = known.description if known else "unknown check"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{show.plain(one['name'])}** on {WHERE[one['on']]}: {show.plain(what)}")
        if st.button("Remove", key=copy.key("drop-guardrail", one["name"]), type="tertiary", disabled=copy.locked):
            copy.replace(tidy({**copy.body, "guardrails": listed[:place] + listed[place + 1 :]}))
            again()
    if known is None:
        return
    with st.expander("Settings, try, measure"):
        settings = _settings(copy, known, one["name"], one.get("settings", {}))
        agents = st.multiselect(
            "Agents",
            list(copy.body["agents"]),
            one["agents"] if isinstance(one.get("agents"), list) else [],
            key=copy.key("guards", one["name"]),
            placeholder="all",
            disabled=one["on"] == "input",
            help="A guardrail on the message guards every agent.",
        )
        seconds = st.number_input(
            "Seconds at most", 0.1, 120.0, float(one.get("timeout", 10.0)), key=copy.key("guard-time", one["name"])
        )
        changed = {**one, "settings": settings, "timeout": seconds, "agents": agents or "all"}
        if st.button("Take over", key=copy.key("guard-take", one["name"]), disabled=copy.locked):
            with show.errors():
                known.read(settings)
                copy.replace(tidy({**copy.body, "guardrails": [*listed[:place], changed, *listed[place + 1 :]]}))
                again()
        _try(actor, copy, GuardrailSpec.model_validate(changed))


def _add(copy: Work, listed: list[dict[str, Any]]) -> None:
    checks = guardrails.checks()
    check = st.selectbox(
        "Check", list(checks), key=copy.key("check"), persist_state="session", format_func=lambda c: c.replace("_", " ")
    )
    st.caption(show.plain(checks[check].description))
    where = st.selectbox(
        "On",
        list(WHERE),
        key=copy.key("on"),
        persist_state="session",
        format_func=lambda w: WHERE[w].removeprefix("the "),
    )
    name = st.text_input(
        "Name",
        f"{check.replace('_', '-')}-{where.replace('_', '-')}",
        key=copy.key("guardrail-name", check, where),
        persist_state="session",
    )
    settings = _settings(copy, checks[check], f"new-{check}", {})
    if st.button("Add", key=copy.key("add-guardrail"), type="primary"):
        with show.errors():
            checks[check].read(settings)
            one = {"name": name, "on": where, "check": check, **({"settings": settings} if settings else {})}
            if any(other["name"] == name for other in listed):
                raise Invalid(f"There is a guardrail called {name} already.", remedy="Choose another name.")
            copy.replace(tidy({**copy.body, "guardrails": [*listed, one]}))
            again()


def _settings(copy: Work, check: guardrails.Check, name: str, present: Mapping[str, Any]) -> dict[str, Any]:
    """A widget for each setting of the check, by its type; settings left at their default are left out."""
    made: dict[str, Any] = {}
    for field, info in check.settings.model_fields.items():
        value = _field(copy.key("guard-setting", name, field), field.replace("_", " "), info, present.get(field))
        if value not in (None, "", [], {}) and value != info.default:
            made[field] = value
    return made


def _field(key: str, label: str, info: Any, value: Any) -> Any:
    kind = info.annotation
    if typing.get_origin(kind) is typing.Literal:
        options = list(typing.get_args(kind))
        return st.selectbox(label, options, options.index(value or info.default), key=key)
    if kind is float:
        return st.number_input(label, 0.0, 1.0, float(info.default if value is None else value), key=key)
    if typing.get_origin(kind) is dict:
        lines = [f"{name}: {one}" for name, many in (value or {}).items() for one in many]
        return _named(st.text_area(f"{label} (a line each: name: text)", "\n".join(lines), key=key))
    if typing.get_origin(kind) is tuple:
        text = st.text_area(f"{label} (one a line)", "\n".join(value or ()), key=key)
        return [line.strip() for line in text.splitlines() if line.strip()]
    return st.text_input(label, value or "", key=key).strip()


def _named(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, mark, words = line.partition(":")
        if mark and words.strip():
            found.setdefault(name.strip(), []).append(words.strip())
    return found


def _try(actor: Actor, copy: Work, one: GuardrailSpec) -> None:
    """Try the guardrail on a text, or measure it on labelled texts."""
    text = st.text_input("Try it on a text", key=copy.key("guard-text", one.name))
    if text:
        with show.errors():
            tried = probe.try_check(actor, one, text)
            words = f"trips: {tried.reason}" if tried.reason is not None else "lets it pass"
            icon = ":material/front_hand:" if tried.reason is not None else ":material/check:"
            st.markdown(f"{icon} {show.plain(words)} ({tried.seconds * 1000:.1f} ms)")
    file = st.file_uploader(
        "Measure it on labelled texts (CSV: text, label)", "csv", key=copy.key("guard-file", one.name)
    )
    if file is not None:
        with show.errors():
            _measured(probe.measure(actor, one, probe.labelled(file.getvalue().decode("utf-8", "replace"))))


def _measured(found: probe.Measured) -> None:
    """The figures of a check, each with the number of texts that it is made of."""
    with st.container(horizontal=True):
        for name, one, about in (
            ("Precision", found.precision_of, "Of the texts that it stopped, how many it should have."),
            ("Recall", found.recall_of, "Of the texts that it should stop, how many it did."),
        ):
            right, of = one
            st.metric(name, f"{100 * right / of:.0f} %" if of else "none", width=170, help=about)
            st.caption(f"{right} of {of}")
        st.metric("Median", f"{found.median * 1000:.1f} ms", width=130)
        st.caption(f"n = {found.texts}")
    if found.texts < FEW:
        st.caption(
            f"Only {found.texts} texts: the figures may be far off. From {FEW} on they begin to be worth something."
        )
    rows = [{"text": t.text, "what": "missed"} for t in found.missed]
    rows += [{"text": t.text, "what": f"wrongly stopped: {t.reason}"} for t in found.wrong]
    if rows:
        frame = pd.DataFrame(rows)
        st.dataframe(frame, hide_index=True, column_config=show.headings(frame.columns))
