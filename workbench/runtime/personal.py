"""Personal data and credentials in a text: where they stand, of which kind they are, and what value they name.

Numbers with a checksum are taken by it; what has none is taken by its shape, or by a word before it that names it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import AnyStr, Literal, get_args

Kind = Literal["email", "phone", "card", "iban", "national-id", "secret"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of a text: its place, its kind, and its value in one spelling, so that the same thing is known again."""

    start: int
    end: int
    kind: str
    value: str


def find(text: str, hint: str = "") -> list[Found]:
    """What a text holds, in order and without overlaps. `hint` is the name of the field that holds the text."""
    folded, places = _fold(text)
    plain = folded.encode("ascii", "replace")
    found: list[Found] = list(secrets(folded, plain))
    if "@" in folded or "%40" in folded:
        found += emails(folded)
    if len(plain.translate(None, _NOT_DIGITS)) >= 6:
        lowered = plain.lower()
        for start, end in _windows(plain):
            for finder in (cards, ibans, national_ids):
                found += finder(folded, start, end)
            found += phones(folded, start, end, hint)
            found += announced_ids(folded, lowered, max(0, start - 48), end)
        if hint and len(text) <= 40 and _ID_WORD.search(hint):
            found += _named_id(folded)
    if len(found) > 1:
        found = _apart(found)
    if places is None or not found:
        return found
    return [Found(places[one.start], places[one.end - 1] + 1, one.kind, one.value) for one in found]


def _apart(found: list[Found]) -> list[Found]:
    """Without overlaps, in order; where two see the same characters, the first has them."""
    kept: list[Found] = []
    taken = bytearray(max(one.end for one in found))
    for one in found:
        if not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


_NOT_DIGITS = bytes(i for i in range(256) if chr(i) not in "0123456789")
_AS_DIGIT = bytes(0x30 if 0x30 <= i <= 0x39 else 0x20 for i in range(256))
_DIGITS = re.compile(rb"0(?: {0,3}0)*")
_LEFT, _RIGHT = 16, 24


def _windows(plain: bytes) -> list[tuple[int, int]]:
    """The parts of a text that hold six digits near each other, with what stands around them."""
    found: list[tuple[int, int]] = []
    marked = plain.translate(_AS_DIGIT)
    for run in _DIGITS.finditer(marked):
        if marked.count(b"0", run.start(), run.end()) >= 6:
            start, end = max(0, run.start() - _LEFT), run.end() + _RIGHT
            if found and start <= found[-1][1]:
                start = found.pop()[0]
            found.append((start, end))
    return found


_ZERO = {0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF}
_SAME = (
    {0xFF01 + i: 0x21 + i for i in range(94)}
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE63), 0x2D)
    | dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), 0x20)
    | {i: ord(str(int(chr(i)))) for i in range(0x80, 0x1FBFA) if chr(i).isdecimal()}
)


def _fold(text: str) -> tuple[str, list[int] | None]:
    """The text in plain letters, digits, dashes and spaces, and the place of each of its characters where they differ."""
    if text.isascii():
        return text, None
    text = text.translate(_SAME)
    if not any(ord(c) in _ZERO for c in text):
        return text, None
    kept = [i for i, c in enumerate(text) if ord(c) not in _ZERO]
    return "".join(text[i] for i in kept), kept


_LOCAL = re.compile(r""""[^"\s]{1,62}"|[\w.+'&=!#$*-]{1,64}""")
"""What stands before the `@`, read backwards."""
_DOMAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.[^\W\d_]{2,24}(?![\w])|\[\d{1,3}(?:\.\d{1,3}){3}\]")
_PUNYCODE = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.xn--[\w-]{1,59}")
_ATS = ("@", "%40")


def emails(text: str) -> Iterator[Found]:
    """E-mail addresses, also with an encoded `@`."""
    for at, end in sorted((at, at + len(sign)) for sign in _ATS for at in _places(text, sign)):
        before = _LOCAL.match(text[max(0, at - 64) : at][::-1])
        after = _PUNYCODE.match(text, end) or _DOMAIN.match(text, end)
        if before and after:
            start = at - len(before[0].rstrip("'=&!#$*.-"))
            if start < at:
                yield Found(start, after.end(), "email", f"{text[start:at]}@{after[0]}".lower())


_CARD = re.compile(r"\d(?:[\s.\-\u2010-\u2015]{0,2}\d){12,}")
_GROUP = re.compile(r"\d+")


def cards(text: str, start: int = 0, end: int = sys.maxsize, _hint: str = "") -> Iterator[Found]:
    """Payment card numbers, by ISO/IEC 7812 length and Luhn checksum.

    Every group of digits in a row may begin or end a number, so that a date or a security code behind it does not hide it.
    """
    for run in _CARD.finditer(text, start, end):
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        first = 0
        while first < len(groups):
            first = yield from _card_from(groups, first)


def _card_from(groups: list[re.Match[str]], first: int) -> Generator[Found, None, int]:
    """The number that begins with a group of digits, where one does; the group to go on with."""
    number = ""
    for place in range(first, len(groups)):
        number += groups[place][0]
        if len(number) > 19:
            break
        if 13 <= len(number) <= 19 and len(set(number)) > 1 and number[0] in "23456" and luhn(number):
            yield Found(groups[first].start(), groups[place].end(), "card", number)
            return place + 1
    return first + 1


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others by ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}\d\d(?:[ \-.]?[A-Za-z0-9]){11,32}))")
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def ibans(text: str, start: int = 0, end: int = sys.maxsize, _hint: str = "") -> Iterator[Found]:
    """Bank account numbers: the length of their country, and the check digits of ISO 13616 (ISO/IEC 7064, MOD 97-10)."""
    for run in _IBAN.finditer(text, start, end):
        written = run[1]
        length = _IBAN_LENGTHS.get(written[:2].upper(), 0)
        places = [i for i, c in enumerate(written) if c.isalnum()][:length]
        if length and len(places) == length:
            value = "".join(written[i] for i in places).upper()
            if value.isascii() and int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1:
                yield Found(run.start(), run.start() + places[-1] + 1, "iban", value)


_NUMBER = re.compile(r"\d(?:[ ().\-/]{0,3}\d){6,16}(?![\w@])")
_BEFORE_NUMBER = re.compile(r"(?<![\w@#/])(?<!\d[.\-])\+?\(?\Z")
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}")
_NORTH_AMERICA = re.compile(r"(?:\+?1[ .\-]{0,2})?(?:\(\d{3}\)[ .\-]?|[2-9]\d\d[ .\-])\d{3}[ .\-]\d{4}")
_PHONE_WORD = re.compile(
    r"(?:tele)?phone|\btel\b|mobile|\bcell|whats ?app|\bsms\b|\bfax\b|\bcall(?:ed|ing|s|back)?\b|\bring\b|\bdial|\btext me\b"
    r"|reach (?:me|us|him|her|them)|contact number|telefon|handy|mobil|rufnummer|t[ée]l[ée]phone|portable|tel[ée]fono|m[óo]vil",
    re.IGNORECASE,
)
_OTHER_WORD = re.compile(
    r"order|invoice|ticket|case|track|parcel|refer|serial|account|customer|item|product|sku|price|amount|total|version|\bid\b",
    re.IGNORECASE,
)


def phones(text: str, start: int, end: int, hint: str) -> Iterator[Found]:
    """Telephone numbers: international, North American, national with a leading zero, or any that a word announces.

    Every group of digits in a row may begin or end a number; the longest that is one is taken.
    """
    for run in _NUMBER.finditer(text, start, end):
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        first = 0
        while first < len(groups):
            first = yield from _phone_from(text, groups, first, hint)


def _phone_from(text: str, groups: list[re.Match[str]], first: int, hint: str) -> Generator[Found, None, int]:
    """The number that begins with a group of digits, where one does; the group to go on with."""
    at = groups[first].start()
    before = _BEFORE_NUMBER.search(text, max(0, at - 2), at)
    if before is None or _DATE.match(text, at):
        return first + 1
    for last in range(min(len(groups), first + 8) - 1, first - 1, -1):
        end = groups[last].end()
        lead = before[0] if ")" in text[at:end] else before[0].rstrip("(")
        digits = "".join(one[0] for one in groups[first : last + 1])
        whole = first == 0 and last == len(groups) - 1
        if not 7 <= len(digits) <= 15 or len(set(digits)) == 1:
            continue
        told = whole and _announced(_PHONE_WORD, text, at - len(lead), hint)
        other = _national(digits) and _announced(_OTHER_WORD, text, at - len(lead), hint)
        if (told or _is_phone(lead + text[at:end], digits)) and not other:
            yield Found(at - len(lead), end, "phone", digits.removeprefix("00"))
            return last + 1
    return first + 1


def _is_phone(written: str, digits: str) -> bool:
    """Whether a number is written as telephone numbers are."""
    if written.startswith("+") or (digits.startswith("00") and digits[2] != "0" and len(digits) >= 10):
        return True
    if _NORTH_AMERICA.fullmatch(written):
        return True
    return _national(digits) and 9 <= len(digits) <= 12 and (len(digits) >= 10 or not written.isdigit())


def _national(digits: str) -> bool:
    return digits[0] == "0" and digits[1] in "123456789"


def _announced(word: re.Pattern[str], text: str, at: int, hint: str) -> bool:
    """Whether the last word before a place that tells what a number is, or the field's name, is such a word."""
    before = text[max(0, at - 32) : at]
    ends = [max((m.end() for m in one.finditer(before)), default=-1) for one in (_PHONE_WORD, _OTHER_WORD)]
    if ends == [-1, -1]:
        return word.search(hint.replace("_", " ")) is not None
    return word is (_PHONE_WORD if ends[0] > ends[1] else _OTHER_WORD)


_ID_NEEDLES = tuple(
    word.encode()
    for word in (
        "social security", "ssn", "social insurance", "national insurance", "national id", "id card", "identity", "passport",
        "steuer", "tax", "idnr", "bsn", "burgerservice", "cpf", "pesel", "aadhaar", "personnummer", "nino", "nif", "dni",
    )
)  # fmt: skip
_ID_WORD = re.compile("|".join(rf"\b{word.decode()}" for word in _ID_NEEDLES), re.IGNORECASE)
_ANNOUNCED_ID = re.compile(
    r"[A-Za-z ]{3,20}[\w\s.:#'\"=-]{0,24}?(?<![\w])(?=[A-Z0-9 .\-/]{0,14}\d)([A-Z]{0,2}\d(?:[ .\-/]?[A-Z0-9]){5,13})(?![\w])",
    re.IGNORECASE,
)
_ID = re.compile(r"(?=(?:\D{0,3}\d){5})[A-Za-z0-9 .\-/]{6,20}")
_SEPARATORS = re.compile(r"[\s.\-/+]")


def national_ids(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Found]:
    """National identity, tax and social security numbers that their shape or their check digits tell."""
    for run in _SHAPED.finditer(text, start, end):
        value = _SEPARATORS.sub("", run[0]).upper()
        country = next(name for name in _CHECKS if run[name])
        if (value[0].isdigit() or country == "spain") and _CHECKS[country](value):
            yield Found(run.start(), run.end(), "national-id", value)
    for shape, lead, holds in _LED:
        for run in shape.finditer(text, start, end):
            before = lead.search(text, max(0, run.start() - 8), run.start())
            if before and holds(value := _SEPARATORS.sub("", before[0] + run[0]).upper()):
                yield Found(before.start(), run.end(), "national-id", value)


def announced_ids(text: str, lowered: bytes, start: int, end: int) -> Iterator[Found]:
    """Numbers that a word such as `passport` before them makes an id."""
    around = lowered[start:end]
    for word in _ID_NEEDLES:
        if word in around:
            for at in _places(around, word):
                run = _ANNOUNCED_ID.match(text, start + at)
                if run and (start + at == 0 or not text[start + at - 1].isalnum()):
                    yield Found(run.start(1), run.end(1), "national-id", _SEPARATORS.sub("", run[1]).upper())


def _named_id(text: str) -> Iterator[Found]:
    if _ID.fullmatch(text):
        yield Found(0, len(text), "national-id", _SEPARATORS.sub("", text).upper())


def _social_security(value: str) -> bool:
    """The numbers that the Social Security Administration may give out."""
    return value[:3] not in ("000", "666") and value[0] != "9" and value[3:5] != "00" and value[5:] != "0000"


def _spanish(value: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23."""
    if len(value) != 9:
        return False
    number = value[:-1].translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"})
    return value[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def _french(value: str) -> bool:
    """NIR: 97 less the number modulo 97."""
    if value[0] not in "12":
        return False
    number = value[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(value[13:])


def _brazilian(value: str) -> bool:
    """CPF: two check digits modulo 11."""
    if len(set(value)) == 1:
        return False
    for end in (9, 10):
        total = sum(int(d) * (end + 1 - i) for i, d in enumerate(value[:end]))
        if total * 10 % 11 % 10 != int(value[end]):
            return False
    return True


_VERHOEFF = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def _indian(value: str) -> bool:
    """Aadhaar: the Verhoeff check digit (dihedral group of order 10)."""
    check = 0
    for place, digit in enumerate(reversed(value)):
        one = int(_VERHOEFF[place % 8][int(digit)])
        check = _dihedral(check, one)
    return check == 0


def _dihedral(one: int, other: int) -> int:
    if one < 5:
        return (one + other) % 5 if other < 5 else 5 + (one + other) % 5
    return 5 + (one - other) % 5 if other < 5 else (one - other) % 5


def _polish(value: str) -> bool:
    """PESEL: a date with the century in its month, and a weighted check digit."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    dated = 1 <= int(value[2:4]) % 20 <= 12 and 1 <= int(value[4:6]) <= 31
    return dated and (10 - sum(int(d) * w for d, w in zip(value, weights, strict=False)) % 10) % 10 == int(value[10])


def _italian(value: str) -> bool:
    """Codice fiscale: a letter over odd and even places."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    total = 0
    for place, c in enumerate(value[:15]):
        number = int(c) if c.isdigit() else ord(c) - 65
        total += odd[number] if place % 2 == 0 else number
    return chr(65 + total % 26) == value[15]


def _always(_value: str) -> bool:
    return True


_SHAPED = re.compile(
    r"[0-9XYZ](?<![\w\-].)(?:"
    r"(?P<usa>\d\d([- ])\d{2}\2\d{4})|(?P<canada>\d\d([- ])\d{3}\4\d{3})|(?P<brazil>\d\d\.\d{3}\.\d{3}-\d{2})"
    r"|(?P<india>\d{3}([ -])\d{4}\7\d{4})|(?P<spain>-?\d{7}-?[A-Z])"
    r"|(?P<france> ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d)"
    r"|(?P<poland>\d{10})|(?P<sweden>\d{5}[-+]\d{4}))(?![\w\-])"
)
_CHECKS: dict[str, Callable[[str], bool]] = {
    "usa": _social_security,
    "canada": luhn,
    "brazil": _brazilian,
    "india": _indian,
    "spain": _spanish,
    "france": _french,
    "poland": _polish,
    "sweden": luhn,
}
_LED: tuple[tuple[re.Pattern[str], re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        re.compile(r"\d\d[A-EHLMPR-Ta-ehlmpr-t]\d\d[A-Za-z]\d{3}[A-Za-z](?!\w)"),
        re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{6}\Z"),
        _italian,
    ),
    (
        re.compile(r"\d\d ?\d\d ?\d\d ?[A-Da-d]\b"),
        re.compile(r"(?<![A-Za-z0-9])(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]) ?\Z"),
        _always,
    ),
)
"""Letters before the digits: the digits are looked for, which is quick, and then what stands before them."""

_KEY_SHAPES = tuple(
    (start.encode(), re.compile(rf"(?<![A-Za-z0-9]){shape}", re.IGNORECASE))
    for start, shape in (
        ("sk-", r"sk-[\w-]{16,}"), ("sk_", r"sk_[\w-]{16,}"), ("rk_", r"rk_[\w-]{16,}"), ("pk_", r"pk_[\w-]{16,}"),
        ("akia", r"AKIA[0-9A-Z]{16}"), ("asia", r"ASIA[0-9A-Z]{16}"), ("gh", r"gh[pousr]_\w{20,}"),
        ("github_pat_", r"github_pat_\w{20,}"), ("glpat-", r"glpat-[\w-]{16,}"), ("xox", r"xox[a-z]-[\w-]{10,}"),
        ("aiza", r"AIza[\w-]{30,}"), ("npm_", r"npm_\w{20,}"), ("hf_", r"hf_\w{20,}"), ("eyj", r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
        ("sg.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    )
)  # fmt: skip
"""What keys of well-known services begin with, in lower case, and look like."""

_VALUE = r"[\"'`]?(?![\[<])([^\s\"'`,;<>\x00]{6,512})"
_PAIR = r"[^\s\"'`,;<>\x00]{1,4096}"
_GIVEN = (
    ("bearer", re.compile(rf"bearer\s+{_VALUE}", re.IGNORECASE)),
    (
        "cookie:",
        re.compile(rf"cookie:\s{{0,3}}[\"'`]?(?![\[<])({_PAIR}(?:; ?{_PAIR}){{0,100}})", re.IGNORECASE),
    ),
    ("basic", re.compile(r"\bbasic\s+([A-Za-z0-9+/]{12,512}={0,2})(?![\w])", re.IGNORECASE)),
    *(
        (
            word,
            re.compile(
                rf"{word}(?:[a-z]{{0,4}}|[ _-]?(?:key|token|phrase|code|word))[\"']?\s{{0,3}}(?:is\b|:=|=>|:|=)\s{{0,3}}"
                rf"(?:bearer\s+|basic\s+)?{_VALUE}",
                re.IGNORECASE,
            ),
        )
        for word in ("pass", "pwd", "secret", "token", "key", "authorization")
    ),
)
"""Words that say that a credential follows."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^-\x00]{0,8000}-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_IN_ADDRESS = re.compile(r"://[^\s:/@\x00]{0,64}:([^\s/@\x00]{1,256})@")
_TOKEN = bytes(0x61 if (chr(i).isalnum() and i < 128) or chr(i) in "_-." else 0x20 for i in range(256))
_LONG = b"a" * 15
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ENDINGS = frozenset(
    ("confirmation", "confirm", "repeat", "repeated", "again", "new", "old", "current", "value", "plain", "header", "hash", "hint")
)  # fmt: skip
"""Words behind the name of a secret that leave it one."""
_SECRET_NAME = re.compile(
    r"(?:^| )(?:[a-z]*pass ?(?:word|wort|phrase|code)s?|[a-z]*passwd|(?:db|smtp|ftp|mail|user|admin|root|login) ?pass|pwd"
    r"|(?:client|app|webhook|shared)?secret(?: ?key)?|(?:api|access|private|client|auth|encryption|signing|subscription|master) ?keys?"
    r"|(?:api|access|auth|refresh|session|bearer|id|csrf)token|(?:api|access|auth|refresh|bearer) ?tokens"
    r"|(?:http|request|response|session|auth) ?cookies|authorization|cookie|token)$"
)
_HARMLESS_NAME = re.compile(
    r"(?:^| )(?:(?:per|first|last|next|previous|page|sync|continuation|stop|end|start|eos|bos|pad|unk|mask|special|each|single"
    r"|input|output|prompt|completion|cached|reasoning|total|max|min|by) token"
    r"|(?:return|payment|card|pre|purchase|merchandise|refund) authorization)$"
)
"""Counts and places in a list that are called tokens, and what a shop authorises."""


def names_secret(field: str) -> bool:
    """Whether a field of this name holds a credential, whatever its value looks like."""
    names = [_spoken(one) for one in {field[-200:], field[-200:].lower()}]
    return any(_SECRET_NAME.search(one) for one in names) and not any(_HARMLESS_NAME.search(one) for one in names)


def _spoken(field: str) -> str:
    """The words of a field's name, without those behind a secret's that leave it one."""
    words = [one.lower() for one in _WORDS.findall(field)]
    while len(words) > 1 and words[-1] in _ENDINGS:
        words.pop()
    return " ".join(words)


def secrets(text: str, plain: bytes | None = None) -> Iterator[Found]:
    """Keys, tokens, private keys, passwords that are given as such, and those in addresses."""
    plain = text.encode("ascii", "replace") if plain is None else plain
    lowered = plain.lower()
    for start, end in _long_tokens(plain):
        token = lowered[start:end]
        for mark, shape in _KEY_SHAPES:
            if mark in token:
                for key in shape.finditer(text, start, end):
                    yield Found(key.start(), key.end(), "secret", key[0])
    for word, given in _GIVEN:
        for at in _places(lowered, word.encode()):
            if (found := given.match(text, at)) and _credential(found[1], found[0], word, text[max(0, at - 9) : at]):
                yield Found(found.start(1), found.end(1), "secret", found[1])
    if b"private key" in lowered:
        for found in _PRIVATE_KEY.finditer(text):
            yield Found(found.start(), found.end(), "secret", found[0])
    if b"://" in lowered and b"@" in lowered:
        for found in _IN_ADDRESS.finditer(text):
            yield Found(found.start(1), found.end(1), "secret", found[1])


def _long_tokens(plain: bytes) -> Iterator[tuple[int, int]]:
    """Where letters, digits and their like stand in a row as long as in a key."""
    marked = plain.translate(_TOKEN)
    at = marked.find(_LONG)
    while at >= 0:
        end = marked.find(b" ", at)
        end = len(marked) if end < 0 else end
        yield at, end
        at = marked.find(_LONG, end)


def _places(text: AnyStr, needle: AnyStr) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


_KINDS_OF_KEY = re.compile(
    r"(?:api|access|account|private|secret|client|auth|encryption|signing)[ _-]?\Z", re.IGNORECASE
)


def _credential(value: str, whole: str, word: str, before: str) -> bool:
    """Whether what follows the word is a credential and not the next word of a sentence."""
    if word == "cookie:":
        coded = len(value) >= 8 and re.search("[a-z]", value, re.IGNORECASE) and re.search("[0-9]", value)
        return "=" in value or bool(coded)
    if word == "key" and not _KINDS_OF_KEY.search(before):
        return False
    if word in ("key", "token") and value.isdigit():
        return False
    if not value.rstrip(".!?)").isalpha():
        return True
    written = whole[: -len(value)].rstrip("\"'` ")
    return written[-1:] in "=:" and word not in ("key", "token", "bearer")
