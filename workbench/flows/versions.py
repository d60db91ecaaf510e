"""Named versions of a draft, and what two people changed in it: told apart change by change, and put together again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from workbench import prompts
from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.flows.drafts import Draft, Waiting, as_draft, newest, overlay, put_row, sketch, stored
from workbench.runtime import spec
from workbench.runtime.release import Release
from workbench.runtime.release import of as release_of
from workbench.runtime.spec import FlowSpec
from workbench.store import changed_elsewhere, session
from workbench.store.tables import DraftVersion

LONGEST = 120
SECTIONS = ("knowledge", "limits", "variables", "approvals", "charter")


@dataclass(frozen=True)
class Version:
    """A draft as it was when somebody gave it a name. `prompts` holds the number of each prompt text."""

    flow: str
    number: int
    title: str
    note: str
    spec: FlowSpec
    prompts: Mapping[str, int]
    saved_by: str
    saved_at: dt.datetime


@dataclass(frozen=True)
class Copy:
    """A flow as plain data with the texts of its prompts, by prompt name."""

    body: Mapping[str, Any]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Edit:
    """One change: where, and what it becomes; None where it goes away."""

    path: tuple[str, ...]
    value: Any


def versions(flow: str) -> list[Version]:
    """The named versions of a draft, newest first."""
    query = select(DraftVersion).where(DraftVersion.flow == flow).order_by(col(DraftVersion.number).desc())
    with session() as open_session:
        return [_version(row) for row in open_session.exec(query)]


def version(flow: str, number: int) -> Version:
    """One named version. Raises NotFound."""
    with session() as open_session:
        return _version(_stored(open_session, flow, number))


def add(actor: Actor, flow: str, title: str, note: str = "", *, base: int) -> Version:
    """Name the draft as it is saved, so that it can be compared with and restored. Texts that wait get their numbers.

    A text that can get none, because it is unfinished, goes on waiting, and stands in the note.
    Raises Refused, NotFound, Invalid for an empty or overlong title, and Conflict where the draft is not at save
    `base` or a prompt was changed meanwhile; then nothing is changed.
    """
    require(actor, "edit a flow")
    title = title.strip()
    if not title or len(title) > LONGEST:
        raise Invalid(
            f"A version needs a title of at most {LONGEST} characters.", remedy="Say what is special about it."
        )
    with session() as open_session:
        audit.lock(open_session)
        row = stored(open_session, flow)
        if row.version != base:
            raise changed_elsewhere(f"The flow {flow}")
        now_saved, left = as_draft(row), dict[str, Waiting]()
        if now_saved.texts:
            left = _number(open_session, actor, now_saved.texts)
            put_row(open_session, actor, now_saved.spec, base, left, how=f"named {title}")
        return _keep(open_session, actor, now_saved, title, note.strip() + _unfinished(left))


def restore(actor: Actor, flow: str, number: int, *, base: int) -> Draft:
    """Make a named version the draft's next save. What the draft was before is kept as a version of its own.

    No text hinders it: one that can get no number, because it is unfinished, waits in the draft or stands in the note.
    Raises Refused, NotFound, and Conflict where the draft is not at save `base`; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        old = _version(_stored(open_session, flow, number))
        row = stored(open_session, flow)
        if row.version != base:
            raise changed_elsewhere(f"The flow {flow}")
        _rescue(open_session, actor, as_draft(row), f"Save {base}, before version {number} was restored")
        texts = {name: prompts.read(open_session, f"{name}@{wanted}").text for name, wanted in old.prompts.items()}
        waiting = {name: Waiting(text, newest(open_session, name)) for name, text in texts.items()}
        left = _number(open_session, actor, waiting)
        put_row(open_session, actor, old.spec, base, left, how=f"version {number} restored")
        return as_draft(stored(open_session, flow))


def override(actor: Actor, mine: FlowSpec, texts: Mapping[str, str], *, theirs: int, number: bool = False) -> Draft:
    """Make `mine` the next save after save `theirs` of somebody else, which is kept as a version, so that nothing is lost.

    Raises Refused, NotFound, and Conflict where there is a newer save than `theirs`; then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        row = stored(open_session, mine.flow)
        if row.version != theirs:
            raise changed_elsewhere(f"The flow {mine.flow}")
        title = f"Save {theirs} of {row.saved_by}, before {actor.name} saved over it"
        _rescue(open_session, actor, as_draft(row), title)
        waiting = {name: Waiting(text, newest(open_session, name)) for name, text in texts.items()}
        if number:
            waiting = _number(open_session, actor, waiting)
        put_row(open_session, actor, mine, theirs, waiting, how=f"saved over save {theirs}")
        return as_draft(stored(open_session, mine.flow))


def content(old: Version) -> Release:
    """A named version as a release to compare, with the texts that its prompts had."""
    return sketch(old.spec, lambda reference: prompts.get(_at(reference, old.prompts)))


def release(copy: Copy) -> Release:
    """A copy as a release to compare. It may have errors. Raises Invalid where it is no flow at all."""
    return sketch(spec.parse(copy.body), overlay(copy.texts))


def bare(frozen: Release) -> Release:
    """A release with nothing but its specification and its prompt texts, to compare with a draft."""
    return release_of({"spec": spec.plain(frozen.spec), "prompts": frozen.body["prompts"], "tools": {}})


def alike(one: Release, other: Release) -> bool:
    """Whether two flows have the same specification and the same texts, whatever the numbers of these."""
    texts = [{name: text.text for name, text in end.content.prompts.items()} for end in (one, other)]
    return json.dumps(spec.plain(one.spec)) == json.dumps(spec.plain(other.spec)) and texts[0] == texts[1]


def copy_of(draft: Draft) -> Copy:
    """A draft with the texts of its prompts: those that wait, and else the newest ones."""
    texts = {name: one.text for name, one in draft.texts.items()}
    return Copy(spec.plain(draft.spec), {**saved_texts(draft.spec), **texts})


def saved_texts(made: FlowSpec) -> dict[str, str]:
    """The newest saved text of every prompt that a flow follows; a prompt without one is left out."""
    found: dict[str, str] = {}
    with session() as open_session:
        for name in followed(spec.plain(made)):
            if newest(open_session, name):
                found[name] = prompts.read(open_session, name).text
    return found


def followed(body: Mapping[str, Any]) -> list[str]:
    """The names of the prompts whose newest text a flow follows."""
    return list(dict.fromkeys(a["prompt"] for a in body["agents"].values() if "@" not in a["prompt"]))


def edits(before: Copy, after: Copy) -> list[Edit]:
    """Every change from one copy to the other, as small as it makes sense to take or leave it."""
    old, new = dict(_parts(before)), dict(_parts(after))
    old_names, new_names = _named(before.body), _named(after.body)
    whole = {path[:2] for path in (*old, *new) if path[0] in ("agents", "tools")}
    one_sided = {path for path in whole if path not in old_names or path not in new_names}
    found = [Edit(path, None) for path in old_names if path not in new_names]
    found += [Edit(path, after.body[path[0]][path[1]]) for path in new_names if path not in old_names]
    for path in dict.fromkeys((*old, *new)):
        if path[:2] not in one_sided and old.get(path) != new.get(path):
            found.append(Edit(path, new.get(path)))
    return found


def clash(one: Edit, other: Edit) -> bool:
    """Whether two changes touch the same thing and do not agree."""
    short, long = sorted((one.path, other.path), key=len)
    return long[: len(short)] == short and one != other


def merged(base: Copy, changes: Iterable[Edit]) -> Copy:
    """The copy with the changes applied, in order. Its body is not checked, nor brought into its stored form."""
    body, texts = json.loads(json.dumps(base.body)), dict(base.texts)
    for change in changes:
        _apply(body, texts, change)
        section = change.path[0]
        if section in SECTIONS and len(change.path) > 1 and not body.get(section):
            body.pop(section, None)
    return Copy(body, texts)


def _named(body: Mapping[str, Any]) -> dict[tuple[str, ...], None]:
    return {(kind, name): None for kind in ("agents", "tools") for name in body.get(kind, {})}


def _parts(copy: Copy) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A copy taken apart: the path of everything that can change alone, and its value."""
    for key, value in copy.body.items():
        if key in ("agents", "tools"):
            for name, one in value.items():
                for field, inner in one.items():
                    if field in ("tools", "handoffs") and key == "agents":
                        yield from (((key, name, field, item), True) for item in inner)
                    else:
                        yield (key, name, field), inner
        elif key == "guardrails":
            yield from (((key, one["name"]), one) for one in value)
        elif key in SECTIONS and value:
            yield from (((key, field), inner) for field, inner in value.items())
        elif key not in ("format", "flow"):
            yield (key,), value
    yield from ((("texts", name), text) for name, text in copy.texts.items())


def _apply(body: dict[str, Any], texts: dict[str, str], change: Edit) -> None:
    match change.path:
        case ("texts", name):
            if change.value is None:
                texts.pop(name, None)
            else:
                texts[name] = change.value
        case ("guardrails", name):
            listed = body.setdefault("guardrails", [])
            place = next((i for i, one in enumerate(listed) if one and one["name"] == name), len(listed))
            listed[place : place + 1] = [] if change.value is None else [change.value]
        case ("agents", agent, ("tools" | "handoffs") as field, item):
            holder = body["agents"].get(agent)
            if holder is not None:
                rest = [one for one in holder.get(field, []) if one != item]
                holder[field] = [*rest, item] if change.value else rest
        case (*place, last):
            holder = body
            for key in place:
                holder = holder.setdefault(key, {})
            if change.value is None:
                holder.pop(last, None)
            else:
                holder[last] = change.value


def _number(open_session: Session, actor: Actor, texts: Mapping[str, Waiting]) -> dict[str, Waiting]:
    """Give each text its number. Returns those that can get none, because they are unfinished. Raises Conflict."""
    left = {}
    for name, one in texts.items():
        try:
            prompts.write(open_session, actor, name, one.text, base=one.base)
        except Invalid:
            left[name] = one
    return left


def _unfinished(texts: Mapping[str, Waiting]) -> str:
    return "".join(f"\n\nThe unfinished text of {name}:\n{one.text}" for name, one in texts.items())


def _keep(open_session: Session, actor: Actor, draft: Draft, title: str, note: str) -> Version:
    """Store a draft, whose texts all have numbers, as the next version."""
    top = open_session.exec(select(func.max(DraftVersion.number)).where(DraftVersion.flow == draft.name)).one() or 0
    row = DraftVersion(
        flow=draft.name,
        number=top + 1,
        title=title,
        note=note,
        spec=spec.plain(draft.spec),
        prompts=_numbers(open_session, draft),
        saved_by=actor.name,
    )
    open_session.add(row)
    open_session.flush()
    audit.append(open_session, actor, "edit a flow", draft.name, {"version": draft.version, "how": f"named {title}"})
    return _version(row)


def _rescue(open_session: Session, actor: Actor, draft: Draft, title: str) -> None:
    """Store what is about to be replaced, unless the last version holds exactly that already.

    A text that waits and cannot get a number, because it is unfinished, goes into the note.
    """
    current = {name: Waiting(one.text, newest(open_session, name)) for name, one in draft.texts.items()}
    left = _number(open_session, actor, current)
    note = "Kept so that nothing is lost." + _unfinished(left)
    query = select(DraftVersion).where(DraftVersion.flow == draft.name).order_by(col(DraftVersion.number).desc())
    last = open_session.exec(query.limit(1)).first()
    known = last is not None and json.dumps(last.spec) == json.dumps(spec.plain(draft.spec))
    if last is None or not known or left or last.prompts != _numbers(open_session, draft):
        _keep(open_session, actor, draft, title, note)


def _numbers(open_session: Session, draft: Draft) -> dict[str, int]:
    """The newest number of every prompt that a draft follows."""
    found = {name: newest(open_session, name) for name in followed(spec.plain(draft.spec))}
    return {name: number for name, number in found.items() if number}


def _stored(open_session: Session, flow: str, number: int) -> DraftVersion:
    row = open_session.get(DraftVersion, (flow, number))
    if row is None:
        raise NotFound(f"{flow} has no version {number}.", remedy="Look at the list of its versions.")
    return row


def _at(reference: str, numbers: Mapping[str, int]) -> str:
    return f"{reference}@{numbers[reference]}" if reference in numbers else reference


def _version(row: DraftVersion) -> Version:
    return Version(
        row.flow, row.number, row.title, row.note, spec.parse(row.spec), dict(row.prompts), row.saved_by, row.saved_at
    )
