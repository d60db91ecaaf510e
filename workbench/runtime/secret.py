"""Secrets of the deployment: named as `secret:name`, read from the environment where they are used, and never shown.

A flow may name a secret, but only the deployment says to which hosts it may be sent.
"""

from __future__ import annotations

import base64
import functools
import html.entities
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from workbench.errors import Invalid, Refused
from workbench.runtime.reach import PORTS, Target, place

MASK = "[secret]"

_HOSTS = "Write hosts as crm.example or crm.example:8443, with commas between them."
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


def hosts_variable(name: str) -> str:
    """The environment variable that lists the hosts to which a secret may be sent."""
    return "WORKBENCH_HOSTS_" + name.upper().replace("-", "_")


def check(name: str, there: Target) -> None:
    """Nothing, where the deployment lets a secret be sent to `there`. A host without a port means its usual one.

    Raises Refused naming the secret, the host and the variable, and Invalid for an entry that cannot be read.
    """
    listed = [one.strip() for one in os.environ.get(hosts_variable(name), "").split(",") if one.strip()]
    try:
        hosts = [place(one) for one in listed]
    except Invalid as error:
        raise Invalid(f"{hosts_variable(name)}: {error.message}", remedy=_HOSTS) from None
    if any(there.host == host and there.port == (port or PORTS[there.scheme]) for host, port in hosts):
        return
    may = f"it may be sent to {', '.join(listed)}" if listed else "no host is listed for it"
    raise Refused(
        f"The secret {name} is not sent to {there.label}: {may}.",
        remedy=f"Whoever runs the workbench can list {there.label} in {hosts_variable(name)}.",
    )


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
    """`text` with every secret value in it masked, however its characters are spelled.

    Those are JSON's, HTML's and a URL's spellings, of any of the characters, also one within the other; and the whole
    value in base64 or hexadecimal, also with something before or behind it.
    """
    for value in sorted(set(values), key=len, reverse=True):
        if value:
            text = _pattern(value).sub(MASK, text)
    return text


def room(values: Iterable[str]) -> int:
    """The longest that one of these values can be in any one of its spellings, in characters."""
    return max((12 * len(value) for value in values), default=0)


@functools.lru_cache(500)
def _pattern(value: str) -> re.Pattern[str]:
    """What finds a value in all its spellings. No part of it repeats without an end, so that matching stays quick."""
    raw = value.encode("utf-8", "surrogatepass")
    ways = ["".join(map(_spelled, value)), *_in_base64(raw)]
    if len(raw) >= _CODED:
        ways.append("".join(f"[{one}{one.upper()}]" for one in raw.hex()))
    return re.compile("|".join(ways))


@functools.lru_cache(2000)
def _spelled(one: str) -> str:
    """A pattern of one character: as it is, or escaped, and its escape escaped up to three times again."""
    ways = []
    units = one.encode("utf-16-be", "surrogatepass")
    ways.append("".join(r"\\{1,8}u" + _hex(units[at : at + 2].hex()) for at in range(0, len(units), 2)))
    octets = one.encode("utf-8", "surrogatepass")
    ways.append("".join("%(?:25){0,3}" + _hex(f"{octet:02x}") for octet in octets))
    code = ord(one)
    ways.append(
        r"\\{1,8}(?:u\{0{0,6}" + _hex(f"{code:x}") + r"\}" + (f"|x{_hex(f'{code:02x}')}" if code < 256 else "") + ")"
    )
    names = [f"#0{{0,6}}{code}", f"#[xX]0{{0,6}}{_hex(f'{code:x}')}", *_NAMES.get(one, ())]
    ways.append(f"&(?:amp;){{0,3}}(?:{'|'.join(names)});")
    if one in _SHORT:
        ways.append(r"\\{1,8}" + _SHORT[one])
    if one == " ":
        ways.append(r"\+")
    # The character as it is comes last: an escape of it may begin with it.
    ways.append(r"\\{1,8}" if one == "\\" else r"\\{0,8}" + re.escape(one) if one in _QUOTED else re.escape(one))
    return f"(?:{'|'.join(ways)})"


def _hex(digits: str) -> str:
    return "".join(one if one.isdigit() else f"[{one}{one.upper()}]" for one in digits)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Patterns of `raw` in base64, for each place at which it can begin in a group of three bytes."""
    if len(raw) < _CODED:
        return
    for before, skipped in ((0, 0), (1, 2), (2, 3)):
        told = base64.b64encode(b"\0" * before + raw).decode()[skipped : (before + len(raw)) * 8 // 6]
        yield "".join(_TWO.get(one, one) for one in told) + _LAST


_CODED = 4
"""Bytes of a value from which on its base64 and hexadecimal forms are looked for: shorter ones are in any text."""

_LAST = r"(?:[A-Za-z0-9+/_-]?={1,2}|[A-Za-z0-9+/_-](?![A-Za-z0-9+/_=-]))?"
"""The last character of base64, which holds only some bits of the value, and what fills the group up."""

_QUOTED = "\"'/"
_SHORT = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_NAMES: dict[str, list[str]] = {}
for _name, _character in html.entities.html5.items():
    if _name.endswith(";"):
        _NAMES.setdefault(_character, []).append(_name[:-1])
_TWO = {"+": f"(?:{_spelled('+')}|-)", "/": f"(?:{_spelled('/')}|_)"}
