"""What to do where somebody else saved the draft meanwhile: take theirs, keep mine, or merge change by change."""

from __future__ import annotations

import streamlit as st

from workbench import releases
from workbench.access import Actor
from workbench.errors import Conflict, Invalid
from workbench.flows import versions
from workbench.flows.drafts import Draft
from workbench.runtime import spec
from workbench.runtime.release import Release
from workbench.ui import show
from workbench.ui.editor.working_copy import Work, again, tidy


def clash(actor: Actor, copy: Work) -> None:
    """Somebody else saved meanwhile: both versions in words, and three ways out. Nothing is lost in any of them."""
    theirs = copy.theirs
    if theirs is None:
        return
    texts = {
        **copy.began,
        **{name: copy.loaded[name].text for name in copy.live if name in copy.loaded},
        **copy.waiting,
    }
    base = versions.Copy(copy.saved, texts)
    they = versions.copy_of(theirs)
    mine = versions.Copy(copy.body, {**texts, **copy.live})
    their_edits, my_edits = versions.edits(base, they), versions.edits(base, mine)
    their_edits = [one for one in their_edits if one not in my_edits]
    if not their_edits:
        copy.base, copy.theirs = theirs.version, None
        again()
    with st.container(border=True, key="clash"):
        who = (
            f"{theirs.saved_by} saved save {theirs.version}"
            if theirs.version != copy.base
            else "A prompt has a newer number"
        )
        show.failure(
            Conflict(
                f"The flow {copy.flow} was changed by somebody else meanwhile.",
                remedy=f"{who} after you had begun from save {copy.base}. Choose below; nothing is lost in any case.",
            )
        )
        left, right = st.columns(2, gap="medium")
        with left:
            st.markdown(f"**Theirs** ({show.plain(theirs.saved_by)})")
            taken = _picks(copy, base, their_edits, my_edits, "theirs", ticked=False)
        with right:
            st.markdown("**Yours**")
            taken += _picks(copy, base, my_edits, their_edits, "mine", ticked=True)
        both = any(versions.clash(one, other) for one in taken for other in taken)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Take theirs", key="take-theirs"):
                copy.take(theirs)
                copy.told = f"Save {theirs.version} of {theirs.saved_by} is shown. Undo brings yours back."
                again()
            if st.button("Keep mine", key="keep-mine"):
                _over(actor, copy, theirs, mine)
            if st.button("Merge what is ticked", key="merge", type="primary", disabled=both):
                _over(actor, copy, theirs, versions.merged(base, taken))
            if both:
                st.caption("Two ticked changes touch the same thing: take one of them.")


def _picks(
    copy: Work, base: versions.Copy, edits: list[versions.Edit], others: list[versions.Edit], side: str, *, ticked: bool
) -> list[versions.Edit]:
    """One side's changes to tick, in words; where both sides touch the same thing, `ticked` says which side begins ticked."""
    taken = []
    before = versions.release(base)
    for place, edit in enumerate(edits):
        contested = any(versions.clash(edit, other) for other in others)
        changes = _words(before, base, edit)
        words = "; ".join(change.words for change in changes) or " ".join(edit.path)
        label = show.plain(words) + (" :orange-badge[both changed this]" if contested else "")
        if st.checkbox(label, ticked or not contested, key=copy.key("pick", side, str(place))):
            taken.append(edit)
        lines = [line for change in changes for line in change.lines]
        if lines:
            st.code("\n".join(lines), language="diff", wrap_lines=True)
    if not edits:
        st.caption("No change.")
    return taken


def _words(before: Release, base: versions.Copy, edit: versions.Edit) -> list[releases.Change]:
    try:
        after = versions.merged(base, [edit])
        return releases.diff(before, versions.release(versions.Copy(tidy(after.body), after.texts)))
    except Invalid:
        return []


def _over(actor: Actor, copy: Work, theirs: Draft, mine: versions.Copy) -> None:
    """Save `mine` as the next save after theirs, which is kept among the versions."""
    with show.errors():
        body = tidy(mine.body)
        saved = versions.saved_texts(spec.parse(body))
        texts = {n: mine.texts[n] for n in versions.followed(body) if n in mine.texts and mine.texts[n] != saved.get(n)}
        draft = versions.override(actor, spec.parse(body), texts, theirs=theirs.version)
        copy.take(draft)
        copy.told = f"What {theirs.saved_by} had saved is kept on the Versions tab."
        again()
