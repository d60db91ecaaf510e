"""The lint: measured on labelled examples, kind by kind, and exact about the place of what it remarks on."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.conftest import ROOT
from tests.prompts.lint_examples import EXAMPLES, Example
from workbench.prompts import front_matter
from workbench.prompts.lint import KINDS, LONGEST_CHARACTERS, LONGEST_TOKENS, Kind, Remark, lint, tokens
from workbench.prompts.sentences import sentences


@dataclass
class Count:
    """How often a kind was told rightly, wrongly, and not at all."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """The share of the remarks that are right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of the mistakes that are told."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def told(example: Example) -> list[Remark]:
    """What the lint says about an example."""
    return lint(example.text, example.variables, tools=example.tools)


def fits(remark: Remark, kind: Kind, fragment: str) -> bool:
    """Whether a remark is the expected one; an empty fragment stands for what is missing from the text."""
    return remark.kind == kind and (fragment in remark.sentence if fragment else not remark.sentence)


def counted(examples: Iterable[Example]) -> dict[Kind, Count]:
    """The count of each kind over the examples."""
    counts = {kind: Count() for kind in KINDS}
    for example in examples:
        remarks = told(example)
        for kind, fragment in example.expected:
            hit = next((one for one in remarks if fits(one, kind, fragment)), None)
            if hit is None:
                counts[kind].missed += 1
            else:
                remarks.remove(hit)
                counts[kind].right += 1
        for one in remarks:
            counts[one.kind].wrong += 1
    return counts


def test_precision_and_recall_of_each_kind_are_worth_reading(capsys: pytest.CaptureFixture[str]) -> None:
    counts = counted(EXAMPLES)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(EXAMPLES)} examples\n{'kind':14} right wrong missed precision recall\n")
        for kind, c in counts.items():
            figures = f"{c.right:5} {c.wrong:5} {c.missed:6} {c.precision:9.2f} {c.recall:6.2f}"
            sys.stdout.write(f"{kind:14} {figures}\n")
    assert [kind for kind, c in counts.items() if c.precision < 0.9] == []
    assert [kind for kind, c in counts.items() if c.recall < 0.8] == []


def test_the_examples_are_enough_to_measure_by() -> None:
    assert len(EXAMPLES) >= 100
    assert len([one for one in EXAMPLES if not one.expected]) >= 50
    assert {kind for one in EXAMPLES for kind, _ in one.expected} == set(KINDS)


def test_the_shipped_prompts_get_no_remark() -> None:
    tools = ("find_order", "refund_order", "track_parcel", "escalate", "abstain", "search_knowledge")
    files = sorted((ROOT / "prompts").rglob("*.md"))
    assert len(files) >= 4
    for path in files:
        head, text = front_matter(path)
        declared = head["variables"]
        assert isinstance(declared, list)
        assert lint(text, declared, tools=tools, given=["shop_name"]) == [], path


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_remark_names_its_sentence_says_why_and_what_to_do(example: Example) -> None:
    for one in told(example):
        assert example.text[one.start : one.end] == one.sentence
        assert one.why.endswith((".", "it."))
        assert one.remedy.endswith((".", "?"))
        assert (one.kind == "contradiction") == bool(one.beside)


def test_the_same_text_always_gets_the_same_remarks() -> None:
    whole = "\n".join(one.text for one in EXAMPLES)
    assert lint(whole, ("shop",), tools=()) == lint(whole, ("shop",), tools=())


def test_a_misspelt_variable_or_tool_is_told_with_the_right_name() -> None:
    found = lint("Call `find_ordr` for $shop_nam.", ("shop_name",), tools=("find_order",))
    assert [(one.kind, one.remedy) for one in found[:2]] == [
        ("variable", "Did you mean shop_name?"),
        ("tool", "Did you mean find_order?"),
    ]


def test_a_variable_that_no_flow_gives_is_told_once() -> None:
    found = lint("You work for $shop.\n$shop is in $city.", ("shop", "city"), given=("city",))
    assert [one.why for one in found] == ["No flow that uses this prompt gives $shop a value."]


def test_a_contradiction_quotes_the_sentence_that_it_disagrees_with() -> None:
    found = lint("Answer in at most 3 sentences. Be kind. Write at least 5 sentences.", ())
    assert [(one.sentence, one.beside) for one in found] == [
        ("Write at least 5 sentences.", "Answer in at most 3 sentences.")
    ]


def test_what_stands_under_a_condition_is_compared_only_with_the_same_condition() -> None:
    assert lint("Answer briefly.\n\nWhen the customer asks why:\n- Explain in detail.", ()) == []
    both = "When the customer is new, always offer the tour. When the customer is known, never offer the tour."
    assert lint(both, ()) == []
    same = "Always offer the tour when the customer is new. Never offer the tour when the customer is new."
    assert [one.kind for one in lint(same, ())] == ["contradiction"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [("word " * (LONGEST_CHARACTERS // 5), LONGEST_CHARACTERS), ("字" * LONGEST_TOKENS, LONGEST_TOKENS)],
)
def test_the_limit_of_length_is_where_the_constants_say(text: str, limit: int) -> None:
    assert [one.kind for one in lint(text[:limit], ())] == []
    assert [one.kind for one in lint(text[:limit] + " More.", ())] == ["length"]


def test_tokens_are_estimated_by_script() -> None:
    assert (tokens(""), tokens("abcd" * 10), tokens("яблоко"), tokens("退货")) == (0, 10, 3, 2)


def test_the_longest_text_is_read_in_a_moment() -> None:
    whole = "\n".join(one.text for one in EXAMPLES)
    for text in (
        (whole * 20)[:50_000],
        "a" * 50_000,
        "never " * 8_000,
        "A B " * 12_000,
        "if the user " * 4_000,
        "$" * 50_000,
        "!" * 50_000,
        "“" * 50_000,
        "1 " * 25_000,
        "Answer briefly. Explain in detail. " * 1_400,
        "a line\n" * 7_000,
    ):
        started = time.perf_counter()
        lint(text, (), tools=())
        assert time.perf_counter() - started < 20, text[:20]


@given(some.text(max_size=300))
@settings(deadline=None, max_examples=150)
def test_any_text_can_be_read_and_sentences_stand_where_they_say(text: str) -> None:
    found = sentences(text)
    assert all(text[one.start : one.end] == one.text and len(one.said) == len(one.text) for one in found)
    assert all(one.end <= later.start for one, later in itertools.pairwise(found))
    assert all(text[one.start : one.end] == one.sentence for one in lint(text, ("a",), tools=("b",)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask for the receipt, e.g. a photo. Then look.", ["Ask for the receipt, e.g. a photo.", "Then look."]),
        ("- one\n- two\n  goes on", ["one", "two\n  goes on"]),
        ("A line that is\nwrapped. Another", ["A line that is\nwrapped.", "Another"]),
        ("# Heading\nText. 1.5 kg is enough.", ["Heading", "Text.", "1.5 kg is enough."]),
        ('Say "Sorry. We look." Then ask.', ['Say "Sorry. We look."', "Then ask."]),
        ("Example:\n```\nNEVER DO THIS AT ALL\n```\nDone.", ["Example:", "Done."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert [one.text for one in sentences(text)] == expected
