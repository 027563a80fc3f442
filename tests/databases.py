"""Databases for tests: migrated and empty at the start of each, on SQLite and on PostgreSQL.

A test gets a file of its own on SQLite. On PostgreSQL the tests of a worker use one database in turn, which is
emptied in between; a test that changes the schema thereby uses it up, and the next one gets a new one.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.cleared import Cleared, add_tools
from tests.cluster import FOR_TESTS, Cluster, prepared
from tests.reopened import reopened
from widget import migrations
from widget.database import Database

_FOLDER = "UNJAM_TESTS_FOLDER"
_TEMPLATE = "unjam_template"
_until_the_end = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    # The controller of a parallel run prepares one cluster, and its workers inherit the variable.
    if not hasattr(config, "workerinput"):
        os.environ[_FOLDER] = str(_until_the_end.enter_context(prepared()).folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    _until_the_end.close()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(Path(os.environ[_FOLDER]))


@pytest.fixture(scope="session")
def running_cluster(cluster: Cluster) -> Cluster:
    """The cluster with its server running."""
    with cluster.locked():
        cluster.start(FOR_TESTS)
    return cluster


@pytest.fixture(scope="session")
def _sqlite_template(cluster: Cluster) -> Path:
    template = cluster.folder / "template.sqlite"
    with cluster.locked():
        if not template.exists():
            unfinished = template.with_suffix(".unfinished")
            migrations.upgrade(f"sqlite:///{unfinished}")
            unfinished.rename(template)
    return template


@pytest.fixture(scope="session")
def _postgresql_template(running_cluster: Cluster) -> str:
    migrated = running_cluster.folder / "template.migrated"
    with running_cluster.locked():
        if not migrated.exists():
            _execute(running_cluster, f'CREATE DATABASE "{_TEMPLATE}"')
            migrations.upgrade(running_cluster.url(_TEMPLATE))
            add_tools(plain(running_cluster.url(_TEMPLATE)))
            migrated.touch()
    return _TEMPLATE


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    copy = tmp_path / "unjam.sqlite"
    shutil.copyfile(_sqlite_template, copy)
    return f"sqlite:///{copy}"


class Turns:
    """The PostgreSQL database of this worker."""

    def __init__(self, cluster: Cluster, template: str) -> None:
        self._cluster, self._template = cluster, template
        self._name = ""
        self._cleared: Cleared | None = None

    def take(self) -> str:
        """The address of the database, which is as if it were new."""
        if self._cleared is not None and not self._cleared.clear():
            self.drop()
        if self._cleared is None:
            self._name = f"test_{uuid.uuid4().hex}"
            _execute(self._cluster, f'CREATE DATABASE "{self._name}" TEMPLATE "{self._template}"')
            self._cleared = Cleared(plain(self._cluster.url(self._name)))
        return self._cluster.url(self._name)

    def drop(self) -> None:
        if self._cleared is not None:
            self._cleared.close()
            self._cleared = None
            _execute(self._cluster, f'DROP DATABASE "{self._name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def turns(_postgresql_template: str, running_cluster: Cluster) -> Iterator[Turns]:
    turns = Turns(running_cluster, _postgresql_template)
    yield turns
    turns.drop()


@pytest.fixture
def postgresql_url(turns: Turns) -> str:
    return turns.take()


@pytest.fixture
def empty_postgresql_url(running_cluster: Cluster) -> Iterator[str]:
    """A database without any table, for tests of the migrations."""
    name = f"empty_{uuid.uuid4().hex}"
    _execute(running_cluster, f'CREATE DATABASE "{name}"')
    yield running_cluster.url(name)
    _execute(running_cluster, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty, migrated database, for tests that start processes. The test runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database. The test runs on both kinds."""
    with reopened(database_url) as database:
        yield database


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    with reopened(sqlite_url) as database:
        yield database


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    with reopened(postgresql_url) as database:
        yield database


def _execute(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(plain(cluster.url("postgres")), autocommit=True) as connection:
        connection.execute(statement.encode())


def plain(url: str) -> str:
    """The same address for psycopg without SQLAlchemy."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
