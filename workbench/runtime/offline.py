"""The offline model: deterministic and rule-based, it drives any network of agents without a network or a key.

It reads a request as data (instructions, conversation, tools, handoffs, output schema) and makes one move:
call one tool, hand over, or say something. The order in which it decides stands in `decide`. What the
instructions change: `Begin with: "…"`, `End with: "…"`, `Sign as …`, a formal or friendly tone, a limit on
sentences, `never use <tool>`, the words to decline with, and facts that the instructions state.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from agents import AgentOutputSchemaBase, FunctionTool, Handoff, ModelResponse, ModelSettings, Tool, Usage
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from agents.models.interface import Model, ModelTracing
from agents.tracing import generation_span
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
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from workbench.runtime import matching
from workbench.runtime.matching import Document, Match, Mention

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


# ---- the request, read ----------------------------------------------------------------------------------------------


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

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """What tools and earlier calls named, the newest first."""
        return known_from(self.conversation.calls)

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
    "place process register notify upgrade downgrade renew extend reschedule block unblock unlock lock replace "
    "exchange approve reject assign reserve book merge enable disable activate deactivate grant revoke pause resume "
    "subscribe unsubscribe start stop write save publish void credit reimburse return ship resend redeem confirm move "
    "edit modify erase buy email call post report schedule dispatch give"
)
_STATES = matching.word_set("status history details info information list summary report state overview")
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
    says = next(iter(matching.words(description)), "").removesuffix("s")
    told = set(words[1:]) & _STATES or says in _READS
    if first in _CERTAIN_ACTS or (first in _ACTS and not told):
        return "act", (first,), tuple(words[1:])
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


_POINTS_BACK = re.compile(
    r"\b(?:it|its|that|this|them|they|one|es|sie|ca|lo|la|isso)\b|^\W*(?:and|what about|und|et|y|e)\b"
)


def topic(users: Sequence[str], need: str) -> str:
    """What an earlier message was about, for a short follow-up such as "and when does it arrive?"."""
    folded = matching.fold(need)
    if len(folded.split()) > 14 or not _POINTS_BACK.search(folded) or matching.concepts(need) & _OBJECTS:
        return ""
    for earlier in reversed(users[:-1]):
        if found := matching.terms(earlier):
            return " ".join([term.stem for term in found if term.concept in _OBJECTS] or [term.stem for term in found])
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


_FAILED = re.compile(
    r"^\W*(?:error|failed|failure|an error|could not|couldn't|cannot|unable|no \w+ (?:found|with|matches)|"
    r"unknown|invalid|"
    r"blocked|tool \S+ timed out|not found)\b|\bnot found\b|does not exist|doesn't exist|was not approved|"
    r"timed out after",
    re.IGNORECASE,
)


# ---- the instructions -----------------------------------------------------------------------------------------------

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
        if not _FACT.match(sentence) or _TO_THE_MODEL.search(sentence) or matching.is_instruction(sentence):
            continue
        if (found := matching.overlap(need, sentence)) > share:
            best, share = sentence, found
    return best


_FACT = re.compile(
    r"(?i)(?:our|we|all|every|the (?:shop|store|company|office|price|delivery|shipping|warranty)|\w+ costs?)\b"
)
_TO_THE_MODEL = re.compile(
    r"(?i)\b(?:you|your|never|always|must|should|do not|don't|if|when|use|call|answer|reply|ask|say|begin|"
    r"start|end|sign|"
    r"keep|be|speak|write|secret|internal|confidential|private|password|key|token|tone|style|route|hand)\b"
)


# ---- the decision ---------------------------------------------------------------------------------------------------


def decide(request: Request) -> Say | Use:
    """The next move: the first of these steps that has one."""
    if request.choice == "none":
        return _say(request, answer(request))
    steps: tuple[Callable[[Request], Say | Use | None], ...] = (
        _forced,
        _to_a_person,
        _business,
        _search,
        _decline,
    )
    for step in steps:
        if move := step(request):
            return move
    return _say(request, answer(request))


def _forced(request: Request) -> Use | None:
    """Follow `tool_choice`, unless that would repeat a call."""
    if not request.choice:
        return None
    named = request.offer(request.choice)
    offers = [named] if named else _by_score(request) if request.choice == "required" else []
    for offer in offers:
        arguments, _ = fill_arguments(request, offer, complete=True)
        move = Use(offer.name, arguments)
        if not _repeats(request, move):
            return move
    return None


def _by_score(request: Request) -> list[Offer]:
    """All offers, those whose arguments are known first, then the best match."""
    scores = matching.rank(request.conversation.need, [offer.document for offer in request.offers])

    def order(offer: Offer) -> tuple[bool, bool, bool, float]:
        unasked = offer.kind == "act" and not asks_for(request.conversation.need, offer)
        unknown = bool(fill_arguments(request, offer)[1])
        return unasked, offer.kind == "control" and offer.name != "search_knowledge", unknown, -scores[offer.name].score

    return sorted(request.offers, key=order)


def _repeats(request: Request, move: Use) -> bool:
    key = Call(move.name, move.arguments, "", "", True).key
    return any(call.key == key and (call.now or not call.failure) for call in request.conversation.calls)


_TALK = (
    r"(?:speak|talk|chat|connect|transfer|get|give|put|reach|pass|want|need|hablar|falar|parler|sprechen|"
    r"contact)\b.{0,40}"
    r"\b(?:human|person|agent|manager|supervisor|representative|someone|somebody|colleague|humano|persona|"
    r"gerente|pessoa|"
    r"humain|conseiller|quelqu'un|responsable|alguien|alguem)\b"
)
_PERSON = re.compile(
    rf"\b{_TALK}|\b(?:real|live|actual) (?:human|person|agent)\b|\bhuman (?:being|please|agent)\b|"
    rf"^\W*(?:human|agent|manager)\W*$"
    r"|\b(?:mit (?:einem |einer )?(?:menschen?|mitarbeiter\w*|vorgesetzten))\b|\bcomplain\w*|\b(?:lawyer|"
    r"attorney|ombudsman|"
    r"legal action|take legal|sue you|beschwer\w+|anwalt|avocat|plainte|reclamation|reclamacion|queja|"
    r"reclamacao|abogado|"
    r"advogado)\b"
)


def wants_a_person(text: str) -> bool:
    """Whether the user demands a person, complains formally or speaks of the law."""
    return any(
        found and not _NEGATION.search(clause[: found.start()][-25:])
        for clause in _clauses(text)
        for found in [_PERSON.search(clause)]
    )


def _to_a_person(request: Request) -> Use | Say | None:
    need = request.conversation.need
    if request.used("escalate"):
        return _say(request, answer(request))
    offer = request.control("escalate")
    if offer is None or not wants_a_person(need):
        return None
    given = {"summary": _summary(request), "question": request.conversation.latest}
    return Use(offer.name, fill_arguments(request, offer, complete=True, given=given)[0])


def _summary(request: Request) -> str:
    said = request.conversation.users[1:2]
    told = [
        sentence for call in request.conversation.calls if call.name not in CONTROL for sentence in tell(call, "")[:1]
    ]
    parts = [f"The customer writes: {request.conversation.latest}", *[f"Earlier: {text}" for text in said], *told[-2:]]
    return " ".join(parts)[:600]


# ---- tools and handoffs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What the agent's own tools could do about the need."""

    acts: tuple[Offer, ...]
    reads: tuple[Offer, ...]
    matches: Mapping[str, Match]

    @property
    def best(self) -> float:
        """The score of the best own tool."""
        return max((self.matches[offer.name].score for offer in (*self.acts, *self.reads)), default=0.0)


def plan(request: Request) -> Plan:
    """Which of the agent's own tools concern the need: actions only when the user's words ask for them."""
    need = request.conversation.need
    business = [offer for offer in request.offers if offer.kind != "control"]
    matches = matching.rank(request.conversation.about, [offer.document for offer in business])
    acts = [offer for offer in business if offer.kind == "act" and asks_for(need, offer)]
    lookups = [offer for offer in business if offer.kind == "read"]
    reads = [offer for offer in lookups if _concerns(offer, matches[offer.name], acts)]
    if not reads and not acts:
        reads = [offer for offer in lookups if _is_answered(request, offer)]
        reads.sort(key=lambda offer: not _takes_integers(offer))
        if not reads and len(lookups) == 1 and "status" in matches[lookups[0].name].matched:
            reads = lookups
    else:
        reads.sort(key=lambda offer: -matches[offer.name].score)
    return Plan(tuple(acts), tuple(reads), matches)


_VAGUE = frozenset(
    {"email", "status", "create", "change", "amount", "send", "customer", "problem", "use", "work", "take", "make"}
)


def _concerns(offer: Offer, match: Match, acts: Sequence[Offer]) -> bool:
    weight = sum(earned for _, earned in match.because)
    if weight >= ENOUGH and match.matched - _VAGUE:
        return True
    specs = properties(offer.schema)
    ids = {name for name in required(offer.schema) if is_id(name, specs[name])}
    return any(ids & set(required(act.schema)) for act in acts)


def _takes_integers(offer: Offer) -> bool:
    return any(kind_of(spec) == "integer" for spec in properties(offer.schema).values())


def _identifies(schema: Mapping[str, Any]) -> bool:
    return any(is_id(name, spec) or "mail" in name.lower() for name, spec in properties(schema).items())


def _is_answered(request: Request, offer: Offer) -> bool:
    """Whether the message names exactly the id that the tool needs, as in "where is 1042?"."""
    latest = request.conversation.latest
    has_id = any(m.kind != "money" for m in matching.mentions(latest)) or matching.EMAIL.search(latest) is not None
    return has_id and _identifies(offer.schema) and not fill_arguments(request, offer)[1]


def _business(request: Request) -> Use | Say | None:
    """Hand over, look up, act, or ask for what is missing."""
    mine = plan(request)
    if handoff := best_handoff(request, mine):
        return Use(handoff.name, fill_arguments(request, handoff, complete=True)[0])
    if any(call.failure for call in request.conversation.now if call.name not in CONTROL):
        return _say(request, answer(request))
    if move := _look_up(request, mine) or _act(request, mine):
        return move
    return _ask(request, mine)


_ROUTER = frozenset(
    {"triage", "router", "rout", "dispatch", "dispatcher", "reception", "receptionist", "front", "concierg"}
)


def best_handoff(request: Request, mine: Plan) -> Offer | None:
    """The handoff that fits clearly better than the agent's own tools; after one handoff, only to somebody new."""
    visited = request.conversation.visited
    candidates = [offer for offer in request.offers if offer.kind == "handoff" and offer.name not in visited]
    if visited:
        here = matching.concepts(" ".join(matching.plain(name) for name in visited))
        candidates = (
            []
            if mine.best or len(visited) > 2
            else [
                offer
                for offer in candidates
                if not {term.stem for term in matching.terms(f"{offer.nouns_text} {offer.description}")} & _ROUTER
                and mine.matches[offer.name].matched - here
            ]
        )
    best = max(candidates, key=lambda offer: mine.matches[offer.name].score, default=None)
    if best is None or any(call.now and call.name not in CONTROL for call in request.conversation.calls):
        return None
    match = mine.matches[best.name]
    fits = sum(weight for _, weight in match.because) >= ENOUGH or _person_handoff(request, best)
    return best if fits and match.score > mine.best else None


def _person_handoff(request: Request, offer: Offer) -> bool:
    return "person" in matching.concepts(offer.nouns_text) and wants_a_person(request.conversation.need)


def _look_up(request: Request, mine: Plan) -> Use | None:
    """The next look-up that can teach something new, at most a few in a turn."""
    conversation = request.conversation
    done = [call for call in recalled(request, mine) if (offer := request.offer(call.name)) and offer.kind == "read"]
    covered = {word for call in done for word in mine.matches[call.name].matched}
    if sum(call.now for call in done) >= LOOKUPS or any(
        act.name == call.name for act in mine.acts for call in conversation.now
    ):
        return None
    for offer in mine.reads:
        match = mine.matches[offer.name].matched - (_VAGUE - {"status"})
        if done and (mine.acts or not match - covered):
            continue
        arguments, missing = fill_arguments(request, offer)
        move = Use(offer.name, arguments)
        if not missing and not _repeats(request, move):
            return move
        if not missing:
            return None
    return None


def recalled(request: Request, mine: Plan) -> list[Call]:
    """The calls that bear on the need: those of this turn, and earlier ones that would otherwise be repeated."""
    found = [call for call in request.conversation.calls if call.now and call.name not in CONTROL]
    for offer in (*mine.acts, *mine.reads):
        arguments, missing = fill_arguments(request, offer)
        key = Call(offer.name, arguments, "", "", False).key
        found += [
            call
            for call in request.conversation.calls
            if not missing and not call.now and call.key == key and not call.failure
        ][-1:]
    return found


def _act(request: Request, mine: Plan) -> Use | None:
    """The next action that the user asked for and that has not been done."""
    done = {call.name for call in request.conversation.now}
    for offer in mine.acts:
        arguments, missing = fill_arguments(request, offer)
        move = Use(offer.name, arguments)
        if not missing and offer.name not in done and not _repeats(request, move):
            return move
    return None


def _ask(request: Request, mine: Plan) -> Say | None:
    """Ask for what the tool that fits best still needs."""
    known = recalled(request, mine)
    done = {call.name for call in known}
    general = is_general(request.conversation.need) and (
        request.control("search_knowledge") or request.used("search_knowledge")
    )
    waiting = [offer for offer in mine.acts if offer.name not in done]
    if not waiting and not known and not general:
        waiting = list(mine.reads)
    for offer in waiting:
        missing = fill_arguments(request, offer)[1]
        if missing:
            return _say(request, question(offer, missing))
    return _say(request, answer(request)) if known else None


# ---- what the user's words ask for ----------------------------------------------------------------------------------

_NEGATION = re.compile(
    r"\b(?:not|no|never|without|dont|don't|doesn't|didn't|won't|nicht|kein\w*|pas|nao|instead of|rather than)\b"
)
_EXPLICIT = re.compile(
    r"\b(?:please|i want|i'd like|i would like|we want|we would like|i need|we need|i wish|can you|could you|would you|"
    r"will you|let's|go ahead|give me|get me|send me|i demand|bitte|mochte|moechte|will ich|ich will|"
    r"brauche|je veux|je voudrais|s'il|j'aimerais|por favor|"
    r"quiero|quisiera|necesito|gostaria|quero|preciso|yes)\b"
)
_INFORMATION = re.compile(
    r"^\W*(?:and |so |but |hello |hi |hey )?(?:how|what|when|why|which|where|who|is|are|was|were|did|does|"
    r"do|has|have|will|"
    r"should|if|wie|was|wann|warum|wo|welche\w*|comment|quand|pourquoi|quel\w*|como|cuando|cuanto|que|"
    r"qual|quando|quanto|por que)\b"
)
_PERMISSION = re.compile(r"\b(?:can|could|may|am|is it possible|kann|darf|puis|puedo|posso)\b(?: i| we| ich| one)?\b")
_STATE = re.compile(
    r"\b(?:status|arriv\w+|receiv\w+|yet|still|pending|happen\w*|waiting|where|policy|policies|deadline|long)\b"
)
_PAST = re.compile(r"\b(?:i|we|was|were|been|have|has|had|already|got|is|you|they|ive|i've|just)(?: \w+)? ")
_OWN = re.compile(r"\b(?:my|mine|our|mein\w*|mon|ma|mes|mi|mis|meu|minha|unser\w*|notre)\b")
_GENERIC = frozenset(
    {"create", "change", "send", "book", "issue", "process", "submit", "set", "apply", "give", "start", "do"}
)
_SILENT = frozenset({"issue", "process", "do", "apply", "set"})  # "I have an issue" asks for nothing
_OBJECTS = matching.word_set(
    "order subscription account invoice address payment flight room hotel appointment ticket login book warranty"
)


def _clauses(text: str) -> list[str]:
    return [
        part.strip()
        for part in re.split(r"[.!?;,:]\s|[.!?]$|\b(?:but|aber|mais|pero|mas)\b|\n", matching.fold(text))
        if part.strip()
    ]


def asks_for(need: str, offer: Offer) -> bool:
    """Whether the user's words ask for this action: its verb, as a wish and not as a question, and no other object."""
    about = matching.concepts(need)
    nouns = offer.noun_concepts
    shared = nouns & about
    if nouns and not shared and (_OBJECTS & about):
        return False
    verbs = {matching.concept(verb) for verb in offer.verbs if verb not in _SILENT}
    if nouns and (not verbs or verbs & _GENERIC):
        return bool(shared) and any(_wishes(need, clause, verbs, nouns) for clause in _clauses(need))
    return any(_wishes(need, clause, verbs, frozenset()) for clause in _clauses(need))


def _wishes(need: str, clause: str, verbs: set[str], nouns: frozenset[str]) -> bool:
    words = matching.words(clause)
    known = [matching.concept(word) for word in words]
    explicit = bool(_EXPLICIT.search(clause))
    at = next((i for i, word in enumerate(known) if word in verbs), -1)
    if at < 0 and nouns:
        noun = next((i for i, word in enumerate(known) if word in nouns), -1)
        renewed = re.search(r"\b(?:new|neue\w*|nouvel\w*|nueva|nova)\b", clause) and "change" in verbs
        at = noun if noun >= 0 and (explicit or noun == 0 or renewed or _PERMISSION.match(clause)) else -1
    if at < 0 or _NEGATION.search(" ".join(words[max(0, at - 5) : at])):
        return False
    if explicit and not re.search(r"\b(?:know|tell me|wondering|explain)\b", clause):
        return True
    if _STATE.search(clause):
        return False
    if _PERMISSION.match(clause):
        return bool(_OWN.search(clause) or any(m.kind != "count" and len(m.text) > 2 for m in matching.mentions(need)))
    if _INFORMATION.search(clause):
        return False
    return not (words[at].endswith("ed") and _PAST.search(" ".join(words[max(0, at - 2) : at]) + " "))


def is_general(need: str) -> bool:
    """Whether this is a question about how things are done, not about something of the user's own."""
    folded = matching.fold(need).strip()
    asks = "?" in need or bool(_INFORMATION.search(folded) or _PERMISSION.match(folded))
    ids = any(m.kind == "code" or m.marked or (m.whole and len(m.text) > 3) for m in matching.mentions(need))
    return asks and not ids and not _OWN.search(folded) and not matching.EMAIL.search(need)


# ---- knowledge ------------------------------------------------------------------------------------------------------


def _search(request: Request) -> Use | None:
    """Search the help articles for a question that no tool and no handoff answers."""
    offer = request.control("search_knowledge")
    if (
        offer is None
        or small_talk(request)
        or facts(request.system, request.conversation.need)
        or not matching.terms(request.conversation.about)
    ):
        return None
    given = {"query": request.conversation.about}
    return Use(offer.name, fill_arguments(request, offer, complete=True, given=given)[0])


def _decline(request: Request) -> Use | None:
    """Decline when the knowledge was searched in vain, or when there is nothing at all to answer from."""
    offer = request.control("abstain")
    searched = request.used("search_knowledge")
    if offer is None or (searched and quotation(request.conversation.about, searched)):
        return None
    nothing = not any(o.kind != "control" for o in request.offers) and not facts(
        request.system, request.conversation.need
    )
    if not searched and (not nothing or small_talk(request) or "?" not in request.conversation.need):
        return None
    reason = f"Nothing at hand answers: {request.conversation.need}"[:300]
    return Use(offer.name, fill_arguments(request, offer, complete=True, given={"reason": reason})[0])


def quotation(need: str, call: Call) -> str:
    """The best one or two sentences of the passages with their ids; empty when they do not answer."""
    value = call.value if isinstance(call.value, dict) else {}
    passages = [passage for passage in value.get("passages") or [] if isinstance(passage, dict)]
    if not value.get("enough") or call.failure:
        return ""
    scored = []
    for place, passage in enumerate(passages):
        title = str(passage.get("title", ""))
        for line, sentence in enumerate(matching.sentences(str(passage.get("text", "")))):
            said = matching.overlap(need, sentence)
            share = said + 0.3 * matching.overlap(need, title) - 0.02 * place
            if said > 0 and not matching.is_instruction(sentence) and not sentence.endswith("?") and sentence != title:
                scored.append((share, said, place, line, sentence, str(passage.get("id", ""))))
    scored.sort(key=lambda entry: (-entry[0], entry[2], entry[3]))
    if not scored or scored[0][0] < 0.15:
        return ""
    chosen = [entry for entry in scored[:2] if entry[1] >= 0.75 * scored[0][1]]
    return " ".join(f"{sentence.rstrip('. ')} [{source}]." for *_, sentence, source in chosen)


# ---- arguments ------------------------------------------------------------------------------------------------------


class _Unknown:
    """The value that nothing in the conversation tells."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
_MONEY_WORDS = matching.word_set("amount price total cost fee sum value budget cents payment balance credit limit")
_PARTLY = re.compile(r"\b(?:half|part|partly|partial\w*|percent|halfte|teil\w*|moitie|partie|mitad|parte|metade)\b|%")
_FREE_TEXT = matching.word_set(
    "query question reason summary note notes message text description details comment comments body content input "
    "subject topic issue problem request title explanation rationale feedback remark remarks prompt"
)
_REPLY_TEXT = matching.word_set("answer reply response message text output content body explanation")
_DATE_WORDS = matching.word_set(
    "date day when deadline birthday since until arrival departure checkin checkout start end from to due"
)
_COUNT_HINTS = matching.word_set(
    "quantity count qty people guests attendees persons seats nights days items number participants"
)


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of an object schema."""
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def required(schema: Mapping[str, Any]) -> list[str]:
    """The properties that must have a real value: required, without a default and not nullable."""
    specs = properties(schema)
    return [
        name
        for name in schema.get("required") or []
        if name in specs and "default" not in specs[name] and not _nullable(specs[name])
    ]


def _nullable(spec: Mapping[str, Any]) -> bool:
    kinds = spec.get("type")
    branches = [*(spec.get("anyOf") or []), *(spec.get("oneOf") or [])]
    return (
        kinds == "null"
        or (isinstance(kinds, list) and "null" in kinds)
        or any(b.get("type") == "null" for b in branches)
    )


def is_id(name: str, spec: Mapping[str, Any]) -> bool:
    """Whether a parameter names one thing: `order_id`, `tracking_number`, or described so."""
    words = matching.words(name)
    says = " ".join(matching.words(str(spec.get("description", ""))))
    named = bool(matching.ID_WORDS & set(words)) and words[:2] != ("number", "of")
    return named or bool(_ID_SAYS.search(says))


_ID_SAYS = re.compile(
    r"\b(?:id|code|reference) of\b|\b(?:order|invoice|ticket|customer|tracking|flight) (?:id|number|code)\b"
)


def fill_arguments(
    request: Request, offer: Offer, *, complete: bool = False, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[tuple[str, Mapping[str, Any]]]]:
    """The arguments of a call, and the required ones that nothing tells."""
    filler = Filler(evidence(request), offer.schema, complete=complete, given=given or {})
    value = filler.object(offer.schema, 0, top=True)
    return (value if isinstance(value, dict) else {}), filler.missing


@dataclass(frozen=True)
class Known:
    """A value that a tool or an earlier call named."""

    concepts: frozenset[str]
    value: Any


@dataclass(frozen=True)
class Evidence:
    """What arguments may be taken from."""

    need: str
    texts: tuple[str, ...]
    known: tuple[Known, ...]
    asked: str = ""
    today: str = ""
    reply: str = ""


def evidence(request: Request, reply: str = "") -> Evidence:
    """Collect what the conversation tells, the newest first."""
    conversation = request.conversation
    return Evidence(
        need=conversation.need,
        texts=conversation.users,
        known=request.known,
        asked=conversation.asked,
        today=request.today,
        reply=reply,
    )


def known_from(calls: Sequence[Call]) -> tuple[Known, ...]:
    """The values that the calls of a conversation named, the newest first."""
    known: list[Known] = []
    for call in reversed(calls):
        if call.name in CONTROL or call.failure:
            continue
        nouns = frozenset(matching.concepts(" ".join(sort_name(call.name)[2])))
        for path, value in leaves(call.value):
            words = _label_concepts(" ".join(path))
            known.append(Known(words | nouns if words <= matching.ID_WORDS | {"name"} else words, value))
        known += [Known(_label_concepts(name), value) for name, value in leaves_of_arguments(call.arguments)]
    return tuple(known)


@lru_cache(maxsize=4096)
def _label_concepts(label: str) -> frozenset[str]:
    return frozenset(matching.concept(word) for word in matching.words(label))


def leaves(value: Any, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar of nested data with its path; of a list only the first few entries."""
    if depth > 6:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)), depth + 1)
    elif isinstance(value, list):
        for inner in value[:5]:
            yield from leaves(inner, path, depth + 1)
    elif value is not None and path:
        yield path, value


def leaves_of_arguments(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The scalar arguments of a call."""
    return [(name, value) for name, value in arguments.items() if isinstance(value, (str, int, float)) and value != ""]


class Filler:
    """Fills one JSON schema from evidence. With `complete`, the unknown gets a sensible zero, not a question."""

    def __init__(
        self, evidence: Evidence, root: Mapping[str, Any], *, complete: bool, given: Mapping[str, Any]
    ) -> None:
        self.evidence, self.root, self.complete, self.given = evidence, root, complete, given
        self.missing: list[tuple[str, Mapping[str, Any]]] = []

    def resolve(self, schema: Any) -> Mapping[str, Any]:
        """The schema behind `$ref` and `allOf`."""
        if not isinstance(schema, Mapping):
            return {}
        for _ in range(20):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            target: Any = self.root
            for key in reference.removeprefix("#").strip("/").split("/"):
                key = key.replace("~1", "/").replace("~0", "~")
                target = target.get(key, {}) if isinstance(target, Mapping) else {}
            base = dict(target) if isinstance(target, Mapping) else {}
            schema = base | {key: value for key, value in schema.items() if key != "$ref"}
        if isinstance(schema.get("allOf"), list):
            merged: Mapping[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in map(self.resolve, schema["allOf"]):
                joined = {"properties": {**properties(merged), **properties(part)}} if properties(part) else {}
                needs = [*merged.get("required", []), *part.get("required", [])]
                merged = {**merged, **part, **joined, **({"required": needs} if needs else {})}
            return merged
        return dict(schema)

    def object(self, schema: Mapping[str, Any], depth: int, *, top: bool = False) -> Any:
        """Fill an object; UNKNOWN when it is a part of which nothing is known."""
        schema = self.resolve(schema)
        specs = {name: self.resolve(spec) for name, spec in properties(schema).items()}
        needs = [name for name in schema.get("required") or [] if isinstance(name, str)]
        picks = self.assign(specs)
        found: dict[str, Any] = {}
        lacking: list[tuple[str, Mapping[str, Any]]] = []
        for name, spec in specs.items():
            must = name in needs
            optional = not must or "default" in spec or _nullable(spec)
            value = self.given.get(name, UNKNOWN) if top else UNKNOWN
            value = self.value(name, spec, depth, picks, optional=optional) if value is UNKNOWN else value
            if value is not UNKNOWN and value is not None:
                found[name] = value
            elif must and "default" in spec:
                found[name] = spec["default"]
            elif must and _nullable(spec):
                found[name] = None
            elif must and self.complete:
                found[name] = self.zero(spec, depth)
            elif must:
                lacking.append((name, spec))
        if self.complete:
            found.update({name: None for name in needs if name not in specs})
        if lacking and not top:
            return UNKNOWN
        self.missing += lacking
        return found if found or top or self.complete else UNKNOWN

    def value(self, name: str, spec: Mapping[str, Any], depth: int, picks: Mapping[str, Any], *, optional: bool) -> Any:
        """The value of one property, or UNKNOWN."""
        spec = self.resolve(spec)
        branches = [self.resolve(b) for key in ("anyOf", "oneOf") for b in spec.get(key) or []]
        for branch in branches:
            if branch.get("type") == "null":
                continue
            outer = {k: v for k, v in spec.items() if k not in ("anyOf", "oneOf", "default")}
            inner = {**outer, **branch}
            value = self.value(name, inner, depth + 1, picks or self.assign({name: inner}), optional=optional)
            if value is not UNKNOWN and fits(value, branch):
                return value
        if branches:
            return UNKNOWN
        if "const" in spec:
            return spec["const"]
        value = self.typed(name, spec, depth, picks, optional=optional)
        return (
            value if value is not UNKNOWN and (kind_of(spec) in ("object", "array") or fits(value, spec)) else UNKNOWN
        )

    def typed(self, name: str, spec: Mapping[str, Any], depth: int, picks: Mapping[str, Any], *, optional: bool) -> Any:
        """The value by the type of its schema."""
        if isinstance(spec.get("enum"), list):
            return self.enum(name, spec, optional=optional)
        kind = kind_of(spec)
        if kind == "object":
            return self.object(spec, depth + 1) if properties(spec) and depth < 6 else UNKNOWN
        if kind == "array":
            return self.array(name, spec, depth)
        if kind == "boolean":
            return self.boolean(name)
        if kind in ("integer", "number"):
            return self.number(name, spec, picks, optional=optional)
        return self.string(name, spec, picks, optional=optional) if kind == "string" else UNKNOWN

    def assign(self, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, Mention]]:
        """Give each number of the conversation to the parameter whose words stand nearest to it."""
        wanted = {name: inner for name, spec in specs.items() if (inner := self._numeric(name, spec))}
        pairs = [
            (round(fit(name, spec, mention, alone=len(wanted) == 1) * 0.85**age, 6), name, mention)
            for name, spec in wanted.items()
            for age, text in enumerate(self.evidence.texts[:6])
            for mention in matching.mentions(text)
        ]
        picks: dict[str, tuple[float, Mention]] = {}
        for score, name, mention in sorted(pairs, key=lambda pair: -pair[0]):
            if score >= 0.3 and name not in picks and all(taken is not mention for _, taken in picks.values()):
                picks[name] = (score, mention)
        return picks

    def _numeric(self, name: str, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        for inner in (spec, *map(self.resolve, [*(spec.get("anyOf") or []), *(spec.get("oneOf") or [])])):
            kind = kind_of(inner)
            outer = {"description": spec.get("description", ""), **inner}
            if "enum" not in inner and (kind in ("integer", "number") or (kind == "string" and is_id(name, outer))):
                return outer
        return None

    def number(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any], *, optional: bool) -> Any:
        """A number from the user's words, else from a tool's result."""
        score, mention = picks.get(name, (0.0, None))
        strong, known = self.known(name, spec, optional=optional)
        if mention is not None and score >= strong:
            return _number(name, spec, mention)
        if strong:
            return known
        if self.complete and re.search(r"confidence|probability|certainty", name):
            middle = 0.5 if spec.get("maximum", 1) <= 1 else spec["maximum"] / 2
            return int(middle) if kind_of(spec) == "integer" else middle
        return UNKNOWN

    def zero(self, spec: Any, depth: int, variant: int = 0) -> Any:
        """A valid value that claims as little as possible; variants differ, for lists of unique items."""
        spec = self.resolve(spec)
        if "const" in spec:
            return spec["const"]
        if isinstance(spec.get("enum"), list) and spec["enum"]:
            return spec["enum"][variant % len(spec["enum"])]
        branches = [self.resolve(b) for key in ("anyOf", "oneOf") for b in spec.get(key) or []]
        if branches:
            plain = next((b for b in branches if b.get("type") == "null"), branches[0])
            return self.zero(plain if variant == 0 else branches[variant % len(branches)], depth, variant)
        kind = kind_of(spec)
        if kind == "object":
            if depth > 12:
                return {}
            inner = self.object(spec, depth + 1)
            return inner if isinstance(inner, dict) else {}
        if kind == "array":
            prefix = [self.zero(item, depth + 1) for item in spec.get("prefixItems") or []]
            count = max(0, spec.get("minItems", 0) - len(prefix))
            return prefix + [self.zero(spec.get("items", {}), depth + 1, i) for i in range(count)]
        if kind in ("integer", "number"):
            return _zero_number(spec, variant)
        if kind == "boolean":
            return bool(variant % 2)
        return None if kind == "null" else _zero_text(spec, variant)

    def known(self, name: str, spec: Mapping[str, Any], *, optional: bool) -> tuple[float, Any]:
        """The value that a tool named, for a parameter that must have one."""
        if optional or set(matching.words(name)) <= _FREE_TEXT:
            return 0.0, UNKNOWN
        if _MONEY_WORDS & set(matching.words(name)) and _PARTLY.search(matching.fold(self.evidence.need)):
            return 0.0, UNKNOWN
        wanted = _label_concepts(name)
        best, found = 0.0, UNKNOWN
        for known in self.evidence.known:
            same = (
                0.47
                if known.concepts == wanted
                else 0.46
                if wanted <= known.concepts or known.concepts <= wanted
                else 0.0
            )
            same -= 0.1 if same and known.concepts <= matching.ID_WORDS else 0.0
            value = _as_kind(known.value, spec)
            if same > best and value is not UNKNOWN and fits(value, spec):
                best, found = same, value
        return best, found

    def enum(self, name: str, spec: Mapping[str, Any], *, optional: bool) -> Any:
        """The choice that the user's words match best."""
        choices = [choice for choice in spec["enum"] if choice is not None]
        if len(choices) == 1:
            return choices[0]
        texts = [choice for choice in choices if isinstance(choice, str)]
        for need in (self.evidence.need, " ".join(self.evidence.texts[1:3])):
            scores = {text: _choice_score(need, text) for text in texts}
            best = max(scores, key=lambda text: scores[text], default="")
            if best and scores[best] > 0:
                return best
        strong, known = self.known(name, spec, optional=optional)
        if strong and known in choices:
            return known
        other = [
            text
            for text in texts
            if re.search(r"(?i)^(?:other|unknown|none|neutral|general|misc\w*|normal|medium)$", text)
        ]
        return other[0] if other and (self.complete or not optional) and "default" not in spec else UNKNOWN

    def boolean(self, name: str) -> Any:
        """True or false when the user's words say so."""
        wanted = {term.concept for term in matching.terms(name.removeprefix("is_").removeprefix("has_"))}
        if wanted & {"person", "escal"} and wants_a_person(self.evidence.need):
            return True
        for clause in _clauses(self.evidence.need):
            words = [matching.concept(word) for word in matching.words(clause)]
            at = next((i for i, word in enumerate(words) if word in wanted), -1)
            if at >= 0:
                return not _NEGATION.search(" ".join(matching.words(clause)[max(0, at - 4) : at]))
        if re.match(r"confirm", name):
            return True
        return False if self.complete else UNKNOWN

    def array(self, name: str, spec: Mapping[str, Any], depth: int) -> Any:
        """Every value of the item's kind that the user names."""
        item = self.resolve(spec.get("items", {}))
        texts, kind = self.evidence.texts[:1], kind_of(item)
        values: list[Any] = []
        if isinstance(item.get("enum"), list):
            values = [c for c in item["enum"] if isinstance(c, str) and _choice_score(self.evidence.need, c) > 0]
        elif kind in ("integer", "number") or (kind == "string" and is_id(name, spec)):
            plain = [m for text in texts for m in matching.mentions(text) if m.kind in ("number", "code", "money")]
            numbers = [m for m in plain if fit(name, {**spec, **item}, m, alone=True) >= 0.3]
            values = [_number(name, item, m) for m in numbers]
        elif kind == "string":
            values = self._strings(name, item)
        elif kind == "object" and depth < 4:
            one = self.object(item, depth + 1)
            values = [] if one is UNKNOWN or (self.complete and not spec.get("minItems")) else [one]
        values = [value for value in values if value is not UNKNOWN and (kind == "object" or fits(value, item))]
        values = list({json.dumps(value, sort_keys=True): value for value in values}.values())[
            : spec.get("maxItems", 20)
        ]
        return values if values and len(values) >= spec.get("minItems", 0) else UNKNOWN

    def _strings(self, name: str, item: Mapping[str, Any]) -> list[str]:
        text = self.evidence.need
        if item.get("format") == "email" or "mail" in name:
            return matching.EMAIL.findall(text)
        if item.get("format") == "date" or name.endswith(("dates", "days")):
            return [date.iso for date in matching.dates(text, self.evidence.today)]
        beside = re.search(rf"(?i)\b{re.escape(matching.plain(name))}\b(?: are| is|:)?\s+([^.!?;:\n]+)", text)
        listed = beside[1] if beside else labelled(name.removesuffix("s"), text)
        return [part.strip() for part in re.split(r",|\band\b", listed) if part.strip()]

    def string(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any], *, optional: bool) -> Any:
        """A string from the user's words, else from a tool's result."""
        found = self.said(name, spec, picks)
        if found is not UNKNOWN and fits(found, spec):
            return found
        strong, known = self.known(name, spec, optional=optional)
        return known if strong else UNKNOWN

    def said(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any]) -> Any:
        """The string that the user's words hold for a parameter."""
        words = set(matching.words(name))
        form = spec.get("format", "")
        if form == "email" or {"email", "mail"} & words:
            return self._first(matching.EMAIL.findall)
        if form in ("uri", "url") or {"url", "link", "website"} & words:
            return self._first(matching.URL.findall)
        if {"phone", "telephone", "mobile"} & words:
            return self._first(matching.PHONE.findall)
        if form in ("date", "date-time"):
            return self.date(name, clock=form == "date-time")
        if form == "time" or (words & {"time", "hour"} and "date" not in words):
            return self._first(matching.times)
        if words & {"date", "day", "deadline", "birthday"} or (words <= _DATE_WORDS and self.date(name) is not UNKNOWN):
            return self.date(name, clock="datetime" in words)
        if is_id(name, spec):
            return self.identifier(name, spec, picks)
        if words & _FREE_TEXT or (self.complete and words & _REPLY_TEXT):
            return self.free_text(name, spec)
        return self.named(name)

    def _first(self, finder: Callable[[str], Sequence[str]]) -> Any:
        return next((found for text in self.evidence.texts[:6] for found in finder(text)), UNKNOWN)

    def date(self, name: str, *, clock: bool = False) -> Any:
        """A date as ISO; of two, the end takes the second."""
        for text in self.evidence.texts[:6]:
            found = matching.dates(text, self.evidence.today)
            if found:
                last = re.search(r"(?:^|_)(?:end|to|until|till|return|checkout|out)(?:_|$)", name) is not None
                date = found[-1] if last else found[0]
                at = date.clock or next(iter(matching.times(text)), "00:00")
                return f"{date.iso}T{at if at.count(':') == 2 else at + ':00'}Z" if clock else date.iso
        return UNKNOWN

    def identifier(self, name: str, spec: Mapping[str, Any], picks: Mapping[str, Any]) -> Any:
        """An id: the mention that fits, a code that the schema's pattern matches, or a tool's value."""
        score, mention = picks.get(name, (0.0, None))
        if mention is not None and fits(mention.text, spec):
            strong, known = self.known(name, spec, optional=False)
            return known if strong > score else mention.text
        tokens = (t for text in self.evidence.texts[:6] for t in re.findall(r"[\w-]*\d[\w-]*", text))
        return next((t for t in tokens if fits(t, spec)), UNKNOWN) if spec.get("pattern") else UNKNOWN

    def free_text(self, name: str, spec: Mapping[str, Any]) -> Any:
        """The user's sentence, or, in an output, the reply."""
        words, need = set(matching.words(name)), self.evidence.need.strip()
        if self.complete and self.evidence.reply and words & _REPLY_TEXT:
            need = self.evidence.reply
        elif "reason" in words:
            because = re.search(r"(?i)\b(?:because|since|as it|due to)\b\s+(.+?)(?:[.!?]|$)", need)
            need = because[1] if because else need
        elif words & {"title", "subject", "topic"}:
            need = next(iter(matching.sentences(need)), need)[:80]
        return need[: spec.get("maxLength", 2000)] or UNKNOWN

    def named(self, name: str) -> Any:
        """A name, a place or the like: what follows the parameter's words, or the bare answer to our question."""
        for text in self.evidence.texts[:6]:
            for label in _labels(name):
                if found := labelled(label, text):
                    return found
        asked = matching.plain(name) in self.evidence.asked.lower() and self.evidence.texts
        bare = self.evidence.texts[0].strip(" .!") if asked else ""
        return bare if bare and len(bare.split()) <= 8 and "?" not in bare else UNKNOWN


def _labels(name: str) -> list[str]:
    words = matching.plain(name).split()
    return list(dict.fromkeys([" ".join(words), *reversed(words)]))


_PLACE = r"((?-i:[A-Z][\w'-]+)(?: (?-i:[A-Z][\w'-]+))*)"
_STREET = re.compile(
    r"\b(\d+[a-z]? (?:[A-Z][\w'-]+ )+(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Way|Square|Place|"
    r"Court|Boulevard|Blvd)\b"
    r"|[A-Z][\w-]*(?:straße|strasse|str\.|weg|platz|allee|gasse)\s+\d+\w?|(?:Rue|Calle|Rua|Avenida) [\w ]+?,? \d+)"
)
_SPECIAL_LABELS: Mapping[str, str] = {
    "name": rf"\b(?:my name is|i am|i'm|this is|name:)\s+{_PLACE}",
    "city": rf"(?:\b\d{{4,6}}\s+|\b(?:in|to)\s+|,\s*){_PLACE}(?=\s*(?:[.,!?]|\d|$|and\b|on\b|for\b))",
    "origin": rf"\bfrom\s+{_PLACE}",
    "from": rf"\bfrom\s+{_PLACE}",
    "destination": rf"\bto\s+{_PLACE}",
    "to": rf"\bto\s+{_PLACE}",
    "location": rf"\b(?:in|at|near)\s+{_PLACE}",
    "zip": r"\b(\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "postcode": r"\b(\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "postal": r"\b(\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b",
    "address": r"\baddress\b[^.!?]*?\b(?:to|is|:)\s+([^!?]*\d[^!?]*?)(?:[.!?]?\s*$|[!?])",
    "country": rf"\b(?:in|to|from)\s+{_PLACE}$",
}


def labelled(label: str, text: str) -> str:
    """What a text says for a label: "street is …", "room Apollo", "flight LH123", or a usual pattern."""
    if label == "street":
        return found[1] if (found := _STREET.search(text)) else ""
    special = _SPECIAL_LABELS.get(label)
    if special and (found := re.search(rf"(?i){special}", text)):
        return found[1].strip()
    escaped = re.escape(label)
    stated = re.search(rf"(?i)\b{escaped}\s*(?:\bis\b|\bto\b|:|=|\bnamed\b|\bcalled\b)\s*[\"“]?([^\"”.,;!?\n]+)", text)
    if stated:
        return re.split(r"\s+(?:and|but|on|for|from|at|with)\s", stated[1])[0].strip()
    beside = re.search(rf"(?i)\b{escaped}\s+[\"“]?((?-i:[A-Z][\w-]*|\w*\d[\w-]*))", text)
    return beside[1] if beside and special is None else ""


def fit(name: str, spec: Mapping[str, Any], mention: Mention, *, alone: bool) -> float:
    """How well a number of the text fits a parameter, by its kind and by the words beside it."""
    words = matching.words(name)
    label = {matching.concept(w) for w in words if w not in matching.ID_WORDS}
    says = label | matching.concepts(str(spec.get("description", "")))
    money = bool(_MONEY_WORDS & set(words)) or bool(
        re.search(r"(?i)\b(?:amount|price|euro|dollar|cents)", str(spec.get("description", "")))
    )
    if kind_of(spec) == "integer" and mention.kind == "code":
        return 0.0
    beside = [(matching.concept(w), 1.0 - 0.25 * i) for i, w in enumerate(mention.before)]
    beside += [(matching.concept(w), 0.9 - 0.25 * i) for i, w in enumerate(mention.after)]
    near = max((closeness for word, closeness in beside if word in label), default=0.0)
    near = max(near, max((0.8 * closeness for word, closeness in beside if word in says), default=0.0))
    if is_id(name, spec):
        return _fit_id(mention, near, label)
    if mention.kind == "code" or mention.marked:
        return 0.0
    whole_only = kind_of(spec) == "integer" and "cents" not in words
    if whole_only and not mention.whole:
        return 0.0
    if money:
        fraction = mention.kind == "number" and not mention.whole
        return 0.8 + 0.2 * near if mention.kind == "money" else 0.6 + 0.2 * near if fraction else 0.5 * near
    if mention.kind == "money":
        return 0.0
    small = mention.value is not None and abs(mention.value) < 100
    hint = 0.35 if alone and not near and small else 0.0
    return 0.7 * near if near else hint


def _fit_id(mention: Mention, near: float, label: set[str]) -> float:
    if mention.kind in ("money", "count") or (mention.kind == "number" and not mention.whole):
        return 0.0
    year = re.fullmatch(r"(?:19|20)\d\d", mention.text) and mention.before[:1] in (("in",), ("year",), ("since",))
    base = 0.5 if mention.marked or mention.kind == "code" or len(mention.text) >= 3 else 0.2
    first = next((matching.concept(w) for w in mention.before if w not in matching.ID_WORDS), "")
    other = label and first in _OBJECTS | {"customer", "zip"} and first not in label
    people = bool(mention.after) and matching.concept(mention.after[0]) in {
        "people",
        "day",
        "minut",
        "hour",
        "euro",
        "item",
        "tim",
    }
    return 0.0 if year or people else base + 0.45 * near - (0.4 if other else 0.0)


def _number(name: str, spec: Mapping[str, Any], mention: Mention) -> Any:
    if kind_of(spec) == "string" or mention.value is None:
        return mention.text if kind_of(spec) == "string" else UNKNOWN
    value = mention.value * 100 if "cents" in matching.words(name) and mention.kind != "count" else mention.value
    return (
        round(value)
        if kind_of(spec) == "integer"
        else int(value)
        if value == int(value) and mention.kind == "count"
        else value
    )


def _as_kind(value: Any, spec: Mapping[str, Any]) -> Any:
    kind = kind_of(spec)
    if kind == "string" and not isinstance(value, bool):
        return str(value)
    if kind in ("integer", "number") and isinstance(value, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", value):
        value = float(value)
    if kind == "integer" and isinstance(value, float) and value == int(value):
        return int(value)
    kinds: Mapping[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
    ok = isinstance(value, kinds.get(kind, ())) and (kind == "boolean") == isinstance(value, bool)
    return value if ok else UNKNOWN


def _choice_score(need: str, choice: str) -> float:
    """How clearly a text names a choice of an enum; a negated mention does not count."""
    wanted = matching.terms(choice)
    if mood := _MOODS.get(matching.plain(choice)):
        return len(mood.findall(matching.fold(need))) / 4
    if not wanted:
        plain = matching.plain(choice)
        return float(bool(plain) and re.search(rf"\b{re.escape(plain)}\b", matching.fold(need)) is not None)
    score = matching.overlap(choice, need)
    first = next(
        (clause for clause in _clauses(need) if wanted[0].stem in {t.stem for t in matching.terms(clause)}), ""
    )
    words = [matching.stem(word) for word in matching.words(first)]
    at = words.index(wanted[0].stem) if wanted[0].stem in words else 0
    negated = at and _NEGATION.search(" ".join(matching.words(first)[max(0, at - 3) : at]))
    return 0.0 if negated and not _NEGATION.search(matching.plain(choice)) else score


_MOODS = {
    "positive": re.compile(
        r"\b(?:love\w*|great|excellent|happy|perfect|awesome|good|amazing|thank\w*|super|wonderful)\b"
    ),
    "negative": re.compile(
        r"\b(?:bad|angry|terrible|broken|damaged|late|worst|awful|unhappy|disappoint\w*|never|hate\w*|wrong|"
        r"slow|missing|"
        r"ridiculous|useless|unacceptable|complain\w*|poor|refund\w*|lost)\b"
    ),
}


def kind_of(spec: Mapping[str, Any]) -> str:
    """The type that a schema asks for, without null."""
    kind = spec.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        kind = (
            "object" if "properties" in spec else "array" if "items" in spec else "string" if "pattern" in spec else ""
        )
    return str(kind)


def fits(value: Any, spec: Mapping[str, Any]) -> bool:
    """Whether a scalar keeps to its schema's limits."""
    if "const" in spec and value != spec["const"]:
        return False
    if isinstance(spec.get("enum"), list) and value not in spec["enum"]:
        return False
    kind = kind_of(spec)
    if isinstance(value, str):
        pattern = spec.get("pattern")
        sized = spec.get("minLength", 0) <= len(value) <= spec.get("maxLength", len(value))
        return kind in ("string", "") and sized and (not pattern or re.search(pattern, value) is not None)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = spec.get("minimum", value), spec.get("maximum", value)
        above = value > spec.get("exclusiveMinimum", value - 1) and value < spec.get("exclusiveMaximum", value + 1)
        step = spec.get("multipleOf")
        whole = kind != "integer" or value == int(value)
        return (
            kind in ("integer", "number", "")
            and low <= value <= high
            and above
            and whole
            and (not step or value % step == 0)
        )
    return True


def _zero_number(spec: Mapping[str, Any], variant: int) -> int | float:
    whole = kind_of(spec) == "integer"
    step = spec.get("multipleOf") or 1
    low, high = spec.get("minimum"), spec.get("maximum")
    above, below = spec.get("exclusiveMinimum"), spec.get("exclusiveMaximum")
    bottom = low if low is not None else above
    value: float = 0
    if bottom is not None and (bottom > 0 or (above is not None and above >= 0)):
        value = -(-bottom // step) * step
        value += step if above is not None and value <= above else 0
    top = high if high is not None else below
    if top is not None and (value > top or (below is not None and value >= below)):
        value = top // step * step
        value -= step if below is not None and value >= below else 0
    if not fits(value, spec) and bottom is not None and top is not None and not whole:
        value = (bottom + top) / 2
    value += variant * step if fits(value + variant * step, spec) else -variant * step
    return int(value) if whole else value


_FORMATS = {
    "email": "unknown@example.com",
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",  # noqa: S104 - the zero of a format, nothing listens
    "hostname": "example.com",
}


def _zero_text(spec: Mapping[str, Any], variant: int) -> str:
    text = _FORMATS.get(str(spec.get("format", "")), "")
    if spec.get("pattern") and not fits(text, spec):
        samples = (
            "0",
            "000",
            "0000",
            "00000",
            "A",
            "AAA",
            "a",
            "A0",
            "AA-0000",
            "ORD-0000",
            "EUR",
            "1970-01-01",
            "00:00",
        )
        text = next((sample for sample in samples if fits(sample, spec)), text)
    text = text.ljust(spec.get("minLength", 0), "-")[: spec.get("maxLength", 10**6)]
    return _varied(text, spec, variant) if variant else text


def _varied(text: str, spec: Mapping[str, Any], variant: int) -> str:
    """Another text of the same form: a last digit or the end differs."""
    mail = text.replace("@", f"{variant}@")
    last = re.sub(r"\d(?=\D*$)", str((variant + 1) % 10), text)
    longer = text[: spec.get("maxLength", 10**6) - len(str(variant))] + str(variant)
    candidates = (mail, last) if spec.get("format") else (longer, last, mail)
    return next((other for other in candidates if other != text and fits(other, spec)), text)


# ---- sentences ------------------------------------------------------------------------------------------------------


def _say(request: Request, text: str) -> Say:
    """The reply in the style of the instructions, or as the JSON that the output schema wants."""
    if request.schema is None:
        return Say(request.style.finish(text))
    filler = Filler(evidence(request, reply=text), request.schema, complete=True, given={})
    value = filler.object(request.schema, 0, top=True) if properties(request.schema) else filler.zero(request.schema, 0)
    return Say(json.dumps(value, ensure_ascii=False))


def answer(request: Request) -> str:
    """What to say when no call is left to make: the first of these that knows something."""
    need = request.conversation.need
    if escalated := request.used("escalate"):
        return _passed_on(escalated)
    if request.used("abstain"):
        return _declined(request)
    mine = plan(request)
    calls = recalled(request, mine)
    if calls:
        return _report(request, mine, calls)
    searched = request.used("search_knowledge")
    if searched:
        return quotation(request.conversation.about, searched) or _declined(request)
    return small_talk(request) or facts(request.system, need) or _clarify(request)


def _passed_on(call: Call) -> str:
    if call.failure:
        return "I could not reach a colleague just now. Please try again in a moment."
    reference = next(
        (str(value) for path, value in leaves(call.value) if matching.ID_WORDS & set(matching.words(path[-1]))), ""
    )
    known = f" Your reference is {reference}." if reference else ""
    return f"I have passed this to a colleague, who will get back to you.{known}"


def _declined(request: Request) -> str:
    return request.style.decline or (
        "I am sorry, but I cannot answer this: I found nothing reliable about it. "
        "If you tell me more, I will gladly look again."
    )


_GREETING = re.compile(
    r"^(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)|moin|"
    r"bonjour|bonsoir|salut|"
    r"hola|buenos dias|buenas (?:tardes|noches)|ola|bom dia|boa (?:tarde|noite))\b"
)
_THANKS = re.compile(
    r"^(?:ok(?:ay)?,? |great,? |perfect,? )?(?:many )?(?:thanks?|thank you|thx|danke\w*|vielen dank|merci|"
    r"gracias|obrigad[oa])\b"
)
_GOODBYE = re.compile(r"^(?:bye|goodbye|good night|see you|tschuss|au revoir|adios|tchau)\b")
_NODS = re.compile(
    r"^(?:ok|okay|yes|no|yep|nope|fine|good|great|alright|all right|sure|perfect|cool|ja|nein|oui|non|si|"
    r"sim|nao|super)$"
)
_ABILITIES = re.compile(
    r"^(?:help|what can you do|what do you do|who are you|how can you help|can you help)(?: me)?\W*$"
)


def small_talk(request: Request) -> str:
    """The answer to a greeting, thanks, a goodbye or "what can you do?"; empty when the user wants something."""
    folded = matching.fold(request.conversation.latest).strip(" !.,¡¿?")
    if _ABILITIES.match(folded):
        return _clarify(request)
    for pattern, reply in (
        (_THANKS, "You are welcome! Is there anything else I can do for you?"),
        (_NODS, "All right. Is there anything else I can do for you?"),
        (_GOODBYE, "Goodbye, and thank you for writing to us."),
        (_GREETING, "Hello! How can I help you today?"),
    ):
        found = pattern.match(folded)
        rest = folded[found.end() :] if found else ""
        if found and len(matching.terms(rest)) <= (2 if pattern is not _GREETING else 0):
            return reply
    return "" if matching.words(folded) else "Hello! How can I help you today?"


def _clarify(request: Request) -> str:
    """One question that says what can be done here, from the descriptions of handoffs and tools."""
    abilities = []
    for offer in request.offers:
        if offer.kind == "handoff":
            text = _first_words(offer.description)
            abilities.append(f"{offer.agent} ({text})" if text else offer.agent)
        elif offer.kind != "control":
            abilities.append(_first_words(offer.description) or matching.plain(offer.name))
    if wants_a_person(request.conversation.need):
        return (
            "I understand that you would like to speak with a person. I cannot connect you from here; what is it about?"
        )
    if not abilities:
        return "Thank you for your message. Could you tell me a little more about what you need?"
    return f"I can help with the following: {'; '.join(abilities[:8])}. Which of these do you need?"


def _first_words(description: str) -> str:
    first = next(iter(matching.sentences(description)), "").rstrip(".")
    return first[:1].lower() + first[1:] if not first[:2].isupper() else first


def question(offer: Offer, missing: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Ask for missing arguments in plain words."""
    name, spec = missing[0]
    if len(missing) == 1 and is_id(name, spec):
        words = [w for w in matching.plain(name).split() if w not in matching.ID_WORDS]
        noun = " ".join(words) or (offer.nouns[-1] if offer.nouns else "one")
        called = "code" if "code" in matching.words(name) else "number"
        return f"Which {noun} is it? Please tell me the {noun} {called}."
    return f"Please tell me {matching.join([_wanted(offer, name, spec) for name, spec in missing])}."


def _wanted(offer: Offer, name: str, spec: Mapping[str, Any]) -> str:
    words = matching.plain(name).removesuffix(" cents")
    choices = [matching.plain(str(choice)) for choice in spec.get("enum") or [] if choice is not None]
    if choices:
        return f"the {words} ({matching.join(choices[:8], 'or')})"
    if "mail" in words:
        return "your e-mail address"
    if is_id(name, spec):
        noun = " ".join(w for w in words.split() if w not in matching.ID_WORDS) or " ".join(offer.nouns[-1:])
        return f"the {noun} number"
    if properties(spec):
        inner = [matching.plain(inner) for inner in required(spec)] or [
            matching.plain(inner) for inner in properties(spec)
        ]
        return f"the {words} ({matching.join(inner[:6])})"
    return f"the {words}"


def _report(request: Request, mine: Plan, calls: Sequence[Call]) -> str:
    """What the calls of this turn found and did."""
    need = request.conversation.need
    acted = [call for call in calls if _is_act(call)]
    failed = [call for call in calls if call.failure]
    asks = any(_INFORMATION.search(clause) for clause in _clauses(need)) or "?" in need
    if any(a for a in acted if not a.failure) and not asks:
        shown = [*acted, *(call for call in failed if call not in acted)]
    else:
        shown = [*(call for call in calls if call not in acted), *acted]
    parts = [sentence for call in shown for sentence in tell(call, need)]
    able = {
        matching.concept(word)
        for name in [o.name for o in mine.acts] + [c.name for c in acted]
        for word in matching.words(name)
    }
    undone = "" if failed else _undone(need, able)
    return " ".join(part for part in dict.fromkeys([*parts, undone]) if part)


def _is_act(call: Call) -> bool:
    return sort_name(call.name)[0] == "act"


_WISHED = {
    "refund": "make the refund",
    "cancel": "do the cancellation",
    "delete": "do the deletion",
    "book": "make the booking",
    "reset": "do the reset",
}


def _undone(need: str, able: Set[str]) -> str:
    """Say that an action was asked for which this agent cannot take."""
    for wish, words in _WISHED.items():
        offer = Offer(wish, "", {}, "act", (wish,), ())
        wished = any(
            _EXPLICIT.search(part) or wish in [matching.concept(word) for word in matching.words(part)[:3]]
            for clause in _clauses(need)
            for part in re.split(r"\b(?:and|then|und|et|y|e)\b", clause)
        )
        if wish not in able and wished and asks_for(need, offer):
            return f"I cannot {words} from here."
    return ""


def tell(call: Call, need: str) -> list[str]:
    """A call's result in sentences."""
    if call.failure:
        return [_told_failure(call)]
    act, verbs, _ = sort_name(call.name)
    done = f"I have {past(verbs[0])} {_subject(call, article=True)}." if act == "act" and verbs else ""
    if isinstance(call.value, dict):
        status = str(call.value.get("status", "")).lower()
        if done and re.search(r"reject|denied|declin|refus", status):
            return [
                f"I could not {verbs[0]} {_subject(call, article=True)}: the status is {_spoken(status)}.",
                *_told_fields(call, need, 2),
            ]
        return [done, *_told_fields(call, need, 3)] if done else _told_fields(call, need, 6)
    if isinstance(call.value, list):
        return [done or _told_list(call)]
    text = matching.harmless(call.text).strip()[:600]
    if not text:
        return [done or "The answer I received holds nothing that I can pass on."]
    if len(text.split()) < 3:
        return [done or f"The answer for {_subject(call)} is: {_spoken(text)}."]
    return [text if text.endswith((".", "!", "?")) else f"{text}."]


_IRREGULAR = {
    "send": "sent", "resend": "resent", "make": "made", "set": "set", "reset": "reset", "pay": "paid", "give": "given",
    "write": "written", "buy": "bought", "submit": "submitted", "stop": "stopped", "cancel": "cancelled",
    "ship": "shipped",
}  # fmt: skip


def past(verb: str) -> str:
    """The past participle of an action's verb."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return verb + "d"
    return verb[:-1] + "ied" if re.search(r"[^aeiou]y$", verb) else verb + "ed"


def _subject(call: Call, *, article: bool = False) -> str:
    """What a call was about: "order 1042", "the refund for order 1042"."""
    nouns = list(sort_name(call.name)[2])
    nouns = [noun for noun in nouns if noun not in ("status", "details", "info", "information")] or nouns
    noun = " ".join(nouns) or ("it" if article else "this")
    shown = [(name, value) for name, value in leaves_of_arguments(call.arguments) if is_id(name, {})]
    for name, value in shown[:1]:
        label = [w for w in matching.plain(name).split() if w not in matching.ID_WORDS]
        if not label or set(label) <= set(nouns) or not nouns:
            return f"{' '.join(label) if label and not nouns else noun} {value}"
        return f"{'the ' if article else ''}{noun} for {' '.join(label)} {value}"
    mails = [value for _, value in leaves_of_arguments(call.arguments) if matching.EMAIL.fullmatch(str(value))]
    if mails:
        return f"{'the ' if article and nouns else ''}{noun} for {mails[0]}"
    return f"the {noun}" if nouns and article else noun


def _told_failure(call: Call) -> str:
    kind, verbs, _ = sort_name(call.name)
    why = matching.harmless(call.failure).strip().rstrip(".")[:300]
    if call.missing:
        return f"I could not find {_subject(call)}."
    wished = f"{verbs[0] if verbs and kind == 'act' else 'look up'} {_subject(call, article=True)}"
    if re.search(r"(?i)an error occurred while running|timed out|^\W*$", why):
        return f"I could not {wished}: the system did not respond properly. Please try again later."
    if re.search(r"(?i)not approved", why):
        return f"I could not {wished}: it was not approved."
    why = re.sub(r"(?i)^(?:error|failed|failure)\W+", "", why)
    return f"I could not {wished}: {why[:1].lower() + why[1:] if not why[:2].isupper() else why}."


_WHEN = re.compile(r"date|eta|expected|arriv|deliver|due|_at$|_on$|time|until|when")
_WHERE = re.compile(r"track|carrier|location|city|status|address|depot")


def _told_fields(call: Call, need: str, limit: int) -> list[str]:
    """The fields of a result that match the question, then a few others; the status first."""
    subject = _subject(call)
    arguments = {str(value) for _, value in leaves_of_arguments(call.arguments)}
    arguments = {value for value in arguments if value in subject.split()} if _is_act(call) else arguments
    fields = [
        (path, value)
        for path, value in _flat(call.value)
        if not path[-1].startswith("_")
        and str(value) not in arguments | {""}
        and path[-1] not in ("ok", "success", "found", "currency")
        and not (value is True and _is_act(call))
    ]
    fields = [
        (path, value) for path, value in fields if not (isinstance(value, str) and matching.is_instruction(value))
    ]
    scores = [_relevance(need, path, value) for path, value in fields]
    chosen = sorted(range(len(fields)), key=lambda i: (-scores[i], i))
    asked = [i for i in chosen if scores[i] >= 0.5][:limit]
    others = sorted(i for i in chosen[:limit] if i not in asked)
    asked = [] if _is_act(call) else asked
    others = sorted(chosen[:limit]) if _is_act(call) else others
    kept = (
        [fields[i] for i in [*asked, *others[: max(1, limit - 2 - len(asked))]]]
        if asked
        else [fields[i] for i in others]
    )
    status = next((value for path, value in kept if path == ("status",) and isinstance(value, str)), "")
    rest = [_field(path, value, call.value) for path, value in kept if path != ("status",)]
    if not kept:
        return [] if _is_act(call) else [f"I found {_subject(call)}, but nothing that answers your question."]
    if _is_act(call):
        rest = ([f"the status is {_spoken(status)}"] if status else []) + rest
        return [_sentence(rest)]
    if status:
        return [_sentence([f"{subject} is {_spoken(status)}"]), *([_sentence(rest)] if rest else [])]
    return [f"For {subject}: {matching.join(rest)}."]


def _relevance(need: str, path: tuple[str, ...], value: Any) -> float:
    label = " ".join(path)
    score = matching.overlap(label, need) + (0.2 if path == ("status",) else 0.0) - 0.1 * (len(path) - 1)
    folded = matching.fold(need)
    score += (
        0.6
        if _WHEN.search(label) and re.search(r"\b(?:when|wann|quand|cuando|quando|arrive|date|long)\b", folded)
        else 0.0
    )
    score += 0.5 if _WHERE.search(label) and re.search(r"\b(?:where|wo|ou|donde|onde|status|track)\b", folded) else 0.0
    return score - (0.3 if isinstance(value, str) and len(value) > 120 else 0.0)


def _flat(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Nested objects flattened; a list stays one value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and len(path) < 4:
            yield from _flat(inner, (*path, str(key)))
        elif inner is not None and inner != []:
            yield (*path, str(key)), inner


def _field(path: tuple[str, ...], value: Any, whole: Any) -> str:
    label = " ".join(dict.fromkeys(" ".join(matching.plain(part) for part in path).split()))
    dated = isinstance(value, str) and matching.spoken_date(value) != value
    if dated and (moment := re.fullmatch(r"(\w+) (?:at|on)", label)):
        return f"it {'was ' if moment[1].endswith('ed') else ''}{moment[1]} on {_spoken(value)}"
    if isinstance(value, bool):
        return _yes_or_no(label.removeprefix("is "), value)
    if isinstance(value, list):
        return f"the {label} {'are' if len(value) != 1 else 'is'} {_listed(value)}"
    currency = whole.get("currency") if isinstance(whole, dict) else None
    if isinstance(value, (int, float)) and _MONEY_WORDS & set(label.split()):
        amount = f"{value:.2f}" if isinstance(value, float) else str(value)
        return f"the {label} is {amount}{f' {currency}' if currency else ''}"
    return f"the {label} is {_spoken(value)}"


def _yes_or_no(label: str, value: bool) -> str:
    if label.startswith("has "):
        return f"it has {'' if value else 'no '}{label.removeprefix('has ')}"
    if len(label.split()) == 1:
        return f"it is {'' if value else 'not '}{label}"
    return f"{label}: {'yes' if value else 'no'}"


def _spoken(value: Any) -> str:
    text = matching.harmless(str(value)).strip()
    if len(text) > 240:
        text = text[:240].rsplit(" ", 1)[0] + " …"
    snake = re.fullmatch(r"[a-z]+(?:_[a-z]+)+", text)
    return text.replace("_", " ") if snake else matching.spoken_date(text).rstrip(".")


def _listed(items: Sequence[Any]) -> str:
    shown = [_item(item) for item in items[:3]]
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return (", ".join(shown) + more) if more else matching.join(shown)


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return _spoken(item)
    fields = [(key, value) for key, value in item.items() if isinstance(value, (str, int, float)) and value != ""]
    head = next((str(v) for k, v in fields if k in ("name", "title")), "") or next(
        (str(v) for k, v in fields if matching.ID_WORDS & set(matching.words(k))), ""
    )
    rest = [
        f"{v:.2f}" if isinstance(v, float) and _MONEY_WORDS & set(matching.words(k)) else _spoken(v)
        for k, v in fields
        if str(v) != head and not isinstance(v, bool)
    ][:2]
    head = matching.harmless(head) or (rest.pop(0) if rest else "")
    return f"{head} ({', '.join(rest)})" if rest and head else head


def _told_list(call: Call) -> str:
    noun = " ".join(sort_name(call.name)[2]) or "results"
    if not call.value:
        return f"I found no matching {noun}."
    count = len(call.value)
    noun = noun if count != 1 and noun.endswith("s") else noun.removesuffix("s") if count == 1 else f"{noun}s"
    return f"I found {count} {noun}: {_listed(call.value)}."


def _sentence(parts: Sequence[str]) -> str:
    text = matching.join(parts)
    return text[:1].upper() + text[1:] + "."


# ---- the response ---------------------------------------------------------------------------------------------------


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


def _span_usage(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


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
