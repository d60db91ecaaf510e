"""A prompt's name never leads out of its folder, whichever way it comes in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.flows_for_tests import DESK
from workbench import flows, prompts
from workbench.__main__ import main
from workbench.access import Actor
from workbench.errors import Invalid, NotFound
from workbench.runtime import spec

ODD = (
    "../secrets",
    "..",
    ".",
    "/etc/passwd",
    "desk/../../etc/passwd",
    "desk/..",
    "./desk",
    "desk//front",
    "desk/",
    "/desk",
    "Desk",
    "desk front",
    "desk\\front",
    "desk\n",
    "desk\x00",
    "~root",
    "$HOME",
    "désk",
    "ｄesk",
    "desk\u202e",
    "con:",
    "a" * 121,
    "%2e%2e/desk",
    "desk@3",
    "",
)


@pytest.mark.parametrize("name", ODD)
def test_saving_under_an_odd_name_is_refused(database: str, architect: Actor, name: str) -> None:
    with pytest.raises(Invalid, match="is not a prompt name"):
        prompts.save(architect, name, "text")
    assert prompts.names() == []


@pytest.mark.parametrize("name", [*ODD, "desk@x", "desk@-1", "desk@0", "desk@٣", f"desk@{10**12}", "desk@1@2"])
def test_reading_an_odd_name_finds_nothing_and_breaks_nothing(database: str, architect: Actor, name: str) -> None:
    if name != "desk@3":
        prompts.save(architect, "desk", "text")
    with pytest.raises(NotFound, match="There is no prompt"):
        prompts.get(name)
    with pytest.raises(NotFound, match="There is no prompt"):
        prompts.versions(name)
    with pytest.raises(NotFound):
        prompts.diff(name, 1, 2)


@pytest.mark.parametrize("name", [name for name in ODD if name != "desk@3" and len(name) < 100])
def test_a_flow_that_names_an_odd_prompt_is_refused_by_the_command(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    body = spec.plain(spec.read(DESK))
    body["agents"]["front"]["prompt"] = name
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(body))
    monkeypatch.setattr(sys, "argv", ["workbench", "flows", "import", str(file)])
    assert main() == 2
    assert "of the agent front is not a valid name" in capsys.readouterr().err
    assert flows.drafts() == []


@pytest.mark.parametrize("folder", ["Desk", "desk front", "désk", "~root", "a.b", "desk@3"])
def test_a_folder_with_an_odd_name_is_refused_with_its_file(migrated: Path, tmp_path: Path, folder: str) -> None:
    path = tmp_path / "prompts" / folder / "001.md"
    path.parent.mkdir(parents=True)
    path.write_text("Text.")
    with pytest.raises(Invalid, match="is not a prompt name") as told:
        prompts.take_in(tmp_path / "prompts")
    assert str(path) in told.value.message
    assert prompts.names() == []


def test_a_file_outside_any_folder_has_no_name(migrated: Path, tmp_path: Path) -> None:
    (tmp_path / "001.md").write_text("Text.")
    with pytest.raises(Invalid, match="is not a prompt name"):
        prompts.take_in(tmp_path)


def test_a_linked_file_is_refused(migrated: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    (tmp_path / "prompts" / "desk").mkdir(parents=True)
    (tmp_path / "prompts" / "desk" / "001.md").symlink_to(secret)
    with pytest.raises(Invalid, match="a link is not taken in"):
        prompts.take_in(tmp_path / "prompts")
    assert prompts.names() == []


def test_a_linked_folder_is_not_entered(migrated: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "001.md").write_text("the secret")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "desk").symlink_to(outside, target_is_directory=True)
    assert prompts.take_in(tmp_path / "prompts") == 0
    assert prompts.names() == []


def test_a_pipe_or_folder_called_like_a_prompt_does_not_hang(migrated: Path, tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    os.mkfifo(tmp_path / "desk" / "001.md")
    with pytest.raises(Invalid, match="is not a file"):
        prompts.take_in(tmp_path)


def test_the_folder_itself_may_be_a_link(migrated: Path, tmp_path: Path) -> None:
    (tmp_path / "real" / "desk").mkdir(parents=True)
    (tmp_path / "real" / "desk" / "001.md").write_text("Text.")
    (tmp_path / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    assert prompts.take_in(tmp_path / "linked") == 1
