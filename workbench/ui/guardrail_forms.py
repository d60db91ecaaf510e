"""The forms of a flow's guardrails: what they check, and where."""

from __future__ import annotations

import streamlit as st

from workbench.runtime import guardrails, spec
from workbench.ui import show
from workbench.ui.editor import Work, tidy


def guardrails_form(copy: Work) -> None:
    """The flow's guardrails: what they check, where."""
    listed = [dict(one) for one in copy.body.get("guardrails", [])]
    checks = guardrails.checks()
    for place, one in enumerate(listed):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            what = checks[one["check"]].description if one["check"] in checks else "unknown check"
            st.markdown(f"**{show.plain(one['name'])}** on the {one['on']}: {show.plain(what)}")
            if st.button("Remove", key=copy.key("drop-guardrail", one["name"]), type="tertiary"):
                copy.replace(tidy({**copy.body, "guardrails": listed[:place] + listed[place + 1 :]}))
                st.rerun()
    if not listed:
        st.caption("No guardrails yet.")
    with st.popover("Add a guardrail", icon=":material/add:"):
        check = st.selectbox("Check", list(checks), key=copy.key("check"), format_func=lambda c: c.replace("_", " "))
        where = st.selectbox("On", ["input", "reply"], key=copy.key("on"))
        name = st.text_input("Name", f"{check.replace('_', '-')}-{where}", key=copy.key("guardrail-name", check, where))
        if st.button("Add", key=copy.key("add-guardrail"), type="primary"):
            with show.errors():
                body = {**copy.body, "guardrails": [*listed, {"name": name, "on": where, "check": check}]}
                spec.parse(body)
                copy.replace(body)
                st.rerun()
