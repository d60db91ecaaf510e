"""The database of both kinds: schema, transactions, and what happens when it cannot be written."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from workbench import store
from workbench.access import Actor, audit
from workbench.errors import Unavailable
from workbench.store import tables
from workbench.store.engine import engine

BY_HAND = ("dbos", "run_words", "run_index_search")
"""What one of the two databases has and the tables in Python cannot say."""


def test_the_migrations_make_exactly_the_tables_of_the_code(database: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        changes = map(str, compare_metadata(context, SQLModel.metadata))
    found = [one for one in changes if not any(name in one for name in BY_HAND)]
    assert found == []
    assert set(SQLModel.metadata.tables) <= set(inspect(engine()).get_table_names())


def test_migrating_twice_changes_nothing(database: str) -> None:
    assert store.migrate() == store.revision()[0] == store.revision()[1] == "0014"


def test_a_failed_transaction_leaves_nothing(database: str, admin: Actor) -> None:
    with pytest.raises(ZeroDivisionError), store.session() as open_session:
        open_session.add(tables.Dataset(name="half", created_by="me"))
        audit.append(open_session, admin, "seed", "half")
        raise ZeroDivisionError
    with store.session() as open_session:
        assert open_session.get(tables.Dataset, "half") is None
    assert audit.newest() == []


def test_the_audit_chain_holds_under_eight_writers_at_once(database: str, admin: Actor) -> None:
    def write(name: str) -> None:
        for number in range(10):
            with store.session() as open_session:
                audit.append(open_session, admin, "seed", f"{name}-{number}")

    with store.session() as open_session:
        audit.append(open_session, admin, "seed", "first")
    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.verify() == audit.Verdict(entries=81)


@pytest.mark.parametrize(
    "tamper",
    [
        "update audit_entry set actor = 'somebody else' where id = 2",
        "delete from audit_entry where id = 2",
        "delete from audit_entry where id = 3",
        "update audit_entry set detail = '{\"amount\": 2}' where id = 2",
    ],
)
def test_an_edited_or_removed_audit_row_is_found(database: str, admin: Actor, tamper: str) -> None:
    for number in range(3):
        with store.session() as open_session:
            audit.append(open_session, admin, "seed", f"thing-{number}", {"amount": 1})
    assert audit.verify().intact
    with store.session() as open_session:
        open_session.execute(text(tamper))
    assert audit.verify().broken_at in (2, 3)


def test_times_come_back_aware_and_in_utc(database: str) -> None:
    moment = store.now()
    with store.session() as open_session:
        open_session.add(tables.Dataset(name="d", created_by="me", created_at=moment))
    with store.session() as open_session:
        found = open_session.get(tables.Dataset, "d")
        assert found is not None
        assert found.created_at == moment
        assert found.created_at.utcoffset() is not None


def test_a_locked_database_is_told_in_words(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = sqlite3.connect(migrated / "local" / "workbench.db", isolation_level=None)
    holder.execute("begin immediate")
    with (
        pytest.raises(Unavailable, match="locked by another process; nothing was changed"),
        store.session() as open_session,
    ):
        open_session.execute(text("pragma busy_timeout=50"))
        open_session.add(tables.Dataset(name="d", created_by="me"))
    holder.execute("rollback")
    holder.close()


def test_a_read_only_database_is_told_in_words(migrated: Path) -> None:
    url = f"sqlite:///file:{migrated / 'local' / 'workbench.db'}?mode=ro&uri=true"
    with pytest.raises(Unavailable, match="read-only; nothing was changed"), store.session(url) as open_session:
        open_session.add(tables.Dataset(name="d", created_by="me"))


def test_a_database_that_was_never_set_up_says_what_to_do(home: Path) -> None:
    (home / "local").mkdir(parents=True)
    with pytest.raises(Unavailable, match="has not been set up yet"), store.session() as open_session:
        open_session.execute(text("select * from run"))


def test_packing_keeps_any_text(home: Path) -> None:
    body = {"a": ["ü", "</script>", "\u2028", 1.5, None, {"b": True}]}
    assert store.unpack(store.pack(body)) == body
    assert store.unpack(store.pack_quickly(body)) == body


def test_a_body_that_an_earlier_version_stored_is_read() -> None:
    assert store.unpack(zlib.compress(b'{"reply": "It is late."}')) == {"reply": "It is late."}


@pytest.mark.parametrize("whole", [store.pack({"reply": "It is late."}), zlib.compress(b'{"reply": "It is late."}')])
def test_a_damaged_body_is_told_in_words(whole: bytes) -> None:
    for damaged in (whole[:-4], whole[:4] + b"????" + whole[8:]):
        with pytest.raises(Unavailable, match="damaged and cannot be read"):
            store.unpack(damaged)
