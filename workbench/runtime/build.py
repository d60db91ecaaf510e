"""From a frozen flow to a network of SDK agents, in two passes, so that handoffs may form cycles."""

from __future__ import annotations

import inspect
import json
import string
import unicodedata
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agents import (
    Agent,
    AgentOutputSchemaBase,
    FunctionTool,
    Handoff,
    HandoffInputData,
    ModelBehaviorError,
    ModelSettings,
    RunContextWrapper,
    handoff,
)
from agents.extensions.handoff_filters import remove_all_tools
from agents.strict_schema import ensure_strict_json_schema
from pydantic import ValidationError

from workbench.errors import Invalid, NotFound
from workbench.runtime import arguments as checked
from workbench.runtime import guardrails, patterns, tools
from workbench.runtime.release import Release
from workbench.runtime.spec import AgentSpec, ArgumentRule, McpTool, PythonTool, ToolSpec

Invoke = Callable[[Any, str, str], Awaitable[str]]
Called = TypeVar("Called", bound=Callable[..., Any])


@dataclass(frozen=True)
class Network:
    """The SDK agents of a flow by name. It holds no state of a run, so one network serves many at once."""

    agents: Mapping[str, Agent[Any]]
    entry: str


_built: weakref.WeakKeyDictionary[Release, Network] = weakref.WeakKeyDictionary()


def network(release: Release, invoke: Invoke) -> Network:
    """The network of `release`, built once. `invoke(context, tool, arguments)` runs every tool call.

    Raises Invalid where a name points nowhere or a tool has changed since the release was made,
    and Unavailable for a kind of tool that this version cannot call.
    """
    known = _built.get(release)
    if known is None:
        known = _built[release] = _network(release, invoke)
    return known


def _network(release: Release, invoke: Invoke) -> Network:
    spec = release.spec
    if spec.entry not in spec.agents:
        raise Invalid(f"entry: there is no agent called {spec.entry}.")
    for guardrail in spec.guardrails:
        guardrails.find(guardrail.check)
    if missing := set(spec.agents) - set(release.content.prompts):
        raise Invalid(f"The flow has no prompt for {', '.join(sorted(missing))}.")
    made_tools = {name: _tool(release, name, invoke) for name in spec.tools}
    offered = [*spec.control, *(["search_knowledge"] if spec.knowledge else [])]
    control = [_control(name, invoke) for name in offered]
    agents = {name: _agent(release, name, made_tools, control) for name in spec.agents}
    for name, agent in agents.items():
        agent.handoffs = [_handoff(release, agents, name, target) for target in spec.agents[name].handoffs]
    return Network(agents=agents, entry=spec.entry)


def _agent(release: Release, name: str, made: Mapping[str, FunctionTool], control: list[FunctionTool]) -> Agent[Any]:
    spec = release.spec.agents[name]
    missing = [one for one in spec.tools if one not in made]
    if missing:
        raise Invalid(f"agents.{name}.tools: there is no tool called {', '.join(missing)}.")
    if spec.output is not None and (slow := patterns.fault(spec.output)):
        raise Invalid(f"agents.{name}.output: {slow}.")
    template = string.Template(release.content.prompts[name].text)

    @_told
    def instructions(context: RunContextWrapper[Any], _agent: Agent[Any]) -> str:
        return template.substitute(context.context.variables)

    # The model's name carries the agent's, because the SDK does not tell a provider which agent asks.
    return Agent(
        name=name,
        instructions=instructions,
        model=f"{spec.model}|{name}",
        model_settings=ModelSettings(temperature=spec.temperature),
        tools=[*(made[one] for one in spec.tools), *control],
        output_type=None if spec.output is None else JsonOutput(name, spec.output),
    )


def _handoff(release: Release, agents: Mapping[str, Agent[Any]], source: str, target: str) -> Handoff[Any, Any]:
    if target not in agents:
        raise Invalid(f"agents.{source}.handoffs: there is no agent called {target}.")
    about = purpose(release.spec.agents[target], release.content.prompts[target].purpose)
    return handoff(
        agents[target],
        tool_description_override=f"Hand over to {target}. {about}".strip(),
        input_filter=_RECEIVES[release.spec.agents[target].receives],
    )


def _last(data: HandoffInputData) -> HandoffInputData:
    """Only the customer's last message."""
    history = data.input_history
    if not isinstance(history, str):
        said = [item for item in history if isinstance(item, Mapping) and item.get("role") == "user"]
        history = tuple(said[-1:])
    return data.clone(input_history=history, pre_handoff_items=(), new_items=())


_RECEIVES = {"all": None, "messages": remove_all_tools, "last": _last}


def purpose(agent: AgentSpec, prompt_purpose: str) -> str:
    """What an agent is for, in a sentence: its own description, or its prompt's purpose."""
    return agent.description or prompt_purpose


def _tool(release: Release, name: str, invoke: Invoke) -> FunctionTool:
    declared, schema = release.spec.tools[name], release.content.tools.get(name)
    unstated = isinstance(declared, McpTool) and declared.stated is None
    if schema is None or (schema.effect != declared.effect and not unstated):
        raise Invalid(f"tools.{name}: its schema and its declaration do not agree.")
    if name in tools.CONTROL or name.startswith("transfer_to_"):
        raise Invalid(f"tools.{name}: the name belongs to the engine.")
    approval = _approval(name, declared)
    if declared.kind == "agent" and declared.agent not in release.spec.agents:
        raise Invalid(f"tools.{name}.agent: there is no agent called {declared.agent}.")
    if declared.kind != "python":
        if slow := patterns.fault(schema.parameters):
            raise Invalid(f"tools.{name}.parameters: {slow}.")
        return _function_tool(name, schema.description, schema.parameters, invoke, approval)
    known = tools.find(declared.call)
    if known.parameters != schema.parameters:
        raise Invalid(f"tools.{name}: {declared.call} takes other arguments now than when this flow was frozen.")
    if tools.weaker(declared.effect, known.effect):
        raise Invalid(
            f"tools.{name}.effect: {declared.call} is {known.effect}; a flow cannot call it {declared.effect}."
        )
    return _function_tool(name, schema.description, schema.parameters, invoke, approval)


def _control(name: str, invoke: Invoke) -> FunctionTool:
    known = tools.find(name)
    return _function_tool(name, known.description, known.parameters, invoke, False)


def _function_tool(
    name: str, description: str, parameters: Mapping[str, Any], invoke: Invoke, approve: Any
) -> FunctionTool:
    strict = set(parameters.get("required", [])) == set(parameters.get("properties", {}))
    body = json.loads(json.dumps(parameters))
    return FunctionTool(
        name=name,
        description=description,
        params_json_schema=ensure_strict_json_schema(body) if strict else body,
        on_invoke_tool=_told(lambda context, arguments: invoke(context, name, arguments)),
        strict_json_schema=strict,
        needs_approval=approve,
    )


def _told(function: Called) -> Called:
    """A function that says how it is called: the SDK asks before every call, and finding it out takes long."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def _approval(name: str, declared: ToolSpec) -> Any:
    """Whether a call must wait for a person: never, or as the rules say unless somebody has decided about it."""
    if declared.approve is None:
        return False

    async def needed(context: RunContextWrapper[Any], arguments: Mapping[str, Any], call_id: str) -> bool:
        if context.context.decision(call_id, name, arguments) is not None:
            return False
        return asks(declared, arguments)

    return needed


def asks(declared: ToolSpec, arguments: Mapping[str, Any]) -> bool:
    """Whether a call with these arguments needs a person's approval.

    The rules judge each argument as it was written and as the tool will take it, so that no spelling slips through.
    """
    rules = declared.approve
    if rules is None or rules == "always":
        return rules is not None
    spellings = (arguments, _taken(declared, arguments))
    return any(breaks(rule, given.get(one)) for one, rule in rules.items() for given in spellings)


def _taken(declared: ToolSpec, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as the tool gets them, as JSON values. What the tool will refuse stays as it is."""
    if not isinstance(declared, PythonTool):
        return arguments
    try:
        return tools.find(declared.call).model.model_validate(arguments).model_dump(mode="json")
    except (ValidationError, NotFound):
        return arguments


def breaks(rule: ArgumentRule, value: Any) -> bool:
    """Whether `value` asks for approval under `rule`. A missing value, or one of another type, does."""
    if rule.any_of is not None and _listed(rule.any_of, value):
        return True
    if rule.above is None and rule.below is None:
        return value is None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (rule.above is not None and not value <= rule.above) or (rule.below is not None and not value >= rule.below)


def _listed(listed: tuple[bool | str | float, ...], value: Any) -> bool:
    """Whether `value` is one of those listed, in any case and spacing, or of a type that none of them has."""
    kind = _kind(value)
    alike = [_plain(one) for one in listed if _kind(one) == kind]
    return not kind or not alike or _plain(value) in alike


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""


def _plain(value: Any) -> Any:
    """A text without what an eye does not see: case, spacing, and spellings that Unicode calls the same."""
    if not isinstance(value, str):
        return value
    seen = "".join(one for one in unicodedata.normalize("NFKC", value) if unicodedata.category(one) != "Cf")
    return " ".join(seen.casefold().split())


class OutputDoesNotFit(ModelBehaviorError):
    """An answer that is not what the agent's output schema asks for."""


class JsonOutput(AgentOutputSchemaBase):
    """An agent's output as a JSON schema written in the flow."""

    def __init__(self, agent: str, schema: Mapping[str, Any]) -> None:
        self._name = f"{agent}_output"
        self._schema = json.loads(json.dumps(schema))

    def is_plain_text(self) -> bool:
        """Never: it is JSON."""
        return False

    def name(self) -> str:
        """The schema's name."""
        return self._name

    def json_schema(self) -> dict[str, Any]:
        """The schema as written."""
        return dict(self._schema)

    def is_strict_json_schema(self) -> bool:
        """Only a closed schema, with every property required, can be asked for strictly."""
        properties = set(self._schema.get("properties", {}))
        return self._schema.get("additionalProperties") is False and properties == set(self._schema.get("required", []))

    def validate_json(self, json_str: str) -> Any:
        """The parsed output. Raises OutputDoesNotFit, which never quotes the answer: no guardrail has seen it yet."""
        if checked.outside(self._schema):
            raise OutputDoesNotFit("its schema points outside itself")
        try:
            value = json.loads(json_str)
        except ValueError:
            raise OutputDoesNotFit("it is not JSON") from None
        except RecursionError:
            raise OutputDoesNotFit("it is nested too deeply") from None
        try:
            return self._fitting(value)
        except RecursionError:
            raise OutputDoesNotFit("it is nested too deeply") from None

    def _fitting(self, value: Any) -> Any:
        from jsonschema.exceptions import best_match

        slow = patterns.fault(self._schema) or patterns.names_too_long(self._schema, value)
        if slow or patterns.too_much(self._schema, value):
            raise OutputDoesNotFit("a pattern of its schema could take very long")
        if (error := best_match(checked.validator(self._schema).iter_errors(value))) is not None:
            path = ".".join(str(p) for p in error.absolute_path) or "the answer"
            raise OutputDoesNotFit(f"{path} breaks the rule `{error.validator}`")
        return value
