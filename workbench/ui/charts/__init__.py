"""Charts: data in, a picture out, in the colours of the theme in use."""

from __future__ import annotations

import streamlit as st

from workbench import flows
from workbench.runtime.spec import FlowSpec

LIGHT = {"ink": "#1d2326", "accent": "#0b6e6e", "faint": "#8b979b", "alarm": "#c2452d"}
DARK = {"ink": "#e3e8e9", "accent": "#4fb8b0", "faint": "#77848a", "alarm": "#f08a70"}


def colours() -> dict[str, str]:
    """The few colours of the theme in use."""
    return DARK if st.context.theme.get("type") == "dark" else LIGHT


def network(spec: FlowSpec) -> None:
    """A flow's network of agents and tools."""
    st.graphviz_chart(flows.dot(spec, **colours()), width="content")
