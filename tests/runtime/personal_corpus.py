"""Generated texts of a support desk: with personal data and credentials in them, and with what only looks like it."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

FRAMES = (
    "Hello, my {what} is {value}, please change it.",
    "{value}",
    "It was {value}. Thanks!",
    "I wrote to you twice ({value}) and nobody answered.",
    "Old: {value}\nOrder: 1042, late since 2026-05-03",
    '{{"{field}": "{value}", "order_id": 1042, "amount": 19.99}}',
    "Please use “{value}” from now on; the order is #W2378156.",
)
"""Sentences and JSON around a value: with a word that announces it, and without."""

FIRST = ("ada", "rui", "mei", "jonas", "salma", "kofi", "elena", "tomas", "nora", "li")
LAST = ("keller", "haddad", "mensah", "petrova", "novak", "lind", "o'brien", "garcia-lopez", "wu")
HOSTS = (
    "example.com",
    "mail.example.co.uk",
    "firma.example.de",
    "my-shop.example.org",
    "bücher.example",
    "uni.example.edu",
)


def digits(chance: random.Random, count: int, first: str = string.digits) -> str:
    """So many digits."""
    return chance.choice(first) + "".join(chance.choice(string.digits) for _ in range(count - 1))


def with_luhn(body: str) -> str:
    """Digits with their check digit."""
    for last in string.digits:
        total = 0
        for place, digit in enumerate(reversed(body + last)):
            value = int(digit) * (2 if place % 2 else 1)
            total += value - 9 if value > 9 else value
        if total % 10 == 0:
            return body + last
    raise AssertionError


def grouped(text: str, sizes: tuple[int, ...], mark: str) -> str:
    """A text in groups."""
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return mark.join([*parts, text[at:]] if text[at:] else parts)


def email(chance: random.Random) -> str:
    """An address of the usual forms."""
    first, last, host = chance.choice(FIRST), chance.choice(LAST), chance.choice(HOSTS)
    local = chance.choice((f"{first}.{last}", f"{first}{digits(chance, 2)}", f"{first[0]}_{last}", f"{first}+shop"))
    return f"{local}@{host}".replace("o'brien", "obrien") if chance.random() < 0.9 else f"{local}@{host}".upper()


def phone(chance: random.Random) -> str:
    """A telephone number as people of several countries write it."""
    area, exchange, line = digits(chance, 3, "23456789"), digits(chance, 3, "23456789"), digits(chance, 4)
    return chance.choice(
        (
            f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}", f"+1 {area} {exchange} {line}",
            f"1-{area}-{exchange}-{line}", f"+49 {digits(chance, 3, '13')} {digits(chance, 7)}", f"+49{digits(chance, 10, '1')}",
            f"0{digits(chance, 3, '1')} {digits(chance, 7)}", f"030/{digits(chance, 7)}", f"020 7{digits(chance, 3)} {line}",
            f"07{digits(chance, 3)} {digits(chance, 6)}", f"+44 7{digits(chance, 3)} {digits(chance, 6)}",
            f"0044 20 7{digits(chance, 3)} {line}",
            "06 " + grouped(digits(chance, 8), (2, 2, 2), " "), f"+33 6 {grouped(digits(chance, 8), (2, 2, 2), ' ')}",
            f"+34 6{digits(chance, 2)} {digits(chance, 3)} {digits(chance, 3)}", f"+91 {digits(chance, 5, '6789')} {digits(chance, 5)}",
        )
    )  # fmt: skip


def card(chance: random.Random) -> str:
    """A payment card number."""
    start, length, sizes = chance.choice(
        (("4", 16, (4, 4, 4)), ("52", 16, (4, 4, 4)), ("37", 15, (4, 6)), ("6011", 16, (4, 4, 4)), ("36", 14, (4, 6)))
    )
    number = with_luhn(start + digits(chance, length - len(start) - 1))
    return grouped(number, sizes, chance.choice((" ", "-", "")))


def iban(chance: random.Random) -> str:
    """A bank account number."""
    country, body = chance.choice(
        (
            ("DE", digits(chance, 18)), ("GB", "NWBK" + digits(chance, 14)), ("FR", digits(chance, 20) + "A" + digits(chance, 2)),
            ("NL", "ABNA" + digits(chance, 10)), ("ES", digits(chance, 20)), ("CH", digits(chance, 17)), ("AT", digits(chance, 16)),
            ("MT", "MALT" + digits(chance, 5) + "0012345MTLCAST001S"),
        )
    )  # fmt: skip
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    whole = f"{country}{98 - number % 97:02}{body}"
    return whole if chance.random() < 0.4 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def national(chance: random.Random) -> str:
    """An identity, tax or social security number."""
    ssn = f"{chance.randint(1, 665):03}-{chance.randint(1, 99):02}-{chance.randint(1, 9999):04}"
    dni = digits(chance, 8)
    sin = with_luhn(digits(chance, 8, "1234567"))
    nine = digits(chance, 9)
    one = sum(int(d) * (10 - i) for i, d in enumerate(nine)) * 10 % 11 % 10
    two = sum(int(d) * (11 - i) for i, d in enumerate(nine + str(one))) * 10 % 11 % 10
    nir = f"2{chance.randint(50, 99)}{chance.randint(1, 12):02}75{digits(chance, 6)}"
    return chance.choice(
        (
            ssn, ssn.replace("-", " "), f"AB {grouped(digits(chance, 6), (2, 2), ' ')} C", f"QQ{digits(chance, 6)}A".replace("QQ", "JK"),
            dni + "TRWAGMYFPDXBNJZSQVHLCKE"[int(dni) % 23], grouped(sin, (3, 3), " "),
            f"{nine[:3]}.{nine[3:6]}.{nine[6:]}-{one}{two}", nir + f"{97 - int(nir) % 97:02}", "RSSMRA85T10A562S",
        )
    )  # fmt: skip


def secret(chance: random.Random) -> str:
    """A key or token of a well-known service."""
    letters = string.ascii_letters + string.digits

    def some(count: int, of: str = letters) -> str:
        return "".join(chance.choice(of) for _ in range(count))

    return chance.choice(
        (
            f"sk-proj-{some(40)}", f"sk_live_{some(24)}", f"AKIA{some(16, string.ascii_uppercase + string.digits)}", f"ghp_{some(36)}",
            f"glpat-{some(20)}", f"xoxb-{digits(chance, 12)}-{some(24)}", f"AIza{some(35)}", f"eyJ{some(20)}.eyJ{some(30)}.{some(43)}",
            f"github_pat_{some(40)}", f"npm_{some(36)}", f"hf_{some(34)}", f"Bearer {some(40)}",
        )
    )  # fmt: skip


KINDS: dict[str, tuple[Callable[[random.Random], str], str, str]] = {
    "email": (email, "e-mail address", "contact"),
    "phone": (phone, "phone number", "phone"),
    "card": (card, "card", "payment"),
    "iban": (iban, "bank account", "account"),
    "national-id": (national, "social security number", "reference"),
    "secret": (secret, "key", "note"),
}


def entities(seed: int, each: int) -> Iterator[tuple[str, str, str]]:
    """Kind, value, and the text that holds it."""
    chance = random.Random(seed)  # noqa: S311  (a generated corpus)
    for kind, (make, what, field) in KINDS.items():
        for number in range(each):
            value = make(chance)
            yield kind, value, FRAMES[number % len(FRAMES)].format(what=what, value=value, field=field)


def harmless(seed: int, count: int) -> Iterator[str]:
    """Texts with numbers and codes of a shop in them, and nothing that names a person."""
    chance = random.Random(seed)  # noqa: S311  (a generated corpus)
    for _ in range(count):
        order, sku, amount = (
            chance.randint(1000, 99999),
            digits(chance, 10, "123456789"),
            chance.randint(1, 9_999_999) / 100,
        )
        day = f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        yield chance.choice(
            (
                f"Order #W{digits(chance, 7)} was shipped on {day} at 14:{chance.randint(10, 59)}:07.",
                f"The order {order} holds item {sku} for {amount:,.2f} EUR.",
                f'{{"order_id": {order}, "item_ids": ["{sku}", "{digits(chance, 10, "123456789")}"], "total": {amount}}}',
                f"Tracking code 1Z{digits(chance, 6)}{chance.choice(FIRST).upper()}{digits(chance, 8)}.",
                f"It is ticket {digits(chance, 8, '123456789')}, written on {day}.",
                f"Version 3.11.{order} on host 192.168.{chance.randint(0, 255)}.{chance.randint(1, 254)}, build {day}.",
                f"Call {chance.choice(FIRST)} about invoice {digits(chance, 6, '123456789')}-{chance.randint(1, 99)} ({day}).",
                f"created_at {1_700_000_000 + order}, id {''.join(chance.choice('0123456789abcdef') for _ in range(32))}",
                "The password is wrong, the token is missing and the key of the door is with the neighbour.",
                f"Refunds take {chance.randint(2, 9)}-{chance.randint(10, 14)} days; limit {amount:.2f}; section 4.{order}.",
                f"The dimensions are {order}x{chance.randint(10, 999)} mm, serial number {digits(chance, 12, '1')}.",
            )
        )  # fmt: skip
