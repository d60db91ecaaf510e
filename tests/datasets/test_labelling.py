"""Labelling: flagged runs wait in a queue, one reviewer holds an item, a verdict makes a case in one step."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from agents.testing import assistant_message
from sqlalchemy import update

from tests.traces.recorded import run
from workbench import datasets, store, traces
from workbench.access import Actor, audit
from workbench.datasets import labelling
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.runtime import Result
from workbench.store.tables import QueueItem
from workbench.traces import capture

NAME = "to look at"
EVA = Actor("eva", "rep")


@pytest.fixture
def queue(database: str, architect: Actor) -> str:
    """An empty queue whose labels go to the dataset `desk`; returns the kind of database."""
    labelling.make(architect, NAME, purpose="Runs to look at.", instructions="Look.", dataset="desk")
    return database


def flagged(actor: Actor, count: int, **rest: Any) -> list[Result]:
    """So many stored and flagged runs, in the queue."""
    results = [run(**rest) for _ in range(count)]
    capture.write([one.finished for one in results])
    for one in results:
        traces.flag(actor, one.run_id, "Look at this.")
    assert labelling.fill(actor, NAME) == count
    return results


def take(actor: Actor) -> labelling.Item:
    """The next item, which must be there."""
    item = labelling.take(actor, NAME)
    assert item is not None
    return item


def at_once(count: int, do: Callable[[int], Any]) -> list[Any]:
    """What so many threads that begin together returned or raised."""
    barrier, told = threading.Barrier(count), list[Any]()

    def one(number: int) -> None:
        barrier.wait()
        try:
            told.append(do(number))
        except Exception as error:  # noqa: BLE001  (told to the test)
            told.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def everything() -> tuple[Any, ...]:
    """What a refused verdict must leave as it was."""
    return labelling.queue(NAME), labelling.labels(), [d.cases for d in datasets.datasets()], audit.verify()


def test_flagged_runs_are_put_into_the_queue_once(queue: str, rep: Actor) -> None:
    one, two = flagged(rep, 2)
    traces.flag(EVA, two.run_id, "Twice.")
    assert labelling.fill(rep, NAME) == 0
    third = run()
    capture.write([third.finished])
    traces.flag(rep, third.run_id, "First.")
    traces.flag(EVA, third.run_id, "Second.")
    assert labelling.fill(EVA, NAME) == 1
    assert (labelling.queue(NAME).waiting, labelling.queue(NAME).labelled) == (3, 0)
    taken = [take(Actor(f"r{n}", "rep")) for n in range(3)]
    assert [item.run_id for item in taken] == [one.run_id, two.run_id, third.run_id]
    assert taken[2].reason == "First.; Second."


def test_filling_at_once_puts_each_run_in_once(queue: str, rep: Actor) -> None:
    one = run()
    capture.write([one.finished])
    traces.flag(rep, one.run_id, "Look.")
    told = at_once(6, lambda _: labelling.fill(rep, NAME))
    assert labelling.queue(NAME).waiting == 1
    assert sorted(told, key=str) == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("count", [20, 26])
def test_reviewers_at_once_each_get_another_item_and_none_is_lost(queue: str, rep: Actor, count: int) -> None:
    results = flagged(rep, count)
    told = at_once(count, lambda n: labelling.take(Actor(f"r{n}", "rep"), NAME))
    got = [one.run_id for one in told if isinstance(one, labelling.Item)]
    assert sorted(got) == sorted(one.run_id for one in results)
    assert labelling.take(EVA, NAME) is None


def test_a_reviewer_gets_the_item_in_hand_again(queue: str, rep: Actor) -> None:
    flagged(rep, 2)
    assert take(rep) == take(rep)
    assert take(EVA) != take(rep)


def expire(item: labelling.Item) -> None:
    """Let ten minutes pass for a lock."""
    past = store.now() - dt.timedelta(seconds=1)
    with store.session() as open_session:
        open_session.execute(update(QueueItem).where(QueueItem.id == item.id).values(locked_until=past))  # type: ignore[arg-type]


def test_an_expired_item_is_given_to_the_next(queue: str, rep: Actor) -> None:
    flagged(rep, 1)
    item = take(rep)
    assert labelling.take(EVA, NAME) is None
    expire(item)
    assert take(EVA) == item
    before = everything()
    with pytest.raises(Conflict, match="labelled, or is held by somebody else"):
        labelling.label(rep, item.id, "good")
    assert everything() == before
    assert labelling.label(EVA, item.id, "good").reviewer == "eva"


def test_an_expired_item_that_nobody_took_can_still_be_labelled(queue: str, rep: Actor) -> None:
    flagged(rep, 1)
    item = take(rep)
    expire(item)
    assert labelling.label(rep, item.id, "unsure").value == "unsure"


def test_a_good_run_becomes_a_case_that_must_stay(queue: str, rep: Actor) -> None:
    (result,) = flagged(rep, 1)
    given = labelling.label(rep, take(rep).id, "good", note="  Well done. ")
    (case,) = datasets.cases("desk")
    assert (given.case_id, given.note, given.run_id) == (case.id, "Well done.", result.run_id)
    assert case.plain == {
        "id": case.id,
        "input": "My order is late",
        "expected": {
            "outcome": "answered",
            "agent": "money",
            "tools": [
                {"name": "look_up", "arguments": {"order_id": 1042}},
                {"name": "pay_out", "arguments": {"amount": 5}},
            ],
        },
        "tags": ["labelled", "desk"],
        "polarity": "must-stay",
    }
    assert (labelling.queue(NAME).waiting, labelling.queue(NAME).labelled) == (0, 1)
    assert labelling.labels(queue_name=NAME) == labelling.labels(run_id=result.run_id) == [given]
    assert audit.newest(1)[0].verb == "label"


def test_a_later_message_becomes_a_case_with_what_was_said_before(queue: str, rep: Actor) -> None:
    first = run()
    flagged(rep, 1, text="And now?", steps=[[assistant_message("Now it is paid.")]], conversation=first.conversation)
    labelling.label(rep, take(rep).id, "good")
    (case,) = datasets.cases("desk")
    assert case.question == "And now?"
    assert [m["content"] for m in case.plain["input"]][::2] == ["My order is late", "And now?"]


def test_a_bad_run_needs_what_should_have_happened(queue: str, rep: Actor) -> None:
    flagged(rep, 2)
    item = take(rep)
    before = everything()
    with pytest.raises(Invalid, match="only if you say what should have happened"):
        labelling.label(rep, item.id, "bad", contains="  ")
    with pytest.raises(Invalid, match="fine"):
        labelling.label(rep, item.id, "bad", outcome="fine")
    assert everything() == before
    labelling.label(rep, item.id, "bad", outcome="escalated", contains=" your manager ")
    (case,) = datasets.cases("desk")
    assert case.plain["expected"] == {"contains": "your manager", "outcome": "escalated"}
    assert case.polarity == "must-not-repeat"
    assert labelling.label(rep, take(rep).id, "bad", make_case=False).case_id == ""
    assert len(datasets.cases("desk")) == 1


def test_an_unsure_verdict_makes_no_case(queue: str, rep: Actor) -> None:
    flagged(rep, 1)
    assert labelling.label(rep, take(rep).id, "unsure").case_id == ""
    assert datasets.datasets() == []


def test_a_verdict_that_cannot_be_given_changes_nothing(queue: str, rep: Actor) -> None:
    flagged(rep, 2)
    item = take(rep)
    before = everything()
    with pytest.raises(Invalid, match="'splendid' is not a verdict of to look at"):
        labelling.label(rep, item.id, "splendid")
    with pytest.raises(Conflict):
        labelling.label(EVA, item.id, "good")
    with pytest.raises(NotFound, match="There is no item 9999 to label"):
        labelling.label(rep, 9999, "good")
    assert everything() == before
    labelling.label(rep, item.id, "good")
    before = everything()
    with pytest.raises(Conflict):
        labelling.label(rep, item.id, "bad", outcome="held")
    assert everything() == before


def test_of_ten_verdicts_at_once_one_counts(queue: str, rep: Actor) -> None:
    flagged(rep, 1)
    item = take(rep)
    told = at_once(10, lambda _: labelling.label(rep, item.id, "good"))
    assert len([one for one in told if isinstance(one, labelling.Label)]) == 1
    assert len([one for one in told if isinstance(one, Conflict)]) == 9, told
    assert len(datasets.cases("desk")) == len(labelling.labels()) == 1


def test_undo_takes_back_the_newest_label_and_its_case(queue: str, rep: Actor) -> None:
    flagged(rep, 3)
    assert labelling.undo(rep, NAME) is None
    first, second, other = take(rep), None, None
    labelling.label(rep, first.id, "good")
    second = take(rep)
    labelling.label(rep, second.id, "bad", outcome="held")
    other = take(EVA)
    labelling.label(EVA, other.id, "good")
    taken_back = labelling.undo(rep, NAME)
    assert taken_back is not None
    assert (taken_back.item_id, taken_back.value) == (second.id, "bad")
    assert sorted(case.polarity or "" for case in datasets.cases("desk")) == ["must-stay", "must-stay"]
    assert [label.item_id for label in labelling.labels()] == [first.id, other.id]
    assert take(rep) == second
    assert labelling.take(EVA, NAME) is None
    assert labelling.label(rep, second.id, "good").value == "good"
    assert audit.verify().intact


def test_a_skipped_item_goes_to_the_end_and_is_free(queue: str, rep: Actor) -> None:
    flagged(rep, 2)
    first = take(rep)
    labelling.skip(EVA, first.id)
    assert take(rep) == first
    labelling.skip(rep, first.id)
    second = take(rep)
    assert second != first
    assert take(EVA) == first
    with pytest.raises(NotFound, match="There is no item 9999 to skip"):
        labelling.skip(rep, 9999)


def test_queues_are_made_by_those_who_may(database: str, rep: Actor, manager: Actor) -> None:
    with pytest.raises(Refused, match="A rep may not manage queues"):
        labelling.make(rep, NAME, purpose="", instructions="", dataset="desk")
    labelling.make(manager, NAME, purpose="", instructions="", dataset="desk")
    with pytest.raises(Conflict, match="There is a queue called to look at already"):
        labelling.make(manager, NAME, purpose="", instructions="", dataset="desk")
    with pytest.raises(NotFound, match="There is no labelling queue called dusk"):
        labelling.take(rep, "dusk")
    assert [one.name for one in labelling.queues()] == [NAME]
