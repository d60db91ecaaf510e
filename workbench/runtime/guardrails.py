"""The checks that a flow may name: each reads a text and returns the reason why it trips, or None."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from workbench.errors import NotFound


@dataclass(frozen=True)
class Check:
    """A named rule over a text.

    `reach` is the longest text, in characters, that the rule needs to see at once: streamed words further back than
    that are safe to show.
    """

    name: str
    description: str
    test: Callable[[str], str | None]
    reach: int


_checks: dict[str, Check] = {}


def check(description: str, *, reach: int) -> Callable[[Callable[[str], str | None]], Callable[[str], str | None]]:
    """Register a function as a check under its own name."""

    def register(function: Callable[[str], str | None]) -> Callable[[str], str | None]:
        _checks[function.__name__] = Check(function.__name__, description, function, reach)
        return function

    return register


def checks() -> dict[str, Check]:
    """All registered checks by name."""
    return dict(sorted(_checks.items()))


def find(name: str) -> Check:
    """The check called `name`. Raises NotFound listing the known ones."""
    if name not in _checks:
        raise NotFound(f"There is no check called {name}.", remedy=f"Known: {', '.join(checks())}.")
    return _checks[name]


_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,40}\b(?:previous|prior|above|earlier|all|your|the)\b"
    r"[^.!?\n]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|polic(?:y|ies)|limits?)\b"
    r"|\b(?:reveal|show|print|repeat|output)\b[^.!?\n]{0,30}\b(?:system|hidden|initial|your)\b[^.!?\n]{0,20}\b(?:prompt|instructions?)\b"
    r"|\byou are now\b[^.!?\n]{0,40}\b(?:dan|developer mode|unrestricted|jailbroken)\b"
    r"|\b(?:developer|god|sudo|jailbreak) mode\b"
    r"|</?(?:system|assistant|tool)>|\[/?INST\]",
    re.IGNORECASE,
)


@check("Trips on text that tries to change the agent's instructions.", reach=160)
def prompt_injection(text: str) -> str | None:
    """The reason where `text` tries to change the instructions, else None."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return "it tries to change the agent's instructions" if _INJECTION.search(" ".join(plain.split())) else None


_DIGITS = re.compile(r"\d(?:[\s.\-\u2010-\u2015]{0,2}\d){12,}")


@check("Trips on payment card numbers (13 to 19 digits with a valid Luhn checksum).", reach=96)
def card_numbers(text: str) -> str | None:
    """The reason where `text` holds a payment card number by ISO/IEC 7812 length and Luhn checksum, else None.

    Every group of digits in a row may begin or end a number, so that a date or a security code behind it does not hide it.
    """
    for found in _DIGITS.finditer(text):
        groups = re.findall(r"\d+", found[0])
        for first in range(len(groups)):
            for last in range(first + 1, len(groups) + 1):
                number = "".join(groups[first:last])
                if 13 <= len(number) <= 19 and len(set(number)) > 1 and number[0] in "23456" and _luhn(number):
                    return f"it holds a payment card number ending in {number[-4:]}"
    return None


_SECRET = re.compile(
    r"\b(?:sk|rk|pk)[-_](?:live|test|proj)?[-_]?[A-Za-z0-9_-]{16,}\b|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:password|passwort|passwd)\s*(?:is|:|=)\s*\S{6,}",
    re.IGNORECASE,
)


@check("Trips on passwords, private keys and access tokens.", reach=120)
def secrets(text: str) -> str | None:
    """The reason where `text` holds something that looks like a credential, else None."""
    return "it holds a password or access key" if _SECRET.search(text) else None


_PERSONAL = re.compile(r"\b\d{3}-\d{2}-\d{4}\b|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")


@check("Trips on social security numbers and bank account numbers (IBAN).", reach=48)
def personal_data(text: str) -> str | None:
    """The reason where `text` holds a social security or bank account number, else None."""
    return "it holds a social security or bank account number" if _PERSONAL.search(text) else None


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
