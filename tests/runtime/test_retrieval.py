"""Search in a packed index: the published formula, the threshold, and any text at all."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SHARED
from workbench import knowledge
from workbench.errors import Invalid, NotFound
from workbench.runtime.retrieval import Index, Passage, digest, split

THRESHOLD = 0.35

ANSWERED = (
    ("Are made-to-measure curtains returnable?", "returns"),
    ("Which payment method does the refund go to?", "refunds"),
    ("Can you send it to a PO box?", "delivery-times"),
    ("What happens when the parcel is lost?", "late-parcels"),
    ("How much mattress depth do fitted sheets suit?", "size-and-materials"),
    ("How long is the password reset link valid?", "account-and-password"),
    ("When do my Fern Points expire?", "loyalty-points"),
    ("Is two-step sign-in required for business accounts?", "two-step-sign-in"),
    ("How many days do you keep my collection in the store?", "click-and-collect"),
    ("Does the warranty cover stains?", "warranty"),
)
"""Questions that the articles answer, with the article that does."""

UNANSWERED = (
    "Who painted the Mona Lisa?",
    "How tall is Mount Everest?",
    "Can you book me a flight to Tokyo?",
    "What should I cook for dinner tonight?",
    "Which horse won the race on Sunday?",
    "How do I learn to play the violin?",
    "Is there life on Mars?",
    "Do you know a good dentist nearby?",
    "Explain the theory of relativity",
    "Should I sell my shares in the airline?",
)
"""Questions that no article answers."""


def passage(number: int, text: str) -> Passage:
    return Passage(id=f"p-{number}", title="", text=text, source="p")


@pytest.fixture(scope="module")
def help_center() -> Index:
    return Index(knowledge.collection("help-center"))


def test_the_value_is_the_published_formula() -> None:
    index = Index([passage(1, "cat cat dog"), passage(2, "dog bird"), passage(3, "fish")])
    first, second = index.search("cat dog", 3)

    # N = 3, mean length = (3 + 2 + 1) / 3 = 2; the norm is 1.2 * (0.25 + 0.75 * length / 2):
    # 1.65 for the three words of p-1 and 1.2 for the two of p-2.
    cat = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    dog = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert (first.passage.id, second.passage.id) == ("p-1", "p-2")
    assert first.bm25 == pytest.approx(cat * 2 * 2.2 / (2 + 1.65) + dog * 2.2 / (1 + 1.65))
    assert first.bm25 == pytest.approx(1.57256, abs=1e-5)
    assert second.bm25 == pytest.approx(dog * 2.2 / (1 + 1.2))


def test_the_score_is_the_share_of_the_query_that_is_earned() -> None:
    index = Index([passage(1, "cat cat dog"), passage(2, "dog bird"), passage(3, "fish")])
    cat, dog = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)
    both, one = index.search("Where are the cat and the dog?", 3)
    assert both.score == pytest.approx((cat + dog * 2.2 / 2.65) / (cat + dog))
    assert one.score == pytest.approx(0.5 * dog / (cat + dog))
    assert [hit.score for hit in index.search("dog", 1)] == [1.0]
    [unknown] = index.search("fish unicorn", 3)
    assert unknown.score == pytest.approx(0.25 * min(1, 2.2 / (1 + 0.75)))


@pytest.mark.parametrize(("question", "source"), ANSWERED)
def test_a_question_that_an_article_answers_is_above_the_threshold(
    help_center: Index, question: str, source: str
) -> None:
    hits = help_center.search(question, 4)
    assert hits[0].score >= THRESHOLD
    assert source in {hit.passage.source for hit in hits}


@pytest.mark.parametrize("question", UNANSWERED)
def test_a_question_that_no_article_answers_is_below_the_threshold(help_center: Index, question: str) -> None:
    assert all(hit.score < THRESHOLD for hit in help_center.search(question, 94))


@given(query=st.text(), texts=st.lists(st.text(), max_size=6), top=st.integers(1, 8))
def test_any_text_can_be_searched(query: str, texts: list[str], top: int) -> None:
    passages = [passage(number, text) for number, text in enumerate(texts)]
    hits = Index(passages).search(query, top)
    assert len(hits) <= top
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [hit.bm25 for hit in hits] == sorted((hit.bm25 for hit in hits), reverse=True)
    assert Index(reversed(passages)).search(query, top) == hits


@given(
    query=st.lists(st.sampled_from(["red", "blue", "green", "grey"]), min_size=1).map(" ".join),
    texts=st.lists(st.lists(st.sampled_from(["red", "blue", "green", "pink"])).map(" ".join), min_size=1, max_size=8),
)
def test_words_in_common_are_found_in_a_steady_order(query: str, texts: list[str]) -> None:
    passages = [passage(number, text) for number, text in enumerate(texts)]
    hits = Index(passages).search(query, len(texts))
    shared = {p.id for p in passages if set(p.text.split()) & set(query.split())}
    assert {hit.passage.id for hit in hits} == shared
    assert [(-hit.bm25, hit.passage.id) for hit in hits] == sorted((-hit.bm25, hit.passage.id) for hit in hits)
    assert all(0 < hit.score <= 1 for hit in hits)


def test_forms_of_a_word_meet() -> None:
    index = Index([passage(1, "Deliveries were cancelled."), passage(2, "The refunded payments.")])
    for query, found in (("delivered", "p-1"), ("cancellation", "p-1"), ("refund", "p-2"), ("pay", "p-2")):
        assert [hit.passage.id for hit in index.search(query)] == [found], query


def test_words_of_asking_find_nothing() -> None:
    assert Index([passage(1, "What can you do for me?")]).search("Hello, what can you do?") == []
    assert Index([]).search("refund") == []


def test_an_article_is_cut_at_headings_and_long_paragraphs() -> None:
    long = " ".join(f"w{number}" for number in range(25))
    pieces = split(
        "a", "Title", f"Opening.\n\n## First\n\nOne two.\n\nThree.\n\n## Empty\n\n## Second\n\n{long}", 10, 3
    )
    assert [p.id for p in pieces] == [f"a-{number}" for number in range(1, len(pieces) + 1)]
    assert [(p.title, p.text) for p in pieces[:2]] == [("Title", "Opening."), ("Title: First", "One two.\n\nThree.")]
    windows = [p.text.split() for p in pieces[2:]]
    assert {p.title for p in pieces[2:]} == {"Title: Second"}
    assert [window[-3:] for window in windows[:-1]] == [window[:3] for window in windows[1:]]
    assert [windows[0], *(window[3:] for window in windows[1:])] == [
        long.split()[:10],
        long.split()[10:17],
        long.split()[17:24],
        long.split()[24:],
    ]


@given(st.text(), st.integers(1, 30), st.integers(0, 29))
def test_any_article_can_be_cut(text: str, words: int, overlap: int) -> None:
    if overlap >= words:
        with pytest.raises(Invalid, match="cannot overlap"):
            split("a", "Title", text, words, overlap)
    else:
        assert all(0 < len(p.text.split()) <= words for p in split("a", "Title", text, words, overlap))


def test_the_digest_is_of_the_content() -> None:
    one, two = passage(1, "one"), passage(2, "zwei \ud83d\ude00 é")
    assert digest([one, two]) == digest([two, one])
    assert digest([one, two]) != digest([one, passage(2, "two")])
    assert len(digest([])) == 64


def test_unusable_input_is_refused() -> None:
    with pytest.raises(Invalid, match="p-1"):
        Index([passage(1, "one"), passage(1, "two")])
    with pytest.raises(Invalid, match="at least 1"):
        Index([]).search("one", 0)
    with pytest.raises(NotFound, match="help-center"):
        knowledge.collection("help-centre")


def test_real_support_questions_find_their_articles() -> None:
    folder = SHARED / "kb_wixqa_retrieval"
    if not folder.exists():
        pytest.skip("the question set kb_wixqa_retrieval is not beside this repository")
    relevant: dict[str, set[str]] = {}
    for row in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, _ = row.split("\t")
        relevant.setdefault(question, set()).add(document)
    index = Index(
        piece
        for article in lines(folder / "docs.jsonl.gz")
        for piece in split(article["id"], article["title"], article["text"], words=180, overlap=40)
    )
    recalls = []
    for query in lines(folder / "queries.jsonl.gz"):
        hits = index.search(query["question"], len(index.passages))
        best = list(dict.fromkeys(hit.passage.source for hit in hits))[:5]
        recalls.append(len(relevant[query["id"]] & set(best)) / len(relevant[query["id"]]))
    assert sum(recalls) / len(recalls) >= 0.75


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
