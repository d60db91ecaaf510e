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
import zlib
from collections.abc import Awaitable, Callable
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
TOKEN = "WORKBENCH_INGEST_TOKEN"  # noqa: S105  (the name of a variable)
AGAIN = {429: b"1", 503: b"5"}
"""Seconds after which to send again."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Wrong(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


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
        headers += [(b"connection", b"close")] if next(self._answers) % ROTATION == 0 else []
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
        body = await _body(headers, receive)
        size = len(body)
        if not self._store.claim(size):
            raise _Wrong(429, "More spans come than can be stored. Send them again in a second.")
        try:
            return kind, await self._take(body, headers, sdk=path == SDK, protobuf=kind == b"application/x-protobuf")
        except Unavailable as error:
            raise _Wrong(503, str(error)) from None
        except WorkbenchError as error:
            raise _Wrong(400, str(error)) from None
        finally:
            self._store.release(size)

    async def _take(self, body: bytes, headers: dict[bytes, bytes], *, sdk: bool, protobuf: bool) -> bytes:
        loop = asyncio.get_running_loop()
        encoding = headers.get(b"content-encoding", b"identity").lower()
        parts = await loop.run_in_executor(self._threads, _prepared, body, encoding, sdk, protobuf)
        if parts:
            await asyncio.wrap_future(self._store.add(parts))
        return otlp.answer(protobuf=protobuf)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
        self._store.close()


def _prepared(body: bytes, encoding: bytes, sdk: bool, protobuf: bool) -> list[ingest.Part]:
    body = _unzipped(body, encoding)
    if protobuf:
        batches = otlp.read_protobuf(body)
    elif sdk:
        batches = sdk_export.of_plain(_json(body))
    else:
        batches = otlp.read_json(body)
    return ingest.prepare(batches, masking.rules())


def _json(body: bytes) -> Any:
    try:
        return clean(json.loads(body))
    except (ValueError, RecursionError):
        raise Invalid("The body is not JSON.") from None


def _unzipped(body: bytes, encoding: bytes) -> bytes:
    if encoding in (b"identity", b""):
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise Invalid("The body may be packed with gzip or deflate, nothing else.")
    packed = zlib.decompressobj(47)
    try:
        found = packed.decompress(body, LARGEST + 1)
    except zlib.error:
        raise Invalid("The body cannot be unpacked.") from None
    if len(found) > LARGEST:
        raise Invalid(f"The body has more than {LARGEST:,} bytes when it is unpacked.")
    if not packed.eof:
        raise Invalid("The body ends before it is whole.")
    return found


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    told = headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > LARGEST:
        raise _Wrong(413, f"The body has more than {LARGEST:,} bytes.")
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Wrong(400, "The sender went away.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > LARGEST:
            raise _Wrong(413, f"The body has more than {LARGEST:,} bytes.")
    return b"".join(parts)


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
    while not serving.done():
        await asyncio.wait([serving], timeout=1)
        if os.getppid() != parent:
            server.should_exit = True
    await serving


def _loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
