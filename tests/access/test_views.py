"""Saved views: one's own and those that are shared, replaced by name, deleted by their owner only."""

from __future__ import annotations

import pytest

from workbench.access import Actor, audit, views
from workbench.errors import Invalid, NotFound, Refused

STATE = {"outcome": ["error", "held"], "words": ["lamp"], "empty": []}


def test_a_view_comes_back_as_it_was_saved_to_its_owner_and_where_shared_to_everybody(database: str) -> None:
    rui, mei = Actor("rui", "rep"), Actor("mei", "manager")
    own = views.save(rui, "runs", "  Broken   lamps ", STATE)
    views.save(mei, "runs", "Errors", {"outcome": ["error"]}, shared=True)
    views.save(mei, "trends", "Weekly", {}, shared=True)
    assert own.state == {"outcome": ("error", "held"), "words": ("lamp",)}
    assert [(one.name, one.owner) for one in views.views(rui, "runs")] == [("Broken lamps", "rui"), ("Errors", "mei")]
    assert [one.name for one in views.views(mei, "runs")] == ["Errors"]
    again = views.save(rui, "runs", "Broken lamps", {"words": ["vase"]}, shared=True)
    assert (again.id, again.state) == (own.id, {"words": ("vase",)})
    assert [one.name for one in views.views(mei, "runs")] == ["Broken lamps", "Errors"]
    assert [one.verb for one in audit.newest(2)] == ["save a view", "save a view"]


def test_only_its_owner_or_an_admin_deletes_a_view_and_it_can_be_saved_again(database: str, admin: Actor) -> None:
    rui, mei = Actor("rui", "rep"), Actor("mei", "manager")
    one = views.save(rui, "runs", "Mine", STATE, shared=True)
    with pytest.raises(Refused, match="This view belongs to rui"):
        views.delete(mei, one.id)
    gone = views.delete(rui, one.id)
    with pytest.raises(NotFound, match="not there any more"):
        views.delete(rui, one.id)
    back = views.save(rui, gone.page, gone.name, gone.state, shared=gone.shared)
    assert back.state == one.state
    views.delete(admin, back.id)
    assert views.views(rui, "runs") == []


@pytest.mark.parametrize(
    ("name", "state", "told"),
    [
        (" ", STATE, "needs a name"),
        ("x" * 81, STATE, "needs a name"),
        ("big", {"words": ["x" * 9000]}, "holds too much"),
        ("a long name", {"x" * 9000: ["a"]}, "holds too much"),
        ("many empty values", {"words": [""] * 9000}, "holds too much"),
        ("many names", {f"{number:04}": [""] for number in range(2000)}, "holds too much"),
    ],
)
def test_a_view_that_cannot_be_kept_is_told_in_words(
    database: str, name: str, state: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(Invalid, match=told):
        views.save(Actor("rui", "rep"), "runs", name, state)
