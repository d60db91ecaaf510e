"""The parts of the Brief page: the week, the sentences with their links, the quotes, the notes, and the files."""

from __future__ import annotations

import streamlit as st

from workbench import settings
from workbench.access import Actor, may
from workbench.tickets import brief_notes, brief_text, noise, weeks
from workbench.tickets.brief import Brief
from workbench.tickets.figures import Sentence
from workbench.tickets.weeks import Period
from workbench.ui import chain_links, session, show

PRINT = """<style>
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], .st-key-brief-tools, .st-key-brief-write,
  .st-key-brief-send, .st-key-brief-judged {display: none !important;}
  @page {margin: 12mm;}
  [data-testid="stMainBlockContainer"] {zoom: .68;}
  [data-testid="stVerticalBlock"] {gap: .45rem !important;}
  .st-key-brief-page {max-width: none !important;}
  [data-testid="stMainBlockContainer"] {padding: 0 !important; max-width: none !important;}
  [data-testid="stAppViewContainer"], [data-testid="stMain"] {position: static !important; overflow: visible !important;}
  .stMarkdown li, .stMarkdown blockquote {break-inside: avoid;}
  body, .stApp {background: #fff !important; color: #000 !important;}
}
.st-key-brief-page {max-width: 54rem;}
.st-key-brief-page a {font-variant-numeric: tabular-nums;}
</style>"""


def choose() -> Period | None:
    """The week, kept in the address; the newest whole one at first. None where the address names none that is there."""
    known = {one.name: one for one in weeks.known()}
    if day := weeks.day(session.asked("week")):
        known = {day.name: day, **known}
    if not session.asked("week") and not session.has("linked-week"):
        session.point("week", weeks.latest().name)
    titles = {name: one.said for name, one in known.items()}
    chosen = session.pick("Week", "week", titles, thing="week", fresh=weeks.latest().name)
    return known[chosen] if chosen else None


def page(found: Brief) -> None:
    """The brief itself: sections of sentences, each number a link to the page that shows the same number."""
    for title, sentences in brief_text.sections(found):
        st.subheader(title, anchor=False)
        st.markdown("\n".join(f"- {_linked(one)}" for one in sentences))
    if found.quotes:
        st.subheader("What customers write", anchor=False)
    for quote in found.quotes:
        chain_links.quoted(quote.ticket_id, quote.text, quote.group)
    with st.container(key="brief-judged"), st.expander("How a change is judged", icon=":material/functions:"):
        st.caption(f"Each number leads to the page where the same number stands. {noise.TEST}")


def files(found: Brief) -> None:
    """The brief as a file, and how to print it."""
    base, note = settings.load().url, brief_notes.note(found.period)
    st.download_button(
        "Markdown", lambda: brief_text.markdown(found, note, base), f"brief-{found.period.name}.md", "text/markdown",
        icon=":material/download:", on_click="ignore", key="brief-markdown",
    )  # fmt: skip
    st.download_button(
        "HTML", lambda: brief_text.page(found, note, base), f"brief-{found.period.name}.html", "text/html",
        icon=":material/download:", on_click="ignore", key="brief-html",
    )  # fmt: skip
    st.caption("To print it, use your browser's Print: menus and buttons stay away.")


def notes(actor: Actor, period: Period) -> None:
    """What people wrote under the brief, with author and time, and a form for whoever may write."""
    now = brief_notes.note(period)
    if now.text:
        st.subheader("Notes", anchor=False)
        st.markdown(show.plain(now.text))
        st.caption(show.plain(f"{now.author}, {show.when(now.at)}, version {now.number}"))
    with st.container(key="brief-write"), show.errors():
        if not may(actor, "write under a brief"):
            st.caption("Notes are written by managers and architects.")
            return
        with st.expander("Edit the notes" if now.text else "Write notes", icon=":material/edit_note:"):
            _form(actor, period, now)
            _older(period, now)


def _form(actor: Actor, period: Period, now: brief_notes.Note) -> None:
    with st.form(f"brief-notes-{period.name}-{now.number}", border=False):
        text = st.text_area(
            "Notes", now.text, key=f"brief-text-{period.name}-{now.number}", height=140,
            max_chars=brief_notes.LONGEST, placeholder="What Product should know that figures do not tell.",
        )  # fmt: skip
        if st.form_submit_button("Save the notes", type="primary", icon=":material/save:"):
            with show.errors():
                brief_notes.write(actor, period, text, seen=now.number)
                st.rerun()


def _older(period: Period, now: brief_notes.Note) -> None:
    """Every earlier version, so that nothing written is lost."""
    for one in brief_notes.versions(period):
        if one.number != now.number:
            st.caption(show.plain(f"Version {one.number}, {one.author}, {show.when(one.at)}"))
            st.code(one.text or "(empty)", language=None, wrap_lines=True)


def _linked(one: Sentence) -> str:
    return "".join(
        show.plain(part) if isinstance(part, str) else f"[**{show.plain(part.text)}**]({brief_text.address(part)})"
        for part in one.parts
    )
