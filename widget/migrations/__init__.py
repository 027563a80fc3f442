"""The database's schema, step by step. Every process may call `upgrade`; they take turns."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from widget.database import Database

_FOLDER = Path(__file__).parent
# Any number will do, as long as every version of Unjam uses the same one.
UPGRADE_LOCK = 0x756E6A616D


class BrokenReferences(Exception):
    """A migration would have left rows that refer to rows that are gone; nothing was changed."""


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision, in one transaction. Changes nothing when it is there already."""
    database = Database(url)
    if database.is_sqlite:
        # A table is altered by copying it and dropping the original, which would cascade into the tables that refer
        # to it. The switch works only outside a transaction.
        event.listen(database.engine, "connect", _ignore_foreign_keys)
    engine = database.engine.execution_options(unjam_writes=True)
    try:
        with engine.begin() as connection:
            if not database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            command.upgrade(_config(connection), "head")
            if database.is_sqlite:
                _check_references(connection)
    finally:
        database.dispose()


def is_current(url: str) -> bool:
    """Whether the schema is at the newest revision; also False for an empty database."""
    newest = set(ScriptDirectory.from_config(_config()).get_heads())
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            return set(MigrationContext.configure(connection).get_current_heads()) == newest
    finally:
        database.dispose()


def revise(message: str, scratch_url: str = "sqlite://") -> None:
    """Write the next revision from the difference between the revisions so far and the models.

    The types it names serve SQLite and PostgreSQL alike, so one scratch database is enough to compare with.
    """
    database = Database(scratch_url)
    try:
        with database.engine.begin() as connection:
            config = _config(connection)
            _tidy_what_is_written(config)
            revisions = len(list(ScriptDirectory.from_config(config).walk_revisions()))
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=f"{revisions + 1:04}")
    finally:
        database.dispose()


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _tidy_what_is_written(config: Config) -> None:
    options = {
        "hooks": "sort, format",
        "sort.type": "module",
        "sort.module": "ruff",
        "sort.options": "check --fix-only --quiet REVISION_SCRIPT_FILENAME",
        "format.type": "module",
        "format.module": "ruff",
        "format.options": "format --quiet REVISION_SCRIPT_FILENAME",
    }
    for name, value in options.items():
        config.set_section_option("post_write_hooks", name, value)


def _ignore_foreign_keys(connection: Any, _entry: object) -> None:
    connection.execute("PRAGMA foreign_keys=OFF")


def _check_references(connection: sa.Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise BrokenReferences(f"rows in {tables} refer to rows that do not exist")
