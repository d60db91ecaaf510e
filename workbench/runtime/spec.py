"""The flow format: frozen models that refuse unknown keys, with errors that name the path and the nearest key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, ValidationError

from workbench.errors import Invalid

FORMAT = 1

LARGEST = 300_000
"""Characters of a flow file."""

DEEPEST = 100
"""Levels of nesting in a flow file."""

Effect = Literal["read", "write", "high-stakes"]
Outcome = Literal["answered", "abstained", "escalated", "held", "blocked", "limit", "error"]
Role = Literal["small", "main", "reasoning"]
Control = Literal["abstain", "escalate"]
EFFECTS: tuple[Effect, ...] = ("read", "write", "high-stakes")
OUTCOMES: tuple[Outcome, ...] = ("answered", "abstained", "escalated", "held", "blocked", "limit", "error")
CONTROLS: tuple[Control, ...] = ("abstain", "escalate")
ROLES: tuple[Role, ...] = ("small", "main", "reasoning")

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
PromptReference = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*(@[1-9][0-9]*)?$")
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fallback(_Frozen):
    """What happens where an agent's model fails: another role is asked, then another agent, then a fixed reply is given."""

    model: Role | None = None
    agent: Name | None = None
    reply: str | None = None


class AgentSpec(_Frozen):
    """One agent: its prompt, model role, tools and whom it may hand over to.

    `receives` is what it reads of the conversation when it is handed over to it: all of it, the messages without the
    tool calls, or the customer's last message.
    """

    prompt: PromptReference
    model: Role = "main"
    description: str = ""
    tools: tuple[Name, ...] = ()
    handoffs: tuple[Name, ...] = ()
    output: dict[str, Any] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    receives: Literal["all", "messages", "last"] = "all"
    fallback: Fallback | None = None


class ArgumentRule(_Frozen):
    """When an argument's value asks for a person's approval."""

    above: float | None = None
    below: float | None = None
    any_of: tuple[bool | str | float, ...] | None = Field(default=None, alias="in")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


Approval = Literal["always"] | dict[str, ArgumentRule]

Timeout = Annotated[float, Field(gt=0, le=600)]


class PythonTool(_Frozen):
    """A Python function of the catalogue, by name. A tool's `fallback` is its answer where the call fails."""

    kind: Literal["python"]
    call: Name
    effect: Effect = "read"
    approve: Approval | None = None
    timeout: Timeout = 20.0
    fallback: str | None = None


class HttpTool(_Frozen):
    """An HTTP request declared by schema.

    Arguments named in braces in `url` go there, the others into the query or, with a body, into JSON. A header's value
    may hold `secret:name`. `hosts` may be reached besides the one of `url`, as by a redirect; `largest` is in bytes.
    """

    kind: Literal["http"]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str
    effect: Effect
    description: str
    parameters: dict[str, Any]
    headers: dict[str, str] = Field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    retries: int = Field(default=2, ge=0, le=5)
    largest: int = Field(default=200_000, ge=1, le=10_000_000)
    approve: Approval | None = None
    timeout: Timeout = 20.0
    fallback: str | None = None


class McpTool(_Frozen):
    """A tool of an MCP server that the deployment declares; description and parameters are the server's when it was picked.

    `stated` is the effect that the architect writes down: only a person can tell what a server does with a call.
    """

    kind: Literal["mcp"]
    server: Name
    tool: str
    stated: Effect | None = Field(default=None, alias="effect")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    approve: Approval | None = None
    timeout: Timeout = 20.0
    fallback: str | None = None

    @property
    def effect(self) -> Effect:
        """What a call may do: as stated, and where nothing is stated the worst."""
        return self.stated or "high-stakes"


class MockAnswer(_Frozen):
    """An answer of a mocked tool: given where every argument named in `when` has its value or keeps its rule."""

    when: dict[str, Any] = Field(default_factory=dict)
    answer: Any = ""
    error: str = ""


class MockTool(_Frozen):
    """A tool declared by schema that nothing stands behind yet; the first answer that fits is given."""

    kind: Literal["mock"]
    effect: Effect
    description: str
    parameters: dict[str, Any]
    answers: tuple[MockAnswer, ...] = ()
    approve: Approval | None = None
    timeout: Timeout = 20.0
    fallback: str | None = None


class AgentTool(_Frozen):
    """Another agent of the flow, asked as a tool: it answers with its reply, and the conversation stays where it was."""

    kind: Literal["agent"]
    agent: Name
    description: str
    effect: Effect = "read"
    approve: Approval | None = None
    timeout: Timeout = 60.0
    fallback: str | None = None


KINDS = ("python", "http", "mcp", "mock", "agent")


def _kind(value: Any) -> str:
    return str(value.get("kind", "python") if isinstance(value, Mapping) else getattr(value, "kind", "python"))


ToolSpec = Annotated[
    Annotated[PythonTool, Tag("python")]
    | Annotated[HttpTool, Tag("http")]
    | Annotated[McpTool, Tag("mcp")]
    | Annotated[MockTool, Tag("mock")]
    | Annotated[AgentTool, Tag("agent")],
    Discriminator(_kind),
]


class GuardrailSpec(_Frozen):
    """A named check on the input, on what tools and searches bring back, or on the reply.

    `settings` are the check's own. One that takes longer than `timeout` seconds holds what it guards.
    """

    name: Name
    on: Literal["input", "tool_result", "reply"]
    check: Name
    agents: Literal["all"] | tuple[Name, ...] = "all"
    settings: dict[str, Any] = Field(default_factory=dict)
    timeout: float = Field(default=10.0, gt=0, le=120)


class KnowledgeSpec(_Frozen):
    """Which collection the agents may search, and below which score they decline."""

    collection: Slug
    top: int = Field(default=4, ge=1, le=20)
    abstain_below: float = Field(default=0.35, ge=0, le=1)


class Limits(_Frozen):
    """Where a run is stopped: model turns, seconds of wall time, US dollars."""

    turns: int = Field(default=12, ge=1, le=100)
    seconds: float = Field(default=60, gt=0, le=3600)
    usd: float = Field(default=0.10, gt=0)


class Charter(_Frozen):
    """Why a flow exists and how it will be judged."""

    problem: str = ""
    kpi: str = ""
    target: str = ""
    guard: str = ""
    owner: str = ""


class ApprovalRules(_Frozen):
    """How long a held call waits for a person, and whether that must be another than who started the run."""

    hours: float = Field(default=24, gt=0, le=24 * 30)
    another: bool = True


class FlowSpec(_Frozen):
    """A network of agents as data. It names tools, prompts and checks, and never contains code.

    `control` says which ways out the agents have besides an answer: to decline, and to hand over to a person.
    `writes` says whether tools that write wait for the guardrails too, as high-stakes ones always do.
    """

    format: Literal[1] = 1
    flow: Slug
    purpose: str = ""
    entry: Name
    agents: dict[Name, AgentSpec] = Field(min_length=1, max_length=1000)
    tools: dict[Name, ToolSpec] = Field(default_factory=dict, max_length=500)
    guardrails: tuple[GuardrailSpec, ...] = ()
    knowledge: KnowledgeSpec | None = None
    variables: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")], str] = Field(default_factory=dict)
    limits: Limits = Limits()
    control: tuple[Control, ...] = CONTROLS
    writes: Literal["wait", "go"] = "wait"
    approvals: ApprovalRules = ApprovalRules()
    charter: Charter | None = None


def parse(body: Any) -> FlowSpec:
    """`body` (plain data) as a flow.

    Raises Invalid listing every problem with its path; an unknown key comes with the nearest known one.
    """
    if not isinstance(body, Mapping):
        raise Invalid(
            "A flow must be a mapping of keys to values.", remedy="Begin with `format: 1` and `flow: <name>`."
        )
    number = body.get("format", FORMAT)
    if number != FORMAT:
        raise Invalid(f"format: this version reads flow format {FORMAT}, not {number!r}.")
    try:
        return FlowSpec.model_validate(body)
    except ValidationError as error:
        raise Invalid("\n".join(dict.fromkeys(_problem(dict(one), body) for one in error.errors()))) from None


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which a key may stand only once and `on` and `no` stay words."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool | None):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _first in "tTfF":
    _Loader.yaml_implicit_resolvers.setdefault(_first, []).append(
        ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"))
    )


def read(text: str) -> FlowSpec:
    """A flow from YAML or JSON text. Raises Invalid with line and column where the text cannot be read."""
    if len(text) > LARGEST:
        raise Invalid(
            f"The flow file has {len(text):,} characters; a flow has at most {LARGEST:,}.",
            remedy="Keep long texts in prompts and knowledge.",
        )
    try:
        _shallow(text)
        body = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader with fewer resolvers)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what, remedy = _plainly(f"{error.context or ''} {error.problem or ''}")
        raise Invalid(f"The YAML cannot be read: {where}{what}.", remedy=remedy) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise Invalid(
            f"The YAML cannot be read: {_unread(error)}.", remedy="Compare it with a flow that was downloaded here."
        ) from None
    return parse(body)


_SPACES = "Lines that belong together begin at the same column, two spaces further in than the line above them."
_QUOTES = "Put a text with a colon, a # or a leading mark between quotes."
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("stands twice", "", "Keep one of the two."),
    ("a key must be a word", "a key must be a word", "Write it as name: value."),
    ("mapping values are not allowed", "a colon stands here where no further value can follow", f"{_QUOTES} {_SPACES}"),
    ("could not find expected ':'", "a colon and a value are missing after a name", "Write it as name: value."),
    ("'\\t'", "a tab stands here", "Use spaces at the beginning of a line."),
    ("quoted scalar", "a text in quotes is not closed", "Close it with the same quote that it began with."),
    ("flow sequence", "a list that begins with [ is not closed", "Put commas between its entries and ] at its end."),
    ("flow mapping", "what begins with { is not closed", "Put commas between its parts and } at its end."),
    ("flow node", "something is begun here and not finished", "Close each [ with ] and each { with }."),
    ("block end", "this line does not fit the lines above it", _SPACES),
    ("block mapping", "this line does not fit the lines above it", _SPACES),
    (
        "block sequence",
        "this line does not fit the list above it",
        "Each entry of a list begins with a dash and a space.",
    ),
    ("block entry", "a dash stands here where no list can begin", _SPACES),
    ("single document", "a second document begins here", "Take away the line with three dashes."),
    ("tag", "a word that begins with ! stands here", "Take the ! away, or put the text between quotes."),
    ("cannot start any token", "a mark stands here that no value can begin with", _QUOTES),
)


def _plainly(problem: str) -> tuple[str, str]:
    """What the YAML reader stumbled over, in plain words; and what to do."""
    for mark, words, remedy in _WORDS:
        if mark in problem:
            return words or problem.strip(), remedy
    return "this line cannot be understood", f"Check its spaces, colons and quotes. {_SPACES}"


def _unread(error: Exception) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return "it holds a character that text cannot have"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a value in it is no number or date"


def _shallow(text: str) -> None:
    """Nothing, where the YAML holds no anchors and is not nested too deeply for whoever reads it next. Raises Invalid."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Invalid("YAML anchors and aliases are not part of the flow format.", remedy="Write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise Invalid(f"The flow is nested deeper than {DEEPEST} levels.")


def plain(spec: FlowSpec) -> dict[str, Any]:
    """The flow as plain data with everything at its default left out: the form that is stored and digested."""
    body = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, tool in spec.tools.items():
        body["tools"][name]["kind"] = tool.kind
    return {"format": spec.format, **{key: value for key, value in body.items() if key != "format"}}


def write(spec: FlowSpec) -> str:
    """The flow as YAML; `read` gives the same flow back."""
    return yaml.dump(plain(spec), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Safe YAML; texts with unusual line breaks are quoted, because the plain style would fold them."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    unusual = any(mark in value for mark in "\x85\u2028\u2029\ufeff\r")
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if unusual else None)


_Dumper.add_representer(str, _text)


_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical(body: Any) -> str:
    """One text for equal JSON values, on any machine: sorted keys, no spaces, UTF-8."""
    return _canonical(body)


_PARTS: dict[str, tuple[type[BaseModel], ...]] = {
    "agents": (AgentSpec,),
    "tools": (PythonTool, HttpTool, McpTool, MockTool, AgentTool),
    "guardrails": (GuardrailSpec,),
    "knowledge": (KnowledgeSpec,),
    "limits": (Limits,),
    "approvals": (ApprovalRules,),
    "charter": (Charter,),
}


def _known(path: tuple[Any, ...]) -> list[str]:
    if len(path) == 1:
        return list(FlowSpec.model_fields)
    if "approve" in path:
        return ["above", "below", "in"]
    if "fallback" in path:
        return list(Fallback.model_fields)
    if "answers" in path:
        return list(MockAnswer.model_fields)
    fields = (one for model in _PARTS.get(str(path[0]), ()) for one in model.model_fields.items())
    return [about.alias or field for field, about in fields]


def _problem(error: dict[str, Any], body: Mapping[str, Any]) -> str:
    loc = tuple(error["loc"])
    parts = [str(p) for i, p in enumerate(loc) if not (i == 2 and loc[0] == "tools" and p in KINDS)]
    parts = [p for p in parts if not p.startswith(("dict[", "literal[", "tuple[", "constrained-"))]
    path = ".".join(parts)
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _known(loc)
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(dict.fromkeys(known))}."
        return f"{path}: unknown key; {hint}"
    if kind == "missing":
        return f"{path}: is missing."
    if kind == "string_pattern_mismatch":
        return _bad_name(loc, str(error["input"]), body)
    if kind == "union_tag_invalid":
        return f"{path}: unknown kind; use python, http, mcp, mock or agent."
    return f"{path}: {error['msg'][0].lower()}{error['msg'][1:]}."


_NAMED = {"agents": "agent", "tools": "tool", "guardrails": "guardrail", "variables": "variable"}
_LETTERS = "Begin with a letter, and use letters, digits, - and _ only"
_RULES = {
    "flow": "Begin with a small letter, and use small letters, digits and dashes only",
    "variable": "Begin with a small letter, and use small letters, digits and _ only",
    "prompt": "Use small letters, digits, - and _ only, with / for folders",
}


def _bad_name(loc: tuple[Any, ...], value: str, body: Mapping[str, Any]) -> str:
    """Which thing bears, or names, what cannot be a name; and how it could be written."""
    section, last = str(loc[0]), loc[-1]
    owner = _owner(loc, body)
    if last == "[key]" or (section == "guardrails" and last == "name"):
        kind, where = _NAMED[section], ""
    elif len(loc) == 1:
        kind, where = ("flow", "") if section == "flow" else ("agent", f" at {section}")
    else:
        field = next((str(part) for part in reversed(loc) if isinstance(part, str) and part not in KINDS), section)
        kind = {"handoffs": "agent", "agents": "agent", "tools": "tool", "collection": "flow"}.get(field, field)
        where = f" {owner}" if owner else f" in {section}"
    rule = _RULES.get(kind, _LETTERS)
    shown = f"{value[:60]}…" if len(value) > 60 else value
    about = f"The {kind} {shown!r}{where}" if kind != "flow" or not where else f"{shown!r}{where}"
    return f"{about} is not a valid name. {rule}, at most 63 characters{_like(kind, value)}."


def _owner(loc: tuple[Any, ...], body: Mapping[str, Any]) -> str:
    """The agent, tool or guardrail that a problem is about, in words."""
    section = str(loc[0])
    if section not in _NAMED or len(loc) < 3:
        return ""
    name = loc[1]
    if isinstance(name, int):
        listed = body.get(section)
        one = listed[name] if isinstance(listed, list | tuple) and name < len(listed) else None
        name = one.get("name", f"number {name + 1}") if isinstance(one, Mapping) else f"number {name + 1}"
    return f"of the {_NAMED[section]} {name}"


def _like(kind: str, value: str) -> str:
    """How a name could be written, or nothing where it holds nothing to go by."""
    mark = "_" if kind == "variable" else "-"
    kept = re.sub(r"[^A-Za-z0-9_/-]+" if kind == "prompt" else r"[^A-Za-z0-9_-]+", mark, value).strip("-_/")
    kept = kept.lower() if kind in _RULES else kept
    kept = re.sub(r"^[^A-Za-z]+", "", kept)[:63]
    return f"; for example {kept}" if kept and kept != value else ""
