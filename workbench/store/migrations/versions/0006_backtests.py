"""Backtests: recorded runs through a candidate."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backtest",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("flow", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "backtest_row",
        sa.Column("backtest", sa.String(), sa.ForeignKey("backtest.id"), primary_key=True),
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("new_run_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("new_seconds", sa.Float(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=True),
        sa.Column("new_usd", sa.Float(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("backtest_row")
    op.drop_table("backtest")
