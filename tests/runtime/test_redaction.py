"""Masking: nearly everything that is personal is found, little else is, and the same value stays the same placeholder."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

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
