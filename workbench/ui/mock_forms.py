"""Mocked answers on screen: a table of when, answer and error; and the mocks that stand in while a flow is tried."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from workbench.errors import Invalid
from workbench.runtime.mocks import Mock
from workbench.ui import session, show

HELP = "Arguments and their values, such as: order_id: 1042, amount: {above: 50}. Empty fits every call."


def table(key: str, present: Sequence[Mapping[str, Any]], tools: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A table of mocked answers, with a column for the tool where there are `tools`. Returns them as plain data.

    Raises Invalid naming the row that cannot be read.
    """
    begun = session.kept(f"{key}-begun", lambda: [_row(one) for one in present])
    columns: dict[str, Any] = {
        "tool": st.column_config.SelectboxColumn("Tool", options=list(tools), required=True, width=110),
        "when": st.column_config.TextColumn("When", help=HELP, width=130),
        "answer": st.column_config.TextColumn("Answer", width=150, help="Text, or JSON."),
        "error": st.column_config.TextColumn("Or fails with", width=110),
    }
    if not tools:
        columns.pop("tool")
    st.caption(f"Answers, the first that fits is given. When: {HELP[0].lower()}{HELP[1:]}")
    edited = st.data_editor(
        pd.DataFrame(begun, columns=list(columns)),
        num_rows="dynamic",
        key=key,
        hide_index=True,
        column_config=columns,
        width="stretch",
    )
    listed = [{str(name): "" if pd.isna(v) else str(v) for name, v in row.items()} for row in edited.to_dict("records")]
    return [_mock(number, row) for number, row in enumerate(listed, 1) if any(row.values())]


def tries(flow: str, key: str, tools: Sequence[str]) -> None:
    """The mocks that stand in for tools while this flow is tried in this browser session."""
    if not tools:
        st.caption("The flow declares no tools yet.")
        return
    st.caption(
        "These stand in for tools while you try them here. They are not part of the flow; a case that you save from the "
        "chat can keep those that answered."
    )
    listed = table(key, [one.model_dump(exclude_defaults=True) for one in tried(flow)], tools)
    if missing := [number for number, one in enumerate(listed, 1) if not one.get("tool")]:
        raise Invalid(f"Row {missing[0]} names no tool.")
    session.keep(f"try-mocks-{flow}", tuple(Mock.model_validate(one) for one in listed))


def tried(flow: str) -> tuple[Mock, ...]:
    """The mocks that stand in while this flow is tried."""
    found: tuple[Mock, ...] = session.get(f"try-mocks-{flow}", ())
    return found


def keep(used: Sequence[Mock], key: str) -> bool:
    """A switch that keeps the mocks that answered a run with its case; off, and not shown, where there were none."""
    if not used:
        return False
    names = ", ".join(dict.fromkeys(show.plain(one.tool) for one in used))
    return st.toggle("Keep the mocked answers with the case", True, key=key, help=f"Answered by a mock: {names}.")


def _row(one: Mapping[str, Any]) -> dict[str, str]:
    when = one.get("when") or {}
    text = yaml.safe_dump(dict(when), default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    answer = one.get("answer", "")
    return {
        "tool": str(one.get("tool", "")),
        "when": text.strip()[1:-1] if when else "",
        "answer": answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False),
        "error": str(one.get("error", "")),
    }


def _mock(number: int, row: Mapping[str, str]) -> dict[str, Any]:
    try:
        when = yaml.load("{" + row["when"] + "}", Loader=_Loader)  # noqa: S506  (a SafeLoader with fewer resolvers)
    except (yaml.YAMLError, ValueError):
        raise Invalid(f"Row {number}: “{row['when'][:60]}” cannot be read.", remedy=HELP) from None
    if not isinstance(when, dict) or not all(isinstance(name, str) for name in when):
        raise Invalid(f"Row {number}: “{row['when'][:60]}” names no arguments.", remedy=HELP)
    if absent := [name for name, value in when.items() if value is None and f"{name}: null" not in row["when"]]:
        raise Invalid(f"Row {number}: {absent[0]} has no value.", remedy=HELP)
    made = {"when": when, "answer": _answer(row["answer"]), "error": row["error"]}
    kept = {name: value for name, value in made.items() if value not in ("", {})}
    return {**({"tool": row["tool"]} if row.get("tool") else {}), **kept}


class _Loader(yaml.SafeLoader):
    """Safe YAML in which no, on and dates stay words: they are countries and order texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("bool", "timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _answer(text: str) -> Any:
    """What is written as a JSON object or list is data; everything else is a text, also a number."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
