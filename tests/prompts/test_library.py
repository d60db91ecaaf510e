"""The library: numbers are never changed, every road to an old version is closed, and two editors meet."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlmodel import Session, delete, select, update

from workbench import prompts
from workbench.access import Actor, audit
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.store import session
from workbench.store.tables import Prompt

NAME = "desk/front"


@pytest.fixture
def front(database: str, architect: Actor) -> str:
    """A prompt with two versions, in each kind of database."""
    prompts.save(architect, NAME, "You work for $shop.", purpose="Greets.", base=0)
    prompts.save(architect, NAME, "You work for $shop. Be kind.", note="Kinder.", base=1)
    return NAME


def test_a_version_knows_its_author_owner_note_variables_and_length(front: str) -> None:
    newest, first = prompts.versions(front)
    assert (newest.number, newest.author, newest.owner, newest.note) == (2, "ada", "ada", "Kinder.")
    assert (newest.purpose, newest.variables, newest.length) == ("Greets.", ("shop",), len(newest.text))
    assert (first.number, first.note, first.folder) == (1, "", "desk")
    assert first.created_at <= newest.created_at


def _assign(open_session: Session) -> None:
    row = open_session.exec(select(Prompt).where(Prompt.number == 1)).one()
    row.text = "Changed."
    open_session.add(row)


def _remove(open_session: Session) -> None:
    open_session.delete(open_session.exec(select(Prompt).where(Prompt.number == 1)).one())


def _update_all(open_session: Session) -> None:
    open_session.execute(update(Prompt).values(text="Changed."))


def _delete_all(open_session: Session) -> None:
    open_session.execute(delete(Prompt))


@pytest.mark.parametrize("change", [_assign, _remove, _update_all, _delete_all])
def test_an_old_version_cannot_be_changed_or_removed(front: str, change: Callable[[Session], None]) -> None:
    with pytest.raises(Refused, match="never changes"), session() as open_session:
        change(open_session)
    assert [one.text for one in prompts.versions(front)] == ["You work for $shop. Be kind.", "You work for $shop."]


def test_a_second_editor_meets_a_conflict_and_both_texts_are_kept(front: str, architect: Actor) -> None:
    prompts.save(Actor("eve", "architect"), front, "Eve's text.", base=2)
    with pytest.raises(Conflict, match="its newest number is 3"):
        prompts.save(architect, front, "Ada's text.", base=2)
    assert prompts.get(front).text == "Eve's text."
    assert prompts.save(architect, front, "Ada's text.", base=3).number == 4


def test_of_ten_saves_at_once_exactly_one_wins(front: str, architect: Actor) -> None:
    told: list[str] = []

    def save(number: int) -> None:
        try:
            prompts.save(architect, front, f"Text {number}.", base=2)
            told.append("saved")
        except Conflict:
            told.append("conflict")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (told.count("saved"), told.count("conflict")) == (1, 9)
    assert [one.number for one in prompts.versions(front)] == [3, 2, 1]


def test_a_new_prompt_with_a_taken_name_is_refused(front: str, architect: Actor) -> None:
    with pytest.raises(Conflict, match="There is a prompt called desk/front already"):
        prompts.save(architect, front, "Another.", base=0)


def test_an_old_text_becomes_the_newest_number_with_a_note(front: str, architect: Actor) -> None:
    made = prompts.restore(architect, front, 1, base=2)
    assert (made.number, made.text) == (3, "You work for $shop.")
    assert prompts.versions(front)[0].note == "Version 1 again."
    assert prompts.restore(architect, front, 2, note="It was better.", base=3).number == 4
    assert prompts.versions(front)[0].note == "It was better."
    assert audit.verify().intact


def test_restoring_what_is_newest_or_missing_or_changed_is_told(front: str, architect: Actor, rep: Actor) -> None:
    with pytest.raises(Invalid, match="holds the text of version 2 already"):
        prompts.restore(architect, front, 2)
    with pytest.raises(NotFound, match=r"has no version 9\. Its newest number is 2"):
        prompts.restore(architect, front, 9)
    with pytest.raises(Conflict):
        prompts.restore(architect, front, 1, base=1)
    with pytest.raises(Refused, match="A rep may not edit a prompt"):
        prompts.restore(rep, front, 1)
    assert len(prompts.versions(front)) == 2


def test_every_missing_variable_is_in_one_message() -> None:
    text = "You work for $shop in $city, called $name."
    with pytest.raises(Invalid, match=r"desk/front has no value for \$shop, \$name\."):
        prompts.fill(NAME, text, {"city": "Graz", "name": ""})
    assert prompts.fill(NAME, f"{text} $$5.", {"shop": "F", "city": "Graz", "name": "Al"}) == (
        "You work for F in Graz, called Al. $5."
    )
    with pytest.raises(Invalid, match="names no variable"):
        prompts.fill(NAME, "Refund $50.", {})


def test_a_filled_text_is_not_filled_again() -> None:
    assert prompts.fill(NAME, "Hello $name.", {"name": "$shop ${x}"}) == "Hello $shop ${x}."


@pytest.mark.parametrize(
    ("words", "found"),
    [("", ["billing", "desk/front"]), ("DESK", ["desk/front"]), ("kind shop", ["desk/front"]), ("zebra", [])],
)
def test_prompts_are_found_by_words_in_any_part_of_the_newest_version(
    front: str, architect: Actor, words: str, found: list[str]
) -> None:
    prompts.save(architect, "billing", "Explain invoices.")
    assert [one.name for one in prompts.find(words)] == found
    assert prompts.find("desk")[0].number == 2


def test_owner_and_purpose_can_change_alone_and_make_a_number(front: str, architect: Actor) -> None:
    text = prompts.get(front).text
    assert prompts.save(architect, front, text).number == 2
    assert prompts.save(architect, front, text, owner="billing team").number == 3
    assert prompts.save(architect, front, text, purpose="Greets everybody.").number == 4
    assert [one.owner for one in prompts.versions(front)] == ["billing team", "billing team", "ada", "ada"]


@pytest.mark.parametrize("text", ["a\x00b", "bell \x07", "half \ud800", "\x1b[31mred"])
def test_control_characters_are_refused_before_a_database_sees_them(front: str, architect: Actor, text: str) -> None:
    with pytest.raises(Invalid, match="control characters"):
        prompts.save(architect, front, text)


@pytest.mark.parametrize("field", ["purpose", "owner", "note"])
@pytest.mark.parametrize("value", ["x" * 501, "two\nlines", "\x00"])
def test_purpose_owner_and_note_are_one_short_line(front: str, architect: Actor, field: str, value: str) -> None:
    with pytest.raises(Invalid, match=f"The {field} of desk/front must be one line"):
        prompts.save(architect, front, "Other.", **{field: value})  # type: ignore[arg-type]
