"""Enrichment of 100,000 generated tickets: tickets a second for topics, language and masking, against the bare libraries."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import time
from functools import partial
from typing import Any

import numpy as np

from tests.benchmarks._figure import figure
from workbench import access, jobs, settings, store
from workbench.tickets import discover, enrich, load, seed, source

TICKETS = 100_000
UNTIL = dt.date(2026, 3, 31)
SLOWER = 2.5
"""Reading tickets, asking what is open, and publishing anew may make the whole so many times as slow as the bare loop."""


def measure() -> list[dict[str, Any]]:
    """Each kind of enrichment as a job in a home of its own, beside the library's loop over the same texts."""
    count = int(os.environ.get("WORKBENCH_BENCH_TICKETS", str(TICKETS)))
    with tempfile.TemporaryDirectory() as home:
        before = os.environ.get("WORKBENCH_HOME")
        os.environ["WORKBENCH_HOME"] = home
        try:
            return _measure(count)
        finally:
            store.dispose()
            if before is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = before


def _measure(count: int) -> list[dict[str, Any]]:
    from sklearn.metrics import normalized_mutual_info_score

    actor = access.Actor("bench", "admin")
    store.migrate()
    frame = seed.generate(count, until=UNTIL)
    texts = [f"{subject}\n{body}" for subject, body in zip(frame["subject"], frame["body"], strict=True)]
    frame["language"], frame["sentiment"] = None, None
    frame.drop(columns=["attributes"]).to_parquet(f"{settings.load().local}/tickets.parquet", index=False)
    load(actor, settings.load().local / "tickets.parquet", mapping=None)
    made = []
    seconds = _timed(lambda: jobs.run_here(discover.start(actor)))
    told = source.records("SELECT topic, coalesce(found_topic, '') AS found FROM ticket")
    agreement = normalized_mutual_info_score([row["topic"] for row in told], [row["found"] for row in told])
    told_of = f"{count:,} tickets, found in a sample; agreement with the known topics (NMI) {agreement:.2f}"
    made.append(figure("topics found and assigned", count / seconds, "tickets/s", None, told_of))
    bare = {"language": _language, "sentiment": _sentiment, "masked": _masked}
    for kind, work in bare.items():
        some = texts[: max(2000, count // 10)]
        base = _timed(partial(work, some)) * count / len(some)
        seconds = _timed(partial(_found, actor, [kind]))
        rate = f"{count / seconds:,.0f} tickets/s; the library alone {count / base:,.0f}"
        made.append(figure(f"{kind}, against the bare loop", seconds / base, "times", SLOWER, rate))
    again = _timed(partial(_found, actor, ["language", "topic", "masked"]))
    made.append(figure("doing all again where nothing is open", again, "s", None, f"{count:,} tickets"))
    return made


def _found(actor: access.Actor, kinds: list[str]) -> None:
    assert jobs.run_here(enrich.create(actor, kinds)).state == "done"


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _language(texts: list[str]) -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identify = LanguageIdentifier.from_model_file(MODEL_FILE)
    for text in texts:
        identify.classify(text)


def _sentiment(texts: list[str]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    weights = TfidfVectorizer(ngram_range=(1, 2), min_df=3, max_features=20_000, sublinear_tf=True).fit_transform(texts)
    Ridge(5.0, solver="sparse_cg").fit(weights, np.linspace(-1, 1, len(texts))).predict(weights)


def _masked(texts: list[str]) -> None:
    from workbench.runtime.redaction import Masker
    from workbench.traces import masking

    rules = masking.rules()
    for place, text in enumerate(texts):
        Masker(rules, str(place)).text(text)
