"""The SDK's response to a request, and the events of its stream."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from agents import ModelResponse, Usage
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseInProgressEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from workbench.runtime.offline.decision import decide
from workbench.runtime.offline.request import Request, Use


def respond(request: Request, *, salt: str = "") -> ModelResponse:
    """Turn the move into the SDK's response; every id comes from the request."""
    move = decide(request)
    digest = hashlib.sha256((salt + request.material).encode()).hexdigest()[:24]
    item: TResponseOutputItem
    if isinstance(move, Use):
        arguments = json.dumps(move.arguments, ensure_ascii=False)
        item = ResponseFunctionToolCall(
            id=f"fc_{digest}",
            call_id=f"call_{digest}",
            name=move.name,
            arguments=arguments,
            type="function_call",
            status="completed",
        )
        size = len(arguments) + len(move.name)
    else:
        content = ResponseOutputText(text=move.text, type="output_text", annotations=[], logprobs=[])
        item = ResponseOutputMessage(
            id=f"msg_{digest}", content=[content], role="assistant", type="message", status="completed"
        )
        size = len(move.text)
    spent, made = max(1, len(request.material) // 4), max(1, -(-size // 4))
    usage = Usage(requests=1, input_tokens=spent, output_tokens=made, total_tokens=spent + made)
    return ModelResponse(output=[item], usage=usage, response_id=f"resp_{digest}")


def events(response: ModelResponse, model: str) -> Iterator[TResponseStreamEvent]:
    """The events of a stream: words one by one, then the whole response."""
    for number, make in enumerate(_parts(response, model)):
        yield make(number)


def _parts(response: ModelResponse, model: str) -> Iterator[Callable[[int], TResponseStreamEvent]]:
    whole = _whole(response, model)
    empty = whole.model_copy(update={"output": [], "status": "in_progress", "usage": None})
    yield lambda n: ResponseCreatedEvent(type="response.created", response=empty, sequence_number=n)
    yield lambda n: ResponseInProgressEvent(type="response.in_progress", response=empty, sequence_number=n)
    for item in response.output:
        if isinstance(item, ResponseOutputMessage):
            yield from _message_parts(item)
        elif isinstance(item, ResponseFunctionToolCall):
            yield from _call_parts(item)
    yield lambda n: ResponseCompletedEvent(type="response.completed", response=whole, sequence_number=n)


def _message_parts(item: ResponseOutputMessage) -> Iterator[Callable[[int], TResponseStreamEvent]]:
    part = item.content[0]
    if not isinstance(part, ResponseOutputText):
        return
    at: dict[str, Any] = {"item_id": item.id, "output_index": 0, "content_index": 0}
    started = item.model_copy(update={"content": [], "status": "in_progress"})
    blank = part.model_copy(update={"text": ""})
    yield lambda n: ResponseOutputItemAddedEvent(
        type="response.output_item.added", item=started, output_index=0, sequence_number=n
    )
    yield lambda n: ResponseContentPartAddedEvent(
        type="response.content_part.added", part=blank, sequence_number=n, **at
    )
    for word in re.findall(r"\s*\S+\s*", part.text) or [part.text]:
        yield lambda n, word=word: ResponseTextDeltaEvent(  # type: ignore[misc]
            type="response.output_text.delta", delta=word, logprobs=[], sequence_number=n, **at
        )
    yield lambda n: ResponseTextDoneEvent(
        type="response.output_text.done", text=part.text, logprobs=[], sequence_number=n, **at
    )
    yield lambda n: ResponseContentPartDoneEvent(type="response.content_part.done", part=part, sequence_number=n, **at)
    yield lambda n: ResponseOutputItemDoneEvent(
        type="response.output_item.done", item=item, output_index=0, sequence_number=n
    )


def _call_parts(item: ResponseFunctionToolCall) -> Iterator[Callable[[int], TResponseStreamEvent]]:
    at: dict[str, Any] = {"item_id": item.id, "output_index": 0}
    started = item.model_copy(update={"arguments": "", "status": "in_progress"})
    yield lambda n: ResponseOutputItemAddedEvent(
        type="response.output_item.added", item=started, output_index=0, sequence_number=n
    )
    yield lambda n: ResponseFunctionCallArgumentsDeltaEvent(
        type="response.function_call_arguments.delta", delta=item.arguments, sequence_number=n, **at
    )
    yield lambda n: ResponseFunctionCallArgumentsDoneEvent(
        type="response.function_call_arguments.done", arguments=item.arguments, name=item.name, sequence_number=n, **at
    )
    yield lambda n: ResponseOutputItemDoneEvent(
        type="response.output_item.done", item=item, output_index=0, sequence_number=n
    )


def _whole(response: ModelResponse, model: str) -> Response:
    usage = response.usage
    return Response(
        id=response.response_id or "",
        created_at=0,
        model=model,
        object="response",
        output=response.output,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=False,
        status="completed",
        usage=ResponseUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        ),
    )
