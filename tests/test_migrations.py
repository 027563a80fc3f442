"""The revisions lead to exactly the tables that the models describe."""

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from widget import clock, migrations
from widget.database import Database
from widget.models import metadata
from widget.shops import Shop

# All columns, indexes and constraints, in the database's own words.
_POSTGRESQL_SCHEMA = """
SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || coalesce(character_maximum_length::text, '')
       || ' ' || is_nullable || ' ' || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
"""
_SQLITE_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> 'alembic_version'"
_WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.sqlite"
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


def test_upgrading_an_empty_database_leaves_no_difference_to_the_models(empty_url: str) -> None:
    migrations.upgrade(empty_url)

    with _writing(empty_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_revisions_make_the_same_constraints_and_partial_indexes_as_the_models(empty_url: str) -> None:
    migrations.upgrade(empty_url)

    with _writing(empty_url) as connection:
        by_revisions = _schema(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert by_revisions == _schema(connection)
        assert any("WHERE" in line for line in by_revisions)


def test_an_empty_database_is_not_current_and_an_upgraded_one_is(empty_url: str) -> None:
    assert not migrations.is_current(empty_url)

    migrations.upgrade(empty_url)

    assert migrations.is_current(empty_url)


def test_upgrading_again_keeps_what_is_there(database: Database, database_url: str) -> None:
    shop = {"site": "karoo", "name": "Karoo Coffee", "profile": {}, "created_at": clock.now()}
    with database.write() as session:
        session.execute(sa.insert(Shop).values(shop))

    migrations.upgrade(database_url)

    with database.read() as session:
        assert session.scalars(sa.select(Shop.name)).all() == ["Karoo Coffee"]


def test_processes_that_upgrade_postgresql_at_the_same_time_take_turns(empty_postgresql_url: str) -> None:
    with _writing(empty_postgresql_url) as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrations.UPGRADE_LOCK)))
        upgrades = [_upgrade_process(empty_postgresql_url) for _ in range(2)]
        _wait_until(lambda: _waiting_for_a_lock(connection) == 2)

    assert [process.wait(timeout=60) for process in upgrades] == [0, 0]
    assert migrations.is_current(empty_postgresql_url)


def test_processes_that_upgrade_sqlite_at_the_same_time_take_turns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite"

    upgrades = [_upgrade_process(url) for _ in range(3)]

    assert [process.wait(timeout=60) for process in upgrades] == [0, 0, 0]
    assert migrations.is_current(url)


def test_sqlite_is_not_left_with_references_to_rows_that_are_gone(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("INSERT INTO memberships (agent_id, shop_id, created_at) VALUES (1, 1, '2026-11-20')")
    connection.close()

    with pytest.raises(migrations.BrokenReferences, match="memberships"):
        migrations.upgrade(sqlite_url)


@contextmanager
def _writing(url: str) -> Iterator[sa.Connection]:
    database = Database(url)
    with database.engine.execution_options(unjam_writes=True).begin() as connection:
        yield connection
    database.dispose()


def _schema(connection: sa.Connection) -> list[str]:
    if connection.dialect.name == "postgresql":
        return sorted(connection.scalars(sa.text(_POSTGRESQL_SCHEMA)))
    statements = connection.scalars(sa.text(_SQLITE_SCHEMA))
    # A table that was altered has its parts in another order, some on one line, and its name in quotes.
    return sorted(
        " | ".join(sorted(part.strip() for part in re.split(r",|\n", each.replace('"', "")) if part.strip()))
        for each in statements
    )


def _upgrade_process(url: str) -> subprocess.Popen[bytes]:
    code = "import sys; from widget import migrations; migrations.upgrade(sys.argv[1])"
    return subprocess.Popen([sys.executable, "-c", code, url])


def _waiting_for_a_lock(connection: sa.Connection) -> int:
    waiting: int = connection.execute(sa.text(_WAITING_FOR_A_LOCK)).scalar_one()
    return waiting


def _wait_until(condition: Callable[[], bool], timeout_seconds: float = 30) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
