"""Masking: nearly everything that is personal is found, little else is, and the same value stays the same placeholder."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.runtime import personal_corpus as corpus
from workbench.errors import Invalid
from workbench.runtime import personal, redaction
from workbench.runtime.redaction import Masker

RULES = redaction.Rules(key=b"k" * 32)


def mask(text: str, field: str = "", **rest: str) -> str:
    """A text masked with the settings given."""
    return Masker(redaction.rules(rest, key=b"k" * 32), "conv_1").text(text, field)


def test_of_a_generated_corpus_at_least_99_percent_of_each_kind_is_masked() -> None:
    met: dict[str, list[str]] = {kind: [] for kind in corpus.KINDS}
    missed: dict[str, list[str]] = {kind: [] for kind in corpus.KINDS}
    for kind, value, text in corpus.entities(seed=11, each=2000):
        (missed if value.removeprefix("Bearer ") in mask(text) else met)[kind].append(text)
    for kind in corpus.KINDS:
        share = len(met[kind]) / 2000
        assert share >= 0.99, f"{kind}: {share:.1%}, missed {missed[kind][:5]}"


@given(st.text(alphabet="0123456789 -./x@", max_size=80))
def test_every_six_digits_near_each_other_are_looked_at(text: str) -> None:
    looked = personal._windows(text.encode())
    for run in re.finditer(r"[0-9](?:[^0-9]{0,3}[0-9]){5,}", text):
        assert any(start <= max(0, run.start() - 16) and run.end() + 24 <= end for start, end in looked)
    assert all(re.search(r"[0-9](?:[^0-9]{0,3}[0-9]){5,}", text[start:end]) for start, end in looked)


def test_less_than_1_percent_of_harmless_texts_are_changed() -> None:
    texts = list(corpus.harmless(seed=12, count=5000))
    changed = [(one, mask(one)) for one in texts if mask(one) != one]
    assert len(changed) / len(texts) < 0.01, changed[:5]


def test_what_was_masked_is_not_masked_again() -> None:
    for _, _, text in corpus.entities(seed=13, each=100):
        assert mask(mask(text)) == mask(text)


def test_masked_json_is_json_with_the_same_names() -> None:
    chance = random.Random(14)  # noqa: S311  (a generated corpus)
    for _ in range(200):
        body = {"phone": corpus.phone(chance), "card": int(re.sub(r"\D", "", corpus.card(chance))), "order_id": 1042}
        masked = json.loads(mask(json.dumps({"text": json.dumps(body), **body})))
        assert masked["order_id"] == 1042
        assert masked["card"].startswith("[card ")
        assert json.loads(masked["text"])["phone"] == masked["phone"]


def test_the_same_person_is_the_same_placeholder_within_a_conversation_only() -> None:
    one, other = Masker(RULES, "conv_1"), Masker(RULES, "conv_2")
    first = one.text("I am Ada@Example.com")
    assert re.fullmatch(r"I am \[email [0-9a-f]{6}\]", first)
    assert one.text("mail ada@example.com!") == first.replace("I am", "mail") + "!"
    assert one.text("+49 30 1234567")[7:] == one.text("+49 (30) 123-4567")[7:]
    assert other.text("I am Ada@Example.com") != first
    assert Masker(redaction.Rules(key=b"x" * 32), "conv_1").text("I am Ada@Example.com") != first
    assert one.counts == {"email": 1, "phone": 1}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("４１１１ １１１１ １１１１ １１１１", "111"),
        ("4111\u20111111\u20111111\u20111111", "111"),
        ("ada\u200b@example.com", "example"),
        ("a\uff20\uff41.example.com".replace("\uff41", "b"), "example"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "١١١"),
        (r'{"mail": "ada\u0040example.com"}', "example"),
        ("https://shop.example/?mail=ada%40example.com", "ada"),
        ("de89 3704 0044 0532 0130 00", "3704"),
    ],
)
def test_other_spellings_are_masked_too(text: str, kept: str) -> None:
    assert kept not in mask(text)


def test_names_values_and_patterns_of_the_settings_are_masked() -> None:
    told = {
        "WORKBENCH_SECRET_CRM_TOKEN": "plain words here",
        "WORKBENCH_REDACT_NAMES": "diagnosis",
        "WORKBENCH_REDACT_PATTERNS": '{"customer-number": "KD-[0-9]{8}"}',
    }
    assert mask("it said: plain words here", **told) == "it said: [secret]"
    assert mask('{"diagnosis": "flu", "weight": 70}', **told) == '{"diagnosis": "[secret]", "weight": 70}'
    assert re.fullmatch(r"I am \[customer-number \w{6}\]", mask("I am KD-12345678", **told))
    assert mask("hunter22", "db_password") == "[secret]"
    assert mask("ada@example.com", WORKBENCH_REDACT="off") == "ada@example.com"
    assert mask("ada@example.com 4111111111111111", WORKBENCH_REDACT="email").endswith(" 4111111111111111")


TOLD = {
    "WORKBENCH_SECRET_CRM": "0123456789abcdef0123456789abcdef",
    "WORKBENCH_REDACT_NAMES": "customer_pin",
    "WORKBENCH_REDACT_PATTERNS": '{"customer": "cus_[0-9a-f]{24}"}',
}


def kept(value: Any, **told: str) -> Any:
    """Plain data as it is stored: looked through, and masked only where something was seen."""
    rules = redaction.rules(TOLD | told, key=b"k" * 32)
    look = redaction.Look([value], rules)
    return Masker(rules, "conv_1", look.clean).value(value) if look.touches(0) else value


GIVEN = '{"customer_pin":"4821x","cookie":"sess-88431"}'


@pytest.mark.parametrize(
    "text",
    [
        GIVEN,
        "\n  " + GIVEN,
        json.dumps(GIVEN),
        json.dumps({"arguments": GIVEN}),
        json.dumps({"body": json.dumps({"arguments": GIVEN})}),
        json.dumps(json.loads(GIVEN), indent=2).replace('":', '" :'),
        "The tool was called with " + GIVEN,
        GIVEN[:-4],
        "[" * 3000 + GIVEN,
        '{"customer_pin":"4821x","customer_pin":null,"cookie":["sess-88431"]}',
        '{"limit": NaN, "customer_pin": 48219, "cookie": {"sid": "sess-88431", "age": -Infinity}}',
    ],
)
def test_a_name_of_the_settings_is_masked_in_every_text_that_holds_json(text: str) -> None:
    masked = kept({"arguments": text})["arguments"]
    assert [one for one in ("4821", "88431") if one in masked] == []
    assert masked.count("[secret]") >= 2
    if text in (GIVEN, "\n  " + GIVEN):
        assert json.loads(masked) == {"customer_pin": "[secret]", "cookie": "[secret]"}


def test_the_arguments_and_the_output_of_a_call_are_recorded_without_what_the_settings_name() -> None:
    call = {"kind": "tool", "name": "look_up", "arguments": GIVEN, "output": GIVEN}
    masked = redaction.record({"conversation": "conv_1", "calls": [call]}, redaction.rules(TOLD, key=b"k"))
    assert masked["calls"][0]["arguments"] == '{"customer_pin":"[secret]","cookie":"[secret]"}'
    assert masked["calls"][0]["output"] == masked["calls"][0]["arguments"]
    assert masked["redacted"] == {"secret": 2}
    assert redaction.record(masked, redaction.rules(TOLD, key=b"k")) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("0123456789abcdef0123456789abcdef", "[secret]"),
        ("sk_" + "ab12" * 8, "[secret]"),
        ("ghp_" + "ab12" * 9, "[secret]"),
        ("password:" + "ab12" * 8, "password:[secret]"),
        ("cus_" + "ab12" * 6, "[customer "),
        ("de89370400440532013000", "[iban "),
        ("be68539007547034", "[iban "),
        ("4111111111111111", "[card "),
        ("GET /\nCookie: sid=abc; theme=dark\nHost: shop", "GET /\nCookie: [secret]\nHost: shop"),
    ],
)
def test_a_value_that_stands_alone_is_masked(text: str, masked: str) -> None:
    assert kept([text])[0].startswith(masked)


def test_ids_that_chance_makes_look_like_a_bank_account_stay() -> None:
    id_ = "de89370400440532013000abcdefabcd"
    assert kept([f"run_{id_}", id_, f"call_{id_[:24]}"]) == [f"run_{id_}", id_, f"call_{id_[:24]}"]


def test_a_field_whose_name_says_secret_is_masked_however_the_name_is_written() -> None:
    names = (
        "userPassword dbPassword dbpassword password1 password_confirmation newPassword PASSWORD token apiToken AUTH_TOKEN "
        "myApiKey APIKey X-Api-Key stripeSecretKey aws_secret_access_key Set-Cookie http.request.header.authorization"
    )
    for name in names.split():
        assert kept({name: "plain words"}) == {name: "[secret]"}, name
        assert json.loads(kept(json.dumps({name: 481516}))) == {name: "[secret]"}, name


def test_a_field_whose_name_only_sounds_like_a_secret_stays() -> None:
    names = (
        "input_tokens max_tokens token_count token_type llm.token_count.prompt usage.total_tokens next_page_token key monkey "
        "time_to_first_token passenger compass keyboard secretary cookie_consent password_reset_at return_authorization"
    )
    for value in (4815, "a word"):
        body = dict.fromkeys(names.split(), value)
        assert kept([body, json.dumps(body)]) == [body, json.dumps(body)]
    spoken = {"token": "Hello", "logprob": -0.25}
    assert kept([spoken, json.dumps(spoken)]) == [spoken, json.dumps(spoken)]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"password": {"value": "abc", "set": True}}, {"password": {"value": "[secret]", "set": True}}),
        ({"password": [["abc"], {"old": 4815}]}, {"password": [["[secret]"], {"old": "[secret]"}]}),
        ({"password": 481516, "ratio": 0.5}, {"password": "[secret]", "ratio": 0.5}),
        ([{"name": "authorization", "value": "abc"}], [{"name": "authorization", "value": "[secret]"}]),
        ({"key": "cookie", "value": {"stringValue": "a=b"}}, {"key": "cookie", "value": {"stringValue": "[secret]"}}),
        (
            {"password": {"type": "string", "description": "Of the shop", "default": "abc"}},
            {"password": {"type": "string", "description": "Of the shop", "default": "[secret]"}},
        ),
    ],
)
def test_what_a_secret_holds_is_masked_as_data_and_as_json(given: Any, stored: Any) -> None:
    assert kept(given) == stored
    assert kept(json.dumps(given)) == json.dumps(stored)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WORKBENCH_REDACT", "emails", "names emails"),
        ("WORKBENCH_REDACT_PATTERNS", "KD", "cannot be used"),
        ("WORKBENCH_REDACT_PATTERNS", '{"slow": "(a+)+$"}', "may take too long|nothing can be told|cannot be used"),
        ("WORKBENCH_REDACT_PATTERNS", '{"all": "[0-9]*"}', "fits an empty text"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        redaction.rules({name: value})


def test_a_log_line_holds_no_credential() -> None:
    code = (
        "import logging, sys; from workbench import __main__ as m; sys.argv = ['x', 'check']; "
        "m.app = lambda **k: logging.getLogger('dbos').warning('for ada@example.com with %s', 'sk-live-aaaaaaaaaaaaaaaaaaaa'); m.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"WARNING dbos: for \[email \w{6}\] with \[secret\]\n", done.stderr)
