"""Flows that are put away: they leave the lists and can be brought back; their runs and releases stay.

Which flows are put away is read from the audit trail, where putting away and bringing back are entries.
"""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Conflict, NotFound, Refused
from workbench.store import session
from workbench.store.tables import AuditEntry, Environment
from workbench.store.tables import Draft as Row

PUT_AWAY, BROUGHT_BACK = "archive a flow", "bring back a flow"


def archived() -> list[str]:
    """The names of the flows that are put away, in order."""
    with session() as open_session:
        return sorted(put_away(open_session))


def served(name: str) -> dict[str, int]:
    """The environments that serve a release of this flow, each with the release's number."""
    with session() as open_session:
        return _served(open_session, name)


def archive(actor: Actor, name: str, *, still_served: bool = False) -> None:
    """Put a flow away. Its draft, versions, runs and releases stay as they are.

    Raises Refused for who may not, and where an environment serves one of its releases, unless `still_served` says
    that the person knows it; NotFound; and Conflict where it is put away already. Then nothing is changed.
    """
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        _stored(open_session, name)
        if name in put_away(open_session):
            raise Conflict(f"The flow {name} is archived already.")
        serving = _served(open_session, name)
        if serving and not still_served:
            where = ", ".join(f"{environment} serves v{number}" for environment, number in serving.items())
            raise Refused(
                f"{name} is in use: {where}.", remedy="Confirm that it may go on being served while it is archived."
            )
        audit.append(open_session, actor, PUT_AWAY, name, {"served": serving} if serving else None)


def bring_back(actor: Actor, name: str) -> None:
    """Put an archived flow back into the lists, as it was. Raises Refused, NotFound, and Conflict where it is not archived."""
    require(actor, "edit a flow")
    with session() as open_session:
        audit.lock(open_session)
        _stored(open_session, name)
        if name not in put_away(open_session):
            raise Conflict(f"The flow {name} is not archived.")
        audit.append(open_session, actor, BROUGHT_BACK, name)


def put_away(open_session: Session) -> set[str]:
    """The names of the flows that are put away, inside a transaction: those whose newest entry says so."""
    newest = (
        select(func.max(AuditEntry.id))
        .where(col(AuditEntry.verb).in_((PUT_AWAY, BROUGHT_BACK)))
        .group_by(col(AuditEntry.thing))
    )
    query = select(AuditEntry.thing).where(col(AuditEntry.id).in_(newest), AuditEntry.verb == PUT_AWAY)
    return set(open_session.exec(query))


def _served(open_session: Session, name: str) -> dict[str, int]:
    rows = open_session.exec(select(Environment).where(Environment.flow == name).order_by(Environment.name))
    return {row.name: row.number for row in rows}


def _stored(open_session: Session, name: str) -> None:
    if open_session.get(Row, name) is None:
        raise NotFound(f"There is no flow called {name}.")
