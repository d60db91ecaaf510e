"""The HTTP address that other programs send their spans to: OTLP/HTTP, and the Agents SDK's own export.

An answer of 200 means that the spans are durable. Where more comes than can be stored, 429 says when to try again; where
the database cannot be written, 503 does.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from workbench import settings
from workbench.errors import Invalid, Unavailable, WorkbenchError
from workbench.runtime.record import clean
from workbench.traces import ingest, masking, otlp, sdk_export

log = logging.getLogger("workbench.traces")

OTLP, SDK = "/v1/traces", "/v1/traces/ingest"
LARGEST = 32_000_000
"""Bytes of one request, unpacked."""
PORT = 4318
ROTATION = 16
"""Answers after which a connection is closed: it is opened again where a process has time."""
WAITING = 256
"""Connections that may wait to be taken."""
OPEN = 256
"""Connections of one process that may be open at once."""
PATIENCE = 30.0
"""Seconds within which a request has to come in."""
PIECE = 1_000_000
"""Bytes that are unpacked before more room is asked for."""
MOST_SIGNS = 4_000_000
"""Commas and brackets of a body in JSON: no request of spans has so many for its size."""
TOKEN = "WORKBENCH_INGEST_TOKEN"  # noqa: S105  (the name of a variable)
AGAIN = {429: b"1", 503: b"5"}
"""Seconds after which to send again."""

LATE = 408
"""The answer to a body that does not come: nothing more is read from its connection."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Wrong(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Claim:
    """The room that one request has while it is read, unpacked and stored."""

    def __init__(self, store: ingest.Store) -> None:
        self._store, self._size = store, 0

    def grow(self, size: int) -> bool:
        """Take room for so many more bytes; False where there is none."""
        if not self._store.claim(size, self._size):
            return False
        self._size += size
        return True

    def shrink(self, size: int) -> None:
        """Give back room for so many bytes."""
        self._size -= size
        self._store.release(size)

    def end(self) -> None:
        """Give back all of it."""
        self.shrink(self._size)


class Receiver:
    """The ASGI application. `token` is what senders must show; none is needed where it is empty."""

    def __init__(self, store: ingest.Store, token: str = "") -> None:
        self._store, self._token = store, token.encode()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="spans")
        self._answers = itertools.count(1)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        kind, answer = b"application/json", b"{}"
        try:
            kind, answer = await self._answer(scope, receive)
            status = 200
        except _Wrong as wrong:
            status, kind, answer = wrong.status, b"application/json", _error(str(wrong))
        headers = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
        headers += [(b"retry-after", AGAIN[status])] if status in AGAIN else []
        last = next(self._answers) % ROTATION == 0 or status == LATE
        headers += [(b"connection", b"close")] if last else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[bytes, bytes]:
        path, method = scope["path"], scope["method"]
        if path == "/health" and method == "GET":
            return b"application/json", b'{"ok": true}'
        if path not in (OTLP, SDK):
            raise _Wrong(404, f"There is nothing at this address. Traces go to {OTLP}.")
        if method != "POST":
            raise _Wrong(405, "Traces are sent with POST.")
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._token and not hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            raise _Wrong(401, "The request does not show the token of this workbench.")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind not in (b"application/x-protobuf", b"application/json") or (
            path == SDK and kind != b"application/json"
        ):
            raise _Wrong(415, "The body must be application/x-protobuf or application/json.")
        claim = _Claim(self._store)
        try:
            body = await _in_time(headers, receive, claim)
            protobuf = kind == b"application/x-protobuf"
            return kind, await self._take(body, headers, claim, sdk=path == SDK, protobuf=protobuf)
        except Unavailable as error:
            raise _Wrong(503, str(error)) from None
        except WorkbenchError as error:
            raise _Wrong(400, str(error)) from None
        finally:
            claim.end()

    async def _take(
        self, body: bytes, headers: dict[bytes, bytes], claim: _Claim, *, sdk: bool, protobuf: bool
    ) -> bytes:
        loop = asyncio.get_running_loop()
        encoding = headers.get(b"content-encoding", b"identity").lower()
        parts = await loop.run_in_executor(self._threads, _prepared, body, encoding, claim, sdk, protobuf)
        if parts:
            await asyncio.wrap_future(self._store.add(parts))
        return otlp.answer(protobuf=protobuf)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
        self._store.close()


def _prepared(body: bytes, encoding: bytes, claim: _Claim, sdk: bool, protobuf: bool) -> list[ingest.Part]:
    body = _unzipped(body, encoding, claim)
    if not protobuf and sum(map(body.count, (b",", b"{", b"["))) > MOST_SIGNS:
        raise Invalid("The body has too many values.", remedy="Send its spans in several requests.")
    if protobuf:
        batches = otlp.read_protobuf(body)
    elif sdk:
        batches = sdk_export.of_plain(_json(body), otlp.Room())
    else:
        batches = otlp.read_json(body)
    return ingest.prepare(batches, masking.rules())


def _json(body: bytes) -> Any:
    try:
        return clean(json.loads(body))
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.") from None


def _unzipped(body: bytes, encoding: bytes, claim: _Claim) -> bytes:
    if encoding in (b"identity", b""):
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise Invalid("The body may be packed with gzip or deflate, nothing else.")
    packed = zlib.decompressobj(47)
    parts, size, rest = [], 0, body
    while not packed.eof:
        try:
            part = packed.decompress(rest, PIECE)
        except zlib.error:
            raise Invalid("The body cannot be unpacked.") from None
        rest = packed.unconsumed_tail
        size += len(part)
        if size > LARGEST:
            raise Invalid(f"The body has more than {LARGEST:,} bytes when it is unpacked.")
        if not (part or packed.eof):
            raise Invalid("The body ends before it is whole.")
        if not claim.grow(len(part)):
            raise _full()
        parts.append(part)
    claim.shrink(len(body))
    return b"".join(parts)


async def _in_time(headers: dict[bytes, bytes], receive: Receive, claim: _Claim) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE):
            return await _body(headers, receive, claim)
    except TimeoutError:
        raise _Wrong(LATE, f"The body did not come within {PATIENCE:g} seconds.") from None


async def _body(headers: dict[bytes, bytes], receive: Receive, claim: _Claim) -> bytes:
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > LARGEST:
        raise _Wrong(413, f"The body has more than {LARGEST:,} bytes.")
    parts, size, more, taken = [], 0, True, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Wrong(400, "The sender went away.")
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > LARGEST:
            raise _Wrong(413, f"The body has more than {LARGEST:,} bytes.")
        taken = taken and claim.grow(len(part))
        # What there is no room for is read to its end, so that the sender hears the answer.
        if taken:
            parts.append(part)
        else:
            parts.clear()
    if not taken:
        raise _full()
    return b"".join(parts)


def _full() -> _Wrong:
    return _Wrong(429, "More spans come than can be stored. Send them again in a second.")


def _error(words: str) -> bytes:
    return json.dumps({"message": words}, ensure_ascii=False).encode()


def serve(address: str, port: int, workers: int, ready: Callable[[str], None]) -> None:
    """Take spans until stopped, in so many processes; what was acknowledged is stored. `ready` is told the address.

    Raises Invalid for an address that others reach while no token is set, Unavailable where the port is in use.
    """
    if not os.environ.get(TOKEN, "").strip() and not _loopback(address):
        raise Invalid(
            f"Others can reach {address}, and no token is set.", remedy=f"Set {TOKEN}, or listen on 127.0.0.1."
        )
    masking.rules()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address, port))
        except OSError as error:
            raise Unavailable(
                f"The port {port} on {address} cannot be used: {error.strerror}.", remedy="Choose another with --port."
            ) from None
        listening.listen(WAITING)
        ended = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: ended.set())
        running = [_worker(listening) for _ in range(workers)]
        ready(f"http://{address}:{listening.getsockname()[1]}{OTLP}")
        while not ended.wait(0.5):
            running = [one if one.poll() is None else _worker(listening) for one in running]
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)


def _worker(listening: socket.socket) -> subprocess.Popen[bytes]:
    """A process that answers at a socket that is open already."""
    number = listening.fileno()
    command = [
        sys.executable,
        "-m",
        "workbench.traces.receive",
        str(number),
        str(listening.family.value),
        str(os.getpid()),
    ]
    return subprocess.Popen(command, pass_fds=[number], cwd=settings.ROOT)  # noqa: S603  (this program itself)


def work(number: int, family: int, parent: int) -> None:
    """Answer at the socket with this file number until told to stop, or until the process that began this one is gone."""
    listening = socket.socket(socket.AddressFamily(family), fileno=number)
    receiver = Receiver(ingest.Store(), os.environ.get(TOKEN, "").strip())
    # A process takes one waiting connection at a time, so that the others get theirs.
    config = uvicorn.Config(
        receiver,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=10,
        backlog=1,
        limit_concurrency=OPEN,
    )
    asyncio.run(_until_left(uvicorn.Server(config), listening, parent))
    receiver.close()


async def _until_left(server: uvicorn.Server, listening: socket.socket, parent: int) -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, lambda: setattr(server, "should_exit", True))
    serving = asyncio.create_task(server._serve([listening]))
    while not (server.started or serving.done()):
        await asyncio.sleep(0.01)
    listening.listen(WAITING)
    silent: dict[Any, float] = {}
    while not serving.done():
        await asyncio.wait([serving], timeout=1)
        silent = _close_silent(server, silent)
        if os.getppid() != parent:
            server.should_exit = True
    await serving


def _close_silent(server: uvicorn.Server, before: Mapping[Any, float]) -> dict[Any, float]:
    """Close the connections that have not asked for anything in time; since when those that are left have not."""
    now = time.monotonic()
    silent = [one for one in server.server_state.connections if getattr(one, "cycle", None) is None]
    since = {one: before.get(one, now) for one in silent}
    for one, began in since.items():
        if now - began > PATIENCE and (transport := getattr(one, "transport", None)):
            transport.close()
    return since


def _loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
