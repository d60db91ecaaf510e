"""Topics in texts: words that tell them apart, tickets that are alike, and what each group is about.

Everything here is deterministic: the same texts in the same order give the same topics.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from workbench.errors import Invalid, Unavailable

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

FEWEST = 100
"""Below so many tickets with text no topics are looked for."""
WORDS = 12_000
"""So many words and pairs of words are looked at, at most."""
DIMENSIONS = 100
COUNTS = (8, 12, 16, 24, 32, 48, 64)
"""Numbers of topics that are tried."""
WORTH = 0.05
"""A larger number of topics must tell tickets apart by so much better (silhouette, -1 to 1): people read fewer sooner."""
TRIED = 8_000
"""Numbers of topics are tried on so many tickets."""
JUDGED = 2_000
"""So many tickets judge a number of topics."""
EXAMPLES, TERMS = 6, 8
ALIKE = 0.5
"""A new group is the topic that it resembles at least so much: the mean of their likeness and the tickets they share."""
LEAST, MOST = 0.1, 0.35
"""Between these lies the likeness under which a ticket belongs to no topic."""
FRAYED = 3
"""Percent of the tickets that topics were found in which are too unlike all of them."""

_LEFT_OUT = re.compile(
    r"\[[a-z][a-z -]* [0-9a-f]{6}\]|\S+@\S+|https?://\S+|www\.\S+|\S*\d\S*"
    r"|(?<=\b(?:Dear|Hola|Caro|Cher) )[^\W\d_]+|(?<=\b(?:Hi|Dr) )[^\W\d_]+|(?<=\b(?:Hello|Hallo|Liebe|Chère|Beste) )[^\W\d_]+"
)
"""Masked values, addresses, everything with digits, and the name after a greeting."""


@dataclass(frozen=True)
class Model:
    """What tickets are assigned by: words with their weight, and the direction of each topic among them.

    `leaves` are the numbers of the topics, a row of `centroids` each; a ticket less like all of them than `least` has none.
    """

    words: tuple[str, ...]
    idf: Floats
    centroids: Floats
    leaves: tuple[int, ...]
    least: float

    def assign(self, texts: Sequence[str]) -> tuple[Whole, Floats]:
        """The topic of each text, 0 for none, and how like it the text is (cosine, 0 to 1)."""
        if not self.leaves or not texts:
            return np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.float32)
        likeness = np.asarray(self.weighed(texts) @ self.centroids.T, dtype=np.float32)
        best = likeness.argmax(axis=1)
        how = likeness[np.arange(len(texts)), best]
        return np.where(how >= self.least, np.array(self.leaves)[best], 0).astype(np.int64), how

    def nearest(self, texts: Sequence[str], among: Sequence[int]) -> Whole:
        """The one of the topics `among` that each text is most like, however little."""
        rows = [self.leaves.index(leaf) for leaf in among]
        best = np.asarray(self.weighed(texts) @ self.centroids[rows].T).argmax(axis=1)
        return np.asarray(np.array(among, dtype=np.int64)[best], dtype=np.int64)

    def weighed(self, texts: Sequence[str]) -> Any:
        """The words of each text, weighed: a sparse matrix of a row for each."""
        return _vectoriser(self.words, self.idf).transform(map(cleaned, texts))


@dataclass(frozen=True)
class Group:
    """Tickets that are alike: their most telling terms, how many they are, examples (places among the texts)."""

    terms: tuple[str, ...]
    size: int
    examples: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """The groups in some texts, the group of each text, and a model whose topics are numbered from 1 in this order."""

    model: Model
    groups: tuple[Group, ...]
    labels: Whole


def find(
    texts: Sequence[str],
    *,
    count: int | None = None,
    languages: Iterable[str] = ("en",),
    common: float = 0.3,
    fewest: int = FEWEST,
) -> Found:
    """The topics in texts: `count` of them, or as many as tell the texts apart best. Words in more than `common` of the
    texts, a share, tell none.

    TF-IDF of words and pairs, reduced to 100 dimensions (latent semantic analysis), then k-means over directions; the
    number of groups is the one with the best silhouette. Raises Invalid where there are too few texts or words.
    """
    if len(texts) < fewest:
        raise Invalid(
            f"Topics need at least {fewest} tickets with a subject or a text; there are {len(texts):,}.",
            remedy="Load tickets with their texts first.",
        )
    clean = [cleaned(text) for text in texts]
    weigher = TfidfVectorizer(
        **_how(len(texts), languages, common), sublinear_tf=True, max_features=WORDS, dtype=np.float32
    )
    try:
        weights = weigher.fit_transform(clean)
    except ValueError as error:
        raise Invalid(
            "The texts have too few words in common to find topics.", remedy="Load tickets with longer texts."
        ) from error
    words = tuple(str(word) for word in weigher.get_feature_names_out())
    with threadpool_limits(1):  # Small steps: more threads only wait for each other where others work too.
        labels, centroids = _settled(weights, _grouped(_flat(weights), count))
    how = np.asarray((weights.multiply(centroids[labels])).sum(axis=1)).ravel()
    least = float(np.clip(np.percentile(how[how > 0], FRAYED) if (how > 0).any() else LEAST, LEAST, MOST))
    terms = telling(clean, labels, words)
    groups = tuple(
        Group(terms[one], int((labels == one).sum()), _middle(clean, how, labels, one)) for one in range(len(centroids))
    )
    model = Model(words, weigher.idf_.astype(np.float32), centroids, tuple(range(1, len(centroids) + 1)), least)
    return Found(model, groups, labels)


def cleaned(text: str) -> str:
    """A text without numbers, names after a greeting, addresses and masked values."""
    return _LEFT_OUT.sub(" ", text)


def telling(clean: Sequence[str], labels: Whole, words: Sequence[str]) -> list[tuple[str, ...]]:
    """The terms that tell each group from the others, the most telling first.

    Class-based TF-IDF: a term's share of the words of the group, times log(1 + words of an average group / the term's
    frequency in all groups). M. Grootendorst, BERTopic: Neural topic modeling with a class-based TF-IDF procedure, 2022,
    equation 2.
    """
    counter = CountVectorizer(vocabulary=list(words), ngram_range=(1, 2), token_pattern=TOKEN)
    counts = counter.transform(clean)
    groups = int(labels.max()) + 1
    member = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(groups, len(labels)))
    of_group = np.asarray((member @ counts).todense(), dtype=np.float64)
    share = of_group / np.maximum(of_group.sum(axis=1, keepdims=True), 1)
    average = of_group.sum() / groups
    weight = share * np.log1p(average / np.maximum(of_group.sum(axis=0), 1))
    order = np.argsort(-weight, axis=1, kind="stable")[:, : 4 * TERMS]
    return [_distinct([words[at] for at in row if weight[one, at] > 0]) for one, row in enumerate(order)]


def match(old: Model, new: Found, texts: Sequence[str]) -> dict[int, int]:
    """Which topic of `old` each group of `new` is, one to one; a group that is none of them is left out.

    Two are the same where their directions and the tickets in them agree: the pairs with the best sum (Hungarian
    method, scipy's linear_sum_assignment) that reach ALIKE.
    """
    if not old.leaves:
        return {}
    likeness = new.model.centroids @ moved(old, new.model.words).T
    before, _ = old.assign(texts)
    shared = np.zeros_like(likeness)
    for row in range(len(new.groups)):
        mine = new.labels == row
        for column, leaf in enumerate(old.leaves):
            theirs = before == leaf
            both = int(mine.sum() + theirs.sum())
            shared[row, column] = 2 * int((mine & theirs).sum()) / both if both else 0.0
    score = (likeness + shared) / 2
    rows, columns = linear_sum_assignment(score, maximize=True)
    return {
        int(row): old.leaves[column] for row, column in zip(rows, columns, strict=True) if score[row, column] >= ALIKE
    }


def moved(model: Model, words: Sequence[str]) -> Floats:
    """The directions of a model's topics among other words; what those lack is lost."""
    place = {word: at for at, word in enumerate(model.words)}
    there = [(at, place[word]) for at, word in enumerate(words) if word in place]
    made = np.zeros((len(model.leaves), len(words)), dtype=np.float32)
    if there:
        ours, theirs = zip(*there, strict=True)
        made[:, list(ours)] = model.centroids[:, list(theirs)]
    return np.asarray(normalize(made), dtype=np.float32) if len(made) else made


def joined(base: Model, more: Model, *, without: Iterable[int] = ()) -> Model:
    """`base` with the topics of `more` as well, and without some of its own: both know the words of either."""
    known = set(base.words)
    extra = [at for at, word in enumerate(more.words) if word not in known]
    words = (*base.words, *(more.words[at] for at in extra))
    gone = set(without)
    keep = [at for at, leaf in enumerate(base.leaves) if leaf not in gone]
    wide = np.zeros((len(keep), len(words)), dtype=np.float32)
    wide[:, : len(base.words)] = base.centroids[keep]
    return Model(
        words,
        np.concatenate([base.idf, more.idf[extra]]).astype(np.float32),
        np.concatenate([wide, moved(more, words)]),
        (*(base.leaves[at] for at in keep), *more.leaves),
        base.least,
    )


def parted(base: Model, found: Found, texts: Sequence[str], leaves: Sequence[int], *, without: Iterable[int]) -> Model:
    """`base` with the groups of `found` in the place of the topics that their texts had.

    Their directions are taken among all words, those too that the groups have in common: these tell them from others.
    """
    wide = joined(base, Model(found.model.words, found.model.idf, found.model.centroids[:0], (), base.least))
    return joined(
        wide,
        replace(wide, centroids=_centroids(wide.weighed(texts), found.labels), leaves=tuple(leaves)),
        without=without,
    )


def beyond_chance(found: Found, texts: Sequence[str], *, seed: int = 0) -> list[bool]:
    """Whether the tickets of each group resemble each other more than by chance.

    Chance: the same number of groups in texts whose words were dealt out anew, so that each text stays as long and each
    word as frequent; a group must hold together better than the best of those.
    """
    rng = np.random.default_rng(seed)
    weights = found.model.weighed(texts)
    real = _cohesion(weights, found.labels)
    rows, columns = weights.nonzero()
    dealt = csr_matrix((weights.data, (rows, rng.permutation(columns))), shape=weights.shape)
    dealt = normalize(dealt)
    groups = int(found.labels.max()) + 1
    with threadpool_limits(1):
        flat = _flat(dealt)
        random = _cohesion(dealt, _means(flat, groups).fit_predict(flat))
    return [bool(one > random.max()) for one in real]


def save(model: Model, path: Path) -> None:
    """Write a model, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez_compressed(
        temporary,
        words=np.array(model.words, dtype=np.str_),
        idf=model.idf,
        centroids=model.centroids,
        leaves=np.array(model.leaves, dtype=np.int64),
        least=np.array(model.least),
    )
    temporary.replace(path)


def read(path: Path) -> Model:
    """The model in a file. Raises Unavailable where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Model(
                tuple(str(word) for word in kept["words"]),
                kept["idf"],
                kept["centroids"],
                tuple(int(leaf) for leaf in kept["leaves"]),
                float(kept["least"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable("What topics are told by cannot be read.", remedy="Find topics again.") from error


TOKEN = r"(?u)\b[^\W\d_]{3,}\b"  # noqa: S105 — a pattern of words, not a secret


@functools.lru_cache(maxsize=1)
def stop_words() -> dict[str, list[str]]:
    """Words that tell no topic, by language."""
    told = yaml.safe_load((Path(__file__).parent / "stopwords.yaml").read_text(encoding="utf-8"))
    return {language: text.split() for language, text in told.items()}


def _how(texts: int, languages: Iterable[str], common: float) -> dict[str, Any]:
    known = stop_words()
    stop = sorted({word for language in languages for word in known.get(language, ())} | set(known["en"]))
    return {
        "token_pattern": TOKEN,
        "ngram_range": (1, 2),
        "min_df": max(3, texts // 2000),
        "max_df": common,
        "stop_words": stop,
    }


@functools.lru_cache(maxsize=4)
def _kept_vectoriser(words: tuple[str, ...]) -> Any:
    return TfidfVectorizer(
        vocabulary=list(words), ngram_range=(1, 2), token_pattern=TOKEN, sublinear_tf=True, dtype=np.float32
    )


def _vectoriser(words: tuple[str, ...], idf: Floats) -> Any:
    made = _kept_vectoriser(words)
    made.idf_ = idf
    return made


def _flat(weights: Any) -> Floats:
    """Texts as directions in few dimensions."""
    size = min(DIMENSIONS, weights.shape[1] - 1, weights.shape[0] - 1)
    if size < 2:
        return np.asarray(weights.todense(), dtype=np.float32)
    return np.asarray(normalize(TruncatedSVD(size, random_state=0).fit_transform(weights)), dtype=np.float32)


def _means(flat: Floats, count: int) -> MiniBatchKMeans:
    return MiniBatchKMeans(min(count, len(flat)), n_init=3, batch_size=2048, random_state=0)


def _grouped(flat: Floats, count: int | None) -> Whole:
    number = count or _count(flat[np.random.default_rng(0).permutation(len(flat))[:TRIED]])
    return np.asarray(_means(flat, number).fit_predict(flat), dtype=np.int64)


def _count(flat: Floats) -> int:
    """The number of groups with the best silhouette, a larger one only where it is worth it."""
    best, chosen = -2.0, COUNTS[0]
    for number in COUNTS:
        if number * 12 > len(flat):
            break
        labels = _means(flat, number).fit_predict(flat)
        if len(set(labels[:JUDGED].tolist())) > 1:
            score = float(silhouette_score(flat[:JUDGED], labels[:JUDGED], metric="cosine"))
            if score > best + WORTH:
                best, chosen = score, number
    return chosen


def _settled(weights: Any, labels: Whole) -> tuple[Whole, Floats]:
    """Directions among the words, and each text with the nearest: what later texts are assigned by."""
    for _ in range(2):
        centroids = _centroids(weights, labels)
        labels = np.asarray((weights @ centroids.T).argmax(axis=1), dtype=np.int64).ravel()
    sizes = np.bincount(labels)
    order = [int(one) for one in np.argsort(-sizes, kind="stable") if sizes[one]]
    renamed = np.zeros(len(sizes), dtype=np.int64)
    renamed[order] = np.arange(len(order))
    labels = renamed[labels]
    return labels, _centroids(weights, labels)


def _centroids(weights: Any, labels: Whole) -> Floats:
    kinds, labels = np.unique(labels, return_inverse=True)
    member = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(len(kinds), len(labels)))
    return np.asarray(normalize(np.asarray((member @ weights).todense())), dtype=np.float32)


def _cohesion(weights: Any, labels: Whole) -> Floats:
    """How like their middle the texts of each group are, on average."""
    kinds, labels = np.unique(labels, return_inverse=True)
    how = np.asarray(weights.multiply(_centroids(weights, labels)[labels]).sum(axis=1)).ravel()
    return np.array([how[labels == one].mean() for one in range(len(kinds))], dtype=np.float32)


def _middle(clean: Sequence[str], how: Floats, labels: Whole, group: int) -> tuple[int, ...]:
    """The places of the texts nearest to the middle of a group, no two of them alike."""
    mine = np.flatnonzero(labels == group)
    first: dict[str, int] = {}
    for at in mine[np.argsort(-how[mine], kind="stable")]:
        first.setdefault(" ".join(clean[at].split()), int(at))
        if len(first) == EXAMPLES:
            break
    return tuple(first.values())


def _distinct(terms: Sequence[str]) -> tuple[str, ...]:
    """Terms none of whose words was said before."""
    said: set[str] = set()
    kept = []
    for term in terms:
        parts = term.split()
        if said.isdisjoint(parts):
            kept.append(term)
            said.update(parts)
    return tuple(kept[:TERMS])
