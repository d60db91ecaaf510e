"""Secrets of the deployment: named as `secret:name`, read from the environment where they are used, and never shown."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from workbench.errors import Invalid

MASK = "[secret]"

_NAMED = re.compile(r"secret:([A-Za-z][A-Za-z0-9_-]*)")


def secret(name: str) -> str:
    """The value of a secret. Raises Invalid naming the secret and its variable where it is not set."""
    value = os.environ.get(variable(name), "").strip()
    if not value:
        raise Invalid(
            f"The secret {name} is not set: there is no {variable(name)} in the environment.",
            remedy="Set it where the workbench runs, and start it again.",
        )
    return value


def variable(name: str) -> str:
    """The environment variable that holds a secret."""
    return "WORKBENCH_SECRET_" + name.upper().replace("-", "_")


def named(texts: Iterable[str]) -> list[str]:
    """The names of the secrets in `texts`, in order, each once."""
    return list(dict.fromkeys(name for text in texts for name in _NAMED.findall(text)))


def missing(texts: Iterable[str]) -> list[str]:
    """The names of the secrets in `texts` that are not set."""
    return [name for name in named(texts) if not os.environ.get(variable(name), "").strip()]


def fill(texts: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """`texts` with the secrets in their places, and the values that were put in. Raises Invalid as `secret` does."""
    values = {name: secret(name) for name in named(texts.values())}
    filled = {key: _NAMED.sub(lambda found: values[found[1]], text) for key, text in texts.items()}
    return filled, tuple(values.values())


def hide(text: str, values: Iterable[str]) -> str:
    """`text` with every secret value in it masked, also where it stands escaped for JSON, HTML or a URL."""
    forms = {form for value in values for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _forms(value: str) -> tuple[str, ...]:
    return (
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
    )
