"""A pattern of a stored schema never holds the event loop: those that could are refused by name, before anything runs."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from agents.testing import assistant_message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flows_for_tests import DESK, Scripted, freeze
from workbench import flows, runtime
from workbench.errors import Invalid
from workbench.runtime import arguments, patterns, spec

EVIL = "^(a+)+$"
TOOL = """
  find_parcel:
    kind: mock
    effect: read
    description: Find a parcel.
    parameters: {type: object, properties: {code: {type: string, pattern: "PATTERN"}}, required: [code]}
"""
LINEAR = (
    r"^\d+$", r"\d+", "", "^ORD-[0-9]{4}$", r"^[A-Z]{2,3}-\d{4}$", r"^https?://[^\s]+$", r"^\d+(,\d+)*$", r"^(ab?)*c",
    r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z?)?$", r"^\+?[0-9 ()-]{7,20}$", "^(EUR|USD|GBP)$", r"^[\s\S]*$",
    "^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}$", r"^([a-zA-Z0-9_.-]+)@([a-zA-Z0-9_.-]+)\.([a-zA-Z]{2,5})$",
)  # fmt: skip
SQUARE = (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", r"^\S+@\S+$", r"[A-Z]+-\d+", r"^(?:[a-z]+\.)+[a-z]{2,}$", "^x*x*$")
REFUSED = (
    EVIL, r"(a|a)*$", "^(a|aa)+$", "(.*)*x", "(x+x+)+y", r"^(\w+\s?)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "x*x*x*x*$",
    r"^\S+@\S+\.\S+$", "a?" * 30 + "a" * 30, "((a{1,9}){1,9}){1,9}b", "(((a{64}){64}){64})b", r"(a)\1", "(?=a+b)a", "(?i)a",
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$",
    "(", r"\p{L}",
)  # fmt: skip


def desk(pattern: str) -> str:
    """The desk with a tool whose argument has a pattern."""
    return DESK.replace("tools:\n", f"tools:{TOOL.replace('PATTERN', pattern)}", 1).replace(
        "tools: [look_up", "tools: [find_parcel, look_up"
    )


def output(pattern: str) -> str:
    """The desk with a pattern in an output schema."""
    schema = f'output: {{type: object, properties: {{code: {{type: string, pattern: "{pattern}"}}}}}},'
    return DESK.replace("front: {prompt: desk/front,", f"front: {{prompt: desk/front, {schema}")


@pytest.mark.parametrize("flow", [desk(EVIL), output(EVIL)])
def test_a_flow_with_a_catastrophic_pattern_is_read_and_found_to_be_wrong_at_once(flow: str, migrated: Any) -> None:
    found = [one for one in flows.findings(spec.read(flow)) if one.level == "error" and EVIL in one.message]
    assert [one.where for one in found] in (["tools.find_parcel.parameters"], ["agents.front.output"])
    assert "begin it with ^, and let each repeated part end at a character that it cannot hold" in found[0].message


@pytest.mark.parametrize(
    ("flow", "told"),
    [
        (desk(EVIL), r"tools\.find_parcel\.parameters: the pattern `\^\(a\+\)\+\$`"),
        (output(EVIL), r"agents\.front\.output"),
    ],
)
def test_a_run_of_a_stored_flow_with_a_catastrophic_pattern_is_refused_by_name(flow: str, told: str) -> None:
    made = freeze(flow)
    asyncio.run(runtime.run(freeze(DESK), "hello", models=Scripted([[assistant_message("Hello")]])))
    with pytest.raises(Invalid, match=told):
        asyncio.run(runtime.run(made, "a" * 60 + "!"))


def test_arguments_are_not_matched_with_a_catastrophic_pattern() -> None:
    schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": EVIL}}}
    with pytest.raises(Invalid, match=r"parameters cannot be used: the pattern `\^\(a\+\)\+\$` could take"):
        arguments.check({"code": "a" * 60 + "!"}, schema)
    by_name = {"type": "object", "patternProperties": {EVIL: {}}, "additionalProperties": False}
    with pytest.raises(Invalid, match="could take very long"):
        arguments.check({"a" * 60 + "!": 1}, by_name)
    hidden = {"type": "object", "properties": {"a": {"$ref": "#/x/0"}}, "x": [{"pattern": EVIL}]}
    with pytest.raises(Invalid, match="could take very long"):
        arguments.check({"a": "a" * 60 + "!"}, hidden)


def test_a_pattern_of_the_square_reads_short_texts_only_and_leaves_other_arguments_alone() -> None:
    mail = {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}
    schema = {"type": "object", "properties": {"mail": mail, "body": {"type": "string"}}}
    arguments.check({"mail": "ada@example.com", "body": "a" * 50_000}, schema)
    with pytest.raises(Invalid, match="does not match"):
        arguments.check({"mail": "ada"}, schema)
    with pytest.raises(Invalid, match="mail: it has more than 1,000 characters, too many for its pattern"):
        arguments.check({"mail": "a@" + "." * 100_000}, schema)
    names = {"type": "object", "patternProperties": {"[a-z]+-[0-9]+": {}}, "additionalProperties": False}
    with pytest.raises(Invalid, match="a name has more than 1,000 characters"):
        arguments.check({"a" * 100_000: 1}, names)


def test_many_texts_are_not_read_one_after_another_with_a_pattern_of_the_square() -> None:
    mail = {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}
    schema = {"type": "object", "properties": {"to": {"type": "array", "items": mail}}}
    arguments.check({"to": ["ada@example.com"] * 5_000}, schema)
    with pytest.raises(Invalid, match="The arguments do not fit: they hold too many long texts for their patterns"):
        arguments.check({"to": ["a@" + "." * 998] * 100}, schema)
    straight = {"type": "object", "properties": {"to": {"type": "array", "items": {"pattern": "^[a-z.@]*$"}}}}
    arguments.check({"to": ["a@" + "." * 998] * 100}, straight)


def test_a_value_that_is_nested_deeply_is_refused_in_words() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    by_name = {
        "type": "object",
        "properties": {"a": {"items": {"$ref": "#/properties/a"}}},
        "patternProperties": {"^b+$": {}},
    }
    with pytest.raises(Invalid, match=r"they are not JSON|point to something that is not there, or to themselves"):
        arguments.check({"a": deep}, by_name)


def test_an_output_is_still_held_to_its_pattern() -> None:
    made = freeze(output("^[A-Z]{2}$"))

    def says(code: str) -> runtime.Result:
        told = assistant_message(json.dumps({"code": code}))
        return asyncio.run(runtime.run(made, "My order is late", models=Scripted([[told]])))

    assert says("AB").output == {"code": "AB"}
    assert "code breaks the rule `pattern`" in says("abc").error


def test_usual_patterns_are_taken_and_dangerous_ones_refused() -> None:
    assert {one: patterns.power(one) for one in LINEAR} == dict.fromkeys(LINEAR, 1)
    assert {one: patterns.power(one) for one in SQUARE} == dict.fromkeys(SQUARE, 2)
    for one in REFUSED:
        with pytest.raises(ValueError, match=r"^(it|its|what it) "):
            patterns.power(one)


def texts(length: int) -> list[str]:
    """Long texts that make a backtracking engine try again and again."""
    parts = ("a", "b", "ab", "ba", "aab", "abb", "a,", "ab,")
    return [part * (length // len(part)) + end for part in parts for end in ("", "!", "c", "\n!")]


@pytest.mark.parametrize("pattern", [*LINEAR, *SQUARE])
def test_what_is_taken_comes_to_an_end_on_long_texts(pattern: str) -> None:
    longest = 100_000 if patterns.power(pattern) == 1 else patterns.LONGEST - 2
    more = [char * longest + end for char in "0A1@.-x, z" for end in ("", "!", "\n\n")]
    for text in [*texts(longest), *more]:
        assert patterns.search(pattern, text) == (re.search(pattern, text) is not None)


atoms = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "c", r"\w", "$", r"\b", "a|b", "a|ab"])
regular = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0,300}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(["", "^"]), regular, st.sampled_from(["", "$", "c"]))
def test_whatever_is_taken_comes_to_an_end(begin: str, body: str, end: str) -> None:
    pattern = begin + body + end
    try:
        longest = 20_000 if patterns.power(pattern) == 1 else patterns.LONGEST - 2
    except ValueError:
        return
    for text in texts(longest):
        assert patterns.search(pattern, text) == (re.search(pattern, text) is not None)
