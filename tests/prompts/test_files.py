"""Prompt files: front matter is checked, a taken number keeps its text, and what is written out can be taken in."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.conftest import ROOT
from workbench import prompts
from workbench.access import Actor
from workbench.errors import Invalid

GOOD = "---\npurpose: Greets.\nowner: billing\nvariables: [shop]\n---\nYou work for $shop.\n"


def put(folder: Path, text: str, name: str = "desk/front/001.md") -> Path:
    """A prompt file under `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_a_file_is_taken_in_once_with_what_its_front_matter_says(database: str, tmp_path: Path) -> None:
    assert prompts.take_in(put(tmp_path, GOOD)) == 1
    assert prompts.take_in(tmp_path) == 0
    found = prompts.versions("desk/front")[0]
    assert (found.text, found.purpose, found.owner) == ("You work for $shop.", "Greets.", "billing")
    assert (found.variables, found.author) == (("shop",), "shipped")


def test_a_changed_file_leaves_the_stored_number_as_it_is_and_is_told(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prompts.take_in(put(tmp_path, GOOD))
    put(tmp_path, GOOD.replace("work for", "cheat"))
    with caplog.at_level(logging.WARNING):
        assert prompts.take_in(tmp_path) == 0
    assert prompts.get("desk/front").text == "You work for $shop."
    assert "prompts/desk/front/001.md is not what desk/front@1 holds" in caplog.text
    assert "write its text as number 2" in caplog.text


def test_a_shipped_number_that_somebody_wrote_already_is_left_out_and_told(
    database: str, tmp_path: Path, architect: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    prompts.take_in(put(tmp_path, GOOD))
    prompts.save(architect, "desk/front", "Ada's words.")
    put(tmp_path, GOOD.replace("work", "act"), "desk/front/002.md")
    with caplog.at_level(logging.WARNING):
        assert prompts.take_in(tmp_path) == 0
    assert prompts.get("desk/front@2").text == "Ada's words."
    assert "write its text as number 3" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("---\npurpose: [\n---\nText.", "the front matter is not YAML"),
        ("---\n- a\n---\nText.", "the front matter is not a mapping"),
        ("---\npurpos: x\n---\nText.", "unknown key 'purpos'. Did you mean purpose?"),
        ("---\nmodel: gpt\n---\nText.", "unknown key 'model'. Known: purpose, variables, owner"),
        ("---\npurpose: 3\n---\nText.", "purpose must be text"),
        ("---\nvariables: shop\n---\nText $shop.", "variables must be a list of names"),
        ("---\nvariables: ['a b']\n---\nText.", "variables must be a list of names"),
        ("---\npurpose: x\n---\n\n", "is empty"),
        ("Refund $50.", "a $ that names no variable"),
        ("x" * 50_001, "at most 50,000 are stored"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_taken_in(
    migrated: Path, tmp_path: Path, text: str, told: str
) -> None:
    put(tmp_path, GOOD, "able/001.md")
    put(tmp_path, text)
    with pytest.raises(Invalid) as error:
        prompts.take_in(tmp_path)
    assert told in str(error.value)
    assert str(tmp_path / "desk" / "front" / "001.md") in str(error.value)
    assert prompts.names() == []


def test_a_file_that_is_not_text_and_number_zero_are_refused(migrated: Path, tmp_path: Path) -> None:
    put(tmp_path, GOOD, "desk/000.md")
    with pytest.raises(Invalid, match="numbers begin at 001"):
        prompts.take_in(tmp_path)
    (tmp_path / "desk" / "000.md").rename(tmp_path / "desk" / "001.md")
    (tmp_path / "desk" / "001.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="not UTF-8"):
        prompts.take_in(tmp_path)


def test_declared_variables_that_the_text_does_not_use_are_remarked_on(migrated: Path, tmp_path: Path) -> None:
    prompts.take_in(put(tmp_path, GOOD.replace("[shop]", "[shop, city]")))
    found = prompts.versions("desk/front")[0]
    assert found.variables == ("shop", "city")
    assert [one.why for one in prompts.lint(found.text, found.variables)] == [
        "$city is declared, but the text never uses it."
    ]


@pytest.mark.parametrize(
    "text", ["You work for $shop.", "---\nnot front matter\n---\nText.", "  kept: [as it is]", "Größe, 退货, “so”"]
)
def test_what_is_written_out_is_taken_in_as_it_was(migrated: Path, tmp_path: Path, architect: Actor, text: str) -> None:
    prompts.save(architect, "desk/front", text, purpose='Says: "hello" # not a comment', owner="billing: team")
    before = prompts.versions("desk/front")[0]
    head, body = prompts.front_matter(put(tmp_path, prompts.file(before)) / "desk" / "front" / "001.md")
    assert body == before.text.strip()
    assert (head["purpose"], head["owner"], head["variables"]) == (
        before.purpose,
        before.owner,
        list(before.variables),
    )


def test_the_shipped_files_are_in_the_form_that_is_written_out(migrated: Path) -> None:
    prompts.take_in()
    assert len(prompts.names()) >= 4
    for name in prompts.names():
        head, text = prompts.front_matter(ROOT / "prompts" / name / "001.md")
        found = prompts.versions(name)[0]
        assert (found.text, list(found.variables), found.owner) == (text, head["variables"], head["owner"])
