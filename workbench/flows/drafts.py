"""Drafts: the working copies of flows. Every save counts a version, so that a second editor meets a conflict."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import update
from sqlmodel import Session, col, select

from workbench import knowledge, prompts, settings
from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, NotFound
from workbench.flows.check import Finding, check
from workbench.flows.shelf import put_away
from workbench.runtime import release, spec
from workbench.runtime.release import PromptText, Release
from workbench.runtime.spec import FlowSpec
from workbench.store import changed_elsewhere, insert_missing, now, pack, session, unpack
from workbench.store.tables import Draft as Row
from workbench.store.tables import Frozen


@dataclass(frozen=True)
class Waiting:
    """A prompt text that was saved with a draft and has no number yet. `base` is the number that it was edited from."""

    text: str
    base: int


@dataclass(frozen=True)
class Draft:
    """A flow's working copy. `version` counts its saves; `texts` are the prompt texts that wait for their number."""

    name: str
    spec: FlowSpec
    version: int
    saved_by: str
    saved_at: dt.datetime
    texts: Mapping[str, Waiting] = field(default_factory=dict)
    template: str = ""
    forked_from: str = ""


@dataclass(frozen=True)
class Template:
    """A flow to begin from."""

    name: str
    purpose: str
    agents: int
    spec: FlowSpec


def drafts(*, archived: bool = False) -> list[Draft]:
    """All drafts, by name; with `archived` those too that are put away."""
    with session() as open_session:
        away = set() if archived else put_away(open_session)
        return [as_draft(row) for row in open_session.exec(select(Row).order_by(Row.name)) if row.name not in away]


def draft(name: str) -> Draft:
    """The draft called `name`. Raises NotFound listing the known ones."""
    with session() as open_session:
        return as_draft(stored(open_session, name))


def saves(name: str) -> int:
    """How often the draft called `name` was saved. Raises NotFound listing the known ones."""
    with session() as open_session:
        found = open_session.exec(select(Row.version).where(Row.name == name)).first()
        return found if found is not None else stored(open_session, name).version


def templates(folder: Path | None = None) -> list[Template]:
    """The flows to begin from, simplest first."""
    folder = folder or settings.load().seed / "flows"
    read = [_template(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    return sorted(
        (Template(one.flow, one.purpose, len(one.agents), one) for one in read), key=lambda t: (t.agents, t.name)
    )


def create(
    actor: Actor,
    made: FlowSpec,
    texts: Mapping[str, PromptText] | None = None,
    *,
    template: str = "",
    forked_from: str = "",
) -> Draft:
    """Store a new draft, and new prompts with it, in one transaction. `forked_from` says in words what it began as.

    Raises Refused, and Conflict where a name is taken; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        if open_session.get(Row, made.flow) is not None:
            away = made.flow in put_away(open_session)
            raise Conflict(
                f"There is {'an archived' if away else 'a'} flow called {made.flow} already.",
                remedy=f"Choose another name, or {'bring that one back' if away else 'open that one'}.",
            )
        for name, text in (texts or {}).items():
            prompts.write(open_session, actor, name, text.text, purpose=text.purpose, base=0)
        row = Row(
            name=made.flow, spec=spec.plain(made), saved_by=actor.name, template=template, forked_from=forked_from
        )
        open_session.add(row)
        detail = {"version": 1, "how": f"forked from {forked_from}" if forked_from else "created"}
        audit.append(open_session, actor, "edit a flow", made.flow, detail)
        return as_draft(row)


def begin(actor: Actor, template: str, name: str) -> Draft:
    """A new draft called `name` from a template, with prompts of its own. Raises NotFound, Invalid, Refused or Conflict."""
    found = next((one for one in templates() if one.name == template), None)
    if found is None:
        raise NotFound(f"There is no template {template}.", remedy=f"Known: {', '.join(t.name for t in templates())}.")
    if name == template:
        return create(actor, found.spec, template=template)
    made, texts = _own(found.spec, name, lambda agent: prompts.get(found.spec.agents[agent].prompt))
    return create(actor, made, texts, template=template)


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


def fork(actor: Actor, source: str, name: str) -> Draft:
    """A new draft called `name` from the draft `source` as it is saved, with prompts of its own.

    Raises NotFound, Invalid, Refused or Conflict.
    """
    origin = draft(source)
    resolve = overlay({one: text.text for one, text in origin.texts.items()})
    made, texts = _own(origin.spec, name, lambda agent: resolve(origin.spec.agents[agent].prompt))
    return create(actor, made, texts, forked_from=f"{source}, save {origin.version}")


def fork_release(actor: Actor, origin: Release, name: str) -> Draft:
    """A new draft called `name` from a release, with prompts of its own. Raises Invalid, Refused or Conflict."""
    made, texts = _own(origin.spec, name, lambda agent: origin.content.prompts[agent])
    return create(actor, made, texts, forked_from=f"{origin.name}, {origin.version}")


def save(
    actor: Actor,
    changed: FlowSpec,
    *,
    base: int,
    texts: Mapping[str, str] | None = None,
    bases: Mapping[str, int] | None = None,
    number: bool = True,
) -> Draft:
    """Save a draft that was loaded at version `base`, and the prompt texts edited with it, in one transaction.

    `bases` names the number of each prompt that its text was edited from. With `number` the texts become the next
    numbers of their prompts; without, they stay with the draft and wait. Without `texts`, those that wait go on waiting.
    Raises Refused, NotFound, and Conflict where somebody saved it meanwhile; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        waiting: dict[str, Waiting] | None = None if texts is None else {}
        for name, text in (texts or {}).items():
            if number:
                prompts.write(open_session, actor, name, text, base=(bases or {}).get(name))
            elif waiting is not None:
                waiting[name] = Waiting(text, (bases or {}).get(name, newest(open_session, name)))
        put_row(open_session, actor, changed, base, waiting, how="saved" if number else "saved by itself")
        return as_draft(stored(open_session, changed.flow))


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


def put_new(actor: Actor, text: str, name: str = "") -> Draft:
    """Take in a flow from YAML or JSON as a new draft, under its own name or as `name`.

    Under another name it gets prompts of its own, copied from those that its agents name and that are there. Raises
    Invalid, Refused, and Conflict where the name is taken; then nothing is changed.
    """
    made = spec.read(text)
    if name in ("", made.flow):
        return create(actor, made)
    known = {agent: _known(one.prompt) for agent, one in made.agents.items()}
    renamed, texts = _own(made, name, lambda agent: known[agent])
    return create(actor, renamed, {one: text for one, text in texts.items() if text.text})


def put_over(actor: Actor, text: str, *, base: int) -> Draft:
    """Take in a flow from YAML or JSON as the next save of the draft with its name, which must be at save `base`.

    Raises Invalid, Refused, NotFound, and Conflict where somebody saved it meanwhile; then nothing is changed.
    """
    return save(actor, spec.read(text), base=base)


def rename(made: FlowSpec, kind: Literal["agent", "tool"], old: str, new: str) -> FlowSpec:
    """The flow with an agent or a tool called otherwise, everywhere it is named.

    Raises NotFound where there is none called `old`, Conflict where `new` is taken, Invalid where it is not a name.
    """
    body = spec.plain(made)
    named = body["agents"] if kind == "agent" else body.get("tools", {})
    if old not in named:
        raise NotFound(f"There is no {kind} called {old}.", remedy=f"Known: {', '.join(named) or 'none'}.")
    if new != old and new in named:
        raise Conflict(f"There is {'an agent' if kind == 'agent' else 'a tool'} called {new} already.")

    def other(name: str) -> str:
        return new if name == old else name

    def listed(holder: dict[str, Any], key: str) -> None:
        if isinstance(holder.get(key), list):
            holder[key] = [other(name) for name in holder[key]]

    def single(holder: Any, key: str) -> None:
        if isinstance(holder, dict) and key in holder:
            holder[key] = other(holder[key])

    for agent in body["agents"].values():
        listed(agent, "handoffs" if kind == "agent" else "tools")
        if kind == "agent":
            single(agent.get("fallback"), "agent")
    if kind == "agent":
        single(body, "entry")
        for tool in body.get("tools", {}).values():
            single(tool, "agent")
        for guardrail in body.get("guardrails", []):
            listed(guardrail, "agents")
    body["agents" if kind == "agent" else "tools"] = {other(name): one for name, one in named.items()}
    return spec.parse(body)


def waiting(name: str) -> dict[str, str]:
    """The prompt texts that wait in the draft called `name`; none where there is no such draft."""
    with session() as open_session:
        row = open_session.get(Row, name)
        return {one: text["text"] for one, text in row.texts.items()} if row else {}


def findings(made: FlowSpec, texts: Mapping[str, str] | None = None) -> list[Finding]:
    """The static findings of a flow, with unsaved prompt `texts` by name: by default those that wait in its draft."""
    return check(made, overlay(waiting(made.flow) if texts is None else texts), knowledge.names())


def errors_of(made: FlowSpec, where: str) -> list[str]:
    """What is wrong with one part of a flow, in words; `where` is its place, such as `tools.find_order`."""
    return [
        one.message
        for one in findings(made)
        if one.level == "error" and (one.where == where or one.where.startswith(f"{where}."))
    ]


def freeze(made: FlowSpec, texts: Mapping[str, str] | None = None, *, number: int | None = None) -> Release:
    """Freeze a flow so that it can run, with unsaved prompt `texts`: by default those that wait in its draft.

    Raises Invalid listing the errors where it has any.
    """
    texts = waiting(made.flow) if texts is None else texts
    errors = [one for one in findings(made, texts) if one.level == "error"]
    if errors:
        listed = "\n".join(f"{one.where}: {one.message}" for one in errors)
        raise Invalid(f"{made.flow} cannot run yet:\n{listed}")
    return release.freeze(made, overlay(texts), knowledge.collection, number=number)


def sketch(made: FlowSpec, prompt: Callable[[str], PromptText]) -> Release:
    """A flow as a release to compare and not to run: it may have errors. What cannot be found is left out."""
    found: dict[str, Any] = {}
    for name, agent in made.agents.items():
        with contextlib.suppress(NotFound):
            found[name] = prompt(agent.prompt).model_dump(mode="json")
    return release.of({"spec": spec.plain(made), "prompts": found, "tools": {}})


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
    asked = select(Frozen.digest).where(Frozen.digest == frozen.digest)
    if open_session.connection().execute(asked).first() is None:
        insert_missing(open_session, Frozen, {"digest": frozen.digest, "content": pack(frozen.body)})


def frozen(digest: str, *, number: int | None = None) -> Release:
    """The frozen flow with this digest. Raises NotFound, and Invalid where the stored content does not fit it."""
    with session() as open_session:
        row = open_session.get(Frozen, digest)
        if not digest:
            raise NotFound(
                "This run was made by another program, and its flow is not here.",
                remedy="It can be read, flagged and made a case, but not run again.",
            )
        if row is None:
            raise NotFound(f"No flow with the digest {digest[:19]}… is stored.")
        found = release.of(unpack(row.content), number=number)
    if found.digest != digest:
        raise Invalid(f"The stored flow {digest[:19]}… was changed; it is not used.")
    return found


def stored(open_session: Session, name: str) -> Row:
    """The row of the draft called `name`, inside a transaction. Raises NotFound listing the known ones."""
    row = open_session.get(Row, name, populate_existing=True)
    if row is None:
        known = ", ".join(open_session.exec(select(Row.name).order_by(Row.name))) or "none yet"
        raise NotFound(f"There is no flow called {name}.", remedy=f"Known: {known}.")
    return row


def newest(open_session: Session, name: str) -> int:
    """The newest number of the prompt called `name`; 0 where it has none."""
    try:
        return prompts.read(open_session, name).number
    except NotFound:
        return 0


def put_row(
    open_session: Session,
    actor: Actor,
    changed: FlowSpec,
    base: int,
    texts: Mapping[str, Waiting] | None,
    *,
    how: str,
) -> None:
    """Write the next save of a draft inside a transaction. Raises NotFound, and Conflict where it is not at `base`."""
    values: dict[str, Any] = {"spec": spec.plain(changed), "version": base + 1, "saved_by": actor.name}
    if texts is not None:
        values["texts"] = {name: asdict(one) for name, one in texts.items()}
    done = open_session.execute(
        update(Row)
        .where(col(Row.name) == changed.flow, col(Row.version) == base)
        .values(**values, saved_at=now())
        .execution_options(synchronize_session=False)
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        stored(open_session, changed.flow)
        raise changed_elsewhere(f"The flow {changed.flow}")
    audit.append(open_session, actor, "edit a flow", changed.flow, {"version": base + 1, "how": how})


def as_draft(row: Row) -> Draft:
    """A stored row as a draft."""
    texts = {name: Waiting(**one) for name, one in row.texts.items()}
    return Draft(
        row.name, spec.parse(row.spec), row.version, row.saved_by, row.saved_at, texts, row.template, row.forked_from
    )


def _known(reference: str) -> PromptText:
    try:
        return prompts.get(reference)
    except NotFound:
        return PromptText(name=reference.partition("@")[0], number=0, text="")


@functools.lru_cache(maxsize=200)
def _template(text: str) -> FlowSpec:
    return spec.read(text)


def _own(made: FlowSpec, name: str, text_of: Callable[[str], PromptText]) -> tuple[FlowSpec, dict[str, PromptText]]:
    """The flow under another name, with copies of its prompts under that name. Agents that share a text go on sharing it."""
    body, copies, targets = spec.plain(made), dict[str, PromptText](), dict[tuple[str, str], str]()
    for agent, one in body["agents"].items():
        text = text_of(agent)
        if (text.name, text.text) not in targets:
            tail = text.name.partition("/")[2] or agent.lower()
            free = (f"{name}/{tail}{f'-{place}' if place > 1 else ''}" for place in itertools.count(1))
            target = next(candidate for candidate in free if candidate not in copies)
            targets[text.name, text.text] = target
            copies[target] = text
        one["prompt"] = targets[text.name, text.text]
    return spec.parse({**body, "flow": name}), copies
