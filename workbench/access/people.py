"""Who acts, and what each role may do: the one permission table."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Literal, get_args

from workbench.errors import Refused

Role = Literal["architect", "rep", "manager", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

Verb = Literal[
    "run a flow",
    "edit a flow",
    "edit a prompt",
    "flag a run",
    "say why a run failed",
    "set the rules of causes",
    "replay a run",
    "save a view",
    "import runs",
    "set how long runs are kept",
    "delete a customer's data",
    "let a trial change something",
    "manage queues",
    "label",
    "edit a dataset",
    "run an experiment",
    "promote a release",
    "roll back a release",
    "load tickets",
    "edit topics",
    "enrich tickets",
    "edit a detector",
    "work on an incident",
    "set where notices go",
    "write under a brief",
    "ask in SQL",
    "keep a question",
    "have a model read a sentence",
    "decide an approval",
    "decide an own approval",
    "seed",
]

PERMISSIONS: dict[Verb, frozenset[Role]] = {
    "run a flow": frozenset({"architect", "rep", "manager", "admin"}),
    "edit a flow": frozenset({"architect", "admin"}),
    "edit a prompt": frozenset({"architect", "admin"}),
    "flag a run": frozenset({"architect", "rep", "manager", "admin"}),
    "say why a run failed": frozenset({"architect", "rep", "manager", "admin"}),
    "set the rules of causes": frozenset({"architect", "manager", "admin"}),
    "replay a run": frozenset({"architect", "rep", "manager", "admin"}),
    "save a view": frozenset({"architect", "rep", "manager", "admin"}),
    "import runs": frozenset({"architect", "admin"}),
    "set how long runs are kept": frozenset({"manager", "admin"}),
    "delete a customer's data": frozenset({"manager", "admin"}),
    "let a trial change something": frozenset({"architect", "admin"}),
    "manage queues": frozenset({"architect", "manager", "admin"}),
    "label": frozenset({"architect", "rep", "manager", "admin"}),
    "edit a dataset": frozenset({"architect", "rep", "admin"}),
    "run an experiment": frozenset({"architect", "manager", "admin"}),
    "promote a release": frozenset({"architect", "admin"}),
    "roll back a release": frozenset({"architect", "manager", "admin"}),
    "load tickets": frozenset({"manager", "admin"}),
    "edit topics": frozenset({"architect", "manager", "admin"}),
    "enrich tickets": frozenset({"manager", "admin"}),
    "edit a detector": frozenset({"architect", "manager", "admin"}),
    "work on an incident": frozenset({"architect", "rep", "manager", "admin"}),
    "set where notices go": frozenset({"manager", "admin"}),
    "write under a brief": frozenset({"architect", "manager", "admin"}),
    "ask in SQL": frozenset({"architect", "manager", "admin"}),
    "keep a question": frozenset({"architect", "manager", "admin"}),
    "have a model read a sentence": frozenset({"architect", "rep", "manager", "admin"}),
    "decide an approval": frozenset({"architect", "rep", "manager", "admin"}),
    "decide an own approval": frozenset({"manager", "admin"}),
    "seed": frozenset({"admin"}),
}


@dataclass(frozen=True)
class Actor:
    """A person acting in one role."""

    name: str
    role: Role


def local(role: Role = "admin") -> Actor:
    """The one local person, acting in `role`. There is no sign-in: the server listens on loopback only."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "local"
    return Actor(name=name, role=role)


def may(actor: Actor, verb: Verb) -> bool:
    """Whether `actor` may do `verb`."""
    return actor.role in PERMISSIONS[verb]


def require(actor: Actor, verb: Verb) -> None:
    """Raise Refused, naming the roles that may, unless `actor` may do `verb`."""
    if not may(actor, verb):
        allowed = " or ".join(sorted(PERMISSIONS[verb] - {"admin"}) or ["admin"])
        raise Refused(f"A {actor.role} may not {verb}.", remedy=f"Act as {allowed}, or ask one.")
