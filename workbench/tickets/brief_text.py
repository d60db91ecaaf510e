"""A brief as text: Markdown, one HTML page that needs nothing else, and plain lines. All words are escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import urlencode

from workbench.tickets import noise
from workbench.tickets.brief import Brief
from workbench.tickets.brief_notes import Note
from workbench.tickets.figures import Figure, Sentence, counted, in_line

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1d2326}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.4rem 0 .3rem}ul{margin:0;padding-left:1.2rem}"
    "blockquote{margin:.5rem 0;padding-left:.8rem;border-left:3px solid #0b6e6e}small,.note{color:#5a666a}"
    "a{color:#0b6e6e;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap;font:inherit}"
    "@page{margin:12mm}@media print{body{margin:0;max-width:none;font-size:11px}a{color:inherit}h2{margin:.7rem 0 .2rem}}"
)


def address(figure: Figure) -> str:
    """Where a figure leads, within the app."""
    return f"/{figure.page}?{urlencode(dict(figure.state), doseq=True)}"


def sections(found: Brief) -> list[tuple[str, list[Sentence]]]:
    """The parts of a brief with their titles, in order; parts without sentences are left out."""
    moved = [*(one.said for one in found.moves), found.quiet]
    parts = [
        ("The week in figures" if found.period.start != found.period.end else "The day in figures", found.headlines),
        ("What moved", moved),
        ("Incidents", found.incidents),
        ("Did the fixes work?", found.fixes),
        ("What Support asks of Product", found.asks),
    ]
    said = [(title, [one for one in sentences if one.parts]) for title, sentences in parts]
    return [(title, sentences) for title, sentences in said if sentences]


def title(found: Brief) -> str:
    """The title of a brief."""
    return f"Support brief: {found.period.said}"


def about(found: Brief) -> str:
    """What the brief rests on, in one line."""
    so_far = "" if found.whole else f" The week is not over: tickets end with {found.end:%-d %b}."
    days = "the same days of the week before" if not found.whole else "the week before"
    if found.period.start == found.period.end:
        days = "the same day of the week before"
    return f"{counted(found.tickets, 'ticket')}, days in UTC, compared with {days}.{so_far}"


def markdown(found: Brief, note: Note, base: str) -> str:
    """The brief as Markdown; links begin with `base`."""

    def said(one: Sentence) -> str:
        return "".join(
            _flat(part) if isinstance(part, str) else f"[{_flat(part.text)}]({base}{address(part)})"
            for part in one.parts
        )

    lines = [f"# {_flat(title(found))}", "", _flat(about(found)), ""]
    if note.text:
        lines += [
            "## Notes",
            "",
            *(_flat(line) for line in note.text.splitlines()),
            "",
            f"— {_flat(_signed(note))}",
            "",
        ]
    for name, sentences in sections(found):
        lines += [f"## {name}", "", *(f"- {said(one)}" for one in sentences), ""]
    if found.quotes:
        lines += ["## What customers write", ""]
        for quote in found.quotes:
            link = f"{base}/ticket?{urlencode({'ticket': quote.ticket_id})}"
            lines += [f"> {_flat(quote.text)}", ">", f"> [Ticket {_flat(in_line(quote.ticket_id))}]({link})", ""]
    return "\n".join([*lines, f"*{_flat(noise.TEST)}*", ""])


def page(found: Brief, note: Note, base: str) -> str:
    """The brief as one HTML page; links begin with `base`."""

    def said(one: Sentence) -> str:
        return "".join(
            html.escape(part)
            if isinstance(part, str)
            else f'<a href="{html.escape(base + address(part))}">{html.escape(part.text)}</a>'
            for part in one.parts
        )

    body = [f"<h1>{html.escape(title(found))}</h1><small>{html.escape(about(found))}</small>"]
    if note.text:
        body.append(f"<h2>Notes</h2><pre>{html.escape(note.text)}</pre><small>{html.escape(_signed(note))}</small>")
    for name, sentences in sections(found):
        items = "".join(f"<li>{said(one)}</li>" for one in sentences)
        body.append(f"<h2>{html.escape(name)}</h2><ul>{items}</ul>")
    if found.quotes:
        body.append("<h2>What customers write</h2>")
        for quote in found.quotes:
            link = html.escape(f"{base}/ticket?{urlencode({'ticket': quote.ticket_id})}")
            ticket = html.escape(quote.ticket_id)
            body.append(f'<blockquote>{html.escape(quote.text)}<br><a href="{link}">Ticket {ticket}</a></blockquote>')
    body.append(f'<p class="note">{html.escape(noise.TEST)}</p>')
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title(found))}</title>'
    return f"{head}<style>{STYLE}</style><body>{''.join(body)}</body></html>\n"


def lines(found: Brief, note: Note) -> str:
    """The brief as plain lines, for messages and terminals."""
    made = [about(found)]
    if note.text:
        made += ["", note.text, f"({_signed(note)})"]
    for name, sentences in sections(found):
        made += ["", name.upper(), *(f"- {one.plain}" for one in sentences)]
    if found.quotes:
        made += [
            "",
            "WHAT CUSTOMERS WRITE",
            *(f"- “{one.text}” (ticket {in_line(one.ticket_id)})" for one in found.quotes),
        ]
    return "\n".join(made)


def figures(found: Brief) -> Iterable[Figure]:
    """Every number of a brief that leads somewhere."""
    return (figure for one in found.said for figure in one.figures)


def _signed(note: Note) -> str:
    return f"{note.author}, {note.at:%-d %b %Y, %H:%M} UTC"


_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&])")


def _flat(text: str) -> str:
    """Words in which Markdown sees nothing of its own."""
    return _MARKUP.sub(r"\\\1", text)
