"""Prompts: read, write and compare prompt texts; each number stays as it is."""

import streamlit as st

from workbench import prompts
from workbench.flows import uses
from workbench.ui import nav, prompt_forms, session, show
from workbench.ui.differences import MANNERS, compare

actor = session.actor()
place = nav.place("prompts")
show.head(place.title, place.purpose)


PARTS = ("Text", "Versions", "Compare", "Used by", "Remarks", "Fill in", "Write")


def listing(used: dict[str, list[uses.Use]]) -> str | None:
    """The prompts that hold the searched words, in the order of their folders; the name of the chosen one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input("Search", key="prompt-words", placeholder="any words", live=True)
        folder = st.selectbox("Folder", ["all", *prompts.folders()], key="prompt-folder", bind="query-params")
    found = [one for one in prompts.find(words or "") if folder in ("all", one.folder)]
    if not found:
        show.empty("No prompts fit", "Search for fewer words, or in all folders.", icon="search_off")
        return None
    with st.container(key="prompt-list", height=480 if len(found) > 7 else "content", border=False):
        return prompt_forms.choose(found, used)


def reading(name: str, used: list[uses.Use]) -> None:
    """One prompt: its text, versions, comparison, uses, remarks, a test form and the next version."""
    found = prompts.versions(name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(show.plain(name), anchor=False)
        chosen = prompt_forms.number(found)
        file = f"{name.replace('/', '-')}-{chosen.number:03}.md"
        st.download_button(
            "Download", prompts.file(chosen), file, "text/markdown", icon=":material/download:", on_click="ignore"
        )
        if chosen.number != found[0].number:
            prompt_forms.restore(actor, chosen, found[0])
    remarks = uses.remarks(chosen)
    with st.container():
        prompt_forms.facts(chosen, used, remarks)
    start = "Compare" if "against" in st.query_params else "Text"
    text, versions, difference, where, lint, fill, write = st.tabs(
        PARTS, default=start, key="prompt-tab", bind="query-params"
    )
    with text:
        st.code(chosen.text, language=None, wrap_lines=True)
    with versions:
        prompt_forms.history(found)
    with difference:
        if len(found) < 2:
            st.caption("There is one version so far; write the next, and compare the two here.")
        else:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                other = prompt_forms.against(found, chosen)
                manner = st.segmented_control(
                    "Shown", MANNERS, default=MANNERS[0], key="manner", bind="query-params", required=True
                )
            old, new = sorted((chosen, other), key=lambda one: one.number)
            lines = prompts.diff(name, old.number, new.number)
            compare(lines, f"version {old.number}", f"version {new.number}", manner)
    with where:
        prompt_forms.uses(used)
    with lint:
        prompt_forms.remarks(remarks)
    with fill:
        prompt_forms.fill(name, chosen.text, uses.setting(name))
    with write:
        prompt_forms.write(actor, found)


with show.errors():
    with st.container():
        prompt_forms.told()
    if not prompts.names():
        show.empty("No prompts yet", "Write the first one, and name it as an agent's prompt on the Flows page.")
        prompt_forms.begin(actor)
    else:
        used = uses.used()
        left, right = st.container(key="split").columns([4, 9], gap="large")
        with left:
            name = listing(used)
            prompt_forms.begin(actor)
        if name:
            with right, show.errors():
                reading(name, used.get(name, []))
