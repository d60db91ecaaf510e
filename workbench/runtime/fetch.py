"""One HTTP request and its answer, over a connection to a checked address: bounded in headers, in size and in unpacking.

Nothing of the surroundings takes part: no proxy, no stored cookies or passwords, no log, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import datetime as dt
import email.utils
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import h11

from workbench.errors import Invalid, Refused, Unavailable, WorkbenchError
from workbench.runtime.reach import Reach, Target
from workbench.runtime.secret import hide, room

SAFE = ("GET", "HEAD")
"""Methods that change nothing."""

MOVED = (301, 302, 303, 307, 308)
"""Answers that name another place; their body is not read."""

_HEADERS = 32_768
_FAILURE = 16_384
_SHOWN = 200

_TEXTUAL = re.compile(
    r"text/|image/svg\+xml|application/(.*\+)?(json|xml|yaml|x-yaml|x-ndjson|javascript|graphql|x-www-form-urlencoded)\b"
)
_CHARSETS = ("utf-8", "utf-16", "utf-32", "ascii", "iso8859", "cp125", "koi8", "shift_jis", "euc_", "gb", "big5")


class Unsettled(Unavailable):
    """No whole answer came to a request that had gone out, so that it may have taken effect."""


@dataclass(frozen=True)
class Request:
    """What is sent. The names of its headers are in small letters."""

    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """What came back. `label` is the host that answered; the names of the headers are in small letters."""

    label: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        """The body as text. Raises Invalid where it is not one."""
        if not self.body:
            return f"(status {self.status}, no text)"
        found = self._decoded()
        if found is None:
            kind = self.headers.get("content-type", "").partition(";")[0].strip()[:60] or "something"
            raise Invalid(f"{self.label} answered with {kind}, which is not text.")
        return found

    def failure(self, secrets: Sequence[str]) -> WorkbenchError:
        """An answer that is not a success as an error: its status and the beginning of what it says, secrets masked."""
        said = hide(self._decoded() or "", secrets)
        if len(self.body) >= _FAILURE:
            # The body was cut, perhaps within a secret.
            said = said[: max(0, len(said) - room(secrets))]
        said = " ".join("".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in said).split())
        kind = Unavailable if self.status >= 500 or self.status == 429 else Invalid
        return kind(f"{self.label} answered with status {self.status}" + (f": {said[:_SHOWN]}" if said else "."))

    def pause(self) -> float:
        """The seconds that the other side asks to wait before the next try; 0 where it does not say."""
        asked = self.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdigit():
            return float(asked[:9])
        with contextlib.suppress(ValueError):
            until = email.utils.parsedate_to_datetime(asked)
            return (until.replace(tzinfo=until.tzinfo or dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds()
        return 0.0

    def _decoded(self) -> str | None:
        kind, _, settings = self.headers.get("content-type", "").lower().partition(";")
        found = re.search(r"charset\s*=\s*\"?([a-z0-9_.:-]+)", settings)
        charset = _charset(found[1]) if found else "utf-8"
        if b"\0" in self.body and not charset.startswith(("utf-16", "utf-32")):
            return None
        if _TEXTUAL.match(kind.strip()):
            return self.body.decode(charset, "replace").removeprefix("\ufeff").replace("\0", "\ufffd")
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return None


async def fetch(request: Request, reach: Reach, largest: int) -> Answer:
    """Send `request` and return its answer, of which the body has at most `largest` bytes, unpacked.

    Of a failure only the beginning of the body is read. Raises Refused where the place may not be reached or sends too
    much, Unreached where it cannot be, Unsettled where the connection breaks, Invalid or Unavailable for a body that
    cannot be unpacked.
    """
    label = request.target.label
    after = "." if request.method in SAFE else "; the request may have taken effect."
    reader, writer = await reach.connect(request.target)
    try:
        return await _talk(reader, writer, request, largest)
    except h11.RemoteProtocolError as error:
        if error.error_status_hint == 431:
            raise _too_much(label) from None
        raise Unsettled(f"{label} broke off, or does not speak HTTP{after}") from None
    except OSError:
        raise Unsettled(f"The connection to {label} broke{after}") from None
    finally:
        # At once: a farewell could wait for the other side, which may be the one that is slow.
        writer.transport.abort()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, largest: int) -> Answer:
    connection, label = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS), request.target.label
    writer.write(b"".join(connection.send(event) or b"" for event in _events(request)))
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Response):
            break
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed without an answer")
    headers = _read(event, label)
    body = _Body(label, event.status_code, headers, largest)
    while body.open:
        more = connection.next_event()
        if more is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(more, h11.Data):
            body.take(bytes(more.data))
        else:
            body.end()
    return Answer(label, event.status_code, headers, bytes(body.content))


def _events(request: Request) -> Iterator[h11.Event]:
    """What goes out. It asks for one answer on this connection, and for no packing but gzip."""
    headers = {**request.headers, "host": request.target.label, "accept-encoding": "gzip", "connection": "close"}
    if request.body is not None:
        headers["content-length"] = str(len(request.body))
    pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    yield h11.Request(method=request.method, target=request.target.path, headers=pairs)
    if request.body is not None:
        yield h11.Data(data=request.body)
    yield h11.EndOfMessage()


def _read(event: h11.Response, label: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in event.headers:
        known, text = name.decode("latin-1"), value.decode("latin-1")
        found[known] = f"{found[known]}, {text}" if known in found else text
    if sum(len(name) + len(value) for name, value in found.items()) > _HEADERS:
        raise _too_much(label)
    return found


def _too_much(label: str) -> Refused:
    return Refused(f"{label} sent headers of more than {_HEADERS:,} bytes.")


class _Body:
    """The body of an answer as it comes in: unpacked in bounded steps, and counted as it is unpacked."""

    def __init__(self, label: str, status: int, headers: Mapping[str, str], largest: int) -> None:
        coding = headers.get("content-encoding", "identity").strip().lower()
        self._whole = 200 <= status < 300
        self._label, self._largest = label, largest if self._whole else _FAILURE
        self._gzip = zlib.decompressobj(wbits=31) if coding in ("gzip", "x-gzip") else None
        self._packed = 0
        self.content = bytearray()
        readable = self._gzip is not None or coding in ("", "identity")
        self.open = readable and status not in MOVED
        if self._whole and not readable:
            raise Invalid(f"{label} answers in the coding {coding[:40]}, which was not asked for.")

    def take(self, data: bytes) -> None:
        """Take in some bytes. Raises Refused where they become too many, and Unavailable where they cannot be unpacked."""
        self._packed += len(data)
        room = self._largest + 1 - len(self.content)
        try:
            self.content += self._gzip.decompress(data, room) if self._gzip else data[:room]
        except zlib.error:
            raise self._broken() from None
        # Packed data that unpacks to nothing must end too.
        if len(self.content) <= self._largest and self._packed <= self._largest + _HEADERS:
            return
        if self._whole:
            raise Refused(
                f"{self._label} sent more than {self._largest:,} bytes, which is more than this tool takes.",
                remedy="Ask for less, or give the tool a larger `largest`.",
            )
        self.open = False

    def end(self) -> None:
        """The other side says that this was all. Raises Unavailable where packed data is not whole."""
        self.open = False
        if self._whole and self._gzip and self._packed and not self._gzip.eof:
            raise self._broken()

    def _broken(self) -> Unavailable:
        return Unavailable(f"{self._label} sent a body that cannot be unpacked.")


def _charset(name: str) -> str:
    """The codec of a text encoding in use; Python knows others, such as compressions, under the same look-up."""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return "utf-8"
    return found if found.startswith(_CHARSETS) else "utf-8"
