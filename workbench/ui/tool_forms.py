"""The forms of a flow's tools: which it declares, their effect and when they need approval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from workbench.runtime import tools
from workbench.runtime.spec import EFFECTS
from workbench.ui import show
from workbench.ui.editor import Work, put


def tools_form(copy: Work) -> None:
    """Which tools the flow declares, their effect and when they need approval."""
    known = tools.catalogue()
    declared = dict(copy.body.get("tools", {}))
    names = list(dict.fromkeys([*declared, *known]))
    chosen = st.multiselect("Tools of this flow", names, list(declared), key=copy.key("declared"))
    for name in list(declared):
        if name not in chosen:
            del declared[name]
    for name in chosen:
        declared.setdefault(
            name, {"kind": "python", "call": name, "effect": known[name].effect if name in known else "read"}
        )
    for name, tool in declared.items():
        declared[name] = _tool_row(copy, name, dict(tool))
    put(copy, ("tools",), declared)


def _tool_row(copy: Work, name: str, tool: dict[str, Any]) -> dict[str, Any]:
    found = tools.catalogue().get(tool.get("call", ""))
    with st.container(border=True):
        left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
        left.markdown(
            f"**{show.plain(name)}**  \n" + (show.plain(found.description) if found else "not in the catalogue")
        )
        effect = tool.get("effect", "read")
        tool["effect"] = middle.selectbox("Effect", EFFECTS, EFFECTS.index(effect), key=copy.key("effect", name))
        numbers = _numbers(found) if found else []
        rules = tool.get("approve")
        if numbers and (rules is None or isinstance(rules, dict)):
            argument = next((n for n in numbers if n in (rules or {})), numbers[-1])
            above = (rules or {}).get(argument, {}).get("above")
            limit = right.number_input(
                f"Approval if {argument} above",
                value=None if above is None else float(above),
                min_value=0.0,
                placeholder="never",
                key=copy.key("above", name),
            )
            tool["approve"] = _approval(rules or {}, argument, limit)
        elif rules:
            right.caption("Approval rules: see YAML")
    return tool


def _numbers(found: tools.Catalogued) -> list[str]:
    properties = found.parameters.get("properties", {})
    return [
        n for n, p in properties.items() if p.get("type") == "number" or (p.get("type") == "integer" and "amount" in n)
    ]


def _approval(rules: Mapping[str, Any], argument: str, limit: float | None) -> dict[str, Any] | None:
    kept = {k: v for k, v in rules.items() if k != argument}
    rule = {k: v for k, v in rules.get(argument, {}).items() if k != "above"}
    if limit is not None:
        rule["above"] = limit
    if rule:
        kept[argument] = rule
    return kept or None
