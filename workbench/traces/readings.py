"""Sentences that a person lets a model read: which models there are, what one made of a sentence, and what that took.

A reading is kept, masked, so that the same sentence is not paid for twice and a link shows it again without asking.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from sqlmodel import col, delete, select

from workbench import access, store
from workbench.errors import Invalid
from workbench.runtime.environment import OFFLINE, roles
from workbench.runtime.spec import ROLES
from workbench.store.tables import ModelReading as Row
from workbench.traces import masking

if TYPE_CHECKING:
    from workbench.runtime.reading import Told

KEPT = dt.timedelta(days=90)
"""So long a reading is kept."""
SECONDS = 30.0
VALUES, LONGEST = 60, 80
"""At most so many values of one thing, each of so many characters, are told to a model."""

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Plan(Generic[Shape]):
    """What a model is to read: the sentence, masked, its task, what it is told, and the fields that it fills in."""

    kind: str
    sentence: str
    task: str
    known: Mapping[str, Any]
    shape: type[Shape]


@dataclass(frozen=True)
class Read(Generic[Shape]):
    """What a model made of a sentence: its answer, or the `problem` with it; by whose wish, when (UTC), at what cost.

    `usd` is None where the model's price is not known.
    """

    answer: Shape | None
    problem: str
    model: str
    tokens: int
    usd: float | None
    seconds: float
    by: str
    at: dt.datetime

    @property
    def cost(self) -> str:
        """Tokens, dollars and seconds in words."""
        price = "at a price that is not known" if self.usd is None else f"${self.usd:.4f}"
        return f"{self.tokens:,} tokens, {price}, {self.seconds:.1f} s"


def readers() -> dict[str, str]:
    """The models that can be asked to read: role to name, each model once. None where all roles are offline."""
    ours = roles()
    found: dict[str, str] = {}
    for role in ROLES:
        name = ours.served(role).name
        if name != OFFLINE and name not in found.values():
            found[role] = name
    return found


def reader(named: str) -> str:
    """The role of a model given by its role or its name. Raises Invalid naming those that there are."""
    there = readers()
    for role, name in there.items():
        if named in (role, name):
            return role
    known = " or ".join(there.values())
    remedy = f"There is {known}." if known else "Leave it out: our grammar reads. No model is set up for any role."
    raise Invalid(f"There is no model {named!r} that could read this.", remedy=remedy)


def masked(text: str) -> str:
    """A sentence or a value without personal data, as it may be sent and kept."""
    return masking.masker("readings").text(text.encode("utf-8", "replace").decode())


def tellable(values: Any) -> list[str]:
    """Of known values those that may be told to a model: short, without personal data, the first of too many."""
    fit = (one for one in map(str, values) if len(one) <= LONGEST and masked(one) == one)
    return [one for _, one in zip(range(VALUES), fit, strict=False)]


def kept(plan: Plan[Shape], role: str) -> Read[Shape] | None:
    """What the model of `role` made of it before, told the same; None where it was not asked yet."""
    name = readers().get(role, "")
    with store.session() as session:
        row = session.exec(select(Row).where(Row.key == _key(plan, name)).order_by(col(Row.id).desc())).first()
        return None if row is None else _read(row, plan.shape)


async def ask(actor: access.Actor, plan: Plan[Shape], role: str, *, seconds: float = SECONDS) -> Read[Shape]:
    """Let the model of `role` read it, and keep what it made of it and what that took.

    Raises Refused, Invalid where there is no such model, and Unavailable where it does not answer within `seconds`.
    """
    access.require(actor, "have a model read a sentence")
    from workbench.runtime import Models, reading

    role = reader(role)
    models = Models()
    try:
        told = await reading.read(models, role, plan.task, plan.known, plan.sentence, plan.shape, seconds=seconds)
    finally:
        await models.aclose()
    return _keep(actor, plan, told)


def _keep(actor: access.Actor, plan: Plan[Shape], told: Told[Shape]) -> Read[Shape]:
    row = Row(
        key=_key(plan, told.model),
        kind=plan.kind,
        asked=plan.sentence,
        model=told.model,
        answer=told.value.model_dump(mode="json") if told.value is not None else {},
        problem=told.problem,
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        usd=told.usd,
        seconds=told.seconds,
        by=actor.name,
    )
    detail = {"model": told.model, "tokens": told.input_tokens + told.output_tokens, "usd": told.usd}
    with store.session() as session:
        session.execute(delete(Row).where(col(Row.at) < store.now() - KEPT))
        session.add(row)
        access.audit.append(session, actor, "have a model read a sentence", plan.kind, detail)
        session.flush()
        return _read(row, plan.shape)


def _read(row: Row, shape: type[Shape]) -> Read[Shape]:
    answer, problem = None, row.problem
    if not problem:
        try:
            answer = shape.model_validate_json(json.dumps(row.answer), strict=True)
        except ValidationError:
            problem = "What it made of this can no longer be used."
    tokens = row.input_tokens + row.output_tokens
    return Read(answer, problem, row.model, tokens, row.usd, row.seconds, row.by, row.at)


def _key(plan: Plan[Any], model: str) -> str:
    body = [plan.kind, plan.sentence, plan.task, plan.known, plan.shape.model_json_schema(), model]
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
