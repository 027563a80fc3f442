"""Our web application for tests, in this process. `tests.processes` starts real ones."""

import os

import pytest
from flask import Flask
from flask.testing import FlaskClient

from widget.database import Database
from widget.settings import Settings
from widget.web.app import create_app


@pytest.fixture
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for the test's database, whatever the environment of the person at the keyboard says."""
    for name in [name for name in os.environ if name.startswith("UNJAM_") and not name.startswith("UNJAM_TESTS_")]:
        monkeypatch.delenv(name)
    return Settings(environment="test", database_url=database_url, embedded_worker=False)


@pytest.fixture
def app(settings: Settings, database: Database) -> Flask:
    return create_app(settings, database)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
