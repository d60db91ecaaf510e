"""What a person who decides about a call has to know: the rule that asked, the facts of the case, and whether they may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlmodel import col, func, select

from workbench import flows
from workbench.access import Actor, may
from workbench.access.people import PERMISSIONS
from workbench.runtime.spec import ArgumentRule
from workbench.store import session
from workbench.store.tables import Approval as Row
from workbench.traces.approvals import Approval

FACTS = ("order", "order_id", "total", "status", "items", "amount", "customer", "delivered_on", "ordered_on")
"""What a decision turns on, where an earlier answer of a tool has it."""

MOST = 6


def waiting() -> int:
    """How many calls wait for a person's decision."""
    with session() as open_session:
        return open_session.exec(select(func.count()).where(col(Row.state) == "waiting")).one()


def rule(one: Approval, digest: str) -> str:
    """The rule that asked for a person, in a sentence. `digest` is of the flow that ran. Raises NotFound."""
    from workbench.runtime.build import breaks

    rules = flows.frozen(digest).spec.tools[one.tool].approve
    if rules is None:
        return f"{_words(one.tool)} asked for a person in this run."
    if rules == "always":
        return f"Every {_words(one.tool)} needs a person's decision."
    asking = [name for name, each in rules.items() if breaks(each, one.arguments.get(name))]
    told = " or ".join(f"the {_words(name)} is {_limit(rules[name])}" for name in asking or rules)
    here = ", ".join(f"{_words(name)} {value(one.arguments[name])}" for name in asking if name in one.arguments)
    return f"{_words(one.tool)} needs a person's decision when {told}" + (f"; here: {here}." if here else ".")


def facts(one: Approval, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the tools of the run said about the case before the call, such as an order's total: names with their values.

    The last answer counts. What the call itself is given is left out.
    """
    found: dict[str, str] = {}
    for answer in _answers(record):
        found |= {name: value(answer[name]) for name in FACTS if answer.get(name) not in (None, "", [], {})}
    shown = [(_words(name), found[name]) for name in FACTS if name in found and found[name] != ""]
    given = {(_words(name), value(each)) for name, each in one.arguments.items()}
    return [fact for fact in shown if fact not in given][:MOST]


def why_not(actor: Actor, one: Approval) -> str:
    """Why `actor` may not decide about a call, in a sentence that says who may; empty where they may."""
    if not may(actor, "decide an approval"):
        roles = " or ".join(sorted(PERMISSIONS["decide an approval"]))
        return f"A {actor.role} may not decide about calls. Ask somebody who may act as {roles}."
    if one.another and one.asked_by == actor.name and not may(actor, "decide an own approval"):
        return "Somebody else must decide: your own run asks for this call. Ask a colleague, or act as manager."
    return ""


def value(given: Any) -> str:
    """A value as a person reads it, nothing of it left out: a whole number without a fraction, a list with commas."""
    if isinstance(given, list):
        return ", ".join(value(one) for one in given)
    if isinstance(given, Mapping):
        return json.dumps(given, ensure_ascii=False)
    return f"{given:.0f}" if isinstance(given, float) and given.is_integer() else str(given)


def _limit(each: ArgumentRule) -> str:
    parts = [f"above {each.above:g}"] if each.above is not None else []
    parts += [f"below {each.below:g}"] if each.below is not None else []
    parts += [f"one of {', '.join(map(str, each.any_of))}"] if each.any_of is not None else []
    return " or ".join(parts) or "not given"


def _answers(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The answers of the run's tools that are data, oldest first."""
    for call in record["calls"]:
        if call["kind"] != "tool" or call["error"]:
            continue
        try:
            body = json.loads(call["output"])
        except (ValueError, RecursionError):
            continue
        if isinstance(body, Mapping):
            yield body


def _words(name: str) -> str:
    return name.replace("_", " ")
