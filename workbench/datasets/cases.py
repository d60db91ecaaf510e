"""Cases and datasets: inputs with what is expected, kept as files that refuse unknown keys, frozen by digest."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy import func
from sqlmodel import Session, col, select

from workbench.access import Actor, audit, require
from workbench.errors import Invalid, NotFound
from workbench.runtime.mocks import Mock
from workbench.runtime.record import clean
from workbench.runtime.spec import Outcome, canonical
from workbench.store import insert_missing, now, pack, session, unpack
from workbench.store.tables import CaseRow, DatasetVersion
from workbench.store.tables import Dataset as Row


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedTool(_Frozen):
    """A tool that must be called, and the arguments it must be called with, where they matter."""

    name: str
    arguments: dict[str, Any] | None = None


class Expected(_Frozen):
    """What a case expects. What is left out is not scored."""

    reply: str | None = None
    contains: str | tuple[str, ...] | None = None
    outcome: Outcome | None = None
    agent: str | None = None
    tools: tuple[ExpectedTool, ...] | None = None
    label: str | None = None


class Message(_Frozen):
    """One message of an input that is a conversation."""

    role: Literal["user", "assistant"]
    content: str


class Case(_Frozen):
    """One input with what is expected. Its mocks stand in for tools while it runs."""

    id: str = Field(min_length=1, max_length=120)
    input: str | tuple[Message, ...]
    expected: Expected = Expected()
    context: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    split: str | None = None
    polarity: Literal["must-stay", "must-not-repeat"] | None = None
    mocks: tuple[Mock, ...] = ()

    @property
    def question(self) -> str:
        """The last message of the customer."""
        if isinstance(self.input, str):
            return self.input
        return next((m.content for m in reversed(self.input) if m.role == "user"), "")

    @property
    def history(self) -> tuple[dict[str, str], ...]:
        """What was said before the last message, as conversation items."""
        return () if isinstance(self.input, str) else tuple(m.model_dump() for m in self.input[:-1])

    @field_validator("input")
    @classmethod
    def _asks_something(cls, value: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
        last = value if isinstance(value, str) else value[-1].content if value and value[-1].role == "user" else ""
        if not last.strip():
            raise ValueError("the input must end with a message of the customer")
        return value

    @property
    def plain(self) -> dict[str, Any]:
        """The case as its JSON Lines form."""
        return self.model_dump(mode="json", exclude_defaults=True) | {"id": self.id}


@dataclass(frozen=True)
class Dataset:
    """A named set of cases."""

    name: str
    purpose: str
    cases: int


@dataclass(frozen=True)
class Version:
    """A dataset's frozen content."""

    dataset: str
    digest: str
    cases: tuple[Case, ...]


def datasets() -> list[Dataset]:
    """All datasets, by name."""
    query = (
        select(Row.name, Row.purpose, func.count(col(CaseRow.id)))
        .outerjoin(CaseRow, col(CaseRow.dataset) == Row.name)
        .group_by(Row.name, Row.purpose)
        .order_by(Row.name)
    )
    with session() as open_session:
        return [Dataset(name, purpose, cases) for name, purpose, cases in open_session.exec(query)]


def cases(name: str) -> list[Case]:
    """The cases of a dataset, in order. Raises NotFound."""
    with session() as open_session:
        return _cases(open_session, name)


def case(name: str, case_id: str) -> tuple[Case, str]:
    """A case of a dataset and the id of the run it came from, empty where it came from none. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(CaseRow, (name, case_id))
        if row is None:
            raise NotFound(f"There is no case {case_id} in {name}.", remedy="It may have been taken back.")
        return Case.model_validate(row.body), row.run_id


def from_run(run_id: str) -> list[tuple[str, str]]:
    """The cases that came from a run, as (dataset, id), oldest first."""
    query = select(CaseRow.dataset, CaseRow.id).where(CaseRow.run_id == run_id).order_by(col(CaseRow.created_at))
    with session() as open_session:
        return [(dataset, identity) for dataset, identity in open_session.exec(query)]


def runs_of(name: str) -> dict[str, str]:
    """The run that each case of a dataset came from, by the case's id; cases that came from none are left out."""
    query = select(CaseRow.id, CaseRow.run_id).where(CaseRow.dataset == name, CaseRow.run_id != "")
    with session() as open_session:
        return dict(open_session.exec(query).all())


def questions(name: str, limit: int = 3) -> list[str]:
    """The first questions of a dataset, as examples of what customers write; empty where there is no such dataset."""
    with session() as open_session:
        if open_session.get(Row, name) is None:
            return []
        return list(dict.fromkeys(one.question for one in _cases(open_session, name)))[:limit]


def case_of(body: Any, *, where: str) -> Case:
    """A case from plain data. Raises Invalid beginning with `where`."""
    try:
        return Case.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise Invalid(f"{where}: {path}: {problem}.") from None


def read(text: str) -> list[Case]:
    """Cases from JSON Lines. Raises Invalid naming the first line that cannot be used, or a repeated id."""
    found: dict[str, Case] = {}
    for number, body in lines(text):
        one = case_of(body, where=f"Line {number}")
        if one.id in found:
            raise Invalid(f"Line {number}: the id {one.id} stands twice.")
        found[one.id] = one
    if not found:
        raise Invalid(
            "The file has no cases.", remedy="Write one JSON object a line, with `id`, `input` and `expected`."
        )
    return list(found.values())


def lines(text: str) -> Iterator[tuple[int, Any]]:
    """The JSON values of JSON Lines with their line numbers. Raises Invalid naming a line that is not one."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            body = json.loads(line, parse_constant=_refuse)
            storable = clean(body) == body
        except (ValueError, RecursionError):
            raise Invalid(f"Line {number} is not JSON.") from None
        if not storable:
            raise Invalid(f"Line {number} holds text that cannot be stored (NUL or half a character).")
        yield number, body


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def write(name: str) -> str:
    """A dataset as JSON Lines; `read` gives the same cases back. Raises NotFound."""
    return "".join(json.dumps(one.plain, ensure_ascii=False) + "\n" for one in cases(name))


def put(actor: Actor, name: str, given: list[Case], *, purpose: str = "", keep: bool = False, run_id: str = "") -> int:
    """Add cases to a dataset, making it where it is new; a case with a known id replaces it, unless `keep` says that what
    is there stays. `run_id` is where the cases come from. Returns how many are new."""
    require(actor, "edit a dataset")
    with session() as open_session:
        if keep:
            audit.lock(open_session)
            known = set(open_session.exec(select(CaseRow.id).where(CaseRow.dataset == name)))
            given = [one for one in given if one.id not in known]
        return add(open_session, actor, name, given, purpose=purpose, run_id=run_id)


def add(
    open_session: Session, actor: Actor, name: str, given: list[Case], *, purpose: str = "", run_id: str = ""
) -> int:
    """Like `put`, inside a transaction. `run_id` is where the cases come from."""
    if not name.strip() or len(name) > 80:
        raise Invalid("A dataset needs a name of at most 80 characters.")
    if open_session.get(Row, name) is None:
        open_session.add(Row(name=name, purpose=purpose, created_by=actor.name))
        open_session.flush()
    top = open_session.exec(select(func.max(CaseRow.position)).where(CaseRow.dataset == name)).one() or 0
    new = 0
    for one in given:
        row = open_session.get(CaseRow, (name, one.id))
        if row is None:
            new += 1
            open_session.add(CaseRow(dataset=name, id=one.id, position=top + new, body=one.plain, run_id=run_id))
        else:
            row.body = one.plain
    audit.append(open_session, actor, "edit a dataset", name, {"cases": [one.id for one in given][:100], "new": new})
    return new


def freeze(open_session: Session, name: str) -> Version:
    """Freeze a dataset's content under its digest, inside a transaction. Raises NotFound, or Invalid where it is empty."""
    found = _cases(open_session, name)
    if not found:
        raise Invalid(f"The dataset {name} has no cases yet.", remedy="Label some runs, or import a file.")
    body = [one.plain for one in found]
    digest = "sha256:" + hashlib.sha256(canonical(body).encode()).hexdigest()
    if open_session.get(DatasetVersion, digest) is None:
        made = {"digest": digest, "dataset": name, "cases": len(body), "body": pack(body), "frozen_at": now()}
        insert_missing(open_session, DatasetVersion, made)
    return Version(name, digest, tuple(found))


def version(digest: str) -> Version:
    """The frozen content with this digest. Raises NotFound."""
    with session() as open_session:
        row = open_session.get(DatasetVersion, digest)
        if row is None:
            raise NotFound(f"No dataset version {digest[:19]}… is stored.")
        return Version(row.dataset, row.digest, tuple(Case.model_validate(one) for one in unpack(row.body)))


def new_id() -> str:
    """An id for a new case."""
    return f"case-{uuid.uuid4().hex[:12]}"


def _cases(open_session: Session, name: str) -> list[Case]:
    if open_session.get(Row, name) is None:
        known = ", ".join(open_session.exec(select(Row.name).order_by(Row.name))) or "none yet"
        raise NotFound(f"There is no dataset called {name}.", remedy=f"Known: {known}.")
    rows = open_session.exec(select(CaseRow).where(CaseRow.dataset == name).order_by(col(CaseRow.position)))
    return [Case.model_validate(row.body) for row in rows]
