"""A small MCP server for tests, over stdio as a script; a test may put it behind HTTP.

The environment changes it: `TOKEN` is told by `whoami`, `OTHER_ARGUMENTS` gives `search` other arguments,
`CHATTY` makes it write its token where only messages belong.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent

server = MCPServer("docs", log_level="CRITICAL")


def search(query: str, limit: int = 3) -> str:
    """Search the documents."""
    return f"{limit} passages about {query}"


def search_by_title(title: str) -> str:
    """Search the documents."""
    return f"passages with the title {title}"


server.add_tool(search_by_title if os.environ.get("OTHER_ARGUMENTS") else search, name="search")


@server.tool()
def whoami() -> str:
    """The token that this server was given, its process, and what of the environment it sees."""
    return f"token {os.environ.get('TOKEN', 'none')}, process {os.getpid()}, key {os.environ.get('OPENAI_API_KEY')}"


@server.tool()
def broken(why: str) -> str:
    """Fail with a reason."""
    raise ToolError(f"it failed: {why}")


@server.tool()
async def slow(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(seconds)
    return "awake"


@server.tool()
def long(characters: int) -> str:
    """Answer with that many characters."""
    return "x" * characters


@server.tool()
def table() -> dict[str, Any]:
    """Answer with structured content."""
    return {"rows": 2}


@server.tool()
def picture() -> CallToolResult:
    """Answer with a picture."""
    return CallToolResult(content=[ImageContent(type="image", data="AAAA", mime_type="image/png")])


@server.tool()
def leave() -> str:
    """End the process at once."""
    os._exit(3)


if __name__ == "__main__":
    if os.environ.get("CHATTY"):
        os.write(1, f"begun with {os.environ['TOKEN']}\n".encode())
    server.run("stdio")
