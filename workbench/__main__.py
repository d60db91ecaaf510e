"""`python -m workbench`: start the app, or one of its commands."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from workbench.errors import WorkbenchError

NOUNS = {
    "flows": "Drafts: list, show, check, import, export, walk.",
    "runs": "Recorded runs: list, show, export, import, receive, replay, delete.",
    "approvals": "Calls that wait for a person: list, expire.",
    "datasets": "Datasets of cases: list, import, export.",
    "evals": "Experiments and the gate.",
    "releases": "Frozen versions of flows and the environments that point to them.",
    "tickets": "Tickets: load a file, query a metric.",
    "detectors": "Detectors: list, run, backtest.",
}


COLLECT = (50_000, 20, 20)
"""After so many new objects garbage is looked for. What libraries make while they are loaded stays, and would be looked
through again and again: with Python's own numbers a fifth of a start."""


class Lazy(TyperGroup):
    """Commands by noun, each imported only when it is asked for: the heavy libraries stay out of the app's start."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands of this file and the nouns."""
        return [*super().list_commands(ctx), "run", *NOUNS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now."""
        if cmd_name in NOUNS:
            module = importlib.import_module(f"workbench.cli.{cmd_name}")
            return typer.main.get_command(module.app)
        if cmd_name == "run":
            one = typer.Typer(add_completion=False)
            one.command("run")(importlib.import_module("workbench.cli.runs").run)
            return typer.main.get_command(one)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Lazy, add_completion=False, invoke_without_command=True, pretty_exceptions_enable=False, help=__doc__
)


@app.callback()
def start(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    headless: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
    no_seed: Annotated[bool, typer.Option("--no-seed", help="Do not make sample data.")] = False,
) -> None:
    """Start the app: create, migrate and seed what is missing, print the address."""
    if ctx.invoked_subcommand is None:
        from workbench.cli.start import ready

        ready(port=port, address=address, seed=not no_seed)
        from workbench.ui.server import serve

        serve(port=port, address=address, headless=headless)


@app.command()
def seed(
    tickets: Annotated[int, typer.Option(min=0, max=20_000_000)] = 50_000,
    days: Annotated[int, typer.Option(min=1, max=3650)] = 548,
    seed: Annotated[int, typer.Option()] = 7,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Make the sample workspace: what is there already is left as it is."""
    from workbench.cli.start import fill

    fill(tickets, days, seed, json)


@app.command()
def check(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Database, migrations, models, worker, freshness: one line each. Exit code 1 where one is not well."""
    from workbench.cli.start import health

    health(json)


@app.command()
def worker() -> None:
    """A worker process for long jobs. Ends on Ctrl-C or SIGTERM."""
    from workbench.cli.start import work

    work()


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Figures as ratios against a baseline of the same run."""
    from workbench.cli.bench import measure

    measure(names or [], json)


class _Masked(logging.Formatter):
    """Log lines without personal data and credentials; what masks them is loaded with the first line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a log record."""
        from workbench.runtime.redaction import line

        return line(super().format(record))


def one_line(text: str) -> str:
    """A message of several lines as one."""
    return "; ".join(line.strip().rstrip(";") for line in text.split("\n") if line.strip())


def main() -> int:
    """Run; a WorkbenchError is one line on standard error and exit code 2."""
    gc.set_threshold(*COLLECT)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masked("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        result = app(standalone_mode=False)
    except WorkbenchError as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    except typer.Exit as ended:
        return ended.exit_code
    except Exception as error:
        words = getattr(error, "format_message", None)
        if words is None:
            raise
        print(one_line(f"{words()} See --help."), file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
