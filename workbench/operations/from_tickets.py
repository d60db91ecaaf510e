"""Cases made of tickets: what customers wrote, masked, to be evaluated before a flow answers such tickets."""

from __future__ import annotations

from workbench import datasets
from workbench.access import Actor, require
from workbench.datasets import Case
from workbench.errors import Invalid
from workbench.tickets import trends
from workbench.tickets.trends import Filters
from workbench.traces import masking

MOST = 50


def cases(actor: Actor, filters: Filters, dataset: str, *, most: int = 20) -> int:
    """Make cases of the newest tickets that `filters` mean; returns how many are new in the dataset.

    Those that are there already stay as people made them. New ones expect nothing yet: a person says in the dataset what
    should happen. Raises Refused, or Invalid where no ticket has words.
    """
    require(actor, "edit a dataset")
    rows = trends.tickets(filters, limit=max(1, min(most, MOST))).to_dict("records")
    made = [case for row in rows if (case := _case(str(row["ticket_id"]), row["subject"], row["body"], row["topic"]))]
    if not made:
        raise Invalid("None of these tickets has words to make a case of.", remedy="Choose another kind of tickets.")
    return datasets.put(actor, dataset, made, purpose="Cases from tickets.", keep=True)


def _case(ticket: str, subject: object, body: object, topic: object) -> Case | None:
    words = [one.strip() for one in (subject, body) if isinstance(one, str) and one.strip()]
    text = "\n".join(dict.fromkeys(words))
    if not text:
        return None
    tags = ("ticket", topic) if isinstance(topic, str) and topic else ("ticket",)
    return Case(id=f"ticket-{ticket}"[:120], input=masking.masker(ticket).text(text), tags=tags)
