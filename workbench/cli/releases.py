"""`releases`: promote, list, show, diff, verify, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench import access, releases
from workbench.cli.output import Json, emit, no
from workbench.errors import Invalid
from workbench.runtime import release as files

app = typer.Typer(no_args_is_help=True, help="Frozen versions of flows and the environments that point to them.")


@app.command()
def promote(
    flow: str,
    to: Annotated[str, typer.Option(help="dev, staging or production")] = "production",
    note: Annotated[str, typer.Option()] = "",
    json: Json = False,
) -> None:
    """Freeze a flow under the next number and point an environment to it, if the gate lets it pass."""
    made = releases.promote(access.local(), flow, to, note)
    emit(made, f"{made.flow}@v{made.number} is in {to}: {made.path}\n{made.digest}", as_json=json)


@app.command("list")
def list_(flow: str, json: Json = False) -> None:
    """The releases of a flow."""
    found = releases.releases(flow)
    lines = [
        f"v{r.number}  {r.made_at:%Y-%m-%d %H:%M}  {r.made_by}  {', '.join(r.environments)}  {r.note}" for r in found
    ]
    emit(found, "\n".join(lines) or f"{flow} has no release yet.", as_json=json)


@app.command()
def show(flow: Annotated[str, typer.Argument(metavar="FLOW@vN")], json: Json = False) -> None:
    """A release's content and origin."""
    found = releases.resolve(flow)
    text = f"{found.name} {found.version}\n{found.digest}\n{found.spec.purpose}\nagents: {', '.join(found.spec.agents)}"
    emit(
        {"version": found.version, "digest": found.digest, "made": dict(found.made), "content": found.body},
        text,
        as_json=json,
    )


@app.command()
def diff(before: str, after: str, json: Json = False) -> None:
    """What changed between two flows or releases, in words. Exit code 1 where they differ."""
    found = releases.diff(releases.resolve(before), releases.resolve(after))
    lines = [f"{'RISK  ' if c.risk else ''}{c.words}" for c in found]
    emit(found, "\n".join(lines) or "Nothing changed.", as_json=json)
    if found:
        no()


@app.command()
def verify(file: Path, json: Json = False) -> None:
    """Check a release file against its digest. Exit code 1 where it was changed."""
    try:
        found = files.load_file(file)
    except Invalid as error:
        emit({"file": file, "intact": False, "why": str(error)}, str(error), as_json=json)
        no()
        return
    data = {"file": file, "intact": True, "flow": found.name, "version": found.version, "digest": found.digest}
    emit(data, f"{found.name} {found.version} is intact: {found.digest}", as_json=json)


@app.command()
def rollback(flow: str, environment: Annotated[str, typer.Argument(metavar="ENV")], json: Json = False) -> None:
    """Point an environment back to the release it had before."""
    moved = releases.rollback(access.local(), flow, environment)
    emit(moved, f"{flow}: {environment} points to v{moved.after} again, no longer to v{moved.before}", as_json=json)
