"""What was said and done: the messages and tool calls of a request, sorted."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.runtime.offline import matching
from workbench.runtime.offline.wishes import OBJECTS


@dataclass(frozen=True)
class Call:
    """A finished tool call of the conversation."""

    name: str
    arguments: Mapping[str, Any]
    text: str
    value: Any
    now: bool

    @property
    def key(self) -> str:
        """Equal for the same tool with the same arguments."""
        return self.name + json.dumps(self.arguments, sort_keys=True, default=str)

    @property
    def failure(self) -> str:
        """Why the call failed, in the tool's words; empty when it did not."""
        return failure(self.value, self.text)

    @property
    def missing(self) -> bool:
        """Whether the call failed because the thing does not exist."""
        return bool(
            re.search(
                r"(?i)not.?found|no such|does(?: not|n't) exist|unknown|no \w+ (?:found|with)|there is no \w+",
                self.failure,
            )
        )


@dataclass(frozen=True)
class Conversation:
    """What was said and done, split at the latest message of the user."""

    need: str
    about: str
    latest: str
    users: tuple[str, ...]
    asked: str
    calls: tuple[Call, ...]
    visited: tuple[str, ...]

    @property
    def now(self) -> tuple[Call, ...]:
        """The calls since the user's latest message."""
        return tuple(call for call in self.calls if call.now)


def converse(items: Sequence[Mapping[str, Any]]) -> Conversation:
    """Sort the items of a conversation."""
    outputs = {str(item.get("call_id")): item for item in items if item.get("type") == "function_call_output"}
    last_user = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
    users = [text_of(item) for item in items if item.get("role") == "user"]
    calls, visited = [], []
    for i, item in enumerate(items):
        output = outputs.get(str(item.get("call_id")))
        if item.get("type") != "function_call" or output is None:
            continue
        call = _call(item, output, now=i > last_user)
        if isinstance(call.value, dict) and set(call.value) == {"assistant"}:
            visited += [call] if call.now else []
        else:
            calls.append(call)
    said = [text_of(item) for item in items[: max(last_user, 0)] if item.get("role") == "assistant"]
    latest, asked = users[-1] if users else "", said[-1] if said else ""
    need = needed(users, asked)
    return Conversation(
        need=need,
        about=f"{need} {topic(users, need)}".strip(),
        latest=latest,
        users=tuple(reversed(users)),
        asked=asked,
        calls=tuple(calls),
        visited=tuple(call.name for call in visited),
    )


def needed(users: Sequence[str], asked: str) -> str:
    """What the user wants now: the latest message, with the one it completes when it answers a question of ours."""
    if not users:
        return ""
    latest = users[-1]
    short = len(matching.terms(latest)) <= 8 and "?" not in latest
    if len(users) > 1 and short and _ASKED.search(asked):
        return f"{needed(users[:-1], asked if len(users) > 2 else '')} {latest}"
    return latest


def topic(users: Sequence[str], need: str) -> str:
    """What an earlier message was about, for a short follow-up such as "and when does it arrive?"."""
    folded = matching.fold(need)
    if len(folded.split()) > 14 or not _POINTS_BACK.search(folded) or matching.concepts(need) & OBJECTS:
        return ""
    for earlier in reversed(users[:-1]):
        if found := matching.terms(earlier):
            return " ".join([term.stem for term in found if term.concept in OBJECTS] or [term.stem for term in found])
    return ""


def failure(value: Any, text: str) -> str:
    """Why a tool's result is a failure, in its own words; empty for a success."""
    if isinstance(value, dict):
        if value.get("error"):
            error = value["error"]
            return str(error.get("message", error) if isinstance(error, dict) else error)
        message = str(value.get("message") or value.get("reason") or value.get("detail") or "")
        if value.get("found") is False:
            return message or "not found"
        if value.get("ok") is False or value.get("success") is False:
            return message or "it was refused"
        status = str(value.get("status", "")).lower()
        return (message or status) if status in ("error", "failed", "not_found", "not found", "failure") else ""
    if isinstance(value, str) and len(text) <= 400 and _FAILED.search(text):
        return text.strip()
    return ""


def text_of(item: Mapping[str, Any]) -> str:
    """The words of a message or of a tool's output."""
    content = item.get("content", item.get("output", ""))
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping)).strip()
    return str(content or "")


def parsed(text: str) -> Any:
    """The data that a text holds: JSON, a Python literal, or `name=value` pairs; otherwise the text."""
    stripped = text.strip()
    if stripped[:1] not in "{[" and not re.fullmatch(r"\w+=(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)(?:\s+\w+=.+)?", stripped):
        return text
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    pairs = re.findall(r"(\w+)=('[^']*'|\"[^\"]*\"|[^\s'\"]+)", stripped)
    return {name: _literal(value) for name, value in pairs} if pairs else text


def _call(item: Mapping[str, Any], output: Mapping[str, Any], *, now: bool) -> Call:
    arguments = parsed(str(item.get("arguments") or "{}"))
    text = text_of({"content": output.get("output", "")})
    value = parsed(text)
    if isinstance(value, dict) and value.get("type") == "text" and "text" in value:
        text = str(value["text"])
        value = parsed(text)
    return Call(str(item.get("name")), arguments if isinstance(arguments, dict) else {}, text, value, now)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


_ASKED = re.compile(r"Please tell me|Which \w+|Could you tell me")


_POINTS_BACK = re.compile(
    r"\b(?:it|its|that|this|them|they|one|es|sie|ca|lo|la|isso)\b|^\W*(?:and|what about|und|et|y|e)\b"
)


_FAILED = re.compile(
    r"^\W*(?:error|failed|failure|an error|could not|couldn't|cannot|unable|no \w+ (?:found|with|matches)|"
    r"unknown|invalid|"
    r"blocked|tool \S+ timed out|not found)\b|\bnot found\b|does not exist|doesn't exist|was not approved|"
    r"timed out after",
    re.IGNORECASE,
)
