"""Variants over a dataset: begin a grid of experiments, watch it, and read what differs between them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import streamlit as st

from workbench import datasets, jobs, releases
from workbench.access import Actor
from workbench.evals import grid
from workbench.evals.grid import Grid, Piece, Side
from workbench.ui import nav, session, show, side_by_side, transcript
from workbench.ui.side_by_side import NARROWEST, marked

ROWS = 20
"""So many cases stand on a page of the table."""

NEAR = 24
"""So many characters of what is the same are shown before and after what differs."""

LONGEST = 120
"""So many characters of a reply or a message stand in a cell of the table."""


def begin(actor: Actor, tried: Sequence[side_by_side.Tried], sets: Sequence[str], *, real: bool = False) -> None:
    """Choose a dataset, and freeze every variant as an experiment over it that runs in the background."""
    own = tried[0].release.name if tried else ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = st.selectbox("Dataset", sets, sets.index(own) if own in sets else 0, key="grid-dataset", width=260)
        repeat = st.number_input("Times each", 1, 20, 1, key="grid-repeat", width=120)
        pressed = st.button(
            "Freeze as experiments and run", key="run-grid", type="primary", icon=":material/play_arrow:",
            disabled=not tried,
        )  # fmt: skip
    if pressed:
        with show.errors():
            variants = [one.variant for one in tried]
            _start(grid.create(actor, variants, dataset, releases.resolve, repeat=int(repeat), real=real))


def results(actor: Actor, *, real: bool = False) -> None:
    """A grid chosen from the newest ones: its progress, or what each variant came to and the cases, differing ones first."""
    known = grid.grids()
    if not known:
        show.empty(
            "No grid yet",
            "Choose a dataset and press the button above: every variant runs every case, and each is kept "
            "as an experiment.",
            icon="grid_view",
        )
        return
    titles = {one: f"{listed.words}, {show.when(listed.at)} · {one[-8:]}" for one, listed in known.items()}
    chosen = session.pick("Grid", "grid", titles, thing="grid", fresh=next(iter(known)))
    if not chosen:
        return
    found = grid.grid(chosen)
    if not found.ended:
        _progress(actor, found.id)
        return
    _sides(found)
    side_by_side.take_up(found)
    _rows(found)
    _case(found)
    if st.button("Run this grid again", icon=":material/replay:", key="again", help="The same frozen flows and cases."):
        with show.errors():
            _start(grid.again(actor, found.id, real=real))
            st.rerun()


def _start(grid_id: str) -> None:
    for side in grid.grid(grid_id).sides:
        jobs.start(side.experiment.job_id)
    session.point("grid", grid_id)


@st.fragment(run_every=1.0)
def _progress(actor: Actor, grid_id: str) -> None:
    """How far each variant has come, once a second, until all have ended."""
    found = grid.grid(grid_id)
    if found.ended:
        st.rerun()
    for side in found.sides:
        st.progress(side.done / max(1, side.total), f"{show.plain(side.title)}: {side.done} of {side.total} runs")
    if st.button("Cancel", key=f"cancel-{grid_id}"):
        with show.errors():
            for side in found.sides:
                jobs.cancel(actor, side.experiment.job_id)


def _sides(found: Grid) -> None:
    cells = st.grid(len(found.sides), min_column_width=NARROWEST, key="sides")
    for side in found.sides:
        with cells.container(border=True):
            st.markdown(f"**{show.plain(side.title)}**")
            _side(side)
            for agent, text in side.variant.prompts.items():
                with st.expander(f"Edited prompt of {agent}", icon=":material/edit_note:"):
                    st.code(text, language=None, wrap_lines=True)
            nav.link("evaluate", "Read the experiment", {"experiment": side.experiment.id})


def _side(side: Side) -> None:
    if side.state != "done":
        st.warning(f"Ended as {side.state} after {side.done} of {side.total} runs.", icon=":material/warning:")
        return
    rate = side.rate
    st.metric("Pass rate", f"{100 * rate.value:.0f} %" if rate.total else "none")
    st.caption(
        f"{rate.passed} of {rate.total} scored cases pass; 95 % interval {rate.interval}"
        if rate.total
        else "No case expects anything, so there is no pass rate."
    )
    cost = "cost unknown" if side.usd is None else "no cost" if side.usd == 0 else f"${side.usd:.4f}"
    seconds = "no run" if side.seconds is None else f"median {side.seconds:.2f} s"
    st.caption(f"{seconds} · {side.tokens:,} tokens · {show.plain(cost)}")
    st.markdown(" ".join(f"{transcript.badge(name)} {count}" for name, count in side.outcomes.items()))


def _rows(found: Grid) -> None:
    """The cases, those that differ first, a page of them in a table whose cells wrap, so that it fits any window."""
    count, total = found.differing, len(found.rows)
    words = f"{count} of {total} cases {'differs' if count == 1 else 'differ'}." if count else "No case differs."
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{words}**{' Those stand first, marked ≠.' if count else ''}", width="content")
        st.download_button(
            "Download", table_file(found), f"{found.id}.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
    pages = -(-total // ROWS)
    below = st.container()
    page = st.pagination(pages, key=f"page-{found.id}") if pages > 1 else 1
    below.markdown(table(found, (page - 1) * ROWS))


def table(found: Grid, first: int = 0) -> str:
    """A page of the cases as a Markdown table, from the row at `first` on: what differs, and how each variant answered."""
    letters = grid.LETTERS[: len(found.sides)]
    lines = [["", "Case", *letters], [":-:", ":--", *(":--" for _ in letters)]]
    for row in found.rows[first : first + ROWS]:
        mark = "**≠**" if row.differs else ":gray[=]"
        first_reply = next((_flat(cell) for cell in row.cells if cell is not None), "")
        cells = [_reading(cell, first_reply if place else "") for place, cell in enumerate(row.cells)]
        lines.append([mark, f":gray[{_inline(row.case_id)}] {_inline(row.question)}", *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _reading(cell: grid.Cell | None, before: str) -> str:
    """What a variant made of a case, in a cell: whether it passes and how it ended, and what it said.

    Beside the reply of the first variant, `before`, only what differs is told whole.
    """
    if cell is None:
        return ":gray[did not run]"
    passed = "passes" if cell.passed else "not scored" if cell.passed is None else "**fails**"
    head = f":gray[{passed}, {_inline(' or '.join(dict.fromkeys(cell.outcomes)))}]"
    said = _flat(cell)
    if not before:
        return f"{head} {_inline(said)}"
    if said == before:
        return f"{head} :gray[the same reply]"
    pieces = (
        Piece(one.kind, _middle_out(one.text)) if one.kind == "same" else one for one in grid.pieces(before, said)
    )
    return f"{head} {marked(list(pieces))}"


def _flat(cell: grid.Cell) -> str:
    return " ".join(_words("reply", cell).split())


def _middle_out(text: str) -> str:
    return text if len(text) <= 2 * NEAR else f"{text[:NEAR]} … {text[-NEAR:]}"


def _inline(text: str) -> str:
    """Text from outside as it fits into one line of a table, shortened."""
    flat = " ".join(text.split())
    return show.plain(flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…")


def _case(found: Grid) -> None:
    """One case, chosen from those that differ first: every reply, what differs from the first marked."""
    rows = {row.case_id: row for row in found.rows}
    row = rows[st.selectbox("Read a case", list(rows), key="grid-case", width=400)]
    transcript.question(row.question)
    first = next((cell.replies[0] for cell in row.cells if cell is not None), "")
    cells = st.grid(len(row.cells), min_column_width=NARROWEST, key="case")
    for side, cell in zip(found.sides, row.cells, strict=True):
        with cells.container(border=True):
            st.markdown(f"**{show.plain(side.title)}**")
            if cell is None:
                st.caption("It did not run.")
                continue
            st.markdown(marked(grid.pieces(first, cell.replies[0])))
            verdict = "passes" if cell.passed else show.plain(_words("passed", cell))
            st.caption(f"{transcript.badge(cell.outcomes[0])} · {verdict}")
            nav.link("runs", "Read this run", {"run": cell.run_ids[0]})


def _table(found: Grid) -> list[dict[str, str]]:
    """The cases as rows of words, ready for a table."""
    rows = []
    for one in found.rows:
        row = {"case": one.case_id, "differs": "≠ differs" if one.differs else "same", "message": one.question}
        for kind in ("passed", "reply", "outcome", "run"):
            for letter, cell in zip(grid.LETTERS, one.cells, strict=False):
                row[f"{kind} {letter}"] = _words(kind, cell)
        rows.append(row)
    return rows


def _words(kind: str, cell: grid.Cell | None) -> str:
    if cell is None:
        return "not run"
    if kind == "passed":
        return "yes" if cell.passed else "not scored" if cell.passed is None else f"no: {cell.why}"
    if kind == "run":
        return f"/runs?run={cell.run_ids[0]}"
    return " | ".join(dict.fromkeys(cell.replies if kind == "reply" else cell.outcomes))


def table_file(found: Grid) -> str:
    """The table as a file. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    rows, text = _table(found), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: f"'{value}" if value[:1] in ("=", "+", "-", "@") else value for key, value in row.items()} for row in rows
    )
    return text.getvalue()


def sets() -> list[str]:
    """The names of the datasets."""
    return [one.name for one in datasets.datasets()]
