"""The README's tables, made from the code. `python -m tests.readme` writes them and the pictures anew."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable, Iterable
from typing import Any

import typer

from tests.conftest import ARTIFACTS, ROOT
from workbench import settings
from workbench.__main__ import NOUNS
from workbench.__main__ import app as root
from workbench.cli.bench import benchmarks
from workbench.evals import evaluators
from workbench.runtime import environment, guardrails, tools
from workbench.ui.nav import PLACES

README = ROOT / "README.md"
PICTURES = {"3-flow.png": "flows.png", "10-trends.png": "trends.png"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def pages() -> str:
    """Every page."""
    return table(
        ("page", "address", "for"),
        ((p.title, f"`/{'' if p.address == 'home' else p.address}`", p.purpose) for p in PLACES),
    )


def commands() -> str:
    """Every command with its arguments."""
    rows: list[tuple[str, str]] = []
    top = typer.main.get_command(root)
    rows.append(
        ("python -m workbench" + _usage(top, options=True), "Start the app: create, migrate and seed what is missing.")
    )
    for name in ("seed", "check", "worker", "bench", "run"):
        rows.append(_row(f"python -m workbench {name}", top.get_command(None, name)))  # type: ignore[attr-defined]
    for noun in NOUNS:
        group = typer.main.get_command(importlib.import_module(f"workbench.cli.{noun}").app)
        for verb, command in group.commands.items():  # type: ignore[attr-defined]
            rows.append(_row(f"python -m workbench {noun} {verb}", command))
    rows.append(
        (
            "python -m workbench.runtime run RELEASE TEXT",
            "Answer one message from a release file or `FOLDER#flow@production`.",
        )
    )
    rows.append(("python -m workbench.runtime verify FILE", "Check a release file against its digest."))
    return table(("command", "does"), ((f"`{usage}`", what) for usage, what in rows))


def variables() -> str:
    """Every setting."""
    return table(
        ("variable", "default", "meaning"),
        ((f"`{n}`", d, m) for n, d, m in (*settings.VARIABLES, *environment.VARIABLES)),
    )


def catalogue() -> str:
    """Every Python tool that the product ships."""
    shipped = (t for t in tools.catalogue().values() if t.function.__module__.startswith("workbench."))
    return table(("tool", "effect", "does"), ((f"`{t.name}`", t.effect, t.description) for t in shipped))


def checks() -> str:
    """Every guardrail check."""
    return table(("check", "does"), ((f"`{c.name}`", c.description) for c in guardrails.checks().values()))


def scorers() -> str:
    """Every evaluator."""
    return table(("evaluator", "passes when"), ((f"`{name}`", what) for name, what in evaluators().items()))


def measures() -> str:
    """Every benchmark."""
    found = ((n, (importlib.import_module(f"tests.benchmarks.{n}").__doc__ or "").split("\n")[0]) for n in benchmarks())
    return table(("benchmark", "measures"), ((f"`{name}`", what) for name, what in found))


TABLES: dict[str, Callable[[], str]] = {
    "pages": pages,
    "commands": commands,
    "settings": variables,
    "tools": catalogue,
    "checks": checks,
    "evaluators": scorers,
    "benchmarks": measures,
}


def written(text: str) -> str:
    """The README with every table made anew."""
    for name, make in TABLES.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda found, made=make: f"{found[1]}\n{made()}\n\n{found[2]}", text)  # type: ignore[misc]
    return text


def _row(usage: str, command: Any) -> tuple[str, str]:
    return usage + _usage(command, options=True), (command.help or "").strip().split("\n")[0]


def _usage(command: Any, *, options: bool) -> str:
    parts = []
    for one in command.params:
        if one.name in ("help", "json"):
            continue
        if one.param_type_name == "argument":
            word = (one.metavar or one.name or "").upper().strip("[]")
            parts.append(word if one.required else f"[{word}]")
        elif options:
            parts.append(f"[{one.opts[0]}]")
    return "".join(f" {part}" for part in parts)


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    for source, target in PICTURES.items():
        if (ARTIFACTS / source).exists():
            shutil.copy(ARTIFACTS / source, ROOT / "docs" / "images" / target)
