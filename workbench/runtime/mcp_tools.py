"""Tools of MCP servers. The deployment declares the servers, in a file that WORKBENCH_SERVERS names; a flow names one.

A connection to a server stays open while its event loop uses it, because a server that is a command takes most of a
second to start and as long to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import tempfile
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from workbench.errors import Invalid, NotFound, Refused, Unavailable
from workbench.runtime import arguments as checked
from workbench.runtime.fetch import Unsettled
from workbench.runtime.reach import target
from workbench.runtime.secret import fill, hide
from workbench.runtime.spec import McpTool, Name, canonical

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, Tool

T = TypeVar("T")

VARIABLE = "WORKBENCH_SERVERS"

LONGEST = 200_000
"""Characters of an answer."""

IDLE = 60.0
"""Seconds after which a connection that nobody uses is closed."""

_START = 30.0
_LOOK = 0.5
_PAGES = 20
_SHOWN = 200
_LOUD = ("mcp.client.stdio", "mcp.client.streamable_http")
"""Loggers that write down what a server says, with the secrets in it; what goes wrong is told by the call itself."""

_CHECK = f"Check the server's command or URL in the file that {VARIABLE} names."


class Server(BaseModel):
    """A server: a command that is started and spoken to over its standard input, or a URL. Both may hold `secret:name`.

    Relative paths of a command begin at the folder of the file that declares it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _usable(cls, value: str) -> str:
        try:
            return target(value).url if value else value
        except Invalid as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_way(self) -> Server:
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either a command or a url")
        if (self.headers and not self.url) or (self.env and not self.command):
            raise ValueError("env belongs to a command, and headers to a url")
        return self


@dataclass(frozen=True)
class Offered:
    """A tool that a server offers."""

    name: str
    description: str
    parameters: dict[str, Any]


def servers() -> dict[str, Server]:
    """The servers of this deployment by name; none where WORKBENCH_SERVERS is not set.

    Raises Invalid naming the file, and each key in it that cannot be used.
    """
    path = os.environ.get(VARIABLE, "")
    if not path:
        return {}
    try:
        return _SERVERS.validate_python(yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError):
        raise Invalid(
            f"{VARIABLE} names {path}, which cannot be read.", remedy="Write the file, or unset it."
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise Invalid(f"{path} is not YAML that can be read.", remedy="Write it as `docs: {url: https://…}`.") from None
    except ValidationError as error:
        problems = "\n".join(_problem(dict(one)) for one in error.errors())
        raise Invalid(f"{path} does not declare servers:\n{problems}") from None


async def offered(name: str) -> list[Offered]:
    """The tools that a server offers now, by name. Raises NotFound for an unknown server, Invalid and Unavailable."""
    try:
        async with asyncio.timeout(_START):
            _, tools = await _connected(name)
    except TimeoutError:
        raise Unavailable(f"The server {name} took longer than {_START:g} seconds.", remedy=_CHECK) from None
    found = (Offered(one.name, one.description or "", one.input_schema) for one in tools)
    return sorted(found, key=lambda one: one.name)


async def call(tool: McpTool, arguments: Mapping[str, Any]) -> str:
    """Call a server's tool and return the text of its answer, secrets masked.

    Raises NotFound for an unknown server; Invalid for arguments that do not fit, for a tool that is not as it was when
    it was picked, and for an error or something else than text as the answer; Refused for too long an answer;
    Unavailable where the server cannot be started or reached, or takes too long.
    """
    if not tool.parameters:
        raise Invalid(f"It is not known what {tool.tool} of {tool.server} takes.", remedy="Pick it again.")
    checked.check(arguments, tool.parameters)
    try:
        async with asyncio.timeout(tool.timeout):
            session, tools = await _connected(tool.server)
            _unchanged(tool, tools)
            result = await _made(tool, session, arguments)
    except TimeoutError:
        raise Unavailable(
            f"{tool.tool} of {tool.server} took longer than {tool.timeout:g} seconds.", remedy="Try later."
        ) from None
    return _answer(tool, result, session.secrets)


async def _made(tool: McpTool, session: _Session, arguments: Mapping[str, Any]) -> CallToolResult:
    try:
        return await session.ask(lambda client: client.call_tool(tool.tool, dict(arguments)))
    except Unavailable as lost:
        if tool.effect == "read":
            raise
        raise Unsettled(f"{lost.message} The call may have taken effect.", remedy=lost.remedy) from None


def _unchanged(tool: McpTool, tools: list[Tool]) -> None:
    now = next((one for one in tools if one.name == tool.tool), None)
    if now is None:
        known = ", ".join(sorted(one.name for one in tools)) or "none"
        raise Invalid(f"{tool.server} offers no tool {tool.tool} any more. It offers: {known}.", remedy="Pick another.")
    if canonical(now.input_schema) != canonical(tool.parameters):
        raise Invalid(
            f"{tool.server} offers other arguments for {tool.tool} than when it was picked.", remedy="Pick it again."
        )


def _answer(tool: McpTool, result: CallToolResult, secrets: tuple[str, ...]) -> str:
    texts, others = [], []
    for block in result.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "resource" and hasattr(block.resource, "text"):
            texts.append(block.resource.text)
        else:
            others.append(block.type)
    if not texts and result.structured_content is not None:
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = hide("\n".join(texts), secrets)
    if result.is_error:
        raise Invalid(f"{tool.tool} of {tool.server} failed: {_short(text) or 'it does not say why'}")
    if others and not texts:
        raise Invalid(f"{tool.tool} of {tool.server} answered with {', '.join(others)}, which is not text.")
    if len(text) > LONGEST:
        raise Refused(
            f"{tool.tool} of {tool.server} answered with {len(text):,} characters; at most {LONGEST:,} are taken.",
            remedy="Ask for less.",
        )
    return text or "(no text)"


async def _connected(name: str) -> tuple[_Session, list[Tool]]:
    """A connection to a server, and what it offers now. One that has gone away since its last use is opened again."""
    known = servers()
    if name not in known:
        listed = ", ".join(known) or "none"
        raise NotFound(
            f"There is no server {name} here. Known: {listed}.", remedy=f"Declare it in the file that {VARIABLE} names."
        )
    filled, secrets = fill({**known[name].env, **known[name].headers})
    key = canonical([name, known[name].model_dump(mode="json"), filled])
    mine = _sessions.setdefault(asyncio.get_running_loop(), {})
    session = mine.get(key)
    if session is not None and session.open:
        try:
            return session, await session.ask(_list)
        except Unavailable:
            session.leave()
    session = mine[key] = _Session(name, known[name], filled, secrets)
    session.task.add_done_callback(lambda _: mine.pop(key, None) if mine.get(key) is session else None)
    return session, await session.ask(_list)


async def _list(client: Client) -> list[Tool]:
    page = await client.list_tools()
    tools = list(page.tools)
    for _ in range(_PAGES):
        if page.next_cursor is None:
            break
        page = await client.list_tools(cursor=page.next_cursor)
        tools += page.tools
    return tools


class _Session:
    """An open connection to a server. A task of its own opens and closes it, as the client library needs it."""

    def __init__(self, name: str, server: Server, filled: Mapping[str, str], secrets: tuple[str, ...]) -> None:
        self._name, self._server, self._filled, self.secrets = name, server, filled, secrets
        self._ready, self._left = asyncio.Event(), False
        self._client: Client | None = None
        self._failure: Exception | None = None
        self._busy, self._used = 0, asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._hold())

    @property
    def open(self) -> bool:
        """Whether it is being opened, or open."""
        return not self._left and not self.task.done()

    def leave(self) -> None:
        """Close it, once nobody uses it."""
        self._left = True

    async def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What `question` gives for the client. Raises Invalid or Unavailable for what goes wrong at the other side."""
        self._busy += 1
        try:
            await self._ready.wait()
            if self._failure is not None or self._client is None:
                raise self._failure or self._broken("it was closed")
            return await question(self._client)
        except _foreign() as error:
            raise self._told(error, "") from None
        finally:
            self._busy -= 1
            self._used = asyncio.get_running_loop().time()

    async def _hold(self) -> None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            try:
                # Loading the library takes most of a second, in which other runs of this loop go on.
                await asyncio.to_thread(importlib.import_module, "mcp.client.streamable_http")
                async with contextlib.AsyncExitStack() as stack:
                    async with asyncio.timeout(_START):
                        self._client = await stack.enter_async_context(_client(self._server, self._filled, log))
                    self._ready.set()
                    await self._until_idle()
            except Exception as error:  # noqa: BLE001  (told to whoever asks; a bug is raised there)
                self._failure = self._told(error, _last_line(log))
            finally:
                self._client = None
                self._ready.set()

    async def _until_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while self._busy or (loop.time() < self._used + IDLE and not self._left):
            await asyncio.sleep(_LOOK)

    def _told(self, error: Exception, log: str) -> Exception:
        """What went wrong in words; an error of ours stays as it is, so that it is seen."""
        from mcp import MCPError
        from mcp_types import INVALID_PARAMS

        found = list(_leaves(error))
        if not all(isinstance(one, _foreign()) for one in found):
            return error
        if any(isinstance(one, MCPError) and one.code == INVALID_PARAMS for one in found):
            return Invalid(f"The server {self._name} cannot use this: {self._say(str(found[0]))}.")
        if isinstance(error, FileNotFoundError | PermissionError):
            return self._broken(f"the command {self._server.command[0]} cannot be started")
        if isinstance(error, TimeoutError):
            return self._broken(f"it said nothing within {_START:g} seconds")
        return self._broken(self._say(log or str(found[0])))

    def _broken(self, why: str) -> Unavailable:
        return Unavailable(f"The server {self._name} does not work: {why.rstrip('.')}.", remedy=_CHECK)

    def _say(self, text: str) -> str:
        return _short(hide(text, self.secrets)) or "it does not say why"


@contextlib.asynccontextmanager
async def _client(server: Server, filled: Mapping[str, str], log: TextIO) -> AsyncIterator[Client]:
    """A client of the server. Nothing of the environment reaches it but what is declared, and how to find programs."""
    import httpx2
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    for loud in _LOUD:
        logging.getLogger(loud).setLevel(logging.CRITICAL)
    if server.command:
        folder = Path(os.environ.get(VARIABLE, "")).resolve().parent
        command, *rest = server.command
        started = StdioServerParameters(command=command, args=rest, env=dict(filled), cwd=folder)
        async with Client(stdio_client(started, errlog=log), cache=None) as client:
            yield client
        return
    timeout = httpx2.Timeout(_START, read=None)
    async with (
        httpx2.AsyncClient(headers=dict(filled), timeout=timeout, trust_env=False) as web,
        Client(streamable_http_client(server.url, http_client=web), cache=None) as client,
    ):
        yield client


def _foreign() -> tuple[type[Exception], ...]:
    """What goes wrong at the other side, or on the way. The library tells an answer that is not as declared by RuntimeError."""
    import anyio
    import httpx2
    from mcp import MCPError

    broken = (anyio.BrokenResourceError, anyio.ClosedResourceError)
    return (MCPError, ValidationError, OSError, httpx2.HTTPError, RuntimeError, *broken)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _last_line(log: TextIO) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read()[-10_000:].splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _short(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_SHOWN]


def _problem(error: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in error["loc"] if part != "[key]") or "the file"
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key; known here: {', '.join(Server.model_fields)}."
    return f"{path}: {str(error['msg']).removeprefix('Value error, ')}."


_SERVERS: TypeAdapter[dict[str, Server]] = TypeAdapter(dict[Name, Server])
_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Session]] = weakref.WeakKeyDictionary()
