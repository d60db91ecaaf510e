"""The arguments of tools that are declared by a JSON schema: is the schema one, and do arguments fit it?"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import Invalid
from workbench.runtime import patterns

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

LARGEST = 200_000
"""Characters of all arguments as JSON."""

_SHOWN = 160
_DEEP = "they are nested too deeply"
_OPEN = frozenset({"additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if"})


def check(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Nothing, where `given` fits `schema`.

    A schema that says nothing of further arguments allows none. Raises Invalid naming each argument that does not fit,
    and where the schema cannot be used.
    """
    if problem := fault(schema):
        raise Invalid(f"The tool's parameters cannot be used: {problem}.")
    if problems := list(dict.fromkeys(_problems(given, schema))):
        raise Invalid(f"The arguments do not fit: {'; '.join(problems)}.")


def fault(schema: Any) -> str:
    """What keeps `schema` from being the parameters of a tool, in words; empty where nothing does."""
    try:
        written = json.dumps(schema)
    except (TypeError, ValueError):
        return "they are not JSON"
    except RecursionError:
        return _DEEP
    return _fault(written)


@functools.lru_cache(2000)
def _fault(written: str) -> str:
    from jsonschema import SchemaError

    try:
        schema = json.loads(written)
    except RecursionError:
        return _DEEP
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return "they must be a JSON schema of type object"
    if not isinstance(schema.get("$schema", ""), str):
        return "$schema must be a text"
    if reference := outside(schema):
        return f"{reference[:_SHOWN]} points outside the schema"
    try:
        validator(schema).check_schema(dict(schema))
        return patterns.fault(schema)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        return f"{where}: {_short(error.message)}" if where else _short(error.message)
    except RecursionError:
        return _DEEP


def outside(schema: Any) -> str:
    """The first reference in `schema` that points outside it, which is never followed; empty where there is none."""
    return next(_outside(schema), "")


def validator(schema: Mapping[str, Any]) -> Validator:
    """What checks values against `schema`. Its patterns must have been found to be no fault."""
    # An empty registry: without one, the library fetches what a $ref names, wherever that is.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    made: Validator = _kind(validator_for(dict(schema), default=Draft202012Validator))(schema, registry=Registry())
    return made


def names(schema: Mapping[str, Any]) -> list[str]:
    """The names of the arguments; none where the schema cannot be used."""
    known = schema.get("properties")
    return list(known) if isinstance(known, Mapping) else []


def required(schema: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that must be given; none where the schema cannot be used."""
    needed = schema.get("required")
    return [one for one in needed if isinstance(one, str)] if isinstance(needed, list | tuple) else []


def _problems(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    from referencing.exceptions import Unresolvable

    try:
        if len(json.dumps(given, ensure_ascii=False, allow_nan=False).encode()) > LARGEST:
            yield f"they have more than {LARGEST:,} bytes"
            return
    except (TypeError, ValueError, RecursionError):
        yield "they are not JSON"
        return
    if patterns.names_too_long(schema, given):
        yield f"a name has more than {patterns.LONGEST:,} characters"
        return
    if patterns.too_much(schema, given):
        yield "they hold too many long texts for their patterns"
        return
    known = names(schema)
    if not _OPEN & schema.keys():
        yield from (f"{name[:_SHOWN]} is not an argument of this tool" for name in given if name not in known)
    try:
        for error in validator(schema).iter_errors(dict(given)):
            yield from _words(error, given)
    except (Unresolvable, RecursionError):
        yield "the tool's parameters point to something that is not there, or to themselves"


def _words(error: ValidationError, given: Mapping[str, Any]) -> Iterator[str]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, Mapping) and isinstance(error.schema, Mapping):
        for name in required(error.schema):
            if name not in error.instance:
                yield f"{path}.{name} is missing" if path else f"{name} is missing"
    elif error.validator == "additionalProperties" and not path:
        known = names(error.schema) if isinstance(error.schema, Mapping) else []
        yield from (f"{name[:_SHOWN]} is not an argument of this tool" for name in given if name not in known)
    else:
        yield f"{path}: {_short(error.message)}" if path else _short(error.message)


@functools.cache
def _kind(kind: Any) -> Any:
    from jsonschema import validators

    return validators.extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def _pattern(kind: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """The library's rule, but no pattern reads a text on which it could take long."""
    from jsonschema import ValidationError

    if not kind.is_type(value, "string"):
        return
    if patterns.too_long(pattern, value):
        yield ValidationError(f"it has more than {patterns.LONGEST:,} characters, too many for its pattern")
    elif not patterns.search(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _outside(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(value, str) and not value.startswith("#"):
                yield value
            yield from _outside(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _outside(value)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
