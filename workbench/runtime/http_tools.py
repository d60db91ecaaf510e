"""Tools that are HTTP requests declared by schema: what a call sends, where it may go, and what it takes back.

The declaration comes from a flow and the arguments from a model, so neither is trusted with the host, the headers, the
time or the size.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote, urljoin

from workbench.errors import Invalid, Refused, WorkbenchError
from workbench.runtime import arguments as checked
from workbench.runtime.fetch import MOVED, SAFE, Answer, Request, Unsettled, fetch
from workbench.runtime.reach import PORTS, Reach, Target, Unreached, place, target
from workbench.runtime.secret import check, fill, hide, named
from workbench.runtime.spec import HttpTool

IN_URL = ("GET", "HEAD", "DELETE")
"""Methods whose arguments go into the query; the others have a JSON body."""

AGAIN = ("GET", "HEAD", "PUT", "DELETE")
"""Methods that may be sent again: twice comes to the same as once."""

REDIRECTS = 3

_BUSY = (429, 502, 503, 504)
_PATIENCE = 5.0

_BLANK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


async def call(tool: HttpTool, arguments: Mapping[str, Any], *, key: str = "", reach: Reach | None = None) -> str:
    """Make the request that `tool` declares, and return the text of its answer, secrets masked.

    `key` tells a server that a POST or PATCH sent twice is one. `reach` is the deployment's, where none is given.
    Raises Invalid for arguments, a declaration or an answer that cannot be used, Refused for a place that may not be
    reached or may not see one of the secrets, and for an answer that is too large, Unavailable where the other side
    fails, and Unsettled where nobody knows whether the request took effect.
    """
    checked.check(arguments, tool.parameters)
    headers, secrets, private = _headers(tool, key)
    request = _request(tool, arguments, headers)
    for name in named(tool.headers.values()):
        check(name, request.target)
    exchange = _Exchange(tool, reach or Reach.load(), secrets, private)
    try:
        async with asyncio.timeout(tool.timeout) as scope:
            answer = await exchange.settle(request, scope)
        return hide(answer.text(), secrets)
    except TimeoutError:
        after = "" if tool.method in SAFE else " The request may have taken effect."
        raise Unsettled(
            f"{request.target.label} took longer than {tool.timeout:g} seconds.{after}",
            remedy="Try later, or give the tool a longer timeout.",
        ) from None
    except WorkbenchError as error:
        raise type(error)(hide(error.message, secrets), remedy=hide(error.remedy, secrets)) from None


def address(tool: HttpTool) -> Target:
    """Where `tool` is declared to go, with the names in braces left in. Raises Invalid saying what is wrong with its URL."""
    there = target(tool.url)
    path, _, query = there.path.partition("?")
    if set(_BLANK.sub("", there.path)) & set("{}"):
        raise Invalid(f"The braces in the URL {there.url} do not hold a name.", remedy="Write them as {order_id}.")
    for broken in re.finditer(r"%(?![0-9A-Fa-f]{2})", there.path):
        raise Invalid(f"The URL {there.url} has a % at {broken.start()} that begins no percent-encoding.")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise Invalid(f"The URL {there.url} has a path with dots alone.", remedy="Write the path that they come to.")
    if any(_BLANK.search(piece.partition("=")[0]) for piece in query.split("&")):
        raise Invalid(f"The URL {there.url} has braces in the name of a query value; an argument is only the value.")
    known = checked.names(tool.parameters)
    if twice := [name for name in _asked(query) if name in known and name not in blanks(tool)]:
        raise Invalid(
            f"{', '.join(twice)} stands in the query of the URL {there.url} and is an argument too.",
            remedy="Take it out of the URL, or write its value there as {name}.",
        )
    return there


def blanks(tool: HttpTool) -> list[str]:
    """The names in braces in the URL of `tool`, in order, each once."""
    return list(dict.fromkeys(_BLANK.findall(tool.url)))


def wrong_headers(tool: HttpTool) -> list[str]:
    """What is wrong with the declared headers, a sentence each; values of secrets are not looked at."""
    return [problem for name, value in tool.headers.items() for problem in _faults(name, value)]


def _faults(name: str, value: str) -> Iterator[str]:
    shown = ascii(name)[1:-1][:60]
    if not _TOKEN.fullmatch(name):
        yield f"{shown} is not the name of a header."
    elif name.lower() in _OURS:
        yield f"The header {shown} is set by the workbench; it cannot be declared."
    if not _sendable(value):
        yield f"The header {shown} holds a character that a header cannot carry."


def _sendable(value: str) -> bool:
    return all(" " <= one <= "\xff" and not "\x7f" <= one <= "\x9f" for one in value)


def _headers(tool: HttpTool, key: str) -> tuple[dict[str, str], tuple[str, ...], frozenset[str]]:
    """The headers to send, the values of the secrets in them, and the names that another host must not see."""
    filled, secrets = fill(tool.headers)
    problems = wrong_headers(tool) or [one for name, value in filled.items() for one in _faults(name, value)]
    if key and not _sendable(key):
        problems.append("The key of this call holds a character that a header cannot carry.")
    if problems:
        raise Invalid(" ".join(problems))
    ours = {"user-agent": "workbench", "accept": "application/json, text/*;q=0.9, */*;q=0.1"}
    if tool.method not in IN_URL:
        ours["content-type"] = "application/json"
    sent = {**ours, **{name.lower(): value.strip() for name, value in filled.items()}}
    if key and tool.method not in AGAIN:
        sent["idempotency-key"] = key.strip()
    secret = {name.lower() for name, value in tool.headers.items() if named([value])}
    return sent, secrets, frozenset(secret | {"authorization", "cookie"})


def _request(tool: HttpTool, given: Mapping[str, Any], headers: Mapping[str, str]) -> Request:
    there = address(tool)
    in_url = blanks(tool)
    path, _, query = there.path.partition("?")
    path = "/".join(_segment(segment, given) for segment in path.split("/"))
    pieces = [filled for piece in query.split("&") if (filled := _piece(piece, given))]
    rest = {name: value for name, value in given.items() if name not in in_url}
    body = None
    if tool.method in IN_URL:
        pieces += [f"{quote(name, safe='')}={text}" for name, value in rest.items() for text in _texts(name, value)]
    else:
        body = json.dumps(rest, ensure_ascii=False, allow_nan=False).encode()
    whole = replace(there, path=path + ("?" + "&".join(pieces) if pieces else ""))
    return Request(tool.method, whole, headers, body)


def _segment(segment: str, given: Mapping[str, Any]) -> str:
    """One segment of the path with its arguments in it. Nothing but that segment can come of them."""
    names = _BLANK.findall(segment)
    if absent := [name for name in names if given.get(name) is None]:
        raise Invalid(f"The arguments do not fit: {', '.join(absent)} is missing; it stands in the URL.")
    filled = _BLANK.sub(lambda found: _text(found[1], given[found[1]]), segment)
    if names and unquote(filled) in ("", ".", ".."):
        raise Invalid(f"The arguments do not fit: {', '.join(names)} cannot be {unquote(filled)!r} in the URL's path.")
    return filled


def _piece(piece: str, given: Mapping[str, Any]) -> str:
    """One `name=value` of the query; empty where an argument that stands in it was not given."""
    if any(given.get(name) is None for name in _BLANK.findall(piece)):
        return ""
    return _BLANK.sub(lambda found: _text(found[1], given[found[1]]), piece)


def _asked(query: str) -> list[str]:
    return [unquote(piece.partition("=")[0]) for piece in query.split("&") if piece]


def _texts(name: str, value: Any) -> list[str]:
    """A value as percent-encoded texts of the query: a list stands there once for each of its values."""
    if value is None:
        return []
    return [_text(name, one) for one in value] if isinstance(value, list | tuple) else [_text(name, value)]


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, float):
        value = str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    elif isinstance(value, int):
        value = str(value)
    elif not isinstance(value, str):
        raise Invalid(f"The arguments do not fit: {name} must be one text, number or yes-or-no to stand in a URL.")
    return quote(value, safe="")


@dataclass(frozen=True)
class _Exchange:
    """One call: its tries, and the redirects of each."""

    tool: HttpTool
    reach: Reach
    secrets: tuple[str, ...]
    private: frozenset[str]

    async def settle(self, request: Request, scope: asyncio.Timeout) -> Answer:
        """The answer, after as many tries as the tool allows and the time has room for."""
        tries = self.tool.retries if self.tool.method in AGAIN else 0
        for number in range(tries + 1):
            pause = 0.2 * 2**number
            try:
                answer = await self._follow(request)
            except (Unreached, Unsettled) as broken:
                failure: WorkbenchError = broken
            else:
                if 200 <= answer.status < 300:
                    return answer
                failure, pause = answer.failure(self.secrets), max(pause, answer.pause())
                if answer.status not in _BUSY or pause > _PATIENCE:
                    break
            left = (scope.when() or 0.0) - asyncio.get_running_loop().time()
            if number == tries or pause >= left:
                break
            await asyncio.sleep(pause)
        raise failure

    async def _follow(self, request: Request) -> Answer:
        for _ in range(REDIRECTS + 1):
            answer = await fetch(request, self.reach, self.tool.largest)
            if answer.status not in MOVED or "location" not in answer.headers:
                return answer
            request = self._redirected(request, answer)
        raise Refused(f"{self.tool.url} redirects more than {REDIRECTS} times.")

    def _redirected(self, request: Request, answer: Answer) -> Request:
        here, said = request.target, answer.headers["location"]
        if hide(said, self.secrets) != said:
            raise Refused(f"{here.label} redirects to an address that holds a secret.")
        try:
            location = quote(said.encode("latin-1"), safe=_AS_IT_IS)
            there = target(urljoin(here.url, location).partition("#")[0])
        except (Invalid, ValueError) as error:
            why = error.message if isinstance(error, Invalid) else "It is not a URL."
            raise Refused(f"{here.label} redirects to where no tool may go: {why}") from None
        if here.scheme == "https" and there.scheme == "http":
            raise Refused(f"{here.label} redirects from https to http; what is sent there could be read on the way.")
        if not self._allowed(there):
            raise Refused(
                f"{here.label} redirects to {there.label}, which this tool may not reach.",
                remedy=f"If it belongs there, add {there.label} to the tool's hosts.",
            )
        headers = dict(request.headers)
        if not self._trusted(here, there):
            headers = {name: value for name, value in headers.items() if name not in self.private}
        if not _read_next(answer.status, request.method):
            return replace(request, target=there, headers=headers)
        return Request("GET", there, {k: v for k, v in headers.items() if k not in ("content-type", "idempotency-key")})

    def _trusted(self, here: Target, there: Target) -> bool:
        """Whether what is private goes along: to the same host, and only where each secret may be sent."""
        if (there.host, there.port) != (here.host, here.port) and not _upgraded(here, there):
            return False
        try:
            for name in named(self.tool.headers.values()):
                check(name, there)
        except Refused:
            return False
        return True

    def _allowed(self, there: Target) -> bool:
        declared = address(self.tool)
        if there.host == declared.host and (there.port == declared.port or _upgraded(declared, there)):
            return True
        hosts = [place(one) for one in self.tool.hosts]
        return any(there.host == host and there.port == (port or PORTS[there.scheme]) for host, port in hosts)


_AS_IT_IS = "!#$%&'()*+,-./:;=?@[]_~"


def _upgraded(here: Target, there: Target) -> bool:
    """Whether `there` is the same host by https instead of http, both at their usual ports."""
    return here.host == there.host and (here.scheme, here.port, there.scheme, there.port) == ("http", 80, "https", 443)


def _read_next(status: int, method: str) -> bool:
    """Whether a redirect means that the answer is read elsewhere, by GET, instead of the request being sent there."""
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
