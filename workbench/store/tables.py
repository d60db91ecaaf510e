"""Every table of the database, in one file. Times are UTC; bodies are JSON, compressed where they are large."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A moment: always aware and UTC in Python, stored without its zone where a database has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment needs its time zone")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def now() -> dt.datetime:
    """This moment, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def _json() -> Any:
    return Column(JSON(), nullable=False)


def _moment(*, index: bool = False, optional: bool = False) -> Any:
    return Column(UtcDateTime(), nullable=optional, index=index)


class AuditEntry(SQLModel, table=True):
    """One change: who did what to which thing. Each row's digest covers the row before it."""

    __tablename__ = "audit_entry"
    id: int | None = Field(default=None, primary_key=True)
    at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))
    actor: str
    role: str
    verb: str = Field(index=True)
    thing: str = Field(index=True)
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    previous: str
    digest: str


class AuditHead(SQLModel, table=True):
    """The newest audit digest: a single row, updated in the transaction of every change, so that the chain cannot fork."""

    __tablename__ = "audit_head"
    id: int = Field(default=1, primary_key=True)
    digest: str
    entries: int


class Prompt(SQLModel, table=True):
    """One numbered version of a prompt text. Rows are never changed."""

    name: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    text: str
    purpose: str = ""
    owner: str = ""
    variables: list[str] = Field(default_factory=list, sa_column=_json())
    author: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Draft(SQLModel, table=True):
    """The working copy of a flow. `version` counts saves, so that a second editor meets a conflict.

    `texts` holds prompt texts that were saved with the draft and have no number yet.
    """

    name: str = Field(primary_key=True)
    spec: dict[str, Any] = Field(sa_column=_json())
    version: int = 1
    template: str = ""
    forked_from: str = Field(default="", sa_column_kwargs={"server_default": ""})
    texts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON(), nullable=False, server_default="{}"))
    saved_by: str
    saved_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class DraftVersion(SQLModel, table=True):
    """A draft as it was when somebody gave it a name. `prompts` holds the number of each prompt text; rows never change."""

    __tablename__ = "draft_version"
    flow: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    title: str
    note: str = ""
    spec: dict[str, Any] = Field(sa_column=_json())
    prompts: dict[str, int] = Field(default_factory=dict, sa_column=_json())
    saved_by: str
    saved_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Frozen(SQLModel, table=True):
    """A flow's whole content under its digest, so that each run can name exactly what ran."""

    digest: str = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Run(SQLModel, table=True):
    """What lists and filters need of one run; the record itself is in `run_body`."""

    id: str = Field(primary_key=True)
    flow: str = Field(index=True)
    version: str
    digest: str = Field(index=True)
    source: str
    conversation: str = Field(index=True)
    started_at: dt.datetime = Field(sa_column=_moment(index=True))
    seconds: float
    outcome: str = Field(index=True)
    agent: str
    question: str
    reply: str
    error: str = ""
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None


class RunBody(SQLModel, table=True):
    """One run's record: compressed JSON."""

    __tablename__ = "run_body"
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


def _large(*, key: bool = False) -> Any:
    """A number of 64 bits; as a key, the row's own number on SQLite."""
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column(kind, primary_key=key, autoincrement=False, nullable=False)


class RunIndex(SQLModel, table=True):
    """What runs are found by: `seq` tells the time, newest highest; see `store/index.py`, which alone writes it."""

    __tablename__ = "run_index"
    seq: int = Field(sa_column=_large(key=True))
    run_id: str = Field(unique=True)
    facts: Any = Field(sa_column=Column(LargeBinary().with_variant(ARRAY(BigInteger()), "postgresql"), nullable=False))
    words: Any = Field(default=None, sa_column=Column(Text().with_variant(TSVECTOR(), "postgresql"), nullable=True))
    seconds: float
    usd: float | None = None


class FactName(SQLModel, table=True):
    """What a term of the run index means: a kind with a value."""

    __tablename__ = "fact_name"
    term: int = Field(sa_column=_large(key=True))
    kind: str = Field(index=True)
    value: str


class RunScore(SQLModel, table=True):
    """What an evaluator gave a run."""

    __tablename__ = "run_score"
    run_id: str = Field(primary_key=True)
    evaluator: str = Field(primary_key=True)
    value: float


class SavedView(SQLModel, table=True):
    """The state of a page's address under a name. Everybody may open it where it is `shared`."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("page", "owner", "name"),)
    id: str = Field(primary_key=True)
    page: str = Field(index=True)
    name: str
    state: dict[str, Any] = Field(sa_column=_json())
    owner: str
    shared: bool = False
    saved_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class HeldRun(SQLModel, table=True):
    """What a held run needs to go on, without credentials but not masked otherwise: deleted when it has gone on."""

    __tablename__ = "held_run"
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class TracePart(SQLModel, table=True):
    """Spans of one trace of another program that came together: masked, compressed JSON. `spans` holds their ids in a row."""

    __tablename__ = "trace_part"
    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(index=True)
    spans: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Retention(SQLModel, table=True):
    """For how many days the runs of a flow are kept."""

    flow: str = Field(primary_key=True)
    days: int
    set_by: str
    set_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Approval(SQLModel, table=True):
    """A tool call that waits for a person, and what became of it. Each change of state is one atomic update."""

    __table_args__ = (UniqueConstraint("run_id", "call_id"),)
    id: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    call_id: str
    flow: str = Field(index=True)
    digest: str
    tool: str
    arguments: str
    state: str = Field(default="waiting", index=True)
    asked_by: str = ""
    asked_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))
    expires_at: dt.datetime = Field(sa_column=_moment())
    another: bool = True
    decided_by: str = ""
    decided_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))
    message: str = ""
    answer: str = ""
    error: str = ""
    job_id: str = ""
    result_run: str = ""


class Claim(SQLModel, table=True):
    """A call that may change something, made by a run that goes on after a decision; `number` counts its repetitions."""

    __table_args__ = (UniqueConstraint("run_id", "tool", "arguments", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(index=True)
    tool: str
    arguments: str
    number: int
    state: str = "executing"
    answer: str = ""
    error: str = ""


class Flag(SQLModel, table=True):
    """A person's remark that a run deserves a look."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(index=True)
    reason: str
    person: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Cause(SQLModel, table=True):
    """Why a run failed, as a rule or a person says; `by` names which."""

    run_id: str = Field(primary_key=True)
    cause: str = Field(primary_key=True, index=True)
    by: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())
    note: str = ""


class CauseDenied(SQLModel, table=True):
    """A cause that a person took away from a run, so that no rule gives it back."""

    __tablename__ = "cause_denied"
    run_id: str = Field(primary_key=True)
    cause: str = Field(primary_key=True)
    by: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class CauseRule(SQLModel, table=True):
    """Whether a rule of causes is in use here, and with which threshold. One that has no row is as it was shipped."""

    __tablename__ = "cause_rule"
    name: str = Field(primary_key=True)
    active: bool = True
    than: float | None = None
    set_by: str
    set_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class CauseMark(SQLModel, table=True):
    """Up to which part of the traces of other programs the rules of causes have come."""

    __tablename__ = "cause_mark"
    name: str = Field(primary_key=True)
    upto: int = 0


class Queue(SQLModel, table=True):
    """A labelling queue: a rubric and the runs that wait for a verdict."""

    name: str = Field(primary_key=True)
    purpose: str
    instructions: str
    criteria: list[dict[str, Any]] = Field(sa_column=_json())
    dataset: str
    created_by: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class QueueItem(SQLModel, table=True):
    """One run in a labelling queue. A reviewer holds it while its lock has not expired."""

    __tablename__ = "queue_item"
    __table_args__ = (UniqueConstraint("queue", "run_id"), Index("queue_item_open", "queue", "state", "position"))
    id: int | None = Field(default=None, primary_key=True)
    queue: str = Field(foreign_key="queue.name")
    run_id: str = Field(index=True)
    reason: str = ""
    position: int
    state: str = "open"
    reviewer: str = ""
    locked_until: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))


class Label(SQLModel, table=True):
    """One reviewer's verdict on one criterion of one item."""

    __table_args__ = (UniqueConstraint("item_id", "reviewer", "criterion"),)
    id: int | None = Field(default=None, primary_key=True)
    item_id: int = Field(foreign_key="queue_item.id", index=True)
    run_id: str = Field(index=True)
    reviewer: str
    criterion: str
    value: str
    note: str = ""
    case_id: str = ""
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Dataset(SQLModel, table=True):
    """A named set of cases."""

    name: str = Field(primary_key=True)
    purpose: str = ""
    created_by: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class CaseRow(SQLModel, table=True):
    """One case: an input with what is expected."""

    __tablename__ = "case"
    dataset: str = Field(primary_key=True, foreign_key="dataset.name")
    id: str = Field(primary_key=True)
    position: int
    body: dict[str, Any] = Field(sa_column=_json())
    run_id: str = ""
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class DatasetVersion(SQLModel, table=True):
    """A dataset's frozen content under its digest."""

    __tablename__ = "dataset_version"
    digest: str = Field(primary_key=True)
    dataset: str = Field(index=True)
    cases: int
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    frozen_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Experiment(SQLModel, table=True):
    """One scored pass of a flow over a dataset version."""

    id: str = Field(primary_key=True)
    flow: str = Field(index=True)
    version: str
    digest: str = Field(index=True)
    dataset: str
    dataset_digest: str
    evaluators: list[str] = Field(default_factory=list, sa_column=_json())
    repeat: int = 1
    job_id: str = Field(index=True)
    created_by: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))


class ExperimentRow(SQLModel, table=True):
    """One case of an experiment, run and scored once; the key makes a repeated shard write nothing twice."""

    __tablename__ = "experiment_row"
    experiment: str = Field(primary_key=True, foreign_key="experiment.id")
    case_id: str = Field(primary_key=True)
    repeat: int = Field(default=0, primary_key=True)
    run_id: str
    outcome: str
    passed: bool | None = None
    scores: list[dict[str, Any]] = Field(sa_column=_json())
    seconds: float
    usd: float | None = None


class Backtest(SQLModel, table=True):
    """A candidate over recorded runs."""

    id: str = Field(primary_key=True)
    flow: str = Field(index=True)
    version: str
    digest: str
    runs: list[str] = Field(sa_column=_json())
    job_id: str
    created_by: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))


class BacktestRow(SQLModel, table=True):
    """One recorded run beside the candidate's; the key makes a repeated shard write nothing twice."""

    __tablename__ = "backtest_row"
    backtest: str = Field(primary_key=True, foreign_key="backtest.id")
    run_id: str = Field(primary_key=True)
    new_run_id: str = ""
    verdict: str
    why: str
    seconds: float
    new_seconds: float = 0.0
    usd: float | None = None
    new_usd: float | None = None


class ReleaseRow(SQLModel, table=True):
    """One frozen version of a flow. Rows are never changed; the file under `releases/` holds the same text."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("flow", "digest"),)
    flow: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    digest: str = Field(index=True)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    note: str = ""
    made_by: str
    made_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Environment(SQLModel, table=True):
    """A pointer of one flow to a release: the only thing that moves."""

    flow: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    number: int
    digest: str
    version: int = 1
    moved_by: str
    moved_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Move(SQLModel, table=True):
    """The history of an environment's pointer, drawn as markers on the trend charts."""

    id: int | None = Field(default=None, primary_key=True)
    flow: str = Field(index=True)
    environment: str
    before: int | None = None
    after: int
    kind: str
    person: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))


class DeskRow(SQLModel, table=True):
    """What a person is writing at some place of the product and has not saved yet. Nobody else reads it."""

    __tablename__ = "desk"
    person: str = Field(primary_key=True)
    place: str = Field(primary_key=True)
    body: dict[str, Any] = Field(sa_column=_json())
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Job(SQLModel, table=True):
    """One piece of long work and how far it has come."""

    id: str = Field(primary_key=True)
    kind: str
    title: str
    arguments: dict[str, Any] = Field(sa_column=_json())
    state: str = Field(default="waiting", index=True)
    done: int = 0
    total: int = 0
    message: str = ""
    cancel: bool = False
    started_by: str
    created_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))
    finished_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))


class DetectorRow(SQLModel, table=True):
    """A detector: its newest version, and the one that is live. `changes` counts every change, so that a second editor meets a conflict.

    `live_from` is the moment from which windows are watched.
    """

    __tablename__ = "detector"
    name: str = Field(primary_key=True)
    number: int = 1
    changes: int = 1
    live: int | None = None
    live_from: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))
    made_by: str
    made_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class DetectorVersion(SQLModel, table=True):
    """One numbered version of a detector. Rows are never changed."""

    __tablename__ = "detector_version"
    detector: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    spec: dict[str, Any] = Field(sa_column=_json())
    saved_by: str
    saved_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class DetectorTest(SQLModel, table=True):
    """What a version of a detector would have found in the history: a backtest, kept."""

    __tablename__ = "detector_test"
    id: str = Field(primary_key=True)
    detector: str = Field(index=True)
    number: int
    labels: str
    figures: dict[str, Any] = Field(sa_column=_json())
    run_by: str
    run_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))


class DetectorWindow(SQLModel, table=True):
    """A window that a live version has judged; the key lets it be judged once, `revision` counts what late tickets changed."""

    __tablename__ = "detector_window"
    detector: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    until: dt.datetime = Field(sa_column=Column(UtcDateTime(), primary_key=True))
    digest: str
    revision: int = 1
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class IncidentRow(SQLModel, table=True):
    """What people work on: signals with one fingerprint, and what was done about them. `turn` counts what is told to others."""

    __tablename__ = "incident"
    id: str = Field(primary_key=True)
    fingerprint: str = Field(index=True)
    title: str
    detector: str = Field(default="", index=True)
    number: int = 0
    label: str = ""
    metric: str = ""
    severity: str
    area: str = Field(default="", index=True)
    owner: str = ""
    state: str = Field(default="open", index=True)
    verdict: str = ""
    turn: int = 1
    changes: int = 1
    conditions: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    signals: int = 0
    reopened: int = 0
    fix: str = ""
    escalate_hours: int = 0
    started_at: dt.datetime = Field(sa_column=_moment(index=True))
    last_seen: dt.datetime = Field(sa_column=_moment())
    detected_at: dt.datetime = Field(sa_column=_moment())
    sent_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))
    acknowledged_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))
    escalated_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))
    fixed_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))


class SignalRow(SQLModel, table=True):
    """One firing: one window of one group that was out of the usual. The key lets it be told once."""

    __tablename__ = "signal"
    detector: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    until: dt.datetime = Field(sa_column=Column(UtcDateTime(), primary_key=True))
    label: str = Field(primary_key=True)
    incident: str = Field(index=True)
    value: float
    expected: float
    score: float
    tickets: int
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class IncidentEvent(SQLModel, table=True):
    """A line of an incident's story: who did what when."""

    __tablename__ = "incident_event"
    id: int | None = Field(default=None, primary_key=True)
    incident: str = Field(index=True)
    kind: str
    person: str
    text: str = ""
    turn: int = 0
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Destination(SQLModel, table=True):
    """Where notices can go: a webhook, a Slack channel or e-mail. Secrets are named here, never kept."""

    name: str = Field(primary_key=True)
    kind: str
    address: str
    secret: str = ""
    changes: int = 1
    set_by: str
    set_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Route(SQLModel, table=True):
    """Which destination hears of incidents of an area, from which severity on; `*` is every area."""

    area: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    least: str = "low"
    set_by: str
    set_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class Notice(SQLModel, table=True):
    """One message to one destination about one turn of an incident: the key lets it be made once. `tries` are its attempts."""

    incident: str = Field(primary_key=True)
    turn: int = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    kind: str
    text: str
    state: str = Field(default="waiting", index=True)
    tries: int = 0
    result: str = ""
    digest_of: int = 0
    job_id: str = ""
    due_at: dt.datetime = Field(default_factory=now, sa_column=_moment())
    made_at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))
    sent_at: dt.datetime | None = Field(default=None, sa_column=_moment(optional=True))


class VerifiedQuestion(SQLModel, table=True):
    """A question over the tickets whose reading a person has checked, by its words without case and marks."""

    __tablename__ = "verified_question"
    words: str = Field(primary_key=True)
    asked: str
    question: dict[str, Any] = Field(sa_column=_json())
    checked_by: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class TopicRow(SQLModel, table=True):
    """A topic found in tickets' words, and what people made of it. The number is never used again.

    `into` is the topic that it was merged into, `parent` the one that it stands under. `state` is live, proposed, removed
    or retired. `vector` holds the words of a proposal with their weights, until it is accepted.
    """

    __tablename__ = "topic"
    number: int = Field(primary_key=True)
    name: str
    parent: int | None = None
    into: int | None = None
    state: str = "live"
    named_by: str = ""
    language: str = ""
    terms: list[str] = Field(default_factory=list, sa_column=_json())
    examples: list[str] = Field(default_factory=list, sa_column=_json())
    vector: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    tickets: int = 0
    growth: float | None = None
    model: int = 0
    changes: int = 1
    made_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class TopicChange(SQLModel, table=True):
    """One change of the topics by a person: what it did to which of them, so that it can be undone."""

    __tablename__ = "topic_change"
    id: int | None = Field(default=None, primary_key=True)
    what: str
    before: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    after: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    by: str
    undone: bool = False
    at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))


class TextModel(SQLModel, table=True):
    """What topics or sentiment are told by: a numbered model, made by one job, with how good it is."""

    __tablename__ = "text_model"
    kind: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    job_id: str = Field(default="", index=True)
    tickets: int = 0
    figures: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    made_by: str
    made_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class ModelAnswer(SQLModel, table=True):
    """What a model said of one batch of tickets in an enrichment: asked once, whatever happens to the job."""

    __tablename__ = "model_answer"
    job_id: str = Field(primary_key=True)
    batch: str = Field(primary_key=True)
    answers: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    rejected: int = 0
    usd: float | None = None
    model: str = ""
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class BriefNote(SQLModel, table=True):
    """One version of what people write under the brief of a week or a day. Rows are never changed."""

    __tablename__ = "brief_note"
    period: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    text: str
    author: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class DigestPlan(SQLModel, table=True):
    """A brief that is sent again and again: how often, when (UTC), and to whom, since somebody turned it on."""

    __tablename__ = "digest_plan"
    every: str = Field(primary_key=True)
    active: bool = False
    weekday: int = 0
    hour: int = 8
    destinations: list[str] = Field(default_factory=list, sa_column=_json())
    changes: int = 1
    set_by: str
    set_at: dt.datetime = Field(default_factory=now, sa_column=_moment())


class ModelReading(SQLModel, table=True):
    """What a model made of a sentence that a person wrote, masked, and what that took; `usd` is null where it is unknown.

    `key` is a digest of the sentence, of the model and of all that it was told, so that the same is asked only once.
    """

    __tablename__ = "model_reading"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    kind: str
    asked: str
    model: str
    answer: dict[str, Any] = Field(sa_column=_json())
    problem: str = ""
    input_tokens: int
    output_tokens: int
    usd: float | None = None
    seconds: float
    by: str
    at: dt.datetime = Field(default_factory=now, sa_column=_moment(index=True))
