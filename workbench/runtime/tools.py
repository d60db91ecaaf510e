"""Python tools: `@tool`, the catalogue, and the context that a tool function receives."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from workbench.errors import Invalid, NotFound
from workbench.runtime.spec import EFFECTS, Effect

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

CONTROL = ("abstain", "escalate", "search_knowledge")
"""Tools that the engine offers to agents by itself; a flow may not declare one of these names."""


_making = threading.Lock()
"""Two tools of a run that ask for the same resource at the same time get the same one."""


@dataclass
class ToolContext:
    """What a tool function may use: the run's variables and its resources, one per type.

    `key` names the call, and is the same where a call is made again after a crash: what changes something can keep it
    and refuse to do the same twice.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    resources: dict[type, Any] = field(default_factory=dict)
    key: str = ""

    def resource(self, kind: type[R]) -> R:
        """The run's `kind`; where the caller gave none, `kind.sample()`, made once per run.

        Raises NotFound where there is neither.
        """
        with _making:
            if kind not in self.resources:
                sample = getattr(kind, "sample", None)
                if sample is None:
                    raise NotFound(
                        f"This run has no {kind.__name__}.", remedy="Pass it in `resources` when you call `run`."
                    )
                self.resources[kind] = sample()
        return typing.cast(R, self.resources[kind])


@dataclass(frozen=True)
class Catalogued:
    """A Python function that flows may name."""

    name: str
    function: Callable[..., Any]
    effect: Effect
    description: str
    model: type[BaseModel]

    @functools.cached_property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return schema_of(self.model)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given`, validated to the function's exact types. Raises Invalid naming each argument that does not fit."""
        try:
            valid = self.model.model_validate(given)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise Invalid(f"The arguments of {self.name} do not fit: {problems}.") from None
        return dict(iter(valid))


_catalogue: dict[str, Catalogued] = {}


def tool(*, effect: Effect) -> Callable[[F], F]:
    """Register a function as a tool under its own name.

    Its first parameter is the ToolContext; the others become the schema, described by the docstring's `Args:`.
    `effect` is the least that a flow must declare: a flow may call a `read` tool `write`, never the reverse.
    """

    def register(function: F) -> F:
        name = function.__name__
        if name in _catalogue and _catalogue[name].function.__module__ != function.__module__:
            raise Invalid(f"Two tools are called {name}.", remedy="Rename one of the functions.")
        description, notes = _docstring(function)
        _catalogue[name] = Catalogued(name, function, effect, description, _model(function, notes))
        return function

    return register


def catalogue() -> dict[str, Catalogued]:
    """All registered tools by name, the control tools left out."""
    importlib.import_module("workbench.runtime.toolbox")
    return {name: known for name, known in sorted(_catalogue.items()) if name not in CONTROL}


def find(name: str) -> Catalogued:
    """The tool called `name`. Raises NotFound listing the known ones."""
    if (found := known(name)) is None:
        raise NotFound(f"There is no Python tool called {name}.", remedy=f"Known: {', '.join(catalogue())}.")
    return found


def known(name: str) -> Catalogued | None:
    """The tool called `name`, or None."""
    if name not in _catalogue:
        importlib.import_module("workbench.runtime.toolbox")
    return _catalogue.get(name)


def weaker(declared: Effect, least: Effect) -> bool:
    """Whether `declared` promises less harm than the function can do."""
    return EFFECTS.index(declared) < EFFECTS.index(least)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of `model`, without the titles that pydantic adds."""
    return typing.cast(dict[str, Any], _untitled(model.model_json_schema()))


def _untitled(node: Any, *, names: bool = False) -> Any:
    if isinstance(node, dict):
        return {k: _untitled(v, names=k == "properties") for k, v in node.items() if names or k != "title"}
    if isinstance(node, list):
        return [_untitled(v) for v in node]
    return node


def _model(function: Callable[..., Any], notes: Mapping[str, str]) -> type[BaseModel]:
    hints = typing.get_type_hints(function)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], Field(default, description=notes.get(parameter.name)))
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function) or ""
    head, _, rest = text.partition("\nArgs:\n")
    notes: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if found := re.match(r"^ {2,4}(\w+)(?: \([^)]*\))?: (.*)$", line):
            name = found[1]
            notes[name] = found[2].strip()
        elif name and line.strip():
            notes[name] += " " + line.strip()
    return " ".join(head.strip().split("\n\n")[0].split()), notes
