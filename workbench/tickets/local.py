"""What this machine finds in the words of tickets, a batch at a time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import Unavailable
from workbench.runtime.redaction import Look, Masker
from workbench.tickets import topics
from workbench.traces import masking

if TYPE_CHECKING:
    from workbench.tickets.finding import Model

READ = 300
"""So many characters tell the language."""


def fill(frame: pd.DataFrame, due: pd.Series[bool], kind: str, token: str) -> None:
    """Fill in what a kind finds for the rows that are due, and by what; a ticket without words gets no value."""
    if not due.any():
        return
    rows = frame[due]
    texts = (rows["subject"] + "\n" + rows["body"]).tolist()
    if kind == "language":
        frame.loc[due, "enriched_language"] = pd.Series(languages(texts), index=rows.index, dtype="object")
    elif kind == "topic":
        frame["enriched_topic"] = frame["enriched_topic"].astype("Int64")
        frame.loc[due, "enriched_topic"] = _topics(rows, texts, int(token.rpartition("-")[2]))
    elif kind == "masked":
        subjects = masked(rows["subject"].tolist(), rows["ticket_id"].tolist())
        bodies = masked(rows["body"].tolist(), rows["ticket_id"].tolist())
        frame.loc[due, "masked_subject"] = pd.Series(subjects, index=rows.index, dtype="object")
        frame.loc[due, "masked_body"] = pd.Series(bodies, index=rows.index, dtype="object")
    else:
        from workbench.tickets import sentiment

        frame.loc[due, "enriched_sentiment"] = sentiment.told(int(token.rpartition("-")[2]), texts)
    how = {"language": "language_how", "topic": "topic_how", "masked": "masked_how", "sentiment": "sentiment_how"}[kind]
    frame.loc[due, how] = token


def _topics(rows: pd.DataFrame, texts: list[str], number: int) -> pd.Series[Any]:
    """The topic of each ticket. After a split only the tickets of the topic that was split move, into its pieces; after a
    new topic only those that had none."""
    model = topic_model(number)
    found = pd.Series(model.assign(texts)[0], index=rows.index, dtype="Int64")
    told = topics.figures(number)
    if "only" in told:
        before = rows["enriched_topic"].astype("Int64")
        settled = (rows["topic_how"] == f"local:topics-{number - 1}") & before.notna()
        moving = settled & before.isin(told["only"])
        found = found.mask(settled & ~moving, before)
        if told.get("among") and moving.any():
            moved = [text for text, one in zip(texts, moving, strict=True) if one]
            found[moving] = model.nearest(moved, told["among"])
    return found


def languages(texts: list[str]) -> list[str | None]:
    """The language of each text as a two-letter code; None where there are no words."""
    identify = _identifier()
    known: dict[str, str] = {}
    made: list[str | None] = []
    for text in texts:
        read = text[:READ].strip()
        if not any(one.isalpha() for one in read):
            made.append(None)
            continue
        if read not in known:
            known[read] = str(identify.classify(read)[0])
        made.append(known[read])
    return made


def masked(texts: list[str], ids: list[str]) -> list[str | None]:
    """Each text with its personal data masked; None where there is none in it. One ticket's values stay alike."""
    rules = masking.rules()
    if rules.off:
        return [None] * len(texts)
    look = Look(texts, rules)
    made: list[str | None] = []
    for place, (text, identity) in enumerate(zip(texts, ids, strict=True)):
        written = Masker(rules, f"ticket {identity}").text(text) if text and look.touches(place) else text
        made.append(written if written != text else None)
    return made


@functools.lru_cache(maxsize=2)
def _model(path: str, _changed: int) -> Model:
    from pathlib import Path

    from workbench.tickets import finding

    return finding.read(Path(path))


def topic_model(number: int) -> Model:
    """The model of topics with this number. Raises Unavailable where its file is gone."""
    path = topics.file(topics.KIND, number)
    if not path.is_file():
        raise Unavailable("What topics are told by is gone.", remedy="Find topics again.")
    return _model(str(path), path.stat().st_mtime_ns)


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
