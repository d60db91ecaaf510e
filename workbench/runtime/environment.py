"""Which model serves which role, read from the environment."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import Invalid
from workbench.runtime.personal import KINDS
from workbench.runtime.prices import Price, at, table
from workbench.runtime.spec import ROLES

OFFLINE = "offline"

VARIABLES: tuple[tuple[str, str, str], ...] = (
    (
        "OPENAI_API_KEY",
        "none",
        "Key of OpenAI or of a compatible server. Without it the offline model serves every role.",
    ),
    ("OPENAI_BASE_URL", "OpenAI", "Address of an OpenAI-compatible server."),
    (
        "WORKBENCH_MODEL_SMALL",
        "`offline` without a key",
        "Model of the role small: `offline`, a model name, `chat:NAME`, or either with a server of its own: `NAME@URL`.",
    ),
    ("WORKBENCH_MODEL_MAIN", "`offline` without a key", "Model of the role main."),
    ("WORKBENCH_MODEL_REASONING", "`offline` without a key", "Model of the role reasoning."),
    (
        "WORKBENCH_KEY_SMALL",
        "none",
        "Key of the server that the role small names after `@`; likewise `_MAIN` and `_REASONING`.",
    ),
    (
        "WORKBENCH_PRICES",
        "the table that is shipped",
        'US dollars for a million tokens: a file as `workbench/runtime/prices.csv`, or JSON, `{"NAME": [input, output]}`, '
        "whose prices come before those of the table. A model that has no price has no known cost.",
    ),
    (
        "WORKBENCH_SECRET_NAME",
        "none",
        "What `secret:name` stands for in the headers of HTTP tools and MCP servers; a variable for each name.",
    ),
    (
        "WORKBENCH_HOSTS_NAME",
        "none",
        "Hosts to which an HTTP tool may send `secret:name`, by commas: `HOST` or `HOST:PORT`; a variable for each name. "
        "A secret without one is sent nowhere.",
    ),
    (
        "WORKBENCH_PRIVATE_HOSTS",
        "none",
        "Private hosts that HTTP tools may reach, by commas: `HOST` or `HOST:PORT`. A flow cannot allow them itself.",
    ),
    ("WORKBENCH_SERVERS", "none", "YAML file that declares the MCP servers whose tools flows may name."),
    (
        "WORKBENCH_REDACT",
        "`all`",
        f"What is masked before runs are stored: `all`, `off`, or some of {', '.join(KINDS)}, by commas.",
    ),
    ("WORKBENCH_REDACT_NAMES", "none", "Names of further fields whose whole value is masked, by commas."),
    (
        "WORKBENCH_REDACT_PATTERNS",
        "none",
        'Further things to mask, as JSON: `{"customer-number": "KD-[0-9]{8}"}`.',
    ),
    (
        "WORKBENCH_REDACT_KEY",
        "a file in `local/`",
        "Key of the placeholders: the same on every machine that shares a database.",
    ),
    ("WORKBENCH_INGEST_TOKEN", "none", "Token that other programs must show when they send their runs."),
    ("WORKBENCH_OFFLINE_DELAY", "0", "Seconds that the offline model waits between words, to see streaming."),
)


@dataclass(frozen=True)
class Served:
    """Where a model is served: its name, its server (none: OpenAI's), the key for it, and by which of the two APIs."""

    name: str
    url: str = ""
    key: str = field(default="", repr=False)
    chat: bool = False


@dataclass(frozen=True)
class Roles:
    """Which model serves each role, and how its server is reached."""

    small: str = OFFLINE
    main: str = OFFLINE
    reasoning: str = OFFLINE
    api_key: str = field(default="", repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str = ""
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    price_table: tuple[Price, ...] = ()
    offline_delay: float = 0.0

    def name(self, role: str) -> str:
        """What `role` is set to: `offline`, `NAME`, `chat:NAME`, or either with `@URL`."""
        return str(getattr(self, role))

    def price(self, name: str, day: dt.date) -> Price | None:
        """The price of the model called `name` on a day, as set for this deployment or in its table; None where unknown."""
        own = self.prices.get(name) or self.prices.get(f"chat:{name}")
        return at(self.price_table, name, day) if own is None else Price(name, dt.date.min, *own)

    def served(self, role: str) -> Served:
        """Where the model of `role` is served. A server named with `@` never gets the key of another."""
        name, _, url = self.name(role).partition("@")
        key = self.keys.get(role, "") if url else self.api_key
        return Served(name.removeprefix("chat:"), url or self.base_url, key, name.startswith("chat:"))


def roles(environment: Mapping[str, str] | None = None) -> Roles:
    """The roles from the environment. Raises Invalid naming a variable that cannot be used."""
    env = os.environ if environment is None else environment
    key, base = env.get("OPENAI_API_KEY", ""), env.get("OPENAI_BASE_URL", "")
    default = OFFLINE if not key else _sdk_default()
    names = {role: env.get(f"WORKBENCH_MODEL_{role.upper()}") or default for role in ROLES}
    for role, name in names.items():
        own = name.partition("@")[2]
        if own and not own.startswith(("http://", "https://")):
            raise Invalid(f"WORKBENCH_MODEL_{role.upper()} names the server {own}.", remedy="Begin it with https://.")
        if name != OFFLINE and not (key or base or own):
            raise Invalid(
                f"WORKBENCH_MODEL_{role.upper()} names {name}, but there is no OPENAI_API_KEY.",
                remedy="Set the key (any text for a server without keys), or unset the variable.",
            )
    try:
        told = (env.get("WORKBENCH_PRICES") or "").strip()
        named = not told or told.startswith("{")
        listed = table() if named else table(Path(told).expanduser())
        raw = json.loads(told or "{}") if named else {}
        prices = {str(name): (float(pair[0]), float(pair[1])) for name, pair in raw.items()}
        delay = float(env.get("WORKBENCH_OFFLINE_DELAY") or 0)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        raise Invalid("WORKBENCH_PRICES or WORKBENCH_OFFLINE_DELAY cannot be read.") from None
    keys: dict[str, str] = {role: env.get(f"WORKBENCH_KEY_{role.upper()}", "") for role in ROLES}
    return Roles(**names, api_key=key, keys=keys, base_url=base, prices=prices, price_table=listed, offline_delay=delay)


def _sdk_default() -> str:
    from agents.models import get_default_model

    return get_default_model()
