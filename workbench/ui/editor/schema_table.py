"""A structured reply as a small table and as JSON Schema; and small tables that grow, for other forms too."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench.errors import Invalid
from workbench.ui import session, show
from workbench.ui.editor.working_copy import Work, put, step, tidy

KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "whole number": {"type": "integer"},
    "yes or no": {"type": "boolean"},
    "list of texts": {"type": "array", "items": {"type": "string"}},
}


OTHER = "as in the JSON"


def schema_table(copy: Work, chosen: str, schema: dict[str, Any] | None) -> None:
    """The structured reply as a small table, with the JSON Schema under a fold. Without fields the agent replies freely."""
    st.caption("Structured reply: with at least one field the agent answers as data instead of as text.")
    old = dict((schema or {}).get("properties") or {})
    needed = (schema or {}).get("required") or []
    rows = [
        {"name": n, "type": _kind(p), "description": str(p.get("description", "")), "required": n in needed}
        for n, p in old.items()
    ]
    columns = {
        "name": st.column_config.TextColumn("Field", required=True),
        "type": st.column_config.SelectboxColumn("Type", options=[*KINDS, OTHER], default="text", required=True),
        "description": st.column_config.TextColumn("Description", width="large"),
        "required": st.column_config.CheckboxColumn("Required", default=True),
    }
    edited = [row for row in table(copy, ("output", chosen), rows, columns) if row["name"]]
    if edited != rows:
        schema = _of_rows(schema or {}, old, edited)
        put(copy, ("agents", chosen, "output"), schema)
    with st.expander("The same as JSON Schema", icon=":material/data_object:"):
        text = json.dumps(schema, indent=2, ensure_ascii=False) if schema else ""
        stamp = str(zlib.crc32(text.encode()))
        key = copy.key("schema", chosen, stamp)
        written = st.text_area("JSON Schema", text, height=220, key=key, disabled=copy.locked)
    if written != text:
        agents = copy.body["agents"]
        try:
            output = _json(written)
            body = tidy({**copy.body, "agents": {**agents, chosen: {**agents[chosen], "output": output}}})
        except Invalid as error:
            show.failure(error)
        else:
            step(copy, body)


def _json(text: str) -> dict[str, Any] | None:
    try:
        made = json.loads(text) if text.strip() else None
    except ValueError as error:
        raise Invalid(f"The JSON cannot be read: {error}.", remedy="Check its quotes, commas and braces.") from None
    if made is None or isinstance(made, dict):
        return made
    raise Invalid("A schema is a JSON object.", remedy='Begin with {"type": "object", "properties": {}}.')


def _kind(part: Any) -> str:
    if not isinstance(part, Mapping) or {"enum", "const", "anyOf", "format", "pattern"} & set(part):
        return OTHER
    for word, wanted in KINDS.items():
        if part.get("type") == wanted["type"] and part.get("items") == wanted.get("items"):
            return word
    return OTHER


def _of_rows(schema: dict[str, Any], old: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    parts: dict[str, Any] = {}
    for row in rows:
        name, before = str(row["name"]), old.get(str(row["name"]), {})
        kept = dict(before) if row["type"] == OTHER or (before and _kind(before) == row["type"]) else {}
        parts[name] = {**kept, **KINDS.get(row["type"], {} if kept else {"type": "object"})}
        parts[name].pop("description", None)
        if row["description"]:
            parts[name]["description"] = str(row["description"])
    if not parts:
        return None
    needed = [str(row["name"]) for row in rows if row["required"]]
    return {"additionalProperties": False, **schema, "type": "object", "properties": parts, "required": needed}


def table(
    copy: Work, key: tuple[str, ...], rows: list[dict[str, Any]], columns: dict[str, Any]
) -> list[dict[str, Any]]:
    """A small table that grows. It begins from `rows` whenever it is drawn anew, and then counts its own edits."""
    widget = copy.key(*key)
    if session.get(widget) is None:
        session.keep(f"{widget}-rows", rows)
    begun = pd.DataFrame(session.get(f"{widget}-rows"), columns=list(columns))
    edited = st.data_editor(
        begun,
        num_rows="dynamic",
        key=widget,
        hide_index=True,
        column_config=columns,
        width="stretch",
        disabled=copy.locked,
    )
    return [{str(name): _cell(value) for name, value in row.items()} for row in edited.to_dict("records")]


def _cell(value: Any) -> Any:
    return value if isinstance(value, bool) else "" if pd.isna(value) else str(value)
