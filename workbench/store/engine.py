"""The database: SQLite in WAL mode or PostgreSQL by URL; `session()` is one transaction."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlmodel import Session, SQLModel

from workbench import settings
from workbench.errors import Conflict, Invalid, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
AT_ONCE = 500
"""Rows in one statement, on SQLite."""

_engines: dict[str, Engine] = {}
_lock = threading.Lock()


def engine(url: str | None = None) -> Engine:
    """The engine of `url` (default: the settings' database); one per URL and process."""
    url = url or settings.load().database_url
    with _lock:
        if url not in _engines:
            try:
                _engines[url] = _create(url)
            except (ArgumentError, ModuleNotFoundError):
                raise Invalid(
                    "WORKBENCH_DATABASE_URL names no database that can be used.",
                    remedy="Write sqlite:///FILE or postgresql://USER@HOST/NAME.",
                ) from None
        return _engines[url]


@contextmanager
def session(url: str | None = None) -> Iterator[Session]:
    """One transaction: committed when the block ends, rolled back when it raises.

    Raises Unavailable where the database cannot be opened, written or waited for any longer.
    """
    with Session(engine(url), expire_on_commit=False) as open_session:
        try:
            yield open_session
            open_session.commit()
        except (OperationalError, ProgrammingError) as error:
            open_session.rollback()
            if isinstance(error, ProgrammingError) and "does not exist" not in str(error.orig):
                raise
            raise _unavailable(error) from error
        except BaseException:
            open_session.rollback()
            raise


def migrate(url: str | None = None) -> str:
    """Bring the database to the newest schema, creating it where it is missing.

    Returns the revision it is at afterwards. Raises Unavailable where it cannot be written.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    url = url or settings.load().database_url
    _make_folder(url)
    try:
        with engine(url).begin() as connection:
            config = _alembic(url)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return MigrationContext.configure(connection).get_current_revision() or ""
    except OperationalError as error:
        raise _unavailable(error) from error


def revision(url: str | None = None) -> tuple[str, str]:
    """The database's revision and the newest one known; the first is empty before the first migration."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    url = url or settings.load().database_url
    newest = ScriptDirectory.from_config(_alembic(url)).get_current_head() or ""
    path = make_url(url).database or ""
    if url.startswith("sqlite") and not Path(path).exists():
        return "", newest
    try:
        with engine(url).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() or "", newest
    except OperationalError as error:
        raise _unavailable(error) from error


def is_empty(url: str | None = None) -> bool:
    """Whether the database has no tables yet."""
    return not inspect(engine(url)).get_table_names()


def insert_missing(open_session: Session, table: type[SQLModel], values: dict[str, Any]) -> None:
    """Insert a row unless one with its key is there, also where another transaction inserts it at the same moment."""
    open_session.execute(_dialect_insert(open_session, table).values(values).on_conflict_do_nothing())


def insert_new(open_session: Session, table: type[SQLModel], rows: Sequence[dict[str, Any]], key: str) -> set[str]:
    """Insert the rows whose `key` no other row has; the keys of those. Another transaction that inserts one is waited for.

    All rows name the same columns. They go in by their keys, so that two transactions with the same ones do not wait for
    each other.
    """
    rows = sorted(rows, key=lambda row: str(row[key]))
    if open_session.get_bind().dialect.name != "sqlite":
        asked = _dialect_insert(open_session, table).on_conflict_do_nothing().returning(getattr(table, key))
        return set(open_session.scalars(asked, rows)) if rows else set()
    connection, new = open_session.connection(), set[str]()
    for at in range(0, len(rows), AT_ONCE):
        into, values = _driven(connection, table.__table__, rows[at : at + AT_ONCE])  # type: ignore[attr-defined]
        marks = ", ".join([_marks(values)] * len(values))
        asked = f'{into} values {marks} on conflict do nothing returning "{key}"'
        new.update(connection.exec_driver_sql(asked, tuple(itertools.chain.from_iterable(values))).scalars())
    return new


def _dialect_insert(open_session: Session, table: type[SQLModel]) -> Any:
    dialect = open_session.get_bind().dialect.name
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that name the same columns: on SQLite in half the time that the general way takes."""
    if not rows:
        return
    dialect = connection.dialect
    if dialect.name != "sqlite":
        connection.execute(table.insert(), list(rows))
        return
    into, values = _driven(connection, table, rows)
    connection.exec_driver_sql(f"{into} values {_marks(values)}", values)


def _driven(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> tuple[str, list[tuple[Any, ...]]]:
    """The beginning of an insert of rows that name the same columns, and their values as the driver takes them."""
    names, dialect = list(rows[0]), connection.dialect
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError(f"rows of {table.name} name different columns")
    made: list[Iterable[Any]] = []
    for name in names:
        convert = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        values = [row[name] for row in rows]
        made.append(map(convert, values) if convert else values)
    columns = ", ".join(f'"{name}"' for name in names)
    return f'insert into "{table.name}" ({columns})', list(zip(*made, strict=True))


def _marks(values: Sequence[tuple[Any, ...]]) -> str:
    return f"({', '.join('?' * len(values[0]))})"


def dispose() -> None:
    """Close every engine of this process."""
    with _lock:
        for known in _engines.values():
            known.dispose()
        _engines.clear()


def changed_elsewhere(thing: str) -> Conflict:
    """The error for a save that lost against another one."""
    return Conflict(f"{thing} was changed by somebody else meanwhile.", remedy="Reload it and apply your change again.")


def _plan_each_time(connection: Any, _record: Any) -> None:
    """Have PostgreSQL plan a statement for what it is asked: a plan for any value is many times slower for a rare one."""
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def _create(url: str) -> Engine:
    if not url.startswith("sqlite"):
        made = create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True)
        event.listen(made, "connect", _plan_each_time)
        return made
    made = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False}, hide_parameters=True)

    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA busy_timeout=10000")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute("PRAGMA wal_autocheckpoint=4000")
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")
        finally:
            cursor.close()

    event.listen(made, "connect", prepare)
    return made


def _make_folder(url: str) -> None:
    if url.startswith("sqlite:") and (path := make_url(url).database) and path != ":memory:":
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The folder {Path(path).parent} cannot be made: {error.strerror}.",
                remedy="Point WORKBENCH_HOME at a folder you can write.",
            ) from error


def _alembic(url: str) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _unavailable(error: DBAPIError) -> Unavailable:
    reason = str(error.orig).splitlines()[0]
    if "readonly" in reason or "read-only" in reason:
        return Unavailable(
            "The database is read-only; nothing was changed.",
            remedy="Make its file and folder writable, or set WORKBENCH_DATABASE_URL.",
        )
    if "locked" in reason:
        return Unavailable(
            "The database is locked by another process; nothing was changed.",
            remedy="Try again when the other process has finished.",
        )
    if "no such table" in reason or "does not exist" in reason or "unable to open database file" in reason:
        return Unavailable(
            "The database has not been set up yet.", remedy="Run `python -m workbench seed`, or start the app."
        )
    return Unavailable(f"The database cannot be used: {reason}.", remedy="Check WORKBENCH_DATABASE_URL.")
