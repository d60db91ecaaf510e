"""A sentence read into a model of ours by a role's model: structured output, bounded in time and length, never trusted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agents import AgentsException
from pydantic import BaseModel, ValidationError

from workbench.errors import Unavailable
from workbench.runtime.asking import answer
from workbench.runtime.modelcalls import explain
from workbench.runtime.models import Models

SECONDS = 30.0
LONGEST = 20_000
"""Characters of an answer that are looked at; a longer one is no answer."""
REMEDY = "It is read by our grammar instead. Try the model again, or ask in other words."

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Told(Generic[Shape]):
    """What a model made of a sentence, and what that took.

    `value` is None where the answer cannot be used, and `problem` says why in words that quote nothing of it. `usd` is
    None where the price is not known; `seconds` are wall time.
    """

    value: Shape | None
    problem: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float


async def read(
    models: Models,
    role: str,
    task: str,
    known: Mapping[str, Any],
    sentence: str,
    shape: type[Shape],
    *,
    seconds: float = SECONDS,
) -> Told[Shape]:
    """What the model of `role` makes of `sentence`, told the `task` and what is `known`.

    Raises Unavailable where the model cannot be reached, refuses, or needs longer than `seconds`.
    """
    # As JSON: nothing that a sentence can hold ends it.
    framed = json.dumps({"known": known, "sentence": sentence}, ensure_ascii=False)
    label, began = models.label(role), time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            said = await answer(models, role, task, framed, closed(shape))
    except TimeoutError:
        raise Unavailable(f"{label} did not answer within {seconds:g} seconds.", remedy=REMEDY) from None
    except (Unavailable, AgentsException) as error:
        raise Unavailable(f"{label} gave no answer.", remedy=REMEDY) from error
    except Exception as error:
        raise Unavailable(explain(error), remedy=REMEDY) from error
    value, problem = _fitting(said.text, shape)
    took = time.monotonic() - began
    return Told(value, problem, label, said.input_tokens, said.output_tokens, said.usd, took)


def closed(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of `shape` as servers can keep to it strictly: closed, every field asked for, without limits."""
    found: dict[str, Any] = _closed(shape.model_json_schema())
    return found


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _closed(value) for name, value in part.items() if name in _KEPT}
    for names in ("properties", "$defs"):
        if names in part:
            made[names] = {name: _closed(value) for name, value in part[names].items()}
    if "properties" in part:
        made |= {"required": list(part["properties"]), "additionalProperties": False}
    return made


_KEPT = frozenset({"type", "enum", "const", "items", "anyOf", "$ref", "description"})


def _fitting(text: str, shape: type[Shape]) -> tuple[Shape | None, str]:
    if len(text) > LONGEST:
        return None, f"It answered with {len(text):,} characters; at most {LONGEST:,} are read."
    try:
        return shape.model_validate_json(text, strict=True), ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return None, "It did not answer with the fields that were asked for."
    if first["type"] == "extra_forbidden":
        return None, "It answered with a field that was not asked for."
    where = ".".join(str(part) for part in first["loc"]) or "the answer"
    return None, f"What it gave for {where} cannot be used."
