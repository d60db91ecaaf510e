"""The tools of an incident look-up, and the sample incidents that they work on when the caller brings none."""

from __future__ import annotations

import copy
import functools
import json
import threading
from pathlib import Path
from typing import Any

from workbench.errors import Invalid, NotFound, Refused
from workbench.runtime.retrieval import Index, Passage
from workbench.runtime.tools import ToolContext, tool

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "seed" / "incidents.json"

KNOWN_FROM = 0.3
"""The least share of the customer's words that a known symptom must cover: below it, the problem is not known."""

CONSIDERED = 6
"""How many symptoms are looked at for one that is still going on."""


class Incidents:
    """Known incidents in memory, safe to use from several threads. Dates are ISO 8601."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._incidents: dict[str, dict[str, Any]] = {one["incident_id"]: one for one in body["incidents"]}
        self._told: dict[tuple[str, str], dict[str, Any]] = {}
        self._lock = threading.RLock()
        self._symptoms = Index(
            Passage(id=f"{name}-{place}", title=one["title"], text=_one_word(text), source=name)
            for name, one in self._incidents.items()
            for place, text in enumerate(one["symptoms"])
        )

    @classmethod
    def sample(cls) -> Incidents:
        """A fresh copy of the sample incidents, so that one run does not see what another did. Raises NotFound."""
        return cls(copy.deepcopy(_sample()))

    def incident(self, incident_id: str) -> dict[str, Any]:
        """A copy of the incident with this id. Raises NotFound."""
        name = incident_id.strip().upper()
        with self._lock:
            if name not in self._incidents:
                raise NotFound(f"There is no incident {incident_id}.")
            return copy.deepcopy(self._incidents[name])

    def like(self, problem: str) -> dict[str, Any]:
        """The incident whose symptoms are most like a problem, one that is still going on first. Raises NotFound."""
        hits = [hit for hit in self._symptoms.search(_one_word(problem), CONSIDERED) if hit.score >= KNOWN_FROM]
        found = [self.incident(hit.passage.source) for hit in hits]
        if not found:
            raise NotFound("There is no known incident like this.")
        return next((one for one in found if one["state"] != "resolved"), found[0])

    def notify(self, incident_id: str, email: str) -> dict[str, Any]:
        """Note an address that is written to once the incident is fixed; the same address is noted once.

        Raises NotFound, Invalid, or Refused where the incident is over.
        """
        address = email.strip().casefold()
        if "@" not in address[1:-1]:
            raise Invalid(f"{email!r} is not an e-mail address.")
        with self._lock:
            found = self.incident(incident_id)
            if found["state"] == "resolved":
                raise Refused(f"{found['incident_id']} is resolved already; there is nothing left to tell.")
            key = (found["incident_id"], address)
            if key not in self._told:
                self._told[key] = {
                    "notice_id": f"N{500 + len(self._told) + 1}",
                    "incident_id": key[0],
                    "email": address,
                }
            return dict(self._told[key])


@tool(effect="read")
def find_incident(context: ToolContext, problem: str) -> dict[str, Any]:
    """Look whether what a customer sees is a known incident: an error, crash or failure of the website, its pages,
    pictures and search, the app, the checkout, card payments, gift cards, discount codes, passwords, sign-in codes,
    e-mails, return labels, points or parcels.

    Args:
        problem: What the customer sees, in the customer's words.
    """
    return _shown(context.resource(Incidents).like(problem))


@tool(effect="read")
def get_incident(context: ToolContext, incident_id: str) -> dict[str, Any]:
    """Look up a known incident by its number: its status, the workaround, when it began and when it was resolved.

    Args:
        incident_id: The incident number, such as INC-301.
    """
    return _shown(context.resource(Incidents).incident(incident_id), "area", "began_on", "resolved_on")


@tool(effect="write")
def notify_about_incident(context: ToolContext, incident_id: str, email: str) -> dict[str, Any]:
    """Notify a customer by e-mail once an incident is fixed.

    Args:
        incident_id: The incident number, such as INC-301.
        email: The customer's e-mail address.
    """
    return context.resource(Incidents).notify(incident_id, email)


def _one_word(text: str) -> str:
    return text.replace("e-mail", "email").replace("E-mail", "Email")


def _shown(incident: dict[str, Any], *more: str) -> dict[str, Any]:
    names = ("title", "state", "workaround", "incident_id", *more)
    return {name: incident[name] for name in names if name in incident}


@functools.cache
def _sample() -> dict[str, Any]:
    try:
        return dict(json.loads(SAMPLE.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NotFound(f"The sample {SAMPLE} is missing.", remedy="Pass Incidents in `resources`.") from None
