"""Databases of many tests opened through one engine, which keeps the statements that it has compiled.

An engine of its own for each test would spend a tenth of the test's time on compiling the same statements again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

import widget.database
from widget.database import Database


class _Reused:
    """An engine that connects to whatever `url` says at that moment."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.engine = widget.database._engine(url.render_as_string(hide_password=False))
        event.listen(self.engine, "do_connect", self._redirect)

    def _redirect(self, dialect: sa.Dialect, _entry: object, arguments: list[Any], parameters: dict[str, Any]) -> None:
        place, options = dialect.create_connect_args(self.url)
        arguments[:] = place
        parameters.update(options)


_idle: dict[str, list[_Reused]] = {"sqlite": [], "postgresql": []}


@contextmanager
def reopened(url: str) -> Iterator[Database]:
    """The database at this address; whoever still uses it after the block gets an exception."""
    parsed = sa.make_url(url)
    idle = _idle[parsed.get_backend_name()]
    reused = idle.pop() if idle else _Reused(parsed)
    reused.url = parsed
    # What a test listens to, it listens to on an engine that is the test's own.
    engine = reused.engine.execution_options()
    engine.url = parsed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widget.database, "_engine", lambda _url: engine)
        database = Database(url)
    try:
        yield database
    finally:
        event.listen(engine, "engine_connect", _refuse)
        reused.engine.dispose()
        idle.append(reused)


def _refuse(connection: sa.Connection) -> None:
    # Put back into the pool, it would lead the next test to this one's database.
    connection.invalidate()
    raise AssertionError("this database belonged to a test that is over")
