"""What the rules of causes find in a record, how many runs they would tag, and the job that applies them to old runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlmodel import Session, col, func, select

from workbench import jobs
from workbench.access import Actor, audit, require
from workbench.errors import NotFound
from workbench.store import session
from workbench.store.tables import CauseMark, Run, TracePart
from workbench.traces import causes, facts, query
from workbench.traces.causes import Rule
from workbench.traces.words import brief, failed

KIND = "causes"
SHARD = 250
PREVIEW = 500
"""So many of the newest runs are looked at to say how many a rule would tag."""

AT_ONCE = 500
"""Parts of traces that one look of the clock takes up."""

TRACES = "traces"
SEARCH = "search_knowledge"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Preview:
    """How many of the newest `runs` each rule would tag, by its name."""

    runs: int
    tagged: Mapping[str, int]


def found(record: Record, rules: Iterable[Rule]) -> list[tuple[Rule, str]]:
    """The rules that fit a record, each with why in a few words; the rule for other errors only where no other fits."""
    fitting = [(rule, why) for rule in rules if (why := _FINDINGS[rule.finds](record, rule.than or 0.0))]
    return [one for one in fitting if one[0].finds != "another error"] or fitting


def at_capture(open_session: Session, records: Iterable[Record]) -> dict[str, list[str]]:
    """Give new runs their causes by the rules in use, inside the transaction that stores them; the causes by run id."""
    rules = [rule for rule in causes.rules_in(open_session) if rule.active]
    return causes.keep(open_session, [(one["id"], rule, why) for one in records for rule, why in found(one, rules)])


def catch_up() -> int:
    """Give runs that other programs sent since the last time their causes; how many were looked into.

    They come in parts and fast, so this is done by the clock of a worker and not while they are stored.
    """
    with session() as open_session:
        before = open_session.get(CauseMark, TRACES)
        newest = open_session.exec(select(func.max(TracePart.id))).one() or 0
        if newest == (before.upto if before is not None else 0):
            return 0
    with session() as open_session:
        audit.lock(open_session)
        mark = open_session.get(CauseMark, TRACES) or CauseMark(name=TRACES)
        newest = open_session.exec(select(func.max(TracePart.id))).one() or 0
        if newest <= mark.upto:
            mark.upto = newest
            open_session.add(mark)
            return 0
        asked = select(TracePart.id, TracePart.run_id).where(col(TracePart.id) > mark.upto)
        parts = open_session.exec(asked.order_by(col(TracePart.id)).limit(AT_ONCE)).all()
        ids = list(dict.fromkeys(run_id for _, run_id in parts))
        rules = [rule for rule in causes.rules_in(open_session) if rule.active]
        for run_id in ids:
            causes.drop_ruled(open_session, run_id, run_id)
        seen = [(one["id"], rule, why) for one in _records(open_session, ids) for rule, why in found(one, rules)]
        causes.keep(open_session, seen)
        facts.refresh(open_session, ids)
        mark.upto = max(identity or 0 for identity, _ in parts)
        open_session.add(mark)
        return len(ids)


def preview(rules: Sequence[Rule], limit: int = PREVIEW) -> Preview:
    """How many of the newest runs each of these rules would tag. Nothing is stored."""
    with session() as open_session:
        asked = select(Run.id).order_by(col(Run.started_at).desc(), col(Run.id)).limit(limit)
        records = list(_records(open_session, list(open_session.exec(asked))))
    tagged = Counter(rule.name for record in records for rule, _ in found(record, rules))
    return Preview(len(records), {rule.name: tagged[rule.name] for rule in rules})


def apply(actor: Actor) -> str:
    """Store a job that gives every recorded run its causes by the rules in use now; its id, for `jobs.start`.

    What people said stays; what rules said before is said anew. Raises Refused.
    """
    require(actor, "set the rules of causes")
    rules = [rule.model_dump() for rule in causes.rules() if rule.active]
    with session() as open_session:
        total = query.count()
        job = jobs.row(KIND, f"Causes of {total:,} runs by {len(rules)} rules", {"rules": rules}, actor, total=total)
        open_session.add(job)
        audit.append(
            open_session, actor, "set the rules of causes", job.id, {"applied": [one["name"] for one in rules]}
        )
        return job.id


def _plan(_arguments: dict[str, Any]) -> list[list[Any]]:
    """Shards as first id, last id, and how many runs are done after it."""
    with session() as open_session:
        ids = list(open_session.exec(select(Run.id).order_by(Run.id)))
    return [
        [ids[at], ids[min(at + SHARD, len(ids)) - 1], min(at + SHARD, len(ids))] for at in range(0, len(ids), SHARD)
    ]


def _work(_job: str, arguments: dict[str, Any], shard: list[Any]) -> int:
    first, last, done = shard
    rules = [Rule.model_validate(one) for one in arguments["rules"]]
    with session() as open_session:
        audit.lock(open_session)
        ids = list(open_session.exec(select(Run.id).where(col(Run.id) >= first, col(Run.id) <= last)))
        causes.drop_ruled(open_session, first, last)
        seen = [(one["id"], rule, why) for one in _records(open_session, ids) for rule, why in found(one, rules)]
        causes.keep(open_session, seen)
        facts.refresh(open_session, ids)
    return int(done)


def _records(open_session: Session, ids: Iterable[str]) -> Iterator[Record]:
    for run_id in ids:
        try:
            yield query.body(open_session, run_id)
        except NotFound:
            continue


def _tools(record: Record, *names: str) -> Iterator[Mapping[str, Any]]:
    return (one for one in record["calls"] if one["kind"] == "tool" and (not names or one["name"] in names))


def _failed_tool(record: Record, _: float) -> str:
    for call in _tools(record):
        if call["error"] and not call["error"].startswith(
            ("A person did not allow", "Not called", "The result was withheld")
        ):
            return f"{call['name']}: {call['error']}"
        if failed(call["output"]):
            return f"{call['name']}: {brief(call['output'])}"
    return ""


def _tripped(record: Record, _: float) -> str:
    return next((f"{one['name']}: {one['reason']}" for one in record["guardrails"] if one["tripped"]), "")


def _slower(record: Record, than: float) -> str:
    return f"it took {record['seconds']:.1f} s" if record["seconds"] > than else ""


def _dearer(record: Record, than: float) -> str:
    usd = record["usage"]["usd"]
    return f"it cost ${usd:.4f}" if usd is not None and usd > than else ""


def _limit(record: Record, _: float) -> str:
    return (record["stop"] or "a limit was reached") if record["outcome"] == "limit" else ""


def _loop(record: Record, than: float) -> str:
    takes = [agent for agent, _ in groupby(one["agent"] for one in record["calls"] if not one.get("inside"))]
    agent, times = Counter(takes).most_common(1)[0] if takes else ("", 0)
    return f"{agent} took over {times} times" if times > than else ""


def _wrong_form(record: Record, _: float) -> str:
    return record["error"] if "does not fit the output schema" in record["error"] else ""


def _searches(record: Record) -> list[bool]:
    """Whether each search of the knowledge brought something close enough to answer from."""
    enough = []
    for call in _tools(record, SEARCH):
        try:
            enough.append(bool(json.loads(call["output"])["enough"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return enough


def _nothing_found(record: Record, _: float) -> str:
    searches = _searches(record)
    return "no search brought a close passage" if searches and not any(searches) else ""


def _declined(record: Record, _: float) -> str:
    if record["outcome"] != "abstained":
        return ""
    return "it declined although a search had brought a close passage" if any(_searches(record)) else ""


def _uncited(record: Record, _: float) -> str:
    if record["outcome"] != "answered" or not any(_searches(record)):
        return ""
    named = (str(one.get("id")) for call in _tools(record, SEARCH) for one in _passages(call["output"]))
    return "" if any(f"[{one}]" in record["reply"] for one in named) else "the reply names none of the passages found"


def _passages(output: str) -> list[Mapping[str, Any]]:
    try:
        return [one for one in json.loads(output)["passages"] if isinstance(one, Mapping)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _error(record: Record, _: float) -> str:
    return (record["error"] or record["stop"] or "it ended in an error") if record["outcome"] == "error" else ""


_FINDINGS: Mapping[str, Callable[[Record, float], str]] = {
    "an answer from the knowledge without a source": _uncited,
    "a search without a close passage": _nothing_found,
    "a failed tool call": _failed_tool,
    "a tripped guardrail": _tripped,
    "slower than": _slower,
    "dearer than": _dearer,
    "a limit reached": _limit,
    "an agent taking over more often than": _loop,
    "an answer in the wrong form": _wrong_form,
    "a decline with enough at hand": _declined,
    "another error": _error,
}

jobs.kind(KIND, _plan, _work, verb="set the rules of causes")
