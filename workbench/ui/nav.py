"""The one list of pages, and the menu made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from workbench.errors import WorkbenchError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """A page: its address, its title, what it is for, and where it stands in the menu."""

    address: str
    title: str
    icon: str
    group: str
    purpose: str

    @property
    def path(self) -> Path:
        """The page's script."""
        return ROOT / "pages" / f"{self.address}.py"


PLACES = (
    Place("home", "Home", "home", "", "What to do next, by role."),
    Place(
        "flows",
        "Flows",
        "account_tree",
        "Build",
        "Edit a flow as form, picture and YAML, and try it beside the editor.",
    ),
    Place(
        "prompts", "Prompts", "article", "Build", "Read, write and compare prompt texts; each number stays as it is."
    ),
    Place("playground", "Playground", "grid_view", "Build", "Try up to four variants of a flow side by side."),
    Place("evaluate", "Evaluate", "science", "Build", "Run a flow over a dataset of cases and see what fails."),
    Place("releases", "Releases", "rocket_launch", "Build", "See what changed, pass the gate, promote, roll back."),
    Place(
        "approvals", "Approvals", "approval", "Improve", "Calls that wait for a person: read the case, allow or reject."
    ),
    Place("runs", "Runs", "timeline", "Improve", "Find a run, read what happened, replay it, flag it."),
    Place("failures", "Failures", "troubleshoot", "Improve", "Why runs fail: by cause, flow, release and topic."),
    Place("label", "Label", "label", "Improve", "Judge flagged runs by keyboard; each verdict can become a case."),
    Place(
        "brief",
        "Brief",
        "newspaper",
        "Watch",
        "What moved in a week, whether it is more than chance, and what Support asks.",
    ),
    Place("trends", "Trends", "trending_up", "Watch", "What changed in the tickets, by topic, channel and vendor."),
    Place(
        "topics",
        "Topics",
        "topic",
        "Watch",
        "What tickets are about, found in their words: share, growth, ratings; rename, merge, split and move.",
    ),
    Place(
        "opportunities",
        "Opportunities",
        "savings",
        "Watch",
        "Which kinds of tickets a flow could answer, and how many hours that would likely save.",
    ),
    Place(
        "ask", "Ask", "forum", "Watch", "Ask the tickets in plain English; see how it was understood, and change it."
    ),
    Place(
        "signals", "Signals", "notifications", "Watch", "What is out of the usual now, who has it, and how it ended."
    ),
    Place("detectors", "Detectors", "sensors", "Watch", "What is watched, and what it would have told in the past."),
    Place(
        "vendors", "Vendors", "balance", "Watch", "How each vendor does, as counted and with the same mix of tickets."
    ),
    Place("ticket", "Ticket", "confirmation_number", "Watch", "Read one ticket, with its run and labels."),
    Place(
        "load",
        "Load tickets",
        "upload_file",
        "Watch",
        "Bring in a help desk's export, see what would be left out and why, and undo the last load.",
    ),
)


LINKED = ("ticket",)
"""Pages that links lead to; alone they show nothing, so the menu leaves them out."""


def menu() -> Any:
    """Draw the menu and return the page to run."""
    groups: dict[str, list[Any]] = {}
    waiting = calls_waiting()
    for place in PLACES:
        page = st.Page(
            place.path,
            title=_counted(place, waiting),
            icon=f":material/{place.icon}:",
            url_path="" if place.address == "home" else place.address,
            default=place.address == "home",
            visibility="hidden" if place.address in LINKED else "visible",
        )
        groups.setdefault(place.group, []).append(page)
    return st.navigation(groups, expanded=True)


def calls_waiting() -> int:
    """How many calls wait for a person's decision; none where the database cannot be read, which the page says."""
    from workbench.traces import inbox

    try:
        return inbox.waiting()
    except WorkbenchError:
        return 0


def _counted(one: Place, waiting: int) -> str:
    return f"{one.title} ({waiting})" if one.address == "approvals" and waiting else one.title


def place(address: str) -> Place:
    """The page at `address`."""
    return next(one for one in PLACES if one.address == address)


def link(address: str, label: str, parameters: dict[str, str] | None = None) -> None:
    """A link to a page, with its state in the address."""
    target = place(address)
    st.page_link(
        target.path,
        label=label,
        icon=f":material/{target.icon}:",
        query_params=parameters,
    )
