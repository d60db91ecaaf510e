"""The arguments of a tool on screen: a JSON schema as a small table, read as documentation, and as inputs to fill in."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from workbench.errors import Invalid
from workbench.runtime import arguments
from workbench.ui import session, show
from workbench.ui.editor import KINDS, OTHER, again

COLUMNS = ("name", "type", "description", "required")
NOTHING = "not given"


def rows(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of a schema, a row each."""
    needed = arguments.required(schema)
    return [
        {"name": name, "type": _kind(part), "description": _about(part), "required": name in needed}
        for name, part in _parts(schema).items()
    ]


def schema(old: Mapping[str, Any], edited: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema that the rows stand for. What the table cannot show of `old`, such as choices, is kept."""
    known, parts = _parts(old), dict[str, Any]()
    for row in edited:
        name, before = str(row["name"]), known.get(str(row["name"]), {})
        kept = dict(before) if row["type"] in (OTHER, _kind(before)) else {}
        parts[name] = {**kept, **KINDS.get(row["type"], {})}
        parts[name].pop("description", None)
        if row["description"]:
            parts[name]["description"] = str(row["description"])
    needed = [str(row["name"]) for row in edited if row["required"]]
    return {"additionalProperties": False, **old, "type": "object", "properties": parts, "required": needed}


def table(key: str, old: Mapping[str, Any], *, disabled: bool = False) -> dict[str, Any]:
    """A table that edits a schema, with the schema itself as JSON under a fold. Returns the schema as it is now.

    Raises Invalid for JSON that cannot be read.
    """
    st.caption("Arguments: what the model fills in.")
    columns = {
        "name": st.column_config.TextColumn("Argument", required=True, width=120),
        "type": st.column_config.SelectboxColumn(
            "Type", options=[*KINDS, OTHER], default="text", required=True, width=110
        ),
        "description": st.column_config.TextColumn("Description", width=170),
        "required": st.column_config.CheckboxColumn("Required", default=True, width=85),
    }
    stamp = f"{key}-{session.get(f'{key}-stamp', 0)}"
    begun = session.kept(f"{stamp}-begun", lambda: dict(old))
    edited = st.data_editor(
        pd.DataFrame(rows(begun), columns=list(COLUMNS)),
        num_rows="dynamic",
        key=stamp,
        hide_index=True,
        column_config=columns,
        width="stretch",
        disabled=disabled,
    )
    listed = [{str(name): _cell(value) for name, value in row.items()} for row in edited.to_dict("records")]
    made = schema(begun, [row for row in listed if row["name"]])
    with st.popover("As JSON Schema", icon=":material/data_object:", type="tertiary"):
        text = json.dumps(made, indent=2, ensure_ascii=False)
        written = st.text_area("JSON Schema", text, height=260, key=f"{stamp}-json-{zlib.crc32(text.encode())}")
        if st.button("Take over", key=f"{stamp}-take", disabled=disabled or written == text):
            session.keep(f"{key}-stamp", session.get(f"{key}-stamp", 0) + 1)
            session.keep(f"{key}-{session.get(f'{key}-stamp')}-begun", _json(written))
            again()
    return made


def documentation(parameters: Mapping[str, Any]) -> None:
    """What a tool takes, as its user reads it."""
    listed = rows(parameters)
    if not listed:
        st.caption("It takes no arguments.")
        return
    parts = _parts(parameters)
    shown = [
        {
            "Argument": row["name"],
            "Type": _words(parts[row["name"]]),
            "Required": "yes" if row["required"] else "no",
            "Description": row["description"],
        }
        for row in listed
    ]
    st.dataframe(pd.DataFrame(shown), hide_index=True, width="stretch", height="content")


def inputs(key: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An input for each argument, by its type. Returns what was filled in. Raises Invalid for JSON that cannot be read."""
    needed, made = arguments.required(parameters), dict[str, Any]()
    for name, part in _parts(parameters).items():
        value = _input(f"{key}-{name}", name, _one(part), name in needed)
        if value is not None:
            made[name] = value
    return made


def _input(key: str, name: str, part: Mapping[str, Any], needed: bool) -> Any:
    label = show.plain(name.replace("_", " ")) + ("" if needed else " (optional)")
    about = show.plain(_about(part)) or None
    if isinstance(part.get("enum"), list) and part["enum"]:
        return _choice(label, part["enum"], needed, key, about)
    kind = part.get("type")
    if kind == "boolean":
        return _choice(label, [True, False], needed, key, about)
    if kind == "integer":
        return st.number_input(label, value=None, step=1, key=key, help=about)
    if kind == "number":
        return st.number_input(label, value=None, key=key, help=about)
    if kind == "string":
        text = st.text_input(label, key=key, help=about)
        return text if text or needed else None
    written = st.text_area(f"{label}, as JSON", key=key, help=about, height=80)
    return _value(name, written) if written.strip() else None


def _choice(label: str, options: list[Any], needed: bool, key: str, about: str | None) -> Any:
    """A choice of JSON values. The browser tells a choice back by its words, so places are chosen and not values."""
    words = [_shown(one) for one in options]
    chosen = st.selectbox(label, words if needed else [NOTHING, *words], key=key, help=about)
    return None if chosen is None or (not needed and chosen == NOTHING) else options[words.index(chosen)]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parts(schema_: Mapping[str, Any]) -> dict[str, Any]:
    found = schema_.get("properties")
    return {str(name): part for name, part in found.items()} if isinstance(found, Mapping) else {}


def _one(part: Any) -> Mapping[str, Any]:
    """An argument's schema; of several that it may keep, the first that is not nothing."""
    if not isinstance(part, Mapping):
        return {}
    for several in ("anyOf", "oneOf"):
        kinds = [one for one in part.get(several) or [] if isinstance(one, Mapping) and one.get("type") != "null"]
        if len(kinds) == 1:
            return {**kinds[0], "description": part.get("description", "")}
    if isinstance(part.get("type"), list):
        kinds = [one for one in part["type"] if one != "null"]
        return {**part, "type": kinds[0] if len(kinds) == 1 else ""}
    return part


def _kind(part: Any) -> str:
    """The word of the table for an argument's schema; one that says more than the word is kept as it is."""
    said = {name: value for name, value in part.items() if name != "description"} if isinstance(part, Mapping) else part
    return next((word for word, wanted in KINDS.items() if said == wanted), OTHER)


def _words(part: Any) -> str:
    one = _one(part)
    if isinstance(one.get("enum"), list):
        return "one of " + ", ".join(_shown(value) for value in one["enum"])
    kind = one.get("type", "")
    word = next((word for word, wanted in KINDS.items() if wanted["type"] == kind and "items" not in wanted), str(kind))
    return {"array": "list", "object": "several values", "": "anything"}.get(word, word)


def _about(part: Any) -> str:
    return str(part.get("description") or "") if isinstance(part, Mapping) else ""


def _cell(value: Any) -> Any:
    return value if isinstance(value, bool) else "" if pd.isna(value) else str(value)


def _value(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid(f"{name}: the JSON cannot be read: {error}.") from None


def _json(text: str) -> dict[str, Any]:
    made = _value("JSON Schema", text)
    if problem := arguments.fault(made):
        raise Invalid(f"This cannot be the arguments of a tool: {problem}.")
    return dict(made)
