"""Runs as files: one JSON document that holds the record and the frozen flow it needs."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import col, select

from workbench import flows
from workbench.access import Actor, audit, require
from workbench.errors import Invalid
from workbench.runtime import release, seal
from workbench.runtime.record import clean, digest
from workbench.runtime.release import Release
from workbench.runtime.spec import Outcome
from workbench.store import session
from workbench.store.tables import Run
from workbench.traces import capture, chats, foreign, ingest, masking, otlp, query, sdk_export

log = logging.getLogger("workbench.traces")

FORMAT = 1
KIND = "workbench run export"

DEEPEST = 200
"""Levels of nesting in a document."""

FIRST, LAST = 1970, 2100
"""Years in which a run may have begun."""

AT_ONCE = 200
"""Runs of transcripts that are masked and written together."""

IMPORTED = query.IMPORTED

NEITHER = "This is not a run export: it is neither JSON nor JSON Lines."
HALF = object()
"""Stands for a line that cannot be read because its process was killed while it was written."""


def export(run_id: str) -> str:
    """A run as one JSON document with `format` 1; one of another program as OTLP in JSON. Raises NotFound."""
    with session() as open_session:
        resource, spans, _ = query.trace(open_session, run_id)
    if spans:
        return (
            json.dumps(
                {"resourceSpans": list(otlp.to_json([otlp.Batch(resource, spans)]))}, ensure_ascii=False, indent=1
            )
            + "\n"
        )
    record = masking.masked(query.record(run_id))
    frozen = flows.frozen(record["digest"])
    document = {"format": FORMAT, "kind": KIND, "run": record, "content": frozen.body}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def read(text: str) -> list[tuple[dict[str, Any], Release]]:
    """The runs in an export document, or in JSON Lines of unsaved runs, each with its frozen flow.

    Raises Invalid where the text is neither, or a part does not fit its digest or its seal.
    """
    documents = _documents(text)
    if any(map(_deep, documents)):
        raise Invalid(f"This is not a run export: it is nested deeper than {DEEPEST} levels.")
    return [_one(document) for document in documents]


def take_in(actor: Actor, text: str, name: str = "") -> list[str]:
    """Store the runs of an export document; those stored already are left. Returns the ids of the new ones.

    Transcripts of chat completions become runs of a flow called `name`. Held runs of this workplace that could not be
    stored when they ended now ask people to decide; others ask nobody.
    """
    require(actor, "import runs")
    if (parts := _foreign(text)) is not None:
        return _take_parts(actor, parts)
    if (listed := _transcripts(text)) is not None:
        return _take_transcripts(actor, chats.runs(listed, name or "transcripts"))
    runs, own = read(text), capture.spilled()
    with session() as open_session:
        audit.lock(open_session)
        added = capture.put(open_session, [one for one in runs if one[0] in own])
        added += capture.put(open_session, [one for one in runs if one[0] not in own], source=IMPORTED)
        audit.append(open_session, actor, "import runs", f"{len(added)} runs", {"ids": added[:100]})
    return added


def named(text: str) -> list[str]:
    """The ids of the runs in a text that `take_in` takes. Raises Invalid as that does."""
    if (parts := _foreign(text)) is not None:
        return list(dict.fromkeys(foreign.run_id(part.trace) for part in parts))
    if (listed := _transcripts(text)) is not None:
        return [str(record["id"]) for record, _ in chats.runs(listed, "transcripts")]
    return [str(record["id"]) for record, _ in read(text)]


def _foreign(text: str) -> list[ingest.Part] | None:
    """The runs of other programs in a text: OTLP requests or exports of the Agents SDK, one or a line each; None for ours."""
    try:
        documents = _documents(text)
    except Invalid:
        return None
    if all(isinstance(one, dict) and ("resourceSpans" in one or "resource_spans" in one) for one in documents):
        batches = [batch for one in documents for batch in otlp.of_plain(clean(one))]
    elif all(sdk_export.fits(one) for one in documents):
        batches = [batch for one in documents for batch in sdk_export.of_plain(clean(one))]
    elif all(isinstance(one, dict) and one.get("object") in ("trace", "trace.span") for one in documents):
        batches = sdk_export.of_plain(clean({"data": documents}))
    else:
        return None
    return ingest.prepare(batches, masking.rules())


def _transcripts(text: str) -> list[Any] | None:
    """The transcripts in a text, cleaned of what cannot be stored; None where it holds something else."""
    try:
        documents = _documents(text)
    except Invalid:
        return None
    found = None if any(map(_deep, documents)) else chats.entries(documents)
    return None if found is None else clean(found)


def _take_transcripts(actor: Actor, runs: list[chats.Pair]) -> list[str]:
    added: list[str] = []
    with session() as open_session:
        audit.lock(open_session)
        for at in range(0, len(runs), AT_ONCE):
            added += capture.put(open_session, runs[at : at + AT_ONCE], source=IMPORTED, asks=False)
        audit.append(open_session, actor, "import runs", f"{len(added)} runs", {"ids": added[:100]})
    return added


def _take_parts(actor: Actor, parts: list[ingest.Part]) -> list[str]:
    ids = [foreign.run_id(part.trace) for part in parts]
    with session() as open_session:
        audit.lock(open_session)
        known = set(open_session.exec(select(Run.id).where(col(Run.id).in_(ids))))
        ingest.put(open_session.connection(), parts)
        added = [one for one in ids if one not in known]
        audit.append(open_session, actor, "import runs", f"{len(added)} runs", {"ids": added[:100]})
    return added


def _documents(text: str) -> list[Any]:
    try:
        return [json.loads(text, parse_constant=_refuse)]
    except RecursionError:
        raise Invalid("This is not a run export: it is nested too deeply.") from None
    except ValueError:
        pass
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        raise Invalid("This is not a run export: it is empty.")
    found = [one for line in lines if (one := _line(line)) is not HALF]
    if not found:
        raise Invalid(NEITHER)
    return found


def _line(line: str) -> Any:
    """A line of JSON Lines; HALF for a run that was being written when its process was killed. Raises Invalid."""
    try:
        return json.loads(line, parse_constant=_refuse)
    except json.JSONDecodeError:
        if not line.startswith('{"run": '):
            raise Invalid(NEITHER) from None
        log.warning("A line of the file was half written; the run in it is left out.")
        return HALF
    except (ValueError, RecursionError):
        raise Invalid(NEITHER) from None


def _deep(document: Any) -> bool:
    """Whether a document is nested deeper than what reads it next could follow."""
    level = [document]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Dollars = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Usage(_Shape):
    requests: Count = 0
    input_tokens: Count
    output_tokens: Count
    usd: Dollars | None


class _CallUsage(_Shape):
    requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cached_tokens: Count = 0


class _Request(_Shape):
    system: str | None = None
    input: str | list[Any]
    tools: list[Any] | None = None
    handoffs: list[Any] | None = None
    settings: dict[str, Any] | None = None


class _Response(_Shape):
    output: list[Any]
    usage: _CallUsage | None = None


class _ModelCall(_Shape):
    kind: Literal["model"]
    agent: str
    model: str
    role: str = ""
    request: _Request
    digest: str
    response: _Response | None
    error: str
    started: Moment
    seconds: Seconds
    usd: Dollars | None = None
    inside: str = ""
    replayed: bool = False


class _ToolCall(_Shape):
    kind: Literal["tool"]
    agent: str
    name: str
    call_id: str
    arguments: str
    output: str
    error: str
    started: Moment
    seconds: Seconds
    held: Seconds
    effect: str = ""
    waited_for: list[str] = []
    inside: str = ""
    decided: str = ""
    mocked: bool = False
    done: bool = True
    replayed: bool = False


class _Verdict(_Shape):
    name: str
    on: str
    tripped: bool
    reason: str
    started: Moment
    seconds: Seconds = 0.0
    about: str = ""
    usd: Dollars | None = None


class _Span(_Shape):
    id: str
    parent: str | None
    type: str
    name: str
    start: Moment
    seconds: Seconds


class _Waiting(_Shape):
    tool: str
    arguments: str
    call_id: str


class _Decision(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    call_id: str
    tool: str
    arguments: str
    approved: bool
    by: str
    message: str = ""


class _Waited(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    seconds: Seconds
    names: list[str] = Field(alias="for")


class _Fact(_Shape):
    tool: str
    arguments: str
    answer: str


class _Escalation(_Shape):
    summary: str = ""
    question: str = ""
    facts: list[_Fact] = []


class _Change(_Shape):
    kind: Literal["instructions", "model", "answer", "guardrail", "message"]
    agents: list[str] = []
    name: str = ""
    before: Any
    after: Any


class _Forked(_Shape):
    run: str = Field(pattern=r"^run_[0-9a-f]{32}$")
    step: int = Field(ge=1, le=2**31 - 1)
    calls: Count
    requests: Count
    seconds: Seconds
    usd: Dollars | None
    change: _Change
    before: _Forked | None = None


class _Record(_Shape):
    """What a reader of runs relies on; more may be there."""

    format: Literal[1, 2]
    kind: Literal["workbench run"]
    id: str = Field(pattern=r"^run_[0-9a-f]{32}$")
    flow: str = Field(max_length=500)
    version: str = Field(max_length=40, pattern=r"^(draft|v[1-9][0-9]*)$")
    digest: str
    source: str = Field(max_length=500)
    environment: str
    conversation: str = Field(max_length=500)
    started_at: str
    seconds: Seconds
    question: str
    input: list[Any] = Field(min_length=1)
    starts_at: str
    variables: dict[str, str]
    outcome: Outcome
    reply: str
    agent: str
    error: str
    stop: str
    waiting: list[_Waiting]
    escalation: _Escalation | None = None
    person: str = ""
    resumes: str = ""
    root: str = ""
    decisions: list[_Decision] = []
    forked: _Forked | None = None
    reply_waited: _Waited | None = None
    models: list[str]
    usage: _Usage
    calls: list[Annotated[_ModelCall | _ToolCall, Field(discriminator="kind")]]
    guardrails: list[_Verdict]
    spans: list[_Span]
    packages: dict[str, str]
    told: dict[str, Any] = {}
    unanswered: str = ""
    redacted: dict[str, Count] = {}


def _one(document: Any) -> tuple[dict[str, Any], Release]:
    if not isinstance(document, dict) or not isinstance(document.get("content"), dict):
        raise Invalid("This is not a run export: `run` or `content` is missing.")
    if document.get("format", FORMAT) != FORMAT or document.get("kind", KIND) != KIND:
        raise Invalid(f"This is not a run export of format {FORMAT}.")
    record = clean(document.get("run"))
    _check(record)
    frozen = release.of(document["content"])
    if frozen.digest != record["digest"] or frozen.name != record["flow"]:
        raise Invalid(f"The flow in the file is not the one that {record['id']} ran.")
    for number, call in enumerate(record["calls"], 1):
        if call["kind"] == "model" and digest(call["request"]) != call["digest"]:
            raise Invalid(f"The file was changed: step {number} of {record['id']} does not fit its digest.")
    if part := seal.broken(record):
        raise Invalid(f"The file was changed: {part} of {record['id']} does not fit its seal.")
    return record, frozen


def _check(record: Any) -> None:
    """Raises Invalid naming the first part of a record that a reader of runs could not follow."""
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise Invalid(f"The run is not whole: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}.") from None
    try:
        began = dt.datetime.fromisoformat(record["started_at"])
        if began.tzinfo is None:
            raise Invalid(f"The start of {record['id']} has no time zone.")
        year = began.astimezone(dt.UTC).year
    except (ValueError, OverflowError):
        raise Invalid(f"The run {record['id']} has no valid start time.") from None
    if not FIRST <= year <= LAST:
        raise Invalid(f"The run {record['id']} says that it began in the year {year}.")
    ids = Counter(one["id"] for one in record["spans"])
    if twice := next((one for one, count in ids.items() if count > 1), None):
        raise Invalid(f"The span {twice[:40]} is in the run {record['id']} more than once.")
