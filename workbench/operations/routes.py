"""Where notices go: destinations, and which of them hears of incidents of an area."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from sqlmodel import col, delete, select

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.runtime import reach, secret
from workbench.runtime.reach import Reach, Target
from workbench.store import session
from workbench.store.tables import Destination as Row
from workbench.store.tables import Route as RouteRow
from workbench.tickets.detectors import SEVERITIES

Kind = Literal["webhook", "slack", "email"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVERY = "*"
"""The area of a route that is for every area."""

_NAME = re.compile(r"[a-z0-9][a-z0-9 -]{0,58}[a-z0-9]")
_MAIL = re.compile(r"[^@\s,<>\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Destination:
    """Where notices can go.

    `address` is a URL, or `secret:NAME` where the URL itself is secret; for e-mail, addresses with commas between them.
    `secret` names the key that signs a webhook's messages, or the mail server for e-mail.
    """

    name: str
    kind: Kind
    address: str
    secret: str


@dataclass(frozen=True)
class Route:
    """Incidents of `area` (or `*`), from the severity `least` on, are told to a destination."""

    area: str
    destination: str
    least: str


def destinations() -> list[Destination]:
    """All destinations, by name."""
    with session() as open_session:
        return [_destination(row) for row in open_session.exec(select(Row).order_by(Row.name))]


def destination(name: str) -> Destination:
    """The destination called `name`. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(Row, name)
    if row is None:
        raise NotFound(f"There is no destination {name!r}.")
    return _destination(row)


def put(actor: Actor, made: Destination) -> Destination:
    """Keep a destination, in place of one of the same name. Raises Refused or Invalid; nothing is sent."""
    require(actor, "set where notices go")
    _check(made)
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Row, made.name) or Row(name=made.name, kind="", address="", set_by="")
        row.kind, row.address, row.secret, row.set_by = made.kind, made.address, made.secret, actor.name
        row.changes = (row.changes or 0) + 1
        open_session.add(row)
        audit.append(open_session, actor, "set where notices go", made.name, {"kind": made.kind})
    return made


def drop(actor: Actor, name: str) -> None:
    """Take a destination away, with the routes to it. Raises Refused or NotFound."""
    require(actor, "set where notices go")
    with session() as open_session:
        audit.lock(open_session)
        row = open_session.get(Row, name)
        if row is None:
            raise NotFound(f"There is no destination {name!r}.")
        open_session.delete(row)
        open_session.execute(delete(RouteRow).where(col(RouteRow.destination) == name))
        audit.append(open_session, actor, "set where notices go", name, {"taken away": True})


def routes() -> list[Route]:
    """All routes, by area."""
    with session() as open_session:
        rows = open_session.exec(select(RouteRow).order_by(RouteRow.area, RouteRow.destination))
        return [Route(row.area, row.destination, row.least) for row in rows]


def set_routes(actor: Actor, wanted: Sequence[Route]) -> None:
    """Replace all routes. Raises Refused, or Invalid for one that leads nowhere; then nothing is changed."""
    require(actor, "set where notices go")
    known = {one.name for one in destinations()}
    for one in wanted:
        if one.destination not in known:
            raise Invalid(f"There is no destination {one.destination!r}.", remedy="Make it first.")
        if one.least not in SEVERITIES:
            raise Invalid(f"{one.least!r} is no severity.", remedy=f"Use {', '.join(SEVERITIES)}.")
    kept = {(one.area.strip() or EVERY, one.destination): one for one in wanted}
    with session() as open_session:
        audit.lock(open_session)
        open_session.execute(delete(RouteRow))
        for (area, name), one in kept.items():
            open_session.add(RouteRow(area=area, destination=name, least=one.least, set_by=actor.name))
        audit.append(open_session, actor, "set where notices go", "routes", {"routes": len(kept)})


def leading(area: str, severity: str) -> list[str]:
    """The destinations that hear of an incident of this area and severity, by name."""
    hear = {
        one.destination
        for one in routes()
        if one.area in (EVERY, area) and SEVERITIES.index(_severity(severity)) >= SEVERITIES.index(_severity(one.least))
    }
    return sorted(hear)


def url(made: Destination) -> str:
    """The URL of a webhook or a Slack channel, with its secret read. Raises Invalid where that is not set."""
    named = made.address.removeprefix("secret:")
    return secret.secret(named) if named != made.address else made.address


def target(made: Destination) -> Target:
    """Where a destination's messages go, checked as a tool's call is: its secrets' hosts, and no private address.

    Raises Invalid, or Refused naming what the deployment would have to allow.
    """
    if made.kind == "email":
        there = mail_server(made)
    else:
        there = reach.target(url(made))
        if made.address.startswith("secret:"):
            secret.check(made.address.removeprefix("secret:"), there)
    if made.secret:
        secret.check(made.secret, there)
    Reach.load().check(there)
    return there


def mail_server(made: Destination) -> Target:
    """The mail server of an e-mail destination. Raises Invalid where its secret is not set, or is no mail server's address."""
    parts = urlsplit(secret.secret(made.secret))
    if parts.scheme not in ("mailto", "mailtos") or not parts.hostname:
        raise Invalid(
            f"The secret {made.secret} is not the address of a mail server.",
            remedy="Write it as mailtos://user:password@mail.example:587?from=support@example.com.",
        )
    host, _ = reach.place(parts.hostname)
    return Target("https", host, parts.port or (587 if parts.scheme == "mailtos" else 25), "/")


def _check(made: Destination) -> None:
    if not _NAME.fullmatch(made.name):
        raise Invalid("A name has 2 to 60 small letters, digits, blanks and dashes.")
    if made.kind not in KINDS:
        raise Invalid(f"{made.kind!r} is no kind of destination.", remedy=f"Use {', '.join(KINDS)}.")
    if made.secret and not _SECRET.fullmatch(made.secret):
        raise Invalid("Write the name of the secret, such as page_key, not its value.")
    if made.kind == "email":
        if wrong := [one for one in made.address.split(",") if not _MAIL.fullmatch(one.strip())]:
            raise Invalid(f"{wrong[0].strip()!r} is not an e-mail address.", remedy="Put commas between several.")
        if not made.secret:
            raise Invalid("E-mail needs the name of the secret that holds the mail server's address.")
        return
    if made.kind == "webhook" and not made.secret:
        raise Invalid("A webhook needs the name of the secret that signs its messages.")
    if made.address.startswith("secret:"):
        if not _SECRET.fullmatch(made.address.removeprefix("secret:")):
            raise Invalid("Write a secret address as secret:NAME.")
        return
    Reach.load().check(reach.target(made.address))


def _severity(text: str) -> Literal["low", "medium", "high", "critical"]:
    return next((one for one in SEVERITIES if one == text), "medium")


def _destination(row: Row) -> Destination:
    kind: Kind = next(one for one in KINDS if one == row.kind)
    return Destination(row.name, kind, row.address, row.secret)
