"""Databases for tests: migrated and empty, one for each test, on SQLite and on PostgreSQL."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.cluster import FOR_TESTS, Cluster, prepared
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
            migrated.touch()
    return _TEMPLATE


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    copy = tmp_path / "unjam.sqlite"
    shutil.copyfile(_sqlite_template, copy)
    return f"sqlite:///{copy}"


@pytest.fixture
def postgresql_url(_postgresql_template: str, running_cluster: Cluster) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _execute(running_cluster, f'CREATE DATABASE "{name}" TEMPLATE "{_postgresql_template}"')
    yield running_cluster.url(name)
    _execute(running_cluster, f'DROP DATABASE "{name}" WITH (FORCE)')


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
    yield from _opened(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    yield from _opened(sqlite_url)


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    yield from _opened(postgresql_url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()


def _execute(cluster: Cluster, statement: str) -> None:
    address = sa.make_url(cluster.url("postgres")).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.encode())
