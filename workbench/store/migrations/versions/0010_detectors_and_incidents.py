"""Detectors with versions and backtests, judged windows, signals, incidents, and where notices go."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = (
    "notice",
    "route",
    "destination",
    "incident_event",
    "signal",
    "incident",
    "detector_window",
    "detector_test",
    "detector_version",
    "detector",
)


def upgrade() -> None:
    _detectors()
    _incidents()
    _notices()


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)


def _detectors() -> None:
    op.create_table(
        "detector",
        _key("name"),
        _number("number"),
        _number("changes"),
        sa.Column("live", sa.Integer()),
        _moment("live_from", optional=True),
        _text("made_by"),
        _moment("made_at"),
    )
    op.create_table(
        "detector_version",
        _key("detector"),
        _key("number", sa.Integer()),
        sa.Column("spec", sa.JSON(), nullable=False),
        _text("saved_by"),
        _moment("saved_at"),
    )
    op.create_table(
        "detector_test",
        _key("id"),
        _text("detector"),
        _number("number"),
        _text("labels"),
        sa.Column("figures", sa.JSON(), nullable=False),
        _text("run_by"),
        _moment("run_at"),
    )
    _index("detector_test", "detector", "run_at")
    op.create_table(
        "detector_window",
        _key("detector"),
        _key("number", sa.Integer()),
        _key("until", sa.DateTime(timezone=True)),
        _text("digest"),
        _number("revision"),
        _moment("at"),
    )


def _incidents() -> None:
    texts = (
        "fingerprint",
        "title",
        "detector",
        "label",
        "metric",
        "severity",
        "area",
        "owner",
        "state",
        "verdict",
        "fix",
    )
    op.create_table(
        "incident",
        _key("id"),
        *(_text(name) for name in texts),
        *(_number(name) for name in ("number", "turn", "changes", "signals", "reopened", "escalate_hours")),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        *(_moment(name) for name in ("started_at", "last_seen", "detected_at")),
        *(_moment(name, optional=True) for name in ("sent_at", "acknowledged_at", "escalated_at", "fixed_at")),
    )
    _index("incident", "fingerprint", "detector", "area", "state", "started_at")
    op.create_table(
        "signal",
        _key("detector"),
        _key("number", sa.Integer()),
        _key("until", sa.DateTime(timezone=True)),
        _key("label"),
        _text("incident"),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("value", "expected", "score")),
        _number("tickets"),
        _moment("at"),
    )
    _index("signal", "incident")
    op.create_table(
        "incident_event",
        _key("id", sa.Integer()),
        *(_text(name) for name in ("incident", "kind", "person", "text")),
        _number("turn"),
        _moment("at"),
    )
    _index("incident_event", "incident")


def _notices() -> None:
    op.create_table(
        "destination",
        _key("name"),
        *(_text(name) for name in ("kind", "address", "secret")),
        _number("changes"),
        _text("set_by"),
        _moment("set_at"),
    )
    op.create_table("route", _key("area"), _key("destination"), _text("least"), _text("set_by"), _moment("set_at"))
    op.create_table(
        "notice",
        _key("incident"),
        _key("turn", sa.Integer()),
        _key("destination"),
        *(_text(name) for name in ("kind", "text", "state", "result", "job_id")),
        *(_number(name) for name in ("tries", "digest_of")),
        _moment("due_at"),
        _moment("made_at"),
        _moment("sent_at", optional=True),
    )
    _index("notice", "state", "made_at")


def _key(name: str, kind: sa.types.TypeEngine[Any] | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.String(), primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _moment(name: str, *, optional: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=optional)


def _index(table: str, *columns: str) -> None:
    for one in columns:
        op.create_index(f"ix_{table}_{one}", table, [one])
