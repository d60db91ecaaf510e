"""What changed between two texts: nothing is lost, and the changed words are marked."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench import prompts
from workbench.access import Actor
from workbench.errors import NotFound
from workbench.prompts.diff import Line, lines

texts = some.text(alphabet="ab \n.ä", max_size=60) | some.lists(
    some.sampled_from(["be kind", "be brief", "look it up", "", "never guess a date", "never guess a price"]),
    max_size=9,
).map("\n".join)


def marked(line: Line) -> list[str]:
    """The changed parts of a line."""
    return [line.text[a:b] for a, b in line.changed]


@given(texts, texts)
@settings(deadline=None, max_examples=300)
def test_each_side_can_be_put_together_again(before: str, after: str) -> None:
    found = lines(before, after)
    assert "\n".join(one.text for one in found if one.kind != "added") == before
    assert "\n".join(one.text for one in found if one.kind != "removed") == after
    assert [one.before for one in found if one.before] == list(range(1, before.count("\n") + 2))
    assert [one.after for one in found if one.after] == list(range(1, after.count("\n") + 2))
    assert all(0 <= a < b <= len(one.text) for one in found for a, b in one.changed)
    assert {one.kind for one in found} <= {"same"} or before != after
    for one, later in zip(found, [*found[1:], None], strict=True):
        if one.kind == "removed" and one.paired:
            assert later is not None
            assert later.kind == "added"
            assert later.paired


def test_changed_words_are_marked_in_both_lines() -> None:
    first, gone, come, last = lines(
        "You work.\nAnswer in at most three sentences.\nBye.", "You work.\nAnswer in at most two short sentences.\nBye."
    )
    assert (first.kind, last.kind) == ("same", "same")
    assert (gone.kind, marked(gone), gone.before) == ("removed", ["three"], 2)
    assert (come.kind, marked(come), come.after) == ("added", ["two short"], 2)
    assert gone.paired
    assert come.paired


def test_lines_that_have_nothing_in_common_are_not_one_line() -> None:
    found = lines("Look the order up.", "Never promise anything else.")
    assert [(one.kind, one.paired, one.changed) for one in found] == [("removed", False, ()), ("added", False, ())]


def test_a_line_that_moved_between_changed_ones_finds_its_like() -> None:
    found = lines("alpha beta gamma\nold line here", "wholly new words\nalpha beta delta")
    assert [(one.kind, one.text) for one in found if one.paired] == [
        ("removed", "alpha beta gamma"),
        ("added", "alpha beta delta"),
    ]


@pytest.mark.parametrize(
    ("before", "after"), [("a", "a\n"), ("a", "a "), ("a b", "a  b"), ("a\r\nb", "a\nb"), ("", "a")]
)
def test_even_a_change_of_blanks_or_line_ends_is_shown(before: str, after: str) -> None:
    assert [one for one in lines(before, after) if one.kind != "same"]


def test_equal_texts_have_only_same_lines() -> None:
    assert {one.kind for one in lines("a\n" * 500, "a\n" * 500)} == {"same"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n" * 49_000, "a\n" * 24_000),
        ("\n".join(f"rule {n} says a" for n in range(3_000)), "\n".join(f"rule {n} says b" for n in range(3_000))),
        ("word " * 10_000, "word other " * 4_500),
        ("ab" * 25_000, "ba" * 25_000),
    ],
)
def test_the_longest_texts_are_compared_in_moments(before: str, after: str) -> None:
    started = time.perf_counter()
    lines(before, after)
    assert time.perf_counter() - started < 20


def test_two_versions_are_compared_by_number(database: str, architect: Actor) -> None:
    prompts.save(architect, "desk", "One.")
    prompts.save(architect, "desk", "Two.")
    assert [(one.kind, one.text) for one in prompts.diff("desk", 1, 2)] == [("removed", "One."), ("added", "Two.")]
    assert [(one.kind, one.text) for one in prompts.diff("desk", 2, 1)] == [("removed", "Two."), ("added", "One.")]
    assert [one.kind for one in prompts.diff("desk", 2, 2)] == ["same"]
    with pytest.raises(NotFound, match="desk has no version 3"):
        prompts.diff("desk", 1, 3)
