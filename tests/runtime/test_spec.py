"""The flow format: what it refuses, in which words, and that it round-trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flows_for_tests import DESK
from workbench.errors import Invalid
from workbench.runtime import spec
from workbench.runtime.spec import canonical


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("entry: front", "entyr: front", "entyr: unknown key; did you mean `entry`?"),
        ("handoffs: [money]", "handofs: [money]", "agents.front.handofs: unknown key; did you mean `handoffs`?"),
        ("effect: high-stakes", "effekt: high-stakes", "tools.pay_out.effekt: unknown key; did you mean `effect`?"),
        ("above: 50", "abov: 50", "did you mean `above`?"),
        ("check: card_numbers", "chek: card_numbers", "guardrails.1.chek: unknown key; did you mean `check`?"),
        (
            "kind: python, call: look_up",
            "kind: shell, call: look_up",
            "tools.look_up: unknown kind; use python, http, mcp, mock or agent.",
        ),
        ("format: 1", "format: 7", "format: this version reads flow format 1, not 7."),
        ("model: small", "model: gpt-5", "agents.front.model"),
        ("flow: desk", "flow: ../desk", "The flow '../desk' is not a valid name."),
        ("prompt: desk/front", "prompt: ../../etc/passwd", "is not a valid name"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_its_path(old: str, new: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec.read(DESK.replace(old, new, 1))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("agents: [", "line 2, column 1"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("just words", "must be a mapping"),
        ("a: &x [1]\nb: *x", "anchors and aliases"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
        ("flow: desk", "agents: is missing."),
        ("a: " + "[" * 5000, "The flow is nested deeper than 100 levels."),
        ('{"a": ' * 200 + "1" + "}" * 200, "The flow is nested deeper than 100 levels."),
        ("#" * 300_001, "The flow file has 300,001 characters; a flow has at most 300,000."),
        (
            "flow: desk\nentry: a\nagents: {a: {prompt: a}}\ntools:\n"
            + "".join(f"  t{n}: {{kind: python, call: a}}\n" for n in range(501)),
            "tools: dictionary should have at most 500 items",
        ),
    ],
)
def test_broken_yaml_is_told_in_a_sentence(text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec.read(text)
    assert told in str(refused.value)


def test_on_and_no_stay_words_in_yaml() -> None:
    made = spec.read(DESK)
    assert made.guardrails[0].on == "input"


def test_a_flow_written_and_read_again_is_the_same() -> None:
    made = spec.read(DESK)
    assert spec.read(spec.write(made)) == made
    assert spec.write(spec.read(spec.write(made))) == spec.write(made)
    assert "above: 50" in spec.write(made)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(
    agents=st.lists(names, min_size=1, max_size=5, unique=True),
    purpose=st.text(max_size=60),
    variables=st.dictionaries(names, st.text(max_size=30), max_size=3),
    turns=st.integers(1, 100),
    usd=st.floats(0.001, 100, allow_nan=False),
)
def test_any_flow_round_trips_through_yaml(
    agents: list[str], purpose: str, variables: dict[str, str], turns: int, usd: float
) -> None:
    made = spec.parse(
        {
            "format": 1,
            "flow": "any",
            "purpose": purpose,
            "entry": agents[0],
            "agents": {name: {"prompt": f"any/{name.strip('_')}", "handoffs": agents[1:]} for name in agents},
            "variables": variables,
            "limits": {"turns": turns, "usd": usd},
        }
    )
    assert spec.read(spec.write(made)) == made
    assert canonical(spec.plain(spec.read(spec.write(made)))) == canonical(spec.plain(made))
