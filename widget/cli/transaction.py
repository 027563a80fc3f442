"""A transaction of a command, on the configured database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from widget import settings
from widget.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@contextmanager
def transaction(*, writes: bool = False) -> Iterator["Session"]:
    """A transaction on the configured database, which is brought up to date first."""
    from widget.database import Database

    loaded = settings.load()
    upgrade(loaded)
    database = Database(loaded.database_url)
    try:
        with database.write() if writes else database.read() as session:
            yield session
    finally:
        database.dispose()


def upgrade(loaded: Settings) -> None:
    from widget import migrations

    migrations.upgrade(loaded.database_url)
