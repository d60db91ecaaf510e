"""`bench`: run the benchmarks of `tests/benchmarks/` and print their figures beside their limits."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from workbench.cli.output import emit, no, progress
from workbench.errors import NotFound, Unavailable


def measure(names: list[str], json: bool) -> None:
    """Run the named benchmarks (default: all). Exit code 1 where a figure is above its limit."""
    known = benchmarks()
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"There is no benchmark {', '.join(unknown)}.", remedy=f"Known: {', '.join(known)}.")
    figures: list[dict[str, Any]] = []
    for name in names or known:
        progress(f"measuring {name}")
        figures += importlib.import_module(f"tests.benchmarks.{name}").measure()
    emit(figures, "\n".join(map(_line, figures)), as_json=json)
    if any(_above(one) for one in figures):
        no()


def _above(figure: dict[str, Any]) -> bool:
    return figure["limit"] is not None and figure["value"] > figure["limit"]


def _line(figure: dict[str, Any]) -> str:
    limit = "" if figure["limit"] is None else f", at most {figure['limit']:.3g}"
    verdict = "NO" if _above(figure) else "--" if figure["limit"] is None else "ok"
    return f"{verdict}  {figure['name']}: {figure['value']:.3g} {figure['unit']}{limit}; baseline {figure['baseline']}"


def benchmarks() -> list[str]:
    """The names of all benchmarks. Raises Unavailable where the tests are not installed beside the product."""
    try:
        package = importlib.import_module("tests.benchmarks")
    except ModuleNotFoundError:
        raise Unavailable(
            "The benchmarks lie in tests/benchmarks/.", remedy="Run the command from the project's folder."
        ) from None
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
