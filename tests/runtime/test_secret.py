"""What is masked: a secret in every spelling in which another side may repeat it, and nothing else."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.runtime.secret import hide

VALUE = "k&y/<9>+'\"\\é 7=z"


def every_unit(value: str) -> str:
    """JSON in which each character is escaped by its number."""
    units = value.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


SPELLINGS = {
    "as it is": VALUE,
    "JSON": json.dumps(VALUE)[1:-1],
    "JSON of PHP": json.dumps(VALUE)[1:-1].replace("/", "\\/"),
    "JSON of Go": json.dumps(VALUE)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003E"),
    "JSON by number": every_unit(VALUE),
    "JSON by number in capitals": every_unit(VALUE).upper().replace("\\U", "\\u"),
    "JSON within JSON": json.dumps(json.dumps(VALUE))[3:-3],
    "JSON of HTML": json.dumps(html.escape(VALUE))[1:-1],
    "JavaScript": "".join(f"\\x{ord(one):02x}" for one in VALUE),
    "HTML": html.escape(VALUE),
    "HTML by number": "".join(f"&#{ord(one)};" for one in VALUE),
    "HTML by hexadecimal number": "".join(f"&#x{ord(one):X};" for one in VALUE),
    "HTML within HTML": html.escape(html.escape(VALUE)),
    "a URL": quote(VALUE),
    "a URL's value": quote(VALUE, safe=""),
    "a form's value": quote_plus(VALUE),
    "a URL in small letters": quote(VALUE, safe="").lower(),
    "a URL, each byte": "".join(f"%{byte:02X}" for byte in VALUE.encode()),
    "a URL within a URL": quote(quote(VALUE, safe=""), safe=""),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
    "base64 in JSON of PHP": base64.b64encode(VALUE.encode()).decode().replace("/", "\\/"),
    "hexadecimal": VALUE.encode().hex(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_in_every_spelling(spelling: str) -> None:
    assert hide(f'{{"said": "{SPELLINGS[spelling]}", "more": 1}}', [VALUE]) == '{"said": "[secret]", "more": 1}'


@pytest.mark.parametrize("user", ["u:", "me:", "you:"])
def test_a_secret_behind_a_user_name_in_base64_is_masked(user: str) -> None:
    written = base64.b64encode(f"{user}{VALUE}".encode()).decode()
    hidden = hide(written, [VALUE])
    assert hidden.endswith("[secret]")
    assert len(hidden) <= len("[secret]") + 6


@pytest.mark.parametrize(("last", "spelled"), [("\\", "\\u005c"), ("&", "&amp;"), ("%", "%25")])
def test_an_escape_that_begins_with_its_character_is_masked_whole(last: str, spelled: str) -> None:
    assert hide(f"<00000000{spelled}>", [f"00000000{last}"]) == "<[secret]>"


def test_other_texts_stay_as_they_are() -> None:
    for text in ("k&y/<9>+", json.dumps({"a": "key"}), "%6B%26", "\\u006b", "a" * 1000, "\\" * 1000, ""):
        assert hide(text, [VALUE]) == text
    assert hide("nothing", []) == "nothing"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert hide("abcdef-abcdef-ghi", ["abcdef", "abcdef-ghi"]) == "[secret]-[secret]"


@settings(max_examples=100, deadline=None)
@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=9, max_size=20),
    ways=st.lists(st.integers(0, 6), min_size=20),
)
def test_a_secret_whose_characters_are_spelled_each_in_its_own_way_is_masked(value: str, ways: list[int]) -> None:
    def spelled(one: str, way: int) -> str:
        return [
            one,
            json.dumps(one)[1:-1],
            json.dumps(one, ensure_ascii=False)[1:-1],
            every_unit(one),
            quote(one, safe=""),
            html.escape(one),
            f"&#{ord(one)};",
        ][way]

    said = "".join(spelled(one, way) for one, way in zip(value, ways, strict=False))
    assert hide(f"<{said}>", [value]) == "<[secret]>"
