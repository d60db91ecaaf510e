"""Search in a packed knowledge index, read only: split, rank with BM25, and say how far a hit answers the query."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from workbench.errors import Invalid

K1 = 1.2
"""How soon a repeated word stops adding to the BM25 value."""
B = 0.75
"""How strongly a passage's length is levelled out: 0 not at all, 1 fully."""
LONE = 0.5
"""What remains of a score where a passage shares only one of several query words."""


class Passage(BaseModel):
    """A piece of an article that an answer can cite by its id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    text: str
    source: str


class Hit(BaseModel):
    """A passage found, how far it covers the query (`score`, 0 to 1) and its raw BM25 value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage: Passage
    score: float
    bm25: float


def split(article_id: str, title: str, text: str, words: int = 90, overlap: int = 20) -> list[Passage]:
    """Cut an article at its headings, then at blank lines, into passages of at most `words` words.

    Paragraphs under one heading share a passage while they fit. A longer paragraph becomes windows that repeat the
    last `overlap` words of the one before. The heading joins the title, so that each passage stands alone. Ids count
    from 1: `returns-1`, `returns-2`. Raises Invalid unless `words > overlap >= 0`.
    """
    if not words > overlap >= 0:
        raise Invalid(
            f"Passages of {words} words cannot overlap by {overlap}.",
            remedy="Choose an overlap of at least 0 and below the passage length.",
        )
    pieces = [
        (f"{title}: {heading}" if heading else title, piece)
        for heading, paragraphs in _sections(text)
        for piece in _pieces(paragraphs, words, overlap)
    ]
    return [
        Passage(id=f"{article_id}-{number}", title=name, text=piece, source=article_id)
        for number, (name, piece) in enumerate(pieces, start=1)
    ]


def digest(passages: Iterable[Passage]) -> str:
    """Return the SHA-256 (hex) of the passages as canonical JSON; their order does not matter."""
    rows = sorted((passage.model_dump() for passage in passages), key=lambda row: row["id"])
    return hashlib.sha256(json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class _Posting(NamedTuple):
    position: int
    times: int


class Index:
    """Passages ranked by Okapi BM25 (Robertson & Zaragoza 2009, *The Probabilistic Relevance Framework*), k1=1.2, b=0.75.

    The value of a passage is, summed over the distinct query words t,

        idf(t) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length / mean length))

    with idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)) for n of N passages with t: the 1 keeps a word that most passages
    share from counting against them. A passage's words are those of its title and its text.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        """Index `passages`; raises Invalid where two share an id."""
        self.passages: tuple[Passage, ...] = tuple(sorted(passages, key=lambda passage: passage.id))
        repeated = sorted(name for name, times in Counter(p.id for p in self.passages).items() if times > 1)
        if repeated:
            raise Invalid(f"Passage ids must differ; repeated: {', '.join(repeated)}.")
        self._postings: defaultdict[str, list[_Posting]] = defaultdict(list)
        self._lengths: list[int] = []
        for position, passage in enumerate(self.passages):
            counts = Counter(stems(f"{passage.title}\n{passage.text}"))
            self._lengths.append(counts.total())
            for term, count in counts.items():
                self._postings[term].append(_Posting(position, count))
        self._mean_length = sum(self._lengths) / len(self._lengths) if self._lengths else 0.0

    def search(self, query: str, top: int = 4) -> list[Hit]:
        """Return the best `top` passages that share a word with `query`, best first; ties are ordered by id.

        The order is that of BM25. `score` puts the same value on a scale that a threshold can use. Each query word is
        worth its idf; a passage earns of it the word's BM25 part, but never more than the idf, which is what a single
        use in a passage of mean length earns. The score is the earned share of the worth of all query words: 1 means
        that the passage covers them all. It is halved where only one of several words is shared, since one word is
        little evidence. Words of grammar, asking and courtesy are left out; a word that no passage has is worth as
        much as the rarest word there is and is never earned. Raises Invalid for `top` below 1.
        """
        if top < 1:
            raise Invalid(f"A search for {top} passages finds nothing.", remedy="Ask for at least 1.")
        asked = list(dict.fromkeys(stems(query)))
        worth = {term: self._idf(max(1, len(self._postings.get(term, ())))) for term in asked}
        parts: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        for term in asked:
            for position, count in self._postings.get(term, ()):
                part = worth[term] * self._saturation(count, self._lengths[position])
                parts[position].append((part, min(part, worth[term])))
        values = {position: math.fsum(part for part, _ in found) for position, found in parts.items()}
        best = sorted(values, key=lambda position: (-values[position], position))[:top]
        total = math.fsum(worth.values())
        hits = []
        for position in best:
            share = math.fsum(earned for _, earned in parts[position]) / total
            lone = len(parts[position]) == 1 < len(asked)
            hits.append(
                Hit(
                    passage=self.passages[position],
                    score=min(1.0, share * LONE if lone else share),
                    bm25=values[position],
                )
            )
        return hits

    def _idf(self, containing: int) -> float:
        return math.log(1 + (len(self.passages) - containing + 0.5) / (containing + 0.5))

    def _saturation(self, count: int, length: int) -> float:
        return count * (K1 + 1) / (count + K1 * (1 - B + B * length / self._mean_length))


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each heading (empty before the first) with the paragraphs below it, leaving out headings without any."""
    heading, paragraph, paragraphs = "", list[str](), list[str]()
    for line in [*text.splitlines(), "# "]:
        title = re.match(r"#{1,6}\s+(.*)", line)
        if (title or not line.strip()) and paragraph:
            paragraphs.append("\n".join(paragraph))
            paragraph = []
        if title:
            if paragraphs:
                yield heading, paragraphs
            heading, paragraphs = title.group(1).strip(" #"), []
        elif line.strip():
            paragraph.append(line)


def _pieces(paragraphs: Sequence[str], words: int, overlap: int) -> Iterator[str]:
    """Join neighbouring paragraphs while they fit into `words`; cut the ones that do not fit alone."""
    joined, size = list[str](), 0
    for paragraph in paragraphs:
        length = len(paragraph.split())
        if joined and size + length > words:
            yield "\n\n".join(joined)
            joined, size = [], 0
        if length > words:
            yield from _windows(paragraph.split(), words, overlap)
        else:
            joined.append(paragraph)
            size += length
    if joined:
        yield "\n\n".join(joined)


def _windows(tokens: Sequence[str], words: int, overlap: int) -> Iterator[str]:
    for start in range(0, max(1, len(tokens) - overlap), words - overlap):
        yield " ".join(tokens[start : start + words])


_GRAMMAR = """
    a able about above actually after again against all already also always am an and another any anybody anyone are
    arent as at be because been before being below between both but by can cannot cant could dear did didnt do does
    doesnt done dont down during each else ever every few for from get gets getting give go going got had happen
    happened happens has hasnt have havent having he hello help her here hers hey hi him his how however i if im in
    into is isnt it its itself ive just know least less let like many may maybe me mean means might mine more most
    much must my myself need no nor not now of off on once one ones only or other our ours out over own please
    possible question really said same say says shall she should since so some somebody someone something still such
    talk tell than thank thanks that the their theirs them then there these they thing things this those though
    through to too under until up upon us very want wants was wasnt we were what whats when where whether which
    while who whom whose why will wish with without wont would yes yet you your youre yours yourself
"""
_IGNORED = frozenset(_GRAMMAR.split())
"""Words of grammar, of asking and of courtesy: they say nothing about the subject."""


def stems(text: str) -> Iterator[str]:
    """Yield the stems of the content words of `text`, in order."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain):
        bare = word.removesuffix("'s").replace("'", "")
        if bare and bare not in _IGNORED:
            yield _stem(bare)


_ENDINGS = (
    ("ications", "y"), ("ication", "y"), ("ations", ""), ("ation", ""), ("ments", ""), ("ment", ""),
    ("able", ""), ("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"),
    ("ings", ""), ("ing", ""), ("ed", ""), ("ly", ""), ("es", "e"), ("s", ""),
)  # fmt: skip


def _stem(word: str) -> str:
    """Take one common English ending off, so that forms of a word meet: deliveries, delivered, delivery → deliver."""
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    for ending, instead in _ENDINGS:
        root = word.removesuffix(ending)
        if root == word or (ending == "s" and word.endswith(("ss", "us", "is"))):
            continue
        if len(root) >= 3 and re.search("[aeiouy]", root):
            word = root + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    if len(word) > 4 and word.endswith("ll"):
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word
