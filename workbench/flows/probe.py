"""Trying a guardrail's check on its own: on a text, or measured on labelled texts."""

from __future__ import annotations

import asyncio
import csv
import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import runtime
from workbench.access import Actor, require
from workbench.errors import Invalid, WorkbenchError
from workbench.runtime import guardrails
from workbench.runtime.guardrails import Situation
from workbench.runtime.spec import GuardrailSpec

YES = frozenset({"1", "true", "yes", "trips", "bad", "unsafe", "attack"})
NO = frozenset({"0", "false", "no", "passes", "good", "safe", "fine"})


@dataclass(frozen=True)
class Tried:
    """What a check said of a text: the reason why it trips, or nothing; and how long it took, in seconds."""

    text: str
    reason: str | None
    seconds: float


@dataclass(frozen=True)
class Labelled:
    """A text and whether the check should trip on it."""

    text: str
    trips: bool


@dataclass(frozen=True)
class Measured:
    """A check over labelled texts. Precision and recall are None where nothing tripped, or nothing should.

    `precision_of` and `recall_of` are what they are made of: how many were right, of how many.
    """

    right: int
    missed: tuple[Tried, ...]
    wrong: tuple[Tried, ...]
    precision: float | None
    recall: float | None
    median: float
    slowest: float
    precision_of: tuple[int, int]
    recall_of: tuple[int, int]

    @property
    def texts(self) -> int:
        """How many labelled texts it was measured on."""
        return self.right + len(self.missed) + len(self.wrong)


def try_check(actor: Actor, spec: GuardrailSpec, text: str) -> Tried:
    """What the check of `spec` says of `text`. Raises Refused, NotFound, Invalid for settings that do not fit."""
    require(actor, "run a flow")
    return asyncio.run(_try([text], spec))[0]


def measure(actor: Actor, spec: GuardrailSpec, texts: Sequence[Labelled]) -> Measured:
    """Precision, recall and latency of the check of `spec` over labelled texts. Raises as `try_check` does."""
    require(actor, "run a flow")
    if not texts:
        raise Invalid("There are no labelled texts.", remedy="Give a CSV file with the columns text and label.")
    tried = asyncio.run(_try([one.text for one in texts], spec))
    pairs = list(zip(texts, tried, strict=True))
    hits = sum(one.trips and said.reason is not None for one, said in pairs)
    missed = tuple(said for one, said in pairs if one.trips and said.reason is None)
    wrong = tuple(said for one, said in pairs if not one.trips and said.reason is not None)
    times = [said.seconds for said in tried]
    return Measured(
        right=len(pairs) - len(missed) - len(wrong),
        missed=missed,
        wrong=wrong,
        precision=hits / (hits + len(wrong)) if hits + len(wrong) else None,
        recall=hits / (hits + len(missed)) if hits + len(missed) else None,
        median=statistics.median(times),
        slowest=max(times),
        precision_of=(hits, hits + len(wrong)),
        recall_of=(hits, hits + len(missed)),
    )


def labelled(content: str) -> list[Labelled]:
    """Labelled texts from CSV with the columns `text` and `label`. Raises Invalid naming the first line that is wrong."""
    rows = csv.DictReader(io.StringIO(content))
    if not {"text", "label"} <= set(rows.fieldnames or ()):
        raise Invalid(
            "The file needs the columns text and label.", remedy=f"It has {', '.join(rows.fieldnames or ()) or 'none'}."
        )
    found = []
    for row in rows:
        label = (row["label"] or "").strip().lower()
        if label not in YES | NO:
            raise Invalid(f"Line {rows.line_num}: the label {label!r} is neither yes nor no.")
        found.append(Labelled(row["text"] or "", label in YES))
    return found


async def _try(texts: Sequence[str], spec: GuardrailSpec) -> list[Tried]:
    check = guardrails.find(spec.check)
    check.read(spec.settings)
    models = runtime.Models()
    try:
        return [await _one(check, text, spec, Situation(models)) for text in texts]
    finally:
        await models.aclose()


async def _one(check: guardrails.Check, text: str, spec: GuardrailSpec, situation: Situation) -> Tried:
    started = time.perf_counter()
    try:
        reason = await check.within(spec.timeout, [text], spec.settings, situation)
    except TimeoutError:
        reason = f"the check took longer than {spec.timeout:g} seconds"
    except WorkbenchError as error:
        reason = f"the check failed: {error.message}"
    return Tried(text, reason, time.perf_counter() - started)
