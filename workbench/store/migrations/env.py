"""Alembic's entry: migrates on the connection that `store.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from workbench.store import tables  # noqa: F401  (registers the tables)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    user_module_prefix="tables.",
)
with context.begin_transaction():
    context.run_migrations()
