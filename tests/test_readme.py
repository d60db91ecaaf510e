"""The README says what the code does."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.readme import README, TABLES, written


def test_the_tables_are_those_of_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text) == text, "run `python -m tests.readme`"


def test_every_table_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in TABLES if f"<!-- table: {name} -->" not in text] == []


def test_every_dependency_earns_its_line() -> None:
    text = README.read_text(encoding="utf-8")
    pinned = re.findall(r"^([A-Za-z0-9_-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert [name for name in pinned if f"| {name} |" not in text] == []


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\(([^)#h][^)#]*)\)", README.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_of_the_house_names_every_package() -> None:
    text = README.read_text(encoding="utf-8")
    packages = [p.name for p in (ROOT / "workbench").iterdir() if (p / "__init__.py").exists()]
    assert [name for name in packages if f"| `{name}/` |" not in text] == []


def test_the_example_of_the_readme_runs(seeded: object) -> None:
    import os
    import subprocess
    import sys

    text = README.read_text(encoding="utf-8")
    code = re.search(r"```python\n(import asyncio.*?)```", text, re.DOTALL)
    assert code is not None
    program = code[1].replace("data/releases", f"{seeded}/releases")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI")}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1042" in done.stdout
    assert "answered" in done.stdout
