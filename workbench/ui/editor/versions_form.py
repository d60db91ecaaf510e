"""The named versions of a draft: keep one, compare any two, restore one."""

from __future__ import annotations

import streamlit as st

from workbench import releases
from workbench.access import Actor
from workbench.flows import draft, versions
from workbench.runtime.release import Release
from workbench.ui import show
from workbench.ui.editor.working_copy import Work, again, moment, popover, save


def versions_form(actor: Actor, copy: Work) -> None:
    """Named versions: keep one, compare any two, restore one."""
    if copy.forked_from:
        st.caption(show.plain(f"Forked from {copy.forked_from}."))
    listed = versions.versions(copy.flow)
    with popover(copy, "name-version", label="Name this version", icon="bookmark_add"):
        title = st.text_input(
            "Title", key=copy.key("version-title"), placeholder="Before the refund rules", persist_state="session"
        )
        note = st.text_area("Note", key=copy.key("version-note"), height=80, persist_state="session")
        if st.button("Keep it", key=copy.key("name-version"), type="primary"):
            with show.errors():
                if copy.changed:
                    save(actor, copy, number=False)
                versions.add(actor, copy.flow, title, note, base=copy.base)
                copy.take(draft(copy.flow))
                copy.told = f"Named {title.strip()}."
                again()
    if not listed:
        st.caption("No named versions yet. Name one before a larger change; restoring it is one click.")
    for one in listed:
        _version_row(actor, copy, one)
    _compare(copy, listed)


def _version_row(actor: Actor, copy: Work, one: versions.Version) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        words = f"**{one.number}. {show.plain(one.title)}**" + (f"  \n{show.plain(one.note)}" if one.note else "")
        st.markdown(words)
        st.caption(show.plain(f"{one.saved_by}, {moment(one.saved_at)}"))
        key = f"restore-{copy.flow}-{one.number}"
        if st.button("Restore", key=key, type="tertiary", icon=":material/restore:", disabled=copy.locked):
            with show.errors():
                if copy.changed:
                    save(actor, copy, number=False)
                copy.take(versions.restore(actor, copy.flow, one.number, base=copy.base))
                copy.told = f"Version {one.number} restored as save {copy.base}."
                again()


def _compare(copy: Work, listed: list[versions.Version]) -> None:
    """What changed between any two of: the draft as it is here, its versions, its releases."""
    ends: dict[str, versions.Version | str | None] = {"the draft as it is here": None}
    ends |= {f"version {one.number}: {one.title}": one for one in listed}
    ends |= {f"release v{one.number}": f"{copy.flow}@v{one.number}" for one in releases.releases(copy.flow)}
    if len(ends) < 2:
        return
    left, right = st.columns(2)
    names = list(ends)
    before = left.selectbox("Compare", names, 1, key=f"before-{copy.flow}")
    after = right.selectbox("with", names, 0, key=f"after-{copy.flow}")
    with show.errors():
        one, other = _end(copy, ends[before]), _end(copy, ends[after])
        listing([] if versions.alike(one, other) else releases.diff(one, other))


def _end(copy: Work, end: versions.Version | str | None) -> Release:
    if isinstance(end, versions.Version):
        return versions.content(end)
    return versions.bare(releases.resolve(end)) if end else versions.release(versions.Copy(copy.body, copy.live))


def listing(changes: list[releases.Change]) -> None:
    """Changes in words, the lines of a text under a fold."""
    if not changes:
        st.caption("Nothing differs between the two.")
    for change in changes:
        mark = ":red-badge[:material/warning: risk] " if change.risk else ""
        st.markdown(f"- {mark}{show.plain(change.words)}")
        if change.lines:
            with st.expander("The lines"):
                st.code("\n".join(change.lines), language="diff", wrap_lines=True)
