"""The index that runs are found by, filled for the runs that are stored; scores by run; saved views."""

import json
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from workbench.store import index
from workbench.store.pack import unpack

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AT_ONCE = 500
TOOLS, CHECKS = ("TOOL", "RETRIEVER", "execute_tool", "tool"), ("GUARDRAIL",)


def upgrade() -> None:
    large = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "run_index",
        sa.Column("seq", large, primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.String(), nullable=False, unique=True),
        sa.Column(
            "facts", sa.LargeBinary().with_variant(postgresql.ARRAY(sa.BigInteger()), "postgresql"), nullable=False
        ),
        sa.Column("words", sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("usd", sa.Float()),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "create virtual table run_words using fts5(words, content='', columnsize=0, detail=none,"
            " tokenize=\"unicode61 remove_diacritics 0 tokenchars '_'\")"
        )
        op.execute("insert into run_words(run_words, rank) values ('automerge', 16)")
    else:
        op.create_index("run_index_search", "run_index", ["facts", "words"], postgresql_using="gin")
    op.create_table(
        "fact_name",
        sa.Column("term", large, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.create_index("ix_fact_name_kind", "fact_name", ["kind"])
    op.create_table(
        "run_score",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("evaluator", sa.String(), primary_key=True),
        sa.Column("value", sa.Float(), nullable=False),
    )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("page", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("page", "owner", "name"),
    )
    op.create_index("ix_saved_view_page", "saved_view", ["page"])
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_table("saved_view")
    op.drop_table("run_score")
    op.drop_table("fact_name")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("drop table run_words")
    op.drop_table("run_index")


def _fill(connection: sa.Connection) -> None:
    scored = {}
    for run_id, given in connection.execute(sa.text("select run_id, scores from experiment_row where run_id != ''")):
        for one in json.loads(given) if isinstance(given, str) else given:
            scored[run_id, one["evaluator"]] = float(one.get("value", one["passed"]))
    if scored:
        rows = [{"run_id": run_id, "evaluator": name, "value": value} for (run_id, name), value in scored.items()]
        connection.execute(sa.text("insert into run_score values (:run_id, :evaluator, :value)"), rows)
    by_people = _by_people(connection, scored)
    last = ""
    while True:
        columns = sa.select(index.RUNS).where(index.RUNS.c.id > last).order_by(index.RUNS.c.id).limit(AT_ONCE)
        found = list(connection.execute(columns).mappings())
        if not found:
            return
        inside = _inside(connection, [row["id"] for row in found])
        index.put(connection, [_document(row, [*inside[row["id"]], *by_people[row["id"]]]) for row in found])
        last = found[-1]["id"]


def _document(row: sa.RowMapping, more: list[index.Term]) -> index.Document:
    same = [(kind, row[kind]) for kind in ("flow", "version", "outcome", "agent", "source") if row[kind]]
    models = [("model", name) for name in row["model"].split(", ") if name]
    terms = (*same, *models, ("conversation", row["conversation"]), *more)
    text = index.said(row["question"], row["reply"])
    return index.Document(row["id"], row["started_at"], terms, text, row["seconds"], row["usd"])


def _by_people(connection: sa.Connection, scored: dict[tuple[str, str], float]) -> dict[str, list[index.Term]]:
    found: dict[str, list[index.Term]] = defaultdict(list)
    for run_id, person in connection.execute(sa.text("select run_id, person from flag")):
        found[run_id].append(("flagged", person))
    for run_id, criterion, value in connection.execute(sa.text("select run_id, criterion, value from label")):
        found[run_id].append(("label", f"{criterion}: {value}"))
    for (run_id, name), value in scored.items():
        found[run_id] += [("score", name), ("bucket", index.bucket(name, value))]
    return found


def _inside(connection: sa.Connection, ids: list[str]) -> dict[str, list[index.Term]]:
    """The tools that runs called and the guardrails that tripped or held something."""
    found: dict[str, list[index.Term]] = defaultdict(list)
    for table in ("run_body", "trace_part"):
        asked = sa.text(f"select run_id, body from {table} where run_id in :ids")
        for run_id, body in connection.execute(asked.bindparams(sa.bindparam("ids", ids, expanding=True))):
            found[run_id] += _ours(unpack(body)) if table == "run_body" else _theirs(unpack(body))
    return found


def _ours(record: Any) -> list[index.Term]:
    calls = record.get("calls", [])
    tools = [("tool", call["name"]) for call in calls if call["kind"] == "tool"]
    agents = [("agent", call["agent"]) for call in calls]
    tripped = [("tripped", one["name"]) for one in record.get("guardrails", []) if one["tripped"]]
    held = [("held", name) for call in calls if call.get("held") for name in call.get("waited_for", [])]
    waited = record.get("reply_waited") or {}
    held += [("held", name) for name in waited.get("for", []) if waited.get("seconds")]
    return [*tools, *agents, *tripped, *held]


def _theirs(part: Any) -> list[index.Term]:
    found = []
    for _, _, name, _, _, error, told, _ in part[1]:
        kind = (
            told.get("openinference.span.kind") or told.get("gen_ai.operation.name") or told.get("traceloop.span.kind")
        )
        if kind in TOOLS:
            named = told.get("gen_ai.tool.name") or told.get("tool.name") or told.get("tool_call.function.name") or name
            found.append(("tool", str(named)))
        elif kind in CHECKS and (told.get("guardrail.triggered") or error):
            found.append(("tripped", name))
    return found
