"""The sample workspace: tickets, flows, recorded runs, cases, a queue and a first release. Only what is missing is made."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import datasets, evals, flows, jobs, prompts, releases, runtime, settings, traces
from workbench.access import Actor, audit, require
from workbench.datasets import labelling
from workbench.errors import WorkbenchError
from workbench.operations.messages import CONVERSATIONS, FLAGS, TOPICS
from workbench.runtime import seal
from workbench.runtime.record import Finished
from workbench.store import migrate, now, session
from workbench.tickets import detectors, history, manifest, signals, watch
from workbench.tickets.defaults import DEFAULTS
from workbench.tickets.seed import INCIDENTS, Answered
from workbench.tickets.seed import seed as seed_tickets
from workbench.traces import capture

FLOW = "order-desk"
DRAFTS = (FLOW, "help-answers")
"""The templates that are drafts from the start; the others wait in the gallery, with their cases."""

WATCHED = {"slow rise": "Operations", "low ratings": "Vendors"}
"""The detectors that are live from the start, with their areas."""
MENDED = {"Parcel scans lost": "a repair by the carrier", "Double charges": "a repair by the payment provider"}
"""What ended the incidents of the sample tickets."""
SEEN = dt.timedelta(days=30)
"""So much of the sample tickets they have watched."""
RECORDED = dt.timedelta(days=21)
"""Over so long the sample runs are spread: the first of them fall into the newest incident of the sample tickets."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Seeded:
    """What was made; a number is 0 where it was there already."""

    tickets: int
    flows: int
    runs: int
    cases: int
    release: str


def missing() -> bool:
    """Whether something of the sample workspace is not there yet."""
    if not manifest.exists():
        return True
    return not flows.drafts(archived=True)


def seed(actor: Actor, progress: Progress, *, count: int = 50_000, days: int = 548, number: int = 7) -> Seeded:
    """Make what is missing, telling `progress` the step and its share of the whole. Raises Refused or Unavailable."""
    require(actor, "seed")
    progress("setting up the database", 0.0)
    migrate()
    progress("taking in prompts and flows", 0.05)
    prompts.take_in()
    known = {one.name for one in flows.drafts(archived=True)}
    fresh = [one for one in flows.templates() if one.name in DRAFTS and one.name not in known]
    for one in fresh:
        flows.create(actor, one.spec)
    recorded = [] if traces.count() else _record(actor, progress)
    made_tickets = 0
    if not manifest.exists():
        seed_tickets(
            actor,
            count=count,
            days=days,
            seed=number,
            progress=lambda what, x: progress(what, 0.4 + 0.4 * x),
            answered=_answered(recorded),
        )
        made_tickets = count
        progress("watching the sample tickets", 0.82)
        _watch(actor)
    made_cases = _cases(actor)
    _queue(actor)
    progress("evaluating and releasing the sample flow", 0.9)
    released = _release(actor)
    with session() as open_session:
        audit.append(open_session, actor, "seed", "sample workspace", {"tickets": made_tickets, "runs": len(recorded)})
    progress("done", 1.0)
    return Seeded(made_tickets, len(fresh), len(recorded), made_cases, released)


def _watch(actor: Actor) -> None:
    """Two live detectors with their backtests, and what they find in the last weeks of the sample tickets."""
    newest = history.newest()
    midnight = dt.datetime.combine(newest.date(), dt.time(), dt.UTC)
    for one in INCIDENTS:
        first, last = one.window(newest.date())
        start = midnight - (newest.date() - first)
        where = {"topic": one.topic, "vendor": one.vendor}
        end = start + (last - first) + dt.timedelta(days=1)
        signals.record(actor, one.name, start=start, end=end, where=where, fix=MENDED[one.name])
    for name, area in WATCHED.items():
        spec = DEFAULTS[name].model_copy(update={"area": area, "escalate": 0})
        made = detectors.save(actor, spec)
        detectors.backtest(actor, name, signals.known(), labels="the workbench's incidents")
        detectors.go_live(actor, name, changes=made.changes, since=newest - SEEN)
    watch.run(actor, backdated=True)


def _cases(actor: Actor) -> int:
    """Make the datasets of the templates that are not there yet; how many cases they have."""
    known = {one.name for one in datasets.datasets()}
    files = sorted((settings.load().seed / "cases").glob("*.jsonl"))
    return sum(
        datasets.put(
            actor, file.stem, datasets.read(file.read_text(encoding="utf-8")), purpose=f"What {file.stem} must do."
        )
        for file in files
        if file.stem not in known
    )


def _record(actor: Actor, progress: Progress) -> list[dict[str, Any]]:
    """Run the sample conversations through the engine, dated over the last three weeks; their records, oldest first."""
    release = flows.freeze(flows.draft(FLOW).spec)
    finished = asyncio.run(_converse(release, progress))
    newest, step = now(), RECORDED / max(1, len(finished))
    dated = []
    for place, one in enumerate(finished):
        jitter = int(hashlib.sha256(one.recorder.question.encode()).hexdigest()[:6], 16) % 7200
        moment = newest - step * (len(finished) - place) + dt.timedelta(seconds=jitter)
        record = {**one.plain, "started_at": moment.isoformat(timespec="milliseconds")}
        dated.append(seal.sealed(record))
    with session() as open_session:
        capture.put(open_session, [(record, release) for record in dated])
    for one in finished:
        if reason := FLAGS.get(one.recorder.question):
            traces.flag(actor, one.recorder.id, reason)
    return dated


def _answered(recorded: Sequence[Mapping[str, Any]]) -> list[Answered]:
    """The tickets that the sample runs answered: one for each run of a conversation with a topic."""
    topics, made = dict[str, str](), []
    for one in recorded:
        topic = topics.setdefault(one["conversation"], TOPICS.get(one["question"], ""))
        if topic:
            at = dt.datetime.fromisoformat(one["started_at"])
            solved = one["outcome"] == "answered"
            made.append(Answered(one["id"], at, topic, one["question"], one["question"], solved))
    return made


async def _converse(release: runtime.Release, progress: Progress) -> list[Finished]:
    models, done = runtime.Models(), []
    try:
        for place, messages in enumerate(CONVERSATIONS):
            progress("recording sample runs", 0.1 + 0.3 * place / len(CONVERSATIONS))
            talk = None
            for message in messages:
                result = await runtime.run(release, message, models=models, conversation=talk, source="sample")
                talk = result.conversation
                done.append(result.finished)
    finally:
        await models.aclose()
    return done


def _queue(actor: Actor) -> None:
    if labelling.FLAGGED not in {one.name for one in labelling.queues()}:
        labelling.make(
            actor,
            labelling.FLAGGED,
            purpose="Runs that somebody flagged.",
            instructions="Read what the customer asked and what the flow did. Good runs become cases that must stay; "
            "for bad ones, say what should have happened.",
            dataset=FLOW,
        )
    labelling.fill(actor, labelling.FLAGGED)


def _release(actor: Actor) -> str:
    """Evaluate the sample flow and promote it. Where the gate refuses, as a weaker model may make it, nothing is released."""
    if releases.releases(FLOW):
        releases.publish()
        return ""
    candidate = releases.resolve(FLOW)
    experiment = evals.create(actor, candidate, FLOW)
    jobs.run_here(experiment.job_id)
    try:
        made = releases.promote(actor, FLOW, "production", "The sample flow, as shipped.")
    except WorkbenchError:
        return ""
    return f"{FLOW}@v{made.number}"
