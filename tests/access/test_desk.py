"""What people are writing stays theirs, and the newest stays."""

from __future__ import annotations

import threading

import pytest

from workbench.access import Actor, desk
from workbench.errors import Invalid


def test_what_a_person_left_is_there_for_that_person_only(database: str, architect: Actor, rep: Actor) -> None:
    desk.put(architect, "prompt", {"text": "Be brief."})
    desk.put(architect, "prompt", {"text": "Be kind."})
    assert desk.take(architect, "prompt") == {"text": "Be kind."}
    assert desk.take(Actor(architect.name, "manager"), "prompt") == {"text": "Be kind."}
    assert desk.take(rep, "prompt") is None
    desk.clear(rep, "prompt")
    assert desk.take(architect, "prompt") == {"text": "Be kind."}
    desk.clear(architect, "prompt")
    assert desk.take(architect, "prompt") is None


def test_two_windows_that_write_at_once_leave_one_of_the_two(database: str, architect: Actor) -> None:
    threads = [threading.Thread(target=desk.put, args=(architect, "chat", number)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert desk.take(architect, "chat") in range(6)


def test_what_is_too_large_is_refused_and_what_lay_there_stays(migrated: object, architect: Actor) -> None:
    desk.put(architect, "chat", "short")
    with pytest.raises(Invalid, match="too large"):
        desk.put(architect, "chat", "x" * desk.LARGEST)
    assert desk.take(architect, "chat") == "short"
