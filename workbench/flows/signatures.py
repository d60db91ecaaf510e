"""Tool signatures of recorded conversations: declared in a file or told from the calls, and what each tool may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import Invalid
from workbench.runtime import arguments, tools
from workbench.runtime.spec import Effect

_READ = "calculate compare count describe estimate fetch find get list look lookup query read retrieve search show think view"
_WRITE = (
    "add apply assign book cancel change charge close create delete exchange grant issue modify move open pay place post put "
    "refund remove reserve return save schedule send set submit transfer update upgrade write"
)
_MONEY = (
    "amount cash certificate certificates charge deposit fee fees funds gift invoice money pay payment payments payout "
    "price refund refunds voucher vouchers"
)

READS, WRITES, MONEY = (frozenset(words.split()) for words in (_READ, _WRITE, _MONEY))
"""Verbs that change nothing; verbs that change something; words of money, in the name of a tool or of an argument."""

_LONGEST = 63


@dataclass(frozen=True)
class Signature:
    """A tool as it was offered: its name, what it does, and the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def called(self) -> str:
        """What the tool is called in a flow."""
        return called(self.name)


def declares(document: Any) -> bool:
    """Whether a document is a list of functions in OpenAI's format, or holds one as its `tools`."""
    return any(_function(one) for one in _listed(document))


def declared(document: Any, where: str) -> list[Signature]:
    """The tools that a document declares; none where it is no list of functions.

    Raises Invalid beginning with `where` where it is one, and a function in it cannot be used.
    """
    if not declares(document):
        return []
    return [_signature(_function(one), f"{where}, tool {number}") for number, one in enumerate(_listed(document), 1)]


def inferred(name: str, calls: Sequence[Mapping[str, Any]]) -> Signature:
    """The signature of a tool as far as its calls tell it: every argument seen, required where no call was without it."""
    return Signature(name, f"Known only from {len(calls)} recorded calls.", {"type": "object", **_fields(calls)})


def effect(signature: Signature) -> tuple[Effect, str]:
    """What a tool may do, and why: the first verb of its name decides, and a change with a word of money is high-stakes.

    A name without a known verb is taken to change something, to be on the careful side.
    """
    named = _words(signature.name)
    verb = next((one for one in named if one in READS or one in WRITES), "")
    if verb in READS:
        return "read", f"“{verb}” changes nothing"
    why = f"“{verb}” changes something" if verb else "its name holds no verb that is known to change nothing"
    if found := next((one for one in named if one in MONEY), ""):
        return "high-stakes", f"{why}, and “{found}” is about money"
    for argument in arguments.names(signature.parameters):
        if MONEY & set(_words(argument)):
            return "high-stakes", f"{why}, and its argument {argument} is about money"
    return "write", why


def called(recorded: str) -> str:
    """What a recorded tool is called in a flow: names that the engine keeps for itself, or cannot use, are changed."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", recorded)
    if name.startswith("transfer_to_"):
        name = f"hand_over_to_{name.removeprefix('transfer_to_')}"
    elif name in tools.CONTROL or not name[:1].isalpha():
        name = f"call_{name}"
    return name[:_LONGEST]


def _listed(document: Any) -> list[Any]:
    found = document.get("tools") if isinstance(document, Mapping) else document
    return found if isinstance(found, list) else []


def _function(one: Any) -> Mapping[str, Any] | None:
    """The function in an entry of a list of tools: within `function`, or flat as in the Responses format."""
    if not isinstance(one, Mapping):
        return None
    inner = one.get("function")
    if isinstance(inner, Mapping):
        return inner
    return one if one.get("type") == "function" or {"name", "parameters"} <= one.keys() else None


def _signature(function: Mapping[str, Any] | None, where: str) -> Signature:
    if function is None or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise Invalid(f"{where}: this is not a function with a name.")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if problem := arguments.fault(parameters):
        raise Invalid(f"{where}: the parameters of {function['name']} cannot be used: {problem}.")
    return Signature(function["name"], str(function.get("description") or ""), parameters)


def _words(name: str) -> list[str]:
    return [one.lower() for one in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def _fields(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in objects for name in one))
    return {
        "properties": {name: _schema([one[name] for one in objects if name in one]) for name in names},
        "required": [name for name in names if all(name in one for one in objects)],
    }


def _schema(values: Sequence[Any]) -> dict[str, Any]:
    kinds = sorted({_kind(one) for one in values})
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if objects := [one for one in values if isinstance(one, Mapping)]:
        made |= _fields(objects)
    if items := list(_items(values)):
        made["items"] = _schema(items)
    return made


def _items(values: Iterable[Any]) -> Iterable[Any]:
    return (item for one in values if isinstance(one, list) for item in one)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    kinds = ((int, "integer"), (float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
