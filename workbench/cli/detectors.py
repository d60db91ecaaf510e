"""`detectors list`, `detectors run` and `detectors backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench import access, jobs
from workbench.cli.output import Json, emit, progress, read_file
from workbench.operations import notices
from workbench.tickets import detectors as domain
from workbench.tickets import known as incident_files
from workbench.tickets import signals, watch

app = typer.Typer(no_args_is_help=True, help="Detectors: what is watched, and what it would have found.")


@app.command("list")
def listed(as_json: Json = False) -> None:
    """Every detector, whether it is live, and what it does."""
    found = domain.detectors()
    lines = [f"{one.name}  v{one.number}  {_live(one)}\n    {domain.words(one.spec)}" for one in found]
    emit(found, "\n".join(lines) or "There are no detectors yet. Make one on the Detectors page.", as_json=as_json)


@app.command()
def run(as_json: Json = False) -> None:
    """Judge what is new for every live detector, and send the notices that are due."""
    progress("Looking at new tickets")
    done = watch.run(access.local("admin"))
    notices.make()
    if job_id := notices.due():
        jobs.run_here(job_id)
    text = f"{done.detectors} live detectors, {done.windows} new windows, {done.again} changed by late tickets, "
    text += f"{done.firings} firings, {len(done.incidents)} new incidents."
    emit(done, text, as_json=as_json)


@app.command()
def backtest(
    detector: Annotated[str, typer.Argument(help="Its name.")],
    incidents: Annotated[
        Path | None, typer.Option(help="CSV: title, start, end, then dimensions; default: the product's own incidents.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the newest version of a detector over all history, beside incidents that people know of."""
    known = incident_files.read(read_file(incidents), incidents.name) if incidents else signals.known()
    labels = incidents.name if incidents else "the workbench's incidents"
    progress(f"Backtesting {detector}")
    done = domain.backtest(access.local("admin"), detector, known, labels=labels)
    emit(done, _say(done), as_json=as_json)


def _live(one: domain.Stored) -> str:
    return f"live as v{one.live}" if one.live else "not live"


def _say(done: domain.Test) -> str:
    found = done.figures
    shares = [
        f"{name} {'—' if found[name] is None else f'{100 * found[name]:.0f} %'}" for name in ("precision", "recall")
    ]
    delay = "" if found["delay"] is None else f", {found['delay']:.0f} hours after the start (median)"
    lines = [
        f"{done.detector} v{done.number} against {done.labels}: {', '.join(shares)}",
        f"{found['firings']} firings in {found['weeks']:.0f} weeks ({found['a_week']:.2f} a week), {found['false']} of them false",
        f"{found['found']} of {found['known']} known incidents found{delay}",
    ]
    return "\n".join(lines)
