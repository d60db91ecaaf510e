"""A server on loopback that speaks the Responses wire format, for the genuine OpenAI client.

A test gives it a script: for each request in turn, the output items, or a failure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Item = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """Answer with an HTTP error."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """Begin to answer, then cut the connection."""


@dataclass(frozen=True)
class Late:
    """Answer nothing for so many seconds."""

    seconds: float


Turn = list[Item] | Status | Cut | Late


@dataclass
class Server:
    """The running server: its address, and what it was asked."""

    url: str
    script: Iterator[Turn]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def message(text: str, item_id: str = "msg_1") -> Item:
    """An assistant's message."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


def call(name: str, arguments: dict[str, Any], call_id: str) -> Item:
    """A function call."""
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": json.dumps(arguments),
        "status": "completed",
    }


@contextmanager
def serve(script: list[Turn]) -> Iterator[Server]:
    """Run the server for a block; after the script's end it answers 500."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    state = Server(f"http://127.0.0.1:{sock.getsockname()[1]}/v1", iter(script))
    config = uvicorn.Config(_app(state), log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield state
    finally:
        server.should_exit = True
        thread.join(5)
        sock.close()


def _app(state: Server) -> Starlette:
    async def responses(request: Request) -> Response:
        body = await request.json()
        state.asked.append(body)
        state.headers.append(dict(request.headers))
        turn = next(state.script, Status(500))
        if isinstance(turn, Status):
            error = {"error": {"message": "scripted", "type": "scripted", "code": "scripted"}}
            return JSONResponse(error, status_code=turn.code, headers=turn.headers)
        if isinstance(turn, Late):
            await asyncio.sleep(turn.seconds)
            return JSONResponse({}, status_code=500)
        if isinstance(turn, Cut):
            return StreamingResponse(_cut(), media_type="text/event-stream", headers={"content-length": "100000"})
        done = _envelope(body, turn)
        if body.get("stream"):
            return StreamingResponse(iter(list(_events(done, turn))), media_type="text/event-stream")
        return JSONResponse(done, headers={"x-request-id": "req_loopback"})

    async def completions(request: Request) -> Response:
        body = await request.json()
        state.asked.append(body)
        state.headers.append(dict(request.headers))
        turn = next(state.script, Status(500))
        if isinstance(turn, Status):
            return JSONResponse({"error": {"message": "scripted"}}, status_code=turn.code, headers=turn.headers)
        assert isinstance(turn, list)
        if body.get("stream"):
            return StreamingResponse(iter(list(_chunks(body, turn))), media_type="text/event-stream")
        return JSONResponse(_completion(body, turn, "message"))

    return Starlette(
        routes=[
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1/chat/completions", completions, methods=["POST"]),
        ]
    )


def _completion(body: dict[str, Any], output: list[Item], part: str) -> dict[str, Any]:
    """A chat completion, or with `delta` a chunk of one."""
    calls = [
        {
            **({"index": place} if part == "delta" else {}),
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        for place, item in enumerate(one for one in output if one["type"] == "function_call")
    ]
    text = next((item["content"][0]["text"] for item in output if item["type"] == "message"), None)
    said = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
    return {
        "id": "chat_1",
        "object": "chat.completion" if part == "message" else "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, part: said, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def _chunks(body: dict[str, Any], output: list[Item]) -> Iterator[bytes]:
    yield f"data: {json.dumps(_completion(body, output, 'delta'))}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _envelope(body: dict[str, Any], output: list[Item]) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body.get("model"),
        "status": "completed",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


async def _cut() -> Any:
    yield b'event: response.created\ndata: {"type": "response.created"'
    raise ConnectionAbortedError


def _events(done: dict[str, Any], output: list[Item]) -> Iterator[bytes]:
    number = itertools.count()

    def event(kind: str, **rest: Any) -> bytes:
        return (
            f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': next(number), **rest})}\n\n".encode()
        )

    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for place, item in enumerate(output):
        at = {"output_index": place, "item_id": item["id"]}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            yield event("response.output_item.added", output_index=place, item={**item, "content": []})
            part = {"type": "output_text", "text": "", "annotations": []}
            yield event("response.content_part.added", **at, content_index=0, part=part)
            for word in text.split(" "):
                yield event("response.output_text.delta", **at, content_index=0, delta=f"{word} ", logprobs=[])
            yield event("response.output_text.done", **at, content_index=0, text=text, logprobs=[])
            yield event("response.content_part.done", **at, content_index=0, part=item["content"][0])
        else:
            yield event("response.output_item.added", output_index=place, item={**item, "arguments": ""})
            yield event("response.function_call_arguments.delta", **at, delta=item["arguments"])
            yield event("response.function_call_arguments.done", **at, name=item["name"], arguments=item["arguments"])
        yield event("response.output_item.done", output_index=place, item=item)
    yield event("response.completed", response=done)
