"""A release: everything a flow needs to run, frozen under one content digest. A draft is frozen the same way."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import platform
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.errors import Invalid, NotFound
from workbench.runtime import retrieval, tools
from workbench.runtime.retrieval import Passage
from workbench.runtime.spec import Effect, FlowSpec, canonical, parse, plain

FORMAT = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PromptText(_Frozen):
    """One prompt as it was when the flow was frozen. Number 0 is a text that was not saved yet."""

    name: str
    number: int
    text: str
    purpose: str = ""

    @functools.cached_property
    def variables(self) -> tuple[str, ...]:
        """The names of the `$variables` in the text, in order."""
        return tuple(string.Template(self.text).get_identifiers())

    @property
    def label(self) -> str:
        """`name@number`, or `name (unsaved)`."""
        return f"{self.name}@{self.number}" if self.number else f"{self.name} (unsaved)"


class ToolSchema(_Frozen):
    """What the model is told about a tool."""

    description: str
    parameters: dict[str, Any]
    effect: Effect


class Pack(_Frozen):
    """A packed knowledge index: its passages and their digest."""

    digest: str
    passages: tuple[dict[str, Any], ...]


class Content(_Frozen):
    """All that decides how a flow behaves."""

    spec: FlowSpec
    prompts: dict[str, PromptText]
    tools: dict[str, ToolSchema]
    knowledge: Pack | None = None


@dataclass(frozen=True, eq=False)
class Release:
    """A flow that can be run. `number` is None for a draft."""

    content: Content
    body: Mapping[str, Any]
    digest: str
    number: int | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> FlowSpec:
        """The flow's specification."""
        return self.content.spec

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.spec.flow

    @property
    def version(self) -> str:
        """`v3`, or `draft`."""
        return f"v{self.number}" if self.number else "draft"

    @functools.cached_property
    def index(self) -> retrieval.Index | None:
        """The search index of the packed knowledge, built once."""
        if self.content.knowledge is None:
            return None
        return retrieval.Index([Passage(**one) for one in self.content.knowledge.passages])

    @functools.cached_property
    def _wanted(self) -> frozenset[str]:
        """Every variable that some prompt of the flow uses."""
        return frozenset(name for prompt in self.content.prompts.values() for name in prompt.variables)

    def missing(self, variables: Mapping[str, str]) -> dict[str, list[str]]:
        """Prompt variables without a value, by prompt label."""
        known = {**self.spec.variables, **variables}
        if self._wanted <= known.keys():
            return {}
        gaps = {p.label: [v for v in p.variables if v not in known] for p in self.content.prompts.values()}
        return {label: names for label, names in gaps.items() if names}


def freeze(
    spec: FlowSpec,
    prompt: Callable[[str], PromptText],
    passages: Callable[[str], Iterable[Passage]],
    *,
    number: int | None = None,
) -> Release:
    """Freeze a flow with its prompt texts, tool schemas and knowledge.

    `prompt` resolves a reference such as `name@3`; `passages` gives a collection's passages.
    Raises what they raise, and NotFound for a Python tool that does not exist.
    """
    pack = None
    if spec.knowledge:
        found = list(passages(spec.knowledge.collection))
        pack = Pack(digest=retrieval.digest(found), passages=tuple(vars_of(p) for p in found))
    content = Content(
        spec=spec,
        prompts={name: prompt(agent.prompt) for name, agent in spec.agents.items()},
        tools={name: _schema(spec, name) for name in spec.tools},
        knowledge=pack,
    )
    return _release(_plain(content), content, number=number, made={})


def vars_of(passage: Passage) -> dict[str, Any]:
    """A passage as plain data."""
    return {"id": passage.id, "title": passage.title, "text": passage.text, "source": passage.source}


def file(release: Release, *, by: str, at: dt.datetime, note: str, gate: Mapping[str, Any]) -> str:
    """The release file's text: one JSON document with content digest and a seal over how it was made.

    Raises Invalid for a draft, which has no number.
    """
    if release.number is None:
        raise Invalid("A draft has no release file.", remedy="Promote it first.")
    made = {
        "number": release.number,
        "by": by,
        "at": at.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "note": note,
        "gate": dict(gate),
        "packages": dict(packages()),
    }
    document = {
        "format": FORMAT,
        "kind": "workbench release",
        "digest": release.digest,
        "content": release.body,
        "made": made,
        "seal": _sha({"digest": release.digest, "made": made}),
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(text: str, *, name: str) -> Release:
    """A release from its file's text, verified.

    `name` is what error messages call it. Raises Invalid where it is not a release file or its digest does not fit.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
        text.encode()
    except (ValueError, RecursionError):
        raise Invalid(f"{name} is not a release file: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("kind") != "workbench release":
        raise Invalid(f"{name} is not a release file.")
    if document.get("format") != FORMAT:
        raise Invalid(f"{name} has release format {document.get('format')!r}; this version reads {FORMAT}.")
    body, digest, made = document.get("content"), document.get("digest"), document.get("made")
    if not isinstance(body, dict) or not isinstance(made, dict) or not isinstance(digest, str):
        raise Invalid(f"{name} is not a whole release file: content, digest or made is missing.")
    if _UNPAIRED.search(json.dumps(document, ensure_ascii=False)):
        raise Invalid(f"{name} is not a release file: it holds text that is not Unicode.")
    if _sha(body) != digest:
        raise Invalid(
            f"{name} was changed after it was released: its content does not fit its digest {digest[:19]}….",
            remedy="Restore the published file, or promote the flow again.",
        )
    if _sha({"digest": digest, "made": made}) != document.get("seal"):
        raise Invalid(
            f"{name} was changed after it was released: its record of origin does not fit its seal.",
            remedy="Restore the published file, or promote the flow again.",
        )
    return of(body, number=_number(made, name), made=made)


def load_file(path: Path) -> Release:
    """The verified release at `path`. Raises NotFound, or Invalid as `read` does."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not a release file: it is not text.") from None
    except (OSError, ValueError):
        raise NotFound(f"There is no release file {path} that can be read.") from None
    return read(text, name=str(path))


def _number(made: Mapping[str, Any], name: str) -> int:
    number = made.get("number")
    if not isinstance(number, int) or number < 1:
        raise Invalid(f"{name} is not a whole release file: its number is missing.")
    return number


def of(body: Mapping[str, Any], *, number: int | None = None, made: Mapping[str, Any] | None = None) -> Release:
    """A release from its plain content. Raises Invalid where the content is not one."""
    try:
        parts = dict(body)
        parts["spec"] = parse(parts.get("spec"))
        content = Content.model_validate(parts)
    except ValidationError as error:
        raise Invalid(f"The content is not a flow: {error.errors()[0]['msg']}.") from None
    return _release(dict(body), content, number=number, made=made or {})


@functools.cache
def packages() -> dict[str, str]:
    """The versions that decide behaviour: Python, the Agents SDK and the OpenAI client."""
    return {"python": platform.python_version(), **{n: metadata.version(n) for n in ("openai-agents", "openai")}}


def _schema(spec: FlowSpec, name: str) -> ToolSchema:
    declared = spec.tools[name]
    if declared.kind == "python":
        known = tools.find(declared.call)
        return ToolSchema(description=known.description, parameters=known.parameters, effect=declared.effect)
    if declared.kind == "agent":
        return ToolSchema(description=declared.description, parameters=ASK, effect=declared.effect)
    return ToolSchema(description=declared.description, parameters=declared.parameters, effect=declared.effect)


ASK: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "description": "What to ask, with everything needed to answer it."}},
    "required": ["question"],
    "additionalProperties": False,
}
"""The arguments of an agent that is asked as a tool."""


def _plain(content: Content) -> dict[str, Any]:
    body = {
        "spec": plain(content.spec),
        "prompts": {k: v.model_dump(mode="json") for k, v in content.prompts.items()},
        "tools": {k: v.model_dump(mode="json") for k, v in content.tools.items()},
    }
    return body | ({"knowledge": content.knowledge.model_dump(mode="json")} if content.knowledge else {})


def _release(body: dict[str, Any], content: Content, *, number: int | None, made: Mapping[str, Any]) -> Release:
    return Release(content=content, body=body, digest=_sha(body), number=number, made=made)


_UNPAIRED = re.compile("[\ud800-\udfff]")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _sha(body: Any) -> str:
    return "sha256:" + hashlib.sha256(canonical(body).encode()).hexdigest()
