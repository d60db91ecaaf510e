"""Releases: frozen, numbered and sealed; only a pointer moves; what was changed is refused by name."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from tests.flows_for_tests import DESK, Scripted, freeze
from tests.releases import desk
from tests.traces.recorded import PAID, refund
from workbench import flows, prompts, releases, runtime, settings, store
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused, Unavailable, WorkbenchError
from workbench.runtime import release as files
from workbench.runtime import spec
from workbench.runtime.release import PromptText, Release
from workbench.runtime.retrieval import Passage

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def ready(database: str, architect: Actor) -> Path:
    """The desk, evaluated; returns the folder of its releases."""
    desk.prepare(architect)
    desk.evaluate(architect)
    return settings.load().releases / "desk"


@pytest.fixture
def two(migrated: Path, architect: Actor) -> Path:
    """The desk with v1 and v2, v2 in production; returns the folder of its releases."""
    desk.prepare(architect)
    desk.evaluate(architect)
    desk.promote(architect)
    desk.promote(architect, "A desk.")
    return settings.load().releases / "desk"


def everything() -> tuple[Any, ...]:
    """What a refused change must leave as it was."""
    folder = settings.load().releases
    stored = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return releases.releases("desk"), releases.environments("desk"), releases.moves("desk"), audit.verify(), stored


def test_promoting_makes_a_file_and_moves_the_pointer(ready: Path, architect: Actor) -> None:
    made = releases.promote(architect, "desk", note="First.")
    assert (made.number, made.environments, made.note, made.made_by) == (1, ("production",), "First.", "ada")
    assert made.path == ready / "v1.json"
    assert made.path.stat().st_mode & 0o222 == 0
    for reference in (made.path, f"{ready.parent}#desk@production", f"{ready.parent}#desk@v1"):
        loaded = runtime.load(reference)
        assert (loaded.version, loaded.digest) == ("v1", made.digest)
    assert releases.resolve("desk@production").body == runtime.load(made.path).body
    assert loaded.made["gate"]["passed"] is True
    result = asyncio.run(runtime.run(loaded, "My order is late", models=Scripted(refund())))
    assert (result.reply, result.record["version"]) == (PAID, "v1")
    assert audit.newest(1)[0].thing == "desk@v1"
    assert [p.name for p in sorted(ready.iterdir())] == ["environments.json", "v1.json"]


def test_the_same_content_keeps_its_number(ready: Path, architect: Actor) -> None:
    first = desk.promote(architect)
    assert desk.promote(architect, to="staging").number == 1
    assert desk.promote(architect, "A desk.").number == 2
    again = desk.promote(architect, "A small desk for tests.")
    assert (again.number, again.digest) == (1, first.digest)
    assert again.environments == ("production", "staging")
    assert len(releases.releases("desk")) == 2


def test_a_release_that_is_there_already_is_a_conflict(ready: Path, architect: Actor) -> None:
    desk.promote(architect)
    before = everything()
    with pytest.raises(Conflict, match="desk v1 is in production already"):
        desk.promote(architect)
    assert everything() == before


def test_the_digest_is_the_same_on_another_machine(
    ready: Path, architect: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = desk.promote(architect)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "other"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    store.migrate()
    desk.prepare(Actor("eve", "admin"))
    desk.evaluate(Actor("eve", "admin"))
    there = desk.promote(Actor("eve", "admin"))
    assert there.path != here.path
    assert (there.number, there.digest) == (here.number, here.digest)
    assert json.loads(there.path.read_text())["content"] == json.loads(here.path.read_text())["content"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda d: d["content"]["prompts"]["front"].update(text="Be rude."), "does not fit its digest"),
        (lambda d: d["content"]["spec"]["guardrails"].pop(), "does not fit its digest"),
        (lambda d: d["content"]["spec"].update(limits={"usd": float("nan")}), "it is not JSON"),
        (lambda d: d["content"]["spec"].update(purpose="\ud83d"), "text that is not Unicode"),
        (lambda d: d["made"].update(by="mallory"), "does not fit its seal"),
        (lambda d: d["made"].pop("number"), "does not fit its seal"),
        (lambda d: d.update(seal="sha256:0"), "does not fit its seal"),
        (lambda d: d.pop("seal"), "does not fit its seal"),
        (lambda d: d.update(digest="sha256:0"), "does not fit its digest"),
        (lambda d: d.update(format=2), "release format 2"),
        (lambda d: d.pop("content"), "not a whole release file"),
    ],
)
def test_a_tampered_file_is_refused_by_name(two: Path, damage: Change, told: str) -> None:
    path = two / "v2.json"
    document = json.loads(path.read_text())
    damage(document)
    path.chmod(0o644)
    path.write_text(json.dumps(document))
    for reference in (path, f"{two.parent}#desk@production"):
        with pytest.raises(Invalid) as refused:
            runtime.load(reference)
        assert str(path) in str(refused.value)
        assert told in str(refused.value)


def test_a_forged_file_with_digests_that_fit_is_not_what_the_pointer_names(two: Path) -> None:
    path = two / "v2.json"
    document = json.loads(path.read_text())
    document["content"]["prompts"]["front"]["text"] = "Be rude."
    forged = files.of(document["content"], number=2)
    text = files.file(forged, by="ada", at=store.now(), note="", gate={})
    path.chmod(0o644)
    path.write_text(text)
    with pytest.raises(Invalid, match=r"v2\.json is not the release that production points to"):
        runtime.load(f"{two.parent}#desk@production")


def test_swapped_files_are_refused_by_name(two: Path) -> None:
    shutil.move(two / "v1.json", two / "x.json")
    shutil.move(two / "v2.json", two / "v1.json")
    shutil.move(two / "x.json", two / "v2.json")
    with pytest.raises(Invalid, match=r"v2\.json holds desk v1, not desk v2"):
        runtime.load(f"{two.parent}#desk@production")


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"5",
        b'{"environments": []}',
        b'{"environments": {"production": 2}}',
        b'{"environments": {"production": {"number": "two", "digest": ""}}}',
        b'{"environments": {"production": {"number": Infinity, "digest": ""}}}',
        b'{"environments": {"production": {"number": 2}}}',
        b"[" * 5000,
    ],
)
def test_a_pointer_file_of_garbage_is_refused_by_name(two: Path, garbage: bytes) -> None:
    (two / "environments.json").write_bytes(garbage)
    with pytest.raises(Invalid, match=r"environments\.json is not a pointer file"):
        runtime.load(f"{two.parent}#desk@production")
    releases.publish("desk")
    assert runtime.load(f"{two.parent}#desk@production").number == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dusk@production", "There is no released flow dusk"),
        ("desk@moon", "desk has no release in moon. It has: production"),
        ("desk@v9", r"There is no release file .*v9\.json"),
        ("../desk@production", "names no release"),
        ("desk", "names no release"),
    ],
)
def test_a_release_that_is_not_there_is_named(two: Path, name: str, told: str) -> None:
    with pytest.raises((NotFound, Invalid), match=told):
        runtime.load(f"{two.parent}#{name}")


def test_a_refusal_of_the_gate_changes_nothing(ready: Path, architect: Actor) -> None:
    flows.put(architect, DESK.replace("A small desk for tests.", "Not evaluated."))
    before = everything()
    with pytest.raises(Refused, match="The gate does not let desk pass: This version has not been evaluated"):
        releases.promote(architect, "desk")
    assert everything() == before
    assert not ready.exists()


@pytest.mark.parametrize("role", ["rep", "manager"])
def test_who_may_not_promote_changes_nothing(ready: Path, role: Any) -> None:
    before = everything()
    with pytest.raises(Refused, match=f"A {role} may not promote a release"):
        releases.promote(Actor("rui", role), "desk")
    assert everything() == before


def test_rolling_back_takes_effect_for_the_next_load(ready: Path, architect: Actor, manager: Actor, rep: Actor) -> None:
    for purpose in ("", "Two.", "Three."):
        desk.promote(architect, purpose)
    reference = f"{ready.parent}#desk@production"
    assert runtime.load(reference).number == 3
    with pytest.raises(Refused, match="A rep may not roll back a release"):
        releases.rollback(rep, "desk", "production")
    moved = releases.rollback(manager, "desk", "production")
    assert (moved.before, moved.after, moved.kind, moved.person) == (3, 2, "rolled back", "mei")
    assert runtime.load(reference).number == 2
    assert releases.rollback(manager, "desk", "production").after == 1
    assert runtime.load(reference).number == 1
    before = everything()
    with pytest.raises(Conflict, match="v1 is the first release in production; there is nothing to go back to"):
        releases.rollback(manager, "desk", "production")
    with pytest.raises(NotFound, match="desk has no release in staging"):
        releases.rollback(manager, "desk", "staging")
    with pytest.raises(Invalid, match="There is no environment moon"):
        releases.rollback(manager, "desk", "moon")
    assert everything() == before


def test_rolling_back_ends_at_the_first_promotion_even_where_a_release_came_back(two: Path, architect: Actor) -> None:
    assert desk.promote(architect, "A small desk for tests.").number == 1
    assert releases.rollback(architect, "desk", "production").after == 2
    assert releases.rollback(architect, "desk", "production").after == 1
    with pytest.raises(Conflict, match="nothing to go back to"):
        releases.rollback(architect, "desk", "production")


def test_a_rollback_whose_pointer_cannot_be_written_changes_nothing(two: Path, architect: Actor) -> None:
    pointer = two / "environments.json"
    pointer.unlink()
    (pointer / "in the way").mkdir(parents=True)
    before = everything()
    with pytest.raises(Unavailable, match="cannot be written"):
        releases.rollback(architect, "desk", "production")
    assert everything() == before


def in_production(folder: Path) -> tuple[int, int]:
    """What the database and what the pointer file say is in production."""
    return releases.environments("desk")["production"], runtime.load(f"{folder.parent}#desk@production").number or 0


def test_a_move_that_the_database_refuses_at_the_end_moves_no_pointer(two: Path, architect: Actor) -> None:
    desk.change(architect, "Three.")
    with store.session() as open_session:
        for line in (
            "create table refusing (of integer references move (id) deferrable initially deferred)",
            "create trigger fails after insert on move begin insert into refusing values (-1); end",
        ):
            open_session.execute(sql(line))
    before = (two / "environments.json").read_bytes()
    for move in (
        lambda: releases.promote(architect, "desk"),
        lambda: releases.rollback(architect, "desk", "production"),
    ):
        with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
            move()
        assert (two / "environments.json").read_bytes() == before
        assert in_production(two) == (2, 2)
    with store.session() as open_session:
        open_session.execute(sql("drop trigger fails"))
    assert releases.promote(architect, "desk").number == 3
    assert in_production(two) == (3, 3)


@pytest.mark.parametrize(("moment", "after"), [("before_commit", (2, 2)), ("after_commit", (1, 2))])
def test_a_killed_process_leaves_no_pointer_ahead_of_the_database_and_publishing_mends_it(
    two: Path, moment: str, after: tuple[int, int]
) -> None:
    killed = subprocess.run(
        [sys.executable, "-m", "tests.releases.crash", moment], capture_output=True, text=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert in_production(two) == after
    releases.publish()
    assert in_production(two) == (after[0], after[0])


def test_what_was_changed_after_it_was_seen_is_not_promoted_or_rolled_back(two: Path, architect: Actor) -> None:
    before = everything()
    with pytest.raises(Conflict, match="was changed by somebody else"):
        releases.promote(architect, "desk", "staging", expect="sha256:what-was-shown")
    with pytest.raises(Conflict, match="was changed by somebody else"):
        releases.rollback(architect, "desk", "production", expect=7)
    assert everything() == before


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do all of it in threads that begin together; returns what each returned or raised."""
    barrier, told = threading.Barrier(len(work)), list[Any]()

    def one(do: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            told.append(do())
        except Exception as error:  # noqa: BLE001  (told to the test)
            told.append(error)

    threads = [threading.Thread(target=one, args=(do,)) for do in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_of_ten_promotes_at_once_exactly_one_wins(ready: Path, architect: Actor) -> None:
    for number, purpose in enumerate(("", "Two.", "Three."), 1):
        if purpose:
            desk.change(architect, purpose)
        told = at_once(*[lambda: releases.promote(architect, "desk")] * 10)
        won = [one.number for one in told if isinstance(one, releases.Released)]
        lost = [one for one in told if not isinstance(one, releases.Released)]
        assert all(isinstance(one, Conflict) for one in lost), lost
        assert won == [number]
    assert [one.number for one in releases.releases("desk")] == [3, 2, 1]
    assert runtime.load(f"{ready.parent}#desk@production").number == 3
    assert [(m.before, m.after) for m in releases.moves("desk")] == [(2, 3), (1, 2), (None, 1)]
    assert audit.verify().intact


def test_the_pointer_file_is_what_the_database_says_after_moves_at_once(ready: Path, architect: Actor) -> None:
    desk.promote(architect)
    for purpose in ("Two.", "Three.", "Four."):
        desk.change(architect, purpose)
        desk.promote(architect, to="dev")
        told = at_once(
            *(lambda to=to: releases.promote(architect, "desk", to) for to in ("staging", "production")),
        )
        assert all(isinstance(one, releases.Released | WorkbenchError) for one in told), told
        pointers = json.loads((ready / "environments.json").read_text())["environments"]
        assert {name: one["number"] for name, one in pointers.items()} == releases.environments("desk")


def test_publishing_restores_missing_files_and_overwrites_none(ready: Path, architect: Actor) -> None:
    first, second = desk.promote(architect), desk.promote(architect, "Two.")
    text = first.path.read_bytes()
    first.path.unlink()
    (ready / "environments.json").unlink()
    second.path.chmod(0o644)
    second.path.write_text("changed")
    releases.publish()
    assert first.path.read_bytes() == text
    assert second.path.read_text() == "changed"
    with pytest.raises(Invalid, match=r"v2\.json is not a release file"):
        runtime.load(f"{ready.parent}#desk@production")


def test_a_proposal_tells_what_changed_and_what_the_gate_says(ready: Path, architect: Actor) -> None:
    assert releases.propose("desk").current is None
    desk.promote(architect)
    prompts.save(architect, "desk/front", "You work for $shop.\nBe brief.")
    proposal = releases.propose("desk")
    assert proposal.current is not None
    assert (proposal.current.number, proposal.gate.passed) == (1, False)
    assert [one.words for one in proposal.changes] == [
        "front: instructions changed (1 line added, 0 removed; desk/front@1 → desk/front@2)"
    ]
    assert proposal.changes[0].lines == ("+ Be brief.",)


def test_a_reference_to_nothing_lists_what_there_is(ready: Path, architect: Actor) -> None:
    desk.promote(architect)
    for reference, told in (
        ("dusk", "Known: desk"),
        ("desk@v7", "There is no release desk@v7"),
        ("desk@dev", "Environments with one: production"),
    ):
        with pytest.raises(NotFound, match=told):
            releases.resolve(reference)


BIG = DESK + "knowledge: {collection: help, top: 4, abstain_below: 0.35}\nlimits: {turns: 5, usd: 0.1}\n"
SCHEMA = "output: {type: object, properties: {topic: {type: string}}}, "


def frozen(text: str, prompt: str = "You work for $shop.", passage: str = "Returns take 30 days.") -> Release:
    """A flow with knowledge, frozen."""

    def texts(reference: str) -> PromptText:
        return PromptText(name=reference.partition("@")[0], number=1, text=prompt, purpose="Works.")

    found = [Passage(id="returns-1", title="Returns", text=passage, source="returns.md")]
    return files.freeze(spec.read(text), texts, lambda _: found)


@pytest.mark.parametrize(
    ("old", "new", "words", "risk"),
    [
        ("entry: front", "entry: money", "begins at money instead of front", False),
        ("A small desk for tests.", "A desk.", "the purpose is worded otherwise", False),
        ("model: small, ", "model: reasoning, ", "front: model role small → reasoning", False),
        ("model: small, ", "", "front: model role small → main", False),
        ("model: small, ", "model: small, temperature: 0.2, ", "front: temperature none → 0.2", False),
        ("model: small, ", "model: small, description: Greets., ", "front: description changed", False),
        ("model: small, ", f"model: small, {SCHEMA}", "front: output schema changed", False),
        ("prompt: desk/front,", "prompt: desk/face,", "front: prompt desk/front → desk/face", False),
        ("[look_up, pay_out]", "[look_up]", "money: tool pay_out removed", False),
        ("[look_up, pay_out]", "[look_up, pay_out, doze]", "money: tool doze added", False),
        ("[look_up, pay_out]", "[pay_out, look_up]", "money: the order of its tools changed", False),
        ("handoffs: [front]", "handoffs: []", "money: handoff to front removed", False),
        ("  look_up: {", "  doze: {kind: python, call: doze}\n  look_up: {", "tool doze added (read)", False),
        ("call: look_up}", "call: look_up, effect: write}", "look_up: effect read → write", False),
        ("call: look_up}", "call: look_up, timeout: 5}", "look_up: what it calls changed", True),
        ("call: look_up}", "call: doze}", "look_up: what it calls changed", True),
        ("above: 50", "above: 200", "pay_out: approval of amount above 50 → 200", True),
        ("above: 50", "above: 20", "pay_out: approval of amount above 50 → 20", False),
        ("{amount: {above: 50}}", "always", "pay_out: approval by rule → always", False),
        (", approve: {amount: {above: 50}}", "", "pay_out: approval by rule → never", True),
        ("  - {name: no-cards, on: reply, check: card_numbers}\n", "", "guardrail no-cards removed", True),
        ("check: card_numbers}", "check: card_numbers, agents: [front]}", "guardrail no-cards changed", True),
        (
            "guardrails:\n",
            "guardrails:\n  - {name: more, on: reply, check: card_numbers}\n",
            "guardrail more added",
            False,
        ),
        ("shop: Fernhill", "shop: Elmhill", "variable shop Fernhill → Elmhill", False),
        ("turns: 5", "turns: 9", "limit turns 5 → 9", True),
        ("usd: 0.1", "usd: 0.05", "limit usd 0.1 → 0.05", False),
        ("top: 4", "top: 2", "knowledge top 4 → 2", False),
        ("abstain_below: 0.35", "abstain_below: 0.1", "knowledge abstain_below 0.35 → 0.1", True),
        ("knowledge: {collection: help, top: 4, abstain_below: 0.35}\n", "", "knowledge removed", True),
        ("limits: {turns", "control: [abstain]\nlimits: {turns", "the agents may no longer escalate", True),
        ("limits: {turns", "control: [escalate, abstain]\nlimits: {turns", "the order of the ways out changed", False),
    ],
)
def test_a_change_is_told_in_words_and_its_risk_is_marked(old: str, new: str, words: str, risk: bool) -> None:
    assert old in BIG
    changes = releases.diff(frozen(BIG), frozen(BIG.replace(old, new, 1)))
    assert (words, risk) in [(one.words, one.risk) for one in changes]
    assert changes[0].risk == any(one.risk for one in changes)


def test_a_removed_agent_an_added_prompt_line_and_new_knowledge_are_told() -> None:
    alone = DESK.replace(
        "handoffs: [money]}\n  money: {prompt: desk/money, tools: [look_up, pay_out], handoffs: [front]}", "}"
    )
    assert "agent money removed" in [one.words for one in releases.diff(freeze(), freeze(alone.replace(", }", "}")))]
    other = frozen(BIG, prompt="You work for $shop.\nNever promise.", passage="Returns take 14 days.")
    told = [one.words for one in releases.diff(frozen(BIG), other)]
    assert told == [
        "front: instructions changed (1 line added, 0 removed; desk/front@1 → desk/front@1)",
        "money: instructions changed (1 line added, 0 removed; desk/money@1 → desk/money@1)",
        "the passages of help changed (1 → 1)",
    ]


def test_nothing_changed_is_no_change() -> None:
    assert releases.diff(frozen(BIG), frozen(BIG)) == []
