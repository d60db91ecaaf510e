"""Flows that are put away: who may, what stays, and how they come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import flows
from workbench.access import Actor, audit
from workbench.errors import Conflict, NotFound, Refused
from workbench.flows import shelf

ADA = Actor("ada", "architect")
REP = Actor("rose", "rep")


def test_an_archived_flow_leaves_the_list_and_comes_back_as_it_was(migrated: Path) -> None:
    flows.blank(ADA, "first-desk")
    flows.blank(ADA, "second-desk")
    flows.archive(ADA, "first-desk")
    assert [one.name for one in flows.drafts()] == ["second-desk"]
    assert [one.name for one in flows.drafts(archived=True)] == ["first-desk", "second-desk"]
    assert flows.archived() == ["first-desk"]
    assert flows.draft("first-desk").version == 1
    flows.bring_back(ADA, "first-desk")
    assert [one.name for one in flows.drafts()] == ["first-desk", "second-desk"]
    assert flows.archived() == []
    flows.archive(ADA, "first-desk")
    assert flows.archived() == ["first-desk"]
    assert [one.verb for one in audit.newest(3)] == ["archive a flow", "bring back a flow", "archive a flow"]
    assert audit.verify().intact


def test_who_may_not_edit_may_not_archive_nor_bring_back(migrated: Path) -> None:
    flows.blank(ADA, "first-desk")
    with pytest.raises(Refused, match="A rep may not edit a flow"):
        flows.archive(REP, "first-desk")
    flows.archive(ADA, "first-desk")
    with pytest.raises(Refused, match="A rep may not edit a flow"):
        flows.bring_back(REP, "first-desk")
    assert flows.archived() == ["first-desk"]


def test_a_flow_whose_release_is_served_is_archived_only_knowingly(seeded: Path) -> None:
    assert shelf.served("order-desk") == {"production": 1}
    with pytest.raises(Refused, match="order-desk is in use: production serves v1"):
        flows.archive(ADA, "order-desk")
    assert flows.archived() == []
    flows.archive(ADA, "order-desk", still_served=True)
    assert flows.archived() == ["order-desk"]
    assert shelf.served("order-desk") == {"production": 1}


def test_what_cannot_be_archived_or_brought_back_is_told(migrated: Path) -> None:
    flows.blank(ADA, "first-desk")
    with pytest.raises(NotFound, match="There is no flow called moon"):
        flows.archive(ADA, "moon")
    with pytest.raises(Conflict, match="The flow first-desk is not archived"):
        flows.bring_back(ADA, "first-desk")
    flows.archive(ADA, "first-desk")
    with pytest.raises(Conflict, match="The flow first-desk is archived already"):
        flows.archive(ADA, "first-desk")
    with pytest.raises(Conflict, match=r"There is an archived flow called first-desk already\. .* bring that one back"):
        flows.blank(ADA, "first-desk")
