"""Side by side: up to four variants of flows over one message or one dataset, each frozen, so that it can be had again."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
import statistics
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import Session, col, select

from workbench import datasets, flows, jobs
from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.evals.experiments import KIND, Experiment, Report, Scored, add, report
from workbench.evals.statistics import Rate
from workbench.runtime import release, spec
from workbench.runtime.release import Release
from workbench.runtime.spec import Name, Role
from workbench.store import session
from workbench.store.tables import Experiment as ExperimentTable
from workbench.store.tables import ExperimentRow, Run
from workbench.store.tables import Job as JobRow

MOST = 4
"""So many variants stand side by side at most."""

LETTERS = "ABCD"

Find = Callable[[str], Release]
"""What finds the flow that a reference names: `releases.resolve`, which stands to the right of this package."""


class Variant(BaseModel):
    """One side of a comparison: a flow by reference, and what is changed in it for the trial.

    `flow` is a draft `desk`, a release `desk@v3` or an environment `desk@production`. `model` replaces the model role
    of all agents, `models` that of named ones, and `prompts` the texts of named ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}(@(v[1-9][0-9]*|[a-z]+))?$")]
    model: Role | None = None
    models: dict[Name, Role] = Field(default_factory=dict)
    prompts: dict[Name, str] = Field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it comes from, in words."""
        return self.flow if "@" in self.flow else f"{self.flow} draft"

    @property
    def changes(self) -> list[str]:
        """What is changed for the trial, in words."""
        words = [f"model {self.model}"] if self.model else []
        words += [f"{agent} on {role}" for agent, role in self.models.items()]
        return words + [f"prompt of {agent} edited" for agent in self.prompts]

    @property
    def plain(self) -> dict[str, Any]:
        """The variant as plain data."""
        return self.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True)
class Side:
    """What one variant came to. Times are seconds; `usd` is None where a price is not known, `seconds` before any run."""

    title: str
    variant: Variant
    experiment: Experiment
    state: str
    done: int
    total: int
    rate: Rate
    usd: float | None
    tokens: int
    seconds: float | None
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class Cell:
    """One case with one variant, a value for each time that it ran. `passed` is None where nothing was expected."""

    passed: bool | None
    why: str
    outcomes: tuple[str, ...]
    agents: tuple[str, ...]
    replies: tuple[str, ...]
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One case with every variant; a cell is None where it has not run yet."""

    case_id: str
    question: str
    cells: tuple[Cell | None, ...]

    @property
    def differs(self) -> bool:
        """Whether the variants do not all end, answer and score alike."""
        ran = [one for one in self.cells if one is not None]
        return len({(c.passed, c.outcomes, c.agents, tuple(map(_squeezed, c.replies))) for c in ran}) > 1


@dataclass(frozen=True)
class Grid:
    """Variants times cases: its sides in their order, and its rows, those that differ first."""

    id: str
    dataset: str
    dataset_digest: str
    repeat: int
    created_by: str
    created_at: dt.datetime
    sides: tuple[Side, ...]
    rows: tuple[Row, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return all(side.state in jobs.ENDED for side in self.sides)

    @property
    def differing(self) -> int:
        """How many cases differ between the variants."""
        return sum(row.differs for row in self.rows)


@dataclass(frozen=True)
class Listed:
    """A grid in a list: how many variants over which dataset, and when it was begun."""

    words: str
    at: dt.datetime


@dataclass(frozen=True)
class Piece:
    """A stretch of words of two replies: in both, only in the first, or only in the other."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True)
class Difference:
    """How a run differs from the first: in words, none where it does not, and its reply word by word."""

    words: tuple[str, ...]
    reply: tuple[Piece, ...]


def titles(variants: Sequence[Variant]) -> list[str]:
    """A letter and a few words for each variant, made from what differs."""
    same = len({one.flow for one in variants}) == 1
    words = [", ".join([*([] if same and one.changes else [one.place]), *one.changes]) for one in variants]
    return [f"{LETTERS[place]} · {one}" for place, one in enumerate(words)]


def resolve(variant: Variant, find: Find) -> Release:
    """The variant, frozen: what its reference names, or that with the changes, as a draft with a digest of its own.

    Of what it was made from, only the named roles and texts are changed. Raises what `find` raises, NotFound for an
    agent that the flow does not have, and Invalid for a text that is empty or has a variable without a value.
    """
    base = find(variant.flow)
    if unknown := [name for name in (*variant.models, *variant.prompts) if name not in base.spec.agents]:
        raise NotFound(
            f"{variant.flow} has no agent {', '.join(unknown)}.", remedy=f"Known: {', '.join(base.spec.agents)}."
        )
    if blank := [name for name, text in variant.prompts.items() if not text.strip()]:
        raise Invalid(f"The prompt of {', '.join(blank)} is empty.", remedy="Write one, or take the edit back.")
    body = {**base.body, "spec": _spec(base, variant), "prompts": _prompts(base, variant)}
    if body == base.body:
        return base
    made = release.of(body)
    if gaps := made.missing({}):
        listed = "; ".join(f"{label} needs {', '.join('$' + n for n in names)}" for label, names in gaps.items())
        raise Invalid(f"Prompt variables have no value: {listed}.", remedy="Take them out, or give the flow a value.")
    return made


def create(
    actor: Actor, variants: Sequence[Variant], dataset: str, find: Find, *, repeat: int = 1, real: bool = False
) -> str:
    """Freeze every variant and the dataset, and store one experiment for each in one transaction; returns the grid's id.

    Nothing runs yet: hand the experiments' `job_id` to `jobs.start` or `jobs.run_here`. `real` is that of
    `evals.create`. Raises Refused, Invalid unless one to four variants are given, and what `resolve` and
    `evals.create` raise; then nothing is stored.
    """
    require(actor, "run an experiment")
    _count(variants)
    frozen = [resolve(one, find) for one in variants]
    with session() as open_session:
        audit.lock(open_session)
        cases = datasets.freeze(open_session, dataset)
        return _store(open_session, actor, list(zip(variants, frozen, strict=True)), cases, repeat, real)


def again(actor: Actor, grid_id: str, *, real: bool = False) -> str:
    """Store a grid of the same frozen flows over the same frozen cases; returns its id. Raises Refused or NotFound."""
    require(actor, "run an experiment")
    kept = _kept(grid_id)
    first = kept[0][1]
    sides = [(variant, _frozen(one)) for variant, one in kept]
    with session() as open_session:
        audit.lock(open_session)
        return _store(open_session, actor, sides, datasets.version(first.dataset_digest), first.repeat, real)


def grid(grid_id: str) -> Grid:
    """What a grid has come to so far, from its record. Raises NotFound."""
    kept = _kept(grid_id)
    first = kept[0][1]
    cases = datasets.version(first.dataset_digest).cases
    ran = _runs([one.id for _, one in kept])
    names = titles([variant for variant, _ in kept])
    reports = [report(one.id) for _, one in kept]
    sides = [_side(name, variant, one, ran) for name, (variant, _), one in zip(names, kept, reports, strict=True)]
    cells = [_cells(one.rows, ran) for one in reports]
    rows = [Row(case.id, case.question, tuple(one.get(case.id) for one in cells)) for case in cases]
    return Grid(
        id=grid_id,
        dataset=first.dataset,
        dataset_digest=first.dataset_digest,
        repeat=first.repeat,
        created_by=first.created_by,
        created_at=first.created_at,
        sides=tuple(sides),
        rows=tuple(sorted(rows, key=lambda row: not row.differs)),
    )


def grids(limit: int = 20) -> dict[str, Listed]:
    """The newest grids by their ids, newest first."""
    noted = col(JobRow.arguments)["grid"].as_string()
    query = select(JobRow).where(JobRow.kind == KIND, noted.is_not(None)).order_by(col(JobRow.created_at).desc())
    with session() as open_session:
        found: dict[str, list[JobRow]] = {}
        for job in open_session.exec(query.limit(limit * MOST)):
            found.setdefault(job.arguments["grid"], []).append(job)
    return {identity: _listed(made) for identity, made in list(found.items())[:limit]}


def compare(runs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """How the record of each run differs from the first one's: outcome, agent, tools called, words of the reply."""
    return [_difference(runs[0], one) for one in runs]


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Two texts word by word: without the added words it is `before`, without the removed ones `after`, blanks aside."""
    old, new = re.findall(r"\S+\s*", before), re.findall(r"\S+\s*", after)
    matcher = difflib.SequenceMatcher(None, [w.strip() for w in old], [w.strip() for w in new], autojunk=False)
    found: list[Piece] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            found.append(Piece("same", "".join(new[c:d])))
            continue
        found += [Piece("removed", "".join(old[a:b]))] if b > a else []
        found += [Piece("added", "".join(new[c:d]))] if d > c else []
    return tuple(found)


def _count(variants: Sequence[Variant]) -> None:
    if not 1 <= len(variants) <= MOST:
        raise Invalid(f"A comparison has one to {MOST} variants, not {len(variants)}.")


def _spec(base: Release, variant: Variant) -> dict[str, Any]:
    body = json.loads(json.dumps(base.body["spec"]))
    for name in base.spec.agents:
        if role := variant.models.get(name, variant.model):
            body["agents"][name]["model"] = role
    return body if body == base.body["spec"] else spec.plain(spec.parse(body))


def _prompts(base: Release, variant: Variant) -> dict[str, Any]:
    """The texts of all agents; agents that share a text go on sharing the edited one."""
    agents = base.spec.agents
    edited = {agents[name].prompt: text for name, text in variant.prompts.items()}
    made = dict(base.body["prompts"])
    for name, agent in agents.items():
        text = edited.get(agent.prompt, made[name]["text"])
        if text != made[name]["text"]:
            made[name] = {**made[name], "text": text, "number": 0}
    return made


def _store(
    open_session: Session,
    actor: Actor,
    sides: Sequence[tuple[Variant, Release]],
    cases: datasets.Version,
    repeat: int,
    real: bool,
) -> str:
    identity = f"grid_{uuid.uuid4().hex[:16]}"
    for place, (variant, frozen) in enumerate(sides):
        note = {"grid": identity, "place": place, "variant": variant.plain}
        add(open_session, actor, frozen, cases, repeat=repeat, real=real, note=note)
    return identity


def _kept(grid_id: str) -> list[tuple[Variant, ExperimentTable]]:
    """The variants of a grid with their experiments, in their order. Raises NotFound."""
    noted = col(JobRow.arguments)["grid"].as_string()
    with session() as open_session:
        made = open_session.exec(select(JobRow).where(JobRow.kind == KIND, noted == grid_id)).all()
        found = open_session.exec(
            select(ExperimentTable).where(col(ExperimentTable.job_id).in_([one.id for one in made]))
        ).all()
    if not made:
        raise NotFound(f"There is no grid {grid_id}.", remedy="Choose one from the list on the Playground page.")
    by_job = {one.job_id: one for one in found}
    ordered = sorted(made, key=lambda one: one.arguments["place"])
    return [(Variant.model_validate(one.arguments["variant"]), by_job[one.id]) for one in ordered]


def _frozen(one: ExperimentTable) -> Release:
    return flows.frozen(one.digest, number=int(one.version[1:]) if one.version.startswith("v") else None)


def _runs(experiment_ids: Sequence[str]) -> dict[str, Run]:
    query = select(Run).join(ExperimentRow, col(ExperimentRow.run_id) == col(Run.id))
    with session() as open_session:
        return {
            one.id: one for one in open_session.exec(query.where(col(ExperimentRow.experiment).in_(experiment_ids)))
        }


def _side(title: str, variant: Variant, made: Report, ran: Mapping[str, Run]) -> Side:
    runs = [ran[one.run_id] for one in made.rows]
    prices = [one.usd for one in runs if one.usd is not None]
    return Side(
        title=title,
        variant=variant,
        experiment=made.experiment,
        state=made.state,
        done=made.done,
        total=made.total,
        rate=made.rate,
        usd=sum(prices) if len(prices) == len(runs) else None,
        tokens=sum(one.input_tokens + one.output_tokens for one in runs),
        seconds=statistics.median(one.seconds for one in runs) if runs else None,
        outcomes=dict(Counter(one.outcome for one in runs).most_common()),
    )


def _cells(scored: Sequence[Scored], ran: Mapping[str, Run]) -> dict[str, Cell]:
    by_case: dict[str, list[Scored]] = {}
    for one in sorted(scored, key=lambda one: one.repeat):
        by_case.setdefault(one.case_id, []).append(one)
    return {case_id: _cell(times, [ran[one.run_id] for one in times]) for case_id, times in by_case.items()}


def _cell(times: Sequence[Scored], runs: Sequence[Run]) -> Cell:
    passed = [one.passed for one in times]
    return Cell(
        passed=None if None in passed else all(passed),
        why=next((one.why for one in times if one.passed is False), times[0].why),
        outcomes=tuple(one.outcome for one in times),
        agents=tuple(one.agent for one in runs),
        replies=tuple(one.reply for one in runs),
        run_ids=tuple(one.run_id for one in times),
    )


def _listed(made: Sequence[JobRow]) -> Listed:
    ordered = sorted(made, key=lambda one: one.arguments["place"])
    over = ordered[0].title.rpartition(" over ")[2]
    count = f"{len(ordered)} variants" if len(ordered) > 1 else "1 variant"
    return Listed(f"{count} over {over}", ordered[0].created_at)


def _difference(first: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    words = []
    if other["outcome"] != first["outcome"]:
        words.append(f"ends {other['outcome']} instead of {first['outcome']}")
    if other["agent"] != first["agent"]:
        words.append(f"{other['agent']} has the last word instead of {first['agent']}")
    words += _tool_words(_calls(first), _calls(other))
    found = pieces(first["reply"], other["reply"])
    added, removed = (sum(len(p.text.split()) for p in found if p.kind == kind) for kind in ("added", "removed"))
    if added or removed:
        words.append(f"{_words(added)} added, {removed} removed")
    return Difference(tuple(words), found)


def _calls(record: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    return Counter((c["name"], c["arguments"]) for c in record["calls"] if c["kind"] == "tool")


def _tool_words(first: Counter[tuple[str, str]], other: Counter[tuple[str, str]]) -> list[str]:
    words = []
    counts = [Counter[str](), Counter[str]()]
    for side, calls in zip(counts, (first, other), strict=True):
        for (name, _), times in calls.items():
            side[name] += times
    for name in dict.fromkeys((*counts[0], *counts[1])):
        before, after = counts[0][name], counts[1][name]
        if not before:
            words.append(f"calls {name}")
        elif not after:
            words.append(f"does not call {name}")
        elif before != after:
            words.append(f"calls {name} {after} times instead of {before}")
        elif {k: v for k, v in first.items() if k[0] == name} != {k: v for k, v in other.items() if k[0] == name}:
            words.append(f"calls {name} with other arguments")
    return words


def _words(count: int) -> str:
    return "1 word" if count == 1 else f"{count} words"


def _squeezed(text: str) -> str:
    return " ".join(text.split())
