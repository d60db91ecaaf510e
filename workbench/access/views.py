"""Saved views: the state of a page's address under a name, one's own or shared with everybody."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import col, or_, select

from workbench.access import audit
from workbench.access.people import Actor, require
from workbench.errors import Invalid, NotFound, Refused
from workbench.store import now, session
from workbench.store.tables import SavedView

State = Mapping[str, Sequence[str]]
"""What an address holds: the values of each of its names."""
LONGEST = 80
LARGEST = 8000
"""Characters of a state, its names included; each value counts one more."""
MOST = 200
"""Views of one person for one page."""


@dataclass(frozen=True)
class View:
    """A saved view. Only its owner changes it, and whoever administers."""

    id: str
    page: str
    name: str
    state: Mapping[str, tuple[str, ...]]
    owner: str
    shared: bool


def save(actor: Actor, page: str, name: str, state: State, *, shared: bool = False) -> View:
    """Keep the state of a page under a name; the actor's own view of that name is replaced.

    Raises Refused, or Invalid without a name or with too much to keep.
    """
    require(actor, "save a view")
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise Invalid("A view needs a name.", remedy=f"Give it a name of at most {LONGEST} characters.")
    kept = {key: list(values) for key, values in state.items() if values}
    if _size(kept) > LARGEST:
        raise Invalid("This view holds too much to be kept.", remedy="Take some of its filters away.")
    with session() as open_session:
        audit.lock(open_session)
        mine = select(SavedView).where(SavedView.page == page, SavedView.owner == actor.name)
        there = list(open_session.exec(mine))
        row = next((one for one in there if one.name == name), None)
        if row is None and len(there) >= MOST:
            raise Invalid("You have too many views of this page.", remedy="Delete one that you no longer need.")
        row = row or SavedView(
            id=f"view_{uuid.uuid4().hex[:12]}", page=page, name=name, state=kept, owner=actor.name, shared=shared
        )
        row.state, row.shared, row.saved_at = kept, shared, now()
        open_session.add(row)
        audit.append(open_session, actor, "save a view", f"{page}: {name}", {"shared": shared})
        return _view(row)


def delete(actor: Actor, view_id: str) -> View:
    """Delete a view and return it, so that it can be saved again. Raises NotFound, or Refused for somebody else's."""
    require(actor, "save a view")
    with session() as open_session:
        row = open_session.get(SavedView, view_id)
        if row is None:
            raise NotFound("This view is not there any more.", remedy="Choose another one.")
        if row.owner != actor.name and actor.role != "admin":
            raise Refused(f"This view belongs to {row.owner}.", remedy="Save one of your own beside it.")
        gone = _view(row)
        open_session.delete(row)
        audit.append(open_session, actor, "delete a view", f"{row.page}: {row.name}")
        return gone


def views(actor: Actor, page: str) -> list[View]:
    """The actor's own views of a page and those that are shared, by name."""
    mine = or_(col(SavedView.owner) == actor.name, col(SavedView.shared).is_(True))
    asked = select(SavedView).where(SavedView.page == page, mine).order_by(SavedView.name, SavedView.owner)
    with session() as open_session:
        return [_view(row) for row in open_session.exec(asked)]


def _size(state: State) -> int:
    return sum(len(name) + sum(len(one) + 1 for one in values) for name, values in state.items())


def _view(row: SavedView) -> View:
    state = {name: tuple(values) for name, values in row.state.items()}
    return View(row.id, row.page, row.name, state, row.owner, row.shared)
