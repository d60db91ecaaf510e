"""`flows`: list, show, check, import, export, walk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench import access, flows, releases, traces
from workbench.cli.output import Json, emit, no, progress, read_file, write_file
from workbench.errors import Invalid
from workbench.flows import transcripts
from workbench.runtime import spec

app = typer.Typer(no_args_is_help=True, help="Drafts: list, show, check, import, export, walk.")


@app.command("list")
def list_(json: Json = False) -> None:
    """All drafts."""
    found = flows.drafts()
    data = [
        {"flow": d.name, "purpose": d.spec.purpose, "agents": len(d.spec.agents), "version": d.version} for d in found
    ]
    text = "\n".join(f"{d.name}: {d.spec.purpose} ({len(d.spec.agents)} agents)" for d in found)
    emit(data, text or "No flows yet. Import one, or run `seed`.", as_json=json)


@app.command()
def show(flow: str, json: Json = False) -> None:
    """A draft as YAML."""
    found = flows.draft(flow)
    emit(spec.plain(found.spec), spec.write(found.spec).rstrip(), as_json=json)


@app.command()
def check(flow: Annotated[str, typer.Argument(help="A flow's name, or a file.")], json: Json = False) -> None:
    """Static findings of a draft or a file. Exit code 1 where there is an error."""
    path = Path(flow)
    made = spec.read(read_file(path)) if path.suffix in (".yaml", ".yml", ".json") else flows.draft(flow).spec
    found = flows.findings(made)
    errors = sum(one.level == "error" for one in found)
    lines = [f"{one.level}: {one.where}: {one.message}" for one in found]
    data = {"flow": made.flow, "errors": errors, "findings": found}
    emit(data, "\n".join([*lines, f"{made.flow}: {errors} errors, {len(found) - errors} warnings"]), as_json=json)
    if errors:
        no()


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file, or - for standard input.")],
    name: Annotated[
        str | None,
        typer.Option("--as", help="FILE holds recorded conversations, as file or folder: the flow to make of them."),
    ] = None,
    json: Json = False,
) -> None:
    """Take in a flow from YAML or JSON: a new draft, or the next save of the one with its name."""
    if name is not None:
        taken = flows.take_in_conversations(access.local(), name, file)
        emit(taken.plain, taken.words, as_json=json)
        return
    made, new = flows.put(access.local(), _input(file))
    text = f"{made.name}: {'created' if new else 'saved'}, save {made.version}"
    emit({"flow": made.name, "version": made.version, "new": new}, text, as_json=json)


@app.command()
def export(flow: str, file: Annotated[Path | None, typer.Argument()] = None, json: Json = False) -> None:
    """Write a draft as YAML to a file, or to standard output."""
    found = flows.draft(flow)
    if file:
        write_file(file, spec.write(found.spec))
        emit({"flow": flow, "file": file}, f"{flow} written to {file}", as_json=json)
    else:
        emit(spec.plain(found.spec), spec.write(found.spec).rstrip(), as_json=json)


@app.command()
def walk(
    file: Annotated[Path, typer.Argument(help="Recorded conversations, as file or folder.")],
    flow: Annotated[str, typer.Option(help="name (its draft), name@v3 or name@production")],
    keep: Annotated[bool, typer.Option("--keep", help="Store the runs, so that they can be read.")] = False,
    json: Json = False,
) -> None:
    """Walk recorded conversations through a flow with their own tool answers. Exit code 1 where a turn stops."""
    access.require(access.local(), "run a flow")
    release, recorded = releases.resolve(flow), transcripts.read(file).transcripts
    sink = traces.sink(asks=False) if keep else None
    from workbench.traces import walk as walking

    walks = []
    for number, one in enumerate(recorded, 1):
        progress(f"{number} of {len(recorded)}")
        walks.append(walking.walk(release, one, sink=sink))
    traces.flush()
    came = walking.tally(walks)
    data = {"flow": release.name, "version": release.version, "digest": release.digest, "turns": came, "walks": walks}
    count = sum(came.values())
    lines = [str(one) for one in walks if one.stop] + [f"{many} of {count} turns {what}" for what, many in came.items()]
    emit(data, "\n".join(lines), as_json=json)
    if any(one.stop for one in walks):
        no()


def _input(file: Path) -> str:
    if file != Path("-"):
        return read_file(file)
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise Invalid("Standard input is not text in UTF-8.") from None
