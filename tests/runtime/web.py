"""A server on loopback that answers as a test says, byte for byte, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Seen:
    """A request as it came in. The names of the headers are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A running server: where it listens, and what it was asked."""

    host: str
    port: int
    seen: list[Seen] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The host with the port."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address to begin a URL with."""
        return f"http://{self.place}"


def reply(status: int = 200, body: bytes | str = b"", **headers: str) -> bytes:
    """A whole answer; underscores in the names of headers become dashes."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + content


def saying(*answers: bytes) -> Answer:
    """Gives each answer in turn, and the last one from then on."""
    left = list(answers)

    async def answer(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return answer


@contextmanager
def site(answer: Answer, *, host: str = "127.0.0.1", secure: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Run a server for a block."""
    loop = asyncio.new_event_loop()
    made = Site(f"[{host}]" if ":" in host else host, 0)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen = await _read(reader)
            made.seen.append(seen)
            await answer(seen, writer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    if secure is not None:
        secure.sni_callback = lambda _socket, name, _context: made.names.append(name or "")
    server = loop.run_until_complete(asyncio.start_server(talk, host, 0, ssl=secure))
    made.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        server.close()
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)

    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body)


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, Callable[[], ssl.SSLContext]]:
    """A server's settings with a certificate of its own for `name`, and the settings of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, lambda: ssl.create_default_context(cafile=str(path))
