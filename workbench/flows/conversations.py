"""Take in recorded support conversations as a flow: their policy as its prompt, their tools with answers from the record."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workbench.access import Actor, require
from workbench.errors import Invalid
from workbench.flows import transcripts
from workbench.flows.drafts import Draft, create
from workbench.flows.signatures import Signature, declared, effect, inferred
from workbench.flows.transcripts import Call, Recording, Transcript
from workbench.runtime import mocks, spec
from workbench.runtime.release import PromptText
from workbench.runtime.spec import EFFECTS, Effect, FlowSpec, Limits, Slug, canonical

AGENT = "assistant"

MOST = 50
"""Mocked answers of one tool."""

LARGEST = 200_000
"""Characters of all mocked answers. A flow's file may hold a million, and a flow is read, stored and frozen whole."""

POLICIES = ("policy", "wiki", "instructions", "system", "prompt")
"""What the file of a policy is called, where the conversations hold no instructions."""

GUARDRAILS = (
    {"name": "injection", "on": "input", "check": "prompt_injection"},
    {"name": "no-cards", "on": "reply", "check": "card_numbers"},
)

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\s/\\]+)\s*\}\}")


@dataclass(frozen=True)
class Clash:
    """A call that was answered in several ways; the commonest answer is kept, the first of those recorded equally often."""

    tool: str
    arguments: str
    answers: int


@dataclass(frozen=True)
class Taken:
    """A tool of the imported flow. `recorded` is its name in the record, `why` the reason for its effect.

    `declared` is the file that declares it, empty where its arguments are told from its calls alone. `mocks` answers
    were kept and `left` were not, because they would make the flow too large.
    """

    name: str
    recorded: str
    effect: Effect
    why: str
    declared: str
    calls: int
    mocks: int
    left: int


@dataclass(frozen=True)
class Imported:
    """What came of an import. `notes` tell, in words, of everything that was left out, renamed or unusual."""

    draft: Draft
    prompts: tuple[str, ...]
    tools: tuple[Taken, ...]
    clashes: tuple[Clash, ...]
    conversations: tuple[Transcript, ...]
    notes: tuple[str, ...]

    @property
    def by_effect(self) -> dict[Effect, tuple[str, ...]]:
        """The names of the tools by what they may do."""
        return {kind: tuple(one.name for one in self.tools if one.effect == kind) for kind in EFFECTS}

    @property
    def plain(self) -> dict[str, Any]:
        """The import as plain data, without the conversations themselves."""
        return {
            "flow": self.draft.name,
            "version": self.draft.version,
            "prompts": list(self.prompts),
            "tools": [vars(one) for one in self.tools],
            "clashes": [vars(one) for one in self.clashes],
            "conversations": len(self.conversations),
            "notes": list(self.notes),
        }

    @property
    def words(self) -> str:
        """The import in a few lines, for a person."""
        told = sum(not one.declared for one in self.tools)
        effects = ", ".join(f"{len(names)} {kind}" for kind, names in self.by_effect.items())
        kept, left = sum(one.mocks for one in self.tools), sum(one.left for one in self.tools)
        lines = [
            f"{self.draft.name}: created from {len(self.conversations):,} conversations",
            f"{len(self.tools)} tools ({effects}); {told} of them told from their calls",
            f"{kept:,} recorded answers kept, {left:,} left out, {len(self.clashes)} calls with different answers",
        ]
        return "\n".join([*lines, *self.notes])


def take_in(
    actor: Actor,
    name: str,
    source: Path,
    *,
    effects: Mapping[str, Effect] | None = None,
    policy: Path | None = None,
    signatures: Path | None = None,
) -> Imported:
    """Store a new flow called `name` from the recorded conversations at `source`, a file or a folder.

    `effects` says of tools what they may do, where their names do not tell. `policy` and `signatures` are files to use
    instead of those that the conversations name or lie beside.
    Raises Refused, NotFound, Conflict, or Invalid naming the file and line that cannot be used; nothing is changed then.
    """
    require(actor, "edit a flow")
    _check_name(name)
    recording = transcripts.read(source)
    offered = _offered(recording, signatures)
    instructions, notes = _policy(recording, offered.path, policy)
    tools, clashes, bodies = _tools(recording, offered, effects or {})
    prompt = PromptText(
        name=f"{name}/{AGENT}",
        number=0,
        text=instructions.replace("$", "$$"),
        purpose="The policy of the recorded conversations.",
    )
    made = _flow(name, recording, bodies)
    draft = create(
        actor, made, {prompt.name: prompt}, forked_from=f"recorded conversations in {source.resolve().name}"[:120]
    )
    told = (*notes, *_renames(tools, instructions), *_unusual(recording), *_left(recording, offered))
    return Imported(draft, (prompt.name,), tuple(tools), tuple(clashes), recording.transcripts, told)


def _check_name(name: str) -> None:
    try:
        TypeAdapter(Slug).validate_python(name)
    except ValidationError:
        raise Invalid(
            f"{name[:60]!r} is not a name for a flow.",
            remedy="Use small letters, digits and -, beginning with a letter.",
        ) from None


@dataclass(frozen=True)
class _Offered:
    """The signatures that fit the recorded calls, and the file they stand in; none where no file does."""

    path: Path | None = None
    label: str = ""
    signatures: Mapping[str, Signature] = field(default_factory=dict)


def _offered(recording: Recording, named: Path | None) -> _Offered:
    """The signatures in the file named, or in the one file of the source that declares the most tools that were called."""
    if named is not None:
        found = declared(transcripts.load(named), named.name)
        if not found:
            raise Invalid(f"{named} declares no tool.", remedy="Give a list of functions in OpenAI's format.")
        return _Offered(named, named.name, {one.name: one for one in found})
    wanted = {call.name for one in recording.transcripts for call in one.calls}
    fitting = {path: len(wanted & {s.name for s in listed}) for path, listed in recording.signatures.items()}
    most = max(fitting.values(), default=0)
    best = [path for path, count in fitting.items() if count == most] if most else []
    if len(best) > 1:
        listed = ", ".join(map(recording.named, best))
        raise Invalid(f"These files declare the tools equally well: {listed}.", remedy="Name the one to use.")
    if not best:
        return _Offered()
    return _Offered(best[0], recording.named(best[0]), {one.name: one for one in recording.signatures[best[0]]})


def _policy(recording: Recording, beside: Path | None, named: Path | None) -> tuple[str, list[str]]:
    """The instructions, and notes on those that are not used: of a file named, of the conversations, or of a file beside."""
    if named is not None:
        return transcripts.text(named), []
    given = Counter(one.system.strip() for one in recording.transcripts if one.system.strip())
    if not given:
        path = _beside(recording, beside, lambda one: one.stem.lower() in POLICIES, "a policy")
        return transcripts.text(path), [f"the policy is that of {recording.named(path)}"]
    words, count = given.most_common(1)[0]
    others = len(recording.transcripts) - count
    notes = [f"{others} conversations have other instructions than the rest, or none"] if others else []
    if placeholder := _PLACEHOLDER.fullmatch(words):
        path = _beside(recording, beside, lambda one: one.name == placeholder[1], placeholder[1])
        return transcripts.text(path), [*notes, f"the policy is that of {recording.named(path)}"]
    return words, notes


def _beside(recording: Recording, beside: Path | None, fits: Callable[[Path], bool], what: str) -> Path:
    """The one text of the source that fits: beside the signatures if there is one, else anywhere."""
    found = [one for one in recording.texts if fits(one)]
    near = [one for one in found if beside is not None and one.parent == beside.parent]
    chosen = near or found
    if len(chosen) != 1:
        told = ", ".join(map(recording.named, chosen)) or "none"
        raise Invalid(
            f"{recording.source} must hold {what} exactly once; found: {told}.", remedy="Name the policy's file."
        )
    return chosen[0]


def _tools(
    recording: Recording, offered: _Offered, effects: Mapping[str, Effect]
) -> tuple[list[Taken], list[Clash], dict[str, Any]]:
    """The tools by their names in the flow, as they are told of and as the flow declares them."""
    calls: dict[str, list[Call]] = {name: [] for name in offered.signatures}
    for call in (call for recorded in recording.transcripts for call in recorded.calls):
        calls.setdefault(call.name, []).append(call)
    known = [offered.signatures.get(name) or inferred(name, _given(made)) for name, made in calls.items()]
    _check_names(known, effects)
    clashes: list[Clash] = []
    answers = {one.name: list(_answers(one.called, calls[one.name], clashes)) for one in known}
    kept = _kept(answers)
    tools, bodies = [], {}
    for one in known:
        chosen, why = effect(one)
        if one.name in effects or one.called in effects:
            chosen, why = effects.get(one.name) or effects[one.called], "the importer says so"
        place = offered.label if one.name in offered.signatures else ""
        mocked = kept[one.name]
        left = len(answers[one.name]) - len(mocked)
        tools.append(Taken(one.called, one.name, chosen, why, place, len(calls[one.name]), len(mocked), left))
        body = {"kind": "mock", "effect": chosen, "description": one.description, "parameters": dict(one.parameters)}
        bodies[one.called] = body | {"answers": mocked}
    return tools, clashes, bodies


def _given(calls: Iterable[Call]) -> list[dict[str, Any]]:
    return [given for call in calls if (given := call.given) is not None]


def _check_names(known: list[Signature], effects: Mapping[str, Effect]) -> None:
    names = Counter(one.called for one in known)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Invalid(f"Several recorded tools would be called {twice[0]}.", remedy="Rename one in the files.")
    if strange := sorted(set(effects) - {one.name for one in known} - set(names)):
        raise Invalid(f"There is no tool called {', '.join(strange)}.", remedy=f"Known: {', '.join(sorted(names))}.")
    if wrong := sorted(set(effects.values()) - set(EFFECTS)):
        raise Invalid(f"{wrong[0]!r} is not an effect.", remedy=f"Use {', '.join(EFFECTS)}.")


def _answers(tool: str, calls: Iterable[Call], clashes: list[Clash]) -> Iterator[dict[str, Any]]:
    """The distinct calls of a tool as mocked answers, the most frequent first; one for all where all were answered alike."""
    asked: dict[str, Counter[str]] = {}
    for call in calls:
        if call.given is not None and call.answer is not None:
            asked.setdefault(canonical(call.given), Counter())[call.answer] += 1
    clashes += [Clash(tool, given, len(answers)) for given, answers in asked.items() if len(answers) > 1]
    different = {answer for answers in asked.values() for answer in answers}
    if len(asked) > 1 and len(different) == 1:
        yield {"answer": _answer(different.pop())}
        return
    for given, answers in sorted(asked.items(), key=lambda pair: -pair[1].total()):
        when = {name: _exactly(value) for name, value in json.loads(given).items()}
        yield {"when": when, "answer": _answer(answers.most_common(1)[0][0])}


def _exactly(value: Any) -> Any:
    """A value that fits only itself: one that reads like a rule is put into a list of one."""
    return {"in": [value]} if isinstance(value, dict) and value and value.keys() <= mocks.RULES else value


def _answer(text: str) -> Any:
    """An answer as data where that gives the same text again, which is easier to read and to change; else as text."""
    try:
        found = json.loads(text)
        same = isinstance(found, dict | list) and json.dumps(found, ensure_ascii=False, allow_nan=False) == text
    except (ValueError, RecursionError):
        return text
    return found if same else text


def _kept(answers: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The answers that a flow may hold, taken from all tools in turn; what names more arguments stands first."""
    kept: dict[str, list[dict[str, Any]]] = {name: [] for name in answers}
    size = 0
    for place in range(MOST):
        for name, listed in answers.items():
            if place < len(listed) and size + len(canonical(listed[place])) <= LARGEST:
                size += len(canonical(listed[place]))
                kept[name].append(listed[place])
    return {name: sorted(listed, key=lambda one: -len(one.get("when", {}))) for name, listed in kept.items()}


def _flow(name: str, recording: Recording, bodies: Mapping[str, Any]) -> FlowSpec:
    """The flow with one agent. It offers what was recorded and nothing else, and takes as many turns as were recorded."""
    turns = [turn for one in recording.transcripts for turn in one.turns]
    longest = max((len(turn.answers) + (not turn.reply) for turn in turns), default=0)
    return spec.parse(
        {
            "format": spec.FORMAT,
            "flow": name,
            "purpose": f"Taken in from {len(recording.transcripts):,} recorded conversations.",
            "entry": AGENT,
            "agents": {AGENT: {"prompt": f"{name}/{AGENT}", "tools": list(bodies)}},
            "tools": dict(bodies),
            "guardrails": list(GUARDRAILS),
            "limits": {"turns": min(100, max(Limits().turns, longest))},
            "control": [],
        }
    )


def _renames(tools: Iterable[Taken], instructions: str) -> Iterator[str]:
    for one in tools:
        if one.name != one.recorded:
            named = f"; the policy calls it {one.recorded}" if one.recorded in instructions else ""
            yield f"{one.recorded} is called {one.name}, because its name belongs to the engine or cannot be used{named}"


def _unusual(recording: Recording) -> Iterator[str]:
    """Each kind of unusual shape once, with how often and where first; every single one stands with its conversation."""
    places: dict[str, list[str]] = {}
    for one in recording.transcripts:
        for note in one.notes:
            places.setdefault(note.words, []).append(", ".join(filter(None, (one.where, note.at))))
    for words, found in places.items():
        yield f"{words} ({len(found):,} times, first in {found[0]})"


def _left(recording: Recording, offered: _Offered) -> Iterator[str]:
    """The files of the source that were read and not used."""
    unused = [path for path in recording.signatures if path != offered.path]
    for paths, words in (
        (unused, "declaring other tools"),
        (recording.others, "holding neither conversations nor tools"),
    ):
        if paths:
            yield f"left out, {words}: {', '.join(map(recording.named, paths))}"
