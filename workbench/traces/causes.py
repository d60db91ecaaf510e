"""Why a run failed: causes that rules and people give it, each once, kept with who said so."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.store import now, session
from workbench.store.engine import insert_missing
from workbench.store.tables import Cause as Row
from workbench.store.tables import CauseDenied, CauseRule, Run
from workbench.traces import facts, masking

FILE = Path(__file__).with_name("causes.yaml")
RULE = "rule: "
"""How the origin of a cause begins that a rule gave; what follows is the rule's name."""

LONGEST = 300
AT_ONCE = 500


class Rule(BaseModel):
    """A rule that gives runs a cause: what it finds in a record and, where it has one, its threshold with the unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cause: str
    finds: str
    than: float | None = None
    unit: str = ""
    name: str = ""
    active: bool = True

    @property
    def words(self) -> str:
        """What it finds, in words: `slower than 20 seconds`."""
        return self.finds if self.than is None else f"{self.finds} {self.than:g} {self.unit}".rstrip()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    causes: dict[str, str]
    rules: dict[str, Rule]


@dataclass(frozen=True)
class Cause:
    """A cause that a run was given, by whom, when, and why in a few words. `by` is a person, or a rule."""

    run_id: str
    cause: str
    by: str
    at: dt.datetime
    note: str

    @property
    def ruled(self) -> bool:
        """Whether a rule gave it."""
        return self.by.startswith(RULE)


@functools.cache
def _file() -> _File:
    return _File.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def causes() -> Mapping[str, str]:
    """Every cause that there is, with what it means."""
    return _file().causes


@functools.cache
def shipped() -> tuple[Rule, ...]:
    """The rules as they come with the product."""
    return tuple(rule.model_copy(update={"name": name}) for name, rule in _file().rules.items())


def rules() -> list[Rule]:
    """The rules, each with the threshold that holds in this workbench, and whether it is in use."""
    with session() as open_session:
        return rules_in(open_session)


def rules_in(open_session: Session) -> list[Rule]:
    """As `rules`, inside a transaction."""
    kept = {row.name: row for row in open_session.exec(select(CauseRule))}
    found = []
    for rule in shipped():
        if row := kept.get(rule.name):
            than = rule.than if row.than is None else row.than
            rule = rule.model_copy(update={"active": row.active, "than": than})
        found.append(rule)
    return found


def set_rule(actor: Actor, name: str, *, active: bool, than: float | None = None) -> Rule:
    """Put a rule to use or out of use, with its threshold. Raises Refused, NotFound, or Invalid.

    What is recorded from now on goes by it; older runs do once it is applied to them.
    """
    require(actor, "set the rules of causes")
    if name not in _file().rules:
        raise NotFound(f"There is no rule called {name}.")
    told = _file().rules[name].than
    if (told is None) != (than is None) or (than is not None and not 0 <= than < 1e9):
        raise Invalid(f"The rule {name} {'has no threshold' if told is None else 'needs a number from 0 on'}.")
    with session() as open_session:
        row = open_session.get(CauseRule, name) or CauseRule(name=name, active=active, than=than, set_by=actor.name)
        row.active, row.than, row.set_by, row.set_at = active, than, actor.name, now()
        open_session.add(row)
        audit.append(open_session, actor, "set the rules of causes", name, {"active": active, "than": than})
        open_session.flush()
        return next(one for one in rules_in(open_session) if one.name == name)


def of(run_ids: Sequence[str]) -> list[Cause]:
    """The causes of these runs, the oldest first."""
    query = select(Row).where(col(Row.run_id).in_(list(run_ids))).order_by(col(Row.at), col(Row.cause))
    with session() as open_session:
        return [_cause(row) for row in open_session.exec(query)]


def tag(actor: Actor, run_id: str, cause: str, note: str = "") -> Cause:
    """Give a run a cause; what a rule said before becomes this person's word. The note is masked as records are.

    Raises Refused, NotFound for an unknown run, or Invalid for an unknown cause.
    """
    require(actor, "say why a run failed")
    if cause not in causes():
        raise Invalid(f"{cause[:60]!r} is not a cause.", remedy=f"Known: {', '.join(causes())}.")
    with session() as open_session:
        run = _run(open_session, run_id)
        words = masking.masker(run.conversation).text(note.strip()[:LONGEST])
        row = open_session.get(Row, (run_id, cause)) or Row(run_id=run_id, cause=cause, by=actor.name)
        row.by, row.at, row.note = actor.name, now(), words
        open_session.add(row)
        open_session.execute(
            delete(CauseDenied).where(col(CauseDenied.run_id) == run_id, col(CauseDenied.cause) == cause)
        )
        audit.append(open_session, actor, "say why a run failed", run_id, {"cause": cause, "note": words})
        facts.refresh(open_session, [run_id])
        return _cause(row)


def untag(actor: Actor, run_id: str, cause: str) -> None:
    """Take a cause away from a run; no rule gives it back. Raises Refused, or NotFound where the run has it not."""
    require(actor, "say why a run failed")
    with session() as open_session:
        row = open_session.get(Row, (run_id, cause))
        if row is None:
            raise NotFound(f"The run {run_id} does not have the cause {cause[:60]}.")
        open_session.delete(row)
        insert_missing(open_session, CauseDenied, {"run_id": run_id, "cause": cause, "by": actor.name, "at": now()})
        audit.append(open_session, actor, "say why a run failed", run_id, {"cause": cause, "taken away": True})
        facts.refresh(open_session, [run_id])


def keep(open_session: Session, found: Iterable[tuple[str, Rule, str]]) -> dict[str, list[str]]:
    """Store what rules found, inside a transaction: run id, rule and why. What a person said of a run stays.

    Returns the causes that are new, by run id.
    """
    wanted = {(run_id, rule.cause): (rule, why) for run_id, rule, why in found}
    ids = sorted({run_id for run_id, _ in wanted})
    there: set[tuple[str, str]] = set()
    for at in range(0, len(ids), AT_ONCE):
        part = ids[at : at + AT_ONCE]
        for table in (Row, CauseDenied):
            asked = select(table.run_id, table.cause).where(col(table.run_id).in_(part))
            there |= {(run_id, cause) for run_id, cause in open_session.exec(asked)}
    moment = now()
    new: dict[str, list[str]] = {}
    for (run_id, cause), (rule, why) in wanted.items():
        if (run_id, cause) not in there:
            values = {"run_id": run_id, "cause": cause, "by": RULE + rule.name, "at": moment, "note": why[:LONGEST]}
            insert_missing(open_session, Row, values)
            new.setdefault(run_id, []).append(cause)
    return new


def drop_ruled(open_session: Session, first: str, last: str) -> None:
    """Take away what rules said of the runs with ids from `first` to `last`, inside a transaction."""
    open_session.execute(
        delete(Row).where(col(Row.run_id) >= first, col(Row.run_id) <= last, col(Row.by).startswith(RULE))
    )


def counts() -> dict[str, int]:
    """How many runs have each cause, the most frequent first."""
    query = select(Row.cause, func.count()).group_by(Row.cause).order_by(func.count().desc(), Row.cause)
    with session() as open_session:
        return {cause: int(count) for cause, count in open_session.exec(query)}


def _run(open_session: Session, run_id: str) -> Run:
    run = open_session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.", remedy="It may have been deleted.")
    return run


def _cause(row: Any) -> Cause:
    return Cause(row.run_id, row.cause, row.by, row.at, row.note)
