"""Our web application for tests, in this process and on an address of its own."""

import os

import pytest
from flask import Flask
from flask.testing import FlaskClient

from widget.database import Database
from widget.settings import Settings


@pytest.fixture
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for the test's database, whatever the environment of the person at the keyboard says."""
    for name in [name for name in os.environ if name.startswith("UNJAM_") and not name.startswith("UNJAM_TESTS_")]:
        monkeypatch.delenv(name)
    return Settings(environment="test", database_url=database_url, embedded_worker=False)


@pytest.fixture
def app(settings: Settings, database: Database) -> Flask:
    from widget.web.app import create_app

    return create_app(settings, database)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
