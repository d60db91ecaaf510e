"""State: one file of tables, one engine, Alembic migrations."""

from workbench.store.engine import (
    changed_elsewhere,
    dispose,
    insert_missing,
    insert_new,
    is_empty,
    migrate,
    revision,
    session,
)
from workbench.store.pack import pack, pack_quickly, unpack
from workbench.store.tables import now

__all__ = [
    "changed_elsewhere",
    "dispose",
    "insert_missing",
    "insert_new",
    "is_empty",
    "migrate",
    "now",
    "pack",
    "pack_quickly",
    "revision",
    "session",
    "unpack",
]
