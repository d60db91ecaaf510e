"""Fork: run a recorded run again with exactly one change from a step on. Before it the record answers; from it the model is live."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench import flows, runtime
from workbench.access import Actor, audit, require
from workbench.errors import Conflict, Invalid, Refused, WorkbenchError
from workbench.flows import live, versions
from workbench.flows.drafts import overlay
from workbench.runtime import guardrails, mocks, release, spec
from workbench.runtime.record import clean
from workbench.runtime.release import Release
from workbench.runtime.spec import FlowSpec, Role
from workbench.store import session
from workbench.traces import capture, query
from workbench.traces.answers import Policy, Recorded, answered, data, refuse, value
from workbench.traces.compare import Comparison, Step, compare, steps
from workbench.traces.replay import Verdict, replay_record

if TYPE_CHECKING:
    from workbench.runtime.models import Models

SOURCE = "fork"

START, END = "start", "end"
"""Other words for the first step, the customer's message, and for what comes after the last one."""

KINDS = ("instructions", "model", "answer", "error", "guardrail", "message")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Instructions(_Frozen):
    """Other instructions for an agent, and for those that share them."""

    agent: str
    text: str


class ModelRole(_Frozen):
    """Another model role for an agent."""

    agent: str
    role: Role


class Guardrail(_Frozen):
    """A guardrail taken away, or with other settings."""

    name: str
    remove: bool = False
    settings: dict[str, Any] | None = None


class Change(_Frozen):
    """Exactly one change: one of these keys is given.

    `answer` (any JSON value) or `error` is what the tool call at the step comes to; `message` is what the customer
    writes instead, or next.
    """

    instructions: Instructions | None = None
    model: ModelRole | None = None
    answer: Any = None
    error: str | None = None
    guardrail: Guardrail | None = None
    message: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Change:
        if len(self.model_fields_set) != 1:
            raise ValueError("a fork changes exactly one thing")
        if self.kind != "answer" and getattr(self, self.kind) is None:
            raise ValueError(f"{self.kind} is empty")
        return self

    @property
    def kind(self) -> str:
        """Which key is given."""
        return next(iter(self.model_fields_set))


class _Policies(_Frozen):
    tools: dict[str, Policy] = Field(default_factory=dict)


@dataclass(frozen=True)
class Forked:
    """What a fork came to. Unless the unchanged run replays faithfully, there is only the `replay`, which says why."""

    run_id: str
    replay: Verdict
    record: Mapping[str, Any] | None = None
    comparison: Comparison | None = None

    @property
    def words(self) -> str:
        """What came of it, in a sentence."""
        if self.record is None:
            return (
                f"Nothing was forked or compared, because the unchanged run does not replay faithfully: {self.replay}."
            )
        parted = self.comparison.divergence if self.comparison else None
        return f"First divergence at {parted}." if parted else "The fork went exactly as the run did."


def read_change(text: str) -> Change:
    """A change from JSON text. Raises Invalid where it is not one, or more than one."""
    return change_of(_json(text, "The change"))


def change_of(body: Any) -> Change:
    """A change from plain data. Raises Invalid where it is not one, or more than one."""
    return cast(Change, _checked(Change, body, "The change", f"Give one of {', '.join(KINDS)}."))


def read_tools(text: str) -> dict[str, Policy]:
    """Who answers which tool, from JSON text: a tool's name to a word (`live`) or a Policy. Raises Invalid."""
    body = _json(text, "The file of tools")
    if isinstance(body, dict):
        body = {name: {"use": one} if isinstance(one, str) else one for name, one in body.items()}
    remedy = "Give each tool `recorded`, `live`, or `use`, `miss` and `answers`."
    return cast(_Policies, _checked(_Policies, {"tools": body}, "The file of tools", remedy)).tools


def fork(
    actor: Actor,
    run_id: str,
    at: str | int,
    change: Change,
    *,
    tools: Mapping[str, Policy] | None = None,
    confirmed: bool = False,
    models: Models | None = None,
    resources: Sequence[Any] = (),
) -> Forked:
    """Fork a stored run at a step (see `place`) with one change, and compare the two; the fork is stored as a run.

    First the unchanged run is replayed; unless that is faithful, nothing else happens. `tools` says who answers the
    calls from the step on: the record, unless it says otherwise. A tool that changes something is live only for who
    may let a trial change something, and `confirmed`.
    Raises Refused, NotFound, and Invalid for a change that fits nothing; then nothing is run or stored.
    """
    require(actor, "run a flow")
    require(actor, "replay a run")
    record = query.record(run_id)
    try:
        before = flows.frozen(record["digest"], number=_number(record["version"]))
    except WorkbenchError as error:
        return Forked("", Verdict(run_id, "impossible", what=error.message))
    step = place(record, at)
    plan = _plan(record, before, step, change)
    policies = dict(tools or {})
    dangerous = _dangerous(actor, before.spec, policies, confirmed=confirmed)
    verdict = replay_record(record, before)
    if verdict.verdict != "faithful":
        return Forked("", verdict)
    if dangerous:
        with session() as open_session:
            detail = {"run": run_id, "tools": dangerous}
            audit.append(open_session, actor, live.VERB, record["flow"], detail)
    return _run(actor, record, plan, policies, models, resources)


def place(record: Mapping[str, Any], at: str | int) -> Step:
    """The step of a run that `at` names: its number, `start`, `end`, or the id of a span of the timeline.

    `end` is the reply. Raises Invalid where the run has no such step.
    """
    found, asked = steps(record), str(at).strip()
    if asked in (START, END):
        return found[0 if asked == START else -1]
    if asked.isascii() and asked.isdigit():
        if 1 <= int(asked[:9]) <= len(found):
            return found[int(asked) - 1]
        raise Invalid(
            f"The run {record['id']} has no step {asked[:20]}.", remedy=f"It has the steps 1 to {len(found)}."
        )
    span = next((one for one in record["spans"] if one["id"] == asked), None)
    if span is None:
        raise Invalid(
            f"The run {record['id']} has no step {asked[:60]!r}.",
            remedy=f"Name a step by its number (1 to {len(found)}), `start`, `end`, or the id of a span.",
        )
    return _of_span(record, found, span)


def fitting(record: Mapping[str, Any], flow: FlowSpec, step: Step) -> list[str]:
    """The kinds of change that fit at a step, the most natural first."""
    last = step.kind == "reply"
    asked = any(call["kind"] == "model" for call in record["calls"][step.calls :])
    kinds = ["answer", "error"] if step.kind == "tool" else []
    kinds += ["message"] if last and record["outcome"] != "held" else []
    kinds += ["guardrail"] if step.kind == "guardrail" else []
    kinds += ["message"] if step.number == 1 else []
    kinds += ["instructions", "model"] if asked else []
    kinds += ["guardrail"] if _changeable(flow, step) and "guardrail" not in kinds else []
    return kinds if last or not _inherited(record, step) else []


def guards(flow: FlowSpec, step: Step) -> list[str]:
    """The guardrails that can be changed at a step, the one of that step first."""
    return sorted(_changeable(flow, step), key=lambda name: name != step.name)


def alters_flow(record: Mapping[str, Any]) -> bool:
    """Whether a run is a fork with a change in its flow, which a draft can take over."""
    return bool(_flow_changes(record))


def save_draft(actor: Actor, run_id: str, title: str = "") -> versions.Version:
    """Make what a fork changed in its flow the next save of the flow's draft, and name it as a version.

    Raises Refused, NotFound, Invalid where the fork changed nothing in its flow, and Conflict where the draft has
    changed there since the run; then nothing is changed.
    """
    require(actor, "edit a flow")
    record = query.record(run_id)
    changes = _flow_changes(record)
    if not changes:
        raise Invalid(f"The run {run_id} changed nothing in its flow.", remedy="Save it as a case.")
    draft = flows.draft(record["flow"])
    body, texts = spec.plain(draft.spec), {name: one.text for name, one in draft.texts.items()}
    bases = {name: one.base for name, one in draft.texts.items()}
    for one in changes:
        _into_draft(body, texts, one)
    saved = flows.save(actor, spec.parse(body), base=draft.version, texts=texts, bases=bases)
    words = title.strip() or f"Fork {run_id[-8:]}: {change_words(changes[-1])}"
    return versions.add(actor, saved.name, words[: versions.LONGEST], f"From the run {run_id}.", base=saved.version)


def case(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run as a case, in plain data: what was asked, how it ended, and the tools' answers as mocks.

    Hand it to `datasets.case_of`. Raises NotFound where the flow is not stored.
    """
    own = flows.frozen(record["digest"]).spec.tools
    said = [_message(item) for item in record["input"]]
    made = [c for c in record["calls"] if c["kind"] == "tool" and c["name"] in own and answered(c)]
    expected: dict[str, Any] = {"outcome": record["outcome"], "agent": record["agent"]}
    if called := [{"name": c["name"]} for c in record["calls"] if c["kind"] == "tool" and not c["error"]]:
        expected["tools"] = called
    answers = [_mock(c) for c in made if own[c["name"]].kind != "agent"]
    forked = record.get("forked") or {}
    return {
        "id": f"fork-{record['id'].removeprefix('run_')[:12]}",
        "input": record["question"] if len(said) == 1 else [one for one in said if one["content"]],
        "expected": expected,
        "context": {"run": record["id"], **({"forked from": forked["run"]} if forked else {})},
        "tags": ["fork", record["flow"]],
        **({"mocks": answers} if answers else {}),
    }


def change_words(change: Mapping[str, Any]) -> str:
    """The change of a fork, as it stands in its record, in words."""
    agents, name = ", ".join(change.get("agents", ())), change.get("name", "")
    match change["kind"]:
        case "instructions":
            return f"other instructions for {agents}"
        case "model":
            return f"{agents} on the model role {change['after']}"
        case "guardrail":
            return f"guardrail {name} {'removed' if change['after'] is None else 'with other settings'}"
        case "answer":
            return f"another answer of {name}"
        case _:
            return "the customer writes on" if change.get("where") == END else "another message"


@dataclass(frozen=True)
class _Plan:
    """A fork that can be made: what runs on which message, and how the change will stand in the record."""

    release: Release
    question: str
    conversation: runtime.Conversation
    forked: dict[str, Any]
    changed: tuple[str, Mapping[str, Any]] | None = None


def _plan(record: Mapping[str, Any], before: Release, step: Step, change: Change) -> _Plan:
    """What the change comes to at a step. Raises Invalid where it fits nothing there."""
    ends = change.kind == "message" and step.kind == "reply"
    if _inherited(record, step) and not ends:
        origin = record["forked"]
        raise Invalid(
            f"The run {record['id']} repeats the run {origin['run']} up to there.",
            remedy=f"Choose a later step, or fork {origin['run']}.",
        )
    talk = runtime.Conversation(
        id=f"conv_{uuid.uuid4().hex}", items=tuple(record["input"][:-1]), agent=record["starts_at"]
    )
    question, after, changed = record["question"], before, None
    if change.kind == "message":
        described, question = _message_change(record, step, str(change.message))
        talk = _after(record, talk.id) if ends else talk
    elif change.kind in ("answer", "error"):
        described, changed = _answer_change(record, step, change)
    else:
        after, described = _flow_change(record, before, step, change)
    return _Plan(after, question, talk, _origin(record, step, described, ends=ends), changed)


def _origin(record: Mapping[str, Any], step: Step, described: dict[str, Any], *, ends: bool) -> dict[str, Any]:
    """How a fork stands in its record: from which run and step, how much it repeats, what that took, what was changed."""
    calls = 0 if ends else step.calls
    past = record["calls"][:calls]
    asked = [call for call in past if call["kind"] == "model"]
    earlier = record.get("forked") or {}
    costs = [earlier["usd"] if earlier and calls else 0.0, *(call.get("usd", 0.0) for call in asked)]
    took = _moment(record, calls) + _saved(record, earlier) if calls else 0.0
    return {
        "run": record["id"],
        "step": step.number,
        "calls": calls,
        "requests": len(asked),
        "seconds": round(max(0.0, took), 6),
        "usd": None if None in costs else round(sum(costs), 8),
        "change": described,
        **({"before": earlier} if earlier else {}),
    }


def _saved(record: Mapping[str, Any], earlier: Mapping[str, Any]) -> float:
    """How much longer the past of a fork had taken than repeating it did."""
    return float(earlier["seconds"]) - _moment(record, earlier["calls"]) if earlier and earlier["calls"] else 0.0


def _moment(record: Mapping[str, Any], calls: int) -> float:
    """The second of a run at which so many of its calls were made, and the next one began."""
    later = record["calls"][calls:]
    return float(later[0]["started"] if later else record["seconds"])


def _message_change(record: Mapping[str, Any], step: Step, text: str) -> tuple[dict[str, Any], str]:
    text = str(clean(text))
    if step.kind not in ("message", "reply"):
        raise Invalid(
            f"Step {step.number} is {step.title}, not a message.",
            remedy="Change the message at `start`, or write the next one at `end`.",
        )
    if not text.strip():
        raise Invalid("The message is empty.", remedy="Write what the customer says.")
    if step.kind == "message" and text == record["question"]:
        raise Invalid("The message is the same as before.", remedy="Write another one.")
    if step.kind == "reply" and record["outcome"] == "held":
        raise Invalid("The run waits for a person, so the conversation cannot go on.", remedy="Decide about it first.")
    where = START if step.kind == "message" else END
    before = record["question"] if where == START else ""
    return {"kind": "message", "where": where, "before": before, "after": text}, text


def _answer_change(
    record: Mapping[str, Any], step: Step, change: Change
) -> tuple[dict[str, Any], tuple[str, Mapping[str, Any]]]:
    if step.kind != "tool":
        raise Invalid(f"Step {step.number} is {step.title}, not a tool call.", remedy="Choose the step of a tool call.")
    call = record["calls"][step.calls]
    given = {"output": "", "error": str(clean(change.error or "")).strip()}
    if change.kind == "answer":
        given = {"output": str(clean(mocks.text(change.answer))), "error": ""}
    elif not given["error"]:
        raise Invalid("The error is empty.", remedy="Say how the call fails.")
    same = call["error"] == given["error"] and (bool(given["error"]) or value(call["output"]) == value(given["output"]))
    if same:
        raise Invalid(f"{call['name']} answered the same before.", remedy="Give another answer or error.")
    before = {"output": call["output"], "error": call["error"]}
    described = {"kind": "answer", "name": call["name"], "call_id": call["call_id"], "before": before, "after": given}
    return described, (call["call_id"], given)


def _flow_change(
    record: Mapping[str, Any], before: Release, step: Step, change: Change
) -> tuple[Release, dict[str, Any]]:
    """The flow with the change, frozen under its own digest, and the change in plain data."""
    if change.guardrail is not None:
        described = _guardrail_change(before.spec, step, change.guardrail)
        listed = [one for one in spec.plain(before.spec)["guardrails"] if one["name"] != change.guardrail.name]
        at = [one.name for one in before.spec.guardrails].index(change.guardrail.name)
        listed[at:at] = [] if described["after"] is None else [described["after"]]
        return _frozen(before, {**before.body["spec"], "guardrails": listed}), described
    named = change.instructions or change.model
    assert named is not None  # noqa: S101  (one of the two is what is left)
    if named.agent not in before.spec.agents:
        raise Invalid(
            f"The flow {before.name} has no agent {named.agent[:60]}.",
            remedy=f"Known: {', '.join(before.spec.agents)}.",
        )
    if not any(call["kind"] == "model" for call in record["calls"][step.calls :]):
        raise Invalid(
            f"No model is asked from step {step.number} on, so this would change nothing.",
            remedy="Choose an earlier step.",
        )
    if change.model is not None:
        return _role_change(before, change.model)
    return _text_change(before, cast(Instructions, change.instructions))


def _text_change(before: Release, change: Instructions) -> tuple[Release, dict[str, Any]]:
    agents, text, was = before.spec.agents, str(clean(change.text)), before.content.prompts[change.agent].text
    if not text.strip():
        raise Invalid(f"The instructions of {change.agent} are empty.", remedy="Write some.")
    if text == was:
        raise Invalid(f"The instructions of {change.agent} are the same as before.", remedy="Write others.")
    shared = [name for name, one in agents.items() if one.prompt == agents[change.agent].prompt]
    prompts = dict(before.body["prompts"])
    prompts |= {name: {**prompts[name], "text": text, "number": 0} for name in shared}
    described = {"kind": "instructions", "agents": shared, "before": was, "after": text}
    return release.of({**before.body, "prompts": prompts}), described


def _role_change(before: Release, change: ModelRole) -> tuple[Release, dict[str, Any]]:
    was = before.spec.agents[change.agent].model
    if was == change.role:
        raise Invalid(f"{change.agent} has the model role {was} already.", remedy="Choose another role.")
    agents = {**before.body["spec"]["agents"]}
    agents[change.agent] = {**agents[change.agent], "model": change.role}
    described = {"kind": "model", "agents": [change.agent], "before": was, "after": change.role}
    return _frozen(before, {**before.body["spec"], "agents": agents}), described


def _guardrail_change(flow: FlowSpec, step: Step, change: Guardrail) -> dict[str, Any]:
    known = {one.name: one for one in flow.guardrails}
    if change.name not in known:
        raise Invalid(
            f"The flow {flow.flow} has no guardrail {change.name[:60]}.",
            remedy=f"Known: {', '.join(known) or 'none'}.",
        )
    if change.name not in _changeable(flow, step):
        raise Invalid(
            f"The guardrail {change.name} reads the message, before step {step.number}.",
            remedy="Choose the first step.",
        )
    if change.remove == (change.settings is not None):
        raise Invalid("A guardrail is either removed or given other settings.", remedy="Give `remove` or `settings`.")
    was = known[change.name]
    if change.settings is not None:
        guardrails.find(was.check).read(change.settings)
        if change.settings == was.settings:
            raise Invalid(f"The guardrail {change.name} has these settings already.", remedy="Give others.")
    listed = {one["name"]: one for one in spec.plain(flow)["guardrails"]}
    before = listed[change.name]
    after = None if change.remove else {**before, "settings": clean(change.settings)}
    return {"kind": "guardrail", "name": change.name, "before": before, "after": after}


def _frozen(before: Release, body: Mapping[str, Any]) -> Release:
    return release.of({**before.body, "spec": spec.plain(spec.parse(body))})


def _changeable(flow: FlowSpec, step: Step) -> list[str]:
    """The guardrails that still have something to read from a step on."""
    return [one.name for one in flow.guardrails if one.on != "input" or step.calls == 0]


def _inherited(record: Mapping[str, Any], step: Step) -> bool:
    """Whether the step is among those that a fork repeats from the run it was forked from."""
    return bool(step.calls < (record.get("forked") or {"calls": 0})["calls"])


def _after(record: Mapping[str, Any], conversation: str) -> runtime.Conversation:
    """The conversation as it is after a run, as it goes on in `traces.conversation`."""
    items = [*record["input"]]
    if record["outcome"] == "blocked":
        items.pop()
    elif record["reply"]:
        items.append({"role": "assistant", "content": record["reply"]})
    return runtime.Conversation(id=conversation, items=tuple(items), agent=record["agent"])


def _dangerous(actor: Actor, flow: FlowSpec, policies: Mapping[str, Policy], *, confirmed: bool) -> list[str]:
    """The tools that change something and shall be live. Raises Invalid or Refused where a policy may not be so."""
    if unknown := [name for name in policies if name not in flow.tools]:
        raise Invalid(
            f"The flow {flow.flow} has no tool {', '.join(unknown)[:200]}.",
            remedy=f"Known: {', '.join(flow.tools) or 'none'}.",
        )
    for name, one in policies.items():
        if one.miss == "live" and (flow.tools[name].effect != "read" or live.changes(flow.tools[name])):
            raise Invalid(
                f"{name} changes something, so a call that was not recorded is not made.",
                remedy="Let the miss be `refuse` or `mock`, or the tool be `live`.",
            )
        if "mock" in (one.use, one.miss) and not one.answers and flow.tools[name].kind != "mock":
            raise Invalid(f"{name} shall be mocked, and has no answers.", remedy="Give it `answers`.")
    dangerous = [name for name, one in policies.items() if one.use == "live" and live.changes(flow.tools[name])]
    if dangerous:
        live.allow(actor)
        if not confirmed:
            raise Refused(f"{', '.join(dangerous)} would change something for real.", remedy="Confirm that it shall.")
    return dangerous


def _run(
    actor: Actor,
    record: Mapping[str, Any],
    plan: _Plan,
    policies: Mapping[str, Policy],
    models: Models | None,
    resources: Sequence[Any],
) -> Forked:
    from workbench.runtime import engine
    from workbench.runtime.job import Decision
    from workbench.runtime.models import Diverged

    answers = Recorded(record, plan.release.spec, policies, past=plan.forked["calls"], changed=plan.changed)
    try:
        result = asyncio.run(
            engine.fork(
                plan.release,
                plan.question,
                record,
                plan.forked,
                models=models,
                conversation=plan.conversation,
                variables=record["variables"],
                resources=resources,
                answers=answers,
                decisions=[Decision(**one) for one in record.get("decisions", ())],
                source=SOURCE,
                environment=record["environment"],
                person=actor.name,
            )
        )
    except Diverged as diverged:
        return Forked("", Verdict(record["id"], "differs", f"model request {diverged.call}", diverged.what))
    with session() as open_session:
        # A fork asks nobody to decide about a held call: whoever allowed it would let it happen.
        capture.put(open_session, [(result.record, plan.release)], asks=False)
    return Forked(result.run_id, Verdict(record["id"], "faithful"), result.record, compare(record, result.record))


def _flow_changes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changes in the flow that led to a fork, the first one first: a fork may be one of a fork."""
    found, level = [], record.get("forked")
    while level:
        found.append(level["change"])
        level = level.get("before")
    return [one for one in found[::-1] if one["kind"] in ("instructions", "model", "guardrail")]


def _into_draft(body: dict[str, Any], texts: dict[str, str], change: Mapping[str, Any]) -> None:
    """Make a change of a fork in a draft. Raises Conflict where the draft is not, there, what the run had."""
    agents, before, after = body["agents"], change["before"], change["after"]
    if gone := [name for name in change.get("agents", ()) if name not in agents]:
        raise _moved_on(body, f"it has no agent {', '.join(gone)}")
    if change["kind"] == "guardrail":
        listed = body.get("guardrails", [])
        if before not in listed:
            raise _moved_on(body, f"its guardrail {change.get('name', '')} is another one")
        at = listed.index(before)
        listed[at : at + 1] = [] if after is None else [after]
    elif change["kind"] == "model":
        named = change.get("agents", ())
        if any(agents[name].get("model", "main") != before for name in named):
            raise _moved_on(body, f"{', '.join(named)} has another model role")
        for name in named:
            agents[name]["model"] = after
    else:
        _text_into_draft(body, texts, change)


def _text_into_draft(body: dict[str, Any], texts: dict[str, str], change: Mapping[str, Any]) -> None:
    agents, known = body["agents"], overlay(texts)
    named = change.get("agents", ())
    if any(known(agents[name]["prompt"]).text != change["before"] for name in named):
        raise _moved_on(body, f"{', '.join(named)} has other instructions")
    for name in named:
        followed = agents[name]["prompt"].partition("@")[0]
        others = [one for one, it in agents.items() if it["prompt"] == followed and one not in named]
        if others:
            raise _moved_on(body, f"{', '.join(others)} has the same prompt and would change too")
        agents[name]["prompt"], texts[followed] = followed, change["after"]


def _moved_on(body: Mapping[str, Any], what: str) -> Conflict:
    return Conflict(
        f"The draft of {body['flow']} is not what the run had: {what}.",
        remedy="Open the flow and make the change by hand.",
    )


def _of_span(record: Mapping[str, Any], found: Sequence[Step], span: Mapping[str, Any]) -> Step:
    """The step that a span of the timeline shows; of one that holds several, such as a turn, the first."""
    kind = {"function": "tool", "handoff": "handoff", "guardrail": "guardrail"}.get(span["type"])
    if kind is not None:
        alike = [one for one in record["spans"] if (one["type"], one["name"]) == (span["type"], span["name"])]
        number = sorted(alike, key=lambda one: float(one["start"])).index(span)
        named = [one for one in found if (one.kind, one.name) == (kind, span["name"])]
        if number < len(named):
            return named[number]
    calls, begun = record["calls"], float(span["start"])
    if span["type"] in ("generation", "response"):
        number = max(
            (i for i, one in enumerate(calls) if one["kind"] == "model" and one["started"] <= begun), default=0
        )
    else:
        number = next((i for i, one in enumerate(calls) if one["started"] >= begun), len(calls))
    return next(one for one in found if one.calls == number and one.kind in ("model", "tool", "reply"))


def _message(item: Mapping[str, Any]) -> dict[str, str]:
    """A conversation item as a message of a case; its content is empty where it is none."""
    content = item.get("content", "")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    role = str(item.get("role", ""))
    return {"role": role, "content": str(content) if role in ("user", "assistant") else ""}


def _mock(call: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded call as an answer that stands in for its tool."""
    given, answer = data(call["arguments"] or "{}"), data(call["output"])
    stand_in = {"tool": call["name"], "when": given if isinstance(given, dict) else {}}
    if call["error"]:
        return stand_in | {"error": call["error"]}
    return stand_in | {"answer": answer if isinstance(answer, dict | list) else call["output"]}


def _json(text: str, what: str) -> Any:
    try:
        return clean(json.loads(text, parse_constant=refuse))
    except (ValueError, RecursionError):
        raise Invalid(f"{what} is not JSON.") from None


def _checked(model: type[BaseModel], body: Any, what: str, remedy: str) -> BaseModel:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        told = f"{what} cannot be used: {path + ': ' if path else ''}{problem}."
        raise Invalid(told, remedy=remedy) from None


def _number(version: str) -> int | None:
    return int(version[1:]) if version.startswith("v") else None
