"""Where a prompt is used: by which agent of which draft, named version or release; and what its flows give it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, select

from workbench import prompts
from workbench.flows.drafts import Draft, drafts
from workbench.prompts import Remark, Version
from workbench.runtime.spec import FlowSpec
from workbench.store import session
from workbench.store.tables import DraftVersion, Environment, Prompt, ReleaseRow


@dataclass(frozen=True)
class Use:
    """One agent that reads a prompt: `number` is the version that it reads, `place` the named version or release."""

    prompt: str
    number: int
    flow: str
    agent: str
    where: Literal["draft", "version", "release"]
    place: int = 0
    environments: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def words(self) -> str:
        """`draft`, `draft version 2` or `release v3, in production`."""
        if self.where == "release":
            return f"release v{self.place}" + (f", in {', '.join(self.environments)}" if self.environments else "")
        return "draft" if self.where == "draft" else f"draft version {self.place}"


@dataclass(frozen=True)
class Setting:
    """What the drafts that use a prompt give it: values of variables, and the tools that all its agents have.

    `tools` is None where no draft uses it.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    tools: frozenset[str] | None = None


def uses(name: str) -> list[Use]:
    """Every use of the prompt `name`, drafts first and then the newest; empty where nothing uses it."""
    return used().get(name, [])


def used() -> dict[str, list[Use]]:
    """Every use of every prompt, by the prompt's name; a prompt that nothing uses is not in it."""
    with session() as open_session:
        query = select(Prompt.name, func.max(Prompt.number)).group_by(col(Prompt.name))
        newest = dict(open_session.exec(query).all())
        found = [*_in_drafts(newest), *_in_versions(open_session, newest), *_in_releases(open_session)]
    by_name: dict[str, list[Use]] = {}
    for one in found:
        by_name.setdefault(one.prompt, []).append(one)
    return by_name


def setting(name: str) -> Setting:
    """What the drafts that use the prompt `name` give it; where two give a variable, the first by name."""
    values: dict[str, str] = {}
    tools: frozenset[str] | None = None
    for draft in drafts():
        for agent, one in draft.spec.agents.items():
            if _name(one.prompt) == name:
                values = {**draft.spec.variables, **values}
                has = _tools(draft, agent)
                tools = has if tools is None else tools & has
    return Setting(values, tools)


def remarks(version: Version) -> list[Remark]:
    """The lint's remarks about a version, with the variables and tools that its drafts give it."""
    given = setting(version.name)
    names = None if given.tools is None else given.values.keys()
    return prompts.lint(version.text, version.variables, tools=given.tools, given=names)


def _in_drafts(newest: Mapping[str, int]) -> Iterator[Use]:
    for draft in drafts(archived=True):
        for agent, one in draft.spec.agents.items():
            name, _, fixed = one.prompt.partition("@")
            if name in newest:
                yield Use(name, int(fixed or newest[name]), draft.name, agent, "draft", fixed=bool(fixed))


def _in_versions(open_session: Session, newest: Mapping[str, int]) -> Iterator[Use]:
    query = select(DraftVersion).order_by(DraftVersion.flow, col(DraftVersion.number).desc())
    for row in open_session.exec(query):
        for agent, one in row.spec.get("agents", {}).items():
            name, _, fixed = str(one.get("prompt", "")).partition("@")
            if name in newest and (number := int(fixed or row.prompts.get(name, 0))):
                yield Use(name, number, row.flow, agent, "version", row.number, fixed=bool(fixed))


def _in_releases(open_session: Session) -> Iterator[Use]:
    pointers: dict[tuple[str, int], list[str]] = {}
    for one in open_session.exec(select(Environment).order_by(Environment.name)):
        pointers.setdefault((one.flow, one.number), []).append(one.name)
    query = select(ReleaseRow.flow, ReleaseRow.number, ReleaseRow.digest)
    for flow, number, digest in open_session.exec(query.order_by(ReleaseRow.flow, col(ReleaseRow.number).desc())):
        for agent, name, version in _released(digest):
            there = tuple(pointers.get((flow, number), ()))
            yield Use(name, version, flow, agent, "release", number, there, fixed=True)


@functools.lru_cache(1024)
def _released(digest: str) -> tuple[tuple[str, str, int], ...]:
    """Agent, prompt and number of each text of a release; what stands under a digest never changes."""
    with session() as open_session:
        body = open_session.exec(select(ReleaseRow.body).where(ReleaseRow.digest == digest)).first()
    texts = json.loads(body)["content"]["prompts"] if body else {}
    return tuple((agent, one["name"], one["number"]) for agent, one in texts.items())


def _tools(draft: Draft, agent: str) -> frozenset[str]:
    """The names of all tools that an agent is offered, those of the engine too."""
    spec: FlowSpec = draft.spec
    one = spec.agents[agent]
    handoffs = (f"transfer_to_{other}" for other in one.handoffs)
    return frozenset((*one.tools, *spec.control, *(("search_knowledge",) if spec.knowledge else ()), *handoffs))


def _name(reference: str) -> str:
    return reference.partition("@")[0]
