"""Drafts: the working copies of flows. Every save counts a version, so that a second editor meets a conflict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from workbench import knowledge, prompts, settings
from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, NotFound
from workbench.flows.check import Finding, check
from workbench.runtime import release, spec
from workbench.runtime.release import PromptText, Release
from workbench.runtime.spec import FlowSpec
from workbench.store import changed_elsewhere, insert_missing, now, pack, session, unpack
from workbench.store.tables import Draft as Row
from workbench.store.tables import Frozen


@dataclass(frozen=True)
class Draft:
    """A flow's working copy. `version` counts its saves."""

    name: str
    spec: FlowSpec
    version: int
    saved_by: str
    saved_at: dt.datetime


@dataclass(frozen=True)
class Template:
    """A flow to begin from."""

    name: str
    purpose: str
    agents: int
    spec: FlowSpec


def drafts() -> list[Draft]:
    """All drafts, by name."""
    with session() as open_session:
        return [_draft(row) for row in open_session.exec(select(Row).order_by(Row.name))]


def draft(name: str) -> Draft:
    """The draft called `name`. Raises NotFound listing the known ones."""
    with session() as open_session:
        row = open_session.get(Row, name)
        if row is None:
            known = ", ".join(open_session.exec(select(Row.name).order_by(Row.name))) or "none yet"
            raise NotFound(f"There is no flow called {name}.", remedy=f"Known: {known}.")
        return _draft(row)


def templates(folder: Path | None = None) -> list[Template]:
    """The flows to begin from, simplest first."""
    folder = folder or settings.load().seed / "flows"
    read = [spec.read(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    return sorted(
        (Template(one.flow, one.purpose, len(one.agents), one) for one in read), key=lambda t: (t.agents, t.name)
    )


def create(actor: Actor, made: FlowSpec, texts: Mapping[str, PromptText] | None = None) -> Draft:
    """Store a new draft, and new prompts with it, in one transaction.

    Raises Refused, and Conflict where a name is taken; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        if open_session.get(Row, made.flow) is not None:
            raise Conflict(
                f"There is a flow called {made.flow} already.", remedy="Choose another name, or open that one."
            )
        for name, text in (texts or {}).items():
            prompts.write(open_session, actor, name, text.text, purpose=text.purpose, base=0)
        row = Row(name=made.flow, spec=spec.plain(made), saved_by=actor.name)
        open_session.add(row)
        audit.append(open_session, actor, "edit a flow", made.flow, {"version": 1, "how": "created"})
        return _draft(row)


def begin(actor: Actor, template: str, name: str) -> Draft:
    """A new draft called `name` from a template, with prompts of its own. Raises NotFound, Invalid, Refused or Conflict."""
    found = next((one for one in templates() if one.name == template), None)
    if found is None:
        raise NotFound(f"There is no template {template}.", remedy=f"Known: {', '.join(t.name for t in templates())}.")
    body = spec.plain(found.spec)
    if name == template:
        return create(actor, found.spec)
    texts = {f"{name}/{agent.lower()}": prompts.get(found.spec.agents[agent].prompt) for agent in body["agents"]}
    agents = {agent: {**one, "prompt": f"{name}/{agent.lower()}"} for agent, one in body["agents"].items()}
    return create(actor, spec.parse({**body, "flow": name, "agents": agents}), texts)


def blank(actor: Actor, name: str) -> Draft:
    """A new draft with one agent and its prompt. Raises Refused, Invalid or Conflict."""
    made = spec.parse(
        {"format": 1, "flow": name, "entry": "assistant", "agents": {"assistant": {"prompt": f"{name}/assistant"}}}
    )
    text = PromptText(
        name=f"{name}/assistant",
        number=0,
        text="You answer customers briefly and politely.",
        purpose="Answers customers.",
    )
    return create(actor, made, {text.name: text})


def save(
    actor: Actor,
    changed: FlowSpec,
    *,
    base: int,
    texts: Mapping[str, str] | None = None,
    bases: Mapping[str, int] | None = None,
) -> Draft:
    """Save a draft that was loaded at version `base`, and the prompt texts edited with it, in one transaction.

    `bases` names the number of each prompt that its text was edited from.
    Raises Refused, NotFound, and Conflict where somebody saved it meanwhile; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        for name, text in (texts or {}).items():
            prompts.write(open_session, actor, name, text, base=(bases or {}).get(name))
        _put(open_session, actor, changed, base)
        row = open_session.get(Row, changed.flow, populate_existing=True)
        assert row is not None  # noqa: S101  (updated above in the same transaction)
        return _draft(row)


def put(actor: Actor, text: str) -> tuple[Draft, bool]:
    """Take in a flow from YAML or JSON: a new draft, or the next version of the one with its name.

    Returns the draft and whether it is new. Raises Invalid or Refused, and changes nothing then.
    """
    made = spec.read(text)
    try:
        known = draft(made.flow)
    except NotFound:
        return create(actor, made), True
    return save(actor, made, base=known.version), False


def findings(made: FlowSpec, texts: Mapping[str, str] | None = None) -> list[Finding]:
    """The static findings of a flow, with unsaved prompt `texts` by name taken into account."""
    return check(made, overlay(texts or {}), knowledge.names())


def freeze(made: FlowSpec, texts: Mapping[str, str] | None = None, *, number: int | None = None) -> Release:
    """Freeze a flow so that it can run. Raises Invalid listing the errors where it has any."""
    errors = [one for one in findings(made, texts) if one.level == "error"]
    if errors:
        listed = "\n".join(f"{one.where}: {one.message}" for one in errors)
        raise Invalid(f"{made.flow} cannot run yet:\n{listed}")
    return release.freeze(made, overlay(texts or {}), knowledge.collection, number=number)


def overlay(texts: Mapping[str, str]) -> Callable[[str], PromptText]:
    """Resolves prompt references, an unsaved text first; the reference must then carry no number."""
    known: dict[str, PromptText] = {}

    def resolve(reference: str) -> PromptText:
        if reference not in known:
            try:
                saved = prompts.get(reference)
            except NotFound:
                if reference not in texts:
                    raise
                saved = PromptText(name=reference, number=0, text="")
            text = texts.get(reference, saved.text)
            known[reference] = saved if text == saved.text else saved.model_copy(update={"text": text, "number": 0})
        return known[reference]

    return resolve


def keep(open_session: Session, frozen: Release) -> None:
    """Store a frozen flow under its digest, inside a transaction; the same content is stored once."""
    if open_session.get(Frozen, frozen.digest) is None:
        insert_missing(open_session, Frozen, {"digest": frozen.digest, "content": pack(frozen.body)})


def frozen(digest: str, *, number: int | None = None) -> Release:
    """The frozen flow with this digest. Raises NotFound, and Invalid where the stored content does not fit it."""
    with session() as open_session:
        row = open_session.get(Frozen, digest)
        if row is None:
            raise NotFound(f"No flow with the digest {digest[:19]}… is stored.")
        found = release.of(unpack(row.content), number=number)
    if found.digest != digest:
        raise Invalid(f"The stored flow {digest[:19]}… was changed; it is not used.")
    return found


def _put(open_session: Session, actor: Actor, changed: FlowSpec, base: int) -> None:
    done = open_session.execute(
        update(Row)
        .where(col(Row.name) == changed.flow, col(Row.version) == base)
        .values(spec=spec.plain(changed), version=base + 1, saved_by=actor.name, saved_at=now())
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        if open_session.get(Row, changed.flow) is None:
            raise NotFound(f"There is no flow called {changed.flow}.", remedy="Create it first.")
        raise changed_elsewhere(f"The flow {changed.flow}")
    audit.append(open_session, actor, "edit a flow", changed.flow, {"version": base + 1})


def _draft(row: Row) -> Draft:
    return Draft(row.name, spec.parse(row.spec), row.version, row.saved_by, row.saved_at)
