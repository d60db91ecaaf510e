"""`approvals`: list, expire."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench import access, jobs
from workbench.cli.output import Json, emit, no, progress
from workbench.traces import approvals

app = typer.Typer(no_args_is_help=True, help="Calls that wait for a person: list, expire.")


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help=f"One of {', '.join(approvals.STATES)}; default: all.")] = "",
    json: Json = False,
) -> None:
    """Calls that wait for a person, the oldest first, then those that were decided."""
    found = approvals.find(state=state)
    lines = [f"{a.id}  {a.state}  {a.flow}  {a.tool}  until {a.expires_at:%Y-%m-%d %H:%M} UTC" for a in found]
    emit(found, "\n".join(lines) or "Nothing waits for a person.", as_json=json)


@app.command()
def expire(json: Json = False) -> None:
    """Close what nobody decided in time and let those runs go on, as the running app does. Exit code 1 where one fails."""
    access.require(access.local(), "decide an approval")
    ended = [jobs.run_here(job_id) for job_id in approvals.expire()]
    for job in ended:
        progress(f"{job.title}: {job.state}")
    count = len(ended)
    text = f"{count} {'run goes' if count == 1 else 'runs go'} on without the calls that nobody decided in time."
    emit(ended, text if ended else "Nothing has expired.", as_json=json)
    if any(job.state != "done" for job in ended):
        no()
