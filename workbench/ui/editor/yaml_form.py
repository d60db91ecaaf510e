"""The flow as YAML, and as a file, out and in."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench.errors import Invalid, WorkbenchError
from workbench.runtime import spec
from workbench.ui import session, show
from workbench.ui.editor.working_copy import Work, popover, step

_MONO = """<style>
.st-key-yaml-box textarea {font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 0.82rem; line-height: 1.45; tab-size: 2; white-space: pre; overflow-x: auto;}
</style>"""


def yaml_form(copy: Work) -> None:
    """The same flow as YAML; a change here changes the forms, once it can be read. Also as a file, out and in."""
    text, shown = spec.write(copy.spec), session.get(f"yaml-{copy.flow}-{copy.pages}", copy.in_field)
    if shown is None or copy.yaml != text:
        copy.aside = shown if shown not in (None, copy.yaml, copy.typed) else copy.aside
        copy.yaml = copy.typed = shown = text
        copy.pages += 1
    told = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        _files(copy, text, told)
    key = f"yaml-{copy.flow}-{copy.pages}"
    with st.container(key="yaml-box"):
        st.html(_MONO)
        edited = copy.in_field = str(
            st.text_area(
                "The flow as YAML",
                shown,
                height=520,
                key=key,
                label_visibility="collapsed",
                disabled=copy.locked,
            )
        )
    if copy.aside:
        with st.expander("Your YAML as it was before the form was changed", icon=":material/history_edu:"):
            st.code(copy.aside, language="yaml")
    if edited not in (copy.yaml, copy.typed):
        with told:
            _take_yaml(copy, edited)


def _files(copy: Work, text: str, told: DeltaGenerator) -> None:
    """The flow as a file, out and in."""
    name, kind = f"{copy.flow}.yaml", "application/yaml"
    st.download_button("Download", text, name, kind, key="download", icon=":material/download:", on_click="ignore")
    with popover(copy, "take-in", label="Take in a file", icon="upload"):
        given = st.file_uploader("A flow as YAML or JSON", FILES, key=copy.key("upload"))
        if given is not None:
            with told:
                _take_yaml(copy, text_of(given), file=given.name)


def _take_yaml(copy: Work, text: str, file: str = "") -> None:
    """Take over a flow as text, or say where it is wrong and change nothing."""
    try:
        made = spec.read(text)
        if made.flow != copy.flow:
            raise Invalid(
                f"This draft is called {copy.flow}, but the text says flow: {made.flow}.",
                remedy=f"Write flow: {copy.flow} there. For a flow with another name, take in the file under New flow.",
            )
    except WorkbenchError as error:
        show.failure(Invalid(f"{file}: {error.message}", remedy=error.remedy) if file else error)
        return
    copy.aside, body = "", spec.plain(made)
    if not file:
        copy.yaml, copy.typed = spec.write(made), text
    if json.dumps(body) != json.dumps(copy.body):
        step(copy, body)


FILES = ["yaml", "yml", "json"]


def text_of(given: Any) -> str:
    """An uploaded file's text; what is not UTF-8 is marked, and then refused where it matters."""
    return str(given.getvalue().decode("utf-8", "replace"))
