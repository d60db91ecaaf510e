"""Promote, roll back, resolve: releases are frozen rows and files; only an environment's pointer moves.

A move writes the release's file first, then the database, and the pointer file last, from what the database then says.
So whatever fails or stops in between, no pointer names what was not promoted, and the next `publish` mends the rest.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from workbench import evals, flows, settings
from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from workbench.evals import Policy, Verdict
from workbench.releases.diff import Change, diff
from workbench.runtime import release as format
from workbench.runtime.release import Release
from workbench.runtime.source import POINTERS
from workbench.store import changed_elsewhere, now, session
from workbench.store.tables import Environment, Move, ReleaseRow

EnvironmentName = Literal["dev", "staging", "production"]
ENVIRONMENTS: tuple[EnvironmentName, ...] = get_args(EnvironmentName)


@dataclass(frozen=True)
class Released:
    """A release as lists show it, with the environments that point to it."""

    flow: str
    number: int
    digest: str
    note: str
    made_by: str
    made_at: dt.datetime
    environments: tuple[str, ...]
    path: Path


@dataclass(frozen=True)
class Moved:
    """One movement of an environment's pointer."""

    flow: str
    environment: str
    before: int | None
    after: int
    kind: str
    person: str
    at: dt.datetime


@dataclass(frozen=True)
class Proposal:
    """What promoting would do: the candidate, what runs now, what changed, and the gate's verdict."""

    candidate: Release
    current: Release | None
    changes: tuple[Change, ...]
    gate: Verdict


def resolve(reference: str) -> Release:
    """The flow that `name` (its draft), `name@v3` or `name@production` refers to. Raises NotFound or Invalid."""
    name, _, place = reference.partition("@")
    if not place:
        return flows.freeze(flows.draft(name).spec)
    with session() as open_session:
        if fixed := re.fullmatch(r"v([1-9][0-9]*)", place):
            return _read(_row(open_session, name, int(fixed[1])))
        pointer = open_session.get(Environment, (name, place))
        if pointer is None:
            known = ", ".join(open_session.exec(select(Environment.name).where(Environment.flow == name))) or "none yet"
            raise NotFound(f"{name} has no release in {place}.", remedy=f"Environments with one: {known}.")
        return _read(_row(open_session, name, pointer.number))


def releases(flow: str) -> list[Released]:
    """The releases of a flow, newest first."""
    with session() as open_session:
        rows = open_session.exec(
            select(ReleaseRow).where(ReleaseRow.flow == flow).order_by(col(ReleaseRow.number).desc())
        ).all()
        pointers = open_session.exec(select(Environment).where(Environment.flow == flow)).all()
    return [_released(row, [p.name for p in pointers if p.number == row.number]) for row in rows]


def environments(flow: str) -> dict[str, int]:
    """Which release each environment of a flow points to."""
    with session() as open_session:
        return {one.name: one.number for one in open_session.exec(select(Environment).where(Environment.flow == flow))}


def moves(flow: str = "", limit: int = 100) -> list[Moved]:
    """The newest pointer movements (of one flow), newest first."""
    query = select(Move).order_by(col(Move.at).desc(), col(Move.id).desc()).limit(limit)
    with session() as open_session:
        rows = open_session.exec(query.where(Move.flow == flow) if flow else query).all()
    return [Moved(m.flow, m.environment, m.before, m.after, m.kind, m.person, m.at) for m in rows]


def propose(reference: str, to: str = "production", policy: Policy | None = None) -> Proposal:
    """What promoting `reference` (a flow's draft, or name@v3) to an environment would do. Raises as `resolve` does."""
    _check_environment(to)
    candidate = resolve(reference)
    try:
        current = resolve(f"{candidate.name}@{to}")
    except NotFound:
        current = None
    changes = tuple(diff(current, candidate)) if current else ()
    return Proposal(candidate, current, changes, evals.gate(candidate, policy))


def promote(
    actor: Actor,
    reference: str,
    to: str = "production",
    note: str = "",
    *,
    policy: Policy | None = None,
    expect: str = "",
) -> Released:
    """Freeze `reference` under the next number, unless the same content has one, and point an environment to it.

    `expect` is the digest that the person has seen: where the flow was changed since, Conflict is raised.
    Raises Refused where the actor or the gate does not allow it, Conflict where the environment points there already
    or moved meanwhile; then nothing is changed.
    """
    require(actor, "promote a release")
    proposal = propose(reference, to, policy)
    flow, digest = proposal.candidate.name, proposal.candidate.digest
    if expect and digest != expect:
        raise changed_elsewhere(f"The flow {flow}")
    if not proposal.gate.passed:
        reasons = "; ".join(proposal.gate.reasons)
        raise Refused(
            f"The gate does not let {flow} pass: {reasons}.", remedy="Mend it, or run the missing experiment."
        )
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.exec(select(ReleaseRow).where(ReleaseRow.flow == flow, ReleaseRow.digest == digest)).first()
        if row is None:
            row = _new(open_session, actor, proposal, note)
            _write_release(row)
        pointer = open_session.get(Environment, (flow, to))
        if pointer is not None and pointer.number == row.number:
            raise Conflict(f"{flow} v{row.number} is in {to} already; nothing has changed since.")
        _point(open_session, actor, pointer, row, to, "promoted")
        audit.append(
            open_session,
            actor,
            "promote a release",
            f"{flow}@v{row.number}",
            {"to": to, "digest": digest, "note": note},
        )
        number = row.number
        _ready(flow)
    publish(flow)
    return next(one for one in releases(flow) if one.number == number)


def rollback(actor: Actor, flow: str, environment: str, *, expect: int | None = None) -> Moved:
    """Point an environment back to the release it had before. Raises Refused, NotFound, or Conflict.

    `expect` is the number that the person has seen there: where it moved since, Conflict is raised.
    """
    require(actor, "roll back a release")
    _check_environment(environment)
    with session() as open_session:
        audit.lock(open_session)
        pointer = open_session.get(Environment, (flow, environment))
        if pointer is None:
            raise NotFound(f"{flow} has no release in {environment}.")
        if expect is not None and pointer.number != expect:
            raise changed_elsewhere(f"The environment {environment} of {flow}")
        target = _before(open_session, flow, environment, pointer.number)
        row = _row(open_session, flow, target)
        _point(open_session, actor, pointer, row, environment, "rolled back")
        audit.append(open_session, actor, "roll back a release", f"{flow}@v{target}", {"environment": environment})
        _ready(flow)
    publish(flow)
    return moves(flow, 1)[0]


def before(flow: str, environment: str) -> int | None:
    """The number of the release that rolling an environment back would point to; None where it had none before."""
    with session() as open_session:
        stack = _stack(open_session, flow, environment)
    return stack[-2] if len(stack) > 1 else None


def publish(flow: str = "") -> None:
    """Write the release files that are missing and the pointers as the database has them; safe to repeat.

    An existing release file is never written over, so that a changed one is noticed by whoever loads it. Raises
    Unavailable where a file cannot be written.
    """
    with session() as open_session:
        if not flow and open_session.exec(select(Environment).limit(1)).first() is None:
            return
        audit.lock(open_session)
        _publish(open_session, flow)


def _publish(open_session: Session, flow: str) -> None:
    query = select(ReleaseRow)
    for row in open_session.exec(query.where(ReleaseRow.flow == flow) if flow else query):
        if not _path(row).exists():
            _write_release(row)
    pointers: dict[str, dict[str, dict[str, object]]] = {}
    for one in open_session.exec(select(Environment).order_by(Environment.flow, Environment.name)):
        pointers.setdefault(one.flow, {})[one.name] = {"number": one.number, "digest": one.digest}
    for name, targets in pointers.items():
        if not flow or name == flow:
            text = json.dumps({"format": 1, "environments": targets}, indent=1) + "\n"
            _replace(_pointers(name), text.encode(), 0o644)


def _ready(flow: str) -> None:
    """Nothing, where the pointer file can be written. Raises Unavailable, so that a move that could not be seen is none."""
    path = _pointers(flow)
    if path.is_dir():
        raise Unavailable(f"{path} cannot be written: it is a folder.", remedy="Take the folder away.")
    _temporary(path, b"", 0o600).unlink()


def _before(open_session: Session, flow: str, environment: str, number: int) -> int:
    """The release to go back to. Raises Conflict where there is none."""
    stack = _stack(open_session, flow, environment)
    if len(stack) < 2:
        raise Conflict(f"{flow} v{number} is the first release in {environment}; there is nothing to go back to.")
    return stack[-2]


def _stack(open_session: Session, flow: str, environment: str) -> list[int]:
    """The releases of an environment: promoting puts one on the stack, rolling back takes it off again."""
    query = select(Move.kind, Move.after).where(Move.flow == flow, Move.environment == environment)
    stack: list[int] = []
    for kind, after in open_session.exec(query.order_by(col(Move.id))):
        if kind == "promoted":
            stack.append(after)
        else:
            stack.pop()
    return stack


def _new(open_session: Session, actor: Actor, proposal: Proposal, note: str) -> ReleaseRow:
    candidate = proposal.candidate
    top = open_session.exec(select(func.max(ReleaseRow.number)).where(ReleaseRow.flow == candidate.name)).one() or 0
    numbered = format.of(candidate.body, number=top + 1)
    at = now()
    text = format.file(numbered, by=actor.name, at=at, note=note, gate=proposal.gate.plain)
    row = ReleaseRow(
        flow=candidate.name,
        number=top + 1,
        digest=candidate.digest,
        body=text.encode(),
        note=note,
        made_by=actor.name,
        made_at=at,
    )
    flows.keep(open_session, candidate)
    open_session.add(row)
    try:
        open_session.flush()
    except IntegrityError:
        raise Conflict(
            f"Somebody else promoted {candidate.name} just now.", remedy="Look at the change and try again."
        ) from None
    return row


def _point(
    open_session: Session, actor: Actor, pointer: Environment | None, row: ReleaseRow, name: str, kind: str
) -> None:
    before = pointer.number if pointer else None
    if pointer is None:
        open_session.add(
            Environment(flow=row.flow, name=name, number=row.number, digest=row.digest, moved_by=actor.name)
        )
    else:
        done = open_session.execute(
            update(Environment)
            .where(
                col(Environment.flow) == row.flow,
                col(Environment.name) == name,
                col(Environment.version) == pointer.version,
            )
            .values(
                number=row.number, digest=row.digest, version=pointer.version + 1, moved_by=actor.name, moved_at=now()
            )
        )
        if done.rowcount == 0:  # type: ignore[attr-defined]
            raise changed_elsewhere(f"The environment {name} of {row.flow}")
    open_session.add(
        Move(flow=row.flow, environment=name, before=before, after=row.number, kind=kind, person=actor.name)
    )
    try:
        open_session.flush()
    except IntegrityError:
        raise changed_elsewhere(f"The environment {name} of {row.flow}") from None


def _path(row: ReleaseRow) -> Path:
    return settings.load().releases / row.flow / f"v{row.number}.json"


def _pointers(flow: str) -> Path:
    return settings.load().releases / flow / POINTERS


def _write_release(row: ReleaseRow) -> None:
    _replace(_path(row), row.body, 0o444)


def _replace(path: Path, body: bytes, mode: int) -> None:
    """Write a file so that a reader sees either the old or the new one, and a crash leaves no half."""
    temporary = _temporary(path, body, mode)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _temporary(path: Path, body: bytes, mode: int) -> Path:
    """A file with this content beside `path`, safe on the disk. Raises Unavailable."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return temporary


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{path} cannot be written: {error.strerror}.", remedy="Make the folder writable.")


def _row(open_session: Session, flow: str, number: int) -> ReleaseRow:
    row = open_session.get(ReleaseRow, (flow, number))
    if row is None:
        raise NotFound(f"There is no release {flow}@v{number}.", remedy=f"Choose one of the releases of {flow}.")
    return row


def _read(row: ReleaseRow) -> Release:
    return format.read(row.body.decode(), name=f"the stored release {row.flow}@v{row.number}")


def _check_environment(name: str) -> None:
    if name not in ENVIRONMENTS:
        raise Invalid(f"There is no environment {name}.", remedy=f"Use {', '.join(ENVIRONMENTS)}.")


def _released(row: ReleaseRow, names: list[str]) -> Released:
    return Released(
        row.flow, row.number, row.digest, row.note, row.made_by, row.made_at, tuple(sorted(names)), _path(row)
    )
