"""Cases: files that come back as they were, unknown keys refused by line, frozen content under a stable digest."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from workbench import datasets, store
from workbench.access import Actor, audit
from workbench.datasets import Case, Version, case_of
from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime.spec import OUTCOMES

EASY = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
things = st.dictionaries(words, values, max_size=3)
tools = st.fixed_dictionaries({"name": words}, optional={"arguments": things})
rules = st.fixed_dictionaries(
    {}, optional={"above": st.integers(), "below": st.floats(-1e9, 1e9), "in": st.lists(words)}
)
mocks = st.fixed_dictionaries(
    {"tool": st.sampled_from(["find_order", "pay-out"])},
    optional={"when": st.dictionaries(words, values | rules, max_size=2), "answer": values, "error": words},
)
expected = st.fixed_dictionaries(
    {},
    optional={
        "reply": words,
        "contains": words | st.lists(words, max_size=3),
        "outcome": st.sampled_from(OUTCOMES),
        "agent": words,
        "tools": st.lists(tools, max_size=2),
        "label": words,
    },
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": words}), min_size=1, max_size=3
).map(lambda said: [*said, {"role": "user", "content": "And?"}])
bodies = st.fixed_dictionaries(
    {"id": words.filter(bool), "input": words.filter(str.strip) | messages},
    optional={
        "expected": expected,
        "context": things,
        "tags": st.lists(words, max_size=3),
        "split": words,
        "polarity": st.sampled_from(["must-stay", "must-not-repeat"]),
        "mocks": st.lists(mocks, max_size=2),
    },
)


def cases(*bodies: dict[str, Any]) -> list[Case]:
    return [case_of(body, where="case") for body in bodies]


def frozen(name: str) -> Version:
    with store.session() as open_session:
        return datasets.freeze(open_session, name)


@EASY
@given(st.lists(bodies, min_size=1, max_size=4, unique_by=lambda body: body["id"]))
def test_cases_written_and_read_are_the_same(database: str, architect: Actor, some: list[dict[str, Any]]) -> None:
    name = uuid.uuid4().hex
    given_cases = cases(*some)
    assert datasets.put(architect, name, given_cases) == len(some)
    assert datasets.cases(name) == given_cases
    assert datasets.read(datasets.write(name)) == given_cases
    version = frozen(name)
    assert datasets.version(version.digest).cases == tuple(given_cases)
    assert frozen(name).digest == version.digest


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "b", "input": "hi", "expceted": {}}', "Line 2: expceted: unknown key."),
        ('{"id": "b", "input": "hi", "expected": {"outcom": "held"}}', "Line 2: expected.outcom: unknown key."),
        ('{"id": "b", "input": "hi", "expected": {"outcome": "fine"}}', "Line 2: expected.outcome: "),
        ('{"id": "b", "input": [{"role": "robot", "content": "hi"}]}', "Line 2: input"),
        ('{"id": "b", "input": "hi", "mocks": [{"tool": "x", "anser": 1}]}', "Line 2: mocks.0.anser: unknown key."),
        ('{"id": "b", "input": "hi", "mocks": [{"answer": 1}]}', "Line 2: mocks.0.tool: "),
        ('{"id": "b", "input": "hi", "mocks": [{"tool": "a b"}]}', "Line 2: mocks.0.tool: "),
        ('{"id": "b"}', "Line 2: input: "),
        ('{"id": "", "input": "hi"}', "Line 2: id: "),
        ('{"id": "b", "input": "  "}', "Line 2: input"),
        ('{"id": "b", "input": []}', "Line 2: input"),
        ('{"id": "a", "input": "hi"}', "Line 2: the id a stands twice."),
        ('{"id": "b", "input": "hi", "context": {"x": NaN}}', "Line 2"),
        ('{"id": "b", "input": "nul \\u0000"}', "Line 2"),
        ('{"id": "b", "input": "half \\ud83d"}', "Line 2"),
        ("[]", "Line 2: "),
        ("not json", "Line 2 is not JSON."),
        ("[" * 5000, "Line 2"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(line: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        datasets.read('{"id": "a", "input": "hi"}\n' + line)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="The file has no cases"):
        datasets.read(text)


def test_a_refused_file_changes_nothing(database: str, architect: Actor, manager: Actor) -> None:
    datasets.put(architect, "desk", cases({"id": "a", "input": "hi"}))
    before = datasets.write("desk"), audit.verify()
    with pytest.raises(Refused, match="A manager may not edit a dataset"):
        datasets.put(manager, "desk", cases({"id": "b", "input": "hi"}))
    with pytest.raises(Invalid, match="A dataset needs a name"):
        datasets.put(architect, " ", cases({"id": "b", "input": "hi"}))
    assert (datasets.write("desk"), audit.verify()) == before
    assert [one.name for one in datasets.datasets()] == ["desk"]


def test_a_known_id_replaces_its_case_and_keeps_its_place(database: str, architect: Actor) -> None:
    datasets.put(
        architect, "desk", cases({"id": "b", "input": "1"}, {"id": "a", "input": "2"}), purpose="What it must do."
    )
    assert datasets.put(architect, "desk", cases({"id": "c", "input": "4"}, {"id": "b", "input": "3"})) == 1
    assert [(one.id, one.question) for one in datasets.cases("desk")] == [("b", "3"), ("a", "2"), ("c", "4")]
    assert [(d.name, d.purpose, d.cases) for d in datasets.datasets()] == [("desk", "What it must do.", 3)]


def test_the_digest_knows_content_and_not_the_order_of_keys(database: str, architect: Actor) -> None:
    one = {
        "id": "a",
        "input": "hi",
        "expected": {"outcome": "held", "tools": [{"name": "x", "arguments": {"b": 1, "a": 2}}]},
    }
    turned = json.loads(json.dumps(one, sort_keys=True), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    datasets.put(architect, "one", cases(one))
    datasets.put(architect, "turned", cases(turned))
    datasets.put(architect, "other", cases(one | {"tags": ["new"]}))
    assert frozen("one").digest == frozen("turned").digest != frozen("other").digest
    assert [frozen(name).dataset for name in ("one", "turned")] == ["one", "turned"]
    before = frozen("one").digest
    datasets.put(architect, "one", cases(one | {"input": "hello"}))
    assert frozen("one").digest != before
    assert datasets.version(before).cases == tuple(cases(one))


def test_the_digest_is_the_same_in_another_database(
    database: str, architect: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = {
        "name": "pay_out",
        "arguments": {"amount": 20.0, "share": 0.1, "big": 1e16, "none": -0.0, "long": {"bb": 1, "a": 2}},
    }
    body = {"id": "a", "input": "語 ü", "expected": {"tools": [tool]}, "context": {"zz": 1, "b": [1.5, 2]}}
    datasets.put(architect, "desk", cases(body))
    here = frozen("desk").digest
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    store.migrate()
    datasets.put(architect, "desk", cases(body))
    assert frozen("desk").digest == here


def test_a_dataset_without_cases_or_name_is_told(database: str, architect: Actor) -> None:
    with pytest.raises(NotFound, match=r"There is no dataset called desk\. Known: none yet"):
        datasets.cases("desk")
    datasets.put(architect, "desk", [])
    with pytest.raises(Invalid, match="The dataset desk has no cases yet"):
        frozen("desk")
    with pytest.raises(NotFound, match="No dataset version"):
        datasets.version("sha256:0")


def test_the_question_is_the_last_message_of_the_customer() -> None:
    talk = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Late!"},
    ]
    assert [one.question for one in cases({"id": "a", "input": talk}, {"id": "b", "input": "Hi"})] == ["Late!", "Hi"]


def test_a_case_without_mocks_keeps_its_digest_and_one_with_mocks_has_another(database: str, architect: Actor) -> None:
    plain = {"id": "a", "input": "hi"}
    mocked = plain | {
        "mocks": [{"tool": "find_order", "when": {"order_id": {"above": 5}}, "answer": {"status": "late"}}]
    }
    assert cases(plain | {"mocks": []})[0].plain == plain
    assert cases(mocked)[0].plain == mocked
    datasets.put(architect, "one", cases(plain))
    datasets.put(architect, "none", cases(plain | {"mocks": []}))
    datasets.put(architect, "mocked", cases(mocked))
    assert frozen("one").digest == frozen("none").digest != frozen("mocked").digest
    assert datasets.version(frozen("mocked").digest).cases[0].mocks[0].answer == {"status": "late"}
