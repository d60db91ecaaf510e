"""Which hosts a declared tool may reach: a URL is read strictly, its host looked up once, and every address checked.

A connection is made to an address that was checked, so a name that changes its address between the check and the
connection gains nothing.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.errors import Invalid, Refused, Unavailable

VARIABLE = "WORKBENCH_PRIVATE_HOSTS"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text; raises OSError where there are none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CONNECT = 10.0
_TRIED = 4

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_PLACE = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNUSABLE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`|]")


class Unreached(Unavailable):
    """No connection could be made, so nothing was sent."""


@dataclass(frozen=True)
class Target:
    """A URL, taken apart. `path` is the path with the query; a host is in small letters, an IPv6 one without brackets."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def label(self) -> str:
        """The host, with its port where that is not the scheme's own: as in the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL again."""
        return f"{self.scheme}://{self.label}{self.path}"


PORTS = {"http": 80, "https": 443}


def target(url: str) -> Target:
    """`url`, taken apart; names in braces may stand in its path and query. Raises Invalid saying what is wrong with it."""
    if found := _UNUSABLE.search(url):
        raise Invalid(
            f"The URL {_quoted(url)} has the character {found[0]!a}, which cannot stand in one.",
            remedy="Write it percent-encoded, or a host's name in its xn-- form.",
        )
    parts = _URL.fullmatch(url)
    if parts is None:
        problem = "has a fragment" if "#" in url else "is not one"
        raise Invalid(f"The URL {_quoted(url)} {problem}.", remedy="Write it as https://host/path.")
    scheme = parts["scheme"].lower()
    if scheme not in ("http", "https"):
        raise Invalid(f"The URL {_quoted(url)} has the scheme {scheme}; only https and http are called.")
    if "{" in parts["place"] or "}" in parts["place"]:
        raise Invalid(f"The URL {_quoted(url)} has braces in its host; an argument may not choose the host.")
    host, port = place(parts["place"])
    return Target("https" if scheme == "https" else "http", host, port or PORTS[scheme], _path(parts))


def place(text: str) -> tuple[str, int | None]:
    """A host and its port, where one is given. Raises Invalid saying what is wrong with `text`."""
    if "@" in text:
        raise Invalid(
            "The URL holds a user name or password.", remedy="Declare a header that holds `secret:name` instead."
        )
    parts = _PLACE.fullmatch(text)
    if parts is None or not parts["host"]:
        raise Invalid(f"{_quoted(text)} does not name a host.")
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 1 <= port <= 65535:
        raise Invalid(f"{_quoted(text)} has no usable port.")
    return _host(parts["host"]), port


@dataclass(frozen=True)
class Reach:
    """How hosts are found, and which private ones may be reached. The deployment decides it, a flow never does.

    `private` holds hosts, or hosts with a port, exactly as a URL names them. `tls` makes the settings for https.
    """

    private: frozenset[tuple[str, int | None]] = frozenset()
    resolve: Resolve | None = None
    tls: Callable[[], ssl.SSLContext] | None = None

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Reach:
        """What the deployment allows. Raises Invalid naming an entry of WORKBENCH_PRIVATE_HOSTS that cannot be read."""
        env = os.environ if environment is None else environment
        return cls.of(env.get(VARIABLE, "").split(","))

    @classmethod
    def of(
        cls, private: Iterable[str], *, resolve: Resolve | None = None, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> Reach:
        """A reach with these private hosts, such as `127.0.0.1:8080` or `crm.internal`. Raises Invalid."""
        return cls(frozenset(_entry(one.strip()) for one in private if one.strip()), resolve, tls)

    def check(self, there: Target) -> None:
        """Nothing, where `there` names a host, or an address that may be reached. Raises Refused. Looks nothing up."""
        if (literal := _literal(there.host)) is not None:
            self._permit(there, literal)

    async def addresses(self, there: Target) -> list[str]:
        """The addresses of `there`, every one of them checked. Raises Refused, and Unreached where there are none."""
        if (literal := _literal(there.host)) is not None:
            self._permit(there, literal)
            return [str(literal)]
        try:
            found = list(await (self.resolve or look_up)(there.host, there.port))
        except OSError:
            found = []
        if not found:
            raise Unreached(f"The host {there.host} cannot be found.", remedy="Check its name and the network.")
        for one in found:
            self._permit(there, _parsed(there, one))
        return found

    async def connect(self, there: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to `there`. Raises as `addresses` does, Refused for a wrong certificate, and Unreached."""
        found = await self.addresses(there)
        secure = (self.tls or _tls)() if there.scheme == "https" else None
        for address in found[:_TRIED]:
            try:
                async with asyncio.timeout(_CONNECT):
                    return await asyncio.open_connection(
                        address, there.port, ssl=secure, server_hostname=there.host if secure else None
                    )
            except ssl.SSLCertVerificationError as error:
                raise Refused(
                    f"The certificate of {there.label} is not valid: {error.verify_message.rstrip('.')}.",
                    remedy="Nothing was sent. Check the host, and the certificates that this machine trusts.",
                ) from None
            except OSError:
                continue
        raise Unreached(f"{there.label} cannot be reached.", remedy="Check that it runs, and try again.")

    def _permit(self, there: Target, address: Address) -> None:
        kind = describe(address)
        literal = _literal(there.host) is not None
        listed = (there.host, None) in self.private or (there.host, there.port) in self.private
        if not kind or (listed and (literal or kind in _LISTABLE)):
            return
        what = f"{there.host} is" if literal else f"{there.host} resolves to {address},"
        raise Refused(
            f"{what} {kind}; tools do not reach those.",
            remedy=f"Whoever runs the workbench can list {there.label} in {VARIABLE}."
            if literal or kind in _LISTABLE
            else "A name that resolves to such an address cannot be allowed.",
        )


def describe(address: Address) -> str:
    """What kind of address it is that is not public, such as `a loopback address`; empty for a public one."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((kind for kind, networks in _IPV4 if any(address in one for one in networks)), "")
    if (inside := _embedded(address)) is not None:
        kind = describe(inside)
        return f"{kind} ({inside} inside an IPv6 one)" if kind else ""
    kind = next((kind for kind, networks in _IPV6 if any(address in one for one in networks)), "")
    return kind or ("" if address in _GLOBAL else "a reserved address")


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system finds them. Raises OSError where there are none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _path(parts: re.Match[str]) -> str:
    return (parts["path"] or "/") + (parts["query"] or "")


def _entry(text: str) -> tuple[str, int | None]:
    try:
        return place(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)
    except Invalid as error:
        raise Invalid(f"{VARIABLE}: {error.message}", remedy="Write hosts as crm.internal or 127.0.0.1:8080.") from None


def _host(text: str) -> str:
    host = text.lower()
    if host.startswith("["):
        try:
            found = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise Invalid(f"{_quoted(text)} is not an IPv6 address.") from None
        if found.scope_id is not None:
            raise Invalid(f"{_quoted(text)} names a network card; an address in a URL may not.")
        return str(found)
    if host.endswith("."):
        raise Invalid(f"The host {_quoted(text)} ends with a dot.", remedy="Write it without.")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise Invalid(
                f"The host {_quoted(text)} is an odd spelling of an address.", remedy="Write it as four numbers."
            ) from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(f"The host {_quoted(text)} is not a name that a host can have.")
    return host


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _parsed(there: Target, text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f"{there.host} resolves to {_quoted(text)}, which is not an address.") from None


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, or behind a NAT64 or 6to4 gateway."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def _quoted(text: str) -> str:
    return f"“{ascii(text)[1:-1][:100]}”"


@functools.cache
def _tls() -> ssl.SSLContext:
    # The certificates that the model client trusts too.
    import httpx2

    return httpx2.create_ssl_context()


def _v4(*networks: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(ipaddress.IPv4Network(one) for one in networks)


def _v6(*networks: str) -> tuple[ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.IPv6Network(one) for one in networks)


_LOOPBACK, _PRIVATE, _SHARED = "a loopback address", "a private address", "a shared (carrier-grade NAT) address"
_METADATA, _LOCAL = "a cloud metadata address", "a link-local address"
_MULTICAST, _NOWHERE, _RESERVED = "a multicast address", "an unspecified address", "a reserved address"

_LISTABLE = frozenset({_LOOPBACK, _PRIVATE, _SHARED})
"""Kinds that a listed name may resolve to. The others must be listed as the address itself."""

# The registries of IANA (iana-ipv4-special-registry, iana-ipv6-special-registry), written out, because what `ipaddress`
# calls global differs between versions of Python; and where clouds answer with the credentials of a machine.
_IPV4: tuple[tuple[str, tuple[ipaddress.IPv4Network, ...]], ...] = (
    (
        _METADATA,
        _v4("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    ),
    (_LOOPBACK, _v4("127.0.0.0/8")),
    (_NOWHERE, _v4("0.0.0.0/8")),
    (_PRIVATE, _v4("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    (_SHARED, _v4("100.64.0.0/10")),
    (_LOCAL, _v4("169.254.0.0/16")),
    (_MULTICAST, _v4("224.0.0.0/4")),
    (
        _RESERVED,
        _v4(
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
        ),
    ),
)
_IPV6: tuple[tuple[str, tuple[ipaddress.IPv6Network, ...]], ...] = (
    (_METADATA, _v6("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")),
    (_LOOPBACK, _v6("::1")),
    (_NOWHERE, _v6("::")),
    (_LOCAL, _v6("fe80::/10")),
    (_PRIVATE, _v6("fc00::/7", "fec0::/10", "64:ff9b:1::/48")),
    (_MULTICAST, _v6("ff00::/8")),
    (_RESERVED, _v6("2001::/23", "2001:db8::/32", "3fff::/20")),
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
