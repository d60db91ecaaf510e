"""The topics found in tickets' words, as people own them: named, merged, split, moved, removed, each change undone at will.

A topic's number never changes and is what tickets carry; names and places in the tree are looked up when tickets are
read, so that a change shows at once everywhere and rewrites no ticket.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from workbench import access, settings, store
from workbench.errors import Conflict, Invalid, NotFound
from workbench.store.tables import TextModel, TopicChange, TopicRow
from workbench.tickets import manifest, publish
from workbench.tickets.columns import FOUND, NONE
from workbench.tickets.manifest import Names

LONGEST = 80
"""Characters of a topic's name."""
EDITED = ("name", "parent", "into", "state", "named_by")
KIND = "topics"
TICKET = "ticket"
"""Under which key a change of one ticket's topic is kept; changes of topics are kept under their numbers."""
RESERVED = frozenset({NONE, "no topic"})
"""What tickets without a topic are called."""


@dataclass(frozen=True)
class Topic:
    """A topic: its name, the topic above it or into which it was merged, its telling terms, examples (ticket ids).

    `state` is live, proposed, removed or retired; `tickets` counts those that it was found in; `named_by` is empty where
    only the machine named it. `growth` (times) is told of proposals.
    """

    number: int
    name: str
    parent: int | None
    into: int | None
    state: str
    named_by: str
    language: str
    terms: tuple[str, ...]
    examples: tuple[str, ...]
    tickets: int
    growth: float | None

    @property
    def seen(self) -> bool:
        """Whether its name stands on tickets: it is live, and not merged into another."""
        return self.state == "live" and self.into is None


@dataclass(frozen=True)
class Change:
    """A change by a person, in words."""

    id: int
    what: str
    by: str
    at: dt.datetime
    undone: bool


def every() -> list[Topic]:
    """All topics that were ever found, by number."""
    with store.session() as session:
        return [_topic(row) for row in session.exec(select(TopicRow).order_by(col(TopicRow.number)))]


def tree() -> list[Topic]:
    """The live topics that are not merged into another, those at the top first."""
    live = [one for one in every() if one.state == "live" and one.into is None]
    return sorted(live, key=lambda one: (one.parent is not None, one.name.casefold(), one.number))


def titles() -> dict[int, str]:
    """What each topic in use is called with the one above it, by its number, in the order of the alphabet."""
    live = tree()
    names = {one.number: one.name for one in live}
    full = {one.number: f"{names[one.parent]} › {one.name}" if one.parent in names else one.name for one in live}
    return dict(sorted(full.items(), key=lambda one: one[1].casefold()))


def proposals() -> list[Topic]:
    """Topics that were found since and wait for a person."""
    return [one for one in every() if one.state == "proposed"]


def topic(number: int) -> Topic:
    """The topic with this number. Raises NotFound."""
    return _one({one.number: one for one in every()}, number)


def named(name: str) -> Topic:
    """The live topic that is called so, whatever the case, or has this number. Raises NotFound, or Invalid for several."""
    known = [one for one in tree() if one.name.casefold() == name.casefold() or str(one.number) == name]
    if not known:
        raise NotFound(f"There is no topic {name}.", remedy="List them with `tickets topics list`.")
    if len(known) > 1:
        numbers = ", ".join(str(one.number) for one in known)
        raise Invalid(f"Several topics are called {name}.", remedy=f"Name one by its number: {numbers}.")
    return known[0]


def members(number: int) -> list[int]:
    """The numbers that tickets of a topic carry: its own, those merged into it, and those below it."""
    known = {one.number: one for one in every()}
    return [one for one in known if number in _line(known, one)]


def followed(where: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Conditions in which topics that were renamed, merged or moved since are called as tickets show them now."""
    made = {name: tuple(values) for name, values in where.items()}
    for place in FOUND:
        if place in made and (there := _there(place, made[place])) is not None:
            del made[place]
            made[there[0]] = tuple(dict.fromkeys(there[1]))
    return made


def _there(place: str, values: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """Where topics that were called `values` stand now, and how they are called; None where they are not together."""
    names = manifest.read().topics
    if set(values) <= {one[FOUND.index(place)] for one in names} | {NONE}:
        return place, tuple(values)
    called = {one.name: one.number for one in every()}
    with store.session() as session:
        changed = session.exec(select(TopicChange).order_by(col(TopicChange.id))).all()
    once = {fields["name"]: int(n) for row in changed for n, fields in row.before.items() if "name" in fields}
    numbers = [called.get(value, once.get(value, 0)) for value in values]
    shown_as = [names[number - 1] if 0 < number <= len(names) else (None, None) for number in numbers]
    places = {FOUND[finer is not None] for _, finer in shown_as}
    if len(places) != 1 or None in {topic for topic, _ in shown_as}:
        return None
    return places.pop(), tuple(str(finer or topic) for topic, finer in shown_as)


def history(limit: int = 20) -> list[Change]:
    """The newest changes by people, newest first."""
    with store.session() as session:
        rows = session.exec(select(TopicChange).order_by(col(TopicChange.id).desc()).limit(limit))
        return [told(row) for row in rows]


def told(row: TopicChange) -> Change:
    """A change as it is kept, in words."""
    return Change(row.id or 0, row.what, row.by, row.at, row.undone)


def rename(actor: access.Actor, number: int, name: str) -> None:
    """Call a topic something else. Raises Refused, NotFound, Invalid for a name that is empty, long or taken."""
    access.require(actor, "edit topics")
    clean = _clean(name)

    def edit(known: Mapping[int, Topic]) -> tuple[str, Edits]:
        old = _one(known, number)
        if clean.casefold() in RESERVED:
            raise Invalid(f"Tickets without a topic are called {clean}.", remedy="Choose another name.")
        return f"renamed “{old.name}” to “{clean}”", {number: {"name": clean, "named_by": actor.name}}

    _change(actor, edit)


def merge(actor: access.Actor, number: int, into: int) -> None:
    """Make a topic, with what stands below it, part of another. Raises Refused, NotFound, or Invalid for itself."""
    access.require(actor, "edit topics")

    def edit(known: Mapping[int, Topic]) -> tuple[str, Edits]:
        one, other = _one(known, number), _one(known, into)
        if number in _line(known, into):
            raise Invalid("A topic cannot be merged into itself or into one below it.", remedy="Choose another topic.")
        if other.state != "live" or other.into is not None:
            raise Invalid(f"“{other.name}” is no live topic.", remedy="Choose another topic.")
        edits: Edits = {number: {"into": into, "parent": None, "state": "live"}}
        edits |= {below.number: {"into": into, "parent": None} for below in known.values() if below.parent == number}
        return f"merged “{one.name}” into “{other.name}”", edits

    _change(actor, edit)


def move(actor: access.Actor, number: int, parent: int | None) -> None:
    """Put a topic under another, or at the top. There are two levels, topic and subtopic. Raises Refused or Invalid."""
    access.require(actor, "edit topics")

    def edit(known: Mapping[int, Topic]) -> tuple[str, Edits]:
        one = _one(known, number)
        if parent is None:
            return f"moved “{one.name}” to the top", {number: {"parent": None}}
        above = _one(known, parent)
        if parent == number or above.parent is not None or above.state != "live" or above.into is not None:
            raise Invalid(f"“{above.name}” cannot stand above it.", remedy="Choose a topic at the top.")
        below = [other for other in known.values() if other.parent == number]
        if any(other.state == "live" for other in below):
            raise Invalid(f"“{one.name}” has topics below it.", remedy="Move those first; there are two levels.")
        gone: Edits = {other.number: {"parent": None} for other in below}
        return f"moved “{one.name}” under “{above.name}”", {**gone, number: {"parent": parent}}

    _change(actor, edit)


def remove(actor: access.Actor, number: int) -> None:
    """Take a topic away, or decline a proposal: its tickets have none then. Raises Refused, NotFound or Invalid."""
    access.require(actor, "edit topics")

    def edit(known: Mapping[int, Topic]) -> tuple[str, Edits]:
        one = _one(known, number)
        if any(other.parent == number and other.state == "live" for other in known.values()):
            raise Invalid(f"“{one.name}” has topics below it.", remedy="Move or remove those first.")
        verb = "declined" if one.state == "proposed" else "removed"
        return f"{verb} “{one.name}”", {number: {"state": "removed"}}

    _change(actor, edit)


def undo(actor: access.Actor, change: int | None = None) -> str:
    """Take back a change, the last one unless named; what it was. Raises Refused, NotFound, or Conflict where the
    topics were changed again since."""
    access.require(actor, "edit topics")
    with store.session() as session:
        query = select(TopicChange).where(col(TopicChange.undone).is_(False)).order_by(col(TopicChange.id).desc())
        row = session.exec(query.where(TopicChange.id == change) if change else query).first()
    if row is None:
        raise NotFound("There is no change of the topics that can be undone.")

    def mark(session: Session) -> None:
        session.execute(update(TopicChange).where(col(TopicChange.id) == row.id).values(undone=True))

    if TICKET in row.after:
        from workbench.tickets import assign

        assign.undo(actor, row, mark)
        return row.what

    def edit(known: Mapping[int, Topic]) -> tuple[str, Edits]:
        for number, after in row.after.items():
            if any(getattr(known[int(number)], field) != value for field, value in after.items()):
                raise Conflict(
                    f"“{known[int(number)].name}” was changed again since.", remedy="Undo the later change first."
                )
        return f"undid: {row.what}", {int(number): before for number, before in row.before.items()}

    _change(actor, edit, also=mark, undoing=True)
    return row.what


Edits = dict[int, dict[str, Any]]
"""The new values of some columns, by topic."""


def shown(known: Sequence[Topic]) -> Names:
    """What tickets show for each number: topic and subtopic; nothing for one that is proposed, removed or retired."""
    by_number = {one.number: one for one in known}
    return tuple(_shown(by_number, number) for number in range(1, max(by_number, default=0) + 1))


def store_rows(
    actor: access.Actor,
    rows: Sequence[TopicRow],
    edits: Edits,
    model: TextModel,
    *,
    what: str,
    listed: bool = False,
) -> None:
    """New topics, changed ones and the model that tells them, at once, with the names that tickets show; `listed` among
    the changes by people, to be undone.

    Raises Conflict where others were found since the new ones were numbered.
    """
    with publish.writing():
        known = {one.number: one for one in every()}
        if rows and min(row.number for row in rows) <= max(known, default=0):
            raise Conflict("Other topics were found meanwhile.", remedy="Look at them, and start again.")
        after = {**known, **{row.number: _topic(row) for row in rows}}
        after = {n: replace(one, **_seen(edits.get(n, {}))) for n, one in after.items()}
        new = replace(manifest.read(), topics=shown(list(after.values())))

        def write(session: Session) -> None:
            access.audit.lock(session)
            for row in rows:
                session.add(row)
            session.add(model)
            session.flush()
            _write(session, edits)
            if listed:
                before = {str(row.number): {"state": "live", "into": row.parent, "parent": None} for row in rows}
                made = {str(row.number): {"state": "live", "into": None, "parent": row.parent} for row in rows}
                before |= {str(n): {name: getattr(known[n], name) for name in fields} for n, fields in edits.items()}
                made |= {str(n): fields for n, fields in edits.items()}
                session.add(TopicChange(what=what, before=before, after=made, by=actor.name))

        detail: dict[str, object] = {"model": model.number, "new": [row.number for row in rows], "job": model.job_id}
        publish.put(actor, _next(new), verb="edit topics", thing=what, detail=detail, also=write)


def _seen(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that decide what tickets show."""
    return {field: value for field, value in fields.items() if field in EDITED}


def newest(kind: str = KIND) -> TextModel | None:
    """The model that is used now; None before there is one."""
    with store.session() as session:
        query = select(TextModel).where(TextModel.kind == kind).order_by(col(TextModel.number).desc())
        return session.exec(query).first()


def figures(number: int, kind: str = KIND) -> dict[str, Any]:
    """What is known of a model; nothing where there is none with this number."""
    with store.session() as session:
        row = session.get(TextModel, (kind, number))
        return dict(row.figures) if row else {}


def made_by_job(kind: str, job_id: str) -> TextModel | None:
    """The model that a job has made already."""
    with store.session() as session:
        return session.exec(select(TextModel).where(TextModel.kind == kind, TextModel.job_id == job_id)).first()


def file(kind: str, number: int) -> Any:
    """Where a model lies."""
    return settings.load().local / "topics" / f"{kind}-{number}.npz"


def _change(
    actor: access.Actor,
    edit: Callable[[Mapping[int, Topic]], tuple[str, Edits]],
    *,
    also: Callable[[Session], None] = lambda _session: None,
    undoing: bool = False,
) -> None:
    with publish.writing():
        known = {one.number: one for one in every()}
        what, edits = edit(known)
        after = {n: replace(one, **edits[n]) if n in edits else one for n, one in known.items()}
        _told_apart([after[n] for n, fields in edits.items() if {"name", "state", "into"} & set(fields)], after)
        before = {str(n): {field: getattr(known[n], field) for field in fields} for n, fields in edits.items()}
        plain = {str(n): fields for n, fields in edits.items()}

        def write(session: Session) -> None:
            _write(session, edits)
            also(session)
            if not undoing:
                session.add(TopicChange(what=what, before=before, after=plain, by=actor.name))

        new = replace(manifest.read(), topics=shown(list(after.values())))
        publish.put(
            actor, _next(new), verb="edit topics", thing=what, detail={"before": before, "after": plain}, also=write
        )


def _write(session: Session, edits: Edits) -> None:
    for number, fields in edits.items():
        values = {**fields, "changes": TopicRow.changes + 1}
        session.execute(update(TopicRow).where(col(TopicRow.number) == number).values(values))


def _next(new: manifest.Manifest) -> manifest.Manifest:
    return replace(new, generation=new.generation + 1)


def _line(known: Mapping[int, Topic], number: int) -> list[int]:
    """A topic, what it was merged into, and what stands above, in this order."""
    line, at = [number], known.get(number)
    while at is not None:
        above = at.into if at.into is not None else at.parent
        if above is None or above in line:
            return line
        line.append(above)
        at = known.get(above)
    return line


def _shown(known: Mapping[int, Topic], number: int) -> tuple[str | None, str | None]:
    at, seen = known.get(number), {number}
    while at is not None and at.into is not None and at.state != "removed":
        if at.into in seen:
            return None, None
        seen.add(at.into)
        at = known.get(at.into)
    if at is None or at.state != "live":
        return None, None
    above = known.get(at.parent) if at.parent is not None else None
    return (above.name, at.name) if above is not None and above.state == "live" else (at.name, None)


def _one(known: Mapping[int, Topic], number: int) -> Topic:
    if number not in known:
        raise NotFound(f"There is no topic {number}.", remedy="List the topics and choose another one.")
    return known[number]


def _told_apart(changed: Sequence[Topic], known: Mapping[int, Topic]) -> None:
    """Raise Invalid where a changed topic has the name of another one, whose tickets nobody could tell from its own."""
    for one in changed:
        for other in known.values():
            if other.number != one.number and one.seen and other.seen and one.name.casefold() == other.name.casefold():
                raise Invalid(
                    f"There is a topic called {other.name} already.", remedy="Merge the two, or choose another name."
                )


def _clean(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST or not clean.isprintable():
        raise Invalid(f"A topic's name has 1 to {LONGEST} characters.", remedy="Write a short name.")
    return clean


def _topic(row: TopicRow) -> Topic:
    return Topic(
        row.number, row.name, row.parent, row.into, row.state, row.named_by, row.language, tuple(row.terms),
        tuple(row.examples), row.tickets, row.growth,
    )  # fmt: skip
