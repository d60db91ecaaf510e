"""Why runs failed: causes given by rules and people, causes that people took away, and the rules in use."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cause",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("cause", sa.String(), primary_key=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
    )
    op.create_index("ix_cause_cause", "cause", ["cause"])
    op.create_table(
        "cause_denied",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("cause", sa.String(), primary_key=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "cause_rule",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("than", sa.Float(), nullable=True),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "cause_mark",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("upto", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("cause_mark")
    op.drop_table("cause_rule")
    op.drop_table("cause_denied")
    op.drop_index("ix_cause_cause", "cause")
    op.drop_table("cause")
