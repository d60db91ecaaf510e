"""The offline model: deterministic and rule-based, it drives any network of agents without a network or a key.

It reads a request as data (instructions, conversation, tools, handoffs, output schema) and makes one move:
call one tool, hand over, or say something. The order in which it decides stands in `decide`. What the
instructions change: `Begin with: "…"`, `End with: "…"`, `Sign as …`, a formal or friendly tone, a limit on
sentences, `never use <tool>`, the words to decline with, and facts that the instructions state.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from agents import AgentOutputSchemaBase, FunctionTool, Handoff, ModelResponse, ModelSettings, Tool
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.models.interface import Model, ModelTracing
from agents.tracing import generation_span
from openai.types.responses.response_prompt_param import ResponsePromptParam

from workbench.runtime import matching
from workbench.runtime.matching import Document

CONTROL = frozenset({"search_knowledge", "abstain", "escalate"})
ENOUGH = 0.49  # a name's synonym, a description's synonym or two parameters; never one parameter alone
LOOKUPS = 3


class OfflineModel(Model):
    """A model that needs no network: the same request gives the same bytes in every process."""

    name = "offline"

    def __init__(self, *, word_delay: float = 0.0) -> None:
        self.word_delay = word_delay

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Make one move."""
        with generation_span(model=self.name, disabled=tracing.is_disabled()) as span:
            request = read(system_instructions, input, model_settings, tools, output_schema, handoffs)
            response = respond(request, salt=f"{previous_response_id or ''}|{conversation_id or ''}")
            span.span_data.usage = _span_usage(response.usage)
            return response

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Make the same move as `get_response`, word by word."""
        # Not the current span: a consumer may close this generator from another context.
        span = generation_span(model=self.name, disabled=tracing.is_disabled())
        span.start(mark_as_current=False)
        try:
            request = read(system_instructions, input, model_settings, tools, output_schema, handoffs)
            response = respond(request, salt=f"{previous_response_id or ''}|{conversation_id or ''}")
            span.span_data.usage = _span_usage(response.usage)
            for event in events(response, self.name):
                if self.word_delay and event.type == "response.output_text.delta":
                    await asyncio.sleep(self.word_delay)
                yield event
        finally:
            span.finish(reset_current=False)


# ---- the request, read ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    """Answer with words."""

    text: str


@dataclass(frozen=True)
class Use:
    """Call a tool or hand over."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """A tool or a handoff that the agent may use."""

    name: str
    description: str
    schema: Mapping[str, Any]
    kind: Literal["read", "act", "control", "handoff"]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    agent: str = ""

    @cached_property
    def document(self) -> Document:
        """What the offer is matched by."""
        if self.kind == "handoff":
            return Document(self.name, ((1.0, f"{self.agent} {self.nouns_text}"), (0.7, self.description)))
        verbs = "" if self.kind == "read" else " ".join(self.verbs)
        words = (f"{name} {spec.get('description', '')}" for name, spec in properties(self.schema).items())
        return Document(
            self.name, ((1.0, f"{verbs} {self.nouns_text}"), (0.7, self.description), (0.45, " ".join(words)))
        )

    @property
    def nouns_text(self) -> str:
        """The words of the name without its verb."""
        return " ".join(self.nouns)

    @property
    def noun_concepts(self) -> frozenset[str]:
        """What the name is about."""
        return matching.concepts(self.nouns_text)


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
        return bool(re.search(r"not.?found|no such|does(?: not|n't) exist|unknown|no \w+ (?:found|with)", self.failure))


@dataclass(frozen=True)
class Conversation:
    """What was said and done, split at the latest message of the user."""

    need: str
    latest: str
    users: tuple[str, ...]
    asked: str
    calls: tuple[Call, ...]
    visited: tuple[str, ...]
    before: str

    @property
    def now(self) -> tuple[Call, ...]:
        """The calls since the user's latest message."""
        return tuple(call for call in self.calls if call.now)


@dataclass(frozen=True)
class Style:
    """The small ways in which instructions shape a reply."""

    begin: str = ""
    end: str = ""
    tone: Literal["", "formal", "friendly"] = ""
    limit: int = 0
    decline: str = ""

    def finish(self, text: str) -> str:
        """The reply as the instructions want it."""
        if self.limit:
            text = " ".join(matching.sentences(text)[: self.limit])
        opening = {"": "", "formal": "Thank you for contacting us.", "friendly": "Hi there!"}[self.tone]
        if self.tone == "friendly":
            text = re.sub(r"^(?:Hello|Good day)!\s*", "", text)
        begin = self.begin or opening
        parts = ["" if text.startswith(begin) else begin, text, "" if text.endswith(self.end) else self.end]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Request:
    """Everything that a move depends on."""

    system: str
    conversation: Conversation
    offers: tuple[Offer, ...]
    style: Style
    today: str
    choice: str
    schema: Mapping[str, Any] | None
    material: str

    def offer(self, name: str) -> Offer | None:
        """The offer of that name."""
        return next((offer for offer in self.offers if offer.name == name), None)

    def control(self, name: str) -> Offer | None:
        """A control tool that is offered and was not used in this turn."""
        used = any(call.name == name for call in self.conversation.now)
        return None if used else self.offer(name)

    def used(self, name: str) -> Call | None:
        """The call of a control tool in this turn."""
        return next((call for call in self.conversation.now if call.name == name), None)


def read(
    system: str | None,
    items: str | list[TResponseInputItem],
    settings: ModelSettings,
    tools: Sequence[Tool],
    output: AgentOutputSchemaBase | None,
    handoffs: Sequence[Handoff],
) -> Request:
    """Read the SDK's request as data."""
    system = system or ""
    plain = [_plain(item) for item in ([{"role": "user", "content": items}] if isinstance(items, str) else items)]
    offers = [_tool_offer(tool) for tool in tools if isinstance(tool, FunctionTool)]
    offers += [_handoff_offer(handoff) for handoff in handoffs]
    schema = None if output is None or output.is_plain_text() else output.json_schema()
    today = re.search(r"(?i)\b(?:today|current date)\b[^\n]{0,20}?(\d{4}-\d{2}-\d{2})", system)
    choice = settings.tool_choice if isinstance(settings.tool_choice, str) else ""
    return Request(
        system=system,
        conversation=converse(plain),
        offers=tuple(offer for offer in offers if not forbidden(offer.name, system)),
        style=style(system),
        today=today[1] if today and matching.spoken_date(today[1]) != today[1] else "",
        choice="" if choice == "auto" else choice,
        schema=schema,
        material=json.dumps([system, plain, [offer.name for offer in offers], schema], sort_keys=True, default=repr),
    )


def _plain(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, Mapping) else item.model_dump(mode="json", exclude_unset=True)


_READS = matching.word_set(
    "find get look lookup search show check fetch retrieve display see list read view query describe count calculate "
    "track quote estimate is has can validate verify compare browse"
)
_ACTS = matching.word_set(
    "refund cancel create update delete send issue make add remove set change reset open close submit pay charge apply "
    "place process register notify upgrade downgrade renew extend reschedule schedule block unblock unlock lock replace "
    "exchange approve reject assign reserve book merge enable disable activate deactivate grant revoke pause resume "
    "subscribe unsubscribe start stop write save publish void credit reimburse return ship resend redeem confirm move "
    "edit modify erase order buy email call post report schedule dispatch give"
)
_CERTAIN_ACTS = _ACTS - matching.word_set(
    "return order email call post report move ship lock open close set charge credit"
)


def _tool_offer(tool: FunctionTool) -> Offer:
    kind, verbs, nouns = sort_name(tool.name, tool.description)
    if tool.name in CONTROL:
        return Offer(tool.name, tool.description, tool.params_json_schema, "control", (), ())
    return Offer(tool.name, tool.description, tool.params_json_schema, kind, verbs, nouns)


def sort_name(name: str, description: str = "") -> tuple[Literal["read", "act"], tuple[str, ...], tuple[str, ...]]:
    """Whether a tool looks something up or changes something, and the verbs and nouns of its name."""
    words = matching.plain(name).split()
    first = words[0] if words else ""
    if first in _READS:
        rest = words[2:] if words[:2] == ["look", "up"] else words[1:]
        return "read", (first,), tuple(rest)
    if first in _ACTS:
        return "act", (first,), tuple(words[1:])
    says = next(iter(matching.words(description)), "").removesuffix("s")
    inner = tuple(word for word in words if word in _CERTAIN_ACTS)
    if says not in _READS and inner:
        return "act", inner, tuple(word for word in words if word not in inner)
    if says in _CERTAIN_ACTS or says + "e" in _CERTAIN_ACTS:
        return "act", (says,), tuple(words)
    return "read", (), tuple(words)


def _handoff_offer(handoff: Handoff) -> Offer:
    name = matching.plain(handoff.tool_name.removeprefix("transfer_to_"))
    usual = f"Handoff to the {handoff.agent_name} agent to handle the request."
    description = handoff.tool_description.replace(usual, "").strip()
    schema = handoff.input_json_schema or {}
    return Offer(handoff.tool_name, description, schema, "handoff", (), tuple(name.split()), handoff.agent_name)


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
    return Conversation(
        need=needed(users, asked),
        latest=latest,
        users=tuple(reversed(users)),
        asked=asked,
        calls=tuple(calls),
        visited=tuple(call.name for call in visited),
        before=" ".join(users[:-1]),
    )


def text_of(item: Mapping[str, Any]) -> str:
    """The words of a message or of a tool's output."""
    content = item.get("content", item.get("output", ""))
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping)).strip()
    return str(content or "")


def _call(item: Mapping[str, Any], output: Mapping[str, Any], *, now: bool) -> Call:
    arguments = parsed(str(item.get("arguments") or "{}"))
    text = text_of({"content": output.get("output", "")})
    value = parsed(text)
    if isinstance(value, dict) and value.get("type") == "text" and "text" in value:
        text = str(value["text"])
        value = parsed(text)
    return Call(str(item.get("name")), arguments if isinstance(arguments, dict) else {}, text, value, now)


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


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


_ASKED = re.compile(r"Please tell me|Which \w+|Could you tell me")


def needed(users: Sequence[str], asked: str) -> str:
    """What the user wants now: the latest message, with the one it completes when it answers a question of ours."""
    if not users:
        return ""
    latest = users[-1]
    short = len(matching.terms(latest)) <= 8 and "?" not in latest
    if len(users) > 1 and short and _ASKED.search(asked):
        return f"{needed(users[:-1], asked if len(users) > 2 else '')} {latest}"
    return latest


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


_FAILED = re.compile(
    r"^\W*(?:error|failed|failure|an error|could not|couldn't|cannot|unable|no \w+ (?:found|with|matches)|unknown|invalid|"
    r"blocked|tool \S+ timed out|not found)\b|\bnot found\b|does not exist|doesn't exist|was not approved|timed out after",
    re.IGNORECASE,
)


# ---- the instructions -------------------------------------------------------------------------------------------------

_QUOTED = r"""["“']([^"”\n]+?)["”'](?=\s|[.,;]|$)"""
_SMALL = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "a single": 1}


def style(system: str) -> Style:
    """Read the small wishes of the instructions; everything else in them is for another model."""
    sign = re.search(r"(?i)\bsign(?: off)?(?: \w+){0,2}? (?:as|with):? [\"“]?([^\"”\n.]+)", system)
    limit = re.search(
        r"(?i)\b(?:at most|no more than|maximum of|up to|in|with) (one|two|three|four|five|a single|\d) sentences?",
        system,
    )
    friendly = re.search(r"(?i)\b(?:informal|friendly|casual|cheerful)\w*\b", system)
    formal = re.search(r"(?i)(?<!in)\bformal\w*\b", system)
    decline = re.search(
        rf"(?i)\b(?:cannot|can't|do not know|don't know|no passage|unsure)\b[^\"“\n]{{0,60}}\b(?:say|answer|reply)\b"
        rf"[^\"“\n]{{0,15}}{_QUOTED}",
        system,
    )
    return Style(
        begin=_wish(system, "begin|start|open"),
        end=_wish(system, "end|close|finish") or (sign[1].strip() if sign else ""),
        tone="friendly" if friendly else "formal" if formal else "",
        limit=(_SMALL.get(limit[1].lower()) or int(limit[1])) if limit else 0,
        decline=decline[1] if decline else "",
    )


def _wish(system: str, verbs: str) -> str:
    for line in system.splitlines():
        found = re.search(rf"(?i)\b(?:{verbs})\b(?: \w+){{0,5}}?:? {_QUOTED}", line)
        found = found or re.match(rf"(?i)\W*(?:{verbs})(?: \w+){{0,3}}?:\s*(\S.+)$", line)
        if found and not re.search(r"(?i)\b(?:never|not|don't)\b", line[: found.start(1)]):
            return found[1].strip()
    return ""


def forbidden(name: str, system: str) -> bool:
    """Whether the instructions forbid a tool outright; "never … unless" is a condition, not a ban."""
    if name.lower() not in system.lower() and matching.plain(name) not in system.lower():
        return False
    names = rf"(?:{re.escape(name)}|{re.escape(matching.plain(name))})"
    ban = rf"(?i)\b(?:never|do not|don't|must not|may not|not allowed to)\b[^.\n]{{0,40}}\b{names}\b([^.\n]*)"
    return any(
        not re.search(r"(?i)\b(?:unless|without|before|until|twice|if|when)\b", m[1]) for m in re.finditer(ban, system)
    )


def facts(system: str, need: str) -> str:
    """The sentence of the instructions that states what the user asks for; never one that speaks to the model."""
    best, share = "", 0.49
    for sentence in matching.sentences(system):
        if _TO_THE_MODEL.search(sentence) or matching.is_instruction(sentence):
            continue
        if (found := matching.overlap(need, sentence)) > share:
            best, share = sentence, found
    return best


_TO_THE_MODEL = re.compile(
    r"(?i)\b(?:you|your|never|always|must|should|do not|don't|if|when|use|call|answer|reply|ask|say|begin|start|end|sign|"
    r"keep|be|speak|write|secret|internal|confidential|private|password|key|token|tone|style|route|hand)\b"
)
