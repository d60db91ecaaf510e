"""Sentiment from words, learnt from this team's own rated tickets, with how well it agrees with ratings held back."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from workbench import access, store
from workbench.errors import Invalid, Unavailable
from workbench.store.tables import TextModel
from workbench.tickets import manifest, merge, topics

KIND = "sentiment"
RATED = 300
"""So many rated tickets with text are needed."""
MOST = 30_000
HELD_BACK = 5
"""One in so many rated tickets is held back to judge by."""
WORTH = 0.05
"""Below this rank correlation with the ratings held back, words tell nothing and no value is given."""
RIDGE = 5.0
MORE = 1.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How well words tell the rating: rank correlation (Spearman, -1 to 1) on `held_back` tickets, and whether it is used."""

    rated: int
    held_back: int
    correlation: float
    used: bool


def rated() -> int:
    """How many rated tickets have a text."""
    return len(_rated(count_only=True))


def require_ratings() -> None:
    """Raise Invalid, with the reason, where too few tickets are rated to learn from."""
    if (there := rated()) < RATED:
        raise Invalid(
            f"Sentiment is learnt from your own rated tickets; it needs {RATED} with a rating and a text, and there are {there:,}.",
            remedy="Load tickets with ratings, or leave sentiment out.",
        )


def number_now() -> int:
    """The model to be used: the present one, or the next where a tenth more tickets are rated than it was learnt from."""
    latest = topics.newest(KIND)
    if latest is None:
        return 1
    return latest.number if rated() <= latest.tickets * MORE else latest.number + 1


def agreement() -> Agreement | None:
    """How well the present model agrees; None before there is one."""
    latest = topics.newest(KIND)
    return None if latest is None else Agreement(latest.tickets, **latest.figures)


def make(actor: access.Actor, job_id: str, number: int) -> Agreement:
    """Learn from the rated tickets, judge by those held back, and keep the model. Done twice, it is the same."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    from workbench.tickets import finding

    if not topics.figures(number, KIND):
        rows = _rated()
        texts = [finding.cleaned(f"{subject}\n{body}") for _, _, subject, body in rows]
        feels = np.array([(float(csat) - 3) / 2 for _, csat, _, _ in rows])
        weigher = TfidfVectorizer(
            ngram_range=(1, 2), min_df=3, max_features=20_000, sublinear_tf=True, token_pattern=finding.TOKEN
        )
        try:
            weights = weigher.fit_transform(texts)
        except ValueError as error:
            raise Invalid("The rated tickets have too few words in common.", remedy="Leave sentiment out.") from error
        back = np.arange(len(rows)) % HELD_BACK == 0
        judged = Ridge(RIDGE, solver="sparse_cg", random_state=0).fit(weights[~back], feels[~back])
        how = _ranks(judged.predict(weights[back]), feels[back])
        fitted = Ridge(RIDGE, solver="sparse_cg", random_state=0).fit(weights, feels)
        _save(number, weigher, fitted)
        figures = {"held_back": int(back.sum()), "correlation": round(how, 3), "used": how >= WORTH}
        with store.session() as session:
            session.add(
                TextModel(
                    kind=KIND, number=number, job_id=job_id, tickets=len(rows), figures=figures, made_by=actor.name
                )
            )
            access.audit.append(session, actor, "enrich tickets", f"sentiment {number}", figures)
    found = agreement()
    assert found is not None  # noqa: S101
    return found


def told(number: int, texts: Sequence[str]) -> Floats:
    """The sentiment of each text, -1 to 1; empty without words, or where words tell nothing about ratings here."""
    from workbench.tickets import finding

    used = agreement()
    if used is None or not used.used:
        return np.full(len(texts), np.nan)
    weigher, weights, base = _read(str(topics.file(KIND, number)))
    given = weigher.transform(map(finding.cleaned, texts))
    values = np.clip(np.asarray(given @ weights).ravel() + base, -1, 1)
    return np.where(np.asarray(given.getnnz(axis=1)) > 0, np.round(values, 3), np.nan)


def _ranks(one: Floats, other: Floats) -> float:
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other).statistic)


def _rated(*, count_only: bool = False) -> list[tuple[Any, ...]]:
    there = merge.relation(manifest.read().parts)
    columns = "1" if count_only else "ticket_id, csat, coalesce(subject, ''), coalesce(body, '')"
    with duckdb.connect(":memory:") as connection:
        return connection.execute(
            f"SELECT {columns} FROM ({there}) WHERE csat IS NOT NULL AND length(concat(subject, body)) > 0 "
            f"ORDER BY hash(ticket_id), ticket_id LIMIT {MOST}"
        ).fetchall()


def _save(number: int, weigher: Any, fitted: Any) -> None:
    path = Path(topics.file(KIND, number))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.npz")
    np.savez_compressed(
        temporary,
        words=np.array(weigher.get_feature_names_out(), dtype=np.str_),
        idf=weigher.idf_,
        weights=fitted.coef_,
        base=np.array(fitted.intercept_),
    )
    temporary.replace(path)


@functools.lru_cache(maxsize=1)
def _read(path: str) -> tuple[Any, Floats, float]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from workbench.tickets import finding

    try:
        with np.load(path, allow_pickle=False) as kept:
            weigher = TfidfVectorizer(
                vocabulary=[str(word) for word in kept["words"]],
                ngram_range=(1, 2),
                sublinear_tf=True,
                token_pattern=finding.TOKEN,
            )
            weigher.idf_ = kept["idf"]
            return weigher, kept["weights"], float(kept["base"])
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable("What sentiment is told by cannot be read.", remedy="Enrich the tickets again.") from error
