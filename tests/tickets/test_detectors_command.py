"""The `detectors` commands as a script calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.tickets.files import ADMIN, write
from tests.tickets.test_signals import RUSH, live, put
from workbench.__main__ import main
from workbench.cli.detectors import app
from workbench.errors import Invalid, NotFound
from workbench.tickets import detectors

pytestmark = pytest.mark.usefixtures("home")


def run(*arguments: str | Path) -> str:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False).stdout


def test_listing_without_detectors_says_how_to_get_one() -> None:
    assert run("list").strip() == "There are no detectors yet. Make one on the Detectors page."
    assert json.loads(run("list", "--json")) == []


def test_listing_says_what_each_does_and_whether_it_is_live() -> None:
    detectors.save(ADMIN, RUSH)
    text = run("list")
    assert text.startswith("rush  v1  not live")
    assert "looks at tickets with topic Billing in the last 6 hours" in text
    assert json.loads(run("list", "--json"))[0]["spec"]["threshold"] == 5.0


def test_running_says_what_was_new(tmp_path: Path) -> None:
    put(60)
    live()
    found: dict[str, Any] = json.loads(run("run", "--json"))
    assert (found["detectors"], len(found["incidents"])) == (1, 1)
    assert "0 new windows, 0 changed by late tickets, 0 firings, 0 new incidents." in run("run")


def test_a_backtest_against_a_file_is_kept(tmp_path: Path) -> None:
    put(60)
    detectors.save(ADMIN, RUSH)
    labels = write(tmp_path / "labels.csv", "title,start,end,topic\nDouble,2026-03-30,2026-03-30,Billing\n")
    done: dict[str, Any] = json.loads(run("backtest", "rush", "--incidents", labels, "--json"))
    assert (done["labels"], done["figures"]["found"], done["figures"]["recall"]) == ("labels.csv", 1, 1.0)
    assert 8 <= done["figures"]["delay"] <= 12
    assert "rush v1 against the workbench's incidents: precision 0 %, recall —" in run("backtest", "rush")
    assert len(detectors.tests("rush", 1)) == 2


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no detector 'rush'"):
        run("backtest", "rush")
    detectors.save(ADMIN, RUSH)
    with pytest.raises(Invalid, match="no column 'title'"):
        run("backtest", "rush", "--incidents", write(tmp_path / "bad.csv", "a,b\n"))


def test_a_refused_command_ends_with_two_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["workbench", "detectors", "backtest", "nothing"])
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip().splitlines()[-1] == "There is no detector 'nothing'."
