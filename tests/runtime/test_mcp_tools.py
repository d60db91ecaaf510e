"""MCP tools: real servers over stdio and HTTP, declared by the deployment, held to what was picked, with secrets kept."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from tests.mcp_server import server as documents
from workbench.errors import Invalid, NotFound, Refused, Unavailable
from workbench.runtime import mcp_tools
from workbench.runtime.fetch import Unsettled
from workbench.runtime.spec import McpTool

SCRIPT = Path(__file__).resolve().parents[1] / "mcp_server.py"
COMMAND = [sys.executable, str(SCRIPT)]
AWKWARD = "tok-91b7 & 'x'"


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the deployment's file of servers."""

    def write(**servers: Any) -> Path:
        path = tmp_path / "servers.yaml"
        path.write_text(yaml.safe_dump(servers), encoding="utf-8")
        monkeypatch.setenv("WORKBENCH_SERVERS", str(path))
        return path

    return write


@pytest.fixture(scope="module")
def picked() -> dict[str, dict[str, Any]]:
    """The parameters of the server's tools, as they were picked."""
    tools = asyncio.run(documents.list_tools())
    return {one.name: one.input_schema for one in tools}


@pytest.fixture
def tool(picked: dict[str, dict[str, Any]]) -> Any:
    """A tool of the server as a flow declares it."""

    def make(name: str, **rest: Any) -> McpTool:
        return McpTool(kind="mcp", server="docs", tool=name, parameters=picked[name], **{"effect": "read", **rest})

    return make


class Headers:
    """Passes requests on, and keeps the authorization of each."""

    def __init__(self, app: Any) -> None:
        self.app, self.seen = app, list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += [value.decode() for name, value in scope.get("headers", ()) if name == b"authorization"]
        await self.app(scope, receive, send)


@pytest.fixture
def web() -> Iterator[tuple[str, Headers]]:
    """The same server behind HTTP on loopback: its URL, and the headers that it saw."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    app = Headers(documents.streamable_http_app())
    runner = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{sock.getsockname()[1]}/mcp", app
    runner.should_exit = True
    thread.join(5)
    sock.close()


def gone(process: int) -> bool:
    """Whether a process has ended, waiting a moment for it."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_without_a_file_there_are_no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_SERVERS", raising=False)
    assert mcp_tools.servers() == {}


def test_the_file_declares_commands_and_urls(declare: Any) -> None:
    declare(
        docs={"command": ["python", "server.py"], "env": {"TOKEN": "secret:docs"}},
        far={"url": "https://docs.example/mcp", "headers": {"Authorization": "Bearer secret:docs"}},
    )
    known = mcp_tools.servers()
    assert known["docs"].command == ("python", "server.py")
    assert known["docs"].env == {"TOKEN": "secret:docs"}
    assert known["far"].url == "https://docs.example/mcp"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"docs": {"comand": ["x"]}}, "docs.comand: unknown key; known here: command, env, url, headers."),
        ({"docs": {}}, "docs: a server has either a command or a url."),
        ({"docs": {"command": ["x"], "url": "https://a.example"}}, "docs: a server has either a command or a url."),
        ({"docs": {"url": "https://a.example", "env": {"A": "b"}}}, "docs: env belongs to a command"),
        ({"docs": {"url": "ftp://a.example"}}, "docs.url: The URL “ftp://a.example” has the scheme ftp"),
        ({"docs": {"url": "https://u:p@a.example"}}, "docs.url: The URL holds a user name or password."),
        ({"docs": {"command": "python server.py"}}, "docs.command: "),
        ({"a b": {"command": ["x"]}}, "a b: "),
        (["docs"], "the file: "),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Any, told: str
) -> None:
    path = tmp_path / "servers.yaml"
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    monkeypatch.setenv("WORKBENCH_SERVERS", str(path))
    with pytest.raises(Invalid) as refused:
        mcp_tools.servers()
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_or_not_yaml_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SERVERS", str(tmp_path / "none.yaml"))
    with pytest.raises(Invalid, match=r"none.yaml, which cannot be read"):
        mcp_tools.servers()
    (tmp_path / "none.yaml").write_text("docs: [", encoding="utf-8")
    with pytest.raises(Invalid, match=r"none.yaml is not YAML that can be read"):
        mcp_tools.servers()


def test_a_server_tells_what_it_offers(declare: Any) -> None:
    declare(docs={"command": COMMAND})
    offered = {one.name: one for one in asyncio.run(mcp_tools.offered("docs"))}
    assert list(offered) == ["broken", "leave", "long", "picture", "search", "slow", "table", "whoami"]
    assert offered["search"].description == "Search the documents."
    assert offered["search"].parameters["required"] == ["query"]


def test_a_tool_answers_over_stdio(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})
    assert asyncio.run(mcp_tools.call(tool("search"), {"query": "returns"})) == "3 passages about returns"


def test_a_tool_answers_over_http_with_its_header(
    declare: Any, tool: Any, web: tuple[str, Headers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_DOCS", "tok-91b7")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    url, app = web
    declare(docs={"url": url, "headers": {"Authorization": "Bearer secret:docs"}})
    assert asyncio.run(mcp_tools.call(tool("search"), {"query": "returns"})) == "3 passages about returns"
    assert set(app.seen) == {"Bearer tok-91b7"}
    assert len(asyncio.run(mcp_tools.offered("docs"))) == 8


def test_structured_answers_are_json_text(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})
    assert yaml.safe_load(asyncio.run(mcp_tools.call(tool("table"), {}))) == {"rows": 2}


def test_calls_of_one_loop_share_a_process_which_ends_with_the_loop(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})

    async def several() -> list[str]:
        return [*await asyncio.gather(*(mcp_tools.call(tool("whoami"), {}) for _ in range(4)))]

    told = asyncio.run(several())
    assert len(set(told)) == 1
    process = int(re.search(r"process (\d+)", told[0])[1])  # type: ignore[index]
    assert process != os.getpid()
    assert gone(process)
    assert asyncio.run(mcp_tools.call(tool("whoami"), {})) != told[0]


def test_a_connection_that_nobody_uses_is_closed(declare: Any, tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tools, "IDLE", 0.1)
    declare(docs={"command": COMMAND})

    async def use() -> tuple[int, bool, str]:
        told = await mcp_tools.call(tool("whoami"), {})
        process = int(re.search(r"process (\d+)", told)[1])  # type: ignore[index]
        for _ in range(60):
            await asyncio.sleep(0.05)
            if gone_now(process):
                break
        return process, gone_now(process), await mcp_tools.call(tool("search"), {"query": "a"})

    def gone_now(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        return False

    _, ended, again = asyncio.run(use())
    assert ended
    assert again == "3 passages about a"


def test_a_server_sees_its_secret_and_nothing_else_of_the_environment(
    declare: Any, tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_DOCS", AWKWARD)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    declare(docs={"command": COMMAND, "env": {"TOKEN": "secret:docs"}})
    told = asyncio.run(mcp_tools.call(tool("whoami"), {}))
    assert told.startswith("token [secret], process ")
    assert told.endswith("key None")


def test_a_secret_never_leaves_in_an_error_or_a_log(
    declare: Any, tool: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WORKBENCH_SECRET_DOCS", "tok-91b7")
    declare(
        docs={
            "command": [sys.executable, "-c", "import os, sys; sys.exit(os.environ['TOKEN'])"],
            "env": {"TOKEN": "secret:docs"},
        }
    )
    with pytest.raises(Unavailable) as refused:
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a"}))
    assert "The server docs does not work: [secret]." in str(refused.value)
    assert "tok-91b7" not in caplog.text + repr(refused.value)


def test_a_secret_that_a_server_repeats_is_in_no_log(
    declare: Any, tool: Any, web: tuple[str, Headers], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WORKBENCH_SECRET_DOCS", "tok-91b7")
    declare(docs={"command": COMMAND, "env": {"TOKEN": "secret:docs", "CHATTY": "yes"}})
    assert "token [secret]" in asyncio.run(mcp_tools.call(tool("whoami"), {}))
    monkeypatch.setenv("TOKEN", "tok-91b7")
    declare(docs={"url": web[0], "headers": {"Authorization": "Bearer secret:docs"}})
    assert "token [secret]" in asyncio.run(mcp_tools.call(tool("whoami"), {}))
    assert "tok-91b7" not in "".join(one.getMessage() + str(one.exc_info) for one in caplog.records)
    assert "tok-91b7" not in caplog.text


def test_a_secret_that_is_not_set_is_named(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND, "env": {"TOKEN": "secret:docs-key"}})
    with pytest.raises(Invalid, match="The secret docs-key is not set: there is no WORKBENCH_SECRET_DOCS_KEY"):
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a"}))


def test_arguments_that_do_not_fit_are_named_before_a_server_is_started(declare: Any, tool: Any) -> None:
    declare(docs={"command": ["/nonexistent"]})
    with pytest.raises(Invalid, match="limit: 'x' is not of type 'integer'; query is missing"):
        asyncio.run(mcp_tools.call(tool("search"), {"limit": "x"}))
    with pytest.raises(Invalid, match="shell is not an argument of this tool"):
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a", "shell": "rm"}))


def test_a_tool_without_parameters_must_be_picked_again(declare: Any) -> None:
    declare(docs={"command": COMMAND})
    with pytest.raises(Invalid, match="Pick it again"):
        asyncio.run(mcp_tools.call(McpTool(kind="mcp", server="docs", tool="search"), {}))


def test_a_tool_that_changed_since_it_was_picked_is_refused(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND, "env": {"OTHER_ARGUMENTS": "yes"}})
    with pytest.raises(Invalid, match="docs offers other arguments for search than when it was picked"):
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a"}))
    missing = tool("search").model_copy(update={"tool": "find"})
    with pytest.raises(Invalid, match=r"docs offers no tool find any more\. It offers: broken, leave, long"):
        asyncio.run(mcp_tools.call(missing, {"query": "a"}))


def test_an_unknown_server_is_told_with_the_known_ones(declare: Any, tool: Any) -> None:
    declare(other={"command": COMMAND})
    with pytest.raises(NotFound, match=r"There is no server docs here. Known: other. Declare it in the file"):
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a"}))
    with pytest.raises(NotFound, match="There is no server docs here"):
        asyncio.run(mcp_tools.offered("docs"))


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({"command": ["/nonexistent/server"]}, "the command /nonexistent/server cannot be started"),
        (
            {"command": [sys.executable, "-c", "import nothing_like_it"]},
            "ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ({"command": ["/bin/false"]}, "Connection closed"),
        ({"command": ["/bin/cat"]}, "Method not found"),
        ({"url": "http://127.0.0.1:9/mcp"}, "connection"),
    ],
)
def test_a_server_that_cannot_start_is_told_with_what_to_do(
    declare: Any, tool: Any, server: dict[str, Any], told: str
) -> None:
    declare(docs=server)
    with pytest.raises(Unavailable) as refused:
        asyncio.run(mcp_tools.call(tool("search"), {"query": "a"}))
    assert refused.value.message.startswith("The server docs does not work: ")
    assert told.lower() in refused.value.message.lower()
    assert "Check the server's command or URL in the file that WORKBENCH_SERVERS names" in refused.value.remedy


def test_an_error_of_the_tool_is_told(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})
    with pytest.raises(Invalid, match=r"broken of docs failed: .*it failed: no reason"):
        asyncio.run(mcp_tools.call(tool("broken"), {"why": "no reason"}))


def test_an_answer_that_is_too_long_or_no_text_is_refused(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})

    async def calls() -> tuple[str, str, int]:
        with pytest.raises(Refused) as long:
            await mcp_tools.call(tool("long"), {"characters": 200_001})
        with pytest.raises(Invalid) as picture:
            await mcp_tools.call(tool("picture"), {})
        return str(long.value), str(picture.value), len(await mcp_tools.call(tool("long"), {"characters": 200_000}))

    long, picture, longest = asyncio.run(calls())
    assert "long of docs answered with 200,001 characters; at most 200,000 are taken" in long
    assert picture == "picture of docs answered with image, which is not text."
    assert longest == 200_000


def test_a_slow_tool_is_left_and_the_connection_goes_on(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})

    async def calls() -> tuple[float, str]:
        await mcp_tools.offered("docs")
        begun = time.perf_counter()
        with pytest.raises(Unavailable, match=r"slow of docs took longer than 0.2 seconds"):
            await mcp_tools.call(tool("slow", timeout=0.2), {"seconds": 20})
        return time.perf_counter() - begun, await mcp_tools.call(tool("search"), {"query": "a"})

    seconds, answer = asyncio.run(calls())
    assert seconds < 5
    assert answer == "3 passages about a"


def test_a_server_that_ends_in_a_call_is_told_and_started_again_for_the_next(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})

    async def calls() -> tuple[str, str]:
        with pytest.raises(Unavailable) as ended:
            await mcp_tools.call(tool("leave"), {})
        return ended.value.message, await mcp_tools.call(tool("search"), {"query": "a"})

    ended, answer = asyncio.run(calls())
    assert ended == "The server docs does not work: Connection closed."
    assert answer == "3 passages about a"


def test_a_connection_that_breaks_in_a_call_that_writes_may_have_taken_effect(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})
    with pytest.raises(Unsettled, match=r"Connection closed\. The call may have taken effect"):
        asyncio.run(mcp_tools.call(tool("leave", effect="write"), {}))


def test_calls_that_are_cancelled_leave_no_process_behind(declare: Any, tool: Any) -> None:
    declare(docs={"command": COMMAND})

    async def cancelled() -> int:
        told = await mcp_tools.call(tool("whoami"), {})
        calls = [asyncio.create_task(mcp_tools.call(tool("slow"), {"seconds": 20})) for _ in range(3)]
        await asyncio.sleep(0.1)
        for one in calls:
            one.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*calls, return_exceptions=True)
        )
        return int(re.search(r"process (\d+)", told)[1])  # type: ignore[index]

    assert gone(asyncio.run(cancelled()))


def test_a_start_that_is_cancelled_twice_leaves_no_process_behind(declare: Any, tool: Any, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    declare(docs={"command": [sys.executable, "-c", script]})

    async def cancelled() -> None:
        one = asyncio.create_task(mcp_tools.call(tool("search"), {"query": "a"}))
        while not note.exists() or not note.read_text():
            await asyncio.sleep(0.01)
        for _ in range(2):
            one.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await one

    asyncio.run(cancelled())
    assert gone(int(note.read_text()))
