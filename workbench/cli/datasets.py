"""`datasets`: list, import, export."""

from __future__ import annotations

import csv
import io
import json as js
from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench import access, datasets
from workbench.cli.output import Json, emit, read_file, write_file

app = typer.Typer(no_args_is_help=True, help="Datasets of cases: list, import, export.")


@app.command("list")
def list_(json: Json = False) -> None:
    """All datasets."""
    found = datasets.datasets()
    emit(found, "\n".join(f"{d.name}: {d.cases} cases. {d.purpose}" for d in found) or "No datasets yet.", as_json=json)


@app.command("import")
def import_(name: str, file: Path, json: Json = False) -> None:
    """Add the cases of a JSON Lines file; a case with a known id replaces it."""
    given = datasets.read(read_file(file))
    new = datasets.put(access.local(), name, given)
    emit({"dataset": name, "cases": len(given), "new": new}, f"{name}: {len(given)} cases, {new} new", as_json=json)


@app.command()
def export(
    name: str,
    file: Annotated[Path | None, typer.Argument()] = None,
    as_: Annotated[Literal["cases", "csv"], typer.Option("--as")] = "cases",
    json: Json = False,
) -> None:
    """Write the cases as JSON Lines or CSV, to a file or to standard output."""
    text = datasets.write(name) if as_ == "cases" else _csv(name)
    if file:
        write_file(file, text)
        emit({"dataset": name, "file": file}, f"{name} written to {file}", as_json=json)
    elif json:
        emit([case.plain for case in datasets.cases(name)], "", as_json=True)
    else:
        print(text, end="")


def _csv(name: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "input", "expected", "tags", "split", "polarity"])
    for case in datasets.cases(name):
        body = case.plain
        given = body["input"] if isinstance(body["input"], str) else js.dumps(body["input"], ensure_ascii=False)
        expected = js.dumps(body.get("expected", {}), ensure_ascii=False)
        row = [case.id, given, expected, " ".join(case.tags), case.split or "", case.polarity or ""]
        writer.writerow([_inert(cell) for cell in row])
    return out.getvalue()


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell.startswith(("=", "+", "-", "@", "\t")) else cell
